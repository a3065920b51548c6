package kernels

import (
	"math"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// convF32 is a float convolution made ready for a family of kernels. It is read-only; what changes during a run is in io and
// scratch.
type convF32 struct {
	ConvF32
	gi, go_ int // input and output channels of a group
	k       int // KH*KW*gi
	rows    int // OH*OW

	family  []*GEMMF32       // largest tile first; the last has one row
	halves  []*GEMMF32F16    // its likes for weights in half precision, nil if there are none
	expand  *Row[expandFunc] // for what they do not do
	narrow  *Row[narrowFunc] // for kernels that multiply halves
	direct  bool             // rows are pixels of the input
	inPlace bool             // and are read there

	packed   []float32 // [groups][panels][k][NR], or packed16
	packed16 []uint16
	panels   int       // of a group
	bias     []float32 // [groups][panels*NR]
	clamp    *asm.ClampF32
	split    []int // split[rows] is the tile to take first: its place in family
	why      string

	tile   int // rows of a unit
	nSplit bool
	block  blockingF32
}

// blockingF32 is how a run walks over its product, and how it divides its scratch.
type blockingF32 struct {
	rows int // of a block: a whole number of tiles, their operands meant to stay in L2
	k    int // terms of a pass: the weights of a panel meant to stay in L2, beside the rows
	lda  int // bytes from row to row of operands
	offB int // scratch: expanded weights of a pass
	offC int // the tile of a panel that the output has not all columns of
	offR int // the residual's
	offF int // a row of floats, to become halves
	offA int // gathered rows
	size int
}

// panelBytes is what a pass reads of a panel's weights at least. They need not stay in L1: a tile takes longer to multiply with them
// than L2 to send them, and with each pass sums are read and written once more.
const panelBytes = 24 << 10

func newConvF32(c *ConvF32, family []*GEMMF32, available ISA, l2 int) *convF32 {
	g := &convF32{ConvF32: *c}
	g.why = family[0].ISA.String() + ", float32"
	if c.Weights16 != nil {
		g.expand = chooseRow(expanders, available)
		g.halves = expandingFamily(family, available)
		g.why = family[0].ISA.String() + ", weights in half precision"
	}
	g.init(family, l2)
	return g
}

// init sets up what follows from the convolution and the family.
func (g *convF32) init(family []*GEMMF32, l2 int) {
	w := &g.Window
	g.family, g.split = family, splitRows(family)
	g.gi, g.go_, g.rows = g.In.C/g.Groups, g.Out.C/g.Groups, g.Out.H*g.Out.W
	g.k = w.KH * w.KW * g.gi
	g.clamp = &asm.ClampF32{Lo: g.ClampLo, Hi: g.ClampHi, InnerLo: g.InnerLo, InnerHi: g.InnerHi}
	g.pack(1)
	g.Weights, g.Weights16, g.Bias = nil, nil, nil // packed: lets go of the caller's
	g.direct = w.KH == 1 && w.KW == 1 && w.StrideH == 1 && w.StrideW == 1 && w.Pad == [4]int{}
	// Rows a multiple of a page apart would all want the same few lines of L1.
	g.inPlace = g.direct && g.narrow == nil && (4*g.In.C%1024 != 0 || g.rows == 1)
	g.plan(l2)
}

// elem is the size of an operand of the kernels.
func (g *convF32) elem() int {
	if g.narrow != nil {
		return 2
	}
	return 4
}

func (g *convF32) prepared() *Prepared {
	units := ceilDiv(g.rows, g.tile)
	if g.nSplit {
		units *= g.Groups * g.panels
	}
	return &Prepared{
		Stages: []Stage{{Name: "conv", Units: units, Scratch: g.block.size, Run: g.run}},
		Kernel: g.family[0].Name,
		Why:    g.why,
		MACs:   int64(g.rows) * int64(g.Out.C) * int64(g.k),
		Packed: 4*len(g.packed) + 2*len(g.packed16) + 4*len(g.bias),
	}
}

// pack lays the weights out in panels: [groups][panels][k][NR], or with several taps a term, [groups][panels][k][taps][NR].
func (g *convF32) pack(taps int) {
	nr := g.family[0].NR
	g.panels = ceilDiv(g.go_, nr)
	g.bias = aligned[float32](g.Groups * g.panels * nr)
	for o := range g.Out.C {
		if len(g.Bias) > 0 {
			g.bias[o/g.go_*g.panels*nr+o%g.go_] = g.Bias[o]
		}
	}
	if g.Weights16 != nil {
		g.packed16 = packPanels(g, g.Weights16, taps)
	} else {
		g.packed = packPanels(g, g.Weights, taps)
	}
}

func packPanels[T float32 | uint16](g *convF32, weights []T, taps int) []T {
	nr, all := g.family[0].NR, g.Window.KH*g.Window.KW
	size := g.k * taps * nr
	packed := aligned[T](g.Groups * g.panels * size)
	for o := range g.Out.C {
		panel := packed[(o/g.go_*g.panels+o%g.go_/nr)*size+o%g.go_%nr:]
		for t := range all {
			for i, w := range weights[:g.gi] {
				if taps == 1 {
					panel[(t*g.gi+i)*nr] = w
				} else {
					panel[(i*taps+t)*nr] = w
				}
			}
			weights = weights[padded4(g.gi):]
		}
	}
	return packed
}

// plan chooses block sizes; they never change the result.
func (g *convF32) plan(l2 int) {
	main := g.family[0]
	if l2 <= 0 {
		l2 = defaultL2
	}
	g.tile = main.MR
	tiles := ceilDiv(g.rows, g.tile)
	// As for int8: with few rows there is more to share out in the columns, and gathering is repeated for every share.
	limit := minUnits
	if !g.inPlace {
		limit = minUnits / 2
	}
	g.nSplit = tiles < limit && g.Groups*g.panels > 1

	b := &g.block
	// Outputs of a block are written a panel at a time: few rows keep them near, but each block reads all weights again.
	b.rows = max(l2/16/(g.elem()*g.k+4*g.go_)/g.tile, 8)
	b.rows = min(b.rows, max(l2/(g.elem()*g.k)/g.tile, 1), tiles) * g.tile
	passes := ceilDiv(g.k*4*main.NR, max(l2/8, panelBytes))
	b.k = (ceilDiv(g.k, passes) + 3) &^ 3
	if g.narrow != nil {
		b.k = halfTerms
	}
	b.lda = 4 * g.In.C
	if !g.inPlace {
		b.lda = (align64(g.elem()*g.k)/64 | 1) * 64 // an odd number of lines: rows spread over L1
	}
	off := 0
	take := func(n int) int {
		at := off
		off += align64(n)
		return at
	}
	if g.expand != nil {
		b.offB = take(4 * b.k * main.NR)
	}
	if g.go_%main.NR != 0 {
		b.offC = take(4 * b.rows * main.NR)
		if g.Residual {
			b.offR = take(4 * g.tile * main.NR)
		}
	}
	if g.narrow != nil {
		b.offF = take(4*g.k + Slack)
	}
	b.offA = off
	if !g.inPlace {
		take(b.rows*b.lda + Slack)
	}
	b.size = off
}

// run computes units lo..hi-1 of a tiling.
func (g *convF32) run(io *IO, lo, hi int, tmp []byte) {
	gathered := span{group: -1}
	tiling{g.rows, g.tile, g.block.rows, g.Groups * g.panels, g.nSplit}.each(lo, hi, func(r0, r1, p0, p1 int) {
		g.blockRows(io, tmp, r0, r1, p0, p1, &gathered)
	})
}

// blockRows computes rows r0..r1-1 of panels p0..p1-1, counted over all groups.
func (g *convF32) blockRows(io *IO, tmp []byte, r0, r1, p0, p1 int, have *span) {
	for p := p0; p < p1; p++ {
		group := p / g.panels
		var a *float32
		if g.inPlace {
			a = at(view[float32](io.In[0]), r0*g.In.C+group*g.gi)
		} else {
			rows, x := view[float32](tmp[g.block.offA:]), view[float32](io.In[0])
			if want := (span{group, r0, r1}); *have != want {
				if g.narrow != nil {
					g.gatherHalves(tmp, x, group*g.gi, r0, r1-r0)
				} else {
					g.gather(rows, g.block.lda/4, x, group*g.gi, r0, r1-r0)
				}
				*have = want
			}
			a = at(rows, 0)
		}
		g.panel(io, tmp, a, r0, r1, p)
	}
}

// A tileF32 is where a run of tiles reads and writes; distances are in bytes.
type tileF32 struct {
	c, a, b, bias, res *float32
	ldc, ldr           int
	p                  *asm.ClampF32
}

// panel multiplies rows r0..r1-1 with one panel, in passes over the terms: sums rest in the output meanwhile.
func (g *convF32) panel(io *IO, tmp []byte, a *float32, r0, r1, p int) {
	nr, oc := g.family[0].NR, g.Out.C
	n0 := p % g.panels * nr
	ch, n := p/g.panels*g.go_+n0, min(nr, g.go_-n0)
	y := view[float32](io.Out[0])[r0*oc+ch:]
	var res []float32
	if g.Residual {
		res = view[float32](io.In[1])[r0*oc+ch:]
	}
	t := tileF32{c: at(y, 0), ldc: 4 * oc, ldr: 4 * oc, bias: at(g.bias, p*nr)}
	narrow := view[float32](tmp[g.block.offC:])
	if n < nr {
		t.c, t.ldc = at(narrow, 0), 4*nr
	}
	for k0 := 0; k0 < g.k; k0 += g.block.k {
		k := min(g.block.k, g.k-k0)
		t.a = forward(a, g.elem()*k0)
		if k0+k == g.k {
			t.p = g.clamp
			if g.Residual && n < nr {
				t.b = g.weights(tmp, p, k0, k)
				g.lastNarrow(&t, tmp, res, k, r1-r0, n)
				break
			}
			t.res = unsafe.SliceData(res)
		}
		if g.halves != nil {
			g.productHalves(t, tmp, p, k0, k, r1-r0)
		} else {
			t.b = g.weights(tmp, p, k0, k)
			g.product(t, k, r1-r0)
		}
		t.bias = nil
	}
	if n < nr {
		for r := range r1 - r0 {
			copy(y[r*oc:][:n], narrow[r*nr:])
		}
	}
}

// weights returns terms k0..k0+k-1 of panel p, expanded if need be.
func (g *convF32) weights(tmp []byte, p, k0, k int) *float32 {
	nr := g.family[0].NR
	first := p*g.k*nr + k0*nr
	switch {
	case g.narrow != nil:
		return (*float32)(unsafe.Pointer(at(g.packed16, first)))
	case g.expand == nil:
		return at(g.packed, first)
	}
	b := at(view[float32](tmp[g.block.offB:]), 0)
	g.expand.Fn(b, at(g.packed16, first), k*nr)
	return b
}

// product runs over the rows: whole tiles of the largest kernel, then what is left by smaller ones.
func (g *convF32) product(t tileF32, k, rows int) {
	for rows > 0 {
		f := g.family[g.split[min(rows, len(g.split)-1)]]
		f.Fn(t.c, t.ldc, t.a, g.block.lda, t.b, k, t.bias, t.res, t.ldr, t.p)
		t.advance(f.MR, g.block.lda)
		rows -= f.MR
	}
}

// productHalves is product with terms k0..k0+k-1 of panel p in half precision. The first tile expands them in its registers, and
// stores them as floats if others come after it: those wait for nothing but L2, where a tile alone reads half as many bytes.
func (g *convF32) productHalves(t tileF32, tmp []byte, p, k0, k, rows int) {
	f := g.halves[g.split[min(rows, len(g.split)-1)]]
	if rows > f.MR {
		t.b = at(view[float32](tmp[g.block.offB:]), 0)
	}
	b := at(g.packed16, (p*g.k+k0)*f.NR)
	f.Fn(t.c, t.ldc, t.a, g.block.lda, b, k, t.bias, t.res, t.ldr, t.p, t.b)
	if rows -= f.MR; rows > 0 { // else t would lead behind the operands
		t.advance(f.MR, g.block.lda)
		g.product(t, k, rows)
	}
}

// advance moves on by rows.
func (t *tileF32) advance(rows, lda int) {
	t.c, t.a = forward(t.c, rows*t.ldc), forward(t.a, rows*lda)
	if t.res != nil {
		t.res = forward(t.res, rows*t.ldr)
	}
}

// splitRows finds, for every number of rows up to twice the largest tile, the tile to take first: that of the cheapest
// way to cover them. Above, it is the largest.
func splitRows(family []*GEMMF32) []int {
	n := 2*family[0].MR + 1
	cost, first := make([]float64, n), make([]int, n)
	for rows := 1; rows < n; rows++ {
		cost[rows] = math.Inf(1)
		for i, f := range family {
			if f.MR > rows {
				continue
			}
			// The cycles of a term, and of starting and ending a tile those of some terms more.
			if c := cost[rows-f.MR] + float64(f.MR*f.NR)/float64(f.Rate) + 0.3; c < cost[rows] {
				cost[rows], first[rows] = c, i
			}
		}
	}
	first[n-1] = 0
	return first
}

// lastNarrow is product for the last pass over a panel of n columns with a residual, whose rows go through scratch.
func (g *convF32) lastNarrow(t *tileF32, tmp []byte, res []float32, k, rows, n int) {
	nr := g.family[0].NR
	wide := view[float32](tmp[g.block.offR:])
	for r := 0; r < rows; r += g.tile {
		m := min(g.tile, rows-r)
		for i := range m {
			copy(wide[i*nr:][:n], res[(r+i)*g.Out.C:])
		}
		part := *t
		part.c, part.a = forward(t.c, r*t.ldc), forward(t.a, r*g.block.lda)
		part.res, part.ldr = at(wide, 0), 4*nr
		g.product(part, k, m)
	}
}

// forward returns p moved by n bytes.
func forward(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), n)) }
