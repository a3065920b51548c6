package onnx

import (
	"fmt"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// ramp is the n numbers from, from+step, ...
func ramp(from, step, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + i*step
	}
	return out
}

func sliceView(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	parts, err := c.sliced(v.shape())
	if err != nil {
		return nil, err
	}
	for d, p := range parts {
		if p.n < 1 {
			return fail("its result is empty along dimension %d of %v", d, v.shape())
		}
		if v, err = c.selected(v, d, ramp(p.start, p.step, p.n)); err != nil {
			return nil, err
		}
	}
	return one(v)
}

// splitView has the sizes of its parts as an attribute, as an input, or equal ones.
func splitView(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	d, err := normAxis(int64(c.int("axis", 0)), len(v.dims))
	if err != nil {
		return nil, err
	}
	size, parts := sizeOf(v.dims[d]), len(c.n.out)
	lengths, err := c.list("split", 1)
	if err != nil {
		return nil, err
	}
	if lengths == nil {
		each := (size + parts - 1) / max(parts, 1)
		for at := 0; at < size; at += each {
			lengths = append(lengths, int64(min(each, size-at)))
		}
	}
	if len(lengths) != parts {
		return fail("it has %d outputs and splits dimension %d of %v into %d parts", parts, d, v.shape(), len(lengths))
	}
	var out []value
	at := 0
	for _, n := range lengths {
		if n < 1 || n > int64(size-at) {
			return fail("parts of %v do not fit dimension %d of %v", lengths, d, v.shape())
		}
		part, err := c.selected(v, d, ramp(at, 1, int(n)))
		if err != nil {
			return nil, err
		}
		out, at = append(out, value{v: part}), at+int(n)
	}
	if at != size {
		return fail("parts of %v do not cover dimension %d of %v", lengths, d, v.shape())
	}
	return out, nil
}

// gatherView selects positions; the dimension becomes those of the indices.
func gatherView(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	d, err := normAxis(int64(c.int("axis", 0)), len(v.dims))
	if err != nil {
		return nil, err
	}
	t, err := c.constant(1, "indices")
	if err != nil {
		return nil, err
	}
	if t.elems < 1 || t.elems > format.MaxDim {
		return fail("it has %d indices", t.elems)
	}
	if err := c.im.budget.take(t.elems, 16); err != nil {
		return nil, err
	}
	indices, err := t.int64s()
	if err != nil {
		return nil, err
	}
	list, size := make([]int, len(indices)), int64(sizeOf(v.dims[d]))
	for i, k := range indices {
		if k < -size || k >= size {
			return fail("index %d is outside dimension %d of %v", k, d, v.shape())
		}
		list[i] = int((k + size) % size)
	}
	if v, err = c.selected(v, d, list); err != nil {
		return nil, err
	}
	if out, err := v.reshape(slices.Concat(v.shape()[:d], t.shape, v.shape()[d+1:])); err == nil {
		return one(out)
	}
	return fail("indices of shape %v are not supported", t.shape)
}

func tile(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	times, err := c.shapeInput(1)
	if err != nil {
		return nil, err
	}
	if len(times) != len(v.dims) {
		return fail("it repeats %d dimensions of a value of %d", len(times), len(v.dims))
	}
	for d, n := range times {
		size := sizeOf(v.dims[d])
		if n < 1 || n > format.MaxDim/size {
			return fail("it repeats dimension %d of %v %d times", d, v.shape(), n)
		}
		if n == 1 {
			continue
		}
		if err := c.im.budget.take(n*size, 8); err != nil {
			return nil, err
		}
		if v, err = c.selected(v, d, slices.Repeat(ramp(0, 1, size), n)); err != nil {
			return nil, err
		}
	}
	return one(v)
}

// blocks are the arguments of DepthToSpace and SpaceToDepth.
func (c *call) blocks() (v view, b int, err error) {
	if v, err = c.view(0); err != nil {
		return v, 0, err
	}
	b = c.int("blocksize", 0)
	if len(v.dims) != 4 || b < 1 || b > format.MaxImageSide {
		return v, 0, fmt.Errorf("a block size of %d for an input of shape %v", b, v.shape())
	}
	return v, b, nil
}

func depthToSpace(c *call) ([]value, error) {
	v, b, err := c.blocks()
	if err != nil {
		return nil, err
	}
	s := v.shape()
	if s[1]%(b*b) != 0 {
		return fail("a block size of %d for an input of shape %v", b, s)
	}
	split, perm := []int{s[0], b, b, s[1] / (b * b), s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}
	if c.str("mode", "DCR") == "CRD" {
		split, perm = []int{s[0], s[1] / (b * b), b, b, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}
	}
	return c.folded(v, split, perm, []int{s[0], s[1] / (b * b), s[2] * b, s[3] * b})
}

func spaceToDepth(c *call) ([]value, error) {
	v, b, err := c.blocks()
	if err != nil {
		return nil, err
	}
	s := v.shape()
	if s[2]%b != 0 || s[3]%b != 0 {
		return fail("a block size of %d for an input of shape %v", b, s)
	}
	return c.folded(v, []int{s[0], s[1], s[2] / b, b, s[3] / b, b}, []int{0, 3, 5, 1, 2, 4}, []int{s[0], s[1] * b * b, s[2] / b, s[3] / b})
}

// folded reshapes, transposes and reshapes again.
func (c *call) folded(v view, split, perm, shape []int) ([]value, error) {
	v, err := v.reshape(split)
	if err == nil {
		v, err = v.transpose(perm).reshape(shape)
	}
	if err != nil {
		return nil, err
	}
	return one(v)
}

func concatenation(c *call) ([]value, error) {
	if len(c.in) == 0 || len(c.in) > format.MaxInputs {
		return fail("it has %d inputs, supported are 1 to %d", len(c.in), format.MaxInputs)
	}
	var vs []view
	for i := range c.in {
		v, err := c.view(i)
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
	d, err := normAxis(int64(c.int("axis", 1)), len(vs[0].dims))
	if err != nil {
		return nil, err
	}
	out, err := c.concatenated(vs, d)
	if err == nil {
		return one(out)
	}
	for i, v := range vs { // they may lie differently in memory
		if vs[i], err = c.canonical(v); err != nil {
			return nil, err
		}
	}
	if out, err = c.concatenated(vs, d); err != nil {
		return nil, err
	}
	return one(out)
}

func (c *call) concatenated(vs []view, d int) (view, error) {
	first := vs[0]
	prefer := axisC
	if len(first.dims) == 4 && d >= 2 {
		prefer = axis(d - 2)
	}
	for _, v := range vs { // an input whose extent says which axis it is
		if len(v.dims) == len(first.dims) && len(v.dims[d]) > 0 {
			first = v
			break
		}
	}
	at, err := first.place([]int{d}, []axis{prefer})
	if err != nil {
		return view{}, err
	}
	a, shape := at[0], first.n.shape
	shape[a] = 0
	var in []*node
	for _, v := range vs {
		if len(v.dims) != len(first.dims) {
			return view{}, fmt.Errorf("shapes %v and %v differ in rank", first.shape(), v.shape())
		}
		for k := range v.dims {
			if k != d && !slices.Equal(v.dims[k], first.dims[k]) {
				return view{}, fmt.Errorf("shapes %v and %v differ outside axis %d, or lie differently in memory", first.shape(), v.shape(), d)
			}
		}
		if got, ok := v.axis(d); len(v.dims[d]) > 0 && (!ok || got != a) {
			return view{}, fmt.Errorf("dimension %d of %v is not an axis of the activation", d, v.shape())
		}
		in = append(in, v.n)
		shape[a] += v.n.shape[a]
	}
	n, err := c.node(concat{a}, shape, in...)
	if err != nil {
		return view{}, err
	}
	dims := slices.Clone(first.dims)
	dims[d] = whole(n, a)
	return view{n, dims}, nil
}
