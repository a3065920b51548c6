package tflite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// errFlat is what every reading out of bounds comes to.
var errFlat = errors.New("an offset or length in the file points outside of it: it is damaged or cut off")

// flat is a flatbuffers file. The first thing that is wrong stays in err, and everything that is read after it is empty.
type flat struct {
	b   []byte
	err error
}

func (f *flat) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// bytes returns n bytes at p; nil if they are not in the file.
func (f *flat) bytes(p, n int64) []byte {
	if f.err != nil {
		return nil
	}
	if p < 0 || n < 0 || p > int64(len(f.b)) || n > int64(len(f.b))-p {
		f.fail(errFlat)
		return nil
	}
	return f.b[p : p+n]
}

func (f *flat) u16(p int64) int64 {
	if b := f.bytes(p, 2); b != nil {
		return int64(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (f *flat) u32(p int64) int64 {
	if b := f.bytes(p, 4); b != nil {
		return int64(binary.LittleEndian.Uint32(b))
	}
	return 0
}

// table is an object in the file; pos is 0 for one that is absent, whose fields all have their defaults.
type table struct {
	f   *flat
	pos int64
}

// root is the file's outermost table.
func (f *flat) root() table { return table{f, f.u32(0)} }

// field is the place of field i, 0 if it has its default.
func (t table) field(i int) int64 {
	if t.pos == 0 {
		return 0
	}
	v := t.pos - int64(int32(t.f.u32(t.pos)))
	if slot := int64(4 + 2*i); slot+2 <= t.f.u16(v) {
		if o := t.f.u16(v + slot); o != 0 {
			return t.pos + o
		}
	}
	return 0
}

func (t table) byte(i int) int {
	if p := t.field(i); p != 0 {
		if b := t.f.bytes(p, 1); b != nil {
			return int(b[0])
		}
	}
	return 0
}

func (t table) bool(i int) bool { return t.byte(i) != 0 }

// int is a field of 32 bits.
func (t table) int(i, def int) int {
	if p := t.field(i); p != 0 {
		return int(int32(t.f.u32(p)))
	}
	return def
}

func (t table) float(i int, def float32) float32 {
	if p := t.field(i); p != 0 {
		return math.Float32frombits(uint32(t.f.u32(p)))
	}
	return def
}

// long is a field of 64 bits.
func (t table) long(i int) int64 {
	if p := t.field(i); p != 0 {
		if b := t.f.bytes(p, 8); b != nil {
			return int64(binary.LittleEndian.Uint64(b))
		}
	}
	return 0
}

// table is a field that is another object.
func (t table) table(i int) table {
	if p := t.field(i); p != 0 {
		return table{t.f, p + t.f.u32(p)}
	}
	return table{f: t.f}
}

// vector returns the elements of a field, size bytes each, of which there may be at most limit.
func (t table) vector(i, size, limit int) []byte {
	p := t.field(i)
	if p == 0 {
		return nil
	}
	p += t.f.u32(p)
	n := t.f.u32(p)
	if n > int64(limit) {
		t.f.fail(fmt.Errorf("a list of %d elements, the limit is %d", n, limit))
		return nil
	}
	return t.f.bytes(p+4, n*int64(size))
}

func (t table) ints(i, limit int) []int {
	b := t.vector(i, 4, limit)
	v := make([]int, len(b)/4)
	for k := range v {
		v[k] = int(int32(binary.LittleEndian.Uint32(b[4*k:])))
	}
	return v
}

// tables are the objects of a field.
func (t table) tables(i, limit int) []table {
	b := t.vector(i, 4, limit)
	if len(b) == 0 {
		return nil
	}
	p := t.field(i)
	p += t.f.u32(p) + 4
	v := make([]table, len(b)/4)
	for k := range v {
		at := p + int64(4*k)
		v[k] = table{t.f, at + t.f.u32(at)}
	}
	return v
}

// text is a string of which at most limit bytes are kept.
func (t table) text(i, limit int) string {
	b := t.vector(i, 1, math.MaxInt32)
	return string(b[:min(len(b), limit)])
}
