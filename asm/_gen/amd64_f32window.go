package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in Tap; a test of package kernels holds them.
const (
	offTapA = 0
	offTapW = 8
	tapSize = 16
)

// windowKind is what a window kernel makes of its taps.
type windowKind int

const (
	depthwiseF32 windowKind = iota
	maxPoolF32
	avgPoolF32
)

// windowF32 emits depthwise convolution and pooling, which differ in what they do with a tap and at the end.
func windowF32(isa floatISA, kind windowKind) asmFunc {
	name, sig, doc := windowText(kind, isa.camel, "FMA(a[i*step+at[t].A...][j], w[at[t].W...][j], v)")
	return asmFunc{name: name, sig: sig, doc: doc, emit: func(b *builder) { newWindowWalk(b, isa, kind).emit() }}
}

// windowText is a window kernel's symbol, parameters and description; term is what a tap of a convolution makes of v.
func windowText(kind windowKind, isa, term string) (name, sig string, doc []string) {
	const at = "dst[i*ldd...][j] = "
	sig = "dst *float32, ldd int, a *float32, step int, pixels int, at *Tap, taps int, n int, divisor float32"
	var formula []string
	switch kind {
	case depthwiseF32:
		name = "F32Depthwise" + isa
		sig = "dst *float32, ldd int, a *float32, step int, pixels int, at *Tap, taps int, w *float32, n int, bias *float32, res *float32, ldr int, p *ClampF32"
		formula = []string{
			"\tv := bias[j]",
			"\tfor t < taps { v = " + term + " }",
			"\t" + at + "what p makes of v and, unless res is nil, res[i*ldr...][j]",
		}
	case maxPoolF32:
		name = "F32MaxPool" + isa
		formula = []string{"\t" + at + "max over t < taps of a[i*step+at[t].A...][j]"}
	case avgPoolF32:
		name = "F32AvgPool" + isa
		formula = []string{"\t" + at + "(sum over t < taps of a[i*step+at[t].A...][j]) / divisor"}
	}
	doc = append([]string{name + " is, for i < pixels, j < n, distances and offsets being in bytes:", ""}, formula...)
	doc = append(doc, "", "taps is at least 1. It reads up to 64 bytes behind channel n-1 and writes n channels a pixel.")
	return name, sig, doc
}

// windowWalk walks over groups of four pixels, then single ones; in them over blocks of two registers of channels, then
// of one; in them over the taps.
type windowWalk struct {
	*builder
	isa                               floatISA
	kind                              windowKind
	dst, a, w, bias, res, n           reg.GPVirtual // of the block
	step, step3, at, t, o, x          reg.GPVirtual
	pixels                            operand.Mem
	lo, hi, innerLo, innerHi, divisor reg.VecPhysical
}

func newWindowWalk(b *builder, isa floatISA, kind windowKind) *windowWalk {
	last := func(i int) reg.VecPhysical { return isa.reg(isa.regs - 1 - i) }
	return &windowWalk{builder: b, isa: isa, kind: kind, dst: b.GP64(), a: b.GP64(), w: b.GP64(), bias: b.GP64(), res: b.GP64(), n: b.GP64(),
		step: b.arg("step"), step3: b.GP64(), at: b.GP64(), t: b.GP64(), o: b.GP64(), x: b.GP64(), pixels: b.AllocLocal(8),
		lo: last(0), hi: last(1), innerLo: last(2), innerHi: last(3), divisor: last(0)}
}

func (w *windowWalk) emit() {
	w.LEAQ(operand.Mem{Base: w.step, Index: w.step, Scale: 2}, w.step3)
	switch w.kind {
	case depthwiseF32:
		p := w.arg("p")
		w.VBROADCASTSS(mem(p, offF32Lo), w.lo)
		w.VBROADCASTSS(mem(p, offF32Hi), w.hi)
		w.VBROADCASTSS(mem(p, offF32InnerLo), w.innerLo)
		w.VBROADCASTSS(mem(p, offF32InnerHi), w.innerHi)
	case avgPoolF32:
		d, err := w.Param("divisor").Resolve()
		if err != nil {
			panic(err)
		}
		w.VBROADCASTSS(d.Addr, w.divisor)
	}
	w.MOVQ(w.arg("pixels"), w.pixels)
	// The arguments dst, a and res in the frame move on from group to group.
	group, single, done := w.label("four"), w.label("single"), w.label("done")
	w.Label(group)
	w.CMPQ(w.pixels, imm(4))
	w.JL(operand.LabelRef(single))
	w.group(4)
	w.JMP(operand.LabelRef(group))
	w.Label(single)
	w.CMPQ(w.pixels, imm(0))
	w.JE(operand.LabelRef(done))
	w.group(1)
	w.JMP(operand.LabelRef(single))
	w.Label(done)
	w.VZEROUPPER()
	w.RET()
}

// group computes some neighbouring pixels.
func (w *windowWalk) group(pixels int) {
	w.load("dst", w.dst)
	w.load("a", w.a)
	w.load("n", w.n)
	if w.kind == depthwiseF32 {
		w.load("w", w.w)
		w.load("bias", w.bias)
		w.load("res", w.res)
	}
	double, last, done := w.label("double"), w.label("last"), w.label("stored")
	w.Label(double)
	w.CMPQ(w.n, imm(2*w.isa.lanes))
	w.JL(operand.LabelRef(last))
	w.block(pixels, 2)
	w.JMP(operand.LabelRef(double))
	w.Label(last)
	w.CMPQ(w.n, imm(0))
	w.JLE(operand.LabelRef(done))
	w.block(pixels, 1)
	w.JMP(operand.LabelRef(last))
	w.Label(done)
	w.forward("dst", "ldd", pixels)
	w.forward("a", "step", pixels)
	if w.kind == depthwiseF32 {
		none := w.label("none")
		w.load("res", w.x)
		w.TESTQ(w.x, w.x)
		w.JE(operand.LabelRef(none))
		w.forward("res", "ldr", pixels)
		w.Label(none)
	}
	w.SUBQ(imm(pixels), w.pixels)
}

func (w *windowWalk) load(arg string, to reg.GPVirtual) { w.Load(w.Param(arg), to) }

// forward moves a pointer among the arguments by that many rows.
func (w *windowWalk) forward(arg, row string, rows int) {
	p, err := w.Param(arg).Resolve()
	if err != nil {
		panic(err)
	}
	w.load(row, w.x)
	if rows == 4 {
		w.SHLQ(imm8(2), w.x)
	}
	w.ADDQ(w.x, p.Addr)
}

// block computes channels of one or two registers.
func (w *windowWalk) block(pixels, vecs int) {
	size := w.isa.bytes()
	acc := func(i, j int) reg.VecPhysical { return w.isa.reg(i*vecs + j) }
	from := func(i, j int) operand.Mem {
		m := mem(w.o, size*j)
		switch i {
		case 1:
			m.Index, m.Scale = w.step, 1
		case 2:
			m.Index, m.Scale = w.step, 2
		case 3:
			m.Index, m.Scale = w.step3, 1
		}
		return m
	}
	w.load("at", w.at)
	w.load("taps", w.t)
	tap, ended := w.label("tap"), w.label("ended")
	if w.kind == depthwiseF32 {
		for i := range pixels {
			for j := range vecs {
				w.VMOVUPS(mem(w.bias, size*j), acc(i, j))
			}
		}
	} else {
		w.address()
		for i := range pixels {
			for j := range vecs {
				w.VMOVUPS(from(i, j), acc(i, j))
			}
		}
		w.DECQ(w.t)
		w.JE(operand.LabelRef(ended))
	}
	w.Label(tap)
	if w.kind == depthwiseF32 {
		w.MOVQ(mem(w.at, offTapW), w.x)
		for j := range vecs {
			w.VMOVUPS(operand.Mem{Base: w.w, Index: w.x, Scale: 1, Disp: size * j}, w.weights(j))
		}
	}
	w.address()
	for i := range pixels {
		for j := range vecs {
			switch w.kind {
			case depthwiseF32:
				w.VFMADD231PS(from(i, j), w.weights(j), acc(i, j))
			case maxPoolF32:
				w.VMAXPS(from(i, j), acc(i, j), acc(i, j))
			case avgPoolF32:
				w.VADDPS(from(i, j), acc(i, j), acc(i, j))
			}
		}
	}
	w.DECQ(w.t)
	w.JNE(operand.LabelRef(tap))
	w.Label(ended)
	w.finish(pixels, vecs, acc)

	w.ADDQ(imm(size*vecs), w.a)
	w.ADDQ(imm(size*vecs), w.dst)
	if w.kind == depthwiseF32 {
		for _, p := range []reg.Register{w.w, w.bias, w.res} {
			w.ADDQ(imm(size*vecs), p)
		}
	}
	w.SUBQ(imm(w.isa.lanes*vecs), w.n)
}

// weights are the registers of a tap's weights, behind the sums.
func (w *windowWalk) weights(j int) reg.VecPhysical { return w.isa.reg(8 + j) }

// address takes the next tap.
func (w *windowWalk) address() {
	w.MOVQ(mem(w.at, offTapA), w.o)
	w.ADDQ(w.a, w.o)
	w.ADDQ(imm(tapSize), w.at)
}

// finish stores the sums.
func (w *windowWalk) finish(pixels, vecs int, acc func(i, j int) reg.VecPhysical) {
	size := w.isa.bytes()
	each := func(f func(i, j int, v reg.VecPhysical)) {
		for i := range pixels {
			for j := range vecs {
				f(i, j, acc(i, j))
			}
		}
	}
	switch w.kind {
	case depthwiseF32:
		clamp := w.label("clamp")
		w.load("res", w.o)
		w.TESTQ(w.o, w.o)
		w.JE(operand.LabelRef(clamp))
		w.load("ldr", w.x)
		w.MOVQ(w.res, w.o)
		each(func(i, j int, v reg.VecPhysical) {
			w.bound(v, w.innerLo, w.innerHi)
			w.VADDPS(mem(w.o, size*j), v, v)
			if j == vecs-1 && i < pixels-1 {
				w.ADDQ(w.x, w.o)
			}
		})
		w.Label(clamp)
		each(func(_, _ int, v reg.VecPhysical) { w.bound(v, w.lo, w.hi) })
	case avgPoolF32:
		each(func(_, _ int, v reg.VecPhysical) { w.VDIVPS(w.divisor, v, v) })
	}
	w.load("ldd", w.x)
	w.MOVQ(w.dst, w.o)
	rows := func(store func(v reg.VecPhysical, to operand.Mem)) {
		each(func(i, j int, v reg.VecPhysical) {
			store(v, mem(w.o, size*j))
			if j == vecs-1 && i < pixels-1 {
				w.ADDQ(w.x, w.o)
			}
		})
	}
	whole := func(v reg.VecPhysical, to operand.Mem) { w.VMOVUPS(v, to) }
	if vecs == 2 {
		rows(whole)
		return
	}
	if w.isa.lanes == 16 {
		w.tailMask(w.n, 16, reg.K1)
		rows(func(v reg.VecPhysical, to operand.Mem) { w.VMOVUPS(v, reg.K1, to) })
		return
	}
	some, stored := w.label("some"), w.label("written")
	w.CMPQ(w.n, imm(w.isa.lanes))
	w.JL(operand.LabelRef(some))
	rows(whole)
	w.JMP(operand.LabelRef(stored))
	w.Label(some)
	w.MOVQ(w.dst, w.o)
	for i := range pixels {
		w.storeSome(acc(i, 0), i)
		if i < pixels-1 {
			w.ADDQ(w.x, w.o)
		}
	}
	w.Label(stored)
}

// storeSome writes the low n lanes, fewer than eight, of register i; the register is lost.
func (w *windowWalk) storeSome(v reg.VecPhysical, i int) {
	x := xmm(i)
	w.MOVQ(w.o, w.t)
	for size := 4; size > 0; size /= 2 {
		skip := w.label("skip")
		w.TESTQ(operand.I32(size), w.n)
		w.JE(operand.LabelRef(skip))
		switch size {
		case 4:
			w.VMOVUPS(x, mem(w.t, 0))
			w.VEXTRACTF128(imm8(1), v, x)
		case 2:
			w.VMOVQ(x, mem(w.t, 0))
			w.VPSRLDQ(imm8(8), x, x)
		case 1:
			w.VMOVSS(x, mem(w.t, 0))
		}
		if size > 1 {
			w.ADDQ(imm(4*size), w.t)
		}
		w.Label(skip)
	}
}

// windowsF32 is the file of one instruction set.
func windowsF32(isa floatISA) asmFile {
	return asmFile{name: "f32_window_" + isa.name, funcs: []asmFunc{
		windowF32(isa, depthwiseF32), windowF32(isa, maxPoolF32), windowF32(isa, avgPoolF32),
	}}
}
