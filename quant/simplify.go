package quant

import (
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// simplify returns m with explicit paddings and clamps moved into the operators next to them. The float results are the
// same; in int8 each move saves the rounding to a tensor that need not exist. m is not changed.
func simplify(m *format.Model) *format.Model {
	out := *m
	out.Ops = slices.Clone(m.Ops)
	for i := range out.Ops {
		out.Ops[i].Inputs = slices.Clone(out.Ops[i].Inputs)
		out.Ops[i].Outputs = slices.Clone(out.Ops[i].Outputs)
	}
	clampsIntoProducers(&out)
	padsIntoConvolutions(&out)
	return format.Compact(&out)
}

// readers counts how often each tensor is read, outputs of the graph included.
func readers(m *format.Model) []int {
	n := make([]int, len(m.Tensors))
	for _, op := range m.Ops {
		for _, t := range op.Inputs {
			if t >= 0 {
				n[t]++
			}
		}
	}
	for _, o := range m.Outputs {
		n[o.Tensor]++
	}
	return n
}

// producers maps each tensor to the operator that makes it, -1 for constants and the input.
func producers(m *format.Model) []int {
	by := slices.Repeat([]int{-1}, len(m.Tensors))
	for i, op := range m.Ops {
		for _, t := range op.Outputs {
			if t >= 0 {
				by[t] = i
			}
		}
	}
	return by
}

func clampsIntoProducers(m *format.Model) {
	uses, by := readers(m), producers(m)
	dead := make([]bool, len(m.Ops))
	for i := range m.Ops {
		op := &m.Ops[i]
		if op.Kind != format.OpUnary || op.Attr.Func != format.FuncReLU && op.Attr.Func != format.FuncReLU6 {
			continue
		}
		x := op.Inputs[0]
		if by[x] < 0 || uses[x] != 1 {
			continue
		}
		prev := &m.Ops[by[x]]
		switch prev.Kind {
		case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpAdd, format.OpMul:
		default:
			continue
		}
		a := &prev.Attr
		a.ClampLo, a.ClampHi = max(a.ClampLo, 0), max(a.ClampHi, 0)
		if op.Attr.Func == format.FuncReLU6 {
			a.ClampLo, a.ClampHi = min(a.ClampLo, 6), min(a.ClampHi, 6)
		}
		prev.Outputs[0] = op.Outputs[0]
		by[op.Outputs[0]] = by[x]
		dead[i] = true
	}
	m.Ops = without(m.Ops, dead)
}

func padsIntoConvolutions(m *format.Model) {
	uses, by := readers(m), producers(m)
	dead := make([]bool, len(m.Ops))
	for i := range m.Ops {
		op := &m.Ops[i]
		if op.Kind != format.OpConv2D && op.Kind != format.OpDepthwiseConv2D {
			continue
		}
		x := op.Inputs[0]
		if by[x] < 0 || uses[x] != 1 || m.Ops[by[x]].Kind != format.OpPad || m.Ops[by[x]].Attr.PadValue != 0 {
			continue
		}
		pad := &m.Ops[by[x]]
		sum := op.Attr.Pad
		for k := range sum {
			sum[k] += pad.Attr.Pad[k]
		}
		if slices.Max(sum[:]) > format.MaxStride || slices.Min(sum[:]) < 0 {
			continue
		}
		op.Attr.Pad = sum
		op.Inputs[0] = pad.Inputs[0]
		dead[by[x]] = true
	}
	m.Ops = without(m.Ops, dead)
}

func without(ops []format.Op, dead []bool) []format.Op {
	out := ops[:0]
	for i, op := range ops {
		if !dead[i] {
			out = append(out, op)
		}
	}
	return out
}
