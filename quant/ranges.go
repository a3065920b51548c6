package quant

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Method says how an activation's range follows from the values seen during calibration.
type Method uint8

const (
	// MinMax takes everything that was seen: nothing is clipped, outliers cost resolution.
	MinMax Method = iota
	// Percentile leaves out the share of values beyond Range.Percentile at either end.
	Percentile
	// MSE has the least mean squared error, rounding and clipping together.
	MSE
	// Entropy has the least Kullback-Leibler divergence between the values' distribution and that of the int8 values.
	Entropy
	// Average takes the moving average of the images' own ranges: an unusual image hardly matters.
	Average
)

var methodNames = [...]string{"min-max", "percentile", "mse", "entropy", "average"}

func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("Method(%d)", uint8(m))
}

// DefaultPercentile is used when Range.Percentile is zero.
const DefaultPercentile = 99.99

// Range is a method with its parameter.
type Range struct {
	Method     Method
	Percentile float64 // of Method Percentile, above 50, at most 100; 0 is DefaultPercentile
}

// ParseRange reads a method's name: min-max, percentile, mse, entropy or average; percentile may be followed by a colon and
// a number, as in percentile:99.9.
func ParseRange(s string) (Range, error) {
	name, parameter, has := strings.Cut(s, ":")
	for i, n := range methodNames {
		if n != name {
			continue
		}
		r := Range{Method: Method(i)}
		if has {
			p, err := strconv.ParseFloat(parameter, 64)
			if r.Method != Percentile || err != nil || p == 0 {
				return Range{}, fmt.Errorf("%q: only percentile takes a parameter, a number as in percentile:99.9", s)
			}
			r.Percentile = p
		}
		return r.withDefaults()
	}
	return Range{}, fmt.Errorf("%q is no calibration method; there are %s", s, strings.Join(methodNames[:], ", "))
}

func (r Range) withDefaults() (Range, error) {
	if int(r.Method) >= len(methodNames) {
		return r, fmt.Errorf("quant: unknown calibration method %d", r.Method)
	}
	if r.Percentile == 0 {
		r.Percentile = DefaultPercentile
	}
	if !(r.Percentile > 50 && r.Percentile <= 100) {
		return r, fmt.Errorf("quant: percentile %g is outside (50, 100]", r.Percentile)
	}
	return r, nil
}

func (r Range) String() string {
	if r.Method == Percentile {
		return fmt.Sprintf("percentile %g", r.Percentile)
	}
	return r.Method.String()
}

// A Rule gives the tensors whose name, or whose operator's name, fits a pattern a range of their own.
type Rule struct {
	Pattern string // '*' stands for any text
	Range   Range
}

// rangeOf is the method for a tensor that has several names.
func (o Options) rangeOf(names ...string) Range {
	for i := len(o.Ranges) - 1; i >= 0; i-- {
		for _, n := range names {
			if fits(o.Ranges[i].Pattern, n) {
				return o.Ranges[i].Range
			}
		}
	}
	return o.Range
}

func (l *lowerer) rangeOf(t int) Range {
	names := []string{l.m.Tensors[t].Name}
	if i := l.maker[t]; i >= 0 {
		names = append(names, l.m.Ops[i].Name)
	}
	return l.o.rangeOf(names...)
}

// unused lists the rules that no tensor fits: a misspelt name would otherwise go unnoticed.
func (l *lowerer) unusedRules() (patterns []string) {
	for _, r := range l.o.Ranges {
		used := false
		for t := range l.m.Tensors {
			used = used || l.c.watch[t] && (fits(r.Pattern, l.m.Tensors[t].Name) || l.maker[t] >= 0 && fits(r.Pattern, l.m.Ops[l.maker[t]].Name))
		}
		for i := range l.c.views {
			for _, inner := range innerNames {
				used = used || fits(r.Pattern, l.m.Ops[i].Name+"."+inner)
			}
		}
		if !used {
			patterns = append(patterns, r.Pattern)
		}
	}
	return patterns
}

// fits reports whether name fits a pattern in which '*' stands for any text, also for none.
func fits(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	if last == 0 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1:last] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[last])
}

// choose returns the range that an activation's int8 values shall cover.
func (o *observer) choose(r Range) span {
	all := span{min(float64(o.min), 0), max(float64(o.max), 0)}
	if o.hist == nil {
		return all
	}
	s := all
	switch r.Method {
	case Percentile:
		s = span{o.quantile(1 - r.Percentile/100), o.quantile(r.Percentile / 100)}
	case MSE:
		s = o.leastError(all)
	case Entropy:
		s = o.leastDivergence(all)
	case Average:
		s = span{o.meanLo, o.meanHi}
	}
	return span{min(max(s.lo, all.lo), 0), max(min(s.hi, all.hi), 0)}
}

// leastError shrinks either end in turn until the squared error stops falling.
func (o *observer) leastError(all span) span {
	const step, least = 0.97, 0.05
	s, best := all, o.squaredError(all)
	for range 4 {
		before := best
		for _, end := range []*float64{&s.hi, &s.lo} {
			whole, at := *end, *end
			if whole == 0 {
				continue
			}
			limit := all.hi
			if end == &s.lo {
				limit = all.lo
			}
			for f := 1.0; f >= least; f *= step {
				*end = limit * f
				if e := o.squaredError(s); e < best {
					best, at = e, *end
				}
			}
			*end = at
		}
		if best == before {
			break
		}
	}
	return s
}

// squaredError is the mean squared error of the int8 grid that covers s. A value stands for its bin's centre; what the bin
// contains besides is the same for every grid.
func (o *observer) squaredError(s span) float64 {
	g, err := gridOf(s)
	if err != nil {
		return math.Inf(1)
	}
	sum, width, inv := 0.0, math.Ldexp(1, o.exp), 1/float64(g.scale)
	lo, hi := float64(-128-g.zero), float64(127-g.zero)
	for k, n := range o.hist {
		if n == 0 {
			continue
		}
		t := (float64(k-bins) + 0.5) * width * inv
		q := min(max(nearest(t), lo), hi)
		sum += float64(n) * (t - q) * (t - q)
	}
	return sum * float64(g.scale) * float64(g.scale) / float64(o.count)
}

// leastDivergence shrinks both ends by one factor, as TensorRT's entropy calibration does with its symmetric ranges: what
// is clipped counts at the ends of the true distribution P; the int8 distribution Q has 255 steps, each spread evenly over
// those of its bins that are not empty in P.
//
// Within a step, P's own unevenness counts as divergence, so that bins with few values make narrow ranges look good. Bins
// are merged while that leaves 512, and where a bin still holds fewer than 16 values on average the whole range is taken.
func (o *observer) leastDivergence(all span) span {
	const step, fewest, values = 0.98, 512, 16
	width, hist := math.Ldexp(1, o.exp), o.hist
	used := func() float64 { return (all.hi - all.lo) / width }
	for used() >= 2*fewest && float64(o.count) < values*used() {
		merged := make([]uint64, len(hist)/2)
		for k := range merged {
			merged[k] = hist[2*k] + hist[2*k+1]
		}
		hist, width = merged, 2*width
	}
	if float64(o.count) < values*used() {
		return all
	}
	// Zeros are exact on every grid, and a ReLU makes so many that their bin would outweigh all others.
	hist = slices.Clone(hist)
	half := len(hist) / 2
	hist[half] = min(hist[half], hist[half+1])
	count := 0.0
	for _, n := range hist {
		count += float64(n)
	}
	best, least := all, math.Inf(1)
	for f := 1.0; ; f *= step {
		s := span{all.lo * f, all.hi * f}
		first := max(int(math.Floor(s.lo/width)), -half)
		last := min(max(int(math.Ceil(s.hi/width)), first+1), half)
		if last-first < 256 || count == 0 {
			return best // a bin is wider than a step
		}
		if d := divergence(hist, first+half, last+half, count); d < least {
			best, least = s, d
		}
	}
}

// divergence is that of hist[first:last] with everything outside added to its ends.
func divergence(hist []uint64, first, last int, count float64) float64 {
	p := make([]float64, last-first)
	kept := make([]float64, last-first) // without what is clipped
	for k, n := range hist {
		p[min(max(k, first), last-1)-first] += float64(n)
		if k >= first && k < last {
			kept[k-first] = float64(n)
		}
	}
	const steps = 255
	sum, qSum := 0.0, 0.0
	q := make([]float64, len(p))
	for i := range steps {
		a, b := i*len(p)/steps, (i+1)*len(p)/steps
		mass, bins := 0.0, 0
		for k := a; k < b; k++ {
			mass += kept[k]
			if p[k] > 0 {
				bins++
			}
		}
		for k := a; k < b; k++ {
			if p[k] > 0 {
				q[k] = mass / float64(bins)
				qSum += q[k]
			}
		}
	}
	if qSum == 0 {
		return math.Inf(1)
	}
	const never = 1e-9 // in the place of a probability of zero
	for k, v := range p {
		if v > 0 {
			v /= count
			sum += v * math.Log(v/max(q[k]/qSum, never))
		}
	}
	return sum
}
