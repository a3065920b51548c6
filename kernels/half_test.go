package kernels

import (
	"math"
	"testing"
)

// TestFloatToHalf compares with rounding by division into steps, which is how the format is defined.
func TestFloatToHalf(t *testing.T) {
	step := func(x float64) float64 { // distance of halves around x
		_, e := math.Frexp(x)
		return math.Ldexp(1, max(e-11, -24))
	}
	value := func(h uint16) float64 {
		frac, exp := float64(h&1023), int(h>>10&31)
		v := math.Ldexp(1+frac/1024, exp-15)
		if exp == 0 {
			v = math.Ldexp(frac, -24)
		}
		if h>>15 == 1 {
			v = -v
		}
		return v
	}
	check := func(f float32) {
		x := float64(f)
		s := step(math.Abs(x))
		want := math.RoundToEven(x/s) * s
		want = min(max(want, -65504), 65504)
		if got := value(FloatToHalf(f)); got != want {
			t.Errorf("%g becomes %g, want %g", x, got, want)
		}
	}
	for h := range uint16(0x7c00) { // every finite half, and the neighbourhood of the points halfway to the next
		v := float32(value(h))
		mid := float32((value(h) + value(h+1)) / 2)
		if h == 0x7bff {
			mid = 65520
		}
		for _, f := range []float32{v, mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, math.MaxFloat32)} {
			check(f)
			check(-f)
		}
	}
	check(math.MaxFloat32)
	check(math.SmallestNonzeroFloat32)
}
