package main

// depthwiseNEON: two taps' products of sixteen channels are summed in 16 bits (see gemmNEON), SADDW adds them to 32 bits.
// Blocks of channels are the outer loop, in them pixels go two by two: they share the weights, and four chains keep a core
// that runs in order busy.
func depthwiseNEON() file[*arm] {
	f := file[*arm]{name: "s8s8_depthwise_16c1_neon"}
	for _, residual := range []bool{false, true} {
		name := "S8S8Depthwise16c1NEON"
		if residual {
			name = "S8S8DepthwiseAdd16c1NEON"
		}
		doc := depthwiseDoc(name, "Weights are 8-bit, [n/16][taps][16], without -128. a is values, signed bytes.",
			"Channels are in their natural order.", residual)
		doc[2] = "\tacc := sum over t < taps of int32(int8(a[step*i+off[t]+j])) * weight(t, j)"
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: depthwiseSig, doc: doc,
			emit: func(b *arm) {
				d := armDepthwise{residual: residual, k: b.consts(residual, 22, 0),
					dst: b.arg("dst", 0), a: b.arg("a", 1), n: b.arg("n", 2), w: b.arg("w", 3), bias: b.arg("bias", 4), mult: b.arg("mult", 5),
					step: b.arg("step", 6), ldd: b.arg("ldd", 7), taps: b.arg("taps", 8),
					px: [2]x{10, 11}, d: 12, left: 13, off: 14, t: 15, wt: 16, o: [2]x{17, 19}, res: 20, ldr: 21, r: 22}
				if residual {
					b.arg("res", d.res)
					b.arg("ldr", d.ldr)
				}
				b.label("block")
				b.linef("MOVD %v, %v", d.a, d.px[0])
				b.linef("MOVD %v, %v", d.dst, d.d)
				if residual {
					b.linef("MOVD %v, %v", d.res, d.r)
				}
				b.arg("pixels", d.left)
				b.linef("SUBS $2, %v", d.left)
				b.line("BLT odd")
				b.label("pixels")
				d.pixels(b, 2)
				b.linef("SUBS $2, %v", d.left)
				b.line("BGE pixels")
				b.label("odd")
				b.linef("TBZ $0, %v, even", d.left)
				d.pixels(b, 1)
				b.label("even")
				b.linef("ADD $16, %v", d.dst)
				b.linef("ADD $16, %v", d.a)
				if residual {
					b.linef("ADD $16, %v", d.res)
				}
				b.linef("ADD $64, %v", d.bias)
				b.linef("ADD $64, %v", d.mult)
				b.linef("ADD %v<<4, %v, %v", d.taps, d.w, d.w)
				b.linef("SUBS $16, %v", d.n)
				b.line("BGT block")
				b.line("RET")
			}})
	}
	return f
}

// armDepthwise is the state of the walk. Vector registers: 0 to 7 sums, 12 to 15 bytes, 16 to 19 sums of two products, 20 and 21
// weights, 22 on constants; 8 to 11 are used at the end.
type armDepthwise struct {
	residual                      bool
	k                             armConsts
	dst, a, w, bias, mult, res, n x // of the block
	step, ldd, ldr, taps          x
	px                            [2]x // of the pixels
	d, r, left, off, t, wt        x
	o                             [2]x
}

func (d armDepthwise) acc(p, i int) v { return v(4*p + i) }
func (d armDepthwise) val(p, t int) v { return v(12 + 2*p + t) }
func (d armDepthwise) sum(p, h int) v { return v(16 + 2*p + h) }

// pixels computes count pixels of a block.
func (d armDepthwise) pixels(b *arm, count int) {
	single, finish := b.unique("single"), b.unique("finish")
	if count == 2 {
		b.linef("ADD %v, %v, %v", d.step, d.px[0], d.px[1])
	}
	for p := range count {
		for i := range 4 {
			b.line(ldq(d.acc(p, i), d.bias, 16*i))
		}
	}
	b.arg("off", d.off)
	b.linef("MOVD %v, %v", d.w, d.wt)
	b.linef("SUBS $2, %v, %v", d.taps, d.t)
	b.linef("BLT %s", single)

	// A turn is two taps. The bytes of the next turn are loaded behind the last use of this one's.
	load := func(t int) (l []string) {
		for p := range count {
			l = append(l, ldqx(d.val(p, t), d.px[p], d.o[t]))
		}
		return l
	}
	offsets := []string{f("LDP.P 16(%v), (%v, %v)", d.off, d.o[0], d.o[1])}
	products := func(t int) (l []string) {
		for p := range count {
			if t == 0 {
				l = append(l, smull(d.sum(p, 0), d.val(p, 0), 20), smull2(d.sum(p, 1), d.val(p, 0), 20))
			} else {
				l = append(l, smlal(d.sum(p, 0), d.val(p, 1), 21), smlal2(d.sum(p, 1), d.val(p, 1), 21))
			}
		}
		return l
	}
	// The sums' two halves stand apart: low ones first.
	wide := func(high bool) (l []string) {
		for p := range count {
			for h := range 2 {
				if high {
					l = append(l, saddw2(d.acc(p, 2*h+1), d.sum(p, h)))
				} else {
					l = append(l, saddw(d.acc(p, 2*h), d.sum(p, h)))
				}
			}
		}
		return l
	}
	weights := []string{ldq(20, d.wt, 0), ldq(21, d.wt, 16), f("ADD $32, %v", d.wt)}
	spread := func(main, extra []string, from int) []string {
		insert := map[int][]string{}
		for i, l := range extra {
			at := min(from+i, len(main)-1)
			insert[at] = append(insert[at], l)
		}
		return weave(main, insert)
	}
	loop, last := b.unique("taps"), b.unique("last")
	b.line(offsets...)
	b.line(load(0)...)
	b.line(load(1)...)
	b.line(weights...)
	b.linef("SUBS $2, %v", d.t)
	b.linef("BLT %s", last)
	b.beginLoop(loop, count*32)
	b.line(offsets...)
	b.line(products(0)...)
	b.line(spread(products(1), append(load(0), weights[0]), 0)...)
	b.line(spread(wide(false), append(load(1), weights[1:]...), 0)...)
	b.line(spread(wide(true), []string{f("SUBS $2, %v", d.t)}, 0)...)
	b.endLoop(f("BGE %s", loop))
	b.label(last)
	for _, l := range [][]string{products(0), products(1), wide(false), wide(true)} {
		b.line(l...)
	}
	b.label(single)
	b.linef("TBZ $0, %v, %s", d.t, finish)
	b.linef("MOVD (%v), %v", d.off, d.o[0])
	b.line(ldq(20, d.wt, 0))
	b.line(load(0)...)
	for _, l := range [][]string{products(0), wide(false), wide(true)} {
		b.line(l...)
	}
	b.label(finish)
	d.finish(b, count)
}

// finish requantizes and stores the pixels, and goes on to the next ones.
func (d armDepthwise) finish(b *arm, count int) {
	mult := []v{8, 9, 10, 11}
	for i, m := range mult {
		b.line(ldq(m, d.mult, 16*i))
	}
	sums := func(p int) []v { return []v{d.acc(p, 0), d.acc(p, 1), d.acc(p, 2), d.acc(p, 3)} }
	if !d.residual && count == 2 { // together: none waits for the one before
		d.k.scale(b, append(sums(0), sums(1)...), mult, nil)
		b.line(alternate(lines(func(b *arm) { d.k.pack(b, sums(0)...) }), lines(func(b *arm) { d.k.pack(b, sums(1)...) }))...)
	}
	for p := range count {
		acc := sums(p)
		if d.residual {
			other := []v{12, 13, 14, 15}
			b.line(ldq(12, d.r, 0))
			b.linef("ADD %v, %v, %v", d.ldr, d.r, d.r)
			b.widen(12, other)
			d.k.scale(b, acc, mult, other)
			d.k.pack(b, acc...)
		} else if count == 1 {
			d.k.scale(b, acc, mult, nil)
			d.k.pack(b, acc...)
		}
		full, stored := b.unique("full"), b.unique("stored")
		b.linef("CMP $16, %v", d.n)
		b.linef("BGE %s", full)
		b.storeSome(acc[0], d.n, d.d, 23, 16)
		b.linef("B %s", stored)
		b.label(full)
		b.line(stq(acc[0], d.d, 0))
		b.label(stored)
		b.linef("ADD %v, %v, %v", d.ldd, d.d, d.d)
		b.linef("ADD %v, %v, %v", d.step, d.px[0], d.px[0])
	}
}
