package main

// sumNEON adds bytes in 32 bits, 32 channels at a time.
func sumNEON() file[*arm] {
	const name = "U8S32SumNEON"
	return file[*arm]{name: "u8s32_sum_neon", funcs: []function[*arm]{{name: name, sig: "dst *int32, " + windowSig, doc: sumDoc(name), emit: func(b *arm) {
		g := newArmPlaces(b)
		b.label("block")
		for i := range v(8) {
			b.zero(i)
		}
		g.walk(b, func() {
			b.line(ldq(8, g.at, 0), ldq(9, g.at, 16))
			for i := range v(2) {
				b.linef("VUXTL V%d.B8, V%d.H8", 8+i, 10+2*i)
				b.linef("VUXTL2 V%d.B16, V%d.H8", 8+i, 11+2*i)
			}
			for i := range v(4) {
				b.linef("VUADDW V%d.H4, V%d.S4, V%d.S4", 10+i, 2*i, 2*i)
				b.linef("VUADDW2 V%d.H8, V%d.S4, V%d.S4", 10+i, 2*i+1, 2*i+1)
			}
		})
		for i := range 8 {
			b.line(stq(v(i), g.dst, 16*i))
		}
		b.linef("ADD $32, %v", g.a)
		b.linef("ADD $128, %v", g.dst)
		b.linef("SUBS $32, %v", g.n)
		b.line("BGT block", "RET")
	}}}}
}

// maxNEON takes 64 channels at a time, then 16, the last perhaps less.
func maxNEON() file[*arm] {
	const name = "U8MaxNEON"
	return file[*arm]{name: "u8_max_neon", funcs: []function[*arm]{{name: name, sig: "dst *byte, " + windowSig, doc: maxDoc(name), emit: func(b *arm) {
		g := newArmPlaces(b)
		block := func(vecs v) {
			for i := range vecs {
				b.zero(i)
			}
			g.walk(b, func() {
				for i := range vecs {
					b.line(ldq(4+i, g.at, 16*int(i)))
				}
				for i := range vecs {
					b.line(arr("VUMAX", "B16", i, i, 4+i))
				}
			})
		}
		b.label("wide")
		b.linef("CMP $64, %v", g.n)
		b.line("BLT narrow")
		block(4)
		for i := range 4 {
			b.line(stq(v(i), g.dst, 16*i))
		}
		b.linef("ADD $64, %v", g.a)
		b.linef("ADD $64, %v", g.dst)
		b.linef("SUB $64, %v", g.n)
		b.line("B wide")
		b.label("narrow")
		b.linef("CBZ %v, done", g.n)
		block(1)
		b.linef("SUBS $16, %v", g.n)
		b.line("BLT tail")
		b.line(stq(0, g.dst, 0))
		b.linef("ADD $16, %v", g.a)
		b.linef("ADD $16, %v", g.dst)
		b.line("B narrow")
		b.label("tail")
		b.storeSome(0, g.n, g.dst, 12, 16) // the low bits of n-16 are those of n
		b.label("done")
		b.line("RET")
	}}}}
}

// armPlaces walks over a window's places for a block of channels.
type armPlaces struct{ dst, a, ldh, h, ldw, w, n, row, at, i, k x }

func newArmPlaces(b *arm) armPlaces {
	return armPlaces{b.arg("dst", 0), b.arg("a", 1), b.arg("ldh", 2), b.arg("h", 3), b.arg("ldw", 4), b.arg("w", 5), b.arg("n", 6), 7, 8, 9, 10}
}

// walk has visit emit what is done at each place, whose address is at.
func (g armPlaces) walk(b *arm, visit func()) {
	rows, places := b.unique("rows"), b.unique("places")
	b.linef("MOVD %v, %v", g.a, g.row)
	b.linef("MOVD %v, %v", g.h, g.i)
	b.label(rows)
	b.linef("MOVD %v, %v", g.row, g.at)
	b.linef("MOVD %v, %v", g.w, g.k)
	b.label(places)
	visit()
	b.linef("ADD %v, %v, %v", g.ldw, g.at, g.at)
	b.linef("SUBS $1, %v", g.k)
	b.linef("BNE %s", places)
	b.linef("ADD %v, %v, %v", g.ldh, g.row, g.row)
	b.linef("SUBS $1, %v", g.i)
	b.linef("BNE %s", rows)
}

// elementwiseNEON: requantizations of one operand or two, sixteen elements at a time.
func elementwiseNEON() file[*arm] {
	const a, o = "float32(int32(a[i])+p.AOff)", "float32(int32(b[i])-p.BZero)"
	scale := func(e armElements) { e.by("VFMUL", e.x, offAMult) }
	return file[*arm]{name: "u8_elementwise_neon", funcs: []function[*arm]{
		elementsNEON("U8RescaleNEON", unarySig, "float32("+a+"*p.AMult)", scale),
		elementsNEON("S32U8RescaleNEON", sumsSig, "float32("+a+"*p.AMult)", scale),
		elementsNEON("U8AddNEON", binarySig, "float32("+a+"*p.AMult) + float32("+o+"*p.BMult)", func(e armElements) {
			e.by("VFMUL", e.x, offAMult)
			e.by("VFMUL", e.y, offBMult)
			e.each(func(i v) string { return arr("VFADD", "S4", e.x+i, e.x+i, e.y+i) })
		}),
		// The product of two differences is at most 255*255, which a float holds exactly.
		elementsNEON("U8MulNEON", binarySig, "float32("+a+"*"+o+"*p.AMult)", func(e armElements) {
			e.each(func(i v) string { return arr("VFMUL", "S4", e.x+i, e.x+i, e.y+i) })
			e.by("VFMUL", e.x, offAMult)
		}),
	}}
}

// armElements is sixteen elements of each operand, in four registers from x and y on, and the constants.
type armElements struct {
	b    *arm
	k    armConsts
	x, y v
}

func (e armElements) each(line func(i v) string) {
	for i := range v(4) {
		e.b.line(line(i))
	}
}

// by applies an operation with a field of Requant.
func (e armElements) by(op string, to v, field int) {
	e.each(func(i v) string { return arr(op, "S4", to+i, to+i, e.k.pinned[field]) })
}

func (e armElements) float(to v) {
	e.each(func(i v) string { return f("VSCVTF V%d.S4, V%d.S4", to+i, to+i) })
}

// round makes bytes of the values between the bounds, in register x.
func (e armElements) round(lo, hi int) {
	e.by("VFMAX", e.x, lo)
	e.by("VFMIN", e.x, hi)
	e.each(func(i v) string { return fcvtns(e.x+i, e.x+i) })
	e.k.pack(e.b, e.x, e.x+1, e.x+2, e.x+3)
}

// elementsNEON is one such function; value turns the differences of the operands from their zero points, as floats, into
// the value to round, in x.
func elementsNEON(name, sig, formula string, value func(e armElements)) function[*arm] {
	return function[*arm]{name: name, sig: sig, doc: elementwiseDoc(name, formula), emit: func(b *arm) {
		e := armElements{b: b, x: 0, y: 4, k: b.fields(offRZero, []int{offAOff, offAMult, offBZero, offBMult, offRLo, offRHi}, 20, 0)}
		dst, a, other, n := b.arg("dst", 0), b.arg("a", 1), x(2), b.arg("n", 3)
		if sig == binarySig {
			b.arg("b", other)
		}
		b.beginElements("loop", 16)
		if sig == sumsSig {
			for i := range 4 {
				b.line(ldq(e.x+v(i), a, 16*i))
			}
			b.linef("ADD $64, %v", a)
		} else {
			b.line(ldq(16, a, 0))
			b.widen(16, []v{0, 1, 2, 3})
			b.linef("ADD $16, %v", a)
		}
		e.by("VADD", e.x, offAOff)
		e.float(e.x)
		if sig == binarySig {
			b.line(ldq(17, other, 0))
			b.widen(17, []v{4, 5, 6, 7})
			b.linef("ADD $16, %v", other)
			e.by("VSUB", e.y, offBZero)
			e.float(e.y)
		}
		value(e)
		e.round(offRLo, offRHi)
		b.linef("SUBS $16, %v", n)
		b.line("BLT tail")
		b.line(stq(e.x, dst, 0))
		b.linef("ADD $16, %v", dst)
		b.endLoop("BGT loop")
		b.line("RET")
		b.label("tail")
		b.storeSome(e.x, n, dst, 4, 16) // the low bits of n-16 are those of n
		b.line("RET")
	}}
}

// attendNEON applies RFGA's attention to a row of pixels, sixteen channels at a time.
func attendNEON() file[*arm] {
	const name = "U8S16AttendNEON"
	return file[*arm]{name: "u8s16_attend_neon", funcs: []function[*arm]{{name: name, sig: attendSig, doc: attendDoc(name), emit: func(b *arm) {
		fields := []int{attZero, attA, attB, attMult, attLo, attHi, attRound}
		e := armElements{b: b, x: 0, y: 4, k: b.fields(attZeroOut, fields, 20, 0)}
		dst, a, gh, gw, pixels, n := b.arg("dst", 0), b.arg("a", 1), b.arg("gh", 2), b.arg("gw", 3), b.arg("pixels", 4), b.arg("n", 5)
		g, left := x(6), x(7)
		b.label("pixel")
		b.linef("MOVD %v, %v", gh, g)
		b.linef("MOVD %v, %v", n, left)
		b.label("block")
		b.line(ldq(16, gw, 0), ldq(17, gw, 16), ldq(18, a, 0))
		for i := range 4 {
			b.line(ldq(v(8+i), g, 16*i))
		}
		for i := range v(2) {
			b.linef("VSXTL V%d.H4, V%d.S4", 16+i, e.y+2*i)
			b.linef("VSXTL2 V%d.H8, V%d.S4", 16+i, e.y+2*i+1)
		}
		b.widen(18, []v{0, 1, 2, 3})
		e.each(func(i v) string { return arr("VADD", "S4", e.y+i, e.y+i, 8+i) })
		e.by("VMUL", e.y, attB)
		e.by("VADD", e.y, attRound)
		e.by("VSUB", e.x, attZero)
		e.each(func(i v) string { return f("VSSHR $14, V%d.S4, V%d.S4", e.y+i, e.y+i) })
		e.by("VADD", e.y, attA)
		e.each(func(i v) string { return arr("VMUL", "S4", e.x+i, e.x+i, e.y+i) })
		e.float(e.x)
		e.by("VFMUL", e.x, attMult)
		e.round(attLo, attHi)
		b.linef("ADD $16, %v", a)
		b.linef("ADD $32, %v", gw)
		b.linef("ADD $64, %v", g)
		b.linef("SUBS $16, %v", left)
		b.line("BLT tail", stq(e.x, dst, 0))
		b.linef("ADD $16, %v", dst)
		b.line("BGT block", "B next")
		b.label("tail")
		b.storeSome(e.x, left, dst, 8, 16) // the low bits of left are those of the channels
		// What the last block went too far, a negative number.
		b.linef("ADD %v, %v, %v", left, a, a)
		b.linef("ADD %v<<1, %v, %v", left, gw, gw)
		b.linef("ADD $16, %v", dst)
		b.linef("ADD %v, %v, %v", left, dst, dst)
		b.label("next")
		b.linef("SUBS $1, %v", pixels)
		b.line("BNE pixel", "RET")
	}}}}
}
