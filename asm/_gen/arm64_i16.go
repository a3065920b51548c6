package main

// What operators on int16 activations do outside of matrix products; see amd64_i16.go.

// smlal16 adds the products of the low four 16-bit integers, smlal16High those of the high four.
func smlal16(d, n, m v) string     { return f("VSMLAL V%d.H4, V%d.H4, V%d.S4", m, n, d) }
func smlal16High(d, n, m v) string { return f("VSMLAL2 V%d.H8, V%d.H8, V%d.S4", m, n, d) }

// fcvtnDoubles rounds two doubles to floats, into the low half of d, or the high one.
func fcvtnDoubles(d, n v, high bool) string {
	if high {
		return word(0x4E616800, int(d), int(n), 0, f("fcvtn2 v%d.4s, v%d.2d", d, n))
	}
	return word(0x0E616800, int(d), int(n), 0, f("fcvtn v%d.2s, v%d.2d", d, n))
}

// spread broadcasts a field of 32 bits.
func (b *arm) spread(p x, field int, to v, tmp x) {
	b.linef("ADD $%d, %v, %v", field, p, tmp)
	b.linef("VLD1R (%v), [V%d.S4]", tmp, to)
}

// depthwise16NEON: weights of a pair of taps lie in turn, LD2 parts them; their channels 0-3 and 8-11 are one register, so those of
// the input are brought together too.
func depthwise16NEON() file[*arm] {
	const name = "S16S16Depthwise16c2NEON"
	return file[*arm]{name: "s16s16_depthwise_16c2_neon", funcs: []function[*arm]{{name: name, sig: depthwise16Sig, doc: depthwise16Doc(name), emit: func(b *arm) {
		dst, a, off, w, pairs, n := b.arg("dst", 0), b.arg("a", 1), b.arg("off", 2), b.arg("w", 3), b.arg("pairs", 4), b.arg("n", 5)
		tap, k, at := x(6), x(7), [2]x{8, 9}
		b.label("block")
		b.zero(0, 1, 2, 3)
		b.linef("MOVD %v, %v", off, tap)
		b.linef("MOVD %v, %v", pairs, k)
		b.label("taps")
		for i := range v(2) {
			b.linef("MOVD.P 8(%v), %v", tap, at[i])
			b.linef("ADD %v, %v, %v", a, at[i], at[i])
			b.line(ldq(4+2*i, at[i], 0), ldq(5+2*i, at[i], 16))
		}
		b.linef("VLD2.P 32(%v), [V16.H8, V17.H8]", w) // channels 0-3 and 8-11 of either tap
		b.linef("VLD2.P 32(%v), [V18.H8, V19.H8]", w) // 4-7 and 12-15
		for i := range v(2) {
			b.line(arr("VZIP1", "D2", 20+i, 4+2*i, 5+2*i), arr("VZIP2", "D2", 22+i, 4+2*i, 5+2*i))
		}
		for i := range v(2) {
			b.line(smlal16(0, 20+i, 16+i), smlal16High(2, 20+i, 16+i), smlal16(1, 22+i, 18+i), smlal16High(3, 22+i, 18+i))
		}
		b.linef("SUBS $1, %v", k)
		b.line("BNE taps")
		for i := range v(4) {
			b.line(stq(i, dst, 16*int(i)))
		}
		b.linef("ADD $64, %v", dst)
		b.linef("ADD $32, %v", a)
		b.linef("SUBS $16, %v", n)
		b.line("BGT block", "RET")
	}}}}
}

// words16 rounds eight values, floats in units of the output in V0 and V1, and stores them. Bounds and zero point are in V24 to V26.
func (b *arm) words16(dst x) {
	for i := range v(2) {
		b.line(arr("VFMAX", "S4", i, i, 24), arr("VFMIN", "S4", i, i, 25), fcvtns(i, i), arr("VADD", "S4", i, i, 26))
	}
	b.line(arr("VUZP1", "H8", 0, 0, 1), stq(0, dst, 0))
	b.linef("ADD $16, %v", dst)
}

func elementwise16NEON() file[*arm] {
	bounds := func(b *arm, p x) {
		b.spread(p, offRLo, 24, 10)
		b.spread(p, offRHi, 25, 10)
		b.spread(p, offRZero, 26, 10)
	}
	requant := func(b *arm) {
		dst, low, high, bias, base, mult, n := b.arg("dst", 0), b.arg("low", 1), b.arg("high", 2), b.arg("bias", 3), b.arg("base", 4), b.arg("mult", 5), b.arg("n", 6)
		bounds(b, b.arg("p", 7))
		b.label("loop")
		// Sums of eight elements as 64-bit integers in V4 to V7.
		for i := range v(2) {
			b.line(ldq(16+i, bias, 16*int(i)), ldq(18+i, low, 16*int(i)), arr("VADD", "S4", 18+i, 18+i, 16+i))
			b.linef("VSXTL V%d.S2, V%d.D2", 18+i, 4+2*i)
			b.linef("VSXTL2 V%d.S4, V%d.D2", 18+i, 5+2*i)
		}
		b.linef("CBZ %v, one", high)
		for i := range v(2) {
			b.line(ldq(18+i, high, 16*int(i)), arr("VADD", "S4", 18+i, 18+i, 16+i))
			b.linef("VSXTL V%d.S2, V20.D2", 18+i)
			b.linef("VSXTL2 V%d.S4, V21.D2", 18+i)
			for j := range v(2) {
				b.linef("VSHL $8, V%d.D2, V%d.D2", 20+j, 20+j)
				b.line(arr("VADD", "D2", 4+2*i+j, 4+2*i+j, 20+j))
			}
		}
		b.linef("ADD $32, %v", high)
		b.label("one")
		for i := range v(4) {
			b.linef("VSCVTF V%d.D2, V%d.D2", 4+i, 4+i)
			b.line(ldq(20, base, 16*int(i)), arr("VFADD", "D2", 4+i, 4+i, 20))
		}
		for i := range v(2) {
			b.line(fcvtnDoubles(i, 4+2*i, false), fcvtnDoubles(i, 5+2*i, true), ldq(20, mult, 16*int(i)), arr("VFMUL", "S4", i, i, 20))
		}
		b.words16(dst)
		for _, r := range []x{low, bias, mult} {
			b.linef("ADD $32, %v", r)
		}
		b.linef("ADD $64, %v", base)
		b.linef("SUBS $8, %v", n)
		b.line("BGT loop", "RET")
	}
	add := func(b *arm) {
		dst, a, other, n, p := b.arg("dst", 0), b.arg("a", 1), b.arg("b", 2), b.arg("n", 3), b.arg("p", 7)
		bounds(b, p)
		for i, field := range []int{offAOff, offAMult, offBZero, offBMult} {
			b.spread(p, field, v(27+i), 10)
		}
		b.label("loop")
		b.line(ldq(16, a, 0), ldq(17, other, 0))
		for i, r := range []v{0, 4} { // a in V0 and V1, b in V4 and V5
			b.linef("VSXTL V%d.H4, V%d.S4", 16+i, r)
			b.linef("VSXTL2 V%d.H8, V%d.S4", 16+i, r+1)
		}
		for i := range v(2) {
			b.line(arr("VADD", "S4", i, i, 27), arr("VSUB", "S4", 4+i, 4+i, 29))
			b.linef("VSCVTF V%d.S4, V%d.S4", i, i)
			b.linef("VSCVTF V%d.S4, V%d.S4", 4+i, 4+i)
			b.line(arr("VFMUL", "S4", i, i, 28), arr("VFMUL", "S4", 4+i, 4+i, 30), arr("VFADD", "S4", i, i, 4+i))
		}
		b.words16(dst)
		b.linef("ADD $16, %v", a)
		b.linef("ADD $16, %v", other)
		b.linef("SUBS $8, %v", n)
		b.line("BGT loop", "RET")
	}
	return file[*arm]{name: "s16_elementwise_neon", funcs: []function[*arm]{
		{name: "S32S16RequantNEON", sig: requant16Sig, doc: requant16Doc("S32S16RequantNEON"), emit: requant},
		{name: "S16AddNEON", sig: add16Sig, doc: add16Doc("S16AddNEON"), emit: add},
	}}
}
