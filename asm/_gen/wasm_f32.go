package main

import "fmt"

// SIMD128 fuses nothing that is the same everywhere: product and sum are rounded each. So float results here are not those
// of CPUs with fused operations, as those of portable Go are not.

// gemmF32WASM: a term of a row in all lanes of a vector times eight columns. Twelve sums, two vectors of weights and one of a
// row are 15 of x86's 16 registers.
func gemmF32WASM() file[*wasm] {
	const nr = 8
	f := file[*wasm]{name: "f32_gemm_6x8c1_simd128"}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("F32Gemm%dx%dc1SIMD128", mr, nr)
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: gemmF32Sig,
			doc:  gemmF32Doc(name, mr, nr, "v + float32(a[i*lda...][t]*b[%d*t+j])"),
			emit: func(b *wasm) { b.gemmF32(mr) }})
	}
	return f
}

func (b *wasm) gemmF32(mr int) {
	c, ldc, panel, k, bias := b.arg("c", 0), b.arg("ldc", 1), b.arg("b", 2), b.arg("k", 3), b.arg("bias", 4)
	lda, walk := b.arg("lda", 5), r(6)
	rows := []r{7, 8, 9, 10, 11, 12}[:mr]
	acc := func(i, j int) w { return w(2*i + j) }
	weights, u := []w{12, 13}, w(14)

	b.linef("Get %v; I64Const $0; I64Ne", bias)
	b.open("If")
	for j := range 2 {
		b.push16(bias, 16*j)
		for i := range mr - 1 {
			b.linef("Tee %v", acc(i, j))
		}
		b.linef("Set %v", acc(mr-1, j))
	}
	b.orElse()
	b.linef("Get %v; Set %v", c, walk)
	for i := range mr {
		for j := range 2 {
			b.push16(walk, 16*j)
			b.linef("Set %v", acc(i, j))
		}
		b.addTo(walk, ldc)
	}
	b.end()

	b.arg("a", rows[0])
	for i := 1; i < mr; i++ {
		b.sum(rows[i], rows[i-1], lda)
	}
	terms := func(n int) {
		b.linef("Get %v; I32WrapI64; Set PC_B", panel)
		for s := range n {
			for j := 1; j >= 0; j-- {
				b.linef("Get PC_B; V128Load $%d; Set %v", 32*s+16*j, weights[j])
			}
			for i := range rows {
				b.linef("Get %v; I32WrapI64; F32Load $%d; F32x4Splat; Set %v", rows[i], 4*s, u)
				for j := range 2 {
					b.linef("Get %v; Get %v; Get %v; F32x4Mul; F32x4Add; Set %v", acc(i, j), u, weights[j], acc(i, j))
				}
			}
		}
		for _, row := range rows {
			b.add(row, 4*n)
		}
		b.add(panel, 32*n)
	}
	const unrolled = 4
	b.linef("Get %v; I64Const $%d; I64GeS", k, unrolled)
	b.open("If")
	b.open("Loop")
	terms(unrolled)
	b.linef("Get %v; I64Const $%d; I64Sub; Tee %v; I64Const $%d; I64GeS; BrIf $0", k, unrolled, k, unrolled)
	b.end()
	b.end()
	b.linef("Get %v; I64Const $0; I64GtS", k)
	b.open("If")
	b.open("Loop")
	terms(1)
	b.again(k, 1)
	b.end()

	p, res, ldr := b.arg("p", 3), b.arg("res", 4), b.arg("ldr", 5)
	lo, hi := w(12), w(13)
	each := func(f func(v w)) {
		for i := range 2 * mr {
			f(w(i))
		}
	}
	b.linef("Get %v; I64Const $0; I64Ne", p)
	b.open("If")
	b.linef("Get %v; I64Const $0; I64Ne", res)
	b.open("If")
	b.splat(lo, p, offF32InnerLo)
	b.splat(hi, p, offF32InnerHi)
	each(func(v w) { b.bound(v, lo, hi) })
	for i := range mr {
		for j := range 2 {
			b.push16(res, 16*j)
			b.linef("Get %v; F32x4Add; Set %v", acc(i, j), acc(i, j))
		}
		b.addTo(res, ldr)
	}
	b.end()
	b.splat(lo, p, offF32Lo)
	b.splat(hi, p, offF32Hi)
	each(func(v w) { b.bound(v, lo, hi) })
	b.end()
	for i := range mr {
		for j := range 2 {
			b.store16(c, 16*j, acc(i, j))
		}
		b.addTo(c, ldc)
	}
}

// orElse goes on with the If's other branch.
func (b *wasm) orElse() {
	b.depth--
	b.line("Else")
	b.depth++
}

// bound is min(max(v, lo), hi). Pmax and Pmin return their first operand if either is NaN: so v.
func (b *wasm) bound(v, lo, hi w) {
	b.linef("Get %v; Get %v; F32x4Pmax; Get %v; F32x4Pmin; Set %v", v, lo, hi, v)
}

// store16 writes v to x+disp.
func (b *wasm) store16(x r, disp int, v w) {
	if disp == 0 {
		b.linef("Get %v; I32WrapI64; Get %v; V128Store $0", x, v)
		return
	}
	b.linef("Get %v; I64Const $%d; I64Add; I32WrapI64; Get %v; V128Store $0", x, disp, v)
}

// halvesWASM expands IEEE halves by integers: exponent and fraction move to their places, and a multiplication by 2**112 puts
// the exponent right, of subnormal halves too. What was infinite or NaN gets its exponent back.
func halvesWASM() file[*wasm] {
	const name = "F16F32ExpandSIMD128"
	return file[*wasm]{name: "f16f32_expand_simd128", funcs: []function[*wasm]{{name: name, sig: halvesSig, doc: halvesDoc(name),
		emit: func(b *wasm) {
			dst, src, n := b.arg("dst", 0), b.arg("src", 1), b.arg("n", 2)
			h, x, m := w(0), w(1), w(2)
			all := func(bits uint32) string {
				both := uint64(bits)<<32 | uint64(bits)
				return fmt.Sprintf("V128Const $%#x, $%#x", both, both)
			}
			b.open("Loop")
			b.push16(src, 0)
			b.linef("Set %v", h)
			for i, half := range []string{"Low", "High"} {
				b.linef("Get %v; I32x4Extend%sI16x8U; Tee %v; %s; V128And; I32Const $13; I32x4Shl; Tee %v", h, half, x, all(0x7fff), m)
				b.linef("%s; F32x4Mul; Get %v; %s; I32x4GtS; %s; V128And; V128Or", all(0x77800000), m, all(0x0f7fffff), all(0x7f800000))
				b.linef("Get %v; %s; V128And; I32Const $16; I32x4Shl; V128Or; Set %v", x, all(0x8000), x)
				b.store16(dst, 16*i, x)
			}
			b.add(src, 16)
			b.add(dst, 32)
			b.again(n, 8)
		}}}}
}
