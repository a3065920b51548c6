package main

import "math"

// What operators on int16 activations do outside of matrix products; see amd64_i16.go.

// depthwise16WASM: without a way to bring two taps of a channel together, pairs of weights are parted by shifts, and values
// widened.
func depthwise16WASM() file[*wasm] {
	const name = "S16S16Depthwise16c2SIMD128"
	return file[*wasm]{name: "s16s16_depthwise_16c2_simd128", funcs: []function[*wasm]{{name: name, sig: depthwise16Sig, doc: depthwise16Doc(name), emit: func(b *wasm) {
		dst, a, off := b.arg("dst", 0), b.arg("a", 1), b.arg("off", 2)
		weights, n, tap, k, at := b.arg("w", 3), b.arg("n", 4), r(5), r(6), r(7)
		acc, x, t := []w{0, 1, 2, 3}, [2][2]w{{4, 5}, {6, 7}}, w(8)
		b.open("Loop")
		b.zero(acc...)
		b.linef("Get %v; Set %v", off, tap)
		b.arg("pairs", k)
		b.open("Loop")
		for i := range 2 {
			b.linef("Get %v; Get %v; I32WrapI64; I64Load $%d; I64Add; Set %v", a, tap, 8*i, at)
			for half := range 2 {
				b.push16(at, 16*half)
				b.linef("Set %v", x[i][half])
			}
		}
		for q, at := range [4]int{0, 32, 16, 48} { // where the weights of channels 4q to 4q+3 are
			half := [2]string{"Low", "High"}[q%2]
			b.push16(weights, at)
			b.linef("Tee %v; I32Const $16; I32x4Shl; I32Const $16; I32x4ShrS; Get %v; I32x4Extend%sI16x8S; I32x4Mul", t, x[0][q/2], half)
			b.linef("Get %v; I32Const $16; I32x4ShrS; Get %v; I32x4Extend%sI16x8S; I32x4Mul", t, x[1][q/2], half)
			b.linef("I32x4Add; Get %v; I32x4Add; Set %v", acc[q], acc[q])
		}
		b.add(weights, 64)
		b.add(tap, 16)
		b.again(k, 1)
		for i, v := range acc {
			b.linef("Get %v; I64Const $%d; I64Add; I32WrapI64; Get %v; V128Store $0", dst, 16*i, v)
		}
		b.add(dst, 64)
		b.add(a, 32)
		b.again(n, 16)
	}}}}
}

// high16 moves the high half of the vector on the stack to its low half, low16 the low one to the high one; zeros fill the others.
const (
	high16 = "V128Const $0x0f0e0d0c0b0a0908, $0xffffffffffffffff; I8x16Swizzle"
	low16  = "V128Const $0xffffffffffffffff, $0x0706050403020100; I8x16Swizzle"
)

// wordRounder is the last step into int16: bounds and zero point.
type wordRounder struct {
	b            *wasm
	lo, hi, zero w
}

// words loads them.
func (b *wasm) words(p r, lo, hi, zero w) wordRounder {
	b.splat(lo, p, offRLo)
	b.splat(hi, p, offRHi)
	b.splat(zero, p, offRZero)
	return wordRounder{b, lo, hi, zero}
}

// round does wasmScaler.round and adds the zero point: the bounds are below 2**17.
func (s wordRounder) round() {
	(&wasmScaler{b: s.b}).round(s.lo, s.hi)
	s.b.linef("Get %v; I32x4Add", s.zero)
}

func elementwise16WASM() file[*wasm] {
	requant := func(b *wasm) {
		s := b.words(b.arg("p", 0), 0, 1, 2)
		dst, low, high, bias, base, mult, n := b.arg("dst", 0), b.arg("low", 1), b.arg("high", 2), b.arg("bias", 3), b.arg("base", 4), b.arg("mult", 5), b.arg("n", 6)
		biases, sum, much, out := w(3), [2]w{4, 5}, w(6), w(7)
		b.linef("V128Const $%#x, $%#x; Set %v", math.Float64bits(256), math.Float64bits(256), much)
		b.open("Loop")
		b.linef("Get %v; I32WrapI64", dst)
		for half := range 2 {
			b.push16(bias, 16*half)
			b.linef("Tee %v", biases)
			b.push16(low, 16*half)
			b.linef("I32x4Add; Tee %v; F64x2ConvertLowI32x4S", out)
			b.push16(base, 32*half)
			b.linef("F64x2Add; Set %v; Get %v; %s; F64x2ConvertLowI32x4S", sum[0], out, high16)
			b.push16(base, 32*half+16)
			b.linef("F64x2Add; Set %v", sum[1])
			b.linef("Get %v; I64Const $0; I64Ne", high)
			b.open("If")
			b.push16(high, 16*half)
			b.linef("Get %v; I32x4Add; Tee %v; F64x2ConvertLowI32x4S; Get %v; F64x2Mul; Get %v; F64x2Add; Set %v", biases, out, much, sum[0], sum[0])
			b.linef("Get %v; %s; F64x2ConvertLowI32x4S; Get %v; F64x2Mul; Get %v; F64x2Add; Set %v", out, high16, much, sum[1], sum[1])
			b.end()
			b.linef("Get %v; F32x4DemoteF64x2Zero; Get %v; F32x4DemoteF64x2Zero; %s; V128Or", sum[0], sum[1], low16)
			b.push16(mult, 16*half)
			b.line("F32x4Mul")
			s.round()
		}
		b.line("I16x8NarrowI32x4S; V128Store $0")
		b.linef("Get %v; I64Const $0; I64Ne", high)
		b.open("If")
		b.add(high, 32)
		b.end()
		b.add(dst, 16)
		for _, x := range []r{low, bias, mult} {
			b.add(x, 32)
		}
		b.add(base, 64)
		b.again(n, 8)
	}
	add := func(b *wasm) {
		p := b.arg("p", 0)
		s := b.words(p, 0, 1, 2)
		aOff, aMult, bZero, bMult, x, y := w(3), w(4), w(5), w(6), w(7), w(8)
		b.splats(aOff, p, offAOff, offAMult, offBZero, offBMult)
		dst, first, second, n := b.arg("dst", 0), b.arg("a", 1), b.arg("b", 2), b.arg("n", 3)
		b.open("Loop")
		b.linef("Get %v; I32WrapI64", dst)
		b.push16(first, 0)
		b.linef("Set %v", x)
		b.push16(second, 0)
		b.linef("Set %v", y)
		for _, half := range []string{"Low", "High"} {
			b.linef("Get %v; I32x4Extend%sI16x8S; Get %v; I32x4Add; F32x4ConvertI32x4S; Get %v; F32x4Mul", x, half, aOff, aMult)
			b.linef("Get %v; I32x4Extend%sI16x8S; Get %v; I32x4Sub; F32x4ConvertI32x4S; Get %v; F32x4Mul", y, half, bZero, bMult)
			b.line("F32x4Add")
			s.round()
		}
		b.line("I16x8NarrowI32x4S; V128Store $0")
		for _, x := range []r{dst, first, second} {
			b.add(x, 16)
		}
		b.again(n, 8)
	}
	return file[*wasm]{name: "s16_elementwise_simd128", funcs: []function[*wasm]{
		{name: "S32S16RequantSIMD128", sig: requant16Sig, doc: requant16Doc("S32S16RequantSIMD128"), emit: requant},
		{name: "S16AddSIMD128", sig: add16Sig, doc: add16Doc("S16AddSIMD128"), emit: add},
	}}
}
