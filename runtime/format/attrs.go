package format

import (
	"fmt"
	"math"
	"slices"
)

var negInf, posInf = float32(math.Inf(-1)), float32(math.Inf(1))

// attrKey identifies an attribute in the file.
type attrKey uint16

const (
	keyKernel attrKey = 1 + iota
	keyStride
	keyDilation
	keyPad
	keyGroups
	keyAxis
	keyFunc
	keyMode
	keyAlignCorners
	keyCountIncludePad
	keyClampLo
	keyClampHi
	keyQLo
	keyQHi
	keyPadValue
	keyA
	keyB
	keyMults
	keyEpsilon
	keyDims
	keyPerm
	keyOff

	// keyIgnorable marks attributes of later minor versions that a reader which does not know them may skip.
	keyIgnorable attrKey = 1 << 15
)

// attrDef moves one attribute between an Attr and the 32-bit words that the file holds.
type attrDef struct {
	key  attrKey
	name string
	get  func(dst []uint32, a *Attr) []uint32
	set  func(a *Attr, w []uint32) // w has as many words as get appends for the default value
	// most is not 0 where the number of words varies: it is the most.
	most int
}

// attrDefs is in the order of keys, which is the order in the file.
var attrDefs = []attrDef{
	intsAttr(keyKernel, "kernel", func(a *Attr) []int { return a.Kernel[:] }),
	intsAttr(keyStride, "stride", func(a *Attr) []int { return a.Stride[:] }),
	intsAttr(keyDilation, "dilation", func(a *Attr) []int { return a.Dilation[:] }),
	intsAttr(keyPad, "pad", func(a *Attr) []int { return a.Pad[:] }),
	intAttr(keyGroups, "groups", func(a *Attr) *int { return &a.Groups }),
	intAttr(keyAxis, "axis", func(a *Attr) *int { return &a.Axis }),
	enumAttr(keyFunc, "func", func(a *Attr) *Func { return &a.Func }),
	enumAttr(keyMode, "mode", func(a *Attr) *Mode { return &a.Mode }),
	boolAttr(keyAlignCorners, "align_corners", func(a *Attr) *bool { return &a.AlignCorners }),
	boolAttr(keyCountIncludePad, "count_include_pad", func(a *Attr) *bool { return &a.CountIncludePad }),
	floatAttr(keyClampLo, "clamp_lo", func(a *Attr) *float32 { return &a.ClampLo }),
	floatAttr(keyClampHi, "clamp_hi", func(a *Attr) *float32 { return &a.ClampHi }),
	intAttr(keyQLo, "q_lo", func(a *Attr) *int32 { return &a.QLo }),
	intAttr(keyQHi, "q_hi", func(a *Attr) *int32 { return &a.QHi }),
	floatAttr(keyPadValue, "pad_value", func(a *Attr) *float32 { return &a.PadValue }),
	floatAttr(keyA, "a", func(a *Attr) *float32 { return &a.A }),
	floatAttr(keyB, "b", func(a *Attr) *float32 { return &a.B }),
	{key: keyMults, name: "mults", most: MaxInputs,
		get: func(dst []uint32, a *Attr) []uint32 {
			for _, m := range a.Mults {
				dst = append(dst, math.Float32bits(m))
			}
			return dst
		},
		set: func(a *Attr, w []uint32) {
			a.Mults = make([]float32, len(w))
			for i, v := range w {
				a.Mults[i] = math.Float32frombits(v)
			}
		}},
	floatAttr(keyEpsilon, "epsilon", func(a *Attr) *float32 { return &a.Epsilon }),
	listAttr(keyDims, "dims", func(a *Attr) *[]int { return &a.Dims }),
	listAttr(keyPerm, "perm", func(a *Attr) *[]int { return &a.Perm }),
	enumAttr(keyOff, "off", func(a *Attr) *RFGAPart { return &a.Off }),
}

// attrDefaults holds the words of NewAttr by position in attrDefs; an attribute with its default value is not written.
var attrDefaults = func() [][]uint32 {
	a := NewAttr()
	var out [][]uint32
	for _, d := range attrDefs {
		out = append(out, d.get(nil, &a))
	}
	return out
}()

func intsAttr(k attrKey, name string, field func(*Attr) []int) attrDef {
	return attrDef{key: k, name: name,
		get: func(dst []uint32, a *Attr) []uint32 {
			for _, v := range field(a) {
				dst = append(dst, uint32(v))
			}
			return dst
		},
		set: func(a *Attr, w []uint32) {
			for i, v := range w {
				field(a)[i] = int(v)
			}
		}}
}

func intAttr[T int | int32](k attrKey, name string, field func(*Attr) *T) attrDef {
	return attrDef{key: k, name: name,
		get: func(dst []uint32, a *Attr) []uint32 { return append(dst, uint32(*field(a))) },
		set: func(a *Attr, w []uint32) { *field(a) = T(w[0]) }}
}

func enumAttr[T ~uint8](k attrKey, name string, field func(*Attr) *T) attrDef {
	return attrDef{key: k, name: name,
		get: func(dst []uint32, a *Attr) []uint32 { return append(dst, uint32(*field(a))) },
		set: func(a *Attr, w []uint32) { *field(a) = T(w[0]) }}
}

func boolAttr(k attrKey, name string, field func(*Attr) *bool) attrDef {
	return attrDef{key: k, name: name,
		get: func(dst []uint32, a *Attr) []uint32 {
			if *field(a) {
				return append(dst, 1)
			}
			return append(dst, 0)
		},
		set: func(a *Attr, w []uint32) { *field(a) = w[0] == 1 }}
}

// listAttr is a list of small numbers, at most MaxDims of them.
func listAttr(k attrKey, name string, field func(*Attr) *[]int) attrDef {
	return attrDef{key: k, name: name, most: MaxDims,
		get: func(dst []uint32, a *Attr) []uint32 {
			for _, v := range *field(a) {
				dst = append(dst, uint32(v))
			}
			return dst
		},
		set: func(a *Attr, w []uint32) {
			*field(a) = make([]int, len(w))
			for i, v := range w {
				(*field(a))[i] = int(v)
			}
		}}
}

func floatAttr(k attrKey, name string, field func(*Attr) *float32) attrDef {
	return attrDef{key: k, name: name,
		get: func(dst []uint32, a *Attr) []uint32 { return append(dst, math.Float32bits(*field(a))) },
		set: func(a *Attr, w []uint32) { *field(a) = math.Float32frombits(w[0]) }}
}

// attrSet is a set of attributes, one bit a key.
type attrSet uint32

func attrsOf(keys ...attrKey) attrSet {
	var s attrSet
	for _, k := range keys {
		s |= 1 << k
	}
	return s
}

// checkAttr checks the ranges that hold for every operator, and that an attribute outside reads has its default.
func checkAttr(a *Attr, reads attrSet) error {
	type ranged struct {
		name   string
		values []int
		lo, hi int
	}
	for _, r := range [...]ranged{
		{"kernel", a.Kernel[:], 1, MaxKernel},
		{"stride", a.Stride[:], 1, MaxStride},
		{"dilation", a.Dilation[:], 1, MaxStride},
		{"padding", a.Pad[:], 0, MaxStride},
		{"groups", []int{a.Groups}, 1, MaxDim},
		{"axis", []int{a.Axis}, 1, 3},
		{"func", []int{int(a.Func)}, 0, int(FuncPow)},
		{"mode", []int{int(a.Mode)}, 0, int(ModeBilinear)},
		{"off", []int{int(a.Off)}, 0, rfgaParts},
	} {
		for _, v := range r.values {
			if v < r.lo || v > r.hi {
				return fmt.Errorf("%s %d is outside %d..%d", r.name, v, r.lo, r.hi)
			}
		}
	}
	switch {
	case !(a.ClampLo <= a.ClampHi): // a NaN fails too
		return fmt.Errorf("clamp from %v to %v", a.ClampLo, a.ClampHi)
	case a.QLo > a.QHi || a.QLo < -1<<15 || a.QHi > 1<<15-1:
		return fmt.Errorf("quantized clamp from %d to %d", a.QLo, a.QHi)
	case a.PadValue != a.PadValue:
		return fmt.Errorf("padding value is NaN")
	case !(math.Abs(float64(a.A)) <= maxBlend) || !(math.Abs(float64(a.B)) <= maxBlend):
		return fmt.Errorf("a = %v, b = %v: want values of at most %d", a.A, a.B, maxBlend)
	case !(a.Epsilon >= 0 && a.Epsilon <= maxEpsilon):
		return fmt.Errorf("epsilon %v is outside 0..%d", a.Epsilon, maxEpsilon)
	case len(a.Dims) > MaxDims || len(a.Perm) > MaxDims:
		return fmt.Errorf("dims %v, perm %v: at most %d", a.Dims, a.Perm, MaxDims)
	case len(a.Mults) > MaxInputs:
		return fmt.Errorf("%d multipliers, at most %d", len(a.Mults), MaxInputs)
	}
	for i, m := range a.Mults {
		if !isScale(m) {
			return fmt.Errorf("multiplier %d is %v: want a finite, positive, normal number", i, m)
		}
	}
	var buf [8]uint32
	for i, d := range attrDefs {
		if reads&(1<<d.key) == 0 && !slices.Equal(d.get(buf[:0], a), attrDefaults[i]) {
			return fmt.Errorf("attribute %s is set, which this operator does not read", d.name)
		}
	}
	return nil
}

// maxBlend bounds A and B of OpRFGA so that their Q14 form fits 32 bits.
const maxBlend = 1 << 16

// maxEpsilon bounds what OpNormalize adds to a variance.
const maxEpsilon = 1 << 16

// isScale says whether v may be a scale or multiplier: finite, positive and normal, so that no machine flushes it to zero.
func isScale(v float32) bool {
	return v >= 0x1p-126 && v <= math.MaxFloat32
}
