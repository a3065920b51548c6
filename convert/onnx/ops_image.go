package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// pooling adds a pooling node; do gets the window in the order height, width.
func (c *call) pooling(do func(build.PoolWin) any) ([]value, error) {
	s, err := c.spatial(0)
	if err != nil {
		return nil, err
	}
	if s.onC >= 0 {
		return fail("it runs along the channels, which is not supported")
	}
	w, err := c.window(s.size, nil)
	if err != nil {
		return nil, err
	}
	ones := slices.Repeat([]int{1}, len(s.axes))
	if slices.Equal(w.kernel, ones) && slices.Equal(w.stride, ones) && slices.Max(w.near) == 0 && slices.Max(w.far) == 0 {
		return one(s.v)
	}
	ceil := c.int("ceil_mode", 0) != 0
	if a := c.str("auto_pad", "NOTSET"); a == "SAME_UPPER" || a == "SAME_LOWER" {
		ceil = false // the padding is exact
	}
	shape := s.v.n.shape
	for i, a := range s.axes {
		shape[a] = w.out(i, s.size[i], ceil)
	}
	win := build.PoolWin{Kernel: s.onImage(w.kernel, 1), Stride: s.onImage(w.stride, 1),
		Dilation: s.onImage(w.dilation, 1), Pad: s.pads(w), CeilMode: ceil}
	n, err := c.node(do(win), shape, s.v.n)
	if err != nil {
		return nil, err
	}
	return s.result(n), nil
}

// poolShape is the shape of x after a pooling.
func poolShape(x *node, w build.PoolWin) [3]int {
	win := window{w.Kernel[:], w.Stride[:], w.Dilation[:], w.Pad[:2], w.Pad[2:]}
	return [3]int{win.out(0, x.shape[0], w.CeilMode), win.out(1, x.shape[1], w.CeilMode), x.shape[2]}
}

func maxPooling(c *call) ([]value, error) {
	if len(c.n.out) > 1 && c.n.out[1] != "" {
		return fail("its indices (second output) are not supported")
	}
	return c.pooling(func(w build.PoolWin) any { return maxPool{w} })
}

// averagePooling over a whole axis is a mean, so that patterns need to know one form only.
func averagePooling(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	return c.pooling(func(w build.PoolWin) any {
		m, s := mean{}, v.n.shape
		if w.Dilation != [2]int{1, 1} && c.err == nil {
			c.err = fmt.Errorf("dilations %v are supported for maximum pooling only", w.Dilation)
		}
		for d := range 2 {
			if w.Kernel[d] == s[d] {
				m.over[d] = s[d] > 1
			} else if w.Kernel[d] != 1 || w.Stride[d] != 1 {
				return avgPool{w, c.int("count_include_pad", 0) != 0}
			}
		}
		if w.Pad != [4]int{} || m.over == [3]bool{} {
			return avgPool{w, c.int("count_include_pad", 0) != 0}
		}
		return m
	})
}

// means reduces dimensions of v to their mean.
func (c *call) means(v view, reduce []bool, keep bool) ([]value, error) {
	var covered [3]int
	for d, yes := range reduce {
		if !yes {
			continue
		}
		for _, f := range v.dims[d] {
			if covered[f.axis] == 0 {
				covered[f.axis] = 1
			}
			covered[f.axis] *= f.size
		}
	}
	do, shape := mean{}, v.n.shape
	for a, n := range covered {
		if n == 0 {
			continue
		}
		if axis(a) == axisC || n != shape[a] {
			return fail("a mean of shape %v over the channels, or a part of them, is not supported", v.shape())
		}
		do.over[a], shape[a] = true, 1
	}
	n := v.n
	if do.over != [3]bool{} {
		var err error
		if n, err = c.node(do, shape, v.n); err != nil {
			return nil, err
		}
	}
	out := view{n: n}
	for d, yes := range reduce {
		switch {
		case !yes:
			out.dims = append(out.dims, v.dims[d])
		case keep:
			out.dims = append(out.dims, nil)
		}
	}
	return one(out)
}

func reduceMean(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	axes, err := c.list("axes", 1)
	if err != nil {
		return nil, err
	}
	reduce, err := axisSet(axes, len(v.dims))
	if err != nil {
		return nil, err
	}
	if len(axes) == 0 {
		if c.int("noop_with_empty_axes", 0) != 0 {
			return one(v)
		}
		for d := range reduce {
			reduce[d] = true
		}
	}
	return c.means(v, reduce, c.int("keepdims", 1) != 0)
}

func globalAverage(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	reduce := make([]bool, len(v.dims))
	for d := 2; d < len(reduce); d++ {
		reduce[d] = true
	}
	return c.means(v, reduce, true)
}

func globalMax(c *call) ([]value, error) {
	s, err := c.spatial(0)
	if err != nil {
		return nil, err
	}
	if s.onC >= 0 {
		return fail("it runs along the channels, which is not supported")
	}
	shape := s.v.n.shape
	win := build.PoolWin{Kernel: [2]int{shape[0], shape[1]}, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}}
	shape[axisH], shape[axisW] = 1, 1
	n, err := c.node(maxPool{win}, shape, s.v.n)
	if err != nil {
		return nil, err
	}
	return s.result(n), nil
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
	first := vs[0]
	d, err := normAxis(int64(c.int("axis", 1)), len(first.dims))
	if err != nil {
		return nil, err
	}
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
		return nil, err
	}
	a, shape := at[0], first.n.shape
	shape[a] = 0
	var in []*node
	for _, v := range vs {
		if len(v.dims) != len(first.dims) {
			return fail("shapes %v and %v differ in rank", first.shape(), v.shape())
		}
		for k := range v.dims {
			if k != d && !slices.Equal(v.dims[k], first.dims[k]) {
				return fail("shapes %v and %v differ outside axis %d, or lie differently in memory", first.shape(), v.shape(), d)
			}
		}
		if got, ok := v.axis(d); len(v.dims[d]) > 0 && (!ok || got != a) {
			return fail("dimension %d of %v is not an axis of the activation; flattened activations cannot be joined", d, v.shape())
		}
		in = append(in, v.n)
		shape[a] += v.n.shape[a]
	}
	n, err := c.node(concat{a}, shape, in...)
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(first.dims)
	dims[d] = whole(n, a)
	return one(view{n, dims})
}

func padding(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	if m := c.str("mode", "constant"); m != "constant" {
		return fail("padding mode %q; only constant is supported", m)
	}
	pads, err := c.list("pads", 1)
	if err != nil {
		return nil, err
	}
	val, err := c.scalar("value", 2, 0)
	if err != nil {
		return nil, err
	}
	axes, err := c.list("axes", 3)
	if err != nil {
		return nil, err
	}
	rank := len(v.dims)
	if axes == nil {
		for d := range rank {
			axes = append(axes, int64(d))
		}
	}
	if len(pads) != 2*len(axes) {
		return fail("it has %d paddings for %d dimensions", len(pads), len(axes))
	}
	if _, err := axisSet(axes, rank); err != nil {
		return nil, err
	}
	do, shape, dims := pad{value: float32(val)}, v.n.shape, slices.Clone(v.dims)
	var padded []int
	for i, a := range axes {
		d, _ := normAxis(a, rank)
		near, far := pads[i], pads[i+len(axes)]
		if near == 0 && far == 0 {
			continue
		}
		prefer := axisC
		if rank == 4 && d >= 2 {
			prefer = axis(d - 2)
		}
		at, err := v.place([]int{d}, []axis{prefer})
		if err != nil {
			return nil, err
		}
		if at[0] == axisC || d < 1 || len(v.dims[d]) == 0 && rank != 4 {
			return fail("padding %v of %v: only height and width can be padded", pads, v.shape())
		}
		if near < 0 || far < 0 || near > format.MaxStride || far > format.MaxStride {
			return fail("padding %v is not within 0..%d", pads, format.MaxStride)
		}
		do.pad[at[0]], do.pad[at[0]+2] = int(near), int(far)
		shape[at[0]] += int(near + far)
		dims[d] = []factor{{at[0], shape[at[0]], 1}}
		padded = append(padded, d)
	}
	if len(padded) == 0 {
		return one(v)
	}
	n, err := c.node(do, shape, v.n)
	if err != nil {
		return nil, err
	}
	return one(view{n, dims})
}

// softmaxRule: up to opset 12 all dimensions from the axis on are one.
func softmaxRule(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	def := -1
	if c.im.opset < 13 {
		def = 1
	}
	d, err := normAxis(int64(c.int("axis", def)), len(v.dims))
	if err != nil {
		return nil, err
	}
	along := v.dims[d]
	if c.im.opset < 13 {
		along = join(slices.Concat(v.dims[d:]...))
	}
	ch := v.n.shape[axisC]
	if !slices.Equal(along, whole(v.n, axisC)) {
		return fail("softmax over dimension %d of %v is not one over the %d channels", d, v.shape(), ch)
	}
	return c.elementwiseNode(softmax{}, v)
}

func resizeRule(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(v.dims, imageView(v.n).dims, slices.Equal) {
		return fail("its input of shape %v is not N,C,H,W", v.shape())
	}
	out, scale, err := c.resizeTarget(v.shape())
	if err != nil {
		return nil, err
	}
	if out[0] != 1 || out[1] != v.shape()[1] {
		return fail("a resize from %v to %v changes more than height and width", v.shape(), out)
	}
	mode := c.str("mode", "nearest")
	coord, nearest := c.str("coordinate_transformation_mode", "half_pixel"), c.str("nearest_mode", "round_prefer_floor")
	if c.im.opset < 11 || c.n.op == "Upsample" {
		coord, nearest = "asymmetric", "floor"
	}
	if c.int("antialias", 0) != 0 {
		return fail("antialiasing is not supported")
	}
	if out[2] == v.shape()[2] && out[3] == v.shape()[3] && coord != "tf_crop_and_resize" {
		return one(v)
	}
	do := resize{mode: format.ModeNearest}
	switch mode {
	case "nearest":
		for d := 2; d < 4; d++ {
			if err := sameNearest(v.shape()[d], out[d], scale[d], coord, nearest); err != nil {
				return nil, err
			}
		}
	case "linear", "bilinear":
		do.mode, do.alignCorners = format.ModeBilinear, coord == "align_corners"
		exact := math.Abs(scale[2]*float64(v.shape()[2])-float64(out[2])) < 1e-3 && math.Abs(scale[3]*float64(v.shape()[3])-float64(out[3])) < 1e-3
		switch {
		case coord == "half_pixel", coord == "pytorch_half_pixel" && out[2] > 1 && out[3] > 1:
			if !exact {
				return fail("a scale of %v and %v does not give whole sizes; export it with sizes instead", scale[2], scale[3])
			}
		case coord == "align_corners":
		default:
			return fail("coordinates %q in mode %q are not supported", coord, mode)
		}
	default:
		return fail("mode %q is not supported", mode)
	}
	n, err := c.node(do, [3]int{out[2], out[3], v.n.shape[axisC]}, v.n)
	if err != nil {
		return nil, err
	}
	return one(imageView(n))
}

// resizeTarget reads the scales or sizes, which have stood in three places.
func (c *call) resizeTarget(in []int) (out [4]int, scale [4]float64, err error) {
	copy(out[:], in)
	scale = [4]float64{1, 1, 1, 1}
	if r := c.str("keep_aspect_ratio_policy", "stretch"); r != "stretch" {
		return out, scale, fmt.Errorf("keep_aspect_ratio_policy %q is not supported", r)
	}
	axes := c.ints("axes")
	if axes == nil {
		axes = []int64{0, 1, 2, 3}
	}
	if _, err := axisSet(axes, 4); err != nil {
		return out, scale, err
	}
	sizes, scales := 3, 2
	if c.im.opset < 11 || c.n.op == "Upsample" {
		sizes, scales = -1, 1
	}
	if sizes > 0 && c.has(sizes) {
		v, err := c.list("", sizes)
		if err != nil || len(v) != len(axes) {
			return out, scale, fmt.Errorf("its sizes are not %d constant numbers", len(axes))
		}
		for i, a := range axes {
			d, _ := normAxis(a, 4)
			if v[i] < 1 || v[i] > format.MaxDim {
				return out, scale, fmt.Errorf("it has sizes %v", v)
			}
			out[d], scale[d] = int(v[i]), float64(v[i])/float64(in[d])
		}
		return out, scale, nil
	}
	var f []float32
	if a := c.attr("scales"); a != nil {
		f = a.floats
	} else if c.has(scales) {
		t, err := c.constant(scales, "scales")
		if err != nil {
			return out, scale, err
		}
		if t.elems > 4 {
			return out, scale, fmt.Errorf("it has %d scales", t.elems)
		}
		if f, err = t.float32s(); err != nil {
			return out, scale, err
		}
	}
	if len(f) != len(axes) {
		return out, scale, fmt.Errorf("it has %d scales for %d dimensions", len(f), len(axes))
	}
	for i, a := range axes {
		d, _ := normAxis(a, 4)
		if !(f[i] > 0 && f[i] <= format.MaxImageSide) {
			return out, scale, fmt.Errorf("it has scales %v", f)
		}
		scale[d] = float64(f[i])
		out[d] = int(math.Floor(float64(in[d]) * scale[d]))
		if out[d] > format.MaxDim {
			return out, scale, fmt.Errorf("it makes a dimension of %d", out[d])
		}
	}
	return out, scale, nil
}

// sameNearest says whether a rule of ONNX's many picks the pixels that the runtime picks, floor(i*in/out).
func sameNearest(in, out int, scale float64, coord, rounding string) error {
	if out < 1 || out > format.MaxImageSide {
		return fmt.Errorf("a size of %d is not within 1..%d", out, format.MaxImageSide)
	}
	for i := range out {
		x := float64(i)
		switch coord {
		case "asymmetric":
			x /= scale
		case "half_pixel":
			x = (x+0.5)/scale - 0.5
		case "pytorch_half_pixel":
			if x = (x+0.5)/scale - 0.5; out == 1 {
				x = 0
			}
		case "align_corners":
			if x = x * float64(in-1) / float64(max(out-1, 1)); out == 1 {
				x = 0
			}
		default:
			return fmt.Errorf("coordinates %q are not supported", coord)
		}
		switch rounding {
		case "floor":
			x = math.Floor(x)
		case "ceil":
			x = math.Ceil(x)
		case "round_prefer_floor":
			x = math.Ceil(x - 0.5)
		case "round_prefer_ceil":
			x = math.Floor(x + 0.5)
		default:
			return fmt.Errorf("nearest_mode %q is not supported", rounding)
		}
		if k := min(max(int(x), 0), in-1); k != i*in/out {
			return fmt.Errorf("nearest with coordinates %q and rounding %q picks pixel %d of %d for pixel %d of %d; only floor(i*in/out) is supported", coord, rounding, k, in, i, out)
		}
	}
	return nil
}
