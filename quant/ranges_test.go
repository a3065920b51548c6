package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestRangesMinimise compares each method's range with its definition, worked out on the values themselves.
func TestRangesMinimise(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	// mse is the mean squared error of the grid over s, value by value.
	mse := func(v []float32, s span) float64 {
		g, err := gridOf(s)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, x := range v {
			d := float64(x) - g.real(int(g.quantize(float64(x))))
			sum += d * d
		}
		return sum / float64(len(v))
	}
	for name, draw := range map[string]func() float64{
		"normal":     rng.NormFloat64,
		"rectified":  func() float64 { return max(rng.NormFloat64(), 0) },
		"heavy tail": func() float64 { return math.Pow(rng.NormFloat64(), 3) },
		"one-sided":  func() float64 { return rng.ExpFloat64() - 0.1 },
	} {
		v := make([]float32, 50000)
		for i := range v {
			v[i] = float32(draw())
		}
		var o observer
		o.add(v)
		s := o.choose(Range{Method: MSE})
		got := mse(v, s)
		all := o.choose(Range{})
		best := math.Inf(1)
		for a := 1.0; a > 0.05; a *= 0.9 {
			for b := 1.0; b > 0.05; b *= 0.9 {
				best = min(best, mse(v, span{all.lo * a, all.hi * b}))
			}
		}
		if got > 1.02*best {
			t.Errorf("%s: %v has error %v, some range has %v", name, s, got, best)
		}
		if e := o.choose(Range{Method: Entropy}); e.hi > all.hi || e.lo < all.lo || e.hi < 0.1*all.hi {
			t.Errorf("%s: entropy chooses %v of %v", name, e, all)
		}
	}
}

// TestEntropyIgnoresOutliers: one value far out must not decide the range, and a uniform distribution must not be clipped.
func TestEntropyIgnoresOutliers(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 2))
	v := make([]float32, 100000)
	for i := range v {
		v[i] = float32(math.Abs(rng.NormFloat64()))
	}
	v[7] = 40
	var o observer
	o.add(v)
	if s := o.choose(Range{Method: Entropy}); s.hi > 10 || s.hi < 2 {
		t.Errorf("normal values with one outlier of 40: %v", s)
	}
	for i := range v {
		v[i] = rng.Float32()
	}
	o = observer{}
	o.add(v)
	if s := o.choose(Range{Method: Entropy}); s.hi < 0.95 {
		t.Errorf("uniform values up to 1: %v", s)
	}
}

func TestAverageRange(t *testing.T) {
	var o observer
	for i := range 10 {
		hi := float32(1)
		if i == 4 {
			hi = 11
		}
		o.add([]float32{-0.5, 0, hi})
	}
	if s := o.choose(Range{Method: Average}); math.Abs(s.hi-2) > 1e-9 || s.lo != -0.5 {
		t.Errorf("%v, want the mean of nine ones and one eleven", s)
	}
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string]Range{"min-max": {MinMax, DefaultPercentile}, "percentile": {Percentile, DefaultPercentile},
		"percentile:99.9": {Percentile, 99.9}, "mse": {MSE, DefaultPercentile}, "entropy": {Entropy, DefaultPercentile}, "average": {Average, DefaultPercentile}} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "kl", "mse:3", "percentile:", "percentile:x", "percentile:30", "percentile:NaN", "percentile:101", "percentile:0"} {
		if r, err := ParseRange(text); err == nil {
			t.Errorf("%q became %v", text, r)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{{"a", "a", true}, {"a", "ab", false}, {"a*", "abc", true}, {"*", "", true}, {"*.conv", "x/y.conv", true}, {"*.conv", "x.conv2", false},
		{"a*b*c", "axxbyyc", true}, {"a*b*c", "axxc", false}, {"ab*ba", "aba", false}, {"*b*", "abc", true}} {
		if fits(c.pattern, c.name) != c.want {
			t.Errorf("%q and %q: want %v", c.pattern, c.name, c.want)
		}
	}
}

// TestRules gives one tensor a range of its own, names one that does not exist, and draws some of the images.
func TestRules(t *testing.T) {
	m, imgs := localizer(t, 61), images(32, 6, 9)
	o := Options{Ranges: []Rule{{"pw*", Range{Method: Percentile, Percentile: 90}}}, Images: 4, Seed: 3}
	q, rep, err := Quantize(t.Context(), m, memory(imgs), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := "min-max, percentile 90 for pw*, 4 of 6 images by seed 3"; !strings.HasPrefix(q.Prov.Calibration, want) {
		t.Errorf("calibration %q, want %q", q.Prov.Calibration, want)
	}
	for _, r := range rep.Tensors {
		if clipped := r.Clipped > 0.01; r.Shared == "" && r.Layer != "rfga" && clipped != strings.HasPrefix(r.Layer, "pw") {
			t.Errorf("%s of %s: %.3f clipped", r.Name, r.Layer, r.Clipped)
		}
	}
	if o.Ranges[0].Pattern = "pv*"; true {
		if _, _, err := Quantize(t.Context(), m, memory(imgs), o); err == nil || !strings.Contains(err.Error(), "pv*") {
			t.Errorf("a rule that nothing fits: %v", err)
		}
	}
	a, b := Options{Images: 4, Seed: 3}.selection(6), Options{Images: 4, Seed: 4}.selection(6)
	if len(a) != 4 || !slices.IsSorted(a) || slices.Equal(a, b) || !slices.Equal(a, Options{Images: 4, Seed: 3}.selection(6)) {
		t.Errorf("images %v and %v", a, b)
	}
	if all := (Options{Images: 9}).selection(3); !slices.Equal(all, []int{0, 1, 2}) {
		t.Errorf("all images: %v", all)
	}
}
