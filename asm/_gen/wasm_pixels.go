package main

import "encoding/binary"

// Camera rows on SIMD128; pixels.go says what each is.

func pixelsWASM() file[*wasm] {
	return file[*wasm]{name: "u8_pixels_simd128", funcs: []function[*wasm]{
		{name: "U8S16BlendSIMD128", sig: blendSig, doc: blendDoc("U8S16BlendSIMD128"), emit: blendWASM},
		{name: "S16UnzipSIMD128", sig: unzipSig, doc: unzipDoc("S16UnzipSIMD128"), emit: unzipWASM},
		{name: "S16Unzip3SIMD128", sig: unzip3Sig, doc: unzip3Doc("S16Unzip3SIMD128"), emit: unzip3WASM},
		{name: "S16ReduceSIMD128", sig: reduceSig, doc: reduceDoc("S16ReduceSIMD128"), emit: reduceWASM},
		{name: "S16U8ColorSIMD128", sig: colorSig, doc: colorDoc("S16U8ColorSIMD128"), emit: colorWASM},
	}}
}

// swizzle takes bytes of the vector on the stack by a mask, zero where it has 16 or more.
func (b *wasm) swizzle(mask [16]byte) {
	for i := range mask {
		mask[i] = min(mask[i], 16) // the assembler takes no numbers of 64 bits with the top one set
	}
	b.linef("V128Const $%#x, $%#x; I8x16Swizzle", binary.LittleEndian.Uint64(mask[:]), binary.LittleEndian.Uint64(mask[8:]))
}

// blendWASM walks over blocks of four vectors, then single ones, the last of which may overlap the one before.
func blendWASM(b *wasm) {
	dst, src, stride, n, coef, taps := b.arg("dst", 0), b.arg("src", 1), b.arg("stride", 2), b.arg("n", 3), b.arg("coef", 4), r(5)
	row, c := r(6), r(7)
	const factor, pixels = w(8), w(9)
	block := func(vectors int) {
		for q := range w(vectors) {
			b.zero(q, 4+q)
		}
		b.linef("Get %v; Set %v; Get %v; Set %v", src, row, coef, c)
		b.arg("taps", taps)
		b.open("Loop")
		b.linef("Get %v; I32WrapI64; I32Load16U $0; I16x8Splat; Set %v", c, factor)
		for q := range w(vectors) {
			// A byte less 128 is, as a signed one, the byte with its top bit flipped.
			b.push16(row, 16*int(q))
			b.linef("V128Const $-0x7f7f7f7f7f7f7f80, $-0x7f7f7f7f7f7f7f80; V128Xor; Set %v", pixels)
			for half, sum := range []w{q, 4 + q} {
				b.linef("Get %v; I16x8Extend%sI8x16S; I32Const $8; I16x8Shl; Get %v; I16x8Q15MulrSatS; Get %v; I16x8Add; Set %v",
					pixels, []string{"Low", "High"}[half], factor, sum, sum)
			}
		}
		b.addTo(row, stride)
		b.add(c, 2)
		b.again(taps, 1)
		for q := range w(vectors) {
			b.store16(dst, 32*int(q), q)
			b.store16(dst, 32*int(q)+16, 4+q)
		}
		b.add(src, 16*vectors)
		b.add(dst, 32*vectors)
		b.add(n, -16*vectors)
	}
	b.open("Loop") // n is 64 at least
	block(4)
	b.linef("Get %v; I64Const $64; I64GeS; BrIf $0", n)
	b.end()
	b.open("Block")
	b.open("Loop")
	b.linef("Get %v; I64Eqz; BrIf $1", n)
	b.linef("Get %v; I64Const $16; I64LtS", n)
	b.open("If")
	b.add(n, -16) // back by what is missing
	b.addTo(src, n)
	b.addTo(dst, n)
	b.addTo(dst, n)
	b.linef("I64Const $16; Set %v", n)
	b.end()
	block(1)
	b.line("Br $0")
	b.end()
	b.end()
}

func unzipWASM(b *wasm) {
	even, odd, src, n := b.arg("even", 0), b.arg("odd", 1), b.arg("src", 2), b.arg("n", 3)
	b.open("Loop")
	for i := range 2 {
		b.push16(src, 16*i)
		b.linef("Set %v", w(i))
	}
	for parity, d := range []r{even, odd} {
		for part := range 2 { // its four numbers go to that half
			var mask [16]byte
			for i := range 8 {
				mask[2*i], mask[2*i+1] = 16, 16
				if i/4 == part {
					from := 2*(i%4) + parity
					mask[2*i], mask[2*i+1] = byte(2*from), byte(2*from+1)
				}
			}
			b.linef("Get %v", w(part))
			b.swizzle(mask)
		}
		b.line("V128Or", "Set V2")
		b.store16(d, 0, 2)
	}
	b.add(even, 16)
	b.add(odd, 16)
	b.add(src, 32)
	b.again(n, 8)
}

func unzip3WASM(b *wasm) {
	dst := [3]r{b.arg("a", 0), b.arg("b", 1), b.arg("c", 2)}
	src, n := b.arg("src", 3), b.arg("n", 4)
	b.open("Loop")
	for i := range 3 {
		b.push16(src, 16*i)
		b.linef("Set %v", w(i))
	}
	for ch, d := range dst {
		for part := range 3 {
			b.linef("Get %v", w(part))
			b.swizzle(unzip3Mask(ch, part))
		}
		b.line("V128Or; V128Or", "Set V3")
		b.store16(d, 0, 3)
	}
	for _, d := range dst {
		b.add(d, 16)
	}
	b.add(src, 48)
	b.again(n, 8)
}

// reduceWASM makes two results at a time, whose coefficients lie beside each other.
func reduceWASM(b *wasm) {
	dst, src, first, coef, n := b.arg("dst", 0), b.arg("src", 1), b.arg("first", 2), b.arg("coef", 3), b.arg("n", 4)
	at, k, sum := []r{5, 6}, r(7), r(8)
	b.open("Loop")
	for i, p := range at {
		b.linef("Get %v; I32WrapI64; I64Load32S $%d; I64Const $1; I64Shl; Get %v; I64Add; Set %v", first, 4*i, src, p)
		b.zero(w(i))
	}
	b.arg("blocks", k)
	b.open("Loop")
	for i, p := range at {
		b.push16(p, 0)
		b.push16(coef, 16*i)
		b.linef("I32x4DotI16x8S; Get %v; I32x4Add; Set %v", w(i), w(i))
		b.add(p, 16)
	}
	b.add(coef, 32)
	b.again(k, 1)
	for i := range at {
		// The upper half onto the lower one, then one number of 32 bits onto the other.
		b.linef("Get %v; Get %v; V128Const $0x0f0e0d0c0b0a0908, $0; I8x16Swizzle; I32x4Add; I64x2ExtractLane $0; Set %v", w(i), w(i), sum)
		b.linef("Get %v; I32WrapI64; Get %v; Get %v; I64Const $32; I64ShrU; I64Add; I64Const $32768; I64Add; I64Const $16; I64ShrU; I64Store16 $%d", dst, sum, sum, 2*i)
	}
	b.add(dst, 4)
	b.add(first, 8)
	b.again(n, 2)
}

// colorWASM does eight pixels at a time; the last eight may overlap those before.
func colorWASM(b *wasm) {
	dst, n, m := b.arg("dst", 0), b.arg("n", 4), b.arg("m", 5)
	in := []r{b.arg("a", 1), b.arg("b", 2), b.arg("c", 3)}
	bytes := r(6)
	const t, u = w(14), w(15)
	b.open("Loop")
	b.linef("Get %v; I64Const $8; I64LtS", n)
	b.open("If")
	b.add(n, -8)
	for _, p := range in {
		b.addTo(p, n)
		b.addTo(p, n)
	}
	for range 3 {
		b.addTo(dst, n)
	}
	b.linef("I64Const $8; Set %v", n)
	b.end()
	for i, p := range in {
		b.push16(p, 0)
		b.linef("Set %v", w(i))
	}
	for half, name := range []string{"Low", "High"} { // V3, V4: pairs of a and b; V5, V6: of c and nothing
		b.linef("Get V0; I32x4Extend%sI16x8U; Get V1; I32x4Extend%sI16x8U; I32Const $16; I32x4Shl; V128Or; Set %v", name, name, w(3+half))
		b.linef("Get V2; I32x4Extend%sI16x8U; Set %v", name, w(5+half))
	}
	for ch := range 3 {
		for half := range 2 {
			b.linef("Get %v", w(3+half))
			b.push16(m, 64*ch)
			b.linef("I32x4DotI16x8S; Get %v", w(5+half))
			b.push16(m, 64*ch+32)
			b.line("I32x4DotI16x8S; I32x4Add")
			b.push16(m, 192+32*ch)
			b.line("I32x4Add; I32Const $20; I32x4ShrS")
		}
		b.linef("I16x8NarrowI32x4S; Set %v", w(7+ch))
	}
	b.linef("Get V7; Get V8; I8x16NarrowI16x8U; Set %v; Get V9; Get V9; I8x16NarrowI16x8U; Set %v", t, u)
	for i := range 2 {
		rg, blue := interleaveMask(16 * i)
		b.linef("Get %v", t)
		b.swizzle(rg)
		b.linef("Get %v", u)
		b.swizzle(blue)
		b.line("V128Or", "Set V0")
		if i == 0 {
			b.store16(dst, 0, 0)
			continue
		}
		b.linef("Get V0; I64x2ExtractLane $0; Set %v; Get %v; I32WrapI64; Get %v; I64Store $16", bytes, dst, bytes)
	}
	for _, p := range in {
		b.add(p, 16)
	}
	b.add(dst, 24)
	b.again(n, 8)
}
