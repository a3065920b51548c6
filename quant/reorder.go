package quant

import (
	"cmp"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Order of channels. Pair-safe weights (pairs.go) lose accuracy where two neighbours along a convolution's input channels are
// both large and of one sign. Which channels are neighbours is free wherever an activation is only written and read by
// convolutions and by operators that treat all channels alike: writers' and readers' weights are permuted together. So the
// channels of such activations are paired to clash as little as possible, over all layers that read them.
//
// What attention, concatenation, an output of the graph or the image's channels fix stays as it is.

// reorder returns m with channels in the order that suits pair-safe weights, and the number of activations concerned.
func reorder(m *format.Model) (*format.Model, int) {
	r := newRewriter(m)
	groups, fixed := r.channelGroups()
	members := map[int][]int{} // operators by the group of their input
	for i := range r.m.Ops {
		op := &r.m.Ops[i]
		if op.Kind == format.OpConv2D || op.Kind == format.OpFullyConnected || op.Kind == format.OpCAMHead {
			members[groups.root(op.Inputs[0])] = append(members[groups.root(op.Inputs[0])], i)
		}
	}
	changed := 0
	for root := range r.m.Tensors[:len(m.Tensors)] {
		if groups.root(root) != root || fixed[root] || len(members[root]) == 0 {
			continue
		}
		channels := m.Tensors[root].Shape[3]
		if channels%2 == 1 || channels < 4 {
			continue
		}
		cost := newClashes(channels)
		for _, i := range members[root] {
			if f, ok := r.filtersOf(&r.m.Ops[i]); ok {
				cost.add(f)
			}
		}
		order, better := cost.pair()
		if !better {
			continue
		}
		r.permute(groups, root, order)
		for t := range m.Tensors {
			if m.Tensors[t].Data == nil && r.by[t] >= 0 && groups.root(t) == root {
				changed++
			}
		}
	}
	return r.model(), changed
}

// channelGroups joins activations whose channels must have one order, and says which groups' order is fixed.
func (r *rewriter) channelGroups() (groups, []bool) {
	m := r.m
	g := newGroups(len(m.Tensors))
	pinned := make([]bool, len(m.Tensors))
	pin := func(list ...int) {
		for _, t := range list {
			if t >= 0 {
				pinned[t] = true
			}
		}
	}
	pin(m.Input)
	for _, o := range m.Outputs {
		pin(o.Tensor)
	}
	for i := range m.Ops {
		op := &m.Ops[i]
		switch op.Kind {
		case format.OpConv2D, format.OpFullyConnected, format.OpCAMHead:
			if _, ok := r.filtersOf(op); !ok {
				pin(op.Inputs[0])
				pin(op.Outputs...)
			}
		case format.OpDepthwiseConv2D:
			x, y := op.Inputs[0], op.Outputs[0]
			if _, ok := r.filtersOf(op); !ok || m.Tensors[x].Shape[3] != m.Tensors[y].Shape[3] {
				pin(x, y)
				continue
			}
			g.join(x, y)
		case format.OpMaxPool, format.OpAvgPool, format.OpGlobalAvgPool, format.OpResize, format.OpPad:
			g.join(op.Inputs[0], op.Outputs[0])
		case format.OpAdd, format.OpMul:
			a, b, y := op.Inputs[0], op.Inputs[1], op.Outputs[0]
			c := m.Tensors[y].Shape[3]
			if m.Tensors[a].Data != nil || m.Tensors[b].Data != nil || m.Tensors[a].Shape[3] != c || m.Tensors[b].Shape[3] != c {
				pin(a, b, y)
				continue
			}
			g.join(y, a)
			g.join(y, b)
		case format.OpUnary:
			if len(op.Inputs) > 1 {
				pin(op.Inputs[0], op.Outputs[0])
				continue
			}
			g.join(op.Inputs[0], op.Outputs[0])
		default:
			pin(op.Inputs...)
			pin(op.Outputs...)
		}
	}
	fixed := make([]bool, len(m.Tensors))
	for t, p := range pinned {
		if p {
			fixed[g.root(t)] = true
		}
	}
	return g, fixed
}

// permute puts channel order[i] in the place of channel i, in all activations of the group.
func (r *rewriter) permute(g groups, root int, order []int) {
	for i := range r.m.Ops {
		op := &r.m.Ops[i]
		switch op.Kind {
		case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpCAMHead:
		default:
			continue
		}
		in := g.root(op.Inputs[0]) == root
		out := g.root(op.Outputs[0]) == root
		if !in && !out {
			continue
		}
		f, ok := r.filtersOf(op)
		if !ok {
			continue // such an operator pins its tensors
		}
		if in && !f.depthwise {
			for k := 0; k < len(f.w); k += f.in {
				copy(f.w[k:k+f.in], picked(f.w[k:k+f.in], order, 1))
			}
		}
		if out {
			f.w = picked(f.w, order, f.taps*f.in)
			if f.bias != nil {
				f.bias = picked(f.bias, order, 1)
			}
		}
		r.put(op, f)
	}
}

// picked returns the blocks of v in the given order.
func picked(v []float32, order []int, block int) []float32 {
	out := make([]float32, 0, len(v))
	for _, k := range order {
		out = append(out, v[k*block:][:block]...)
	}
	return out
}

// clashes holds what it costs to make any two channels neighbours: the squared error of bringing their weights down to the
// pair limit, in units of the layer's own rounding error, summed over layers, taps and output channels.
type clashes struct {
	n    int
	cost []float32
}

func newClashes(n int) *clashes { return &clashes{n, make([]float32, n*n)} }

func (c *clashes) add(f *filters) {
	type big struct {
		channel int
		t       float64
	}
	var list []big
	row := f.taps * f.in
	for o := range f.out {
		w := f.w[o*row:][:row]
		top := float32(0)
		for _, v := range w {
			top = max(top, v, -v)
		}
		if top == 0 {
			continue
		}
		inv := weightMax / float64(top)
		for tap := range f.taps {
			for _, sign := range []float64{1, -1} {
				list = list[:0]
				for i, v := range w[tap*f.in:][:f.in] {
					// Half of the limit is what both may have; a smaller one clashes only with a larger one.
					if t := sign * inv * float64(v); t > 1 {
						list = append(list, big{i, t})
					}
				}
				slices.SortFunc(list, func(a, b big) int {
					return cmp.Or(cmp.Compare(b.t, a.t), cmp.Compare(a.channel, b.channel))
				})
				for i, a := range list {
					for _, b := range list[i+1:] {
						over := a.t + b.t - pairLimit
						if over <= 0 {
							break // the others are smaller still
						}
						d := float32(over * over / 2)
						c.cost[a.channel*c.n+b.channel] += d
						c.cost[b.channel*c.n+a.channel] += d
					}
				}
			}
		}
	}
}

func (c *clashes) at(a, b int) float32 { return c.cost[a*c.n+b] }

// pair finds a pairing of small cost: the channels that clash most choose their partners first, then pairs exchange partners
// while that helps. It returns the new order of channels, neighbours paired, and whether it beats the present one.
func (c *clashes) pair() (order []int, better bool) {
	now := 0.0
	for i := 0; i < c.n; i += 2 {
		now += float64(c.at(i, i+1))
	}
	total, by := make([]float32, c.n), make([]int, c.n)
	for i := range c.n {
		by[i] = i
		for j := range c.n {
			total[i] += c.at(i, j)
		}
	}
	slices.SortStableFunc(by, func(a, b int) int { return cmp.Compare(total[b], total[a]) })
	free := make([]bool, c.n)
	for i := range free {
		free[i] = true
	}
	var pairs [][2]int
	for _, a := range by {
		if !free[a] {
			continue
		}
		free[a] = false
		best, least := -1, float32(math.Inf(1))
		for b := range c.n {
			// Of equal partners the one that clashes most is taken care of.
			if free[b] && (c.at(a, b) < least || c.at(a, b) == least && best >= 0 && total[b] > total[best]) {
				best, least = b, c.at(a, b)
			}
		}
		free[best] = false
		pairs = append(pairs, [2]int{a, best})
	}
	for range 20 {
		moved := false
		for i := range pairs {
			for j := i + 1; j < len(pairs); j++ {
				p, q := pairs[i], pairs[j]
				have := c.at(p[0], p[1]) + c.at(q[0], q[1])
				if have == 0 {
					continue
				}
				one, two := c.at(p[0], q[0])+c.at(p[1], q[1]), c.at(p[0], q[1])+c.at(p[1], q[0])
				if min(one, two) >= have {
					continue
				}
				moved = true
				if one <= two {
					pairs[i], pairs[j] = [2]int{p[0], q[0]}, [2]int{p[1], q[1]}
				} else {
					pairs[i], pairs[j] = [2]int{p[0], q[1]}, [2]int{p[1], q[0]}
				}
			}
		}
		if !moved {
			break
		}
	}
	after := 0.0
	for i := range pairs {
		slices.Sort(pairs[i][:])
		after += float64(c.at(pairs[i][0], pairs[i][1]))
	}
	slices.SortFunc(pairs, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	for _, p := range pairs {
		order = append(order, p[0], p[1])
	}
	return order, after < now
}
