package onnx

import (
	"math"

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
		"CastLike":  sameValue,
		"Shape":     shapeOf,
		"Size":      sizeOfValue,
		"Reshape":   reshapeView,
		"Flatten":   reshapeView,
		"Squeeze":   reshapeView,
		"Unsqueeze": reshapeView,
		"Transpose": transposeView,
		"Expand":    expandView,
		"If":        conditional,

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
		"LeakyRelu":   leakyReLU,
		"PRelu":       parametricReLU,
		"Elu":         elu,
		"Selu":        elu,
		"Celu":        celu,
		"Gelu":        gelu,
		"Tanh":        unaryRule(format.FuncTanh),
		"Softplus":    unaryRule(format.FuncSoftplus),
		"Softsign":    unaryRule(format.FuncSoftsign),
		"Mish":        unaryRule(format.FuncMish),
		"Erf":         unaryRule(format.FuncErf),
		"Exp":         unaryRule(format.FuncExp),
		"Log":         unaryRule(format.FuncLog),
		"Sqrt":        unaryRule(format.FuncSqrt),
		"Reciprocal":  unaryRule(format.FuncReciprocal),
		"Abs":         unaryRule(format.FuncAbs),
		"Neg":         scaleBy(-1),
		"Add":         addition(1),
		"Sub":         addition(-1),
		"Mul":         multiplication,
		"Div":         division,
		"Pow":         power,
		"Max":         extremum(1),
		"Min":         extremum(-1),
		"Sum":         sum,
		"Mean":        meanOfInputs,
		"Softmax":     softmaxRule(false),
		"LogSoftmax":  softmaxRule(true),

		// Windows and sizes.
		"ConvTranspose":     convTranspose,
		"MaxPool":           maxPooling,
		"AveragePool":       averagePooling,
		"GlobalAveragePool": globalAverage,
		"GlobalMaxPool":     globalMax,
		"ReduceMean":        reduction(reduceMean),
		"ReduceSum":         reduction(reduceSum),
		"ReduceMax":         reduction(reduceMax),
		"ReduceMin":         reduction(reduceMin),
		"ReduceL1":          reduction(reduceL1),
		"ReduceL2":          reduction(reduceL2),
		"ReduceSumSquare":   reduction(reduceSumSquare),
		"Pad":               padding,
		"Resize":            resizeRule,
		"Upsample":          resizeRule,

		// Data that moves.
		"Concat":       concatenation,
		"Split":        splitView,
		"Slice":        sliceView,
		"Gather":       gatherView,
		"Tile":         tile,
		"DepthToSpace": depthToSpace,
		"SpaceToDepth": spaceToDepth,

		// Normalisation by what is in the image.
		"LayerNormalization":        layerNormalization,
		"InstanceNormalization":     instanceNormalization,
		"GroupNormalization":        groupNormalization,
		"MeanVarianceNormalization": meanVarianceNormalization,
		"LRN":                       localResponse,

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
	if err != nil { // it mixes axes: with all elements in one, it does not
		axes := [3][]int{}
		for d := range v.dims {
			axes[axisC] = append(axes[axisC], d)
		}
		if v, err = c.arranged(v, axes); err != nil {
			return nil, err
		}
		out, err = v.reshape(shape)
	}
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
	v = view{v.n, append(make([][]factor, len(shape)-len(v.dims), len(shape)), v.dims...)}
	for d, s := range shape {
		if len(v.dims[d]) == 0 && s > 1 {
			if v, err = c.repeated(v, d, s); err != nil {
				return nil, err
			}
		}
	}
	return one(v)
}
