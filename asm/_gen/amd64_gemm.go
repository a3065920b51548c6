package main

import (
	"fmt"
	"math/bits"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const gemmSig = "c *int32, a *byte, lda int, b *int8, k int"

// rowPtrs gives the address of element disp of each row of a, which lie lda bytes apart: one base that the loop moves, and
// odd multiples of lda that the addressing mode scales by 1, 2, 4 or 8.
type rowPtrs struct {
	base reg.Register
	odd  map[int]reg.GPVirtual
}

func (b *builder) rowPtrs(rows int) rowPtrs { return b.rowsAt("a", "lda", rows) }

// rowsAt is rowPtrs for rows of parameter base, the bytes between them in parameter pitch.
func (b *builder) rowsAt(base, pitch string, rows int) rowPtrs {
	p := rowPtrs{base: b.arg(base), odd: map[int]reg.GPVirtual{}}
	if rows == 1 {
		return p
	}
	p.odd[1] = b.arg(pitch)
	for m := 3; m < rows; m += 2 {
		r := b.GP64()
		b.LEAQ(operand.Mem{Base: p.odd[m-2], Index: p.odd[1], Scale: 2}, r)
		p.odd[m] = r
	}
	return p
}

func (p rowPtrs) at(row, disp int) operand.Mem {
	m := operand.Mem{Base: p.base, Disp: disp}
	if row > 0 {
		scale := row & -row
		m.Index, m.Scale = p.odd[row/scale], uint8(scale)
	}
	return m
}

// kLoop emits step for every group of KR terms, unrolled; step gets its number within the unrolled body, and advance moves
// the pointers by n groups.
func (b *builder) kLoop(k reg.Register, kr, unroll int, step func(s int), advance func(n int)) {
	many, one, tail, done := b.label("unrolled"), b.label("single"), b.label("rest"), b.label("done")
	b.SUBQ(imm(unroll*kr), k)
	b.JL(operand.LabelRef(tail))
	b.Label(many)
	for s := range unroll {
		step(s)
	}
	advance(unroll)
	b.SUBQ(imm(unroll*kr), k)
	b.JGE(operand.LabelRef(many))
	b.Label(tail)
	b.ADDQ(imm(unroll*kr), k)
	b.JE(operand.LabelRef(done))
	b.Label(one)
	step(0)
	advance(1)
	b.SUBQ(imm(kr), k)
	b.JG(operand.LabelRef(one))
	b.Label(done)
}

func gemmDoc(name string, mr, nr, kr int, a, rule string) []string {
	return []string{
		fmt.Sprintf("%s is a %dx%d tile: for i < %d, j < %d:", name, mr, nr, mr, nr),
		"",
		fmt.Sprintf("\tc[%d*i+j] = sum over t < k of %s[i*lda...][t] * int32(b[%d*(t/%d)+%d*j+t%%%d])", nr, a, nr*kr, kr, kr, kr),
		"",
		rule,
	}
}

// gemmVNNI: 32 columns in two 512-bit registers, 14 rows because the maps of these networks are 7*2**n wide.
func gemmVNNI() asmFile {
	const nr, kr = 32, 4
	f := asmFile{name: "u8s8_gemm_14x32c4_avx512vnni"}
	for _, mr := range []int{14, 7, 4, 2, 1} {
		name := fmt.Sprintf("U8S8Gemm%dx%dc%dAVX512VNNI", mr, nr, kr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "a", "a is unsigned bytes; k is a multiple of 4 and at least 4. VPDPBUSD wraps, it does not saturate."),
			emit: func(b *builder) {
				// A dot product waits 5 cycles for itself and two start in a cycle: few rows need several sums.
				sets := max(1, min(4, 10/(2*mr)))
				acc := func(set, i, j int) reg.VecPhysical { return zmm((set*mr+i)*2 + j) }
				c := b.arg("c")
				b.sumsVNNI(mr, sets, func(quarter reg.Register) {
					for i := range 2 * mr * sets {
						b.VPXORD(zmm(i), zmm(i), zmm(i))
					}
					b.MOVQ(c, quarter)
					b.SHRQ(imm8(8), quarter) // a tile of 14 rows is 7*256 bytes
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

// nextPanel is the address of the weights behind panel w: those the next calls will read. Weights come from memory once per
// image; fetching a panel while the one before it is at work hides that.
func (b *builder) nextPanel(w, k reg.Register, nr int) reg.GPVirtual {
	next := b.GP64()
	b.MOVQ(k, next)
	b.SHLQ(imm(bits.TrailingZeros(uint(nr))), next)
	b.ADDQ(w, next)
	return next
}

// gemmAVX2: 16-bit operands, exact for any weights: products of 255*127 in pairs, summed in 32 bits by VPMADDWD.
func gemmAVX2() asmFile {
	const nr, kr = 16, 2
	f := asmFile{name: "s16s8_gemm_6x16c2_avx2"}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("S16S8Gemm%dx%dc%dAVX2", mr, nr, kr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "int16 a", "a is 16-bit integers; k is a multiple of 2 and at least 2."),
			emit: func(b *builder) {
				acc := func(i, j int) reg.VecPhysical { return ymm(2*i + j) }
				w0, w1, u, t := ymm(12), ymm(13), ymm(14), ymm(15)
				c, w, k := b.arg("c"), b.arg("b"), b.arg("k")
				rows := b.rowPtrs(mr)
				for i := range 2 * mr {
					b.VPXOR(ymm(i), ymm(i), ymm(i))
				}
				next := b.nextPanel(w, k, nr)
				b.kLoop(k, kr, 4, func(s int) {
					if s%2 == 0 {
						b.PREFETCHT1(mem(next, 32*s))
					}
					b.VPMOVSXBW(mem(w, 32*s), w0)
					b.VPMOVSXBW(mem(w, 32*s+16), w1)
					for i := range mr {
						b.VPBROADCASTD(rows.at(i, 4*s), u)
						b.VPMADDWD(w0, u, t)
						b.VPADDD(t, acc(i, 0), acc(i, 0))
						b.VPMADDWD(w1, u, u)
						b.VPADDD(u, acc(i, 1), acc(i, 1))
					}
				}, func(n int) {
					b.ADDQ(imm(4*n), rows.base)
					b.ADDQ(imm(32*n), w)
					b.ADDQ(imm(32*n), next)
				})
				b.storeTile(c, mr)
			}})
	}
	return f
}

// sumsVNNI adds the products of a tile to sets of sums, the first in zmm0 to zmm(2*mr-1), once start has set them. Meanwhile a
// quarter of the weights behind the panel is fetched: all of it at once would take the core's line buffers, of which a load that
// misses L1 needs one too. Which quarter, the low bits of a number say that start makes of the address of what the tile writes, so that
// four tiles of 14 rows, one below the other, fetch all of them.
func (b *builder) sumsVNNI(mr, sets int, start func(quarter reg.Register)) {
	w0, w1 := zmm(28), zmm(29)
	w, k := b.arg("b"), b.arg("k")
	rows := b.rowPtrs(mr)
	next := b.nextPart(w, k, 32, 4, start)
	b.kLoop(k, 4, 4, func(s int) {
		if s%2 == 0 {
			b.PREFETCHT1(mem(next, 32*s))
		}
		b.VMOVDQU64(mem(w, 128*s), w0)
		b.VMOVDQU64(mem(w, 128*s+64), w1)
		for i := range mr {
			u, first := zmm(30+i%2), (s%sets*mr+i)*2
			b.VPBROADCASTD(rows.at(i, 4*s), u)
			b.vpdpbusd(w0, u, zmm(first))
			b.vpdpbusd(w1, u, zmm(first+1))
		}
	}, func(n int) {
		b.ADDQ(imm(4*n), rows.base)
		b.ADDQ(imm(128*n), w)
		b.ADDQ(imm(32*n), next)
	})
}

// nextPart is the address of one of some parts of the weights behind nr columns: start puts the part's number into the low bits of a
// register.
func (b *builder) nextPart(w, k reg.Register, nr, parts int, start func(part reg.Register)) reg.GPVirtual {
	part, next := b.GP64(), b.GP64()
	start(part)
	b.MOVQ(k, next)
	b.SHLQ(imm(bits.TrailingZeros(uint(nr/parts))), next)
	b.ANDQ(imm(parts-1), part)
	b.IMULQ(next, part)
	for range bits.TrailingZeros(uint(parts)) {
		b.ADDQ(next, next)
	}
	b.ADDQ(w, next)
	b.ADDQ(part, next)
	return next
}

// wideSumsVNNI is sumsVNNI for 7 rows and two panels, the second one at k*32 bytes from the first: 38 instead of 44 micro-operations
// for 28 products. A core whose other thread is busy issues two in a cycle, and is that much faster. The last of four weights is
// an operand in memory, for want of a register.
func (b *builder) wideSumsVNNI(start func(part reg.Register)) {
	const mr = 7
	w, k := b.arg("b"), b.arg("k")
	second := b.GP64()
	b.MOVQ(k, second)
	b.SHLQ(imm(5), second)
	b.ADDQ(w, second)
	rows := b.rowPtrs(mr)
	next := b.nextPart(w, k, 64, 8, start)
	b.kLoop(k, 4, 4, func(s int) {
		if s%2 == 0 {
			b.PREFETCHT1(mem(next, 32*s))
		}
		b.VMOVDQU64(mem(w, 128*s), zmm(28))
		b.VMOVDQU64(mem(w, 128*s+64), zmm(29))
		b.VMOVDQU64(mem(second, 128*s), zmm(30))
		for i := range mr {
			u := zmm(31)
			b.VPBROADCASTD(rows.at(i, 4*s), u)
			for j := range 3 {
				b.vpdpbusd(zmm(28+j), u, zmm(4*i+j))
			}
			b.vpdpbusd(mem(second, 128*s+64), u, zmm(4*i+3))
		}
	}, func(n int) {
		b.ADDQ(imm(4*n), rows.base)
		b.ADDQ(imm(128*n), w)
		b.ADDQ(imm(128*n), second)
		b.ADDQ(imm(32*n), next)
	})
}

const gemmRequantSig = "dst *byte, ldd int, a *byte, lda int, b *int8, k int, bias *int32, mult *float32, res *byte, ldr int, p *Requant"

// gemmRequantVNNI rounds the sums of a whole tile where they are: no store and load of them. After the products four registers are
// free, enough for the constants of a layer without a residual; with one, the last row's sums wait in memory for those of another row
// to be done. Four registers of sums become one of bytes: two half rows, or a row of 64 columns.
func gemmRequantVNNI(mr, nr int) asmFile {
	columns := nr / 16
	f := asmFile{name: fmt.Sprintf("u8s8_gemmrequant_%dx%dc4_avx512vnni", mr, nr)}
	for _, residual := range []bool{false, true} {
		name, made := fmt.Sprintf("U8S8GemmRequant%dx%dc4AVX512VNNI", mr, nr), "what p makes of sum and mult[j], as Requant has it without a residual"
		if residual {
			name, made = fmt.Sprintf("U8S8GemmRequantAdd%dx%dc4AVX512VNNI", mr, nr), "what p makes of sum, mult[j] and res[i*ldr+j], as Requant has it"
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmRequantSig,
			doc: []string{
				fmt.Sprintf("%s is a %dx%d tile: for i < %d, j < %d:", name, mr, nr, mr, nr),
				"",
				"\tsum := bias[j] + sum over t < k of a[i*lda...][t] * int32(b[32*k*(j/32)+128*(t/4)+4*(j%32)+t%4])",
				"\tdst[i*ldd+j] = " + made,
				"",
				"a is unsigned bytes; k is a multiple of 4 and at least 4.",
			},
			emit: func(b *builder) {
				start := func(part reg.Register) {
					// The rows are an odd number of times the lowest bit of their distance, or twice that.
					b.BSFQ(b.arg("ldd"), reg.RCX)
					b.Load(b.Param("dst"), part)
					b.SHRQ(reg.CL, part)
					if mr%2 == 0 {
						b.SHRQ(imm8(1), part)
					}
					if residual { // what is added comes from far away, at a distance that the hardware does not foresee
						at, step := b.arg("res"), b.arg("ldr")
						for i := range mr {
							b.PREFETCHT0(mem(at, 0))
							if i < mr-1 {
								b.ADDQ(step, at)
							}
						}
					}
					bias := b.arg("bias")
					for j := range columns {
						b.VMOVDQU32(mem(bias, 64*j), zmm(j))
					}
					for i := columns; i < columns*mr; i++ {
						b.VMOVDQA64(zmm(i%columns), zmm(i))
					}
				}
				if nr == 64 {
					b.wideSumsVNNI(start)
				} else {
					b.sumsVNNI(mr, 1, start)
				}
				p, t, order, word := b.arg("p"), zmm(30), zmm(31), b.GP64()
				var e epilogue
				var last operand.Mem
				if residual {
					last = b.AllocLocal(128)
					for j := range 2 {
						b.VMOVDQU32(zmm(26+j), last.Offset(64*j))
					}
					e = b.epilogueInPlace(p, zmms[26:])
				} else {
					e = b.epilogue(p, false, zmms[28:])
				}
				b.MOVQ(operand.U64(0x0D0905010C080400), word) // 0 4 8 12 1 5 9 13, as pack leaves them
				b.VMOVQ(word, order.AsX())
				b.MOVQ(operand.U64(0x0F0B07030E0A0602), word)
				b.VPINSRQ(imm8(1), word, order.AsX(), order.AsX())
				b.VPMOVZXBD(order.AsX(), order)
				dst, mult := rowPair{at: b.arg("dst"), stride: b.arg("ldd")}, b.arg("mult")
				pairs := []rowPair{dst}
				var res rowPair
				if residual {
					res = rowPair{at: b.arg("res"), stride: b.arg("ldr")}
					pairs = append(pairs, res)
				}
				for i := 0; i < 28; i += 4 {
					v := []reg.VecPhysical{zmm(i), zmm(i + 1), zmm(i + 2), zmm(i + 3)}
					if residual && i == 24 {
						for j := range 2 {
							v[2+j] = zmm(j)
							b.VMOVDQU32(last.Offset(64*j), v[2+j])
						}
					}
					for q, v := range v {
						var other operand.Op
						if residual {
							other = res.row(q/columns, 16*(q%columns))
						}
						e.round(v, mem(mult, 64*(q%columns)), other, t)
					}
					e.pack(v[0], v[1], v[2], v[3])
					b.VPERMD(v[0], order, v[0])
					if columns == 4 {
						b.VMOVDQU32(v[0], dst.row(0, 0))
					} else {
						b.VMOVDQU32(v[0].AsY(), dst.row(0, 0))
						b.VEXTRACTI64X4(imm8(1), v[0], dst.row(1, 0))
					}
					if i < 24 {
						for _, x := range pairs {
							if columns == 4 {
								b.ADDQ(x.stride, x.at)
							} else {
								b.LEAQ(operand.Mem{Base: x.at, Index: x.stride, Scale: 2}, x.at)
							}
						}
					}
				}
				b.VZEROUPPER()
				b.RET()
			}})
	}
	return f
}

// storeTile ends a 256-bit kernel of 16 columns.
func (b *builder) storeTile(c reg.Register, mr int) {
	for i := range 2 * mr {
		b.VMOVDQU(ymm(i), mem(c, 32*i))
	}
	b.VZEROUPPER()
	b.RET()
}

// gemmPairSafeAVX2: VPMADDUBSW sums pairs in 16 bits and saturates; pair-safe weights keep it from that.
func gemmPairSafeAVX2() asmFile {
	const nr, kr = 16, 4
	f := asmFile{name: "u8s8_gemm_6x16c4_avx2"}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("U8S8Gemm%dx%dc%dAVX2", mr, nr, kr)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "a", "a is unsigned bytes; k is a multiple of 4 and at least 4. b must be pair-safe: sums of pairs saturate in 16 bits."),
			emit: func(b *builder) {
				acc := func(i, j int) reg.VecPhysical { return ymm(2*i + j) }
				ones, weights := ymm(12), ymm(13)
				c, w, k := b.arg("c"), b.arg("b"), b.arg("k")
				rows := b.rowPtrs(mr)
				for i := range 2 * mr {
					b.VPXOR(ymm(i), ymm(i), ymm(i))
				}
				b.VPCMPEQW(ones, ones, ones)
				b.VPSRLW(imm8(15), ones, ones)
				next := b.nextPanel(w, k, nr)
				b.kLoop(k, kr, 2, func(s int) {
					b.PREFETCHT1(mem(next, 64*s))
					// Column half by half: one register of weights, and the broadcast is a load anyway.
					for j := range 2 {
						b.VMOVDQU(mem(w, 64*s+32*j), weights)
						for i := range mr {
							t := ymm(14 + i%2)
							b.VPBROADCASTD(rows.at(i, 4*s), t)
							b.VPMADDUBSW(weights, t, t)
							b.VPMADDWD(ones, t, t)
							b.VPADDD(t, acc(i, j), acc(i, j))
						}
					}
				}, func(n int) {
					b.ADDQ(imm(4*n), rows.base)
					b.ADDQ(imm(64*n), w)
					b.ADDQ(imm(64*n), next)
				})
				b.storeTile(c, mr)
			}})
	}
	return f
}
