package main

// depthwiseWASM: bytes widened and multiplied in 16 bits, which 255*127 fits; sums in 32. Sixteen channels a block.
func depthwiseWASM() file[*wasm] {
	f := file[*wasm]{name: "u8s16_depthwise_16c1_simd128"}
	for _, residual := range []bool{false, true} {
		name := "U8S16Depthwise16c1SIMD128"
		if residual {
			name = "U8S16DepthwiseAdd16c1SIMD128"
		}
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: depthwiseSig,
			doc:  depthwiseDoc(name, "Weights are 16-bit, [n/16][taps][16].", "Channels are in their natural order.", residual),
			emit: func(b *wasm) { b.depthwise(residual) }})
	}
	return f
}

func (b *wasm) depthwise(residual bool) {
	s := b.scaler(b.arg("p", 0), residual)
	acc, u, t := []w{9, 10, 11, 12}, w(13), w(14)
	dst, a, res, pixels := b.arg("dst", 0), b.arg("a", 1), b.arg("res", 2), b.arg("pixels", 3)
	n, weights, biases, mults, off, tap := r(4), r(5), r(6), r(7), r(8), r(9) // of the block
	x, d, other, bytes, left := r(10), r(11), r(12), r(13), r(14)

	b.open("Loop")
	b.linef("Get %v; Set %v; Get %v; Set %v; Get %v; Set %v", a, x, dst, d, res, other)
	for _, m := range []struct {
		name string
		to   r
	}{{"n", n}, {"w", weights}, {"bias", biases}, {"mult", mults}} {
		b.arg(m.name, m.to)
	}
	b.open("Loop")
	for i, v := range acc {
		b.push16(biases, 16*i)
		b.linef("Set %v", v)
	}
	b.arg("off", off)
	b.arg("taps", tap)
	b.open("Loop")
	b.linef("Get %v; Get %v; I32WrapI64; I64Load $0; I64Add; I32WrapI64; V128Load $0; Set %v", x, off, u)
	b.linef("Get %v; I32WrapI64; Set PC_B", weights)
	for i, half := range []string{"High", "Low"} {
		b.linef("Get %v; I16x8Extend%sI8x16U; Get PC_B; V128Load $%d; I16x8Mul; Set %v", u, half, 16-16*i, t)
		for j, quarter := range []string{"Low", "High"} {
			v := acc[2-2*i+j]
			b.linef("Get %v; Get %v; I32x4Extend%sI16x8S; I32x4Add; Set %v", v, t, quarter, v)
		}
	}
	b.add(off, 8)
	b.add(weights, 32)
	b.again(tap, 1)

	for i := range 2 {
		if residual {
			b.push16(other, 8*i)
			b.linef("I16x8ExtendLowI8x16U; Set %v", t)
		}
		for j := range 2 {
			b.linef("Get %v", acc[2*i+j])
			s.scale(func() { b.push16(mults, 32*i+16*j) }, t, j == 1)
		}
		b.linef("I16x8NarrowI32x4S; Get %v; I16x8Add", s.zero)
	}
	b.linef("I8x16NarrowI16x8U; Set %v", u)
	b.linef("Get %v; I64Const $16; I64GeS", n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; V128Store $0", d, u)
	b.depth--
	b.line("Else")
	b.depth++
	b.linef("Get %v; I64x2ExtractLane $0; Set %v; Get %v; Set %v", u, bytes, d, left)
	b.linef("Get %v; I64Const $8; I64And; I64Const $0; I64Ne", n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; I64Store $0", left, bytes)
	b.add(left, 8)
	b.linef("Get %v; V128Const $0x0f0e0d0c0b0a0908, $0; I8x16Swizzle; I64x2ExtractLane $0; Set %v", u, bytes)
	b.end()
	b.storeBytes(bytes, n, left, 8)
	b.end()
	for _, p := range []r{x, d, other} {
		b.add(p, 16)
	}
	for _, p := range []r{biases, mults} {
		b.add(p, 64)
	}
	b.again(n, 16)
	for _, m := range []struct {
		stride string
		to     r
	}{{"step", a}, {"ldd", dst}, {"ldr", res}} {
		b.addTo(m.to, b.arg(m.stride, bytes))
	}
	b.again(pixels, 1)
}
