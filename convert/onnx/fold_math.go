package onnx

import (
	"fmt"
	"math"
)

// operands broadcasts constant inputs to one shape and returns their elements as int64, or as float32 if any is floating
// point.
func (c *call) operands(n int) (shape []int, ints [][]int64, floats [][]float32, err error) {
	if len(c.in) != n {
		return nil, nil, nil, fmt.Errorf("it has %d inputs, expected %d", len(c.in), n)
	}
	in := make([]*tensor, n)
	for i := range in {
		if in[i], err = c.constant(i, "input"); err != nil {
			return nil, nil, nil, err
		}
		if shape, err = broadcastShapes(shape, in[i].shape); err != nil {
			return nil, nil, nil, err
		}
	}
	float := in[n-1].isFloat() // the condition of Where comes first
	for i, t := range in {
		v, err := c.strided(t, shape, spread(t.shape, shape), 0)
		if err != nil {
			return nil, nil, nil, err
		}
		r := v[0].c
		switch {
		case n == 3 && i == 0 && !r.isFloat() || !float && !r.isFloat():
			ints, floats = append(ints, r.ints), append(floats, nil)
		case float && r.isFloat():
			ints, floats = append(ints, nil), append(floats, r.floats)
		default:
			return nil, nil, nil, fmt.Errorf("its inputs differ in type (%v, %v)", in[0].dtype, in[n-1].dtype)
		}
	}
	return shape, ints, floats, nil
}

// arithmetic is a fold of two operands; onInts is nil if integers are not supported.
func arithmetic(onFloats func(a, b float64) float64, onInts func(a, b int64) int64) rule {
	return func(c *call) ([]value, error) {
		shape, ints, floats, err := c.operands(2)
		if err != nil {
			return nil, err
		}
		if floats[0] != nil {
			out := make([]float32, len(floats[0]))
			for i := range out {
				out[i] = float32(onFloats(float64(floats[0][i]), float64(floats[1][i])))
			}
			return oneConst(newFloats(shape, out))
		}
		if onInts == nil {
			return fail("it is not supported for integers")
		}
		out := make([]int64, len(ints[0]))
		for i := range out {
			out[i] = onInts(ints[0][i], ints[1][i])
		}
		return oneConst(newInts(shape, out))
	}
}

// compare is a fold whose result is a truth value.
func compare(f func(a, b float64) bool) rule {
	return func(c *call) ([]value, error) {
		shape, ints, floats, err := c.operands(2)
		if err != nil {
			return nil, err
		}
		out := make([]int64, max(len(ints[0]), len(floats[0])))
		for i := range out {
			yes := false
			if floats[0] != nil {
				yes = f(float64(floats[0][i]), float64(floats[1][i]))
			} else {
				yes = f(float64(ints[0][i]), float64(ints[1][i]))
			}
			if yes {
				out[i] = 1
			}
		}
		r := newInts(shape, out)
		r.dtype = tBool
		return oneConst(r)
	}
}

// elementwise is a fold of one operand; either function may be nil.
func elementwise(onFloats func(float64) float64, onInts func(int64) int64) rule {
	return func(c *call) ([]value, error) {
		shape, ints, floats, err := c.operands(1)
		switch {
		case err != nil:
			return nil, err
		case floats[0] != nil && onFloats != nil:
			for i, x := range floats[0] {
				floats[0][i] = float32(onFloats(float64(x)))
			}
			return oneConst(newFloats(shape, floats[0]))
		case floats[0] == nil && onInts != nil:
			for i, x := range ints[0] {
				ints[0][i] = onInts(x)
			}
			return oneConst(newInts(shape, ints[0]))
		}
		return fail("it is not supported for this element type")
	}
}

func foldWhere(c *call) ([]value, error) {
	shape, ints, floats, err := c.operands(3)
	if err != nil {
		return nil, err
	}
	if ints[0] == nil {
		return fail("its condition is not a truth value")
	}
	choose := func(i int) int {
		if ints[0][i] != 0 {
			return 1
		}
		return 2
	}
	if floats[1] != nil {
		out := make([]float32, len(floats[1]))
		for i := range out {
			out[i] = floats[choose(i)][i]
		}
		return oneConst(newFloats(shape, out))
	}
	out := make([]int64, len(ints[1]))
	for i := range out {
		out[i] = ints[choose(i)][i]
	}
	return oneConst(newInts(shape, out))
}

// divide and modulo are those of ONNX: integers truncate, and the sign of a modulus is the divisor's unless fmod is set.
// Division by zero, which has no result, gives the largest integer: whatever uses it as a shape is refused.
func divide(a, b int64) int64 {
	if b == 0 {
		return math.MaxInt64
	}
	return a / b
}

func modulo(a, b int64) int64 {
	if b == 0 {
		return math.MaxInt64
	}
	m := a % b
	if m != 0 && m < 0 != (b < 0) {
		m += b
	}
	return m
}
