package kernels

import "unsafe"

// Windows of neighbouring outputs overlap, and gathering each of them whole copies every input KW times (less the stride). A
// slab is gathered once for a row of the output: the columns of the input that it needs, one after the other, in each the KH
// inputs that one window's column has. A window is then a run of the slab, and the next one starts StrideW columns later: a
// matrix product reads them in place.

// termOrder is how the terms of a row of the matrix product follow each other.
type termOrder struct {
	slab bool // (kx, ky, channel); else (ky, kx, channel)
	run  int  // terms of a tap: the group's channels, and perhaps one more of weight zero
}

// arrange writes a filter, (ky, kx, channel), into dst, whose other terms are zero.
func (t termOrder) arrange(dst, filter []int8, w *Window, gi int) {
	for tap := range w.KH * w.KW {
		to := tap
		if t.slab {
			to = tap%w.KW*w.KH + tap/w.KW
		}
		copy(dst[to*t.run:][:gi], filter[tap*gi:])
	}
}

// orders lists the orders that the geometry allows. An odd number of channels makes pairs straddle taps: which ones
// depends on the order, and a run of even length has none.
func (g *convI8) orders() []termOrder {
	list := []termOrder{{run: g.gi}}
	if w := &g.win; w.KH*w.KW > 1 && w.DilationW == 1 {
		list = append(list, termOrder{true, g.gi})
		if g.gi%2 == 1 {
			list = append(list, termOrder{true, g.gi + 1})
		}
	}
	return list
}

// pairSafe tells whether the weights are in order t. natural is what is known of (ky, kx, channel).
func (c *ConvI8) pairSafe(t termOrder, natural bool) bool {
	gi, taps := c.In.C/c.Groups, c.Window.KH*c.Window.KW
	if !t.slab || gi%2 == 0 {
		return natural
	}
	k, dst := make([]int8, taps*gi), make([]int8, taps*t.run)
	for o := range c.Out.C {
		t.arrange(dst, c.filter(k, o, taps, gi, padded4(gi)), &c.Window, gi)
		if _, _, safe, _ := scanWeights(dst); !safe {
			return false
		}
	}
	return true
}

// choose takes the order, and with it the kernel, that promises to be the fastest.
func (g *convI8) choose(c *ConvI8, available ISA, natural bool) {
	least := 0.0
	for i, t := range g.orders() {
		safe := c.pairSafe(t, natural)
		if cycles := g.cycles(t, chooseGEMM(available, safe, g.go_)); i == 0 || cycles < least {
			least = cycles
			g.use(t, available, safe)
		}
	}
}

// use sets the order, and what follows from it and from whether the weights are pair-safe in it.
func (g *convI8) use(t termOrder, available ISA, safe bool) {
	g.order, g.k = t, g.win.KH*g.win.KW*t.run
	g.family = chooseGEMM(available, safe, g.go_)
	form := g.family[0].A
	g.widen, g.inTurn, g.flip = nil, nil, nil
	switch form {
	case S16:
		g.widen = chooseRow(wideners, available)
	case S16x3:
		g.inTurn = chooseRow(interleavers, available)
	case S8:
		g.flip = chooseRow(flippers, available)
	}
	g.inPlace = g.direct && form == U8
	g.why = why(g.family[0], available, safe)
}

// cycles estimates what a layer takes in order t, but for what all orders have in common.
func (g *convI8) cycles(t termOrder, family []*GEMM) float64 {
	w := &g.win
	columns := ceilDiv(g.go_, family[0].NR) * family[0].NR
	product := func(rows int) float64 { return rowCost(family, rows) * float64(w.KH*w.KW*t.run*columns) }
	if t.slab {
		perRun := copyCycles(t.run)
		if g.smallRuns() {
			perRun = 2
		}
		return float64(g.groups*g.out.H) * (product(g.out.W) + float64(g.slabColumns()*w.KH)*perRun)
	}
	if g.direct {
		return float64(g.groups) * product(g.rows)
	}
	return float64(g.groups) * (product(g.rows) + float64(g.rows)*(12+float64(w.KH)*copyCycles(w.KW*g.gi)))
}

// rowCost is what convI8.product takes for so many rows, in cycles per term and column.
func rowCost(family []*GEMM, rows int) float64 {
	cost := 0.0
	for i, k := range family {
		n := rows / k.MR
		if i == len(family)-1 {
			n = ceilDiv(rows, k.MR)
		}
		cost += float64(n*k.MR) / float64(k.Rate)
		rows -= n * k.MR
	}
	return cost
}

// copyCycles is what a copy of n bytes takes, measured with calls and loops.
func copyCycles(n int) float64 { return 8 + float64(n)/32 }

// slabColumns is the number of columns of the padded input under a row of the output.
func (g *convI8) slabColumns() int { return (g.out.W-1)*g.win.StrideW + g.win.KW }

// column is the number of bytes of one of them.
func (g *convI8) column() int { return g.win.KH * g.order.run }

// gatherSlab writes the columns under row oy of the output into dst.
func (g *convI8) gatherSlab(dst, x []byte, group, oy int) {
	w, run, c := &g.win, g.order.run, g.in.C
	columns, step := g.slabColumns(), w.KH*run
	pad := g.padRow[group*columns*g.gi:]
	// Columns left..right-1 lie in the image.
	left := min(w.Pad[1], columns)
	right := max(left, min(g.in.W+w.Pad[1], columns))
	inside := x[max(left-w.Pad[1], 0)*c+group*g.gi:]
	iy := oy*w.StrideH - w.Pad[0]
	if g.smallRuns() {
		var rows [maxSmallKH]unsafe.Pointer
		outside := unsafe.Pointer(unsafe.SliceData(pad))
		for ky := range w.KH {
			rows[ky] = outside
		}
		gatherSmall(dst, rows[:w.KH], left, run, c)
		for ky := range w.KH {
			if y := iy + ky*w.DilationH; y >= 0 && y < g.in.H {
				rows[ky] = unsafe.Pointer(at(inside, y*g.in.W*c))
			}
		}
		gatherSmall(dst[left*step:], rows[:w.KH], right-left, run, c)
		for ky := range w.KH {
			rows[ky] = outside
		}
		gatherSmall(dst[right*step:], rows[:w.KH], columns-right, run, c)
		return
	}
	for ky := range w.KH {
		d := dst[ky*run:]
		src, next := pad, g.gi
		if y := iy + ky*w.DilationH; y >= 0 && y < g.in.H {
			src, next = inside[y*g.in.W*c:], c
		}
		gatherRuns(d, pad, left, g.gi, step, g.gi)
		gatherRuns(d[left*step:], src, right-left, g.gi, step, next)
		if right < columns {
			gatherRuns(d[right*step:], pad, columns-right, g.gi, step, g.gi)
		}
	}
}

// smallRuns tells whether gatherSmall does.
func (g *convI8) smallRuns() bool { return g.groups == 1 && g.gi <= 4 && g.win.KH <= maxSmallKH }

// gatherRuns copies count runs of n bytes, next bytes apart in src and step bytes in dst.
func gatherRuns(dst, src []byte, count, n, step, next int) {
	if n == step && n == next {
		copy(dst[:count*n], src)
		return
	}
	for i := range count {
		copy(dst[i*step:][:n], src[i*next:])
	}
}

// maxSmallKH is the height of the largest window that gatherSmall is used for.
const maxSmallKH = 16

// gatherSmall copies columns of a few channels, up to 4, from rows: row by row, four bytes at a time. What is too much in a run is
// written again by the runs behind it, in its column or the next one, or lies behind the slab. So the last row comes first, and those
// whose four bytes would reach it are copied with just theirs.
func gatherSmall(dst []byte, rows []unsafe.Pointer, columns, run, next int) {
	last := len(rows) - 1
	d := unsafe.Pointer(unsafe.SliceData(dst))
	step := len(rows) * run
	gatherFours(unsafe.Add(d, last*run), rows[last], columns, step, next)
	for ky := range last {
		to, from := unsafe.Add(d, ky*run), rows[ky]
		switch {
		case (last-ky)*run >= 4:
			gatherFours(to, from, columns, step, next)
		case run == 3:
			for range columns {
				*(*[2]byte)(to) = *(*[2]byte)(from)
				*(*byte)(unsafe.Add(to, 2)) = *(*byte)(unsafe.Add(from, 2))
				to, from = unsafe.Add(to, step), unsafe.Add(from, next)
			}
		case run == 2:
			for range columns {
				*(*[2]byte)(to) = *(*[2]byte)(from)
				to, from = unsafe.Add(to, step), unsafe.Add(from, next)
			}
		default:
			for range columns {
				*(*byte)(to) = *(*byte)(from)
				to, from = unsafe.Add(to, step), unsafe.Add(from, next)
			}
		}
	}
}

// gatherFours copies four bytes count times, next bytes apart at from and step bytes at to.
func gatherFours(to, from unsafe.Pointer, count, step, next int) {
	for range count {
		*(*[4]byte)(to) = *(*[4]byte)(from)
		to, from = unsafe.Add(to, step), unsafe.Add(from, next)
	}
}
