package main

import "fmt"

// Winograd's transforms work on lanes, eight of 16 bits or four of 32, whatever a lane is. The formulas are those of
// amd64_winograd.go.

func gemm16WASM() file[*wasm] {
	const nr, kr = 8, 8
	f := file[*wasm]{name: "s16s16_gemm_12x8c8_simd128"}
	for _, mr := range []int{12, 3, 1} {
		name := fmt.Sprintf("S16S16Gemm%dx%dc%dSIMD128", mr, nr, kr)
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: gemm16Sig,
			doc:  gemmDoc(name, mr, nr, kr, "int16 a", "b is 16-bit integers; lda is in bytes; k is a multiple of 8 and at least 8. Sums wrap."),
			emit: func(b *wasm) { b.gemm(mr, wasmWords) }})
	}
	return f
}

// set sets to to x op y; shl to x shifted left.
func (b *wasm) set(to w, op string, x, y w) { b.linef("Get %v; Get %v; %s; Set %v", x, y, op, to) }

func (b *wasm) shl(to w, lanes string, x w, n int) {
	b.linef("Get %v; I32Const $%d; %sShl; Set %v", x, n, lanes, to)
}

// wasmWino is a form F(mxm,3x3) with its transforms of one dimension, which return the registers of their results; those of the
// operands, from V0 on, are lost.
type wasmWino struct {
	m, n                  int
	input, filter, output func(b *wasm) []w
	shift                 int
	nine                  bool
}

var wasmWinos = []wasmWino{{m: 4, n: 6, shift: 6, nine: true,
	input: func(b *wasm) []w {
		add := func(to, x, y w) { b.set(to, "I16x8Add", x, y) }
		sub := func(to, x, y w) { b.set(to, "I16x8Sub", x, y) }
		const d0, d1, d2, d3, d4, d5, t0, t1 = w(0), w(1), w(2), w(3), w(4), w(5), w(6), w(7)
		sub(d0, d0, d2)
		b.shl(t0, "I16x8", d2, 2)
		sub(t0, d4, t0) // a = d4-4*d2
		sub(d4, d4, d2) // c = d4-d2
		b.shl(d0, "I16x8", d0, 2)
		add(d0, d0, d4) // v0 = 4*(d0-d2)+c
		b.shl(t1, "I16x8", d1, 2)
		sub(t1, d3, t1) // b = d3-4*d1
		sub(d5, d5, d3)
		sub(d3, d3, d1)
		add(d3, d3, d3) // e = 2*(d3-d1)
		add(d1, t0, t1) // v1 = a+b
		sub(d2, t0, t1) // v2 = a-b
		add(t0, d3, d3)
		sub(d5, d5, t0) // v5 = d5-d3-2*e
		add(t1, d4, d3) // v3 = c+e
		sub(d4, d4, d3) // v4 = c-e
		return []w{d0, d1, d2, t1, d4, d5}
	},
	filter: func(b *wasm) []w {
		add := func(to, x, y w) { b.set(to, "I16x8Add", x, y) }
		sub := func(to, x, y w) { b.set(to, "I16x8Sub", x, y) }
		const w0, w1, w2, t0, t1, t2, t3 = w(0), w(1), w(2), w(3), w(4), w(5), w(6)
		add(t0, w0, w2)
		add(t1, t0, w1)
		sub(t0, t0, w1)
		add(w1, w1, w1)
		b.shl(t2, "I16x8", w2, 2)
		add(t2, t2, w0)
		add(t3, t2, w1)
		sub(t2, t2, w1)
		for _, x := range []w{w0, w2} {
			b.linef("Get %v; V128Const $0x0006000600060006, $0x0006000600060006; I16x8Mul; Set %v", x, x)
		}
		return []w{w0, t1, t0, t3, t2, w2}
	},
	output: func(b *wasm) []w {
		add := func(to, x, y w) { b.set(to, "I32x4Add", x, y) }
		sub := func(to, x, y w) { b.set(to, "I32x4Sub", x, y) }
		const m0, m1, m2, m3, m4, m5, t0, t1 = w(0), w(1), w(2), w(3), w(4), w(5), w(6), w(7)
		add(t0, m1, m2) // s1
		sub(m1, m1, m2) // d1
		add(t1, m3, m4) // s2
		sub(m3, m3, m4) // d2
		sub(m2, t1, t0)
		b.shl(m2, "I32x4", m2, 2) // y2 = 4*(s2-s1)
		b.shl(t0, "I32x4", t0, 2)
		add(m0, m0, t1)
		sub(m0, m0, t0) // y0 = m0+s2-4*s1
		add(m3, m3, m3)
		b.shl(m1, "I32x4", m1, 2)
		add(m5, m5, m3)
		sub(t0, m3, m1) // y1 = 2*d2-4*d1
		b.shl(m5, "I32x4", m5, 2)
		sub(m5, m5, m1) // y3 = 4*(m5+2*d2)-4*d1
		return []w{m0, t0, m2, m5}
	},
}, {m: 2, n: 4, shift: 2,
	input: func(b *wasm) []w {
		b.set(0, "I16x8Sub", 0, 2)
		b.set(3, "I16x8Sub", 1, 3)
		b.set(4, "I16x8Add", 1, 2)
		b.set(2, "I16x8Sub", 2, 1)
		return []w{0, 4, 2, 3}
	},
	filter: func(b *wasm) []w {
		b.set(3, "I16x8Add", 0, 2)
		b.set(4, "I16x8Add", 3, 1)
		b.set(3, "I16x8Sub", 3, 1)
		b.set(0, "I16x8Add", 0, 0)
		b.set(2, "I16x8Add", 2, 2)
		return []w{0, 4, 3, 2}
	},
	output: func(b *wasm) []w {
		b.set(0, "I32x4Add", 0, 1)
		b.set(0, "I32x4Add", 0, 2)
		b.set(1, "I32x4Sub", 1, 2)
		b.set(1, "I32x4Sub", 1, 3)
		return []w{0, 1}
	},
}}

// store writes x to p+disp.
func (b *wasm) store(p r, disp int, x w) {
	b.linef("Get %v; I64Const $%d; I64Add; I32WrapI64; Get %v; V128Store $0", p, disp, x)
}

// times emits a loop of n turns, counted in x.
func (b *wasm) times(n int, x r, body func()) {
	b.linef("I64Const $%d; Set %v", n, x)
	b.open("Loop")
	body()
	b.again(x, 1)
}

// pass transforms count lines of vectors. A line's operands come from load, its results go to store.
func (b *wasm) pass(count int, counter r, load func(), transform func(*wasm) []w, store func(i int, x w), next func()) {
	b.times(count, counter, func() {
		load()
		for i, x := range transform(b) {
			store(i, x)
		}
		next()
	})
}

// rowOf loads n vectors that lie one behind the other.
func (b *wasm) rowOf(p r, n int) {
	for j := range n {
		b.push16(p, 16*j)
		b.linef("Set %v", w(j))
	}
}

func winoInputWASM() file[*wasm] {
	f := file[*wasm]{name: "u8s16_winoinput_simd128"}
	emit := func(form wasmWino, turns int) function[*wasm] {
		n := form.n
		name, to := fmt.Sprintf("U8S16WinoInput%dSIMD128", form.m), "c"
		if turns > 1 {
			name, to = fmt.Sprintf("%sx%d", name, turns), fmt.Sprintf("%d*(c/8)+c%%8", 8*turns)
		}
		return function[*wasm]{name: name, sig: winoInputSig, doc: []string{
			fmt.Sprintf("%s transforms a tile of %dx%d pixels: for c < n rounded up to 8:", name, n, n),
			"",
			fmt.Sprintf("\tv[f*ldf...][%s] = (B^T x B)[f/%d][f%%%d], x[i][j] being x[i*ldy+j*ldx+c]", to, n, n),
			"",
			fmt.Sprintf("ldf is in bytes. tmp is %d bytes of scratch. It reads up to 15 bytes behind channel n-1.", n*n*16),
		}, emit: func(b *wasm) {
			dst, x, tmp, count := b.arg("v", 0), b.arg("x", 1), b.arg("tmp", 2), b.arg("n", 3)
			ldx, ldy, ldf := b.arg("ldx", 4), b.arg("ldy", 5), b.arg("ldf", 6)
			column, p, to, turn := r(7), r(8), r(9), r(10)
			b.open("Loop")
			b.linef("Get %v; Set %v; Get %v; Set %v", x, column, tmp, to)
			b.pass(n, turn, func() {
				b.linef("Get %v; Set %v", column, p)
				for i := range n {
					b.push16(p, 0)
					b.linef("I16x8ExtendLowI8x16U; Set %v", w(i))
					b.addTo(p, ldy)
				}
			}, form.input, func(i int, x w) { b.store(to, 16*n*i, x) }, func() {
				b.addTo(column, ldx)
				b.add(to, 16)
			})
			b.linef("Get %v; Set %v; Get %v; Set %v", tmp, p, dst, to)
			b.pass(n, turn, func() { b.rowOf(p, n) }, form.input, func(_ int, x w) {
				b.store(to, 0, x)
				b.addTo(to, ldf)
			}, func() { b.add(p, 16*n) })
			b.add(x, 8)
			b.add(dst, 16*turns)
			b.again(count, 8)
		}}
	}
	for _, form := range wasmWinos {
		f.funcs = append(f.funcs, emit(form, 1), emit(form, turnRows))
	}
	return f
}

func winoFilterWASM() file[*wasm] {
	const lanes = 64
	f := file[*wasm]{name: "s8s16_winofilter_simd128"}
	for _, form := range wasmWinos {
		n := form.n
		name := fmt.Sprintf("S8S16WinoFilter%dSIMD128", form.m)
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: winoFilterSig, doc: []string{
			fmt.Sprintf("%s transforms filters: for g < groups, l < %d:", name, lanes),
			"",
			fmt.Sprintf("\tu[f*ldf...][%d*g+l] = (G w G^T)[f/%d][f%%%d], w[i][j] being w[%d*(9*g+3*i+j)+l]", lanes, n, n, lanes),
			"",
			fmt.Sprintf("ldf is in bytes. tmp is %d bytes of scratch; rows and n are not used.", 3*n*16),
		}, emit: func(b *wasm) {
			dst, x, tmp, groups, ldf := b.arg("u", 0), b.arg("w", 1), b.arg("tmp", 2), b.arg("groups", 3), b.arg("ldf", 4)
			column, p, to, turn, chunk := r(5), r(6), r(7), r(8), r(9)
			b.open("Loop")
			b.times(lanes/16, chunk, func() {
				for _, half := range []string{"Low", "High"} {
					b.linef("Get %v; Set %v; Get %v; Set %v", x, column, tmp, to)
					b.pass(3, turn, func() {
						for i := range 3 {
							b.push16(column, 3*lanes*i)
							b.linef("I16x8Extend%sI8x16S; Set %v", half, w(i))
						}
					}, form.filter, func(i int, x w) { b.store(to, 3*16*i, x) }, func() {
						b.add(column, lanes)
						b.add(to, 16)
					})
					b.linef("Get %v; Set %v; Get %v; Set %v", tmp, p, dst, to)
					b.pass(n, turn, func() { b.rowOf(p, 3) }, form.filter, func(_ int, x w) {
						b.store(to, 0, x)
						b.addTo(to, ldf)
					}, func() { b.add(p, 3*16) })
					b.add(dst, 16)
				}
				b.add(x, 16)
			})
			b.add(x, 8*lanes)
			b.again(groups, 1)
		}})
	}
	return f
}

func winoOutputWASM() file[*wasm] {
	const nr = 8
	f := file[*wasm]{name: "s32_winooutput_simd128"}
	for _, form := range wasmWinos {
		n, m := form.n, form.m
		name := fmt.Sprintf("S32WinoOutput%dSIMD128", m)
		factor := ""
		if form.nine {
			factor = "*0x38E38E39 " // the inverse of 9
		}
		f.funcs = append(f.funcs, function[*wasm]{name: name, sig: winoOutputSig, doc: []string{
			fmt.Sprintf("%s transforms products back: for t < tiles, i < %d, j < %d, c < %d:", name, m, m, nr),
			"",
			fmt.Sprintf("\ty[i*ldy...][%d*(%d*t+j)+c] = ((A^T m A)[i][j] %s+ corr[c]) >> %d", nr, m, factor, form.shift),
			"",
			fmt.Sprintf("m[i][j] being m[(%d*i+j)*ldf...][%d*t+c]. ldy and ldf are in bytes. tmp is %d bytes of scratch.", n, nr, m*n*16),
		}, emit: func(b *wasm) {
			y, src, tmp, tiles, corr := b.arg("y", 0), b.arg("m", 1), b.arg("tmp", 2), b.arg("tiles", 3), b.arg("corr", 4)
			ldf, ldy := b.arg("ldf", 5), b.arg("ldy", 6)
			lines, column, p, to, turn := r(7), r(8), r(9), r(10), r(11) // lines: from a row of the products to the next
			add := w(8)
			b.linef("Get %v; I64Const $%d; I64Mul; Set %v", ldf, n, lines)
			b.open("Loop")
			for half := range nr / 4 {
				b.push16(corr, 16*half)
				b.linef("Set %v; Get %v; Set %v; Get %v; Set %v", add, src, column, tmp, to)
				b.pass(n, turn, func() {
					b.linef("Get %v; Set %v", column, p)
					for i := range n {
						b.push16(p, 16*half)
						b.linef("Set %v", w(i))
						b.addTo(p, lines)
					}
				}, form.output, func(i int, x w) { b.store(to, 16*n*i, x) }, func() {
					b.addTo(column, ldf)
					b.add(to, 16)
				})
				b.linef("Get %v; Set %v; Get %v; Set %v", tmp, p, y, to)
				b.pass(m, turn, func() { b.rowOf(p, n) }, form.output, func(j int, x w) {
					b.linef("Get %v; I64Const $%d; I64Add; I32WrapI64; Get %v", to, 4*nr*j+16*half, x)
					if form.nine {
						b.line("V128Const $0x38e38e3938e38e39, $0x38e38e3938e38e39; I32x4Mul")
					}
					b.linef("Get %v; I32x4Add; I32Const $%d; I32x4ShrS; V128Store $0", add, form.shift)
				}, func() {
					b.add(p, 16*n)
					b.addTo(to, ldy)
				})
			}
			b.add(src, 4*nr)
			b.add(y, 4*nr*m)
			b.again(tiles, 1)
		}})
	}
	return f
}
