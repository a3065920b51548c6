package main

// Rows of bytes without weights; see amd64_rows.go.

// wasmPlaces walks over a window's places for a block of channels.
type wasmPlaces struct{ dst, a, ldh, h, ldw, w, n, row, at, i, k r }

func (b *wasm) places() wasmPlaces {
	return wasmPlaces{b.arg("dst", 0), b.arg("a", 1), b.arg("ldh", 2), b.arg("h", 3), b.arg("ldw", 4), b.arg("w", 5), b.arg("n", 6), 7, 8, 9, 10}
}

// walk calls place for the code at every place, whose address is in PC_B.
func (g wasmPlaces) walk(b *wasm, place func()) {
	b.linef("Get %v; Set %v; Get %v; Set %v", g.a, g.row, g.h, g.i)
	b.open("Loop")
	b.linef("Get %v; Set %v; Get %v; Set %v", g.row, g.at, g.w, g.k)
	b.open("Loop")
	b.linef("Get %v; I32WrapI64; Set PC_B", g.at)
	place()
	b.addTo(g.at, g.ldw)
	b.again(g.k, 1)
	b.addTo(g.row, g.ldh)
	b.again(g.i, 1)
}

func sumWASM() file[*wasm] {
	const name = "U8S32SumSIMD128"
	return file[*wasm]{name: "u8s32_sum_simd128", funcs: []function[*wasm]{{name: name, sig: "dst *int32, " + windowSig, doc: sumDoc(name), emit: func(b *wasm) {
		g, t := b.places(), w(4)
		b.open("Loop")
		b.zero(0, 1, 2, 3)
		g.walk(b, func() {
			b.line("Get PC_B; V128Load $0")
			for i, half := range []string{"Low", "High"} {
				if i == 0 {
					b.linef("Tee %v", w(5))
				} else {
					b.linef("Get %v", w(5))
				}
				b.linef("I16x8Extend%sI8x16U; Set %v", half, t)
				b.linef("Get %v; Get %v; I32x4ExtendLowI16x8U; I32x4Add; Set %v", w(2*i), t, w(2*i))
				b.linef("Get %v; Get %v; I32x4ExtendHighI16x8U; I32x4Add; Set %v", w(2*i+1), t, w(2*i+1))
			}
		})
		for i := range 4 {
			b.store(g.dst, 16*i, w(i))
		}
		b.add(g.a, 16)
		b.add(g.dst, 64)
		b.again(g.n, 16)
	}}}}
}

// maxWASM takes 64 channels at a time, then 16, the last perhaps less.
func maxWASM() file[*wasm] {
	const name = "U8MaxSIMD128"
	return file[*wasm]{name: "u8_max_simd128", funcs: []function[*wasm]{{name: name, sig: "dst *byte, " + windowSig, doc: maxDoc(name), emit: func(b *wasm) {
		g, bytes := b.places(), r(11)
		block := func(vectors int) {
			for i := range vectors {
				b.zero(w(i))
			}
			g.walk(b, func() {
				for i := vectors - 1; i >= 0; i-- { // one check of the address, see gemmTurns
					b.linef("Get PC_B; V128Load $%d; Get %v; I8x16MaxU; Set %v", 16*i, w(i), w(i))
				}
			})
		}
		for _, vectors := range []int{4, 1} {
			full := 16 * vectors
			more := func() { b.linef("Get %v; I64Const $%d; I64GeS", g.n, full) }
			more()
			b.open("If")
			b.open("Loop")
			block(vectors)
			for i := range vectors {
				b.store(g.dst, 16*i, w(i))
			}
			b.add(g.a, full)
			b.add(g.dst, full)
			b.add(g.n, -full)
			more()
			b.line("BrIf $0")
			b.end()
			b.end()
		}
		b.linef("Get %v; I64Const $0; I64GtS", g.n)
		b.open("If")
		block(1)
		b.storeSome(0, g.n, g.dst, bytes)
		b.end()
	}}}}
}

// storeSome writes the first bytes of v, as many as the low bits of n below 16 say; v, bytes and d are lost.
func (b *wasm) storeSome(v w, n, d, bytes r) {
	b.linef("Get %v; I64Const $8; I64And; I64Const $0; I64Ne", n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; I64x2ExtractLane $0; I64Store $0", d, v)
	b.linef("Get %v; %s; Set %v", v, high16, v)
	b.add(d, 8)
	b.end()
	b.linef("Get %v; I64x2ExtractLane $0; Set %v", v, bytes)
	b.storeBytes(bytes, n, d, 8)
}

// byteRow emits a loop over n elements, eight at a time. value pushes four results, the low ones or the high ones, as int32 without the
// zero point; next moves on. d, t and bytes are scratch, dst and n are lost.
func (b *wasm) byteRow(dst, n, d, bytes r, zero, t w, value func(high bool), next func()) {
	b.open("Loop")
	value(false)
	value(true)
	b.eightBytes(zero, t, bytes)
	b.linef("Get %v; I64Const $8; I64GeS", n)
	b.open("If")
	b.linef("Get %v; I32WrapI64; Get %v; I64Store $0", dst, bytes)
	b.depth--
	b.line("Else")
	b.depth++
	b.linef("Get %v; Set %v", dst, d)
	b.storeBytes(bytes, n, d, 8)
	b.end()
	b.add(dst, 8)
	next()
	b.again(n, 8)
}

// widened pushes four of the eight bytes at p as int32.
func (b *wasm) widened(p r, high bool) {
	b.push16(p, 0)
	b.linef("I16x8ExtendLowI8x16U; I32x4Extend%sI16x8U", lowOrHigh(high))
}

func lowOrHigh(high bool) string {
	if high {
		return "High"
	}
	return "Low"
}

// elementwiseWASM: one operand of bytes or of sums, or two of bytes.
func elementwiseWASM() file[*wasm] {
	const lo, hi, zero, t, aOff, aMult, bZero, bMult = w(0), w(1), w(2), w(3), w(4), w(5), w(6), w(7)
	row := func(name, sig, formula string, size int, two bool, last func(b *wasm, other func())) function[*wasm] {
		return function[*wasm]{name: name, sig: sig, doc: elementwiseDoc(name, formula), emit: func(b *wasm) {
			p, s := b.arg("p", 0), &wasmScaler{b: b}
			b.splats(lo, p, offRLo, offRHi)
			b.linef("Get %v; I32WrapI64; I32Load $%d; I16x8Splat; Set %v", p, offRZero, zero)
			b.splats(aOff, p, offAOff, offAMult, offBZero, offBMult)
			dst, a, n, second := b.arg("dst", 1), b.arg("a", 2), b.arg("n", 3), r(4)
			if two {
				b.arg("b", second)
			}
			b.byteRow(dst, n, 5, 6, zero, t, func(high bool) {
				if size == 1 {
					b.widened(a, high)
				} else {
					disp := 0
					if high {
						disp = 16
					}
					b.push16(a, disp)
				}
				b.linef("Get %v; I32x4Add", aOff)
				last(b, func() {
					b.widened(second, high)
					b.linef("Get %v; I32x4Sub", bZero)
				})
				s.round(lo, hi)
			}, func() {
				b.add(a, 8*size)
				if two {
					b.add(second, 8)
				}
			})
		}}
	}
	scaled := func(b *wasm, m w) { b.linef("F32x4ConvertI32x4S; Get %v; F32x4Mul", m) }
	alone := func(b *wasm, _ func()) { scaled(b, aMult) }
	return file[*wasm]{name: "u8_elementwise_simd128", funcs: []function[*wasm]{
		row("U8RescaleSIMD128", unarySig, "float32(int32(a[i])+p.AOff) * p.AMult", 1, false, alone),
		row("S32U8RescaleSIMD128", sumsSig, "float32(a[i]+p.AOff) * p.AMult", 4, false, alone),
		row("U8AddSIMD128", binarySig, "float32(int32(a[i])+p.AOff)*p.AMult + float32(int32(b[i])-p.BZero)*p.BMult", 1, true, func(b *wasm, other func()) {
			scaled(b, aMult)
			other()
			scaled(b, bMult)
			b.line("F32x4Add")
		}),
		row("U8MulSIMD128", binarySig, "float32((int32(a[i])+p.AOff)*(int32(b[i])-p.BZero)) * p.AMult", 1, true, func(b *wasm, other func()) {
			other()
			b.line("I32x4Mul")
			scaled(b, aMult)
		}),
	}}
}

// attendWASM applies RFGA's attention to a row of pixels.
func attendWASM() file[*wasm] {
	const name = "U8S16AttendSIMD128"
	return file[*wasm]{name: "u8s16_attend_simd128", funcs: []function[*wasm]{{name: name, sig: attendSig, doc: attendDoc(name), emit: func(b *wasm) {
		const lo, hi, zero, t, zeroIn, add, mul, round, mult = w(0), w(1), w(2), w(3), w(4), w(5), w(6), w(7), w(8)
		p, s := b.arg("p", 0), &wasmScaler{b: b}
		b.splats(lo, p, attLo, attHi)
		b.splats(zeroIn, p, attZero, attA, attB, attRound, attMult)
		b.linef("Get %v; I32WrapI64; I32Load $%d; I16x8Splat; Set %v", p, attZeroOut, zero)
		dst, a, g, gw, pixels := b.arg("dst", 1), b.arg("a", 2), b.arg("gh", 3), b.arg("gw", 4), b.arg("pixels", 5)
		n, d, x, rows, columns := r(6), r(7), r(8), r(9), r(10)
		b.open("Loop")
		b.linef("Get %v; Set %v; Get %v; Set %v", dst, d, a, x)
		b.linef("Get %v; Set %v; Get %v; Set %v", g, rows, gw, columns)
		b.arg("n", n)
		b.byteRow(d, n, 11, 12, zero, t, func(high bool) {
			disp := 0
			if high {
				disp = 16
			}
			b.widened(x, high)
			b.linef("Get %v; I32x4Sub", zeroIn)
			b.push16(columns, 0)
			b.linef("I32x4Extend%sI16x8S", lowOrHigh(high))
			b.push16(rows, disp)
			b.linef("I32x4Add; Get %v; I32x4Mul; Get %v; I32x4Add; I32Const $14; I32x4ShrS; Get %v; I32x4Add", mul, round, add)
			b.linef("I32x4Mul; F32x4ConvertI32x4S; Get %v; F32x4Mul", mult)
			s.round(lo, hi)
		}, func() {
			b.add(x, 8)
			b.add(rows, 32)
			b.add(columns, 16)
		})
		b.arg("n", n)
		b.addTo(dst, n)
		b.addTo(a, n)
		b.addTo(gw, n)
		b.addTo(gw, n)
		b.again(pixels, 1)
	}}}}
}
