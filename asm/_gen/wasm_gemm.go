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

// wasmCols is how many columns a block of sums has; eight are two blocks.
const wasmCols = 4

// wasmAcc is the sum of row i and column j.
func wasmAcc(i, j int) w { return w(wasmCols*i + j) }

// tile emits a product of mr rows and eight columns, in blocks of so many rows: for each, sums adds up four columns of the panel, then the
// other four, whose weights of so many bytes follow. next goes to the next rows of a. It takes R5 and R6.
func (b *wasm) tile(mr, rows, weight int, c, panel r, sums, next func()) {
	blocks, half := r(5), r(6)
	if mr > rows {
		b.linef("I64Const $%d; Set %v", mr/rows, blocks)
		b.open("Loop")
	}
	b.linef("I64Const $2; Set %v", half)
	b.open("Loop")
	sums()
	for i := range rows {
		b.linef("Get %v; I64Const $%d; I64Add; I32WrapI64", c, 32*i)
		b.reduce(wasmAcc(i, 0), wasmAcc(i, 1), wasmAcc(i, 2), wasmAcc(i, 3), 12, 13)
		b.line("V128Store $0")
	}
	b.add(panel, 8*wasmCols*weight)
	b.add(c, 16)
	b.again(half, 1)
	if mr > rows {
		b.add(panel, -16*wasmCols*weight)
		b.add(c, 32*rows-32)
		next()
		b.again(blocks, 1)
	}
}

// dots adds a column's products with each row, u, to the sums.
func (b *wasm) dots(j int, u []w, v w) {
	for i := range u {
		b.linef("Get %v; Get %v; Get %v; I32x4DotI16x8S; I32x4Add; Set %v", wasmAcc(i, j), u[i], v, wasmAcc(i, j))
	}
}

func (b *wasm) gemm(mr int, o wasmOperands) {
	rows := min(mr, 3)
	c, a, lda, panel, k := b.arg("c", 0), b.arg("a", 1), b.arg("lda", 2), b.arg("b", 3), b.arg("k", 4)
	t, weights := r(7), r(8)
	row := []r{9, 10, 11}[:rows]
	b.tile(mr, rows, o.weight, c, panel, func() {
		for i := range rows {
			if i == 0 {
				b.linef("Get %v; Set %v", a, row[0])
			} else {
				b.sum(row[i], row[i-1], lda)
			}
			for j := range wasmCols {
				b.zero(wasmAcc(i, j))
			}
		}
		b.linef("Get %v; Set %v; Get %v; Set %v", panel, weights, k, t)
		b.terms(o, row, weights, t)
	}, func() {
		b.linef("Get %v; Get %v; I64Const $%d; I64Mul; I64Add; Set %v", a, lda, rows, a)
	})
}

// terms adds up t terms of a block, 16 at a time and perhaps 8 more. wazero checks every address against the memory's
// size: so a row's sixteen terms are loaded at once, and the weights from the highest offset down, by the address in PC_B,
// which then needs one check.
func (b *wasm) terms(o wasmOperands, row []r, weights, t r) {
	u, v := []w{12, 13, 14}[:len(row)], w(15)
	group := 64 * o.weight
	eight := func(disp int) { o.columns(b, disp, v, func(j int) { b.dots(j, u, v) }) }
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

// turnRows is how many rows S16x3 has side by side. wazero, a compiler that works instruction by instruction, checks every
// address against the memory's size, unless it has checked one with the same base and a larger offset: rows of the
// activations that lie together need one check, and integers of 16 bits no widening between the loads and the products.
const turnRows = 3

// gemmTurns multiplies rows in turn, 16-bit integers [k/8][3][8] as interleaveWASM writes them, with weights of o.
func (b *wasm) gemmTurns(mr int, o wasmOperands) {
	const block = 8 * 2 * turnRows // bytes of eight terms of the rows
	c, a, lda, panel, k := b.arg("c", 0), b.arg("a", 1), b.arg("lda", 2), b.arg("b", 3), b.arg("k", 4)
	x, weights, end := r(7), r(8), r(9)
	u, v := []w{12, 13, 14}, w(15)
	b.linef("Get %v; I64Const $%d; I64Mul; Set %v", lda, turnRows, lda)
	b.linef("Get %v; I64Const $%d; I64Mul; Get %v; I64Add; Set %v", k, 2*turnRows, a, end)
	b.tile(mr, turnRows, o.weight, c, panel, func() {
		for i := range turnRows * wasmCols {
			b.zero(w(i))
		}
		b.linef("Get %v; Set %v; Get %v; Set %v", panel, weights, a, x)
		// Groups of eight terms: so many at a time, then what is left by fewer. A first load, whose value is dropped, has the largest
		// offset of all that follow; the activations of four groups are loaded together and wait on the stack.
		for _, n := range []int{8, 4, 1} {
			more := func() {
				b.linef("Get %v; I64Const $%d; I64Add; Get %v; I64LeU", x, block*n, end)
			}
			more()
			b.open("If")
			b.open("Loop")
			for first := 0; first < n; first += 4 {
				together := min(4, n-first)
				b.linef("Get %v; I32WrapI64; Set PC_B; Get PC_B; V128Load $%d; Drop", x, block*(first+together)-16)
				for i := together*turnRows - 1; i >= 0; i-- {
					b.linef("Get PC_B; V128Load $%d", block*first+16*i)
				}
				b.linef("Get %v; I32WrapI64; Set PC_B; Get PC_B; V128Load $%d; Drop", weights, 64*o.weight*(first+together)-16)
				for g := range together {
					for i := range turnRows {
						b.linef("Set %v", u[i])
					}
					o.columns(b, 64*o.weight*(first+g), v, func(j int) { b.dots(j, u, v) })
				}
			}
			b.add(weights, 64*o.weight*n)
			b.add(x, block*n)
			more()
			b.line("BrIf $0")
			b.end()
			b.end()
		}
	}, func() {
		b.addTo(a, lda)
		b.addTo(end, lda)
	})
}

func gemmTurnsWASM() file[*wasm] {
	const nr, kr = 8, 8
	f := file[*wasm]{name: "s16x3_gemm_12x8c8_simd128x3"}
	for _, o := range []struct {
		name, weights, sig string
		wasmOperands
	}{{"S16x3S8", "bytes", gemmSig, wasmBytes}, {"S16S16", "16-bit integers", gemm16Sig, wasmWords}} {
		for _, mr := range []int{12, turnRows} {
			name := fmt.Sprintf("%sGemm%dx%dc%dSIMD128x3", o.name, mr, nr, kr)
			f.funcs = append(f.funcs, function[*wasm]{name: name, sig: o.sig, doc: []string{
				fmt.Sprintf("%s is a %dx%d tile: for i < %d, j < %d:", name, mr, nr, mr, nr),
				"",
				fmt.Sprintf("\tc[%d*i+j] = sum over t < k of a[i/3*3*lda...][24*(t/8)+8*(i%%3)+t%%8] * int32(b[%d*(t/%d)+%d*j+t%%%d])", nr, nr*kr, kr, kr, kr),
				"",
				"a is 16-bit integers, three rows in turn, b is " + o.weights + "; lda is in bytes; k is a multiple of 8 and at least 8. Sums wrap.",
			}, emit: func(b *wasm) { b.gemmTurns(mr, o.wasmOperands) }})
		}
	}
	return f
}

// interleaveWASM brings stored bytes into the order of gemmTurns. It takes sixteen terms at a time; where eight were left, what is
// written too much belongs to the next rows.
func interleaveWASM() file[*wasm] {
	const name = "U8S16x3InterleaveSIMD128x3"
	return file[*wasm]{name: "u8s16x3_interleave_simd128x3", funcs: []function[*wasm]{{name: name, sig: "dst *uint16, src *byte, lda int, k int, n int",
		doc: []string{name + " is, for g < n, t < k, i < 3:", "", "\tdst[3*k*g + 24*(t/8) + 8*i + t%8] = src[lda*(3*g+i) + t]", "",
			"k is a multiple of 8. It reads up to 8 bytes behind a row and writes up to 24 elements behind the last one."},
		emit: func(b *wasm) {
			dst, src, lda, k, n := b.arg("dst", 0), b.arg("src", 1), b.arg("lda", 2), b.arg("k", 3), b.arg("n", 4)
			x, to, left, p, size := r(5), r(6), r(7), r(8), r(9)
			u := w(0)
			b.linef("Get %v; I64Const $%d; I64Mul; Set %v", k, 2*turnRows, size)
			b.open("Loop")
			b.linef("Get %v; Set %v; Get %v; Set %v; Get %v; Set %v", src, x, dst, to, k, left)
			b.open("Loop")
			b.linef("Get %v; Set %v", x, p)
			for i := range turnRows {
				b.push16(p, 0)
				b.linef("Set %v", u)
				for j, half := range []string{"Low", "High"} {
					b.linef("Get %v; I64Const $%d; I64Add; I32WrapI64; Get %v; I16x8Extend%sI8x16U; V128Store $0", to, 16*i+48*j, u, half)
				}
				if i < turnRows-1 {
					b.addTo(p, lda)
				}
			}
			b.add(x, 16)
			b.add(to, 96)
			b.again(left, 16)
			b.linef("Get %v; Get %v; I64Const $%d; I64Mul; I64Add; Set %v", src, lda, turnRows, src)
			b.addTo(dst, size)
			b.again(n, 1)
		}}}}
}
