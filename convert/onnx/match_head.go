package onnx

import "slices"

// matchHeads finds class activation heads: a 1x1 convolution whose mean over the image are the logits, or a linear
// classifier of such a mean, which is the same thing. The logits must be a result of the graph, if need be behind a
// softmax; inside a network (squeeze and excitation, say) the same nodes are just layers.
func (g *net) matchHeads(map[*node]int) {
	readers := map[*node][]*node{}
	for _, n := range g.nodes {
		for _, x := range n.in {
			readers[x] = append(readers[x], n)
		}
	}
	result := func(n *node) bool {
		out := slices.ContainsFunc(g.outputs, func(o netOutput) bool { return o.n == n })
		for _, r := range readers[n] {
			_, soft := r.do.(softmax)
			out = soft && slices.ContainsFunc(g.outputs, func(o netOutput) bool { return o.n == r })
			if !out {
				return false
			}
		}
		return out
	}
	for i := 0; i < len(g.nodes); i++ {
		n := g.nodes[i]
		if !result(n) {
			continue
		}
		if g.mapsThenMean(n, readers) {
			continue
		}
		if head := meanThenLinear(n); head != nil {
			n.do, n.in = camLogits{}, []*node{head}
			g.nodes = slices.Insert(g.nodes, i, head)
			i++
		}
	}
}

// mapsThenMean matches mean(conv1x1(x)).
func (g *net) mapsThenMean(n *node, readers map[*node][]*node) bool {
	if !isGlobalMean(n) {
		return false
	}
	p := n.in[0]
	for _, r := range readers[p] { // the maps of a head are a result, not the input of another layer
		if r != n {
			return false
		}
	}
	d, ok := p.do.(*conv)
	if !ok || !d.pointwise() {
		return false
	}
	p.do = headOf(d.oihw[0], d.weights, d.post)
	n.do = camLogits{}
	return true
}

// meanThenLinear matches linear(mean(x)), or a 1x1 convolution in the place of linear, and returns the new head on x.
func meanThenLinear(n *node) *node {
	var head *camHead
	switch d := n.do.(type) {
	case *linear:
		if d.none() {
			head = headOf(d.out, d.weights, d.post)
		}
	case *conv:
		if d.pointwise() {
			head = headOf(d.oihw[0], d.weights, d.post)
		}
	}
	if head == nil || !isGlobalMean(n.in[0]) {
		return nil
	}
	x := n.in[0].in[0]
	return &node{name: n.name, op: n.op, in: []*node{x}, shape: [3]int{x.shape[0], x.shape[1], head.classes}, do: head}
}

func isGlobalMean(n *node) bool {
	m, ok := n.do.(mean)
	return ok && !m.over[axisC] && n.shape[axisH] == 1 && n.shape[axisW] == 1
}

// pointwise says whether d is a plain 1x1 convolution.
func (d *conv) pointwise() bool {
	return d.none() && d.pre == nil && d.groups == 1 && d.oihw[2] == 1 && d.oihw[3] == 1 && d.win.Pad == [4]int{} &&
		(d.win.Stride == [2]int{1, 1} || d.win.Stride == [2]int{})
}

func headOf(classes int, weights func() ([]float32, error), post affine) *camHead {
	return &camHead{classes: classes, weights: weights, post: post}
}
