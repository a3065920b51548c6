package main

// armConsts holds the fields of Requant in registers, the zero point as a byte in every lane.
type armConsts struct {
	pinned map[int]v
	zero   v
}

var armResidualFields = []int{offLo, offHi, offAOff, offAMult, offBZero, offBMult, offRLo, offRHi}

// consts loads what the kernel needs of Requant into registers from first on; t is lost.
func (b *arm) consts(residual bool, first v, t x) armConsts {
	fields := []int{offLo, offHi}
	if residual {
		fields = armResidualFields
	}
	return b.fields(zeroField(residual), fields, first, t)
}

// fields loads the zero point, a byte, and 32-bit fields of the parameters p into registers from first on; t is lost.
func (b *arm) fields(zero int, fields []int, first v, t x) armConsts {
	p := b.arg("p", t)
	c := armConsts{map[int]v{}, first}
	b.linef("ADD $%d, %v, R26", zero, p)
	b.linef("VLD1R (R26), [V%d.B16]", c.zero)
	for i, f := range fields {
		c.pinned[f] = first + 1 + v(i)
		b.linef("ADD $%d, %v, R26", f, p)
		b.linef("VLD1R (R26), [V%d.S4]", c.pinned[f])
	}
	return c
}

// scale turns accumulators with their bias into rounded values, acc in place: without the zero point, which the caller
// adds after packing. Registers in acc pass each step together: none waits for the one before. other holds the residual's
// operand as 32-bit integers, or nothing.
func (c armConsts) scale(b *arm, acc, mult, other []v) {
	each := func(ins func(i int, r v) string) {
		for i, r := range acc {
			b.line(ins(i, r))
		}
	}
	unary := func(op string, r v) string { return f("%s V%d.S4, V%d.S4", op, r, r) }
	each(func(i int, r v) string { return unary("VSCVTF", r) })
	each(func(i int, r v) string { return arr("VFMUL", "S4", r, r, mult[i%len(mult)]) })
	each(func(i int, r v) string { return arr("VFMAX", "S4", r, r, c.pinned[offLo]) })
	each(func(i int, r v) string { return arr("VFMIN", "S4", r, r, c.pinned[offHi]) })
	each(func(i int, r v) string { return fcvtns(r, r) })
	if len(other) == 0 {
		return
	}
	each(func(i int, r v) string { return arr("VADD", "S4", r, r, c.pinned[offAOff]) })
	each(func(i int, r v) string { return arr("VSUB", "S4", other[i], other[i], c.pinned[offBZero]) })
	each(func(i int, r v) string { return unary("VSCVTF", r) })
	each(func(i int, r v) string { return unary("VSCVTF", other[i]) })
	each(func(i int, r v) string { return arr("VFMUL", "S4", r, r, c.pinned[offAMult]) })
	each(func(i int, r v) string { return arr("VFMUL", "S4", other[i], other[i], c.pinned[offBMult]) })
	each(func(i int, r v) string { return arr("VFADD", "S4", r, r, other[i]) })
	each(func(i int, r v) string { return arr("VFMAX", "S4", r, r, c.pinned[offRLo]) })
	each(func(i int, r v) string { return arr("VFMIN", "S4", r, r, c.pinned[offRHi]) })
	each(func(i int, r v) string { return fcvtns(r, r) })
}

// pack makes bytes of the values, in the first register, and adds the zero point: modulo 256, and the sum is a byte.
func (c armConsts) pack(b *arm, r ...v) {
	for n := len(r); n > 1; n /= 2 {
		kind := "H8"
		if n == len(r)/2 {
			kind = "B16"
		}
		for i := range n / 2 {
			b.line(arr("VUZP1", kind, r[i], r[2*i], r[2*i+1]))
		}
	}
	if len(r) == 2 {
		b.line(arr("VUZP1", "B16", r[0], r[0], r[0]))
	}
	b.line(arr("VADD", "B16", r[0], r[0], c.zero))
}

// widen makes four registers of 32-bit integers of sixteen bytes, or two of eight.
func (b *arm) widen(from v, to []v) {
	n := len(to)
	if n == 4 {
		b.linef("VUXTL2 V%d.B16, V%d.H8", from, to[2])
	}
	b.linef("VUXTL V%d.B8, V%d.H8", from, to[0])
	for i := 0; i < n; i += 2 {
		b.linef("VUXTL2 V%d.H8, V%d.S4", to[i], to[i+1])
		b.linef("VUXTL V%d.H4, V%d.S4", to[i], to[i])
	}
}

// storeSome writes the low count bytes of r, fewer than limit, a power of two; r and t are lost.
func (b *arm) storeSome(r v, count, dst, t x, limit int) {
	b.linef("MOVD %v, %v", dst, t)
	for size := limit / 2; size > 0; size /= 2 {
		skip := b.unique("skip")
		b.linef("TBZ $%d, %v, %s", map[int]int{8: 3, 4: 2, 2: 1, 1: 0}[size], count, skip)
		b.linef("VST1.P V%d.%s[0], %d(%v)", r, map[int]string{8: "D", 4: "S", 2: "H", 1: "B"}[size], size, t)
		if size > 1 {
			b.linef("VEXT $%d, V%d.B16, V%d.B16, V%d.B16", size, r, r, r)
		}
		b.label(skip)
	}
}

// requantNEON walks over blocks of columns, in them over rows: sixteen columns a row, eight of two rows together, and what
// is left row by row, so that four registers are in work, as latencies want.
func requantNEON() file[*arm] {
	f := file[*arm]{name: "s32u8_requant_neon"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantNEON"
		if residual {
			name = "S32U8RequantAddNEON"
		}
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: requantSig, doc: requantDoc(name, residual), emit: func(b *arm) {
			k := b.consts(residual, 20, 0)
			r := armRequant{residual: residual, k: k,
				dst: b.arg("dst", 0), ldd: b.arg("ldd", 1), c: b.arg("c", 2), ldc: b.arg("ldc", 3), n: b.arg("n", 4),
				bias: b.arg("bias", 5), mult: b.arg("mult", 6), rows: b.arg("rows", 7), d: 10, acc: 11, res: 8, r: 12, left: 13}
			b.linef("LSL $2, %v, %v", r.ldc, r.ldc)
			if residual {
				r.res, r.ldr = b.arg("res", 8), b.arg("ldr", 9)
			}
			b.linef("SUBS $16, %v", r.n)
			b.line("BLT columns8")
			b.label("columns16")
			r.block(b, 16, func() { r.one(b, 16); b.line(stq(0, r.d, 0)) })
			b.linef("SUBS $16, %v", r.n)
			b.line("BGE columns16")
			b.label("columns8")
			b.linef("ADDS $8, %v", r.n)
			b.line("BLT rest")
			r.pairs(b)
			b.linef("SUBS $8, %v", r.n)
			b.label("rest")
			b.linef("ADDS $8, %v", r.n)
			b.line("BEQ done")
			r.block(b, 8, func() { r.one(b, 8); b.storeSome(0, r.n, r.d, 14, 8) })
			b.label("done")
			b.line("RET")
		}})
	}
	return f
}

// armRequant is the state of the walk. Registers: V0 to V3 the accumulators, V4 to V7 the biases, V16 to V19 the multipliers,
// V29 to V31 and V8 the other operand.
type armRequant struct {
	residual                   bool
	k                          armConsts
	dst, c, res, bias, mult, n x // of the block
	ldd, ldc, ldr, rows        x
	d, acc, r, left            x // of the row
}

func (r armRequant) other(n int) []v {
	if !r.residual {
		return nil
	}
	return []v{8, 9, 10, 11}[:n]
}

// open loads biases and multipliers and starts at row 0; columns is how many a block has.
func (r armRequant) open(b *arm, columns int) {
	for i := range columns / 4 {
		b.line(ldq(v(4+i), r.bias, 16*i), ldq(v(16+i), r.mult, 16*i))
	}
	b.linef("MOVD %v, %v", r.dst, r.d)
	b.linef("MOVD %v, %v", r.c, r.acc)
	b.linef("MOVD %v, %v", r.rows, r.left)
	if r.residual {
		b.linef("MOVD %v, %v", r.res, r.r)
	}
}

func (r armRequant) nextRow(b *arm) {
	b.linef("ADD %v, %v, %v", r.ldd, r.d, r.d)
	b.linef("ADD %v, %v, %v", r.ldc, r.acc, r.acc)
	if r.residual {
		b.linef("ADD %v, %v, %v", r.ldr, r.r, r.r)
	}
}

func (r armRequant) close(b *arm, columns int) {
	b.linef("ADD $%d, %v", columns, r.dst)
	b.linef("ADD $%d, %v", 4*columns, r.c)
	b.linef("ADD $%d, %v", 4*columns, r.bias)
	b.linef("ADD $%d, %v", 4*columns, r.mult)
	if r.residual {
		b.linef("ADD $%d, %v", columns, r.res)
	}
}

func (r armRequant) block(b *arm, columns int, row func()) {
	loop := b.unique("row")
	r.open(b, columns)
	b.beginElements(loop, columns)
	row()
	r.nextRow(b)
	b.linef("SUBS $1, %v", r.left)
	b.endLoop("BNE " + loop)
	r.close(b, columns)
}

// one leaves a row's bytes in V0.
func (r armRequant) one(b *arm, columns int) {
	n := columns / 4
	for i := range n {
		b.line(ldq(v(i), r.acc, 16*i))
	}
	if r.residual {
		b.line(ldq(8, r.r, 0))
	}
	for i := range n {
		b.line(arr("VADD", "S4", v(i), v(i), v(4+i)))
	}
	if r.residual {
		b.widen(8, r.other(n))
	}
	acc := []v{0, 1, 2, 3}[:n]
	r.k.scale(b, acc, []v{16, 17, 18, 19}[:n], r.other(n))
	r.k.pack(b, acc...)
}

// pairs does eight columns, two rows at a time, an odd row alone.
func (r armRequant) pairs(b *arm) {
	r.open(b, 8)
	b.linef("SUBS $2, %v", r.left)
	b.line("BLT odd")
	b.beginElements("two", 16) // of two rows
	b.linef("ADD %v, %v, R15", r.ldc, r.acc)
	b.line(ldq(0, r.acc, 0), ldq(1, r.acc, 16), ldq(2, 15, 0), ldq(3, 15, 16))
	if r.residual {
		b.linef("ADD %v, %v, R14", r.ldr, r.r)
		b.line(ldd(8, r.r, 0), "VLD1 (R14), V8.D[1]")
		b.linef("MOVD R14, %v", r.r)
	}
	b.linef("MOVD R15, %v", r.acc)
	for i := range 4 {
		b.line(arr("VADD", "S4", v(i), v(i), v(4+i%2)))
	}
	if r.residual {
		b.widen(8, r.other(4))
	}
	r.k.scale(b, []v{0, 1, 2, 3}, []v{16, 17}, r.other(4))
	r.k.pack(b, 0, 1, 2, 3)
	b.line(stdw(0, r.d, 0))
	b.linef("ADD %v, %v, %v", r.ldd, r.d, r.d)
	b.linef("VST1 V0.D[1], (%v)", r.d)
	r.nextRow(b)
	b.linef("SUBS $2, %v", r.left)
	b.endLoop("BGE two")
	b.label("odd")
	b.linef("TBZ $0, %v, even", r.left)
	r.one(b, 8)
	b.line(stdw(0, r.d, 0))
	b.label("even")
	r.close(b, 8)
}

// flipNEON makes values of stored bytes.
func flipNEON() file[*arm] {
	return file[*arm]{name: "u8s8_flip_neon", funcs: []function[*arm]{{
		name: "U8S8FlipNEON",
		sig:  "dst *byte, src *byte, n int",
		doc: []string{"U8S8FlipNEON is", "", "\tdst[i] = src[i] ^ 0x80, i < n", "",
			"It reads and writes up to 63 elements behind the n. dst may be src."},
		emit: func(b *arm) {
			dst, src, n := b.arg("dst", 0), b.arg("src", 1), b.arg("n", 2)
			b.line("VMOVI $128, V4.B16")
			b.label("loop")
			for i := range 4 {
				b.line(ldq(v(i), src, 16*i))
			}
			b.linef("ADD $64, %v", src)
			for i := range 4 {
				b.line(eor(v(i), v(i), 4))
			}
			for i := range 4 {
				b.line(stq(v(i), dst, 16*i))
			}
			b.linef("ADD $64, %v", dst)
			b.linef("SUBS $64, %v", n)
			b.line("BGT loop")
			b.line("RET")
		},
	}}}
}
