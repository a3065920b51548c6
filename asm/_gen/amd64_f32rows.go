package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// miscF32 is the file of one instruction set: functions and sums in float64, and attention.
func miscF32(isa floatISA) asmFile {
	return asmFile{name: "f32_rows_" + isa.name, funcs: []asmFunc{
		sigmoidF32(isa, false), sigmoidF32(isa, true), sumsF32(isa), dotF32(isa), attendF32(isa),
	}}
}

const (
	mapSig     = "dst *float32, src *float32, n int"
	sumsF32Sig = "dst *float64, a *float32, step int, pixels int, n int"
	// The result's parenthesis closes where the parameters' would.
	dotF32Sig    = "a *float32, b *float32, n int) (sum float64"
	attendF32Sig = "dst *float32, a *float32, gate *float32, w *float32, n int, p *float32"
)

func mapDoc(name, what string) []string {
	return []string{name + " sets dst[i] to " + what + ".At(src[i]) of package kernels, the same bits, for i < n, a multiple of 8."}
}

func sumsF32Doc(name string) []string {
	return []string{
		name + " sets dst[j] to the sum over i < pixels of a[i*step...][j] in float64, from the first to the last, for j < n, a",
		"multiple of 16; step is in bytes.",
	}
}

func dotF32Doc(name string) []string {
	return []string{
		name + " returns the sum over i < n of float64(a[i])*float64(b[i]), each term added in one operation, in an order of its",
		"own; n is a multiple of 16.",
	}
}

func attendF32Doc(name string) []string {
	return []string{name + " sets dst[i] to a[i]*(p[0]+p[1]*(gate[i]+w[i])), each operation rounded, for i < n, a multiple of 16."}
}

// Constants of kernels.exp64, in its order.
const (
	expRange = 700
	expMagic = 0x1.8p52
)

var expSeries = []float64{1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1}

// double broadcasts a constant.
func (b *builder) double(v float64, to reg.VecPhysical) {
	r := b.GP64()
	b.MOVQ(operand.U64(math.Float64bits(v)), r)
	b.VMOVQ(r, xmm(15))
	b.VBROADCASTSD(xmm(15), to)
}

// lowHalf is the register of half the width, which holds as many float32 as the whole does float64.
func (isa floatISA) lowHalf(i int) reg.VecPhysical {
	if isa.lanes == 16 {
		return ymm(i)
	}
	return xmm(i)
}

// sigmoidF32 computes package kernels' sigmoid64, operation by operation: nothing is fused, so that the bits are those of Go.
func sigmoidF32(isa floatISA, swish bool) asmFunc {
	name, what := "F32Sigmoid"+isa.camel, "Sigmoid"
	if swish {
		name, what = "F32Swish"+isa.camel, "Swish"
	}
	lanes := isa.lanes / 2
	return asmFunc{name: name, sig: mapSig, doc: mapDoc(name, what),
		emit: func(b *builder) {
			// Constants stay in registers where there are 32; else they lie in the frame.
			consts := []float64{-expRange, expRange, 1.4426950408889634, expMagic, 0.6931471805599453}
			consts = append(consts, expSeries...)
			place := map[float64]operand.Op{}
			frame := operand.Mem{}
			if isa.lanes != 16 {
				frame = b.AllocLocal(32 * len(consts))
			}
			for i, v := range consts {
				if _, ok := place[v]; ok {
					continue
				}
				if isa.lanes == 16 {
					b.double(v, isa.reg(31-i))
					place[v] = isa.reg(31 - i)
					continue
				}
				b.double(v, ymm(14))
				m := frame
				m.Disp += 32 * i
				b.VMOVUPD(ymm(14), m)
				place[v] = m
			}
			x, t, n, p, r, s := isa.reg(0), isa.reg(1), isa.reg(2), isa.reg(3), isa.reg(4), isa.reg(5)
			constant := func(v float64, to reg.VecPhysical) reg.VecPhysical {
				if reg, ok := place[v].(reg.VecPhysical); ok {
					return reg
				}
				b.VMOVUPD(place[v], to)
				return to
			}
			bias := isa.reg(6)
			i := b.GP64()
			b.MOVQ(operand.U32(1023), i)
			b.VMOVQ(i, xmm(15))
			b.VPBROADCASTQ(xmm(15), bias)
			dst, src, left := b.arg("dst"), b.arg("src"), b.arg("n")
			b.Label("loop")
			b.VCVTPS2PD(mem(src, 0), x)
			// exp64(-x): the bounds are symmetric, so -x is clamped; MAXPD and MINPD keep NaN as in bound.
			b.clear(isa, s)
			b.VSUBPD(x, s, s) // 0-x: of 0 the sign is lost, which the exponential does not see
			b.VMAXPD(s, constant(-expRange, r), s)
			b.VMINPD(s, constant(expRange, r), s)
			b.VMULPD(place[1.4426950408889634], s, t)
			b.VADDPD(place[expMagic], t, t)
			b.VSUBPD(place[expMagic], t, n)
			b.VMULPD(place[0.6931471805599453], n, n)
			b.VSUBPD(n, s, r)
			b.VMULPD(place[expSeries[0]], r, p)
			b.VADDPD(place[expSeries[1]], p, p)
			for _, c := range expSeries[2:] {
				b.VMULPD(r, p, p)
				b.VADDPD(place[c], p, p)
			}
			b.VPADDQ(bias, t, t)
			b.VPSLLQ(imm8(52), t, t)
			b.VMULPD(t, p, p)
			one := constant(1, r)
			b.VADDPD(p, one, p)
			b.VDIVPD(p, one, p)
			if swish {
				b.VMULPD(x, p, p)
			}
			b.narrow(isa, p, 0)
			b.VMOVUPS(isa.lowHalf(0), mem(dst, 0))
			b.ADDQ(imm(4*lanes), src)
			b.ADDQ(imm(4*lanes), dst)
			b.SUBQ(imm(lanes), left)
			b.JG(operand.LabelRef("loop"))
			b.VZEROUPPER()
			b.RET()
		}}
}

// clear zeroes a register.
func (b *builder) clear(isa floatISA, r reg.VecPhysical) {
	if isa.lanes == 16 {
		b.VPXORD(r, r, r)
	} else {
		b.VXORPD(r, r, r)
	}
}

// narrow rounds float64 to float32, in the lower half of register i.
func (b *builder) narrow(isa floatISA, from reg.VecPhysical, i int) {
	if isa.lanes == 16 {
		b.VCVTPD2PS(from, ymm(i))
	} else {
		b.VCVTPD2PSY(from, xmm(i))
	}
}

func sumsF32(isa floatISA) asmFunc {
	name := "F32Sums" + isa.camel
	return asmFunc{name: name, sig: sumsF32Sig, doc: sumsF32Doc(name),
		emit: func(b *builder) {
			dst, a, step, n := b.arg("dst"), b.arg("a"), b.arg("step"), b.arg("n")
			x, left := b.GP64(), b.GP64()
			regs := 32 / isa.lanes // of 16 sums
			half := 2 * isa.lanes  // bytes of source for one
			b.Label("block")
			for i := range regs {
				b.clear(isa, isa.reg(i))
			}
			b.MOVQ(a, x)
			b.Load(b.Param("pixels"), left)
			b.Label("pixel")
			for i := range regs {
				b.VCVTPS2PD(mem(x, half*i), isa.reg(8+i))
				b.VADDPD(isa.reg(8+i), isa.reg(i), isa.reg(i))
			}
			b.ADDQ(step, x)
			b.DECQ(left)
			b.JNE(operand.LabelRef("pixel"))
			for i := range regs {
				b.VMOVUPD(isa.reg(i), mem(dst, isa.bytes()*i))
			}
			b.ADDQ(imm(64), a)
			b.ADDQ(imm(128), dst)
			b.SUBQ(imm(16), n)
			b.JG(operand.LabelRef("block"))
			b.VZEROUPPER()
			b.RET()
		}}
}

func dotF32(isa floatISA) asmFunc {
	name := "F32Dot" + isa.camel
	return asmFunc{name: name, sig: dotF32Sig, doc: dotF32Doc(name),
		emit: func(b *builder) {
			p, q, n := b.arg("a"), b.arg("b"), b.arg("n")
			regs := 32 / isa.lanes
			half := 2 * isa.lanes
			for i := range regs {
				b.clear(isa, isa.reg(i))
			}
			b.Label("loop")
			for i := range regs {
				x, y := isa.reg(8+2*(i%2)), isa.reg(9+2*(i%2))
				b.VCVTPS2PD(mem(p, half*i), x)
				b.VCVTPS2PD(mem(q, half*i), y)
				b.VFMADD231PD(x, y, isa.reg(i))
			}
			b.ADDQ(imm(64), p)
			b.ADDQ(imm(64), q)
			b.SUBQ(imm(16), n)
			b.JG(operand.LabelRef("loop"))
			for k := regs / 2; k > 0; k /= 2 {
				for i := range k {
					b.VADDPD(isa.reg(i+k), isa.reg(i), isa.reg(i))
				}
			}
			if isa.lanes == 16 {
				b.VEXTRACTF64X4(imm8(1), zmm(0), ymm(1))
				b.VADDPD(ymm(1), ymm(0), ymm(0))
			}
			b.VEXTRACTF128(imm8(1), ymm(0), xmm(1))
			b.VADDPD(xmm(1), xmm(0), xmm(0))
			b.VUNPCKHPD(xmm(0), xmm(0), xmm(1))
			b.VADDSD(xmm(1), xmm(0), xmm(0))
			sum, err := b.ReturnIndex(0).Resolve()
			if err != nil {
				panic(err)
			}
			b.VMOVSD(xmm(0), sum.Addr)
			b.VZEROUPPER()
			b.RET()
		}}
}

func attendF32(isa floatISA) asmFunc {
	name := "F32Attend" + isa.camel
	return asmFunc{name: name, sig: attendF32Sig, doc: attendF32Doc(name),
		emit: func(b *builder) {
			dst, a, g, w, n, p := b.arg("dst"), b.arg("a"), b.arg("gate"), b.arg("w"), b.arg("n"), b.arg("p")
			b.VBROADCASTSS(mem(p, 0), isa.reg(14))
			b.VBROADCASTSS(mem(p, 4), isa.reg(15))
			b.Label("loop")
			for i := range 16 / isa.lanes {
				v := isa.reg(i)
				b.VMOVUPS(mem(g, isa.bytes()*i), v)
				b.VADDPS(mem(w, isa.bytes()*i), v, v)
				b.VMULPS(isa.reg(15), v, v)
				b.VADDPS(isa.reg(14), v, v)
				b.VMULPS(mem(a, isa.bytes()*i), v, v)
				b.VMOVUPS(v, mem(dst, isa.bytes()*i))
			}
			for _, r := range []reg.Register{dst, a, g, w} {
				b.ADDQ(imm(64), r)
			}
			b.SUBQ(imm(16), n)
			b.JG(operand.LabelRef("loop"))
			b.VZEROUPPER()
			b.RET()
		}}
}
