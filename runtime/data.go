package runtime

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// nativeLittle tells whether the file's byte order is the machine's, so that constants can be used where they lie.
var nativeLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// inPlace tells whether b can be read as elements of the given size without a copy.
func inPlace(b []byte, size uintptr) bool {
	return nativeLittle && len(b) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(b)))%size == 0
}

func view[T any](b []byte) []T {
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(z)))
}

func int8s(b []byte) []int8 { return view[int8](b) }

// float32s returns a float constant as float32, expanding halves; nil for an absent tensor.
func float32s(t *format.Tensor) []float32 {
	if t == nil {
		return nil
	}
	switch t.DType {
	case format.F32:
		if inPlace(t.Data, 4) {
			return view[float32](t.Data)
		}
		out := make([]float32, len(t.Data)/4)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
		return out
	case format.F16:
		out := make([]float32, len(t.Data)/2)
		for i := range out {
			out[i] = kernels.HalfToFloat(binary.LittleEndian.Uint16(t.Data[2*i:]))
		}
		return out
	}
	return nil
}

// operandOf returns a constant in the storage of an activation.
func operandOf(t *format.Tensor) []byte {
	if t.DType == format.I8 {
		b := kernels.Memory(len(t.Data))
		for i, q := range t.Data {
			b[i] = q ^ 0x80
		}
		return b
	}
	if t.DType == format.I16 {
		return nativeI16(t)
	}
	v := float32s(t)
	b := kernels.Memory(4 * len(v))
	copy(view[float32](b), v)
	return b
}

// weights returns a float constant in the precision it has: as float32 or as halves, the other is nil.
func weights(t *format.Tensor) (w32 []float32, w16 []uint16) {
	if t == nil || t.DType != format.F16 {
		return float32s(t), nil
	}
	if inPlace(t.Data, 2) {
		return nil, view[uint16](t.Data)
	}
	w16 = make([]uint16, len(t.Data)/2)
	for i := range w16 {
		w16[i] = binary.LittleEndian.Uint16(t.Data[2*i:])
	}
	return nil, w16
}

func int32s(t *format.Tensor) []int32 {
	if t == nil || t.DType != format.I32 {
		return nil
	}
	if inPlace(t.Data, 4) {
		return view[int32](t.Data)
	}
	out := make([]int32, len(t.Data)/4)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return out
}

func int16s(t *format.Tensor) []int16 {
	if t == nil || t.DType != format.I16 {
		return nil
	}
	if inPlace(t.Data, 2) {
		return view[int16](t.Data)
	}
	out := make([]int16, len(t.Data)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(t.Data[2*i:]))
	}
	return out
}

// quantize rounds a real value half to even to the grid of scale and zero, clamped to int8. NaN gives zero.
func quantize(v, scale float32, zero int32) int8 {
	q := math.RoundToEven(float64(v)/float64(scale)) + float64(zero)
	if q != q {
		q = float64(zero)
	}
	return int8(min(max(q, -128), 127))
}

// q14 is the fixed-point form of an attribute of the attention operator.
func q14(v float32) int32 {
	return int32(min(max(math.RoundToEven(float64(v)*16384), -1<<30), 1<<30))
}
