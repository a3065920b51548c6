package quant

import "math"

// bins is the number of histogram bins on either side of zero. The largest magnitude always lies in the outer half, so a
// range is resolved to better than one part in bins/2.
const bins = 2048

// averageWeight is the least weight of an image in the moving averages: they are plain means of the first hundred.
const averageWeight = 0.01

// An observer gathers the distribution of one activation in memory that does not depend on how much it has seen.
//
// Its bins are [k*width, (k+1)*width) with k from -bins to bins-1 and a width that is a power of two. When a value
// falls outside, the width doubles and neighbouring bins merge, which is exact. The width at the end depends only on
// the largest magnitude seen, so the order of images does not matter but to the moving averages.
type observer struct {
	min, max float32
	count    uint64
	// meanLo and meanHi are moving averages of the images' least and greatest values.
	meanLo, meanHi float64
	images         int
	exp            int      // width is 2^exp; valid once hist is set
	hist           []uint64 // 2*bins, nil until a value other than zero is seen
	zeros          uint64   // zeros seen before hist was set
	// sums are per channel, for the mean; its length is the number of channels, nil if the mean is not wanted.
	sums []float64
	// peaks and squares are each channel's largest magnitude and sum of squares; kept where sums are and both are wanted.
	peaks   []float32
	squares []float64
}

// perChannel makes the observer keep what equalization needs.
func (o *observer) perChannel() {
	o.peaks, o.squares = make([]float32, len(o.sums)), make([]float64, len(o.sums))
}

// powers returns the mean square of each channel.
func (o *observer) powers() []float64 {
	out := make([]float64, len(o.squares))
	for c, s := range o.squares {
		out[c] = s * float64(len(o.squares)) / float64(o.count)
	}
	return out
}

// add observes values; it returns false, and may have taken none of them, if one is not finite.
func (o *observer) add(data []float32) bool {
	if len(data) == 0 {
		return true
	}
	lo, hi := data[0], data[0]
	finite := true
	for _, v := range data {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
		finite = finite && v-v == 0
	}
	if !finite {
		return false
	}
	if o.count == 0 {
		o.min, o.max = lo, hi
	}
	o.min, o.max = min(o.min, lo), max(o.max, hi)
	o.count += uint64(len(data))
	o.images++
	weight := max(1/float64(o.images), averageWeight)
	o.meanLo += weight * (float64(lo) - o.meanLo)
	o.meanHi += weight * (float64(hi) - o.meanHi)
	if n := len(o.sums); n > 0 {
		for k := 0; k+n <= len(data); k += n {
			for c, v := range data[k : k+n] {
				o.sums[c] += float64(v)
			}
			if o.peaks == nil {
				continue
			}
			for c, v := range data[k : k+n] {
				o.peaks[c] = max(o.peaks[c], v, -v)
				o.squares[c] += float64(v) * float64(v)
			}
		}
	}
	if !o.fit(max(-lo, hi)) {
		o.zeros += uint64(len(data))
		return true
	}
	inv := float32(math.Ldexp(1, -o.exp))
	for _, v := range data {
		// v*inv is exact, or underflows and keeps its sign in v; truncation and the tests are floor.
		f := v * inv
		k := int(f)
		if f < float32(k) || f == 0 && v < 0 {
			k--
		}
		o.hist[k+bins]++
	}
	return true
}

// fit makes the bins reach magnitude m; false means that there are none yet because nothing but zero was seen.
func (o *observer) fit(m float32) bool {
	if m <= 0 && o.hist == nil {
		return false
	}
	if m > 0 {
		_, e := math.Frexp(float64(m)) // m < 2^e
		// The limit keeps 1/width a finite float32.
		exp := max(e-11, -126)
		if o.hist == nil {
			o.exp, o.hist = exp, make([]uint64, 2*bins)
			o.hist[bins], o.zeros = o.zeros, 0
		}
		for o.exp < exp {
			o.double()
		}
	}
	return true
}

func (o *observer) double() {
	merged := make([]uint64, 2*bins)
	for k := -bins; k < bins; k++ {
		merged[(k>>1)+bins] += o.hist[k+bins]
	}
	o.hist = merged
	o.exp++
}

// quantile returns a value with about the share p (0..1) of the observations below it.
func (o *observer) quantile(p float64) float64 {
	if o.hist == nil {
		return 0
	}
	want := p * float64(o.count)
	below := 0.0
	for k, n := range o.hist {
		c := float64(n)
		if below+c >= want && n > 0 {
			v := math.Ldexp(float64(k-bins)+(want-below)/c, o.exp)
			return min(max(v, float64(o.min)), float64(o.max))
		}
		below += c
	}
	return float64(o.max)
}

// outside returns the share of the observations below lo or above hi, to the resolution of the histogram.
func (o *observer) outside(lo, hi float64) float64 {
	if o.hist == nil || o.count == 0 {
		return 0
	}
	n := 0.0
	for k, c := range o.hist {
		if c == 0 {
			continue
		}
		a := max(math.Ldexp(float64(k-bins), o.exp), float64(o.min))
		b := min(math.Ldexp(float64(k-bins+1), o.exp), float64(o.max))
		switch {
		case b <= lo && a < lo || a >= hi && b > hi:
			n += float64(c)
		case b > a:
			n += float64(c) * (max(lo-a, 0) + max(b-hi, 0)) / (b - a)
		}
	}
	return n / float64(o.count)
}

// means returns the mean of each channel, nil without observations or if it was not wanted.
func (o *observer) means() []float64 {
	if o.count == 0 || len(o.sums) == 0 {
		return nil
	}
	out := make([]float64, len(o.sums))
	for c, s := range o.sums {
		out[c] = s * float64(len(o.sums)) / float64(o.count)
	}
	return out
}

// span is a range of real values that contains zero.
type span struct{ lo, hi float64 }

func (s span) union(t span) span { return span{min(s.lo, t.lo), max(s.hi, t.hi)} }
