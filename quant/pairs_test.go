package quant

import (
	"math"
	"math/rand/v2"
	"testing"
)

// safe16 checks the instruction itself: no pair of products of bytes and weights leaves 16 bits, whatever the bytes.
func safe16(q []int8) bool {
	for k := 0; k < len(q); k += 2 {
		a, b := int(q[k]), 0
		if k+1 < len(q) {
			b = int(q[k+1])
		}
		for _, x := range [...]int{0, 255} {
			for _, y := range [...]int{0, 255} {
				if s := x*a + y*b; s < math.MinInt16 || s > math.MaxInt16 {
					return false
				}
			}
		}
	}
	return true
}

// safeBothWays checks one output channel's weights in the contract's pairing and in that of contiguous K.
func safeBothWays(q []int8, taps, in int) bool {
	for t := range taps {
		if !safe16(q[t*in : (t+1)*in]) {
			return false
		}
	}
	// A kernel may pad each tap to an even number of channels, or none, or only the end.
	return in%2 == 0 || safe16(q)
}

func TestRoundPairIsNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	worst := func(ta, tb float64) {
		t.Helper()
		a, b := roundPair(ta, tb)
		if a != math.Trunc(a) || b != math.Trunc(b) || math.Abs(a) > 127 || math.Abs(b) > 127 || clash(int(a), int(b)) {
			t.Fatalf("roundPair(%v, %v) = %v, %v is not allowed", ta, tb, a, b)
		}
		got := (a-ta)*(a-ta) + (b-tb)*(b-tb)
		best := math.Inf(1)
		for x := -127; x <= 127; x++ {
			for y := -127; y <= 127; y++ {
				if !clash(x, y) {
					best = min(best, (float64(x)-ta)*(float64(x)-ta)+(float64(y)-tb)*(float64(y)-tb))
				}
			}
		}
		if got > best+1e-9 {
			t.Fatalf("roundPair(%v, %v) = %v, %v has error %v, the best is %v", ta, tb, a, b, got, best)
		}
	}
	for range 400 {
		spread := []float64{60, 130, 300}[rng.IntN(3)]
		worst(rng.Float64()*2*spread-spread, rng.Float64()*2*spread-spread)
	}
	for _, v := range [][2]float64{{127, 127}, {-127, -127}, {127, 1.5}, {127, 1.6}, {64.5, 64.5}, {63.5, 64.5}, {64.6, 63.6}, {-64.6, -63.6},
		{500, 1.6}, {500, 490}, {-500, -0.6}, {127, -127}, {0, 0}, {127.5, 0.5}, {126.5, 2.5}} {
		worst(v[0], v[1])
		worst(v[1], v[0])
	}
}

func TestChainIsNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 12 {
		ts := []float64{rng.NormFloat64() * 90, rng.NormFloat64() * 90, rng.NormFloat64() * 90}
		q := make([]int8, 3)
		got := newChain(3).round(ts, q)
		sum := 0.0
		for k, v := range q {
			sum += (float64(v) - ts[k]) * (float64(v) - ts[k])
		}
		if math.Abs(sum-got) > 1e-6 || clash(int(q[0]), int(q[1])) || clash(int(q[1]), int(q[2])) {
			t.Fatalf("chain %v gives %v, error %v reported %v", ts, q, sum, got)
		}
		best := math.Inf(1)
		for a := -127; a <= 127; a++ {
			for b := -127; b <= 127; b++ {
				if clash(a, b) {
					continue
				}
				ab := (float64(a)-ts[0])*(float64(a)-ts[0]) + (float64(b)-ts[1])*(float64(b)-ts[1])
				if ab >= best {
					continue
				}
				for c := -127; c <= 127; c++ {
					if !clash(b, c) {
						best = min(best, ab+(float64(c)-ts[2])*(float64(c)-ts[2]))
					}
				}
			}
		}
		if got > best+1e-6 {
			t.Fatalf("chain %v gives %v with error %v, the best is %v", ts, q, got, best)
		}
	}
}

func TestChainAgreesWithPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	c, q := newChain(2), make([]int8, 2)
	for range 300 {
		ts := []float64{rng.NormFloat64() * 100, rng.NormFloat64() * 100}
		got := c.round(ts, q)
		a, b := roundPair(ts[0], ts[1])
		if want := (a-ts[0])*(a-ts[0]) + (b-ts[1])*(b-ts[1]); math.Abs(got-want) > 1e-9 {
			t.Fatalf("%v: chain %v with error %v, pair %v %v with %v", ts, q, got, a, b, want)
		}
	}
}

// TestPairSafe proves the rule on the layers' weights for random and worst-case channels of every parity.
func TestPairSafe(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	fill := map[string]func(k int) float64{
		"normal":      func(int) float64 { return rng.NormFloat64() },
		"heavy tails": func(int) float64 { return math.Pow(rng.NormFloat64(), 5) },
		"equal":       func(int) float64 { return 1 },
		"negative":    func(int) float64 { return -1 },
		"alternating": func(k int) float64 { return float64(1 - 2*(k&1)) },
		"two signs":   func(k int) float64 { return float64(1 - k/2&1*2) },
		"one large":   func(k int) float64 { return []float64{1, 0.3}[min(k, 1)] },
		"zero":        func(int) float64 { return 0 },
	}
	for name, f := range fill {
		for _, s := range [][2]int{{1, 1}, {9, 1}, {1, 2}, {1, 3}, {9, 3}, {49, 3}, {4, 5}, {9, 8}, {3, 16}, {1, 64}, {1, 301}, {1, 640}} {
			taps, in := s[0], s[1]
			l := &layer{name: name, out: 2, taps: taps, in: in, groups: 1, scaleIn: 0.1, scaleOut: 0.2, pairs: true}
			for k := range 2 * taps * in {
				l.w = append(l.w, float32(f(k)))
			}
			res, err := l.quantize(2)
			if err != nil {
				t.Fatalf("%s %v: %v", name, s, err)
			}
			for o := range 2 {
				if q := res.q[o*taps*in:][:taps*in]; !safeBothWays(q, taps, in) {
					t.Fatalf("%s, %d taps of %d: %v is not safe", name, taps, in, q)
				}
			}
		}
	}
}

// TestScaleSearch compares the scale search with a search over very many scales.
func TestScaleSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for trial := range 24 {
		n := []int{2, 3, 6, 32, 300, 1000}[trial%6]
		in := n
		var pairs *pairing
		if trial%2 == 0 || trial%5 == 0 {
			pairs = pairingOf(1, in)
		}
		w := make([]float64, n)
		for k := range w {
			w[k] = rng.NormFloat64()
		}
		r, q := newRounder(n, pairs), make([]int8, n)
		scale, got := r.best(w, q)
		sum := 0.0
		for k, v := range q {
			d := w[k] - float64(scale)*float64(v)
			sum += d * d
		}
		if math.Abs(sum-got) > 1e-9*sum+1e-15 {
			t.Fatalf("error %v reported as %v", sum, got)
		}
		best, base := math.Inf(1), peak(w)/127
		steps := 20000
		if n > 100 {
			steps = 3000
		}
		for i := range steps {
			best = min(best, r.round(w, base*math.Exp(math.Log(0.4)+float64(i)/float64(steps)*math.Log(5.2)), best))
		}
		// Short channels have a jagged error; being within a fraction of a decibel of the best is what is promised.
		slack := 1.03
		if n < 8 {
			slack = 3
		}
		if got > best*slack+1e-6*sumSquares(w) {
			t.Errorf("%d weights, pairs %v: error %v, the best of %d scales has %v", n, pairs != nil, got, steps, best)
		}
		if naive := r.round(w, float64(float32(base)), math.Inf(1)); got > naive*(1+1e-9) {
			t.Errorf("%d weights: error %v is worse than that of the largest weight's scale, %v", n, got, naive)
		}
	}
}
