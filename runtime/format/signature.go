package format

// use is what an operator does with an input.
type use uint8

const (
	useActivation use = iota
	useConstant       // plain elements
	useWeights        // elements with each run of the last dimension padded to a multiple of 4
	useOperand        // an activation, or a plain constant of the shape an activation has
)

// types is a set of DTypes, one bit each.
type types uint8

const (
	tF32  = types(1 << F32)
	tHalf = types(1<<F32 | 1<<F16)
	tI8   = types(1 << I8)
	tI16  = types(1 << I16)
	tQ    = types(1<<I8 | 1<<I16)
	tI32  = types(1 << I32)
	tI64  = types(1 << I64)
)

func (t types) has(d DType) bool { return t&(1<<d) != 0 }

// slot is one input or output of an operator.
type slot struct {
	name     string
	use      use
	types    types
	optional bool
}

func act(name string, t types) slot      { return slot{name, useActivation, t, false} }
func weights(name string, t types) slot  { return slot{name, useWeights, t, false} }
func constant(name string, t types) slot { return slot{name, useConstant, t, false} }
func operand(name string, t types) slot  { return slot{name, useOperand, t, false} }
func opt(s slot) slot                    { s.optional = true; return s }

// form is an operator on float32 or on quantized activations. In a variadic form the only input slot repeats.
type form struct {
	in, out  []slot
	inner    []string // names of the inner tensors, all I8
	attrs    attrSet
	variadic bool
}

// signature has a nil form where the operator does not exist in it.
type signature struct {
	name         string
	float, quant *form
}

// signature returns nil for an unknown kind.
func (k OpKind) signature() *signature {
	if int(k) >= len(signatures) || signatures[k].name == "" {
		return nil
	}
	return &signatures[k]
}

var (
	attrsClamp  = attrsOf(keyClampLo, keyClampHi)
	attrsQ      = attrsOf(keyQLo, keyQHi)
	attrsConv   = attrsOf(keyStride, keyDilation, keyPad, keyGroups) | attrsClamp
	attrsMults  = attrsOf(keyMults)
	attrsMax    = attrsOf(keyKernel, keyStride, keyDilation, keyPad)
	attrsAvg    = attrsOf(keyKernel, keyStride, keyPad, keyCountIncludePad)
	attrsResize = attrsOf(keyMode, keyAlignCorners)
	attrsBlend  = attrsOf(keyA, keyB)
	attrsRFGA   = attrsBlend | attrsOf(keyOff)
	attrsUnary  = attrsOf(keyFunc) | attrsBlend
	attrsNorm   = attrsOf(keyAxis, keyGroups, keyEpsilon)
)

var signatures = [...]signature{
	OpConv2D:          convLike("conv2d", attrsConv),
	OpDepthwiseConv2D: convLike("depthwise_conv2d", attrsConv),
	OpFullyConnected:  convLike("fully_connected", attrsClamp),
	OpAdd:             elementwise("add"),
	OpMul:             elementwise("mul"),
	OpUnary: {"unary",
		&form{in: []slot{act("x", tF32), opt(constant("slope", tHalf))}, out: []slot{act("y", tF32)}, attrs: attrsUnary},
		&form{in: []slot{act("x", tQ), constant("table", tQ)}, out: []slot{act("y", tQ)}, attrs: attrsUnary}},
	OpMaxPool:       same("max_pool", attrsMax, attrsMults),
	OpAvgPool:       same("avg_pool", attrsAvg, attrsMults),
	OpGlobalAvgPool: same("global_avg_pool", 0, attrsMults),
	OpConcat: {"concat",
		&form{in: []slot{act("x", tF32)}, out: []slot{act("y", tF32)}, attrs: attrsOf(keyAxis), variadic: true},
		&form{in: []slot{act("x", tQ)}, out: []slot{act("y", tQ)}, attrs: attrsOf(keyAxis) | attrsMults, variadic: true}},
	OpPad: same("pad", attrsOf(keyPad, keyPadValue), 0),
	OpSoftmax: {"softmax",
		&form{in: []slot{act("x", tF32)}, out: []slot{act("y", tF32)}, attrs: attrsOf(keyFunc)},
		&form{in: []slot{act("x", tQ)}, out: []slot{act("y", tF32)}, attrs: attrsOf(keyFunc)}},
	OpResize: same("resize", attrsResize, attrsMults),
	OpQuantize: {"quantize",
		&form{in: []slot{act("x", tF32)}, out: []slot{act("y", tQ)}}, nil},
	OpDequantize: {"dequantize", nil,
		&form{in: []slot{act("x", tQ)}, out: []slot{act("y", tF32)}}},
	OpRFGA: {"rfga",
		&form{in: rfgaInputs(tF32, tHalf, tHalf), out: []slot{act("y", tF32)}, attrs: attrsRFGA},
		&form{in: append(rfgaInputs(tQ, tI8, tI32), constant("mc", tF32), constant("mh", tF32), constant("mw", tF32),
			constant("table", tI16)),
			out: []slot{act("y", tQ)}, inner: []string{"yc", "yh", "yw", "zc", "zh", "zw"}, attrs: attrsRFGA | attrsMults}},
	OpCAMHead: {"cam_head",
		&form{in: []slot{act("x", tF32), weights("w", tHalf), opt(constant("bias", tHalf))},
			out: []slot{act("logits", tF32), opt(act("maps", tF32))}},
		&form{in: []slot{act("x", tQ), weights("w", tI8), opt(constant("bias", tI32))},
			out: []slot{act("logits", tI64), opt(act("maps", tI32|tI64))}}},
	OpGather: {"gather",
		&form{in: []slot{act("x", tF32), constant("index", tI32)}, out: []slot{act("y", tF32)}, attrs: attrsOf(keyAxis)},
		&form{in: []slot{act("x", tQ), constant("index", tI32)}, out: []slot{act("y", tQ)}, attrs: attrsOf(keyAxis)}},
	OpPermute: same("permute", attrsOf(keyDims, keyPerm), 0),
	OpNormalize: {"normalize",
		&form{in: []slot{act("x", tF32), opt(constant("scale", tHalf)), opt(constant("shift", tHalf))},
			out: []slot{act("y", tF32)}, attrs: attrsNorm},
		&form{in: []slot{act("x", tI8), constant("scale", tF32), constant("shift", tF32)},
			out: []slot{act("y", tI8)}, attrs: attrsNorm | attrsQ}},
}

// minorTree is the first minor version with the flag tree.
const minorTree = 2

// minorOf is the lowest minor version that has all that a valid model uses.
func minorOf(m *Model) int {
	if m.Quality != nil {
		return 1
	}
	for i := range m.Ops {
		op := &m.Ops[i]
		first := op.Kind > OpCAMHead || op.Attr.Func > FuncHardSwish || op.Kind == OpSoftmax && op.Attr.Func != 0 ||
			op.Kind == OpUnary && len(op.Inputs) > 1 && op.Inputs[1] >= 0 && len(m.Tensors[op.Inputs[1]].Shape) > 1 || op.Attr.Off != 0 || m.usesWide(op)
		if first {
			return 1
		}
	}
	return 0
}

// usesWide says whether op has int16 where version 1.0 had none.
func (m *Model) usesWide(op *Op) bool {
	switch op.Kind {
	case OpUnary, OpRFGA:
		return m.Tensors[op.Inputs[0]].DType == I16 || m.Tensors[op.Outputs[0]].DType == I16
	case OpCAMHead:
		return m.Tensors[op.Inputs[0]].DType == I16
	}
	return false
}

func convLike(name string, attrs attrSet) signature {
	return signature{name,
		&form{in: []slot{act("x", tF32), weights("w", tHalf), opt(constant("bias", tHalf))},
			out: []slot{act("y", tF32)}, attrs: attrs},
		&form{in: []slot{act("x", tQ), weights("w", tI8), opt(constant("bias", tI32)), constant("mult", tF32),
			opt(constant("padding", tQ))}, out: []slot{act("y", tQ)}, attrs: attrs | attrsQ}}
}

func elementwise(name string) signature {
	return signature{name,
		&form{in: []slot{act("a", tF32), operand("b", tHalf)}, out: []slot{act("y", tF32)}, attrs: attrsClamp},
		&form{in: []slot{act("a", tQ), operand("b", tQ)}, out: []slot{act("y", tQ)},
			attrs: attrsClamp | attrsQ | attrsMults}}
}

// same is an operator with one input and one output of the same kind of type.
func same(name string, attrs, quantAttrs attrSet) signature {
	return signature{name,
		&form{in: []slot{act("x", tF32)}, out: []slot{act("y", tF32)}, attrs: attrs},
		&form{in: []slot{act("x", tQ)}, out: []slot{act("y", tQ)}, attrs: attrs | quantAttrs}}
}

func rfgaInputs(x, w, b types) []slot {
	return []slot{act("x", x), weights("wc", w), constant("bc", b), weights("wh", w), constant("bh", b),
		weights("ww", w), constant("bw", b)}
}
