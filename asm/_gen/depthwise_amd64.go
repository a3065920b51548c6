package main

import (
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
	b.VZEROUPPER()
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
				zero := xmm(15)
				b.VPBROADCASTW(mem(p, zeroField(residual)), zero)
				fields := []int{offLo, offHi}
				if residual {
					fields = residualFields
				}
				k := b.consts(p, nil, ymms[6:], fields...)
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
						k.scale(ymm(i), mem(w.mult, 32*i), residual, res, ymm(2))
					}
					b.pack16(0, 1, 2, zero)
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
				zero := zmm(31)
				b.VPBROADCASTW(mem(p, zeroField(residual)), zero)
				b.VPXORD(zmm(30), zmm(30), zmm(30))
				fields := []int{offLo, offHi}
				if residual {
					fields = residualFields
				}
				k := b.consts(p, nil, zmms[16:], fields...)
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
						k.scale(zmm(j), mem(w.mult, 64*j), residual, nil, zmm(4+j))
					}
					b.VPACKSSDW(zmm(1), zmm(0), zmm(0))
					b.VPACKSSDW(zmm(3), zmm(2), zmm(2))
					b.VPADDW(zero, zmm(0), zmm(0))
					b.VPADDW(zero, zmm(2), zmm(2))
					b.VPACKUSWB(zmm(2), zmm(0), zmm(0))
					b.VMOVDQU8(zmm(0), reg.K1, mem(w.dst, 0))
				})
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
