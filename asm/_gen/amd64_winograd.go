package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Winograd's F(4x4,3x3) and F(2x2,3x3) on 16-bit operands, modulo 2**32; kernels/winograd.go has the mathematics.

const gemm16Sig = "c *int32, a *int16, lda int, b *int16, k int"

func gemm16Doc(name string, mr, nr int) []string {
	return []string{
		fmt.Sprintf("%s is a %dx%d tile: for i < %d, j < %d:", name, mr, nr, mr, nr),
		"",
		fmt.Sprintf("\tc[%d*i+j] = sum over t < k of int32(a[i*lda...][t]) * int32(b[%d*(t/2)+2*j+t%%2])", nr, 2*nr),
		"",
		"lda is in bytes; k is a multiple of 2 and at least 2. Sums wrap.",
	}
}

// vpdpwssd adds the products of two pairs of 16-bit integers to acc. avo 0.5 does not know it.
func (b *builder) vpdpwssd(s operand.Op, u, acc reg.VecPhysical) {
	b.Instruction(&ir.Instruction{
		Opcode:   "VPDPWSSD",
		Operands: []operand.Op{s, u, acc},
		Inputs:   []operand.Op{s, u, acc},
		Outputs:  []operand.Op{acc},
		ISA:      []string{"AVX512VNNI"},
	})
}

// gemm16VNNI has 8 rows besides the usual ones for the 16 tiles of a 14x14 map.
func gemm16VNNI() asmFile {
	const nr = 32
	f := asmFile{name: "s16s16_gemm_14x32c2_avx512vnni"}
	for _, mr := range []int{14, 8, 7, 4, 2, 1} {
		name := fmt.Sprintf("S16S16Gemm%dx%dc2AVX512VNNI", mr, nr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemm16Sig, doc: gemm16Doc(name, mr, nr), emit: func(b *builder) {
			sets := max(1, min(4, 10/(2*mr)))
			acc := func(set, i, j int) reg.VecPhysical { return zmm((set*mr+i)*2 + j) }
			w0, w1 := zmm(28), zmm(29)
			c, w, k := b.arg("c"), b.arg("b"), b.arg("k")
			rows := b.rowPtrs(mr)
			for i := range 2 * mr * sets {
				b.VPXORD(zmm(i), zmm(i), zmm(i))
			}
			next := b.GP64()
			if mr == 14 { // the rows behind, which come from afar
				b.IMUL3Q(imm(mr), rows.odd[1], next)
				b.ADDQ(rows.base, next)
			}
			b.kLoop(k, 2, 4, func(s int) {
				if mr == 14 {
					b.PREFETCHT0(mem(next, 64*s))
				}
				b.VMOVDQU64(mem(w, 128*s), w0)
				b.VMOVDQU64(mem(w, 128*s+64), w1)
				for i := range mr {
					u := zmm(30 + i%2)
					b.VPBROADCASTD(rows.at(i, 4*s), u)
					b.vpdpwssd(w0, u, acc(s%sets, i, 0))
					b.vpdpwssd(w1, u, acc(s%sets, i, 1))
				}
			}, func(n int) {
				b.ADDQ(imm(4*n), rows.base)
				b.ADDQ(imm(128*n), w)
				if mr == 14 {
					b.ADDQ(imm(64*n), next)
				}
			})
			for i := range mr {
				for j := range 2 {
					for set := 1; set < sets; set++ {
						b.VPADDD(acc(set, i, j), acc(0, i, j), acc(0, i, j))
					}
					b.VMOVDQU64(acc(0, i, j), mem(c, 128*i+64*j))
				}
			}
			b.VZEROUPPER()
			b.RET()
		}})
	}
	return f
}

func gemm16AVX2() asmFile {
	const nr = 16
	f := asmFile{name: "s16s16_gemm_6x16c2_avx2"}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("S16S16Gemm%dx%dc2AVX2", mr, nr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemm16Sig, doc: gemm16Doc(name, mr, nr), emit: func(b *builder) {
			acc := func(i, j int) reg.VecPhysical { return ymm(2*i + j) }
			w0, w1, u, t := ymm(12), ymm(13), ymm(14), ymm(15)
			c, w, k := b.arg("c"), b.arg("b"), b.arg("k")
			rows := b.rowPtrs(mr)
			for i := range 2 * mr {
				b.VPXOR(ymm(i), ymm(i), ymm(i))
			}
			b.kLoop(k, 2, 4, func(s int) {
				b.VMOVDQU(mem(w, 64*s), w0)
				b.VMOVDQU(mem(w, 64*s+32), w1)
				for i := range mr {
					b.VPBROADCASTD(rows.at(i, 4*s), u)
					b.VPMADDWD(w0, u, t)
					b.VPADDD(t, acc(i, 0), acc(i, 0))
					b.VPMADDWD(w1, u, u)
					b.VPADDD(u, acc(i, 1), acc(i, 1))
				}
			}, func(n int) {
				b.ADDQ(imm(4*n), rows.base)
				b.ADDQ(imm(64*n), w)
			})
			b.storeTile(c, mr)
		}})
	}
	return f
}

// winoVec is the vectors of one instruction set.
type winoVec struct {
	isa   string // in symbols
	bytes int
	r     func(i int) reg.VecPhysical
	regs  int
}

var (
	winoAVX2   = winoVec{"AVX2", 32, ymm, 16}
	winoAVX512 = winoVec{"AVX512", 64, zmm, 32}
)

func (v winoVec) load(b *builder, m operand.Mem, r reg.VecPhysical) {
	switch v.bytes {
	case 64:
		b.VMOVDQU64(m, r)
	case 32:
		b.VMOVDQU(m, r)
	default:
		b.MOVOU(m, r)
	}
}

func (v winoVec) store(b *builder, r reg.VecPhysical, m operand.Mem) {
	switch v.bytes {
	case 64:
		b.VMOVDQU64(r, m)
	case 32:
		b.VMOVDQU(r, m)
	default:
		b.MOVOU(r, m)
	}
}

// A winoForm is F(mxm,3x3), n = m+2 being the side of its tiles: three transforms of one dimension, on registers.
//
// input turns n registers into n, filter 3 into n, output n into m. They name the registers of their results; those of the
// operands are lost, and t gives scratch.
type winoForm struct {
	m, n   int
	input  func(b *builder, d, t []reg.VecPhysical) []reg.VecPhysical
	filter func(b *builder, w, t []reg.VecPhysical, six reg.VecPhysical) []reg.VecPhysical
	output func(b *builder, m, t []reg.VecPhysical) []reg.VecPhysical
	shift  int // of the scaled sum, after the multiplication by inverse(9) if nine
	nine   bool
}

var wino4 = winoForm{m: 4, n: 6, shift: 6, nine: true,
	// 4 0 -5 0 1 0; 0 -4 -4 1 1 0; 0 4 -4 -1 1 0; 0 -2 -1 2 1 0; 0 2 -1 -2 1 0; 0 4 0 -5 0 1
	input: func(b *builder, d, t []reg.VecPhysical) []reg.VecPhysical {
		b.VPSUBW(d[2], d[0], d[0]) // d0-d2
		b.VPSLLW(imm8(2), d[2], t[0])
		b.VPSUBW(t[0], d[4], t[0])    // a = d4-4*d2
		b.VPSUBW(d[2], d[4], d[4])    // c = d4-d2
		b.VPSLLW(imm8(2), d[0], d[0]) //
		b.VPADDW(d[4], d[0], d[0])    // v0 = 4*(d0-d2)+c
		b.VPSLLW(imm8(2), d[1], t[1]) //
		b.VPSUBW(t[1], d[3], t[1])    // b = d3-4*d1
		b.VPSUBW(d[3], d[5], d[5])    // d5-d3
		b.VPSUBW(d[1], d[3], d[3])    //
		b.VPADDW(d[3], d[3], d[3])    // e = 2*(d3-d1)
		b.VPADDW(t[1], t[0], d[1])    // v1 = a+b
		b.VPSUBW(t[1], t[0], d[2])    // v2 = a-b
		b.VPADDW(d[3], d[3], t[0])    //
		b.VPSUBW(t[0], d[5], d[5])    // v5 = d5-d3-2*e
		b.VPADDW(d[3], d[4], t[1])    // v3 = c+e
		b.VPSUBW(d[3], d[4], d[4])    // v4 = c-e
		return []reg.VecPhysical{d[0], d[1], d[2], t[1], d[4], d[5]}
	},
	// 6 0 0; 1 1 1; 1 -1 1; 1 2 4; 1 -2 4; 0 0 6
	filter: func(b *builder, w, t []reg.VecPhysical, six reg.VecPhysical) []reg.VecPhysical {
		b.VPADDW(w[2], w[0], t[0])
		b.VPADDW(w[1], t[0], t[1]) // g1
		b.VPSUBW(w[1], t[0], t[0]) // g2
		b.VPADDW(w[1], w[1], w[1])
		b.VPSLLW(imm8(2), w[2], t[2])
		b.VPADDW(w[0], t[2], t[2])
		b.VPADDW(w[1], t[2], t[3]) // g3
		b.VPSUBW(w[1], t[2], t[2]) // g4
		b.VPMULLW(six, w[0], w[0])
		b.VPMULLW(six, w[2], w[2])
		return []reg.VecPhysical{w[0], t[1], t[0], t[3], t[2], w[2]}
	},
	// 1 -4 -4 1 1 0; 0 -4 4 2 -2 0; 0 -4 -4 4 4 0; 0 -4 4 8 -8 4
	output: func(b *builder, m, t []reg.VecPhysical) []reg.VecPhysical {
		b.VPADDD(m[2], m[1], t[0])    // s1
		b.VPSUBD(m[2], m[1], m[1])    // d1
		b.VPADDD(m[4], m[3], t[1])    // s2
		b.VPSUBD(m[4], m[3], m[3])    // d2
		b.VPSUBD(t[0], t[1], m[2])    // s2-s1
		b.VPSLLD(imm8(2), m[2], m[2]) // y2
		b.VPSLLD(imm8(2), t[0], t[0]) //
		b.VPADDD(t[1], m[0], m[0])    //
		b.VPSUBD(t[0], m[0], m[0])    // y0 = m0+s2-4*s1
		b.VPADDD(m[3], m[3], m[3])    // 2*d2
		b.VPSLLD(imm8(2), m[1], m[1]) // 4*d1
		b.VPADDD(m[3], m[5], m[5])    //
		b.VPSUBD(m[1], m[3], t[0])    // y1 = 2*d2-4*d1
		b.VPSLLD(imm8(2), m[5], m[5]) //
		b.VPSUBD(m[1], m[5], m[5])    // y3 = 4*(m5+2*d2)-4*d1
		return []reg.VecPhysical{m[0], t[0], m[2], m[5]}
	},
}

var wino2 = winoForm{m: 2, n: 4, shift: 2,
	// 1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1
	input: func(b *builder, d, t []reg.VecPhysical) []reg.VecPhysical {
		b.VPSUBW(d[2], d[0], d[0])
		b.VPSUBW(d[3], d[1], d[3])
		b.VPADDW(d[2], d[1], t[0])
		b.VPSUBW(d[1], d[2], d[2])
		return []reg.VecPhysical{d[0], t[0], d[2], d[3]}
	},
	// 2 0 0; 1 1 1; 1 -1 1; 0 0 2
	filter: func(b *builder, w, t []reg.VecPhysical, _ reg.VecPhysical) []reg.VecPhysical {
		b.VPADDW(w[2], w[0], t[0])
		b.VPADDW(w[1], t[0], t[1])
		b.VPSUBW(w[1], t[0], t[0])
		b.VPADDW(w[0], w[0], w[0])
		b.VPADDW(w[2], w[2], w[2])
		return []reg.VecPhysical{w[0], t[1], t[0], w[2]}
	},
	// 1 1 1 0; 0 1 -1 -1
	output: func(b *builder, m, t []reg.VecPhysical) []reg.VecPhysical {
		b.VPADDD(m[1], m[0], m[0])
		b.VPADDD(m[2], m[0], m[0])
		b.VPSUBD(m[2], m[1], m[1])
		b.VPSUBD(m[3], m[1], m[1])
		return []reg.VecPhysical{m[0], m[1]}
	},
}

// strided addresses multiples of a stride from a moving base: 0 to 5 of them.
type strided struct {
	base        reg.GPVirtual
	one, three_ reg.GPVirtual
	five        reg.GPVirtual
}

// strides keeps 1, 3 and, for six addresses, 5 times one.
func (b *builder) strides(one reg.GPVirtual, n int) strided {
	s := strided{base: b.GP64(), one: one, three_: b.GP64()}
	b.LEAQ(operand.Mem{Base: one, Index: one, Scale: 2}, s.three_)
	if n > 4 {
		s.five = b.GP64()
		b.LEAQ(operand.Mem{Base: one, Index: one, Scale: 4}, s.five)
	}
	return s
}

func (s strided) at(i, disp int) operand.Mem {
	m := operand.Mem{Base: s.base, Disp: disp}
	switch i {
	case 0:
	case 3:
		m.Index, m.Scale = s.three_, 1
	case 5:
		m.Index, m.Scale = s.five, 1
	default: // 1, 2, 4
		m.Index, m.Scale = s.one, uint8(i)
	}
	return m
}

// advance moves the base by n = 4 or 6 strides.
func (s strided) advance(b *builder, n int) {
	if n == 4 {
		b.LEAQ(operand.Mem{Base: s.base, Index: s.one, Scale: 4}, s.base)
	} else {
		b.LEAQ(operand.Mem{Base: s.base, Index: s.three_, Scale: 2}, s.base)
	}
}

func (v winoVec) some(from, n int) []reg.VecPhysical {
	var r []reg.VecPhysical
	for i := range n {
		r = append(r, v.r(from+i))
	}
	return r
}

const winoInputSig = "v *int16, ldf int, x *byte, ldy int, ldx int, n int, tmp *byte"

// winoInput: columns first, into scratch, then rows.
func winoInput(v winoVec) asmFile {
	f := asmFile{name: fmt.Sprintf("u8s16_winoinput_%s", isaStem(v))}
	for _, form := range []winoForm{wino4, wino2} {
		n := form.n
		name := fmt.Sprintf("U8S16WinoInput%d%s", form.m, v.isa)
		lanes := v.bytes / 2
		f.funcs = append(f.funcs, asmFunc{name: name, sig: winoInputSig, doc: []string{
			fmt.Sprintf("%s transforms a tile of %dx%d pixels: for c < n rounded up to %d:", name, n, n, lanes),
			"",
			fmt.Sprintf("\tv[f*ldf...][c] = (B^T x B)[f/%d][f%%%d], x[i][j] being x[i*ldy+j*ldx+c]", n, n),
			"",
			fmt.Sprintf("ldf is in bytes. tmp is %d bytes of scratch.", n*n*v.bytes),
		}, emit: func(b *builder) {
			b.legacy = v.bytes == 16
			dst, x, tmp, count := b.arg("v"), b.arg("x"), b.arg("tmp"), b.arg("n")
			ldx := b.arg("ldx")
			in, out := b.strides(b.arg("ldy"), n), b.strides(b.arg("ldf"), n)
			b.Label("channels")
			b.MOVQ(x, in.base)
			for j := range n {
				d := v.some(0, n)
				for i := range n {
					b.VPMOVZXBW(in.at(i, 0), d[i])
				}
				for i, r := range form.input(b, d, v.some(n, 2)) {
					v.store(b, r, mem(tmp, (i*n+j)*v.bytes))
				}
				if j+1 < n {
					b.ADDQ(ldx, in.base)
				}
			}
			b.MOVQ(dst, out.base)
			for i := range n {
				d := v.some(0, n)
				for j := range n {
					v.load(b, mem(tmp, (i*n+j)*v.bytes), d[j])
				}
				for j, r := range form.input(b, d, v.some(n, 2)) {
					v.store(b, r, out.at(j, 0))
				}
				if i+1 < n {
					out.advance(b, n)
				}
			}
			b.ADDQ(imm(lanes), x)
			b.ADDQ(imm(v.bytes), dst)
			b.SUBQ(imm(lanes), count)
			b.JG(operand.LabelRef("channels"))
			v.finish(b)
		}})
	}
	return f
}

const winoFilterSig = "u *int16, ldf int, w *int8, groups int, rows *int16, n int, tmp *byte"

// winoFilter transforms two registers of lanes, a lane being one term of one column.
func winoFilter(v winoVec) asmFile {
	lanes := v.bytes // two registers of 16-bit lanes
	f := asmFile{name: fmt.Sprintf("s8s16_winofilter_%s", isaStem(v))}
	for _, form := range []winoForm{wino4, wino2} {
		n := form.n
		name := fmt.Sprintf("S8S16WinoFilter%d%s", form.m, v.isa)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: winoFilterSig, doc: []string{
			fmt.Sprintf("%s transforms filters: for g < groups, l < %d:", name, lanes),
			"",
			fmt.Sprintf("\tu[f*ldf...][%d*g+l] = (G w G^T)[f/%d][f%%%d], w[i][j] being w[%d*(9*g+3*i+j)+l]", lanes, n, n, lanes),
			"",
			fmt.Sprintf("ldf is in bytes. tmp is %d bytes of scratch; rows and n are not used.", 3*n*v.bytes),
		}, emit: func(b *builder) {
			b.legacy = v.bytes == 16
			dst, w, tmp, count := b.arg("u"), b.arg("w"), b.arg("tmp"), b.arg("groups")
			out := b.strides(b.arg("ldf"), n)
			six := v.r(v.regs - 1)
			if form.n == 6 {
				v.fill(b, 6<<16|6, six)
			}
			b.Label("groups")
			for half := range 2 {
				for j := range 3 {
					g := v.some(0, 3)
					for i := range 3 {
						b.VPMOVSXBW(mem(w, lanes*(3*i+j)+half*lanes/2), g[i])
					}
					for i, r := range form.filter(b, g, v.some(3, 4), six) {
						v.store(b, r, mem(tmp, (i*3+j)*v.bytes))
					}
				}
				b.MOVQ(dst, out.base)
				for i := range n {
					g := v.some(0, 3)
					for j := range 3 {
						v.load(b, mem(tmp, (i*3+j)*v.bytes), g[j])
					}
					for j, r := range form.filter(b, g, v.some(3, 4), six) {
						v.store(b, r, out.at(j, half*v.bytes))
					}
					if i+1 < n {
						out.advance(b, n)
					}
				}
			}
			b.ADDQ(imm(9*lanes), w)
			b.ADDQ(imm(2*v.bytes), dst)
			b.DECQ(count)
			b.JNE(operand.LabelRef("groups"))
			v.finish(b)
		}})
	}
	return f
}

// winoFilterByRow does so row by row of the result, and keeps a lane's nine weights in registers meanwhile.
func winoFilterByRow() asmFile {
	v := winoAVX512
	lanes := v.bytes
	f := asmFile{name: fmt.Sprintf("s8s16_winofilter_%s", isaStem(v))}
	for _, form := range []winoForm{wino4, wino2} {
		n := form.n
		name := fmt.Sprintf("S8S16WinoFilter%d%s", form.m, v.isa)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: winoFilterSig, doc: []string{
			fmt.Sprintf("%s transforms filters: for r < n, j < %d, g < groups, l < %d:", name, form.n, lanes),
			"",
			fmt.Sprintf("\tu[(%d*r+j)*ldf...][%d*g+l] = sum over i < 3 of rows[32*(3*r+i)] * (w G^T)[i][j],", n, lanes),
			"",
			fmt.Sprintf("w[i][j] being w[%d*(9*g+3*i+j)+l]. ldf is in bytes. rows are rows of G, each of their numbers 32 times; tmp is not used.", lanes),
		}, emit: func(b *builder) {
			dst, w, count := b.arg("u"), b.arg("w"), b.arg("groups")
			coefficients, left := b.GP64(), b.GP64()
			out := b.strides(b.arg("ldf"), n)
			taps, sums, t, six := v.some(0, 9), v.some(9, 3), v.some(12, 4), zmm(31)
			v.fill(b, 6<<16|6, six)
			b.Label("groups")
			for half := range 2 {
				for i := range taps {
					b.VPMOVSXBW(mem(w, lanes*i+half*lanes/2), taps[i])
				}
				b.Load(b.Param("rows"), coefficients)
				b.Load(b.Param("n"), left)
				b.MOVQ(dst, out.base)
				row := b.label("row")
				b.Label(row)
				for j := range 3 {
					b.VPMULLW(mem(coefficients, 0), taps[j], sums[j])
					for i := 1; i < 3; i++ {
						b.VPMULLW(mem(coefficients, 64*i), taps[3*i+j], t[0])
						b.VPADDW(t[0], sums[j], sums[j])
					}
				}
				for j, r := range form.filter(b, sums, t, six) {
					v.store(b, r, out.at(j, half*v.bytes))
				}
				b.ADDQ(imm(3*64), coefficients)
				out.advance(b, n)
				b.DECQ(left)
				b.JNE(operand.LabelRef(row))
			}
			b.ADDQ(imm(9*lanes), w)
			b.ADDQ(imm(2*v.bytes), dst)
			b.DECQ(count)
			b.JNE(operand.LabelRef("groups"))
			v.finish(b)
		}})
	}
	return f
}

const winoOutputSig = "y *int32, ldy int, m *int32, ldf int, tiles int, corr *int32, tmp *byte"

// winoOutput: columns first, then rows, two registers of channels.
func winoOutput(v winoVec) asmFile {
	nr := v.bytes / 2
	f := asmFile{name: fmt.Sprintf("s32_winooutput_%s", isaStem(v))}
	for _, form := range []winoForm{wino4, wino2} {
		n, m := form.n, form.m
		name := fmt.Sprintf("S32WinoOutput%d%s", m, v.isa)
		factor := ""
		if form.nine {
			factor = "*0x38E38E39 " // the inverse of 9
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: winoOutputSig, doc: []string{
			fmt.Sprintf("%s transforms products back: for t < tiles, i < %d, j < %d, c < %d:", name, m, m, nr),
			"",
			fmt.Sprintf("\ty[i*ldy...][%d*(%d*t+j)+c] = ((A^T m A)[i][j] %s+ corr[c]) >> %d", nr, m, factor, form.shift),
			"",
			fmt.Sprintf("m[i][j] being m[(%d*i+j)*ldf...][%d*t+c]. ldy and ldf are in bytes. tmp is %d bytes of scratch.", n, nr, m*n*v.bytes),
		}, emit: func(b *builder) {
			b.legacy = v.bytes == 16
			y, src, tmp, count, corr := b.arg("y"), b.arg("m"), b.arg("tmp"), b.arg("tiles"), b.arg("corr")
			ldf, six := b.arg("ldf"), b.GP64()
			b.IMUL3Q(imm(n), ldf, six)
			in, out := b.strides(six, n), b.strides(b.arg("ldy"), m)
			nine, add := v.r(v.regs-1), v.some(v.regs-3, 2)
			if form.nine {
				v.fill(b, 0x38E38E39, nine)
			}
			for half := range 2 {
				v.load(b, mem(corr, half*v.bytes), add[half])
			}
			b.MOVQ(y, out.base)
			b.Label("tiles")
			for half := range 2 {
				b.MOVQ(src, in.base)
				for j := range n {
					d := v.some(0, n)
					for i := range n {
						v.load(b, in.at(i, half*v.bytes), d[i])
					}
					for i, r := range form.output(b, d, v.some(n, 2)) {
						v.store(b, r, mem(tmp, (i*n+j)*v.bytes))
					}
					if j+1 < n {
						b.ADDQ(ldf, in.base)
					}
				}
				for i := range m {
					d := v.some(0, n)
					for j := range n {
						v.load(b, mem(tmp, (i*n+j)*v.bytes), d[j])
					}
					for j, r := range form.output(b, d, v.some(n, 2)) {
						if form.nine {
							b.VPMULLD(nine, r, r)
						}
						b.VPADDD(add[half], r, r)
						b.VPSRAD(imm8(form.shift), r, r)
						v.store(b, r, out.at(i, 4*nr*j+half*v.bytes))
					}
				}
			}
			b.ADDQ(imm(4*nr), src)
			b.ADDQ(imm(4*nr*m), out.base)
			b.DECQ(count)
			b.JNE(operand.LabelRef("tiles"))
			v.finish(b)
		}})
	}
	return f
}

func isaStem(v winoVec) string {
	return map[int]string{64: "avx512", 32: "avx2", 16: "sse41"}[v.bytes]
}
