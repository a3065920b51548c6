package main

// wasmScaler holds the fields of Requant in vectors.
type wasmScaler struct {
	b                                                 *wasm
	residual                                          bool
	lo, hi, zero, aOff, aMult, bZero, bMult, rLo, rHi w
}

// scaler loads them from V0 on: three, or nine with residual. p is free afterwards.
func (b *wasm) scaler(p r, residual bool) *wasmScaler {
	s := &wasmScaler{b, residual, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	b.splats(s.lo, p, offLo, offHi)
	b.linef("Get %v; I32WrapI64; I32Load $%d; I16x8Splat; Set %v", p, zeroField(residual), s.zero)
	if residual {
		b.splats(s.aOff, p, offAOff, offAMult, offBZero, offBMult, offRLo, offRHi)
	}
	return s
}

// round clamps the float32 vector on the stack and rounds it half to even: after the clamp it is below 2**22, and the sum
// with 1.5*2**23 has the rounded value in its low bits.
func (s *wasmScaler) round(lo, hi w) {
	const magic = "V128Const $0x4b4000004b400000, $0x4b4000004b400000"
	s.b.linef("Get %v; F32x4Pmax; Get %v; F32x4Pmin; %s; F32x4Add; %s; I32x4Sub", lo, hi, magic, magic)
}

// scale turns the accumulators on the stack, their bias added, into rounded values without the zero point. mult pushes the
// multipliers. res, with residual, holds eight bytes of the other operand widened to 16 bits, of which these lanes are the
// low or the high ones.
func (s *wasmScaler) scale(mult func(), res w, high bool) {
	b := s.b
	b.line("F32x4ConvertI32x4S")
	mult()
	b.line("F32x4Mul")
	s.round(s.lo, s.hi)
	if !s.residual {
		return
	}
	half := "Low"
	if high {
		half = "High"
	}
	b.linef("Get %v; I32x4Add; F32x4ConvertI32x4S; Get %v; F32x4Mul", s.aOff, s.aMult)
	b.linef("Get %v; I32x4Extend%sI16x8U; Get %v; I32x4Sub; F32x4ConvertI32x4S; Get %v; F32x4Mul", res, half, s.bZero, s.bMult)
	b.line("F32x4Add")
	s.round(s.rLo, s.rHi)
}

// eightBytes makes bytes of the eight rounded values on the stack, in an i64; t is scratch.
func (b *wasm) eightBytes(zero, t w, bytes r) {
	b.linef("I16x8NarrowI32x4S; Get %v; I16x8Add; Tee %v; Get %v; I8x16NarrowI16x8U; I64x2ExtractLane $0; Set %v", zero, t, t, bytes)
}

// storeBytes writes the low bytes of x, an i64, as many as the low bits of n below limit say; x and d are lost.
func (b *wasm) storeBytes(x, n, d r, limit int) {
	for size := limit / 2; size > 0; size /= 2 {
		b.linef("Get %v; I64Const $%d; I64And; I64Const $0; I64Ne", n, size)
		b.open("If")
		b.linef("Get %v; I32WrapI64; Get %v; I64Store%d $0", d, x, 8*size)
		if size > 1 {
			b.add(d, size)
			b.linef("Get %v; I64Const $%d; I64ShrU; Set %v", x, 8*size, x)
		}
		b.end()
	}
}

func requantWASM() file[*wasm] {
	f := file[*wasm]{name: "s32u8_requant_simd128"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantSIMD128"
		if residual {
			name = "S32U8RequantAddSIMD128"
		}
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: requantSig, doc: requantDoc(name, residual),
			emit: func(b *wasm) { b.requant(residual) }})
	}
	return f
}

// requant walks blocks of eight columns, all rows of each.
func (b *wasm) requant(residual bool) {
	s := b.scaler(b.arg("p", 0), residual)
	bias, mult, t := []w{9, 10}, []w{11, 12}, w(13)
	dst, c, res, n := b.arg("dst", 0), b.arg("c", 1), b.arg("res", 2), b.arg("n", 3)
	ldd, ldc, ldr := b.arg("ldd", 4), b.arg("ldc", 5), b.arg("ldr", 6)
	biases, mults := b.arg("bias", 7), b.arg("mult", 8)
	d, acc, other, count, bytes, tail := r(9), r(10), r(11), r(12), r(13), r(14)
	b.linef("Get %v; I64Const $2; I64Shl; Set %v", ldc, ldc)

	rows := func(store func()) {
		b.linef("MOVD rows+%d(FP), %v", 8*4, count)
		b.open("Loop")
		if residual {
			b.push16(other, 0)
			b.linef("I16x8ExtendLowI8x16U; Set %v", t)
		}
		for i := range 2 {
			b.push16(acc, 16*i)
			b.linef("Get %v; I32x4Add", bias[i])
			s.scale(func() { b.linef("Get %v", mult[i]) }, t, i == 1)
		}
		b.eightBytes(s.zero, t, bytes)
		store()
		b.addTo(d, ldd)
		b.addTo(acc, ldc)
		if residual {
			b.addTo(other, ldr)
		}
		b.again(count, 1)
	}
	b.open("Loop")
	b.linef("Get %v; Set %v; Get %v; Set %v", dst, d, c, acc)
	if residual {
		b.linef("Get %v; Set %v", res, other)
	}
	for i := range 2 {
		b.push16(biases, 16*i)
		b.linef("Set %v", bias[i])
		b.push16(mults, 16*i)
		b.linef("Set %v", mult[i])
	}
	b.linef("Get %v; I64Const $8; I64GeS", n)
	b.open("If")
	rows(func() { b.linef("Get %v; I32WrapI64; Get %v; I64Store $0", d, bytes) })
	b.depth--
	b.line("Else")
	b.depth++
	rows(func() {
		b.linef("Get %v; Set %v", d, tail)
		b.storeBytes(bytes, n, tail, 8)
	})
	b.end()
	b.add(dst, 8)
	b.add(res, 8)
	for _, x := range []r{c, biases, mults} {
		b.add(x, 32)
	}
	b.again(n, 8)
}
