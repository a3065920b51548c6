package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The transforms of Winograd's method are written once, in instructions with three operands. For SSE4.1 the methods of this file
// emit what legacy encoding has instead: a copy first where the destination is not a source.

var winoSSE = winoVec{"SSE41", 16, xmm, 16}

// legacyScratch is lost where a destination is the subtrahend.
var legacyScratch = xmm(12)

// three emits d = s1 op s2, op being of two operands.
func (b *builder) three(op func(s, d operand.Op), commutes bool, s2, s1, d operand.Op) {
	switch {
	case d == s1:
		op(s2, d)
	case d == s2 && commutes:
		op(s1, d)
	case d == s2:
		b.MOVO(s1, legacyScratch)
		op(s2, legacyScratch)
		b.MOVO(legacyScratch, d)
	default:
		b.MOVO(s1, d)
		op(s2, d)
	}
}

func (b *builder) either(vex func(...operand.Op), op func(s, d operand.Op), commutes bool, ops []operand.Op) {
	if b.legacy {
		b.three(op, commutes, ops[0], ops[1], ops[2])
	} else {
		vex(ops...)
	}
}

func (b *builder) VPADDW(ops ...operand.Op)  { b.either(b.Context.VPADDW, b.PADDW, true, ops) }
func (b *builder) VPSUBW(ops ...operand.Op)  { b.either(b.Context.VPSUBW, b.PSUBW, false, ops) }
func (b *builder) VPADDD(ops ...operand.Op)  { b.either(b.Context.VPADDD, b.PADDL, true, ops) }
func (b *builder) VPSUBD(ops ...operand.Op)  { b.either(b.Context.VPSUBD, b.PSUBL, false, ops) }
func (b *builder) VPMULLW(ops ...operand.Op) { b.either(b.Context.VPMULLW, b.PMULLW, true, ops) }
func (b *builder) VPMULLD(ops ...operand.Op) { b.either(b.Context.VPMULLD, b.PMULLD, true, ops) }
func (b *builder) VPSLLW(ops ...operand.Op)  { b.either(b.Context.VPSLLW, b.PSLLW, false, ops) }
func (b *builder) VPSLLD(ops ...operand.Op)  { b.either(b.Context.VPSLLD, b.PSLLL, false, ops) }
func (b *builder) VPSRAD(ops ...operand.Op)  { b.either(b.Context.VPSRAD, b.PSRAL, false, ops) }

func (b *builder) VPMOVZXBW(ops ...operand.Op) {
	if b.legacy {
		b.PMOVZXBW(ops[0], ops[1])
	} else {
		b.Context.VPMOVZXBW(ops...)
	}
}

func (b *builder) VPMOVSXBW(ops ...operand.Op) {
	if b.legacy {
		b.PMOVSXBW(ops[0], ops[1])
	} else {
		b.Context.VPMOVSXBW(ops...)
	}
}

// fill fills r, by way of register 0, with the 32 bits of v.
func (v winoVec) fill(b *builder, bits uint32, r reg.VecPhysical) {
	t := b.GP32()
	b.MOVL(operand.U32(bits), t)
	if b.legacy {
		b.MOVD(t, r)
		b.PSHUFD(imm8(0), r, r)
		return
	}
	b.VMOVD(t, xmm(0))
	b.VPBROADCASTD(xmm(0), r)
}

// finish ends a function.
func (v winoVec) finish(b *builder) {
	if !b.legacy {
		b.VZEROUPPER()
	}
	b.RET()
}

// gemm16SSE: as gemm16AVX2.
func gemm16SSE() asmFile {
	const nr = 8
	f := asmFile{name: "s16s16_gemm_6x8c2_sse41"}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("S16S16Gemm%dx%dc2SSE41", mr, nr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemm16Sig, doc: gemm16Doc(name, mr, nr), emit: func(b *builder) {
			b.gemmSSE(mr, 2, 32, func(w reg.Register, s int, w0, w1 reg.VecPhysical) {
				b.MOVOU(mem(w, 32*s), w0)
				b.MOVOU(mem(w, 32*s+16), w1)
			}, func(weights, t reg.VecPhysical) {
				b.PMADDWL(weights, t)
			})
		}})
	}
	return f
}
