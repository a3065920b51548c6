package quant

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// explained quantizes m and returns the model with its quality, and what is found of one layer.
func explained(t *testing.T, m *format.Model, imgs [][]float64, o Options, layer string) (*format.Model, *Measurement, Finding) {
	t.Helper()
	q, rep, err := Quantize(t.Context(), m, memory(imgs), o)
	if err != nil {
		t.Fatal(err)
	}
	measured, err := Measure(t.Context(), q, rep.Twin, memory(imgs), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Quality = measured.Quality(q, rep)
	if err := format.Validate(q); err != nil {
		t.Fatal(err)
	}
	list := Findings(q, 100)
	i := slices.IndexFunc(list, func(f Finding) bool { return f.Layer == layer })
	if i < 0 {
		t.Fatalf("nothing is said of %s: %+v", layer, list)
	}
	return q, measured, list[i]
}

func own(m *Measurement, layer string) float64 {
	for _, l := range m.Layers {
		if l.Layer == layer {
			return l.Own
		}
	}
	return math.NaN()
}

// TestFindings breaks a layer in each of the ways that are told apart, and does as it is told: then the layer has to get better.
func TestFindings(t *testing.T) {
	imgs := images(24, 3, 800)
	// outlier widens one channel of a layer that functions with a minus read, so that nothing may scale it.
	outlier := func(factor float32) *format.Model {
		n := newNet("outlier", 24, 410)
		x := n.conv("stem", n.Input(), 12, 3, 2, 1, build.ActReLU)
		w := n.normal(16*12, 0.4)
		for i := range 12 {
			w[5*12+i] *= factor
		}
		x = n.Conv("wide", x, w, [4]int{16, 12, 1, 1}, nil, build.Win{}, 1, build.ActNone)
		x = n.Add("sum", x, n.conv("side", x, 16, 1, 1, 1, build.ActNone), build.ActNone)
		n.Localizer("head", n.conv("last", x, 16, 1, 1, 1, build.ActReLU), n.normal(10*16, 0.3), n.normal(10, 0.1))
		return n.finish(t)
	}
	type change func(o *Options, f Finding)
	int16 := func(o *Options, f Finding) {
		name, ok := strings.CutPrefix(f.Try[0], "--int16 ")
		if !ok {
			t.Fatalf("the first thing to try is %q", f.Try)
		}
		o.Int16 = append(o.Int16, name)
	}
	for name, c := range map[string]struct {
		m     *format.Model
		o     Options
		layer string
		why   string
		do    change
		gain  float64
	}{
		"outlier": {outlier(12), Options{KeepOrder: true}, "wide", "channel 5 reaches", int16, 6},
		"clipped": {outlier(1), Options{Ranges: []Rule{{"wide", Range{Method: Percentile, Percentile: 97}}}}, "wide", "clipped", func(o *Options, f Finding) {
			rule, ok := strings.CutPrefix(f.Try[0], "--method-for wide=")
			if !ok {
				t.Fatalf("the first thing to try is %q", f.Try)
			}
			r, err := ParseRange(rule)
			if err != nil {
				t.Fatal(err)
			}
			o.Ranges = append(o.Ranges, Rule{"wide", r})
		}, 6},
		"all clipped": {outlier(1), Options{Range: Range{Method: Percentile, Percentile: 97}}, "most layers", "calibration method", func(o *Options, f Finding) {
			var err error
			if o.Range, err = ParseRange(strings.TrimPrefix(f.Try[0], "--method ")); err != nil {
				t.Fatal(err)
			}
		}, 6},
		"spread": {outlier(2.5), Options{}, "side", "256 steps are too few", int16, 3},
	} {
		model, before, f := explained(t, c.m, imgs, c.o, c.layer)
		if !strings.Contains(f.Why, c.why) {
			t.Errorf("%s: %s", name, f.Why)
			continue
		}
		o := c.o
		c.do(&o, f)
		if before := Findings(model, 1)[0].Tensor; (before < 0) != (name == "all clipped") {
			t.Errorf("%s: the first finding is about tensor %d", name, before)
		}
		q, rep, err := Quantize(t.Context(), c.m, memory(imgs), o)
		if err != nil {
			t.Fatal(err)
		}
		after, err := Measure(t.Context(), q, rep.Twin, memory(imgs), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		layer := c.layer
		if f.Tensor < 0 {
			layer = "last"
		}
		if a, b := own(before, layer), own(after, layer); !(b > a+c.gain) {
			t.Errorf("%s: %v turns %.1f dB into %.1f", name, f.Try, a, b)
		}
	}
}

func TestBars(t *testing.T) {
	codes := make([]uint64, 256)
	codes[0], codes[128], codes[255] = 900000, 99999, 1
	b := bars(codes, 1e6)
	for i, want := range map[int]float64{0: 0.9, 1: 0, 16: 0.099999, 31: 1e-6} {
		if got := barShare(b[i]); math.Abs(math.Log10(got+1e-12)-math.Log10(want+1e-12)) > 0.02 {
			t.Errorf("bar %d stands for %g, want %g", i, got, want)
		}
	}
	if f := filledShare(b); f != 17./32 {
		t.Errorf("the values but for a thousandth fill %g of the grid", f)
	}
	if c, f := widest([]float32{1, 2, 30, 3, 2}); c != 2 || f != 15 {
		t.Errorf("channel %d reaches %g times the median", c, f)
	}
	if got := shell("a b'c"); got != `'a b'\''c'` {
		t.Errorf("quoted %s", got)
	}
}
