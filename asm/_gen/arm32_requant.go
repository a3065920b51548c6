package main

// requantNEON32 rounds by adding 1.5*2**23, for NEON's conversion to integers truncates here. It flushes subnormal numbers
// to zero, which changes no byte: what is below 2**-126 rounds to 0, alone or added to anything.

// Constants in registers: fields of Requant, and the number that rounds.
const (
	armLo, armHi, armMagic, armZero = q(8), q(9), q(10), q(11)
)

func requantNEON32() file[*arm32] {
	file := file[*arm32]{name: "s32u8_requant_neon"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantNEON"
		if residual {
			name = "S32U8RequantAddNEON"
		}
		file.funcs = append(file.funcs, function[*arm32]{name: name, sig: requantSig, doc: requantDoc(name, residual), emit: func(b *arm32) { b.requant(residual) }})
	}
	return file
}

// requant walks over blocks of eight columns, all rows of each. Vector registers: 0 and 1 the values, 2 and 3 the other operand,
// 4 and 5 biases, 6 and 7 multipliers, 8 on constants.
func (b *arm32) requant(residual bool) {
	p, t := x(9), x(12)
	field := func(off int, to q) {
		b.arg("p", p)
		b.linef("ADD $%d, %v, %v", off, p, t)
		b.line(vdup32(to, t))
	}
	field(offLo, armLo)
	field(offHi, armHi)
	field(zeroField(residual), armZero)
	b.linef("MOVW $0x4b400000, %v", t)
	b.line(word32(0xEEA00B10|12<<12, 0, armMagic.low(), 0, "vdup.32 q10, r12"))
	const aOff, aMult, bZero, bMult = q(12), q(13), q(14), q(15)
	if residual {
		field(offAOff, aOff)
		field(offAMult, aMult)
		field(offBZero, bZero)
		field(offBMult, bMult)
	}
	dst, c, res, n := b.arg("dst", 0), b.arg("c", 1), b.arg("res", 2), b.arg("n", 3)
	d0, acc, other, left, stride := x(4), x(5), x(6), x(7), x(8)
	b.label("block")
	b.linef("MOVW %v, %v", dst, d0)
	b.linef("MOVW %v, %v", c, acc)
	b.linef("MOVW %v, %v", res, other)
	b.arg("rows", left)
	b.arg("bias", p)
	b.line(vld1(q(4).low(), 4, p, true))
	b.linef("MOVW %v, %s", p, b.place("bias"))
	b.arg("mult", p)
	b.line(vld1(q(6).low(), 4, p, true))
	b.linef("MOVW %v, %s", p, b.place("mult"))
	b.label("row")
	b.line(vld1(0, 4, acc, false))
	if residual {
		b.line(vld1(4, 1, other, false))
	}
	both := func(op func(i q) string) { b.line(op(0), op(1)) }
	both(func(i q) string { return threeQ(0xF2200840, "vadd.i32", i, i, 4+i) })
	both(func(i q) string { return twoQ(0xF3BB0640, "vcvt.f32.s32", i, i) })
	both(func(i q) string { return threeQ(0xF3000D50, "vmul.f32", i, i, 6+i) })
	round := func(lo, hi q) {
		both(func(i q) string { return threeQ(0xF2000F40, "vmax.f32", i, i, lo) })
		both(func(i q) string { return threeQ(0xF2200F40, "vmin.f32", i, i, hi) })
		both(func(i q) string { return threeQ(0xF2000D40, "vadd.f32", i, i, armMagic) })
		both(func(i q) string { return threeQ(0xF3200840, "vsub.i32", i, i, armMagic) })
	}
	round(armLo, armHi)
	if residual {
		b.line(word32(0xF3880A10, q(2).low(), 0, 4, "vmovl.u8 q2, d4"))
		b.line(word32(0xF3900A10, q(3).low(), 0, 5, "vmovl.u16 q3, d5"), word32(0xF3900A10, q(2).low(), 0, 4, "vmovl.u16 q2, d4"))
		both(func(i q) string { return threeQ(0xF2200840, "vadd.i32", i, i, aOff) })
		both(func(i q) string { return threeQ(0xF3200840, "vsub.i32", 2+i, 2+i, bZero) })
		both(func(i q) string { return twoQ(0xF3BB0640, "vcvt.f32.s32", i, i) })
		both(func(i q) string { return twoQ(0xF3BB0640, "vcvt.f32.s32", 2+i, 2+i) })
		both(func(i q) string { return threeQ(0xF3000D50, "vmul.f32", i, i, aMult) })
		both(func(i q) string { return threeQ(0xF3000D50, "vmul.f32", 2+i, 2+i, bMult) })
		both(func(i q) string { return threeQ(0xF2000D40, "vadd.f32", i, i, 2+i) })
		// The bounds of the sum have no registers: they are loaded where the other operand was.
		field(offRLo, 2)
		field(offRHi, 3)
		round(2, 3)
	}
	both(func(i q) string { return threeQ(0xF2200840, "vadd.i32", i, i, armZero) })
	b.line(word32(0xF3B60200, 0, 0, 0, "vmovn.i32 d0, q0"), word32(0xF3B60200, 1, 0, 2, "vmovn.i32 d1, q1"), word32(0xF3B20200, 0, 0, 0, "vmovn.i16 d0, q0"))
	b.linef("CMP $8, %v", n)
	b.line("BLT some", vst1(0, 1, d0, false), "B stored")
	b.label("some")
	b.storeSome(n, d0, t)
	b.label("stored")
	next := func(arg string, p x, shift string) {
		b.arg(arg, stride)
		b.linef("ADD %v%s, %v", stride, shift, p)
	}
	next("ldd", d0, "")
	next("ldc", acc, "<<2")
	if residual {
		next("ldr", other, "")
	}
	b.linef("SUB.S $1, %v", left)
	b.line("BNE row")
	b.linef("ADD $8, %v", dst)
	b.linef("ADD $32, %v", c)
	if residual {
		b.linef("ADD $8, %v", res)
	}
	b.linef("SUB.S $8, %v", n)
	b.line("BGT block", "RET")
}

// storeSome writes the low count bytes of d0, fewer than eight; d0 and t are lost.
func (b *arm32) storeSome(count, dst, t x) {
	b.linef("MOVW %v, %v", dst, t)
	for _, s := range []struct {
		size int
		word uint32
		text string
	}{
		{4, 0xF480080D, "vst1.32 {d0[0]}, [r12]!"},
		{2, 0xF480040D, "vst1.16 {d0[0]}, [r12]!"},
		{1, 0xF480000D, "vst1.8 {d0[0]}, [r12]!"},
	} {
		skip := b.unique("skip")
		b.linef("TST $%d, %v", s.size, count)
		b.linef("BEQ %s", skip)
		b.line(word32(s.word|uint32(t)<<16, 0, 0, 0, s.text))
		if s.size > 1 {
			bits := uint32(8 * s.size)
			b.line(word32(0xF3800090|(64-bits)<<16, 0, 0, 0, f("vshr.u64 d0, d0, #%d", bits)))
		}
		b.label(skip)
	}
}
