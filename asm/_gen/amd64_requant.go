package main

import (
	"encoding/binary"

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

// An epilogue holds in registers what requantization needs. A byte is made in three steps: round, for each register of
// accumulators with their bias; a signed pack of two of them to words, to which the zero point is added with saturation; an
// unsigned pack to bytes, of which the maximum with the lower bound is taken. So no lower bound is needed before the
// conversion: what is below int32 converts to its least value, and saturates on. What is above would do so too, so there is
// an upper bound. MULPS and CVTPS2DQ round to nearest even, which is what Go leaves in MXCSR.
type epilogue struct {
	b                            *builder
	residual                     bool
	zero, least                  reg.VecPhysical // words, bytes
	magic, back                  reg.VecPhysical // with residual
	hi                           operand.Op      // a register, or the field of Requant
	lo, aMult, bZero, bMult, rHi operand.Op      // likewise, with residual
}

// epilogue loads the constants into registers from regs, 3 or with residual 10.
func (b *builder) epilogue(p reg.Register, residual bool, regs []reg.VecPhysical) epilogue {
	e := b.epilogueBytes(p, residual, regs[0], regs[1])
	b.VBROADCASTSS(mem(p, offHi), regs[2])
	e.hi = regs[2]
	if !residual {
		return e
	}
	e.rounding(p, regs[4], regs[5])
	e.lo, e.aMult, e.bZero, e.bMult, e.rHi = regs[3], regs[6], regs[7], regs[8], regs[9]
	for _, f := range []struct {
		r   operand.Op
		off int
	}{{e.lo, offLo}, {e.aMult, offAMult}, {e.bZero, offBZero}, {e.bMult, offBMult}, {e.rHi, offRHi}} {
		b.VBROADCASTSS(mem(p, f.off), f.r)
	}
	return e
}

// epilogueInPlace is an epilogue with residual for AVX-512 kernels with few registers to spare: it takes four of regs. Instructions
// that use the other constants broadcast them from p.
func (b *builder) epilogueInPlace(p reg.Register, regs []reg.VecPhysical) epilogue {
	e := b.epilogueBytes(p, true, regs[0], regs[1])
	e.rounding(p, regs[2], regs[3])
	e.lo, e.hi, e.aMult, e.bZero, e.bMult, e.rHi = mem(p, offLo), mem(p, offHi), mem(p, offAMult), mem(p, offBZero), mem(p, offBMult), mem(p, offRHi)
	return e
}

// epilogueBytes is an epilogue with what pack needs.
func (b *builder) epilogueBytes(p reg.Register, residual bool, zeros, least reg.VecPhysical) epilogue {
	e := epilogue{b: b, residual: residual, zero: zeros, least: least}
	zero, lo := offZero, offLo
	if residual {
		zero, lo = offRZero, offRLo
	}
	b.VBROADCASTSS(mem(p, lo), e.least)
	b.VCVTPS2DQ(e.least, e.least)
	b.VPBROADCASTD(mem(p, zero), e.zero)
	b.VPADDD(e.zero, e.least, e.least)
	b.VPACKSSDW(e.least, e.least, e.least)
	b.VPACKUSWB(e.least, e.least, e.least)
	b.VPACKSSDW(e.zero, e.zero, e.zero)
	return e
}

// rounding loads what rounds an operator's own result to an integer, for the addition.
func (e *epilogue) rounding(p reg.Register, magic, back reg.VecPhysical) {
	b, bits := e.b, e.b.GP32()
	e.magic, e.back = magic, back
	b.MOVL(operand.U32(magicBits), bits)
	b.VMOVD(bits, e.magic.AsX())
	b.VPBROADCASTD(e.magic.AsX(), e.magic)
	b.VPBROADCASTD(mem(p, offAOff), e.back)
	b.VCVTDQ2PS(e.back, e.back)
	b.VSUBPS(e.back, e.magic, e.back)
}

// with does op to v with a constant: a register, or a field that the instruction's form for that broadcasts.
func (e *epilogue) with(constant operand.Op, v reg.VecPhysical, op, broadcast func(...operand.Op)) {
	if operand.IsM32(constant) {
		op = broadcast
	}
	op(constant, v, v)
}

// magicBits is the float 1.5*2^23: adding it rounds to an integer, half to even.
const magicBits = 0x4B400000

// round turns accumulators with their bias into rounded values, v in place. res addresses the other operand's bytes of these
// lanes, or is nil if they are in t, widened; t is scratch; both only matter with residual.
func (e *epilogue) round(v reg.VecPhysical, mult, res operand.Op, t reg.VecPhysical) {
	b := e.b
	b.VCVTDQ2PS(v, v)
	b.VMULPS(mult, v, v)
	if e.residual {
		if res != nil {
			b.VPMOVZXBD(res, t)
		}
		e.with(e.lo, v, b.VMAXPS, b.VMAXPS_BCST)
		e.with(e.bZero, t, b.VPSUBD, b.VPSUBD_BCST)
		e.with(e.hi, v, b.VMINPS, b.VMINPS_BCST)
		b.VCVTDQ2PS(t, t)
		b.VADDPS(e.magic, v, v) // rounds
		e.with(e.bMult, t, b.VMULPS, b.VMULPS_BCST)
		b.VSUBPS(e.back, v, v) // less magic, plus AOff: exact
		e.with(e.aMult, v, b.VMULPS, b.VMULPS_BCST)
		b.VADDPS(t, v, v)
		e.with(e.rHi, v, b.VMINPS, b.VMINPS_BCST)
	} else {
		b.VMINPS(e.hi, v, v)
	}
	b.VCVTPS2DQ(v, v)
}

// pack makes bytes of four registers of rounded values, in v0: of each 128-bit lane in turn, lanes of v0, v1, v2, v3.
func (e *epilogue) pack(v0, v1, v2, v3 reg.VecPhysical) {
	b := e.b
	b.VPACKSSDW(v1, v0, v0)
	b.VPACKSSDW(v3, v2, v2)
	b.VPADDSW(e.zero, v0, v0)
	b.VPADDSW(e.zero, v2, v2)
	b.VPACKUSWB(v2, v0, v0)
	b.VPMAXUB(e.least, v0, v0)
}

// pack16 makes 16 bytes of two 256-bit registers of rounded values, in the low half of v0; t is scratch.
func (e *epilogue) pack16(v0, v1, t reg.VecPhysical) {
	b, x := e.b, v0.AsX()
	b.VPACKSSDW(v1, v0, v0)
	b.VPADDSW(e.zero, v0, v0) // words 0-3 8-11 | 4-7 12-15
	b.VEXTRACTI128(imm8(1), v0, t)
	b.VPACKUSWB(t, x, x)
	b.VPSHUFD(imm8(0xD8), x, x)
	b.VPMAXUB(e.least.AsX(), x, x)
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

// requantPairs is the walk of a requantizer: blocks of columns, in them pairs of rows.
type requantPairs struct {
	bias, mult, n reg.GPVirtual // of the block
	dst, c, res   rowPair
	rows          []rowPair
	count         reg.GPVirtual
}

// A rowPair is the address of two rows of an operand: stride is 0 if they are one and the same, as at the end of an odd number.
type rowPair struct {
	strideParam string
	size        int           // of an element
	first       reg.GPVirtual // row of the block
	at, stride  reg.GPVirtual
}

func (r *rowPair) row(i, disp int) operand.Mem {
	m := mem(r.at, disp)
	if i > 0 {
		m.Index, m.Scale = r.stride, 1
	}
	return m
}

func (b *builder) requantPairs(residual bool) *requantPairs {
	w := &requantPairs{bias: b.arg("bias"), mult: b.arg("mult"), n: b.arg("n"), count: b.GP64()}
	pair := func(param, stride string, size int) rowPair {
		return rowPair{stride, size, b.arg(param), b.GP64(), b.GP64()}
	}
	w.dst, w.c = pair("dst", "ldd", 1), pair("c", "ldc", 4)
	w.rows = []rowPair{w.dst, w.c}
	if residual {
		w.res = pair("res", "ldr", 1)
		w.rows = append(w.rows, w.res)
	}
	return w
}

// block emits the loop over rows of a block of columns; body does a pair.
func (w *requantPairs) block(b *builder, columns int, body func()) {
	loop, pair := b.label("rows"), b.label("pair")
	for _, x := range w.rows {
		b.MOVQ(x.first, x.at)
		b.Load(b.Param(x.strideParam), x.stride)
		if x.size == 4 {
			b.SHLQ(imm(2), x.stride)
		}
	}
	b.Load(b.Param("rows"), w.count)
	b.Label(loop)
	b.CMPQ(w.count, imm(1))
	b.JNE(operand.LabelRef(pair))
	for _, x := range w.rows {
		b.XORQ(x.stride, x.stride)
	}
	b.Label(pair)
	body()
	for _, x := range w.rows {
		b.LEAQ(operand.Mem{Base: x.at, Index: x.stride, Scale: 2}, x.at)
	}
	b.SUBQ(imm(2), w.count)
	b.JG(operand.LabelRef(loop))
	for _, x := range w.rows {
		b.ADDQ(imm(columns*x.size), x.first)
	}
	b.ADDQ(imm(4*columns), w.bias)
	b.ADDQ(imm(4*columns), w.mult)
	b.SUBQ(imm(columns), w.n)
}

// order loads v with the bytes of idx, widened to 32 bits: indices of VPERMD.
func (b *builder) order(v reg.VecPhysical, idx ...byte) {
	for half := range len(idx) / 8 {
		word, x := b.GP64(), xmm(half)
		b.MOVQ(operand.U64(binary.LittleEndian.Uint64(idx[8*half:])), word)
		b.VMOVQ(word, x)
	}
	if len(idx) > 8 {
		b.VPUNPCKLQDQ(xmm(1), xmm(0), xmm(0))
	}
	b.VPMOVZXBD(xmm(0), v)
}

func zeroField(residual bool) int {
	if residual {
		return offRZero
	}
	return offZero
}

// requantWalk emits the walk of the SSE4.1 kernels: for a block of columns, all rows. setup loads what the block's rows share, body
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

// requantAVX2: two rows of 16 columns at a time.
func requantAVX2() asmFile {
	f := asmFile{name: "s32u8_requant_avx2"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantAVX2"
		if residual {
			name = "S32U8RequantAddAVX2"
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: requantSig, doc: requantDoc(name, residual), emit: func(b *builder) {
			p := b.arg("p")
			e := b.epilogue(p, residual, ymms[5:])
			order := ymm(15)
			b.order(order, 0, 4, 1, 5, 2, 6, 3, 7)
			w := b.requantPairs(residual)
			b.Label("columns")
			bias, mult := [2]operand.Op{mem(w.bias, 0), mem(w.bias, 32)}, [2]operand.Op{mem(w.mult, 0), mem(w.mult, 32)}
			if !residual { // with the residual's constants there are no registers left
				for j := range 2 {
					b.VMOVDQU(bias[j], ymm(8+j))
					b.VMOVUPS(mult[j], ymm(10+j))
					bias[j], mult[j] = ymm(8+j), ymm(10+j)
				}
			}
			w.block(b, 16, func() {
				full, stored := b.label("full"), b.label("stored")
				for i := range 2 {
					for j := range 2 {
						v := ymm(2*i + j)
						b.VMOVDQU(w.c.row(i, 32*j), v)
						b.VPADDD(bias[j], v, v)
						var res operand.Op
						if residual {
							res = w.res.row(i, 8*j)
						}
						e.round(v, mult[j], res, ymm(4))
					}
				}
				e.pack(ymm(0), ymm(1), ymm(2), ymm(3))
				b.VPERMD(ymm(0), order, ymm(0))
				b.VEXTRACTI128(imm8(1), ymm(0), xmm(1))
				b.CMPQ(w.n, imm(16))
				b.JGE(operand.LabelRef(full))
				b.storeBytes(xmm(0), w.n, w.dst.at, 16)
				b.ADDQ(w.dst.stride, w.dst.at)
				b.storeBytes(xmm(1), w.n, w.dst.at, 16)
				b.SUBQ(w.dst.stride, w.dst.at)
				b.JMP(operand.LabelRef(stored))
				b.Label(full)
				b.VMOVDQU(xmm(0), w.dst.row(0, 0))
				b.VMOVDQU(xmm(1), w.dst.row(1, 0))
				b.Label(stored)
			})
			b.JG(operand.LabelRef("columns"))
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

// requantAVX512: two rows of 32 columns at a time, or with fewer columns under masks.
func requantAVX512() asmFile {
	f := asmFile{name: "s32u8_requant_avx512"}
	for _, residual := range []bool{false, true} {
		name := "S32U8RequantAVX512"
		if residual {
			name = "S32U8RequantAddAVX512"
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: requantSig, doc: requantDoc(name, residual), emit: func(b *builder) {
			p := b.arg("p")
			e := b.epilogue(p, residual, zmms[16:])
			order := zmm(15)
			b.order(order, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
			w := b.requantPairs(residual)
			bias, mult := [2]reg.VecPhysical{zmm(8), zmm(9)}, [2]reg.VecPhysical{zmm(10), zmm(11)}
			all, part := reg.K1, [2]reg.Register{reg.K2, reg.K3}
			columns := func(masked bool) {
				for j := range 2 {
					if masked {
						b.VMOVDQU32_Z(mem(w.bias, 64*j), part[j], bias[j])
						b.VMOVUPS_Z(mem(w.mult, 64*j), part[j], mult[j])
					} else {
						b.VMOVDQU32(mem(w.bias, 64*j), bias[j])
						b.VMOVUPS(mem(w.mult, 64*j), mult[j])
					}
				}
				w.block(b, 32, func() {
					for i := range 2 {
						for j := range 2 {
							v, t := zmm(2*i+j), zmm(4+2*i+j)
							var res operand.Op
							if masked {
								b.VPADDD_Z(w.c.row(i, 64*j), bias[j], part[j], v)
								if residual {
									b.VPMOVZXBD_Z(w.res.row(i, 16*j), part[j], t)
								}
							} else {
								b.VPADDD(w.c.row(i, 64*j), bias[j], v)
								if residual {
									res = w.res.row(i, 16*j)
								}
							}
							e.round(v, mult[j], res, t)
						}
					}
					e.pack(zmm(0), zmm(1), zmm(2), zmm(3))
					b.VPERMD(zmm(0), order, zmm(0))
					if masked {
						b.VMOVDQU8(ymm(0), all, w.dst.row(0, 0))
						b.VEXTRACTI64X4(imm8(1), zmm(0), ymm(0))
						b.VMOVDQU8(ymm(0), all, w.dst.row(1, 0))
					} else {
						b.VMOVDQU(ymm(0), w.dst.row(0, 0))
						b.VEXTRACTI64X4(imm8(1), zmm(0), w.dst.row(1, 0))
					}
				})
			}
			b.Label("columns")
			b.CMPQ(w.n, imm(32))
			b.JL(operand.LabelRef("rest"))
			columns(false)
			b.JNE(operand.LabelRef("columns"))
			b.JMP(operand.LabelRef("done"))
			b.Label("rest")
			b.tailMask(w.n, 64, all)
			b.KMOVW(all, part[0])
			b.KSHIFTRD(imm8(16), all, part[1])
			columns(true)
			b.Label("done")
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
