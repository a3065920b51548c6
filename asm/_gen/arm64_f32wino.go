package main

// winoF32NEON is Winograd's F(2x2,3x3) in float32, with the operations and their order of the other instruction sets (see
// winoF32). The transforms in one dimension are those of integers, but for the filter's, which halves.
func winoF32NEON() file[*arm] {
	return file[*arm]{name: "f32_wino_neon", funcs: []function[*arm]{
		winoF32InputNEON(), winoF32FilterNEON(false), winoF32FilterNEON(true), winoF32OutputNEON(),
	}}
}

// together runs a transform over several vectors of registers; their instructions alternate, as in-order cores want.
// Each gets scratch registers of its own, and those that it returns are the results.
func (b *arm) together(step func(l *laneOps, r []v) []v, scratch []v, in ...[]v) (out [][]v) {
	var text [][]string
	each := len(scratch) / len(in)
	for i, regs := range in {
		l := &laneOps{kind: "S4", floating: true}
		out = append(out, step(l, append(append([]v{}, regs...), scratch[i*each:][:each]...)))
		text = append(text, l.lines)
	}
	for i := range text[0] {
		for _, lines := range text {
			b.line(lines[i])
		}
	}
	return out
}

// turned returns rows as columns.
func turned(m [][]v) [][]v {
	t := make([][]v, len(m[0]))
	for _, row := range m {
		for j, r := range row {
			t[j] = append(t[j], r)
		}
	}
	return t
}

// unused lists the registers below 32, from the last down, that are not in m.
func unused(m [][]v, keep ...v) (free []v) {
	used := map[v]bool{}
	for _, row := range append([][]v{keep}, m...) {
		for _, r := range row {
			used[r] = true
		}
	}
	for r := v(31); r >= 0; r-- {
		if !used[r] {
			free = append(free, r)
		}
	}
	return free
}

func winoF32InputNEON() function[*arm] {
	const name = "F32WinoInputNEON"
	return function[*arm]{name: name, sig: winoF32InputSig, doc: winoF32InputDoc(name), emit: func(b *arm) {
		dst, ldp, lda, src := b.arg("dst", 0), b.arg("ldp", 1), b.arg("lda", 2), b.arg("src", 3)
		row, pix, tiles, n := b.arg("row", 4), b.arg("pix", 5), b.arg("tiles", 6), b.arg("n", 7)
		pixels := b.multiples(pix, 3, 8)
		rows := []x{10, 11, 12, 13}
		to, left := x(14), x(15)
		b.label("tile")
		b.linef("MOVD %v, %v", src, rows[0])
		for i := 1; i < 4; i++ {
			b.linef("ADD %v, %v, %v", row, rows[i-1], rows[i])
		}
		b.linef("MOVD %v, R17", dst)
		b.linef("MOVD %v, %v", n, left)
		b.label("channels")
		b.linef("MOVD R17, %v", to)
		var d [][]v // columns
		for k := range 4 {
			var column []v
			for i := range 4 {
				r := v(4*k + i)
				if k == 0 {
					b.line(ldq(r, rows[i], 0))
				} else {
					b.line(ldqx(r, rows[i], pixels[k]))
				}
				column = append(column, r)
			}
			d = append(d, column)
		}
		for _, r := range rows {
			b.linef("ADD $16, %v", r)
		}
		d = b.together(winoIn[2].emit, unused(d)[:4], d...)
		d = b.together(winoIn[2].emit, unused(d)[:4], turned(d)...)
		for i := range 4 {
			for k := range 4 {
				b.line(stq(d[i][k], to, 0))
				if i*k < 9 {
					b.linef("ADD %v, %v, %v", ldp, to, to)
				}
			}
		}
		b.line("ADD $16, R17")
		b.linef("SUBS $4, %v", left)
		b.line("BGT channels")
		b.linef("ADD %v, %v, %v", lda, dst, dst)
		b.linef("ADD %v<<1, %v, %v", pix, src, src)
		b.linef("SUBS $1, %v", tiles)
		b.line("BNE tile", "RET")
	}}
}

// winoHalf holds one half in the filter's transform.
const winoHalf = v(31)

// winoFilterF32 is G g: the sums with and without the middle, halved. The last two of r are scratch.
func winoFilterF32(l *laneOps, r []v) []v {
	sum, plus := r[3], r[4]
	l.add(sum, r[0], r[2])
	l.add(plus, sum, r[1])
	l.sub(sum, sum, r[1])
	l.three("MUL", plus, plus, winoHalf)
	l.three("MUL", sum, sum, winoHalf)
	return []v{r[0], plus, sum, r[2]}
}

func winoF32FilterNEON(half bool) function[*arm] {
	const nr = 8
	name, from, size := "F32WinoFilterNEON", "*float32", 4
	if half {
		name, from, size = "F16F32WinoFilterNEON", "*uint16", 2
	}
	return function[*arm]{name: name, sig: winoF32FilterSig(from), doc: winoF32FilterDoc(name, nr), emit: func(b *arm) {
		dst, ldp, src, k := b.arg("dst", 0), b.arg("ldp", 1), b.arg("src", 2), b.arg("k", 3)
		to := x(4)
		b.line("MOVW $0x3f000000, R26")
		b.linef("VDUP R26, V%d.S4", winoHalf)
		b.label("channel")
		for j := range 2 {
			b.linef("MOVD %v, %v", dst, to)
			var g [][]v // columns
			for l := range 3 {
				var column []v
				for i := range 3 {
					r, at := v(3*l+i), size*(nr*(3*i+l)+4*j)
					if half {
						b.line(ldd(r, src, at), fcvtlHalves(r, r, false))
					} else {
						b.line(ldq(r, src, at))
					}
					column = append(column, r)
				}
				g = append(g, column)
			}
			g = b.together(winoFilterF32, unused(g, winoHalf)[:6], g...)
			g = b.together(winoFilterF32, unused(g, winoHalf)[:8], turned(g)...)
			for i := range 4 {
				for l := range 4 {
					b.line(stq(g[i][l], to, 0))
					if i*l < 9 {
						b.linef("ADD %v, %v, %v", ldp, to, to)
					}
				}
			}
			b.linef("ADD $16, %v", dst)
		}
		b.linef("ADD $%d, %v", 9*nr*size, src)
		b.linef("SUBS $1, %v", k)
		b.line("BNE channel", "RET")
	}}
}

func winoF32OutputNEON() function[*arm] {
	const name, nr = "F32WinoOutputNEON", 8
	return function[*arm]{name: name, sig: winoF32OutputSig, doc: winoF32OutputDoc(name, nr), emit: func(b *arm) {
		dst, row, pix, src, ldp := b.arg("dst", 0), b.arg("row", 1), b.arg("pix", 2), b.arg("src", 3), b.arg("ldp", 4)
		tiles, bias, res, p := b.arg("tiles", 5), b.arg("bias", 6), b.arg("res", 7), b.arg("p", 8)
		const lo, hi, innerLo, innerHi, biases = 26, 27, 28, 29, 30
		from, second := x(9), x(10)
		b.field32(p, offF32Lo, lo)
		b.field32(p, offF32Hi, hi)
		b.field32(p, offF32InnerLo, innerLo)
		b.field32(p, offF32InnerHi, innerHi)
		b.line(ldq(biases, bias, 0), ldq(biases+1, bias, 16))
		b.label("tile")
		for j := range 2 {
			b.linef("ADD $%d, %v, %v", 16*j, src, from)
			m := make([][]v, 4) // columns
			for i := range 4 {
				for k := range 4 {
					r := v(4*i + k)
					b.line(ldq(r, from, 0))
					b.linef("ADD %v, %v, %v", ldp, from, from)
					m[k] = append(m[k], r)
				}
			}
			m = b.together(winoOut[2].emit, nil, m...)
			m = b.together(winoOut[2].emit, nil, turned(m)...)
			all := append(append([]v{}, m[0]...), m[1]...)
			for _, r := range all {
				b.line(arr("VFADD", "S4", r, r, v(biases+j)))
			}
			at := func(base x, i, k int) (x, int) { // of pixel i, k
				if i == 1 || k == 1 {
					b.linef("ADD %v, %v, %v", map[bool]x{true: row, false: pix}[k == 0], base, second)
					base = second
				}
				if i*k == 1 {
					b.linef("ADD %v, %v, %v", row, base, second)
				}
				return base, 16 * j
			}
			clamp := b.unique("clamp")
			b.linef("CBZ %v, %s", res, clamp)
			b.bound(innerLo, innerHi, all...)
			free := unused([][]v{all})
			for i, r := range all {
				base, disp := at(res, i/2, i%2)
				other := free[len(free)-1-i]
				b.line(ldq(other, base, disp), arr("VFADD", "S4", r, r, other))
			}
			b.label(clamp)
			b.bound(lo, hi, all...)
			for i, r := range all {
				base, disp := at(dst, i/2, i%2)
				b.line(stq(r, base, disp))
			}
		}
		b.linef("ADD $%d, %v", 4*nr, src)
		b.linef("ADD %v<<1, %v, %v", pix, dst, dst)
		b.linef("CBZ %v, moved", res)
		b.linef("ADD %v<<1, %v, %v", pix, res, res)
		b.label("moved")
		b.linef("SUBS $1, %v", tiles)
		b.line("BNE tile", "RET")
	}}
}
