package main

import (
	"encoding/binary"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func pixelsAVX512() asmFile {
	return asmFile{name: "u8_pixels_avx512", funcs: []asmFunc{
		{"U8S16BlendAVX512", blendSig, blendDoc("U8S16BlendAVX512"), func(b *builder) { b.blend(64, blendAVX512) }},
		{"S16UnzipAVX512", unzipSig, unzipDoc("S16UnzipAVX512"), unzipAVX512},
		{"S16Unzip3AVX512", unzip3Sig, unzip3Doc("S16Unzip3AVX512"), unzip3AVX512},
	}}
}

func pixelsAVX2() asmFile {
	return asmFile{name: "u8_pixels_avx2", funcs: []asmFunc{
		{"U8S16BlendAVX2", blendSig, blendDoc("U8S16BlendAVX2"), func(b *builder) { b.blend(32, blendAVX2) }},
		{"S16UnzipAVX2", unzipSig, unzipDoc("S16UnzipAVX2"), unzipAVX2},
		{"S16ReduceAVX2", reduceSig, reduceDoc("S16ReduceAVX2"), reduceAVX2},
		{"S16U8ColorAVX2", colorSig, colorDoc("S16U8ColorAVX2"), colorAVX2},
	}}
}

func pixelsSSE() asmFile {
	return asmFile{name: "u8_pixels_sse41", funcs: []asmFunc{
		{"U8S16BlendSSE41", blendSig, blendDoc("U8S16BlendSSE41"), func(b *builder) { b.blend(16, blendSSE) }},
		{"S16UnzipSSE41", unzipSig, unzipDoc("S16UnzipSSE41"), unzipSSE},
		{"S16Unzip3SSE41", unzip3Sig, unzip3Doc("S16Unzip3SSE41"), unzip3SSE},
		{"S16ReduceSSE41", reduceSig, reduceDoc("S16ReduceSSE41"), reduceSSE},
		{"S16U8ColorSSE41", colorSig, colorDoc("S16U8ColorSSE41"), colorSSE},
	}}
}

// bytes16 loads 16 bytes.
func (b *builder) bytes16(m [16]byte, to reg.VecPhysical) {
	word := b.GP64()
	x := to.AsX()
	for i := range 2 {
		b.MOVQ(operand.U64(binary.LittleEndian.Uint64(m[8*i:])), word)
		switch {
		case b.legacy && i == 0:
			b.MOVQ(word, x)
		case b.legacy:
			b.PINSRQ(imm8(1), word, x)
		case i == 0:
			b.VMOVQ(word, x)
		default:
			b.VPINSRQ(imm8(1), word, x, x)
		}
	}
}

// blendOps is what an instruction set does: registers 0 to 7 are sums, first the low halves of four vectors of bytes, then the
// high ones.
type blendOps struct {
	begin func(b *builder)
	tap   func(b *builder, coef reg.Register)                 // broadcasts a coefficient
	clear func(b *builder, q int)                             // the sums of vector q
	add   func(b *builder, m operand.Mem, q int)              // a vector of bytes
	store func(b *builder, dst reg.Register, disp int, q int) // its sums, in order
	end   func(b *builder)
}

// blend walks over blocks of four vectors of size bytes, then single vectors, the last of which may overlap the one before.
func (b *builder) blend(size int, ops blendOps) {
	dst, src, stride, n, coef, taps := b.arg("dst"), b.arg("src"), b.arg("stride"), b.arg("n"), b.arg("coef"), b.arg("taps")
	row, c, k := b.GP64(), b.GP64(), b.GP64()
	ops.begin(b)
	block := func(vectors int) {
		again := b.label("tap")
		for q := range vectors {
			ops.clear(b, q)
		}
		b.MOVQ(src, row)
		b.MOVQ(coef, c)
		b.MOVQ(taps, k)
		b.Label(again)
		ops.tap(b, c)
		for q := range vectors {
			ops.add(b, mem(row, size*q), q)
		}
		b.ADDQ(stride, row)
		b.ADDQ(imm(2), c)
		b.DECQ(k)
		b.JNE(operand.LabelRef(again))
		for q := range vectors {
			ops.store(b, dst, 2*size*q, q)
		}
		b.ADDQ(imm(size*vectors), src)
		b.ADDQ(imm(2*size*vectors), dst)
		b.SUBQ(imm(size*vectors), n)
	}
	b.Label("four")
	b.CMPQ(n, imm(4*size))
	b.JL(operand.LabelRef("one"))
	block(4)
	b.JMP(operand.LabelRef("four"))
	b.Label("one")
	b.CMPQ(n, imm(0))
	b.JE(operand.LabelRef("done"))
	b.CMPQ(n, imm(size))
	b.JGE(operand.LabelRef("whole"))
	b.SUBQ(imm(size), n) // back by what is missing
	b.ADDQ(n, src)
	b.LEAQ(operand.Mem{Base: dst, Index: n, Scale: 2}, dst)
	b.MOVQ(operand.I32(size), n)
	b.Label("whole")
	block(1)
	b.JMP(operand.LabelRef("one"))
	b.Label("done")
	ops.end(b)
	b.RET()
}

// A byte less 128, times 256, is the byte with its top bit flipped above eight zero bits.
var blendAVX2 = blendOps{
	begin: func(b *builder) {
		b.VPCMPEQW(ymm(15), ymm(15), ymm(15))
		b.VPSLLW(imm8(15), ymm(15), ymm(15))
		b.VPXOR(ymm(14), ymm(14), ymm(14))
		b.VPACKSSWB(ymm(15), ymm(15), ymm(15)) // -32768 saturates to the byte 0x80
	},
	tap:   func(b *builder, coef reg.Register) { b.VPBROADCASTW(mem(coef, 0), ymm(13)) },
	clear: func(b *builder, q int) { b.zero(ymm(q)); b.zero(ymm(4 + q)) },
	add: func(b *builder, m operand.Mem, q int) {
		x, lo, hi := ymm(8), ymm(9+2*(q%2)), ymm(10+2*(q%2))
		b.VPXOR(m, ymm(15), x)
		b.VPUNPCKLBW(x, ymm(14), lo)
		b.VPUNPCKHBW(x, ymm(14), hi)
		b.VPMULHRSW(ymm(13), lo, lo)
		b.VPMULHRSW(ymm(13), hi, hi)
		b.VPADDW(lo, ymm(q), ymm(q))
		b.VPADDW(hi, ymm(4+q), ymm(4+q))
	},
	store: func(b *builder, dst reg.Register, disp, q int) {
		b.VPERM2I128(imm8(0x20), ymm(4+q), ymm(q), ymm(8))
		b.VPERM2I128(imm8(0x31), ymm(4+q), ymm(q), ymm(9))
		b.VMOVDQU(ymm(8), mem(dst, disp))
		b.VMOVDQU(ymm(9), mem(dst, disp+32))
	},
	end: func(b *builder) { b.VZEROUPPER() },
}

var blendAVX512 = blendOps{
	begin: func(b *builder) {
		flip := b.GP32()
		b.MOVL(operand.U32(0x80808080), flip)
		b.VPBROADCASTD(flip, zmm(15))
		b.zero(zmm(14))
		for i, order := range [][]byte{{0, 1, 8, 9, 2, 3, 10, 11}, {4, 5, 12, 13, 6, 7, 14, 15}} {
			var m [16]byte
			copy(m[:], order)
			b.bytes16(m, xmm(0))
			b.VPMOVZXBQ(xmm(0), zmm(16+i))
		}
	},
	tap:   func(b *builder, coef reg.Register) { b.VPBROADCASTW(mem(coef, 0), zmm(13)) },
	clear: func(b *builder, q int) { b.zero(zmm(q)); b.zero(zmm(4 + q)) },
	add: func(b *builder, m operand.Mem, q int) {
		x, lo, hi := zmm(18+q), zmm(22+2*q), zmm(23+2*q)
		b.VPXORD(m, zmm(15), x)
		b.VPUNPCKLBW(x, zmm(14), lo)
		b.VPUNPCKHBW(x, zmm(14), hi)
		b.VPMULHRSW(zmm(13), lo, lo)
		b.VPMULHRSW(zmm(13), hi, hi)
		b.VPADDW(lo, zmm(q), zmm(q))
		b.VPADDW(hi, zmm(4+q), zmm(4+q))
	},
	store: func(b *builder, dst reg.Register, disp, q int) {
		b.VMOVDQA64(zmm(q), zmm(8))
		b.VPERMT2Q(zmm(4+q), zmm(16), zmm(8))
		b.VPERMT2Q(zmm(4+q), zmm(17), zmm(q))
		b.VMOVDQU64(zmm(8), mem(dst, disp))
		b.VMOVDQU64(zmm(q), mem(dst, disp+64))
	},
	end: func(b *builder) { b.VZEROUPPER() },
}

var blendSSE = blendOps{
	begin: func(b *builder) {
		b.PCMPEQW(xmm(15), xmm(15))
		b.PSLLW(imm8(15), xmm(15))
		b.PACKSSWB(xmm(15), xmm(15))
	},
	tap: func(b *builder, coef reg.Register) {
		b.PINSRW(imm8(0), mem(coef, 0), xmm(13))
		b.PSHUFLW(imm8(0), xmm(13), xmm(13))
		b.PSHUFD(imm8(0), xmm(13), xmm(13))
	},
	clear: func(b *builder, q int) { b.PXOR(xmm(q), xmm(q)); b.PXOR(xmm(4+q), xmm(4+q)) },
	add: func(b *builder, m operand.Mem, q int) {
		x, lo, hi := xmm(8), xmm(9+2*(q%2)), xmm(10+2*(q%2))
		b.MOVOU(m, x)
		b.PXOR(xmm(15), x)
		b.PXOR(lo, lo)
		b.PXOR(hi, hi)
		b.PUNPCKLBW(x, lo)
		b.PUNPCKHBW(x, hi)
		b.PMULHRSW(xmm(13), lo)
		b.PMULHRSW(xmm(13), hi)
		b.PADDW(lo, xmm(q))
		b.PADDW(hi, xmm(4+q))
	},
	store: func(b *builder, dst reg.Register, disp, q int) {
		b.MOVOU(xmm(q), mem(dst, disp))
		b.MOVOU(xmm(4+q), mem(dst, disp+16))
	},
	end: func(*builder) {},
}

// walk emits a loop that does step numbers at a time, and moves pointers by that many times their size.
func (b *builder) walk(step int, n reg.Register, sizes map[reg.Register]int, order []reg.Register, body func()) {
	b.Label("loop")
	body()
	for _, p := range order {
		b.ADDQ(imm(step*sizes[p]), p)
	}
	b.SUBQ(imm(step), n)
	b.JG(operand.LabelRef("loop"))
}

func unzipAVX2(b *builder) {
	even, odd, src, n := b.arg("even"), b.arg("odd"), b.arg("src"), b.arg("n")
	b.bytes16(unzipMask(), ymm(15))
	b.VINSERTI128(imm8(1), xmm(15), ymm(15), ymm(15))
	b.walk(16, n, map[reg.Register]int{even: 2, odd: 2, src: 4}, []reg.Register{even, odd, src}, func() {
		for i := range 2 {
			b.VMOVDQU(mem(src, 32*i), ymm(i))
			b.VPSHUFB(ymm(15), ymm(i), ymm(i))
			b.VPERMQ(imm8(0xD8), ymm(i), ymm(i))
		}
		b.VPERM2I128(imm8(0x20), ymm(1), ymm(0), ymm(2))
		b.VPERM2I128(imm8(0x31), ymm(1), ymm(0), ymm(3))
		b.VMOVDQU(ymm(2), mem(even, 0))
		b.VMOVDQU(ymm(3), mem(odd, 0))
	})
	b.VZEROUPPER()
	b.RET()
}

func unzipSSE(b *builder) {
	b.legacy = true
	even, odd, src, n := b.arg("even"), b.arg("odd"), b.arg("src"), b.arg("n")
	b.bytes16(unzipMask(), xmm(15))
	b.walk(8, n, map[reg.Register]int{even: 2, odd: 2, src: 4}, []reg.Register{even, odd, src}, func() {
		for i := range 2 {
			b.MOVOU(mem(src, 16*i), xmm(i))
			b.PSHUFB(xmm(15), xmm(i))
		}
		b.MOVO(xmm(0), xmm(2))
		b.PUNPCKLQDQ(xmm(1), xmm(0))
		b.PUNPCKHQDQ(xmm(1), xmm(2))
		b.MOVOU(xmm(0), mem(even, 0))
		b.MOVOU(xmm(2), mem(odd, 0))
	})
	b.RET()
}

// indexW fills v with 32 numbers below 256.
func (b *builder) indexW(v int, at func(i int) int) {
	for half := range 2 {
		var m [16]byte
		for i := range m {
			m[i] = byte(at(16*half + i))
		}
		b.bytes16(m, ymm(half))
	}
	b.VINSERTI128(imm8(1), xmm(1), ymm(0), ymm(0))
	b.VPMOVZXBW(ymm(0), zmm(v))
}

func unzipAVX512(b *builder) {
	even, odd, src, n := b.arg("even"), b.arg("odd"), b.arg("src"), b.arg("n")
	b.indexW(15, func(i int) int { return 2 * i })
	b.indexW(14, func(i int) int { return 2*i + 1 })
	b.walk(32, n, map[reg.Register]int{even: 2, odd: 2, src: 4}, []reg.Register{even, odd, src}, func() {
		b.VMOVDQU64(mem(src, 0), zmm(0))
		b.VMOVDQU64(mem(src, 64), zmm(1))
		b.VMOVDQA64(zmm(0), zmm(2))
		b.VPERMT2W(zmm(1), zmm(15), zmm(0))
		b.VPERMT2W(zmm(1), zmm(14), zmm(2))
		b.VMOVDQU64(zmm(0), mem(even, 0))
		b.VMOVDQU64(zmm(2), mem(odd, 0))
	})
	b.VZEROUPPER()
	b.RET()
}

// unzip3AVX512: of 96 numbers in three registers, the first two give all but the last ten or eleven of a channel.
func unzip3AVX512(b *builder) {
	dst := [3]reg.GPVirtual{b.arg("a"), b.arg("b"), b.arg("c")}
	src, n := b.arg("src"), b.arg("n")
	masks := [3]reg.Register{reg.K1, reg.K2, reg.K3}
	for ch := range 3 {
		b.indexW(13+ch, func(i int) int { return 3*i + ch })
		m := b.GP32()
		b.MOVL(operand.U32(uint32(0xFFFFFFFF)<<((64-ch+2)/3)), m)
		b.KMOVD(m, masks[ch])
	}
	b.walk(32, n, map[reg.Register]int{dst[0]: 2, dst[1]: 2, dst[2]: 2, src: 6}, []reg.Register{dst[0], dst[1], dst[2], src}, func() {
		for i := range 3 {
			b.VMOVDQU64(mem(src, 64*i), zmm(i))
		}
		for ch := range 3 {
			b.VMOVDQA64(zmm(0), zmm(3+ch))
			b.VPERMT2W(zmm(1), zmm(13+ch), zmm(3+ch))
			b.VPERMW(zmm(2), zmm(13+ch), masks[ch], zmm(3+ch))
			b.VMOVDQU64(zmm(3+ch), mem(dst[ch], 0))
		}
	})
	b.VZEROUPPER()
	b.RET()
}

func unzip3SSE(b *builder) {
	b.legacy = true
	dst := [3]reg.GPVirtual{b.arg("a"), b.arg("b"), b.arg("c")}
	src, n := b.arg("src"), b.arg("n")
	for i := range 9 {
		b.bytes16(unzip3Mask(i/3, i%3), xmm(7+i))
	}
	b.walk(8, n, map[reg.Register]int{dst[0]: 2, dst[1]: 2, dst[2]: 2, src: 6}, []reg.Register{dst[0], dst[1], dst[2], src}, func() {
		for i := range 3 {
			b.MOVOU(mem(src, 16*i), xmm(i))
		}
		for ch := range 3 {
			for part := range 3 {
				b.MOVO(xmm(part), xmm(3+part))
				b.PSHUFB(xmm(7+3*ch+part), xmm(3+part))
			}
			b.POR(xmm(4), xmm(3))
			b.POR(xmm(5), xmm(3))
			b.MOVOU(xmm(3), mem(dst[ch], 0))
		}
	})
	b.RET()
}

// reducePairs emits the walk over eight results, pair by pair: take does one block of a pair's two windows.
func (b *builder) reducePairs(begin func(pair int), take func(pair int, x, y, c operand.Mem), finish func(dst reg.Register)) {
	dst, src, first, coef, blocks, n := b.arg("dst"), b.arg("src"), b.arg("first"), b.arg("coef"), b.arg("blocks"), b.arg("n")
	x, y, k := b.GP64(), b.GP64(), b.GP64()
	b.SHLQ(imm8(4), blocks) // bytes of a window
	b.Label("eight")
	for pair := range 4 {
		again := b.label("block")
		begin(pair)
		b.MOVLQSX(mem(first, 8*pair), x)
		b.MOVLQSX(mem(first, 8*pair+4), y)
		b.LEAQ(operand.Mem{Base: src, Index: x, Scale: 2}, x)
		b.LEAQ(operand.Mem{Base: src, Index: y, Scale: 2}, y)
		b.XORL(k.As32(), k.As32())
		b.Label(again)
		at := func(p reg.Register, scale uint8, disp int) operand.Mem {
			return operand.Mem{Base: p, Index: k, Scale: scale, Disp: disp}
		}
		take(pair, at(x, 1, 0), at(y, 1, 0), at(coef, 2, 0))
		b.ADDQ(imm(16), k)
		b.CMPQ(k, blocks)
		b.JLT(operand.LabelRef(again))
		b.LEAQ(at(coef, 2, 0), coef)
	}
	finish(dst)
	b.ADDQ(imm(32), first)
	b.ADDQ(imm(16), dst)
	b.SUBQ(imm(8), n)
	b.JG(operand.LabelRef("eight"))
}

// reduceAVX2: the even windows in the lower half of a register, the odd ones in the upper.
func reduceAVX2(b *builder) {
	half := ymm(15)
	b.VPCMPEQD(half, half, half)
	b.VPSRLD(imm8(31), half, half)
	b.VPSLLD(imm8(15), half, half)
	b.reducePairs(func(pair int) { b.zero(ymm(pair)) }, func(pair int, x, y, c operand.Mem) {
		b.VMOVDQU(x, xmm(8))
		b.VINSERTI128(imm8(1), y, ymm(8), ymm(8))
		b.VPMADDWD(c, ymm(8), ymm(8))
		b.VPADDD(ymm(8), ymm(pair), ymm(pair))
	}, func(dst reg.Register) {
		b.VPHADDD(ymm(1), ymm(0), ymm(0))
		b.VPHADDD(ymm(3), ymm(2), ymm(2))
		b.VPHADDD(ymm(2), ymm(0), ymm(0))
		b.VPADDD(half, ymm(0), ymm(0))
		b.VPSRAD(imm8(16), ymm(0), ymm(0))
		b.VPACKSSDW(ymm(0), ymm(0), ymm(0))
		b.VEXTRACTI128(imm8(1), ymm(0), xmm(1))
		b.VPUNPCKLWD(xmm(1), xmm(0), xmm(0))
		b.VMOVDQU(xmm(0), mem(dst, 0))
	})
	b.VZEROUPPER()
	b.RET()
}

func reduceSSE(b *builder) {
	half := xmm(15)
	b.PCMPEQL(half, half)
	b.PSRLL(imm8(31), half)
	b.PSLLL(imm8(15), half)
	b.reducePairs(func(pair int) { b.PXOR(xmm(pair), xmm(pair)); b.PXOR(xmm(4+pair), xmm(4+pair)) }, func(pair int, x, y, c operand.Mem) {
		for i, m := range []operand.Mem{x, y} {
			at := c
			at.Disp = 16 * i
			b.MOVOU(m, xmm(8+i))
			b.MOVOU(at, xmm(10+i))
			b.PMADDWL(xmm(10+i), xmm(8+i))
			b.PADDL(xmm(8+i), xmm(4*i+pair))
		}
	}, func(dst reg.Register) {
		for i := range 2 {
			b.PHADDD(xmm(4*i+1), xmm(4*i))
			b.PHADDD(xmm(4*i+3), xmm(4*i+2))
			b.PHADDD(xmm(4*i+2), xmm(4*i))
			b.PADDL(half, xmm(4*i))
			b.PSRAL(imm8(16), xmm(4*i))
			b.PACKSSLW(xmm(4*i), xmm(4*i))
		}
		b.PUNPCKLWL(xmm(4), xmm(0))
		b.MOVOU(xmm(0), mem(dst, 0))
	})
	b.RET()
}

// colorWalk emits the walk over step pixels at a time, the last of which may overlap those before.
func (b *builder) colorWalk(step int, body func(dst, m reg.Register, src [3]reg.GPVirtual)) {
	dst, m, n := b.arg("dst"), b.arg("m"), b.arg("n")
	src := [3]reg.GPVirtual{b.arg("a"), b.arg("b"), b.arg("c")}
	b.Label("loop")
	b.CMPQ(n, imm(step))
	b.JGE(operand.LabelRef("whole"))
	b.SUBQ(imm(step), n) // back by what is missing
	b.ADDQ(n, dst)
	b.LEAQ(operand.Mem{Base: dst, Index: n, Scale: 2}, dst)
	for _, s := range src {
		b.LEAQ(operand.Mem{Base: s, Index: n, Scale: 2}, s)
	}
	b.MOVQ(operand.I32(step), n)
	b.Label("whole")
	body(dst, m, src)
	for _, s := range src {
		b.ADDQ(imm(2*step), s)
	}
	b.ADDQ(imm(3*step), dst)
	b.SUBQ(imm(step), n)
	b.JG(operand.LabelRef("loop"))
}

// colorAVX2: pairs of a and b, of c and c; then 8 pixels of red and green, and of blue, in each half of a register.
func colorAVX2(b *builder) {
	for i, at := range []int{0, 16} {
		rg, bl := interleaveMask(at)
		b.bytes16(rg, ymm(12+2*i))
		b.bytes16(bl, ymm(13+2*i))
	}
	for i := 12; i < 16; i++ {
		b.VINSERTI128(imm8(1), xmm(i), ymm(i), ymm(i))
	}
	b.colorWalk(16, func(dst, m reg.Register, src [3]reg.GPVirtual) {
		b.VMOVDQU(mem(src[0], 0), ymm(8))
		b.VMOVDQU(mem(src[1], 0), ymm(9))
		b.VMOVDQU(mem(src[2], 0), ymm(10))
		b.VPUNPCKLWD(ymm(9), ymm(8), ymm(0))
		b.VPUNPCKHWD(ymm(9), ymm(8), ymm(1))
		b.VPUNPCKLWD(ymm(10), ymm(10), ymm(2))
		b.VPUNPCKHWD(ymm(10), ymm(10), ymm(3))
		for ch := range 3 {
			for half := range 2 {
				x, y := ymm(8+half), ymm(10)
				b.VPMADDWD(mem(m, 64*ch), ymm(half), x)
				b.VPMADDWD(mem(m, 64*ch+32), ymm(2+half), y)
				b.VPADDD(mem(m, 192+32*ch), x, x)
				b.VPADDD(y, x, x)
				b.VPSRAD(imm8(20), x, x)
			}
			b.VPACKSSDW(ymm(9), ymm(8), ymm(4+ch))
		}
		b.VPACKUSWB(ymm(5), ymm(4), ymm(4))
		b.VPACKUSWB(ymm(6), ymm(6), ymm(6))
		for i := range 2 {
			b.VPSHUFB(ymm(12+2*i), ymm(4), ymm(8+i))
			b.VPSHUFB(ymm(13+2*i), ymm(6), ymm(10))
			b.VPOR(ymm(10), ymm(8+i), ymm(8+i))
		}
		for half := range 2 {
			if half == 1 {
				b.VEXTRACTI128(imm8(1), ymm(8), xmm(8))
				b.VEXTRACTI128(imm8(1), ymm(9), xmm(9))
			}
			b.VMOVDQU(xmm(8), mem(dst, 24*half))
			b.VMOVQ(xmm(9), mem(dst, 24*half+16))
		}
	})
	b.VZEROUPPER()
	b.RET()
}

func colorSSE(b *builder) {
	b.legacy = true
	for i, at := range []int{0, 16} {
		rg, bl := interleaveMask(at)
		b.bytes16(rg, xmm(12+2*i))
		b.bytes16(bl, xmm(13+2*i))
	}
	b.colorWalk(8, func(dst, m reg.Register, src [3]reg.GPVirtual) {
		for i := range 3 {
			b.MOVOU(mem(src[i], 0), xmm(8+i))
		}
		b.MOVO(xmm(8), xmm(0))
		b.MOVO(xmm(8), xmm(1))
		b.MOVO(xmm(10), xmm(2))
		b.MOVO(xmm(10), xmm(3))
		b.PUNPCKLWL(xmm(9), xmm(0))
		b.PUNPCKHWL(xmm(9), xmm(1))
		b.PUNPCKLWL(xmm(10), xmm(2))
		b.PUNPCKHWL(xmm(10), xmm(3))
		for ch := range 3 {
			for half := range 2 {
				x, y := xmm(8+half), xmm(10)
				b.MOVOU(mem(m, 64*ch), x)
				b.PMADDWL(xmm(half), x)
				b.MOVOU(mem(m, 64*ch+32), y)
				b.PMADDWL(xmm(2+half), y)
				b.PADDL(y, x)
				b.MOVOU(mem(m, 192+32*ch), y)
				b.PADDL(y, x)
				b.PSRAL(imm8(20), x)
			}
			b.PACKSSLW(xmm(9), xmm(8))
			b.MOVO(xmm(8), xmm(4+ch))
		}
		b.PACKUSWB(xmm(5), xmm(4))
		b.PACKUSWB(xmm(6), xmm(6))
		b.MOVO(xmm(4), xmm(5))
		b.MOVO(xmm(6), xmm(7))
		b.PSHUFB(xmm(12), xmm(4))
		b.PSHUFB(xmm(13), xmm(6))
		b.POR(xmm(6), xmm(4))
		b.PSHUFB(xmm(14), xmm(5))
		b.PSHUFB(xmm(15), xmm(7))
		b.POR(xmm(7), xmm(5))
		b.MOVOU(xmm(4), mem(dst, 0))
		b.MOVQ(xmm(5), mem(dst, 16))
	})
	b.RET()
}
