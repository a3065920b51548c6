package onnx

import (
	"errors"
	"fmt"
	"slices"
)

// Nodes may hold graphs of their own, which see the names around them. Exporters write If where a step depends on a shape: as
// shapes are known here, the condition is, and the nodes of the branch that is taken become part of the network. The other branch
// is decoded and then forgotten.

// scope has the values of one graph by name. Names that it does not know are those of the graph around it.
type scope struct {
	values map[string]*value
	outer  *scope
}

// value is what a name stands for; nil if nothing has made it yet.
func (im *importer) value(name string) *value {
	for s := im.scope; s != nil; s = s.outer {
		if v := s.values[name]; v != nil {
			return v
		}
	}
	return nil
}

// enter opens the scope of a graph, which holds its initializers.
func (im *importer) enter(g *graph) error {
	if g.sparse {
		return errors.New("the model has sparse initializers, which are not supported")
	}
	s := &scope{make(map[string]*value, len(g.initializers)+len(g.nodes)), im.scope}
	for _, t := range g.initializers {
		if _, dup := s.values[t.name]; dup {
			return fmt.Errorf("two initializers are named %q", t.name)
		}
		s.values[t.name] = &value{c: t}
	}
	im.scope = s
	return nil
}

// liveNodes returns the nodes that the outputs of g, whose scope is open, depend on, in the file's order, and which of the names
// that g makes are needed. What a graph in a node reads counts as read by the node.
func (im *importer) liveNodes(g *graph) (live []*protoNode, needed map[string]bool, err error) {
	needed = make(map[string]bool, len(g.nodes))
	for _, in := range g.inputs {
		needed[in.name] = false
	}
	for _, n := range g.nodes {
		for _, o := range n.out {
			if o != "" {
				needed[o] = false
			}
		}
	}
	for _, o := range g.outputs {
		if _, made := needed[o.name]; made {
			needed[o.name] = true
		} else if im.value(o.name) == nil {
			return nil, nil, fmt.Errorf("output %q is made by no node", o.name)
		}
	}
	for _, n := range slices.Backward(g.nodes) {
		if !slices.ContainsFunc(n.out, func(o string) bool { return needed[o] }) {
			continue
		}
		n.reads(func(x string) {
			if _, made := needed[x]; made {
				needed[x] = true
			}
		})
		live = append(live, n)
	}
	slices.Reverse(live)
	return live, needed, nil
}

// reads calls f with the name of every input of n, and of those that its graphs read: their own among them, which is no harm.
func (n *protoNode) reads(f func(name string)) {
	for _, x := range n.in {
		f(x)
	}
	for _, a := range n.attrs {
		if a.graph == nil {
			continue
		}
		for _, inner := range a.graph.nodes {
			inner.reads(f)
		}
		for _, o := range a.graph.outputs {
			f(o.name)
		}
	}
}

// constants calls f with every constant of a graph and of the graphs in its nodes.
func (g *graph) constants(f func(*tensor)) {
	for _, t := range g.initializers {
		f(t)
	}
	for _, n := range g.nodes {
		for _, a := range n.attrs {
			f(a.tensor)
			if a.graph != nil {
				a.graph.constants(f)
			}
		}
	}
}

// refused says why an operator is not supported, where there is more to say than that.
var refused = map[string]string{
	"Loop": "it repeats a graph while the network runs, which is not supported; export the model with the loop unrolled (torch.jit.trace, not torch.jit.script)",
	"Scan": "it repeats a graph while the network runs, which is not supported; export the model with the loop unrolled (torch.jit.trace, not torch.jit.script)",
}

// conditional converts If: the nodes of the branch taken stand in its place.
func conditional(c *call) ([]value, error) {
	if !c.isConst(0) {
		return fail("its condition depends on the image; only an If that is decided by shapes and constants is supported")
	}
	t := c.in[0].c
	if t.dtype != tBool || t.elems != 1 {
		return fail("its condition is of %v with %d elements, expected one truth value", t.dtype, t.elems)
	}
	cond, err := t.int64s()
	if err != nil {
		return nil, err
	}
	name := "else_branch"
	if cond[0] != 0 {
		name = "then_branch"
	}
	a := c.attr(name)
	switch {
	case a == nil || a.graph == nil:
		return fail("it has no %s", name)
	case len(a.graph.inputs) > 0:
		return fail("its %s has %d inputs; a branch has none", name, len(a.graph.inputs))
	case len(a.graph.outputs) != len(c.n.out):
		return fail("its %s has %d outputs, it has %d itself", name, len(a.graph.outputs), len(c.n.out))
	}
	out, err := c.im.inline(a.graph)
	if err != nil {
		return fail("in its %s: %w", name, err)
	}
	return out, nil
}

// inline converts the nodes of a graph in place and returns the values of its outputs.
func (im *importer) inline(g *graph) ([]value, error) {
	outer := im.scope
	defer func() { im.scope = outer }()
	if err := im.enter(g); err != nil {
		return nil, err
	}
	live, _, err := im.liveNodes(g)
	if err != nil {
		return nil, err
	}
	for _, n := range live {
		im.convert(n)
	}
	out := make([]value, len(g.outputs))
	for i, o := range g.outputs {
		out[i] = *im.value(o.name)
	}
	return out, nil
}
