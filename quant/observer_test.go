package quant

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestObserverQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var o observer
	var all []float32
	for i := range 40 {
		v := make([]float32, 500)
		for k := range v {
			v[k] = float32(rng.NormFloat64() * math.Exp(float64(i%7)-3))
			if k%3 == 0 {
				v[k] = max(v[k], 0)
			}
		}
		if !o.add(v) {
			t.Fatal("refused")
		}
		all = append(all, v...)
	}
	slices.Sort(all)
	if o.min != all[0] || o.max != all[len(all)-1] || o.count != uint64(len(all)) {
		t.Fatalf("%v..%v of %d", o.min, o.max, o.count)
	}
	width := float64(o.max-o.min) / 1024
	for _, p := range []float64{0, 0.0001, 0.01, 0.3, 0.9, 0.999, 0.9999, 1} {
		k := int(p * float64(len(all)))
		lo, hi := float64(all[max(k-1, 0)]), float64(all[min(k+1, len(all)-1)])
		if got := o.quantile(p); got < lo-width || got > hi+width {
			t.Errorf("quantile %v is %v, want %v..%v", p, got, lo, hi)
		}
	}
	lo, hi := float64(all[100]), float64(all[len(all)-200])
	if got, want := o.outside(lo, hi), 300/float64(len(all)); math.Abs(got-want) > 0.1*want {
		t.Errorf("share outside %v, want %v", got, want)
	}
	if got := o.outside(float64(o.min), float64(o.max)); got != 0 {
		t.Errorf("share outside all is %v", got)
	}
}

// TestObserverOrder checks that the order of images does not matter and memory does not grow.
func TestObserverOrder(t *testing.T) {
	parts := [][]float32{{0, 0, 0}, {0.001, -0.002}, {5, -1}, {0}, {1e6, 3}, {-1e-30}, {0x1p-140}, {1, 2, 4, -4, -8}}
	var a, b observer
	for i := range parts {
		a.add(parts[i])
		b.add(parts[len(parts)-1-i])
	}
	a.meanLo, a.meanHi, b.meanLo, b.meanHi = 0, 0, 0, 0 // averages of unusual images depend on the order
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%v..%v, 2^%d; reversed %v..%v, 2^%d", a.min, a.max, a.exp, b.min, b.max, b.exp)
	}
	if len(a.hist) != 2*bins {
		t.Errorf("%d bins", len(a.hist))
	}
	n := uint64(0)
	for _, c := range a.hist {
		n += c
	}
	if n != a.count {
		t.Errorf("%d in the histogram of %d", n, a.count)
	}
	var tiny observer
	for _, v := range []float32{math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, -math.MaxFloat32} {
		if !tiny.add([]float32{v}) {
			t.Errorf("%v was refused", v)
		}
	}
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		if a.add([]float32{1, v}) {
			t.Errorf("%v was accepted", v)
		}
	}
}

func TestGrid(t *testing.T) {
	for _, c := range []struct {
		s    span
		zero int32
	}{{span{0, 6}, -128}, {span{-128, 127}, 0}, {span{-6, 0}, 127}, {span{0, 0}, -128}, {span{-1, 3}, -64}, {span{0, 1e-30}, -128}} {
		g, err := gridOf(c.s)
		if err != nil {
			t.Fatal(err)
		}
		if g.zero != c.zero || !(g.scale >= scaleMin) {
			t.Errorf("%v gives %v", c.s, g)
		}
		if g.real(-128) > c.s.lo+float64(g.scale)*0.51 || g.real(127) < c.s.hi-float64(g.scale)*0.51 {
			t.Errorf("%v is not covered by %v..%v", c.s, g.real(-128), g.real(127))
		}
	}
	if _, err := gridOf(span{-1e30, 1e30}); err == nil {
		t.Error("an absurd range was accepted")
	}
}

func TestPercentileRange(t *testing.T) {
	var o observer
	v := make([]float32, 100000)
	for i := range v {
		v[i] = float32(i) / 1000
	}
	v[0] = 10000 // an outlier
	o.add(v)
	if s := o.choose(Range{Method: MinMax}); s.hi != 10000 {
		t.Errorf("min-max %v", s)
	}
	// Ten values of a hundred thousand may lie above.
	if s := o.choose(Range{Method: Percentile, Percentile: 99.99}); s.lo != 0 || s.hi < 90 || s.hi > 120 {
		t.Errorf("percentile %v", s)
	}
}
