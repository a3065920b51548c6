package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func leakyReLU(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	return c.elementwiseNode(unary{format.FuncLeakyReLU, c.float("alpha", 0.01), 1}, v)
}

// elu serves Elu and Selu, which is one with another slope above zero.
func elu(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	alpha, gamma := c.float("alpha", 1), 1.0
	if c.n.op == "Selu" {
		alpha, gamma = c.float("alpha", 1.67326319217681884765625), c.float("gamma", 1.05070102214813232421875)
	}
	return c.elementwiseNode(unary{format.FuncELU, alpha * gamma, gamma}, v)
}

// celu is alpha*elu(x/alpha).
func celu(c *call) ([]value, error) {
	alpha := c.float("alpha", 1)
	if alpha == 0 {
		return fail("its alpha is 0")
	}
	out, err := scaleBy(1 / alpha)(c)
	if err != nil {
		return nil, err
	}
	if out, err = c.elementwiseNode(fn(format.FuncELU), out[0].v); err != nil {
		return nil, err
	}
	return c.elementwiseNode(affine{[]float64{alpha}, []float64{0}}, out[0].v)
}

func gelu(c *call) ([]value, error) {
	switch a := c.str("approximate", "none"); a {
	case "none":
		return unaryRule(format.FuncGELU)(c)
	case "tanh":
		return unaryRule(format.FuncGELUTanh)(c)
	default:
		return fail("approximation %q is not supported", a)
	}
}

// parametricReLU has one slope, or one a channel.
func parametricReLU(c *call) ([]value, error) {
	var slope []float64
	out, err := c.withConstant(1, 0, func(x float64) float64 { return x }, func(k []float64) affine {
		slope = k
		return identity
	}, nil)
	if err != nil {
		return nil, err
	}
	if slope == nil {
		return fail("its slope of shape %v varies over height or width, which is not supported", c.in[1].c.shape)
	}
	n := out[0].v.n
	if n.do = (prelu{slope}); len(slope) == 1 {
		n.do = unary{format.FuncLeakyReLU, slope[0], 1}
	}
	return out, nil
}

// power is x to a constant power, or a constant to the power x.
func power(c *call) ([]value, error) {
	if c.isConst(0) {
		base, err := c.scalar("", 0, 0)
		if err != nil {
			return nil, err
		}
		if base <= 0 {
			return fail("its base is %v, expected a positive number", base)
		}
		v, err := c.view(1)
		if err != nil {
			return nil, err
		}
		out, err := c.elementwiseNode(affine{[]float64{math.Log(base)}, []float64{0}}, v)
		if err != nil {
			return nil, err
		}
		return c.elementwiseNode(fn(format.FuncExp), out[0].v)
	}
	p, err := c.scalar("", 1, 1)
	if err != nil {
		return nil, err
	}
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	return c.powerOf(v, p)
}

func (c *call) powerOf(v view, p float64) ([]value, error) {
	then := func(out []value, err error, f format.Func) ([]value, error) {
		if err != nil {
			return nil, err
		}
		return c.elementwiseNode(fn(f), out[0].v)
	}
	switch {
	case p == 1:
		return one(v)
	case p == 2, p == 4, p == 3:
		square, err := c.join(mul{noClip}, v, v)
		if err != nil || p == 2 {
			return square, err
		}
		if p == 3 {
			return c.join(mul{noClip}, square[0].v, v)
		}
		return c.join(mul{noClip}, square[0].v, square[0].v)
	case p < 0 && p != math.Trunc(p) && p != -0.5: // as it is
	case p < 0:
		out, err := c.powerOf(v, -p)
		return then(out, err, format.FuncReciprocal)
	case p == 0.5:
		return c.elementwiseNode(fn(format.FuncSqrt), v)
	case p == math.Trunc(p):
		return fail("a power of %v is not supported; 2, 3, 4 and broken ones are", p)
	}
	return c.elementwiseNode(unary{format.FuncPow, p, 1}, v)
}

// extremum is Max (sign 1) or Min (sign -1) of any number of inputs: max(a,b) = a + relu(b-a).
func extremum(sign float64) rule {
	return func(c *call) ([]value, error) {
		bound, acc := math.Inf(-1), view{}
		for i := range c.in {
			if c.isConst(i) {
				k, err := c.scalar("", i, 0)
				if err != nil {
					return nil, fmt.Errorf("its constant operand is supported as one number only: %w", err)
				}
				bound = max(bound, sign*k)
				continue
			}
			v, err := c.view(i)
			if err != nil {
				return nil, err
			}
			if acc.n == nil {
				acc = v
				continue
			}
			if acc, err = c.larger(acc, v, sign); err != nil {
				return nil, err
			}
		}
		if acc.n == nil {
			return fail("it has no input that is an activation")
		}
		switch {
		case math.IsInf(bound, -1):
			return one(acc)
		case sign > 0:
			return c.elementwiseNode(clip{bound, math.Inf(1)}, acc)
		}
		return c.elementwiseNode(clip{math.Inf(-1), -bound}, acc)
	}
}

// larger is a + sign*relu(sign*(b-a)). Of x and alpha*x it is a leaky ReLU.
func (c *call) larger(a, b view, sign float64) (view, error) {
	for _, p := range [][2]view{{a, b}, {b, a}} {
		if l, ok := p[1].n.do.(affine); ok && sign > 0 && p[1].n.in[0] == p[0].n && slices.EqualFunc(a.dims, b.dims, slices.Equal) {
			if s, t, scalar := l.scalar(); scalar && t == 0 && s >= 0 && s <= 1 {
				out, err := c.elementwiseNode(unary{format.FuncLeakyReLU, s, 1}, p[0])
				if err != nil {
					return view{}, err
				}
				return out[0].v, nil
			}
		}
	}
	times := func(v view, s float64) (view, error) {
		n, err := c.node(affine{[]float64{s}, []float64{0}}, v.n.shape, v.n)
		if err != nil {
			return view{}, err
		}
		return v.on(n), nil
	}
	na, err := times(a, -sign)
	if err != nil {
		return view{}, err
	}
	sb, err := times(b, sign)
	if err != nil {
		return view{}, err
	}
	d, err := c.join(add{noClip}, sb, na)
	if err != nil {
		return view{}, err
	}
	if d, err = c.elementwiseNode(clip{0, math.Inf(1)}, d[0].v); err != nil {
		return view{}, err
	}
	r, err := times(d[0].v, sign)
	if err != nil {
		return view{}, err
	}
	out, err := c.join(add{noClip}, a, r)
	if err != nil {
		return view{}, err
	}
	return out[0].v, nil
}

// meanOfInputs is the mean of any number of inputs, element by element.
func meanOfInputs(c *call) ([]value, error) {
	out, err := sum(c)
	if err != nil {
		return nil, err
	}
	return c.elementwiseNode(affine{[]float64{1 / float64(len(c.in))}, []float64{0}}, out[0].v)
}

// softmaxRule: up to opset 12 all dimensions from the axis on are one.
func softmaxRule(log bool) rule {
	return func(c *call) ([]value, error) {
		v, err := c.view(0)
		if err != nil {
			return nil, err
		}
		def := -1
		if c.im.opset < 13 {
			def = 1
		}
		d, err := normAxis(int64(c.int("axis", def)), len(v.dims))
		if err != nil {
			return nil, err
		}
		axes := [3][]int{}
		for k := range v.dims {
			if k == d || k > d && c.im.opset < 13 {
				axes[axisC] = append(axes[axisC], k)
			} else {
				axes[axisH] = append(axes[axisH], k)
			}
		}
		var along []factor
		for _, k := range axes[axisC] {
			along = append(along, v.dims[k]...)
		}
		if !slices.Equal(join(along), whole(v.n, axisC)) {
			if v, err = c.arranged(v, axes); err != nil {
				return nil, err
			}
		}
		return c.elementwiseNode(softmax{log}, v)
	}
}
