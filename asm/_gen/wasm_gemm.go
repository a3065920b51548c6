package main

import "fmt"

// gemmWASM: bytes widened in the kernel and multiplied by i32x4.dot_i16x8_s, which takes two terms a lane. A vector of sums
// belongs to one row and one column, so that operands are loaded as they lie, eight terms of a row or of a column; its
// four lanes are added up at the end of the tile.
//
// Twelve sums of 3 rows and 4 columns, 3 operands of a and one of b are the 16 registers of x86. A tile has two such blocks
// side by side, so that 8 columns go to a call of the requantizer; the largest has four in height, for a call costs as much
// as 50 instructions.
func gemmWASM() file[*wasm] {
	const nr, kr = 8, 8
	f := file[*wasm]{name: "u8s8_gemm_12x8c8_simd128"}
	for _, mr := range []int{12, 3, 1} {
		name := fmt.Sprintf("U8S8Gemm%dx%dc%dSIMD128", mr, nr, kr)
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: gemmSig,
			doc:  gemmDoc(name, mr, nr, kr, "a", "a is unsigned bytes; k is a multiple of 8 and at least 8. It reads up to 8 bytes behind a row."),
			emit: func(b *wasm) { b.gemm(mr, wasmBytes) }})
	}
	return f
}

// wasmOperands is how a product's operands lie: what a group of eight terms and a column take, and how they are loaded.
type wasmOperands struct {
	term, weight int                                           // bytes
	one          func(b *wasm, row r, u w)                     // loads eight terms into u
	two          func(b *wasm, row r, u w)                     // loads the second eight into u, leaves the first on the stack
	columns      func(b *wasm, disp int, v w, use func(j int)) // loads each of four columns at PC_B+disp into v
}

// wasmBytes: stored bytes and weights of 8 bits. Sixteen bytes are one load.
var wasmBytes = wasmOperands{term: 1, weight: 1,
	one: func(b *wasm, row r, u w) {
		b.push16(row, 0)
		b.linef("I16x8ExtendLowI8x16U; Set %v", u)
	},
	two: func(b *wasm, row r, u w) {
		b.push16(row, 0)
		b.linef("Tee %v; I16x8ExtendLowI8x16U; Get %v; I16x8ExtendHighI8x16U; Set %v", u, u, u)
	},
	columns: func(b *wasm, disp int, v w, use func(j int)) {
		for j := 2; j >= 0; j -= 2 {
			b.linef("Get PC_B; V128Load $%d; Tee %v; I16x8ExtendHighI8x16S; Get %v; I16x8ExtendLowI8x16S; Set %v", disp+8*j, v, v, v)
			use(j)
			b.linef("Set %v", v)
			use(j + 1)
		}
	},
}

// wasmWords: 16-bit integers.
var wasmWords = wasmOperands{term: 2, weight: 2,
	one: func(b *wasm, row r, u w) {
		b.push16(row, 0)
		b.linef("Set %v", u)
	},
	two: func(b *wasm, row r, u w) {
		b.linef("Get %v; I32WrapI64; Set PC_B; Get PC_B; V128Load $16; Set %v; Get PC_B; V128Load $0", row, u)
	},
	columns: func(b *wasm, disp int, v w, use func(j int)) {
		for j := 3; j >= 0; j-- {
			b.linef("Get PC_B; V128Load $%d; Set %v", disp+16*j, v)
			use(j)
		}
	},
}

func (b *wasm) gemm(mr int, o wasmOperands) {
	const cols = 4
	rows := min(mr, 3)
	c, a, lda, panel, k := b.arg("c", 0), b.arg("a", 1), b.arg("lda", 2), b.arg("b", 3), b.arg("k", 4)
	blocks, half, t, weights := r(5), r(6), r(7), r(8)
	row := []r{9, 10, 11}[:rows]
	acc := func(i, j int) w { return w(cols*i + j) }

	if mr > rows {
		b.linef("I64Const $%d; Set %v", mr/rows, blocks)
		b.open("Loop")
	}
	b.linef("I64Const $2; Set %v", half)
	b.open("Loop")
	for i := range rows {
		if i == 0 {
			b.linef("Get %v; Set %v", a, row[0])
		} else {
			b.sum(row[i], row[i-1], lda)
		}
		for j := range cols {
			b.zero(acc(i, j))
		}
	}
	b.linef("Get %v; Set %v; Get %v; Set %v", panel, weights, k, t)
	b.terms(o, row, acc, weights, t)
	for i := range rows {
		b.linef("Get %v; I64Const $%d; I64Add; I32WrapI64", c, 32*i)
		b.reduce(acc(i, 0), acc(i, 1), acc(i, 2), acc(i, 3), 12, 13)
		b.line("V128Store $0")
	}
	b.add(panel, 8*cols*o.weight)
	b.add(c, 16)
	b.again(half, 1)
	if mr > rows {
		b.add(panel, -16*cols*o.weight)
		b.add(c, 32*rows-32)
		b.linef("Get %v; Get %v; I64Const $%d; I64Mul; I64Add; Set %v", a, lda, rows, a)
		b.again(blocks, 1)
	}
}

// terms adds up t terms of a block, 16 at a time and perhaps 8 more. wazero checks every address against the memory's
// size: so a row's sixteen terms are loaded at once, and the weights from the highest offset down, by the address in PC_B,
// which then needs one check.
func (b *wasm) terms(o wasmOperands, row []r, acc func(i, j int) w, weights, t r) {
	u, v := []w{12, 13, 14}[:len(row)], w(15)
	group := 64 * o.weight
	eight := func(disp int) {
		o.columns(b, disp, v, func(j int) {
			for i := range row {
				b.linef("Get %v; Get %v; Get %v; I32x4DotI16x8S; I32x4Add; Set %v", acc(i, j), u[i], v, acc(i, j))
			}
		})
	}
	b.linef("Get %v; I64Const $16; I64GeS", t)
	b.open("If")
	b.open("Loop")
	for i := range row {
		o.two(b, row[i], u[i])
	}
	b.linef("Get %v; I32WrapI64; Set PC_B", weights)
	eight(group)
	for i := range row {
		b.linef("Set %v", u[len(row)-1-i])
	}
	eight(0)
	for _, x := range row {
		b.add(x, 16*o.term)
	}
	b.add(weights, 2*group)
	b.linef("Get %v; I64Const $16; I64Sub; Tee %v; I64Const $16; I64GeS; BrIf $0", t, t)
	b.end()
	b.end()
	b.linef("Get %v; I64Const $0; I64GtS", t)
	b.open("If")
	for i := range row {
		o.one(b, row[i], u[i])
	}
	b.linef("Get %v; I32WrapI64; Set PC_B", weights)
	eight(0)
	b.end()
}

// reduce leaves on the stack the sums of the lanes of four vectors; s and t are scratch.
func (b *wasm) reduce(v0, v1, v2, v3, s, t w) {
	pairs := func(x, y, to w) {
		b.linef("Get %v; Get %v; I32Const $32; I64x2ShrU; I32x4Add", x, x) // even lanes: x01, x23
		b.linef("Get %v; Get %v; I32Const $32; I64x2Shl; I32x4Add", y, y)  // odd lanes: y01, y23
		b.linef("V128Const $0xffffffff, $0xffffffff; V128Bitselect; Set %v", to)
	}
	halves := func(x w) { // x0123 y0123, twice
		b.linef("Get %v; Get %v; V128Const $0x0f0e0d0c0b0a0908, $0x0706050403020100; I8x16Swizzle; I32x4Add", x, x)
	}
	pairs(v0, v1, s)
	pairs(v2, v3, t)
	halves(s)
	halves(t)
	b.line("V128Const $-1, $0; V128Bitselect")
}
