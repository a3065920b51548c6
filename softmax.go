package rfgaedge

import (
	"math"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// softmax writes the probabilities of the logits, with the exponential function that gives the same bits on every machine.
// Logits that no sound network gives are read as the nearest that one could: NaN becomes the smallest number. They are
// replaced in place, so that everything later can be ordered and printed.
func softmax(dst, logits []float32) {
	top := float32(-math.MaxFloat32)
	for i, v := range logits {
		if v != v {
			v = -math.MaxFloat32
		}
		v = min(max(v, -math.MaxFloat32), math.MaxFloat32)
		logits[i], top = v, max(top, v)
	}
	var sum float64
	for i, v := range logits {
		dst[i] = kernels.Exp32(v - top)
		sum += float64(dst[i])
	}
	for i, e := range dst {
		dst[i] = float32(float64(e) / sum)
	}
}
