package build

import (
	"encoding/binary"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// UnaryWith applies f with its parameters to every element; see format.Func.
func (b *Builder) UnaryWith(name string, x int, f format.Func, p, q float32) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if f < format.FuncReLU || f > format.FuncPow || f == format.FuncPReLU {
		return b.fail(name, "unknown function %d", f)
	}
	a := format.NewAttr()
	a.Func, a.A, a.B = f, p, q
	return b.emit(format.OpUnary, name, []int{x}, s, a)
}

// PReLU is slope*x below zero, with a slope for each channel.
func (b *Builder) PReLU(name string, x int, slope []float32) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if len(slope) != s.C {
		return b.fail(name, "%d slopes for %d channels", len(slope), s.C)
	}
	a := format.NewAttr()
	a.Func = format.FuncPReLU
	return b.emit(format.OpUnary, name, []int{x, b.vector(name+".slope", slope)}, s, a)
}

// LogSoftmax is the logarithm of Softmax.
func (b *Builder) LogSoftmax(name string, x int) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	a := format.NewAttr()
	a.Func = format.FuncLog
	return b.emit(format.OpSoftmax, name, []int{x}, s, a)
}

// AddConst is a + v, v being a constant of shape s in the order H,W,C: s has a's dimensions, or 1 in place of any, or the
// two change places.
func (b *Builder) AddConst(name string, a int, v []float32, s Shape, act Act) int {
	return b.binaryConst(format.OpAdd, name, a, v, s, act)
}

// MulConst is a * v, as AddConst.
func (b *Builder) MulConst(name string, a int, v []float32, s Shape, act Act) int {
	return b.binaryConst(format.OpMul, name, a, v, s, act)
}

func (b *Builder) binaryConst(kind format.OpKind, name string, x int, v []float32, s Shape, act Act) int {
	out, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if n, ok := product([]int{s.H, s.W, s.C}); !ok || n != len(v) {
		return b.fail(name, "%d values for a constant of %v", len(v), s)
	}
	switch {
	case broadcasts(s, out):
	case broadcasts(out, s):
		out = s
	default:
		return b.fail(name, "an input of %v and a constant of %v: one must have the other's shape, or 1 in place of any dimension", out, s)
	}
	c := b.constant(name+".constant", []int{1, s.H, s.W, s.C}, len(v), func(dst []byte) {
		for i, f := range v {
			putF32(dst, i, f)
		}
	})
	a := format.NewAttr()
	b.clamp(name, &a, act)
	return b.emit(kind, name, []int{x, c}, out, a)
}

// Gather selects rows, columns or channels: along an axis of N,H,W,C (1 is height, 2 width, 3 channels) element i of the
// result is element index[i].
func (b *Builder) Gather(name string, x, axis int, index []int) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if axis < 1 || axis > 3 || len(index) == 0 {
		return b.fail(name, "%d indices along axis %d: there must be one, and an axis of 1 (H), 2 (W) or 3 (C)", len(index), axis)
	}
	dims := [3]*int{&s.H, &s.W, &s.C}
	n := *dims[axis-1]
	t := b.tensor(format.Tensor{Name: name + ".index", DType: format.I32, Shape: []int{len(index)}})
	if t < 0 {
		return -1
	}
	var data []byte
	for i, k := range index {
		if k < 0 || k >= n {
			return b.fail(name, "index %d is %d: axis %d of the input has %d", i, k, axis, n)
		}
		data = binary.LittleEndian.AppendUint32(data, uint32(k))
	}
	b.m.Tensors[t].Data = data
	*dims[axis-1] = len(index)
	a := format.NewAttr()
	a.Axis = axis
	return b.emit(format.OpGather, name, []int{x, t}, s, a)
}

// Permute reads x's elements, in the order H,W,C, as an array of shape dims, transposes it (axis i of the result is axis
// perm[i]), and reads the result's elements as an activation of shape s.
func (b *Builder) Permute(name string, x int, dims, perm []int, s Shape) int {
	in, ok := b.use(name, x)
	if !ok {
		return -1
	}
	a := format.NewAttr()
	a.Dims, a.Perm = slices.Clone(dims), slices.Clone(perm)
	n, ok := product(dims)
	m, fits := product([]int{s.H, s.W, s.C})
	if !ok || !fits || n != in.H*in.W*in.C || m != n || len(dims) > format.MaxDims {
		return b.fail(name, "dims %v and a result of %v for an input of %v", dims, s, in)
	}
	sorted := slices.Sorted(slices.Values(perm))
	for i, p := range sorted {
		if p != i || len(sorted) != len(dims) {
			return b.fail(name, "%v is no permutation of %d dims", perm, len(dims))
		}
	}
	return b.emit(format.OpPermute, name, []int{x}, s, a)
}

// Normalize is (x-mean)/sqrt(variance+eps)*scale + shift over groups of channels of each position (axis 3), or of all
// positions (axis 1). scale and shift have an element for each channel; nil is ones and zeros.
func (b *Builder) Normalize(name string, x, axis, groups int, eps float32, scale, shift []float32) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if axis != 1 && axis != 3 || groups < 1 || s.C%groups != 0 {
		return b.fail(name, "axis %d and %d groups for %d channels: the axis must be 3 (each position) or 1 (all), and groups divide the channels", axis, groups, s.C)
	}
	if scale != nil && len(scale) != s.C || shift != nil && len(shift) != s.C {
		return b.fail(name, "%d scales and %d shifts for %d channels", len(scale), len(shift), s.C)
	}
	a := format.NewAttr()
	a.Axis, a.Groups, a.Epsilon = axis, groups, eps
	return b.emit(format.OpNormalize, name, []int{x, b.vector(name+".scale", scale), b.vector(name+".shift", shift)}, s, a)
}
