package quant

import (
	"math"
	"slices"
)

// A rounder quantizes the weights of one output channel after another; it holds the scratch for that.
type rounder struct {
	pairs *pairing // nil: none
	chain *chain
	t     []float64
	q     []int8 // the trial's weights
}

func newRounder(n int, pairs *pairing) *rounder {
	r := &rounder{pairs: pairs, t: make([]float64, n), q: make([]int8, n)}
	if pairs != nil && pairs.longest > 2 {
		r.chain = newChain(pairs.longest)
	}
	return r
}

// nearest rounds half to even, for magnitudes below 2^51, in two additions: the search does little else.
func nearest(t float64) float64 {
	const magic = 3 << 51
	return float64(t+magic) - magic
}

// round quantizes w at scale s into r.q and returns the squared error of the real weights, or some value of at least limit
// as soon as it is known to exceed that.
func (r *rounder) round(w []float64, s, limit float64) float64 {
	inv := 1 / s
	limit *= inv * inv
	sum := 0.0
	if r.pairs == nil {
		for k, v := range w {
			t := v * inv
			q := nearest(t)
			if math.Abs(q) > weightMax {
				q = clip(t)
			}
			r.q[k] = int8(q)
			sum += (q - t) * (q - t)
			if k&15 == 15 && sum > limit {
				break
			}
		}
		return sum * s * s
	}
	k := 0
	for n, run := range r.pairs.runs {
		switch run {
		case 1:
			t := w[k] * inv
			q := clip(t)
			r.q[k] = int8(q)
			sum += (q - t) * (q - t)
		case 2:
			ta, tb := w[k]*inv, w[k+1]*inv
			a, b := nearest(ta), nearest(tb)
			if math.Abs(a)+math.Abs(b) > pairLimit || math.Abs(a) > weightMax || math.Abs(b) > weightMax {
				a, b = roundPair(ta, tb)
			}
			r.q[k], r.q[k+1] = int8(a), int8(b)
			sum += (a-ta)*(a-ta) + (b-tb)*(b-tb)
		default:
			t := r.t[:run]
			for i := range t {
				t[i] = w[k+i] * inv
			}
			sum += r.chain.round(t, r.q[k:k+run])
		}
		k += run
		if n&7 == 7 && sum > limit {
			break
		}
	}
	return sum * s * s
}

// best searches the scale for which the nearest allowed weights have the least squared error, and leaves the weights in q.
// The scale is a float32, as stored. For weights that are all zero it returns scale 0.
//
// The error as a function of the scale is a smooth valley with ripples, the rounding. A geometric grid finds the valley,
// a finer one its floor, and alternating least squares (the best scale for given integers, the nearest integers for that
// scale) the bottom of a ripple. The shorter a channel, the higher its ripples: short ones get a fine grid everywhere, with
// more points the fewer weights there are.
func (r *rounder) best(w []float64, q []int8) (scale float32, sqErr float64) {
	peak := 0.0
	for _, v := range w {
		peak = max(peak, math.Abs(v))
	}
	base := peak / weightMax
	if float32(base) == 0 {
		clear(q)
		return 0, sumSquares(w)
	}
	bestErr, bestScale := math.Inf(1), float32(0)
	try := func(s float64) bool {
		f := float32(s)
		if f == 0 || math.IsInf(float64(f), 0) {
			return false
		}
		e := r.round(w, float64(f), bestErr)
		if e < bestErr {
			bestErr, bestScale = e, f
			copy(q, r.q)
			return true
		}
		return false
	}
	lo, hi := 0.4, 1.0
	if r.pairs != nil || len(w) <= short {
		hi = 2 // here no weight exceeds 64: every pair is safe
	}
	try(base)
	if len(w) <= short {
		points := min(1<<15/len(w), 1024)
		step := math.Pow(lo/hi, 1/float64(points))
		for f, i := hi, 0; i <= points; f, i = f*step, i+1 {
			try(base * f)
		}
	} else {
		const coarse, fine = 1.06, 1.005
		for f := hi; f >= lo; f /= coarse {
			try(base * f)
		}
		centre := float64(bestScale)
		for f := coarse; f >= 1/coarse; f /= fine {
			try(centre * f)
		}
	}
	for range 8 {
		num, den := 0.0, 0.0
		for k, v := range q {
			num += w[k] * float64(v)
			den += float64(v) * float64(v)
		}
		if num <= 0 || den == 0 || !try(num/den) {
			break
		}
	}
	return bestScale, bestErr
}

// short channels are searched for luck: a scale, perhaps a coarse one, that all weights happen to fit.
const short = 256

// at quantizes w at a given scale into q and returns the squared error.
func (r *rounder) at(w []float64, scale float32, q []int8) float64 {
	e := r.round(w, float64(scale), math.Inf(1))
	copy(q, r.q)
	return e
}

func sumSquares(w []float64) float64 {
	s := 0.0
	for _, v := range w {
		s += v * v
	}
	return s
}

// absSum is the sum of the magnitudes of q.
func absSum(q []int8) int64 {
	s := int64(0)
	for _, v := range q {
		s += int64(max(v, -v))
	}
	return s
}

// maxSNR caps signal-to-noise ratios in reports: exact weights have no noise, and JSON no infinity.
const maxSNR = 200

// snr is a signal-to-noise ratio in decibels.
func snr(signal, noise float64) float64 {
	if noise <= 0 || signal <= 0 {
		return maxSNR
	}
	return min(10*math.Log10(signal/noise), maxSNR)
}

func anyNotFinite(w []float32) int {
	return slices.IndexFunc(w, func(v float32) bool { return v-v != 0 })
}
