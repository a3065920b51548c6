package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	windowSig  = "a *byte, ldh int, h int, ldw int, w int, n int"
	unarySig   = "dst *byte, a *byte, n int, p *Requant"
	sumsSig    = "dst *byte, a *int32, n int, p *Requant"
	binarySig  = "dst *byte, a *byte, b *byte, n int, p *Requant"
	attendSig  = "dst *byte, a *byte, gh *int32, gw *int16, pixels int, n int, p *Attention"
	windowMean = "Place i, k of the window is at ldh*i + ldw*k. "
)

// window emits the walk over a window's places for one block of channels: visit gets the block's address at each.
func (b *builder) window(a, ldh, ldw reg.Register, visit func(m func(disp int) operand.Mem)) {
	rows, places := b.label("rows"), b.label("places")
	row, at, i, k := b.GP64(), b.GP64(), b.GP64(), b.GP64()
	b.MOVQ(a, row)
	b.Load(b.Param("h"), i)
	b.Label(rows)
	b.MOVQ(row, at)
	b.Load(b.Param("w"), k)
	b.Label(places)
	visit(func(disp int) operand.Mem { return mem(at, disp) })
	b.ADDQ(ldw, at)
	b.DECQ(k)
	b.JNE(operand.LabelRef(places))
	b.ADDQ(ldh, row)
	b.DECQ(i)
	b.JNE(operand.LabelRef(rows))
}

func sumDoc(name string) []string {
	return []string{name + " is, for j < n:", "", "\tdst[j] = sum over i < h, k < w of int32(a[ldh*i+ldw*k+j])", "",
		windowMean + "It reads up to 64 bytes behind channel n-1 and writes up to 63 elements behind dst[n-1]."}
}

// narrowPlaces is up to how many bytes add up in 16 bits.
const narrowPlaces = 257

// sums adds up blocks of 64 channels: of a small window in 16 bits, else in 32 bits, a half of the block at a time where registers
// are short.
func sums(name, symbol string, lanes int, vec func(int) reg.VecPhysical) asmFile {
	return asmFile{name: name, funcs: []asmFunc{{name: symbol, sig: "dst *int32, " + windowSig, doc: sumDoc(symbol), emit: func(b *builder) {
		dst, a, n, ldh, ldw := b.arg("dst"), b.arg("a"), b.arg("n"), b.arg("ldh"), b.arg("ldw")
		places := b.GP64()
		b.Load(b.Param("h"), places)
		w := b.GP64()
		b.Load(b.Param("w"), w)
		b.IMULQ(w, places)
		b.CMPQ(places, imm(narrowPlaces))
		b.JG(operand.LabelRef("wide"))

		narrow := 32 / lanes // registers of 2*lanes words
		b.Label("block")
		for q := range narrow {
			b.zero(vec(q))
		}
		b.window(a, ldh, ldw, func(m func(int) operand.Mem) {
			for q := range narrow {
				b.VPMOVZXBW(m(2*lanes*q), vec(4+q))
				b.VPADDW(vec(4+q), vec(q), vec(q))
			}
		})
		for q := range narrow {
			half := ymm(q)
			if lanes == 8 {
				half = xmm(q)
			}
			b.VPMOVZXWD(half, vec(4))
			b.store(vec(4), mem(dst, 8*lanes*q))
			if lanes == 8 {
				b.VEXTRACTI128(imm8(1), vec(q), half)
			} else {
				b.VEXTRACTI64X4(imm8(1), vec(q), half)
			}
			b.VPMOVZXWD(half, vec(4))
			b.store(vec(4), mem(dst, 8*lanes*q+4*lanes))
		}
		b.ADDQ(imm(64), a)
		b.ADDQ(imm(256), dst)
		b.SUBQ(imm(64), n)
		b.JG(operand.LabelRef("block"))
		b.VZEROUPPER()
		b.RET()

		b.Label("wide")
		for q := range 4 {
			b.zero(vec(q))
		}
		b.window(a, ldh, ldw, func(m func(int) operand.Mem) {
			for q := range 4 {
				b.VPMOVZXBD(m(lanes*q), vec(4+q))
				b.VPADDD(vec(4+q), vec(q), vec(q))
			}
		})
		for q := range 4 {
			b.store(vec(q), mem(dst, 4*lanes*q))
		}
		b.ADDQ(imm(4*lanes), a)
		b.ADDQ(imm(16*lanes), dst)
		b.SUBQ(imm(4*lanes), n)
		b.JG(operand.LabelRef("wide"))
		b.VZEROUPPER()
		b.RET()
	}}}}
}

func isZMM(v reg.VecPhysical) bool { return v.Size() == 64 }

func (b *builder) zero(v reg.VecPhysical) {
	if isZMM(v) {
		b.VPXORD(v, v, v)
	} else {
		b.VPXOR(v, v, v)
	}
}

func (b *builder) store(v reg.VecPhysical, m operand.Mem) {
	if isZMM(v) {
		b.VMOVDQU32(v, m)
	} else {
		b.VMOVDQU(v, m)
	}
}

func sumAVX2() asmFile   { return sums("u8s32_sum_avx2", "U8S32SumAVX2", 8, ymm) }
func sumAVX512() asmFile { return sums("u8s32_sum_avx512", "U8S32SumAVX512", 16, zmm) }

func maxDoc(name string) []string {
	return []string{name + " is, for j < n:", "", "\tdst[j] = max over i < h, k < w of a[ldh*i+ldw*k+j]", "",
		windowMean + "It reads up to 64 bytes behind channel n-1 and writes n bytes."}
}

func maxAVX2() asmFile {
	const name = "U8MaxAVX2"
	return asmFile{name: "u8_max_avx2", funcs: []asmFunc{{name: name, sig: "dst *byte, " + windowSig, doc: maxDoc(name), emit: func(b *builder) {
		dst, a, n, ldh, ldw := b.arg("dst"), b.arg("a"), b.arg("n"), b.arg("ldh"), b.arg("ldw")
		b.Label("block") // of 64 channels, the last perhaps of less
		b.zero(ymm(0))
		b.zero(ymm(1))
		b.CMPQ(n, imm(32))
		b.JLE(operand.LabelRef("half"))
		b.window(a, ldh, ldw, func(m func(int) operand.Mem) {
			b.VPMAXUB(m(0), ymm(0), ymm(0))
			b.VPMAXUB(m(32), ymm(1), ymm(1))
		})
		b.JMP(operand.LabelRef("store"))
		b.Label("half")
		b.window(a, ldh, ldw, func(m func(int) operand.Mem) {
			b.VPMAXUB(m(0), ymm(0), ymm(0))
		})
		b.Label("store")
		b.CMPQ(n, imm(64))
		b.JL(operand.LabelRef("tail"))
		b.VMOVDQU(ymm(0), mem(dst, 0))
		b.VMOVDQU(ymm(1), mem(dst, 32))
		b.ADDQ(imm(64), a)
		b.ADDQ(imm(64), dst)
		b.SUBQ(imm(64), n)
		b.JNE(operand.LabelRef("block"))
		b.JMP(operand.LabelRef("done"))
		b.Label("tail") // fewer than 64
		b.CMPQ(n, imm(32))
		b.JL(operand.LabelRef("tail32"))
		b.VMOVDQU(ymm(0), mem(dst, 0))
		b.VMOVDQA(ymm(1), ymm(0))
		b.ADDQ(imm(32), dst)
		b.SUBQ(imm(32), n)
		b.Label("tail32")
		b.CMPQ(n, imm(16))
		b.JL(operand.LabelRef("tail16"))
		b.VMOVDQU(xmm(0), mem(dst, 0))
		b.VEXTRACTI128(imm8(1), ymm(0), xmm(0))
		b.ADDQ(imm(16), dst)
		b.SUBQ(imm(16), n)
		b.Label("tail16")
		b.storeBytes(xmm(0), n, dst, 16)
		b.Label("done")
		b.VZEROUPPER()
		b.RET()
	}}}}
}

// elementFunc makes a function of one operand or two; value turns the differences of the operands from their zero points, as floats,
// into the value to round, in x.
type elementFunc func(name, sig, v string, fields []int, value elementValue) asmFunc

type elementValue func(b *builder, k consts, x, y reg.VecPhysical)

// elementwise: requantizations of one operand or two.
func elementwise(isa string, one elementFunc) asmFile {
	const a, o = "float32(int32(a[i])+p.AOff)", "float32(int32(b[i])-p.BZero)"
	scale := func(b *builder, k consts, x, _ reg.VecPhysical) { b.VMULPS(k.get(offAMult), x, x) }
	return asmFile{name: "u8_elementwise_" + strings.ToLower(isa), funcs: []asmFunc{
		one("U8Rescale"+isa, unarySig, "float32("+a+"*p.AMult)", []int{offAOff, offAMult}, scale),
		one("S32U8Rescale"+isa, sumsSig, "float32("+a+"*p.AMult)", []int{offAOff, offAMult}, scale),
		one("U8Add"+isa, binarySig, "float32("+a+"*p.AMult) + float32("+o+"*p.BMult)", []int{offAOff, offAMult, offBZero, offBMult},
			func(b *builder, k consts, x, y reg.VecPhysical) {
				b.VMULPS(k.get(offAMult), x, x)
				b.VMULPS(k.get(offBMult), y, y)
				b.VADDPS(y, x, x)
			}),
		// The product of two differences is at most 255*255, which a float holds exactly.
		one("U8Mul"+isa, binarySig, "float32("+a+"*"+o+"*p.AMult)", []int{offAOff, offAMult, offBZero},
			func(b *builder, k consts, x, y reg.VecPhysical) {
				b.VMULPS(y, x, x)
				b.VMULPS(k.get(offAMult), x, x)
			}),
	}}
}

// elementwiseAVX2 takes 16 elements at a time.
func elementwiseAVX2(name, sig, v string, fields []int, value elementValue) asmFunc {
	emit := func(b *builder) {
		p := b.arg("p")
		zero := xmm(15)
		b.VPBROADCASTW(mem(p, offRZero), zero)
		k := b.consts(p, nil, ymms[8:], append([]int{offRLo, offRHi}, fields...)...)
		e := b.elements(sig, k, value)
		b.Label("loop")
		for half := range 2 {
			e.value(8*half, ymm(half), ymm(2+half))
		}
		b.pack16(0, 1, 2, zero)
		b.CMPQ(e.n, imm(16))
		b.JL(operand.LabelRef("tail"))
		b.VMOVDQU(xmm(0), mem(e.dst, 0))
		e.advance(16)
		b.SUBQ(imm(16), e.n)
		b.JNE(operand.LabelRef("loop"))
		b.JMP(operand.LabelRef("done"))
		b.Label("tail")
		b.storeBytes(xmm(0), e.n, e.dst, 16)
		b.Label("done")
		b.VZEROUPPER()
		b.RET()
	}
	return asmFunc{name: name, sig: sig, doc: elementwiseDoc(name, v), emit: emit}
}

// elements are the operands of an elementwise function.
type elements struct {
	*builder
	k         consts
	of        elementValue
	dst, a, n reg.GPVirtual
	other     reg.Register // or nil
	size      int          // of an element of a
}

func (b *builder) elements(sig string, k consts, of elementValue) elements {
	e := elements{builder: b, k: k, of: of, dst: b.arg("dst"), a: b.arg("a"), n: b.arg("n"), size: 1}
	switch sig {
	case sumsSig:
		e.size = 4
	case binarySig:
		e.other = b.arg("b")
	}
	return e
}

// value computes a register of elements from place on: the rounded value, in x; y is scratch.
func (e *elements) value(place int, x, y reg.VecPhysical) {
	if e.size == 4 {
		e.VMOVUPS(mem(e.a, 4*place), x)
	} else {
		e.VPMOVZXBD(mem(e.a, place), x)
	}
	e.VPADDD(e.k.get(offAOff), x, x)
	e.VCVTDQ2PS(x, x)
	if e.other != nil {
		e.VPMOVZXBD(mem(e.other, place), y)
		e.VPSUBD(e.k.get(offBZero), y, y)
		e.VCVTDQ2PS(y, y)
	}
	e.of(e.builder, e.k, x, y)
	e.VMAXPS(e.k.get(offRLo), x, x)
	e.VMINPS(e.k.get(offRHi), x, x)
	e.VCVTPS2DQ(x, x)
}

// advance goes on by n elements.
func (e *elements) advance(n int) {
	e.ADDQ(imm(n*e.size), e.a)
	if e.other != nil {
		e.ADDQ(imm(n), e.other)
	}
	e.ADDQ(imm(n), e.dst)
}

// elementwiseAVX512 takes what is left behind the last 64 elements 16 at a time.
func elementwiseAVX512(name, sig, v string, fields []int, value elementValue) asmFunc {
	emit := func(b *builder) {
		p := b.arg("p")
		zero, order := zmm(31), zmm(30)
		b.VPBROADCASTD(mem(p, offRZero), zero)
		b.order(order, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
		k := b.consts(p, nil, zmms[16:], append([]int{offRLo, offRHi}, fields...)...)
		e := b.elements(sig, k, value)
		b.SUBQ(imm(64), e.n)
		b.JL(operand.LabelRef("rest"))
		b.Label("loop")
		for q := range 4 {
			e.value(16*q, zmm(q), zmm(4+q))
			b.VPADDD(zero, zmm(q), zmm(q))
		}
		b.VPACKUSDW(zmm(1), zmm(0), zmm(0))
		b.VPACKUSDW(zmm(3), zmm(2), zmm(2))
		b.VPACKUSWB(zmm(2), zmm(0), zmm(0))
		b.VPERMD(zmm(0), order, zmm(0))
		b.VMOVDQU64(zmm(0), mem(e.dst, 0))
		e.advance(64)
		b.SUBQ(imm(64), e.n)
		b.JGE(operand.LabelRef("loop"))
		b.Label("rest")
		b.ADDQ(imm(64), e.n)
		b.JLE(operand.LabelRef("done"))
		b.Label("some")
		e.value(0, zmm(0), zmm(4))
		b.VPADDD(zero, zmm(0), zmm(0))
		b.tailMask(e.n, 16, reg.K1)
		b.VPMOVDB(zmm(0), reg.K1, mem(e.dst, 0))
		e.advance(16)
		b.SUBQ(imm(16), e.n)
		b.JG(operand.LabelRef("some"))
		b.Label("done")
		b.VZEROUPPER()
		b.RET()
	}
	return asmFunc{name: name, sig: sig, doc: elementwiseDoc(name, v), emit: emit}
}

func elementwiseDoc(name, v string) []string {
	return []string{name + " is, for i < n:", "", "\tv := " + v, "\tdst[i] = byte(p.RZero + rne(clamp(v, p.RLo, p.RHi)))", "",
		"It reads up to 64 bytes behind each operand and writes n bytes. dst may be an operand of bytes."}
}

// Offsets in Attention; a test of package kernels holds them.
const (
	attZero    = 0
	attA       = 4
	attB       = 8
	attMult    = 12
	attLo      = 16
	attHi      = 20
	attZeroOut = 24
	attRound   = 28
)

func attendDoc(name string) []string {
	return []string{
		name + " is, for i < pixels, j < n:",
		"",
		"\tfactor := p.A + (p.B*(gh[j]+int32(gw[n*i+j]))+p.Round)>>14",
		"\tv := float32((int32(a[n*i+j])-p.Zero)*factor) * p.Mult",
		"\tdst[n*i+j] = byte(p.ZeroOut + rne(clamp(v, p.Lo, p.Hi)))",
		"",
		"It reads up to 64 bytes behind each operand and writes n bytes a pixel.",
	}
}

// attend applies RFGA's attention to a row of pixels; a step takes 16 channels, in one register or two.
func attend(name, symbol string, lanes int, vec func(int) reg.VecPhysical) asmFile {
	return asmFile{name: name, funcs: []asmFunc{{name: symbol, sig: attendSig, doc: attendDoc(symbol), emit: func(b *builder) {
		p := b.arg("p")
		k := b.consts(p, nil, []reg.VecPhysical{vec(6), vec(7), vec(8), vec(9), vec(10), vec(11), vec(12)}, attZero, attA, attB, attMult, attLo, attHi, attRound)
		zero := vec(13)
		if isZMM(zero) {
			b.VPBROADCASTD(mem(p, attZeroOut), zero)
		} else {
			b.VPBROADCASTW(mem(p, attZeroOut), xmm(13))
		}
		dst, a, gh, gw, g, n := b.arg("dst"), b.arg("a"), b.GP64(), b.arg("gw"), b.arg("gh"), b.GP64()
		pixels := b.arg("pixels")
		back := b.GP64()
		b.Label("pixel")
		b.MOVQ(g, gh)
		b.Load(b.Param("n"), n)
		b.Label("block")
		for i := range 16 / lanes {
			v, t := vec(i), vec(2+i)
			b.VPMOVSXWD(mem(gw, 2*lanes*i), t)
			b.VPADDD(mem(gh, 4*lanes*i), t, t)
			b.VPMULLD(k.get(attB), t, t)
			b.VPMOVZXBD(mem(a, lanes*i), v)
			b.VPADDD(k.get(attRound), t, t)
			b.VPSRAD(imm8(14), t, t)
			b.VPSUBD(k.get(attZero), v, v)
			b.VPADDD(k.get(attA), t, t)
			b.VPMULLD(t, v, v)
			b.VCVTDQ2PS(v, v)
			b.VMULPS(k.get(attMult), v, v)
			b.VMAXPS(k.get(attLo), v, v)
			b.VMINPS(k.get(attHi), v, v)
			b.VCVTPS2DQ(v, v)
		}
		if lanes == 16 {
			b.tailMask(n, 16, reg.K1)
			b.VPADDD(zero, vec(0), vec(0))
			b.VPMOVDB(vec(0), reg.K1, mem(dst, 0))
		} else {
			b.pack16(0, 1, 2, xmm(13))
			b.CMPQ(n, imm(16))
			b.JL(operand.LabelRef("tail"))
			b.VMOVDQU(xmm(0), mem(dst, 0))
			b.JMP(operand.LabelRef("stored"))
			b.Label("tail")
			b.storeBytes(xmm(0), n, dst, 16)
			b.Label("stored")
		}
		b.ADDQ(imm(16), a)
		b.ADDQ(imm(16), dst)
		b.ADDQ(imm(32), gw)
		b.ADDQ(imm(64), gh)
		b.SUBQ(imm(16), n)
		b.JG(operand.LabelRef("block"))
		// n is now 0 or less: what the last block went too far.
		b.MOVQ(n, back)
		b.ADDQ(back, a)
		b.ADDQ(back, dst)
		b.LEAQ(operand.Mem{Base: gw, Index: back, Scale: 2}, gw)
		b.DECQ(pixels)
		b.JNE(operand.LabelRef("pixel"))
		b.VZEROUPPER()
		b.RET()
	}}}}
}

func attendAVX2() asmFile   { return attend("u8s16_attend_avx2", "U8S16AttendAVX2", 8, ymm) }
func attendAVX512() asmFile { return attend("u8s16_attend_avx512", "U8S16AttendAVX512", 16, zmm) }
