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
		g.matchNorms,
		g.matchActivations,
		g.foldGathers,
		g.foldAffines,
		g.dropIdentities,
		g.affinesIntoConvs,
		g.affinesToConvs,
		g.foldClips,
		g.clipsToOps,
		g.foldPads,
		g.matchHeads,
		g.lowerRest,
	} {
		pass(g.uses())
	}
	g.uses()
}

// mergeMeans: the mean over height of a mean over width is the mean over both. Those over channels stay by themselves.
func (g *net) mergeMeans(map[*node]int) {
	for _, n := range g.nodes {
		m, ok := n.do.(mean)
		if !ok || m.over[axisC] {
			continue
		}
		if inner, ok := n.in[0].do.(mean); ok && !inner.over[axisC] {
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
			for _, ok := x.do.(expand); ok; _, ok = x.do.(expand) {
				y, fits := n.in[1-i], true
				for a, s := range x.in[0].shape {
					fits = fits && max(s, y.shape[a]) == n.shape[a]
				}
				if !fits {
					break
				}
				x = x.in[0]
				n.in = slices.Clone(n.in)
				n.in[i] = x
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
		case normalize:
			d.post = d.post.then(a)
			n.do, n.in, n.name = d, p.in, p.name
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

// dropIdentities removes what changes nothing.
func (g *net) dropIdentities(map[*node]int) {
	for _, n := range g.nodes {
		if a, ok := n.do.(affine); ok {
			if s, t, scalar := a.scalar(); scalar && near(s, 1) && math.Abs(t) < 1e-7 {
				g.redirect(n, n.in[0])
			}
		}
	}
}

// redirect lets what reads one node read another. The image is no result of a graph.
func (g *net) redirect(from, to *node) {
	for i := range g.outputs {
		if _, image := to.do.(input); image && g.outputs[i].n == from {
			return
		}
	}
	for _, n := range g.nodes {
		for i, x := range n.in {
			if x == from {
				n.in = slices.Clone(n.in)
				n.in[i] = to
			}
		}
	}
	for i := range g.outputs {
		if g.outputs[i].n == from {
			g.outputs[i].n = to
		}
	}
}

// affinesIntoConvs moves scale and shift in front of a convolution into it, if nothing else reads them. Where the
// convolution pads, a shift cannot be moved: it is not there outside the image.
func (g *net) affinesIntoConvs(uses map[*node]int) {
	for _, n := range g.nodes {
		d, ok := n.do.(*conv)
		if !ok || d.pre != nil || uses[n.in[0]] != 1 {
			continue
		}
		a, ok := n.in[0].do.(affine)
		if !ok || d.win.Pad != [4]int{} && slices.ContainsFunc(a.shift, func(t float64) bool { return t != 0 }) {
			continue
		}
		e := *d
		e.pre = &a
		n.do, n.in = &e, n.in[0].in
	}
}

// perChannelConv is a depthwise 1x1 convolution with unit weights.
func perChannelConv(ch int, post affine, c clip) *conv {
	return &conv{oihw: [4]int{ch, 1, 1, 1}, groups: ch, post: post, clip: c, scaling: true,
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
			n.do = fn(format.FuncReLU)
		case c == clip{0, 6}:
			n.do = fn(format.FuncReLU6)
		default:
			n.do = perChannelConv(n.shape[axisC], identity, c)
		}
	}
}
