package onnx

import "slices"

// qoperators are the operators on integers, of ONNX and of ONNX Runtime's own domain, each as a rule for real values between
// DequantizeLinear and QuantizeLinear.
var qoperators = map[string]rule{
	"QLinearConv":              qlinearConv,
	"QLinearMatMul":            qlinear("MatMul", 6, operand{0, 1, 2, -1}, operand{3, 4, 5, 1}),
	"QLinearAdd":               qlinear("Add", 6, operand{0, 1, 2, -1}, operand{3, 4, 5, -1}),
	"QLinearMul":               qlinear("Mul", 6, operand{0, 1, 2, -1}, operand{3, 4, 5, -1}),
	"QLinearSigmoid":           qlinear("Sigmoid", 3, operand{0, 1, 2, -1}),
	"QLinearLeakyRelu":         qlinear("LeakyRelu", 3, operand{0, 1, 2, -1}),
	"QLinearAveragePool":       qlinear("AveragePool", 3, operand{0, 1, 2, -1}),
	"QLinearGlobalAveragePool": qlinear("GlobalAveragePool", 3, operand{0, 1, 2, -1}),
	"QLinearReduceMean":        qlinear("ReduceMean", 3, operand{0, 1, 2, -1}),
	"QLinearSoftmax":           qlinear("Softmax", 3, operand{0, 1, 2, -1}),
	"QLinearConcat":            qlinearConcat,
	"QGemm":                    qgemm,
}

// isQuantizedOp says whether a node of ONNX Runtime's domain is one of the above, or a pair of which ONNX has the same.
func (c *call) isQuantizedOp() bool {
	_, ok := qoperators[c.n.op]
	return c.n.domain == "com.microsoft" && (ok || c.n.op == "QuantizeLinear" || c.n.op == "DequantizeLinear")
}

// isInteger says whether input i is an activation of integers, whose real value only DequantizeLinear knows.
func (c *call) isInteger(i int) bool {
	if !c.has(i) || c.in[i].v.n == nil {
		return false
	}
	for n := c.in[i].v.n; ; n = n.in[0] {
		switch n.do.(type) {
		case quantize:
			return true
		case maxPool, resize, pad, concat, gather, permute, expand:
		default:
			return false
		}
	}
}

// operand is an input of integers x with scale s and zero point z; axis is where a constant has several scales, -1 if it cannot.
type operand struct{ x, s, z, axis int }

// real is the real value of an operand.
func (c *call) real(o operand) (*value, error) {
	p, err := c.quantParams(o.s, o.z, tUint8)
	if err != nil {
		return nil, err
	}
	if c.isConst(o.x) {
		t, err := dequantizedConst(c.in[o.x].c, &p, o.axis)
		return &value{c: t}, err
	}
	v, err := c.view(o.x)
	if err != nil {
		return nil, err
	}
	out, err := c.dequantized(v, &p, !c.has(o.z))
	if err != nil {
		return nil, err
	}
	return &out[0], nil
}

// between applies the rule of operator op to real inputs and rounds its result to the grid of inputs s and z.
func (c *call) between(op string, s, z int, in []*value) ([]value, error) {
	rule, ok := rules[op]
	if !ok {
		return fail("%s is not supported", op)
	}
	p, err := c.quantParams(s, z, tUint8)
	if err != nil {
		return nil, err
	}
	if c.int("channels_last", 0) != 0 {
		return fail("it works on N,H,W,C (channels_last), which is not supported")
	}
	inner, node := *c, *c.n
	node.op, node.domain = op, ""
	inner.n, inner.in = &node, in
	out, err := rule(&inner)
	if err == nil {
		err = inner.err
	}
	if err != nil {
		return nil, err
	}
	return c.quantized(out[0].v, &p)
}

// qlinear is a rule whose result has its scale in input s and its zero point behind it.
func qlinear(op string, s int, operands ...operand) rule {
	return func(c *call) ([]value, error) {
		var in []*value
		for _, o := range operands {
			if c.isConst(o.x) && o.axis >= 0 {
				o.axis = len(c.in[o.x].c.shape) - 1 // a matrix has a scale for each column
			}
			v, err := c.real(o)
			if err != nil {
				return nil, err
			}
			in = append(in, v)
		}
		return c.between(op, s, s+1, in)
	}
}

// biasOn is a bias of int32, input b, in units of the scales of x and w.
func (c *call) biasOn(b, x, w int) (*value, error) {
	t, err := c.constant(b, "bias")
	if err != nil {
		return nil, err
	}
	sx, err := c.quantParams(x, -1, tUint8)
	if err != nil {
		return nil, err
	}
	sw, err := c.quantParams(w, -1, tUint8)
	if err != nil {
		return nil, err
	}
	sw.scale = slices.Clone(sw.scale)
	for i := range sw.scale {
		sw.scale[i] *= sx.scale[0]
	}
	r, err := dequantizedConst(t, &sw, len(t.shape)-1)
	return &value{c: r}, err
}

func qlinearConv(c *call) ([]value, error) {
	x, err := c.real(operand{0, 1, 2, -1})
	if err != nil {
		return nil, err
	}
	w, err := c.real(operand{3, 4, 5, 0})
	if err != nil {
		return nil, err
	}
	in := []*value{x, w}
	if c.has(8) {
		b, err := c.biasOn(8, 1, 4)
		if err != nil {
			return nil, err
		}
		in = append(in, b)
	}
	return c.between("Conv", 6, 7, in)
}

func qgemm(c *call) ([]value, error) {
	if !c.has(7) {
		return fail("its result is not quantized, which is not supported")
	}
	a, err := c.real(operand{0, 1, 2, -1})
	if err != nil {
		return nil, err
	}
	axis := 1
	if c.int("transB", 0) != 0 {
		axis = 0
	}
	b, err := c.real(operand{3, 4, 5, axis})
	if err != nil {
		return nil, err
	}
	in := []*value{a, b}
	if c.has(6) {
		bias, err := c.biasOn(6, 1, 4)
		if err != nil {
			return nil, err
		}
		in = append(in, bias)
	}
	return c.between("Gemm", 7, 8, in)
}

func qlinearConcat(c *call) ([]value, error) {
	if len(c.in) < 5 || len(c.in)%3 != 2 {
		return fail("it has %d inputs; expected a scale, a zero point, and three for each part", len(c.in))
	}
	var in []*value
	for i := 2; i < len(c.in); i += 3 {
		v, err := c.real(operand{i, i + 1, i + 2, -1})
		if err != nil {
			return nil, err
		}
		in = append(in, v)
	}
	return c.between("Concat", 0, 1, in)
}
