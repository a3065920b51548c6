package quant

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// move lowers the operators that only move elements: input and output share a grid.
func (l *lowerer) move(op *format.Op) error {
	x, _, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	in := []int{x}
	if op.Kind == format.OpGather {
		in = append(in, l.tensor(l.m.Tensors[op.Inputs[1]]))
	}
	l.emit(op, op.Kind, in, []int{l.activation(op.Outputs[0])}, op.Attr)
	return nil
}

// normalize puts scale and shift in steps of the output; mean and variance are exact.
func (l *lowerer) normalize(op *format.Op) error {
	x, _, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	y := op.Outputs[0]
	step, n := float64(l.grids[y].scale), l.m.Tensors[y].Shape[3]
	in := []int{x}
	for i, v := range []float32{1, 0} {
		k := slices.Repeat([]float32{v}, n)
		if i+1 < len(op.Inputs) && op.Inputs[i+1] >= 0 {
			if k, err = vectorOf(l.m, op.Inputs[i+1]); err != nil {
				return err
			}
		}
		scaled := make([]float32, n)
		for c, v := range k {
			scaled[c] = float32(float64(v) / step)
		}
		in = append(in, l.constF32(op.Name+[]string{".scale", ".shift"}[i], scaled))
	}
	l.emit(op, op.Kind, in, []int{l.activation(y)}, op.Attr)
	return nil
}

// operand is the second input of an addition or multiplication, which may be a constant: it gets a grid of its own.
func (l *lowerer) operand(t int) (int, grid, error) {
	if t < 0 || t >= len(l.m.Tensors) || l.m.Tensors[t].Data == nil {
		return l.input(t)
	}
	v, err := vectorOf(l.m, t)
	if err != nil {
		return 0, grid{}, err
	}
	if k := anyNotFinite(v); k >= 0 {
		return 0, grid{}, fmt.Errorf("element %d of constant %q is %v", k, l.m.Tensors[t].Name, v[k])
	}
	g, err := gridOf(span{min(float64(slices.Min(v)), 0), max(float64(slices.Max(v)), 0)})
	if err != nil {
		return 0, grid{}, fmt.Errorf("constant %q: %w", l.m.Tensors[t].Name, err)
	}
	q := make([]int8, len(v))
	for i, f := range v {
		q[i] = int8(g.quantize(float64(f)))
	}
	src := &l.m.Tensors[t]
	return l.tensor(format.Tensor{Name: src.Name, DType: format.I8, Shape: slices.Clone(src.Shape), Scale: []float32{g.scale}, Zero: g.zero,
		Data: bytesOfI8(q)}), g, nil
}

// functionOf returns op's function of channel c, exact to float64: it only fills tables that the file stores.
func (l *lowerer) functionOf(op *format.Op) (f func(x float64, c int) float64, perChannel bool, err error) {
	a, b := float64(op.Attr.A), float64(op.Attr.B)
	below := func(f func(x float64) float64) func(x float64, c int) float64 {
		return func(x float64, _ int) float64 {
			if x < 0 {
				return f(x)
			}
			return b * x
		}
	}
	switch op.Attr.Func {
	case format.FuncLeakyReLU:
		return below(func(x float64) float64 { return a * x }), false, nil
	case format.FuncELU:
		return below(func(x float64) float64 { return a * math.Expm1(x) }), false, nil
	case format.FuncPow:
		return func(x float64, _ int) float64 { return math.Pow(x, a) }, false, nil
	case format.FuncPReLU:
		slope, err := vectorOf(l.m, op.Inputs[1])
		return func(x float64, c int) float64 {
			if x < 0 {
				return float64(slope[c]) * x
			}
			return x
		}, true, err
	}
	g, ok := functions[op.Attr.Func]
	if !ok {
		return nil, false, fmt.Errorf("unknown function %d", op.Attr.Func)
	}
	return func(x float64, _ int) float64 { return g(x) }, false, nil
}

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
