package main

import "fmt"

// lineNEON emits lineOps. Registers 16 to 20 are scratch, 24 and on the form's constants.
type lineNEON struct {
	*arm
	kind      string // arrangement: H8 or S4
	constants []int
	from, to  func(i int, r v)
}

func (l *lineNEON) load(i, r int)   { l.from(i, v(r)) }
func (l *lineNEON) store(i, r int)  { l.to(i, v(r)) }
func (l *lineNEON) spill(i, r int)  { l.linef("VMOV V%d.B16, V%d.B16", r, 16+i) }
func (l *lineNEON) fill(i, r int)   { l.linef("VMOV V%d.B16, V%d.B16", 16+i, r) }
func (l *lineNEON) add(d, n, m int) { l.line(arr("VADD", l.kind, v(d), v(n), v(m))) }
func (l *lineNEON) sub(d, n, m int) { l.line(arr("VSUB", l.kind, v(d), v(n), v(m))) }
func (l *lineNEON) shl(d, n, bits int) {
	l.linef("VSHL $%d, V%d.%s, V%d.%s", bits, n, l.kind, d, l.kind)
}

func (l *lineNEON) mul(d, n, by int) {
	for i, c := range l.constants {
		if c == by {
			l.line(arr("VMUL", l.kind, v(d), v(n), v(24+i)))
			return
		}
	}
	panic(fmt.Sprintf("no constant %d", by))
}

// hold fills the registers of the constants.
func (l *lineNEON) hold(constants []int) {
	l.constants = constants
	for i, c := range constants {
		l.linef("MOVD $%d, R16", uint16(c))
		l.linef("VDUP R16, V%d.H8", 24+i)
	}
}

// odd holds a stride times 1, 3, 5, ...: what multiples are, but for a shift.
type odd []x

// odds fills registers from to on with the stride's odd multiples below n.
func (b *arm) odds(stride x, n int, to x) odd {
	o := odd{stride}
	for i := 3; i < n; i += 2 {
		b.linef("ADD %v<<1, %v, %v", stride, o[len(o)-1], to)
		o = append(o, to)
		to++
	}
	return o
}

// address leaves base plus i strides in R16, or says that it is base.
func (b *arm) address(base x, o odd, i int) x {
	if i == 0 {
		return base
	}
	shift := 0
	for i%2 == 0 {
		i /= 2
		shift++
	}
	if shift == 0 {
		b.linef("ADD %v, %v, R16", o[i/2], base)
	} else {
		b.linef("ADD %v<<%d, %v, R16", o[i/2], shift, base)
	}
	return 16
}

// lineInputNEON takes eight channels at a time.
func lineInputNEON() file[*arm] {
	file := file[*arm]{name: "u8s16_winolineinput_neon"}
	for _, form := range lineForms {
		name := "U8S16WinoInput" + form.name + "NEON"
		file.funcs = append(file.funcs, function[*arm]{name: name, sig: winoInputSig, doc: form.doc(name,
			fmt.Sprintf("\tv[f*ldf...][c] = sum over i < %d of B[i][f] * x[i*ldx+c], for f < %d, c < n rounded up to 8", form.n(), form.freqs),
			"",
			"ldf is in bytes; ldy and tmp are not used.",
		), emit: func(b *arm) {
			l := &lineNEON{arm: b, kind: "H8"}
			l.hold(form.input.by)
			to, from, count := b.arg("v", 0), b.arg("x", 1), b.arg("n", 2)
			out, in := b.odds(b.arg("ldf", 3), form.freqs, 4), b.odds(b.arg("ldx", 10), form.n(), 11)
			l.from = func(i int, r v) {
				b.line(ldd(r, b.address(from, in, i), 0), f("VUXTL V%d.B8, V%d.H8", r, r))
			}
			l.to = func(i int, r v) { b.line(stq(r, b.address(to, out, i), 0)) }
			b.beginElements("channels", 8)
			form.input.emit(l)
			b.linef("ADD $8, %v", from)
			b.linef("ADD $16, %v", to)
			b.linef("SUBS $8, %v", count)
			b.endLoop("BGT channels")
			b.line("RET")
		}})
	}
	return file
}

// lineFilterNEON takes the eight columns of a term, a group.
func lineFilterNEON() file[*arm] {
	file := file[*arm]{name: "s8s16_winolinefilter_neon"}
	for _, form := range lineForms {
		name := "S8S16WinoFilter" + form.name + "NEON"
		file.funcs = append(file.funcs, function[*arm]{name: name, sig: winoFilterSig, doc: form.doc(name,
			fmt.Sprintf("\tu[f*ldf...][8*g+l] = sum over i < %d of G[f][i] * w[8*(%d*g+i)+l], for f < %d, g < groups, l < 8", form.r, form.r, form.freqs),
			"",
			"ldf is in bytes; rows, n and tmp are not used.",
		), emit: func(b *arm) {
			l := &lineNEON{arm: b, kind: "H8"}
			l.hold(form.filter.by)
			to, from, count := b.arg("u", 0), b.arg("w", 1), b.arg("groups", 2)
			out := b.odds(b.arg("ldf", 3), form.freqs, 4)
			l.from = func(i int, r v) { b.line(ldd(r, from, 8*i), f("VSXTL V%d.B8, V%d.H8", r, r)) }
			l.to = func(i int, r v) { b.line(stq(r, b.address(to, out, i), 0)) }
			b.beginElements("groups", 8)
			form.filter.emit(l)
			b.linef("ADD $%d, %v", 8*form.r, from)
			b.linef("ADD $16, %v", to)
			b.linef("SUBS $1, %v", count)
			b.endLoop("BGT groups")
			b.line("RET")
		}})
	}
	return file
}

// lineOutputNEON takes four of a tile's eight columns at a time.
func lineOutputNEON() file[*arm] {
	file := file[*arm]{name: "s32_winolineoutput_neon"}
	for _, form := range lineForms {
		name := "S32WinoOutput" + form.name + "NEON"
		file.funcs = append(file.funcs, function[*arm]{name: name, sig: winoOutputSig, doc: form.doc(name,
			fmt.Sprintf("\ty[i*ldy...][8*t+c] = (sum over f < %d of A[f][i] * m[f*ldf...][8*t+c] * %#x + corr[c]) >> 3,", form.freqs, form.inverse),
			"",
			fmt.Sprintf("for i < %d, t < tiles, c < 8. ldy and ldf are in bytes; tmp is not used.", form.m),
		), emit: func(b *arm) {
			l := &lineNEON{arm: b, kind: "S4"}
			to, from, count, corr := b.arg("y", 0), b.arg("m", 1), b.arg("tiles", 2), b.arg("corr", 16)
			b.line(ldq(24, corr, 0), ldq(25, corr, 16))
			b.linef("MOVD $%#x, R16", form.inverse)
			b.line("VDUP R16, V26.S4")
			in, out := b.odds(b.arg("ldf", 3), form.freqs, 4), b.odds(b.arg("ldy", 10), form.m, 11)
			l.from = func(i int, r v) { b.line(ldq(r, b.address(from, in, i), 0)) }
			b.beginElements("tiles", 8)
			for half := range 2 {
				l.to = func(i int, r v) {
					b.line(arr("VMUL", "S4", r, r, 26), arr("VADD", "S4", r, r, v(24+half)), f("VSSHR $3, V%d.S4, V%d.S4", r, r))
					b.line(stq(r, b.address(to, out, i), 0))
				}
				form.output.emit(l)
				b.linef("ADD $16, %v", from)
				b.linef("ADD $16, %v", to)
			}
			b.linef("SUBS $1, %v", count)
			b.endLoop("BGT tiles")
			b.line("RET")
		}})
	}
	return file
}
