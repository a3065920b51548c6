package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/rfga-edge/rfga-edge/asm"
)

// selfTestFloatRows compares the float rows with portable Go, bit by bit; a dot product, whose order is its own, closely.
func selfTestFloatRows(tell func(kernel string, err error)) {
	testRows(tell, sigmoids, func(f, portable mapFunc) error { return selfTestMap(f, portable) })
	testRows(tell, swishes, func(f, portable mapFunc) error { return selfTestMap(f, portable) })
	r := rand.New(rand.NewPCG(6, 6))
	testRows(tell, summersF32, func(f, portable sumsF32Func) error {
		for _, n := range []int{16, 48} {
			a := randF(r, 11*n)
			got, want := make([]float64, n), make([]float64, n)
			f(&got[0], &a[0], 4*n, 11, n)
			portable(&want[0], &a[0], 4*n, 11, n)
			for i, v := range want {
				if got[i] != v {
					return fmt.Errorf("sum %d of %d: %g, want %g", i, n, got[i], v)
				}
			}
		}
		return nil
	})
	testRows(tell, dots, func(f, portable dotFunc) error {
		for _, n := range []int{16, 32, 80, 1024} {
			a, b := randF(r, n), randF(r, n)
			if got, want := f(&a[0], &b[0], n), portable(&a[0], &b[0], n); math.Abs(got-want) > 1e-10 {
				return fmt.Errorf("product of %d: %g, want %g", n, got, want)
			}
		}
		return nil
	})
	testRows(tell, attendersF32, func(f, portable attendF32Func) error {
		for _, n := range []int{16, 80} {
			a, g, w, p := randF(r, n), randF(r, n), randF(r, n), []float32{1.25, -0.3}
			got, want := make([]float32, n), make([]float32, n)
			f(&got[0], &a[0], &g[0], &w[0], n, &p[0])
			portable(&want[0], &a[0], &g[0], &w[0], n, &p[0])
			if err := sameFloats(got, want); err != nil {
				return err
			}
		}
		return nil
	})
}

// testRows calls f with every runnable row and the portable one.
func testRows[F any](tell func(kernel string, err error), rows []Row[F], f func(row, portable F) error) {
	for i := range rows {
		if r := &rows[i]; r.ISA&^features == 0 {
			tell(r.Name, f(r.Fn, rows[0].Fn))
		}
	}
}

func selfTestMap(f, portable mapFunc) error {
	r := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{8, 16, 4096} {
		x, got, want := aligned[float32](n), make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = math.Float32frombits(r.Uint32())
			if i%3 > 0 {
				x[i] = float32(r.NormFloat64() * 8)
			}
		}
		f(&got[0], &x[0], n)
		portable(&want[0], &x[0], n)
		for i, v := range want {
			if got[i] != v && (v == v || got[i] == got[i]) {
				return fmt.Errorf("of %g: %g, want %g", x[i], got[i], v)
			}
		}
	}
	return nil
}

// Winograd's transforms in one dimension, in the order that kernels use.
func winoInput1(d [4]float32) [4]float32 {
	return [4]float32{d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]}
}

func winoFilter1(g [3]float32) [4]float32 {
	s := g[0] + g[2]
	return [4]float32{g[0], (s + g[1]) / 2, (s - g[1]) / 2, g[2]}
}

func winoOutput1(m [4]float32) [2]float32 {
	return [2]float32{m[0] + m[1] + m[2], m[1] - m[2] - m[3]}
}

func array4(get func(i int) float32) [4]float32 { return [4]float32{get(0), get(1), get(2), get(3)} }
func array3(get func(i int) float32) [3]float32 { return [3]float32{get(0), get(1), get(2)} }

func selfTestWinogradF32(tell func(kernel string, err error)) {
	r := rand.New(rand.NewPCG(8, 8))
	for i := range winoInputsF32 {
		if w := &winoInputsF32[i]; w.ISA&^features == 0 {
			tell(w.Name, selfTestWinoInputF32(r, w.Fn))
		}
	}
	for i := range winoFiltersF32 {
		if w := &winoFiltersF32[i]; w.ISA&^features == 0 {
			tell(w.Name, selfTestWinoFilterF32(2*w.Rate, func(dst *float32, ldp, k, n int) []float32 {
				g := randF(r, n)
				w.Fn(dst, ldp, &g[0], k)
				return g
			}))
		}
	}
	for i := range winoHalves {
		if w := &winoHalves[i]; w.ISA&^features == 0 {
			tell(w.Name, selfTestWinoFilterF32(2*w.Rate, func(dst *float32, ldp, k, n int) []float32 {
				g, h := make([]float32, n), aligned[uint16](n)
				for i := range h {
					h[i] = uint16(r.Uint32N(0x4000))
					g[i] = HalfToFloat(h[i])
				}
				w.Fn(dst, ldp, &h[0], k)
				return g
			}))
		}
	}
	for i := range winoOutputsF32 {
		if w := &winoOutputsF32[i]; w.ISA&^features == 0 {
			tell(w.Name, selfTestWinoOutputF32(r, 2*w.Rate, w.Fn))
		}
	}
}

func selfTestWinoInputF32(r *rand.Rand, f winoInputFunc) error {
	const tiles, width = 3, 9
	for _, n := range []int{1, 7, 16, 40} {
		src, lda := randF(r, 4*width*n), align64(4*n)/4
		ldp := tiles * lda
		dst := make([]float32, winoPlaces*ldp)
		f(&dst[0], 4*ldp, 4*lda, &src[0], 4*width*n, 4*n, tiles, n)
		for t := range tiles {
			for j := range n {
				var first [4][4]float32
				for k := range 4 {
					first[k] = winoInput1(array4(func(i int) float32 { return src[(i*width+k+2*t)*n+j] }))
				}
				for i := range 4 {
					want := winoInput1(array4(func(k int) float32 { return first[k][i] }))
					for k := range 4 {
						if got := dst[(4*i+k)*ldp+t*lda+j]; got != want[k] {
							return fmt.Errorf("tile %d, channel %d of %d, place %d,%d: %g, want %g", t, j, n, i, k, got, want[k])
						}
					}
				}
			}
		}
	}
	return nil
}

// selfTestWinoFilterF32 has f transform k channels of n/(9*k) random filters, and compares.
func selfTestWinoFilterF32(nr int, f func(dst *float32, ldp, k, n int) []float32) error {
	const channels = 3
	ldp := channels*nr + 16
	dst := make([]float32, winoPlaces*ldp)
	g := f(&dst[0], 4*ldp, channels, 9*channels*nr)
	for c := range channels {
		for j := range nr {
			first := [3][4]float32{}
			for l := range 3 {
				first[l] = winoFilter1(array3(func(i int) float32 { return g[nr*(9*c+3*i+l)+j] }))
			}
			for i := range 4 {
				want := winoFilter1(array3(func(l int) float32 { return first[l][i] }))
				for l := range 4 {
					if got := dst[(4*i+l)*ldp+nr*c+j]; got != want[l] {
						return fmt.Errorf("channel %d, filter %d, place %d,%d: %g, want %g", c, j, i, l, got, want[l])
					}
				}
			}
		}
	}
	return nil
}

func selfTestWinoOutputF32(r *rand.Rand, nr int, f winoOutputFunc) error {
	const tiles = 3
	ldp, width := tiles*nr, 2*tiles
	src, bias, res := randF(r, winoPlaces*ldp), randF(r, nr), randF(r, 2*width*nr)
	p := &asm.ClampF32{Lo: -2, Hi: 3, InnerLo: -1, InnerHi: 4}
	for _, other := range []*float32{nil, &res[0]} {
		dst := make([]float32, 2*width*nr)
		f(&dst[0], 4*width*nr, 4*nr, &src[0], 4*ldp, tiles, &bias[0], other, p)
		for t := range tiles {
			for j := range nr {
				var first [4][2]float32
				for k := range 4 {
					first[k] = winoOutput1(array4(func(i int) float32 { return src[(4*i+k)*ldp+nr*t+j] }))
				}
				for i := range 2 {
					y := winoOutput1(array4(func(k int) float32 { return first[k][i] }))
					for k := range 2 {
						place := (i*width+2*t+k)*nr + j
						var x *float32
						if other != nil {
							x = &res[place]
						}
						if want := finish32(y[k]+bias[j], x, p); dst[place] != want {
							return fmt.Errorf("tile %d, channel %d, pixel %d,%d: %g, want %g", t, j, i, k, dst[place], want)
						}
					}
				}
			}
		}
	}
	return nil
}
