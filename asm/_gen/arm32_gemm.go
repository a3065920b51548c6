package main

import "fmt"

// gemmNEON32 sums as gemmNEON does, with half the registers: the columns pass in two halves of four.
func gemmNEON32() file[*arm32] {
	const nr, kr = 8, 8
	f := file[*arm32]{name: "s8s8_gemm_2x8c8_neon"}
	for _, mr := range []int{2, 1} {
		name := fmt.Sprintf("S8S8Gemm%dx%dc%dNEON", mr, nr, kr)
		f.funcs = append(f.funcs, function[*arm32]{name: name, sig: gemmSig,
			doc:  gemmDoc(name, mr, nr, kr, "int8 a", "k is a multiple of 8 and at least 8. b has no -128: pairs of products must fit 16 bits."),
			emit: func(b *arm32) { b.gemm(mr) }})
	}
	return f
}

func (b *arm32) gemm(mr int) {
	c, a, panel, k := b.arg("c", 0), b.arg("a", 1), b.arg("b", 3), b.arg("k", 4)
	rows, w, left, half := []x{5, 6}[:mr], x(7), x(8), x(9)
	acc := func(i, j int) q { return q(8 + 4*i + j) }
	temp := func(i, j int) q { return q(4 + 2*(j%2) + i) }
	term := func(i, part int) d { return d(2*i + part) } // eight terms of a row, of two such parts
	if mr == 2 {
		b.arg("lda", 2)
	}
	b.linef("MOVW $2, %v", half)
	b.label("half")
	b.linef("MOVW %v, %v", a, rows[0])
	if mr == 2 {
		b.linef("ADD R2, %v, %v", a, rows[1])
	}
	b.linef("MOVW %v, %v", panel, w)
	for i := range mr {
		for j := range 4 {
			b.line(veor(acc(i, j), acc(i, j), acc(i, j)))
		}
	}
	b.linef("SUB.S $16, %v, %v", k, left)
	b.line("BLT rest")
	b.label("loop")
	// Two columns at a time: four products are under way, and the weights of the next two are loaded behind them.
	weights := func(pair int) {
		for part := range 2 {
			for j := range 2 {
				b.linef("MOVD %d(%v), F%d", 64*part+16*pair+8*j, w, 4+2*part+j)
			}
		}
	}
	each := func(pair int, f func(i, j int) string) {
		for j := range 2 {
			for i := range mr {
				b.line(f(i, 2*pair+j))
			}
		}
	}
	for i, r := range rows {
		b.line(vld1(term(i, 0), 2, r, true))
	}
	weights(0)
	for pair := range 2 {
		each(pair, func(i, j int) string { return vmull(temp(i, j), term(i, 0), d(4+j%2)) })
		each(pair, func(i, j int) string { return vmlal(temp(i, j), term(i, 1), d(6+j%2)) })
		if pair == 0 {
			weights(1)
		} else {
			b.linef("ADD $128, %v", w)
			b.linef("SUB.S $16, %v", left)
		}
		each(pair, func(i, j int) string { return vpadal(acc(i, j), temp(i, j)) })
	}
	b.line("BGE loop")
	b.label("rest")
	b.linef("ADD.S $16, %v", left)
	b.line("BEQ done")
	for i, r := range rows {
		b.line(vld1(term(i, 0), 1, r, false))
	}
	for j := range 4 {
		b.linef("MOVD %d(%v), F%d", 8*j, w, 4+j)
	}
	for pair := range 2 {
		each(pair, func(i, j int) string { return vmull(temp(i, j), term(i, 0), d(4+j)) })
		each(pair, func(i, j int) string { return vpadal(acc(i, j), temp(i, j)) })
	}
	b.label("done")
	b.linef("MOVW %v, %v", c, w)
	for i := range mr {
		for j := range 4 {
			b.line(vpadd(acc(i, j).low(), acc(i, j).low(), acc(i, j).high()))
		}
		s := acc(i, 0)
		b.line(vpadd(s.low(), acc(i, 0).low(), acc(i, 1).low()), vpadd(s.high(), acc(i, 2).low(), acc(i, 3).low()))
		b.line(vst1(s.low(), 2, w, false))
		if i < mr-1 {
			b.linef("ADD $32, %v", w)
		}
	}
	b.linef("ADD $16, %v", c)
	b.linef("ADD $32, %v", panel)
	b.linef("SUB.S $1, %v", half)
	b.line("BNE half", "RET")
}

// flipNEON32 makes values of stored bytes.
func flipNEON32() file[*arm32] {
	return file[*arm32]{name: "u8s8_flip_neon", funcs: []function[*arm32]{{
		name: "U8S8FlipNEON",
		sig:  "dst *byte, src *byte, n int",
		doc: []string{"U8S8FlipNEON is", "", "\tdst[i] = src[i] ^ 0x80, i < n", "",
			"It reads and writes up to 31 elements behind the n. dst may be src."},
		emit: func(b *arm32) {
			dst, src, n := b.arg("dst", 0), b.arg("src", 1), b.arg("n", 2)
			b.line(word32(0xF3800E50, 8, 0, 0, "vmov.i8 q4, #0x80"))
			b.label("loop")
			b.line(vld1(0, 4, src, true), veor(0, 0, 4), veor(1, 1, 4), vst1(0, 4, dst, true))
			b.linef("SUB.S $32, %v", n)
			b.line("BGT loop", "RET")
		},
	}}}
}
