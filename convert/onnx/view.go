package onnx

import (
	"fmt"
	"slices"
)

// axis is a dimension of an activation in memory, in the order of shapes (height, width, channels).
type axis int

const (
	axisH axis = iota
	axisW
	axisC
)

func (a axis) String() string { return [...]string{"height", "width", "channels"}[a] }

// A factor is a part of an axis: a coordinate i of 0..size-1 that adds i*stride to the position along the axis.
type factor struct {
	axis         axis
	size, stride int
}

// A view is how an ONNX value, of any rank, lies in an activation: dimension d of the value runs over the factors dims[d],
// the last one fastest. Dimensions of size 1 have no factors. Together the factors cover the activation, each element
// once, so that Reshape, Transpose, Squeeze and Unsqueeze change the view and leave the activation alone.
//
// A value N,C,H,W is [], [C], [H], [W]; flattened to N,C*H*W it is [], [C H W]; the two halves of a channel shuffle are
// [], [C/2 outer], [2 of C], [H], [W].
type view struct {
	n    *node
	dims [][]factor
}

// whole is an axis of n as one dimension.
func whole(n *node, a axis) []factor {
	if n.shape[a] == 1 {
		return nil
	}
	return []factor{{a, n.shape[a], 1}}
}

// imageView is n as N,C,H,W.
func imageView(n *node) view {
	return view{n, [][]factor{nil, whole(n, axisC), whole(n, axisH), whole(n, axisW)}}
}

// offset is the position along axis a of index i of a dimension.
func offset(dim []factor, i int, a axis) int {
	p := 0
	for _, f := range slices.Backward(dim) {
		if f.axis == a {
			p += i % f.size * f.stride
		}
		i /= f.size
	}
	return p
}

func sizeOf(dim []factor) int {
	s := 1
	for _, f := range dim {
		s *= f.size
	}
	return s
}

func (v view) shape() []int {
	s := make([]int, len(v.dims))
	for i, d := range v.dims {
		s[i] = sizeOf(d)
	}
	return s
}

// on is the same view of another activation, one of the same shape.
func (v view) on(n *node) view { return view{n, v.dims} }

// axis returns the axis that dimension d is the whole of; ok is false if it has size 1 or is something else.
func (v view) axis(d int) (a axis, ok bool) {
	if len(v.dims[d]) != 1 {
		return 0, false
	}
	f := v.dims[d][0]
	return f.axis, f.stride == 1 && f.size == v.n.shape[f.axis]
}

// reshape distributes the factors over new dimensions, in order.
func (v view) reshape(shape []int) (view, error) {
	var rest []factor
	for _, d := range v.dims {
		rest = append(rest, d...)
	}
	out := view{v.n, make([][]factor, len(shape))}
	for i, want := range shape {
		var dim []factor
		for want > 1 {
			if len(rest) == 0 {
				return view{}, fmt.Errorf("shape %v cannot be reshaped to %v: the number of elements differs", v.shape(), shape)
			}
			f := rest[0]
			switch {
			case want%f.size == 0:
				dim, rest = append(dim, f), rest[1:]
				want /= f.size
			case f.size%want == 0: // the outer part of an axis; the inner part is left
				inner := f.size / want
				dim = append(dim, factor{f.axis, want, f.stride * inner})
				rest[0] = factor{f.axis, inner, f.stride}
				want = 1
			default:
				return view{}, fmt.Errorf("shape %v cannot be reshaped to %v without mixing axes", v.shape(), shape)
			}
		}
		out.dims[i] = join(dim)
	}
	if len(rest) > 0 {
		return view{}, fmt.Errorf("shape %v cannot be reshaped to %v: the number of elements differs", v.shape(), shape)
	}
	return out, nil
}

// join merges neighbouring factors that are one run of an axis.
func join(dim []factor) []factor {
	var out []factor
	for _, f := range dim {
		if k := len(out) - 1; k >= 0 && out[k].axis == f.axis && out[k].stride == f.stride*f.size {
			out[k] = factor{f.axis, out[k].size * f.size, f.stride}
			continue
		}
		out = append(out, f)
	}
	return out
}

func (v view) transpose(perm []int) view {
	out := view{v.n, make([][]factor, len(perm))}
	for i, p := range perm {
		out.dims[i] = v.dims[p]
	}
	return out
}

// place finds the axes of some dimensions of v: each must be a whole axis or have size 1, in which case it gets its
// preferred axis if that is free, or else any free one.
func (v view) place(dims []int, prefer []axis) ([]axis, error) {
	var used [3]bool
	for _, d := range v.dims {
		for _, f := range d {
			used[f.axis] = true
		}
	}
	out, done := make([]axis, len(dims)), make([]bool, len(dims))
	for i, d := range dims {
		if len(v.dims[d]) == 0 {
			continue
		}
		a, ok := v.axis(d)
		if !ok {
			return nil, fmt.Errorf("dimension %d of %v is not one axis of the activation: a reshape or transpose rearranges its data", d, v.shape())
		}
		out[i], done[i] = a, true
	}
	for i, a := range prefer {
		if !done[i] && !used[a] {
			out[i], done[i], used[a] = a, true, true
		}
	}
	for i := range out {
		if done[i] {
			continue
		}
		k := slices.Index(used[:], false)
		if k < 0 {
			return nil, fmt.Errorf("%v has more dimensions than height, width and channels", v.shape())
		}
		out[i], used[k] = axis(k), true
	}
	return out, nil
}

// broadcast aligns two values as ONNX does, from the last dimension back, and returns the dimensions of the result and
// its shape in memory.
func broadcast(a, b view) ([][]factor, [3]int, error) {
	rank := max(len(a.dims), len(b.dims))
	pad := func(v view) [][]factor {
		return append(make([][]factor, rank-len(v.dims), rank), v.dims...)
	}
	da, db := pad(a), pad(b)
	var shape, cover [3]int
	for k := range shape {
		shape[k], cover[k] = max(a.n.shape[k], b.n.shape[k]), 1
	}
	for i := range da {
		if len(da[i]) == 0 {
			da[i] = db[i]
		} else if len(db[i]) != 0 && !slices.Equal(da[i], db[i]) {
			if sizeOf(da[i]) != sizeOf(db[i]) {
				return nil, shape, fmt.Errorf("shapes %v and %v cannot be broadcast", a.shape(), b.shape())
			}
			return nil, shape, fmt.Errorf("its inputs lie differently in memory (dimension %d of %v): a transpose that does not cancel is not supported", i, a.shape())
		}
		for _, f := range da[i] {
			cover[f.axis] *= f.size
		}
	}
	for k := range shape {
		if cover[k] != shape[k] {
			return nil, shape, fmt.Errorf("its inputs of shapes %v and %v use %v for different dimensions", a.shape(), b.shape(), axis(k))
		}
	}
	return da, shape, nil
}
