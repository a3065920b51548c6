package frame

import "math"

// The antialiased bilinear filter of Pillow's Image.resize on 8-bit images, to the bit: a triangle as wide as two source
// pixels, or two destination pixels where that is more, normalised in float64 and rounded to 22 fractional bits; first along
// the rows, rounded to bytes, then along the columns.

const fraction = 22

// taps holds the coefficients of one direction for a range of destination positions.
type taps struct {
	src, full, lo, n int
	size             int     // coefficients kept for a position
	first, count     []int32 // the source positions that a destination position needs
	coef             []int32
	weights          []float64
}

// prepare computes the coefficients for positions lo..lo+n-1 of a resize from src to full positions, unless they are there.
func (t *taps) prepare(src, full, lo, n int) {
	if t.src == src && t.full == full && t.lo == lo && t.n == n {
		return
	}
	t.src, t.full, t.lo, t.n = src, full, lo, n
	scale := float64(src) / float64(full)
	reach := max(scale, 1)
	t.size = 2*int(math.Ceil(reach)) + 1
	t.first, t.count = grow(t.first, n), grow(t.count, n)
	t.coef, t.weights = grow(t.coef, n*t.size), grow(t.weights, t.size)
	inverse := 1 / reach
	for i := range n {
		from, w, sum := t.triangle(i, scale, reach, inverse)
		coef := t.coef[i*t.size:]
		for k, v := range w {
			if sum != 0 {
				v /= sum
			}
			coef[k] = int32(0.5 + float64(v*(1<<fraction)))
		}
		t.first[i], t.count[i] = int32(from), int32(len(w))
	}
}

// triangle gives the filter of a position before it is normalised: where it begins, its weights and their sum.
func (t *taps) triangle(i int, scale, reach, inverse float64) (from int, w []float64, sum float64) {
	center := float64((float64(t.lo+i) + 0.5) * scale)
	from = max(int(center-reach+0.5), 0)
	to := min(int(center+reach+0.5), t.src)
	w = t.weights[:to-from]
	for k := range w {
		d := math.Abs(float64((float64(k+from) - center + 0.5) * inverse))
		w[k] = max(1-d, 0)
		sum += w[k]
	}
	return from, w, sum
}

// weightsAt is triangle for the fused way, until the next call.
func (t *taps) weightsAt(i int) (from int, w []float64) {
	scale := float64(t.src) / float64(t.full)
	reach := max(scale, 1)
	from, w, sum := t.triangle(i, scale, reach, 1/reach)
	if sum == 0 { // no room for a triangle
		w[0] = 1
	}
	return from, w
}

func (t *taps) at(i int) (first int, coef []int32) {
	return int(t.first[i]), t.coef[i*t.size:][:t.count[i]]
}

// row resizes a row of three interleaved channels.
func (t *taps) row(dst, src []byte) {
	for i := range t.n {
		first, coef := t.at(i)
		r, g, b := int32(1)<<(fraction-1), int32(1)<<(fraction-1), int32(1)<<(fraction-1)
		s := src[3*first:][:3*len(coef)]
		for _, k := range coef {
			r += k * int32(s[0])
			g += k * int32(s[1])
			b += k * int32(s[2])
			s = s[3:]
		}
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0], d[1], d[2] = unfix(r), unfix(g), unfix(b)
	}
}

// unfix drops the fraction. Coefficients are positive and their sum is 1 to within rounding: only the upper end can be passed.
func unfix(v int32) byte { return byte(min(v>>fraction, 255)) }

// column adds up rows of bytes for destination row i; rows are n bytes long and start at source row base.
func (t *taps) column(dst []byte, i int, rows []byte, base int, acc []int32) {
	first, coef := t.at(i)
	n := len(dst)
	acc = acc[:n]
	for x := range acc {
		acc[x] = 1 << (fraction - 1)
	}
	for k, c := range coef {
		row := rows[(first-base+k)*n:][:n]
		for x, v := range row {
			acc[x] += c * int32(v)
		}
	}
	for x, v := range acc {
		dst[x] = unfix(v)
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
