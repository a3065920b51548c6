package main

import "fmt"

// gemmF32NEON: FMLA by element: a register holds one term of four columns, its other operand four terms of a row.
func gemmF32NEON() file[*arm] {
	const nr = 8
	f := file[*arm]{name: "f32_gemm_8x8c1_neon"}
	for _, mr := range []int{8, 4, 2, 1} {
		name := fmt.Sprintf("F32Gemm%dx%dc1NEON", mr, nr)
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: gemmF32Sig,
			doc: gemmF32Doc(name, mr, nr, "FMA(a[i*lda...][t], b[%d*t+j], v)"),
			emit: func(b *arm) {
				g := laneTile{mr: mr, steps: 4, terms: 1, acc0: 0, a0: 16, b0: 24, ordered: true}
				g.mul = func(acc, a, s, j int) string { return fmlaLane(v(acc), v(24+2*s+j), v(a), s) }
				acc := func(i, j int) v { return v(g.acc(0, i, j)) }
				g.begin = func(b *arm) { b.startF32(mr, acc) }
				g.end = func(b *arm) { b.finishF32(mr, acc) }
				g.emit(b)
			}})
	}
	return f
}

// startF32 sets the sums of a tile to the bias, or to what c holds. R0 is c.
func (b *arm) startF32(mr int, acc func(i, j int) v) {
	bias, c, ldc := b.arg("bias", 11), x(12), x(13)
	b.linef("CBZ %v, resume", bias)
	b.line(ldq(acc(0, 0), bias, 0), ldq(acc(0, 1), bias, 16))
	for i := 1; i < mr; i++ {
		for j := range 2 {
			b.linef("VMOV V%d.B16, V%d.B16", acc(0, j), acc(i, j))
		}
	}
	b.line("B sum")
	b.label("resume")
	b.arg("ldc", ldc)
	b.linef("MOVD R0, %v", c)
	for i := range mr {
		b.line(ldq(acc(i, 0), c, 0), ldq(acc(i, 1), c, 16))
		if i < mr-1 {
			b.linef("ADD %v, %v, %v", ldc, c, c)
		}
	}
	b.label("sum")
}

// finishF32 stores the sums of a tile, after what the parameters p and res ask for. The sums are in the low half of the
// registers.
func (b *arm) finishF32(mr int, acc func(i, j int) v) {
	p, res, ld := b.arg("p", 11), b.arg("res", 12), x(13)
	lo, hi, innerLo, innerHi := v(16), v(17), v(18), v(19)
	var all []v
	for i := range mr {
		all = append(all, acc(i, 0), acc(i, 1))
	}
	b.linef("CBZ %v, store", p)
	b.field32(p, offF32Lo, lo)
	b.field32(p, offF32Hi, hi)
	b.linef("CBZ %v, clamp", res)
	b.field32(p, offF32InnerLo, innerLo)
	b.field32(p, offF32InnerHi, innerHi)
	b.bound(innerLo, innerHi, all...)
	b.arg("ldr", ld)
	for i := range mr {
		r := v(20 + 2*(i%4))
		b.line(ldq(r, res, 0), ldq(r+1, res, 16))
		b.line(arr("VFADD", "S4", acc(i, 0), acc(i, 0), r), arr("VFADD", "S4", acc(i, 1), acc(i, 1), r+1))
		if i < mr-1 {
			b.linef("ADD %v, %v, %v", ld, res, res)
		}
	}
	b.label("clamp")
	b.bound(lo, hi, all...)
	b.label("store")
	b.arg("ldc", ld)
	for i := range mr {
		b.line(stq(acc(i, 0), 0, 0), stq(acc(i, 1), 0, 16))
		if i < mr-1 {
			b.linef("ADD %v, R0, R0", ld)
		}
	}
}

// field32 copies the 32 bits at p+off to all lanes.
func (b *arm) field32(p x, off int, to v) {
	if off != 0 {
		b.linef("ADD $%d, %v, R26", off, p)
		p = 26
	}
	b.linef("VLD1R (%v), [V%d.S4]", p, to)
}

// bound is min(max(v, lo), hi); NaN stays NaN.
func (b *arm) bound(lo, hi v, regs ...v) {
	for _, r := range regs {
		b.line(arr("VFMAX", "S4", r, r, lo))
	}
	for _, r := range regs {
		b.line(arr("VFMIN", "S4", r, r, hi))
	}
}

// halvesNEON expands IEEE halves.
func halvesNEON() file[*arm] {
	const name = "F16F32ExpandNEON"
	return file[*arm]{name: "f16f32_expand_neon", funcs: []function[*arm]{{name: name, sig: halvesSig, doc: halvesDoc(name),
		emit: func(b *arm) {
			dst, src, n := b.arg("dst", 0), b.arg("src", 1), b.arg("n", 2)
			b.label("loop")
			b.line(ldq(0, src, 0), ldq(1, src, 16))
			b.linef("ADD $32, %v", src)
			for i := range 4 {
				b.line(fcvtlHalves(v(2+i), v(i/2), i%2 == 1))
			}
			for i := range 4 {
				b.line(stq(v(2+i), dst, 16*i))
			}
			b.linef("ADD $64, %v", dst)
			b.linef("SUBS $16, %v", n)
			b.line("BGT loop", "RET")
		}}}}
}
