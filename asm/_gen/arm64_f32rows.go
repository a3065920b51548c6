package main

import (
	"fmt"
	"math"
)

// rowsF32NEON is functions and sums in float64, and attention.
func rowsF32NEON() file[*arm] {
	return file[*arm]{name: "f32_rows_neon", funcs: []function[*arm]{
		sigmoidNEON(false), sigmoidNEON(true), sumsF32NEON(), dotF32NEON(), attendF32NEON(),
	}}
}

// double copies a constant to both lanes.
func (b *arm) double(value float64, to v) {
	b.linef("MOVD $%#x, R26", math.Float64bits(value))
	b.linef("VDUP R26, V%d.D2", to)
}

// wide expands the low two float32 of a register, or the high ones.
func wide(d, n v, high bool) string {
	if high {
		return f("VFCVTL2 V%d.S4, V%d.D2", n, d)
	}
	return f("VFCVTL V%d.S2, V%d.D2", n, d)
}

// sigmoidNEON computes package kernels' sigmoid64, operation by operation: nothing is fused, so that the bits are those of
// Go. Eight elements pass each step together.
func sigmoidNEON(swish bool) function[*arm] {
	name, what := "F32SigmoidNEON", "Sigmoid"
	if swish {
		name, what = "F32SwishNEON", "Swish"
	}
	return function[*arm]{name: name, sig: mapSig, doc: mapDoc(name, what), emit: func(b *arm) {
		consts := map[float64]v{}
		constant := func(c float64) v {
			r, ok := consts[c]
			if !ok {
				r = v(16 + len(consts))
				b.double(c, r)
				consts[c] = r
			}
			return r
		}
		for _, c := range append([]float64{-expRange, expRange, math.Log2E, expMagic, math.Ln2}, expSeries...) {
			constant(c)
		}
		bias := v(16 + len(consts))
		b.line("MOVD $1023, R26")
		b.linef("VDUP R26, V%d.D2", bias)
		dst, src, n := b.arg("dst", 0), b.arg("src", 1), b.arg("n", 2)
		each := func(step func(i v) string) {
			for i := range v(4) {
				b.line(step(i))
			}
		}
		op := func(name string, d, n, m v) { each(func(i v) string { return arr(name, "D2", d+i, n+i, m+i) }) }
		by := func(name string, d, n v, c float64) {
			each(func(i v) string { return arr(name, "D2", d+i, n+i, consts[c]) })
		}
		const x, s, t, r = v(0), v(4), v(8), v(12) // four registers each
		p := s
		b.label("loop")
		b.line(ldq(s, src, 0), ldq(s+1, src, 16))
		b.linef("ADD $32, %v", src)
		each(func(i v) string { return wide(x+i, s+i/2, i%2 == 1) })
		each(func(i v) string { return f("VFNEG V%d.D2, V%d.D2", x+i, s+i) })
		by("VFMAX", s, s, -expRange)
		by("VFMIN", s, s, expRange)
		by("VFMUL", t, s, math.Log2E)
		by("VFADD", t, t, expMagic)
		by("VFSUB", r, t, expMagic)
		by("VFMUL", r, r, math.Ln2)
		op("VFSUB", r, s, r)
		by("VFMUL", p, r, expSeries[0])
		by("VFADD", p, p, expSeries[1])
		for _, c := range expSeries[2:] {
			op("VFMUL", p, p, r)
			by("VFADD", p, p, c)
		}
		each(func(i v) string { return arr("VADD", "D2", t+i, t+i, bias) })
		each(func(i v) string { return f("VSHL $52, V%d.D2, V%d.D2", t+i, t+i) })
		op("VFMUL", p, p, t)
		by("VFADD", p, p, 1)
		each(func(i v) string { return arr("VFDIV", "D2", p+i, consts[1], p+i) })
		if swish {
			op("VFMUL", p, p, x)
		}
		for i := range v(2) {
			b.linef("VFCVTN V%d.D2, V%d.S2", p+2*i, t+i)
			b.linef("VFCVTN2 V%d.D2, V%d.S4", p+2*i+1, t+i)
		}
		b.line(stq(t, dst, 0), stq(t+1, dst, 16))
		b.linef("ADD $32, %v", dst)
		b.linef("SUBS $8, %v", n)
		b.line("BGT loop", "RET")
	}}
}

func sumsF32NEON() function[*arm] {
	const name = "F32SumsNEON"
	return function[*arm]{name: name, sig: sumsF32Sig, doc: sumsF32Doc(name), emit: func(b *arm) {
		dst, a, step, pixels, n := b.arg("dst", 0), b.arg("a", 1), b.arg("step", 2), b.arg("pixels", 3), b.arg("n", 4)
		pixel, left := x(5), x(6)
		b.label("block")
		for i := range v(8) {
			b.zero(i)
		}
		b.linef("MOVD %v, %v", a, pixel)
		b.linef("MOVD %v, %v", pixels, left)
		b.label("pixel")
		for i := range 4 {
			b.line(ldq(v(8+i), pixel, 16*i))
		}
		b.linef("ADD %v, %v, %v", step, pixel, pixel)
		b.linef("SUBS $1, %v", left)
		for i := range v(8) {
			b.line(wide(16+i, 8+i/2, i%2 == 1))
		}
		for i := range v(8) {
			b.line(arr("VFADD", "D2", i, i, 16+i))
		}
		b.line("BNE pixel")
		for i := range 8 {
			b.line(stq(v(i), dst, 16*i))
		}
		b.linef("ADD $64, %v", a)
		b.linef("ADD $128, %v", dst)
		b.linef("SUBS $16, %v", n)
		b.line("BGT block", "RET")
	}}
}

func dotF32NEON() function[*arm] {
	const name = "F32DotNEON"
	return function[*arm]{name: name, sig: dotF32Sig, doc: dotF32Doc(name), emit: func(b *arm) {
		p, q, n := b.arg("a", 0), b.arg("b", 1), b.arg("n", 2)
		for i := range v(8) {
			b.zero(i)
		}
		b.label("loop")
		for i := range 4 {
			b.line(ldq(v(8+i), p, 16*i), ldq(v(12+i), q, 16*i))
		}
		b.linef("ADD $64, %v", p)
		b.linef("ADD $64, %v", q)
		b.linef("SUBS $16, %v", n)
		for i := range v(8) {
			b.line(wide(16+i, 8+i/2, i%2 == 1), wide(24+i, 12+i/2, i%2 == 1))
		}
		for i := range v(8) {
			b.line(arr("VFMLA", "D2", i, 16+i, 24+i))
		}
		b.line("BGT loop")
		for k := v(4); k > 0; k /= 2 {
			for i := range k {
				b.line(arr("VFADD", "D2", i, i, i+k))
			}
		}
		b.line(arr("VFADDP", "D2", 0, 0, 0), fmt.Sprintf("FMOVD F0, sum+%d(FP)", 24), "RET")
	}}
}

func attendF32NEON() function[*arm] {
	const name = "F32AttendNEON"
	return function[*arm]{name: name, sig: attendF32Sig, doc: attendF32Doc(name), emit: func(b *arm) {
		dst, a, g, w, n := b.arg("dst", 0), b.arg("a", 1), b.arg("gate", 2), b.arg("w", 3), b.arg("n", 4)
		p := b.arg("p", 5)
		b.field32(p, 0, 30)
		b.field32(p, 4, 31)
		b.label("loop")
		for i := range 4 {
			b.line(ldq(v(i), g, 16*i), ldq(v(4+i), w, 16*i), ldq(v(8+i), a, 16*i))
		}
		for _, r := range []x{a, g, w} {
			b.linef("ADD $64, %v", r)
		}
		b.linef("SUBS $16, %v", n)
		each := func(op string, m func(i v) v) {
			for i := range v(4) {
				b.line(arr(op, "S4", i, i, m(i)))
			}
		}
		each("VFADD", func(i v) v { return 4 + i })
		each("VFMUL", func(v) v { return 31 })
		each("VFADD", func(v) v { return 30 })
		each("VFMUL", func(i v) v { return 8 + i })
		for i := range 4 {
			b.line(stq(v(i), dst, 16*i))
		}
		b.linef("ADD $64, %v", dst)
		b.line("BGT loop", "RET")
	}}
}
