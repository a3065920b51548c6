package runtime

import (
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// fuse merges operators of the file into the steps that produce or consume their data. Every fusion gives the bits of the
// operators done one by one: an addition in a convolution's epilogue, for example, still rounds the convolution to int8.
func (p *plan) fuse() {
	p.fusePads()
	p.fuseClamps()
	p.fuseResiduals()
	p.dropMaps()
	p.steps = slices.DeleteFunc(p.steps, func(s *step) bool { return s.dead })
}

func isConv(k format.OpKind) bool { return k == format.OpConv2D || k == format.OpDepthwiseConv2D }

// producers maps each tensor to the step that makes it, -1 for none.
func (p *plan) producers() []int {
	by := make([]int, len(p.fm.Tensors))
	for i := range by {
		by[i] = -1
	}
	for i, s := range p.steps {
		if !s.dead {
			for _, t := range s.op.Outputs {
				if t >= 0 {
					by[t] = i
				}
			}
		}
	}
	return by
}

func (s *step) absorb(o *step) {
	s.fused = append(s.fused, o.op.Name)
	s.fused = append(s.fused, o.fused...)
	o.dead = true
}

// dropMaps lets heads make no class maps that nobody reads; ClassMap computes the one that is wanted.
func (p *plan) dropMaps() {
	uses := p.uses()
	for _, s := range p.steps {
		if s.op.Kind == format.OpCAMHead && len(s.op.Outputs) == 2 && s.op.Outputs[1] >= 0 && uses[s.op.Outputs[1]] == 0 {
			s.op.Outputs = s.op.Outputs[:1]
		}
	}
}

// fusePads gives an explicit padding to the convolution that alone reads it.
func (p *plan) fusePads() {
	uses, by := p.uses(), p.producers()
	for _, s := range p.steps {
		if !isConv(s.op.Kind) || by[s.op.Inputs[0]] < 0 {
			continue
		}
		pad := p.steps[by[s.op.Inputs[0]]]
		if pad.op.Kind != format.OpPad || uses[s.op.Inputs[0]] != 1 || s.op.Attr.Pad != [4]int{} {
			continue
		}
		if p.fm.Tensors[s.op.Inputs[0]].DType == format.F32 && pad.op.Attr.PadValue != 0 {
			continue // float convolutions pad with zero
		}
		s.padOp = &pad.op
		s.op.Attr.Pad = pad.op.Attr.Pad
		s.op.Inputs[0] = pad.op.Inputs[0]
		s.absorb(pad)
	}
}

// fuseClamps gives a ReLU or ReLU6 to the operator that alone feeds it.
func (p *plan) fuseClamps() {
	uses, by := p.uses(), p.producers()
	for _, s := range p.steps {
		if s.op.Kind != format.OpUnary || by[s.op.Inputs[0]] < 0 || uses[s.op.Inputs[0]] != 1 {
			continue
		}
		prev := p.steps[by[s.op.Inputs[0]]]
		switch prev.op.Kind {
		case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpAdd, format.OpMul:
		default:
			continue
		}
		if !p.narrow(&prev.op.Attr, s) {
			continue
		}
		prev.op.Outputs[0] = s.op.Outputs[0]
		prev.absorb(s)
		by[s.op.Outputs[0]] = by[s.op.Inputs[0]]
	}
}

// narrow puts the clamp that s amounts to into the attributes of the operator before it, if s is one.
func (p *plan) narrow(a *format.Attr, s *step) bool {
	x, y := &p.fm.Tensors[s.op.Inputs[0]], &p.fm.Tensors[s.op.Outputs[0]]
	if x.DType == format.F32 {
		hi := float32(math.Inf(1))
		switch s.op.Attr.Func {
		case format.FuncReLU:
		case format.FuncReLU6:
			hi = 6
		default:
			return false
		}
		a.ClampLo, a.ClampHi = min(max(a.ClampLo, 0), hi), min(max(a.ClampHi, 0), hi)
		return true
	}
	if x.DType != format.I8 && x.DType != format.I16 || x.DType != y.DType || len(x.Scale) != 1 || len(y.Scale) != 1 || x.Scale[0] != y.Scale[0] || x.Zero != y.Zero {
		return false
	}
	table := valuesOf(&p.fm.Tensors[s.op.Inputs[1]])
	least, lo, hi := -int32(len(table))/2, int32(table[0]), int32(table[len(table)-1])
	for i, v := range table {
		if int32(v) != min(max(least+int32(i), lo), hi) {
			return false
		}
	}
	if lo > hi {
		return false
	}
	a.QLo, a.QHi = min(max(a.QLo, lo), hi), min(max(a.QHi, lo), hi)
	return true
}

// fuseResiduals moves an addition of two whole tensors into the epilogue of the convolution that makes the later of them.
func (p *plan) fuseResiduals() {
	uses, by := p.uses(), p.producers()
	for _, s := range p.steps {
		if s.op.Kind != format.OpAdd {
			continue
		}
		a, b := s.op.Inputs[0], s.op.Inputs[1]
		swap := by[b] > by[a]
		if swap {
			a, b = b, a
		}
		if a == b || by[a] < 0 || p.fm.Tensors[b].Data != nil || uses[a] != 1 ||
			!slices.Equal(p.fm.Tensors[a].Shape, p.fm.Tensors[b].Shape) {
			continue
		}
		conv := p.steps[by[a]]
		if !isConv(conv.op.Kind) || conv.residual != nil {
			continue
		}
		add := s.op
		if swap {
			add.Inputs = []int{a, b}
			if len(add.Attr.Mults) == 2 {
				add.Attr.Mults = []float32{add.Attr.Mults[1], add.Attr.Mults[0]}
			}
		}
		conv.residual = &add
		conv.op.Outputs[0] = s.op.Outputs[0]
		conv.absorb(s)
		by[s.op.Outputs[0]] = by[a]
	}
}
