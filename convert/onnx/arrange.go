package onnx

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Most operators that rearrange data only change views. Where an operator needs its input in a certain layout and the view
// does not have it, the functions below move the data: along one axis by a gather, in general by a permute.

// digit is a factor of a view as a digit of the position in memory.
type digit struct {
	factor
	dim, k int // it is dims[dim][k]
}

// digits returns the factors of a view in the order of memory, the outermost first.
func (v view) digits() []digit {
	var out []digit
	for d, dim := range v.dims {
		for k, f := range dim {
			out = append(out, digit{f, d, k})
		}
	}
	slices.SortStableFunc(out, func(a, b digit) int {
		return cmp.Or(cmp.Compare(a.axis, b.axis), cmp.Compare(b.stride, a.stride))
	})
	return out
}

// arranged moves the data so that each axis runs over the listed dimensions of v, the first outermost. Every dimension of
// more than one element must be listed.
func (c *call) arranged(v view, axes [3][]int) (view, error) {
	digits := v.digits()
	var perm []int
	shape, dims := [3]int{1, 1, 1}, make([][]factor, len(v.dims))
	for a, list := range axes {
		for _, d := range slices.Backward(list) {
			if n := sizeOf(v.dims[d]); n > 1 {
				dims[d] = []factor{{axis(a), n, shape[a]}}
				shape[a] *= n
			}
		}
		for _, d := range list {
			for k := range v.dims[d] {
				perm = append(perm, slices.IndexFunc(digits, func(g digit) bool { return g.dim == d && g.k == k }))
			}
		}
	}
	if len(perm) != len(digits) {
		return view{}, fmt.Errorf("shape %v cannot be arranged", v.shape())
	}
	if index := onChannels(digits, perm); index != nil && shape == v.n.shape {
		if err := c.im.budget.take(len(index), 24); err != nil {
			return view{}, err
		}
		n, err := c.node(gather{axisC, index}, shape, v.n)
		if err != nil {
			return view{}, err
		}
		return view{n, dims}, nil
	}
	do := merged(digits, perm)
	if len(do.dims) > format.MaxDims {
		return view{}, fmt.Errorf("a transposition of %v by %v has more than %d dimensions", do.dims, do.perm, format.MaxDims)
	}
	if len(do.dims) <= 1 && shape == v.n.shape {
		return view{v.n, dims}, nil
	}
	n, err := c.node(do, shape, v.n)
	if err != nil {
		return view{}, err
	}
	return view{n, dims}, nil
}

// onChannels is the selection of channels that a permutation of digits amounts to; nil if it is none, or if it moves more.
func onChannels(digits []digit, perm []int) []int {
	if isRamp(perm) {
		return nil
	}
	var order []factor
	for i, p := range perm {
		switch {
		case digits[p].axis == axisC:
			order = append(order, digits[p].factor)
		case p != i:
			return nil
		}
	}
	index := make([]int, sizeOf(order))
	for i := range index {
		index[i] = offset(order, i, axisC)
	}
	return index
}

// merged is the permute of the digits, with digits that stay neighbours made one.
func merged(digits []digit, perm []int) permute {
	type run struct{ first, size int }
	var runs []run
	for i, p := range perm {
		if i > 0 && p == perm[i-1]+1 {
			runs[len(runs)-1].size *= digits[p].size
			continue
		}
		runs = append(runs, run{p, digits[p].size})
	}
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b run) int { return cmp.Compare(a.first, b.first) })
	do := permute{}
	for _, r := range sorted {
		do.dims = append(do.dims, r.size)
	}
	for _, r := range runs {
		do.perm = append(do.perm, slices.Index(sorted, r))
	}
	if len(do.dims) == 0 {
		return permute{[]int{1}, []int{0}}
	}
	return do
}

// canonical moves the data so that dimension 1 of N,C,... is the channels, the last one the width and those between the
// height.
func (c *call) canonical(v view) (view, error) {
	axes := [3][]int{}
	for d := range v.dims {
		a := axisH
		switch {
		case d == 1 || len(v.dims) == 1:
			a = axisC
		case d == len(v.dims)-1 && d > 1:
			a = axisW
		}
		axes[a] = append(axes[a], d)
	}
	return c.arranged(v, axes)
}

// alone moves the data so that dimension d is the channels and all others are the height.
func (c *call) alone(v view, d int) (view, error) {
	axes := [3][]int{axisC: {d}}
	for k := range v.dims {
		if k != d {
			axes[axisH] = append(axes[axisH], k)
		}
	}
	return c.arranged(v, axes)
}

// selected keeps the listed positions of dimension d, in that order; positions may repeat.
func (c *call) selected(v view, d int, list []int) (view, error) {
	size := sizeOf(v.dims[d])
	if len(list) == 0 {
		return view{}, fmt.Errorf("its result is empty")
	}
	if isRamp(list) && len(list) == size {
		return v, nil
	}
	if size == 1 {
		return c.repeated(v, d, len(list))
	}
	a := v.dims[d][0].axis
	if slices.ContainsFunc(v.dims[d], func(f factor) bool { return f.axis != a }) {
		var err error
		if v, err = c.alone(v, d); err != nil {
			return view{}, err
		}
		a = axisC
	}
	// Dimension d becomes the outer part of its axis, other dimensions on the same axis the inner part.
	var others []digit
	inner := 1
	for _, g := range v.digits() {
		if g.axis == a && g.dim != d {
			others = append(others, g)
			inner *= g.size
		}
	}
	if len(list) > format.MaxDim/inner {
		return view{}, fmt.Errorf("its result is too large")
	}
	if err := c.im.budget.take(len(list)*inner, 24); err != nil {
		return view{}, err
	}
	rest := make([]factor, len(others))
	for k, g := range others {
		rest[k] = g.factor
	}
	index := make([]int, 0, len(list)*inner)
	for _, i := range list {
		at := offset(v.dims[d], i, a)
		for k := range inner {
			index = append(index, at+offset(rest, k, a))
		}
	}
	shape, dims := v.n.shape, slices.Clone(v.dims)
	shape[a] = len(index)
	dims[d] = nil
	if len(list) > 1 {
		dims[d] = []factor{{a, len(list), inner}}
	}
	for _, g := range others {
		inner /= g.size
		dims[g.dim] = slices.Clone(dims[g.dim])
		dims[g.dim][g.k].stride = inner
	}
	n, err := c.node(gather{a, index}, shape, v.n)
	if err != nil {
		return view{}, err
	}
	for i := range dims {
		dims[i] = join(dims[i])
	}
	return view{n, dims}, nil
}

// repeated repeats dimension d, which has one element.
func (c *call) repeated(v view, d, times int) (view, error) {
	prefer := axisC
	if len(v.dims) == 4 && d >= 2 {
		prefer = axis(d - 2)
	}
	at, err := v.place([]int{d}, []axis{prefer})
	if err != nil {
		return view{}, err
	}
	shape, dims := v.n.shape, slices.Clone(v.dims)
	if times > format.MaxDim {
		return view{}, fmt.Errorf("its result is too large")
	}
	shape[at[0]], dims[d] = times, []factor{{at[0], times, 1}}
	n, err := c.node(expand{}, shape, v.n)
	if err != nil {
		return view{}, err
	}
	return view{n, dims}, nil
}

// isRamp says whether a list is 0, 1, 2, ...
func isRamp(list []int) bool {
	for i, k := range list {
		if i != k {
			return false
		}
	}
	return true
}
