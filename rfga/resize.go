package rfga

import (
	"fmt"
	"math"
)

// ResizeCubic resizes src, sh rows of sw values, into dst, dh rows of dw, with the cubic interpolation of the field's
// evaluation protocol: float64 data, float32 coefficients with A = -0.75, pixel centres, replicated edges, horizontal pass
// first. The result has the bits of OpenCV's resize(INTER_CUBIC) on float64 arrays.
//
// It allocates; a Mapper does the same with kept memory. It panics if a size is below 1 or a slice is too short.
func ResizeCubic(dst []float64, dw, dh int, src []float64, sw, sh int) {
	new(Mapper).Resize(dst, dw, dh, src, sw, sh)
}

// Resize is ResizeCubic with the Mapper's memory.
func (m *Mapper) Resize(dst []float64, dw, dh int, src []float64, sw, sh int) {
	if dw < 1 || dh < 1 || sw < 1 || sh < 1 || len(dst) < dw*dh || len(src) < sw*sh {
		panic(fmt.Sprintf("rfga: resize of %dx%d (%d values) to %dx%d (%d values)", sw, sh, len(src), dw, dh, len(dst)))
	}
	if sw == dw && sh == dh {
		copy(dst[:dw*dh], src)
		return
	}
	m.horizontal.prepare(sw, dw)
	m.vertical.prepare(sh, dh)
	m.rows = grow(m.rows, sh*dw)
	for y := range sh {
		m.horizontal.row(m.rows[y*dw:(y+1)*dw], src[y*sw:(y+1)*sw])
	}
	for y := range dh {
		first, c := m.vertical.at(y)
		var r [4][]float64
		for k := range r {
			p := min(max(first+k, 0), sh-1)
			r[k] = m.rows[p*dw : (p+1)*dw]
		}
		out := dst[y*dw : (y+1)*dw]
		for x := range out {
			out[x] = dot4(r[0][x], r[1][x], r[2][x], r[3][x], c)
		}
	}
}

// axis holds the coefficients of one direction of a cubic resize: four for every destination position.
type axis struct {
	src, dst int
	first    []int32 // source index of the first tap, may lie outside
	coef     [][4]float64
}

// prepare computes the coefficients unless they are already there.
func (a *axis) prepare(src, dst int) {
	if a.src == src && a.dst == dst {
		return
	}
	a.src, a.dst = src, dst
	a.first, a.coef = grow(a.first, dst), grow(a.coef, dst)
	// The reciprocal of the inverse scale, as the definition computes it: not the same bits as src/dst.
	scale := 1 / (float64(dst) / float64(src))
	for d := range dst {
		f := float32(float64((float64(d)+0.5)*scale) - 0.5)
		s := math.Floor(float64(f))
		a.first[d] = int32(s) - 1
		c := cubic(f - float32(s))
		for k := range c {
			a.coef[d][k] = float64(c[k])
		}
	}
}

// cubic returns the weights of the four neighbours of a position x behind the second. Every product is rounded on its own:
// the conversions keep compilers from fusing it with the addition that follows.
func cubic(x float32) [4]float32 {
	const A = -0.75
	outer := func(x float32) float32 { // A*x^3 - 5A*x^2 + 8A*x - 4A for 1 <= x <= 2
		v := float32(A*x) - 5*A
		v = float32(v*x) + 8*A
		return float32(v*x) - 4*A
	}
	inner := func(x float32) float32 { // (A+2)*x^3 - (A+3)*x^2 + 1 for 0 <= x <= 1
		v := float32((A+2)*x) - (A + 3)
		return float32(float32(v*x)*x) + 1
	}
	c := [4]float32{outer(x + 1), inner(x), inner(1 - x)}
	c[3] = 1 - c[0] - c[1] - c[2]
	return c
}

func (a *axis) at(d int) (first int, c *[4]float64) { return int(a.first[d]), &a.coef[d] }

func (a *axis) row(dst, src []float64) {
	last := len(src) - 1
	for d := range dst {
		s, c := a.at(d)
		if s >= 0 && s+3 <= last {
			t := src[s : s+4 : s+4]
			dst[d] = dot4(t[0], t[1], t[2], t[3], c)
			continue
		}
		dst[d] = dot4(src[min(max(s, 0), last)], src[min(max(s+1, 0), last)], src[min(max(s+2, 0), last)],
			src[min(max(s+3, 0), last)], c)
	}
}

// dot4 sums left to right, without fusing.
func dot4(v0, v1, v2, v3 float64, c *[4]float64) float64 {
	return float64(v0*c[0]) + float64(v1*c[1]) + float64(v2*c[2]) + float64(v3*c[3])
}

// grow returns a slice of length n, s itself when it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
