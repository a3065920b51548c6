package kernels

import (
	"fmt"
	"math"
)

// maxNormalize bounds the elements that are normalised together: sums of their squares, times their number, fit int64.
const maxNormalize = 1 << 23

// normSpan is what a normalisation takes together: groups of neighbouring channels, of one position or of all.
type normSpan struct {
	shape  Shape
	groups int
	all    bool // of all positions
}

func (s normSpan) channels() int { return s.shape.C / s.groups }

// count is the number of elements taken together.
func (s normSpan) count() int {
	if s.all {
		return s.channels() * s.shape.H * s.shape.W
	}
	return s.channels()
}

func checkNormalize(shape Shape, axis, groups int, epsilon float32) (normSpan, error) {
	s := normSpan{shape, groups, axis == 1}
	if err := checkShape("input", shape); err != nil {
		return s, err
	}
	if axis != 1 && axis != 3 {
		return s, fmt.Errorf("axis %d: need 3 (each position by itself) or 1 (all positions)", axis)
	}
	if groups < 1 || shape.C%groups != 0 {
		return s, fmt.Errorf("%d groups do not divide %d channels", groups, shape.C)
	}
	if !(epsilon >= 0x1p-60 && epsilon <= 1<<16) {
		return s, fmt.Errorf("epsilon %g: need 2^-60..2^16", epsilon)
	}
	if n := s.count(); n > maxNormalize {
		return s, fmt.Errorf("%d elements are normalised together: at most %d", n, maxNormalize)
	}
	return s, nil
}

// stages runs statistics, which fills two numbers for a group of channels, and apply, which uses them. Over all positions that
// are two stages with the numbers of all groups in Inner[0] between them; otherwise one, a unit being a row of pixels.
func normStages[S any](s normSpan, statistics func(io *IO, first, group int) S, apply func(io *IO, at, group int, v S), view func([]byte) []S) []Stage {
	n, w := s.channels(), s.shape.W
	if !s.all {
		return []Stage{{Name: "normalize", Units: s.shape.H, Run: func(io *IO, lo, hi int, _ []byte) {
			for p := lo * w; p < hi*w; p++ {
				for g := range s.groups {
					at := p*s.shape.C + g*n
					apply(io, at, g, statistics(io, at, g))
				}
			}
		}}}
	}
	return []Stage{
		{Name: "statistics", Units: s.groups, Run: func(io *IO, lo, hi int, _ []byte) {
			stats := view(io.Inner[0])
			for g := lo; g < hi; g++ {
				stats[g] = statistics(io, g*n, g)
			}
		}},
		{Name: "normalize", Units: s.shape.H, Run: func(io *IO, lo, hi int, _ []byte) {
			stats := view(io.Inner[0])
			for p := lo * w; p < hi*w; p++ {
				for g := range s.groups {
					apply(io, p*s.shape.C+g*n, g, stats[g])
				}
			}
		}},
	}
}

// each calls f for the channels of every position that is taken together with the one at element first.
func (s normSpan) each(first int, f func(at int)) {
	f(first)
	if s.all {
		for p := 1; p < s.shape.H*s.shape.W; p++ {
			f(first + p*s.shape.C)
		}
	}
}

// floatStats are the mean and 1/sqrt(variance+epsilon).
type floatStats struct{ mean, inv float64 }

// PrepareNormalizeF32 returns layer, group or instance normalisation.
func PrepareNormalizeF32(c *NormalizeF32) (*Prepared, error) {
	s, err := checkNormalize(c.Shape, c.Axis, c.Groups, c.Epsilon)
	if err != nil {
		return nil, err
	}
	for what, v := range map[string][]float32{"scales": c.Scale, "shifts": c.Shift} {
		if err := checkOptional(what, len(v), c.Shape.C); err != nil {
			return nil, err
		}
	}
	scale, shift := orAll(c.Scale, c.Shape.C, 1), orAll(c.Shift, c.Shape.C, 0)
	n, count, eps := s.channels(), float64(s.count()), float64(c.Epsilon)
	statistics := func(io *IO, first, _ int) floatStats {
		x := view[float32](io.In[0])
		sum, squares := 0.0, 0.0
		s.each(first, func(at int) {
			for _, v := range x[at:][:n] {
				sum += float64(v)
			}
		})
		mean := sum / count
		s.each(first, func(at int) {
			for _, v := range x[at:][:n] {
				d := float64(v) - mean
				squares += float64(d * d)
			}
		})
		return floatStats{mean, 1 / math.Sqrt(squares/count+eps)}
	}
	apply := func(io *IO, at, g int, v floatStats) {
		x, y := view[float32](io.In[0])[at:][:n], view[float32](io.Out[0])[at:][:n]
		k, b := scale[g*n:][:n], shift[g*n:][:n]
		for i, u := range x {
			d := float32((float64(u) - v.mean) * v.inv)
			y[i] = float32(d*k[i]) + b[i]
		}
	}
	p := portable(normStages(s, statistics, apply, view[floatStats])...)
	if s.all {
		p.Inner = []int{16 * s.groups}
	}
	return p, nil
}

func orAll(v []float32, n int, value float32) []float32 {
	if len(v) > 0 {
		return v
	}
	v = make([]float32, n)
	fill(v, value)
	return v
}

// int8Stats are the exact sum of x-zx, and 1/sqrt(n*n*variance + n*n*epsilon) in steps of x.
type int8Stats struct {
	sum int64
	inv float64
}

// PrepareNormalizeI8 returns the quantized form; the package comment has its formula.
func PrepareNormalizeI8(c *NormalizeI8) (*Prepared, error) {
	s, err := checkNormalize(c.Shape, c.Axis, c.Groups, c.Epsilon)
	if err != nil {
		return nil, err
	}
	if err := checkScale(c.ScaleIn); err != nil {
		return nil, err
	}
	if err := checkZero("input", c.ZeroIn); err != nil {
		return nil, err
	}
	if err := checkOutput(c.Zero, c.Lo, c.Hi); err != nil {
		return nil, err
	}
	for what, v := range map[string][]float32{"scale": c.Scale, "shift": c.Shift} {
		if err := checkLength(what+"s", len(v), c.Shape.C); err != nil {
			return nil, err
		}
		for i, f := range v {
			if !(math.Abs(float64(f)) <= 0x1p100) {
				return nil, fmt.Errorf("channel %d's %s %g is not a number of at most 2^100", i, what, f)
			}
		}
	}
	n, count := s.channels(), int64(s.count())
	steps := float64(c.Epsilon) / float64(c.ScaleIn) / float64(c.ScaleIn)
	eps := float64(float64(float64(count)*float64(count)) * steps)
	zero, out := c.ZeroIn+128, newRounder(c.Zero, c.Lo, c.Hi)
	statistics := func(io *IO, first, _ int) int8Stats {
		var sum, squares int64
		s.each(first, func(at int) {
			for _, u := range io.In[0][at:][:n] {
				d := int64(int32(u) - zero)
				sum += d
				squares += d * d
			}
		})
		return int8Stats{sum, 1 / math.Sqrt(float64(count*squares-sum*sum)+eps)}
	}
	apply := func(io *IO, at, g int, v int8Stats) {
		x, y := io.In[0][at:][:n], io.Out[0][at:][:n]
		k, b := c.Scale[g*n:][:n], c.Shift[g*n:][:n]
		for i, u := range x {
			d := float32(float64(count*int64(int32(u)-zero)-v.sum) * v.inv)
			y[i] = out.store(float32(d*k[i]) + b[i])
		}
	}
	p := portable(normStages(s, statistics, apply, view[int8Stats])...)
	if s.all {
		p.Inner = []int{16 * s.groups}
	}
	return p, nil
}
