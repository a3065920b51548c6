package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const requantSig = "dst *byte, ldd int, c *int32, ldc int, rows int, n int, bias *int32, mult *float32, res *byte, ldr int, p *Requant"

// Offsets in Requant; a test of package asm holds them.
const (
	offLo    = 0
	offHi    = 4
	offZero  = 8
	offAOff  = 12
	offAMult = 16
	offBZero = 20
	offBMult = 24
	offRLo   = 28
	offRHi   = 32
	offRZero = 36
)

func requantDoc(name string, residual bool) []string {
	formula := []string{"\tdst[ldd*i+j] = byte(p.Zero + rne(clamp(float32(c[ldc*i+j]+bias[j])*mult[j], p.Lo, p.Hi)))"}
	if residual {
		formula = []string{
			"\tr := rne(clamp(float32(c[ldc*i+j]+bias[j])*mult[j], p.Lo, p.Hi))",
			"\tv := float32(r+p.AOff)*p.AMult + float32(int32(res[ldr*i+j])-p.BZero)*p.BMult",
			"\tdst[ldd*i+j] = byte(p.RZero + rne(clamp(v, p.RLo, p.RHi)))",
		}
	}
	doc := append([]string{name + " is, for i < rows, j < n:", ""}, formula...)
	return append(doc, "", "It reads up to 64 bytes behind column n-1 and writes n bytes a row.")
}

// consts holds the fields of Requant in registers where there are enough of them. A field without one is broadcast into
// spare when it is used.
type consts struct {
	b      *builder
	p      reg.Register
	pinned map[int]reg.VecPhysical
	spare  reg.VecPhysical
}

func (b *builder) consts(p reg.Register, spare reg.VecPhysical, regs []reg.VecPhysical, fields ...int) consts {
	c := consts{b, p, map[int]reg.VecPhysical{}, spare}
	for i, f := range fields {
		b.VBROADCASTSS(mem(p, f), regs[i])
		c.pinned[f] = regs[i]
	}
	return c
}

func (c consts) get(field int) reg.VecPhysical {
	if r, ok := c.pinned[field]; ok {
		return r
	}
	c.b.VBROADCASTSS(mem(c.p, field), c.spare)
	return c.spare
}

// scale turns accumulators with their bias into rounded values, v in place: without the zero point, which the caller adds
// after packing. res addresses the other operand's bytes of these lanes, t is scratch; both only matter with residual.
// MULPS and CVTPS2DQ round to nearest even, which is what Go leaves in MXCSR.
func (c consts) scale(v reg.VecPhysical, mult operand.Op, residual bool, res operand.Op, t reg.VecPhysical) {
	b := c.b
	b.VCVTDQ2PS(v, v)
	b.VMULPS(mult, v, v)
	b.VMAXPS(c.get(offLo), v, v)
	b.VMINPS(c.get(offHi), v, v)
	b.VCVTPS2DQ(v, v)
	if !residual {
		return
	}
	b.VPADDD(c.get(offAOff), v, v)
	b.VCVTDQ2PS(v, v)
	b.VMULPS(c.get(offAMult), v, v)
	if res != nil {
		b.VPMOVZXBD(res, t)
	}
	b.VPSUBD(c.get(offBZero), t, t)
	b.VCVTDQ2PS(t, t)
	b.VMULPS(c.get(offBMult), t, t)
	b.VADDPS(t, v, v)
	b.VMAXPS(c.get(offRLo), v, v)
	b.VMINPS(c.get(offRHi), v, v)
	b.VCVTPS2DQ(v, v)
}

func zeroField(residual bool) int {
	if residual {
		return offRZero
	}
	return offZero
}

// storeBytes writes the low count bytes of x, fewer than limit, a power of two; x is lost.
func (b *builder) storeBytes(x reg.VecPhysical, count, dst reg.Register, limit int) {
	d := b.GP64()
	b.MOVQ(dst, d)
	for size := limit / 2; size > 0; size /= 2 {
		skip := b.label("skip")
		b.TESTQ(operand.I32(size), count)
		b.JE(operand.LabelRef(skip))
		switch size {
		case 8:
			b.VMOVQ(x, mem(d, 0))
		case 4:
			b.VMOVD(x, mem(d, 0))
		case 2:
			b.VPEXTRW(imm8(0), x, mem(d, 0))
		case 1:
			b.VPEXTRB(imm8(0), x, mem(d, 0))
		}
		if size > 1 {
			b.VPSRLDQ(imm8(size), x, x)
			b.ADDQ(imm(size), d)
		}
		b.Label(skip)
	}
}

// requantWalk emits the walk of both kernels: for a block of columns, all rows. setup loads what the block's rows share, body
// does one row, columns is how many columns a block has.
type requantWalk struct {
	dst, c, res, bias, mult, n reg.GPVirtual // of the block
	ldd, ldc, ldr              reg.GPVirtual
	d, acc, r, count           reg.GPVirtual // of the row
	residual                   bool
}

func (b *builder) requantWalk(residual bool) *requantWalk {
	w := &requantWalk{residual: residual, dst: b.arg("dst"), c: b.arg("c"), bias: b.arg("bias"), mult: b.arg("mult"), n: b.arg("n"),
		ldd: b.arg("ldd"), ldc: b.arg("ldc"), d: b.GP64(), acc: b.GP64(), count: b.GP64()}
	b.SHLQ(imm(2), w.ldc)
	if residual {
		w.res, w.ldr, w.r = b.arg("res"), b.arg("ldr"), b.GP64()
	}
	return w
}

func (w *requantWalk) block(b *builder, columns int, body func()) {
	loop := b.label("rows")
	b.MOVQ(w.dst, w.d)
	b.MOVQ(w.c, w.acc)
	if w.residual {
		b.MOVQ(w.res, w.r)
	}
	b.Load(b.Param("rows"), w.count)
	b.Label(loop)
	body()
	b.ADDQ(w.ldd, w.d)
	b.ADDQ(w.ldc, w.acc)
	if w.residual {
		b.ADDQ(w.ldr, w.r)
	}
	b.DECQ(w.count)
	b.JNE(operand.LabelRef(loop))
	if w.residual {
		b.ADDQ(imm(columns), w.res)
	}
	b.ADDQ(imm(columns), w.dst)
	b.ADDQ(imm(4*columns), w.c)
	b.ADDQ(imm(4*columns), w.bias)
	b.ADDQ(imm(4*columns), w.mult)
	b.SUBQ(imm(columns), w.n)
}

var residualFields = []int{offLo, offHi, offAOff, offAMult, offBZero, offBMult, offRLo, offRHi}

func requantAVX2() asmFile {
	f := asmFile{name: "s32u8_requant_avx2"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantAVX2"
		fields := []int{offLo, offHi}
		if residual {
			name, fields = "S32U8RequantAddAVX2", residualFields
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: requantSig, doc: requantDoc(name, residual), emit: func(b *builder) {
			p := b.arg("p")
			zero := xmm(15)
			b.VPBROADCASTW(mem(p, zeroField(residual)), zero)
			k := b.consts(p, nil, ymms[7:], fields...)
			w := b.requantWalk(residual)
			b.Label("columns16")
			b.CMPQ(w.n, imm(16))
			b.JL(operand.LabelRef("rest"))
			if !residual { // with the residual's constants there are no registers for two
				bias0, bias1, mult0, mult1 := ymm(9), ymm(10), ymm(11), ymm(12)
				b.VMOVDQU(mem(w.bias, 0), bias0)
				b.VMOVDQU(mem(w.bias, 32), bias1)
				b.VMOVUPS(mem(w.mult, 0), mult0)
				b.VMOVUPS(mem(w.mult, 32), mult1)
				w.block(b, 16, func() {
					b.VPADDD(mem(w.acc, 0), bias0, ymm(0))
					b.VPADDD(mem(w.acc, 32), bias1, ymm(1))
					k.scale(ymm(0), mult0, false, nil, nil)
					k.scale(ymm(1), mult1, false, nil, nil)
					b.pack16(0, 1, 2, zero)
					b.VMOVDQU(xmm(0), mem(w.d, 0))
				})
				b.JMP(operand.LabelRef("columns16"))
			}
			b.Label("rest")
			b.TESTQ(w.n, w.n)
			b.JE(operand.LabelRef("done"))
			b.Label("columns8")
			b.VMOVDQU(mem(w.bias, 0), ymm(5))
			b.VMOVUPS(mem(w.mult, 0), ymm(6))
			w.block(b, 8, func() {
				full, stored := b.label("full"), b.label("stored")
				b.VPADDD(mem(w.acc, 0), ymm(5), ymm(0))
				var res operand.Op
				if residual {
					res = mem(w.r, 0)
				}
				k.scale(ymm(0), ymm(6), residual, res, ymm(1))
				b.VEXTRACTI128(imm8(1), ymm(0), xmm(1))
				b.VPACKSSDW(xmm(1), xmm(0), xmm(0))
				b.VPADDW(zero, xmm(0), xmm(0))
				b.VPACKUSWB(xmm(0), xmm(0), xmm(0))
				b.CMPQ(w.n, imm(8))
				b.JGE(operand.LabelRef(full))
				b.storeBytes(xmm(0), w.n, w.d, 8)
				b.JMP(operand.LabelRef(stored))
				b.Label(full)
				b.VMOVQ(xmm(0), mem(w.d, 0))
				b.Label(stored)
			})
			b.JG(operand.LabelRef("columns8"))
			b.Label("done")
			b.VZEROUPPER()
			b.RET()
		}})
	}
	return f
}

// pack16 packs the values of two registers, adds the zero point (words), and leaves 16 bytes in order in the first.
func (b *builder) pack16(v0, v1, t int, zero reg.VecPhysical) {
	b.VPACKSSDW(ymm(v1), ymm(v0), ymm(v0)) // words 0-3 8-11 | 4-7 12-15
	b.VEXTRACTI128(imm8(1), ymm(v0), xmm(t))
	b.VPADDW(zero, xmm(v0), xmm(v0))
	b.VPADDW(zero, xmm(t), xmm(t))
	b.VPACKUSWB(xmm(t), xmm(v0), xmm(v0)) // bytes 0-3 8-11 4-7 12-15
	b.VPSHUFD(imm8(0xD8), xmm(v0), xmm(v0))
}

func requantAVX512() asmFile {
	f := asmFile{name: "s32u8_requant_avx512"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantAVX512"
		fields := []int{offLo, offHi, offZero}
		if residual {
			name, fields = "S32U8RequantAddAVX512", append([]int{offRZero}, residualFields...)
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: requantSig, doc: requantDoc(name, residual), emit: func(b *builder) {
			p := b.arg("p")
			k := b.consts(p, nil, zmms[16:], fields...)
			w := b.requantWalk(residual)
			b.Label("columns")
			b.tailMask(w.n, 16, reg.K1)
			b.VMOVDQU64(mem(w.bias, 0), zmm(4))
			b.VMOVUPS(mem(w.mult, 0), zmm(5))
			w.block(b, 16, func() {
				b.VPADDD(mem(w.acc, 0), zmm(4), zmm(0))
				var res operand.Op
				if residual {
					res = mem(w.r, 0)
				}
				k.scale(zmm(0), zmm(5), residual, res, zmm(1))
				b.VPADDD(k.get(zeroField(residual)), zmm(0), zmm(0))
				b.VPMOVDB(zmm(0), reg.K1, mem(w.d, 0))
			})
			b.JG(operand.LabelRef("columns"))
			b.VZEROUPPER()
			b.RET()
		}})
	}
	return f
}

// tailMask sets the low min(n, lanes) bits of k, lanes being 16 or 64.
func (b *builder) tailMask(n reg.Register, lanes int, k reg.Register) {
	full := b.label("full")
	m := b.GP64()
	b.MOVQ(operand.I64(-1), m)
	b.CMPQ(n, imm(lanes))
	b.JGE(operand.LabelRef(full))
	b.MOVQ(n, reg.RCX)
	b.SHLQ(reg.CL, m)
	b.NOTQ(m)
	b.Label(full)
	if lanes == 64 {
		b.KMOVQ(m, k)
	} else {
		b.KMOVW(m.(reg.GPVirtual).As32(), k)
	}
}
