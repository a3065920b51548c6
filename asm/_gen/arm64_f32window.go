package main

// windowsF32NEON is depthwise convolution and pooling.
func windowsF32NEON() file[*arm] {
	file := file[*arm]{name: "f32_window_neon"}
	for _, kind := range []windowKind{depthwiseF32, maxPoolF32, avgPoolF32} {
		name, sig, doc := windowText(kind, "NEON", "FMA(a[i*step+at[t].A...][j], w[at[t].W...][j], v)")
		file.funcs = append(file.funcs, function[*arm]{name: name, sig: sig, doc: doc, emit: func(b *arm) { newArmWindow(b, kind).emit() }})
	}
	return file
}

// armWindow walks as windowWalk does: over groups of four pixels, then single ones; in them over blocks of four registers of
// channels, then of one; in them over the taps.
type armWindow struct {
	*arm
	kind                               windowKind
	dst, a, w, bias, res               x // of the group
	d, s, wc, bc, rc, left             x // of the block, and the channels that are left
	ldd, step, pixels, list, taps, n   x
	ldr                                x
	at, t, px, wt                      x // of the taps: the next, how many are left, the address of a pixel, of the weights
	pixel                              []x
	lo, hi, innerLo, innerHi, divisor_ v
}

func newArmWindow(b *arm, kind windowKind) *armWindow {
	w := &armWindow{arm: b, kind: kind,
		dst: b.arg("dst", 0), ldd: b.arg("ldd", 1), a: b.arg("a", 2), step: b.arg("step", 3), pixels: b.arg("pixels", 4),
		list: b.arg("at", 5), taps: b.arg("taps", 6), n: b.arg("n", 8),
		d: 13, s: 14, wc: 15, bc: 16, rc: 17, left: 19, at: 20, t: 21, wt: 23, px: 22, pixel: []x{22, 24, 25, 26},
		lo: 28, hi: 29, innerLo: 30, innerHi: 31, divisor_: 28}
	if kind == depthwiseF32 {
		w.w, w.bias, w.res, w.ldr = b.arg("w", 7), b.arg("bias", 9), b.arg("res", 10), b.arg("ldr", 11)
	}
	return w
}

func (w *armWindow) emit() {
	switch w.kind {
	case depthwiseF32:
		p := w.arg("p", 12)
		w.field32(p, offF32Lo, w.lo)
		w.field32(p, offF32Hi, w.hi)
		w.field32(p, offF32InnerLo, w.innerLo)
		w.field32(p, offF32InnerHi, w.innerHi)
	case avgPoolF32:
		w.linef("FMOVS divisor+64(FP), F%d", w.divisor_)
		w.linef("VDUP V%d.S[0], V%d.S4", w.divisor_, w.divisor_)
	}
	w.label("four")
	w.linef("CMP $4, %v", w.pixels)
	w.line("BLT single")
	w.group(4)
	w.line("B four")
	w.label("single")
	w.linef("CBZ %v, done", w.pixels)
	w.group(1)
	w.line("B single")
	w.label("done")
	w.line("RET")
}

// group computes some neighbouring pixels.
func (w *armWindow) group(pixels int) {
	move := func(from, to x) { w.linef("MOVD %v, %v", from, to) }
	move(w.dst, w.d)
	move(w.a, w.s)
	move(w.n, w.left)
	if w.kind == depthwiseF32 {
		move(w.w, w.wc)
		move(w.bias, w.bc)
		move(w.res, w.rc)
	}
	wide, last, done := w.unique("wide"), w.unique("last"), w.unique("stored")
	w.label(wide)
	w.linef("CMP $16, %v", w.left)
	w.linef("BLT %s", last)
	w.block(pixels, 4)
	w.linef("B %s", wide)
	w.label(last)
	w.linef("CMP $0, %v", w.left)
	w.linef("BLE %s", done)
	w.block(pixels, 1)
	w.linef("B %s", last)
	w.label(done)
	forward := func(p, row x) {
		if pixels == 4 {
			w.linef("ADD %v<<2, %v, %v", row, p, p)
		} else {
			w.linef("ADD %v, %v, %v", row, p, p)
		}
	}
	forward(w.dst, w.ldd)
	forward(w.a, w.step)
	if w.kind == depthwiseF32 {
		none := w.unique("none")
		w.linef("CBZ %v, %s", w.res, none)
		forward(w.res, w.ldr)
		w.label(none)
	}
	w.linef("SUB $%d, %v", pixels, w.pixels)
}

// block computes channels of one register or four. Sums are in registers from 0 on, the weights of a tap from 16 on, and from
// 20 to 27 what is read of it.
func (w *armWindow) block(pixels, vecs int) {
	acc := func(i, j int) v { return v(i*vecs + j) }
	each := func(f func(i, j int)) {
		for i := range pixels {
			for j := range vecs {
				f(i, j)
			}
		}
	}
	w.linef("MOVD %v, %v", w.list, w.at)
	w.linef("MOVD %v, %v", w.taps, w.t)
	tap, ended := w.unique("tap"), w.unique("ended")
	if w.kind == depthwiseF32 {
		for j := range vecs {
			w.line(ldq(acc(0, j), w.bc, 16*j))
		}
		for i := 1; i < pixels; i++ {
			for j := range vecs {
				w.linef("VMOV V%d.B16, V%d.B16", acc(0, j), acc(i, j))
			}
		}
		w.beginLoop(tap, 4*pixels*vecs)
	} else {
		w.address(pixels)
		each(func(i, j int) { w.line(ldq(acc(i, j), w.pixel[i], 16*j)) })
		w.linef("SUBS $1, %v", w.t)
		w.linef("BEQ %s", ended)
		w.label(tap)
	}
	w.address(pixels)
	if w.kind == depthwiseF32 {
		for j := range vecs {
			w.line(ldq(v(16+j), w.wt, 16*j))
		}
	}
	w.linef("SUBS $1, %v", w.t)
	// A load stands four before the operation that needs it.
	const ahead = 4
	var loads, ops []string
	each(func(i, j int) {
		from, to := v(20+len(loads)%8), acc(i, j)
		loads = append(loads, ldq(from, w.pixel[i], 16*j))
		switch w.kind {
		case depthwiseF32:
			ops = append(ops, arr("VFMLA", "S4", to, from, v(16+j)))
		case maxPoolF32:
			ops = append(ops, arr("VFMAX", "S4", to, to, from))
		case avgPoolF32:
			ops = append(ops, arr("VFADD", "S4", to, to, from))
		}
	})
	for i := range len(loads) + ahead {
		if i < len(loads) {
			w.line(loads[i])
		}
		if k := i - ahead; k >= 0 && k < len(ops) {
			w.line(ops[k])
		}
	}
	if w.kind == depthwiseF32 {
		w.endLoop("BNE " + tap)
	} else {
		w.linef("BNE %s", tap)
	}
	w.label(ended)
	w.finish(pixels, vecs, acc)
	for _, p := range []x{w.s, w.d} {
		w.linef("ADD $%d, %v", 16*vecs, p)
	}
	if w.kind == depthwiseF32 {
		for _, p := range []x{w.wc, w.bc, w.rc} {
			w.linef("ADD $%d, %v", 16*vecs, p)
		}
	}
	w.linef("SUB $%d, %v", 4*vecs, w.left)
}

// address takes the next tap: where it finds each pixel, and its weights.
func (w *armWindow) address(pixels int) {
	if w.kind == depthwiseF32 {
		w.linef("LDP.P %d(%v), (%v, %v)", tapSize, w.at, w.px, w.wt)
	} else {
		w.linef("MOVD.P %d(%v), %v", tapSize, w.at, w.px)
	}
	w.linef("ADD %v, %v, %v", w.s, w.px, w.px)
	for i := 1; i < pixels; i++ {
		w.linef("ADD %v, %v, %v", w.step, w.pixel[i-1], w.pixel[i])
	}
	if w.kind == depthwiseF32 {
		w.linef("ADD %v, %v, %v", w.wc, w.wt, w.wt)
	}
}

// finish stores the sums.
func (w *armWindow) finish(pixels, vecs int, acc func(i, j int) v) {
	var all []v
	for i := range pixels * vecs {
		all = append(all, v(i))
	}
	switch w.kind {
	case depthwiseF32:
		clamp := w.unique("clamp")
		w.linef("CBZ %v, %s", w.res, clamp)
		w.bound(w.innerLo, w.innerHi, all...)
		w.linef("MOVD %v, %v", w.rc, w.px)
		for i := range pixels {
			for j := range vecs {
				w.line(ldq(v(20+4*(i%2)+j), w.px, 16*j))
			}
			w.linef("ADD %v, %v, %v", w.ldr, w.px, w.px)
			for j := range vecs {
				w.line(arr("VFADD", "S4", acc(i, j), acc(i, j), v(20+4*(i%2)+j)))
			}
		}
		w.label(clamp)
		w.bound(w.lo, w.hi, all...)
	case avgPoolF32:
		for _, r := range all {
			w.line(arr("VFDIV", "S4", r, r, w.divisor_))
		}
	}
	w.linef("MOVD %v, %v", w.d, w.px)
	whole := func() {
		for i := range pixels {
			for j := range vecs {
				w.line(stq(acc(i, j), w.px, 16*j))
			}
			if i < pixels-1 {
				w.linef("ADD %v, %v, %v", w.ldd, w.px, w.px)
			}
		}
	}
	if vecs > 1 {
		whole()
		return
	}
	some, stored := w.unique("some"), w.unique("written")
	w.linef("CMP $4, %v", w.left)
	w.linef("BLT %s", some)
	whole()
	w.linef("B %s", stored)
	w.label(some)
	for i := range pixels {
		w.storeSomeF32(acc(i, 0))
		if i < pixels-1 {
			w.linef("ADD %v, %v, %v", w.ldd, w.px, w.px)
		}
	}
	w.label(stored)
}

// storeSomeF32 writes the low lanes, fewer than four, of a register, which is lost.
func (w *armWindow) storeSomeF32(r v) {
	w.linef("MOVD %v, %v", w.px, w.wt)
	one, none := w.unique("skip"), w.unique("skip")
	w.linef("TBZ $1, %v, %s", w.left, one)
	w.linef("FMOVD F%d, (%v)", r, w.wt)
	w.linef("ADD $8, %v", w.wt)
	w.linef("VEXT $8, V%d.B16, V%d.B16, V%d.B16", r, r, r)
	w.label(one)
	w.linef("TBZ $0, %v, %s", w.left, none)
	w.linef("FMOVS F%d, (%v)", r, w.wt)
	w.label(none)
}
