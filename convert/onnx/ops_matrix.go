package onnx

import "slices"

func gemm(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	w, err := c.constant(1, "weight")
	if err != nil {
		return nil, err
	}
	if len(v.dims) != 2 {
		return fail("its input has shape %v, expected two dimensions", v.shape())
	}
	if c.int("transA", 0) != 0 {
		v = v.transpose([]int{1, 0})
	}
	out, err := c.matrix(v, w, c.int("transB", 0) != 0)
	if err != nil {
		return nil, err
	}
	n := out[0].v.n
	o := n.shape[axisC]
	alpha, beta := c.float("alpha", 1), c.float("beta", 1)
	post := affine{[]float64{alpha}, []float64{0}}
	if c.has(2) && beta != 0 {
		t, err := c.constant(2, "bias")
		if err != nil {
			return nil, err
		}
		if t.elems != 1 && (t.elems != o || len(t.shape) == 0 || t.shape[len(t.shape)-1] != o) {
			return fail("its bias has shape %v, expected %d numbers", t.shape, o)
		}
		bias, err := c.vector(2, t.elems, "bias")
		if err != nil {
			return nil, err
		}
		for i := range bias {
			bias[i] *= beta
		}
		post = affine{slices.Repeat([]float64{alpha}, len(bias)), bias}
	}
	switch do := n.do.(type) {
	case *linear:
		do.post = do.post.then(post)
	case *conv:
		do.post = do.post.then(post)
	}
	return out, nil
}

// matMul takes vectors as matrices of one row or column, which the result then does not have.
func matMul(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	w, err := c.constant(1, "right operand")
	if err != nil {
		return nil, err
	}
	row, column := len(v.dims) == 1, len(w.shape) == 1
	if row {
		v = view{v.n, [][]factor{nil, v.dims[0]}}
	}
	if column {
		w = reshaped(w, []int{w.elems, 1})
	}
	out, err := c.matrix(v, w, false)
	if err != nil {
		return nil, err
	}
	y := &out[0].v
	if column {
		y.dims = y.dims[:len(y.dims)-1]
	}
	if row {
		y.dims = y.dims[1:]
	}
	return out, nil
}

// matrix multiplies the last dimension of v by w (in,out), or (out,in) if transposed: a fully connected layer if it is the
// whole activation, a 1x1 convolution if it is the channels.
func (c *call) matrix(v view, w *tensor, transposed bool) ([]value, error) {
	if len(w.shape) != 2 || len(v.dims) < 2 || !w.isFloat() {
		return fail("a product of shapes %v and %v is not supported", v.shape(), w.shape)
	}
	if err := w.checkSize(); err != nil {
		return nil, err
	}
	in, out := w.shape[0], w.shape[1]
	if transposed {
		in, out = out, in
	}
	outer := 1 // the dimension of w that runs over the results
	if transposed {
		outer = 0
	}
	w, scale, err := c.unscaled(w, outer, out)
	if err != nil {
		return nil, err
	}
	last := len(v.dims) - 1
	k := v.dims[last]
	if sizeOf(k) != in || out < 1 {
		return fail("its weight of shape %v does not fit an input of shape %v", w.shape, v.shape())
	}
	single := !slices.ContainsFunc(v.dims[:last], func(d []factor) bool { return len(d) > 0 })
	a, whole := v.axis(last)
	shape := v.n.shape
	var do any
	switch {
	case single:
		do = &linear{out: out, in: in, post: biasOf(nil, scale), clip: noClip,
			weights: func() ([]float32, error) { return columns(w, transposed, chwOrder(v.n, k)) }}
		shape = [3]int{1, 1, out}
	case whole && a == axisC || len(k) == 0 && shape[axisC] == 1:
		do = &conv{oihw: [4]int{out, in, 1, 1}, groups: 1, post: biasOf(nil, scale), clip: noClip,
			weights: func() ([]float32, error) { return columns(w, transposed, nil) }}
		shape[axisC] = out
	default:
		moved, err := c.alone(v, last)
		if err != nil {
			return nil, err
		}
		return c.matrix(moved, w, transposed)
	}
	n, err := c.node(do, shape, v.n)
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(v.dims)
	dims[last] = nil
	if out > 1 {
		dims[last] = []factor{{axisC, out, 1}}
	}
	return one(view{n, dims})
}

// chwOrder gives, for each element of n in the order C,H,W, its index in a dimension that covers all of n; nil if that is
// the same.
func chwOrder(n *node, dim []factor) []int {
	h, w, ch := n.shape[axisH], n.shape[axisW], n.shape[axisC]
	order, same := make([]int, h*w*ch), true
	for i := range order {
		p := (offset(dim, i, axisC)*h+offset(dim, i, axisH))*w + offset(dim, i, axisW)
		order[p] = i
		same = same && p == i
	}
	if same {
		return nil
	}
	return order
}

// columns returns a matrix as (out,in), with its columns in the given order.
func columns(t *tensor, transposed bool, order []int) ([]float32, error) {
	src, err := t.float32s()
	if err != nil || transposed && order == nil {
		return src, err
	}
	in, out := t.shape[0], t.shape[1]
	rowStep, colStep := 1, out
	if transposed {
		in, out = out, in
		rowStep, colStep = in, 1
	}
	dst := make([]float32, len(src))
	for o := range out {
		for i := range in {
			k := i
			if order != nil {
				k = order[i]
			}
			dst[o*in+i] = src[o*rowStep+k*colStep]
		}
	}
	return dst, nil
}
