package format

import "slices"

// Compact returns m without the tensors that no operator names, which rewriting a graph leaves behind and Validate
// rejects. Tensors keep their order and get new indices; m does not change, constants and attributes are shared.
func Compact(m *Model) *Model {
	used := make([]bool, len(m.Tensors))
	mark := func(t int) {
		if t >= 0 && t < len(used) {
			used[t] = true
		}
	}
	mark(m.Input)
	for i := range m.Ops {
		for _, t := range slices.Concat(m.Ops[i].Inputs, m.Ops[i].Outputs, m.Ops[i].Inner) {
			mark(t)
		}
	}
	for _, o := range m.Outputs {
		mark(o.Tensor)
	}

	out := *m
	out.Tensors = nil
	out.Quality = nil // it is about other indices
	index := make([]int, len(m.Tensors))
	for i, t := range m.Tensors {
		index[i] = len(out.Tensors)
		if used[i] {
			out.Tensors = append(out.Tensors, t)
		}
	}
	moved := func(t int) int {
		if t < 0 || t >= len(index) {
			return t // absent, or an error that Validate will name
		}
		return index[t]
	}
	list := func(ts []int) []int {
		ts = slices.Clone(ts)
		for i := range ts {
			ts[i] = moved(ts[i])
		}
		return ts
	}
	out.Input = moved(m.Input)
	out.Ops = slices.Clone(m.Ops)
	for i := range out.Ops {
		op := &out.Ops[i]
		op.Inputs, op.Outputs, op.Inner = list(op.Inputs), list(op.Outputs), list(op.Inner)
	}
	out.Outputs = slices.Clone(m.Outputs)
	for i := range out.Outputs {
		out.Outputs[i].Tensor = moved(out.Outputs[i].Tensor)
	}
	return &out
}
