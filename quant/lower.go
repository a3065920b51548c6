package quant

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// lowerer turns a calibrated float model into int8, operator by operator.
type lowerer struct {
	m   *format.Model // the float model; never changed
	c   *calibration
	o   Options
	mix mixture
	out *format.Model
	rep *Report

	grids  []grid // of the float model's activations
	groups groups
	cut    []bool // activations whose range ends where their readers no longer change
	pixels bool   // the input tensor takes the image's bytes
	index  []int  // of an activation's integers in out, -1 until they are made
	real   []int  // of its real values, which float layers write and read
	maker  []int  // operator of m that makes a tensor
	uses   []int
}

// newLowerer decides what every activation becomes.
func newLowerer(c *calibration, o Options, mix mixture) (*lowerer, error) {
	m := c.m
	none := slices.Repeat([]int{-1}, len(m.Tensors))
	l := &lowerer{m: m, c: c, o: o, mix: mix, maker: producers(m), uses: readers(m), index: none, real: slices.Clone(none)}
	prov := m.Prov
	prov.Calibration = o.describe(c.images, c.of)
	l.out = &format.Model{Name: m.Name, Arch: m.Arch, Pre: m.Pre, Loc: m.Loc, Labels: slices.Clone(m.Labels), Prov: prov}
	l.rep = &Report{Model: m.Name, Method: o.Range.String(), Weights: o.Weights.String(), Images: c.images}
	l.findPixels()
	if unused := l.unusedRules(); len(unused) > 0 {
		return nil, &PatternError{"calibration rules", unused}
	}
	return l, l.findGrids()
}

// lower makes the quantized model, with what mix says beyond int8.
func lower(c *calibration, o Options, mix mixture) (*format.Model, *Report, error) {
	m := c.m
	l, err := newLowerer(c, o, mix)
	if err != nil {
		return nil, nil, err
	}
	l.beginInput()
	for i := range m.Ops {
		op := &m.Ops[i]
		first := len(l.out.Ops)
		if err := l.operator(i, op); err != nil {
			return nil, nil, fmt.Errorf("quantizing operator %d %q: %w", i, op.Name, err)
		}
		if len(l.out.Ops) > first+1 {
			first = -1
		}
		l.rep.ops = append(l.rep.ops, first)
	}
	for _, out := range m.Outputs {
		t := l.real[out.Tensor]
		if by := l.maker[out.Tensor]; by < 0 || !at(mix.float, by) {
			t = l.index[out.Tensor]
		}
		if t < 0 {
			return nil, nil, fmt.Errorf("quant: output %q is made by no operator", out.Name)
		}
		l.out.Outputs = append(l.out.Outputs, format.Output{Name: out.Name, Tensor: t, Flat: out.Flat})
	}
	l.rep.Twin = l.twin()
	return l.out, l.rep, nil
}

// findPixels decides whether the network can take the image's bytes: it can if only convolutions read the input.
func (l *lowerer) findPixels() {
	m := l.m
	if l.floatInput() {
		return
	}
	if m.Tensors[m.Input].Shape[3] != 3 {
		l.note("the input has %d channels, not 3: it is quantized from normalised values", m.Tensors[m.Input].Shape[3])
		return
	}
	for c := range 3 {
		mean, std := float64(m.Pre.Mean[c]), float64(m.Pre.Std[c])
		if !(std > 0) || math.IsInf(std, 0) || !(mean >= 0 && mean <= 1) {
			l.note("mean %g and standard deviation %g of channel %d cannot be folded: the input is quantized from normalised values", mean, std, c)
			return
		}
	}
	for _, out := range m.Outputs {
		if out.Tensor == m.Input {
			return
		}
	}
	for i := range m.Ops {
		op := &m.Ops[i]
		for k, t := range op.Inputs {
			if t == m.Input && (k > 0 || op.Kind != format.OpConv2D && op.Kind != format.OpDepthwiseConv2D) {
				l.note("operator %q reads the input and is no convolution: the input is quantized from normalised values", op.Name)
				return
			}
		}
	}
	l.pixels, l.rep.Pixels = true, true
}

// findGrids chooses scale and zero point of every activation from what was observed.
func (l *lowerer) findGrids() error {
	m, n := l.m, len(l.m.Tensors)
	l.groups = share(m, func(t int) bool { return l.pixels && t == m.Input })
	l.grids = make([]grid, n)
	spans, seen := make([]span, n), make([]span, n)
	wide, err := l.wideGroups()
	if err != nil {
		return err
	}
	for t := range spans {
		if !l.c.watch[t] {
			continue
		}
		if l.c.tensors[t].count == 0 && (t != m.Input || !l.pixels) {
			return fmt.Errorf("quant: tensor %q was never observed", m.Tensors[t].Name)
		}
		r := l.groups.root(t)
		spans[r] = spans[r].union(l.c.tensors[t].choose(l.rangeOf(t)))
		seen[r] = seen[r].union(span{float64(l.c.tensors[t].min), float64(l.c.tensors[t].max)})
	}
	l.cut = l.saturate(spans, wide)
	for t := range spans {
		if !l.c.watch[t] {
			continue
		}
		g, err := gridOf(spans[l.groups.root(t)])
		if wide[l.groups.root(t)] {
			g, err = wideGrid(seen[l.groups.root(t)])
		}
		if err != nil {
			return fmt.Errorf("quant: tensor %q: %w", m.Tensors[t].Name, err)
		}
		l.grids[t] = g
	}
	if l.pixels {
		l.grids[m.Input] = pixelGrid
	}
	return nil
}

func (l *lowerer) note(msg string, args ...any) {
	l.rep.Notes = append(l.rep.Notes, fmt.Sprintf(msg, args...))
}

func (l *lowerer) operator(i int, op *format.Op) error {
	if len(op.Inputs) == 0 || len(op.Outputs) == 0 {
		return errors.New("an operator without inputs or outputs")
	}
	if at(l.mix.float, i) {
		return l.float(op)
	}
	switch op.Kind {
	case format.OpConv2D, format.OpDepthwiseConv2D:
		return l.convolution(i, op)
	case format.OpFullyConnected:
		if l.isClassifier(op) {
			return l.head(i, op)
		}
		return l.fullyConnected(i, op)
	case format.OpCAMHead:
		return l.head(i, op)
	case format.OpAdd, format.OpMul:
		return l.binary(op)
	case format.OpUnary:
		return l.unary(op)
	case format.OpMaxPool, format.OpAvgPool, format.OpGlobalAvgPool, format.OpResize:
		return l.rescale(op)
	case format.OpConcat:
		return l.concat(op)
	case format.OpPad:
		return l.pad(op)
	case format.OpGather, format.OpPermute:
		return l.move(op)
	case format.OpNormalize:
		return l.normalize(op)
	case format.OpSoftmax:
		return l.softmax(op)
	case format.OpRFGA:
		return l.rfga(i, op)
	}
	return fmt.Errorf("operators of kind %d have no int8 form", op.Kind)
}

// tensor adds a tensor to the result and returns its index.
func (l *lowerer) tensor(t format.Tensor) int {
	l.out.Tensors = append(l.out.Tensors, t)
	return len(l.out.Tensors) - 1
}

// activation returns the int8 tensor of a float activation, which it makes the first time.
func (l *lowerer) activation(t int) int {
	if l.index[t] >= 0 {
		return l.index[t]
	}
	src, g := &l.m.Tensors[t], l.grids[t]
	l.index[t] = l.quantized(src.Name, src.Shape, g)
	layer, shared := "", ""
	if l.maker[t] >= 0 {
		layer = l.m.Ops[l.maker[t]].Name
	}
	if r := l.groups.root(t); r != t {
		shared = l.m.Tensors[r].Name
	}
	l.reportTensor(src.Name, layer, shared, &l.c.tensors[t], g)
	l.rep.Tensors[len(l.rep.Tensors)-1].Cut = l.cut[t]
	return l.index[t]
}

func (l *lowerer) quantized(name string, shape []int, g grid) int {
	return l.tensor(format.Tensor{Name: name, DType: g.dtype(), Shape: slices.Clone(shape), Scale: []float32{g.scale}, Zero: g.zero})
}

func (l *lowerer) reportTensor(name, layer, shared string, o *observer, g grid) {
	lo, hi := g.bounds()
	r := TensorReport{Name: name, Layer: layer, Shared: shared, Min: o.min, Max: o.max, Scale: g.scale, Zero: g.zero,
		Type: g.dtype().String(), Lo: float32(g.real(lo)), Hi: float32(g.real(hi))}
	if g != pixelGrid {
		// A value within half a step of the ends is rounded, not clipped.
		half := float64(g.scale) / 2
		r.Clipped = o.outside(g.real(lo)-half, g.real(hi)+half)
	}
	l.rep.Tensors = append(l.rep.Tensors, r)
}

// input returns the int8 tensor that an operator of the result reads for float tensor t, with its grid.
func (l *lowerer) input(t int) (int, grid, error) {
	if t < 0 || t >= len(l.m.Tensors) {
		return 0, grid{}, errors.New("an input is missing")
	}
	src := &l.m.Tensors[t]
	switch {
	case src.Data != nil:
		return 0, grid{}, fmt.Errorf("constant %q in place of an activation: fold it into a neighbouring convolution before quantization", src.Name)
	case !l.c.watch[t]:
		return 0, grid{}, fmt.Errorf("tensor %q, a softmax or a class map, is no int8 tensor and can only be an output", src.Name)
	case l.index[t] < 0 && l.real[t] < 0:
		return 0, grid{}, fmt.Errorf("tensor %q is read before it is made", src.Name)
	case l.index[t] < 0:
		l.round(t)
	}
	return l.index[t], l.grids[t], nil
}

// emit adds an operator to the result.
func (l *lowerer) emit(op *format.Op, kind format.OpKind, in, out []int, a format.Attr) *format.Op {
	l.out.Ops = append(l.out.Ops, format.Op{Kind: kind, Name: op.Name, Inputs: in, Outputs: out, Attr: a})
	return &l.out.Ops[len(l.out.Ops)-1]
}

func (l *lowerer) constI8(name string, shape []int, v []int8) int {
	return l.tensor(format.Tensor{Name: name, DType: format.I8, Shape: shape, Data: bytesOfI8(v)})
}

func (l *lowerer) constI32(name string, v []int32) int {
	return l.tensor(format.Tensor{Name: name, DType: format.I32, Shape: []int{len(v)}, Data: bytesOfI32(v)})
}

func (l *lowerer) constF32(name string, v []float32) int {
	return l.tensor(format.Tensor{Name: name, DType: format.F32, Shape: []int{len(v)}, Data: bytesOfF32(v)})
}

// nameOf is a constant's name in the float model, or one made from the operator's.
func (l *lowerer) nameOf(op *format.Op, input int, suffix string) string {
	if input < len(op.Inputs) && op.Inputs[input] >= 0 {
		return l.m.Tensors[op.Inputs[input]].Name
	}
	return op.Name + suffix
}
