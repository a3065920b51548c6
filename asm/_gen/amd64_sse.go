package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Kernels for processors without AVX2: SSE4.1 and what precedes it, legacy encoding only (a test of package kernels holds
// that), so that destinations are sources and operands in memory, which would have to be aligned, are loaded first.

// splat fills x with the 32 bits at m.
func (b *builder) splat(m operand.Mem, x reg.VecPhysical) {
	b.MOVSS(m, x)
	b.PSHUFD(imm8(0), x, x)
}

// splatW fills x with the 16 bits at m.
func (b *builder) splatW(m operand.Mem, x reg.VecPhysical) {
	b.MOVSS(m, x)
	b.PSHUFLW(imm8(0), x, x)
	b.PSHUFD(imm8(0), x, x)
}

// gemmSSE: 16-bit operands, as gemmAVX2.
func gemmSSE() asmFile {
	const nr, kr = 8, 2
	f := asmFile{name: "s16s8_gemm_6x8c2_sse41"}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("S16S8Gemm%dx%dc%dSSE41", mr, nr, kr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "int16 a", "a is 16-bit integers; k is a multiple of 2 and at least 2."),
			emit: func(b *builder) {
				b.gemmSSE(mr, kr, nr*kr, func(w reg.Register, s int, w0, w1 reg.VecPhysical) {
					b.PMOVSXBW(mem(w, 16*s), w0)
					b.PMOVSXBW(mem(w, 16*s+8), w1)
				}, func(weights, t reg.VecPhysical) {
					b.PMADDWL(weights, t)
				})
			}})
	}
	return f
}

// gemmPairSafeSSE: as gemmPairSafeAVX2.
func gemmPairSafeSSE() asmFile {
	const nr, kr = 8, 4
	f := asmFile{name: "u8s8_gemm_4x8c4_sse41"}
	for _, mr := range []int{4, 2, 1} {
		name := fmt.Sprintf("U8S8Gemm%dx%dc%dSSE41", mr, nr, kr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "a", "a is unsigned bytes; k is a multiple of 4 and at least 4. b must be pair-safe: sums of pairs saturate in 16 bits."),
			emit: func(b *builder) {
				ones := xmm(8) // of 16 registers, what is left by a tile of 4 rows
				b.PCMPEQW(ones, ones)
				b.PSRLW(imm8(15), ones)
				b.gemmSSE(mr, kr, nr*kr, func(w reg.Register, s int, w0, w1 reg.VecPhysical) {
					b.MOVOU(mem(w, 32*s), w0)
					b.MOVOU(mem(w, 32*s+16), w1)
				}, func(weights, t reg.VecPhysical) {
					b.PMADDUBSW(weights, t)
					b.PMADDWL(ones, t)
				})
			}})
	}
	return f
}

// gemmSSE emits a tile of 8 columns, a group of kr terms of their weights being so many bytes. load loads the weights of group s, multiply turns t, a group of a row in every lane,
// into its sums of products.
func (b *builder) gemmSSE(mr, kr, group int, load func(w reg.Register, s int, w0, w1 reg.VecPhysical), multiply func(weights, t reg.VecPhysical)) {
	w0, w1 := xmm(12), xmm(13)
	c, w, k := b.arg("c"), b.arg("b"), b.arg("k")
	rows := b.rowPtrs(mr)
	for i := range 2 * mr {
		b.PXOR(xmm(i), xmm(i))
	}
	b.kLoop(k, kr, 2, func(s int) {
		load(w, s, w0, w1)
		for i := range mr {
			t0, t1 := xmm(14), xmm(15)
			b.splat(rows.at(i, 4*s), t0)
			b.MOVO(t0, t1)
			multiply(w0, t0)
			b.PADDL(t0, xmm(2*i))
			multiply(w1, t1)
			b.PADDL(t1, xmm(2*i+1))
		}
	}, func(n int) {
		b.ADDQ(imm(4*n), rows.base)
		b.ADDQ(imm(group*n), w)
	})
	for i := range 2 * mr {
		b.MOVOU(xmm(i), mem(c, 16*i))
	}
	b.RET()
}

// sseScaler holds the fields of Requant: two, or eight with residual, and the zero point in words.
type sseScaler struct {
	b        *builder
	residual bool
	field    map[int]reg.VecPhysical
	zero     reg.VecPhysical
}

// scalerSSE uses registers from X3 on: 3 of them, or 9 with residual.
func (b *builder) scalerSSE(p reg.Register, residual bool) sseScaler {
	s := sseScaler{b, residual, map[int]reg.VecPhysical{}, xmm(3)}
	b.splatW(mem(p, zeroField(residual)), s.zero)
	fields := []int{offLo, offHi}
	if residual {
		fields = residualFields
	}
	for i, f := range fields {
		s.field[f] = xmm(4 + i)
		b.splat(mem(p, f), s.field[f])
	}
	return s
}

// scale does to v what consts.scale does.
func (s sseScaler) scale(v, mult, t reg.VecPhysical, res operand.Op) {
	b := s.b
	b.CVTPL2PS(v, v)
	b.MULPS(mult, v)
	b.MAXPS(s.field[offLo], v)
	b.MINPS(s.field[offHi], v)
	b.CVTPS2PL(v, v)
	if !s.residual {
		return
	}
	b.PADDL(s.field[offAOff], v)
	b.CVTPL2PS(v, v)
	b.MULPS(s.field[offAMult], v)
	b.PMOVZXBD(res, t)
	b.PSUBL(s.field[offBZero], t)
	b.CVTPL2PS(t, t)
	b.MULPS(s.field[offBMult], t)
	b.ADDPS(t, v)
	b.MAXPS(s.field[offRLo], v)
	b.MINPS(s.field[offRHi], v)
	b.CVTPS2PL(v, v)
}

// store packs the values of v0 and v1 and writes the low min(n, 8) bytes.
func (s sseScaler) store(v0, v1 reg.VecPhysical, n, dst reg.Register) {
	b := s.b
	full, stored := b.label("full"), b.label("stored")
	b.PACKSSLW(v1, v0)
	b.PADDW(s.zero, v0)
	b.PACKUSWB(v0, v0)
	b.CMPQ(n, imm(8))
	b.JGE(operand.LabelRef(full))
	d := b.GP64()
	b.MOVQ(dst, d)
	for _, size := range []int{4, 2, 1} {
		skip := b.label("skip")
		b.TESTQ(operand.I32(size), n)
		b.JE(operand.LabelRef(skip))
		switch size {
		case 4:
			b.MOVSS(v0, mem(d, 0))
		case 2:
			b.PEXTRW(imm8(0), v0, mem(d, 0))
		case 1:
			b.PEXTRB(imm8(0), v0, mem(d, 0))
		}
		if size > 1 {
			b.PSRLDQ(imm8(size), v0)
			b.ADDQ(imm(size), d)
		}
		b.Label(skip)
	}
	b.JMP(operand.LabelRef(stored))
	b.Label(full)
	b.MOVQ(v0, mem(dst, 0))
	b.Label(stored)
}

func requantSSE() asmFile {
	f := asmFile{name: "s32u8_requant_sse41"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantSSE41"
		if residual {
			name = "S32U8RequantAddSSE41"
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: requantSig, doc: requantDoc(name, residual), emit: func(b *builder) {
			s := b.scalerSSE(b.arg("p"), residual)
			w := b.requantWalk(residual)
			b.Label("columns")
			for i := range 2 {
				b.MOVOU(mem(w.bias, 16*i), xmm(12+i))
				b.MOVUPS(mem(w.mult, 16*i), xmm(14+i))
			}
			w.block(b, 8, func() {
				for i := range 2 {
					b.MOVOU(mem(w.acc, 16*i), xmm(i))
					b.PADDL(xmm(12+i), xmm(i))
					var res operand.Op
					if residual {
						res = mem(w.r, 4*i)
					}
					s.scale(xmm(i), xmm(14+i), xmm(2), res)
				}
				s.store(xmm(0), xmm(1), w.n, w.d)
			})
			b.JG(operand.LabelRef("columns"))
			b.RET()
		}})
	}
	return f
}

// depthwiseSSE: as depthwiseAVX2, eight channels at a time.
func depthwiseSSE() asmFile {
	f := asmFile{name: "u8s16_depthwise_8c2_sse41"}
	for _, residual := range []bool{false, true} {
		name := "U8S16Depthwise8c2SSE41"
		if residual {
			name = "U8S16DepthwiseAdd8c2SSE41"
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: depthwiseSig,
			doc: depthwiseDoc(name, "Weights are 16-bit, [n/8][taps/2][8][2]; taps is a multiple of 2.", "Channels are in their natural order.", residual),
			emit: func(b *builder) {
				b.legacy = true
				s := b.scalerSSE(b.arg("p"), residual)
				zero := xmm(15)
				b.PXOR(zero, zero)
				b.depthwiseWalk(8, 2, 32, residual, func(w *depthwiseWalk) {
					b.MOVOU(mem(w.bias, 0), xmm(0))
					b.MOVOU(mem(w.bias, 16), xmm(1))
				}, func(w *depthwiseWalk) {
					b.MOVQ(b.tap(w, 0), xmm(12))
					b.MOVQ(b.tap(w, 1), xmm(13))
					b.PUNPCKLBW(xmm(13), xmm(12))
					b.PMOVZXBW(xmm(12), xmm(13))
					b.PUNPCKHBW(zero, xmm(12))
					b.MOVOU(mem(w.w, 0), xmm(2))
					b.MOVOU(mem(w.w, 16), xmm(14))
					b.PMADDWL(xmm(2), xmm(13))
					b.PMADDWL(xmm(14), xmm(12))
					b.PADDL(xmm(13), xmm(0))
					b.PADDL(xmm(12), xmm(1))
				}, func(w *depthwiseWalk) {
					for i := range 2 {
						b.MOVUPS(mem(w.mult, 16*i), xmm(14))
						var res operand.Op
						if residual {
							res = mem(w.res, 4*i)
						}
						s.scale(xmm(i), xmm(14), xmm(2), res)
					}
					s.store(xmm(0), xmm(1), w.n, w.dst)
				})
			}})
	}
	return f
}

func widenSSE() asmFile {
	return asmFile{name: "u8u16_widen_sse41", funcs: []asmFunc{{
		name: "U8U16WidenSSE41",
		sig:  "dst *uint16, src *byte, n int",
		doc: []string{"U8U16WidenSSE41 is", "", "\tdst[i] = uint16(src[i]), i < n", "",
			"It reads and writes up to 15 elements behind the n."},
		emit: func(b *builder) {
			dst, src, n := b.arg("dst"), b.arg("src"), b.arg("n")
			b.Label("loop")
			b.PMOVZXBW(mem(src, 0), xmm(0))
			b.PMOVZXBW(mem(src, 8), xmm(1))
			b.MOVOU(xmm(0), mem(dst, 0))
			b.MOVOU(xmm(1), mem(dst, 16))
			b.ADDQ(imm(16), src)
			b.ADDQ(imm(32), dst)
			b.SUBQ(imm(16), n)
			b.JG(operand.LabelRef("loop"))
			b.RET()
		},
	}}}
}
