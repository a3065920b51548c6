package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in ClampF32; a test of package kernels holds them.
const (
	offF32Lo      = 0
	offF32Hi      = 4
	offF32InnerLo = 8
	offF32InnerHi = 12
)

const (
	gemmF32Sig    = "c *float32, ldc int, a *float32, lda int, b *float32, k int, bias *float32, res *float32, ldr int, p *ClampF32"
	gemmF32F16Sig = "c *float32, ldc int, a *float32, lda int, b *uint16, k int, bias *float32, res *float32, ldr int, p *ClampF32, wide *float32"
)

// floatISA is what float kernels of one instruction set have in common: the registers, by their number, and their width.
type floatISA struct {
	name  string // in file names
	camel string // in symbols
	lanes int
	reg   func(int) reg.VecPhysical
	regs  int
}

var (
	floatAVX2   = floatISA{"fma", "FMA", 8, ymm, 16}
	floatAVX512 = floatISA{"avx512", "AVX512", 16, zmm, 32}
)

// halfCamel is the name of what has conversions from half precision.
func (isa floatISA) halfCamel() string {
	if isa.lanes == 8 {
		return "F16C"
	}
	return isa.camel
}

func (isa floatISA) bytes() int { return 4 * isa.lanes }

// gemmF32 is a tile of two registers of columns: as many rows as registers allow, on AVX-512 14 because the maps of these
// networks are 7*2**n wide. One sum an element, one fused operation a term, first to last: every tile and every instruction
// set with fused operations gives the same bits.
func gemmF32(isa floatISA, tiles ...int) asmFile {
	nr := 2 * isa.lanes
	f := asmFile{name: fmt.Sprintf("f32_gemm_%dx%dc1_%s", tiles[0], nr, isa.name)}
	for _, mr := range tiles {
		name := fmt.Sprintf("F32Gemm%dx%dc1%s", mr, nr, isa.camel)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmF32Sig,
			doc:  gemmF32Doc(name, mr, nr, "FMA(a[i*lda...][t], b[%d*t+j], v)"),
			emit: func(b *builder) { b.gemmF32(isa, mr, false) }})
	}
	return f
}

// gemmF32F16 is gemmF32 with weights in half precision, which become floats as they are loaded: one conversion for all rows of the
// tile. If other tiles come after it, it stores them too.
func gemmF32F16(isa floatISA, tiles ...int) asmFile {
	nr := 2 * isa.lanes
	f := asmFile{name: fmt.Sprintf("f32f16_gemm_%dx%dc1_%s", tiles[0], nr, strings.ToLower(isa.halfCamel()))}
	for _, mr := range tiles {
		name := fmt.Sprintf("F32F16Gemm%dx%dc1%s", mr, nr, isa.halfCamel())
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmF32F16Sig,
			doc: append(gemmF32Doc(name, mr, nr, "FMA(a[i*lda...][t], float32 of the half b[%d*t+j], v)"), "",
				fmt.Sprintf("Unless wide is nil, wide[%d*t+j] = float32 of the half b[%d*t+j], t < k.", nr, nr)),
			emit: func(b *builder) { b.gemmF32(isa, mr, true) }})
	}
	return f
}

// gemmF32Doc describes a float matrix product; term is what a term makes of v, with a place for nr.
func gemmF32Doc(name string, mr, nr int, term string) []string {
	return []string{
		fmt.Sprintf("%s is a %dx%d tile: for i < %d, j < %d, distances lda, ldc and ldr being in bytes:", name, mr, nr, mr, nr),
		"",
		"\tv := bias[j], or c[i*ldc...][j] if bias is nil",
		fmt.Sprintf("\tfor t < k { v = "+term+" }", nr),
		"\tc[i*ldc...][j] = v, or what p makes of it and, unless res is nil, res[i*ldr...][j], if p is not nil",
		"",
		"k is at least 1.",
	}
}

func (b *builder) gemmF32(isa floatISA, mr int, half bool) {
	size := isa.bytes()
	weights, load := size, b.VMOVUPS // bytes of a register of weights in memory
	if half {
		weights, load = size/2, b.VCVTPH2PS
	}
	acc := func(i, j int) reg.VecPhysical { return isa.reg(2*i + j) }
	// The last four registers: two of weights and two of broadcast activations, then bounds.
	s0, s1, s2, s3 := isa.reg(isa.regs-4), isa.reg(isa.regs-3), isa.reg(isa.regs-2), isa.reg(isa.regs-1)

	c, ldc, row := b.arg("c"), b.arg("ldc"), b.GP64()
	bias := b.arg("bias")
	resume, loop := b.label("resume"), b.label("sum")
	b.TESTQ(bias, bias)
	b.JE(operand.LabelRef(resume))
	for j := range 2 {
		b.VMOVUPS(mem(bias, size*j), acc(0, j))
	}
	for i := 1; i < mr; i++ {
		for j := range 2 {
			b.VMOVAPS(acc(0, j), acc(i, j))
		}
	}
	b.JMP(operand.LabelRef(loop))
	b.Label(resume)
	b.MOVQ(c, row)
	for i := range mr {
		for j := range 2 {
			b.VMOVUPS(mem(row, size*j), acc(i, j))
		}
		if i < mr-1 {
			b.ADDQ(ldc, row)
		}
	}
	b.Label(loop)
	w, k := b.arg("b"), b.arg("k")
	rows := b.rowPtrs(mr)
	ahead := b.GP64()
	b.IMUL3Q(operand.U32(2*weights), k, ahead)
	sums := func(keep reg.Register) {
		b.kLoop(k, 1, 4, func(s int) {
			// The weights of the next pass lie behind these: fetch them into L2 meanwhile.
			for line := -2 * weights * s & 63; line < 2*weights; line += 64 {
				b.PREFETCHT1(operand.Mem{Base: w, Index: ahead, Scale: 1, Disp: 2*weights*s + line})
			}
			load(mem(w, 2*weights*s), s0)
			load(mem(w, 2*weights*s+weights), s1)
			if keep != nil {
				b.VMOVUPS(s0, mem(keep, 2*size*s))
				b.VMOVUPS(s1, mem(keep, 2*size*s+size))
			}
			for i := range mr {
				u := isa.reg(isa.regs - 2 + i%2)
				b.VBROADCASTSS(rows.at(i, 4*s), u)
				b.VFMADD231PS(s0, u, acc(i, 0))
				b.VFMADD231PS(s1, u, acc(i, 1))
			}
		}, func(n int) {
			b.ADDQ(imm(4*n), rows.base)
			b.ADDQ(imm(2*weights*n), w)
			if keep != nil {
				b.ADDQ(imm(2*size*n), keep)
			}
		})
	}
	if half {
		wide, alone, end := b.arg("wide"), b.label("alone"), b.label("end")
		b.TESTQ(wide, wide)
		b.JE(operand.LabelRef(alone))
		sums(wide)
		b.JMP(operand.LabelRef(end))
		b.Label(alone)
		sums(nil)
		b.Label(end)
	} else {
		sums(nil)
	}

	p, res := b.arg("p"), b.arg("res")
	store, clamp := b.label("store"), b.label("clamp")
	b.TESTQ(p, p)
	b.JE(operand.LabelRef(store))
	b.VBROADCASTSS(mem(p, offF32Lo), s0)
	b.VBROADCASTSS(mem(p, offF32Hi), s1)
	b.TESTQ(res, res)
	b.JE(operand.LabelRef(clamp))
	b.VBROADCASTSS(mem(p, offF32InnerLo), s2)
	b.VBROADCASTSS(mem(p, offF32InnerHi), s3)
	ldr := b.arg("ldr")
	for i := range mr {
		for j := range 2 {
			v := acc(i, j)
			b.bound(v, s2, s3)
			b.VADDPS(mem(res, size*j), v, v)
		}
		if i < mr-1 {
			b.ADDQ(ldr, res)
		}
	}
	b.Label(clamp)
	for i := range 2 * mr {
		b.bound(isa.reg(i), s0, s1)
	}
	b.Label(store)
	for i := range mr {
		for j := range 2 {
			b.VMOVUPS(acc(i, j), mem(c, size*j))
		}
		if i < mr-1 {
			b.ADDQ(ldc, c)
		}
	}
	b.VZEROUPPER()
	b.RET()
}

// bound is min(max(v, lo), hi). MAXPS and MINPS return their second source, the first operand here, if either is NaN: so v.
func (b *builder) bound(v, lo, hi reg.VecPhysical) {
	b.VMAXPS(v, lo, v)
	b.VMINPS(v, hi, v)
}

const halvesSig = "dst *float32, src *uint16, n int"

func halvesDoc(name string) []string {
	return []string{name + " writes n halves as float32; n is a multiple of 16."}
}

// halves expands IEEE halves: two registers at a time, and the rest of the last two behind the end.
func halves(isa floatISA) asmFile {
	name := "F16F32Expand" + isa.halfCamel()
	return asmFile{name: "f16f32_expand_" + strings.ToLower(isa.halfCamel()), funcs: []asmFunc{{name: name, sig: halvesSig, doc: halvesDoc(name),
		emit: func(b *builder) {
			dst, src, n := b.arg("dst"), b.arg("src"), b.arg("n")
			b.Label("loop")
			for i := range 16 / isa.lanes {
				b.VCVTPH2PS(mem(src, 2*isa.lanes*i), isa.reg(i))
				b.VMOVUPS(isa.reg(i), mem(dst, isa.bytes()*i))
			}
			b.ADDQ(imm(32), src)
			b.ADDQ(imm(64), dst)
			b.SUBQ(imm(16), n)
			b.JG(operand.LabelRef("loop"))
			b.VZEROUPPER()
			b.RET()
		}}}}
}
