package format

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWindowOut counts window positions one by one.
func TestWindowOut(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		draw := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(r, name) }
		in, kernel, stride, dilation := draw("in", 1, 40), draw("kernel", 1, 6), draw("stride", 1, 5), draw("dilation", 1, 4)
		before, after := draw("before", 0, 8), draw("after", 0, 8)
		last := (kernel - 1) * dilation
		floor := 0
		for s := -before; s+last < in+after; s += stride {
			floor++
		}
		got, err := WindowOut(in, kernel, stride, dilation, before, after, false)
		if (err != nil) != (floor == 0) || got != floor {
			r.Fatalf("got %d, %v: want %d", got, err, floor)
		}
		if floor == 0 {
			return
		}
		// Ceil mode: one more window if elements are left over, and if it starts before the far padding.
		ceil := floor
		if next := -before + floor*stride; next < in && -before+(floor-1)*stride+last < in+after-1 {
			ceil++
		}
		if got, err := WindowOut(in, kernel, stride, dilation, before, after, true); err != nil || got != ceil {
			r.Fatalf("ceil: got %d, %v: want %d", got, err, ceil)
		}
		meets := true
		for p := range ceil {
			hit := false
			for k := range kernel {
				x := -before + p*stride + k*dilation
				hit = hit || (x >= 0 && x < in)
			}
			meets = meets && hit
		}
		if got := covered(in, kernel, stride, dilation, before, ceil); got != meets {
			r.Fatalf("covered: %v, want %v", got, meets)
		}
	})
}

func TestOutShapes(t *testing.T) {
	m := &Model{Tensors: []Tensor{
		{DType: F32, Shape: []int{1, 10, 12, 6}}, {DType: F32, Shape: []int{8, 3, 3, 3}}, {DType: F32, Shape: []int{1, 3, 3, 6}},
		{DType: F32, Shape: []int{5, 1, 1, 720}}, {DType: F32, Shape: []int{1, 1, 1, 6}}, {DType: F32, Shape: []int{1, 6, 6, 6}},
		{DType: F32, Shape: []int{4, 1, 1, 6}}, {DType: F32, Shape: []int{6}},
	}}
	for _, c := range []struct {
		kind    OpKind
		in, out []int
		set     func(*Attr)
		want    [][]int // nil: an error
	}{
		{OpConv2D, []int{0, 1}, nil, func(a *Attr) { a.Groups = 2; a.Stride = [2]int{2, 1}; a.Pad = [4]int{0, 1, 1, 2} }, [][]int{{1, 5, 13, 8}}},
		{OpConv2D, []int{0, 1}, nil, func(a *Attr) {}, nil},
		{OpConv2D, []int{0, 1}, nil, func(a *Attr) { a.Groups = 0 }, nil},
		{OpConv2D, []int{0, 7}, nil, func(a *Attr) {}, nil},
		{OpConv2D, []int{0}, nil, func(a *Attr) {}, nil},
		{OpConv2D, []int{0, 99}, nil, func(a *Attr) {}, nil},
		{OpDepthwiseConv2D, []int{0, 2}, nil, func(a *Attr) { a.Groups = 6; a.Dilation = [2]int{2, 2} }, [][]int{{1, 6, 8, 6}}},
		{OpFullyConnected, []int{0, 3}, nil, func(a *Attr) {}, [][]int{{1, 1, 1, 5}}},
		{OpFullyConnected, []int{4, 3}, nil, func(a *Attr) {}, nil},
		{OpAdd, []int{0, 4}, nil, func(a *Attr) {}, [][]int{{1, 10, 12, 6}}},
		{OpMul, []int{4, 0}, nil, func(a *Attr) {}, [][]int{{1, 10, 12, 6}}},
		{OpMul, []int{5, 0}, nil, func(a *Attr) {}, nil},
		{OpMaxPool, []int{0}, nil, func(a *Attr) { a.Kernel, a.Stride = [2]int{3, 3}, [2]int{2, 2} }, [][]int{{1, 4, 5, 6}}},
		{OpMaxPool, []int{0}, []int{5}, func(a *Attr) { a.Kernel, a.Stride = [2]int{3, 3}, [2]int{2, 2} }, [][]int{{1, 5, 6, 6}}},
		{OpGlobalAvgPool, []int{0}, nil, func(a *Attr) {}, [][]int{{1, 1, 1, 6}}},
		{OpConcat, []int{5, 5, 5}, nil, func(a *Attr) { a.Axis = 2 }, [][]int{{1, 6, 18, 6}}},
		{OpConcat, []int{0, 5}, nil, func(a *Attr) { a.Axis = 1 }, nil},
		{OpConcat, []int{0, 5}, nil, func(a *Attr) { a.Axis = 7 }, nil},
		{OpPad, []int{5}, nil, func(a *Attr) { a.Pad = [4]int{1, 2, 3, 4} }, [][]int{{1, 10, 12, 6}}},
		{OpResize, []int{5}, []int{0}, func(a *Attr) {}, [][]int{{1, 10, 12, 6}}},
		{OpResize, []int{5}, nil, func(a *Attr) {}, nil},
		{OpCAMHead, []int{0, 6}, []int{4}, func(a *Attr) {}, [][]int{{1, 1, 1, 4}, nil}},
		{OpCAMHead, []int{0, 6}, []int{4, 5}, func(a *Attr) {}, [][]int{{1, 1, 1, 4}, {1, 10, 12, 4}}},
		{OpRFGA, []int{0}, nil, func(a *Attr) {}, [][]int{{1, 10, 12, 6}}},
		{OpKind(99), []int{0}, nil, func(a *Attr) {}, nil},
	} {
		op := Op{Kind: c.kind, Inputs: c.in, Outputs: c.out, Attr: NewAttr()}
		c.set(&op.Attr)
		got, err := OutShapes(m, &op)
		if (err != nil) != (c.want == nil) || !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%v of %v: %v, %v: want %v", c.kind, c.in, got, err, c.want)
		}
	}
}
