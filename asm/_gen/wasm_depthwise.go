package main

// depthwiseWASM: values widened and multiplied in 16 bits, which two products of -128..127 and -127..127 fit; sums in 32.
// Sixteen channels a block.
func depthwiseWASM() file[*wasm] {
	f := file[*wasm]{name: "s8s16_depthwise_16c1_simd128"}
	for _, residual := range []bool{false, true} {
		name := "S8S16Depthwise16c1SIMD128"
		if residual {
			name = "S8S16DepthwiseAdd16c1SIMD128"
		}
		doc := depthwiseDoc(name, "Weights are 16-bit, [n/16][taps][16], from -127 to 127. a is values, signed bytes.", "Channels are in their natural order.", residual)
		doc[2] = "\tacc := sum over t < taps of int32(int8(a[step*i+off[t]+j])) * weight(t, j)"
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: depthwiseSig, doc: doc,
			emit: func(b *wasm) { b.depthwise(residual) }})
	}
	return f
}

// flipWASM makes values of stored bytes.
func flipWASM() file[*wasm] {
	const name = "U8S8FlipSIMD128"
	return file[*wasm]{name: "u8s8_flip_simd128", funcs: []function[*wasm]{{name: name, sig: "dst *byte, src *byte, n int",
		doc: []string{name + " is", "", "\tdst[i] = src[i] ^ 0x80, i < n", "", "It reads and writes up to 63 elements behind the n. dst may be src."},
		emit: func(b *wasm) {
			dst, src, n := b.arg("dst", 0), b.arg("src", 1), b.arg("n", 2)
			b.open("Loop")
			for i := range 4 {
				b.linef("Get %v; I32WrapI64", dst)
				b.push16(src, 16*i)
				b.line("V128Const $0x8080808080808080, $0x8080808080808080; V128Xor; V128Store $0")
				b.add(dst, 16)
			}
			b.add(src, 64)
			b.again(n, 64)
		}}}}
}

func (b *wasm) depthwise(residual bool) {
	s := b.scaler(b.arg("p", 0), residual)
	acc, u, t := []w{9, 10, 11, 12}, []w{13, 15}, w(14)
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
	// Two taps at a time, and what is left.
	turn := func(taps int) {
		for i := range taps {
			b.linef("Get %v; Get %v; I32WrapI64; I64Load $%d; I64Add; I32WrapI64; V128Load $0; Set %v", x, off, 8*i, u[i])
		}
		b.linef("Get %v; I32WrapI64; Set PC_B", weights)
		for i, half := range []string{"High", "Low"} {
			for j := range taps {
				b.linef("Get %v; I16x8Extend%sI8x16S; Get PC_B; V128Load $%d; I16x8Mul", u[j], half, 32*j+16-16*i)
			}
			if taps == 2 {
				b.line("I16x8Add")
			}
			b.linef("Set %v", t)
			for j, quarter := range []string{"Low", "High"} {
				v := acc[2-2*i+j]
				b.linef("Get %v; Get %v; I32x4Extend%sI16x8S; I32x4Add; Set %v", v, t, quarter, v)
			}
		}
		b.add(weights, 32*taps)
	}
	b.linef("Get %v; I64Const $2; I64GeS", tap)
	b.open("If")
	b.open("Loop")
	turn(2)
	b.add(off, 16)
	b.linef("Get %v; I64Const $2; I64Sub; Tee %v; I64Const $1; I64GtS; BrIf $0", tap, tap)
	b.end()
	b.end()
	b.linef("Get %v; I64Const $0; I64Ne", tap)
	b.open("If")
	turn(1)
	b.end()

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
	b.linef("I8x16NarrowI16x8U; Set %v", u[0])
	b.linef("Get %v; I64Const $16; I64GeS", n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; V128Store $0", d, u[0])
	b.depth--
	b.line("Else")
	b.depth++
	b.linef("Get %v; I64x2ExtractLane $0; Set %v; Get %v; Set %v", u[0], bytes, d, left)
	b.linef("Get %v; I64Const $8; I64And; I64Const $0; I64Ne", n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; I64Store $0", left, bytes)
	b.add(left, 8)
	b.linef("Get %v; V128Const $0x0f0e0d0c0b0a0908, $0; I8x16Swizzle; I64x2ExtractLane $0; Set %v", u[0], bytes)
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
