package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// maxRank is that of any tensor in a file; networks of this project use four dimensions at most.
const maxRank = 16

// DType is an element type by the name PyTorch gives it.
type DType string

const (
	Float32  DType = "float32"
	Float64  DType = "float64"
	Float16  DType = "float16"
	BFloat16 DType = "bfloat16"
	Int64    DType = "int64"
)

// sizes has every type a file may hold; Float32s reads only the floating ones.
var sizes = map[DType]int64{
	Float32: 4, Float64: 8, Float16: 2, BFloat16: 2, Int64: 8,
	"int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1, "uint16": 2, "uint32": 4, "uint64": 8,
	"complex64": 8, "complex128": 16, "float8_e4m3fn": 1, "float8_e5m2": 1,
}

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int

	src    io.ReaderAt
	start  int64 // of element 0 in src, in bytes
	stride []int64
	big    bool // big endian
}

// Elements is the product of the dimensions.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// newTensor checks a tensor against the storage it is a view of: base is the storage's first byte in src, numel its length in
// elements. A nil stride is that of a contiguous tensor.
func newTensor(src io.ReaderAt, base, numel int64, dtype DType, offset int64, shape []int64, stride []int64, big bool) (*Tensor, error) {
	if len(shape) > maxRank {
		return nil, fmt.Errorf("%d dimensions, the limit is %d", len(shape), maxRank)
	}
	size, ok := sizes[dtype]
	if !ok {
		return nil, fmt.Errorf("element type %s is not known", quote(string(dtype)))
	}
	t := &Tensor{DType: dtype, Shape: make([]int, len(shape)), src: src, big: big, stride: stride}
	n := int64(1)
	for i, d := range shape {
		if d < 0 || d > format.MaxElements || d > 0 && n > format.MaxElements/d {
			return nil, fmt.Errorf("shape %v: negative, or more than %d elements", shape, format.MaxElements)
		}
		t.Shape[i] = int(d)
		n *= d
	}
	// An expanded tensor (stride 0) would be small in the file and large in memory.
	if n > numel || offset < 0 || offset > numel {
		return nil, fmt.Errorf("shape %v at offset %d has more elements than its storage, %d", shape, offset, numel)
	}
	if stride == nil {
		t.stride = make([]int64, len(shape))
		for i, run := len(shape)-1, int64(1); i >= 0; i-- {
			t.stride[i] = run
			run *= shape[i]
		}
	}
	if len(t.stride) != len(shape) {
		return nil, fmt.Errorf("%d strides for %d dimensions", len(stride), len(shape))
	}
	if n > 0 {
		last := offset
		for i, d := range shape {
			s := t.stride[i]
			if s < 0 || d > 1 && s > (numel-last)/(d-1) {
				return nil, fmt.Errorf("shape %v with stride %v at offset %d reaches outside its storage of %d elements", shape, stride, offset, numel)
			}
			last += s * (d - 1)
		}
		if last >= numel {
			return nil, fmt.Errorf("shape %v with stride %v at offset %d reaches outside its storage of %d elements", shape, stride, offset, numel)
		}
	}
	t.start = base + offset*size
	return t, nil
}

// Float32s reads the elements in row-major order, converted to float32.
func (t *Tensor) Float32s() ([]float32, error) {
	get, err := t.decoder()
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", quote(t.Name), err)
	}
	size := int(sizes[t.DType])
	out := make([]float32, t.Elements())
	// The run is the longest tail of dimensions that lies in one piece; the dimensions before it are walked.
	run, split := 1, len(t.Shape)
	for split > 0 && (t.Shape[split-1] == 1 || t.stride[split-1] == int64(run)) {
		split--
		run *= t.Shape[split]
	}
	if len(out) == 0 {
		return out, nil
	}
	var (
		at   = make([]int, split)
		pos  = int64(0) // elements
		buf  = make([]byte, min(run*size, 1<<20))
		done = 0
	)
	for {
		for left, off := run, t.start+pos*int64(size); left > 0; {
			n := min(left, len(buf)/size)
			if _, err := readFull(t.src, buf[:n*size], off); err != nil {
				return nil, fmt.Errorf("tensor %s: reading %d bytes at %d: %w", quote(t.Name), n*size, off, err)
			}
			for i := range n {
				out[done+i] = get(buf[i*size:])
			}
			done, left, off = done+n, left-n, off+int64(n*size)
		}
		d := split - 1
		for ; d >= 0; d-- {
			at[d]++
			pos += t.stride[d]
			if at[d] < t.Shape[d] {
				break
			}
			pos -= t.stride[d] * int64(t.Shape[d])
			at[d] = 0
		}
		if d < 0 {
			return out, nil
		}
	}
}

// decoder returns the conversion of one element.
func (t *Tensor) decoder() (func([]byte) float32, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if t.big {
		order = binary.BigEndian
	}
	switch t.DType {
	case Float32:
		return func(b []byte) float32 { return math.Float32frombits(order.Uint32(b)) }, nil
	case Float64:
		return func(b []byte) float32 { return float32(math.Float64frombits(order.Uint64(b))) }, nil
	case BFloat16:
		return func(b []byte) float32 { return math.Float32frombits(uint32(order.Uint16(b)) << 16) }, nil
	case Float16:
		return func(b []byte) float32 { return halfToFloat(order.Uint16(b)) }, nil
	}
	return nil, fmt.Errorf("%s elements are not weights; float32, float64, float16 and bfloat16 are read", t.DType)
}

// halfToFloat is exact: every IEEE half is a float32.
func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0: // zero and subnormals: frac * 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 255<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
