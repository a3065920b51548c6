package runtime

import (
	"errors"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func (p *plan) prepareF32(s *step) (*kernels.Prepared, error) {
	op, a := &s.op, &s.op.Attr
	x, y := p.at(op.Inputs, 0), p.at(op.Outputs, 0)
	in, out := shapeOf(x), shapeOf(y)
	lo, hi := a.ClampLo, a.ClampHi
	if s.residual != nil {
		lo, hi = s.residual.Attr.ClampLo, s.residual.Attr.ClampHi
	}
	pool := func(w kernels.Window) *kernels.PoolF32 {
		return &kernels.PoolF32{In: in, Out: out, Window: w, CountIncludePad: a.CountIncludePad}
	}
	switch op.Kind {
	case format.OpConv2D, format.OpFullyConnected:
		w := p.at(op.Inputs, 1)
		c := &kernels.ConvF32{In: in, Out: out, Window: windowOf(a, w.Shape[1], w.Shape[2]), Groups: a.Groups,
			Bias: float32s(p.at(op.Inputs, 2)), ClampLo: lo, ClampHi: hi,
			Residual: s.residual != nil, InnerLo: a.ClampLo, InnerHi: a.ClampHi, HalfMath: p.halfMath}
		c.Weights, c.Weights16 = weights(w)
		if op.Kind == format.OpFullyConnected {
			c.In, c.Window, c.Groups = kernels.Shape{H: 1, W: 1, C: in.Len()}, whole(kernels.Shape{H: 1, W: 1}), 1
		}
		return kernels.PrepareConvF32(c)
	case format.OpDepthwiseConv2D:
		w := p.at(op.Inputs, 1)
		return kernels.PrepareDepthwiseF32(&kernels.DepthwiseF32{In: in, Out: out, Window: windowOf(a, w.Shape[1], w.Shape[2]),
			Weights: float32s(w), Bias: float32s(p.at(op.Inputs, 2)), ClampLo: lo, ClampHi: hi,
			Residual: s.residual != nil, InnerLo: a.ClampLo, InnerHi: a.ClampHi})
	case format.OpAdd, format.OpMul:
		b := p.at(op.Inputs, 1)
		c := &kernels.BinaryF32{A: in, B: shapeOf(b), Out: out, ClampLo: lo, ClampHi: hi}
		if c.A != out { // the broadcast operand stands second; both operations commute
			c.A, c.B = c.B, c.A
			s.in[0], s.in[1] = s.in[1], s.in[0]
		}
		if op.Kind == format.OpAdd {
			return kernels.PrepareAddF32(c)
		}
		return kernels.PrepareMulF32(c)
	case format.OpUnary:
		return kernels.PrepareUnaryF32(&kernels.UnaryF32{Shape: in, Func: kernels.Func(a.Func), A: a.A, B: a.B, Slope: float32s(p.at(op.Inputs, 1))})
	case format.OpGather, format.OpPermute:
		return p.prepareMove(op, in, out, 4)
	case format.OpNormalize:
		return kernels.PrepareNormalizeF32(&kernels.NormalizeF32{Shape: in, Axis: a.Axis, Groups: a.Groups, Epsilon: a.Epsilon,
			Scale: float32s(p.at(op.Inputs, 1)), Shift: float32s(p.at(op.Inputs, 2))})
	case format.OpMaxPool:
		return kernels.PrepareMaxPoolF32(pool(windowOf(a, a.Kernel[0], a.Kernel[1])))
	case format.OpAvgPool:
		return kernels.PrepareAvgPoolF32(pool(windowOf(a, a.Kernel[0], a.Kernel[1])))
	case format.OpGlobalAvgPool:
		return kernels.PrepareAvgPoolF32(pool(whole(in)))
	case format.OpConcat:
		c := &kernels.ConcatF32{Out: out, Axis: a.Axis}
		for _, t := range op.Inputs {
			c.In = append(c.In, shapeOf(&p.fm.Tensors[t]))
		}
		return kernels.PrepareConcatF32(c)
	case format.OpPad:
		return kernels.PreparePadF32(in, out, a.Pad, a.PadValue)
	case format.OpResize:
		return kernels.PrepareResizeF32(&kernels.ResizeF32{In: in, Out: out, Bilinear: a.Mode == format.ModeBilinear, AlignCorners: a.AlignCorners})
	case format.OpSoftmax:
		return kernels.PrepareSoftmaxF32(in, a.Func == format.FuncLog)
	case format.OpQuantize:
		if y.DType == format.I16 {
			return kernels.PrepareQuantizeI16(in.Len(), y.Scale[0], y.Zero)
		}
		return kernels.PrepareQuantizeI8(in.Len(), y.Scale[0], y.Zero)
	case format.OpRFGA:
		w := func(i int) []float32 { return float32s(p.at(op.Inputs, i)) }
		r := &kernels.RFGAF32{Shape: in, WC: w(1), BC: w(2), BH: w(4), BW: w(6), A: a.A, B: a.B, Off: rfgaOff(a.Off)}
		r.WH, r.WH16 = weights(p.at(op.Inputs, 3))
		r.WW, r.WW16 = weights(p.at(op.Inputs, 5))
		return kernels.PrepareRFGAF32(r)
	case format.OpCAMHead:
		w := p.at(op.Inputs, 1)
		s.headF32 = &kernels.HeadF32{In: in, Classes: w.Shape[0], Weights: float32s(w), Bias: float32s(p.at(op.Inputs, 2))}
		return prepareHead(s, s.headF32, kernels.PrepareHeadF32, func(h *kernels.HeadF32) { h.Maps = true })
	}
	return nil, errors.New("not defined for float32")
}
