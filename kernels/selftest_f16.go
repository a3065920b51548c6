package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/rfga-edge/rfga-edge/asm"
)

// sumHalves is what a GEMMF16 does for an element before it is finished.
func sumHalves(base float32, a, b []uint16, step int) float32 {
	h := uint16(0)
	for t, x := range a {
		h = fmaHalf(x, b[step*t], h)
	}
	return HalfToFloat(h) + base
}

// randHalves returns n halves on both sides of zero, some of them denormal, with slack.
func randHalves(r *rand.Rand, n int) []uint16 {
	v := aligned[uint16](n)
	for i := range v {
		v[i] = uint16(r.Uint32N(0x4400)) | uint16(r.Uint32N(2))<<15
	}
	return v
}

func selfTestGEMMF32F16(g *GEMMF32F16) error {
	r, add := rand.New(rand.NewPCG(7, uint64(g.MR))), mulAdd(g.ISA)
	p := &asm.ClampF32{Lo: -2, Hi: 3, InnerLo: -1, InnerHi: 4}
	for _, k := range []int{1, 2, 3, 4, 5, 31, 200} {
		a, b, c, wide := randF(r, g.MR*k), randHalves(r, k*g.NR), make([]float32, g.MR*g.NR), make([]float32, k*g.NR)
		bias, res := randF(r, g.NR), randF(r, g.MR*g.NR)
		// Twice: the second call goes on from the first's sums, and keeps what it expands.
		g.Fn(&c[0], 4*g.NR, &a[0], 4*k, &b[0], k, &bias[0], nil, 0, nil, nil)
		g.Fn(&c[0], 4*g.NR, &a[0], 4*k, &b[0], k, nil, &res[0], 4*g.NR, p, &wide[0])
		for i, h := range b[:k*g.NR] {
			if wide[i] != HalfToFloat(h) {
				return fmt.Errorf("depth %d: half %#04x is kept as %g", k, h, wide[i])
			}
		}
		for i := range g.MR {
			for j := range g.NR {
				v := bias[j]
				for t := range 2 * k {
					v = add(a[i*k+t%k], wide[t%k*g.NR+j], v)
				}
				if v = finish32(v, &res[i*g.NR+j], p); c[i*g.NR+j] != v {
					return fmt.Errorf("depth %d, row %d, column %d: %g, want %g", k, i, j, c[i*g.NR+j], v)
				}
			}
		}
	}
	return nil
}

func selfTestGEMMF16(g *GEMMF16) error {
	r := rand.New(rand.NewPCG(6, uint64(g.MR)))
	p := &asm.ClampF32{Lo: -2, Hi: 3, InnerLo: -1, InnerHi: 4}
	for _, k := range []int{1, 2, 7, 8, 9, 15, 16, 17, 64} {
		a, b, c := randHalves(r, g.MR*k), randHalves(r, k*g.NR), make([]float32, g.MR*g.NR)
		bias, res := randF(r, g.NR), randF(r, g.MR*g.NR)
		// Twice: the second call goes on from the first's sums.
		g.Fn(&c[0], 4*g.NR, &a[0], 2*k, &b[0], k, &bias[0], nil, 0, nil)
		g.Fn(&c[0], 4*g.NR, &a[0], 2*k, &b[0], k, nil, &res[0], 4*g.NR, p)
		for i := range g.MR {
			for j := range g.NR {
				v := sumHalves(bias[j], a[i*k:][:k], b[j:], g.NR)
				v = finish32(sumHalves(v, a[i*k:][:k], b[j:], g.NR), &res[i*g.NR+j], p)
				if got := c[i*g.NR+j]; got != v {
					return fmt.Errorf("depth %d, row %d, column %d: %g, want %g", k, i, j, got, v)
				}
			}
		}
	}
	return nil
}

// selfTestNarrower takes every half, its neighbours in float32, and what lies in the middle between two halves, where ties go
// to even.
func selfTestNarrower(k *Row[narrowFunc]) error {
	var src []float32
	for h := range 1 << 16 {
		v := HalfToFloat(uint16(h))
		tie := math.Float32frombits(math.Float32bits(v) + 1<<12)
		src = append(src, v, math.Nextafter32(v, 1e9), tie, math.Nextafter32(tie, 0), math.Nextafter32(tie, 1e9), v*1.0003+1e-8)
	}
	got, want := make([]uint16, len(src)), make([]uint16, len(src))
	k.Fn(&got[0], &src[0], len(src))
	narrowPortable(&want[0], &src[0], len(src))
	for i, h := range want {
		if nan := src[i] != src[i]; nan && got[i]&0x7fff > 0x7c00 {
			continue
		}
		if got[i] != h {
			return fmt.Errorf("%g: half %#04x, want %#04x", src[i], got[i], h)
		}
	}
	return nil
}
