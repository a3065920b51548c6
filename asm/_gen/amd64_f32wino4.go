package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Winograd's F(4x4,3x3) in float32. All factors but the filter's 1/6 and 1/24 are powers of two, so a product is exact and it does
// not matter whether it is fused with the sum behind it.
//
//	B' = 4  0 -5  0  1  0     G = 1/4    0     0       A' = 1  1  1  1  1  0
//	     0 -4 -4  1  1  0         -1/6  -1/6  -1/6          0  1 -1  2 -2  0
//	     0  4 -4 -1  1  0         -1/6   1/6  -1/6          0  1  1  4  4  0
//	     0 -2 -1  2  1  0         1/24   1/12  1/6          0  1 -1  8 -8  1
//	     0  2 -1 -2  1  0         1/24  -1/12  1/6
//	     0  4  0 -5  0  1         0      0     1

func winoF32Four(isa floatISA) asmFile {
	return asmFile{name: "f32_wino4_" + isa.name, funcs: []asmFunc{
		winoF32Input4(isa), winoF32Filter4(isa, false), winoF32Filter4(isa, true), winoF32Output4(isa),
	}}
}

const winoF32TmpDoc = "tmp has room for 36*64 bytes."

func winoF32Input4Doc(name string) []string {
	return []string{
		name + " transforms tiles of 6x6 pixels that overlap by two columns: for t < tiles, j < n, i, k < 6,",
		"distances being in bytes,",
		"",
		"\td[i][k] = src[i*row+(k+4*t)*pix...][j]",
		"\tdst[(6*i+k)*ldp+t*lda...][j] = (B'dB)[i][k], B' first, B' of a column x being, from the innermost bracket out,",
		"\t\t4*(x0-x2)+(x4-x2), (x4-4*x2)+(x3-4*x1), (x4-4*x2)-(x3-4*x1),",
		"\t\t(x4-x2)+2*(x3-x1), (x4-x2)-2*(x3-x1), (x5-x3)-4*(x3-x1)",
		"",
		"It reads and writes up to 63 bytes behind n channels. " + winoF32TmpDoc,
	}
}

func winoF32Filter4Doc(name string, nr int) []string {
	return []string{
		name + fmt.Sprintf(" transforms %d filters of each of k input channels: for c < k, j < %d, distances being in bytes,", nr, nr),
		"",
		fmt.Sprintf("\tg[i][l] = src[%d*(9*c+3*i+l)+j]", nr),
		fmt.Sprintf("\tdst[(6*i+l)*ldp...][%d*c+j] = (GgG')[i][l], G first, G of a column x being, from the innermost bracket out,", nr),
		"\t\tx0/4, ((x0+x2)+x1)*(-1/6), ((x0+x2)-x1)*(-1/6), ((x0+4*x2)+2*x1)*(1/24), ((x0+4*x2)-2*x1)*(1/24), x2",
		"",
		winoF32TmpDoc,
	}
}

func winoF32Output4Doc(name string, nr int) []string {
	return []string{
		name + fmt.Sprintf(" makes tiles of 4x4 pixels of %d channels: for t < tiles, j < %d, i, k < 4, distances being in bytes,", nr, nr),
		"",
		fmt.Sprintf("\tm[a][b] = src[(6*a+b)*ldp...][%d*t+j]", nr),
		"\tv = (A'mA)[i][k] + bias[j], A' first, A' of a column x being, from the innermost bracket out,",
		"\t\t(x0+(x1+x2))+(x3+x4), (x1-x2)+2*(x3-x4), (x1+x2)+4*(x3+x4), ((x1-x2)+8*(x3-x4))+x5",
		"\tdst[i*row+(4*t+k)*pix...][j] = what p makes of v and, unless res is nil, res at the same place",
		"",
		winoF32TmpDoc,
	}
}

// constants broadcasts float32 numbers, given by their bits, to registers from 15 down.
func (b *builder) constants(isa floatISA, bits ...uint32) []reg.VecPhysical {
	var out []reg.VecPhysical
	x := b.GP32()
	for i, v := range bits {
		r := 15 - i
		b.MOVL(operand.U32(v), x)
		b.VMOVD(x, xmm(r))
		b.VBROADCASTSS(xmm(r), isa.reg(r))
		out = append(out, isa.reg(r))
	}
	return out
}

const (
	f32Four       = 0x40800000
	f32Eight      = 0x41000000
	f32Quarter    = 0x3e800000
	f32MinusSixth = 0xbe2aaaab // -1/6
	f32Part24     = 0x3d2aaaab // 1/24
)

// input4 transforms registers 0 to 5 in place; 6 and 7 are scratch.
func (b *builder) input4(r func(int) reg.VecPhysical, four reg.VecPhysical) {
	b.VSUBPS(r(2), r(4), r(6))
	b.VSUBPS(r(1), r(3), r(7))
	b.VSUBPS(r(2), r(0), r(0))
	b.VFMADD213PS(r(6), four, r(0))
	b.VSUBPS(r(3), r(5), r(5))
	b.VFNMADD231PS(four, r(7), r(5))
	b.VFNMADD231PS(four, r(2), r(4))
	b.VFNMADD231PS(four, r(1), r(3))
	b.VADDPS(r(3), r(4), r(1))
	b.VSUBPS(r(3), r(4), r(2))
	b.VADDPS(r(7), r(7), r(7))
	b.VADDPS(r(7), r(6), r(3))
	b.VSUBPS(r(7), r(6), r(4))
}

func winoF32Input4(isa floatISA) asmFunc {
	name := "F32WinoInput4" + isa.camel
	return asmFunc{name: name, sig: winoF32InputSig, doc: winoF32Input4Doc(name),
		emit: func(b *builder) {
			four := b.constants(isa, f32Four)[0]
			row, row3, row5, pix := b.arg("row"), b.GP64(), b.GP64(), b.arg("pix")
			b.LEAQ(operand.Mem{Base: row, Index: row, Scale: 2}, row3)
			b.LEAQ(operand.Mem{Base: row, Index: row, Scale: 4}, row5)
			ldp, tmp := b.arg("ldp"), b.arg("tmp")
			left := b.AllocLocal(8)
			b.MOVQ(b.arg("tiles"), left)
			dst, src, n, d, x := b.GP64(), b.GP64(), b.GP64(), b.GP64(), b.GP64()
			r := isa.reg
			b.Label("tile")
			b.Load(b.Param("dst"), dst)
			b.Load(b.Param("src"), src)
			b.Load(b.Param("n"), n)
			b.Label("channels")
			b.MOVQ(src, x)
			for k := range 6 {
				for i, m := range [6]operand.Mem{{Base: x}, {Base: x, Index: row, Scale: 1}, {Base: x, Index: row, Scale: 2},
					{Base: x, Index: row3, Scale: 1}, {Base: x, Index: row, Scale: 4}, {Base: x, Index: row5, Scale: 1}} {
					b.VMOVUPS(m, r(i))
				}
				b.input4(r, four)
				for i := range 6 {
					b.VMOVUPS(r(i), mem(tmp, isa.bytes()*(6*i+k)))
				}
				if k < 5 {
					b.ADDQ(pix, x)
				}
			}
			b.MOVQ(dst, d)
			for i := range 6 {
				for k := range 6 {
					b.VMOVUPS(mem(tmp, isa.bytes()*(6*i+k)), r(k))
				}
				b.input4(r, four)
				for k := range 6 {
					b.VMOVUPS(r(k), mem(d, 0))
					if 6*i+k < 35 {
						b.ADDQ(ldp, d)
					}
				}
			}
			b.ADDQ(imm(isa.bytes()), dst)
			b.ADDQ(imm(isa.bytes()), src)
			b.SUBQ(imm(isa.lanes), n)
			b.JG(operand.LabelRef("channels"))
			b.Load(b.Param("lda"), x)
			b.advance("dst", x)
			b.MOVQ(pix, x)
			b.SHLQ(imm8(2), x)
			b.advance("src", x)
			b.DECQ(left)
			b.JNE(operand.LabelRef("tile"))
			b.VZEROUPPER()
			b.RET()
		}}
}

// advance adds to an argument where it lies.
func (b *builder) advance(arg string, by reg.Register) {
	p, err := b.Param(arg).Resolve()
	if err != nil {
		panic(err)
	}
	b.ADDQ(by, p.Addr)
}

// filter4 transforms registers 0 to 2 into 3 to 8; 9 and 10 are scratch.
func (b *builder) filter4(r func(int) reg.VecPhysical, c []reg.VecPhysical) {
	four, quarter, sixth, part24 := c[0], c[1], c[2], c[3]
	b.VADDPS(r(2), r(0), r(9))
	b.VADDPS(r(1), r(9), r(4))
	b.VSUBPS(r(1), r(9), r(5))
	b.VMULPS(quarter, r(0), r(3))
	b.VFMADD231PS(four, r(2), r(0))
	b.VADDPS(r(1), r(1), r(1))
	b.VADDPS(r(1), r(0), r(6))
	b.VSUBPS(r(1), r(0), r(7))
	b.VMULPS(sixth, r(4), r(4))
	b.VMULPS(sixth, r(5), r(5))
	b.VMULPS(part24, r(6), r(6))
	b.VMULPS(part24, r(7), r(7))
	b.VMOVAPS(r(2), r(8))
}

func winoF32Filter4(isa floatISA, half bool) asmFunc {
	nr, size, name, from := 2*isa.lanes, 4, "F32WinoFilter4"+isa.camel, "*float32"
	if half {
		size, name, from = 2, "F16F32WinoFilter4"+isa.halfCamel(), "*uint16"
	}
	return asmFunc{name: name, sig: winoF32FilterSig(from), doc: winoF32Filter4Doc(name, nr),
		emit: func(b *builder) {
			c := b.constants(isa, f32Four, f32Quarter, f32MinusSixth, f32Part24)
			dst, ldp, src, k, tmp, d := b.arg("dst"), b.arg("ldp"), b.arg("src"), b.arg("k"), b.arg("tmp"), b.GP64()
			r := isa.reg
			b.Label("channel")
			for j := range 2 {
				for l := range 3 {
					for i := range 3 {
						if m := mem(src, size*(nr*(3*i+l)+j*isa.lanes)); half {
							b.VCVTPH2PS(m, r(i))
						} else {
							b.VMOVUPS(m, r(i))
						}
					}
					b.filter4(r, c)
					for i := range 6 {
						b.VMOVUPS(r(3+i), mem(tmp, isa.bytes()*(3*i+l)))
					}
				}
				b.MOVQ(dst, d)
				for i := range 6 {
					for l := range 3 {
						b.VMOVUPS(mem(tmp, isa.bytes()*(3*i+l)), r(l))
					}
					b.filter4(r, c)
					for l := range 6 {
						b.VMOVUPS(r(3+l), mem(d, 0))
						if 6*i+l < 35 {
							b.ADDQ(ldp, d)
						}
					}
				}
				b.ADDQ(imm(isa.bytes()), dst)
			}
			b.ADDQ(imm(9*nr*size), src)
			b.DECQ(k)
			b.JNE(operand.LabelRef("channel"))
			b.VZEROUPPER()
			b.RET()
		}}
}

// output4 transforms registers 0 to 5; 6 to 9 are scratch. It returns the results'.
func (b *builder) output4(r func(int) reg.VecPhysical, four, eight reg.VecPhysical) []reg.VecPhysical {
	b.VADDPS(r(2), r(1), r(6))
	b.VSUBPS(r(2), r(1), r(7))
	b.VADDPS(r(4), r(3), r(8))
	b.VSUBPS(r(4), r(3), r(9))
	b.VADDPS(r(6), r(0), r(0))
	b.VADDPS(r(8), r(0), r(0))
	b.VADDPS(r(9), r(9), r(1))
	b.VADDPS(r(7), r(1), r(1))
	b.VFMADD231PS(four, r(8), r(6))
	b.VFMADD231PS(eight, r(9), r(7))
	b.VADDPS(r(5), r(7), r(7))
	return []reg.VecPhysical{r(0), r(1), r(6), r(7)}
}

func winoF32Output4(isa floatISA) asmFunc {
	nr := 2 * isa.lanes
	name := "F32WinoOutput4" + isa.camel
	return asmFunc{name: name, sig: winoF32OutputSig, doc: winoF32Output4Doc(name, nr),
		emit: func(b *builder) {
			c := b.constants(isa, f32Four, f32Eight)
			row, pix, ldp, tmp := b.arg("row"), b.arg("pix"), b.arg("ldp"), b.arg("tmp")
			dst, src, res := b.arg("dst"), b.arg("src"), b.arg("res")
			pix3, ldp6, s, o, q := b.GP64(), b.GP64(), b.GP64(), b.GP64(), b.GP64()
			b.LEAQ(operand.Mem{Base: pix, Index: pix, Scale: 2}, pix3)
			b.LEAQ(operand.Mem{Base: ldp, Index: ldp, Scale: 2}, ldp6)
			b.SHLQ(imm8(1), ldp6)
			left := b.AllocLocal(8)
			b.MOVQ(b.arg("tiles"), left)
			r := isa.reg
			bias, lo, hi := r(13), r(12), r(11)
			b.Load(b.Param("p"), q)
			b.VBROADCASTSS(mem(q, offF32Lo), lo)
			b.VBROADCASTSS(mem(q, offF32Hi), hi)
			b.Label("tile")
			for j := range 2 {
				b.LEAQ(mem(src, isa.bytes()*j), s)
				for k := range 6 {
					b.MOVQ(s, o)
					for i := range 6 {
						b.VMOVUPS(mem(o, 0), r(i))
						if i < 5 {
							b.ADDQ(ldp6, o)
						}
					}
					for i, v := range b.output4(r, c[0], c[1]) {
						b.VMOVUPS(v, mem(tmp, isa.bytes()*(6*i+k)))
					}
					if k < 5 {
						b.ADDQ(ldp, s)
					}
				}
				b.Load(b.Param("bias"), q)
				b.VMOVUPS(mem(q, isa.bytes()*j), bias)
				b.MOVQ(dst, o)
				b.MOVQ(res, s)
				for i := range 4 {
					for k := range 6 {
						b.VMOVUPS(mem(tmp, isa.bytes()*(6*i+k)), r(k))
					}
					outs := b.output4(r, c[0], c[1])
					for _, v := range outs {
						b.VADDPS(bias, v, v)
					}
					at := func(base reg.Register, k int) operand.Mem {
						m := mem(base, isa.bytes()*j)
						switch k {
						case 1, 2:
							m.Index, m.Scale = pix, uint8(k)
						case 3:
							m.Index, m.Scale = pix3, 1
						}
						return m
					}
					clamp := b.label("clamp")
					b.TESTQ(res, res)
					b.JE(operand.LabelRef(clamp))
					b.Load(b.Param("p"), q)
					b.VBROADCASTSS(mem(q, offF32InnerLo), r(2))
					b.VBROADCASTSS(mem(q, offF32InnerHi), r(3))
					for k, v := range outs {
						b.bound(v, r(2), r(3))
						b.VADDPS(at(s, k), v, v)
					}
					if i < 3 {
						b.ADDQ(row, s)
					}
					b.Label(clamp)
					for k, v := range outs {
						b.bound(v, lo, hi)
						b.VMOVUPS(v, at(o, k))
					}
					if i < 3 {
						b.ADDQ(row, o)
					}
				}
			}
			b.ADDQ(imm(4*nr), src)
			b.LEAQ(operand.Mem{Base: dst, Index: pix, Scale: 4}, dst)
			last := b.label("moved")
			b.TESTQ(res, res)
			b.JE(operand.LabelRef(last))
			b.LEAQ(operand.Mem{Base: res, Index: pix, Scale: 4}, res)
			b.Label(last)
			b.DECQ(left)
			b.JNE(operand.LabelRef("tile"))
			b.VZEROUPPER()
			b.RET()
		}}
}
