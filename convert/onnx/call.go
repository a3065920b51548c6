package onnx

import (
	"errors"
	"fmt"
	"math"
)

// A rule converts one ONNX operator. It returns the values of the node's outputs, as many as it supports.
type rule func(c *call) ([]value, error)

// call is one node with its inputs, as rules and folds see it. Reading an attribute of the wrong kind sets err, which
// counts as the rule's error.
type call struct {
	im   *importer
	n    *protoNode
	in   []*value // nil where an optional input is absent
	name string
	err  error
}

func one(v view) ([]value, error)                { return []value{{v: v}}, nil }
func oneConst(t *tensor) ([]value, error)        { return []value{{c: t}}, nil }
func (c *call) has(i int) bool                   { return i >= 0 && i < len(c.in) && c.in[i] != nil }
func (c *call) isConst(i int) bool               { return c.has(i) && c.in[i].c != nil }
func fail(msg string, a ...any) ([]value, error) { return nil, fmt.Errorf(msg, a...) }

// view returns input i, which must be an activation.
func (c *call) view(i int) (view, error) {
	if !c.has(i) {
		return view{}, fmt.Errorf("input %d is missing", i)
	}
	if c.in[i].c != nil {
		return view{}, fmt.Errorf("input %d is a constant, which is not supported here", i)
	}
	return c.in[i].v, nil
}

// constant returns input i, which must be a constant.
func (c *call) constant(i int, what string) (*tensor, error) {
	if !c.has(i) {
		return nil, fmt.Errorf("its %s (input %d) is missing", what, i)
	}
	if c.in[i].c == nil {
		return nil, fmt.Errorf("its %s (input %d) is not a constant", what, i)
	}
	return c.in[i].c, nil
}

// vector returns input i as float64, which must be a constant of n elements; an absent input is nil.
func (c *call) vector(i, n int, what string) ([]float64, error) {
	if !c.has(i) {
		return nil, nil
	}
	t, err := c.constant(i, what)
	if err != nil {
		return nil, err
	}
	if t.elems != n {
		return nil, fmt.Errorf("its %s has %d elements, expected %d", what, t.elems, n)
	}
	if err := c.im.budget.take(n, 8); err != nil {
		return nil, err
	}
	f, err := t.float32s()
	if err != nil {
		return nil, err
	}
	out := make([]float64, n)
	for k, v := range f {
		out[k] = float64(v)
	}
	return out, nil
}

// shape is the shape of input i, constant or not.
func (c *call) shape(i int) ([]int, error) {
	if c.isConst(i) {
		return c.in[i].c.shape, nil
	}
	v, err := c.view(i)
	if err != nil {
		return nil, err
	}
	return v.shape(), nil
}

// node adds a node to the net.
func (c *call) node(do any, shape [3]int, in ...*node) (*node, error) {
	if err := checkShape(shape); err != nil {
		return nil, err
	}
	n := &node{name: c.name, op: c.n.op, in: in, shape: shape, do: do}
	c.im.net.nodes = append(c.im.net.nodes, n)
	return n, nil
}

func (c *call) attr(name string) *attribute {
	for i := range c.n.attrs {
		if c.n.attrs[i].name == name {
			return &c.n.attrs[i]
		}
	}
	return nil
}

func (c *call) bad(a *attribute, want string) {
	if c.err == nil {
		c.err = fmt.Errorf("attribute %q is not %s", a.name, want)
	}
}

func (c *call) int(name string, def int) int {
	a := c.attr(name)
	switch {
	case a == nil:
		return def
	case len(a.ints) != 1 || int64(int(a.ints[0])) != a.ints[0]:
		c.bad(a, "an integer")
		return def
	}
	return int(a.ints[0])
}

func (c *call) float(name string, def float64) float64 {
	a := c.attr(name)
	switch {
	case a == nil:
		return def
	case len(a.floats) != 1:
		c.bad(a, "a number")
		return def
	}
	return float64(a.floats[0])
}

func (c *call) str(name, def string) string {
	a := c.attr(name)
	switch {
	case a == nil:
		return def
	case a.str == nil:
		c.bad(a, "a string")
		return def
	}
	return string(a.str)
}

// ints returns an attribute; nil if it is absent.
func (c *call) ints(name string) []int64 {
	a := c.attr(name)
	switch {
	case a == nil:
		return nil
	case a.floats != nil || a.str != nil || a.tensor != nil || a.graph != nil || a.other:
		c.bad(a, "a list of integers")
	case a.ints == nil:
		return []int64{}
	}
	return a.ints
}

// list returns integers that are an attribute in old opsets and an input, which must be constant, in newer ones; nil if
// they are absent.
func (c *call) list(name string, input int) ([]int64, error) {
	if v := c.ints(name); v != nil {
		return v, nil
	}
	if !c.has(input) {
		return nil, nil
	}
	t, err := c.constant(input, name)
	if err != nil {
		return nil, err
	}
	if t.elems > maxListed {
		return nil, fmt.Errorf("its %s has %d elements", name, t.elems)
	}
	v, err := t.int64s()
	if v == nil && err == nil {
		v = []int64{}
	}
	return v, err
}

// maxListed is the most elements of a list of axes, a shape or the like.
const maxListed = 1 << 10

// scalar returns one number that is an attribute in old opsets and an input, which must be constant, in newer ones.
func (c *call) scalar(name string, input int, def float64) (float64, error) {
	if c.attr(name) != nil {
		return c.float(name, def), nil
	}
	if !c.has(input) {
		return def, nil
	}
	t, err := c.constant(input, name)
	if err != nil {
		return 0, err
	}
	if t.elems != 1 {
		return 0, fmt.Errorf("its %s has %d elements, expected one number", name, t.elems)
	}
	if !t.isFloat() {
		v, err := t.int64s()
		if err != nil {
			return 0, err
		}
		return float64(v[0]), nil
	}
	v, err := t.float32s()
	if err != nil {
		return 0, err
	}
	if math.IsNaN(float64(v[0])) {
		return 0, fmt.Errorf("its %s is not a number", name)
	}
	return float64(v[0]), nil
}

// normAxis makes an axis of -rank..rank-1 one of 0..rank-1.
func normAxis(a int64, rank int) (int, error) {
	if a < -int64(rank) || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside a value of %d dimensions", a, rank)
	}
	if a < 0 {
		a += int64(rank)
	}
	return int(a), nil
}

// axisSet says for each dimension whether it is listed.
func axisSet(axes []int64, rank int) ([]bool, error) {
	set := make([]bool, rank)
	for _, a := range axes {
		d, err := normAxis(a, rank)
		if err != nil {
			return nil, err
		}
		if set[d] {
			return nil, fmt.Errorf("axis %d is listed twice", d)
		}
		set[d] = true
	}
	return set, nil
}

// newShape resolves the shape argument of Reshape for a value of the given shape.
func newShape(old []int, want []int64, allowZero bool) ([]int, error) {
	if len(want) > maxRank {
		return nil, fmt.Errorf("a shape of %d dimensions, the limit is %d", len(want), maxRank)
	}
	out, total, known, infer := make([]int, len(want)), 1, 1, -1
	for _, d := range old {
		total *= d // known to be small
	}
	for i, d := range want {
		switch {
		case d == -1 && infer < 0:
			infer = i
			continue
		case d == 0 && !allowZero:
			if i >= len(old) {
				return nil, fmt.Errorf("dimension %d of shape %v is copied from a value that has only %d", i, want, len(old))
			}
			d = int64(old[i])
		}
		if d < 0 || d > math.MaxInt32 || d > 0 && known > math.MaxInt32/int(d) {
			return nil, fmt.Errorf("%v is not a shape", want)
		}
		out[i] = int(d)
		known *= int(d)
	}
	if infer >= 0 {
		if known == 0 || total%known != 0 {
			return nil, fmt.Errorf("shape %v cannot be reshaped to %v", old, want)
		}
		out[infer] = total / known
		known *= out[infer]
	}
	if known != total {
		return nil, fmt.Errorf("shape %v cannot be reshaped to %v: the number of elements differs", old, want)
	}
	return out, nil
}

var errRank = errors.New("its inputs have too many dimensions")
