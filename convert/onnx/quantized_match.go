package onnx

import (
	"reflect"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// quantAttention is residual fine-grained attention in integers: one operator in the place of some ten, each of which would
// round. It keeps the grids of the means and of what the sigmoids read.
type quantAttention struct {
	*attention
	views, before [3]build.Grid
}

// isQuantized says whether a network was quantized before it was exported.
func (g *net) isQuantized() bool {
	return slices.ContainsFunc(g.nodes, func(n *node) bool { _, ok := n.do.(quantize); return ok })
}

// isRounding says whether n rounds its input, or is the real value of what did.
func isRounding(n *node) bool {
	switch n.do.(type) {
	case quantize, dequantize:
		return true
	}
	return false
}

// peel is what a node rounds.
func peel(n *node) *node {
	for isRounding(n) {
		n = n.in[0]
	}
	return n
}

// dropRounding makes the network one of real numbers again. Quantizers leave out a ReLU or ReLU6 where the rounding behind it
// clamps to the same range; there the clamp stays.
func (g *net) dropRounding() {
	g.matchQuantizedAttention() // where such a clamp would be in the way
	g.uses()
	plain := map[*node]*node{}
	var nodes []*node
	for _, n := range g.nodes {
		for i, x := range n.in {
			n.in[i] = plain[x]
		}
		plain[n] = n
		switch d := n.do.(type) {
		case dequantize:
			plain[n] = n.in[0]
			continue
		case quantize:
			if d.grid.Zero > -128 || notNegative(n.in[0]) {
				plain[n] = n.in[0]
				continue
			}
			n.do = clip{0, d.grid.Real(127)}
		case quantAttention:
			n.do = d.attention
		}
		nodes = append(nodes, n)
	}
	g.nodes = nodes
	for i := range g.outputs {
		g.outputs[i].n = plain[g.outputs[i].n]
	}
	g.uses()
}

// notNegative says whether the values of n cannot be below zero whatever the image is.
func notNegative(n *node) bool {
	switch d := n.do.(type) {
	case clip:
		return d.lo >= 0
	case unary:
		switch d.f {
		case format.FuncReLU, format.FuncReLU6, format.FuncSigmoid, format.FuncHardSigmoid:
			return true
		}
	case softmax:
		return true
	case add, mul, mean, maxPool, avgPool, concat, resize:
		return !slices.ContainsFunc(n.in, func(x *node) bool { return !notNegative(x) })
	}
	return false
}

// matchQuantized finds, in a quantized network, what has an operator of its own there: attention and heads. It must run before
// simplify.
func (g *net) matchQuantized() {
	g.uses()
	g.matchQuantizedAttention()
	g.matchQuantizedForms()
	g.uses()
	g.matchQuantizedHead()
	g.uses()
}

// withoutRounding is a copy of the network that has no rounding, the node of the copy for each of g, and the node of g that had each
// convolution.
func (g *net) withoutRounding() (plain *net, twin map[*node]*node, origin map[any]*node) {
	plain = &net{}
	twin, origin = map[*node]*node{}, map[any]*node{}
	for _, n := range g.nodes {
		if isRounding(n) {
			twin[n] = twin[n.in[0]]
			continue
		}
		c := *n
		c.in = make([]*node, len(n.in))
		for i, x := range n.in {
			c.in[i] = twin[x]
		}
		twin[n] = &c
		plain.nodes = append(plain.nodes, &c)
		switch n.do.(type) {
		case *conv, *convC:
			origin[n.do] = n
		}
	}
	for _, o := range g.outputs {
		plain.outputs = append(plain.outputs, netOutput{n: twin[o.n]})
	}
	return plain, twin, origin
}

// matchQuantizedForms finds normalisations and functions that were decomposed before the network was quantized, so that some of their
// parts round and others do not: each becomes one operator that rounds once. Operators that read what is on a grid stay as they are.
func (g *net) matchQuantizedForms() {
	plain, twin, _ := g.withoutRounding()
	for _, pass := range []func(map[*node]int){plain.mergeMeans, plain.dropExpands, plain.matchNorms, plain.matchActivations, plain.foldAffines} {
		pass(plain.uses())
	}
	for _, n := range g.nodes {
		if isRounding(n) || len(n.in) == 0 {
			continue
		}
		t := twin[n]
		if inner, ok := isLine(t, 1, 0); ok { // 2*GELU(x)*0.5
			t = inner
		}
		switch t.do.(type) {
		case normalize, unary:
		default:
			continue
		}
		if reflect.TypeOf(n.do) == reflect.TypeOf(t.do) {
			continue
		}
		if x := nearest(n, t.in[0], twin); x != nil {
			n.do, n.in = t.do, []*node{x}
		}
	}
}

// nearest is the node above n that stands for t of the copy without rounding, and lies on a grid; nil if none does.
func nearest(n, t *node, twin map[*node]*node) *node {
	seen, next := map[*node]bool{}, slices.Clone(n.in)
	for len(next) > 0 {
		x := next[0]
		next = next[1:]
		if seen[x] {
			continue
		}
		seen[x] = true
		if twin[x] == t {
			if isOnGrid(x) {
				return x
			}
			continue
		}
		next = append(next, x.in...)
	}
	return nil
}

// matchQuantizedAttention looks for attention in a copy of the network that has no rounding, and puts what it finds in the
// place of the node that rounds last.
func (g *net) matchQuantizedAttention() {
	plain, twin, origin := g.withoutRounding()
	for _, pass := range []func(map[*node]int){plain.mergeMeans, plain.dropExpands, plain.matchAttention} {
		pass(plain.uses())
	}
	reads := sigmoidInputs(g)
	for _, n := range g.nodes {
		at, ok := twin[n].do.(*attention)
		if !ok || isRounding(n) {
			continue
		}
		q := quantAttention{attention: at}
		for i, conv := range []*node{origin[at.c], origin[at.h], origin[at.w]} {
			if conv == nil {
				ok = false
				break
			}
			// Where nothing was rounded, the mean takes the grid of what it is a mean of, and the sigmoid one that ends
			// where it hardly changes any more.
			if q.views[i], ok = gridOf(conv.in[0]); !ok {
				if q.views[i], ok = gridOf(attended(conv)); !ok {
					break
				}
			}
			q.before[i] = build.Grid{Scale: 18. / 255, Zero: 0}
			if r := reads[conv]; r != nil {
				q.before[i] = *r
			}
		}
		for _, x := range n.in {
			if ok && twin[x] == twin[n].in[0] {
				n.do, n.in = q, []*node{x}
				break
			}
		}
	}
}

// attended is the activation whose mean a convolution of attention reads.
func attended(conv *node) *node {
	n := conv.in[0]
	for peel(n) != n || isMean(n) {
		n = peel(n)
		if isMean(n) {
			n = n.in[0]
		}
		if _, ok := gridOf(n); ok {
			break
		}
	}
	return n
}

func isMean(n *node) bool { _, ok := n.do.(mean); return ok }

// sigmoidInputs maps each convolution to the last grid on the way from it to a sigmoid.
func sigmoidInputs(g *net) map[*node]*build.Grid {
	out := map[*node]*build.Grid{}
	for _, n := range g.nodes {
		u, ok := n.do.(unary)
		if !ok || u != sigmoidNode {
			continue
		}
		var grid *build.Grid
		for x := n.in[0]; ; x = x.in[0] {
			switch d := x.do.(type) {
			case quantize:
				if grid == nil {
					grid = &d.grid
				}
				continue
			case dequantize, affine:
				continue
			case *conv, *convC:
				out[x] = grid
			}
			break
		}
	}
	return out
}

// matchQuantizedHead finds the network's classifier as matchHeads does, with rounding in between. A head's accumulators are the
// result, so that logits and class maps are more exact than the original's, which are rounded to 8 bits.
func (g *net) matchQuantizedHead() {
	readers := map[*node][]*node{}
	for _, n := range g.nodes {
		for _, x := range n.in {
			readers[x] = append(readers[x], n)
		}
	}
	for i := range g.outputs {
		o := &g.outputs[i]
		n := peel(o.n)
		if _, ok := n.do.(softmax); ok {
			if head := quantizedClassifier(peel(n.in[0])); head != nil && g.free("logits") {
				g.addHead(head, "logits")
				return
			}
			continue
		}
		if !g.onlyResult(n, readers, nil) {
			continue
		}
		if isGlobalMean(n) {
			p := peel(n.in[0])
			d, ok := p.do.(*conv)
			if ok && d.pointwise() && g.onlyResult(p, readers, n) {
				p.do, n.do, n.in = headOf(d.oihw[0], d.weights, d.post), camLogits{}, []*node{p}
				for k := range g.outputs {
					g.outputs[k].n = unrounded(g.outputs[k].n, n, p)
				}
				return
			}
		}
		if head := quantizedClassifier(n); head != nil {
			o.n = g.addHead(head, "")
			return
		}
	}
}

// unrounded is n, or the one of the nodes that it rounds.
func unrounded(n *node, of ...*node) *node {
	if p := peel(n); slices.Contains(of, p) {
		return p
	}
	return n
}

// onlyResult says whether n, rounded or not, is read by nothing but the graph's results and the node reader.
func (g *net) onlyResult(n *node, readers map[*node][]*node, reader *node) bool {
	for _, r := range readers[n] {
		if r != reader && !(isRounding(r) && g.onlyResult(r, readers, reader)) {
			return false
		}
	}
	return true
}

func (g *net) free(name string) bool {
	return !slices.ContainsFunc(g.outputs, func(o netOutput) bool { return o.name == name })
}

// quantizedClassifier matches linear(mean(x)) with rounding in between, and returns a head on x.
func quantizedClassifier(n *node) *node {
	layer, post := n, identity
	if a, ok := n.do.(affine); ok { // a bias of its own
		layer, post = n.in[0], a
	}
	var head *camHead
	switch d := layer.do.(type) {
	case *linear:
		if d.none() {
			head = headOf(d.out, d.weights, d.post.then(post))
		}
	case *conv:
		if d.pointwise() {
			head = headOf(d.oihw[0], d.weights, d.post.then(post))
		}
	}
	if head == nil {
		return nil
	}
	m := peel(layer.in[0])
	if !isGlobalMean(m) {
		return nil
	}
	if _, ok := gridOf(m.in[0]); !ok {
		return nil
	}
	x := m.in[0]
	return &node{name: n.name, op: n.op, in: []*node{x}, shape: [3]int{x.shape[0], x.shape[1], head.classes}, do: head}
}

// addHead adds a head and its logits, as a new result if name says so.
func (g *net) addHead(head *node, name string) *node {
	logits := &node{name: head.name, op: head.op, in: []*node{head}, shape: [3]int{1, 1, head.shape[axisC]}, do: camLogits{}}
	g.nodes = append(g.nodes, head, logits)
	if name != "" {
		g.outputs = append(g.outputs, netOutput{name, logits, true})
	}
	return logits
}
