package kernels

import "unsafe"

// winoBlocking divides a layer's tiles into blocks, and the scratch of a run.
type winoBlocking struct {
	tiles  int // of a block
	count  int // blocks
	rows   int // of frequencies, whose weights are transformed at once
	row    int // tiles that are transformed back at once, so that their sums stay in L1
	ldv    int // bytes between frequencies of the transformed input
	ldm    int // of the products
	ldy    int // between rows of sums
	vBytes int // transformed input of a block

	offU, offV, offM, offY, offX, offTmp int
	size                                 int
}

// plan chooses block sizes; they never change the result. Transformed input and products of a block are to stay in L2, beside
// the weights they meet: of wide panels, some rows of frequencies.
func (g *winoI8) plan(l2 int) {
	if l2 <= 0 {
		l2 = defaultL2
	}
	b, freqs, mr := &g.block, g.form.freqs, g.family[0].MR
	perTile := freqs * 4 * g.nr
	if g.stored != nil {
		perTile += freqs * 2 * g.ldv
	}
	share := l2 / 4
	byRow := g.stored == nil && g.filter.ByRow
	if byRow {
		share = l2 / 2 // weights are transformed again for each block
	}
	most := max(share/perTile/mr, 1) * mr
	b.count = ceilDiv(g.tiles, most)
	b.tiles = min(ceilDiv(ceilDiv(g.tiles, b.count), mr)*mr, g.tiles)
	b.count = ceilDiv(g.tiles, b.tiles)
	pixels, perRow := g.form.m*g.form.m, g.form.m // of a tile, and of its rows of sums
	inputs := g.form.n * g.form.n
	if g.form.line != nil {
		pixels, perRow, inputs = g.form.m, 1, g.form.n
	}
	b.row = min(g.tw, b.tiles, max(accumBytes*2/(4*g.nr*pixels), 1))
	rows := ceilDiv(b.tiles, g.rows()) * g.rows() // of a product
	b.ldv = winoStride(2 * g.ldv * rows)
	b.ldm = winoStride(4 * g.nr * rows)
	b.ldy = winoStride(4 * g.nr * perRow * b.row)
	b.vBytes = freqs * b.ldv
	all := g.form.rows()
	b.rows = all
	for byRow && b.rows > 1 && (all%b.rows != 0 || freqs/all*b.rows*g.ldu > 5*l2/16) {
		b.rows--
	}

	off := 0
	take := func(n int) int {
		at := off
		off += align64(n)
		return at
	}
	b.offTmp = take(winoTmp)
	b.offX = take(inputs*g.in.C + Slack)
	b.offY = take(g.form.m * b.ldy)
	b.offM = take(freqs*b.ldm + Slack)
	if g.stored != nil {
		b.offV = take(b.vBytes + Slack)
	} else {
		b.offU = take(freqs/all*b.rows*g.ldu + Slack)
	}
	b.size = off

	g.next, _ = g.split(b.tiles)
}

// rows is how many tiles lie side by side in the transformed input.
func (g *winoI8) rows() int { return g.family[0].ISA.transformed().Rows() }

// runTiles computes tiles lo..hi-1 of all channels.
func (g *winoI8) runTiles(io *IO, lo, hi int, tmp []byte) {
	size := g.form.freqs * g.ldu / 2
	v := (*int16)(unsafe.Pointer(at(tmp, g.block.offV)))
	for t := lo; t < hi; t += g.block.tiles {
		end := min(t+g.block.tiles, hi)
		for i := t; i < end; i++ {
			g.inputTile(io, v, i, i-t, tmp)
		}
		for p := range g.panels {
			g.products(v, at(g.stored, p*size), g.form.freqs, end-t, at(tmp, g.block.offM))
			g.outputs(io, p, t, end, tmp)
		}
	}
}

// runInput transforms input tiles lo..hi-1 into the layer's inner buffer.
func (g *winoI8) runInput(io *IO, lo, hi int, tmp []byte) {
	for t := lo; t < hi; t++ {
		v := at(io.Inner[0], t/g.block.tiles*g.block.vBytes)
		g.inputTile(io, (*int16)(unsafe.Pointer(v)), t, t%g.block.tiles, tmp)
	}
}

// runPanels computes units lo..hi-1, of a block of tiles and a panel of output channels each, panel by panel.
func (g *winoI8) runPanels(io *IO, lo, hi int, tmp []byte) {
	u := (*int16)(unsafe.Pointer(at(tmp, g.block.offU)))
	b, all := &g.block, g.form.rows()
	freqs := g.form.freqs / all * b.rows
	have := -1
	for unit := lo; unit < hi; unit++ {
		p, block := unit/b.count, unit%b.count
		t := block * b.tiles
		end := min(t+b.tiles, g.tiles)
		v, m := at(io.Inner[0], block*b.vBytes), at(tmp, b.offM)
		for row := 0; row < all; row += b.rows {
			if have != p || b.rows < all {
				g.filters(u, p, row, b.rows, at(tmp, b.offTmp))
				have = p
			}
			g.products((*int16)(unsafe.Pointer(v)), u, freqs, end-t, m)
			v = (*byte)(unsafe.Add(unsafe.Pointer(v), freqs*b.ldv))
			m = (*byte)(unsafe.Add(unsafe.Pointer(m), freqs*b.ldm))
		}
		g.outputs(io, p, t, end, tmp)
	}
}

// inputTile transforms input tile t into place i of a block.
func (g *winoI8) inputTile(io *IO, v *int16, t, i int, tmp []byte) {
	v = (*int16)(unsafe.Add(unsafe.Pointer(v), 2*g.family[0].ISA.transformed().index(i, 0, g.ldv)))
	if g.form.line != nil {
		g.inputLine(io, v, t, tmp)
		return
	}
	n, c := g.form.n, g.in.C
	y, x := t/g.tw*g.form.m-g.pad[0], t%g.tw*g.form.m-g.pad[1]
	src, ldy := io.In[0], g.in.W*c
	from := (y*g.in.W + x) * c
	if y < 0 || x < 0 || y+n > g.in.H || x+n > g.in.W {
		src, ldy, from = tmp[g.block.offX:], n*c, 0
		g.gatherTile(src, io.In[0], y, x)
	}
	g.input.Fn(v, g.block.ldv, at(src, from), ldy, c, c, at(tmp, g.block.offTmp))
}

// gatherTile copies a tile that reaches beyond the image, with padding there.
func (g *winoI8) gatherTile(dst, x []byte, y, x0 int) {
	n, c := g.form.n, g.in.C
	left := min(max(-x0, 0), n)
	right := max(min(g.in.W-x0, n), left)
	for i := y; i < y+n; i++ {
		line := dst[:n*c]
		dst = dst[n*c:]
		if i < 0 || i >= g.in.H {
			copy(line, g.padByte)
			continue
		}
		copy(line[:left*c], g.padByte)
		if right > left {
			copy(line[left*c:right*c], x[(i*g.in.W+x0+left)*c:])
		}
		copy(line[right*c:], g.padByte)
	}
}

// products multiplies some rows of transformed tiles with a panel, frequency by frequency.
func (g *winoI8) products(v, u *int16, freqs, rows int, m *byte) {
	for range freqs {
		c, a := (*int32)(unsafe.Pointer(m)), v
		for left := rows; left > 0; {
			k := g.family[g.next[left]]
			k.Fn(c, a, 2*g.ldv, u, g.kPad)
			c = (*int32)(unsafe.Add(unsafe.Pointer(c), 4*k.MR*k.NR))
			a = (*int16)(unsafe.Add(unsafe.Pointer(a), 2*g.ldv*k.MR))
			left -= k.MR
		}
		m = (*byte)(unsafe.Add(unsafe.Pointer(m), g.block.ldm))
		v = (*int16)(unsafe.Add(unsafe.Pointer(v), g.block.ldv))
		u = (*int16)(unsafe.Add(unsafe.Pointer(u), g.ldu))
	}
}

// outputs transforms the products of tiles t..end-1 back and stores a panel's columns of the output.
func (g *winoI8) outputs(io *IO, p, t, end int, tmp []byte) {
	if g.form.line != nil {
		g.outputLines(io, p, t, end, tmp)
		return
	}
	b, m, oc := &g.block, g.form.m, g.out.C
	y := (*int32)(unsafe.Pointer(at(tmp, b.offY)))
	ch := p * g.nr
	n := min(g.nr, oc-ch)
	src := at(tmp, b.offM)
	for t < end {
		oy, tx := t/g.tw*m, t%g.tw
		tiles := min(b.row, g.tw-tx, end-t)
		g.output.Fn(y, b.ldy, (*int32)(unsafe.Pointer(src)), b.ldm, tiles, at(g.corr, ch), at(tmp, b.offTmp))
		pixels := min(tiles*m, g.out.W-tx*m)
		for i := range min(m, g.out.H-oy) {
			to := ((oy+i)*g.out.W+tx*m)*oc + ch
			var res *byte
			if g.resid {
				res = at(io.In[1], to)
			}
			acc := (*int32)(unsafe.Add(unsafe.Pointer(y), i*b.ldy))
			g.requant.Fn(at(io.Out[0], to), oc, acc, g.nr, pixels, n, at(g.bias, ch), at(g.mult, ch), res, oc, g.params)
		}
		src = (*byte)(unsafe.Add(unsafe.Pointer(src), tiles*4*g.nr))
		t += tiles
	}
}
