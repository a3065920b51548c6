package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Bounds on one pickle. A checkpoint of a thousand tensors, optimizer included, stays below a hundredth of them.
const (
	maxProtocol = 5
	maxPickle   = 64 << 20
	maxText     = 1 << 20 // bytes of one string, number or name
	maxPushes   = 4 << 20 // values pushed
	maxMemo     = 1 << 20
	maxMarks    = 1 << 10 // unfinished containers inside each other
)

// unpickler reads pickles one behind the other.
type unpickler struct {
	r        *bufio.Reader
	size     int64 // of r
	read     int64
	end      int64 // the present pickle may not pass this
	stack    []any
	marks    []int
	memo     map[uint64]any
	pushes   int
	storages map[string]*storage // by key
}

func newUnpickler(r io.Reader, size int64) *unpickler {
	return &unpickler{r: bufio.NewReader(r), size: size, storages: map[string]*storage{}}
}

// pos is how many bytes have been read.
func (u *unpickler) pos() int64 { return u.read }

// load reads one pickle.
func (u *unpickler) load() (any, error) {
	u.stack, u.marks, u.memo, u.pushes = u.stack[:0], u.marks[:0], map[uint64]any{}, 0
	u.end = min(u.size, u.read+maxPickle)
	for {
		at := u.read
		op, err := u.byte()
		if err == nil {
			if op == opStop {
				if len(u.marks) == 0 && len(u.stack) == 1 {
					return u.stack[0], nil
				}
				err = fmt.Errorf("the pickle ends with %d values and %d open containers, not with one value", len(u.stack), len(u.marks))
			} else {
				err = u.step(op)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("pickle, byte %d: %w", at, err)
		}
	}
}

func (u *unpickler) step(op byte) error {
	switch op {
	case opProto:
		v, err := u.byte()
		if err == nil && v > maxProtocol {
			err = fmt.Errorf("protocol %d; %d is the newest known", v, maxProtocol)
		}
		return err
	case opFrame:
		_, err := u.take(8)
		return err
	case opMark:
		if len(u.marks) == maxMarks {
			return fmt.Errorf("more than %d containers inside each other", maxMarks)
		}
		u.marks = append(u.marks, len(u.stack))
		return nil
	case opPop:
		_, err := u.pop()
		return err
	case opPopMark:
		_, err := u.popMark()
		return err
	case opDup:
		v, err := u.top()
		if err != nil {
			return err
		}
		return u.push(v)
	case opNone:
		return u.push(nil)
	case opNewTrue, opNewFalse:
		return u.push(op == opNewTrue)
	case opInt, opLong, opFloat, opString, opUnicode, opPersID:
		return u.textValue(op)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opLong4, opBinFloat:
		return u.number(op)
	case opBinString, opShortBinString, opBinUnicode, opShortBinUnicode, opBinUnicode8,
		opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return u.text(op)
	case opEmptyList, opEmptyDict, opEmptyTuple, opList, opDict, opTuple, opTuple1, opTuple2, opTuple3,
		opAppend, opAppends, opSetItem, opSetItems:
		return u.container(op)
	case opGet, opBinGet, opLongBinGet, opPut, opBinPut, opLongBinPut, opMemoize:
		return u.memory(op)
	case opGlobal, opStackGlobal, opInst, opObj, opNewObj, opNewObjEx, opReduce, opBuild, opBinPersID:
		return u.object(op)
	case opEmptySet, opAddItems, opFrozenSet:
		return errors.New("a set; weights need none, so it was refused; " + advice)
	case opExt1, opExt2, opExt4:
		return errors.New("an extension code, which stands for a callable that cannot be named; it was refused; " + advice)
	case opNextBuffer, opReadonlyBuffer:
		return errors.New("an out-of-band buffer, which torch.save does not write")
	}
	return fmt.Errorf("opcode 0x%02x is not known; the file is damaged, or not a pickle", op)
}

// number reads the binary numbers.
func (u *unpickler) number(op byte) error {
	n := map[byte]int{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opLong4: 4, opBinFloat: 8}[op]
	b, err := u.take(int64(n))
	if err != nil {
		return err
	}
	switch op {
	case opBinInt:
		return u.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case opBinFloat:
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	var v [8]byte
	copy(v[:], b)
	count := int64(binary.LittleEndian.Uint64(v[:]))
	if op == opBinInt1 || op == opBinInt2 {
		return u.push(count)
	}
	if b, err = u.take(count); err != nil {
		return err
	}
	if len(b) > 8 {
		return u.push(bigInt(b))
	}
	v = [8]byte{}
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		v = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(v[:], b)
	return u.push(int64(binary.LittleEndian.Uint64(v[:])))
}

// text reads strings and bytes with their length in front.
func (u *unpickler) text(op byte) error {
	width := int64(4)
	switch op {
	case opShortBinString, opShortBinUnicode, opShortBinBytes:
		width = 1
	case opBinUnicode8, opBinBytes8, opByteArray8:
		width = 8
	}
	b, err := u.take(width)
	if err != nil {
		return err
	}
	var v [8]byte
	copy(v[:], b)
	n := binary.LittleEndian.Uint64(v[:])
	if n > maxText {
		return fmt.Errorf("a string of %d bytes, the limit is %d", n, maxText)
	}
	if b, err = u.take(int64(n)); err != nil {
		return err
	}
	switch op {
	case opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return u.push(rawBytes(b))
	}
	return u.push(string(b))
}

// textValue reads the values that protocol 0 spells out in a line.
func (u *unpickler) textValue(op byte) error {
	s, err := u.line()
	if err != nil {
		return err
	}
	switch op {
	case opFloat:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%s is not a number", quote(s))
		}
		return u.push(f)
	case opInt, opLong:
		if op == opInt && (s == "00" || s == "01") {
			return u.push(s == "01")
		}
		if op == opLong && len(s) > 0 && s[len(s)-1] == 'L' {
			s = s[:len(s)-1]
		}
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not a whole number of 64 bits", quote(s))
		}
		return u.push(i)
	case opPersID:
		return fmt.Errorf("a persistent id in text, %s; only storages have one, and theirs are tuples", quote(s))
	case opString:
		if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '\'' && s[0] != '"' {
			return fmt.Errorf("%s is not a quoted string", quote(s))
		}
		s = s[1 : len(s)-1]
	}
	return u.push(s) // escapes are left as they are: no tensor's name has one
}

func (u *unpickler) container(op byte) error {
	switch op {
	case opEmptyList:
		return u.push(&list{})
	case opEmptyDict:
		return u.push(&dict{})
	case opEmptyTuple:
		return u.push(tuple(nil))
	case opTuple1, opTuple2, opTuple3:
		n := int(op-opTuple1) + 1
		items, err := u.popN(n)
		if err != nil {
			return err
		}
		return u.push(tuple(items))
	case opAppend, opSetItem:
		n := 1
		if op == opSetItem {
			n = 2
		}
		items, err := u.popN(n)
		if err != nil {
			return err
		}
		return u.extend(op, items)
	}
	items, err := u.popMark()
	if err != nil {
		return err
	}
	switch op {
	case opTuple:
		return u.push(tuple(items))
	case opList:
		return u.push(&list{items})
	case opDict:
		if err := u.push(&dict{}); err != nil {
			return err
		}
	}
	return u.extend(op, items)
}

// extend puts items into the list or dictionary on top of the stack.
func (u *unpickler) extend(op byte, items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	switch c := v.(type) {
	case *list:
		if op == opAppend || op == opAppends {
			c.items = append(c.items, items...)
			return nil
		}
	case *dict:
		if op == opAppend || op == opAppends {
			break
		}
		if len(items)%2 != 0 {
			return errors.New("a key of a dictionary without its value")
		}
		for i := 0; i < len(items); i += 2 {
			if err := c.set(items[i], items[i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("opcode %q puts items into %s", op, describe(v))
}

// memory stores and fetches values that a pickle refers to more than once.
func (u *unpickler) memory(op byte) error {
	var key uint64
	switch op {
	case opGet, opPut:
		s, err := u.line()
		if err != nil {
			return err
		}
		if key, err = strconv.ParseUint(s, 10, 63); err != nil {
			return fmt.Errorf("%s is not a number of the memo", quote(s))
		}
	case opMemoize:
		key = uint64(len(u.memo))
	default:
		n := int64(1)
		if op == opLongBinGet || op == opLongBinPut {
			n = 4
		}
		b, err := u.take(n)
		if err != nil {
			return err
		}
		var v [8]byte
		copy(v[:], b)
		key = binary.LittleEndian.Uint64(v[:])
	}
	if op == opGet || op == opBinGet || op == opLongBinGet {
		v, ok := u.memo[key]
		if !ok {
			return fmt.Errorf("value %d of the memo was never stored", key)
		}
		return u.push(v)
	}
	v, err := u.top()
	if err != nil {
		return err
	}
	if len(u.memo) == maxMemo {
		return fmt.Errorf("more than %d values in the memo", maxMemo)
	}
	u.memo[key] = v
	return nil
}

// object handles what would call into Python: it looks names up in the allow-list and imitates the few calls on it.
func (u *unpickler) object(op byte) error {
	switch op {
	case opGlobal, opInst:
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		c, err := lookup(module, name)
		if err != nil {
			return err
		}
		if op == opInst {
			return fmt.Errorf("an instance of %s made in a way that torch.save does not use", c.name)
		}
		return u.push(c)
	case opStackGlobal:
		v, err := u.popN(2)
		if err != nil {
			return err
		}
		module, ok := v[0].(string)
		name, ok2 := v[1].(string)
		if !ok || !ok2 {
			return fmt.Errorf("a name made of %s and %s", describe(v[0]), describe(v[1]))
		}
		c, err := lookup(module, name)
		if err != nil {
			return err
		}
		return u.push(c)
	case opBinPersID:
		id, err := u.pop()
		if err != nil {
			return err
		}
		s, err := u.persistent(id)
		if err != nil {
			return err
		}
		return u.push(s)
	case opObj, opNewObjEx:
		return errors.New("an instance made in a way that torch.save does not use (OBJ or NEWOBJ_EX); it was refused; " + advice)
	}
	v, err := u.popN(2)
	if err != nil {
		return err
	}
	if op == opBuild { // state of an object: that of a dictionary is _metadata, that of the others is not needed
		switch v[0].(type) {
		case *dict, opaque:
			return u.push(v[0])
		}
		return fmt.Errorf("a state for %s, which has none", describe(v[0]))
	}
	c, ok := v[0].(*class)
	args, ok2 := v[1].(tuple)
	if !ok || !ok2 {
		return fmt.Errorf("a call of %s with %s", describe(v[0]), describe(v[1]))
	}
	res, err := c.call(args)
	if err != nil {
		return err
	}
	return u.push(res)
}
