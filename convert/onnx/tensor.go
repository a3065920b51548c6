package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// dtype is TensorProto.DataType.
type dtype int64

const (
	tFloat    dtype = 1
	tUint8    dtype = 2
	tInt8     dtype = 3
	tUint16   dtype = 4
	tInt16    dtype = 5
	tInt32    dtype = 6
	tInt64    dtype = 7
	tBool     dtype = 9
	tFloat16  dtype = 10
	tDouble   dtype = 11
	tUint32   dtype = 12
	tUint64   dtype = 13
	tBfloat16 dtype = 16
)

// dtypes lists the element types that constants may have: their size in raw_data and the typed field they may stand in.
var dtypes = map[dtype]struct {
	name  string
	size  int
	field protowire.Number
	float bool
}{
	tFloat:    {"float32", 4, 4, true},
	tFloat16:  {"float16", 2, 5, true},
	tBfloat16: {"bfloat16", 2, 5, true},
	tDouble:   {"float64", 8, 10, true},
	tUint8:    {"uint8", 1, 5, false},
	tInt8:     {"int8", 1, 5, false},
	tUint16:   {"uint16", 2, 5, false},
	tInt16:    {"int16", 2, 5, false},
	tInt32:    {"int32", 4, 5, false},
	tInt64:    {"int64", 8, 7, false},
	tUint32:   {"uint32", 4, 11, false},
	tUint64:   {"uint64", 8, 11, false},
	tBool:     {"bool", 1, 5, false},
}

func (d dtype) String() string {
	if i, ok := dtypes[d]; ok {
		return i.name
	}
	return fmt.Sprintf("element type %d", int64(d))
}

// tensor is a constant. Its elements are decoded when they are asked for: until then it costs what its header costs.
type tensor struct {
	name  string
	dtype dtype
	shape []int
	elems int

	raw   []byte // raw_data, aliasing the file
	typed []byte // one of the typed fields in packed form, usually aliasing the file
	field protowire.Number
	ext   *external

	// Results of constant folding are held decoded, in one of these.
	ints   []int64
	floats []float32
	dq     *quantConst // or computed from integers
}

func (t *tensor) isFloat() bool { return dtypes[t.dtype].float }

func newInts(shape []int, v []int64) *tensor {
	return &tensor{dtype: tInt64, shape: shape, elems: len(v), ints: v}
}

func newFloats(shape []int, v []float32) *tensor {
	return &tensor{dtype: tFloat, shape: shape, elems: len(v), floats: v}
}

func decodeTensor(data []byte) (*tensor, error) {
	t := &tensor{elems: 1}
	var dims []int64
	location, entries := uint64(0), []string(nil)
	err := fields(data, func(num protowire.Number, typ protowire.Type, v uint64, b []byte) (err error) {
		switch num {
		case 8, 9, 13:
			if err := want("TensorProto", num, typ, wireBytes); err != nil {
				return err
			}
		}
		switch num {
		case 1:
			if dims, err = appendInts(dims, typ, v, b); err == nil && len(dims) > maxRank {
				err = fmt.Errorf("a constant has more than %d dimensions", maxRank)
			}
		case 2:
			t.dtype = dtype(v)
		case 3:
			err = errors.New("a constant is stored in segments, which is not supported")
		case 4, 5, 7, 10, 11:
			err = t.addTyped(num, typ, v, b)
		case 8:
			t.name = text(b)
		case 9:
			t.raw = b
		case 13:
			if len(entries) >= 16 {
				return errors.New("a constant has too many external data entries")
			}
			var key, value string
			err = fields(b, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) error {
				switch num {
				case 1:
					key = text(b)
				case 2:
					value = text(b)
				}
				return want("StringStringEntryProto", num, typ, wireBytes)
			})
			entries = append(entries, key, value)
		case 14:
			location = v
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%q: %w", t.name, err)
	}
	for _, d := range dims {
		if d < 0 || d > format.MaxElements || d > 0 && int64(t.elems) > format.MaxElements/d {
			return nil, fmt.Errorf("%q: shape %v has a negative dimension or more than %d elements", t.name, dims, format.MaxElements)
		}
		t.shape = append(t.shape, int(d))
		t.elems *= int(d)
	}
	if location == 1 {
		if t.ext, err = parseExternal(entries); err != nil {
			return nil, fmt.Errorf("%q: %w", t.name, err)
		}
	}
	return t, nil
}

// addTyped takes one field of float_data, int32_data and so on. Packed fields are aliased, single elements appended.
func (t *tensor) addTyped(num protowire.Number, typ protowire.Type, v uint64, b []byte) error {
	if t.field != 0 && t.field != num {
		return errors.New("a constant has elements in two typed fields")
	}
	t.field = num
	single := wireVarint
	switch num {
	case 4:
		single = wireFixed32
	case 10:
		single = wireFixed64
	}
	if err := want("TensorProto", num, typ, wireBytes, single); err != nil {
		return err
	}
	switch typ {
	case wireBytes:
		if t.typed == nil {
			t.typed = b[:len(b):len(b)]
			return nil
		}
		t.typed = append(t.typed, b...)
	case wireVarint:
		t.typed = protowire.AppendVarint(t.typed[:len(t.typed):cap(t.typed)], v)
	case wireFixed32:
		t.typed = protowire.AppendFixed32(t.typed, uint32(v))
	case wireFixed64:
		t.typed = protowire.AppendFixed64(t.typed, v)
	}
	return nil
}

// rawBytes returns the elements as raw_data has them, read from another file if need be; nil if they are in a typed field.
func (t *tensor) rawBytes() ([]byte, error) {
	if t.ext != nil {
		b, err := t.ext.read(t.bytes())
		if err != nil {
			return nil, fmt.Errorf("constant %q: %w", t.name, err)
		}
		return b, nil
	}
	if t.raw == nil && t.typed != nil || t.elems == 0 {
		return nil, nil
	}
	return t.raw, t.checkSize()
}

// bytes is the size of the elements in raw form.
func (t *tensor) bytes() int64 { return int64(t.elems) * int64(dtypes[t.dtype].size) }

// checkSize says whether there are as many elements as the shape asks for, without reading or decoding them.
func (t *tensor) checkSize() error {
	if t.ints != nil || t.floats != nil {
		return nil
	}
	if t.dq != nil {
		return t.dq.q.checkSize()
	}
	info := dtypes[t.dtype]
	switch {
	case info.size == 0:
		return fmt.Errorf("constant %q has %v, which is not supported", t.name, t.dtype)
	case t.ext != nil:
		return t.ext.check(t.bytes())
	case t.raw != nil || t.typed == nil:
		if int64(len(t.raw)) != t.bytes() {
			return fmt.Errorf("constant %q has %d bytes of data, shape %v of %v needs %d", t.name, len(t.raw), t.shape, t.dtype, t.bytes())
		}
		return nil
	case t.field != info.field:
		return fmt.Errorf("constant %q of %v has its elements in field %d", t.name, t.dtype, t.field)
	}
	n := 0
	switch t.field {
	case 4:
		n = len(t.typed) / 4
	case 10:
		n = len(t.typed) / 8
	default:
		for _, c := range t.typed {
			if c < 0x80 {
				n++
			}
		}
	}
	if n != t.elems {
		return fmt.Errorf("constant %q has %d elements, shape %v needs %d", t.name, n, t.shape, t.elems)
	}
	return nil
}

// each calls f with the bits of every element: of the element's own width from raw data, of the field's from typed data.
func (t *tensor) each(f func(i int, bits uint64)) error {
	if err := t.checkSize(); err != nil {
		return err
	}
	b, err := t.rawBytes()
	if err != nil {
		return err
	}
	if b == nil {
		b = t.typed
		for i := range t.elems {
			var v uint64
			n := 0
			switch t.field {
			case 4:
				v, n = uint64(binary.LittleEndian.Uint32(b)), 4
			case 10:
				v, n = binary.LittleEndian.Uint64(b), 8
			default:
				if v, n = protowire.ConsumeVarint(b); n < 0 {
					return fmt.Errorf("constant %q: %w", t.name, errTruncated)
				}
			}
			b = b[n:]
			f(i, v)
		}
		return nil
	}
	switch dtypes[t.dtype].size {
	case 1:
		for i, v := range b {
			f(i, uint64(v))
		}
	case 2:
		for i := range t.elems {
			f(i, uint64(binary.LittleEndian.Uint16(b[2*i:])))
		}
	case 4:
		for i := range t.elems {
			f(i, uint64(binary.LittleEndian.Uint32(b[4*i:])))
		}
	case 8:
		for i := range t.elems {
			f(i, binary.LittleEndian.Uint64(b[8*i:]))
		}
	}
	return nil
}

// float32s returns the elements of a float constant. The caller must not change them.
func (t *tensor) float32s() ([]float32, error) {
	if t.floats != nil {
		return t.floats, nil
	}
	if t.dq != nil {
		return t.dq.float32s()
	}
	if !t.isFloat() {
		return nil, fmt.Errorf("constant %q is of %v, expected floating point", t.name, t.dtype)
	}
	if err := t.checkSize(); err != nil {
		return nil, err
	}
	v := make([]float32, t.elems)
	err := t.each(func(i int, bits uint64) {
		switch t.dtype {
		case tFloat:
			v[i] = math.Float32frombits(uint32(bits))
		case tFloat16:
			v[i] = halfToFloat(uint16(bits))
		case tBfloat16:
			v[i] = math.Float32frombits(uint32(bits) << 16)
		case tDouble:
			v[i] = float32(math.Float64frombits(bits))
		}
	})
	return v, err
}

// int64s returns the elements of an integer constant. The caller must not change them.
func (t *tensor) int64s() ([]int64, error) {
	if t.ints != nil {
		return t.ints, nil
	}
	if t.isFloat() {
		return nil, fmt.Errorf("constant %q is of %v, expected integers", t.name, t.dtype)
	}
	if err := t.checkSize(); err != nil {
		return nil, err
	}
	v := make([]int64, t.elems)
	err := t.each(func(i int, bits uint64) {
		switch t.dtype {
		case tInt8:
			v[i] = int64(int8(bits))
		case tUint8:
			v[i] = int64(uint8(bits))
		case tInt16:
			v[i] = int64(int16(bits))
		case tUint16:
			v[i] = int64(uint16(bits))
		case tInt32:
			v[i] = int64(int32(bits))
		case tUint32:
			v[i] = int64(uint32(bits))
		case tBool:
			if bits&0xff != 0 {
				v[i] = 1
			}
		default:
			v[i] = int64(bits)
		}
	})
	return v, err
}

// halfToFloat expands an IEEE 754 binary16.
func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, int(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac * 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | uint32(exp-15+127)<<23 | frac<<13)
}

// external says where in another file a constant's elements are.
type external struct {
	location       string
	offset, length int64 // length is -1 if the model does not say
	dir            *folder
}

func parseExternal(entries []string) (*external, error) {
	e := &external{length: -1}
	for i := 0; i+1 < len(entries); i += 2 {
		key, value := entries[i], entries[i+1]
		if key == "location" {
			e.location = value
			continue
		}
		if key != "offset" && key != "length" {
			continue // checksum, basepath of some exporters
		}
		v, err := strconv.ParseInt(value, 10, 64)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("external data has %s %q, expected a number of bytes", key, value)
		}
		if key == "offset" {
			e.offset = v
		} else {
			e.length = v
		}
	}
	if e.location == "" || !filepath.IsLocal(filepath.FromSlash(e.location)) {
		return nil, fmt.Errorf("external data is in %q; it must be a file in the model's folder", e.location)
	}
	return e, nil
}

// check makes sure that the file has size bytes at the offset.
func (e *external) check(size int64) error {
	if e.dir == nil {
		return fmt.Errorf("the data is in another file, %q, and the model's folder is not known", e.location)
	}
	if e.length >= 0 && e.length != size {
		return fmt.Errorf("external data in %q has length %d, the shape needs %d", e.location, e.length, size)
	}
	_, have, err := e.dir.open(e.location)
	if err != nil {
		return err
	}
	if e.offset > have || size > have-e.offset {
		return fmt.Errorf("external data at offset %d of %q needs %d bytes, the file has %d", e.offset, e.location, size, have)
	}
	return nil
}

func (e *external) read(size int64) ([]byte, error) {
	if err := e.check(size); err != nil {
		return nil, err
	}
	f, _, err := e.dir.open(e.location)
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, e.offset, size), b); err != nil {
		return nil, fmt.Errorf("external data in %q: %w", e.location, err)
	}
	return b, nil
}

// folder opens the model's external data files, once each; nothing outside the folder can be reached, not by links either.
type folder struct {
	path  string
	root  *os.Root
	files map[string]*os.File
}

func (d *folder) open(name string) (*os.File, int64, error) {
	f := d.files[name]
	if f == nil {
		var err error
		if d.root == nil {
			if d.root, err = os.OpenRoot(d.path); err != nil {
				return nil, 0, fmt.Errorf("external data: %w", err)
			}
		}
		if len(d.files) == 64 {
			return nil, 0, errors.New("external data is spread over more than 64 files")
		}
		if st, err := d.root.Stat(filepath.FromSlash(name)); err == nil && !st.Mode().IsRegular() {
			return nil, 0, fmt.Errorf("external data %q is not a file", name)
		}
		if f, err = d.root.Open(filepath.FromSlash(name)); err != nil {
			return nil, 0, fmt.Errorf("external data: %w", err)
		}
		if d.files == nil {
			d.files = map[string]*os.File{}
		}
		d.files[name] = f
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("external data: %w", err)
	}
	return f, st.Size(), nil
}

func (d *folder) close() {
	for _, f := range d.files {
		f.Close()
	}
	if d.root != nil {
		d.root.Close()
	}
}
