package runtime

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// prepare fills in s.prep: the file's operator, with what was fused into it, becomes one prepared operator of package
// kernels. The type of the first input decides between the quantized and the float family.
func (p *plan) prepare(s *step) error {
	s.in, s.out = p.activations(s.op.Inputs), p.activations(s.op.Outputs)
	if s.op.Kind == format.OpAdd || s.op.Kind == format.OpMul {
		s.in = slices.Clone(s.op.Inputs) // the second may be a constant
	}
	if s.residual != nil {
		s.in = append(s.in, s.residual.Inputs[1])
	}
	var err error
	switch d := p.fm.Tensors[s.op.Inputs[0]].DType; {
	case d == format.F32:
		s.prep, err = p.prepareF32(s)
	case p.wide(s):
		s.prep, err = p.prepareI16(s)
	case d == format.I8:
		s.prep, err = p.prepareI8(s)
	default:
		err = fmt.Errorf("input of type %s", p.fm.Tensors[s.op.Inputs[0]].DType)
	}
	return err
}

// at returns the tensor at place i of the list, nil where it is absent.
func (p *plan) at(list []int, i int) *format.Tensor {
	if i >= len(list) || list[i] < 0 {
		return nil
	}
	return &p.fm.Tensors[list[i]]
}

func shapeOf(t *format.Tensor) kernels.Shape {
	return kernels.Shape{H: t.Shape[1], W: t.Shape[2], C: t.Shape[3]}
}

// windowOf reads the geometry; kh and kw are those of the weights, or of the Kernel attribute for pooling.
func windowOf(a *format.Attr, kh, kw int) kernels.Window {
	return kernels.Window{KH: kh, KW: kw, StrideH: a.Stride[0], StrideW: a.Stride[1],
		DilationH: a.Dilation[0], DilationW: a.Dilation[1], Pad: a.Pad}
}

// whole is the window that covers the image, for global pooling.
func whole(s kernels.Shape) kernels.Window {
	return kernels.Window{KH: s.H, KW: s.W, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1}
}

// requantOf reads zero point and clamp of the result, mult being its multipliers.
func requantOf(y *format.Tensor, a *format.Attr, mult []float32) kernels.Requant {
	return kernels.Requant{Mult: mult, Zero: y.Zero, Lo: a.QLo, Hi: a.QHi}
}

var errMults = errors.New("wrong number of requantization multipliers")

func (p *plan) prepareI8(s *step) (*kernels.Prepared, error) {
	op, a := &s.op, &s.op.Attr
	x, y := p.at(op.Inputs, 0), p.at(op.Outputs, 0)
	in, out := shapeOf(x), shapeOf(y)
	mults := map[format.OpKind]int{format.OpAdd: 2, format.OpMul: 1, format.OpMaxPool: 1, format.OpAvgPool: 1,
		format.OpGlobalAvgPool: 1, format.OpResize: 1, format.OpRFGA: 4, format.OpConcat: len(op.Inputs)}
	if n, ok := mults[op.Kind]; ok && len(a.Mults) != n {
		return nil, fmt.Errorf("%w: %d instead of %d", errMults, len(a.Mults), n)
	}
	pool := func(w kernels.Window) *kernels.PoolI8 {
		return &kernels.PoolI8{In: in, Out: out, Window: w, CountIncludePad: a.CountIncludePad, ZeroIn: x.Zero, Requant: requantOf(y, a, a.Mults)}
	}
	switch op.Kind {
	case format.OpConv2D, format.OpFullyConnected:
		w := p.at(op.Inputs, 1)
		c := &kernels.ConvI8{In: in, Out: out, Window: windowOf(a, w.Shape[1], w.Shape[2]), Groups: a.Groups,
			Weights: int8s(w.Data), Bias: int32s(p.at(op.Inputs, 2)), ZeroIn: x.Zero,
			Requant: requantOf(p.ownResult(s), a, float32s(p.at(op.Inputs, 3)))}
		if op.Kind == format.OpFullyConnected {
			c.In, c.Window, c.Groups = kernels.Shape{H: 1, W: 1, C: in.Len()}, whole(kernels.Shape{H: 1, W: 1}), 1
		}
		c.PadValue, c.Residual = p.padValues(s), p.residualI8(s)
		return kernels.PrepareConvI8(c)
	case format.OpDepthwiseConv2D:
		w := p.at(op.Inputs, 1)
		return kernels.PrepareDepthwiseI8(&kernels.DepthwiseI8{In: in, Out: out, Window: windowOf(a, w.Shape[1], w.Shape[2]),
			Weights: int8s(w.Data), Bias: int32s(p.at(op.Inputs, 2)), ZeroIn: x.Zero, PadValue: p.padValues(s),
			Requant: requantOf(p.ownResult(s), a, float32s(p.at(op.Inputs, 3))), Residual: p.residualI8(s)})
	case format.OpAdd, format.OpMul:
		b := p.at(op.Inputs, 1)
		c := &kernels.BinaryI8{A: in, B: shapeOf(b), Out: out, ZeroA: x.Zero, ZeroB: b.Zero, MultA: a.Mults[0], Zero: y.Zero, Lo: a.QLo, Hi: a.QHi}
		if op.Kind == format.OpMul {
			if c.A != out {
				c.A, c.B, c.ZeroA, c.ZeroB = c.B, c.A, c.ZeroB, c.ZeroA
				s.in[0], s.in[1] = s.in[1], s.in[0]
			}
			return kernels.PrepareMulI8(c)
		}
		c.MultB = a.Mults[1]
		if c.A != out {
			c.A, c.B, c.ZeroA, c.ZeroB, c.MultA, c.MultB = c.B, c.A, c.ZeroB, c.ZeroA, c.MultB, c.MultA
			s.in[0], s.in[1] = s.in[1], s.in[0]
		}
		return kernels.PrepareAddI8(c)
	case format.OpUnary:
		return kernels.PrepareTableI8(in, int8s(p.at(op.Inputs, 1).Data))
	case format.OpMaxPool:
		return kernels.PrepareMaxPoolI8(pool(windowOf(a, a.Kernel[0], a.Kernel[1])))
	case format.OpAvgPool:
		return kernels.PrepareAvgPoolI8(pool(windowOf(a, a.Kernel[0], a.Kernel[1])))
	case format.OpGlobalAvgPool:
		return kernels.PrepareAvgPoolI8(pool(whole(in)))
	case format.OpConcat:
		c := &kernels.ConcatI8{Out: out, Axis: a.Axis, Mults: a.Mults, Zero: y.Zero}
		for _, t := range op.Inputs {
			c.In = append(c.In, shapeOf(&p.fm.Tensors[t]))
			c.Zeros = append(c.Zeros, p.fm.Tensors[t].Zero)
		}
		return kernels.PrepareConcatI8(c)
	case format.OpPad:
		return kernels.PreparePadI8(in, out, a.Pad, quantize(a.PadValue, x.Scale[0], x.Zero))
	case format.OpResize:
		return kernels.PrepareResizeI8(&kernels.ResizeI8{In: in, Out: out, Bilinear: a.Mode == format.ModeBilinear,
			AlignCorners: a.AlignCorners, ZeroIn: x.Zero, Requant: requantOf(y, a, a.Mults)})
	case format.OpDequantize:
		return kernels.PrepareDequantizeI8(in.Len(), x.Scale[0], x.Zero)
	case format.OpSoftmax:
		return kernels.PrepareSoftmaxI8(in, x.Scale[0], x.Zero, a.Func == format.FuncLog)
	case format.OpGather, format.OpPermute:
		return p.prepareMove(op, in, out, 1)
	case format.OpNormalize:
		return kernels.PrepareNormalizeI8(&kernels.NormalizeI8{Shape: in, Axis: a.Axis, Groups: a.Groups, Epsilon: a.Epsilon,
			ScaleIn: x.Scale[0], ZeroIn: x.Zero, Scale: float32s(p.at(op.Inputs, 1)), Shift: float32s(p.at(op.Inputs, 2)),
			Zero: y.Zero, Lo: a.QLo, Hi: a.QHi})
	case format.OpRFGA:
		r := p.rfgaI8(op, x, y)
		return kernels.PrepareRFGAI8(&r)
	case format.OpCAMHead:
		w := p.at(op.Inputs, 1)
		s.headI8 = &kernels.HeadI8{In: in, Classes: w.Shape[0], Weights: int8s(w.Data), Bias: int32s(p.at(op.Inputs, 2)), ZeroIn: x.Zero}
		return prepareHead(s, s.headI8, kernels.PrepareHeadI8, func(h *kernels.HeadI8) { h.Maps = true })
	}
	return nil, errors.New("not defined for int8")
}

// prepareHead prepares a class activation head twice: for its logits alone, and, where the file has maps, with those.
func prepareHead[H any](s *step, h *H, prepare func(*H) (*kernels.Prepared, error), withMaps func(*H)) (p *kernels.Prepared, err error) {
	if s.logits, err = prepare(h); err != nil || len(s.out) < 2 {
		return s.logits, err
	}
	both := *h
	withMaps(&both)
	return prepare(&both)
}

// prepareMove serves the operators that move elements of elem bytes as they are.
func (p *plan) prepareMove(op *format.Op, in, out kernels.Shape, elem int) (*kernels.Prepared, error) {
	if op.Kind == format.OpGather {
		return kernels.PrepareGather(&kernels.Gather{In: in, Out: out, Axis: op.Attr.Axis, Index: int32s(p.at(op.Inputs, 1)), Elem: elem})
	}
	return kernels.PreparePermute(&kernels.Permute{In: in, Out: out, Dims: op.Attr.Dims, Perm: op.Attr.Perm, Elem: elem})
}

// ownResult is the tensor whose scale and zero point the step's operator itself rounds to, before any fused addition.
func (p *plan) ownResult(s *step) *format.Tensor {
	if s.residual != nil {
		return p.at(s.residual.Inputs, 0)
	}
	return p.at(s.op.Outputs, 0)
}

// padValues returns the padding bytes of a convolution: its own tensor of them, or the value of a fused Pad operator.
func (p *plan) padValues(s *step) []int8 {
	x := p.at(s.op.Inputs, 0)
	if s.padOp == nil {
		if t := p.at(s.op.Inputs, 4); t != nil {
			return int8s(t.Data)
		}
		return nil
	}
	v := make([]int8, x.Shape[3])
	for i := range v {
		v[i] = quantize(s.padOp.Attr.PadValue, x.Scale[0], x.Zero)
	}
	return v
}

func (p *plan) residualI8(s *step) *kernels.Residual {
	r := s.residual
	if r == nil {
		return nil
	}
	a, b, y := p.at(r.Inputs, 0), p.at(r.Inputs, 1), p.at(r.Outputs, 0)
	res := &kernels.Residual{ZeroA: a.Zero, ZeroB: b.Zero, Zero: y.Zero, Lo: r.Attr.QLo, Hi: r.Attr.QHi}
	if len(r.Attr.Mults) == 2 {
		res.MultA, res.MultB = r.Attr.Mults[0], r.Attr.Mults[1]
	}
	return res
}

func rfgaOff(off format.RFGAPart) kernels.RFGAOff {
	return kernels.RFGAOff{
		Views:     [3]bool{off&format.RFGAChannels != 0, off&format.RFGARows != 0, off&format.RFGAColumns != 0},
		Expansion: off&format.RFGAExpansion != 0,
	}
}

func (p *plan) rfgaI8(op *format.Op, x, y *format.Tensor) kernels.RFGAI8 {
	inner := func(i int) *format.Tensor { return p.at(op.Inner, i) }
	conv := func(mult, z int) kernels.Requant {
		return kernels.Requant{Mult: float32s(p.at(op.Inputs, mult)), Zero: inner(z).Zero, Lo: -128, Hi: 127}
	}
	m := op.Attr.Mults
	return kernels.RFGAI8{
		Shape: shapeOf(x), ZeroIn: x.Zero,
		ViewMult: [3]float32{m[0], m[1], m[2]},
		ViewZero: [3]int32{inner(0).Zero, inner(1).Zero, inner(2).Zero},
		WC:       int8s(p.at(op.Inputs, 1).Data), BC: int32s(p.at(op.Inputs, 2)),
		WH: int8s(p.at(op.Inputs, 3).Data), BH: int32s(p.at(op.Inputs, 4)),
		WW: int8s(p.at(op.Inputs, 5).Data), BW: int32s(p.at(op.Inputs, 6)),
		ConvC: conv(7, 3), ConvH: conv(8, 4), ConvW: conv(9, 5),
		Table: int16s(p.at(op.Inputs, 10)),
		A:     q14(op.Attr.A), B: q14(op.Attr.B), Off: rfgaOff(op.Attr.Off),
		Requant: requantOf(y, &op.Attr, m[3:4]),
	}
}
