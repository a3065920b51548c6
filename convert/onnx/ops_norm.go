package onnx

import (
	"math"
	"slices"
)

// minEpsilon is the least that a normalisation of this runtime adds to a variance.
const minEpsilon = 0x1p-60

// normalized adds a normalisation of whole groups of channels; post has one number for each channel.
func (c *call) normalized(v view, all bool, groups int, eps float64, post affine) ([]value, error) {
	if !(eps >= 0) {
		return fail("its epsilon is %v", eps)
	}
	return c.elementwiseNode(normalize{all, groups, max(eps, minEpsilon), post}, v)
}

// scaleAndShift reads constant inputs i and i+1 of n elements; an absent one is ones or zeros.
func (c *call) scaleAndShift(i, n int) (affine, error) {
	scale, err := c.vector(i, n, "scale")
	if err != nil {
		return affine{}, err
	}
	shift, err := c.vector(i+1, n, "bias")
	if err != nil {
		return affine{}, err
	}
	if scale == nil {
		scale = slices.Repeat([]float64{1}, n)
	}
	if shift == nil {
		shift = make([]float64, n)
	}
	return affine{scale, shift}, nil
}

// layerNormalization is over all dimensions from an axis on, which become the channels.
func layerNormalization(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	for _, o := range c.n.out[1:] {
		if o != "" {
			return fail("its mean and deviation (second and third output) are not supported")
		}
	}
	d, err := normAxis(int64(c.int("axis", -1)), len(v.dims))
	if err != nil {
		return nil, err
	}
	axes := [3][]int{axisH: ramp(0, 1, d), axisC: ramp(d, 1, len(v.dims)-d)}
	if !v.ordered(axes[axisC]) {
		if v, err = c.arranged(v, axes); err != nil {
			return nil, err
		}
	}
	post, err := c.scaleAndShift(1, v.n.shape[axisC])
	if err != nil {
		return nil, err
	}
	return c.normalized(v, false, 1, c.float("epsilon", 1e-5), post)
}

// instanceNormalization is over everything behind dimension 1, for each of its positions. Group normalisation is exported as
// one of a value whose dimension 1 is the groups.
func instanceNormalization(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	if len(v.dims) < 3 {
		return fail("its input has shape %v, expected N,C and more", v.shape())
	}
	n := sizeOf(v.dims[1])
	post, err := c.scaleAndShift(1, n)
	if err != nil {
		return nil, err
	}
	ch := v.n.shape[axisC]
	outer := n == 1 || len(v.dims[1]) == 1 && v.dims[1][0] == factor{axisC, n, ch / n}
	if !outer || len(v.dims[0]) > 0 {
		if v, err = c.canonical(v); err != nil {
			return nil, err
		}
		if ch = v.n.shape[axisC]; len(v.dims[0]) > 0 {
			return fail("its input has shape %v, a batch of more than one", v.shape())
		}
	}
	return c.normalized(v, true, n, c.float("epsilon", 1e-5), post.spread(ch/n))
}

// spread repeats each channel's numbers n times.
func (a affine) spread(n int) affine {
	out := affine{}
	for i := range a.scale {
		for range n {
			out.scale, out.shift = append(out.scale, a.scale[i]), append(out.shift, a.shift[i])
		}
	}
	return out
}

// groupNormalization has scale and bias of groups up to opset 20, of channels from 21 on.
func groupNormalization(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	groups := c.int("num_groups", 0)
	if len(v.dims) < 2 || groups < 1 || sizeOf(v.dims[1])%groups != 0 {
		return fail("%d groups of the channels of %v", groups, v.shape())
	}
	ch := sizeOf(v.dims[1])
	if a, whole := v.axis(1); ch == 1 || !whole || a != axisC {
		if v, err = c.canonical(v); err != nil {
			return nil, err
		}
	}
	n := ch
	if c.im.opset < 21 {
		n = groups
	}
	post, err := c.scaleAndShift(1, n)
	if err != nil {
		return nil, err
	}
	return c.normalized(v, true, groups, c.float("epsilon", 1e-5), post.spread(ch/n))
}

// meanVarianceNormalization is over N,H,W by default.
func meanVarianceNormalization(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	axes := c.ints("axes")
	if axes == nil {
		axes = []int64{0, 2, 3}
	}
	if len(v.dims) != 4 || !slices.Equal(axes, []int64{0, 2, 3}) && !slices.Equal(axes, []int64{2, 3}) {
		return fail("axes %v of a value of shape %v are not supported; height and width are", axes, v.shape())
	}
	if v, err = c.canonical(v); err != nil {
		return nil, err
	}
	ch := v.n.shape[axisC]
	return c.normalized(v, true, ch, 1e-18, identity.spread(ch))
}

// localResponse is x / (bias + alpha/size * sum of squares over size channels)^beta: the sum is a 1x1 convolution of the
// squares.
func localResponse(c *call) ([]value, error) {
	s, err := c.image(0)
	if err != nil {
		return nil, err
	}
	size, ch := c.int("size", 0), s.v.n.shape[axisC]
	alpha, beta, bias := c.float("alpha", 1e-4), c.float("beta", 0.75), c.float("bias", 1)
	if size < 1 || !(bias > 0) || !(alpha >= 0) || math.IsInf(alpha+bias+beta, 0) {
		return fail("size %d, alpha %v, beta %v and bias %v", size, alpha, beta, bias)
	}
	if err := c.im.budget.take(ch*ch, 4); err != nil {
		return nil, err
	}
	squares, err := c.join(mul{noClip}, s.v, s.v)
	if err != nil {
		return nil, err
	}
	window := &conv{oihw: [4]int{ch, ch, 1, 1}, groups: 1, clip: noClip, post: affine{[]float64{alpha / float64(size)}, []float64{bias}},
		weights: func() ([]float32, error) {
			w := make([]float32, ch*ch)
			for o := range ch {
				for i := max(0, o-(size-1)/2); i <= min(ch-1, o+size/2); i++ {
					w[o*ch+i] = 1
				}
			}
			return w, nil
		}}
	out, err := c.elementwiseNode(window, squares[0].v)
	if err != nil {
		return nil, err
	}
	if out, err = c.powerOf(out[0].v, -beta); err != nil {
		return nil, err
	}
	return c.join(mul{noClip}, s.v, out[0].v)
}
