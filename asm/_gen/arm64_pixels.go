package main

// Camera rows on NEON; pixels.go says what each is. VLD2 and VLD3 take channels apart, VST3 puts them together.

func pixelsNEON() file[*arm] {
	return file[*arm]{name: "u8_pixels_neon", funcs: []function[*arm]{
		{name: "U8S16BlendNEON", sig: blendSig, doc: blendDoc("U8S16BlendNEON"), emit: blendNEON},
		{name: "S16UnzipNEON", sig: unzipSig, doc: unzipDoc("S16UnzipNEON"), emit: unzipNEON},
		{name: "S16Unzip3NEON", sig: unzip3Sig, doc: unzip3Doc("S16Unzip3NEON"), emit: unzip3NEON},
		{name: "S16ReduceNEON", sig: reduceSig, doc: reduceDoc("S16ReduceNEON"), emit: reduceNEON},
		{name: "S16U8ColorNEON", sig: colorSig, doc: colorDoc("S16U8ColorNEON"), emit: colorNEON},
	}}
}

// sqrdmulh is (2*n*m + 1<<15)>>16 of 16-bit lanes, saturated.
func sqrdmulh(d, n, m v) string {
	return word(0x6E60B400, int(d), int(n), int(m), f("sqrdmulh v%d.8h, v%d.8h, v%d.8h", d, n, m))
}

// smlalWords adds the products of the low four 16-bit integers, or the high ones.
func smlalWords(d, n, m v, high bool) string {
	if high {
		return word(0x4E608000, int(d), int(n), int(m), f("smlal2 v%d.4s, v%d.8h, v%d.8h", d, n, m))
	}
	return word(0x0E608000, int(d), int(n), int(m), f("smlal v%d.4s, v%d.4h, v%d.4h", d, n, m))
}

// narrow16 gives the upper halves of 32-bit lanes, rounded or not, in the low or the high half of d.
func narrow16(d, n v, round, high bool) string {
	w, name, kind := uint32(0x0F108400), "shrn", "4h"
	if round {
		w, name = w|0x800, "r"+name
	}
	if high {
		w, name, kind = w|0x40000000, name+"2", "8h"
	}
	return word(w, int(d), int(n), 0, f("%s v%d.%s, v%d.4s, #16", name, d, kind, n))
}

// bytes4 gives 16-bit lanes without their four lowest bits as bytes, saturated.
func bytes4(d, n v) string {
	return word(0x2F0C8400, int(d), int(n), 0, f("sqshrun v%d.8b, v%d.8h, #4", d, n))
}

// blendNEON walks over blocks of four vectors, then single ones, the last of which may overlap the one before. A byte less 128,
// times 256, is the byte with its top bit flipped above eight zero bits.
func blendNEON(b *arm) {
	dst, src, stride, n, coef, taps := b.arg("dst", 0), b.arg("src", 1), b.arg("stride", 2), b.arg("n", 3), b.arg("coef", 4), b.arg("taps", 5)
	row, c, k := x(6), x(7), x(8)
	const flip, zero, factor = v(31), v(30), v(16)
	b.linef("VMOVI $128, V%d.B16", flip)
	b.zero(zero)
	block := func(vectors int) {
		again := b.unique("tap")
		for q := range v(vectors) {
			b.zero(q, 4+q)
		}
		b.linef("MOVD %v, %v", src, row)
		b.linef("MOVD %v, %v", coef, c)
		b.linef("MOVD %v, %v", taps, k)
		b.label(again)
		b.linef("VLD1R (%v), [V%d.H8]", c, factor)
		each := func(ins func(q v) string) { // vectors pass each step together
			for q := range v(vectors) {
				b.line(ins(q))
			}
		}
		each(func(q v) string { return ldq(17+q, row, 16*int(q)) })
		each(func(q v) string { return eor(17+q, 17+q, flip) })
		each(func(q v) string { return arr("VZIP1", "B16", 21+q, zero, 17+q) })
		each(func(q v) string { return arr("VZIP2", "B16", 25+q, zero, 17+q) })
		each(func(q v) string { return sqrdmulh(21+q, 21+q, factor) })
		each(func(q v) string { return sqrdmulh(25+q, 25+q, factor) })
		each(func(q v) string { return arr("VADD", "H8", q, q, 21+q) })
		each(func(q v) string { return arr("VADD", "H8", 4+q, 4+q, 25+q) })
		b.linef("ADD %v, %v", stride, row)
		b.linef("ADD $2, %v", c)
		b.linef("SUBS $1, %v", k)
		b.linef("BNE %s", again)
		for q := range v(vectors) {
			b.line(stq(q, dst, 32*int(q)), stq(4+q, dst, 32*int(q)+16))
		}
		b.linef("ADD $%d, %v", 16*vectors, src)
		b.linef("ADD $%d, %v", 32*vectors, dst)
		b.linef("SUB $%d, %v", 16*vectors, n)
	}
	b.label("four")
	b.linef("CMP $64, %v", n)
	b.line("BLT one")
	block(4)
	b.line("B four")
	b.label("one")
	b.linef("CBZ %v, done", n)
	b.linef("CMP $16, %v", n)
	b.line("BGE whole")
	b.linef("SUB $16, %v", n) // back by what is missing
	b.linef("ADD %v, %v", n, src)
	b.linef("ADD %v<<1, %v", n, dst)
	b.linef("MOVD $16, %v", n)
	b.label("whole")
	block(1)
	b.line("B one")
	b.label("done")
	b.line("RET")
}

func unzipNEON(b *arm) {
	even, odd, src, n := b.arg("even", 0), b.arg("odd", 1), b.arg("src", 2), b.arg("n", 3)
	b.label("loop")
	for i := range 4 {
		b.linef("VLD2.P 32(%v), [V%d.H8, V%d.H8]", src, 2*i, 2*i+1)
	}
	for i := range v(4) {
		b.line(stq(2*i, even, 16*int(i)), stq(2*i+1, odd, 16*int(i)))
	}
	b.linef("ADD $64, %v", even)
	b.linef("ADD $64, %v", odd)
	b.linef("SUBS $32, %v", n)
	b.line("BNE loop", "RET")
}

func unzip3NEON(b *arm) {
	dst := [3]x{b.arg("a", 0), b.arg("b", 1), b.arg("c", 2)}
	src, n := b.arg("src", 3), b.arg("n", 4)
	b.label("loop")
	for i := range 2 {
		b.linef("VLD3.P 48(%v), [V%d.H8, V%d.H8, V%d.H8]", src, 3*i, 3*i+1, 3*i+2)
	}
	for i := range 2 {
		for ch, d := range dst {
			b.line(stq(v(3*i+ch), d, 16*i))
		}
	}
	for _, d := range dst {
		b.linef("ADD $32, %v", d)
	}
	b.linef("SUBS $16, %v", n)
	b.line("BNE loop", "RET")
}

// reduceNEON makes eight results in V0 to V7, four sums each, two at a time, and adds them up across.
func reduceNEON(b *arm) {
	dst, src, first, coef, blocks, n := b.arg("dst", 0), b.arg("src", 1), b.arg("first", 2), b.arg("coef", 3), b.arg("blocks", 4), b.arg("n", 5)
	at, k := [2]x{6, 7}, x(8)
	b.label("loop")
	for pair := range 4 {
		again := b.unique("block")
		for i, a := range at {
			b.linef("MOVW %d(%v), %v", 8*pair+4*i, first, a)
			b.linef("ADD %v<<1, %v, %v", a, src, a)
			b.zero(v(2*pair + i))
		}
		b.linef("MOVD %v, %v", blocks, k)
		b.label(again)
		b.line(ldqp(16, at[0], 16), ldqp(18, coef, 16), ldqp(17, at[1], 16), ldqp(19, coef, 16))
		for _, high := range []bool{false, true} {
			for i := range v(2) {
				b.line(smlalWords(v(2*pair)+i, 16+i, 18+i, high))
			}
		}
		b.linef("SUBS $1, %v", k)
		b.linef("BNE %s", again)
	}
	for _, step := range [][]v{{0, 2, 4, 6}, {0, 4}} { // pairs of neighbours: twice, and every lane is a result
		for _, i := range step {
			b.line(arr("VADDP", "S4", i, i, i+step[1]/2))
		}
	}
	b.line(narrow16(0, 0, true, false), narrow16(0, 4, true, true))
	b.linef("FMOVQ.P F0, 16(%v)", dst)
	b.linef("ADD $32, %v", first)
	b.linef("SUBS $8, %v", n)
	b.line("BNE loop", "RET")
}

// colorNEON does eight pixels at a time; the last eight may overlap those before.
func colorNEON(b *arm) {
	dst, n, m := b.arg("dst", 0), b.arg("n", 4), b.arg("m", 5)
	in := [3]x{b.arg("a", 1), b.arg("b", 2), b.arg("c", 3)}
	coef := func(ch, i int) v { return v(3*ch + i) }
	for ch := range 3 {
		for i, offset := range []int{0, 2, 32} { // of ColorMatrix.Coef
			b.linef("ADD $%d, %v, R26", 64*ch+offset, m)
			b.linef("VLD1R (R26), [V%d.H8]", coef(ch, i))
		}
		b.linef("ADD $%d, %v, R26", 192+32*ch, m)
		b.linef("VLD1R (R26), [V%d.S4]", 9+ch)
	}
	b.label("loop")
	b.linef("CMP $8, %v", n)
	b.line("BGE whole")
	b.linef("SUB $8, %v", n)
	for _, p := range in {
		b.linef("ADD %v<<1, %v", n, p)
	}
	b.linef("ADD %v<<1, %v, R26", n, n)
	b.linef("ADD R26, %v", dst)
	b.linef("MOVD $8, %v", n)
	b.label("whole")
	for i, p := range in {
		b.line(ldqp(v(12+i), p, 16))
	}
	for ch := range 3 {
		for half := range v(2) {
			b.linef("VORR V%d.B16, V%d.B16, V%d.B16", 9+ch, 9+ch, 16+2*ch+int(half))
		}
	}
	for i := range 3 {
		for ch := range 3 {
			for half := range 2 {
				b.line(smlalWords(v(16+2*ch+half), v(12+i), coef(ch, i), half == 1))
			}
		}
	}
	for half := range 2 {
		for ch := range 3 {
			b.line(narrow16(v(22+ch), v(16+2*ch+half), false, half == 1))
		}
	}
	for ch := range v(3) {
		b.line(bytes4(22+ch, 22+ch))
	}
	b.linef("VST3.P [V22.B8, V23.B8, V24.B8], 24(%v)", dst)
	b.linef("SUBS $8, %v", n)
	b.line("BNE loop", "RET")
}
