package quant

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func encoded(t *testing.T, m *format.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := format.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// classMap is the map of the float network's class in a model's output, as an evaluator of our own gives it.
func classMap(t *testing.T, m *format.Model, x []float64, class int) []float64 {
	t.Helper()
	real, _ := outputs(t, m, x, 1)
	maps := real["maps"]
	n := len(maps) / len(real["logits"])
	return maps[class*n:][:n]
}

// TestQuantizeTo: the target holds for images that had no part in calibration, with fewer layers raised than there are; the same
// call gives the same file; and where 16-bit integers are not enough, half floats are, if they are allowed.
func TestQuantizeTo(t *testing.T) {
	m := localizer(t, 610)
	imgs := images(m.Pre.Width, 16, 611)
	held := []int{3, 7, 11, 15}
	loss := func(q *format.Model) float64 {
		sum := 0.0
		for _, i := range held {
			real, _ := outputs(t, m, imgs[i], 1)
			class := argmax(real["logits"])
			sum += 1 - correlation(classMap(t, m, imgs[i], class), classMap(t, q, imgs[i], class))
		}
		return sum / float64(len(held))
	}
	for _, c := range []struct {
		share     float64 // of plain int8's loss
		fp16      bool
		met, same bool // the target is met; with the same bits on all machines
	}{{2, false, true, true}, {0.5, false, true, true}, {0.1, false, true, true}, {1e-3, false, false, true}, {1e-3, true, true, false}} {
		var plain, most float64
		target := Target{Metric: Maps, AllowFP16: c.fp16}
		run := func(threads int) *Outcome {
			out, err := QuantizeTo(t.Context(), m, memory(imgs), Options{Threads: threads}, target)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		target.MaxLoss = 0.999
		plain = run(1).PlainLoss
		most = c.share * plain
		target.MaxLoss = most
		stages := map[string]int{}
		target.Progress = func(stage string, done, total int) {
			if done > total || done <= stages[stage] {
				t.Errorf("%s: %d of %d after %d", stage, done, total, stages[stage])
			}
			stages[stage] = done
		}
		out := run(2)
		if target.Progress = nil; len(stages) != 3 && c.share < 1 {
			t.Errorf("progress of %v", stages)
		}
		raised := 0
		for _, cause := range out.Causes {
			if cause.Now != "int8" {
				raised++
			}
		}
		t.Logf("target %.2g: loss %.2g, %d of %d causes raised, %d models", most, out.Loss, raised, len(out.Causes), out.Tried)
		if out.Met != c.met || out.HeldOut != len(held) || out.Model.DeriveExact() != c.same {
			t.Errorf("target %g: met %v, exact %v, %d images, %d raised", most, out.Met, out.Model.DeriveExact(), out.HeldOut, raised)
		}
		if got := loss(out.Model); math.Abs(got-out.Loss) > 1e-5+1e-3*got || c.met && got > most+1e-6 {
			t.Errorf("target %g: loss %g, it says %g", most, got, out.Loss)
		}
		if c.share > 1 && raised > 0 || c.share < 1 && raised == 0 || c.share < 1 && c.met && c.same && raised == len(out.Causes) {
			t.Errorf("target %g: %d of %d raised", most, raised, len(out.Causes))
		}
		if !strings.Contains(out.Model.Prov.Calibration, "4 held-out images") || !strings.Contains(out.Model.Prov.Calibration, "12 images") {
			t.Errorf("calibration %q", out.Model.Prov.Calibration)
		}
		if c.share == 0.5 && !bytes.Equal(encoded(t, out.Model), encoded(t, run(1).Model)) {
			t.Error("another number of threads gives another file")
		}
	}
}

// lame is a network one of whose activations int8 cannot hold: one channel in it is wide, and the next layer hardly reads it.
func lame(t *testing.T) *format.Model {
	n := newNet("lame", 16, 620)
	x := n.conv("stem", n.Input(), 8, 3, 1, 1, build.ActReLU)
	w, wide := n.normal(8*8, 0.5), n.normal(8*8, 0.5)
	for i := range 8 {
		w[i] *= 400 // output channel 0
		wide[8*i] = 1e-4
	}
	x = n.Conv("lame", x, w, [4]int{8, 8, 1, 1}, n.normal(8, 0.1), build.Win{Stride: [2]int{1, 1}}, 1, build.ActReLU)
	x = n.Conv("after", x, wide, [4]int{8, 8, 1, 1}, n.normal(8, 0.1), build.Win{Stride: [2]int{1, 1}}, 1, build.ActReLU)
	n.Localizer("head", x, n.normal(5*8, 0.3), n.normal(5, 0.1))
	return n.finish(t)
}

// The cause of the error is found: it comes first, and raising it is enough.
func TestCauseIsFound(t *testing.T) {
	m := lame(t)
	for _, metric := range []Metric{Maps, IoU} {
		out, err := QuantizeTo(t.Context(), m, memory(images(16, 12, 621)), Options{KeepScales: true}, Target{Metric: metric, MaxLoss: 0.01})
		if err != nil {
			t.Fatal(err)
		}
		first := out.Causes[0]
		if first.Layer != "lame" || first.What != "activations" || first.Now != "int16" || first.Share < 0.7 {
			t.Errorf("%s: first %+v", metric, first)
		}
		if metric == Maps && (!out.Met || out.Causes[1].Now != "int8") { // boxes of so small maps jump
			t.Errorf("%s: met %v, then %+v", metric, out.Met, out.Causes[1])
		}
	}
}

// The weights that a layer's share is measured with are those of the file, whatever the order in which they are stored: near to the
// original ones, and not the same.
func TestRoundedWeights(t *testing.T) {
	for name, m := range map[string]*format.Model{"localizer": localizer(t, 630), "everything": everything(t, 631)} {
		imgs := images(m.Pre.Width, 3, 632)
		o, _ := Options{Weights: Full, KeepScales: true}.withDefaults()
		p, err := prepare(t.Context(), m, memory(imgs), o)
		if err != nil {
			t.Fatal(err)
		}
		q, rep, err := p.lower(o, mixture{})
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLowerer(p.c, o, mixture{})
		if err != nil {
			t.Fatal(err)
		}
		s := &sharer{c: p.c, o: o, grids: l, narrow: q, ops: rep.ops}
		for i := range p.c.m.Ops {
			for _, k := range weightInputs(&p.c.m.Ops[i]) {
				r, err := s.withRounded(i)
				if err != nil {
					t.Fatal(err)
				}
				want, _ := weightsOf(p.c.m, p.c.m.Ops[i].Inputs[k])
				got, _ := weightsOf(r, r.Ops[i].Inputs[k])
				var d, sum float64
				for j := range want {
					d, sum = d+math.Pow(float64(want[j]-got[j]), 2), sum+math.Pow(float64(want[j]), 2)
				}
				if d > 1e-3*sum || d == 0 {
					t.Errorf("%s: weights of %s differ by %g of %g", name, p.c.m.Ops[i].Name, d, sum)
				}
			}
		}
	}
}

func TestQuantizeToErrors(t *testing.T) {
	m := localizer(t, 1)
	for _, c := range []struct {
		src    Source
		target Target
		want   string
	}{
		{nil, Target{}, "two images"}, {memory(images(32, 1, 1)), Target{}, "two images"},
		{memory(images(32, 4, 1)), Target{MaxLoss: 1}, "no target"}, {memory(images(32, 4, 1)), Target{MaxLoss: math.NaN()}, "no target"},
		{memory(images(32, 4, 1)), Target{Metric: 9}, "no target"}, {failing{memory(images(32, 4, 1))}, Target{}, "no such file"},
	} {
		if _, err := QuantizeTo(t.Context(), m, c.src, Options{}, c.target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one about %q", c.target, err, c.want)
		}
	}
	classifier := everything(t, 2)
	if _, err := QuantizeTo(t.Context(), classifier, memory(images(16, 4, 1)), Options{}, Target{Metric: IoU}); err == nil || !strings.Contains(err.Error(), "no class activation head") {
		t.Errorf("boxes of a network without: %v", err)
	}
	if out, err := QuantizeTo(t.Context(), classifier, memory(images(16, 4, 1)), Options{}, Target{MaxLoss: 0.5}); err != nil || out.HeldOut != 1 {
		t.Errorf("classes of a network without maps: %v", err)
	}
}
