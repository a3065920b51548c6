package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// folds computes nodes whose inputs are all constants: the shape arithmetic that exporters write, and the weights that
// they transpose or reshape inside the graph. Integers are computed as int64, floating point as float32.
var folds map[string]rule

func init() {
	folds = map[string]rule{
		"Constant":        foldConstant,
		"ConstantOfShape": foldConstantOfShape,
		"Identity":        foldSame,
		"If":              conditional,
		"Cast":            foldCast,
		"CastLike":        foldCast,
		"Shape":           shapeOf,
		"Size":            sizeOfValue,
		"Reshape":         onIntegers(foldReshape),
		"Flatten":         onIntegers(foldReshape),
		"Squeeze":         onIntegers(foldReshape),
		"Unsqueeze":       onIntegers(foldReshape),
		"Transpose":       onIntegers(foldTranspose),
		"Expand":          foldExpand,
		"Slice":           foldSlice,
		"Gather":          foldGather,
		"Concat":          foldConcat,
		"Range":           foldRange,
		"Where":           foldWhere,
		"ReduceProd":      foldReduceProd,
		"Add":             arithmetic(func(a, b float64) float64 { return a + b }, func(a, b int64) int64 { return a + b }),
		"Sub":             arithmetic(func(a, b float64) float64 { return a - b }, func(a, b int64) int64 { return a - b }),
		"Mul":             arithmetic(func(a, b float64) float64 { return a * b }, func(a, b int64) int64 { return a * b }),
		"Div":             arithmetic(func(a, b float64) float64 { return a / b }, divide),
		"Mod":             arithmetic(math.Mod, modulo),
		"Pow":             arithmetic(math.Pow, nil),
		"Min":             arithmetic(func(a, b float64) float64 { return min(a, b) }, func(a, b int64) int64 { return min(a, b) }),
		"Max":             arithmetic(func(a, b float64) float64 { return max(a, b) }, func(a, b int64) int64 { return max(a, b) }),
		"Equal":           compare(func(a, b float64) bool { return a == b }),
		"Less":            compare(func(a, b float64) bool { return a < b }),
		"LessOrEqual":     compare(func(a, b float64) bool { return a <= b }),
		"Greater":         compare(func(a, b float64) bool { return a > b }),
		"GreaterOrEqual":  compare(func(a, b float64) bool { return a >= b }),
		"And":             compare(func(a, b float64) bool { return a != 0 && b != 0 }),
		"Or":              compare(func(a, b float64) bool { return a != 0 || b != 0 }),
		"Not":             elementwise(nil, func(x int64) int64 { return 1 ^ x&1 }),
		"Neg":             elementwise(func(x float64) float64 { return -x }, func(x int64) int64 { return -x }),
		"Abs":             elementwise(math.Abs, func(x int64) int64 { return max(x, -x) }),
		"Sqrt":            elementwise(math.Sqrt, nil),
		"Exp":             elementwise(math.Exp, nil),
		"Floor":           elementwise(math.Floor, nil),
		"Ceil":            elementwise(math.Ceil, nil),
		"Round":           elementwise(math.RoundToEven, nil),
		"Reciprocal":      elementwise(func(x float64) float64 { return 1 / x }, nil),
		"Clip":            foldClip,

		"QuantizeLinear":   foldQuantize,
		"DequantizeLinear": foldDequantize,
	}
}

// product is the number of elements of a shape that a fold is about to make; it counts them against the budget.
func (c *call) product(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > format.MaxElements/d {
			return 0, fmt.Errorf("its result of shape %v is too large", shape)
		}
		n *= d
	}
	if len(shape) > maxRank {
		return 0, errRank
	}
	return n, c.im.budget.take(n, 8)
}

// reshaped is t with another shape of as many elements.
func reshaped(t *tensor, shape []int) *tensor {
	r := *t
	r.shape = shape
	return &r
}

func foldSame(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	return oneConst(t)
}

func foldConstant(c *call) ([]value, error) {
	if len(c.n.attrs) != 1 {
		return fail("a constant must have one value, this has %d attributes", len(c.n.attrs))
	}
	switch a := &c.n.attrs[0]; a.name {
	case "value":
		if a.tensor != nil {
			return oneConst(a.tensor)
		}
	case "value_float":
		return oneConst(newFloats(nil, []float32{float32(c.float(a.name, 0))}))
	case "value_int":
		return oneConst(newInts(nil, []int64{int64(c.int(a.name, 0))}))
	case "value_floats":
		return oneConst(newFloats([]int{len(a.floats)}, a.floats))
	case "value_ints":
		return oneConst(newInts([]int{len(a.ints)}, a.ints))
	}
	return fail("a constant given by attribute %q is not supported", c.n.attrs[0].name)
}

func foldConstantOfShape(c *call) ([]value, error) {
	shape, err := c.shapeInput(0)
	if err != nil {
		return nil, err
	}
	n, err := c.product(shape)
	if err != nil {
		return nil, err
	}
	a := c.attr("value")
	if a == nil {
		return oneConst(newFloats(shape, make([]float32, n)))
	}
	if a.tensor == nil || a.tensor.elems != 1 {
		return fail("its value is not one number")
	}
	if a.tensor.isFloat() {
		f, err := a.tensor.float32s()
		if err != nil {
			return nil, err
		}
		return oneConst(newFloats(shape, slices.Repeat(f, n)))
	}
	v, err := a.tensor.int64s()
	if err != nil {
		return nil, err
	}
	return oneConst(newInts(shape, slices.Repeat(v, n)))
}

// shapeInput returns a constant input that is a shape.
func (c *call) shapeInput(i int) ([]int, error) {
	v, err := c.list("", i)
	if err != nil {
		return nil, err
	}
	if len(v) > maxRank {
		return nil, errRank
	}
	shape := make([]int, len(v))
	for k, d := range v {
		if d < 0 || d > format.MaxElements {
			return nil, fmt.Errorf("%v is not a shape", v)
		}
		shape[k] = int(d)
	}
	return shape, nil
}

// foldCast converts between floating point and integers, and rounds to half precision.
func foldCast(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	var to dtype
	if c.n.op == "CastLike" {
		like, err := c.constant(1, "type")
		if err != nil {
			return nil, err
		}
		to = like.dtype
	} else {
		to = dtype(c.int("to", 0))
	}
	info, ok := dtypes[to]
	if !ok {
		return fail("a cast to %v is not supported", to)
	}
	if (to == tFloat16 || to == tBfloat16) && t.isFloat() && t.dtype != to && t.dq == nil {
		return c.halved(t, to)
	}
	if info.float == t.isFloat() && to != tBool {
		r := *t
		if !info.float {
			r.dtype = to // integers are held as int64, whose values a shape's arithmetic never cuts off
			if r.ints, err = t.int64s(); err != nil {
				return nil, err
			}
		}
		return oneConst(&r)
	}
	if _, err := c.product([]int{t.elems}); err != nil {
		return nil, err
	}
	v, err := numbers(t)
	if err != nil {
		return nil, err
	}
	r := &tensor{dtype: to, shape: t.shape, elems: t.elems}
	if info.float {
		r.dtype = tFloat
		r.floats = make([]float32, len(v))
		for i, x := range v {
			r.floats[i] = float32(x)
		}
		return oneConst(r)
	}
	r.ints = make([]int64, len(v))
	for i, x := range v {
		switch {
		case to == tBool && x != 0:
			r.ints[i] = 1
		case to != tBool:
			if math.IsNaN(x) || math.Abs(x) >= 1<<62 {
				return fail("a cast of %v to %v has no defined result", x, to)
			}
			r.ints[i] = int64(x)
		}
	}
	return oneConst(r)
}

// halved rounds a constant of floating point to half precision of type to; it is held as float32.
func (c *call) halved(t *tensor, to dtype) ([]value, error) {
	if _, err := c.product([]int{t.elems}); err != nil {
		return nil, err
	}
	f, err := t.float32s()
	if err != nil {
		return nil, err
	}
	v := make([]float32, len(f))
	for i, x := range f {
		switch bits := math.Float32bits(x); {
		case x != x || math.IsInf(float64(x), 0):
			v[i] = x
		case to == tBfloat16:
			v[i] = math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
		case math.Abs(float64(x)) >= 65520: // half a step beyond the largest
			v[i] = float32(math.Inf(int(math.Copysign(1, float64(x)))))
		default:
			v[i] = kernels.HalfToFloat(kernels.FloatToHalf(x))
		}
	}
	return oneConst(&tensor{name: t.name, dtype: tFloat, shape: t.shape, elems: t.elems, floats: v})
}

// numbers returns the elements of any constant as float64.
func numbers(t *tensor) ([]float64, error) {
	v := make([]float64, 0, 8)
	if t.isFloat() {
		f, err := t.float32s()
		if err != nil {
			return nil, err
		}
		for _, x := range f {
			v = append(v, float64(x))
		}
		return v, nil
	}
	n, err := t.int64s()
	if err != nil {
		return nil, err
	}
	for _, x := range n {
		v = append(v, float64(x))
	}
	return v, nil
}

// shapeOf and sizeOfValue serve constants and activations: shapes are known before anything runs.
func shapeOf(c *call) ([]value, error) {
	s, err := c.shape(0)
	if err != nil {
		return nil, err
	}
	clampTo := func(a int) int {
		if a < 0 {
			a += len(s)
		}
		return min(max(a, 0), len(s))
	}
	lo, hi := clampTo(c.int("start", 0)), clampTo(c.int("end", len(s)))
	v := make([]int64, 0, maxRank)
	for i := lo; i < hi; i++ {
		v = append(v, int64(s[i]))
	}
	return oneConst(newInts([]int{len(v)}, v))
}

func sizeOfValue(c *call) ([]value, error) {
	s, err := c.shape(0)
	if err != nil {
		return nil, err
	}
	n := int64(1)
	for _, d := range s {
		n *= int64(d)
	}
	return oneConst(newInts(nil, []int64{n}))
}

// targetShape is the shape that Reshape, Flatten, Squeeze or Unsqueeze gives a value of shape old.
func (c *call) targetShape(old []int) ([]int, error) {
	switch c.n.op {
	case "Reshape":
		want, err := c.list("shape", 1)
		if err != nil {
			return nil, err
		}
		if want == nil {
			return nil, fmt.Errorf("its shape is missing")
		}
		return newShape(old, want, c.int("allowzero", 0) != 0)
	case "Flatten":
		a := int64(c.int("axis", 1))
		d := len(old)
		if a != int64(len(old)) {
			var err error
			if d, err = normAxis(a, len(old)); err != nil {
				return nil, err
			}
		}
		out := []int{1, 1}
		for i, s := range old {
			if i < d {
				out[0] *= s
			} else {
				out[1] *= s
			}
		}
		return out, nil
	case "Squeeze":
		axes, err := c.list("axes", 1)
		if err != nil {
			return nil, err
		}
		set, err := axisSet(axes, len(old))
		if err != nil {
			return nil, err
		}
		var out []int
		for i, s := range old {
			if set[i] && s != 1 {
				return nil, fmt.Errorf("dimension %d of %v is not 1 and cannot be squeezed", i, old)
			}
			if axes != nil && !set[i] || axes == nil && s != 1 {
				out = append(out, s)
			}
		}
		return out, nil
	case "Unsqueeze":
		axes, err := c.list("axes", 1)
		if err != nil {
			return nil, err
		}
		if len(old)+len(axes) > maxRank {
			return nil, errRank
		}
		set, err := axisSet(axes, len(old)+len(axes))
		if err != nil {
			return nil, err
		}
		var out []int
		for _, added := range set {
			if added {
				out = append(out, 1)
			} else {
				out, old = append(out, old[0]), old[1:]
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s does not reshape", c.n.op)
}

func foldReshape(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	shape, err := c.targetShape(t.shape)
	if err != nil {
		return nil, err
	}
	return oneConst(reshaped(t, shape))
}
