package main

import "github.com/mmcloughlin/avo/operand"

func widenAVX2() asmFile {
	return asmFile{name: "u8u16_widen_avx2", funcs: []asmFunc{{
		name: "U8U16WidenAVX2",
		sig:  "dst *uint16, src *byte, n int",
		doc: []string{"U8U16WidenAVX2 is", "", "\tdst[i] = uint16(src[i]), i < n", "",
			"It reads and writes up to 31 elements behind the n."},
		emit: func(b *builder) {
			dst, src, n := b.arg("dst"), b.arg("src"), b.arg("n")
			b.Label("loop")
			b.VPMOVZXBW(mem(src, 0), ymm(0))
			b.VPMOVZXBW(mem(src, 16), ymm(1))
			b.VMOVDQU(ymm(0), mem(dst, 0))
			b.VMOVDQU(ymm(1), mem(dst, 32))
			b.ADDQ(imm(32), src)
			b.ADDQ(imm(64), dst)
			b.SUBQ(imm(32), n)
			b.JG(operand.LabelRef("loop"))
			b.VZEROUPPER()
			b.RET()
		},
	}}}
}
