package main

import "fmt"

const gemmF16Sig = "c *float32, ldc int, a *uint16, lda int, b *uint16, k int, bias *float32, res *float32, ldr int, p *ClampF32"

// gemmF16 multiplies in half precision, which FEAT_FP16 has: FMLA by element on eight halves, twice what float32 gets.
// A half has 11 bits, so its sums must be short: a call's are, and are added to float32.
func gemmF16() file[*arm] {
	const nr = 16
	f := file[*arm]{name: "f16_gemm_8x16c1_fp16"}
	for _, mr := range []int{8, 4, 2, 1} {
		name := fmt.Sprintf("F16Gemm%dx%dc1FP16", mr, nr)
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: gemmF16Sig,
			doc: []string{
				fmt.Sprintf("%s is a %dx%d tile on IEEE halves: for i < %d, j < %d, distances lda, ldc and ldr being in bytes:", name, mr, nr, mr, nr), "",
				"\th := 0, a half",
				fmt.Sprintf("\tfor t < k { h = FMA(a[i*lda...][t], b[%d*t+j], h), rounded to a half }", nr),
				"\tv := float32(h) + bias[j], or c[i*ldc...][j] if bias is nil",
				"\tc[i*ldc...][j] = v, or what p makes of it and, unless res is nil, res[i*ldr...][j], if p is not nil", "",
				"k is at least 1.",
			},
			emit: func(b *arm) { halfTile{mr}.emit(b) }})
	}
	return f
}

// halfTile is a kernel of 16 columns. A turn takes eight terms, 16 bytes of each row and 256 of the panel, term by term, so
// that a sum rests longest between its terms. Weights are loaded three terms ahead; a row is loaded again behind its last
// use. Registers: 0 to 7 rows (an element lies in V0 to V15), 8 to 15 the weights of four terms, 16 on sums.
type halfTile struct{ mr int }

func (g halfTile) acc(i, j int) v { return v(16 + 2*i + j) }
func (g halfTile) b(s, j int) v   { return v(8 + 2*(s%4) + j) }

// ahead is how many terms before their use weights are loaded.
const ahead = 3

func (g halfTile) emit(b *arm) {
	b.arg("c", 0)
	b.arg("a", 1)
	b.arg("b", 2)
	k := b.arg("k", 3)
	off := b.rowOffsets(g.mr, 4)
	loadA := func(i int) string {
		if i == 0 {
			return ldq(0, 1, 0)
		}
		return ldqx(v(i), 1, off[i])
	}
	for i := range g.mr {
		b.zero(g.acc(i, 0), g.acc(i, 1))
	}
	b.linef("SUBS $8, %v", k)
	b.line("BLT rest")
	for i := range g.mr {
		b.line(loadA(i))
	}
	for s := range ahead {
		b.line(ldq(g.b(s, 0), 2, 32*s), ldq(g.b(s, 1), 2, 32*s+16))
	}
	b.linef("SUBS $8, %v", k)
	b.line("BLT last")
	b.beginLoop("loop", 8*16*g.mr)
	b.line(g.turn(loadA, true)...)
	b.endLoop("BGE loop")
	b.label("last")
	b.line(g.turn(loadA, false)...)
	b.label("rest")
	b.linef("ADDS $8, %v", k)
	b.line("BEQ done")
	b.label("term")
	b.line(ldq(8, 2, 0), ldq(9, 2, 16), "ADD $32, R2")
	for i := range g.mr {
		if i == 0 {
			b.line("VLD1 (R1), V0.H[0]")
			continue
		}
		b.linef("ADD %v, R1, R16", off[i]) // only a register may be the address
		b.linef("VLD1 (R16), V%d.H[0]", i)
	}
	b.line("ADD $2, R1")
	b.linef("SUBS $1, %v", k)
	for i := range g.mr {
		b.line(fmlaHalf(g.acc(i, 0), 8, v(i), 0), fmlaHalf(g.acc(i, 1), 9, v(i), 0))
	}
	b.line("BNE term")
	b.label("done")
	g.finish(b)
	b.line("RET")
}

func (g halfTile) turn(loadA func(i int) string, more bool) []string {
	var main []string
	insert := map[int][]string{}
	for s := range 8 {
		var loads []string
		if next := s + ahead; next < 8 || more {
			loads = []string{ldq(g.b(next, 0), 2, 32*next), ldq(g.b(next, 1), 2, 32*next+16)}
		}
		if s == 0 {
			loads = append(loads, "ADD $16, R1")
		}
		if s == 0 && more {
			loads = append(loads, "SUBS $8, R3")
		}
		start := len(main)
		for i := range g.mr {
			for j := range 2 {
				main = append(main, fmlaHalf(g.acc(i, j), g.b(s, j), v(i), s))
			}
			if s == 7 && more {
				insert[len(main)-1] = append(insert[len(main)-1], loadA(i))
			}
		}
		for n, l := range loads { // one behind every second multiplication
			at := min(start+2*n, len(main)-1)
			insert[at] = append(insert[at], l)
		}
	}
	last := len(main) - 1
	insert[last] = append(insert[last], "ADD $256, R2")
	return weave(main, insert)
}

// finish adds the sums to what was there, row by row, and does what the parameters p and res ask for.
func (g halfTile) finish(b *arm) {
	p, res, ldr, ldc, from, step := b.arg("p", 11), b.arg("res", 12), b.arg("ldr", 13), b.arg("ldc", 14), x(15), x(16)
	lo, hi, innerLo, innerHi := v(12), v(13), v(14), v(15)
	b.arg("bias", from)
	b.line("MOVD $0, R16")
	b.linef("CBNZ %v, bounds", from)
	b.linef("MOVD R0, %v", from)
	b.linef("MOVD %v, %v", ldc, step)
	b.label("bounds")
	b.linef("CBZ %v, rows", p)
	b.field32(p, offF32Lo, lo)
	b.field32(p, offF32Hi, hi)
	b.field32(p, offF32InnerLo, innerLo)
	b.field32(p, offF32InnerHi, innerHi)
	b.label("rows")
	sums := []v{0, 1, 2, 3}
	for i := range g.mr {
		store, clamp := b.unique("store"), b.unique("clamp")
		for q := range 4 {
			b.line(ldq(v(4+q), from, 16*q))
		}
		b.linef("ADD %v, %v, %v", step, from, from)
		for q, s := range sums {
			b.line(fcvtlHalves(s, g.acc(i, q/2), q%2 == 1))
		}
		for q, s := range sums {
			b.line(arr("VFADD", "S4", s, s, v(4+q)))
		}
		b.linef("CBZ %v, %s", p, store)
		b.linef("CBZ %v, %s", res, clamp)
		b.bound(innerLo, innerHi, sums...)
		for q := range 4 {
			b.line(ldq(v(8+q), res, 16*q))
		}
		b.linef("ADD %v, %v, %v", ldr, res, res)
		for q, s := range sums {
			b.line(arr("VFADD", "S4", s, s, v(8+q)))
		}
		b.label(clamp)
		b.bound(lo, hi, sums...)
		b.label(store)
		for q, s := range sums {
			b.line(stq(s, 0, 16*q))
		}
		b.linef("ADD %v, R0, R0", ldc)
	}
}

// narrowNEON rounds to IEEE halves.
func narrowNEON() file[*arm] {
	const name = "F32F16NarrowNEON"
	return file[*arm]{name: "f32f16_narrow_neon", funcs: []function[*arm]{{name: name, sig: "dst *uint16, src *float32, n int",
		doc: []string{
			name + " writes n floats as IEEE halves, rounded to the nearest, ties to even; what is too large becomes infinite.", "",
			"n is a multiple of 16 and at least 16.",
		},
		emit: func(b *arm) {
			dst, src, n := b.arg("dst", 0), b.arg("src", 1), b.arg("n", 2)
			b.label("loop")
			for i := range 4 {
				b.line(ldq(v(i), src, 16*i))
			}
			b.linef("ADD $64, %v", src)
			b.line(fcvtnHalves(4, 0, false), fcvtnHalves(5, 2, false), fcvtnHalves(4, 1, true), fcvtnHalves(5, 3, true))
			b.line(stq(4, dst, 0), stq(5, dst, 16))
			b.linef("ADD $32, %v", dst)
			b.linef("SUBS $16, %v", n)
			b.line("BGT loop", "RET")
		}}}}
}

// fmlaHalf adds to d, eight halves, the products of n with lane of m, of V0 to V15, in one operation each.
func fmlaHalf(d, n, m v, lane int) string {
	h, l, mm := uint32(lane>>2), uint32(lane>>1&1), uint32(lane&1)
	return word(0x4F001000|h<<11|l<<21|mm<<20, int(d), int(n), int(m), f("fmla v%d.8h, v%d.8h, v%d.h[%d]", d, n, m, lane))
}

// fcvtnHalves rounds n to halves, into the low four of d, or the high ones, which leaves the low ones.
func fcvtnHalves(d, n v, high bool) string {
	if high {
		return word(0x4E216800, int(d), int(n), 0, f("fcvtn2 v%d.8h, v%d.4s", d, n))
	}
	return word(0x0E216800, int(d), int(n), 0, f("fcvtn v%d.4h, v%d.4s", d, n))
}
