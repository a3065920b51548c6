package main

import "fmt"

// The transforms of Winograd's F(4x4,3x3) and F(2x2,3x3), modulo 2**16 and 2**32; kernels/winograd.go has the mathematics.
// A transform in two dimensions is the one-dimensional one of every column, and then of every row of what that left in
// tmp. Two columns, or rows, are computed together: their instructions alternate, as in-order cores want.

// winoStep is a one-dimensional transform in place: of registers r, the last of which are scratch, to those that it returns.
type winoStep struct {
	in, regs int
	emit     func(l *laneOps, r []v) []v
}

// laneOps collects instructions of one arrangement.
type laneOps struct {
	kind     string
	floating bool
	lines    []string
}

func (l *laneOps) add(d, n, m v) { l.three("ADD", d, n, m) }
func (l *laneOps) sub(d, n, m v) { l.three("SUB", d, n, m) }
func (l *laneOps) three(op string, d, n, m v) {
	if l.floating {
		op = "F" + op
	}
	l.lines = append(l.lines, arr("V"+op, l.kind, d, n, m))
}
func (l *laneOps) shl(d, n v, bits int) {
	l.lines = append(l.lines, f("VSHL $%d, V%d.%s, V%d.%s", bits, n, l.kind, d, l.kind))
}

var winoIn = map[int]winoStep{
	4: {6, 8, func(l *laneOps, d []v) []v {
		a, b := d[6], d[7]
		l.shl(a, d[2], 2)
		l.shl(b, d[1], 2)
		l.sub(a, d[4], a)
		l.sub(b, d[3], b)
		l.sub(d[0], d[0], d[2])
		l.sub(d[4], d[4], d[2])
		l.sub(d[1], d[3], d[1])
		l.sub(d[5], d[5], d[3])
		l.shl(d[0], d[0], 2)
		l.shl(d[1], d[1], 1)
		l.add(d[2], a, b)
		l.sub(d[3], a, b)
		l.add(d[0], d[0], d[4])
		l.add(a, d[4], d[1])
		l.sub(d[4], d[4], d[1])
		l.shl(d[1], d[1], 1)
		l.sub(d[5], d[5], d[1])
		return []v{d[0], d[2], d[3], a, d[4], d[5]}
	}},
	2: {4, 5, func(l *laneOps, d []v) []v {
		l.sub(d[0], d[0], d[2])
		l.add(d[4], d[1], d[2])
		l.sub(d[2], d[2], d[1])
		l.sub(d[3], d[1], d[3])
		return []v{d[0], d[4], d[2], d[3]}
	}},
}

var winoFil = map[int]winoStep{
	4: {3, 7, func(l *laneOps, w []v) []v {
		s, t, p, q := w[3], w[4], w[5], w[6]
		l.shl(t, w[2], 2)
		l.add(s, w[0], w[2])
		l.add(t, t, w[0])
		l.add(p, s, w[1])
		l.sub(s, s, w[1])
		l.shl(w[1], w[1], 1)
		l.add(q, t, w[1])
		l.sub(t, t, w[1])
		l.shl(w[1], w[0], 2)
		l.shl(w[0], w[0], 1)
		l.add(w[0], w[0], w[1])
		l.shl(w[1], w[2], 2)
		l.shl(w[2], w[2], 1)
		l.add(w[2], w[2], w[1])
		return []v{w[0], p, s, q, t, w[2]}
	}},
	2: {3, 5, func(l *laneOps, w []v) []v {
		l.add(w[3], w[0], w[2])
		l.shl(w[0], w[0], 1)
		l.shl(w[2], w[2], 1)
		l.add(w[4], w[3], w[1])
		l.sub(w[3], w[3], w[1])
		return []v{w[0], w[4], w[3], w[2]}
	}},
}

var winoOut = map[int]winoStep{
	4: {6, 7, func(l *laneOps, m []v) []v {
		s := m[6]
		l.add(s, m[1], m[2])
		l.sub(m[1], m[1], m[2])
		l.add(m[2], m[3], m[4])
		l.sub(m[3], m[3], m[4])
		l.shl(s, s, 2)
		l.shl(m[1], m[1], 2)
		l.shl(m[3], m[3], 1)
		l.sub(m[0], m[0], s)
		l.sub(m[4], m[3], m[1])
		l.add(m[5], m[5], m[3])
		l.add(m[0], m[0], m[2])
		l.shl(m[2], m[2], 2)
		l.shl(m[5], m[5], 2)
		l.sub(m[2], m[2], s)
		l.sub(m[5], m[5], m[1])
		return []v{m[0], m[4], m[2], m[5]}
	}},
	2: {4, 4, func(l *laneOps, m []v) []v {
		l.add(m[0], m[0], m[1])
		l.sub(m[1], m[1], m[2])
		l.add(m[0], m[0], m[2])
		l.sub(m[1], m[1], m[3])
		return []v{m[0], m[1]}
	}},
}

// wino2D emits a transform of columns, then of rows. load and store say how elements (i, j) come and go; finish, if there is
// one, is what follows the rows' transform. tmp holds 16 bytes an element.
func (b *arm) wino2D(step winoStep, kind string, tmp x, load, store func(i, j int, r v) []string, finish func(r v) []string) {
	outs := 0
	pass := func(count int, load func(i, j int, r v) []string, store func(i, j int, r v) []string, finish func(r v) []string) {
		for j := 0; j < count; j += 2 {
			var text [2][]string
			for c := range min(2, count-j) {
				regs := make([]v, step.regs)
				for i := range regs {
					regs[i] = v(step.regs*c + i)
				}
				var lines []string
				for i := range step.in {
					lines = append(lines, load(i, j+c, regs[i])...)
				}
				l := &laneOps{kind: kind}
				out := step.emit(l, regs)
				outs = len(out)
				lines = append(lines, l.lines...)
				if finish != nil {
					for _, r := range out {
						lines = append(lines, finish(r)...)
					}
				}
				text[c] = lines
				for i, r := range out {
					text[c] = append(text[c], store(i, j+c, r)...)
				}
			}
			for i := range text[0] {
				b.line(text[0][i])
				if i < len(text[1]) {
					b.line(text[1][i])
				}
			}
		}
	}
	in := step.in
	pass(in, load, func(i, j int, r v) []string { return []string{stq(r, tmp, 16*(in*i+j))} }, nil)
	pass(outs, func(i, j int, r v) []string { return []string{ldq(r, tmp, 16*(in*j+i))} }, store, finish)
}

// multiples makes registers of 1 to n times that in one, from to on.
func (b *arm) multiples(one x, n int, to x) []x {
	regs := []x{0, one}
	for i := 2; i <= n; i++ {
		b.linef("ADD %v, %v, %v", one, regs[i-1], to)
		regs = append(regs, to)
		to++
	}
	return regs
}

// rowPair sets R15 to the first row of frequencies and R16 to the second, n*ldf bytes on.
func (b *arm) rowPair(ldf, to x, n int) {
	b.linef("MOVD %v, R15", to)
	b.line(addTimes(ldf, to, 16, n)...)
}

// addTimes adds n times a, n being 4 or 6, to the second register.
func addTimes(a, n1, d x, n int) []string {
	if n == 4 {
		return []string{f("ADD %v<<2, %v, %v", a, n1, d)}
	}
	return []string{f("ADD %v<<2, %v, %v", a, n1, d), f("ADD %v<<1, %v, %v", a, d, d)}
}

// frequency stores element i of row j, of two rows in turn at R15 and R16, and goes on to the next.
func frequency(ldf x, n int) func(i, j int, r v) []string {
	return func(i, j int, r v) []string {
		p := x(15 + j%2)
		l := []string{stq(r, p, 0), f("ADD %v, %v, %v", ldf, p, p)}
		if i == n-1 { // over the other row
			l = append(l, addTimes(ldf, p, p, n)...)
		}
		return l
	}
}

// winoInputNEON takes eight channels at a time.
func winoInputNEON() file[*arm] {
	file := file[*arm]{name: "u8s16_winoinput_neon"}
	for _, m := range []int{4, 2} {
		n := m + 2
		name := fmt.Sprintf("U8S16WinoInput%dNEON", m)
		file.funcs = append(file.funcs, function[*arm]{name: name,
			sig: "v *int16, ldf int, x *byte, ldy int, ldx int, n int, tmp *byte",
			doc: []string{
				fmt.Sprintf("%s writes for c < n, with d[i][j] = int16(x[i*ldy+j*ldx+c]),", name), "",
				fmt.Sprintf("\tv[(%d*i+j)*ldf...][c] = (B^T d B)[i][j], i, j < %d", n, n), "",
				fmt.Sprintf("the transform of F(%dx%d,3x3). Channels are taken eight at a time; ldf is in bytes.", m, m),
			},
			emit: func(b *arm) {
				to, ldf, from, ldy, ldx, count, tmp := b.arg("v", 0), b.arg("ldf", 1), b.arg("x", 2), b.arg("ldy", 3), b.arg("ldx", 4), b.arg("n", 5), b.arg("tmp", 6)
				rows := b.multiples(ldy, n-1, 9)
				b.beginElements("channels", 8)
				b.linef("MOVD %v, R7", from)
				b.linef("ADD %v, R7, R8", ldx)
				b.rowPair(ldf, to, n)
				load := func(i, j int, r v) []string { // two columns at a time, from R7 and R8
					p := x(7 + j%2)
					l := []string{f("FMOVD (%v), F%d", p, r)}
					if i > 0 {
						l[0] = f("FMOVD (%v)(%v), F%d", p, rows[i], r)
					}
					if i == n-1 {
						l = append(l, f("ADD %v<<1, %v, %v", ldx, p, p))
					}
					return append(l, f("VUXTL V%d.B8, V%d.H8", r, r))
				}
				b.wino2D(winoIn[m], "H8", tmp, load, frequency(ldf, n), nil)
				b.linef("ADD $8, %v", from)
				b.linef("ADD $16, %v", to)
				b.linef("SUBS $8, %v", count)
				b.endLoop("BGT channels")
				b.line("RET")
			}})
	}
	return file
}

// winoFilterNEON takes the eight columns of a term, a group.
func winoFilterNEON() file[*arm] {
	file := file[*arm]{name: "s8s16_winofilter_neon"}
	for _, m := range []int{4, 2} {
		n := m + 2
		name := fmt.Sprintf("S8S16WinoFilter%dNEON", m)
		file.funcs = append(file.funcs, function[*arm]{name: name,
			sig: winoFilterSig,
			doc: []string{
				fmt.Sprintf("%s writes for g < groups and l < 8, with e[i][j] = int16(w[8*(9*g+3*i+j)+l]),", name), "",
				fmt.Sprintf("\tu[(%d*i+j)*ldf...][8*g+l] = (G e G^T)[i][j], i, j < %d", n, n), "",
				fmt.Sprintf("the transform of F(%dx%d,3x3). ldf is in bytes; rows and n are not used.", m, m),
			},
			emit: func(b *arm) {
				to, ldf, from, count, tmp := b.arg("u", 0), b.arg("ldf", 1), b.arg("w", 2), b.arg("groups", 3), b.arg("tmp", 4)
				b.beginElements("group", 8)
				b.rowPair(ldf, to, n)
				load := func(i, j int, r v) []string {
					return []string{ldd(r, from, 8*(3*i+j)), f("VSXTL V%d.B8, V%d.H8", r, r)}
				}
				b.wino2D(winoFil[m], "H8", tmp, load, frequency(ldf, n), nil)
				b.linef("ADD $72, %v", from)
				b.linef("ADD $16, %v", to)
				b.linef("SUBS $1, %v", count)
				b.endLoop("BGT group")
				b.line("RET")
			}})
	}
	return file
}

// winoOutputNEON takes four of a tile's eight columns at a time.
func winoOutputNEON() file[*arm] {
	file := file[*arm]{name: "s32_winooutput_neon"}
	for _, m := range []int{4, 2} {
		n := m + 2
		name := fmt.Sprintf("S32WinoOutput%dNEON", m)
		inverse, shift := 0x38E38E39, 6
		result := "(A^T e A)[i][j]*0x38E38E39"
		if m == 2 {
			shift, result = 2, "(A^T e A)[i][j]"
		}
		file.funcs = append(file.funcs, function[*arm]{name: name,
			sig: "y *int32, ldy int, m *int32, ldf int, tiles int, corr *int32, tmp *byte",
			doc: []string{
				fmt.Sprintf("%s writes for t < tiles and c < 8, with e[i][j] = m[(%d*i+j)*ldf...][8*t+c],", name, n), "",
				fmt.Sprintf("\ty[i*ldy...][8*(%d*t+j)+c] = (%s + corr[c]) >> %d, i, j < %d", m, result, shift, m), "",
				fmt.Sprintf("the transform of F(%dx%d,3x3). ldy and ldf are in bytes; sums and products wrap.", m, m),
			},
			emit: func(b *arm) {
				to, ldy, from, ldf, count, corr, tmp := b.arg("y", 0), b.arg("ldy", 1), b.arg("m", 2), b.arg("ldf", 3), b.arg("tiles", 4), b.arg("corr", 5), b.arg("tmp", 6)
				// Row i of the frequencies begins at i*n*ldf.
				b.linef("MOVD $%d, R7", n)
				b.linef("MUL %v, R7, R7", ldf)
				rows := b.multiples(7, n-1, 9)
				b.line(ldq(30, corr, 0), ldq(31, corr, 16))
				if m == 4 {
					b.linef("MOVD $%#x, R8", inverse)
					b.line("VDUP R8, V29.S4")
				}
				b.beginElements("tile", 8)
				for half := range 2 {
					b.linef("MOVD %v, R15", from)
					b.linef("ADD %v, %v, R16", ldf, from)
					b.linef("MOVD %v, R17", to)
					b.linef("ADD %v, %v, R19", ldy, to)
					load := func(i, j int, r v) []string {
						p := x(15 + j%2)
						if i == 0 {
							return []string{ldq(r, p, 0)}
						}
						l := []string{ldqx(r, p, rows[i])}
						if i == n-1 {
							l = append(l, f("ADD %v<<1, %v, %v", ldf, p, p))
						}
						return l
					}
					store := func(i, j int, r v) []string {
						p := x(17 + 2*(j%2))
						l := []string{stq(r, p, 32*i)}
						if i == m-1 {
							l = append(l, f("ADD %v<<1, %v, %v", ldy, p, p))
						}
						return l
					}
					finish := func(r v) []string {
						var l []string
						if m == 4 {
							l = append(l, arr("VMUL", "S4", r, r, 29))
						}
						return append(l, arr("VADD", "S4", r, r, v(30+half)), f("VSSHR $%d, V%d.S4, V%d.S4", shift, r, r))
					}
					b.wino2D(winoOut[m], "S4", tmp, load, store, finish)
					b.linef("ADD $16, %v", from)
					b.linef("ADD $%d, %v", []int{16, 32*m - 16}[half], to)
				}
				b.linef("SUBS $1, %v", count)
				b.endLoop("BGT tile")
				b.line("RET")
			}})
	}
	return file
}
