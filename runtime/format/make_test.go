package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// maker builds valid models for tests out of random operators.
type maker struct {
	m   *Model
	rnd *rand.Rand
}

func newMaker(seed uint64, input DType, h, w int) *maker {
	k := &maker{m: &Model{}, rnd: rand.New(rand.NewPCG(seed, 1))}
	m := k.m
	m.Name, m.Arch = "größe", "test"
	m.Input = k.activation(input, 1, h, w, 3)
	m.Pre = Preprocess{Width: w, Height: h, Rule: ResizeSquash, Order: RGB, Mean: [3]float32{.485, .456, .406}, Std: [3]float32{.229, .224, .225}}
	if k.rnd.IntN(2) == 0 {
		m.Pre.Rule, m.Pre.Resize, m.Pre.Order = ResizeCenterCrop, max(h, w)+8, BGR
	}
	m.Loc = Localization{Norm: HeatP65, Threshold: 0.25}
	m.Prov = Provenance{Source: "test", Licence: "Apache-2.0", Converter: "maker 1", Notes: "two\nlines"}
	return k
}

func (k *maker) pick(lo, hi int) int { return lo + k.rnd.IntN(hi-lo+1) }

func (k *maker) scales(n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = 0.001 + k.rnd.Float32()
	}
	return s
}

func (k *maker) add(t Tensor) int {
	t.Name = fmt.Sprintf("t%d", len(k.m.Tensors))
	k.m.Tensors = append(k.m.Tensors, t)
	return len(k.m.Tensors) - 1
}

func (k *maker) activation(d DType, shape ...int) int {
	t := Tensor{DType: d, Shape: shape}
	switch d {
	case I8, I16:
		lo, hi := d.qrange()
		t.Scale, t.Zero = k.scales(1), int32(k.pick(int(lo), int(hi)))
	case I32, I64:
		t.Scale = k.scales(shape[3])
	}
	return k.add(t)
}

// constant has plain random elements: floats of 0..1, integers of -100..100.
func (k *maker) constant(d DType, shape ...int) int {
	t := Tensor{DType: d, Shape: shape}
	return k.add(Tensor{DType: d, Shape: shape, Data: k.elements(d, t.Elements())})
}

func (k *maker) elements(d DType, n int) []byte {
	var b []byte
	for range n {
		switch v := k.pick(-100, 100); d {
		case F32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(0.01+k.rnd.Float32()))
		case F16:
			b = binary.LittleEndian.AppendUint16(b, uint16(k.pick(0, 0x3c00)))
		case I8:
			b = append(b, byte(v))
		case I16:
			b = binary.LittleEndian.AppendUint16(b, uint16(v))
		case I32:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
	}
	return b
}

func (k *maker) weights(d DType, channels int, shape ...int) int {
	t := Tensor{DType: d, Shape: shape}
	last := shape[3]
	for range t.Elements() / last {
		t.Data = append(t.Data, k.elements(d, last)...)
		t.Data = append(t.Data, make([]byte, (PadChannels(last)-last)*d.Size())...)
	}
	if d == I8 {
		t.Scale = k.scales([]int{1, channels}[k.rnd.IntN(2)])
	}
	return k.add(t)
}

// indices is a constant of n numbers below most.
func (k *maker) indices(n, most int) int {
	t := Tensor{DType: I32, Shape: []int{n}}
	for range n {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, uint32(k.pick(0, most-1)))
	}
	return k.add(t)
}

func (k *maker) sigmoidTable() int {
	t := Tensor{DType: I16, Shape: []int{3, 256}}
	for range 768 {
		t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(k.pick(0, 16384)))
	}
	return k.add(t)
}

// op appends an operator whose outputs have the given types and the shapes that OutShapes says.
func (k *maker) op(tb testing.TB, op Op, types ...DType) int {
	tb.Helper()
	op.Name = fmt.Sprintf("op%d", len(k.m.Ops))
	if op.Outputs == nil {
		for range types {
			op.Outputs = append(op.Outputs, -1)
		}
		if op.Kind == OpCAMHead {
			op.Outputs = []int{0, 0} // present: OutShapes gives both shapes
		}
		shapes, err := OutShapes(k.m, &op)
		if err != nil {
			tb.Fatal(err)
		}
		for i, d := range types {
			op.Outputs[i] = k.activation(d, shapes[i]...)
		}
	}
	k.m.Ops = append(k.m.Ops, op)
	return op.Outputs[0]
}

func (k *maker) mults(n int) []float32 { return k.scales(n) }

// apply appends an operator of the kind on x, and returns its result; other is a tensor of x's shape and form, for
// operators with two activations. A kind that does not exist in x's form gives x.
func (k *maker) apply(tb testing.TB, kind OpKind, x, other int) int {
	tb.Helper()
	t := k.m.Tensors[x]
	h, w, c := t.Shape[1], t.Shape[2], t.Shape[3]
	quant := t.DType != F32
	if (quant && kind.signature().quant == nil) || (!quant && kind.signature().float == nil) {
		return x
	}
	if kind == OpQuantize || kind == OpDequantize {
		y := F32
		if !quant {
			y = I8
		}
		return k.op(tb, Op{Kind: kind, Inputs: []int{x}, Attr: NewAttr()}, y)
	}
	op := Op{Kind: kind, Inputs: []int{x}, Attr: NewAttr()}
	a := &op.Attr
	y, wt, bt := F32, []DType{F32, F16}[k.rnd.IntN(2)], F32
	if quant {
		y, wt, bt = I8, I8, I32
	}
	if kind.signature().float.attrs&attrsClamp != 0 && k.rnd.IntN(2) == 0 {
		a.ClampLo, a.ClampHi = 0, 6
	}
	if f := kind.signature().quant; quant && f.attrs&attrsQ != 0 {
		a.QLo = int32(k.pick(-128, 0))
	}
	switch kind {
	case OpConv2D, OpDepthwiseConv2D:
		k.window(a, h, w)
		kh, kw := a.Kernel[0], a.Kernel[1]
		a.Kernel = [2]int{1, 1}
		o := k.pick(1, 9)
		if kind == OpDepthwiseConv2D {
			o, a.Groups = c, c
			op.Inputs = append(op.Inputs, k.weights(wt, o, 1, kh, kw, c))
		} else {
			if c%2 == 0 && k.rnd.IntN(2) == 0 {
				a.Groups, o = 2, o*2
			}
			op.Inputs = append(op.Inputs, k.weights(wt, o, o, kh, kw, c/a.Groups))
		}
		k.epilogue(&op, quant, bt, o)
		if quant && k.rnd.IntN(2) == 0 {
			op.Inputs = append(op.Inputs, k.constant(I8, c))
		}
	case OpFullyConnected:
		o := k.pick(1, 9)
		op.Inputs = append(op.Inputs, k.weights(wt, o, o, 1, 1, h*w*c))
		k.epilogue(&op, quant, bt, o)
	case OpAdd, OpMul:
		switch k.rnd.IntN(3) {
		case 0:
			op.Inputs = append(op.Inputs, other)
		case 1:
			op.Inputs = append(op.Inputs, k.constant(y, 1, 1, 1, c))
		case 2:
			op.Inputs = append(op.Inputs, k.constant(y, 1, h, 1, 1))
		}
		for _, i := range op.Inputs {
			if s := &k.m.Tensors[i]; quant && s.Data != nil {
				s.Scale, s.Zero = k.scales(1), 3
			}
		}
		if quant {
			a.Mults = k.mults(map[OpKind]int{OpAdd: 2, OpMul: 1}[kind])
		}
	case OpUnary:
		a.Func = Func(k.pick(1, int(FuncPow)))
		switch a.Func {
		case FuncLeakyReLU, FuncELU:
			a.A, a.B = 0.25, 1.5
		case FuncPow:
			a.A = -0.75
		case FuncPReLU:
			if !quant {
				op.Inputs = append(op.Inputs, k.constant(wt, c))
			}
		}
		if quant {
			op.Inputs = append(op.Inputs, k.constant(I8, [][]int{{256}, {c, 256}}[k.rnd.IntN(2)]...))
		}
	case OpGather:
		a.Axis = k.pick(1, 3)
		op.Inputs = append(op.Inputs, k.indices(k.pick(1, 6), t.Shape[a.Axis]))
	case OpPermute:
		a.Dims, a.Perm = []int{h, w, 1, c}, []int{3, 1, 2, 0}
		op.Outputs = []int{k.activation(y, 1, c, w, h)}
	case OpNormalize:
		a.Axis, a.Epsilon = []int{1, 3}[k.rnd.IntN(2)], 1e-5
		if c%2 == 0 && k.rnd.IntN(2) == 0 {
			a.Groups = 2
		}
		if quant {
			wt = F32
		}
		for range 2 {
			if quant || k.rnd.IntN(3) > 0 {
				op.Inputs = append(op.Inputs, k.constant(wt, c))
			}
		}
	case OpMaxPool, OpAvgPool:
		k.window(a, h, w)
		a.CountIncludePad = kind == OpAvgPool && k.rnd.IntN(2) == 0
		if kind == OpAvgPool {
			a.Dilation = [2]int{1, 1}
		}
		if _, err := OutShapes(k.m, &op); err != nil {
			a.Kernel, a.Stride, a.Dilation, a.Pad = [2]int{1, 1}, [2]int{2, 2}, [2]int{1, 1}, [4]int{}
		}
	case OpConcat:
		a.Axis = k.pick(1, 3)
		op.Inputs = []int{x, other, x}[:k.pick(1, 3)]
		if quant {
			a.Mults = k.mults(len(op.Inputs))
		}
	case OpPad:
		a.Pad = [4]int{k.pick(0, 2), k.pick(0, 2), 1, 0}
		a.PadValue = -0.5
	case OpSoftmax:
		y = F32
		a.Func = []Func{0, FuncLog}[k.rnd.IntN(2)]
	case OpResize:
		a.Mode = Mode(k.pick(1, 2))
		a.AlignCorners = a.Mode == ModeBilinear && k.rnd.IntN(2) == 0
		op.Outputs = []int{k.activation(y, 1, k.pick(1, 12), k.pick(1, 12), c)}
	case OpRFGA:
		for _, s := range [3][]int{{c, 1, 1, 3}, {c, 3, 1, c}, {c, 1, 3, c}} {
			op.Inputs = append(op.Inputs, k.weights(wt, c, s...), k.constant(bt, c))
		}
		a.A, a.B = 0.35, 0.65
		if quant {
			for range 3 {
				op.Inputs = append(op.Inputs, k.constant(F32, c))
			}
			op.Inputs = append(op.Inputs, k.sigmoidTable())
			for i := range 6 {
				op.Inner = append(op.Inner, k.activation(I8, [3][]int{{1, 1, 1, c}, {1, h, 1, c}, {1, 1, w, c}}[i%3]...))
			}
			a.Mults = k.mults(4)
		}
	}
	if quant && a.Mults == nil && kind.signature().quant.attrs&attrsMults != 0 {
		a.Mults = k.mults(1)
	}
	result := k.op(tb, op, y)
	if (kind == OpPad || kind == OpGather || kind == OpPermute) && quant {
		k.m.Tensors[result].Scale, k.m.Tensors[result].Zero = t.Scale, t.Zero
	}
	return result
}

func (k *maker) window(a *Attr, h, w int) {
	for i, n := range [2]int{h, w} {
		a.Stride[i], a.Pad[i], a.Pad[i+2] = k.pick(1, 2), k.pick(0, 1), k.pick(0, 1)
		a.Kernel[i] = k.pick(1, min(3, n))
		if a.Kernel[i] > 1 && n >= 5 {
			a.Dilation[i] = k.pick(1, 2)
		}
	}
}

// epilogue appends bias and, for quantized operators, multipliers.
func (k *maker) epilogue(op *Op, quant bool, bias DType, o int) {
	if k.rnd.IntN(3) > 0 {
		op.Inputs = append(op.Inputs, k.constant(bias, o))
	} else if quant {
		op.Inputs = append(op.Inputs, -1)
	}
	if quant {
		op.Inputs = append(op.Inputs, k.constant(F32, o))
	}
}

// head ends a model on x as a localizer ends.
func (k *maker) head(tb testing.TB, x, classes int) {
	t := k.m.Tensors[x]
	w, types := F16, []DType{F32, F32}
	if t.DType != F32 {
		w, types = I8, []DType{I64, I32}
	}
	op := Op{Kind: OpCAMHead, Attr: NewAttr(), Inputs: []int{x, k.weights(w, classes, classes, 1, 1, t.Shape[3])}}
	logits := k.op(tb, op, types...)
	k.m.Tensors[logits+1].Scale = k.m.Tensors[logits].Scale
	k.m.Outputs = []Output{{"logits", logits, true}, {"maps", logits + 1, false}}
	for i := range classes {
		k.m.Labels = append(k.m.Labels, fmt.Sprintf("Klasse %d, ü", i))
	}
}

// chain is a model of the kinds, one after the other.
func chain(tb testing.TB, seed uint64, input DType, side int, kinds ...OpKind) *Model {
	k := newMaker(seed, input, side, side+1)
	x, other := k.m.Input, k.m.Input
	for _, kind := range kinds {
		y := k.apply(tb, kind, x, other)
		if y != x {
			x, other = y, y
		}
		if t := k.m.Tensors[x]; kind == OpSoftmax && input != F32 && t.DType == F32 {
			x = k.apply(tb, OpQuantize, x, x)
			other = x
		}
	}
	k.head(tb, x, 5)
	k.m.Exact = k.m.DeriveExact()
	return k.m
}

// everyKind is in an order that keeps the activations small.
var everyKind = []OpKind{OpConv2D, OpAdd, OpMaxPool, OpDepthwiseConv2D, OpMul, OpUnary, OpConcat, OpAvgPool, OpPad, OpRFGA, OpResize,
	OpNormalize, OpGather, OpPermute, OpSoftmax, OpGlobalAvgPool, OpFullyConnected}

// sample has every operator in float or quantized form, and both types of file header flag.
func sample(tb testing.TB, input DType) *Model { return chain(tb, 3, input, 7, everyKind...) }

func encoded(tb testing.TB, m *Model) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := Encode(&b, m); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// fixed gives the file a header that says its length and its digest, as a careful forger would.
func fixed(file []byte) []byte {
	if len(file) >= headerSize {
		binary.LittleEndian.PutUint64(file[offSize:], uint64(len(file)))
		sum := digestOf(file)
		copy(file[offDigest:], sum[:])
	}
	return file
}
