package onnx

import (
	"fmt"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// A transposed convolution with stride s writes position s*q+p of its result from taps p, p+s, p+2s, ... of the kernel: for
// each of the s*s phases p it is an ordinary convolution. All phases together are one convolution with s*s times the
// channels, whose channels are then moved into height and width.

// phase is one dimension of that.
type phase struct {
	stride, taps int // taps of the ordinary convolution
	kernel, dil  int
	near, far    int // its padding
	size         int // its result
	skip, out    int // of the result's stride*size positions, where the wanted ones begin and how many they are
}

func phaseOf(in, kernel, stride, dil, near, out int) (phase, error) {
	reach := (kernel-1)*dil + 1
	p := phase{stride: stride, kernel: kernel, dil: dil, taps: (reach + stride - 1) / stride, out: out}
	first := min(near/stride, p.taps-1) // positions of the result that the padding cuts off are not computed
	p.near, p.skip = p.taps-1-first, near-first*stride
	p.size = max((near+out+stride-1)/stride-first, 1)
	// The window over near+in+far positions gives size: near+in+far-(taps-1) = size.
	p.far = p.size - in - p.near + p.taps - 1
	if p.far < 0 {
		p.size -= p.far
		p.far = 0
	}
	if out < 1 || p.near > format.MaxStride || p.far > format.MaxStride || p.skip+out > p.size*stride {
		return p, fmt.Errorf("a kernel of %d, stride %d and padding %d on %d positions, with a result of %d", kernel, stride, near, in, out)
	}
	return p, nil
}

// tap is the tap of the kernel that tap m of phase p stands for, -1 for none.
func (p phase) tap(ph, m int) int {
	k := ph + p.stride*(p.taps-1-m)
	if k%p.dil != 0 || k/p.dil >= p.kernel {
		return -1
	}
	return k / p.dil
}

func convTranspose(c *call) ([]value, error) {
	s, err := c.image(0)
	if err != nil {
		return nil, err
	}
	w, err := c.constant(1, "weight")
	if err != nil {
		return nil, err
	}
	if len(s.axes) != 2 || len(w.shape) != 4 || !w.isFloat() {
		return fail("a weight of shape %v for an input of shape %v is not supported; two dimensions behind N,C are", w.shape, s.v.shape())
	}
	if s.axes[0] != axisH {
		if s.v, err = c.canonical(s.v); err != nil {
			return nil, err
		}
		s.axes = []axis{axisH, axisW}
	}
	if err := w.checkSize(); err != nil {
		return nil, err
	}
	groups, in := c.int("group", 1), s.v.n.shape[axisC]
	if groups < 1 || w.shape[0] != in || in%groups != 0 || slices.Min(w.shape) < 1 {
		return fail("its weight of shape %v with %d groups does not fit an input of shape %v", w.shape, groups, s.v.shape())
	}
	each := w.shape[1] // output channels of a group
	bias, err := c.vector(2, each*groups, "bias")
	if err != nil {
		return nil, err
	}
	ph, err := c.phases(s, w)
	if err != nil {
		return nil, err
	}
	sh, sw := ph[0].stride, ph[1].stride
	out := groups * sh * sw * each
	do := &conv{oihw: [4]int{out, in / groups, ph[0].taps, ph[1].taps}, groups: groups, clip: noClip, post: identity,
		win: build.Win{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Pad: [4]int{ph[0].near, ph[1].near, ph[0].far, ph[1].far}},
		weights: func() ([]float32, error) {
			return phaseWeights(w, groups, ph)
		}}
	if out > format.MaxDim {
		return fail("it needs %d channels", out)
	}
	if bias != nil {
		do.post = affine{[]float64{1}, nil}
		do.post = affine{slices.Repeat([]float64{1}, out), make([]float64, out)}
		for o := range do.post.shift {
			do.post.shift[o] = bias[o/(sh*sw*each)*each+o%each]
		}
	}
	n, err := c.node(do, [3]int{ph[0].size, ph[1].size, out}, s.v.n)
	if err != nil {
		return nil, err
	}
	if sh*sw > 1 {
		move := permute{[]int{ph[0].size, ph[1].size, groups, sh, sw, each}, []int{0, 3, 1, 4, 2, 5}}
		if n, err = c.node(move, [3]int{ph[0].size * sh, ph[1].size * sw, groups * each}, n); err != nil {
			return nil, err
		}
	}
	v := imageView(n)
	for d, p := range ph {
		if v, err = c.selected(v, 2+d, ramp(p.skip, 1, p.out)); err != nil {
			return nil, err
		}
	}
	return one(v)
}

// phases reads the geometry, and the size of the result, which padding or output_shape decide.
func (c *call) phases(s spatial, w *tensor) (ph [2]phase, err error) {
	win, err := c.window(s.size, w.shape[2:])
	if err != nil {
		return ph, err
	}
	if !slices.Equal(win.kernel, w.shape[2:]) {
		return ph, fmt.Errorf("its kernel_shape %v differs from its weight's, %v", win.kernel, w.shape[2:])
	}
	pair := func(name string) ([]int64, error) {
		v := c.ints(name)
		if v != nil && (len(v) != 2 || slices.Min(v) < 0 || slices.Max(v) > format.MaxDim) {
			return nil, fmt.Errorf("attribute %s is %v", name, v)
		}
		return v, nil
	}
	more, err := pair("output_padding")
	if err != nil {
		return ph, err
	}
	want, err := pair("output_shape")
	if err != nil {
		return ph, err
	}
	auto := c.str("auto_pad", "NOTSET")
	for d := range ph {
		if win.stride[d] > format.MaxKernel || win.dilation[d] > format.MaxKernel || win.kernel[d] > format.MaxKernel {
			return ph, fmt.Errorf("kernel %v, strides %v or dilations %v are larger than %d", win.kernel, win.stride, win.dilation, format.MaxKernel)
		}
		full, near := (s.size[d]-1)*win.stride[d]+(win.kernel[d]-1)*win.dilation[d]+1, win.near[d]
		if more != nil {
			full += int(more[d])
		}
		out := full - near - win.far[d]
		same := auto == "SAME_UPPER" || auto == "SAME_LOWER"
		if same {
			out = s.size[d] * win.stride[d]
		}
		if want != nil {
			out = int(want[d])
		}
		if want != nil || same {
			total := max(full-out, 0)
			near = total / 2
			if auto == "SAME_LOWER" || want != nil && auto != "SAME_UPPER" {
				near = total - total/2
			}
		}
		if ph[d], err = phaseOf(s.size[d], win.kernel[d], win.stride[d], win.dilation[d], near, out); err != nil {
			return ph, err
		}
	}
	return ph, nil
}

// phaseWeights turns C,O/groups,KH,KW into the weights of the ordinary convolution, whose output channels are group, row of
// the phase, column of the phase, channel of the group.
func phaseWeights(t *tensor, groups int, ph [2]phase) ([]float32, error) {
	src, err := t.float32s()
	if err != nil {
		return nil, err
	}
	in, each, kh, kw := t.shape[0]/groups, t.shape[1], t.shape[2], t.shape[3]
	var dst []float32
	for g := range groups {
		for py := range ph[0].stride {
			for px := range ph[1].stride {
				for o := range each {
					for i := range in {
						filter := src[((g*in+i)*each+o)*kh*kw:]
						for y := range ph[0].taps {
							for x := range ph[1].taps {
								ky, kx := ph[0].tap(py, y), ph[1].tap(px, x)
								if ky < 0 || kx < 0 {
									dst = append(dst, 0)
								} else {
									dst = append(dst, filter[ky*kw+kx])
								}
							}
						}
					}
				}
			}
		}
	}
	return dst, nil
}
