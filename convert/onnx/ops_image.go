package onnx

import (
	"fmt"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// pooling adds a pooling node; do gets the window in the order height, width.
func (c *call) pooling(do func(build.PoolWin) any) ([]value, error) {
	s, err := c.image(0)
	if err != nil {
		return nil, err
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
	in, err := c.image(0)
	if err != nil {
		return nil, err
	}
	return c.pooling(func(w build.PoolWin) any {
		m, s := mean{}, in.v.n.shape
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

func globalMax(c *call) ([]value, error) {
	s, err := c.image(0)
	if err != nil {
		return nil, err
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
