package build

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Gather and Permute keep the grid of x.
func (q *Quantized) Gather(name string, x, axis int, index []int) int {
	return q.set(q.b.Gather(name, x, axis, index), q.Grid(x))
}

func (q *Quantized) Permute(name string, x int, dims, perm []int, s Shape) int {
	return q.set(q.b.Permute(name, x, dims, perm, s), q.Grid(x))
}

// PReLU is a table for each channel.
func (q *Quantized) PReLU(name string, x int, slope []float32, out Grid) int {
	in := q.Grid(x)
	y := q.set(q.b.PReLU(name, x, slope), out)
	if y < 0 {
		return -1
	}
	table := make([]byte, 0, 256*len(slope))
	for c, s := range slope {
		if s != s || math.IsInf(float64(s), 0) {
			return q.b.fail(name, "the slope of channel %d is not finite", c)
		}
		for i := range 256 {
			v := in.Real(i - 128)
			if v < 0 {
				v *= float64(s)
			}
			table = append(table, byte(out.At(v)))
		}
	}
	// The table takes the place of the slopes that the float operator has.
	q.b.m.Tensors[q.last().Inputs[1]] = format.Tensor{Name: name + ".table", DType: format.I8, Shape: []int{len(slope), 256}, Data: table}
	return y
}

// Normalize has exact mean and variance; scale and shift, of one element a channel, are of real values.
func (q *Quantized) Normalize(name string, x, axis, groups int, eps float32, scale, shift []float32, out Grid) int {
	if !(out.Scale > 0) { // set says so
		return q.set(q.b.Normalize(name, x, axis, groups, eps, scale, shift), out)
	}
	steps := [2][]float32{make([]float32, len(scale)), make([]float32, len(shift))}
	for c := range scale {
		steps[0][c] = float32(float64(scale[c]) / float64(out.Scale))
	}
	for c := range shift {
		steps[1][c] = float32(float64(shift[c]) / float64(out.Scale))
	}
	return q.set(q.b.Normalize(name, x, axis, groups, eps, steps[0], steps[1]), out)
}
