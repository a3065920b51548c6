package onnx

import (
	"fmt"
	"math"
	"slices"
)

// strided makes a constant of the given shape whose element at index i is t's element offset + the sum of i[d]*strides[d].
func (c *call) strided(t *tensor, shape, strides []int, offset int) ([]value, error) {
	n, err := c.product(shape)
	if err != nil {
		return nil, err
	}
	at := make([]int, n)
	index := make([]int, len(shape))
	for i := range at {
		p := offset
		for d, k := range index {
			p += k * strides[d]
		}
		at[i] = p
		for d := len(index) - 1; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return pick(t, shape, at)
}

// pick makes a constant of the elements of t at the given positions.
func pick(t *tensor, shape, at []int) ([]value, error) {
	r := &tensor{dtype: t.dtype, shape: shape, elems: len(at)}
	if t.isFloat() {
		src, err := t.float32s()
		if err != nil {
			return nil, err
		}
		r.dtype, r.floats = tFloat, make([]float32, len(at))
		for i, p := range at {
			r.floats[i] = src[p]
		}
		return oneConst(r)
	}
	src, err := t.int64s()
	if err != nil {
		return nil, err
	}
	r.ints = make([]int64, len(at))
	for i, p := range at {
		r.ints[i] = src[p]
	}
	return oneConst(r)
}

// stridesOf are the row-major strides of a shape.
func stridesOf(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for d := len(shape) - 1; d >= 0; d-- {
		s[d] = n
		n *= shape[d]
	}
	return s
}

// perm returns the permutation of a Transpose.
func (c *call) perm(rank int) ([]int, error) {
	p := c.ints("perm")
	if p == nil {
		for d := rank - 1; d >= 0; d-- {
			p = append(p, int64(d))
		}
	}
	if len(p) != rank {
		return nil, fmt.Errorf("a permutation of %d dimensions for a value of %d", len(p), rank)
	}
	if _, err := axisSet(p, rank); err != nil {
		return nil, err
	}
	out := make([]int, rank)
	for i, a := range p {
		out[i], _ = normAxis(a, rank)
	}
	return out, nil
}

func foldTranspose(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	perm, err := c.perm(len(t.shape))
	if err != nil {
		return nil, err
	}
	from := stridesOf(t.shape)
	shape, strides := make([]int, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		shape[i], strides[i] = t.shape[p], from[p]
	}
	return c.strided(t, shape, strides, 0)
}

// broadcastShapes aligns shapes from the last dimension back.
func broadcastShapes(a, b []int) ([]int, error) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if k := i - len(out) + len(a); k >= 0 {
			x = a[k]
		}
		if k := i - len(out) + len(b); k >= 0 {
			y = b[k]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		default:
			return nil, fmt.Errorf("shapes %v and %v cannot be broadcast", a, b)
		}
	}
	return out, nil
}

// spread are the strides with which a value of a shape is read as if it had the broadcast shape.
func spread(shape, to []int) []int {
	s, from := make([]int, len(to)), stridesOf(shape)
	for i := range shape {
		if shape[i] != 1 {
			s[i+len(to)-len(shape)] = from[i]
		}
	}
	return s
}

func foldExpand(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	want, err := c.shapeInput(1)
	if err != nil {
		return nil, err
	}
	shape, err := broadcastShapes(t.shape, want)
	if err != nil {
		return nil, err
	}
	return c.strided(t, shape, spread(t.shape, shape), 0)
}

// sliceOf is one dimension of a Slice: first position, step, length.
type sliceOf struct{ start, step, n int }

// sliced resolves the arguments of a Slice for a value of the given shape.
func (c *call) sliced(shape []int) ([]sliceOf, error) {
	out := make([]sliceOf, len(shape))
	for d, s := range shape {
		out[d] = sliceOf{0, 1, s}
	}
	starts, err := c.list("starts", 1)
	if err != nil {
		return nil, err
	}
	ends, err := c.list("ends", 2)
	if err != nil {
		return nil, err
	}
	axes, err := c.list("axes", 3)
	if err != nil {
		return nil, err
	}
	steps, err := c.list("steps", 4)
	if err != nil {
		return nil, err
	}
	if len(ends) != len(starts) || axes != nil && len(axes) != len(starts) || steps != nil && len(steps) != len(starts) || len(starts) > len(shape) {
		return nil, fmt.Errorf("its starts, ends, axes and steps differ in number or exceed the %d dimensions", len(shape))
	}
	for i := range starts {
		d, step := i, int64(1)
		if axes != nil {
			if d, err = normAxis(axes[i], len(shape)); err != nil {
				return nil, err
			}
		}
		if steps != nil {
			step = steps[i]
		}
		size := int64(shape[d])
		if step == 0 || step > math.MaxInt32 || step < -math.MaxInt32 {
			return nil, fmt.Errorf("a step of %d", step)
		}
		from, to := starts[i], ends[i]
		if from < 0 {
			from = max(from, -size-1) + size
		}
		if to < 0 {
			to = max(to, -size-1) + size
		}
		n := int64(0)
		if step > 0 {
			from, to = min(max(from, 0), size), min(max(to, 0), size)
			n = (to - from + step - 1) / step
		} else {
			from, to = min(max(from, 0), size-1), min(max(to, -1), size-1)
			n = (from - to - step - 1) / -step
		}
		out[d] = sliceOf{int(from), int(step), int(max(n, 0))}
	}
	return out, nil
}

func foldSlice(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	parts, err := c.sliced(t.shape)
	if err != nil {
		return nil, err
	}
	shape, strides, offset := make([]int, len(parts)), stridesOf(t.shape), 0
	for d, p := range parts {
		shape[d] = p.n
		offset += p.start * strides[d]
		strides[d] *= p.step
	}
	return c.strided(t, shape, strides, offset)
}

func foldGather(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	it, err := c.constant(1, "indices")
	if err != nil {
		return nil, err
	}
	axis, err := normAxis(int64(c.int("axis", 0)), len(t.shape))
	if err != nil {
		return nil, err
	}
	indices, err := it.int64s()
	if err != nil {
		return nil, err
	}
	size := t.shape[axis]
	shape := slices.Concat(t.shape[:axis], it.shape, t.shape[axis+1:])
	n, err := c.product(shape)
	if err != nil {
		return nil, err
	}
	inner := 1
	for _, d := range t.shape[axis+1:] {
		inner *= d
	}
	at := make([]int, 0, n)
	for len(at) < n { // n is a multiple of len(indices)*inner
		outer := len(at) / (len(indices) * inner)
		for _, k := range indices {
			if k < -int64(size) || k >= int64(size) {
				return fail("index %d is outside dimension %d of %v", k, axis, t.shape)
			}
			if k < 0 {
				k += int64(size)
			}
			for i := range inner {
				at = append(at, (outer*size+int(k))*inner+i)
			}
		}
	}
	return pick(t, shape, at)
}

func foldConcat(c *call) ([]value, error) {
	if len(c.in) == 0 {
		return fail("it has no inputs")
	}
	var parts []*tensor
	for i := range c.in {
		t, err := c.constant(i, "input")
		if err != nil {
			return nil, err
		}
		if i > 0 && (t.isFloat() != parts[0].isFloat() || len(t.shape) != len(parts[0].shape)) {
			return fail("its inputs differ in type or rank")
		}
		parts = append(parts, t)
	}
	axis, err := normAxis(int64(c.int("axis", 0)), len(parts[0].shape))
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(parts[0].shape)
	for _, t := range parts[1:] {
		for d := range shape {
			if d != axis && t.shape[d] != shape[d] {
				return fail("shapes %v and %v differ outside axis %d", parts[0].shape, t.shape, axis)
			}
		}
		shape[axis] += t.shape[axis]
	}
	n, err := c.product(shape)
	if err != nil {
		return nil, err
	}
	outer := 1
	for _, d := range shape[:axis] {
		outer *= d
	}
	r := &tensor{dtype: parts[0].dtype, shape: shape, elems: n}
	if r.isFloat() {
		r.dtype = tFloat
		r.floats, err = joined(parts, outer, n, (*tensor).float32s)
	} else {
		r.ints, err = joined(parts, outer, n, (*tensor).int64s)
	}
	if err != nil {
		return nil, err
	}
	return oneConst(r)
}

// joined interleaves the parts of a concatenation, whose axis has outer rows in front of it.
func joined[T any](parts []*tensor, outer, n int, data func(*tensor) ([]T, error)) ([]T, error) {
	all := make([][]T, len(parts))
	for i, t := range parts {
		var err error
		if all[i], err = data(t); err != nil {
			return nil, err
		}
	}
	out := make([]T, 0, n)
	for o := range outer {
		for _, v := range all {
			k := len(v) / outer
			out = append(out, v[o*k:(o+1)*k]...)
		}
	}
	return out, nil
}

func foldRange(c *call) ([]value, error) {
	var a [3]float64
	float := false
	for i, what := range []string{"start", "limit", "delta"} {
		var err error
		if a[i], err = c.scalar("", i, 0); err != nil {
			return nil, err
		}
		if !c.has(i) {
			return fail("its %s is missing", what)
		}
		float = float || c.in[i].c.isFloat()
	}
	n := math.Ceil((a[1] - a[0]) / a[2])
	if !(n >= 0) {
		n = 0
	}
	if n > 1<<24 {
		return fail("a range of %v elements is too large", n)
	}
	if _, err := c.product([]int{int(n)}); err != nil {
		return nil, err
	}
	v, f := make([]int64, int(n)), make([]float32, int(n))
	for i := range v {
		x := a[0] + float64(i)*a[2]
		v[i], f[i] = int64(x), float32(x)
	}
	if float {
		return oneConst(newFloats([]int{len(f)}, f))
	}
	return oneConst(newInts([]int{len(v)}, v))
}

func foldReduceProd(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	v, err := t.int64s()
	if err != nil {
		return nil, err
	}
	if len(t.shape) > 1 {
		return fail("a product over some axes of a constant is not supported")
	}
	p := int64(1)
	for _, x := range v {
		p *= x
	}
	var shape []int
	if c.int("keepdims", 1) != 0 && len(t.shape) == 1 {
		shape = []int{1}
	}
	return oneConst(newInts(shape, []int64{p}))
}
