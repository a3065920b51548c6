package onnx

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// matchNorms finds layer, instance and group normalisation in the forms that exporters decompose them into:
// (x-mean)/sqrt(variance+eps), or x*inv + (shift - mean*inv).
func (g *net) matchNorms(map[*node]int) {
	for _, n := range g.nodes {
		switch d := n.do.(type) {
		case mul:
			for i := range n.in {
				x, over, ok := centred(n.in[i])
				if !ok || !d.none() {
					continue
				}
				if eps, scale, ok := inverseDeviation(n.in[1-i], x, over); ok {
					if do, ok := normalizeOver(x, over, eps); ok && n.shape == x.shape {
						do.post = affine{[]float64{scale}, []float64{0}}
						n.do, n.in = do, []*node{x}
						break
					}
				}
			}
		case add:
			if do, x, ok := scaledNorm(n); ok && d.none() {
				n.do, n.in = do, []*node{x}
			}
		}
	}
}

// normalizeOver is the normalisation over some axes of x; eps is what is added to the variance.
func normalizeOver(x *node, over [3]bool, eps float64) (normalize, bool) {
	do := normalize{groups: 1, eps: max(eps, minEpsilon), post: identity}
	for a := range over {
		over[a] = over[a] && x.shape[a] > 1
	}
	spatial := x.shape[axisH] > 1 || x.shape[axisW] > 1
	both := (over[axisH] || x.shape[axisH] == 1) && (over[axisW] || x.shape[axisW] == 1)
	switch {
	case over == [3]bool{axisC: true}:
		return do, true
	case spatial && both && over[axisC]:
		do.all = true
		return do, true
	case spatial && both:
		do.all, do.groups = true, x.shape[axisC]
		return do, true
	}
	return do, false
}

// sameAxes compares sets of axes of x, of which those of one element are of no matter.
func sameAxes(x *node, a, b [3]bool) bool {
	for k := range a {
		if x.shape[k] > 1 && a[k] != b[k] {
			return false
		}
	}
	return true
}

// meanAxes says whether n is a mean, and of what.
func meanAxes(n *node) (x *node, over [3]bool, ok bool) {
	if _, repeats := n.do.(expand); repeats {
		return meanAxes(n.in[0])
	}
	m, ok := n.do.(mean)
	if !ok {
		return nil, over, false
	}
	return n.in[0], m.over, true
}

// centred says whether n is x - mean(x).
func centred(n *node) (x *node, over [3]bool, ok bool) {
	d, isAdd := n.do.(add)
	if !isAdd || !d.none() {
		return nil, over, false
	}
	for i, x := range n.in {
		if y, ok := isLine(n.in[1-i], -1, 0); ok {
			if of, over, ok := meanAxes(y); ok && of == x {
				return x, over, true
			}
		}
	}
	return nil, over, false
}

// isSquare says whether n is x*x.
func isSquare(n *node) (x *node, ok bool) {
	if d, isMul := n.do.(mul); isMul && d.none() && n.in[0] == n.in[1] {
		return n.in[0], true
	}
	return nil, false
}

// isVariance says whether n is the variance of x over those axes: the mean of (x-mean)^2, or that of x^2 less mean^2.
func isVariance(n, x *node, over [3]bool) bool {
	if of, axes, ok := meanAxes(n); ok && sameAxes(x, axes, over) {
		if c, ok := isSquare(of); ok {
			y, axes, ok := centred(c)
			return ok && y == x && sameAxes(x, axes, over)
		}
		return false
	}
	d, ok := n.do.(add)
	if !ok || !d.none() {
		return false
	}
	for i, p := range n.in {
		of, axes, ok := meanAxes(p)
		if !ok || !sameAxes(x, axes, over) {
			continue
		}
		if y, ok := isSquare(of); !ok || y != x {
			continue
		}
		if q, ok := isLine(n.in[1-i], -1, 0); ok {
			if m, ok := isSquare(q); ok {
				y, axes, ok := meanAxes(m)
				return ok && y == x && sameAxes(x, axes, over)
			}
		}
	}
	return false
}

// inverseDeviation says whether n is scale/sqrt(variance+eps). A factor on the variance, that of an unbiased estimate, say,
// is taken out.
func inverseDeviation(n, x *node, over [3]bool) (eps, scale float64, ok bool) {
	if _, repeats := n.do.(expand); repeats {
		return inverseDeviation(n.in[0], x, over)
	}
	root, ok := isUnary(n, format.FuncReciprocal)
	if !ok {
		return 0, 0, false
	}
	v, ok := isUnary(root, format.FuncSqrt)
	if !ok {
		return 0, 0, false
	}
	factor, eps := 1.0, 0.0
	for {
		a, isAffine := v.do.(affine)
		if !isAffine {
			break
		}
		s, t, scalar := a.scalar()
		if !scalar {
			return 0, 0, false
		}
		factor, eps, v = factor*s, eps+factor*t, v.in[0]
	}
	if !(factor > 0) || !(eps >= 0) || !isVariance(v, x, over) {
		return 0, 0, false
	}
	return eps / factor, 1 / math.Sqrt(factor), true
}

// scaledNorm matches x*inv + (shift - mean*inv), where inv may have a factor for each channel.
func scaledNorm(n *node) (do normalize, x *node, ok bool) {
	for i, p := range n.in {
		product, isMul := p.do.(mul)
		rest, base := affines(n.in[1-i])
		second, isMul2 := base.do.(mul)
		if !isMul || !isMul2 || !product.none() || !second.none() {
			continue
		}
		for j, inv := range p.in {
			x := p.in[1-j]
			for k := range base.in {
				of, over, ok := meanAxes(base.in[k])
				if !ok || of != x || base.in[1-k] != inv {
					continue
				}
				gain, root := identity, inv
				if m, ok := inv.do.(mul); ok && m.none() {
					if c, ok := inv.in[1].do.(constant); ok && inv.in[1].shape == [3]int{1, 1, x.shape[axisC]} {
						gain, root = affine{make([]float64, len(c.data)), make([]float64, len(c.data))}, inv.in[0]
						for i, v := range c.data {
							gain.scale[i] = float64(v)
						}
					}
				}
				if a, base := affines(root); base != root {
					gain, root = a.then(gain), base
				}
				eps, scale, ok := inverseDeviation(root, x, over)
				if !ok || n.shape != x.shape {
					continue
				}
				do, ok := normalizeOver(x, over, eps)
				if !ok {
					continue
				}
				minus := true // the mean is subtracted with the same factor
				for c := range max(len(rest.scale), len(gain.shift)) {
					s, _ := rest.at(min(c, len(rest.scale)-1))
					_, t := gain.at(min(c, len(gain.scale)-1))
					minus = minus && near(s, -1) && t == 0
				}
				if !minus {
					continue
				}
				do.post = affine{[]float64{scale}, []float64{0}}.then(gain)
				do.post = addShift(do.post, rest)
				return do, x, true
			}
		}
	}
	return normalize{}, nil, false
}

// affines takes scales and shifts off a node.
func affines(n *node) (affine, *node) {
	total := identity
	for {
		a, ok := n.do.(affine)
		if !ok {
			return total, n
		}
		total, n = a.then(total), n.in[0]
	}
}

// addShift adds b's shift to a.
func addShift(a, b affine) affine {
	return a.then(affine{scale: ones(len(b.shift)), shift: b.shift})
}

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}
