package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What the loader does with every weight of a model: it adds them up, and lays them out for the kernels.

// Offsets in Scan; a test of package asm holds them.
const (
	offPos  = 0
	offNeg  = 4
	offOver = 8
	offLow  = 12
)

// scanAVX2: 32 weights at a time, parted by sign and added two by two.
func scanAVX2() asmFile {
	return asmFile{name: "s8_scan_avx2", funcs: []asmFunc{{
		name: "S8ScanAVX2",
		sig:  "w *int8, n int, s *Scan",
		doc: []string{"S8ScanAVX2 fills in s for the n weights at w; n is a multiple of 32, from 32 to 1<<20.", "",
			"\ts.Pos, s.Neg = the sum of the positive weights, and of the negative ones without sign",
			"\ts.Over = 1 if the same of some pair w[2*i], w[2*i+1] is above 128, else 0",
			"\ts.Low = 1 if a weight is -128, else 0"},
		emit: func(b *builder) {
			w, n, s := b.arg("w"), b.arg("n"), b.arg("s")
			v, plus, minus := ymm(0), ymm(1), ymm(2)
			pos, neg, pair, least := ymm(3), ymm(4), ymm(5), ymm(6)
			zero, bytes, words := ymm(7), ymm(8), ymm(9)
			for _, r := range []reg.VecPhysical{pos, neg, pair, least, zero} {
				b.VPXOR(r, r, r)
			}
			b.VPCMPEQW(words, words, words)
			b.VPSRLW(imm8(15), words, words)
			b.VPACKUSWB(words, words, bytes)
			b.Label("loop")
			b.VMOVDQU(mem(w, 0), v)
			b.VPMINSB(v, least, least)
			b.VPMAXSB(v, zero, plus)
			b.VPSUBB(v, plus, minus) // of -128 it is 128, without sign
			b.VPMADDUBSW(bytes, plus, plus)
			b.VPMADDUBSW(bytes, minus, minus)
			b.VPMAXSW(plus, pair, pair)
			b.VPMAXSW(minus, pair, pair)
			b.VPMADDWD(words, plus, plus)
			b.VPMADDWD(words, minus, minus)
			b.VPADDD(plus, pos, pos)
			b.VPADDD(minus, neg, neg)
			b.ADDQ(imm(32), w)
			b.SUBQ(imm(32), n)
			b.JG(operand.LabelRef("loop"))

			// The first element becomes the sum, or the extreme, of all.
			fold := func(r reg.VecPhysical, both func(a, b, to reg.VecPhysical)) reg.VecPhysical {
				x, t := r.AsX().(reg.VecPhysical), xmm(0)
				b.VEXTRACTI128(imm8(1), r, t)
				both(t, x, x)
				for _, order := range []int{0x4E, 0xB1} {
					b.VPSHUFD(imm8(order), x, t)
					both(t, x, x)
				}
				return x
			}
			add := func(v, w, to reg.VecPhysical) { b.VPADDD(v, w, to) }
			b.VMOVD(fold(pos, add), mem(s, offPos))
			b.VMOVD(fold(neg, add), mem(s, offNeg))
			x := fold(pair, func(v, w, to reg.VecPhysical) { b.VPMAXSW(v, w, to) })
			b.VPSRLD(imm8(16), x, xmm(0))
			b.VPMAXSW(xmm(0), x, x)
			flag := b.GP32()
			tell := func(limit int, set func(operand.Op), field int) {
				b.CMPL(flag, imm(limit))
				set(flag.As8())
				b.MOVBLZX(flag.As8(), flag)
				b.MOVL(flag, mem(s, field))
			}
			b.VPEXTRW(imm8(0), x, flag)
			tell(128, func(f operand.Op) { b.SETGT(f) }, offOver)
			x = fold(least, func(v, w, to reg.VecPhysical) { b.VPMINSB(v, w, to) })
			for _, shift := range []int{16, 8} {
				b.VPSRLD(imm8(shift), x, xmm(0))
				b.VPMINSB(xmm(0), x, x)
			}
			b.VPMOVSXBD(x, x)
			b.VMOVD(x, flag)
			tell(-128, func(f operand.Op) { b.SETEQ(f) }, offLow)
			b.VZEROUPPER()
			b.RET()
		},
	}}}
}

func spreadDoc(name string, kr int) []string {
	return []string{fmt.Sprintf("%s lays out groups of %d weights of 8 columns: for j < 8, g < groups, t < %d:", name, kr, kr), "",
		fmt.Sprintf("\tdst[step*g+%d*j+t] = src[lda*j+%d*g+t]", kr, kr), "",
		"groups is a multiple of 16, and at least 16."}
}

// spreadAVX2: transposes 8 columns of doublewords, or of words.
func spreadAVX2() asmFile {
	f := asmFile{name: "s8_spread_avx2"}
	for _, kr := range []int{4, 2} {
		name := fmt.Sprintf("S8Spread8x%dAVX2", kr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: "dst *int8, step int, src *int8, lda int, groups int", doc: spreadDoc(name, kr), emit: func(b *builder) {
			groups := 32 / kr // of a register
			src, dst := b.rowsAt("src", "lda", 8), b.rowsAt("dst", "step", 8)
			n, move := b.arg("groups"), b.GP64()
			b.MOVQ(dst.odd[1], move)
			b.SHLQ(imm(3), move) // 8 groups
			b.Label("loop")
			for i := range 8 {
				b.VMOVDQU(src.at(i, 0), ymm(i))
			}
			if kr == 4 {
				b.transpose8x4()
			} else {
				b.transpose8x2()
			}
			for g := range 8 {
				if kr == 4 {
					b.VMOVDQU(ymm(8+g), dst.at(g, 0))
				} else {
					b.VMOVDQU(xmm(8+g), dst.at(g, 0))
				}
			}
			b.ADDQ(move, dst.base)
			if kr == 2 {
				for g := range 8 {
					b.VEXTRACTI128(imm8(1), ymm(8+g), dst.at(g, 0))
				}
				b.ADDQ(move, dst.base)
			}
			b.ADDQ(imm(32), src.base)
			b.SUBQ(imm(groups), n)
			b.JG(operand.LabelRef("loop"))
			b.VZEROUPPER()
			b.RET()
		}})
	}
	return f
}

// transpose8x4 leaves doubleword g of registers 0 to 7 in register 8+g.
func (b *builder) transpose8x4() {
	for i := range 4 { // pairs of columns: doublewords 0 1 | 4 5, and 2 3 | 6 7
		b.VPUNPCKLDQ(ymm(2*i+1), ymm(2*i), ymm(8+2*i))
		b.VPUNPCKHDQ(ymm(2*i+1), ymm(2*i), ymm(9+2*i))
	}
	for i := range 2 { // four columns: doubleword d | d+4 in register 4*i+d
		b.VPUNPCKLQDQ(ymm(10+4*i), ymm(8+4*i), ymm(4*i))
		b.VPUNPCKHQDQ(ymm(10+4*i), ymm(8+4*i), ymm(4*i+1))
		b.VPUNPCKLQDQ(ymm(11+4*i), ymm(9+4*i), ymm(4*i+2))
		b.VPUNPCKHQDQ(ymm(11+4*i), ymm(9+4*i), ymm(4*i+3))
	}
	for d := range 4 {
		b.VPERM2I128(imm8(0x20), ymm(4+d), ymm(d), ymm(8+d))
		b.VPERM2I128(imm8(0x31), ymm(4+d), ymm(d), ymm(12+d))
	}
}

// transpose8x2 leaves words g and g+8 of registers 0 to 7 in the halves of register 8+g.
func (b *builder) transpose8x2() {
	for i := range 4 { // pairs of columns: words 0-3 | 8-11, and 4-7 | 12-15
		b.VPUNPCKLWD(ymm(2*i+1), ymm(2*i), ymm(8+2*i))
		b.VPUNPCKHWD(ymm(2*i+1), ymm(2*i), ymm(9+2*i))
	}
	for i := range 2 { // four columns: words 2*d, 2*d+1 | 8 more in register 4*i+d
		b.VPUNPCKLDQ(ymm(10+4*i), ymm(8+4*i), ymm(4*i))
		b.VPUNPCKHDQ(ymm(10+4*i), ymm(8+4*i), ymm(4*i+1))
		b.VPUNPCKLDQ(ymm(11+4*i), ymm(9+4*i), ymm(4*i+2))
		b.VPUNPCKHDQ(ymm(11+4*i), ymm(9+4*i), ymm(4*i+3))
	}
	for d := range 4 {
		b.VPUNPCKLQDQ(ymm(4+d), ymm(d), ymm(8+2*d))
		b.VPUNPCKHQDQ(ymm(4+d), ymm(d), ymm(9+2*d))
	}
}
