package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lineAMD64 emits lineOps: registers 12 to 15 are the form's constants.
type lineAMD64 struct {
	*builder
	vec       winoVec
	wide      bool // 32-bit lanes
	constants []int
	from, to  func(i, r int)
	tmp       reg.Register
}

func (l *lineAMD64) load(i, r int)  { l.from(i, r) }
func (l *lineAMD64) store(i, r int) { l.to(i, r) }
func (l *lineAMD64) spill(i, r int) { l.vec.store(l.builder, l.vec.r(r), mem(l.tmp, i*l.vec.bytes)) }
func (l *lineAMD64) fill(i, r int)  { l.vec.load(l.builder, mem(l.tmp, i*l.vec.bytes), l.vec.r(r)) }

func (l *lineAMD64) add(d, n, m int) {
	if l.wide {
		l.VPADDD(l.vec.r(m), l.vec.r(n), l.vec.r(d))
	} else {
		l.VPADDW(l.vec.r(m), l.vec.r(n), l.vec.r(d))
	}
}

func (l *lineAMD64) sub(d, n, m int) {
	if l.wide {
		l.VPSUBD(l.vec.r(m), l.vec.r(n), l.vec.r(d))
	} else {
		l.VPSUBW(l.vec.r(m), l.vec.r(n), l.vec.r(d))
	}
}

func (l *lineAMD64) shl(d, n, bits int) {
	if l.wide {
		l.VPSLLD(imm8(bits), l.vec.r(n), l.vec.r(d))
	} else {
		l.VPSLLW(imm8(bits), l.vec.r(n), l.vec.r(d))
	}
}

func (l *lineAMD64) mul(d, n, by int) {
	for i, c := range l.constants {
		if c == by {
			l.VPMULLW(l.vec.r(12+i), l.vec.r(n), l.vec.r(d))
			return
		}
	}
	panic(fmt.Sprintf("no constant %d", by))
}

// hold fills the registers of the constants.
func (l *lineAMD64) hold(constants []int) {
	l.constants = constants
	for i, c := range constants {
		l.vec.fill(l.builder, uint32(uint16(c))*0x10001, l.vec.r(12+i))
	}
}

// stepped addresses multiples of a stride, six of them from each of some bases.
type stepped []strided

func (b *builder) stepped(base, stride reg.GPVirtual, n int) stepped {
	first := b.strides(stride, 6)
	b.MOVQ(base, first.base)
	s := stepped{first}
	for len(s)*6 < n {
		next := first
		next.base = b.GP64()
		b.MOVQ(s[len(s)-1].base, next.base)
		next.advance(b, 6)
		s = append(s, next)
	}
	return s
}

func (s stepped) at(i, disp int) operand.Mem { return s[i/6].at(i%6, disp) }

func (s stepped) move(b *builder, n int) {
	for _, p := range s {
		b.ADDQ(imm(n), p.base)
	}
}

// lineInput: one register of channels.
func lineInput(v winoVec) asmFile {
	f := asmFile{name: fmt.Sprintf("u8s16_winolineinput_%s", isaStem(v))}
	for _, form := range lineForms {
		name := fmt.Sprintf("U8S16WinoInput%s%s", form.name, v.isa)
		lanes := v.bytes / 2
		f.funcs = append(f.funcs, asmFunc{name: name, sig: winoInputSig, doc: form.doc(name,
			fmt.Sprintf("\tv[f*ldf...][c] = sum over i < %d of B[i][f] * x[i*ldx+c], for f < %d, c < n rounded up to %d", form.n(), form.freqs, lanes),
			"",
			fmt.Sprintf("ldf is in bytes; ldy is not used. tmp is %d bytes of scratch.", lineSpills*v.bytes),
		), emit: func(b *builder) {
			b.legacy = v.bytes == 16
			l := &lineAMD64{builder: b, vec: v}
			l.hold(form.input.by)
			in, out := b.stepped(b.arg("x"), b.arg("ldx"), form.n()), b.stepped(b.arg("v"), b.arg("ldf"), form.freqs)
			count := b.arg("n")
			l.tmp = b.arg("tmp")
			l.from = func(i, r int) { b.VPMOVZXBW(in.at(i, 0), v.r(r)) }
			l.to = func(i, r int) { v.store(b, v.r(r), out.at(i, 0)) }
			b.Label("channels")
			form.input.emit(l)
			in.move(b, lanes)
			out.move(b, v.bytes)
			b.SUBQ(imm(lanes), count)
			b.JG(operand.LabelRef("channels"))
			v.finish(b)
		}})
	}
	return f
}

// lineFilter: two registers of lanes, a lane being one term of one column.
func lineFilter(v winoVec) asmFile {
	lanes := v.bytes
	f := asmFile{name: fmt.Sprintf("s8s16_winolinefilter_%s", isaStem(v))}
	for _, form := range lineForms {
		name := fmt.Sprintf("S8S16WinoFilter%s%s", form.name, v.isa)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: winoFilterSig, doc: form.doc(name,
			fmt.Sprintf("\tu[f*ldf...][%d*g+l] = sum over i < %d of G[f][i] * w[%d*(%d*g+i)+l], for f < %d, g < groups, l < %d", lanes, form.r, lanes, form.r, form.freqs, lanes),
			"",
			"ldf is in bytes; rows, n and tmp are not used.",
		), emit: func(b *builder) {
			b.legacy = v.bytes == 16
			l := &lineAMD64{builder: b, vec: v}
			l.hold(form.filter.by)
			w, out, count := b.arg("w"), b.stepped(b.arg("u"), b.arg("ldf"), form.freqs), b.arg("groups")
			b.Label("groups")
			for half := range 2 {
				l.from = func(i, r int) { b.VPMOVSXBW(mem(w, lanes*i+half*lanes/2), v.r(r)) }
				l.to = func(i, r int) { v.store(b, v.r(r), out.at(i, half*v.bytes)) }
				form.filter.emit(l)
			}
			b.ADDQ(imm(form.r*lanes), w)
			out.move(b, 2*v.bytes)
			b.DECQ(count)
			b.JNE(operand.LabelRef("groups"))
			v.finish(b)
		}})
	}
	return f
}

// lineOutput: two registers of channels.
func lineOutput(v winoVec) asmFile {
	nr := v.bytes / 2
	f := asmFile{name: fmt.Sprintf("s32_winolineoutput_%s", isaStem(v))}
	for _, form := range lineForms {
		name := fmt.Sprintf("S32WinoOutput%s%s", form.name, v.isa)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: winoOutputSig, doc: form.doc(name,
			fmt.Sprintf("\ty[i*ldy...][%d*t+c] = (sum over f < %d of A[f][i] * m[f*ldf...][%d*t+c] * %#x + corr[c]) >> 3,", nr, form.freqs, nr, form.inverse),
			"",
			fmt.Sprintf("for i < %d, t < tiles, c < %d. ldy and ldf are in bytes; tmp is not used.", form.m, nr),
		), emit: func(b *builder) {
			b.legacy = v.bytes == 16
			l := &lineAMD64{builder: b, vec: v, wide: true}
			in, out := b.stepped(b.arg("m"), b.arg("ldf"), form.freqs), b.stepped(b.arg("y"), b.arg("ldy"), form.m)
			count, corr := b.arg("tiles"), b.arg("corr")
			v.fill(b, form.inverse, v.r(15))
			for half := range 2 {
				v.load(b, mem(corr, half*v.bytes), v.r(13+half))
			}
			b.Label("tiles")
			for half := range 2 {
				l.from = func(i, r int) { v.load(b, in.at(i, half*v.bytes), v.r(r)) }
				l.to = func(i, r int) {
					b.VPMULLD(v.r(15), v.r(r), v.r(r))
					b.VPADDD(v.r(13+half), v.r(r), v.r(r))
					b.VPSRAD(imm8(3), v.r(r), v.r(r))
					v.store(b, v.r(r), out.at(i, half*v.bytes))
				}
				form.output.emit(l)
			}
			in.move(b, 4*nr)
			out.move(b, 4*nr)
			b.DECQ(count)
			b.JNE(operand.LabelRef("tiles"))
			v.finish(b)
		}})
	}
	return f
}
