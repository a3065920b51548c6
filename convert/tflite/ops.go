package tflite

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
)

// translator writes a model's operators as ONNX nodes.
type translator struct {
	m      *model
	p      *proto
	real   map[int]string    // the value of a tensor as real numbers
	params map[int][2]string // scale and zero point of a quantized tensor
	made   map[int]bool      // activations that there are by now
	half   map[int]int       // constants that a DEQUANTIZE makes, and of what
	taken  map[string]bool   // names of results
	errs   []onnx.NodeError
}

// rule writes one operator and returns the name of its result in real numbers.
type rule func(t *translator, op *operator) (string, error)

// operators are those of BuiltinOperator that are read.
var operators map[int]struct {
	name string
	rule rule
}

func init() {
	operators = map[int]struct {
		name string
		rule rule
	}{
		0:   {"ADD", binary2("Add", 0)},
		1:   {"AVERAGE_POOL_2D", pool("AveragePool")},
		2:   {"CONCATENATION", concatenation},
		3:   {"CONV_2D", convolution},
		4:   {"DEPTHWISE_CONV_2D", depthwise},
		6:   {"DEQUANTIZE", same},
		9:   {"FULLY_CONNECTED", fullyConnected},
		14:  {"LOGISTIC", unary("Sigmoid")},
		17:  {"MAX_POOL_2D", pool("MaxPool")},
		18:  {"MUL", binary2("Mul", 0)},
		19:  {"RELU", activation(1)},
		20:  {"RELU_N1_TO_1", activation(2)},
		21:  {"RELU6", activation(3)},
		22:  {"RESHAPE", reshape},
		23:  {"RESIZE_BILINEAR", resize("linear", 2)},
		25:  {"SOFTMAX", softmax},
		28:  {"TANH", unary("Tanh")},
		34:  {"PAD", pad},
		39:  {"TRANSPOSE", transpose},
		40:  {"MEAN", mean},
		41:  {"SUB", binary2("Sub", 0)},
		42:  {"DIV", binary2("Div", 0)},
		43:  {"SQUEEZE", reshape},
		60:  {"PADV2", pad},
		70:  {"EXPAND_DIMS", reshape},
		97:  {"RESIZE_NEAREST_NEIGHBOR", resize("nearest", 0)},
		98:  {"LEAKY_RELU", leaky},
		114: {"QUANTIZE", same},
		117: {"HARD_SWISH", unary("HardSwish")},
	}
}

// operator writes operator i; one that cannot be written is noted, and so are its results as lost.
func (t *translator) operator(i int) {
	op := &t.m.operators[i]
	label := fmt.Sprintf("operator %d", i)
	if len(op.out) > 0 {
		label = t.m.tensors[op.out[0]].name
	}
	row, ok := operators[op.code]
	if !ok {
		t.errs = append(t.errs, onnx.NodeError{Name: label, Op: fmt.Sprintf("operator %d of LiteRT", op.code), Reason: "this operator is not supported"})
		return
	}
	for _, x := range op.in {
		if x >= 0 && t.m.tensors[x].data == nil && !t.made[x] {
			return // of an operator that could not be written, or unknown: said where it is
		}
	}
	err := t.write(op, row.rule)
	if f := t.m.operators[i].options.f; err == nil && f != nil {
		err = f.err
	}
	if err != nil {
		t.errs = append(t.errs, onnx.NodeError{Name: label, Op: row.name, Reason: err.Error()})
	}
}

func (t *translator) write(op *operator, r rule) error {
	if len(op.out) != 1 || len(op.in) == 0 || op.in[0] < 0 {
		return fmt.Errorf("it has %d inputs and %d results", len(op.in), len(op.out))
	}
	y := op.out[0]
	if t.made[y] || t.m.tensors[y].data != nil {
		return fmt.Errorf("its result is made twice")
	}
	if x := t.m.tensors[op.in[0]]; op.code == 6 && x.data != nil {
		t.half[y], t.made[y] = op.in[0], true
		return nil
	}
	result, err := r(t, op)
	if err != nil {
		return err
	}
	t.made[y] = true
	return t.store(y, result)
}

// store rounds a result as its tensor says.
func (t *translator) store(y int, result string) error {
	x := &t.m.tensors[y]
	if !x.isQuantized() {
		t.real[y] = t.p.node("Identity", []string{result}, x.name)
		return nil
	}
	p, err := t.quantParams(y, 0)
	if err == nil {
		t.p.node("QuantizeLinear", []string{result, p[0], p[1]}, x.name)
	}
	return err
}

// quantParams writes scales and zero points of a tensor, once.
func (t *translator) quantParams(i, axis int) (names [2]string, err error) {
	if p, ok := t.params[i]; ok {
		return p, nil
	}
	x := &t.m.tensors[i]
	n := len(x.scale) / 4
	shape := []int{n}
	if n == 1 {
		shape = nil
	} else if axis >= len(x.shape) || axis < 0 || x.shape[axis] != n {
		return names, fmt.Errorf("%q of shape %v has %d scales along axis %d", x.name, x.shape, n, axis)
	}
	names = [2]string{t.p.name(x.name), t.p.name(x.name)}
	if err := t.p.bytes(names[0], 1, shape, x.scale); err != nil {
		return names, err
	}
	size := elems[x.elem].size
	err = t.p.constant(names[1], elems[x.elem].onnx, shape, n*size, func(dst []byte) []byte {
		for k := range n {
			var z [8]byte
			if len(x.zero) > 0 {
				copy(z[:], x.zero[8*k:8*k+8])
			}
			dst = append(dst, z[:size]...)
		}
		return dst
	})
	if err == nil && len(x.zero) > 0 {
		for k := range n {
			z := int64(binary.LittleEndian.Uint64(x.zero[8*k:]))
			if lo, hi := rangeOf(x.elem); z < lo || z > hi {
				return names, fmt.Errorf("%q has zero point %d, outside %v", x.name, z, x.elem)
			}
		}
	}
	t.params[i] = names
	return names, err
}

func rangeOf(e elem) (lo, hi int64) {
	bits := 8 * elems[e].size
	if e == elemUint8 {
		return 0, 255
	}
	return -1 << (bits - 1), 1<<(bits-1) - 1
}

// value is input k of an operator in real numbers.
func (t *translator) value(op *operator, k int) (string, error) {
	if k >= len(op.in) || op.in[k] < 0 {
		return "", fmt.Errorf("its input %d is missing", k)
	}
	i := op.in[k]
	if h, ok := t.half[i]; ok {
		i = h
	}
	if name, ok := t.real[i]; ok {
		return name, nil
	}
	x := &t.m.tensors[i]
	if x.data != nil {
		return t.constant(i, x.shape, func(dst []byte) []byte { return append(dst, x.data...) }, x.axis)
	}
	p, err := t.quantParams(i, 0)
	if err != nil {
		return "", err
	}
	t.real[i] = t.p.node("DequantizeLinear", []string{x.name, p[0], p[1]}, t.p.name(x.name))
	return t.real[i], nil
}

// constant writes constant i, in another order of its elements if need be, and returns its name in real numbers. axis is where
// its scales are then; it is the tensor's own in the check of their number.
func (t *translator) constant(i int, shape []int, write func(dst []byte) []byte, axis int) (string, error) {
	x := &t.m.tensors[i]
	info, ok := elems[x.elem]
	if !ok {
		return "", fmt.Errorf("%q is of %v, which is not supported", x.name, x.elem)
	}
	if name, ok := t.real[i]; ok {
		return name, nil
	}
	name := x.name
	if err := t.p.constant(name, info.onnx, shape, len(x.data), write); err != nil {
		return "", err
	}
	if x.isQuantized() {
		p, err := t.quantParams(i, x.axis)
		if err != nil {
			return "", err
		}
		name = t.p.node("DequantizeLinear", []string{name, p[0], p[1]}, t.p.name(name), attr{"axis", axis})
	}
	t.real[i] = name
	return name, nil
}

// weights writes the constant of input 1 with its four dimensions in another order.
func (t *translator) weights(op *operator, perm [4]int) (name string, shape []int, err error) {
	if len(op.in) < 2 || op.in[1] < 0 {
		return "", nil, fmt.Errorf("its weights are missing")
	}
	i := op.in[1]
	if h, ok := t.half[i]; ok {
		i = h
	}
	x := &t.m.tensors[i]
	if x.data == nil || len(x.shape) != 4 {
		return "", nil, fmt.Errorf("its weights of shape %v are not a constant of four dimensions", x.shape)
	}
	var step [4]int
	n := elems[x.elem].size
	for d := 3; d >= 0; d-- {
		step[d] = n
		n *= x.shape[d]
	}
	shape = make([]int, 4)
	for d, p := range perm {
		shape[d] = x.shape[p]
	}
	size := elems[x.elem].size
	name, err = t.constant(i, shape, func(dst []byte) []byte {
		for a := range shape[0] {
			for b := range shape[1] {
				for c := range shape[2] {
					at := a*step[perm[0]] + b*step[perm[1]] + c*step[perm[2]]
					for range shape[3] {
						dst = append(dst, x.data[at:at+size]...)
						at += step[perm[3]]
					}
				}
			}
		}
		return dst
	}, slices.Index(perm[:], x.axis))
	return name, shape, err
}

// rank4 is the shape of input 0, which must have four dimensions.
func (t *translator) rank4(op *operator) ([]int, error) {
	s := t.m.tensors[op.in[0]].shape
	if len(s) != 4 {
		return nil, fmt.Errorf("its input has shape %v, expected N,H,W,C", s)
	}
	return s, nil
}

// planes is input 0 as N,C,H,W, and images the way back. Package onnx drops such transposes: they only change its view.
func (t *translator) planes(op *operator) (string, error) {
	x, err := t.value(op, 0)
	if err != nil {
		return "", err
	}
	return t.p.node("Transpose", []string{x}, t.p.name(x), attr{"perm", []int{0, 3, 1, 2}}), nil
}

func (t *translator) images(x string) string {
	return t.p.node("Transpose", []string{x}, t.p.name(x), attr{"perm", []int{0, 2, 3, 1}})
}

// fused adds an operator's activation, one of ActivationFunctionType.
func (t *translator) fused(x string, act int) (string, error) {
	var lo, hi float32
	switch act {
	case 0:
		return x, nil
	case 1:
		return t.p.node("Relu", []string{x}, t.p.name(x)), nil
	case 2:
		lo, hi = -1, 1
	case 3:
		lo, hi = 0, 6
	case 4:
		return t.p.node("Tanh", []string{x}, t.p.name(x)), nil
	default:
		return "", fmt.Errorf("its activation %d is not supported", act)
	}
	a, err := t.p.scalar(t.p.name(x), lo)
	if err != nil {
		return "", err
	}
	b, err := t.p.scalar(t.p.name(x), hi)
	if err != nil {
		return "", err
	}
	return t.p.node("Clip", []string{x, a, b}, t.p.name(x)), nil
}

// padding is auto_pad for an operator's padding.
func padding(p int) attr {
	if p == 0 {
		return attr{"auto_pad", "SAME_UPPER"}
	}
	return attr{"auto_pad", "VALID"}
}

func (t *translator) withBias(op *operator, in []string) ([]string, error) {
	if len(op.in) < 3 || op.in[2] < 0 {
		return in, nil
	}
	b, err := t.value(op, 2)
	return append(in, b), err
}

func convolution(t *translator, op *operator) (string, error) {
	s, err := t.rank4(op)
	if err != nil {
		return "", err
	}
	w, shape, err := t.weights(op, [4]int{0, 3, 1, 2})
	if err != nil {
		return "", err
	}
	if shape[1] < 1 || s[3]%shape[1] != 0 {
		return "", fmt.Errorf("its weights for %d channels do not fit an input of shape %v", shape[1], s)
	}
	o := op.options
	return t.convolve(op, w, s[3]/shape[1], o.byte(3), padding(o.byte(0)), attr{"strides", []int{o.int(2, 0), o.int(1, 0)}},
		attr{"dilations", []int{o.int(5, 1), o.int(4, 1)}})
}

func depthwise(t *translator, op *operator) (string, error) {
	s, err := t.rank4(op)
	if err != nil {
		return "", err
	}
	w, _, err := t.weights(op, [4]int{3, 0, 1, 2})
	if err != nil {
		return "", err
	}
	o := op.options
	return t.convolve(op, w, s[3], o.byte(4), padding(o.byte(0)), attr{"strides", []int{o.int(2, 0), o.int(1, 0)}},
		attr{"dilations", []int{o.int(6, 1), o.int(5, 1)}})
}

func (t *translator) convolve(op *operator, w string, groups, act int, attrs ...attr) (string, error) {
	x, err := t.planes(op)
	if err != nil {
		return "", err
	}
	in, err := t.withBias(op, []string{x, w})
	if err != nil {
		return "", err
	}
	y := t.p.node("Conv", in, t.p.name(t.m.tensors[op.out[0]].name), append(attrs, attr{"group", groups})...)
	if y, err = t.fused(y, act); err != nil {
		return "", err
	}
	return t.images(y), nil
}

func fullyConnected(t *translator, op *operator) (string, error) {
	x, err := t.value(op, 0)
	if err != nil {
		return "", err
	}
	w, err := t.value(op, 1)
	if err != nil {
		return "", err
	}
	o := op.options
	shape := t.m.tensors[op.in[1]].shape
	if o.byte(1) != 0 || len(shape) != 2 {
		return "", fmt.Errorf("its weights of shape %v are shuffled or not a matrix", shape)
	}
	flat, err := t.p.ints(t.p.name(x), -1, shape[1])
	if err != nil {
		return "", err
	}
	x = t.p.node("Reshape", []string{x, flat}, t.p.name(x))
	in, err := t.withBias(op, []string{x, w})
	if err != nil {
		return "", err
	}
	y := t.p.node("Gemm", in, t.p.name(t.m.tensors[op.out[0]].name), attr{"transB", 1})
	if y, err = t.fused(y, o.byte(0)); err != nil {
		return "", err
	}
	return t.shaped(y, op)
}

// shaped gives x the shape of an operator's result.
func (t *translator) shaped(x string, op *operator) (string, error) {
	s, err := t.p.ints(t.p.name(x), t.m.tensors[op.out[0]].shape...)
	return t.p.node("Reshape", []string{x, s}, t.p.name(x)), err
}
