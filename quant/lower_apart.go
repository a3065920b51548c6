package quant

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// saturatedWide is saturated for an int16 grid.
const saturatedWide = 12

// mostWindow is the largest side of a pooling's window in a file.
const mostWindow = 1024

// whyWhole says why an attention operator cannot be written out; empty if it can.
func whyWhole(m *format.Model, op *format.Op) string {
	s := m.Tensors[op.Inputs[0]].Shape
	switch {
	case op.Attr.Off != 0:
		return "parts of the attention are left out"
	case s[1] > mostWindow || s[2] > mostWindow:
		return "the attention's input is larger than a pooling's window can be"
	}
	return ""
}

// An apart writes residual fine-grained attention out as ordinary operators. The operator itself has int8 views, by the contract;
// ordinary operators may have int16 activations and weights in two parts.
type apart struct {
	*lowerer
	index int
	op    *format.Op
	v     *viewObserver
	fine  bool
}

// rfgaApart emits an attention operator as others: the means are poolings, the convolutions and sigmoids layers of their own,
// and the sum of the sigmoids, the factor of x, is two additions. With fine weights, those of the convolutions have two parts.
func (l *lowerer) rfgaApart(index int, op *format.Op) error {
	x, gx, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	p := &apart{l, index, op, l.c.views[index], at(l.mix.fine, index)}
	v := p.v
	var terms [3]int
	var grids [3]grid
	for i, w := range []struct {
		pool   format.OpKind
		kernel [2]int
		shape  []int
	}{{format.OpGlobalAvgPool, [2]int{1, 1}, []int{1, 1, 1, v.c}}, {format.OpAvgPool, [2]int{1, v.w}, []int{1, v.h, 1, v.c}},
		{format.OpAvgPool, [2]int{v.h, 1}, []int{1, 1, v.w, v.c}}} {
		g, err := p.inner(viewC + i)
		if err != nil {
			return err
		}
		a := format.NewAttr()
		a.Kernel, a.Mults = w.kernel, []float32{float32(float64(gx.scale) / float64(g.scale))}
		view := p.step(innerNames[viewC+i], w.pool, []int{x}, w.shape, g, a)
		z, gz, err := p.convolve(i, view, g, w.shape)
		if err != nil {
			return err
		}
		if terms[i], grids[i], err = p.gate(i, z, gz, w.shape); err != nil {
			return err
		}
	}
	a, b := float64(op.Attr.A), float64(op.Attr.B)
	both, err := wideGrid(span{min(0, a, a+2*b), max(0, a, a+2*b)})
	if err != nil {
		return err
	}
	gain, err := wideGrid(span{min(0, a, a+3*b), max(0, a, a+3*b)})
	if err != nil {
		return err
	}
	rows := p.add("rows", terms[1], terms[0], grids[1], grids[0], []int{1, v.h, 1, v.c}, both)
	spread := format.NewAttr()
	spread.Mode, spread.Mults = format.ModeNearest, []float32{1}
	whole := []int{1, v.h, v.w, v.c}
	rows = p.step("spread", format.OpResize, []int{rows}, whole, both, spread)
	factor := p.add("gain", rows, terms[2], both, grids[2], whole, gain)
	y := op.Outputs[0]
	gy := l.grids[y]
	attr := format.NewAttr()
	attr.Mults = []float32{float32(float64(gx.scale) * float64(gain.scale) / float64(gy.scale))}
	attr.QLo, attr.QHi = gy.clamp(attr.ClampLo, attr.ClampHi)
	l.emit(op, format.OpMul, []int{x, factor}, []int{l.activation(y)}, attr)
	return nil
}

// inner is the grid of a view, or of the value before its sigmoid.
func (p *apart) inner(i int) (grid, error) {
	o := &p.v.inner[i]
	s := span{min(float64(o.min), 0), max(float64(o.max), 0)}
	if i >= preC {
		s = span{max(s.lo, -saturatedWide), min(s.hi, saturatedWide)}
	}
	g, err := wideGrid(s)
	if err == nil {
		p.reportTensor(p.op.Name+"."+innerNames[i], p.op.Name, "", o, g)
	}
	return g, err
}

// step emits an operator with one result.
func (p *apart) step(name string, kind format.OpKind, in, shape []int, g grid, a format.Attr) int {
	name = p.op.Name + "." + name
	y := p.quantized(name, shape, g)
	p.emit(&format.Op{Name: name}, kind, in, []int{y}, a)
	return y
}

func (p *apart) add(name string, a, b int, ga, gb grid, shape []int, g grid) int {
	attr := format.NewAttr()
	attr.Mults = []float32{float32(float64(ga.scale) / float64(g.scale)), float32(float64(gb.scale) / float64(g.scale))}
	attr.QLo, attr.QHi = math.MinInt16, math.MaxInt16
	return p.step(name, format.OpAdd, []int{a, b}, shape, g, attr)
}

// convolve emits the Conv1d of view i, which is tensor x.
func (p *apart) convolve(i, x int, g grid, shape []int) (int, grid, error) {
	v := p.v
	gz, err := p.inner(preC + i)
	if err != nil {
		return 0, gz, err
	}
	op := &v.convs[i] // one place for each: what was found for its weights is remembered by it
	*op = format.Op{Kind: format.OpConv2D, Name: p.op.Name + "." + [...]string{"conv_c", "conv_h", "conv_w"}[i], Attr: format.NewAttr(),
		Inputs: []int{p.op.Inputs[0], p.op.Inputs[1+2*i], p.op.Inputs[2+2*i]}, Outputs: p.op.Outputs}
	ly := &layer{name: op.Name, out: v.c, taps: 3, in: v.c, groups: 1, pairs: p.o.Weights == PairSafe, mean: v.inner[viewC+i].means(),
		scaleIn: float64(g.scale), scaleOut: float64(gz.scale)}
	e := &linearOp{op: op, x: x, inFileOrder: func(q []int8) []int8 { return q }}
	switch i {
	case 0: // three taps of one channel: a depthwise convolution along a column of the channel's neighbours
		e.x = p.neighbours(x, g)
		op.Kind, op.Attr.Groups = format.OpDepthwiseConv2D, v.c
		ly.in, ly.groups, ly.pairs, ly.mean = 1, v.c, false, nil
		ly.w, ly.bias, e.shape = slices.Clone(v.wc), v.bc, []int{1, 3, 1, v.c}
		ly.w[0], ly.w[len(ly.w)-1] = 0, 0 // nothing stands before the first channel and behind the last
		e.inFileOrder = func(q []int8) []int8 { return transpose(q, v.c, 3) }
	case 1:
		op.Attr.Pad = [4]int{1, 0, 1, 0}
		ly.w, ly.bias, e.shape = v.wh, v.bh, []int{v.c, 3, 1, v.c}
	case 2:
		op.Attr.Pad = [4]int{0, 1, 0, 1}
		ly.w, ly.bias, e.shape = v.ww, v.bw, []int{v.c, 1, 3, v.c}
	}
	to := result{shape: shape, grid: gz, seen: span{float64(v.inner[preC+i].min), float64(v.inner[preC+i].max)},
		reach: max(math.Abs(g.real(math.MinInt16)), math.Abs(g.real(math.MaxInt16)))}
	if p.fine {
		to.tensor = p.quantized(p.op.Name+"."+innerNames[preC+i], shape, gz)
		return to.tensor, gz, p.twoParts(e, ly, &to)
	}
	res, err := p.finish(op, ly)
	if err != nil {
		return 0, gz, err
	}
	return p.part(e, op.Name, res, &to), gz, nil
}

// neighbours emits the channel view as three rows: each channel's neighbour before, itself, and the one behind.
func (p *apart) neighbours(x int, g grid) int {
	c := p.v.c
	var index []int32
	for k := range 3 {
		for o := range c {
			index = append(index, int32(min(max(o+k-1, 0), c-1)))
		}
	}
	gather, rows := format.NewAttr(), format.NewAttr()
	gather.Axis = 3
	x = p.step("around", format.OpGather, []int{x, p.constI32(p.op.Name+".around.index", index)}, []int{1, 1, 1, 3 * c}, g, gather)
	rows.Dims, rows.Perm = []int{3 * c}, []int{0}
	return p.step("neighbours", format.OpPermute, []int{x}, []int{1, 3, 1, c}, g, rows)
}

// gate emits b times the sigmoid of z, for the channels with a added.
func (p *apart) gate(i, z int, gz grid, shape []int) (int, grid, error) {
	a, b := 0.0, float64(p.op.Attr.B)
	if i == 0 {
		a = float64(p.op.Attr.A)
	}
	g, err := wideGrid(span{min(0, a, a+b), max(0, a, a+b)})
	if err != nil {
		return 0, g, err
	}
	name := "gate_" + innerNames[preC+i][len("pre_"):]
	lo, hi := gz.bounds()
	t := format.Tensor{Name: p.op.Name + "." + name + ".table", DType: format.I16, Shape: []int{hi - lo + 1}}
	for q := lo; q <= hi; q++ {
		t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(g.quantize(a+b*sigmoid(gz.real(q)))))
	}
	attr := format.NewAttr()
	attr.Func = format.FuncSigmoid
	return p.step(name, format.OpUnary, []int{z, p.tensor(t)}, shape, g, attr), g, nil
}
