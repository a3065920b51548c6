package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// weightsOf returns a float constant in file order without its padding.
func weightsOf(m *format.Model, t int) ([]float32, error) {
	if t < 0 || t >= len(m.Tensors) {
		return nil, errors.New("weights are missing")
	}
	ten := &m.Tensors[t]
	run := ten.Shape[len(ten.Shape)-1]
	stored, err := decode(ten)
	if err != nil {
		return nil, err
	}
	padded := pad4(run)
	n := ten.Elements()
	if len(stored) != n/run*padded {
		return nil, fmt.Errorf("%q: %d stored elements for shape %v", ten.Name, len(stored), ten.Shape)
	}
	if padded == run {
		return stored, nil
	}
	out := make([]float32, 0, n)
	for k := 0; k < len(stored); k += padded {
		out = append(out, stored[k:k+run]...)
	}
	return out, nil
}

// vectorOf returns a plain float constant; nil if it is absent.
func vectorOf(m *format.Model, t int) ([]float32, error) {
	if t < 0 {
		return nil, nil
	}
	ten := &m.Tensors[t]
	v, err := decode(ten)
	if err == nil && len(v) != ten.Elements() {
		err = fmt.Errorf("%q: %d stored elements for shape %v", ten.Name, len(v), ten.Shape)
	}
	return v, err
}

func decode(t *format.Tensor) ([]float32, error) {
	switch t.DType {
	case format.F32:
		out := make([]float32, len(t.Data)/4)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
		return out, nil
	case format.F16:
		out := make([]float32, len(t.Data)/2)
		for i := range out {
			out[i] = half(binary.LittleEndian.Uint16(t.Data[2*i:]))
		}
		return out, nil
	}
	return nil, fmt.Errorf("%q: a constant of type %d where float is needed: the model is already quantized", t.Name, t.DType)
}

// half expands an IEEE 754 binary16.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, int(h>>10&31), float64(h&0x3ff)
	var v float64
	switch exp {
	case 0:
		v = math.Ldexp(frac, -24)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | uint32(h&0x3ff)<<13)
	default:
		v = math.Ldexp(1024+frac, exp-25)
	}
	return math.Float32frombits(math.Float32bits(float32(v)) | sign)
}

func pad4(n int) int { return (n + 3) &^ 3 }

// padded stores weights in file order: each run of the last dimension filled with zeros to a multiple of 4.
func padded(q []int8, run int) []byte {
	width := pad4(run)
	out := make([]byte, len(q)/run*width)
	for k := 0; k < len(q); k += run {
		dst := out[k/run*width:]
		for i, v := range q[k : k+run] {
			dst[i] = byte(v)
		}
	}
	return out
}

func bytesOfI8(v []int8) []byte {
	out := make([]byte, len(v))
	for i, x := range v {
		out[i] = byte(x)
	}
	return out
}

func bytesOfI16(v []int16) []byte {
	var out []byte
	for _, x := range v {
		out = binary.LittleEndian.AppendUint16(out, uint16(x))
	}
	return out
}

func bytesOfI32(v []int32) []byte {
	var out []byte
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, uint32(x))
	}
	return out
}

func bytesOfF32(v []float32) []byte {
	var out []byte
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}
