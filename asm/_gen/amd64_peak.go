package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Peaks are what a core can multiply: the instructions of a matrix product's inner loop, on registers only, into as many sums
// as hide their latency. Their registers: sums from 0 on, and then
type peakRegs struct{ x, y, ones, t reg.VecPhysical }

// peakFile names its file after the first of its functions.
func peakFile(name string, funcs ...asmFunc) asmFile { return asmFile{name: name, funcs: funcs} }

func peakAVX512VNNI() asmFile {
	return peakFile("u8s8_peak_avx512vnni",
		peakZ("U8S8PeakAVX512VNNI", "VPDPBUSD", 64, func(b *builder, r peakRegs, sum reg.VecPhysical) { b.vpdpbusd(r.x, r.y, sum) }),
		peakZ("S16S16PeakAVX512VNNI", "VPDPWSSD", 32, func(b *builder, r peakRegs, sum reg.VecPhysical) { b.vpdpwssd(r.x, r.y, sum) }))
}

func peakAVX512() asmFile {
	return peakFile("f32_peak_avx512",
		peakZ("F32PeakAVX512", "VFMADD231PS", 16, func(b *builder, r peakRegs, sum reg.VecPhysical) { b.VFMADD231PS(r.x, r.y, sum) }))
}

func peakAVXVNNI() asmFile {
	return peakFile("u8s8_peak_avxvnni",
		peakY("U8S8PeakAVXVNNI", "VPDPBUSD", 32, func(b *builder, r peakRegs, sum reg.VecPhysical) {
			b.vex = true
			b.vpdpbusd(r.x, r.y, sum)
		}))
}

func peakAVX2() asmFile {
	return peakFile("u8s8_peak_avx2",
		peakY("U8S8PeakAVX2", "VPMADDUBSW, VPMADDWD and VPADDD", 32, func(b *builder, r peakRegs, sum reg.VecPhysical) {
			b.VPMADDUBSW(r.x, r.y, r.t)
			b.VPMADDWD(r.ones, r.t, r.t)
			b.VPADDD(r.t, sum, sum)
		}),
		peakY("S16S16PeakAVX2", "VPMADDWD and VPADDD", 16, func(b *builder, r peakRegs, sum reg.VecPhysical) {
			b.VPMADDWD(r.x, r.y, r.t)
			b.VPADDD(r.t, sum, sum)
		}))
}

func peakFMA() asmFile {
	return peakFile("f32_peak_fma",
		peakY("F32PeakFMA", "VFMADD231PS", 8, func(b *builder, r peakRegs, sum reg.VecPhysical) { b.VFMADD231PS(r.x, r.y, sum) }))
}

func peakSSE() asmFile {
	return peakFile("u8s8_peak_sse41",
		peakX("U8S8PeakSSE41", "PMADDUBSW, PMADDWD and PADDD", 16, func(b *builder, r peakRegs, sum reg.VecPhysical) {
			b.MOVO(r.y, r.t)
			b.PMADDUBSW(r.x, r.t)
			b.PMADDWL(r.ones, r.t)
			b.PADDL(r.t, sum)
		}),
		peakX("S16S16PeakSSE41", "PMADDWD and PADDD", 8, func(b *builder, r peakRegs, sum reg.VecPhysical) {
			b.MOVO(r.y, r.t)
			b.PMADDWL(r.x, r.t)
			b.PADDL(r.t, sum)
		}))
}

type multiplyFunc = func(b *builder, r peakRegs, sum reg.VecPhysical)

func peakZ(name, what string, lanes int, multiply multiplyFunc) asmFunc {
	return peak(name, what, zmms, 24, lanes, func(b *builder, r reg.VecPhysical) { b.VPXORD(r, r, r) }, (*builder).VZEROUPPER, multiply)
}

func peakY(name, what string, lanes int, multiply multiplyFunc) asmFunc {
	return peak(name, what, ymms, 12, lanes, func(b *builder, r reg.VecPhysical) { b.VPXOR(r, r, r) }, (*builder).VZEROUPPER, multiply)
}

func peakX(name, what string, lanes int, multiply multiplyFunc) asmFunc {
	return peak(name, what, xmms, 12, lanes, func(b *builder, r reg.VecPhysical) { b.PXOR(r, r) }, func(*builder) {}, multiply)
}

// peak repeats a multiplication over a number of sums. All registers are zero: the time does not depend on it.
func peak(name, what string, regs []reg.VecPhysical, sums, lanes int, zero func(*builder, reg.VecPhysical), end func(*builder), multiply multiplyFunc) asmFunc {
	return asmFunc{
		name: name,
		sig:  "n int",
		doc:  []string{fmt.Sprintf("%s does n*%d multiplications and additions by %s on registers; n is positive, and there is no result.", name, sums*lanes, what)},
		emit: func(b *builder) {
			n := b.arg("n")
			for _, r := range regs {
				zero(b, r)
			}
			last := regs[len(regs)-4:]
			b.Label("loop")
			for _, sum := range regs[:sums] {
				multiply(b, peakRegs{last[3], last[2], last[1], last[0]}, sum)
			}
			b.DECQ(n)
			b.JNZ(operand.LabelRef("loop"))
			end(b)
			b.RET()
		},
	}
}
