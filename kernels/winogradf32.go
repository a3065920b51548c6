package kernels

import (
	"fmt"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Winograd's F(4x4,3x3) and F(2x2,3x3) for float convolutions of 3x3 with stride 1: a tile of 4x4 outputs from 6x6 inputs with 36
// multiplications instead of 144, or of 2x2 from 4x4 with 16 instead of 36. Each of the places of a tile is a matrix product of
// tiles by filters, done by the kernels of GEMMF32. Filters are kept as they are and transformed a pass at a time, just before
// use: no more memory is read than without, and the cost is spread over the tiles of a block.
//
// F(2x2,3x3) adds and halves only, and is nearer to the exact result than a direct sum; F(4x4,3x3), whose results are differences
// of larger numbers, is about five times as far from it as the direct sum (TestWinogradErrorF32).

// What the transforms do; asm's stubs spell them out. Distances are in bytes.
type (
	winoInputFunc  = func(dst *float32, ldp, lda int, src *float32, row, pix, tiles, n int, tmp *float32)
	winoFilterFunc = func(dst *float32, ldp int, src *float32, k int, tmp *float32)
	winoHalvesFunc = func(dst *float32, ldp int, src *uint16, k int, tmp *float32)
	winoOutputFunc = func(dst *float32, row, pix int, src *float32, ldp, tiles int, bias, res *float32, p *asm.ClampF32, tmp *float32)
)

// winoF32 is a 3x3 convolution made ready. The embedded convF32's rows are tiles, and its terms input channels.
type winoF32 struct {
	convF32
	m, n, places     int // a tile has mxm outputs, of nxn inputs
	input            winoInputFunc
	filter           winoFilterFunc
	halves           winoHalvesFunc
	output           winoOutputFunc
	tilesH, tilesW   int
	fullW            int // tiles of a row that lie in the output
	zero             []float32
	offU, offV, offM int // scratch: transformed filters, inputs and sums
	offPatch, offOut int // a copied tile of inputs, and tiles of outputs
	offTmp           int // the transforms'
	pointU, pointV   int // bytes from one of the places to the next
	pointM           int
}

const (
	// winoMinGain is how many times less work the estimate must show: it knows nothing of caches.
	winoMinGain = 1.15
	// winoTiles is how many tiles of a block transforming the filters is worth for, cache or not.
	winoTiles = 56
)

// chooseWinoF32 returns what the estimate says is best, nil where it is the direct way, or there are no kernels.
func chooseWinoF32(c *ConvF32, family []*GEMMF32, available ISA, l2 int) *winoF32 {
	var best *winoF32
	for i := range winoF32Forms {
		if g := newWinoF32(c, &winoF32Forms[i], family, available); g != nil && g.gain() >= winoMinGain && (best == nil || g.gain() > best.gain()) {
			best = g
		}
	}
	if best != nil {
		best.finishPlan(l2)
	}
	return best
}

func newWinoF32(c *ConvF32, form *winoRowsF32, family []*GEMMF32, available ISA) *winoF32 {
	w := &c.Window
	if Disabled("winograd") || c.Groups != 1 || *w != (Window{3, 3, 1, 1, 1, 1, w.Pad}) {
		return nil
	}
	only := family[0].ISA
	if only == FMA {
		only |= available & F16C
	}
	in, out := chooseRow(form.inputs, only), chooseRow(form.outputs, only)
	filter, halves := chooseRow(form.filters, only), chooseRow(form.halves, only)
	if in == nil || out == nil || filter == nil || c.Weights16 != nil && halves == nil {
		return nil
	}
	m := form.m
	g := &winoF32{m: m, n: m + 2, places: (m + 2) * (m + 2), input: in.Fn, filter: filter.Fn, output: out.Fn,
		tilesH: ceilDiv(c.Out.H, m), tilesW: ceilDiv(c.Out.W, m), fullW: c.Out.W / m}
	if c.Weights16 != nil {
		g.halves = halves.Fn
	}
	g.convF32 = convF32{ConvF32: *c, gi: c.In.C, go_: c.Out.C, k: c.In.C, rows: g.tilesH * g.tilesW, family: family, split: splitRows(family),
		clamp: &asm.ClampF32{Lo: c.ClampLo, Hi: c.ClampHi, InnerLo: c.InnerLo, InnerHi: c.InnerHi}}
	return g
}

func (g *winoF32) finishPlan(l2 int) {
	g.why = fmt.Sprintf("%s, Winograd F(%dx%d,3x3)", g.family[0].ISA, g.m, g.m)
	if g.Weights16 != nil {
		g.why += ", weights in half precision"
	}
	g.pack(9)
	g.zero = aligned[float32](g.family[0].NR)
	g.Weights, g.Weights16, g.Bias = nil, nil, nil
	g.planTiles(l2)
}

// gain estimates how many times faster than the direct way it is, in cycles of a core that starts two vector operations a
// cycle: products, then transforms, each by its vector operations.
func (g *winoF32) gain() float64 {
	lanes := float64(g.family[0].NR / 2)
	k, n, tiles := float64(g.k), float64(ceilDiv(g.go_, g.family[0].NR)*g.family[0].NR), float64(g.rows)
	pixels := float64(g.Out.H * g.Out.W)
	blocks := max(1, tiles/winoTiles/2)
	direct := pixels*9*k*n/lanes/2 + 1.3*pixels*9*k/lanes
	in, out, filter := 32.0, 28.0, 30.0
	if g.m == 4 {
		in, out, filter = 130, 100, 80
	}
	wino := tiles*float64(g.places)*k*n/lanes/2*1.08 + tiles*k/lanes*in + tiles*n/lanes*out + blocks*k*n/lanes*filter
	return direct / wino
}

// planTiles chooses block sizes; they never change the result.
func (g *winoF32) planTiles(l2 int) {
	main := g.family[0]
	if l2 <= 0 {
		l2 = defaultL2
	}
	g.tile = main.MR
	tiles := ceilDiv(g.rows, g.tile)
	g.nSplit = tiles < minUnits/2 && g.panels > 1

	b := &g.block
	b.lda = (align64(4*g.k)/64 | 1) * 64
	blocks := ceilDiv(g.rows, max(l2/2/(g.places*b.lda), winoTiles))
	b.rows = ceilDiv(tiles, blocks) * g.tile
	passes := ceilDiv(g.k*g.places*4*main.NR, max(l2/4, 64<<10))
	b.k = (ceilDiv(g.k, passes) + 3) &^ 3
	off := 0
	take := func(n int) int {
		at := off
		off += align64(n)
		return at
	}
	// An odd number of lines from place to place: they spread over L1.
	spread := func(n int) int { return (align64(n)/64 | 1) * 64 }
	g.pointU, g.pointV, g.pointM = spread(4*b.k*main.NR), spread(b.rows*b.lda+64), spread(4*b.rows*main.NR)
	g.offTmp = take(winoTmp)
	g.offU = take(g.places * g.pointU)
	g.offM = take(g.places * g.pointM)
	g.offPatch = take(g.places*4*g.In.C + Slack)
	g.offOut = take(2 * g.m * g.m * 4 * main.NR)
	g.offV = take(g.places*g.pointV + Slack)
	b.size = off
}

func (g *winoF32) prepared() *Prepared {
	p := g.convF32.prepared()
	p.Stages[0].Run = g.run
	p.MACs = int64(g.Out.Len()) * 9 * int64(g.k)
	return p
}

// run computes units lo..hi-1 of a tiling.
func (g *winoF32) run(io *IO, lo, hi int, tmp []byte) {
	have := span{group: -1}
	tiling{g.rows, g.tile, g.block.rows, g.panels, g.nSplit}.each(lo, hi, func(r0, r1, p0, p1 int) {
		if want := (span{0, r0, r1}); have != want {
			g.transform(io, tmp, r0, r1)
			have = want
		}
		for p := p0; p < p1; p++ {
			g.multiply(tmp, r1-r0, p)
			g.finish(io, tmp, r0, r1, p)
		}
	})
}

// transform turns the inputs of tiles r0..r1-1 into rows of each place.
func (g *winoF32) transform(io *IO, tmp []byte, r0, r1 int) {
	x, c, scratch := view[float32](io.In[0]), g.In.C, g.scratch(tmp)
	top, left := g.Window.Pad[0], g.Window.Pad[1]
	for r := r0; r < r1; {
		ty, tx := r/g.tilesW, r%g.tilesW
		dst := at(view[float32](tmp[g.offV:]), (r-r0)*g.block.lda/4)
		iy, ix := g.m*ty-top, g.m*tx-left
		count := min(r1-r, g.tilesW-tx)
		if inside := (g.In.W - 2 - ix) / g.m; iy >= 0 && iy+g.n <= g.In.H && ix >= 0 && inside > 0 {
			count = min(count, inside)
			g.input(dst, g.pointV, g.block.lda, at(x, (iy*g.In.W+ix)*c), 4*g.In.W*c, 4*c, count, c, scratch)
			r += count
			continue
		}
		g.patch(view[float32](tmp[g.offPatch:]), x, iy, ix)
		g.input(dst, g.pointV, g.block.lda, at(view[float32](tmp[g.offPatch:]), 0), 4*g.n*c, 4*c, 1, c, scratch)
		r++
	}
}

// scratch is the transforms'.
func (g *winoF32) scratch(tmp []byte) *float32 { return at(view[float32](tmp[g.offTmp:]), 0) }

// patch copies nxn pixels from iy, ix, with zeros around the image.
func (g *winoF32) patch(dst, x []float32, iy, ix int) {
	c, n := g.In.C, g.n
	for i := range n {
		row := dst[n*c*i:][:n*c]
		y := iy + i
		k0, k1 := min(max(-ix, 0), n), max(min(g.In.W-ix, n), 0)
		if y < 0 || y >= g.In.H || k0 >= k1 {
			clear(row)
			continue
		}
		clear(row[:k0*c])
		copy(row[k0*c:k1*c], x[(y*g.In.W+ix+k0)*c:])
		clear(row[k1*c:])
	}
}

// multiply fills the sums of panel p for rows of a block.
func (g *winoF32) multiply(tmp []byte, rows, p int) {
	nr := g.family[0].NR
	u, v, m := at(view[float32](tmp[g.offU:]), 0), at(view[float32](tmp[g.offV:]), 0), at(view[float32](tmp[g.offM:]), 0)
	for k0 := 0; k0 < g.k; k0 += g.block.k {
		k := min(g.block.k, g.k-k0)
		if first := (p*g.k + k0) * 9 * nr; g.halves != nil {
			g.halves(u, g.pointU, at(g.packed16, first), k, g.scratch(tmp))
		} else {
			g.filter(u, g.pointU, at(g.packed, first), k, g.scratch(tmp))
		}
		for place := range g.places {
			t := tileF32{c: forward(m, place*g.pointM), ldc: 4 * nr, a: forward(v, place*g.pointV+4*k0), b: forward(u, place*g.pointU)}
			if k0 == 0 {
				t.bias = unsafe.SliceData(g.zero)
			}
			g.product(t, k, rows)
		}
	}
}

// finish turns the sums of tiles r0..r1-1 and panel p into outputs.
func (g *winoF32) finish(io *IO, tmp []byte, r0, r1, p int) {
	m, nr, oc, ow := g.m, g.family[0].NR, g.Out.C, g.Out.W
	ch := p * nr
	n := min(nr, oc-ch)
	y, bias := view[float32](io.Out[0]), at(g.bias, ch)
	for r := r0; r < r1; {
		ty, tx := r/g.tilesW, r%g.tilesW
		src := at(view[float32](tmp[g.offM:]), (r-r0)*nr)
		to := m*(ty*ow+tx)*oc + ch
		if n == nr && tx < g.fullW && m*ty+m <= g.Out.H {
			count := min(r1-r, g.fullW-tx)
			var res *float32
			if g.Residual {
				res = at(view[float32](io.In[1]), to)
			}
			g.output(at(y, to), 4*ow*oc, 4*oc, src, g.pointM, count, bias, res, g.clamp, g.scratch(tmp))
			r += count
			continue
		}
		g.edge(io, tmp, src, to, p, min(m, g.Out.H-m*ty), min(m, ow-m*tx), n)
		r++
	}
}

// edge makes one tile of which h x w pixels of n channels are wanted, by way of scratch.
func (g *winoF32) edge(io *IO, tmp []byte, src *float32, to, p, h, w, n int) {
	m, nr, oc, ow := g.m, g.family[0].NR, g.Out.C, g.Out.W
	all := view[float32](tmp[g.offOut:])
	y := view[float32](io.Out[0])
	var res *float32
	if g.Residual {
		for i := range h {
			for k := range w {
				copy(all[(m*m+m*i+k)*nr:][:n], view[float32](io.In[1])[to+(i*ow+k)*oc:])
			}
		}
		res = at(all, m*m*nr)
	}
	g.output(at(all, 0), 4*m*nr, 4*nr, src, g.pointM, 1, at(g.bias, p*nr), res, g.clamp, g.scratch(tmp))
	for i := range h {
		for k := range w {
			copy(y[to+(i*ow+k)*oc:][:n], all[(m*i+k)*nr:])
		}
	}
}
