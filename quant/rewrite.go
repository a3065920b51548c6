package quant

import (
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// A rewriter changes the weights of a float model it owns, so that the channels of activations between convolutions get
// other scales (equalize.go) or another order (reorder.go). What the network computes stays the same.
type rewriter struct {
	m    *format.Model
	uses []int
	by   []int   // operator that makes a tensor, -1 without
	read [][]int // operators that read a tensor
}

// newRewriter copies what rewriting changes; m itself stays as it is.
func newRewriter(m *format.Model) *rewriter {
	out := *m
	out.Tensors = slices.Clone(m.Tensors)
	out.Ops = slices.Clone(m.Ops)
	for i := range out.Ops {
		out.Ops[i].Inputs = slices.Clone(out.Ops[i].Inputs)
	}
	r := &rewriter{m: &out, uses: readers(m), by: producers(m), read: make([][]int, len(m.Tensors))}
	for i := range m.Ops {
		for _, t := range m.Ops[i].Inputs {
			if t >= 0 {
				r.read[t] = append(r.read[t], i)
			}
		}
	}
	return r
}

// filters are the weights of a linear operator as (out, taps, in), a depthwise one having one input channel.
type filters struct {
	out, taps, in int
	depthwise     bool
	w             []float32
	bias          []float32 // nil for none
}

// filtersOf reads an operator whose channels may be scaled and permuted: convolutions of one group, depthwise ones, and
// heads and fully connected layers over one position. ok is false for all others, and for weights that cannot be read.
func (r *rewriter) filtersOf(op *format.Op) (f *filters, ok bool) {
	f = &filters{depthwise: op.Kind == format.OpDepthwiseConv2D}
	switch op.Kind {
	case format.OpConv2D:
		if op.Attr.Groups != 1 {
			return nil, false
		}
	case format.OpDepthwiseConv2D, format.OpCAMHead:
	case format.OpFullyConnected:
		if s := r.m.Tensors[op.Inputs[0]].Shape; s[1] != 1 || s[2] != 1 {
			return nil, false
		}
	default:
		return nil, false
	}
	if len(op.Inputs) < 2 {
		return nil, false
	}
	w, err := weightsOf(r.m, op.Inputs[1])
	if err != nil || anyNotFinite(w) >= 0 {
		return nil, false
	}
	s := r.m.Tensors[op.Inputs[1]].Shape
	f.out, f.taps, f.in, f.w = s[0], s[1]*s[2], s[3], w
	if f.depthwise {
		f.out, f.in = s[3], 1
		f.w = transpose(w, f.taps, f.out)
	}
	if len(op.Inputs) > 2 && op.Inputs[2] >= 0 {
		b, err := vectorOf(r.m, op.Inputs[2])
		if err != nil || anyNotFinite(b) >= 0 {
			return nil, false
		}
		f.bias = slices.Clone(b)
	}
	f.w = slices.Clone(f.w)
	return f, true
}

// put gives an operator new weights. They are float32 from now on, tensors of their own.
func (r *rewriter) put(op *format.Op, f *filters) {
	w := f.w
	if f.depthwise {
		w = transpose(w, f.out, f.taps)
	}
	old := r.m.Tensors[op.Inputs[1]]
	op.Inputs[1] = r.constant(old.Name, old.Shape, paddedF32(w, old.Shape[3]))
	if f.bias != nil {
		old := r.m.Tensors[op.Inputs[2]]
		op.Inputs[2] = r.constant(old.Name, old.Shape, f.bias)
	}
}

func (r *rewriter) constant(name string, shape []int, v []float32) int {
	r.m.Tensors = append(r.m.Tensors, format.Tensor{Name: name, DType: format.F32, Shape: slices.Clone(shape), Data: bytesOfF32(v)})
	return len(r.m.Tensors) - 1
}

// model is the rewritten model.
func (r *rewriter) model() *format.Model { return format.Compact(r.m) }
