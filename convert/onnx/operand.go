package onnx

import (
	"fmt"
	"slices"
)

// withConstant adds the operator of input x, an activation, and input k, a constant whose elements are first mapped by of:
// with one number, or one a channel, it is the affine that line makes of them; otherwise do with a node of the constant.
func (c *call) withConstant(k, x int, of func(float64) float64, line func([]float64) affine, do any) ([]value, error) {
	t, err := c.constant(k, "operand")
	if err != nil {
		return nil, err
	}
	v, err := c.view(x)
	if err != nil {
		return nil, err
	}
	shape, err := broadcastShapes(t.shape, v.shape())
	if err != nil {
		return nil, err
	}
	v = view{v.n, append(make([][]factor, len(shape)-len(v.dims), len(shape)), v.dims...)}
	f, err := t.float32s()
	if err != nil {
		return nil, err
	}
	if len(f) == 0 {
		return fail("its constant operand is empty")
	}
	larger := !slices.Equal(shape, v.shape())
	if !larger && !slices.ContainsFunc(f, func(x float32) bool { return x != f[0] }) { // one value, whatever the shape
		return c.elementwiseNode(line([]float64{of(float64(f[0]))}), v)
	}
	p, err := placeConstant(t, v, shape)
	if err != nil {
		return nil, err
	}
	n := p.size[axisH] * p.size[axisW] * p.size[axisC]
	if err := c.im.budget.take(n, 16); err != nil {
		return nil, err
	}
	if !larger && n == v.n.shape[axisC] && p.size[axisC] == n {
		out := make([]float64, n)
		p.each(func(dst, src int) { out[dst] = of(float64(f[src])) })
		return c.elementwiseNode(line(out), v)
	}
	data := make([]float32, n)
	p.each(func(dst, src int) { data[dst] = float32(of(float64(f[src]))) })
	constantNode, err := c.node(constant{data}, p.size)
	if err != nil {
		return nil, err
	}
	return c.join(do, v, view{constantNode, p.dims})
}

// placement is how a constant operand lies in memory beside an activation: on the axes that it varies along, all of each.
type placement struct {
	size  [3]int
	dims  [][]factor
	steps []int // from one position of a dimension to the next in the constant, 0 where it does not vary
}

// placeConstant lays t, broadcast to shape, beside v, which has as many dimensions as shape.
func placeConstant(t *tensor, v view, shape []int) (placement, error) {
	p := placement{size: [3]int{1, 1, 1}, dims: make([][]factor, len(shape)), steps: spread(t.shape, shape)}
	var wider []int
	var prefer []axis
	take := func(d int) {
		p.dims[d] = v.dims[d]
		for _, f := range v.dims[d] {
			p.size[f.axis] = v.n.shape[f.axis]
		}
	}
	for d, s := range shape {
		switch {
		case s == 1 || p.steps[d] == 0:
		case len(v.dims[d]) > 0:
			take(d)
		default:
			wider = append(wider, d)
			prefer = append(prefer, [...]axis{axisC, axisH, axisW}[max(0, d-len(shape)+3)])
		}
	}
	// A dimension that shares an axis with those is a part of the constant too, though it does not vary along it.
	for again := true; again; {
		again = false
		for d := range shape {
			if p.dims[d] == nil && slices.ContainsFunc(v.dims[d], func(f factor) bool { return p.size[f.axis] > 1 }) {
				take(d)
				again = true
			}
		}
	}
	if len(wider) > 0 {
		axes, err := v.place(wider, prefer)
		if err != nil {
			return p, fmt.Errorf("its constant operand of shape %v makes an activation of shape %v larger: %w", t.shape, v.shape(), err)
		}
		for i, d := range wider {
			p.dims[d], p.size[axes[i]] = []factor{{axes[i], shape[d], 1}}, shape[d]
		}
	}
	return p, nil
}

// each calls f for every element of the placed constant with its position and that of its value.
func (p placement) each(f func(dst, src int)) {
	var walk func(d, h, w, ch, src int)
	walk = func(d, h, w, ch, src int) {
		if d == len(p.dims) {
			f((h*p.size[axisW]+w)*p.size[axisC]+ch, src)
			return
		}
		dim := p.dims[d]
		for i := range sizeOf(dim) {
			walk(d+1, h+offset(dim, i, axisH), w+offset(dim, i, axisW), ch+offset(dim, i, axisC), src+i*p.steps[d])
		}
	}
	walk(0, 0, 0, 0, 0)
}
