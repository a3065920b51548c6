package format

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// finder finds parts of a sample model to spoil.
type finder struct {
	t *testing.T
	m *Model
}

// op returns the first operator of the kind.
func (f finder) op(kind OpKind) *Op {
	i := slices.IndexFunc(f.m.Ops, func(o Op) bool { return o.Kind == kind })
	if i < 0 {
		f.t.Fatalf("no %v", kind)
	}
	return &f.m.Ops[i]
}

func (f finder) in(kind OpKind, i int) *Tensor  { return &f.m.Tensors[f.op(kind).Inputs[i]] }
func (f finder) out(kind OpKind, i int) *Tensor { return &f.m.Tensors[f.op(kind).Outputs[i]] }

// prune removes what a spoiler left without use, and may leave nothing but the fault itself.
func (f finder) prune() { *f.m = *Compact(f.m) }

// unary makes the sample's elementwise operator another one, without the tensors that only the old one has.
func (f finder) unary(fn Func, a, b float32) {
	op := f.op(OpUnary)
	op.Inputs, op.Attr = op.Inputs[:1], NewAttr()
	op.Attr.Func, op.Attr.A, op.Attr.B = fn, a, b
	f.prune()
}

func (f finder) index(i int, v int32) {
	binary.LittleEndian.PutUint32(f.in(OpGather, 1).Data[4*i:], uint32(v))
}

var nan = float32(math.NaN())

// spoilers each break one rule; the text must occur in the error.
var spoilers = []struct {
	input DType
	want  string
	spoil func(f finder)
}{
	{F32, "0 tensors", func(f finder) { f.m.Tensors = nil }},
	{F32, "0 operators", func(f finder) { f.m.Ops = nil }},
	{F32, "0 outputs", func(f finder) { f.m.Outputs = nil }},
	{F32, "16385 tensors", func(f finder) { f.m.Tensors = make([]Tensor, MaxTensors+1) }},
	{F32, "not UTF-8", func(f finder) { f.m.Tensors[0].Name = "\xff" }},
	{F32, "control character U+001B", func(f finder) { f.m.Labels[0] = "\x1b[2J" }},
	{F32, "control character U+0085", func(f finder) { f.m.Ops[0].Name = "\u0085" }},
	{F32, "control character U+000A", func(f finder) { f.m.Name = "a\nb" }},
	{F32, "control character U+000D", func(f finder) { f.m.Prov.Notes = "a\r\nb" }},
	{F32, "65537 bytes", func(f finder) { f.m.Arch = strings.Repeat("x", MaxString+1) }},
	{F32, "65537 labels", func(f finder) { f.m.Labels = make([]string, MaxLabels+1); f.m.Outputs[0].Name = "other" }},
	{F32, "unknown type 7", func(f finder) { f.m.Tensors[0].DType = 7 }},
	{F32, "0 dimensions", func(f finder) { f.m.Tensors[0].Shape = nil }},
	{F32, "5 dimensions", func(f finder) { f.m.Tensors[0].Shape = []int{1, 1, 1, 1, 1} }},
	{F32, "dimensions are 1", func(f finder) { f.m.Tensors[0].Shape[1] = -1 }},
	{F32, "dimensions are 1", func(f finder) { f.m.Tensors[0].Shape[1] = MaxDim + 1 }},
	{F32, "more than 536870912 elements", func(f finder) { f.m.Tensors[0].Shape = []int{MaxDim, MaxDim, MaxDim, MaxDim} }},
	{I8, "scale 0 is NaN", func(f finder) { f.m.Tensors[0].Scale = []float32{nan} }},
	{I8, "scale 0 is 0", func(f finder) { f.m.Tensors[0].Scale = []float32{0} }},
	{I8, "scale 0 is 1e-40", func(f finder) { f.m.Tensors[0].Scale = []float32{1e-40} }},
	{I8, "scale 0 is +Inf", func(f finder) { f.m.Tensors[0].Scale = []float32{posInf} }},
	{I8, "scale 0 is -1", func(f finder) { f.m.Tensors[0].Scale = []float32{-1} }},
	{I8, "zero point 128", func(f finder) { f.m.Tensors[0].Zero = 128 }},
	{F32, "zero point 1", func(f finder) { f.m.Tensors[0].Zero = 1 }},
	{I8, "2 scales: want 1", func(f finder) { f.m.Tensors[0].Scale, f.m.Tensors[0].Zero = []float32{1, 1}, 0 }},
	{F32, "an activation is (1,height", func(f finder) { f.m.Tensors[0].Shape = []int{2, 7, 8, 3} }},
	{F32, "bytes of data", func(f finder) { w := f.in(OpConv2D, 1); w.Data = w.Data[1:] }},
	{F32, "bytes of data", func(f finder) { w := f.in(OpConv2D, 1); w.Data = []byte{} }},
	{F32, "has no data", func(f finder) { f.in(OpConv2D, 1).Data = nil }},
	{F32, "remove it", func(f finder) {
		f.m.Tensors = append(f.m.Tensors, Tensor{DType: F32, Shape: []int{1}, Data: make([]byte, 4)})
	}},
	{F32, "no operator produces", func(f finder) { f.m.Tensors = append(f.m.Tensors, Tensor{DType: F32, Shape: []int{1, 1, 1, 1}}) }},
	{I8, "weights are symmetric", func(f finder) { w := f.in(OpConv2D, 1); w.Scale, w.Zero = w.Scale[:1], 1 }},
	{F32, "is a constant: want an activation", func(f finder) {
		f.m.Tensors = append(f.m.Tensors, Tensor{DType: F32, Shape: []int{1, 1, 1, 1}, Data: make([]byte, 4)})
		f.op(OpConcat).Inputs[0] = len(f.m.Tensors) - 1
	}},
	{I8, "padding values are i16", func(f finder) {
		c := f.in(OpConv2D, 0).Shape[3]
		f.m.Tensors = append(f.m.Tensors, Tensor{DType: I16, Shape: []int{c}, Data: make([]byte, 2*c)})
		op := f.op(OpConv2D)
		op.Inputs = append(slices.Clone(op.Inputs[:4]), len(f.m.Tensors)-1)
		f.prune()
	}},
	{I8, "weight 5 is -128", func(f finder) { f.in(OpConv2D, 1).Data[5] = 0x80 }},
	{I8, "not padded with zeros", func(f finder) { d := f.in(OpRFGA, 1).Data; d[len(d)-1] = 1 }},
	{F32, "not padded with zeros", func(f finder) { d := f.in(OpRFGA, 1).Data; d[len(d)-1] = 0x80 }},
	{I8, "scales: want 1 or", func(f finder) { f.in(OpConv2D, 1).Scale = make2(3) }},
	{I8, "has 0 scales: want 1", func(f finder) { f.in(OpDepthwiseConv2D, 1).Scale = nil }},
	{F32, "1 scales on a", func(f finder) { f.in(OpConv2D, 1).Scale = make2(1) }},

	{F32, "the input is tensor -1", func(f finder) { f.m.Input = -1 }},
	{F32, "the input is a constant", func(f finder) { f.m.Input = f.op(OpConv2D).Inputs[1] }},
	{F32, "unknown operator 99", func(f finder) { f.m.Ops[0].Kind = 99 }},
	{F32, "unknown operator 0", func(f finder) { f.m.Ops[0].Kind = 0 }},
	{F32, "0 inputs", func(f finder) { f.m.Ops[0].Inputs = nil }},
	{F32, "0 outputs", func(f finder) { f.m.Ops[0].Outputs = nil }},
	{F32, "65 inputs", func(f finder) { f.op(OpConcat).Inputs = make([]int, 65) }},
	{F32, "inputs, at most 3", func(f finder) { f.m.Ops[0].Inputs = append(f.m.Ops[0].Inputs, -1, -1, -1) }},
	{F32, "tensor 1000 of", func(f finder) { f.m.Ops[0].Inputs[0] = 1000 }},
	{F32, "tensor -2 of", func(f finder) { f.m.Ops[0].Outputs[0] = -2 }},
	{F32, "used before an operator produces it", func(f finder) { slices.Reverse(f.m.Ops) }},
	{F32, "used before an operator produces it", func(f finder) { f.m.Ops[0].Inputs[0] = f.m.Ops[0].Outputs[0] }},
	{F32, "produced twice", func(f finder) { f.m.Ops[1].Outputs[0] = f.m.Ops[0].Outputs[0] }},
	{F32, "or is the input", func(f finder) { f.m.Ops[1].Outputs[0] = f.m.Input }},
	{F32, "is a constant", func(f finder) { f.m.Tensors[f.m.Ops[0].Outputs[0]].Data = make([]byte, 4) }},
	{F32, "w is missing", func(f finder) { f.m.Ops[0].Inputs[1] = -1 }},
	{F32, "inner tensors: want 0", func(f finder) { f.m.Ops[0].Inner = []int{1} }},
	{I8, "inner tensors: want 6", func(f finder) { f.op(OpRFGA).Inner = nil }},
	{I8, "yh is missing", func(f finder) { f.op(OpRFGA).Inner[1] = -1 }},
	{I8, "used as activation, and elsewhere as inner", func(f finder) { f.op(OpGlobalAvgPool).Inputs[0] = f.op(OpRFGA).Inner[0] }},
	{I8, "inner tensor zw has shape", func(f finder) { f.m.Tensors[f.op(OpRFGA).Inner[5]].Shape = []int{1, 1, 1, 1} }},
	{F32, "a type that this operator does not take", func(f finder) { f.op(OpUnary).Kind = OpDequantize }},
	{F32, "does not take there", func(f finder) { f.out(OpConv2D, 0).DType = I32 }},
	{I8, "does not take there", func(f finder) { f.in(OpConv2D, 3).DType = I32 }},
	{F32, "has shape", func(f finder) { f.out(OpConv2D, 0).Shape[1]++ }},
	{F32, "groups must divide", func(f finder) { f.m.Ops[0].Attr.Groups = 2 }},
	{F32, "bias has shape", func(f finder) {
		c := f.out(OpConv2D, 0).Shape[3] + 1
		f.m.Tensors = append(f.m.Tensors, Tensor{DType: F16, Shape: []int{c}, Data: make([]byte, 2*c)})
		f.m.Ops[0].Inputs = []int{f.m.Ops[0].Inputs[0], f.m.Ops[0].Inputs[1], len(f.m.Tensors) - 1}
	}},

	{F32, "stride 0", func(f finder) { f.m.Ops[0].Attr.Stride[1] = 0 }},
	{F32, "kernel 0", func(f finder) { f.m.Ops[0].Attr = Attr{} }},
	{F32, "dilation 1025", func(f finder) { f.m.Ops[0].Attr.Dilation[0] = 1025 }},
	{F32, "padding -1", func(f finder) { f.m.Ops[0].Attr.Pad[3] = -1 }},
	{F32, "groups 0", func(f finder) { f.m.Ops[0].Attr.Groups = 0 }},
	{F32, "axis 0", func(f finder) { f.op(OpConcat).Attr.Axis = 0 }},
	{F32, "func 23", func(f finder) { f.op(OpUnary).Attr.Func = 23 }},
	{F32, "no function", func(f finder) { f.op(OpUnary).Attr.Func = 0 }},
	{F32, "a = 2, b = 1: tanh does not have", func(f finder) { f.unary(FuncTanh, 2, 1) }},
	{F32, "a = 1, b = 2: pow does not have", func(f finder) { f.unary(FuncPow, 1, 2) }},
	{F32, "and a slope is present: false", func(f finder) { f.unary(FuncPReLU, 1, 1) }},
	{I8, "256], or", func(f finder) { f.in(OpUnary, 1).Shape = []int{8, 8, 4} }},
	{F32, "func relu of a softmax", func(f finder) { f.op(OpSoftmax).Attr.Func = FuncReLU }},
	{F32, "index 1 is -1", func(f finder) { f.index(1, -1) }},
	{I8, "index 0 is 16777216", func(f finder) { f.index(0, 1<<24) }},
	{F32, "index (tensor", func(f finder) { f.in(OpGather, 1).DType = F32 }},
	{F32, "index has shape", func(f finder) { t := f.in(OpGather, 1); t.Shape = []int{1, t.Shape[0]} }},
	{I8, "gathering keeps the quantization", func(f finder) { f.out(OpGather, 0).Zero ^= 1 }},
	{I8, "permuting keeps the quantization", func(f finder) { f.out(OpPermute, 0).Scale = make2(1) }},
	{F32, "make 1 elements", func(f finder) { f.op(OpPermute).Attr.Dims = nil }},
	{F32, "want positive numbers", func(f finder) { f.op(OpPermute).Attr.Dims[2] = -1 }},
	{F32, "elements, the input has", func(f finder) { f.op(OpPermute).Attr.Dims[2] = 3 }},
	{F32, "perm [3 3 2 0] is no permutation", func(f finder) { f.op(OpPermute).Attr.Perm[1] = 3 }},
	{F32, "perm [3 1 2 4] is no permutation", func(f finder) { f.op(OpPermute).Attr.Perm[3] = 4 }},
	{F32, "perm [3 1 2] is no permutation", func(f finder) { p := &f.op(OpPermute).Attr.Perm; *p = (*p)[:3] }},
	{F32, "at most 8", func(f finder) { f.op(OpPermute).Attr.Dims = make([]int, 9) }},
	{F32, "elements, the input", func(f finder) { f.out(OpPermute, 0).Shape[1]++ }},
	{F32, "axis 2: want 3", func(f finder) { f.op(OpNormalize).Attr.Axis = 2 }},
	{F32, "groups do not divide", func(f finder) { a := &f.op(OpNormalize).Attr; a.Groups = 1 << 20 }},
	{F32, "epsilon 0: want", func(f finder) { f.op(OpNormalize).Attr.Epsilon = 0 }},
	{F32, "epsilon NaN", func(f finder) { f.op(OpNormalize).Attr.Epsilon = nan }},
	{I8, "scale is missing", func(f finder) { f.op(OpNormalize).Inputs[1] = -1 }},
	{I8, "shift 0 is NaN", func(f finder) { binary.LittleEndian.PutUint32(f.in(OpNormalize, 2).Data, math.Float32bits(nan)) }},
	{F32, "mode 3", func(f finder) { f.op(OpResize).Attr.Mode = 3 }},
	{F32, "no interpolation mode", func(f finder) { f.op(OpResize).Attr.Mode, f.op(OpResize).Attr.AlignCorners = 0, false }},
	{F32, "align_corners with", func(f finder) { f.op(OpResize).Attr.Mode, f.op(OpResize).Attr.AlignCorners = ModeNearest, true }},
	{F32, "clamp from NaN", func(f finder) { f.m.Ops[0].Attr.ClampLo = nan }},
	{F32, "clamp from 2 to 1", func(f finder) { f.m.Ops[0].Attr.ClampLo, f.m.Ops[0].Attr.ClampHi = 2, 1 }},
	{I8, "quantized clamp from 5 to 4", func(f finder) { f.m.Ops[0].Attr.QLo, f.m.Ops[0].Attr.QHi = 5, 4 }},
	{I8, "quantized clamp from -129", func(f finder) { f.m.Ops[0].Attr.QLo = -129 }},
	{F32, "padding value is NaN", func(f finder) { f.op(OpPad).Attr.PadValue = nan }},
	{F32, "a = NaN", func(f finder) { f.op(OpRFGA).Attr.A = nan }},
	{F32, "b = +Inf", func(f finder) { f.op(OpRFGA).Attr.B = posInf }},
	{I8, "multiplier 0 is 0", func(f finder) { f.op(OpRFGA).Attr.Mults[0] = 0 }},
	{I8, "3 multipliers: want 4", func(f finder) { f.op(OpRFGA).Attr.Mults = f.op(OpRFGA).Attr.Mults[:3] }},
	{F32, "attribute mults is set", func(f finder) { f.op(OpRFGA).Attr.Mults = []float32{1} }},
	{F32, "attribute kernel is set", func(f finder) { f.op(OpConv2D).Attr.Kernel = [2]int{3, 3} }},
	{F32, "attribute q_lo is set", func(f finder) { f.op(OpConv2D).Attr.QLo = 0 }},
	{I8, "multiplier 0 (tensor", func(f finder) { clear(f.in(OpConv2D, 3).Data) }},
	{I8, "want [3 256]", func(f finder) { f.in(OpRFGA, 10).Shape = []int{256, 3} }},
	{I8, "table entry 1 is 16385", func(f finder) { binary.LittleEndian.PutUint16(f.in(OpRFGA, 10).Data[2:], 16385) }},
	{I8, "table entry 0 is -1", func(f finder) { binary.LittleEndian.PutUint16(f.in(OpRFGA, 10).Data, 0xffff) }},
	{I8, "256], or", func(f finder) { f.in(OpUnary, 1).Shape = []int{16, 16} }},
	{I8, "padding keeps the quantization", func(f finder) { f.out(OpPad, 0).Scale = make2(1) }},
	{I8, "different scales", func(f finder) { f.out(OpCAMHead, 1).Scale = make2(5) }},
	{F32, "meets no element", func(f finder) {
		for i, a := 0, &f.op(OpMaxPool).Attr; i < 2; i++ {
			a.Kernel[i], a.Stride[i], a.Dilation[i], a.Pad[i], a.Pad[i+2] = 1, 1, 1, 3, 3
		}
	}},
	{F32, "does not fit into", func(f finder) { f.op(OpMaxPool).Attr.Kernel = [2]int{900, 900} }},

	{F32, "is not the result", func(f finder) { f.m.Outputs[0].Tensor = f.m.Input }},
	{F32, "is not the result", func(f finder) { f.m.Outputs[0].Tensor = f.op(OpConv2D).Inputs[1] }},
	{F32, "tensor -1 of", func(f finder) { f.m.Outputs[0].Tensor = -1 }},
	{F32, "occurs twice", func(f finder) { f.m.Outputs[1].Name = "logits" }},
	{F32, "fit for a file", func(f finder) { f.m.Outputs[1].Name = "../../etc/passwd" }},
	{F32, "fit for a file", func(f finder) { f.m.Outputs[1].Name = ".." }},
	{F32, "fit for a file", func(f finder) { f.m.Outputs[1].Name = "" }},
	{F32, "flat, but", func(f finder) { f.m.Outputs[0].Tensor = f.op(OpConv2D).Outputs[0] }},
	{F32, "but 4 labels", func(f finder) { f.m.Labels = f.m.Labels[:4] }},
	{F32, "sides are 1", func(f finder) { f.m.Pre.Width = 0 }},
	{F32, "want f32 or i8 of shape", func(f finder) { f.m.Pre.Width++; f.m.Pre.Resize = f.m.Pre.Resize / 8 * 16 }},
	{F32, "unknown resize rule", func(f finder) { f.m.Pre.Rule = 3 }},
	{F32, "resize 10 with rule", func(f finder) { f.m.Pre.Rule, f.m.Pre.Resize = ResizeSquash, 10 }},
	{F32, "resize 6", func(f finder) { f.m.Pre.Rule, f.m.Pre.Resize = ResizeCenterCrop, 6 }},
	{F32, "unknown colour order", func(f finder) { f.m.Pre.Order = 0 }},
	{F32, "want means", func(f finder) { f.m.Pre.Mean[2] = nan }},
	{F32, "want means", func(f finder) { f.m.Pre.Std[0] = 0 }},
	{F32, "unknown heat map rule", func(f finder) { f.m.Loc.Norm = 3 }},
	{F32, "threshold NaN", func(f finder) { f.m.Loc.Threshold = nan }},
	{F32, "but no heat map rule", func(f finder) { f.m.Loc = Localization{} }},
}

func make2(n int) []float32 { return slices.Repeat([]float32{2}, n) }

func TestValidateRejects(t *testing.T) {
	for _, s := range spoilers {
		m := sample(t, s.input)
		if err := Validate(m); err != nil {
			t.Fatal(err)
		}
		s.spoil(finder{t, m})
		err := Validate(m)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), s.want) {
			t.Errorf("want %q, got %v", s.want, err)
		}
		if err := Encode(&fullDisk{}, m); err == nil || err == errFull {
			t.Errorf("%s: Encode began to write", s.want)
		}
	}
}

// TestSharedConstants: a constant may serve several operators, but not as weights here and as plain elements there.
func TestSharedConstants(t *testing.T) {
	k := newMaker(1, F32, 4, 4)
	w := k.weights(F32, 4, 4, 1, 1, 3)
	conv := func(x int) int {
		op := Op{Kind: OpConv2D, Inputs: []int{x, w}, Attr: NewAttr()}
		return k.op(t, op, F32)
	}
	y := conv(k.m.Input)
	z := conv(k.m.Input)
	sum := k.op(t, Op{Kind: OpAdd, Inputs: []int{y, z}, Attr: NewAttr()}, F32)
	k.head(t, sum, 2)
	checkRoundTrip(t, k.m)
	op := &k.m.Ops[2]
	op.Inputs[1] = w
	if err := Validate(k.m); err == nil || !strings.Contains(err.Error(), "elsewhere as weights") {
		t.Error(err)
	}
}

// TestInt16 has 16-bit activations between 8-bit ones.
func TestInt16(t *testing.T) {
	k := newMaker(1, I8, 4, 4)
	conv := func(x int, out DType) int {
		c := k.m.Tensors[x].Shape[3]
		op := Op{Kind: OpConv2D, Inputs: []int{x, k.weights(I8, 4, 4, 1, 1, c), -1, k.constant(F32, 4)}, Attr: NewAttr()}
		if out == I16 {
			op.Attr.QLo, op.Attr.QHi = -1<<15, 1<<15-1
		}
		return k.op(t, op, out)
	}
	x := conv(k.m.Input, I16)
	k.head(t, conv(x, I8), 3)
	k.m.Exact = true
	checkRoundTrip(t, k.m)
	k.m.Ops[1].Attr.QLo = -1 << 15
	if err := Validate(k.m); err == nil || !strings.Contains(err.Error(), "i8 has -128..127") {
		t.Error(err)
	}
}
