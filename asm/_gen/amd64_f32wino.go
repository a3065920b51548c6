package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Winograd's F(2x2,3x3) in float32: additions and halvings in one order, so that every instruction set gives the same bits.
//
//	input   V = B'dB    output  Y = A'MA    filter  U = GgG'
//	B' = 1  0 -1  0     A' = 1  1  1  0     G = 1    0    0
//	     0  1  1  0          0  1 -1 -1         1/2  1/2  1/2
//	     0 -1  1  0                             1/2 -1/2  1/2
//	     0  1  0 -1                             0    0    1

// winoF32 is the file of one instruction set.
func winoF32(isa floatISA) asmFile {
	return asmFile{name: "f32_wino_" + isa.name, funcs: []asmFunc{
		winoF32Input(isa), winoF32Filter(isa, false), winoF32Filter(isa, true), winoF32Output(isa),
	}}
}

const (
	winoF32InputSig  = "dst *float32, ldp int, lda int, src *float32, row int, pix int, tiles int, n int, tmp *float32"
	winoF32OutputSig = "dst *float32, row int, pix int, src *float32, ldp int, tiles int, bias *float32, res *float32, p *ClampF32, tmp *float32"
)

func winoF32FilterSig(from string) string {
	return "dst *float32, ldp int, src " + from + ", k int, tmp *float32"
}

func winoF32InputDoc(name string) []string {
	return []string{
		name + " transforms tiles of 4x4 pixels that overlap by two columns: for t < tiles, j < n, i, k < 4,",
		"distances being in bytes,",
		"",
		"\td[i][k] = src[i*row+(k+2*t)*pix...][j]",
		"\tdst[(4*i+k)*ldp+t*lda...][j] = (B'dB)[i][k], B' = {1,0,-1,0; 0,1,1,0; 0,-1,1,0; 0,1,0,-1}, B' first",
		"",
		"It reads and writes up to 63 bytes behind n channels. tmp is not used.",
	}
}

func winoF32FilterDoc(name string, nr int) []string {
	return []string{
		name + fmt.Sprintf(" transforms %d filters of each of k input channels: for c < k, j < %d, distances being in bytes,", nr, nr),
		"",
		fmt.Sprintf("\tg[i][l] = src[%d*(9*c+3*i+l)+j]", nr),
		fmt.Sprintf("\tdst[(4*i+l)*ldp...][%d*c+j] = (GgG')[i][l], G = {1,0,0; .5,.5,.5; .5,-.5,.5; 0,0,1}, G first", nr),
		"",
		"(g0+g2+g1)/2 and (g0+g2-g1)/2 are computed in this order. tmp is not used.",
	}
}

func winoF32OutputDoc(name string, nr int) []string {
	return []string{
		name + fmt.Sprintf(" makes tiles of 2x2 pixels of %d channels: for t < tiles, j < %d, i, k < 2, distances being in bytes,", nr, nr),
		"",
		fmt.Sprintf("\tm[a][b] = src[(4*a+b)*ldp...][%d*t+j]", nr),
		"\tv = (A'mA)[i][k] + bias[j], A' = {1,1,1,0; 0,1,-1,-1}, A' first",
		"\tdst[i*row+(2*t+k)*pix...][j] = what p makes of v and, unless res is nil, res at the same place",
		"",
		"tmp is not used.",
	}
}

func winoF32Input(isa floatISA) asmFunc {
	name := "F32WinoInput" + isa.camel
	return asmFunc{name: name, sig: winoF32InputSig, doc: winoF32InputDoc(name),
		emit: func(b *builder) {
			row, row3, pix, pix3 := b.arg("row"), b.GP64(), b.arg("pix"), b.GP64()
			b.LEAQ(operand.Mem{Base: row, Index: row, Scale: 2}, row3)
			b.LEAQ(operand.Mem{Base: pix, Index: pix, Scale: 2}, pix3)
			ldp := b.arg("ldp")
			left := b.AllocLocal(8)
			b.MOVQ(b.arg("tiles"), left)
			dst, src, n, d, s, x := b.GP64(), b.GP64(), b.GP64(), b.GP64(), b.GP64(), b.GP64()
			b.Label("tile")
			b.Load(b.Param("dst"), dst)
			b.Load(b.Param("src"), src)
			b.Load(b.Param("n"), n)
			b.Label("channels")
			b.MOVQ(dst, d)
			// A row of B'd is a difference or sum of two rows of d: at is a pixel of the row that x points to.
			at := func(k int) operand.Mem {
				base := operand.Mem{Base: x}
				switch k {
				case 1:
					base.Index, base.Scale = pix, 1
				case 2:
					base.Index, base.Scale = pix, 2
				case 3:
					base.Index, base.Scale = pix3, 1
				}
				return base
			}
			rowAt := func(r int) {
				switch r {
				case 0:
					b.MOVQ(src, x)
				case 1:
					b.LEAQ(operand.Mem{Base: src, Index: row, Scale: 1}, x)
				case 2:
					b.LEAQ(operand.Mem{Base: src, Index: row, Scale: 2}, x)
				case 3:
					b.LEAQ(operand.Mem{Base: src, Index: row3, Scale: 1}, x)
				}
			}
			for i, pair := range [4][2]int{{0, 2}, {1, 2}, {2, 1}, {1, 3}} {
				rowAt(pair[0])
				for k := range 4 {
					b.VMOVUPS(at(k), isa.reg(k))
				}
				rowAt(pair[1])
				for k := range 4 {
					if i == 1 {
						b.VADDPS(at(k), isa.reg(k), isa.reg(k))
					} else {
						b.VSUBPS(at(k), isa.reg(k), isa.reg(k))
					}
				}
				t := func(k int) reg.VecPhysical { return isa.reg(k) }
				b.VSUBPS(t(2), t(0), isa.reg(4))
				b.VADDPS(t(2), t(1), isa.reg(5))
				b.VSUBPS(t(1), t(2), isa.reg(6))
				b.VSUBPS(t(3), t(1), isa.reg(7))
				for k := range 4 {
					b.VMOVUPS(isa.reg(4+k), mem(d, 0))
					if i*k < 9 {
						b.ADDQ(ldp, d)
					}
				}
			}
			b.ADDQ(imm(isa.bytes()), dst)
			b.ADDQ(imm(isa.bytes()), src)
			b.SUBQ(imm(isa.lanes), n)
			b.JG(operand.LabelRef("channels"))
			b.Load(b.Param("lda"), s)
			b.advance("dst", s)
			b.LEAQ(operand.Mem{Base: pix, Index: pix, Scale: 1}, s)
			b.advance("src", s)
			b.DECQ(left)
			b.JNE(operand.LabelRef("tile"))
			b.VZEROUPPER()
			b.RET()
		}}
}

func winoF32Filter(isa floatISA, half bool) asmFunc {
	nr, size, camel, from := 2*isa.lanes, 4, "F32", "*float32"
	if half {
		size, camel, from = 2, "F16F32", "*uint16"
	}
	name := camel + "WinoFilter" + isa.camel
	if half {
		name = camel + "WinoFilter" + isa.halfCamel()
	}
	return asmFunc{name: name, sig: winoF32FilterSig(from), doc: winoF32FilterDoc(name, nr),
		emit: func(b *builder) {
			dst, ldp, src, k, d := b.arg("dst"), b.arg("ldp"), b.arg("src"), b.arg("k"), b.GP64()
			half1 := isa.reg(isa.regs - 1)
			h := b.GP32()
			b.MOVL(operand.U32(0x3f000000), h)
			b.VMOVD(h, xmm(15))
			b.VBROADCASTSS(xmm(15), half1)
			load := func(i int, to reg.VecPhysical, j int) {
				m := mem(src, size*(nr*i+j*isa.lanes))
				if half {
					b.VCVTPH2PS(m, to)
				} else {
					b.VMOVUPS(m, to)
				}
			}
			b.Label("channel")
			for j := range 2 {
				b.MOVQ(dst, d)
				r := isa.reg
				// Column by column of g, so that 8 values of Gg are in registers: rows 1 and 2 in 0..5, row 0 and 3 as loaded in
				// 6..8 and 9..11.
				for l := range 3 {
					g0, g1, g2 := r(6+l), r(12), r(9+l)
					load(l, g0, j)
					load(3+l, g1, j)
					load(6+l, g2, j)
					b.VADDPS(g2, g0, r(13))
					b.VADDPS(g1, r(13), r(l))
					b.VSUBPS(g1, r(13), r(3+l))
					b.VMULPS(half1, r(l), r(l))
					b.VMULPS(half1, r(3+l), r(3+l))
				}
				for i, t := range [4]int{6, 0, 3, 9} {
					b.VMOVUPS(r(t), mem(d, 0))
					b.ADDQ(ldp, d)
					b.VADDPS(r(t+2), r(t), r(13))
					b.VADDPS(r(t+1), r(13), r(12))
					b.VMULPS(half1, r(12), r(12))
					b.VMOVUPS(r(12), mem(d, 0))
					b.ADDQ(ldp, d)
					b.VSUBPS(r(t+1), r(13), r(12))
					b.VMULPS(half1, r(12), r(12))
					b.VMOVUPS(r(12), mem(d, 0))
					b.ADDQ(ldp, d)
					b.VMOVUPS(r(t+2), mem(d, 0))
					if i < 3 {
						b.ADDQ(ldp, d)
					}
				}
				if j == 0 {
					b.ADDQ(imm(isa.bytes()), dst)
				}
			}
			b.ADDQ(imm(isa.bytes()), dst)
			b.ADDQ(imm(9*nr*size), src)
			b.DECQ(k)
			b.JNE(operand.LabelRef("channel"))
			b.VZEROUPPER()
			b.RET()
		}}
}

func winoF32Output(isa floatISA) asmFunc {
	nr := 2 * isa.lanes
	name := "F32WinoOutput" + isa.camel
	return asmFunc{name: name, sig: winoF32OutputSig, doc: winoF32OutputDoc(name, nr),
		emit: func(b *builder) {
			row, pix, ldp, tiles, bias := b.arg("row"), b.arg("pix"), b.arg("ldp"), b.arg("tiles"), b.arg("bias")
			dst, src, res, p := b.arg("dst"), b.arg("src"), b.arg("res"), b.arg("p")
			s, o := b.GP64(), b.GP64()
			r := isa.reg
			b.Label("tile")
			for j := range 2 {
				// A'm: rows 0..3 of registers are its first row, 4..7 the second.
				for k := range 4 {
					b.LEAQ(mem(src, isa.bytes()*j), s)
					for range k {
						b.ADDQ(ldp, s)
					}
					step := b.GP64()
					b.MOVQ(ldp, step)
					b.SHLQ(imm8(2), step)
					b.VMOVUPS(mem(s, 0), r(k))
					b.ADDQ(step, s)
					b.VMOVUPS(mem(s, 0), r(4+k))
					b.ADDQ(step, s)
					b.VMOVUPS(mem(s, 0), r(8))
					b.VADDPS(r(4+k), r(k), r(k))
					b.VADDPS(r(8), r(k), r(k))
					b.VSUBPS(r(8), r(4+k), r(4+k))
					b.ADDQ(step, s)
					b.VSUBPS(mem(s, 0), r(4+k), r(4+k))
				}
				for i := range 2 {
					t := 4 * i
					b.VADDPS(r(t+1), r(t), r(t))
					b.VADDPS(r(t+2), r(t), r(t))
					b.VSUBPS(r(t+2), r(t+1), r(t+1))
					b.VSUBPS(r(t+3), r(t+1), r(t+1))
				}
				outs := []reg.VecPhysical{r(0), r(1), r(4), r(5)}
				b.VMOVUPS(mem(bias, isa.bytes()*j), r(2))
				for _, v := range outs {
					b.VADDPS(r(2), v, v)
				}
				to := func(base reg.Register, i int) operand.Mem {
					m := mem(base, isa.bytes()*j)
					if i%2 == 1 {
						m.Index, m.Scale = pix, 1
					}
					return m
				}
				clamp := b.label("clamp")
				b.TESTQ(res, res)
				b.JE(operand.LabelRef(clamp))
				b.VBROADCASTSS(mem(p, offF32InnerLo), r(2))
				b.VBROADCASTSS(mem(p, offF32InnerHi), r(3))
				b.MOVQ(res, o)
				for i, v := range outs {
					if i == 2 {
						b.ADDQ(row, o)
					}
					b.bound(v, r(2), r(3))
					b.VADDPS(to(o, i), v, v)
				}
				b.Label(clamp)
				b.VBROADCASTSS(mem(p, offF32Lo), r(2))
				b.VBROADCASTSS(mem(p, offF32Hi), r(3))
				b.MOVQ(dst, o)
				for i, v := range outs {
					if i == 2 {
						b.ADDQ(row, o)
					}
					b.bound(v, r(2), r(3))
					b.VMOVUPS(v, to(o, i))
				}
			}
			b.ADDQ(imm(4*nr), src)
			b.LEAQ(operand.Mem{Base: dst, Index: pix, Scale: 2}, dst)
			last := b.label("moved")
			b.TESTQ(res, res)
			b.JE(operand.LabelRef(last))
			b.LEAQ(operand.Mem{Base: res, Index: pix, Scale: 2}, res)
			b.Label(last)
			b.DECQ(tiles)
			b.JNE(operand.LabelRef("tile"))
			b.VZEROUPPER()
			b.RET()
		}}
}
