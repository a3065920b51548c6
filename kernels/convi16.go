package kernels

import (
	"fmt"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// ConvI16 describes a convolution as ConvI8 does, where input X, result Y or the residual operand R may be int16. The
// convolution's own result, before a residual is added, has the bounds of Requant.
type ConvI16 struct {
	X, Y, R  Type
	In, Out  Shape
	Window   Window
	Groups   int
	Weights  []int8
	Bias     []int32
	ZeroIn   int32
	PadValue []int16
	Requant  Requant
	Residual *Residual
}

// convI16 is a convolution made ready. An int16 input is two inputs of bytes, x = 256*high + low + 128 with both of them int8,
// that the int8 kernels of this machine multiply with the same packed weights:
//
//	acc = 256*(sum of high*w) + (sum of low*w) + base,  base = bias + (128-zero)*(sum of w)
//
// Either sum is exact in int32, as the loader proves, and acc is below 2**53: float64 holds every step exactly.
type convI16 struct {
	planes   []*convI8 // high and low, or the input itself; they share weights and blocking
	x, y, r  Type
	base     []float64 // as convI8.bias
	mult     []float32
	last     *Row[requant16Func]
	params   asm.Requant
	residual *wideAdd
	wide     bool // the result is the accumulators, int64
	pitch    int  // scratch of a plane
}

// PrepareConvI16 returns a convolution with int16 on either side, grouped or not.
func PrepareConvI16(c *ConvI16) (*Prepared, error) { return prepareConvI16(c, features, cacheL2()) }

func prepareConvI16(c *ConvI16, available ISA, l2 int) (*Prepared, error) {
	g, err := newConvI16(c, available, l2, false)
	if err != nil {
		return nil, err
	}
	return g.prepared(c), nil
}

func newConvI16(c *ConvI16, available ISA, l2 int, wide bool) (*convI16, error) {
	if err := c.X.checkZero("input", c.ZeroIn); err != nil {
		return nil, err
	}
	if err := checkOptional("padding values", len(c.PadValue), c.In.C); err != nil {
		return nil, err
	}
	plane := ConvI8{In: c.In, Out: c.Out, Window: c.Window, Groups: c.Groups, Weights: c.Weights}
	if err := plane.check(); err != nil {
		return nil, err
	}
	g := &convI16{x: c.X, y: c.Y, r: c.R, wide: wide}
	mult := make([]float32, c.Out.C)
	if !wide {
		var err error
		if mult, err = c.requant(g, available); err != nil {
			return nil, err
		}
	}
	proved, err := plane.prove()
	if err != nil {
		return nil, err
	}
	for _, pad := range c.pads() {
		p := plane
		p.PadValue = pad
		conv, err := newConvI8(&p, available, l2, true)
		if err != nil {
			return nil, err
		}
		if len(g.planes) > 0 {
			conv.packed = g.planes[0].packed
		}
		g.planes = append(g.planes, conv)
	}
	m := g.planes[0]
	g.pitch = align64(m.block.size + Slack)
	nr := m.family[0].NR
	g.base, g.mult = make([]float64, len(m.bias)), make([]float32, len(m.bias))
	for o := range c.Out.C {
		at := o/m.go_*m.panels*nr + o%m.go_ // panels follow each other without a gap
		shift := -int64(c.ZeroIn)
		if c.X == Int16 {
			shift += 128
		}
		base := shift * proved.sums[o]
		if len(c.Bias) > 0 {
			base += int64(c.Bias[o])
		}
		g.base[at], g.mult[at] = float64(base), mult[o]
	}
	return g, nil
}

// requant checks the last step and returns a multiplier a channel.
func (c *ConvI16) requant(g *convI16, available ISA) ([]float32, error) {
	r := &c.Requant
	n := c.Out.C
	if len(r.Mult) == 1 {
		n = 1
	}
	own := c.Y
	if c.Residual != nil {
		own = Int16 // its bounds say what it is
	}
	if err := own.checkRequant(r, n); err != nil {
		return nil, err
	}
	if err := checkOptional("biases", len(c.Bias), c.Out.C); err != nil {
		return nil, err
	}
	g.last = chooseRow(requantizers16, available)
	g.params = asm.Requant{RLo: float32(r.Lo - r.Zero), RHi: float32(r.Hi - r.Zero), RZero: r.Zero}
	mult := make([]float32, c.Out.C)
	for i := range mult {
		mult[i] = r.Mult[i%n]
	}
	if c.Residual == nil {
		return mult, nil
	}
	var err error
	g.residual, err = c.Residual.wide(c.R, c.Y, available)
	return mult, err
}

// wide checks a fused addition with operand b into y.
func (r *Residual) wide(b, y Type, available ISA) (*wideAdd, error) {
	for _, m := range []float32{r.MultA, r.MultB} {
		if err := checkMult("residual", m); err != nil {
			return nil, err
		}
		if m > maxResidualMult {
			return nil, fmt.Errorf("residual multiplier %g is above %g", m, float32(maxResidualMult))
		}
	}
	if err := y.checkOutput(r.Zero, r.Lo, r.Hi); err != nil {
		return nil, fmt.Errorf("residual: %w", err)
	}
	if err := Int16.checkZero("residual's first operand's", r.ZeroA); err != nil {
		return nil, err
	}
	if err := b.checkZero("residual operand's", r.ZeroB); err != nil {
		return nil, err
	}
	return newWideAdd(r.ZeroA, r.ZeroB, r.MultA, r.MultB, r.Zero, r.Lo, r.Hi, available), nil
}

// pads are the padding values of the planes.
func (c *ConvI16) pads() [][]int8 {
	values := make([]int16, c.In.C)
	for i := range values {
		values[i] = int16(c.ZeroIn)
		if len(c.PadValue) > 0 {
			values[i] = c.PadValue[i]
		}
	}
	high, low := make([]int8, c.In.C), make([]int8, c.In.C)
	for i, v := range values {
		high[i], low[i] = int8(v>>8), int8(v&255-128)
		if c.X == Int8 {
			low[i] = int8(v)
		}
	}
	if c.X == Int8 {
		return [][]int8{low}
	}
	return [][]int8{high, low}
}

func (g *convI16) prepared(c *ConvI16) *Prepared {
	m := g.planes[0]
	p := m.prepared()
	conv := &p.Stages[0]
	conv.Scratch, conv.Run = len(g.planes)*g.pitch+3*2*align64(m.family[0].NR), g.run
	p.Packed += 12 * len(g.base)
	if g.x == Int16 {
		n := c.In.Len()
		p.Inner = []int{n, n}
		p.Stages = []Stage{splitStage(n), *conv}
		p.Why += "; int16 as two planes of bytes"
	}
	return p
}

// splitStage writes the high and the low bytes of In[0] to Inner[0] and Inner[1].
func splitStage(n int) Stage {
	return flatStage("split", n, func(io *IO, lo, hi int) {
		x, high, low := view[int16](io.In[0])[lo:hi], io.Inner[0][lo:hi], io.Inner[1][lo:hi]
		high, low = high[:len(x)], low[:len(x)]
		for i, v := range x {
			high[i], low[i] = byte(v>>8)^0x80, byte(v)
		}
	})
}

// run is convI8.run with as many operands as there are planes.
func (g *convI16) run(io *IO, lo, hi int, tmp []byte) {
	m := g.planes[0]
	gathered := span{group: -1}
	tiling{m.rows, m.tile, m.block.rows, m.groups * m.panels, m.nSplit}.each(lo, hi, func(r0, r1, p0, p1 int) {
		g.blockRows(io, tmp, r0, r1, p0, p1, &gathered)
	})
}

func (g *convI16) blockRows(io *IO, tmp []byte, r0, r1, p0, p1 int, have *span) {
	m := g.planes[0]
	nr := m.family[0].NR
	var a [2]*byte
	for p := p0; p < p1; p++ {
		group := p / m.panels
		want := span{group, r0, r1}
		for i, c := range g.planes {
			x := io.In[0]
			if g.x == Int16 {
				x = io.Inner[i]
			}
			if c.inPlace {
				a[i] = at(x, r0*c.in.C+group*c.gi)
				continue
			}
			own := tmp[i*g.pitch:]
			if *have != want {
				c.gather(x, own, group, r0, r1)
			}
			a[i] = at(own, c.block.offA)
		}
		*have = want
		n0 := p % m.panels * nr
		g.panel(io, tmp, a, r0, r1, p, group*m.go_+n0, min(nr, m.go_-n0))
	}
}

// panel is convI8.panel: it multiplies rows r0..r1-1 with one panel and stores columns ch..ch+n-1.
func (g *convI16) panel(io *IO, tmp []byte, a [2]*byte, r0, r1, p, ch, n int) {
	m := g.planes[0]
	nr := m.family[0].NR
	b := at(m.packed, p*m.panelLen)
	own, res, out := tmpRows(tmp[len(g.planes)*g.pitch:], nr)
	rows := 0
	for r := r0; r < r1; r += rows {
		rows = min(m.block.batch, r1-r)
		from := (r - r0) * m.block.lda
		if m.order.slab {
			ox := r % m.out.W
			rows = min(rows, m.out.W-ox)
			from = (r-r0)/m.out.W*m.block.pitch + ox*m.block.lda
		}
		var acc [2][]int32
		for i, c := range g.planes {
			acc[i] = view[int32](tmp[i*g.pitch+c.block.offC:])[:m.block.batch*nr]
			c.product(&acc[i][0], (*byte)(unsafe.Add(unsafe.Pointer(a[i]), from)), m.block.lda, b, rows)
		}
		for i := range rows {
			at := (r+i)*m.out.C + ch
			high, low := acc[0][i*nr:][:n], acc[len(g.planes)-1][i*nr:][:n]
			if g.x == Int8 {
				high = nil
			}
			if g.wide {
				g.sums(view[int64](io.Out[0])[at:][:n], high, low, p*nr)
				continue
			}
			if g.residual == nil {
				y := g.y.room(io.Out[0], at, n, own)
				g.requant(y, high, low, p*nr)
				g.y.put(io.Out[0], at, y)
				continue
			}
			g.requant(own[:n], high, low, p*nr)
			y := g.y.room(io.Out[0], at, n, out)
			g.residual.row(y, own[:n], g.r.load(io.In[1], at, n, res))
			g.y.put(io.Out[0], at, y)
		}
	}
}

// requant is the last step for a row of channels that begin at packed place k. Sums of a plane are exact in int32 once they have
// their bias, whatever they wrapped to on the way.
func (g *convI16) requant(y []int16, high, low []int32, k int) {
	n := len(y)
	bias, base, mult := g.planes[0].bias[k:][:n], g.base[k:][:n], g.mult[k:][:n]
	whole := n &^ 7
	for _, part := range [2]struct {
		from, to int
		fn       requant16Func
	}{{0, whole, g.last.Fn}, {whole, n, requant16Portable}} {
		if i := part.from; i < part.to {
			var h *int32
			if high != nil {
				h = &high[i]
			}
			part.fn(&y[i], &low[i], h, &bias[i], &base[i], &mult[i], part.to-i, &g.params)
		}
	}
}

// sums writes accumulators as they are.
func (g *convI16) sums(y []int64, high, low []int32, k int) {
	bias, base := g.planes[0].bias[k:][:len(y)], g.base[k:][:len(y)]
	for i := range y {
		y[i] = int64(low[i]+bias[i]) + int64(base[i])
		if high != nil {
			y[i] += 256 * int64(high[i]+bias[i])
		}
	}
}
