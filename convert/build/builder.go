package build

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Builder is a float model in the making. Use New; it is not safe for concurrent use.
type Builder struct {
	m   format.Model
	err error
}

// Act is the activation behind an operator; it becomes the operator's clamp.
type Act uint8

const (
	ActNone Act = iota
	ActReLU
	ActReLU6
)

// Shape is the height, width and channels of an activation.
type Shape struct{ H, W, C int }

func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d (HxWxC)", s.H, s.W, s.C) }

// New starts a model whose input is a width x height image of three channels, normalised with mean and std (of values
// 0..1). The preprocessing squashes the whole image; the caller may change that, the localization defaults, labels and
// provenance in the finished model.
func New(name, arch string, width, height int, mean, std [3]float32) *Builder {
	b := &Builder{m: format.Model{
		Name: name,
		Arch: arch,
		Pre: format.Preprocess{Width: width, Height: height, Rule: format.ResizeSquash, Order: format.RGB,
			Mean: mean, Std: std},
		Loc: format.Localization{Norm: format.HeatP65, Threshold: 0.05},
	}}
	if width < 1 || height < 1 || width > format.MaxImageSide || height > format.MaxImageSide {
		b.fail("input", "size %dx%d is outside 1..%d", width, height, format.MaxImageSide)
		return b
	}
	for c := range 3 {
		if !finite(mean[c]) || !finite(std[c]) || std[c] <= 0 {
			b.fail("input", "mean %v and standard deviation %v must be finite, the latter positive", mean[c], std[c])
			return b
		}
	}
	b.m.Input = b.activation("image", Shape{height, width, 3})
	return b
}

// Input is the image.
func (b *Builder) Input() int { return b.m.Input }

// Err is the first error so far, the one that Finish will return.
func (b *Builder) Err() error { return b.err }

// Shape returns the shape of an activation, zeros if x is not one.
func (b *Builder) Shape(x int) Shape {
	if x < 0 || x >= len(b.m.Tensors) || b.m.Tensors[x].Data != nil {
		return Shape{}
	}
	s := b.m.Tensors[x].Shape
	return Shape{s[1], s[2], s[3]}
}

// Output names x as a result of the graph. Flat results are written as (N,C); their height and width must be 1.
func (b *Builder) Output(name string, x int, flat bool) {
	s, ok := b.use(name, x)
	if !ok {
		return
	}
	for _, o := range b.m.Outputs {
		if o.Name == name {
			b.fail(name, "two outputs have this name")
			return
		}
	}
	switch {
	case len(b.m.Outputs) == format.MaxOutputs:
		b.fail(name, "the graph already has %d outputs, the most there may be", format.MaxOutputs)
	case flat && (s.H != 1 || s.W != 1):
		b.fail(name, "a flat output must have height and width 1, not %v", s)
	default:
		b.m.Outputs = append(b.m.Outputs, format.Output{Name: name, Tensor: x, Flat: flat})
	}
}

// Finish returns the model, or the first error of any call.
func (b *Builder) Finish() (*format.Model, error) {
	if b.err == nil && len(b.m.Outputs) == 0 {
		b.fail(b.m.Name, "the graph has no output")
	}
	if b.err != nil {
		return nil, b.err
	}
	if err := format.Validate(&b.m); err != nil {
		return nil, err
	}
	return &b.m, nil
}

// fail keeps the first error. where is the operator's name.
func (b *Builder) fail(where, msg string, args ...any) int {
	if b.err == nil {
		b.err = errors.New(where + ": " + fmt.Sprintf(msg, args...))
	}
	return -1
}

// use checks that x is an activation operator where may read.
func (b *Builder) use(where string, x int) (Shape, bool) {
	if b.err != nil {
		return Shape{}, false
	}
	if s := b.Shape(x); s != (Shape{}) {
		return s, true
	}
	b.fail(where, "input %d is not an activation of this graph (it has %d tensors)", x, len(b.m.Tensors))
	return Shape{}, false
}

func (b *Builder) tensor(t format.Tensor) int {
	if b.err != nil {
		return -1
	}
	n := 1
	for _, d := range t.Shape {
		if d < 1 || d > format.MaxDim || n > format.MaxElements/d {
			return b.fail(t.Name, "shape %v: every dimension must be 1..%d and the product at most %d", t.Shape, format.MaxDim, format.MaxElements)
		}
		n *= d
	}
	if len(t.Name) > format.MaxString {
		return b.fail(t.Name[:64]+"...", "the name has %d bytes, the limit is %d", len(t.Name), format.MaxString)
	}
	if len(b.m.Tensors) == format.MaxTensors {
		return b.fail(t.Name, "the graph has more than %d tensors", format.MaxTensors)
	}
	b.m.Tensors = append(b.m.Tensors, t)
	return len(b.m.Tensors) - 1
}

func (b *Builder) activation(name string, s Shape) int {
	return b.tensor(format.Tensor{Name: name, DType: format.F32, Shape: []int{1, s.H, s.W, s.C}})
}

// vector makes a plain float constant; nil gives -1, an absent input.
func (b *Builder) vector(name string, v []float32) int {
	if v == nil {
		return -1
	}
	return b.constant(name, []int{len(v)}, len(v), func(dst []byte) {
		for i, f := range v {
			putF32(dst, i, f)
		}
	})
}

// constant makes a float constant of n stored elements, padding included, and lets fill write them; a value that is not
// finite is an error.
func (b *Builder) constant(name string, shape []int, n int, fill func(dst []byte)) int {
	t := b.tensor(format.Tensor{Name: name, DType: format.F32, Shape: shape})
	if t < 0 {
		return -1
	}
	data := make([]byte, 4*n)
	fill(data)
	for i := range n {
		if f := math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])); !finite(f) {
			return b.fail(name, "element %d is %v; weights must be finite after batch normalisation is folded in", i, f)
		}
	}
	b.m.Tensors[t].Data = data
	return t
}

// emit appends an operator with one output of shape s. Absent inputs at the end are left off.
func (b *Builder) emit(kind format.OpKind, name string, in []int, s Shape, a format.Attr) int {
	y := b.activation(name, s)
	b.append(kind, name, in, []int{y}, a)
	if b.err != nil {
		return -1
	}
	return y
}

func (b *Builder) append(kind format.OpKind, name string, in, out []int, a format.Attr) {
	if b.err != nil {
		return
	}
	if len(b.m.Ops) == format.MaxOps {
		b.fail(name, "the graph has more than %d operators", format.MaxOps)
		return
	}
	for len(in) > 0 && in[len(in)-1] < 0 {
		in = in[:len(in)-1]
	}
	b.m.Ops = append(b.m.Ops, format.Op{Kind: kind, Name: name, Inputs: in, Outputs: out, Attr: a})
}

// clamp writes act into the attributes.
func (b *Builder) clamp(name string, a *format.Attr, act Act) {
	switch act {
	case ActNone:
	case ActReLU:
		a.ClampLo = 0
	case ActReLU6:
		a.ClampLo, a.ClampHi = 0, 6
	default:
		b.fail(name, "unknown activation %d", act)
	}
}

func finite(f float32) bool { return f-f == 0 }

func putF32(dst []byte, i int, f float32) {
	binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(f))
}
