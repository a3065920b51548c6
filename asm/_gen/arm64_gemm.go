package main

import "fmt"

// gemmNEON: two products of signed bytes fit 16 bits, as no weight is -128: 2*128*127 < 2**15. SMULL and SMLAL make them,
// SADALP adds neighbours to the 32-bit sums. Four lanes of a sum are four parts of it, added up at the end.
func gemmNEON() file[*arm] {
	const nr, kr = 8, 8
	f := file[*arm]{name: "s8s8_gemm_2x8c8_neon"}
	for _, mr := range []int{2, 1} {
		name := fmt.Sprintf("S8S8Gemm%dx%dc%dNEON", mr, nr, kr)
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "int8 a", "k is a multiple of 8 and at least 8. b has no -128: pairs of products must fit 16 bits."),
			emit: func(b *arm) {
				c, w, k := b.arg("c", 0), b.arg("b", 3), b.arg("k", 4)
				rows := []x{b.arg("a", 1), 2}
				if mr == 2 {
					b.arg("lda", 2)
					b.line("ADD R1, R2, R2")
				}
				g := neonTile{mr: mr, rows: rows[:mr], w: w}
				g.loop(b, k)
				for i := range mr {
					for j := 0; j < nr; j += 4 {
						s := g.acc(mr*j + i)
						b.line(arr("VADDP", "S4", 0+s, 0+s, g.acc(mr*(j+1)+i)),
							arr("VADDP", "S4", g.acc(mr*(j+2)+i), g.acc(mr*(j+2)+i), g.acc(mr*(j+3)+i)),
							arr("VADDP", "S4", s, s, g.acc(mr*(j+2)+i)),
							stq(s, c, 4*(nr*i+j)))
					}
				}
				b.line("RET")
			}})
	}
	return f
}

// neonTile is the inner loop of gemmNEON. Output n is row n%mr of column n/mr; its sum is register n. A turn takes sixteen
// terms: for output n, SMULL of the first eight into a temporary, two outputs later SMLAL of the other eight, two later
// SADALP, so that a core that runs in order never waits; the last outputs' SADALPs stand in the next turn.
// Operands come as 64-bit loads, which such cores issue next to a multiplication.
type neonTile struct {
	mr   int
	rows []x
	w    x
}

func (g neonTile) acc(n int) v  { return v(n) }
func (g neonTile) temp(n int) v { return v(16 + n%8) }
func (g neonTile) a(i, half int) v {
	return v(24 + 2*i + half)
}

// b is the register of column j's first or second eight weights; with one row there are registers for four columns.
func (g neonTile) b(j, half int) v {
	if g.mr == 1 {
		return v([]int{8, 12}[half] + j%4)
	}
	return v([]int{28, 30}[half] + j%2)
}

func (g neonTile) loop(b *arm, k x) {
	const nr = 8
	outputs, ahead := nr*g.mr, 4/g.mr // columns whose weights are loaded ahead
	for n := range outputs {
		b.zero(g.acc(n))
	}
	for n := range 4 {
		b.zero(g.temp(outputs - 4 + n))
	}
	loadA := func(i, half, disp int) string { return ldd(g.a(i, half), g.rows[i], disp) }
	loadB := func(j, half, disp int) string { return ldd(g.b(j, half), g.w, disp+64*half+8*j) }
	for i := range g.mr {
		b.line(loadA(i, 0, 0))
	}
	for j := range ahead {
		b.line(loadB(j, 0, 0))
	}

	var main []string
	insert := map[int][]string{}
	behind := func(l ...string) { insert[len(main)-1] = append(insert[len(main)-1], l...) }
	second := ahead // the next column whose second half is to be loaded, behind those that the turn begins with
	bump := outputs / 2
	base := func(n, disp int) int { // displacements behind the increment of w
		if n >= bump {
			return disp - 128
		}
		return disp
	}
	for n := range outputs + 2 {
		i, j := n%g.mr, n/g.mr
		if n < outputs {
			main = append(main, smull(g.temp(n), g.b(j, 0), g.a(i, 0)))
			if n < g.mr {
				behind(loadA(n, 1, 8))
			}
			if n < ahead {
				behind(loadB(n, 1, 0))
			}
			if i == g.mr-1 { // the column's first half is used: that of a later column, or of the next turn
				next := j + ahead
				behind(loadB(next%nr, 0, base(n, next/nr*128)))
			}
			if j == nr-1 {
				behind(loadA(i, 0, 0))
			}
		}
		if m := n - 2; m >= 0 {
			main = append(main, smlal(g.temp(m), g.b(m/g.mr, 1), g.a(m%g.mr, 1)))
			if m%g.mr == g.mr-1 && second < nr {
				behind(loadB(second, 1, base(n, 0)))
				second++
			}
		}
		if n < outputs {
			m := (n - 4 + outputs) % outputs
			main = append(main, sadalp(g.acc(m), g.temp(m)))
			switch {
			case n >= g.mr && n < 2*g.mr:
				behind(f("ADD $16, %v", g.rows[n-g.mr]))
			case n == bump-1:
				behind(f("ADD $128, %v", g.w))
			case n == bump+1:
				behind(f("SUBS $16, %v", k))
			}
		}
	}
	b.linef("SUBS $16, %v", k)
	b.line("BLT rest")
	b.beginLoop("loop", 16*outputs)
	b.line(weave(main, insert)...)
	b.endLoop("BGE loop")
	b.label("rest")
	for n := outputs - 4; n < outputs; n++ {
		b.line(sadalp(g.acc(n), g.temp(n)))
	}
	b.linef("ADDS $16, %v", k)
	b.line("BEQ done")
	for j := range nr { // eight terms more
		for i := range g.mr {
			b.line(smull(g.temp(j*g.mr+i), g.b(j, 0), g.a(i, 0)))
		}
		if j+ahead < nr {
			b.line(loadB(j+ahead, 0, 0))
		}
		if j >= 2 {
			for i := range g.mr {
				b.line(sadalp(g.acc((j-2)*g.mr+i), g.temp((j-2)*g.mr+i)))
			}
		}
	}
	for n := outputs - 2*g.mr; n < outputs; n++ {
		b.line(sadalp(g.acc(n), g.temp(n)))
	}
	b.label("done")
}

// rowOffsets loads lda and makes the offsets of rows 1 to rows-1 from the first.
func (b *arm) rowOffsets(rows int, first x) []x {
	off := []x{0}
	for i := 1; i < rows; i++ {
		r := first + x(i-1)
		if i == 1 {
			b.arg("lda", r)
		} else {
			b.linef("ADD %v, %v, %v", first, r-1, r)
		}
		off = append(off, r)
	}
	return off
}

// gemmDotProd: SDOT by element: a register holds four terms of four columns, its other operand sixteen terms of a row.
func gemmDotProd() file[*arm] {
	const nr, kr = 8, 4
	f := file[*arm]{name: "s8s8_gemm_8x8c4_dotprod"}
	for _, mr := range []int{8, 4, 2, 1} {
		name := fmt.Sprintf("S8S8Gemm%dx%dc%dDotProd", mr, nr, kr)
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "int8 a", "k is a multiple of 4 and at least 4."),
			emit: func(b *arm) {
				g := laneTile{mr: mr, steps: 4, terms: 4, acc0: 0, a0: 16, b0: 24}
				g.mul = func(acc, a, s, j int) string { return sdotLane(v(acc), v(24+2*s+j), v(a), s) }
				g.emit(b)
			}})
	}
	return f
}

// gemm16NEON: SMLAL by element: a register holds one term of eight columns, its other operand eight terms of a row.
func gemm16NEON() file[*arm] {
	const nr, kr = 8, 1
	f := file[*arm]{name: "s16s16_gemm_8x8c1_neon"}
	for _, mr := range []int{8, 4, 2, 1} {
		name := fmt.Sprintf("S16S16Gemm%dx%dc%dNEON", mr, nr, kr)
		doc := []string{
			fmt.Sprintf("%s is a %dx%d tile: for i < %d, j < %d:", name, mr, nr, mr, nr), "",
			"\tc[8*i+j] = sum over t < k of int32(a[i*lda...][t]) * int32(b[8*t+j])", "",
			"lda is in bytes; k is at least 1. Sums wrap.",
		}
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: "c *int32, a *int16, lda int, b *int16, k int", doc: doc,
			emit: func(b *arm) {
				g := laneTile{mr: mr, steps: 8, terms: 1, acc0: 16, a0: 0, b0: 8} // SMLAL's element lies in V0 to V15
				g.mul = func(acc, a, s, j int) string { return smlalLane(v(acc), v(8+s), v(a), s, j == 1) }
				g.emit(b)
			}})
	}
	return f
}

// laneTile is a kernel of eight columns whose rows are multiplied lane by lane. A turn takes 16 bytes of each row and 128 of
// the panel, in steps of a lane. The rows pass in two halves, so that the operands of one half are loaded while the other
// is multiplied. What the next turn needs is loaded in this one, but for the last. Registers: R0 c, R1 a, R2 b, R3 k, from R4
// on the offsets of the rows.
type laneTile struct {
	mr, steps, terms int // terms of a lane
	acc0, a0, b0     int
	mul              func(acc, a, s, j int) string // adds lane s of a times half j of the columns
	begin, end       func(b *arm)                  // sets the sums, and stores them; nil is zero, and c as it lies
	ordered          bool                          // one sum an element, its terms in their order
	off              []x
}

// sets is how many sums a kernel of one row has: two are too few for a latency of four cycles.
func (g laneTile) sets() int {
	if g.mr == 1 && !g.ordered {
		return 2
	}
	return 1
}

func (g laneTile) acc(set, i, j int) int { return g.acc0 + (set*g.mr+i)*2 + j }

func (g laneTile) loadA(i int) string {
	if i == 0 {
		return ldq(v(g.a0), 1, 0)
	}
	return ldqx(v(g.a0+i), 1, g.off[i])
}

// loadB loads the weights of a step, of the turn that begins disp bytes on.
func (g laneTile) loadB(s, disp int) (l []string) {
	n := 8 / g.steps
	for j := range n {
		l = append(l, ldq(v(g.b0+n*s+j), 2, disp+16*(n*s+j)))
	}
	return l
}

// turn returns the instructions of a turn; more says that another one follows, and count is the instruction that counts.
func (g laneTile) turn(more bool, count string) []string {
	if g.ordered {
		return g.orderedTurn(more, count)
	}
	var main []string
	insert := map[int][]string{}
	load := func(l ...string) { insert[len(main)-1] = append(insert[len(main)-1], l...) }
	half := g.mr / 2
	parts := [][2]int{{0, half}, {half, g.mr}}
	if g.mr < 4 {
		parts = [][2]int{{0, g.mr}}
	}
	last := g.steps - 1
	for p, rows := range parts {
		final := p == len(parts)-1
		var early []string // one behind every second multiplication
		if p == 0 {
			early = append(early, g.loadB(last, 0)...)
		}
		switch {
		case !final:
			for i := half; i < g.mr; i++ {
				early = append(early, g.loadA(i))
			}
			early = append(early, "ADD $16, R1")
		case more && len(parts) > 1:
			for i := range half {
				early = append(early, g.loadA(i))
			}
		}
		start := len(main)
		for s := range g.steps {
			for i := rows[0]; i < rows[1]; i++ {
				for j := range 2 {
					main = append(main, g.mul(g.acc(s%g.sets(), i, j), g.a0+i, s, j))
					if len(early) > 0 && (len(main)-start)%2 == 0 {
						load(early[0])
						early = early[1:]
					}
				}
			}
			if final && s < last && more {
				load(g.loadB(s, 128)...)
			}
		}
		load(early...)
	}
	load("ADD $128, R2")
	if len(parts) == 1 {
		load("ADD $16, R1")
		if more {
			for i := range g.mr {
				load(g.loadA(i))
			}
		}
	}
	if count != "" {
		insert[1] = append(insert[1], count)
	}
	return weave(main, insert)
}

// orderedTurn takes all rows in every step: so a sum rests longest between its terms, whose latency is longer than that of
// integers. Operands are loaded again behind their last use.
func (g laneTile) orderedTurn(more bool, count string) []string {
	var main []string
	insert := map[int][]string{}
	load := func(l ...string) { insert[len(main)-1] = append(insert[len(main)-1], l...) }
	last := g.steps - 1
	for s := range g.steps {
		for i := range g.mr {
			for j := range 2 {
				main = append(main, g.mul(g.acc(0, i, j), g.a0+i, s, j))
			}
			if s == 0 && i == 0 {
				load(g.loadB(last, 0)...)
				load("ADD $16, R1")
			}
			if s == last && more {
				load(g.loadA(i))
			}
		}
		if s < last && more {
			load(g.loadB(s, 128)...)
		}
	}
	load("ADD $128, R2")
	if count != "" {
		insert[1] = append(insert[1], count)
	}
	return weave(main, insert)
}

func (g laneTile) emit(b *arm) {
	c, k := b.arg("c", 0), b.arg("k", 3)
	b.arg("a", 1)
	b.arg("b", 2)
	g.off = b.rowOffsets(g.mr, 4)
	if g.begin != nil {
		g.begin(b)
	} else {
		for i := range 2 * g.mr * g.sets() {
			b.zero(v(g.acc0 + i))
		}
	}
	terms := g.steps * g.terms
	count := f("SUBS $%d, %v", terms, k)
	b.line(count, "BLT rest")
	first := g.mr
	if g.mr >= 4 && !g.ordered {
		first = g.mr / 2
	}
	for i := range first {
		b.line(g.loadA(i))
	}
	for s := range g.steps - 1 {
		b.line(g.loadB(s, 0)...)
	}
	b.line(count, "BLT last")
	b.beginLoop("loop", terms*8*g.mr)
	b.line(g.turn(true, count)...)
	b.endLoop("BGE loop")
	b.label("last")
	b.line(g.turn(false, "")...)
	b.label("rest")
	b.linef("ADDS $%d, %v", terms, k)
	b.line("BEQ done")
	g.rest(b)
	b.label("done")
	if g.end != nil {
		g.end(b)
		b.line("RET")
		return
	}
	for i := range g.mr {
		for j := range 2 {
			s := v(g.acc(0, i, j))
			if g.sets() == 2 {
				b.line(arr("VADD", "S4", s, s, v(g.acc(1, i, j))))
			}
			b.line(stq(s, c, 32*i+16*j))
		}
	}
	b.line("RET")
}

// rest takes what is left lane by lane: four bytes of a row, or two.
func (g laneTile) rest(b *arm) {
	size := 16 / g.steps
	b.label("lane")
	b.line(g.loadB(0, 0)...)
	b.linef("ADD $%d, R2", 128/g.steps)
	for i := range g.mr {
		switch {
		case size == 4 && i == 0:
			b.linef("FMOVS (R1), F%d", g.a0)
		case size == 4:
			b.linef("FMOVS (R1)(%v), F%d", g.off[i], g.a0+i)
		case i == 0:
			b.linef("VLD1 (R1), V%d.H[0]", g.a0)
		default: // only a register may be the address
			b.linef("ADD %v, R1, R16", g.off[i])
			b.linef("VLD1 (R16), V%d.H[0]", g.a0+i)
		}
	}
	b.linef("ADD $%d, R1", size)
	b.linef("SUBS $%d, R3", g.terms)
	for i := range g.mr {
		b.line(g.mul(g.acc(0, i, 0), g.a0+i, 0, 0), g.mul(g.acc(0, i, 1), g.a0+i, 0, 1))
	}
	b.line("BNE lane")
}

// gemmI8MM: USMMLA multiplies two rows of eight unsigned bytes by two columns of signed ones: activations are read as they
// are stored.
func gemmI8MM() file[*arm] {
	const nr, kr = 16, 8
	f := file[*arm]{name: "u8s8_gemm_6x16c8_i8mm"}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("U8S8Gemm%dx%dc%dI8MM", mr, nr, kr)
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "a", "a is unsigned bytes; k is a multiple of 8 and at least 8."),
			emit: func(b *arm) {
				c, w, k := b.arg("c", 0), b.arg("b", 2), b.arg("k", 3)
				g := mmlaTile{mr: mr, pairs: (mr + 1) / 2, w: w, rows: []x{b.arg("a", 4)}}
				if mr > 1 {
					lda := b.arg("lda", 10)
					for i := 1; i < mr; i++ {
						g.rows = append(g.rows, x(4+i))
						b.linef("ADD %v, R%d, R%d", lda, 3+i, 4+i)
					}
				}
				g.loop(b, k)
				t := v(24)
				for p := range g.pairs {
					for j := 0; j < 8; j += 2 {
						b.line(arr("VZIP1", "D2", t, g.acc(p, j), g.acc(p, j+1)), stq(t, c, 64*2*p+8*j))
						if 2*p+1 < mr {
							b.line(arr("VZIP2", "D2", t+1, g.acc(p, j), g.acc(p, j+1)), stq(t+1, c, 64*(2*p+1)+8*j))
						}
					}
				}
				b.line("RET")
			}})
	}
	return f
}

// mmlaTile is the inner loop of gemmI8MM. A turn takes eight terms; the columns pass in two halves of four pairs. A pair of
// rows is loaded again as soon as its last product is under way, the weights of the next half during the last pair of rows.
type mmlaTile struct {
	mr, pairs int
	w         x
	rows      []x
}

func (g mmlaTile) acc(p, q int) v { return v(8*p + q) }
func (g mmlaTile) a(p int) v      { return v(24 + p) }
func (g mmlaTile) b(q int) v      { return v(28 + q%4) }

// loadA loads the next eight terms of a pair of rows.
func (g mmlaTile) loadA(p int) []string {
	l := []string{f("FMOVD.P 8(%v), F%d", g.rows[2*p], g.a(p))}
	if 2*p+1 < g.mr {
		l = append(l, f("VLD1.P 8(%v), V%d.D[1]", g.rows[2*p+1], g.a(p)))
	}
	return l
}

func (g mmlaTile) turn(more bool, count string) []string {
	var main []string
	insert := map[int][]string{}
	behind := func(l ...string) { insert[len(main)-1] = append(insert[len(main)-1], l...) }
	for half := range 2 {
		for p := range g.pairs {
			for q := range 4 {
				main = append(main, usmmla(g.acc(p, 4*half+q), g.a(p), g.b(q)))
				if p == g.pairs-1 && half == 0 {
					behind(ldq(g.b(q), g.w, 64+16*q))
				}
				if p == g.pairs-1 && half == 1 && more {
					behind(ldq(g.b(q), g.w, 128+16*q))
				}
			}
			if half == 1 && more {
				behind(g.loadA(p)...)
			}
		}
	}
	if more {
		behind(f("ADD $128, %v", g.w))
	}
	if count != "" {
		insert[0] = append(insert[0], count)
	}
	return weave(main, insert)
}

func (g mmlaTile) loop(b *arm, k x) {
	for i := range 8 * g.pairs {
		b.zero(v(i))
	}
	for p := range g.pairs {
		b.line(g.loadA(p)...)
	}
	for q := range 4 {
		b.line(ldq(g.b(q), g.w, 16*q))
	}
	b.linef("SUBS $8, %v", k)
	b.line("BEQ last")
	b.beginLoop("loop", 8*16*g.mr)
	b.line(g.turn(true, f("SUBS $8, %v", k))...)
	b.endLoop("BNE loop")
	b.label("last")
	b.line(g.turn(false, "")...)
}
