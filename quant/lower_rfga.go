package quant

import (
	"errors"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// q14One is 1.0 in the fixed point of attention values.
const q14One = 1 << 14

// saturated is where the range of a value before a sigmoid is cut: beyond it the sigmoid is within two steps of Q14 of 0
// or 1, and the grid is better spent in the middle.
const saturated = 9

// rfga quantizes residual fine-grained attention: each view gets a grid from its observed range, each Conv1d is an ordinary
// int8 convolution, and a table per view holds the sigmoid in Q14.
func (l *lowerer) rfga(index int, op *format.Op) error {
	v := l.c.views[index]
	if v == nil || v.inner[viewC].count == 0 {
		return errors.New("its views were never observed")
	}
	if l.isApart(index) {
		return l.rfgaApart(index, op)
	}
	x, gx, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	if err := sumFits(v.h, v.w); err != nil {
		return err
	}
	if err := attentionFits(op.Attr.A, op.Attr.B); err != nil {
		return err
	}
	var grids [innerCount]grid
	for i := range grids {
		s := v.inner[i].choose(l.o.rangeOf(op.Name+"."+innerNames[i], op.Name))
		if i >= preC {
			s = span{max(s.lo, -saturated), min(s.hi, saturated)}
		}
		if grids[i], err = gridOf(s); err != nil {
			return err
		}
	}
	shapes := [3][]int{{v.c, 1, 1, 3}, {v.c, 3, 1, v.c}, {v.c, 1, 3, v.c}}
	layers := [3]*layer{
		// Three taps of one channel: no pairs, as in a depthwise convolution.
		{name: op.Name + ".conv_c", taps: 3, in: 1, w: v.wc, bias: v.bc},
		{name: op.Name + ".conv_h", taps: 3, in: v.c, w: v.wh, bias: v.bh, pairs: l.o.Weights == PairSafe},
		{name: op.Name + ".conv_w", taps: 3, in: v.c, w: v.ww, bias: v.bw, pairs: l.o.Weights == PairSafe},
	}
	inputs := []int{x}
	var mults [3]int
	for i, ly := range layers {
		ly.out, ly.groups = v.c, 1
		ly.scaleIn, ly.scaleOut = float64(grids[i].scale), float64(grids[preC+i].scale)
		if ly.in > 1 {
			ly.mean = v.inner[i].means()
		}
		res, err := l.finish(op, ly)
		if err != nil {
			return err
		}
		inputs = append(inputs,
			l.tensor(format.Tensor{Name: l.nameOf(op, 1+2*i, ""), DType: format.I8, Shape: shapes[i], Scale: res.scale, Data: padded(res.q, shapes[i][3])}),
			l.constI32(l.nameOf(op, 2+2*i, ""), res.bias))
		mults[i] = l.constF32(ly.name+".mult", res.mult)
	}
	inputs = append(inputs, mults[:]...)
	inputs = append(inputs, l.tensor(format.Tensor{Name: op.Name + ".table", DType: format.I16, Shape: []int{3, 256},
		Data: bytesOfI16(sigmoidTables(grids[preC:]))}))

	inner := make([]int, innerCount)
	innerShapes := [3][]int{{1, 1, 1, v.c}, {1, v.h, 1, v.c}, {1, 1, v.w, v.c}}
	for i, g := range grids {
		name := op.Name + "." + innerNames[i]
		inner[i] = l.quantized(name, innerShapes[i%3], g)
		l.reportTensor(name, op.Name, "", &v.inner[i], g)
	}
	y := op.Outputs[0]
	a := op.Attr
	sx := float64(gx.scale)
	a.Mults = []float32{
		float32(sx / (float64(v.h*v.w) * float64(grids[viewC].scale))),
		float32(sx / (float64(v.w) * float64(grids[viewH].scale))),
		float32(sx / (float64(v.h) * float64(grids[viewW].scale))),
		float32(sx / (q14One * float64(l.grids[y].scale))),
	}
	a.QLo, a.QHi = -128, 127
	l.emit(op, op.Kind, inputs, []int{l.activation(y)}, a).Inner = inner
	return nil
}

// sigmoidTables returns, for each view, the sigmoid of every int8 value before it, in Q14.
func sigmoidTables(grids []grid) []int16 {
	var out []int16
	for _, g := range grids {
		for q := -128; q <= 127; q++ {
			out = append(out, int16(math.RoundToEven(q14One*sigmoid(g.real(q)))))
		}
	}
	return out
}

// attentionFits checks that (x-zero)*(A + B*M), M being at most 3, and B*M in Q14 stay in 32 bits.
func attentionFits(a, b float32) error {
	qa, qb := math.Abs(math.RoundToEven(q14One*float64(a))), math.Abs(math.RoundToEven(q14One*float64(b)))
	if !(qb*3*q14One+q14One/2 <= accMax) || !(255*(qa+3*qb+1) <= accMax) {
		return fmt.Errorf("attributes a = %g and b = %g are too large for 32-bit sums", a, b)
	}
	return nil
}
