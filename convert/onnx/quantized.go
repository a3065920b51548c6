package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// Quantized networks come with QuantizeLinear and DequantizeLinear around each operator (QDQ), or with operators that have
// scales and zero points among their inputs (QOperator). The second kind is read as the first: a QLinearConv is a Conv between
// the nodes below. Weights stay integers: see tensor.unscaled.
type (
	// quantize rounds an activation to a grid. Its result is integers.
	quantize struct{ grid build.Grid }
	// dequantize is the real value of integers, which is what the other nodes compute with. It costs nothing.
	dequantize struct{}
)

func dynamic(*call) ([]value, error) {
	return fail("activations are quantized while the network runs; quantize it statically, with calibration images")
}

// quantParams are scale and zero point of a QuantizeLinear or DequantizeLinear.
type quantParams struct {
	dtype dtype
	scale []float32
	zero  []int64
}

// quantParams reads inputs s (scales) and z (zero points, which may be absent).
func (c *call) quantParams(s, z int, absent dtype) (p quantParams, err error) {
	if c.int("block_size", 0) != 0 {
		return p, errors.New("it has scales for blocks of elements, which is not supported: quantize per tensor or per channel")
	}
	t, err := c.constant(s, "scale")
	if err != nil {
		return p, err
	}
	if p.scale, err = t.float32s(); err != nil {
		return p, err
	}
	for i, v := range p.scale {
		if !(v > 0) || math.IsInf(float64(v), 1) {
			return p, fmt.Errorf("scale %d is %v; it must be positive", i, v)
		}
	}
	p.dtype = absent
	if to := dtype(c.int("output_dtype", 0)); to != 0 && c.n.op == "QuantizeLinear" {
		p.dtype = to
	}
	p.zero = make([]int64, len(p.scale))
	if c.has(z) {
		zero, err := c.constant(z, "zero point")
		if err != nil {
			return p, err
		}
		if zero.elems != len(p.scale) {
			return p, fmt.Errorf("it has %d scales and %d zero points", len(p.scale), zero.elems)
		}
		if !isInteger(zero.dtype) {
			return p, fmt.Errorf("quantization to %v is not supported; int8 and uint8 are", zero.dtype)
		}
		p.dtype = zero.dtype
		if p.zero, err = zero.int64s(); err != nil {
			return p, err
		}
	}
	if len(p.scale) == 0 {
		return p, errors.New("it has no scale")
	}
	return p, nil
}

func isInteger(d dtype) bool {
	i, ok := dtypes[d]
	return ok && !i.float && d != tBool
}

// grid is the quantization of an activation.
func (p *quantParams) grid() (build.Grid, error) {
	if len(p.scale) != 1 {
		return build.Grid{}, fmt.Errorf("an activation has %d scales; one for the whole tensor is supported", len(p.scale))
	}
	g := build.Grid{Scale: p.scale[0], Zero: int32(min(max(p.zero[0], math.MinInt16), math.MaxInt16))}
	switch p.dtype {
	case tInt8:
	case tUint8:
		g.Zero -= 128
	case tInt16, tUint16:
		return g, fmt.Errorf("activations of %v are not supported; quantize to int8 or uint8, or convert the float model", p.dtype)
	default:
		return g, fmt.Errorf("activations of %v are not supported; quantize to int8 or uint8", p.dtype)
	}
	return g, g.Check()
}

func quantizeLinear(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	p, err := c.quantParams(1, 2, tUint8)
	if err != nil {
		return nil, err
	}
	return c.quantized(v, &p)
}

// quantized adds a node that rounds v.
func (c *call) quantized(v view, p *quantParams) ([]value, error) {
	g, err := p.grid()
	if err != nil {
		return nil, err
	}
	return c.elementwiseNode(quantize{g}, v)
}

func dequantizeLinear(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	p, err := c.quantParams(1, 2, tUint8)
	if err != nil {
		return nil, err
	}
	return c.dequantized(v, &p, !c.has(2))
}

// dequantized adds a node that takes v, integers, as real values. The integers must have been made with the same scale and
// zero point; anyZero says that the node does not know the zero point's type.
func (c *call) dequantized(v view, p *quantParams, anyZero bool) ([]value, error) {
	g, err := p.grid()
	if err != nil {
		return nil, err
	}
	have, ok := gridOf(v.n)
	if !ok {
		return fail("its input is not the result of a quantization")
	}
	if signed := g.Zero + 128; anyZero && p.zero[0] == 0 && have.Zero == signed {
		g.Zero = signed // no zero point: 0 of whichever type
	}
	if have != g {
		return fail("it reads integers of scale %v and zero point %d (as int8) that were made with %v and %d", g.Scale, g.Zero, have.Scale, have.Zero)
	}
	return c.elementwiseNode(dequantize{}, v)
}

// quantConst is a constant that a DequantizeLinear makes: q less zero, times scale. scale and zero have one element, or one for
// each index along the axis.
type quantConst struct {
	q     *tensor
	scale []float32 // nil: ones
	zero  []int64
	axis  int // -1: one scale for all
}

// dequantizedConst is the real value of integers q; axis matters if there are several scales.
func dequantizedConst(q *tensor, p *quantParams, axis int) (*tensor, error) {
	if !isInteger(q.dtype) {
		return nil, fmt.Errorf("constant %q is of %v, expected integers", q.name, q.dtype)
	}
	if len(p.scale) == 1 {
		axis = -1
	} else if axis < 0 || axis >= len(q.shape) || q.shape[axis] != len(p.scale) {
		return nil, fmt.Errorf("constant %q of shape %v has %d scales along axis %d", q.name, q.shape, len(p.scale), axis)
	}
	return &tensor{name: q.name, dtype: tFloat, shape: q.shape, elems: q.elems, dq: &quantConst{q, p.scale, p.zero, axis}}, nil
}

// float32s computes the real values.
func (d *quantConst) float32s() ([]float32, error) {
	if err := d.q.checkSize(); err != nil {
		return nil, err
	}
	v := make([]float32, d.q.elems)
	run, count := len(v), 1
	if d.axis >= 0 {
		run, count = 1, d.q.shape[d.axis]
		for _, s := range d.q.shape[d.axis+1:] {
			run *= s
		}
	}
	q, err := d.q.int64at()
	if err != nil {
		return nil, err
	}
	for i := range v {
		k := 0
		if count > 1 {
			k = i / run % count
		}
		v[i] = float32(q(i) - d.zero[k])
		if d.scale != nil {
			v[i] *= d.scale[k]
		}
	}
	return v, nil
}

// unscaled splits a constant of weights into integers (less their zero points, held as float32, which is exact) and a scale for
// each of n indices along axis. A constant that no DequantizeLinear made is itself, with nil.
func (c *call) unscaled(t *tensor, axis, n int) (*tensor, []float64, error) {
	d := t.dq
	if d == nil || d.scale == nil || d.axis >= 0 && d.axis != axis || d.q.bytes() > int64(d.q.elems) {
		return t, nil, nil
	}
	if err := c.im.budget.take(n, 16); err != nil {
		return nil, nil, err
	}
	scale := make([]float64, n)
	for i := range scale {
		scale[i] = float64(d.scale[i%len(d.scale)])
	}
	r := *t
	r.dq = &quantConst{d.q, nil, d.zero, d.axis}
	return &r, scale, nil
}

// int64at gives access to the elements of an integer constant; those of one byte, which weights have, are not copied.
func (t *tensor) int64at() (func(i int) int64, error) {
	if t.ints == nil && dtypes[t.dtype].size == 1 {
		b, err := t.rawBytes()
		if err != nil {
			return nil, err
		}
		if b != nil {
			if t.dtype == tInt8 {
				return func(i int) int64 { return int64(int8(b[i])) }, nil
			}
			return func(i int) int64 { return int64(b[i]) }, nil
		}
	}
	v, err := t.int64s()
	return func(i int) int64 { return v[i] }, err
}

// foldDequantize keeps the integers of weights and biases.
func foldDequantize(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	p, err := c.quantParams(1, 2, t.dtype)
	if err != nil {
		return nil, err
	}
	axis, err := c.quantAxis(len(t.shape), len(p.scale))
	if err != nil {
		return nil, err
	}
	r, err := dequantizedConst(t, &p, axis)
	if err != nil {
		return nil, err
	}
	return oneConst(r)
}

// quantAxis is the axis along which a constant has scales; -1 if it has only one.
func (c *call) quantAxis(rank, scales int) (int, error) {
	if scales == 1 {
		return -1, nil
	}
	return normAxis(int64(c.int("axis", 1)), rank)
}

// foldQuantize rounds constants: training with quantization exports weights as floating point with a QuantizeLinear.
func foldQuantize(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	p, err := c.quantParams(1, 2, tUint8)
	if err != nil {
		return nil, err
	}
	var lo, hi float64
	switch p.dtype {
	case tInt8:
		lo, hi = -128, 127
	case tUint8:
		lo, hi = 0, 255
	default:
		return fail("weights quantized to %v are not supported; int8 and uint8 are", p.dtype)
	}
	axis, err := c.quantAxis(len(t.shape), len(p.scale))
	if err != nil {
		return nil, err
	}
	run, count := t.elems, 1
	if axis >= 0 {
		if count = t.shape[axis]; count != len(p.scale) {
			return fail("it has %d scales for an axis of %d", len(p.scale), count)
		}
		run = 1
		for _, s := range t.shape[axis+1:] {
			run *= s
		}
	}
	if err := c.im.budget.take(t.elems, 5); err != nil {
		return nil, err
	}
	f, err := t.float32s()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, t.elems)
	for i, x := range f {
		k := i / max(run, 1) % max(count, 1)
		if x != x {
			return fail("element %d of its input is not a number", i)
		}
		v := min(max(math.RoundToEven(float64(x/p.scale[k]))+float64(p.zero[k]), lo), hi)
		raw[i] = byte(int(v))
	}
	return oneConst(&tensor{name: t.name, dtype: p.dtype, shape: t.shape, elems: t.elems, raw: raw})
}

// foldClip clamps constants: weights trained for -127..127 have one between QuantizeLinear and DequantizeLinear.
func foldClip(c *call) ([]value, error) {
	t, err := c.constant(0, "input")
	if err != nil {
		return nil, err
	}
	lo, err := c.scalar("min", 1, math.Inf(-1))
	if err != nil {
		return nil, err
	}
	hi, err := c.scalar("max", 2, math.Inf(1))
	if err != nil {
		return nil, err
	}
	if _, err := c.product([]int{t.elems}); err != nil {
		return nil, err
	}
	r := &tensor{name: t.name, dtype: t.dtype, shape: t.shape, elems: t.elems}
	switch {
	case t.isFloat():
		f, err := t.float32s()
		if err != nil {
			return nil, err
		}
		r.dtype, r.floats = tFloat, make([]float32, len(f))
		for i, x := range f {
			r.floats[i] = float32(min(max(float64(x), lo), hi))
		}
	case dtypes[t.dtype].size == 1 && t.dtype != tBool:
		q, err := t.int64at()
		if err != nil {
			return nil, err
		}
		r.raw = make([]byte, t.elems)
		for i := range r.raw {
			r.raw[i] = byte(int(min(max(float64(q(i)), lo), hi)))
		}
	default:
		return fail("a clamp of constants of %v is not supported", t.dtype)
	}
	return oneConst(r)
}

// onIntegers lets an operator that moves elements work on the integers of a constant, so that they stay integers.
func onIntegers(fold rule) rule {
	return func(c *call) ([]value, error) {
		if !c.isConst(0) || c.in[0].c.dq == nil {
			return fold(c)
		}
		t := c.in[0].c
		d := *t.dq
		inner := *c
		inner.in = slices.Clone(c.in)
		inner.in[0] = &value{c: d.q}
		out, err := fold(&inner)
		if err != nil || len(out) != 1 || out[0].c == nil {
			return out, err
		}
		d.q = out[0].c
		if d.axis >= 0 { // which dimension has the scales now
			if c.n.op == "Transpose" {
				perm, err := c.perm(len(t.shape))
				if err != nil {
					return nil, err
				}
				d.axis = slices.Index(perm, d.axis)
			} else if d.axis = sameDimension(t.shape, d.q.shape, d.axis); d.axis < 0 {
				return fold(c)
			}
		}
		return oneConst(&tensor{name: t.name, dtype: tFloat, shape: d.q.shape, elems: d.q.elems, dq: &d})
	}
}

// sameDimension finds dimension axis of a shape in what the shape was reshaped to; -1 if it was divided or merged.
func sameDimension(from, to []int, axis int) int {
	before := 1
	for _, s := range from[:axis] {
		before *= s
	}
	for i, s := range to {
		if before == 1 && s == from[axis] {
			return i
		}
		if s == 0 || before%s != 0 {
			return -1
		}
		before /= s
	}
	return -1
}
