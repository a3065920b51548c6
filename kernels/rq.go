package kernels

import "math"

// The last step of every quantized operator. The products are written float32(x*y): a bare x*y that meets an addition may
// be fused on arm64, riscv64, ppc64, s390x and amd64 v3, and a fused result has other bits.

// magic is 1.5*2^23. Adding it to |f| < 2^22 leaves f rounded half to even in the low bits of the sum.
const (
	magic     = 0x1.8p23
	magicBits = 0x4B400000
)

// rne rounds |f| < 2^22 to an integer, half to even.
func rne(f float32) int32 { return int32(math.Float32bits(f+magic)) - magicBits }

// requantize returns zero + rne(clamp(float32(acc)*m, lo-zero, hi-zero)), the contract's formula.
func requantize(acc int32, m float32, zero, lo, hi int32) int32 {
	f := float32(float32(acc) * m)
	f = min(max(f, float32(lo-zero)), float32(hi-zero))
	return zero + rne(f)
}

// A rounder does the same in loops: it holds the bounds as floats, and what turns the rounded bits into a stored byte.
type rounder struct {
	lo, hi float32
	off    int32
}

func newRounder(zero, lo, hi int32) rounder {
	return rounder{float32(lo - zero), float32(hi - zero), zero + 128 - magicBits}
}

// store returns the stored byte of the real value f in units of the output's scale. f must not be a bare product.
func (r rounder) store(f float32) byte {
	f = min(max(f, r.lo), r.hi)
	return byte(int32(math.Float32bits(f+magic)) + r.off)
}
