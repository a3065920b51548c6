package kernels

import (
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Winograd's F(2x2,3x3) for float convolutions of 3x3 with stride 1: a tile of 2x2 outputs from 4x4 inputs with 16
// multiplications instead of 36. Each of the 16 places is a matrix product of tiles by filters, done by the kernels of
// GEMMF32. Filters are kept as they are and transformed a pass at a time, just before use: no more memory is read
// than without, and the cost is spread over the tiles of a block.
//
// The transforms add and halve only, so the result is about as far from the exact one as a direct sum's.

// What the transforms do; asm's stubs spell them out. Distances are in bytes.
type (
	winoInputFunc  = func(dst *float32, ldp, lda int, src *float32, row, pix, tiles, n int)
	winoFilterFunc = func(dst *float32, ldp int, src *float32, k int)
	winoHalvesFunc = func(dst *float32, ldp int, src *uint16, k int)
	winoOutputFunc = func(dst *float32, row, pix int, src *float32, ldp, tiles int, bias, res *float32, p *asm.ClampF32)
)

// winoF32 is a 3x3 convolution made ready. The embedded convF32's rows are tiles, and its terms input channels.
type winoF32 struct {
	convF32
	input            winoInputFunc
	filter           winoFilterFunc
	halves           winoHalvesFunc
	output           winoOutputFunc
	tilesH, tilesW   int
	fullW            int // tiles of a row that lie in the output
	zero             []float32
	offU, offV, offM int // scratch: transformed filters, inputs and sums
	offPatch, offOut int // a copied tile of inputs, and tiles of outputs
	pointU, pointV   int // bytes from one of the 16 places to the next
	pointM           int
}

const (
	winoPlaces = 16
	// winoMinGain is how many times less work the estimate must show: it knows nothing of caches.
	winoMinGain = 1.15
	// winoTiles is how many tiles of a block transforming the filters is worth for, cache or not.
	winoTiles = 56
)

// newWinoF32 returns nil where the direct way is better, or there are no kernels.
func newWinoF32(c *ConvF32, family []*GEMMF32, available ISA, l2 int) *winoF32 {
	w := &c.Window
	if Disabled("winograd") || c.Groups != 1 || *w != (Window{3, 3, 1, 1, 1, 1, w.Pad}) {
		return nil
	}
	only := family[0].ISA
	if only == FMA {
		only |= available & F16C
	}
	in, out := chooseRow(winoInputsF32, only), chooseRow(winoOutputsF32, only)
	filter, halves := chooseRow(winoFiltersF32, only), chooseRow(winoHalves, only)
	if in == nil || out == nil || filter == nil || c.Weights16 != nil && halves == nil {
		return nil
	}
	g := &winoF32{input: in.Fn, filter: filter.Fn, output: out.Fn, tilesH: ceilDiv(c.Out.H, 2), tilesW: ceilDiv(c.Out.W, 2), fullW: c.Out.W / 2}
	if c.Weights16 != nil {
		g.halves = halves.Fn
	}
	g.convF32 = convF32{ConvF32: *c, gi: c.In.C, go_: c.Out.C, k: c.In.C, rows: g.tilesH * g.tilesW, family: family, split: splitRows(family),
		clamp: &asm.ClampF32{Lo: c.ClampLo, Hi: c.ClampHi, InnerLo: c.InnerLo, InnerHi: c.InnerHi}}
	if g.gain() < winoMinGain {
		return nil
	}
	g.why = family[0].ISA.String() + ", Winograd F(2x2,3x3)"
	if c.Weights16 != nil {
		g.why += ", weights in half precision"
	}
	g.pack(9)
	g.zero = aligned[float32](family[0].NR)
	g.Weights, g.Weights16, g.Bias = nil, nil, nil
	g.planTiles(l2)
	return g
}

// gain estimates how many times faster than the direct way it is, in cycles of a core that starts two vector operations a
// cycle: products, then transforms, each by its vector operations.
func (g *winoF32) gain() float64 {
	lanes := float64(g.family[0].NR / 2)
	k, n, tiles := float64(g.k), float64(ceilDiv(g.go_, g.family[0].NR)*g.family[0].NR), float64(g.rows)
	pixels := float64(g.Out.H * g.Out.W)
	blocks := max(1, tiles/winoTiles/2)
	direct := pixels*9*k*n/lanes/2 + 1.3*pixels*9*k/lanes
	wino := tiles*16*k*n/lanes/2*1.08 + tiles*k/lanes*32 + tiles*n/lanes*28 + blocks*k*n/lanes*30
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
	blocks := ceilDiv(g.rows, max(l2/2/(winoPlaces*b.lda), winoTiles))
	b.rows = ceilDiv(tiles, blocks) * g.tile
	passes := ceilDiv(g.k*winoPlaces*4*main.NR, max(l2/8, 64<<10))
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
	g.offU = take(winoPlaces * g.pointU)
	g.offM = take(winoPlaces * g.pointM)
	g.offPatch = take(winoPlaces*4*g.In.C + Slack)
	g.offOut = take(2 * 4 * 4 * main.NR)
	g.offV = take(winoPlaces*g.pointV + Slack)
	b.size = off
}

func (g *winoF32) prepared() *Prepared {
	p := g.convF32.prepared()
	p.Stages[0].Run = g.run
	p.MACs = int64(g.Out.Len()) * 9 * int64(g.k)
	return p
}

// run computes units lo..hi-1, as those of convF32: tiles by panels.
func (g *winoF32) run(io *IO, lo, hi int, tmp []byte) {
	tiles := ceilDiv(g.rows, g.tile)
	have := span{group: -1}
	for u := lo; u < hi; {
		first, t := u/tiles, u%tiles
		end := min(tiles, t+hi-u)
		p0, p1 := 0, g.panels
		if g.nSplit {
			p0, p1 = first, first+1
		}
		r1 := min(end*g.tile, g.rows)
		for r := t * g.tile; r < r1; r += g.block.rows {
			to := min(r+g.block.rows, r1)
			if want := (span{0, r, to}); have != want {
				g.transform(io, tmp, r, to)
				have = want
			}
			for p := p0; p < p1; p++ {
				g.multiply(tmp, to-r, p)
				g.finish(io, tmp, r, to, p)
			}
		}
		u += end - t
	}
}

// transform turns the inputs of tiles r0..r1-1 into 16 places of rows.
func (g *winoF32) transform(io *IO, tmp []byte, r0, r1 int) {
	x, c := view[float32](io.In[0]), g.In.C
	top, left := g.Window.Pad[0], g.Window.Pad[1]
	for r := r0; r < r1; {
		ty, tx := r/g.tilesW, r%g.tilesW
		dst := at(view[float32](tmp[g.offV:]), (r-r0)*g.block.lda/4)
		iy, ix := 2*ty-top, 2*tx-left
		count := min(r1-r, g.tilesW-tx)
		if inside := (g.In.W - 2 - ix) / 2; iy >= 0 && iy+4 <= g.In.H && ix >= 0 && inside > 0 {
			count = min(count, inside)
			g.input(dst, g.pointV, g.block.lda, at(x, (iy*g.In.W+ix)*c), 4*g.In.W*c, 4*c, count, c)
			r += count
			continue
		}
		g.patch(view[float32](tmp[g.offPatch:]), x, iy, ix)
		g.input(dst, g.pointV, g.block.lda, at(view[float32](tmp[g.offPatch:]), 0), 16*c, 4*c, 1, c)
		r++
	}
}

// patch copies 4x4 pixels from iy, ix, with zeros around the image.
func (g *winoF32) patch(dst, x []float32, iy, ix int) {
	c := g.In.C
	for i := range 4 {
		row := dst[4*c*i:][:4*c]
		y := iy + i
		k0, k1 := min(max(-ix, 0), 4), max(min(g.In.W-ix, 4), 0)
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
			g.halves(u, g.pointU, at(g.packed16, first), k)
		} else {
			g.filter(u, g.pointU, at(g.packed, first), k)
		}
		for place := range winoPlaces {
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
	nr, oc, ow := g.family[0].NR, g.Out.C, g.Out.W
	ch := p * nr
	n := min(nr, oc-ch)
	y, bias := view[float32](io.Out[0]), at(g.bias, ch)
	for r := r0; r < r1; {
		ty, tx := r/g.tilesW, r%g.tilesW
		src := at(view[float32](tmp[g.offM:]), (r-r0)*nr)
		to := (2*ty*ow+2*tx)*oc + ch
		if n == nr && tx < g.fullW && 2*ty+2 <= g.Out.H {
			count := min(r1-r, g.fullW-tx)
			var res *float32
			if g.Residual {
				res = at(view[float32](io.In[1]), to)
			}
			g.output(at(y, to), 4*ow*oc, 4*oc, src, g.pointM, count, bias, res, g.clamp)
			r += count
			continue
		}
		g.edge(io, tmp, src, to, p, min(2, g.Out.H-2*ty), min(2, ow-2*tx), n)
		r++
	}
}

// edge makes one tile of which h x w pixels of n channels are wanted, by way of scratch.
func (g *winoF32) edge(io *IO, tmp []byte, src *float32, to, p, h, w, n int) {
	nr, oc, ow := g.family[0].NR, g.Out.C, g.Out.W
	all := view[float32](tmp[g.offOut:])
	y := view[float32](io.Out[0])
	var res *float32
	if g.Residual {
		for i := range h {
			for k := range w {
				copy(all[(4+2*i+k)*nr:][:n], view[float32](io.In[1])[to+(i*ow+k)*oc:])
			}
		}
		res = at(all, 4*nr)
	}
	g.output(at(all, 0), 8*nr, 4*nr, src, g.pointM, 1, at(g.bias, p*nr), res, g.clamp)
	for i := range h {
		for k := range w {
			copy(y[to+(i*ow+k)*oc:][:n], all[(2*i+k)*nr:])
		}
	}
}
