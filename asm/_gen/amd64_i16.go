package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What operators on int16 activations do outside of matrix products.
const (
	depthwise16Sig = "dst *int32, a *int16, off *int, w *int16, pairs int, n int"
	requant16Sig   = "dst *int16, low *int32, high *int32, bias *int32, base *float64, mult *float32, n int, p *Requant"
	add16Sig       = "dst *int16, a *int16, b *int16, n int, p *Requant"
)

func depthwise16Doc(name string) []string {
	return []string{name + " is, for j < n:", "",
		"\tdst[j] = sum over t < 2*pairs of int32(a[off[t]/2+j])*int32(weight of tap t and channel j)", "",
		"off is in bytes. w holds, for each block of 16 channels and each pair of taps t and t+1, 16 pairs of their weights: of channels 0-3, 8-11, 4-7 and",
		"12-15 of the block. It reads up to 15 elements behind channel n-1 and writes up to 15 behind dst[n-1]."}
}

func requant16Doc(name string) []string {
	return []string{name + " is, for i < n, n being a multiple of 8:", "",
		"\tv := float64(low[i]+bias[i]) + base[i]",
		"\tif high != nil {",
		"\t\tv += 256 * float64(high[i]+bias[i])",
		"\t}",
		"\tdst[i] = int16(p.RZero + rne(clamp(float32(v)*mult[i], p.RLo, p.RHi)))", "",
		"v is exact: its parts are integers below 2**53."}
}

func add16Doc(name string) []string {
	return []string{name + " is, for i < n, n being a multiple of 8:", "",
		"\tv := float32(float32(int32(a[i])+p.AOff)*p.AMult) + float32(float32(int32(b[i])-p.BZero)*p.BMult)",
		"\tdst[i] = int16(p.RZero + rne(clamp(v, p.RLo, p.RHi)))", "",
		"dst may be an operand."}
}

// depthwise16AVX2: two taps of a channel are neighbouring words, which VPMADDWD multiplies and adds.
func depthwise16AVX2() asmFile {
	const name = "S16S16Depthwise16c2AVX2"
	return asmFile{name: "s16s16_depthwise_16c2_avx2", funcs: []asmFunc{{name: name, sig: depthwise16Sig, doc: depthwise16Doc(name), emit: func(b *builder) {
		dst, a, off, w, pairs, n := b.arg("dst"), b.arg("a"), b.arg("off"), b.arg("w"), b.arg("pairs"), b.arg("n")
		tap, k, even, odd := b.GP64(), b.GP64(), b.GP64(), b.GP64()
		b.Label("block")
		b.zero(ymm(0))
		b.zero(ymm(1))
		b.MOVQ(off, tap)
		b.MOVQ(pairs, k)
		b.Label("taps")
		b.MOVQ(mem(tap, 0), even)
		b.MOVQ(mem(tap, 8), odd)
		b.VMOVDQU(indexed(a, even, 0), ymm(2))
		b.VMOVDQU(indexed(a, odd, 0), ymm(3))
		b.VPUNPCKLWD(ymm(3), ymm(2), ymm(4)) // channels 0-3 | 8-11
		b.VPUNPCKHWD(ymm(3), ymm(2), ymm(5)) // 4-7 | 12-15
		b.VPMADDWD(mem(w, 0), ymm(4), ymm(4))
		b.VPMADDWD(mem(w, 32), ymm(5), ymm(5))
		b.VPADDD(ymm(4), ymm(0), ymm(0))
		b.VPADDD(ymm(5), ymm(1), ymm(1))
		b.ADDQ(imm(64), w)
		b.ADDQ(imm(16), tap)
		b.DECQ(k)
		b.JNE(operand.LabelRef("taps"))
		b.VPERM2I128(imm8(0x20), ymm(1), ymm(0), ymm(2))
		b.VPERM2I128(imm8(0x31), ymm(1), ymm(0), ymm(3))
		b.VMOVDQU(ymm(2), mem(dst, 0))
		b.VMOVDQU(ymm(3), mem(dst, 32))
		b.ADDQ(imm(64), dst)
		b.ADDQ(imm(32), a)
		b.SUBQ(imm(16), n)
		b.JG(operand.LabelRef("block"))
		b.VZEROUPPER()
		b.RET()
	}}}}
}

// storeWords rounds the eight values in v, in units of the output, and stores them.
func (b *builder) storeWords(v, other int, lo, hi, zero reg.VecPhysical, dst reg.Register) {
	b.VMAXPS(lo, ymm(v), ymm(v))
	b.VMINPS(hi, ymm(v), ymm(v))
	b.VCVTPS2DQ(ymm(v), ymm(v))
	b.VPADDD(zero, ymm(v), ymm(v))
	b.VEXTRACTI128(imm8(1), ymm(v), xmm(other))
	b.VPACKSSDW(xmm(other), xmm(v), xmm(v))
	b.VMOVDQU(xmm(v), mem(dst, 0))
}

func elementwise16AVX2() asmFile {
	requant := func(b *builder) {
		p := b.arg("p")
		lo, hi, zero, much := ymm(12), ymm(13), ymm(14), ymm(15)
		b.VBROADCASTSS(mem(p, offRLo), lo)
		b.VBROADCASTSS(mem(p, offRHi), hi)
		b.VPBROADCASTD(mem(p, offRZero), zero)
		bits := b.GP64()
		b.MOVQ(operand.U64(math.Float64bits(256)), bits)
		b.VMOVQ(bits, xmm(15))
		b.VBROADCASTSD(xmm(15), much)
		dst, low, high, n := b.arg("dst"), b.arg("low"), b.arg("high"), b.arg("n")
		bias, base, mult := b.arg("bias"), b.arg("base"), b.arg("mult")
		b.Label("loop")
		b.VMOVDQU(mem(bias, 0), ymm(0))
		b.VPADDD(mem(low, 0), ymm(0), ymm(1))
		b.VCVTDQ2PD(xmm(1), ymm(2))
		b.VEXTRACTI128(imm8(1), ymm(1), xmm(1))
		b.VCVTDQ2PD(xmm(1), ymm(3))
		b.VADDPD(mem(base, 0), ymm(2), ymm(2))
		b.VADDPD(mem(base, 32), ymm(3), ymm(3))
		b.TESTQ(high, high)
		b.JE(operand.LabelRef("one"))
		b.VPADDD(mem(high, 0), ymm(0), ymm(1))
		b.ADDQ(imm(32), high)
		b.VCVTDQ2PD(xmm(1), ymm(4))
		b.VEXTRACTI128(imm8(1), ymm(1), xmm(1))
		b.VCVTDQ2PD(xmm(1), ymm(5))
		b.VMULPD(much, ymm(4), ymm(4))
		b.VMULPD(much, ymm(5), ymm(5))
		b.VADDPD(ymm(4), ymm(2), ymm(2))
		b.VADDPD(ymm(5), ymm(3), ymm(3))
		b.Label("one")
		b.VCVTPD2PSY(ymm(2), xmm(2))
		b.VCVTPD2PSY(ymm(3), xmm(3))
		b.VINSERTF128(imm8(1), xmm(3), ymm(2), ymm(2))
		b.VMULPS(mem(mult, 0), ymm(2), ymm(2))
		b.storeWords(2, 3, lo, hi, zero, dst)
		b.ADDQ(imm(16), dst)
		b.ADDQ(imm(32), low)
		b.ADDQ(imm(32), bias)
		b.ADDQ(imm(64), base)
		b.ADDQ(imm(32), mult)
		b.SUBQ(imm(8), n)
		b.JG(operand.LabelRef("loop"))
		b.VZEROUPPER()
		b.RET()
	}
	add := func(b *builder) {
		p := b.arg("p")
		k := b.consts(p, nil, ymms[8:], offRLo, offRHi, offAOff, offAMult, offBZero, offBMult, offRZero)
		dst, x, y, n := b.arg("dst"), b.arg("a"), b.arg("b"), b.arg("n")
		b.Label("loop")
		b.VPMOVSXWD(mem(x, 0), ymm(0))
		b.VPMOVSXWD(mem(y, 0), ymm(1))
		b.VPADDD(k.get(offAOff), ymm(0), ymm(0))
		b.VPSUBD(k.get(offBZero), ymm(1), ymm(1))
		b.VCVTDQ2PS(ymm(0), ymm(0))
		b.VCVTDQ2PS(ymm(1), ymm(1))
		b.VMULPS(k.get(offAMult), ymm(0), ymm(0))
		b.VMULPS(k.get(offBMult), ymm(1), ymm(1))
		b.VADDPS(ymm(1), ymm(0), ymm(0))
		b.storeWords(0, 1, k.get(offRLo), k.get(offRHi), k.get(offRZero), dst)
		b.ADDQ(imm(16), dst)
		b.ADDQ(imm(16), x)
		b.ADDQ(imm(16), y)
		b.SUBQ(imm(8), n)
		b.JG(operand.LabelRef("loop"))
		b.VZEROUPPER()
		b.RET()
	}
	return asmFile{name: "s16_elementwise_avx2", funcs: []asmFunc{
		{name: "S32S16RequantAVX2", sig: requant16Sig, doc: requant16Doc("S32S16RequantAVX2"), emit: requant},
		{name: "S16AddAVX2", sig: add16Sig, doc: add16Doc("S16AddAVX2"), emit: add},
	}}
}
