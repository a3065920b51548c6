package onnx

import (
	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// matchAttention finds residual fine-grained attention, out = x*(a + b*M), by what it computes: a product of x and a sum
// whose three variable terms are sigmoids of one-dimensional convolutions of means of x. The order of the branches and of
// the sum, reshapes in between (they are views by now), and whether batch normalisation is a node, a scale and shift or
// part of a convolution's weights, make no difference. Sums of the form a*x + b*(x*M) count, too.
func (g *net) matchAttention(uses map[*node]int) {
	for _, n := range g.nodes {
		var at *attention
		var x *node
		switch n.do.(type) {
		case mul:
			for i := range n.in {
				if at == nil {
					x = n.in[i]
					at = attentionOn(x, n.in[1-i])
				}
			}
		case add:
			for i := range n.in {
				if at == nil {
					at, x = residualForm(n.in[i], n.in[1-i], uses)
				}
			}
		}
		if at != nil && n.shape == x.shape {
			n.do, n.in = at, []*node{x}
		}
	}
}

// residualForm matches s*x + t*(x*M), whose product has become an attention by now.
func residualForm(p, q *node, uses map[*node]int) (*attention, *node) {
	t, product := unscale(q)
	inner, ok := product.do.(*attention)
	if !ok || uses[q] != 1 || uses[product] != 1 {
		return nil, nil
	}
	x := product.in[0]
	s, y := 1.0, p
	if p != x {
		s, y = unscale(p)
	}
	if y != x {
		return nil, nil
	}
	at := *inner
	at.a, at.b = s+t*at.a, t*at.b
	return &at, x
}

// unscale takes a factor off a node.
func unscale(n *node) (float64, *node) {
	if a, ok := n.do.(affine); ok {
		if s, t, ok := a.scalar(); ok && t == 0 {
			return s, n.in[0]
		}
	}
	return 1, n
}

// term is a node with a coefficient.
type term struct {
	n    *node
	coef float64
}

// linearForm writes a node as a sum of terms and a constant; ok is false if there are more than three.
func linearForm(n *node, coef float64, terms []term, constant *float64) ([]term, bool) {
	switch d := n.do.(type) {
	case add:
		if !d.none() {
			break
		}
		for _, x := range n.in {
			var ok bool
			if terms, ok = linearForm(x, coef, terms, constant); !ok {
				return nil, false
			}
		}
		return terms, true
	case affine:
		if s, t, ok := d.scalar(); ok {
			*constant += coef * t
			return linearForm(n.in[0], coef*s, terms, constant)
		}
	case expand:
		return linearForm(n.in[0], coef, terms, constant)
	}
	return append(terms, term{n, coef}), len(terms) < 3
}

// attentionOn matches sum = a + b*M with M made from x.
func attentionOn(x, sum *node) *attention {
	at := &attention{}
	terms, ok := linearForm(sum, 1, nil, &at.a)
	if !ok || len(terms) != 3 {
		return nil
	}
	at.b = terms[0].coef
	var free []branch // could be rows or columns
	for _, t := range terms {
		b, ok := branchOf(x, t.n)
		if !ok || !near(t.coef, at.b) {
			return nil
		}
		if b.onC != nil {
			if at.c != nil {
				return nil
			}
			at.c, at.post[0] = b.onC, b.post
			continue
		}
		free = append(free, b)
	}
	if at.c == nil || len(free) != 2 {
		return nil
	}
	h, w := free[0], free[1]
	if !h.rows || !w.columns {
		h, w = w, h
	}
	if !h.rows || !w.columns {
		return nil
	}
	at.h, at.post[1] = h.conv, h.post
	at.w, at.post[2] = w.conv, w.post
	return at
}

// branch is one view of the attention: sigmoid(post(conv(mean(x)))).
type branch struct {
	onC           *convC
	conv          *conv
	rows, columns bool // which view it can be; both only where height or width is 1
	post          affine
}

func branchOf(x, n *node) (b branch, ok bool) {
	n, ok = isUnary(n, format.FuncSigmoid)
	if !ok {
		return b, false
	}
	b.post = identity
	for {
		a, isAffine := n.do.(affine)
		if !isAffine {
			break
		}
		b.post, n = a.then(b.post), n.in[0]
	}
	ch := x.shape[axisC]
	switch d := n.do.(type) {
	case *convC:
		b.onC = d
		return b, d.taps == 3 && d.pad == [2]int{1, 1} && meanOver(n.in[0], x, true, true)
	case *conv:
		b.conv = d
		b.post = d.post.then(b.post)
		if !d.none() || d.groups != 1 || d.oihw[0] != ch || d.oihw[1] != ch || d.win.Stride != [2]int{1, 1} || d.win.Dilation != [2]int{1, 1} {
			return b, false
		}
		tall := [2]int{d.oihw[2], d.oihw[3]} == [2]int{3, 1} && d.win.Pad == [4]int{1, 0, 1, 0}
		wide := [2]int{d.oihw[2], d.oihw[3]} == [2]int{1, 3} && d.win.Pad == [4]int{0, 1, 0, 1}
		// Along an axis of length 1 a kernel's direction says nothing.
		b.rows = (tall || wide && x.shape[axisH] == 1) && meanOver(n.in[0], x, false, true)
		b.columns = (wide || tall && x.shape[axisW] == 1) && meanOver(n.in[0], x, true, false)
		return b, b.rows || b.columns
	}
	return b, false
}

// meanOver says whether n is the mean of x over height, width or both; over an axis of length 1 there is nothing to do.
func meanOver(n, x *node, h, w bool) bool {
	over := [3]bool{}
	if m, ok := n.do.(mean); ok && n != x {
		over, n = m.over, n.in[0]
	}
	return n == x && (over[axisH] == h || x.shape[axisH] == 1) && (over[axisW] == w || x.shape[axisW] == 1)
}

// rfgaWeights reads the weights for the builder; batch normalisation and biases are in post.
func (at *attention) rfgaWeights(ch int) (w build.RFGAWeights, err error) {
	if w.ConvC, err = at.c.weights(); err != nil {
		return w, err
	}
	if w.ConvH, err = at.h.weights(); err != nil { // (C,C,3,1) is (C,C,3)
		return w, err
	}
	if w.ConvW, err = at.w.weights(); err != nil {
		return w, err
	}
	post := at.post
	for v := range w.BN {
		bn := build.BN{Gamma: make([]float32, ch), Beta: make([]float32, ch), Mean: make([]float32, ch), Var: make([]float32, ch)}
		for c := range ch {
			scale, shift := post[v].at(c)
			bn.Gamma[c], bn.Beta[c], bn.Var[c] = float32(scale), float32(shift), 1
		}
		w.BN[v] = bn
	}
	return w, nil
}
