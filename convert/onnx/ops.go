package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// rules converts nodes that depend on the image. The folds serve those that do not.
var rules map[string]rule

func init() {
	rules = map[string]rule{
		// Views and other things that compute nothing.
		"Identity":  sameValue,
		"Dropout":   dropout,
		"Cast":      castActivation,
		"Shape":     shapeOf,
		"Size":      sizeOfValue,
		"Reshape":   reshapeView,
		"Flatten":   reshapeView,
		"Squeeze":   reshapeView,
		"Unsqueeze": reshapeView,
		"Transpose": transposeView,
		"Expand":    expandView,

		// Layers.
		"Conv":               convolution,
		"Gemm":               gemm,
		"MatMul":             matMul,
		"BatchNormalization": batchNormalization,

		// Elementwise.
		"Relu":        clamp(0, math.Inf(1)),
		"Clip":        clipRule,
		"Sigmoid":     unaryRule(format.FuncSigmoid),
		"HardSigmoid": hardSigmoid,
		"HardSwish":   unaryRule(format.FuncHardSwish),
		"Neg":         scaleBy(-1),
		"Add":         addition(1),
		"Sub":         addition(-1),
		"Mul":         multiplication,
		"Div":         division,
		"Sum":         sum,

		// Windows and sizes.
		"MaxPool":           maxPooling,
		"AveragePool":       averagePooling,
		"GlobalAveragePool": globalAverage,
		"GlobalMaxPool":     globalMax,
		"ReduceMean":        reduceMean,
		"Concat":            concatenation,
		"Pad":               padding,
		"Softmax":           softmaxRule,
		"Resize":            resizeRule,
		"Upsample":          resizeRule,

		// Integers.
		"QuantizeLinear":        quantizeLinear,
		"DequantizeLinear":      dequantizeLinear,
		"DynamicQuantizeLinear": dynamic,
		"ConvInteger":           dynamic,
		"MatMulInteger":         dynamic,
	}
	for name, r := range qoperators {
		rules[name] = r
	}
}

func sameValue(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	return one(v)
}

// dropout does nothing in inference; its mask has no value.
func dropout(c *call) ([]value, error) {
	if c.has(2) {
		if training, err := c.scalar("", 2, 0); err != nil || training != 0 {
			return fail("it is in training mode; export the model in inference mode")
		}
	}
	return sameValue(c)
}

// castActivation: all floating point is computed in float32.
func castActivation(c *call) ([]value, error) {
	if to := dtype(c.int("to", 0)); !dtypes[to].float {
		return fail("a cast of an activation to %v is not supported", to)
	}
	if c.isInteger(0) {
		return fail("a cast of quantized integers is not supported; DequantizeLinear gives their real values")
	}
	return sameValue(c)
}

func reshapeView(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	shape, err := c.targetShape(v.shape())
	if err != nil {
		return nil, err
	}
	out, err := v.reshape(shape)
	if err != nil {
		return nil, err
	}
	return one(out)
}

func transposeView(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	perm, err := c.perm(len(v.dims))
	if err != nil {
		return nil, err
	}
	return one(v.transpose(perm))
}

// expandView repeats dimensions of size 1. Where an elementwise operator would have repeated them anyway, the node
// disappears again (see simplify).
func expandView(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	want, err := c.shapeInput(1)
	if err != nil {
		return nil, err
	}
	shape, err := broadcastShapes(v.shape(), want)
	if err != nil {
		return nil, err
	}
	dims := append(make([][]factor, len(shape)-len(v.dims), len(shape)), v.dims...)
	var wider []int
	for d, s := range shape {
		if len(dims[d]) == 0 && s > 1 {
			wider = append(wider, d)
		}
	}
	v = view{v.n, dims}
	if len(wider) == 0 {
		return one(v)
	}
	if len(shape) != 4 {
		return fail("an expansion of %d dimensions is supported for N,C,H,W only", len(shape))
	}
	prefer := make([]axis, len(wider))
	for i, d := range wider {
		prefer[i] = [4]axis{axisC, axisC, axisH, axisW}[d]
	}
	axes, err := v.place(wider, prefer)
	if err != nil {
		return nil, err
	}
	to, dims := v.n.shape, slices.Clone(dims)
	for i, d := range wider {
		to[axes[i]] = shape[d]
		dims[d] = []factor{{axes[i], shape[d], 1}}
	}
	n, err := c.node(expand{}, to, v.n)
	if err != nil {
		return nil, err
	}
	return one(view{n, dims})
}

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
		return c.elementwiseNode(unary{f}, v)
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
			k, v, err := c.perChannel(1, 0)
			if err != nil {
				return nil, err
			}
			for i := range k {
				k[i] *= sign
			}
			return c.elementwiseNode(affine{slices.Repeat([]float64{1}, len(k)), k}, v)
		case c.isConst(0):
			k, v, err := c.perChannel(0, 1)
			if err != nil {
				return nil, err
			}
			return c.elementwiseNode(affine{slices.Repeat([]float64{sign}, len(k)), k}, v)
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
			k, v, err := c.perChannel(i, 1-i)
			if err != nil {
				return nil, err
			}
			return c.elementwiseNode(affine{k, make([]float64, len(k))}, v)
		}
	}
	a, b, err := c.pair()
	if err != nil {
		return nil, err
	}
	return c.join(mul{noClip}, a, b)
}

func division(c *call) ([]value, error) {
	if len(c.in) != 2 || !c.isConst(1) {
		return fail("only division by a constant is supported")
	}
	k, v, err := c.perChannel(1, 0)
	if err != nil {
		return nil, err
	}
	for i := range k {
		if k[i] == 0 {
			return fail("division by zero")
		}
		k[i] = 1 / k[i]
	}
	return c.elementwiseNode(affine{k, make([]float64, len(k))}, v)
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

// join adds an elementwise node of two activations.
func (c *call) join(do any, a, b view) ([]value, error) {
	dims, shape, err := broadcast(a, b)
	if err != nil {
		return nil, err
	}
	n, err := c.node(do, shape, a.n, b.n)
	if err != nil {
		return nil, err
	}
	return one(view{n, dims})
}

// perChannel returns constant k, an operand of activation x, as one number or one per channel, and x's view.
func (c *call) perChannel(k, x int) ([]float64, view, error) {
	t, err := c.constant(k, "operand")
	if err != nil {
		return nil, view{}, err
	}
	v, err := c.view(x)
	if err != nil {
		return nil, view{}, err
	}
	shape, err := broadcastShapes(t.shape, v.shape())
	if err != nil {
		return nil, view{}, err
	}
	if len(shape) > len(v.dims) { // a constant of more dimensions, all 1 in front
		v = view{v.n, append(make([][]factor, len(shape)-len(v.dims), len(shape)), v.dims...)}
	}
	if !slices.Equal(shape, v.shape()) {
		return nil, view{}, fmt.Errorf("its constant operand of shape %v makes the activation of shape %v larger, which is not supported", t.shape, v.shape())
	}
	f, err := t.float32s()
	if err != nil {
		return nil, view{}, err
	}
	if !slices.ContainsFunc(f, func(x float32) bool { return x != f[0] }) { // one value, whatever the shape
		return []float64{float64(f[0])}, v, nil
	}
	ch := v.n.shape[axisC]
	if err := c.im.budget.take(ch, 32); err != nil {
		return nil, view{}, err
	}
	out, set := make([]float64, ch), make([]bool, ch)
	strides := spread(t.shape, shape)
	var walk func(d, at, channel int) error
	walk = func(d, at, channel int) error {
		if d == len(shape) {
			x := float64(f[at])
			if set[channel] && out[channel] != x {
				return fmt.Errorf("its constant operand of shape %v varies over height or width; only one value per channel is supported", t.shape)
			}
			out[channel], set[channel] = x, true
			return nil
		}
		for i := range shape[d] {
			if err := walk(d+1, at+i*strides[d], channel+offset(v.dims[d], i, axisC)); err != nil {
				return err
			}
			if strides[d] == 0 && !touches(v.dims[d], axisC) {
				break // every other i says the same
			}
		}
		return nil
	}
	return out, v, walk(0, 0, 0)
}

// offset is the position along axis a of index i of a dimension.
func offset(dim []factor, i int, a axis) int {
	p := 0
	for _, f := range slices.Backward(dim) {
		if f.axis == a {
			p += i % f.size * f.stride
		}
		i /= f.size
	}
	return p
}

func touches(dim []factor, a axis) bool {
	return slices.ContainsFunc(dim, func(f factor) bool { return f.axis == a })
}
