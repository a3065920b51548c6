package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const depthwiseSig = "dst *byte, ldd int, a *byte, step int, pixels int, off *int, taps int, w *byte, n int, bias *int32, mult *float32, res *byte, ldr int, p *Requant"

func depthwiseDoc(name string, weight, order string, residual bool) []string {
	requant := "S32U8Requant"
	if residual {
		requant = "S32U8RequantAdd"
	}
	return []string{
		name + " is, for i < pixels, j < n:",
		"",
		"\tacc := sum over t < taps of int32(a[step*i+off[t]+j]) * weight(t, j)",
		"\tdst[ldd*i+j] = " + requant + " of acc, with bias(j), mult(j) and res[ldr*i+j]",
		"",
		weight, order,
		"It reads up to 64 bytes behind channel n-1 and writes n bytes a pixel.",
	}
}

// depthwiseWalk is the walk of both kernels: pixels, in them blocks of channels, in them groups of taps. Pointers run on
// through a pixel's blocks; what takes them to the next pixel lies in the frame.
type depthwiseWalk struct {
	a, w, bias, mult, dst, res, n reg.GPVirtual // of the block
	off, t, o                     reg.GPVirtual // of the taps
}

// emit walks; block starts a block, taps does one group, finish stores, weightBytes is what a group of a block takes.
func (b *builder) depthwiseWalk(channels, kr, weightBytes int, residual bool, start, taps, finish func(w *depthwiseWalk)) {
	w := &depthwiseWalk{a: b.arg("a"), dst: b.arg("dst"), n: b.GP64(), off: b.GP64(), t: b.GP64(), o: b.GP64(),
		w: b.GP64(), bias: b.GP64(), mult: b.GP64()}
	count, nextA, nextDst, nextRes := b.AllocLocal(8), b.AllocLocal(8), b.AllocLocal(8), b.AllocLocal(8)
	pixels := b.arg("pixels")
	b.MOVQ(pixels, count)
	// A pixel's blocks move the pointers by n, rounded up.
	moved := b.arg("n")
	b.ADDQ(imm(channels-1), moved)
	b.ANDQ(imm(-channels), moved)
	next := func(stride string, to operand.Mem) {
		s := b.arg(stride)
		b.SUBQ(moved, s)
		b.MOVQ(s, to)
	}
	next("step", nextA)
	next("ldd", nextDst)
	if residual {
		w.res = b.arg("res")
		next("ldr", nextRes)
	}
	b.Label("pixel")
	b.Load(b.Param("w"), w.w)
	b.Load(b.Param("bias"), w.bias)
	b.Load(b.Param("mult"), w.mult)
	b.Load(b.Param("n"), w.n)
	b.Label("block")
	start(w)
	b.Load(b.Param("off"), w.off)
	b.Load(b.Param("taps"), w.t)
	b.Label("taps")
	taps(w)
	b.ADDQ(imm(8*kr), w.off)
	b.ADDQ(imm(weightBytes), w.w)
	b.SUBQ(imm(kr), w.t)
	b.JNE(operand.LabelRef("taps"))
	finish(w)
	b.ADDQ(imm(channels), w.a)
	b.ADDQ(imm(channels), w.dst)
	if residual {
		b.ADDQ(imm(channels), w.res)
	}
	b.ADDQ(imm(4*channels), w.bias)
	b.ADDQ(imm(4*channels), w.mult)
	b.SUBQ(imm(channels), w.n)
	b.JG(operand.LabelRef("block"))
	b.ADDQ(nextA, w.a)
	b.ADDQ(nextDst, w.dst)
	if residual {
		b.ADDQ(nextRes, w.res)
	}
	b.DECQ(count)
	b.JNE(operand.LabelRef("pixel"))
	if !b.legacy {
		b.VZEROUPPER()
	}
	b.RET()
}

// tap is the address of the block's channels of tap i of the group.
func (b *builder) tap(w *depthwiseWalk, i int) operand.Mem {
	b.MOVQ(mem(w.off, 8*i), w.o)
	return operand.Mem{Base: w.a, Index: w.o, Scale: 1}
}

// depthwiseAVX2: two taps side by side, widened to 16 bits, multiplied and summed by VPMADDWD: exact.
func depthwiseAVX2() asmFile {
	f := asmFile{name: "u8s16_depthwise_16c2_avx2"}
	for _, residual := range []bool{false, true} {
		name := "U8S16Depthwise16c2AVX2"
		if residual {
			name = "U8S16DepthwiseAdd16c2AVX2"
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: depthwiseSig,
			doc: depthwiseDoc(name, "Weights are 16-bit, [n/16][taps/2][16][2]; taps is a multiple of 2.", "Channels are in their natural order.", residual),
			emit: func(b *builder) {
				p := b.arg("p")
				e := b.epilogue(p, residual, ymms[6:])
				b.depthwiseWalk(16, 2, 64, residual, func(w *depthwiseWalk) {
					b.VMOVDQU(mem(w.bias, 0), ymm(0))
					b.VMOVDQU(mem(w.bias, 32), ymm(1))
				}, func(w *depthwiseWalk) {
					b.VMOVDQU(b.tap(w, 0), xmm(2))
					b.VMOVDQU(b.tap(w, 1), xmm(3))
					b.VPUNPCKLBW(xmm(3), xmm(2), xmm(4))
					b.VPUNPCKHBW(xmm(3), xmm(2), xmm(5))
					b.VPMOVZXBW(xmm(4), ymm(4))
					b.VPMOVZXBW(xmm(5), ymm(5))
					b.VPMADDWD(mem(w.w, 0), ymm(4), ymm(4))
					b.VPMADDWD(mem(w.w, 32), ymm(5), ymm(5))
					b.VPADDD(ymm(4), ymm(0), ymm(0))
					b.VPADDD(ymm(5), ymm(1), ymm(1))
				}, func(w *depthwiseWalk) {
					for i := range 2 {
						var res operand.Op
						if residual {
							res = mem(w.res, 8*i)
						}
						e.round(ymm(i), mem(w.mult, 32*i), res, ymm(2))
					}
					e.pack16(ymm(0), ymm(1), xmm(2))
					b.CMPQ(w.n, imm(16))
					b.JGE(operand.LabelRef("full"))
					b.storeBytes(xmm(0), w.n, w.dst, 16)
					b.JMP(operand.LabelRef("stored"))
					b.Label("full")
					b.VMOVDQU(xmm(0), mem(w.dst, 0))
					b.Label("stored")
				})
			}})
	}
	return f
}

// depthwiseVNNI: four taps side by side make VPDPBUSD's groups. Interleaving within 128-bit lanes orders the channels so
// that packing within lanes puts them back.
func depthwiseVNNI() asmFile {
	f := asmFile{name: "u8s8_depthwise_64c4_avx512vnni"}
	for _, residual := range []bool{false, true} {
		name := "U8S8Depthwise64c4AVX512VNNI"
		if residual {
			name = "U8S8DepthwiseAdd64c4AVX512VNNI"
		}
		f.funcs = append(f.funcs, asmFunc{name: name, sig: depthwiseSig,
			doc: depthwiseDoc(name, "Weights are 8-bit, [n/64][taps/4][64][4]; taps is a multiple of 4.",
				"Place 16*j+4*i+d of a block, in weights, bias and mult, is channel 16*i+4*j+d.", residual),
			emit: func(b *builder) {
				p := b.arg("p")
				e := b.epilogue(p, residual, zmms[16:])
				b.VPXORD(zmm(30), zmm(30), zmm(30))
				b.depthwiseWalk(64, 4, 256, residual, func(w *depthwiseWalk) {
					b.tailMask(w.n, 64, reg.K1)
					for j := range 4 {
						b.VMOVDQU64(mem(w.bias, 64*j), zmm(j))
					}
				}, func(w *depthwiseWalk) {
					for i := range 4 {
						b.VMOVDQU64(b.tap(w, i), zmm(4+i))
					}
					b.interleave(4, 5, 6, 7)
					for j := range 4 {
						b.vpdpbusd(mem(w.w, 64*j), zmm(4+j), zmm(j))
					}
				}, func(w *depthwiseWalk) {
					if residual { // the other operand's bytes, widened, in the same order
						b.VMOVDQU64(mem(w.res, 0), zmm(4))
						b.VPUNPCKHBW(zmm(30), zmm(4), zmm(8))
						b.VPUNPCKLBW(zmm(30), zmm(4), zmm(9))
						b.VPUNPCKLWD(zmm(30), zmm(9), zmm(4))
						b.VPUNPCKHWD(zmm(30), zmm(9), zmm(5))
						b.VPUNPCKLWD(zmm(30), zmm(8), zmm(6))
						b.VPUNPCKHWD(zmm(30), zmm(8), zmm(7))
					}
					for j := range 4 {
						e.round(zmm(j), mem(w.mult, 64*j), nil, zmm(4+j))
					}
					e.pack(zmm(0), zmm(1), zmm(2), zmm(3))
					b.VMOVDQU8(zmm(0), reg.K1, mem(w.dst, 0))
				})
			}})
	}
	return f
}

// depthwise3x3 is a family of kernels for 3x3 windows, strides 1 and 2. A column of a window is loaded and interleaved once, and
// multiplied with the weights of every window that has it: three with stride 1, or with stride 2 two for every second
// column. So pixels are the inner loop, and the sums of the windows that a column belongs to are in registers.
type depthwise3x3 struct {
	b             *builder
	channels      int // of a block
	weights       int // bytes of a block
	rows          [3]reg.GPVirtual
	w, bias, mult reg.GPVirtual
	n, d          reg.GPVirtual
	block         func()                // loads what a block's pixels share
	load          func(at reg.Register) // makes the next column
	start         func(set int)         // starts a window's sums with the bias
	dot           func(set, x int)      // adds the column, which is the window's column x
	finish        func(set int)         // stores a pixel
}

func depthwise3x3Doc(name, weights, order string, stride int) []string {
	doc := depthwiseDoc(name, weights, order, false)
	return append(doc, fmt.Sprintf("off[4*x+y] is off[y] + x*d for x, y < 3, step is %d*d, and taps is 12. res and ldr are not used.", stride))
}

// emit walks over blocks of channels, and in them over pixels.
func (k *depthwise3x3) emit(stride int) {
	b := k.b
	off, next, first := b.arg("off"), b.GP64(), b.arg("a")
	for y := range k.rows {
		k.rows[y] = b.GP64()
		b.MOVQ(mem(off, 8*y), k.rows[y])
		b.ADDQ(first, k.rows[y])
	}
	b.MOVQ(mem(off, 8*4), next)
	b.SUBQ(mem(off, 0), next)
	k.w, k.bias, k.mult, k.n = b.arg("w"), b.arg("bias"), b.arg("mult"), b.arg("n")
	ldd, at, dst, count := b.arg("ldd"), b.GP64(), b.arg("dst"), b.GP64()
	k.d = b.GP64()
	load := func() {
		k.load(at)
		b.ADDQ(next, at)
	}
	finish := func(set int) {
		k.finish(set)
		b.ADDQ(ldd, k.d)
		b.DECQ(count)
		b.JE(operand.LabelRef("stored"))
	}

	b.Label("block")
	k.block()
	b.XORQ(at, at)
	b.MOVQ(dst, k.d)
	b.Load(b.Param("pixels"), count)
	load()
	k.start(0)
	k.dot(0, 0)
	if stride == 1 {
		load()
		k.start(1)
		k.dot(1, 0)
		k.dot(0, 1)
		b.Label("pixels")
		for i := range 3 {
			load()
			k.start((i + 2) % 3)
			k.dot(i, 2)
			k.dot((i+1)%3, 1)
			k.dot((i+2)%3, 0)
			finish(i)
		}
	} else {
		b.Label("pixels")
		for i := range 2 {
			load()
			k.dot(i, 1)
			load()
			k.start(1 - i)
			k.dot(i, 2)
			k.dot(1-i, 0)
			finish(i)
		}
	}
	b.JMP(operand.LabelRef("pixels"))
	b.Label("stored")
	for _, r := range k.rows {
		b.ADDQ(imm(k.channels), r)
	}
	b.ADDQ(imm(k.channels), dst)
	b.ADDQ(imm(k.weights), k.w)
	b.ADDQ(imm(4*k.channels), k.bias)
	b.ADDQ(imm(4*k.channels), k.mult)
	b.SUBQ(imm(k.channels), k.n)
	b.JG(operand.LabelRef("block"))
	b.VZEROUPPER()
	b.RET()
}

func indexed(base, index reg.Register, disp int) operand.Mem {
	return operand.Mem{Base: base, Index: index, Scale: 1, Disp: disp}
}

// depthwise3x3VNNI: a column's three rows side by side make VPDPBUSD's group; the fourth weight is zero.
func depthwise3x3VNNI() asmFile {
	f := asmFile{name: "u8s8_depthwise3x3s1_64c4_avx512vnni"}
	for stride := 1; stride <= 2; stride++ {
		name := fmt.Sprintf("U8S8Depthwise3x3s%d64c4AVX512VNNI", stride)
		doc := depthwise3x3Doc(name, "Weights are 8-bit, [n/64][3][64][4]: of a column three, and a zero.",
			"Place 16*j+4*i+d of a block, in weights, bias and mult, is channel 16*i+4*j+d.", stride)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: depthwiseSig, doc: doc, emit: func(b *builder) {
			p := b.arg("p")
			e := b.epilogue(p, false, zmms[29:])
			sum := func(set, j int) reg.VecPhysical { return zmm(4*set + j) }
			weight := func(x, j int) reg.VecPhysical { return zmm(16 + 4*x + j) }
			c, spare := [4]reg.VecPhysical{zmm(12), zmm(13), zmm(14), zmm(15)}, zmm(28)
			k := &depthwise3x3{b: b, channels: 64, weights: 3 * 256}
			k.block = func() {
				b.tailMask(k.n, 64, reg.K1)
				for x := range 3 {
					for j := range 4 {
						b.VMOVDQU64(mem(k.w, 256*x+64*j), weight(x, j))
					}
				}
			}
			k.load = func(at reg.Register) {
				for y := range 3 {
					b.VMOVDQU64(indexed(k.rows[y], at, 0), c[y])
				}
				b.VPUNPCKHBW(c[1], c[0], c[3])
				b.VPUNPCKLBW(c[1], c[0], spare)
				b.VPUNPCKLBW(c[2], c[2], c[1]) // the second of them meets the zero
				b.VPUNPCKHBW(c[2], c[2], c[2])
				b.VPUNPCKLWD(c[1], spare, c[0])
				b.VPUNPCKHWD(c[1], spare, c[1])
				b.VPUNPCKLWD(c[2], c[3], spare)
				b.VPUNPCKHWD(c[2], c[3], c[3])
				b.VMOVDQA64(spare, c[2])
			}
			k.start = func(set int) {
				for j := range 4 {
					b.VMOVDQU64(mem(k.bias, 64*j), sum(set, j))
				}
			}
			k.dot = func(set, x int) {
				for j := range 4 {
					b.vpdpbusd(weight(x, j), c[j], sum(set, j))
				}
			}
			k.finish = func(set int) {
				for j := range 4 {
					e.round(sum(set, j), mem(k.mult, 64*j), nil, nil)
				}
				e.pack(sum(set, 0), sum(set, 1), sum(set, 2), sum(set, 3))
				b.VMOVDQU8(sum(set, 0), reg.K1, mem(k.d, 0))
			}
			k.emit(stride)
		}})
	}
	return f
}

// depthwise3x3AVX2: of a column, the upper two rows make one pair of 16-bit words, the lower one and nothing another.
func depthwise3x3AVX2() asmFile {
	f := asmFile{name: "u8s16_depthwise3x3s1_16c2_avx2"}
	for stride := 1; stride <= 2; stride++ {
		name := fmt.Sprintf("U8S16Depthwise3x3s%d16c2AVX2", stride)
		doc := depthwise3x3Doc(name, "Weights are 16-bit, [n/16][6][16][2]: of a column two, and one with a zero.", "Channels are in their natural order.", stride)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: depthwiseSig, doc: doc, emit: func(b *builder) {
			p := b.arg("p")
			e := b.epilogue(p, false, ymms[13:])
			sum := func(set, j int) reg.VecPhysical { return ymm(2*set + j) }
			c, t := [4]reg.VecPhysical{ymm(6), ymm(7), ymm(8), ymm(9)}, ymm(10)
			k := &depthwise3x3{b: b, channels: 16, weights: 6 * 64}
			k.block = func() {}
			k.load = func(at reg.Register) {
				b.VMOVDQU(indexed(k.rows[0], at, 0), xmm(10))
				b.VMOVDQU(indexed(k.rows[1], at, 0), xmm(11))
				b.VPUNPCKLBW(xmm(11), xmm(10), xmm(6))
				b.VPUNPCKHBW(xmm(11), xmm(10), xmm(7))
				b.VPMOVZXBW(xmm(6), ymm(6))
				b.VPMOVZXBW(xmm(7), ymm(7))
				b.VPMOVZXBD(indexed(k.rows[2], at, 0), ymm(8))
				b.VPMOVZXBD(indexed(k.rows[2], at, 8), ymm(9))
			}
			k.start = func(set int) {
				for j := range 2 {
					b.VMOVDQU(mem(k.bias, 32*j), sum(set, j))
				}
			}
			k.dot = func(set, x int) {
				for i := range 4 {
					b.VPMADDWD(mem(k.w, 128*x+32*i), c[i], t)
					b.VPADDD(t, sum(set, i%2), sum(set, i%2))
				}
			}
			k.finish = func(set int) {
				full, stored := b.label("full"), b.label("done")
				for j := range 2 {
					e.round(sum(set, j), mem(k.mult, 32*j), nil, nil)
				}
				x := xmm(2 * set)
				e.pack16(sum(set, 0), sum(set, 1), xmm(10))
				b.CMPQ(k.n, imm(16))
				b.JGE(operand.LabelRef(full))
				b.storeBytes(x, k.n, k.d, 16)
				b.JMP(operand.LabelRef(stored))
				b.Label(full)
				b.VMOVDQU(x, mem(k.d, 0))
				b.Label(stored)
			}
			k.emit(stride)
		}})
	}
	return f
}

// interleave turns four registers of bytes, one a tap, into four of groups of four taps; registers 8 to 11 are scratch.
func (b *builder) interleave(t0, t1, t2, t3 int) {
	b.VPUNPCKLBW(zmm(t1), zmm(t0), zmm(8))
	b.VPUNPCKHBW(zmm(t1), zmm(t0), zmm(9))
	b.VPUNPCKLBW(zmm(t3), zmm(t2), zmm(10))
	b.VPUNPCKHBW(zmm(t3), zmm(t2), zmm(11))
	b.VPUNPCKLWD(zmm(10), zmm(8), zmm(t0))
	b.VPUNPCKHWD(zmm(10), zmm(8), zmm(t1))
	b.VPUNPCKLWD(zmm(11), zmm(9), zmm(t2))
	b.VPUNPCKHWD(zmm(11), zmm(9), zmm(t3))
}
