package onnx

import (
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// foldGathers makes selections of selections one, drops those that change nothing, and moves those of channels into the
// convolution in front, if nothing else reads it.
func (g *net) foldGathers(uses map[*node]int) {
	for i := 0; i < len(g.nodes); i++ {
		n := g.nodes[i]
		switch d := n.do.(type) {
		case concat:
			if line, index, x, ok := scaledChannels(n, d); ok {
				inner := &node{name: n.name, op: n.op, in: []*node{x}, shape: n.shape, do: gather{axisC, index}}
				g.nodes = slices.Insert(g.nodes, i, inner)
				n.do, n.in = line, []*node{inner}
				if isRamp(index) && len(index) == x.shape[axisC] {
					n.in = []*node{x}
				}
				i++
			}
		case gather:
			if inner, ok := n.in[0].do.(gather); ok && inner.axis == d.axis {
				index := make([]int, len(d.index))
				for k, at := range d.index {
					index[k] = inner.index[at]
				}
				d.index = index
				n.do, n.in = d, n.in[0].in
			}
			if isRamp(d.index) && len(d.index) == n.in[0].shape[d.axis] {
				g.redirect(n, n.in[0])
				continue
			}
			if c, ok := n.in[0].do.(*conv); ok && d.axis == axisC && c.groups == 1 && c.pre == nil && uses[n.in[0]] == 1 {
				n.do, n.in, n.name = c.selected(d.index), n.in[0].in, n.in[0].name
			}
		}
	}
}

// selected is the convolution with some of its output channels, in another order.
func (d *conv) selected(index []int) *conv {
	e, weights := *d, d.weights
	e.oihw[0] = len(index)
	if len(d.post.scale) > 1 {
		e.post = affine{}
		for _, k := range index {
			e.post.scale, e.post.shift = append(e.post.scale, d.post.scale[k]), append(e.post.shift, d.post.shift[k])
		}
	}
	run := d.oihw[1] * d.oihw[2] * d.oihw[3]
	e.weights = func() ([]float32, error) {
		w, err := weights()
		if err != nil {
			return nil, err
		}
		out := make([]float32, 0, len(index)*run)
		for _, k := range index {
			out = append(out, w[k*run:][:run]...)
		}
		return out, nil
	}
	return &e
}

// scaledChannels matches a concatenation of channels of one node, each with a scale and a shift: how torchvision and others
// normalise the image inside the network.
func scaledChannels(n *node, d concat) (line affine, index []int, x *node, ok bool) {
	if d.axis != axisC {
		return affine{}, nil, nil, false
	}
	for _, part := range n.in {
		a, base := affines(part)
		pick, isGather := base.do.(gather)
		if !isGather || pick.axis != axisC || x != nil && base.in[0] != x {
			return affine{}, nil, nil, false
		}
		x = base.in[0]
		for c, k := range pick.index {
			s, t := a.at(min(c, len(a.scale)-1))
			line.scale, line.shift, index = append(line.scale, s), append(line.shift, t), append(index, k)
		}
	}
	return line, index, x, true
}

// lowerRest writes what only patterns could have used in other operators: a mean over the channels is a 1x1 convolution, a
// convolution along the channels one along the width of a view whose width they are.
func (g *net) lowerRest(map[*node]int) {
	for i := 0; i < len(g.nodes); i++ {
		n := g.nodes[i]
		before := func(do any, shape [3]int, in *node) *node {
			x := &node{name: n.name, op: n.op, in: []*node{in}, shape: shape, do: do}
			g.nodes = slices.Insert(g.nodes, i, x)
			i++
			return x
		}
		x := n.in0()
		switch d := n.do.(type) {
		case mean:
			if !d.over[axisC] {
				continue
			}
			ch := x.shape[axisC]
			if d.over[axisH] || d.over[axisW] {
				d.over[axisC] = false
				x = before(d, [3]int{n.shape[axisH], n.shape[axisW], ch}, x)
			}
			n.in = []*node{x}
			n.do = &conv{oihw: [4]int{1, ch, 1, 1}, groups: 1, clip: noClip, post: affine{[]float64{1 / float64(ch)}, []float64{0}},
				weights: func() ([]float32, error) { return slices.Repeat([]float32{1}, ch), nil }}
		case *convC:
			positions := x.shape[axisH] * x.shape[axisW]
			as := func(shape [3]int) permute { return permute{[]int{shape[0] * shape[1] * shape[2]}, []int{0}} }
			x = before(as(x.shape), [3]int{positions, x.shape[axisC], 1}, x)
			x = before(&conv{oihw: [4]int{1, 1, 1, d.taps}, groups: 1, clip: noClip, post: identity, weights: d.weights,
				win: build.Win{Pad: [4]int{0, d.pad[0], 0, d.pad[1]}}}, [3]int{positions, n.shape[axisC], 1}, x)
			n.do, n.in = as(n.shape), []*node{x}
		}
	}
}

// in0 is the first input, nil without one.
func (n *node) in0() *node {
	if len(n.in) == 0 {
		return nil
	}
	return n.in[0]
}
