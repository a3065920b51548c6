package tflite

import (
	"fmt"
	"math"
)

// same is an operator that changes how numbers are stored, which the tensors say.
func same(t *translator, op *operator) (string, error) { return t.value(op, 0) }

func unary(kind string) rule {
	return func(t *translator, op *operator) (string, error) {
		x, err := t.value(op, 0)
		return t.p.node(kind, []string{x}, t.p.name(x)), err
	}
}

func activation(act int) rule {
	return func(t *translator, op *operator) (string, error) {
		x, err := t.value(op, 0)
		if err != nil {
			return "", err
		}
		return t.fused(x, act)
	}
}

func leaky(t *translator, op *operator) (string, error) {
	x, err := t.value(op, 0)
	return t.p.node("LeakyRelu", []string{x}, t.p.name(x), attr{"alpha", op.options.float(0, 0)}), err
}

// binary2 is an elementwise operator of two inputs whose activation is field act of its options.
func binary2(kind string, act int) rule {
	return func(t *translator, op *operator) (string, error) {
		a, err := t.value(op, 0)
		if err != nil {
			return "", err
		}
		b, err := t.value(op, 1)
		if err != nil {
			return "", err
		}
		return t.fused(t.p.node(kind, []string{a, b}, t.p.name(t.m.tensors[op.out[0]].name)), op.options.byte(act))
	}
}

func pool(kind string) rule {
	return func(t *translator, op *operator) (string, error) {
		if _, err := t.rank4(op); err != nil {
			return "", err
		}
		x, err := t.planes(op)
		if err != nil {
			return "", err
		}
		o := op.options
		y := t.p.node(kind, []string{x}, t.p.name(x), padding(o.byte(0)), attr{"strides", []int{o.int(2, 0), o.int(1, 0)}},
			attr{"kernel_shape", []int{o.int(4, 0), o.int(3, 0)}})
		if y, err = t.fused(y, o.byte(5)); err != nil {
			return "", err
		}
		return t.images(y), nil
	}
}

func concatenation(t *translator, op *operator) (string, error) {
	var in []string
	for k := range op.in {
		x, err := t.value(op, k)
		if err != nil {
			return "", err
		}
		in = append(in, x)
	}
	y := t.p.node("Concat", in, t.p.name(t.m.tensors[op.out[0]].name), attr{"axis", op.options.int(0, 0)})
	return t.fused(y, op.options.byte(1))
}

func softmax(t *translator, op *operator) (string, error) {
	if beta := op.options.float(0, 0); beta != 1 {
		return "", fmt.Errorf("its beta is %v; only 1 is supported", beta)
	}
	x, err := t.value(op, 0)
	return t.p.node("Softmax", []string{x}, t.p.name(x), attr{"axis", -1}), err
}

func reshape(t *translator, op *operator) (string, error) {
	x, err := t.value(op, 0)
	if err != nil {
		return "", err
	}
	return t.shaped(x, op)
}

// list is a constant input of integers.
func (t *translator) list(op *operator, k int) ([]int, error) {
	if k >= len(op.in) || op.in[k] < 0 {
		return nil, fmt.Errorf("its input %d is missing", k)
	}
	return t.m.tensors[op.in[k]].numbers()
}

func transpose(t *translator, op *operator) (string, error) {
	perm, err := t.list(op, 1)
	if err != nil {
		return "", err
	}
	x, err := t.value(op, 0)
	return t.p.node("Transpose", []string{x}, t.p.name(x), attr{"perm", perm}), err
}

func mean(t *translator, op *operator) (string, error) {
	axes, err := t.list(op, 1)
	if err != nil {
		return "", err
	}
	x, err := t.value(op, 0)
	if err != nil {
		return "", err
	}
	keep := 0
	if op.options.bool(0) {
		keep = 1
	}
	return t.p.node("ReduceMean", []string{x}, t.p.name(x), attr{"axes", axes}, attr{"keepdims", keep}), nil
}

func pad(t *translator, op *operator) (string, error) {
	s, err := t.rank4(op)
	if err != nil {
		return "", err
	}
	p, err := t.list(op, 1)
	if err != nil {
		return "", err
	}
	if len(p) != 2*len(s) {
		return "", fmt.Errorf("it has %d paddings for %d dimensions", len(p), len(s))
	}
	x, err := t.planes(op)
	if err != nil {
		return "", err
	}
	pads, err := t.p.ints(t.p.name(x), p[0], p[6], p[2], p[4], p[1], p[7], p[3], p[5]) // N,C,H,W before, then behind
	if err != nil {
		return "", err
	}
	in := []string{x, pads}
	if len(op.in) > 2 && op.in[2] >= 0 {
		v, err := t.value(op, 2)
		if err != nil {
			return "", err
		}
		in = append(in, v)
	}
	return t.images(t.p.node("Pad", in, t.p.name(x))), nil
}

// resize interpolates to the size of input 1; field corners of its options is align_corners, the next half_pixel_centers.
func resize(mode string, corners int) rule {
	return func(t *translator, op *operator) (string, error) {
		s, err := t.rank4(op)
		if err != nil {
			return "", err
		}
		size, err := t.list(op, 1)
		if err != nil {
			return "", err
		}
		if len(size) != 2 || min(size[0], size[1]) < 1 || max(size[0], size[1]) > math.MaxInt16 {
			return "", fmt.Errorf("its size is %v", size)
		}
		x, err := t.planes(op)
		if err != nil {
			return "", err
		}
		sizes, err := t.p.ints(t.p.name(x), s[0], s[3], size[0], size[1])
		if err != nil {
			return "", err
		}
		attrs := []attr{{"mode", mode}}
		switch {
		case op.options.bool(corners):
			attrs = append(attrs, attr{"coordinate_transformation_mode", "align_corners"}, attr{"nearest_mode", "round_prefer_ceil"})
		case op.options.bool(corners + 1):
			attrs = append(attrs, attr{"coordinate_transformation_mode", "half_pixel"}, attr{"nearest_mode", "round_prefer_ceil"})
		default:
			attrs = append(attrs, attr{"coordinate_transformation_mode", "asymmetric"}, attr{"nearest_mode", "floor"})
		}
		return t.images(t.p.node("Resize", []string{x, "", "", sizes}, t.p.name(x), attrs...)), nil
	}
}
