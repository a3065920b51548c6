package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What operators on int16 activations do outside of matrix products, for processors without AVX2; see amd64_i16.go.

// depthwise16SSE: 16 channels a block, as depthwise16AVX2, whose order of weights it takes.
func depthwise16SSE() asmFile {
	const name = "S16S16Depthwise16c2SSE41"
	return asmFile{name: "s16s16_depthwise_16c2_sse41", funcs: []asmFunc{{name: name, sig: depthwise16Sig, doc: depthwise16Doc(name), emit: func(b *builder) {
		dst, a, off, w, pairs, n := b.arg("dst"), b.arg("a"), b.arg("off"), b.arg("w"), b.arg("pairs"), b.arg("n")
		tap, k, even, odd := b.GP64(), b.GP64(), b.GP64(), b.GP64()
		b.Label("block")
		for i := range 4 {
			b.PXOR(xmm(i), xmm(i))
		}
		b.MOVQ(off, tap)
		b.MOVQ(pairs, k)
		b.Label("taps")
		b.MOVQ(mem(tap, 0), even)
		b.MOVQ(mem(tap, 8), odd)
		for half := range 2 { // channels 0-7, then 8-15
			b.MOVOU(indexed(a, even, 16*half), xmm(4))
			b.MOVOU(indexed(a, odd, 16*half), xmm(5))
			b.MOVO(xmm(4), xmm(6))
			b.PUNPCKLWL(xmm(5), xmm(4))
			b.PUNPCKHWL(xmm(5), xmm(6))
			b.MOVOU(mem(w, 16*half), xmm(7))
			b.MOVOU(mem(w, 16*half+32), xmm(8))
			b.PMADDWL(xmm(7), xmm(4))
			b.PMADDWL(xmm(8), xmm(6))
			b.PADDL(xmm(4), xmm(2*half))
			b.PADDL(xmm(6), xmm(2*half+1))
		}
		b.ADDQ(imm(64), w)
		b.ADDQ(imm(16), tap)
		b.DECQ(k)
		b.JNE(operand.LabelRef("taps"))
		for i := range 4 {
			b.MOVOU(xmm(i), mem(dst, 16*i))
		}
		b.ADDQ(imm(64), dst)
		b.ADDQ(imm(32), a)
		b.SUBQ(imm(16), n)
		b.JG(operand.LabelRef("block"))
		b.RET()
	}}}}
}

// storeWordsSSE rounds the eight values in v and other, in units of the output, and stores them.
func (b *builder) storeWordsSSE(v, other int, lo, hi, zero reg.VecPhysical, dst reg.Register) {
	for _, i := range []int{v, other} {
		b.MAXPS(lo, xmm(i))
		b.MINPS(hi, xmm(i))
		b.CVTPS2PL(xmm(i), xmm(i))
		b.PADDL(zero, xmm(i))
	}
	b.PACKSSLW(xmm(other), xmm(v))
	b.MOVOU(xmm(v), mem(dst, 0))
}

func elementwise16SSE() asmFile {
	requant := func(b *builder) {
		p := b.arg("p")
		lo, hi, zero, much := xmm(12), xmm(13), xmm(14), xmm(15)
		b.splat(mem(p, offRLo), lo)
		b.splat(mem(p, offRHi), hi)
		b.splat(mem(p, offRZero), zero)
		bits := b.GP64()
		b.MOVQ(operand.U64(math.Float64bits(256)), bits)
		b.MOVQ(bits, much)
		b.PUNPCKLQDQ(much, much)
		dst, low, high, n := b.arg("dst"), b.arg("low"), b.arg("high"), b.arg("n")
		bias, base, mult := b.arg("bias"), b.arg("base"), b.arg("mult")
		// doubles turns the four integers in x into doubles in x and y.
		doubles := func(x, y int) {
			b.PSHUFD(imm8(0xEE), xmm(x), xmm(y))
			b.CVTPL2PD(xmm(x), xmm(x))
			b.CVTPL2PD(xmm(y), xmm(y))
		}
		b.Label("loop")
		for half := range 2 { // elements 0-3 become floats in X0, 4-7 in X1
			one := b.label("one")
			b.MOVOU(mem(bias, 16*half), xmm(6))
			b.MOVOU(mem(low, 16*half), xmm(2))
			b.PADDL(xmm(6), xmm(2))
			doubles(2, 3)
			for i := range 2 {
				b.MOVUPD(mem(base, 32*half+16*i), xmm(4+i))
				b.ADDPD(xmm(4+i), xmm(2+i))
			}
			b.TESTQ(high, high)
			b.JE(operand.LabelRef(one))
			b.MOVOU(mem(high, 16*half), xmm(4))
			b.PADDL(xmm(6), xmm(4))
			doubles(4, 5)
			for i := range 2 {
				b.MULPD(much, xmm(4+i))
				b.ADDPD(xmm(4+i), xmm(2+i))
			}
			b.Label(one)
			b.CVTPD2PS(xmm(2), xmm(half))
			b.CVTPD2PS(xmm(3), xmm(3))
			b.PUNPCKLQDQ(xmm(3), xmm(half))
			b.MOVUPS(mem(mult, 16*half), xmm(4))
			b.MULPS(xmm(4), xmm(half))
		}
		b.TESTQ(high, high)
		b.JE(operand.LabelRef("store"))
		b.ADDQ(imm(32), high)
		b.Label("store")
		b.storeWordsSSE(0, 1, lo, hi, zero, dst)
		b.ADDQ(imm(16), dst)
		b.ADDQ(imm(32), low)
		b.ADDQ(imm(32), bias)
		b.ADDQ(imm(64), base)
		b.ADDQ(imm(32), mult)
		b.SUBQ(imm(8), n)
		b.JG(operand.LabelRef("loop"))
		b.RET()
	}
	add := func(b *builder) {
		p := b.arg("p")
		field := map[int]reg.VecPhysical{}
		for i, f := range []int{offRLo, offRHi, offAOff, offAMult, offBZero, offBMult, offRZero} {
			field[f] = xmm(8 + i)
			b.splat(mem(p, f), field[f])
		}
		dst, x, y, n := b.arg("dst"), b.arg("a"), b.arg("b"), b.arg("n")
		b.Label("loop")
		for half := range 2 {
			b.PMOVSXWD(mem(x, 8*half), xmm(half))
			b.PMOVSXWD(mem(y, 8*half), xmm(2))
			b.PADDL(field[offAOff], xmm(half))
			b.PSUBL(field[offBZero], xmm(2))
			b.CVTPL2PS(xmm(half), xmm(half))
			b.CVTPL2PS(xmm(2), xmm(2))
			b.MULPS(field[offAMult], xmm(half))
			b.MULPS(field[offBMult], xmm(2))
			b.ADDPS(xmm(2), xmm(half))
		}
		b.storeWordsSSE(0, 1, field[offRLo], field[offRHi], field[offRZero], dst)
		b.ADDQ(imm(16), dst)
		b.ADDQ(imm(16), x)
		b.ADDQ(imm(16), y)
		b.SUBQ(imm(8), n)
		b.JG(operand.LabelRef("loop"))
		b.RET()
	}
	return asmFile{name: "s16_elementwise_sse41", funcs: []asmFunc{
		{name: "S32S16RequantSSE41", sig: requant16Sig, doc: requant16Doc("S32S16RequantSSE41"), emit: requant},
		{name: "S16AddSSE41", sig: add16Sig, doc: add16Doc("S16AddSSE41"), emit: add},
	}}
}
