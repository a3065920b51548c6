package onnx

import (
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// elementwiseNode adds a node that leaves shape and view alone.
func (c *call) elementwiseNode(do any, v view) ([]value, error) {
	n, err := c.node(do, v.n.shape, v.n)
	if err != nil {
		return nil, err
	}
	return one(v.on(n))
}

func clamp(lo, hi float64) rule {
	return func(c *call) ([]value, error) {
		v, err := c.view(0)
		if err != nil {
			return nil, err
		}
		return c.elementwiseNode(clip{lo, hi}, v)
	}
}

func clipRule(c *call) ([]value, error) {
	lo, err := c.scalar("min", 1, math.Inf(-1))
	if err != nil {
		return nil, err
	}
	hi, err := c.scalar("max", 2, math.Inf(1))
	if err != nil {
		return nil, err
	}
	if lo <= -math.MaxFloat32 { // how older exporters write "none"
		lo = math.Inf(-1)
	}
	if hi >= math.MaxFloat32 {
		hi = math.Inf(1)
	}
	if lo > hi || math.IsInf(lo, 1) || math.IsInf(hi, -1) {
		return fail("its bounds are %v and %v", lo, hi)
	}
	return clamp(lo, hi)(c)
}

func unaryRule(f format.Func) rule {
	return func(c *call) ([]value, error) {
		v, err := c.view(0)
		if err != nil {
			return nil, err
		}
		return c.elementwiseNode(fn(f), v)
	}
}

// hardSigmoid is max(0, min(1, alpha*x+beta)); with alpha 1/6 and beta 0.5 simplify makes it the runtime's own.
func hardSigmoid(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	line := affine{[]float64{c.float("alpha", 0.2)}, []float64{c.float("beta", 0.5)}}
	n, err := c.node(line, v.n.shape, v.n)
	if err != nil {
		return nil, err
	}
	return c.elementwiseNode(clip{0, 1}, v.on(n))
}

func scaleBy(s float64) rule {
	return func(c *call) ([]value, error) {
		v, err := c.view(0)
		if err != nil {
			return nil, err
		}
		return c.elementwiseNode(affine{[]float64{s}, []float64{0}}, v)
	}
}

func addition(sign float64) rule {
	return func(c *call) ([]value, error) {
		if len(c.in) != 2 {
			return fail("it has %d inputs, expected 2", len(c.in))
		}
		switch {
		case c.isConst(1):
			return c.withConstant(1, 0, func(x float64) float64 { return sign * x }, func(k []float64) affine {
				return affine{slices.Repeat([]float64{1}, len(k)), k}
			}, add{noClip})
		case c.isConst(0):
			if sign < 0 {
				v, err := c.view(1)
				if err != nil {
					return nil, err
				}
				n, err := c.node(affine{[]float64{-1}, []float64{0}}, v.n.shape, v.n)
				if err != nil {
					return nil, err
				}
				c.in[1] = &value{v: v.on(n)}
			}
			return c.withConstant(0, 1, func(x float64) float64 { return x }, func(k []float64) affine {
				return affine{slices.Repeat([]float64{1}, len(k)), k}
			}, add{noClip})
		}
		a, b, err := c.pair()
		if err != nil {
			return nil, err
		}
		if sign < 0 {
			n, err := c.node(affine{[]float64{-1}, []float64{0}}, b.n.shape, b.n)
			if err != nil {
				return nil, err
			}
			b = b.on(n)
		}
		return c.join(add{noClip}, a, b)
	}
}

func multiplication(c *call) ([]value, error) {
	if len(c.in) != 2 {
		return fail("it has %d inputs, expected 2", len(c.in))
	}
	for i := range 2 {
		if c.isConst(i) {
			return c.withConstant(i, 1-i, func(x float64) float64 { return x }, scaled, mul{noClip})
		}
	}
	a, b, err := c.pair()
	if err != nil {
		return nil, err
	}
	return c.join(mul{noClip}, a, b)
}

func scaled(k []float64) affine { return affine{k, make([]float64, len(k))} }

func division(c *call) ([]value, error) {
	if len(c.in) != 2 {
		return fail("it has %d inputs, expected 2", len(c.in))
	}
	if c.isConst(1) {
		zero := false
		out, err := c.withConstant(1, 0, func(x float64) float64 {
			zero = zero || x == 0
			return 1 / x
		}, scaled, mul{noClip})
		if zero {
			return fail("division by zero")
		}
		return out, err
	}
	v, err := c.view(1)
	if err != nil {
		return nil, err
	}
	n, err := c.node(fn(format.FuncReciprocal), v.n.shape, v.n)
	if err != nil {
		return nil, err
	}
	c.in[1] = &value{v: v.on(n)}
	return multiplication(c)
}

func sum(c *call) ([]value, error) {
	if len(c.in) == 0 {
		return fail("it has no inputs")
	}
	acc, err := c.view(0)
	for i := 1; i < len(c.in) && err == nil; i++ {
		var v view
		if v, err = c.view(i); err != nil {
			break
		}
		var out []value
		if out, err = c.join(add{noClip}, acc, v); err == nil {
			acc = out[0].v
		}
	}
	if err != nil {
		return nil, err
	}
	return one(acc)
}

func (c *call) pair() (a, b view, err error) {
	if a, err = c.view(0); err == nil {
		b, err = c.view(1)
	}
	return a, b, err
}

// join adds an elementwise node of two activations. Where they lie differently in memory, both are moved.
func (c *call) join(do any, a, b view) ([]value, error) {
	dims, shape, err := broadcast(a, b)
	if err != nil {
		rank := max(len(a.dims), len(b.dims))
		for _, v := range []*view{&a, &b} {
			v.dims = append(make([][]factor, rank-len(v.dims), rank), v.dims...)
			moved, err := c.canonical(*v)
			if err != nil {
				return nil, err
			}
			*v = moved
		}
		if dims, shape, err = broadcast(a, b); err != nil {
			return nil, err
		}
	}
	n, err := c.node(do, shape, a.n, b.n)
	if err != nil {
		return nil, err
	}
	return one(view{n, dims})
}
