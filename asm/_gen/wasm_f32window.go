package main

// windowsF32WASM is depthwise convolution and pooling.
func windowsF32WASM() file[*wasm] {
	file := file[*wasm]{name: "f32_window_simd128"}
	for _, kind := range []windowKind{depthwiseF32, maxPoolF32, avgPoolF32} {
		name, sig, doc := windowText(kind, "SIMD128", "v + float32(a[i*step+at[t].A...][j]*w[at[t].W...][j])")
		file.funcs = append(file.funcs, function[*wasm]{name: name, sig: sig, doc: doc, emit: func(b *wasm) {
			wasmWindow{wasm: b, kind: kind, dst: 0, a: 1, res: 2, pixels: 3, n: 4, weights: 5, bias: 6, x: 7, d: 8, other: 9, at: 10, t: 11, s: 12,
				u: 13, lo: 8, hi: 9, innerLo: 10, innerHi: 11, divisor: 12}.emit()
		}})
	}
	return file
}

// wasmWindow walks over pixels; in them over blocks of sixteen channels, then of four; in them over the taps.
type wasmWindow struct {
	*wasm
	kind                              windowKind
	dst, a, res, pixels               r // of the pixel
	n, weights, bias, x, d, other     r // of the block: n channels are left
	at, t, s, u                       r // of the taps, and scratch
	lo, hi, innerLo, innerHi, divisor w
}

func (b wasmWindow) emit() {
	switch b.kind {
	case depthwiseF32:
		p := b.arg("p", b.s)
		b.splat(b.lo, p, offF32Lo)
		b.splat(b.hi, p, offF32Hi)
		b.splat(b.innerLo, p, offF32InnerLo)
		b.splat(b.innerHi, p, offF32InnerHi)
		b.arg("res", b.res)
	case avgPoolF32:
		b.linef("F32Load divisor+64(FP); F32x4Splat; Set %v", b.divisor)
	}
	b.arg("dst", b.dst)
	b.arg("a", b.a)
	b.arg("pixels", b.pixels)
	b.open("Loop")
	b.linef("Get %v; Set %v; Get %v; Set %v", b.a, b.x, b.dst, b.d)
	b.arg("n", b.n)
	if b.kind == depthwiseF32 {
		b.linef("Get %v; Set %v", b.res, b.other)
		b.arg("w", b.weights)
		b.arg("bias", b.bias)
	}
	b.linef("Get %v; I64Const $16; I64GeS", b.n)
	b.open("If")
	b.open("Loop")
	b.block(4)
	b.linef("Get %v; I64Const $16; I64Sub; Tee %v; I64Const $16; I64GeS; BrIf $0", b.n, b.n)
	b.end()
	b.end()
	b.linef("Get %v; I64Const $0; I64GtS", b.n)
	b.open("If")
	b.open("Loop")
	b.block(1)
	b.again(b.n, 4)
	b.end()
	b.addTo(b.a, b.arg("step", b.s))
	b.addTo(b.dst, b.arg("ldd", b.s))
	if b.kind == depthwiseF32 {
		b.addTo(b.res, b.arg("ldr", b.s))
	}
	b.again(b.pixels, 1)
}

// block computes that many vectors of channels of a pixel.
func (b wasmWindow) block(vecs int) {
	b.arg("at", b.at)
	b.arg("taps", b.t)
	address := func() {
		b.linef("Get %v; Get %v; I32WrapI64; I64Load $%d; I64Add; I32WrapI64; Set PC_B", b.x, b.at, offTapA)
	}
	each := func(f func(j int, v w)) { // from the highest address down: one check of it then is enough
		for j := vecs - 1; j >= 0; j-- {
			f(j, w(j))
		}
	}
	if b.kind == depthwiseF32 {
		each(func(j int, v w) {
			b.push16(b.bias, 16*j)
			b.linef("Set %v", v)
		})
	} else { // -0+x is x
		first := "V128Const $0x8000000080000000, $0x8000000080000000"
		if b.kind == maxPoolF32 {
			first = "V128Const $0xff800000ff800000, $0xff800000ff800000"
		}
		each(func(_ int, v w) { b.linef("%s; Set %v", first, v) })
	}
	b.open("Loop")
	address()
	if b.kind == depthwiseF32 {
		b.linef("Get %v; Get %v; I32WrapI64; I64Load $%d; I64Add; Set %v", b.weights, b.at, offTapW, b.s)
	}
	each(func(j int, v w) {
		b.linef("Get %v; Get PC_B; V128Load $%d", v, 16*j)
		switch b.kind {
		case depthwiseF32:
			b.push16(b.s, 16*j)
			b.line("F32x4Mul; F32x4Add")
		case maxPoolF32:
			b.line("F32x4Pmax")
		case avgPoolF32:
			b.line("F32x4Add")
		}
		b.linef("Set %v", v)
	})
	b.add(b.at, tapSize)
	b.again(b.t, 1)

	switch b.kind {
	case depthwiseF32:
		b.arg("res", b.s)
		b.linef("Get %v; I64Const $0; I64Ne", b.s)
		b.open("If")
		each(func(j int, v w) {
			b.bound(v, b.innerLo, b.innerHi)
			b.push16(b.other, 16*j)
			b.linef("Get %v; F32x4Add; Set %v", v, v)
		})
		b.end()
		each(func(_ int, v w) { b.bound(v, b.lo, b.hi) })
	case avgPoolF32:
		each(func(_ int, v w) { b.linef("Get %v; Get %v; F32x4Div; Set %v", v, b.divisor, v) })
	}
	if vecs == 1 {
		b.linef("Get %v; I64Const $4; I64LtS", b.n)
		b.open("If")
		b.storeSomeF32(0)
		b.orElse()
		b.store16(b.d, 0, 0)
		b.end()
	} else {
		each(func(j int, v w) { b.store16(b.d, 16*j, v) })
	}
	b.add(b.x, 16*vecs)
	b.add(b.d, 16*vecs)
	if b.kind == depthwiseF32 {
		b.add(b.weights, 16*vecs)
		b.add(b.bias, 16*vecs)
		b.add(b.other, 16*vecs)
	}
}

// storeSomeF32 writes the low lanes, n, fewer than four, of a vector.
func (b wasmWindow) storeSomeF32(v w) {
	bytes, to := b.u, b.s
	b.linef("Get %v; Set %v; Get %v; I64x2ExtractLane $0; Set %v", b.d, to, v, bytes)
	b.linef("Get %v; I64Const $2; I64And; I64Const $0; I64Ne", b.n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; I64Store $0", to, bytes)
	b.add(to, 8)
	b.linef("Get %v; V128Const $0x0f0e0d0c0b0a0908, $0; I8x16Swizzle; I64x2ExtractLane $0; Set %v", v, bytes)
	b.end()
	b.linef("Get %v; I64Const $1; I64And; I64Const $0; I64Ne", b.n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; I64Store32 $0", to, bytes)
	b.end()
}
