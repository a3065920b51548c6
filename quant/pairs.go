package quant

import "math"

// VPMADDUBSW multiplies unsigned bytes with signed ones and adds neighbouring products in 16 bits, with saturation. The sum
// of a pair is exact for all bytes when 255 times the pair's positive weights, and 255 times its negative ones, fit into
// 16 bits. Both bounds come down to: two weights of one sign have magnitudes that add up to pairLimit at most.
const (
	weightMax = 127
	pairLimit = 128 // 255*128 <= 32767 < 255*129
)

// A pairing says which neighbours along one output channel's weights must be safe together. runs lists the lengths of
// consecutive runs; within a run every weight is paired with the next. nil means that there are no pairs.
//
// Longer runs than two arise where the two orders in which kernels walk the weights pair differently; a weight is then
// paired with both its neighbours.
type pairing struct {
	runs    []int
	longest int
}

// pairingOf returns the pairs of a convolution whose channels have taps*in weights. The contract pairs input channels 2j
// and 2j+1 of one tap, an odd last one being alone. A kernel that walks the weights as one contiguous vector, in the order
// of taps that it gets them in, pairs 2j and 2j+1 of that vector, which for odd in means other pairs; weights are made safe
// for both.
func pairingOf(taps, in int) *pairing {
	n := taps * in
	p := &pairing{}
	run := 1
	for k := 1; k < n; k++ {
		i := k % in
		if i%2 == 1 || in%2 == 1 && k%2 == 1 { // k-1 and k are a pair in one order or the other
			run++
			continue
		}
		p.push(run)
		run = 1
	}
	p.push(run)
	return p
}

func (p *pairing) push(run int) {
	p.runs = append(p.runs, run)
	p.longest = max(p.longest, run)
}

// violated reports whether some pair of q is not safe.
func (p *pairing) violated(q []int8) bool {
	if p == nil {
		return false
	}
	k := 0
	for _, run := range p.runs {
		for end := k + run; k < end; k++ {
			if k+1 < end && clash(int(q[k]), int(q[k+1])) {
				return true
			}
		}
	}
	return false
}

func clash(a, b int) bool {
	return a > 0 && b > 0 && a+b > pairLimit || a < 0 && b < 0 && a+b < -pairLimit
}

// clip rounds half to even and clamps to the weights' range.
func clip(t float64) float64 { return min(max(math.RoundToEven(t), -weightMax), weightMax) }

// roundPair rounds a pair of reals to the nearest safe pair of integers.
//
// Where the rounded pair is not safe, both have one sign and the reals, clamped, add up to at least the limit. Raising the
// lesser of a pair that stays below the limit then only brings it closer, so the best pair lies on the line a+b = limit;
// there the error is a parabola in a.
func roundPair(ta, tb float64) (a, b float64) {
	a, b = clip(ta), clip(tb)
	switch {
	case a > 0 && b > 0 && a+b > pairLimit:
		a = min(max(math.RoundToEven((pairLimit+ta-tb)/2), 1), weightMax)
		return a, pairLimit - a
	case a < 0 && b < 0 && a+b < -pairLimit:
		a = -min(max(math.RoundToEven((pairLimit-ta+tb)/2), 1), weightMax)
		return a, -pairLimit - a
	}
	return a, b
}

// chain finds the nearest safe integers for runs longer than two, by dynamic programming over the value of the last weight.
type chain struct {
	cost, best []float64 // of the run so far, by last value; and the least of those that a new value may follow
	back       []int16   // for each place of the run and each value, the value before it
}

const chainValues = 2*weightMax + 1

func newChain(longest int) *chain {
	return &chain{
		cost: make([]float64, chainValues),
		best: make([]float64, chainValues),
		back: make([]int16, longest*chainValues),
	}
}

// round writes the nearest integers for t, in which all neighbours are safe, into q and returns the squared error.
func (c *chain) round(t []float64, q []int8) float64 {
	safe := true
	sum := 0.0
	for k, v := range t {
		r := clip(v)
		q[k] = int8(r)
		sum += (r - v) * (r - v)
		safe = safe && (k == 0 || !clash(int(q[k-1]), int(q[k])))
	}
	if safe {
		return sum
	}
	at := func(v int) int { return v + weightMax }
	for v := -weightMax; v <= weightMax; v++ {
		d := float64(v) - t[0]
		c.cost[at(v)] = d * d
	}
	for k := 1; k < len(t); k++ {
		back := c.back[k*chainValues:][:chainValues]
		// Before v > 0 may stand everything up to limit-v, before v < 0 everything down from -limit-v, and before 0 all.
		arg := -weightMax
		for u, v := -weightMax, weightMax; v >= 0; v-- {
			for ; u <= min(pairLimit-v, weightMax); u++ {
				if c.cost[at(u)] < c.cost[at(arg)] {
					arg = u
				}
			}
			c.best[at(v)], back[at(v)] = c.cost[at(arg)], int16(arg)
		}
		arg = weightMax
		for u, v := weightMax, -weightMax; v < 0; v++ {
			for ; u >= max(-pairLimit-v, -weightMax); u-- {
				if c.cost[at(u)] < c.cost[at(arg)] {
					arg = u
				}
			}
			c.best[at(v)], back[at(v)] = c.cost[at(arg)], int16(arg)
		}
		for v := -weightMax; v <= weightMax; v++ {
			d := float64(v) - t[k]
			c.cost[at(v)] = c.best[at(v)] + d*d
		}
	}
	v := 0
	for u := -weightMax; u <= weightMax; u++ {
		if c.cost[at(u)] < c.cost[at(v)] {
			v = u
		}
	}
	sum = c.cost[at(v)]
	for k := len(t) - 1; k >= 0; k-- {
		q[k] = int8(v)
		if k > 0 {
			v = int(c.back[k*chainValues+at(v)])
		}
	}
	return sum
}
