package format

import (
	"fmt"
	"slices"
)

// WindowOut returns how many positions a convolution or pooling window has along one axis. before and after are the
// padding. With ceil the last window may hang over the far padding, as long as it starts inside the input or the near
// padding (PyTorch's rule).
func WindowOut(in, kernel, stride, dilation, before, after int, ceil bool) (int, error) {
	if in < 1 || kernel < 1 || stride < 1 || dilation < 1 || before < 0 || after < 0 {
		return 0, fmt.Errorf("window of %d, stride %d, dilation %d, padding %d and %d on %d", kernel, stride, dilation, before, after, in)
	}
	extent := (kernel-1)*dilation + 1
	span := in + before + after - extent
	if span < 0 {
		return 0, fmt.Errorf("a window of %d (dilation %d) does not fit into %d with padding %d and %d", kernel, dilation, in, before, after)
	}
	n := span/stride + 1
	if ceil && span%stride != 0 && n*stride < in+before {
		n++
	}
	return n, nil
}

// covered says whether each of n window positions meets at least one element of the input.
func covered(in, kernel, stride, dilation, before, n int) bool {
	if (n-1)*stride-before >= in {
		return false
	}
	for s := -before; s < 0 && n > 0; s, n = s+stride, n-1 {
		skip := (-s + dilation - 1) / dilation // taps before the input
		if skip >= kernel || s+skip*dilation >= in {
			return false
		}
	}
	return true
}

// OutShapes returns the shapes that the geometry gives op's outputs from its inputs' shapes; a nil shape stands for an
// absent optional output. Where an operator leaves a choice, the declared shape of its output decides, if it has one:
// pooling (ceil mode or not, per axis) and resize (height and width).
func OutShapes(m *Model, op *Op) ([][]int, error) {
	s := op.Kind.signature()
	if s == nil {
		return nil, fmt.Errorf("unknown operator %d", uint16(op.Kind))
	}
	if err := checkAttr(&op.Attr, ^attrSet(0)); err != nil {
		return nil, err
	}
	resolve := func(idx []int) ([]*Tensor, error) {
		ts := make([]*Tensor, len(idx))
		for i, t := range idx {
			if t < -1 || t >= len(m.Tensors) {
				return nil, fmt.Errorf("tensor %d of %d", t, len(m.Tensors))
			}
			if t >= 0 {
				ts[i] = &m.Tensors[t]
			}
		}
		return ts, nil
	}
	in, err := resolve(op.Inputs)
	if err != nil {
		return nil, err
	}
	out, err := resolve(op.Outputs)
	if err != nil {
		return nil, err
	}
	need := 1
	switch op.Kind {
	case OpConv2D, OpDepthwiseConv2D, OpFullyConnected, OpAdd, OpMul, OpCAMHead, OpGather:
		need = 2
	}
	if len(in) < need || slices.Contains(in[:need], nil) {
		return nil, fmt.Errorf("%v needs %d inputs", op.Kind, need)
	}
	if op.Kind != OpConcat {
		in = in[:need]
	}
	for i, t := range in {
		want := 4
		if op.Kind == OpGather && i == 1 {
			want = 1
		}
		if t == nil || len(t.Shape) != want {
			return nil, fmt.Errorf("input %d of %v does not have %d dimensions", i, op.Kind, want)
		}
	}
	shapes, err := outShapes(op, in, out)
	for i := range shapes {
		shapes[i] = slices.Clone(shapes[i])
	}
	return shapes, err
}

// outShapes needs the inputs that decide the shape, four-dimensional, and outputs that may be nil.
func outShapes(op *Op, in, out []*Tensor) ([][]int, error) {
	x, a := in[0].Shape, &op.Attr
	var declared []int
	if len(out) > 0 && out[0] != nil && len(out[0].Shape) == 4 {
		declared = out[0].Shape
	}
	switch op.Kind {
	case OpConv2D, OpDepthwiseConv2D:
		return convShape(op, x, in[1].Shape)
	case OpFullyConnected:
		w := in[1].Shape
		if n := int64(x[1]) * int64(x[2]) * int64(x[3]); w[1] != 1 || w[2] != 1 || int64(w[3]) != n {
			return nil, fmt.Errorf("weights are %v: want (outputs,1,1,%d), one for each element of the input %v", w, n, x)
		}
		return [][]int{{1, 1, 1, w[0]}}, nil
	case OpAdd, OpMul:
		b := in[1].Shape
		switch {
		case broadcasts(b, x):
			return [][]int{x}, nil
		case broadcasts(x, b):
			return [][]int{b}, nil
		}
		return nil, fmt.Errorf("%v and %v: neither broadcasts to the other", x, b)
	case OpMaxPool, OpAvgPool:
		return poolShape(a, x, declared)
	case OpGlobalAvgPool:
		return [][]int{{1, 1, 1, x[3]}}, nil
	case OpConcat:
		y := slices.Clone(x)
		for i, t := range in[1:] {
			for d := range y {
				if d != a.Axis && t.Shape[d] != x[d] {
					return nil, fmt.Errorf("input %d is %v, input 0 is %v: they may differ along axis %d only", i+1, t.Shape, x, a.Axis)
				}
			}
			y[a.Axis] += t.Shape[a.Axis]
		}
		return [][]int{y}, nil
	case OpPad:
		return [][]int{{1, x[1] + a.Pad[0] + a.Pad[2], x[2] + a.Pad[1] + a.Pad[3], x[3]}}, nil
	case OpResize:
		if declared == nil {
			return nil, fmt.Errorf("the output's height and width are not declared")
		}
		return [][]int{{1, declared[1], declared[2], x[3]}}, nil
	case OpCAMHead:
		w := in[1].Shape
		if w[1] != 1 || w[2] != 1 || w[3] != x[3] {
			return nil, fmt.Errorf("weights are %v: want (classes,1,1,%d) for the input %v", w, x[3], x)
		}
		shapes := [][]int{{1, 1, 1, w[0]}, {1, x[1], x[2], w[0]}}
		if len(out) < 2 || out[1] == nil {
			shapes[1] = nil
		}
		return shapes, nil
	case OpGather:
		if len(in[1].Shape) != 1 {
			return nil, fmt.Errorf("index has shape %v: want one dimension", in[1].Shape)
		}
		y := slices.Clone(x)
		y[a.Axis] = in[1].Shape[0]
		return [][]int{y}, nil
	case OpPermute:
		return permuteShape(a, x, declared)
	}
	return [][]int{x}, nil // normalize, unary, softmax, quantize, dequantize, rfga
}

func convShape(op *Op, x, w []int) ([][]int, error) {
	a, c := &op.Attr, w[0]
	if op.Kind == OpDepthwiseConv2D {
		c = w[3]
		if w[0] != 1 || w[3] != x[3] || a.Groups != x[3] {
			return nil, fmt.Errorf("weights are %v with %d groups: want (1,rows,columns,%d) and %d groups for the input %v",
				w, a.Groups, x[3], x[3], x)
		}
	} else if x[3]%a.Groups != 0 || w[0]%a.Groups != 0 || w[3] != x[3]/a.Groups {
		return nil, fmt.Errorf("weights are %v with %d groups, the input is %v: groups must divide both channel counts, and the last dimension be input channels over groups",
			w, a.Groups, x)
	}
	if w[1] > MaxKernel || w[2] > MaxKernel {
		return nil, fmt.Errorf("kernel of %dx%d, at most %d", w[1], w[2], MaxKernel)
	}
	h, err := WindowOut(x[1], w[1], a.Stride[0], a.Dilation[0], a.Pad[0], a.Pad[2], false)
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	v, err := WindowOut(x[2], w[2], a.Stride[1], a.Dilation[1], a.Pad[1], a.Pad[3], false)
	if err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	return [][]int{{1, h, v, c}}, nil
}

func poolShape(a *Attr, x, declared []int) ([][]int, error) {
	y := []int{1, 0, 0, x[3]}
	for i, axis := range [2]string{"rows", "columns"} {
		out := func(ceil bool) (int, error) {
			return WindowOut(x[1+i], a.Kernel[i], a.Stride[i], a.Dilation[i], a.Pad[i], a.Pad[i+2], ceil)
		}
		n, err := out(false)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", axis, err)
		}
		if declared != nil && declared[1+i] != n {
			n, _ = out(true)
		}
		if !covered(x[1+i], a.Kernel[i], a.Stride[i], a.Dilation[i], a.Pad[i], n) {
			return nil, fmt.Errorf("%s: a window of %d, dilation %d, stride %d, padding %d and %d on %d meets no element of the input",
				axis, a.Kernel[i], a.Dilation[i], a.Stride[i], a.Pad[i], a.Pad[i+2], x[1+i])
		}
		y[1+i] = n
	}
	return [][]int{y}, nil
}

// permuteShape: the declared shape stands, if it has as many elements.
func permuteShape(a *Attr, x, declared []int) ([][]int, error) {
	n, have := int64(x[1])*int64(x[2])*int64(x[3]), int64(1)
	for _, d := range a.Dims {
		if d < 1 || d > MaxDim || have > n {
			return nil, fmt.Errorf("dims %v: want positive numbers whose product is %d", a.Dims, n)
		}
		have *= int64(d)
	}
	if have != n || len(a.Dims) == 0 {
		return nil, fmt.Errorf("dims %v make %d elements, the input has %d", a.Dims, have, n)
	}
	seen := make([]bool, len(a.Dims))
	for _, p := range a.Perm {
		if p < 0 || p >= len(seen) || seen[p] {
			return nil, fmt.Errorf("perm %v is no permutation of the %d dims", a.Perm, len(a.Dims))
		}
		seen[p] = true
	}
	if len(a.Perm) != len(a.Dims) {
		return nil, fmt.Errorf("perm %v is no permutation of the %d dims", a.Perm, len(a.Dims))
	}
	if declared == nil {
		return nil, fmt.Errorf("the output's shape is not declared")
	}
	if m := int64(declared[1]) * int64(declared[2]) * int64(declared[3]); declared[0] != 1 || m != n {
		return nil, fmt.Errorf("the output %v has %d elements, the input %d", declared, m, n)
	}
	return [][]int{declared}, nil
}

// broadcasts says whether b has a's shape, or 1 in place of any dimension.
func broadcasts(b, a []int) bool {
	for i := range a {
		if b[i] != a[i] && b[i] != 1 {
			return false
		}
	}
	return true
}
