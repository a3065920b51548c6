package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// window is the geometry of a convolution or pooling over one or two dimensions, in ONNX's order of dimensions.
type window struct {
	kernel, stride, dilation, near, far []int
}

// window reads kernel_shape and its companions for a value whose spatial dimensions have the given sizes; kernel comes
// from the weights where the attribute is absent.
func (c *call) window(size, kernel []int) (w window, err error) {
	list := func(name string, def []int, n int) []int {
		v := c.ints(name)
		if v == nil {
			return def
		}
		if len(v) != n && err == nil {
			err = fmt.Errorf("attribute %s has %d numbers, expected %d", name, len(v), n)
			return def
		}
		out := make([]int, len(v))
		for i, x := range v {
			if (x < 0 || x > math.MaxInt16) && err == nil {
				err = fmt.Errorf("attribute %s is %v", name, v)
			}
			out[i] = int(x)
		}
		return out
	}
	n := len(size)
	ones := slices.Repeat([]int{1}, n)
	w.kernel = list("kernel_shape", kernel, n)
	w.stride = list("strides", ones, n)
	w.dilation = list("dilations", ones, n)
	pads := list("pads", make([]int, 2*n), 2*n)
	if err != nil {
		return w, err
	}
	if len(w.kernel) != n {
		return w, errors.New("its kernel_shape is missing")
	}
	for i := range n {
		if w.kernel[i] < 1 || w.stride[i] < 1 || w.dilation[i] < 1 {
			return w, fmt.Errorf("kernel %v, strides %v and dilations %v must be positive", w.kernel, w.stride, w.dilation)
		}
	}
	w.near, w.far = pads[:n], pads[n:]
	auto := c.str("auto_pad", "NOTSET")
	switch auto {
	case "NOTSET", "":
	case "VALID":
		w.near, w.far = make([]int, n), make([]int, n)
	case "SAME_UPPER", "SAME_LOWER":
		w.near, w.far = make([]int, n), make([]int, n)
		for i := range n {
			out := (size[i] + w.stride[i] - 1) / w.stride[i]
			total := max((out-1)*w.stride[i]+(w.kernel[i]-1)*w.dilation[i]+1-size[i], 0)
			w.near[i] = total / 2
			if auto == "SAME_LOWER" {
				w.near[i] = total - total/2
			}
			w.far[i] = total - w.near[i]
		}
	default:
		return w, fmt.Errorf("auto_pad %q", auto)
	}
	return w, nil
}

// out is the size of dimension i after the window; 0 if nothing fits.
func (w window) out(i, size int, ceil bool) int {
	room := size + w.near[i] + w.far[i] - ((w.kernel[i]-1)*w.dilation[i] + 1)
	if room < 0 {
		return 0
	}
	n := room/w.stride[i] + 1
	if ceil && room%w.stride[i] != 0 && n*w.stride[i] < size+w.near[i] { // a window must start inside the image
		n++
	}
	return n
}

// spatial is a value N,C,d... with one or two spatial dimensions, each on an axis of the activation.
type spatial struct {
	v    view
	axes []axis // of the spatial dimensions
	size []int
	// onC is the spatial dimension that runs over the channels, -1 if none does; then the value has one "channel".
	onC int
}

func (c *call) spatial(i int) (s spatial, err error) {
	if s.v, err = c.view(i); err != nil {
		return s, err
	}
	rank := len(s.v.dims)
	if rank != 3 && rank != 4 {
		return s, fmt.Errorf("its input has shape %v; one or two dimensions behind N,C are supported", s.v.shape())
	}
	if len(s.v.dims[0]) != 0 {
		return s, fmt.Errorf("its input has shape %v, a batch of more than one", s.v.shape())
	}
	place := func() ([]axis, error) {
		return s.v.place([]int{1, 2, 3}[:rank-1], []axis{axisC, axisH, axisW}[:rank-1])
	}
	axes, err := place()
	if err != nil || axes[0] != axisC && !slices.Contains(axes[1:], axisC) {
		if s.v, err = c.canonical(s.v); err != nil {
			return s, err
		}
		if axes, err = place(); err != nil {
			return s, err
		}
	}
	s.axes, s.size, s.onC = axes[1:], s.v.shape()[2:], slices.Index(axes[1:], axisC)
	return s, nil
}

// image is spatial without a spatial dimension on the channels.
func (c *call) image(i int) (spatial, error) {
	s, err := c.spatial(i)
	if err != nil || s.onC < 0 {
		return s, err
	}
	v, err := c.canonical(s.v)
	if err != nil {
		return s, err
	}
	c.in[i] = &value{v: v}
	return c.spatial(i)
}

// onImage puts per-dimension numbers in the order height, width; an axis without a dimension gets def.
func (s spatial) onImage(v []int, def int) [2]int {
	out := [2]int{def, def}
	for i, a := range s.axes {
		out[a] = v[i]
	}
	return out
}

func (s spatial) pads(w window) [4]int {
	near, far := s.onImage(w.near, 0), s.onImage(w.far, 0)
	return [4]int{near[0], near[1], far[0], far[1]}
}

// result is the view of a node whose axes replace those of the input.
func (s spatial) result(n *node) []value {
	dims := [][]factor{nil, whole(n, axisC)}
	for _, a := range s.axes {
		dims = append(dims, whole(n, a))
	}
	return []value{{v: view{n, dims}}}
}

func convolution(c *call) ([]value, error) {
	s, err := c.spatial(0)
	if err != nil {
		return nil, err
	}
	w, err := c.constant(1, "weight")
	if err != nil {
		return nil, err
	}
	if len(w.shape) != len(s.v.dims) || !w.isFloat() {
		return fail("its weight of shape %v and %v does not fit an input of shape %v", w.shape, w.dtype, s.v.shape())
	}
	if err := w.checkSize(); err != nil {
		return nil, err
	}
	win, err := c.window(s.size, w.shape[2:])
	if err != nil {
		return nil, err
	}
	if !slices.Equal(win.kernel, w.shape[2:]) {
		return fail("its kernel_shape %v differs from its weight's, %v", win.kernel, w.shape[2:])
	}
	out, groups := w.shape[0], c.int("group", 1)
	if groups < 1 || out < 1 || out%groups != 0 || w.shape[1] < 1 || s.v.shape()[1] != w.shape[1]*groups {
		return fail("its weight of shape %v with %d groups does not fit an input of shape %v", w.shape, groups, s.v.shape())
	}
	bias, err := c.vector(2, out, "bias")
	if err != nil {
		return nil, err
	}
	if s.onC >= 0 {
		if c.alongChannels(s, w, win) {
			return c.convolutionOnC(s, w, win, bias)
		}
		if s, err = c.image(0); err != nil {
			return nil, err
		}
	}
	w, scale, err := c.unscaled(w, 0, out)
	if err != nil {
		return nil, err
	}
	do := &conv{
		oihw:   [4]int{out, w.shape[1], 1, 1},
		groups: groups, clip: noClip, post: biasOf(bias, scale),
		win: build.Win{Stride: s.onImage(win.stride, 1), Dilation: s.onImage(win.dilation, 1), Pad: s.pads(win)},
	}
	k := s.onImage(win.kernel, 1)
	do.oihw[2], do.oihw[3] = k[0], k[1]
	do.weights = w.float32s
	if len(s.axes) == 2 && s.axes[0] == axisW { // the kernel's rows run along the width
		do.weights = func() ([]float32, error) {
			return swapped(w, out*w.shape[1], k[0], k[1])
		}
	}
	shape := s.v.n.shape
	shape[axisC] = out
	for i, a := range s.axes {
		shape[a] = win.out(i, s.size[i], false)
	}
	n, err := c.node(do, shape, s.v.n)
	if err != nil {
		return nil, err
	}
	return s.result(n), nil
}

// swapped transposes n kernels from kw x kh to kh x kw.
func swapped(t *tensor, n, kh, kw int) ([]float32, error) {
	src, err := t.float32s()
	if err != nil {
		return nil, err
	}
	dst := make([]float32, len(src))
	for k := range n {
		a, b := src[k*kh*kw:], dst[k*kh*kw:]
		for y := range kh {
			for x := range kw {
				b[y*kw+x] = a[x*kh+y]
			}
		}
	}
	return dst, nil
}

// alongChannels says whether a convolution has one filter over one plane and is plain but for its extent along the channels.
func (c *call) alongChannels(s spatial, w *tensor, win window) bool {
	if w.shape[0] != 1 || w.shape[1] != 1 || len(s.v.dims[1]) != 0 {
		return false
	}
	for i := range win.kernel {
		plain := win.kernel[i] == 1 && win.near[i] == 0 && win.far[i] == 0
		if win.stride[i] != 1 || win.dilation[i] != 1 && win.kernel[i] != 1 || i != s.onC && !plain {
			return false
		}
	}
	return true
}

// convolutionOnC is a convolution of one channel to one whose only extent is the activation's channels.
func (c *call) convolutionOnC(s spatial, w *tensor, win window, bias []float64) ([]value, error) {
	k := s.onC
	w, scale, err := c.unscaled(w, 0, 1)
	if err != nil {
		return nil, err
	}
	do := &convC{weights: w.float32s, taps: win.kernel[k], pad: [2]int{win.near[k], win.far[k]}}
	shape := s.v.n.shape
	shape[axisC] = win.out(k, s.size[k], false)
	n, err := c.node(do, shape, s.v.n)
	if err == nil && (bias != nil || scale != nil) {
		n, err = c.node(biasOf(bias, scale), shape, n)
	}
	if err != nil {
		return nil, err
	}
	out := s.result(n)
	out[0].v.dims[1] = nil // the channels are a spatial dimension here
	return out, nil
}

// biasOf is what comes behind weights: a bias, and a scale that was taken off them; each may be nil.
func biasOf(bias, scale []float64) affine {
	switch {
	case bias == nil && scale == nil:
		return identity
	case bias == nil:
		bias = make([]float64, len(scale))
	case scale == nil:
		scale = slices.Repeat([]float64{1}, len(bias))
	}
	return affine{scale, bias}
}

func batchNormalization(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	if len(c.n.out) > 1 && c.n.out[1] != "" || c.int("training_mode", 0) != 0 {
		return fail("it is in training mode; export the model in inference mode")
	}
	if len(v.dims) < 2 {
		return fail("its input has shape %v, without channels", v.shape())
	}
	ch := sizeOf(v.dims[1])
	if a, whole := v.axis(1); ch != 1 && (!whole || a != axisC) {
		if v, err = c.canonical(v); err != nil {
			return nil, err
		}
	}
	var p [4][]float64
	for i, what := range []string{"scale", "bias", "mean", "variance"} {
		if p[i], err = c.vector(i+1, ch, what); err != nil {
			return nil, err
		}
		if p[i] == nil {
			return fail("its %s is missing", what)
		}
	}
	eps := c.float("epsilon", 1e-5)
	do := affine{make([]float64, ch), make([]float64, ch)}
	for i := range ch {
		if !(p[3][i]+eps > 0) {
			return fail("its variance of channel %d is %v", i, p[3][i])
		}
		do.scale[i] = p[0][i] / math.Sqrt(p[3][i]+eps)
		do.shift[i] = p[1][i] - p[2][i]*do.scale[i]
	}
	return c.elementwiseNode(do, v)
}
