package format

import (
	"encoding/binary"
	"math"
)

// reader walks through a section. After the first error it returns zeros, and counts of zero, so that callers may look
// at err once a record.
type reader struct {
	section string
	b       []byte
	pos     int
	err     *Error
}

func (r *reader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = failf(r.section, format, args...)
	}
}

var zeroWord [8]byte

// next returns n bytes, at most 8 of zeros after an error.
func (r *reader) next(n int) []byte {
	if r.err == nil && n > len(r.b)-r.pos {
		r.failf("a record at byte %d needs %d bytes, the section ends after %d", r.pos, n, len(r.b)-r.pos)
	}
	if r.err != nil {
		return zeroWord[:min(n, 8)]
	}
	r.pos += n
	return r.b[r.pos-n : r.pos]
}

func (r *reader) u8() uint8    { return r.next(1)[0] }
func (r *reader) u16() uint16  { return binary.LittleEndian.Uint16(r.next(2)) }
func (r *reader) u32() uint32  { return binary.LittleEndian.Uint32(r.next(4)) }
func (r *reader) u64() uint64  { return binary.LittleEndian.Uint64(r.next(8)) }
func (r *reader) f32() float32 { return math.Float32frombits(r.u32()) }

func (r *reader) bool() bool {
	v := r.u8()
	if v > 1 {
		r.failf("the byte at %d is %d: want 0 or 1", r.pos-1, v)
	}
	return v == 1
}

// index reads a number that fits an int on every machine; Validate knows its range.
func (r *reader) index() int {
	v := r.u32()
	if v > math.MaxInt32 {
		r.failf("the number at byte %d is %d, too large", r.pos-4, v)
		return 0
	}
	return int(v)
}

// indices reads tensor indices, in which all ones stand for an absent tensor.
func (r *reader) indices(n int) []int {
	if n == 0 || n*4 > len(r.b)-r.pos {
		r.next(n * 4)
		return nil
	}
	out := make([]int, n)
	for i := range out {
		if out[i] = int(int32(r.u32())); out[i] < -1 {
			r.failf("the tensor index at byte %d is %d", r.pos-4, out[i])
		}
	}
	return out
}

// words reads an attribute's value.
func (r *reader) words(n int) []uint32 {
	b := r.next(n * 4)
	if r.err != nil {
		return nil
	}
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out
}

// count reads how many records follow, which must fit what is left of the section.
func (r *reader) count(what string, most, recordSize int) int {
	n := r.u32()
	if r.err != nil {
		return 0
	}
	if uint64(n) > uint64(most) || uint64(n)*uint64(recordSize) > uint64(len(r.b)-r.pos) {
		r.failf("%d %s: at most %d, and the %d bytes left hold at most %d", n, what, most, len(r.b)-r.pos, (len(r.b)-r.pos)/recordSize)
		return 0
	}
	return int(n)
}

func (r *reader) str() string {
	n := r.count("bytes of text", MaxString, 1)
	return string(r.next(n))
}
