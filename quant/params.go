package quant

import (
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// grid is the quantization of an activation: real = scale*(q-zero).
type grid struct {
	scale float32
	zero  int32
	wide  bool // int16
}

// bounds are the values of the grid's type.
func (g grid) bounds() (lo, hi int) {
	if g.wide {
		return math.MinInt16, math.MaxInt16
	}
	return math.MinInt8, math.MaxInt8
}

func (g grid) dtype() format.DType {
	if g.wide {
		return format.I16
	}
	return format.I8
}

// wideGrid returns the int16 grid for a range: with a quarter of it to spare on either side that is not zero, for images that
// calibration has not seen. Sixteen bits have the room.
func wideGrid(s span) (grid, error) {
	s = span{s.lo * 1.25, s.hi * 1.25}
	width := s.hi - s.lo
	if width == 0 {
		return grid{scale: 1, wide: true}, nil
	}
	scale := float32(max(width/65535, scaleMin))
	if !(scale <= scaleMax) {
		return grid{}, fmt.Errorf("a range of %g to %g is too wide for int16", s.lo, s.hi)
	}
	zero := math.RoundToEven(math.MinInt16 - s.lo/float64(scale))
	return grid{scale: scale, zero: int32(min(max(zero, math.MinInt16), math.MaxInt16)), wide: true}, nil
}

// pixelGrid is the contract's grid of image bytes.
var pixelGrid = grid{scale: 1, zero: -128}

// Bounds on activation scales, far from where products and quotients of them would leave the normal float32 numbers.
const (
	scaleMin = 0x1p-40
	scaleMax = 0x1p+40
)

// gridOf returns the int8 grid that covers s. A range that touches zero from above has its zero point at -128.
func gridOf(s span) (grid, error) {
	width := s.hi - s.lo
	if width == 0 {
		return grid{scale: 1, zero: -128}, nil // only zeros were seen
	}
	scale := float32(max(width/255, scaleMin))
	if !(scale <= scaleMax) {
		return grid{}, fmt.Errorf("a range of %g to %g is too wide for int8", s.lo, s.hi)
	}
	zero := math.RoundToEven(-128 - s.lo/float64(scale))
	return grid{scale: scale, zero: int32(min(max(zero, -128), 127))}, nil
}

func (g grid) real(q int) float64 { return float64(g.scale) * float64(int32(q)-g.zero) }

func (g grid) quantize(v float64) int32 {
	if v != v { // a function without a value there
		return g.zero
	}
	lo, hi := g.bounds()
	return int32(min(max(math.RoundToEven(v/float64(g.scale))+float64(g.zero), float64(lo)), float64(hi)))
}

// clamp returns the integer bounds of a result that lies in lo..hi.
func (g grid) clamp(lo, hi float32) (qlo, qhi int32) {
	least, most := g.bounds()
	qlo, qhi = int32(least), int32(most)
	if !math.IsInf(float64(lo), -1) {
		qlo = g.quantize(float64(lo))
	}
	if !math.IsInf(float64(hi), 1) {
		qhi = g.quantize(float64(hi))
	}
	return qlo, max(qlo, qhi)
}

// groups is a union-find over tensors: the tensors of a group share one grid.
type groups []int

func newGroups(n int) groups {
	g := make(groups, n)
	for i := range g {
		g[i] = i
	}
	return g
}

func (g groups) root(t int) int {
	for g[t] != t {
		g[t] = g[g[t]]
		t = g[t]
	}
	return t
}

// join makes the group of t part of that of root.
func (g groups) join(root, t int) { g[g.root(t)] = g.root(root) }

// share finds tensors that shall have one grid:
//
//   - the inputs of a concatenation that nothing else reads, with its result: they would be rounded to its grid anyway;
//   - the result of a maximum or of an interpolation with its input, unless a concatenation rounds it anyway;
//   - the result of a padding, a selection or a transposition with its input, which the operator demands.
//
// A tensor in fixed keeps a grid of its own.
func share(m *format.Model, fixed func(t int) bool) groups {
	g := newGroups(len(m.Tensors))
	uses, by := readers(m), producers(m)
	settled := make([]bool, len(m.Tensors))
	for i := len(m.Ops) - 1; i >= 0; i-- {
		op := &m.Ops[i]
		if op.Kind != format.OpConcat {
			continue
		}
		for _, t := range op.Inputs {
			if uses[t] != 1 || fixed(t) || by[t] < 0 || m.Ops[by[t]].Kind == format.OpPad || g.root(t) == g.root(op.Outputs[0]) {
				continue
			}
			g.join(op.Outputs[0], t)
			settled[t] = true
		}
	}
	for i := range m.Ops {
		op := &m.Ops[i]
		switch op.Kind {
		case format.OpMaxPool, format.OpResize:
			if settled[op.Outputs[0]] || fixed(op.Inputs[0]) {
				continue
			}
		case format.OpPad, format.OpGather, format.OpPermute:
		default:
			continue
		}
		if g.root(op.Inputs[0]) != g.root(op.Outputs[0]) {
			g.join(op.Inputs[0], op.Outputs[0])
		}
	}
	return g
}
