package onnx

import (
	"math"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// gridOf is the grid that the values of n lie on; ok is false for a node whose values are any real numbers.
func gridOf(n *node) (build.Grid, bool) {
	switch d := n.do.(type) {
	case quantize:
		return d.grid, true
	case dequantize, maxPool, gather, permute, expand:
		return gridOf(n.in[0])
	case resize:
		if isNearest(d) {
			return gridOf(n.in[0])
		}
	case pad:
		if g, ok := gridOf(n.in[0]); ok && math.Abs(g.Real(int(g.At(float64(d.value))))-float64(d.value)) <= 1e-3*float64(g.Scale) {
			return g, true
		}
	case concat:
		g, ok := gridOf(n.in[0])
		for _, x := range n.in {
			h, on := gridOf(x)
			ok = ok && on && h == g
		}
		return g, ok
	}
	return build.Grid{}, false
}

// grids are those of the nodes of a quantized net.
type grids struct {
	net *net
	// rounded has the grid that an operator's result is rounded to; most results have nothing else that reads them.
	rounded map[*node]build.Grid
}

func (g *net) grids() *grids {
	r := &grids{g, map[*node]build.Grid{}}
	for _, n := range g.nodes {
		if q, ok := n.do.(quantize); ok {
			for x := n.in[0]; ; x = x.in[0] {
				if _, ok := r.rounded[x]; !ok {
					r.rounded[x] = q.grid
				}
				if !isMove(x) {
					break
				}
			}
		}
	}
	return r
}

// of is the grid for what reads n. If n is not rounded on the way there, it is the one that n is rounded to for another reader,
// or that follows from what n computes; then the result is up to half a step off.
func (r *grids) of(n *node) (build.Grid, bool) {
	if g, ok := gridOf(n); ok {
		return g, true
	}
	if g, ok := r.rounded[n]; ok {
		return g, true
	}
	switch d := n.do.(type) {
	case unary:
		switch d.f {
		case format.FuncSigmoid, format.FuncHardSigmoid:
			return build.Grid{Scale: 1. / 255, Zero: -128}, true
		case format.FuncReLU, format.FuncReLU6:
			return r.of(n.in[0])
		}
	case mean, maxPool, avgPool, resize, gather, permute, expand:
		return r.of(n.in[0])
	}
	return derived(n)
}

// isMove says whether n only moves elements.
func isMove(n *node) bool {
	switch n.do.(type) {
	case gather, permute, expand:
		return true
	}
	return false
}

// derived is a grid for a scale and shift by itself, as of a batch normalisation, that nothing rounds: the range that it has for all
// values of its input.
func derived(n *node) (build.Grid, bool) {
	d, ok := n.do.(*conv)
	if !ok || !d.scaling {
		return build.Grid{}, false
	}
	in, ok := gridOf(n.in[0])
	if !ok {
		return build.Grid{}, false
	}
	lo, hi := 0.0, 0.0
	for c := range d.oihw[0] {
		s, t := d.post.at(c)
		for _, q := range []int{-128, 127} {
			v := min(max(s*in.Real(q)+t, d.lo), d.hi)
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	g := build.Grid{Scale: float32((hi - lo) / 255)}
	g.Zero = int32(min(max(math.RoundToEven(-128-lo/float64(g.Scale)), -128), 127))
	return g, g.Check() == nil
}
