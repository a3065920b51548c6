package quant

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// result is where a layer's values go.
type result struct {
	tensor int
	shape  []int
	grid   grid
	seen   span    // what calibration saw of the values
	reach  float64 // bounds the magnitude of what the layer multiplies its weights with: x less its offset, in real units
}

// inTwoParts emits a layer with weights of about 15 bits.
func (l *lowerer) inTwoParts(e *linearOp, ly *layer) error {
	y, seen := e.op.Outputs[0], &l.c.tensors[e.op.Outputs[0]]
	in := l.grids[e.op.Inputs[0]]
	lo, hi := in.bounds()
	return l.twoParts(e, ly, &result{tensor: l.activation(y), shape: l.m.Tensors[y].Shape, grid: l.grids[y], seen: span{float64(seen.min), float64(seen.max)},
		reach: max(math.Abs(in.real(lo)), math.Abs(in.real(hi)))})
}

// twoParts emits a layer as two with int8 weights, the second one's being what the first one's rounding left over, and the sum of
// their results. Both results are int16, so that only the sum is rounded to the activation's grid, and the file holds nothing but
// operators of the contract.
func (l *lowerer) twoParts(e *linearOp, ly *layer, to *result) error {
	coarse := *ly
	// The mean's share of what rounding is wrong by belongs to the second part, which makes up for the rounding itself.
	coarse.name, coarse.mean = ly.name+".coarse", nil
	res, err := l.finish(e.op, &coarse)
	if err != nil {
		return err
	}
	left := ly.less(res)
	reach := left.reach(to.reach)
	// What the activation's clamp cuts off below its range needs no room here; the sum's own clamp does that again.
	gc, err := wideGrid(span{min(to.seen.lo, 0) - reach, max(to.seen.hi, 0) + reach})
	if err != nil {
		return err
	}
	gf, err := wideGrid(span{-reach, reach})
	if err != nil {
		return err
	}
	for o := range res.mult {
		res.mult[o] = float32(ly.scaleIn * float64(res.scale[o]) / float64(gc.scale))
	}
	left.scaleOut = float64(gf.scale)
	fine, err := l.finish(e.op, left)
	if err != nil {
		return err
	}
	parts := []int{l.part(e, coarse.name, res, &result{shape: to.shape, grid: gc}), l.part(e, left.name, fine, &result{shape: to.shape, grid: gf})}
	a := format.NewAttr()
	a.ClampLo, a.ClampHi = e.op.Attr.ClampLo, e.op.Attr.ClampHi
	a.Mults = []float32{float32(float64(gc.scale) / float64(to.grid.scale)), float32(float64(gf.scale) / float64(to.grid.scale))}
	a.QLo, a.QHi = to.grid.clamp(a.ClampLo, a.ClampHi)
	l.emit(e.op, format.OpAdd, parts, []int{to.tensor}, a)
	return nil
}

// part emits a layer with an int16 result of its own and returns that.
func (l *lowerer) part(e *linearOp, name string, res *quantized, to *result) int {
	op, from := *e.op, *e
	op.Name, from.op = name, &op
	a := op.Attr
	a.ClampLo, a.ClampHi = float32(math.Inf(-1)), float32(math.Inf(1))
	a.QLo, a.QHi = math.MinInt16, math.MaxInt16
	inputs := l.linearInputs(&from, res)
	y := l.quantized(name, to.shape, to.grid)
	l.emit(&op, op.Kind, inputs, []int{y}, a)
	return y
}

// less is the layer of what quantizing l to res leaves of its weights.
func (l *layer) less(res *quantized) *layer {
	left := *l
	left.name, left.bias, left.gain, left.w = l.name+".fine", nil, nil, make([]float32, len(l.w))
	n := l.taps * l.in
	for k, w := range l.w {
		o, v := k/n, float64(w)
		if l.gain != nil {
			v *= l.gain[o/(l.out/l.groups)*l.in+k%l.in]
		}
		left.w[k] = float32(v - float64(res.scale[o])*float64(res.q[k]))
	}
	return &left
}

// reach bounds the magnitude of the layer's results, with some room for the rounding of its own weights and biases.
func (l *layer) reach(input float64) float64 {
	n, most := l.taps*l.in, 0.0
	for o := range l.out {
		sum := 0.0
		for _, w := range l.w[o*n:][:n] {
			sum += math.Abs(float64(w))
		}
		most = max(most, sum)
	}
	return 1.25 * most * input
}
