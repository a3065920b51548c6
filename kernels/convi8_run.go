package kernels

import "unsafe"

// blocking is how a run walks over its rows, and how it divides its scratch.
type blocking struct {
	rows   int // rows of a block: a whole number of tiles, their operands and results meant to stay in L2
	batch  int // rows that go to one call of the requantizer, their accumulators meant to stay in L1
	lda    int // bytes from row to row of gathered operands
	pitch  int // bytes from slab to slab
	offRow int // scratch: one gathered row, or slab, before it is widened
	offC   int // accumulators
	offA   int // gathered rows, or slabs
	size   int
}

const (
	defaultL2  = 512 << 10 // where the CPU does not say
	accumBytes = 8 << 10   // accumulators of one batch
	minUnits   = 16        // below so many row tiles, columns are split too
)

func align64(n int) int { return (n + 63) &^ 63 }

// plan chooses block sizes; they never change the result.
func (g *convI8) plan(l2 int) {
	main := g.family[0]
	if l2 <= 0 {
		l2 = defaultL2
	}
	g.tile = main.MR
	if g.order.slab {
		g.tile = g.out.W
	}
	tiles := ceilDiv(g.rows, g.tile)
	// With few rows there is more to share out in the columns. Gathering is repeated for every share, so it wants fewer.
	limit := minUnits
	if !g.inPlace {
		limit = minUnits / 2
	}
	g.nSplit = tiles < limit && g.groups*g.panels > 1

	b := &g.block
	together := main.A.Rows()
	line := g.kPad * together // of stored bytes, gathered at once
	b.lda = g.kPad * main.A.Size()
	switch {
	case g.inPlace:
		b.lda = g.in.C
	case g.order.slab && together > 1: // windows lie apart in the kernel's form, though not as they are gathered
		windows := ceilDiv(g.out.W, together) * together
		line = max(g.slabColumns()*g.column(), (windows-1)*g.win.StrideW*g.column()+g.kPad)
		b.pitch = align64(windows*b.lda + Slack)
	case g.order.slab:
		line = g.slabColumns() * g.column()
		b.lda = g.win.StrideW * g.column() * main.A.Size()
		b.pitch = align64(line*main.A.Size() + Slack)
	}
	perRow := b.lda + g.go_
	b.rows = min(max(l2/2/perRow/g.tile, 1), tiles) * g.tile
	b.batch = max(accumBytes/(4*main.NR)/main.MR, 1) * main.MR

	off := 0
	take := func(n int) int {
		at := off
		off += align64(n)
		return at
	}
	b.offC = take(4 * b.batch * main.NR)
	b.offRow = take(line + Slack)
	b.offA = off
	switch {
	case g.inPlace:
	case g.order.slab:
		take(b.rows/g.tile*b.pitch + 2*Slack)
	default:
		take(b.rows*b.lda + 2*Slack)
	}
	b.size = off
}

// run computes units lo..hi-1 of a tiling.
func (g *convI8) run(io *IO, lo, hi int, tmp []byte) {
	gathered := span{group: -1}
	together := g.together()
	tiling{g.rows, g.tile, g.block.rows, g.shares(), g.nSplit}.each(lo, hi, func(r0, r1, p0, p1 int) {
		g.blockRows(io, tmp, r0, r1, together*p0, min(together*p1, g.groups*g.panels), &gathered)
	})
}

// together is how many panels are multiplied at once.
func (g *convI8) together() int {
	if g.wide != nil {
		return g.wide.Panels
	}
	return 1
}

// shares is how many parts the columns have.
func (g *convI8) shares() int { return ceilDiv(g.groups*g.panels, g.together()) }

// tiling says what the units of a product are: tiles of rows, of all panels of columns or, if split, of one panel each, panel by
// panel.
type tiling struct {
	rows, tile int
	block      int // rows at a time within a unit
	panels     int // of all groups
	split      bool
}

// each calls do for the blocks of units lo..hi-1: rows r0..r1-1 of panels p0..p1-1.
func (t tiling) each(lo, hi int, do func(r0, r1, p0, p1 int)) {
	tiles := ceilDiv(t.rows, t.tile)
	for u := lo; u < hi; {
		first, begin := u/tiles, u%tiles
		end := min(tiles, begin+hi-u)
		p0, p1 := 0, t.panels
		if t.split {
			p0, p1 = first, first+1
		}
		last := min(end*t.tile, t.rows)
		for r := begin * t.tile; r < last; r += t.block {
			do(r, min(r+t.block, last), p0, p1)
		}
		u += end - begin
	}
}

// span says whose rows the gathering scratch holds.
type span struct{ group, r0, r1 int }

// blockRows computes rows r0..r1-1 of panels p0..p1-1, counted over all groups: a panel's weights stay in L1 while the
// block's rows pass.
func (g *convI8) blockRows(io *IO, tmp []byte, r0, r1, p0, p1 int, have *span) {
	nr := g.family[0].NR
	for p, n := p0, 0; p < p1; p += n {
		n = 1
		group := p / g.panels
		var a *byte
		if g.inPlace {
			a = at(io.In[0], r0*g.in.C+group*g.gi)
		} else {
			if want := (span{group, r0, r1}); *have != want {
				g.gather(io.In[0], tmp, group, r0, r1)
				*have = want
			}
			a = at(tmp, g.block.offA)
		}
		n0 := p % g.panels * nr
		columns := min(nr, g.go_-n0)
		var tile *GEMMRequant
		for _, f := range []*GEMMRequant{g.wide, g.rounds} {
			if f != nil && n0+f.NR <= g.go_ {
				tile, columns, n = f, f.NR, f.Panels
				break
			}
		}
		g.panel(io, tmp, a, r0, r1, p, group*g.go_+n0, columns, tile)
	}
}

// panel multiplies rows r0..r1-1 with the weights from panel p on and stores columns ch..ch+n-1 of the output: tiles of them by f,
// if there is one, which takes n columns.
func (g *convI8) panel(io *IO, tmp []byte, a *byte, r0, r1, p, ch, n int, f *GEMMRequant) {
	main := g.family[0]
	b := at(g.packed, p*g.panelLen)
	bias, mult := at(g.bias, p*main.NR), at(g.mult, p*main.NR)
	acc := (*int32)(unsafe.Pointer(at(tmp, g.block.offC)))
	lda, oc := g.block.lda, g.out.C
	rows := 0
	for r := r0; r < r1; r += rows {
		rows = min(g.block.batch, r1-r)
		from := (r - r0) * lda
		if g.order.slab {
			ox := r % g.out.W
			rows = min(rows, g.out.W-ox)
			from = (r-r0)/g.out.W*g.block.pitch + ox*lda
		}
		first := (*byte)(unsafe.Add(unsafe.Pointer(a), from))
		if f != nil && rows >= f.MR {
			rows = f.MR
			f.Fn(at(io.Out[0], r*oc+ch), oc, first, lda, b, g.kPad, bias, mult, g.other(io, r, ch), oc, g.params)
			continue
		}
		for j := 0; j < n; j += main.NR {
			g.rest(io, acc, first, r, rows, p+j/main.NR, ch+j, min(main.NR, n-j))
		}
	}
}

// other is the other operand of an addition at a row and channel of the output, or nil.
func (g *convI8) other(io *IO, r, ch int) *byte {
	if !g.residual {
		return nil
	}
	return at(io.In[1], r*g.out.C+ch)
}

// rest multiplies rows that are no whole tile, from row r of the output on, with panel p and stores columns ch..ch+n-1.
func (g *convI8) rest(io *IO, acc *int32, a *byte, r, rows, p, ch, n int) {
	nr, oc := g.family[0].NR, g.out.C
	bias, mult := at(g.bias, p*nr), at(g.mult, p*nr)
	g.product(acc, a, g.block.lda, at(g.packed, p*g.panelLen), rows)
	if g.raw {
		g.storeRaw(view[int32](io.Out[0])[r*oc+ch:], acc, bias, rows, n)
		return
	}
	g.requant.Fn(at(io.Out[0], r*oc+ch), oc, acc, nr, rows, n, bias, mult, g.other(io, r, ch), oc, g.params)
}

// storeRaw writes accumulators as they are.
func (g *convI8) storeRaw(dst []int32, acc, bias *int32, rows, n int) {
	nr := g.family[0].NR
	b := unsafe.Slice(bias, n)
	for r := range rows {
		d := dst[r*g.out.C:][:n]
		for j, v := range row(acc, r*nr, n) {
			d[j] = v + b[j]
		}
	}
}

// product fills rows of accumulators, NR each: whole tiles of the largest kernel, then what is left by smaller ones, the
// last of which may fill one or two too many.
func (g *convI8) product(acc *int32, a *byte, lda int, b *int8, rows int) {
	for i, k := range g.family {
		for rows >= k.MR || rows > 0 && i == len(g.family)-1 {
			k.Fn(acc, a, lda, b, g.kPad)
			acc = (*int32)(unsafe.Add(unsafe.Pointer(acc), 4*k.MR*k.NR))
			a = (*byte)(unsafe.Add(unsafe.Pointer(a), k.MR*lda))
			rows -= k.MR
		}
	}
}

// gather writes the operands of rows r0..r1-1 into scratch, in the kernel's form.
func (g *convI8) gather(x, tmp []byte, group, r0, r1 int) {
	form, n := g.family[0].A, r1-r0
	dst := tmp[g.block.offA:]
	if g.order.slab {
		for oy := r0 / g.out.W; oy < r1/g.out.W; oy++ {
			g.slab(dst, x, tmp[g.block.offRow:], group, oy)
			dst = dst[g.block.pitch:]
		}
		return
	}
	if form == S16x3 {
		g.gatherInTurn(dst, x, tmp[g.block.offRow:], group, r0, n)
		return
	}
	if g.direct && form != U8 && g.kPad == g.in.C { // rows follow each other without a gap on both sides
		if form == S16 {
			g.widen.Fn((*uint16)(unsafe.Pointer(unsafe.SliceData(dst))), at(x, r0*g.in.C), n*g.in.C)
		} else {
			g.flip.Fn(unsafe.SliceData(dst), at(x, r0*g.in.C), n*g.in.C)
		}
		return
	}
	line := tmp[g.block.offRow:]
	oy, ox := r0/g.out.W, r0%g.out.W
	for range n {
		src := line
		switch {
		case g.direct:
			src = x[(oy*g.out.W+ox)*g.in.C+group*g.gi:]
		case form == S16:
			g.gatherRow(line, x, group, oy, ox)
		default:
			g.gatherRow(dst, x, group, oy, ox)
		}
		switch {
		case form == S16:
			g.widen.Fn((*uint16)(unsafe.Pointer(unsafe.SliceData(dst))), unsafe.SliceData(src), g.k)
		case form == S8 && g.direct:
			g.flip.Fn(unsafe.SliceData(dst), unsafe.SliceData(src), g.k)
		}
		dst = dst[g.block.lda:]
		if ox++; ox == g.out.W {
			oy, ox = oy+1, 0
		}
	}
	if form == S8 && !g.direct { // in place, with what lies between the rows
		p := at(tmp, g.block.offA)
		g.flip.Fn(p, p, n*g.block.lda)
	}
}

// gatherInTurn writes the operands of n rows from r0 on as S16x3.
func (g *convI8) gatherInTurn(dst, x, line []byte, group, r0, n int) {
	together := S16x3.Rows()
	first := 0
	if whole := n / together; g.direct && whole > 0 {
		g.inTurn.Fn((*uint16)(unsafe.Pointer(unsafe.SliceData(dst))), at(x, r0*g.in.C+group*g.gi), g.in.C, g.kPad, whole)
		first = whole * together
	}
	for i := first; i < n; i += together {
		for j := range min(together, n-i) {
			r := r0 + i + j
			if row := line[j*g.kPad:]; g.direct {
				copy(row[:g.k], x[r*g.in.C+group*g.gi:])
			} else {
				g.gatherRow(row, x, group, r/g.out.W, r%g.out.W)
			}
		}
		g.inTurn.Fn((*uint16)(unsafe.Pointer(at(dst, i*g.block.lda))), unsafe.SliceData(line), g.kPad, g.kPad, 1)
	}
}

// slab gathers a slab in the kernel's form.
func (g *convI8) slab(dst, x, line []byte, group, oy int) {
	n := g.slabColumns() * g.column()
	switch g.family[0].A {
	case S16x3:
		g.gatherSlab(line, x, group, oy)
		g.inTurn.Fn((*uint16)(unsafe.Pointer(unsafe.SliceData(dst))), unsafe.SliceData(line), g.win.StrideW*g.column(), g.kPad, ceilDiv(g.out.W, S16x3.Rows()))
	case S16:
		g.gatherSlab(line, x, group, oy)
		g.widen.Fn((*uint16)(unsafe.Pointer(unsafe.SliceData(dst))), unsafe.SliceData(line), n)
	case S8:
		g.gatherSlab(dst, x, group, oy)
		g.flip.Fn(unsafe.SliceData(dst), unsafe.SliceData(dst), n)
	default:
		g.gatherSlab(dst, x, group, oy)
	}
}

// short is the length up to which a run is copied by one 16-byte move. What it writes too much belongs to the next run, which
// comes later, or to the slack behind the scratch.
const short = 16

// gatherRow writes the KH*KW*gi stored bytes under the window of output pixel oy, ox.
func (g *convI8) gatherRow(dst, x []byte, group, oy, ox int) {
	w := &g.win
	iy, ix := oy*w.StrideH-w.Pad[0], ox*w.StrideW-w.Pad[1]
	c, gi := g.in.C, g.gi
	width := w.KW * gi
	pad := g.padRow[group*width:][:width]
	runs := w.DilationW == 1 && g.groups == 1 && ix >= 0 && ix+w.KW <= g.in.W // a window's row is one run of the input
	for range w.KH {
		switch {
		case iy < 0 || iy >= g.in.H:
			copy(dst[:width], pad)
		case runs && width <= short:
			*(*[short]byte)(dst) = *(*[short]byte)(unsafe.Pointer(at(x, (iy*g.in.W+ix)*c)))
		case runs:
			copy(dst[:width], x[(iy*g.in.W+ix)*c:])
		default:
			for kx := range w.KW {
				to := dst[kx*gi:][:gi]
				if px := ix + kx*w.DilationW; px < 0 || px >= g.in.W {
					copy(to, pad[kx*gi:])
				} else {
					copy(to, x[(iy*g.in.W+px)*c+group*gi:])
				}
			}
		}
		dst = dst[width:]
		iy += w.DilationH
	}
}
