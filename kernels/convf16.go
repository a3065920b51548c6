package kernels

import (
	"cmp"
	"math"
	"slices"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Convolutions in half precision, for models whose user asks for it: the walk of convF32 with rows rounded to halves as they
// are gathered, weights read as they are stored, and kernels that sum a pass in halves.

// halfTerms is the length of a pass: its sum is rounded to 11 bits at every term, where float32 takes over from pass to
// pass. Shorter ones are more exact; at 64 terms, passing on adds 64 vector
// instructions to the 1024 of a tile of 8x16.
const halfTerms = 64

// newConvF16 returns nil where nobody asked, the CPU has no arithmetic in half precision, or a weight is too large for it.
func newConvF16(c *ConvF32, available ISA, l2 int) *convF32 {
	if !c.HalfMath {
		return nil
	}
	family := halfFamily(available)
	if family == nil {
		return nil
	}
	g := &convF32{ConvF32: *c, narrow: chooseRow(narrowers, available)}
	if g.Weights16 == nil {
		g.Weights16 = make([]uint16, len(c.Weights))
		for i, w := range c.Weights {
			if g.Weights16[i] = roundToHalf(w); g.Weights16[i]&0x7fff >= halfInf {
				return nil
			}
		}
		g.Weights = nil
	}
	g.why = family[0].ISA.String() + ", sums of 64 terms in half precision"
	g.init(family, l2)
	return g
}

// halfFamily returns the kernels for halves that this CPU has, largest tile first, behind the signature of those for float32.
func halfFamily(available ISA) []*GEMMF32 {
	var family []*GEMMF32
	for i := range gemmsF16 {
		if h := &gemmsF16[i]; h.ISA&^available == 0 {
			fn := h.Fn
			family = append(family, &GEMMF32{h.Name, h.ISA, h.MR, h.NR, h.Rate,
				func(c *float32, ldc int, a *float32, lda int, b *float32, k int, bias, res *float32, ldr int, p *asm.ClampF32) {
					fn(c, ldc, (*uint16)(unsafe.Pointer(a)), lda, (*uint16)(unsafe.Pointer(b)), k, bias, res, ldr, p)
				}})
		}
	}
	slices.SortFunc(family, func(a, b *GEMMF32) int { return cmp.Compare(b.MR, a.MR) })
	return family
}

// gatherHalves writes m rows from r0 on as halves. Each goes through one row of floats, which stays in L1, unless the input
// holds it as it is.
func (g *convF32) gatherHalves(tmp []byte, x []float32, c0, r0, m int) {
	rows, floats := view[uint16](tmp[g.block.offA:]), view[float32](tmp[g.block.offF:])
	n := ceilDiv(g.k, 16) * 16
	for i := range m {
		from := at(floats, 0)
		if g.direct {
			from = at(x, (r0+i)*g.In.C+c0)
		} else {
			g.gather(floats, g.k, x, c0, r0+i, 1)
		}
		g.narrow.Fn(at(rows, i*g.block.lda/2), from, n)
	}
}

// halfInf is infinity; what is above it is NaN.
const halfInf = 0x7c00

// narrowPortable rounds as IEEE 754 has it.
func narrowPortable(dst *uint16, src *float32, n int) {
	to := row(dst, 0, n)
	for i, v := range row(src, 0, n) {
		to[i] = roundToHalf(v)
	}
}

// roundToHalf rounds to the nearest half, ties to even; from 65520 on that is infinite. NaN stays NaN.
func roundToHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign, mag := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case mag > 0x7f800000:
		return sign | 0x7e00
	case mag >= 0x477ff000:
		return sign | halfInf
	case mag < 0x38800000: // below 2^-14 halves are multiples of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(mag))*0x1p24))
	}
	mag += 0xfff + mag>>13&1 // half of what is cut off, less for an even result
	return sign | uint16((mag-0x38000000)>>13)
}

// fmaHalf is x*y+z with one rounding, to a half. The product is exact in float64; rounding the sum to odd there and in
// float32 leaves the last rounding right.
func fmaHalf(x, y, z uint16) uint16 {
	s := sumToOdd(float64(HalfToFloat(x))*float64(HalfToFloat(y)), float64(HalfToFloat(z)))
	const cut = 1<<29 - 1 // what float64 has more of a significand
	if bits := math.Float64bits(s); bits&cut != 0 && !math.IsNaN(s) {
		s = math.Float64frombits(bits&^cut | 1<<29)
	}
	return roundToHalf(float32(s))
}
