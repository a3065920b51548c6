package format

import "fmt"

// PadChannels rounds the innermost dimension of a weight up to the multiple of 4 elements that its runs are stored with.
func PadChannels(i int) int { return (i + 3) &^ 3 }

var dtypes = [...]struct {
	name string
	size int
}{F32: {"f32", 4}, F16: {"f16", 2}, I8: {"i8", 1}, I16: {"i16", 2}, I32: {"i32", 4}, I64: {"i64", 8}}

// Size returns the bytes of one element, 0 for a value that is no type.
func (d DType) Size() int {
	if int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].size
}

func (d DType) String() string {
	if d.Size() == 0 {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}

// qrange returns the values that a quantized element may have.
func (d DType) qrange() (lo, hi int32) {
	if d == I16 {
		return -1 << 15, 1<<15 - 1
	}
	return -128, 127
}

func (k OpKind) String() string {
	if s := k.signature(); s != nil {
		return s.name
	}
	return fmt.Sprintf("op(%d)", uint16(k))
}

func (f Func) String() string {
	return enumName("func", int(f), "", "relu", "relu6", "sigmoid", "swish", "hardsigmoid", "hardswish",
		"leaky_relu", "elu", "prelu", "tanh", "softplus", "mish", "gelu", "gelu_tanh", "erf", "exp", "log", "sqrt", "reciprocal",
		"abs", "softsign", "pow")
}

func (m Mode) String() string { return enumName("mode", int(m), "", "nearest", "bilinear") }

func (c ColorOrder) String() string { return enumName("order", int(c), "", "rgb", "bgr") }

func (r ResizeRule) String() string { return enumName("rule", int(r), "", "squash", "centercrop") }

func (h HeatNorm) String() string { return enumName("norm", int(h), "none", "minmax", "p65") }

func enumName(kind string, i int, names ...string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}
