package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func resizeRule(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	if len(v.dims) != 4 {
		return fail("its input has shape %v, expected N,C,H,W", v.shape())
	}
	out, scale, err := c.resizeTarget(v.shape())
	if err != nil {
		return nil, err
	}
	if out[0] != v.shape()[0] || out[1] != v.shape()[1] {
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
	if !slices.EqualFunc(v.dims, imageView(v.n).dims, slices.Equal) {
		if v, err = c.canonical(v); err != nil {
			return nil, err
		}
	}
	var lines [2]line
	for d := range lines {
		if out[2+d] < 1 || out[2+d] > format.MaxImageSide {
			return fail("a size of %d is not within 1..%d", out[2+d], format.MaxImageSide)
		}
		at, err := coordinates(v.shape()[2+d], out[2+d], scale[2+d], coord)
		if err != nil {
			return nil, err
		}
		switch mode {
		case "nearest":
			lines[d], err = nearestLine(v.shape()[2+d], at, nearest)
		case "linear", "bilinear":
			lines[d] = linearLine(v.shape()[2+d], at)
		case "cubic":
			lines[d] = cubicLine(v.shape()[2+d], at, c.float("cubic_coeff_a", -0.75), c.int("exclude_outside", 0) != 0)
		default:
			err = fmt.Errorf("mode %q is not supported", mode)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.resized(v, lines, [2]int{out[2], out[3]})
}

// resized uses the runtime's resize where it does the same, and otherwise sums of selected rows and columns.
func (c *call) resized(v view, lines [2]line, size [2]int) ([]value, error) {
	in := [2]int{v.shape()[2], v.shape()[3]}
	for _, do := range []resize{{mode: format.ModeNearest}, {mode: format.ModeBilinear}, {mode: format.ModeBilinear, alignCorners: true}} {
		if lines[0].same(do.line(in[0], size[0])) && lines[1].same(do.line(in[1], size[1])) {
			n, err := c.node(do, [3]int{size[0], size[1], v.n.shape[axisC]}, v.n)
			if err != nil {
				return nil, err
			}
			return one(imageView(n))
		}
	}
	for d, l := range lines {
		var sum view
		for k, index := range l.index {
			part, err := c.selected(v, 2+d, index)
			if err != nil {
				return nil, err
			}
			if len(l.index) > 1 {
				shape := [3]int{1, 1, 1}
				shape[d] = size[d]
				weights, err := c.node(constant{l.weight[k]}, shape)
				if err != nil {
					return nil, err
				}
				out, err := c.join(mul{noClip}, part, imageView(weights))
				if err != nil {
					return nil, err
				}
				part = out[0].v
			}
			if k == 0 {
				sum = part
				continue
			}
			out, err := c.join(add{noClip}, sum, part)
			if err != nil {
				return nil, err
			}
			sum = out[0].v
		}
		v = sum
	}
	return one(v)
}

// line is a resize along one axis: position i is the sum of elements index[k][i] times weight[k][i], or one element if
// there is only one list.
type line struct {
	index  [][]int
	weight [][]float32
}

// same allows for the last digits of coordinates.
func (l line) same(m line) bool {
	if len(l.index) != len(m.index) {
		return false
	}
	if len(l.index) == 1 {
		return slices.Equal(l.index[0], m.index[0])
	}
	for i := range l.index[0] {
		// With a weight of nothing, the element is of no matter.
		value := func(l line) float64 {
			return float64(l.index[0][i])*float64(l.weight[0][i]) + float64(l.index[1][i])*float64(l.weight[1][i])
		}
		if math.Abs(value(l)-value(m)) > 1e-5*float64(1+l.index[1][i]) {
			return false
		}
	}
	return len(l.index) == 2
}

// line is what the runtime does along an axis.
func (r resize) line(in, out int) line {
	at := make([]float64, out)
	for i := range at {
		switch {
		case r.mode == format.ModeNearest:
			at[i] = float64(i * in / out)
		case r.alignCorners:
			at[i] = float64(i) * float64(in-1) / float64(max(out-1, 1))
		default:
			at[i] = (float64(i)+0.5)*float64(in)/float64(out) - 0.5
		}
	}
	if r.mode == format.ModeNearest {
		l, _ := nearestLine(in, at, "floor")
		return l
	}
	return linearLine(in, at)
}

// coordinates are the positions in the input that positions of the result lie at.
func coordinates(in, out int, scale float64, mode string) ([]float64, error) {
	at := make([]float64, out)
	for i := range at {
		x := float64(i)
		switch mode {
		case "asymmetric":
			x /= scale
		case "half_pixel":
			x = (x+0.5)/scale - 0.5
		case "half_pixel_symmetric":
			x = float64(in)/2*(1-float64(out)/(float64(in)*scale)) + (x+0.5)/scale - 0.5
		case "pytorch_half_pixel":
			if x = (x+0.5)/scale - 0.5; out == 1 {
				x = 0
			}
		case "align_corners":
			if x = x * float64(in-1) / float64(max(out-1, 1)); out == 1 {
				x = 0
			}
		default:
			return nil, fmt.Errorf("coordinates %q are not supported", mode)
		}
		at[i] = x
	}
	return at, nil
}

func nearestLine(in int, at []float64, rounding string) (line, error) {
	index := make([]int, len(at))
	for i, x := range at {
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
			return line{}, fmt.Errorf("nearest_mode %q is not supported", rounding)
		}
		index[i] = min(max(int(x), 0), in-1)
	}
	return line{index: [][]int{index}}, nil
}

func linearLine(in int, at []float64) line {
	l := newLine(2, len(at))
	for i, x := range at {
		x = min(max(x, 0), float64(in-1))
		k := int(x)
		f := float32(x - float64(k))
		l.index[0][i], l.index[1][i] = k, min(k+1, in-1)
		l.weight[0][i], l.weight[1][i] = 1-f, f
	}
	return l
}

func cubicLine(in int, at []float64, a float64, exclude bool) line {
	l := newLine(4, len(at))
	near := func(x float64) float64 { return ((a+2)*x-(a+3))*x*x + 1 }
	far := func(x float64) float64 { return ((a*x-5*a)*x+8*a)*x - 4*a }
	for i, x := range at {
		k := int(math.Floor(x))
		f := x - float64(k)
		w, sum := [4]float64{far(1 + f), near(f), near(1 - f), far(2 - f)}, 0.0
		for j := range w {
			p := k - 1 + j
			if exclude && (p < 0 || p >= in) {
				w[j] = 0
			}
			sum += w[j]
			l.index[j][i] = min(max(p, 0), in-1)
		}
		for j := range w {
			if exclude {
				w[j] /= sum
			}
			l.weight[j][i] = float32(w[j])
		}
	}
	return l
}

func newLine(taps, n int) line {
	l := line{make([][]int, taps), make([][]float32, taps)}
	for k := range taps {
		l.index[k], l.weight[k] = make([]int, n), make([]float32, n)
	}
	return l
}

// resizeTarget reads the scales or sizes, which have stood in three places.
func (c *call) resizeTarget(in []int) (out [4]int, scale [4]float64, err error) {
	copy(out[:], in)
	scale = [4]float64{1, 1, 1, 1}
	policy := c.str("keep_aspect_ratio_policy", "stretch")
	if policy != "stretch" && policy != "not_larger" && policy != "not_smaller" {
		return out, scale, fmt.Errorf("keep_aspect_ratio_policy %q is not supported", policy)
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
		if policy != "stretch" && len(axes) > 0 { // one scale for all axes, the least or the largest
			first, _ := normAxis(axes[0], 4)
			common := scale[first]
			for _, a := range axes {
				d, _ := normAxis(a, 4)
				if policy == "not_larger" {
					common = min(common, scale[d])
				} else {
					common = max(common, scale[d])
				}
			}
			for _, a := range axes {
				d, _ := normAxis(a, 4)
				out[d], scale[d] = int(min(math.Floor(common*float64(in[d])+0.5), format.MaxDim)), common
			}
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
