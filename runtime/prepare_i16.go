package runtime

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// wide tells whether any activation of a step is int16: what is fused into it included.
func (p *plan) wide(s *step) bool {
	for _, list := range [][]int{s.in, s.out} {
		for _, t := range list {
			if p.fm.Tensors[t].DType == format.I16 {
				return true
			}
		}
	}
	return s.residual != nil && p.ownResult(s).DType == format.I16
}

func typeOf(t *format.Tensor) kernels.Type {
	if t.DType == format.I16 {
		return kernels.Int16
	}
	return kernels.Int8
}

// prepareI16 serves the quantized operators that have int16 among their activations.
func (p *plan) prepareI16(s *step) (*kernels.Prepared, error) {
	op, a := &s.op, &s.op.Attr
	x, y := p.at(op.Inputs, 0), p.at(op.Outputs, 0)
	in, out, tx, ty := shapeOf(x), shapeOf(y), typeOf(x), typeOf(y)
	pool := func(w kernels.Window) *kernels.PoolI16 {
		return &kernels.PoolI16{X: tx, Y: ty, PoolI8: kernels.PoolI8{In: in, Out: out, Window: w, CountIncludePad: a.CountIncludePad,
			ZeroIn: x.Zero, Requant: unbounded(y, a.Mults)}}
	}
	switch op.Kind {
	case format.OpConv2D, format.OpFullyConnected:
		w := p.at(op.Inputs, 1)
		c := &kernels.ConvI16{X: tx, Y: ty, In: in, Out: out, Window: windowOf(a, w.Shape[1], w.Shape[2]), Groups: a.Groups,
			Weights: int8s(w.Data), Bias: int32s(p.at(op.Inputs, 2)), ZeroIn: x.Zero,
			Requant: requantOf(p.ownResult(s), a, float32s(p.at(op.Inputs, 3)))}
		if op.Kind == format.OpFullyConnected {
			c.In, c.Window, c.Groups = kernels.Shape{H: 1, W: 1, C: in.Len()}, whole(kernels.Shape{H: 1, W: 1}), 1
		}
		c.PadValue, c.Residual, c.R = p.padValuesI16(s), p.residualI8(s), p.residualType(s)
		return kernels.PrepareConvI16(c)
	case format.OpDepthwiseConv2D:
		w := p.at(op.Inputs, 1)
		return kernels.PrepareDepthwiseI16(&kernels.DepthwiseI16{X: tx, Y: ty, R: p.residualType(s), In: in, Out: out,
			Window: windowOf(a, w.Shape[1], w.Shape[2]), Weights: int8s(w.Data), Bias: int32s(p.at(op.Inputs, 2)), ZeroIn: x.Zero,
			PadValue: p.padValuesI16(s), Requant: requantOf(p.ownResult(s), a, float32s(p.at(op.Inputs, 3))), Residual: p.residualI8(s)})
	case format.OpAdd, format.OpMul:
		b, r := p.at(op.Inputs, 1), requantOf(y, a, a.Mults)
		c := &kernels.BinaryI16{TA: tx, TB: typeOf(b), TY: ty, BinaryI8: kernels.BinaryI8{A: in, B: shapeOf(b), Out: out,
			ZeroA: x.Zero, ZeroB: b.Zero, MultA: a.Mults[0], Zero: r.Zero, Lo: r.Lo, Hi: r.Hi}}
		if op.Kind == format.OpAdd {
			c.MultB = a.Mults[1]
		}
		if c.A != out {
			c.TA, c.TB, c.A, c.B, c.ZeroA, c.ZeroB = c.TB, c.TA, c.B, c.A, c.ZeroB, c.ZeroA
			if s.in[0], s.in[1] = s.in[1], s.in[0]; op.Kind == format.OpAdd {
				c.MultA, c.MultB = c.MultB, c.MultA
			}
		}
		if op.Kind == format.OpAdd {
			return kernels.PrepareAddI16(c)
		}
		return kernels.PrepareMulI16(c)
	case format.OpUnary:
		return kernels.PrepareTableI16(in.Len(), tx, ty, valuesOf(p.at(op.Inputs, 1)))
	case format.OpMaxPool:
		return kernels.PrepareMaxPoolI16(pool(windowOf(a, a.Kernel[0], a.Kernel[1])))
	case format.OpAvgPool:
		return kernels.PrepareAvgPoolI16(pool(windowOf(a, a.Kernel[0], a.Kernel[1])))
	case format.OpGlobalAvgPool:
		return kernels.PrepareAvgPoolI16(pool(whole(in)))
	case format.OpConcat:
		c := &kernels.ConcatI16{Y: ty, ConcatI8: kernels.ConcatI8{Out: out, Axis: a.Axis, Mults: a.Mults, Zero: y.Zero}}
		for _, t := range op.Inputs {
			c.In = append(c.In, shapeOf(&p.fm.Tensors[t]))
			c.Zeros = append(c.Zeros, p.fm.Tensors[t].Zero)
			c.X = append(c.X, typeOf(&p.fm.Tensors[t]))
		}
		return kernels.PrepareConcatI16(c)
	case format.OpPad:
		return kernels.PreparePadI16(in, out, a.Pad, quantizeI16(a.PadValue, x.Scale[0], x.Zero))
	case format.OpGather, format.OpPermute:
		return p.prepareMove(op, in, out, 2)
	case format.OpResize:
		return kernels.PrepareResizeI16(&kernels.ResizeI16{X: tx, Y: ty, ResizeI8: kernels.ResizeI8{In: in, Out: out,
			Bilinear: a.Mode == format.ModeBilinear, AlignCorners: a.AlignCorners, ZeroIn: x.Zero, Requant: unbounded(y, a.Mults)}})
	case format.OpDequantize:
		return kernels.PrepareDequantizeI16(in.Len(), x.Scale[0], x.Zero)
	case format.OpSoftmax:
		return kernels.PrepareSoftmaxI16(in, x.Scale[0], x.Zero, a.Func == format.FuncLog)
	case format.OpRFGA:
		r := &kernels.RFGAI16{X: tx, Y: ty, RFGAI8: p.rfgaI8(op, x, y)}
		r.Requant = unbounded(y, r.Requant.Mult)
		return kernels.PrepareRFGAI16(r)
	case format.OpCAMHead:
		w := p.at(op.Inputs, 1)
		s.headI16 = &kernels.HeadI16{In: in, Classes: w.Shape[0], Weights: int8s(w.Data), Bias: int32s(p.at(op.Inputs, 2)), ZeroIn: x.Zero}
		return prepareHead(s, s.headI16, kernels.PrepareHeadI16, func(h *kernels.HeadI16) { h.Maps = true })
	}
	return nil, errors.New("not defined for int16")
}

// unbounded is the last step of operators without bounds of their own: the result has those of its type.
func unbounded(y *format.Tensor, mult []float32) kernels.Requant {
	r := kernels.Requant{Mult: mult, Zero: y.Zero, Lo: math.MinInt8, Hi: math.MaxInt8}
	if y.DType == format.I16 {
		r.Lo, r.Hi = math.MinInt16, math.MaxInt16
	}
	return r
}

func (p *plan) residualType(s *step) kernels.Type {
	if s.residual == nil {
		return kernels.Int8
	}
	return typeOf(p.at(s.residual.Inputs, 1))
}

// padValuesI16 is padValues for inputs of either type.
func (p *plan) padValuesI16(s *step) []int16 {
	x := p.at(s.op.Inputs, 0)
	if s.padOp == nil {
		if t := p.at(s.op.Inputs, 4); t != nil {
			return valuesOf(t)
		}
		return nil
	}
	v := make([]int16, x.Shape[3])
	for i := range v {
		v[i] = int16(quantize(s.padOp.Attr.PadValue, x.Scale[0], x.Zero))
		if x.DType == format.I16 {
			v[i] = quantizeI16(s.padOp.Attr.PadValue, x.Scale[0], x.Zero)
		}
	}
	return v
}

// valuesOf widens an int8 or int16 constant.
func valuesOf(t *format.Tensor) []int16 {
	if t.DType == format.I16 {
		return int16s(t)
	}
	v := make([]int16, len(t.Data))
	for i, q := range t.Data {
		v[i] = int16(int8(q))
	}
	return v
}

// quantizeI16 is quantize for int16.
func quantizeI16(v, scale float32, zero int32) int16 {
	q := math.RoundToEven(float64(v)/float64(scale)) + float64(zero)
	if q != q {
		q = float64(zero)
	}
	return int16(min(max(q, math.MinInt16), math.MaxInt16))
}

// nativeI16 is an int16 constant in memory's byte order.
func nativeI16(t *format.Tensor) []byte {
	b := kernels.Memory(len(t.Data))
	for i := range len(b) / 2 {
		view[int16](b)[i] = int16(binary.LittleEndian.Uint16(t.Data[2*i:]))
	}
	return b
}
