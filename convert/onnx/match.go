package onnx

import (
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// simplify turns groups of nodes into the operators they stand for. Each pass sees what the earlier ones left; a node is
// changed in place, and what it no longer reads is dropped as dead.
func (g *net) simplify() {
	for _, pass := range []func(map[*node]int){
		g.mergeMeans,
		g.dropExpands,
		g.matchAttention,
		g.matchActivations,
		g.foldAffines,
		g.affinesToConvs,
		g.foldClips,
		g.clipsToOps,
		g.foldPads,
		g.matchHeads,
	} {
		pass(g.uses())
	}
	g.uses()
}

// mergeMeans: the mean over height of a mean over width is the mean over both.
func (g *net) mergeMeans(map[*node]int) {
	for _, n := range g.nodes {
		m, ok := n.do.(mean)
		if !ok {
			continue
		}
		if inner, ok := n.in[0].do.(mean); ok {
			for a := range m.over {
				m.over[a] = m.over[a] || inner.over[a]
			}
			n.do, n.in = m, n.in[0].in
		}
	}
}

// dropExpands lets elementwise operators broadcast what an Expand would have repeated for them.
func (g *net) dropExpands(map[*node]int) {
	for _, n := range g.nodes {
		switch n.do.(type) {
		case add, mul:
		default:
			continue
		}
		for i, x := range n.in {
			if _, ok := x.do.(expand); !ok {
				continue
			}
			y, fits := n.in[1-i], true
			for a, s := range x.in[0].shape {
				fits = fits && max(s, y.shape[a]) == n.shape[a]
			}
			if fits {
				n.in = slices.Clone(n.in)
				n.in[i] = x.in[0]
			}
		}
	}
}

// foldPads moves the padding that exporters write in front of a pooling into it.
func (g *net) foldPads(uses map[*node]int) {
	for _, n := range g.nodes {
		if len(n.in) == 0 || uses[n.in[0]] != 1 {
			continue
		}
		p, ok := n.in[0].do.(pad)
		if !ok {
			continue
		}
		x := n.in[0].in[0]
		switch d := n.do.(type) {
		case avgPool:
			d.win.Pad, d.countIncludePad = p.pad, true
			if p.value == 0 && n.do.(avgPool).win.Pad == [4]int{} && poolShape(x, d.win) == n.shape {
				n.do, n.in = d, []*node{x}
			}
		case maxPool:
			d.win.Pad = p.pad
			if math.IsInf(float64(p.value), -1) && n.do.(maxPool).win.Pad == [4]int{} && poolShape(x, d.win) == n.shape {
				n.do, n.in = d, []*node{x}
			}
		}
	}
}

// near compares a constant of a pattern with its rounded form in a model.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Max(1, math.Abs(b)) }

// isLine says whether n is x*scale + shift with these numbers, and returns x.
func isLine(n *node, scale, shift float64) (x *node, ok bool) {
	if a, isAffine := n.do.(affine); isAffine {
		if s, t, scalar := a.scalar(); scalar && near(s, scale) && near(t, shift) {
			return n.in[0], true
		}
	}
	return nil, false
}

// isStep6 says whether n is min(max(x+3, 0), 6), and returns x.
func isStep6(n *node) (x *node, ok bool) {
	if n.do != (any)(clip{0, 6}) {
		return nil, false
	}
	return isLine(n.in[0], 1, 3)
}

func isUnary(n *node, f format.Func) (x *node, ok bool) {
	if n.do != (any)(unary{f}) {
		return nil, false
	}
	return n.in[0], true
}

// matchActivations finds hard-sigmoid, swish and hard-swish in the forms that exporters decompose them into.
func (g *net) matchActivations(map[*node]int) {
	for _, n := range g.nodes {
		if f, x, ok := activation(n); ok {
			n.do, n.in = unary{f}, []*node{x}
		}
	}
}

func activation(n *node) (format.Func, *node, bool) {
	switch n.do.(type) {
	case clip:
		if n.do != (any)(clip{0, 1}) {
			break
		}
		if x, ok := isLine(n.in[0], 1.0/6, 0.5); ok {
			return format.FuncHardSigmoid, x, true
		}
	case affine:
		y, ok := isLine(n, 1.0/6, 0)
		if !ok {
			break
		}
		if x, ok := isStep6(y); ok {
			return format.FuncHardSigmoid, x, true
		}
		if _, ok := y.do.(mul); ok {
			for i, x := range y.in {
				if z, ok := isStep6(y.in[1-i]); ok && z == x {
					return format.FuncHardSwish, x, true
				}
			}
		}
	case mul:
		for i, x := range n.in {
			y := n.in[1-i]
			if z, ok := isUnary(y, format.FuncSigmoid); ok && z == x {
				return format.FuncSwish, x, true
			}
			if z, ok := isUnary(y, format.FuncHardSigmoid); ok && z == x {
				return format.FuncHardSwish, x, true
			}
			if z, ok := isLine(x, 1.0/6, 0); ok {
				if u, ok := isStep6(y); ok && u == z {
					return format.FuncHardSwish, z, true
				}
			}
		}
	}
	return 0, nil, false
}

// foldAffines moves scale and shift into the layer in front, if nothing else reads that layer.
func (g *net) foldAffines(uses map[*node]int) {
	for _, n := range g.nodes {
		a, ok := n.do.(affine)
		if !ok || uses[n.in[0]] != 1 {
			continue
		}
		p := n.in[0]
		switch d := p.do.(type) {
		case affine:
			n.do, n.in = d.then(a), p.in
		case *conv:
			if d.none() {
				c := *d
				c.post = d.post.then(a)
				n.do, n.in, n.name = &c, p.in, p.name
			}
		case *linear:
			if d.none() {
				c := *d
				c.post = d.post.then(a)
				n.do, n.in, n.name = &c, p.in, p.name
			}
		}
	}
}

// perChannelConv is a depthwise 1x1 convolution with unit weights.
func perChannelConv(ch int, post affine, c clip) *conv {
	return &conv{oihw: [4]int{ch, 1, 1, 1}, groups: ch, post: post, clip: c,
		weights: func() ([]float32, error) { return slices.Repeat([]float32{1}, ch), nil }}
}

// affinesToConvs writes what could not be folded as depthwise 1x1 convolutions.
func (g *net) affinesToConvs(map[*node]int) {
	for _, n := range g.nodes {
		if a, ok := n.do.(affine); ok {
			n.do = perChannelConv(n.shape[axisC], a, noClip)
		}
	}
}

// foldClips moves a clamp into the operator in front, if nothing else reads that operator.
func (g *net) foldClips(uses map[*node]int) {
	for _, n := range g.nodes {
		c, ok := n.do.(clip)
		if !ok || uses[n.in[0]] != 1 {
			continue
		}
		p := n.in[0]
		switch d := p.do.(type) {
		case clip:
			n.do = d.then(c)
		case add:
			n.do = add{d.then(c)}
		case mul:
			n.do = mul{d.then(c)}
		case *conv:
			e := *d
			e.clip = d.then(c)
			n.do = &e
		case *linear:
			e := *d
			e.clip = d.then(c)
			n.do = &e
		default:
			continue
		}
		n.in, n.name = p.in, p.name
	}
}

// clipsToOps writes the clamps that stay: ReLU and ReLU6 are the runtime's own, others ride on a convolution.
func (g *net) clipsToOps(map[*node]int) {
	for _, n := range g.nodes {
		c, ok := n.do.(clip)
		switch {
		case !ok:
		case c == clip{0, math.Inf(1)}:
			n.do = unary{format.FuncReLU}
		case c == clip{0, 6}:
			n.do = unary{format.FuncReLU6}
		default:
			n.do = perChannelConv(n.shape[axisC], identity, c)
		}
	}
}
