package kernels

import (
	"fmt"
	"math/rand/v2"

	"github.com/rfga-edge/rfga-edge/asm"
)

// winoSteps are Winograd's transforms in one dimension, in the order that kernels use. Of the products only the filter's by 1/6 and
// 1/24 are rounded, so it does not matter which are fused with a sum.
type winoSteps struct{ input, filter, output func(x []float32) []float32 }

var winoF32Steps = map[int]winoSteps{
	2: {
		func(d []float32) []float32 { return []float32{d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]} },
		func(g []float32) []float32 {
			s := g[0] + g[2]
			return []float32{g[0], (s + g[1]) / 2, (s - g[1]) / 2, g[2]}
		},
		func(m []float32) []float32 { return []float32{m[0] + m[1] + m[2], m[1] - m[2] - m[3]} },
	},
	4: {
		func(d []float32) []float32 {
			outer, inner := d[4]-d[2], d[3]-d[1]
			even, odd := d[4]-float32(4*d[2]), d[3]-float32(4*d[1])
			return []float32{float32(4*(d[0]-d[2])) + outer, even + odd, even - odd,
				outer + float32(2*inner), outer - float32(2*inner), (d[5] - d[3]) - float32(4*inner)}
		},
		func(g []float32) []float32 {
			one, two, twice := g[0]+g[2], g[0]+float32(4*g[2]), float32(2*g[1])
			return []float32{g[0] / 4, float32((one + g[1]) * (-1.0 / 6)), float32((one - g[1]) * (-1.0 / 6)),
				float32((two + twice) * (1.0 / 24)), float32((two - twice) * (1.0 / 24)), g[2]}
		},
		func(m []float32) []float32 {
			p1, q1, p2, q2 := m[1]+m[2], m[1]-m[2], m[3]+m[4], m[3]-m[4]
			return []float32{(m[0] + p1) + p2, q1 + float32(2*q2), p1 + float32(4*p2), (q1 + float32(8*q2)) + m[5]}
		},
	},
}

// winoTwice applies a transform to the columns of an array of size x size, then to the rows of what that left.
func winoTwice(step func([]float32) []float32, size int, get func(i, k int) float32) [][]float32 {
	var first [][]float32 // columns
	for k := range size {
		x := make([]float32, size)
		for i := range x {
			x[i] = get(i, k)
		}
		first = append(first, step(x))
	}
	out := make([][]float32, len(first[0]))
	for i := range out {
		x := make([]float32, size)
		for k := range x {
			x[k] = first[k][i]
		}
		out[i] = step(x)
	}
	return out
}

func selfTestWinogradF32(tell func(kernel string, err error)) {
	r := rand.New(rand.NewPCG(8, 8))
	tmp := aligned[float32](winoTmp / 4)
	for f := range winoF32Forms {
		form := &winoF32Forms[f]
		for i := range form.inputs {
			if w := &form.inputs[i]; w.ISA&^features == 0 {
				tell(w.Name, form.selfTestInput(r, w.Fn, &tmp[0]))
			}
		}
		for i := range form.filters {
			if w := &form.filters[i]; w.ISA&^features == 0 {
				tell(w.Name, form.selfTestFilter(2*w.Rate, func(dst *float32, ldp, k, n int) []float32 {
					g := randF(r, n)
					w.Fn(dst, ldp, &g[0], k, &tmp[0])
					return g
				}))
			}
		}
		for i := range form.halves {
			if w := &form.halves[i]; w.ISA&^features == 0 {
				tell(w.Name, form.selfTestFilter(2*w.Rate, func(dst *float32, ldp, k, n int) []float32 {
					g, h := make([]float32, n), aligned[uint16](n)
					for i := range h {
						h[i] = uint16(r.Uint32N(0x4000))
						g[i] = HalfToFloat(h[i])
					}
					w.Fn(dst, ldp, &h[0], k, &tmp[0])
					return g
				}))
			}
		}
		for i := range form.outputs {
			if w := &form.outputs[i]; w.ISA&^features == 0 {
				tell(w.Name, form.selfTestOutput(r, 2*w.Rate, w.Fn, &tmp[0]))
			}
		}
	}
}

func (form *winoRowsF32) selfTestInput(r *rand.Rand, f winoInputFunc, tmp *float32) error {
	const tiles = 3
	m, size := form.m, form.m+2
	width := m*tiles + 3
	for _, n := range []int{1, 7, 16, 40} {
		src, lda := randF(r, size*width*n), align64(4*n)/4
		ldp := tiles * lda
		dst := make([]float32, size*size*ldp)
		f(&dst[0], 4*ldp, 4*lda, &src[0], 4*width*n, 4*n, tiles, n, tmp)
		for t := range tiles {
			for j := range n {
				want := winoTwice(winoF32Steps[m].input, size, func(i, k int) float32 { return src[(i*width+k+m*t)*n+j] })
				for i, row := range want {
					for k, want := range row {
						if got := dst[(size*i+k)*ldp+t*lda+j]; got != want {
							return fmt.Errorf("tile %d, channel %d of %d, place %d,%d: %g, want %g", t, j, n, i, k, got, want)
						}
					}
				}
			}
		}
	}
	return nil
}

// selfTestFilter has f transform k channels of n/(9*k) random filters, and compares.
func (form *winoRowsF32) selfTestFilter(nr int, f func(dst *float32, ldp, k, n int) []float32) error {
	const channels = 3
	size := form.m + 2
	ldp := channels*nr + 16
	dst := make([]float32, size*size*ldp)
	g := f(&dst[0], 4*ldp, channels, 9*channels*nr)
	for c := range channels {
		for j := range nr {
			want := winoTwice(winoF32Steps[form.m].filter, 3, func(i, l int) float32 { return g[nr*(9*c+3*i+l)+j] })
			for i, row := range want {
				for l, want := range row {
					if got := dst[(size*i+l)*ldp+nr*c+j]; got != want {
						return fmt.Errorf("channel %d, filter %d, place %d,%d: %g, want %g", c, j, i, l, got, want)
					}
				}
			}
		}
	}
	return nil
}

func (form *winoRowsF32) selfTestOutput(r *rand.Rand, nr int, f winoOutputFunc, tmp *float32) error {
	const tiles = 3
	m, size := form.m, form.m+2
	ldp, width := tiles*nr, m*tiles
	src, bias, res := randF(r, size*size*ldp), randF(r, nr), randF(r, m*width*nr)
	p := &asm.ClampF32{Lo: -2, Hi: 3, InnerLo: -1, InnerHi: 4}
	for _, other := range []*float32{nil, &res[0]} {
		dst := make([]float32, m*width*nr)
		f(&dst[0], 4*width*nr, 4*nr, &src[0], 4*ldp, tiles, &bias[0], other, p, tmp)
		for t := range tiles {
			for j := range nr {
				sums := winoTwice(winoF32Steps[m].output, size, func(i, k int) float32 { return src[(size*i+k)*ldp+nr*t+j] })
				for i, row := range sums {
					for k, v := range row {
						place := (i*width+m*t+k)*nr + j
						var x *float32
						if other != nil {
							x = &res[place]
						}
						if want := finish32(v+bias[j], x, p); dst[place] != want {
							return fmt.Errorf("tile %d, channel %d, pixel %d,%d: %g, want %g", t, j, i, k, dst[place], want)
						}
					}
				}
			}
		}
	}
	return nil
}
