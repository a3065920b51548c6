package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// layerErrors returns the power of the error of every linear layer's results, each fed by the float network, with the weights of
// the quantized model q: by the naive evaluator of this package's tests, before any clamp.
func layerErrors(t *testing.T, p *prepared, o Options, q *format.Model, imgs [][]float64) map[string]float64 {
	t.Helper()
	l, err := newLowerer(p.c, o, mixture{})
	if err != nil {
		t.Fatal(err)
	}
	s := &sharer{c: p.c, o: o, grids: l, narrow: q}
	for i := range q.Ops {
		s.ops = append(s.ops, i)
	}
	errs := map[string]float64{}
	for i := range p.c.m.Ops {
		if len(weightInputs(&p.c.m.Ops[i])) != 1 {
			continue
		}
		m, err := s.withRounded(i)
		if err != nil {
			t.Fatal(err)
		}
		free := func(m *format.Model) *format.Model {
			out := *m
			out.Ops = slices.Clone(m.Ops)
			a := &out.Ops[i].Attr
			a.ClampLo, a.ClampHi = float32(math.Inf(-1)), float32(math.Inf(1))
			return &out
		}
		for _, x := range imgs {
			want, got := runFloat(free(p.c.m), x).v[p.c.m.Ops[i].Outputs[0]], runFloat(free(m), x).v[m.Ops[i].Outputs[0]]
			for k := range want {
				errs[p.c.m.Ops[i].Name] += (want[k] - got[k]) * (want[k] - got[k])
			}
		}
	}
	return errs
}

// TestRoundByData: every layer's results come nearer to the float network's on the images that decided, and on others on the whole;
// pairs stay safe; threads do not matter.
func TestRoundByData(t *testing.T) {
	for _, mode := range []WeightMode{PairSafe, Full} {
		name, m := "localizer", localizer(t, 640)
		if mode == Full {
			name, m = "everything", everything(t, 641)
		}
		imgs, others := images(m.Pre.Width, 3, 643), images(m.Pre.Width, 1, 700)
		quantized := func(seconds float64, threads int) (*prepared, Options, *format.Model, *Report) {
			o, err := Options{Weights: mode, RoundSeconds: seconds, Threads: threads}.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			p, err := prepare(t.Context(), m, memory(imgs), o)
			if err != nil {
				t.Fatal(err)
			}
			q, rep, err := p.lower(o, mixture{})
			if err != nil {
				t.Fatal(err)
			}
			return p, o, q, rep
		}
		p, o, nearest, _ := quantized(0, 1)
		_, _, rounded, rep := quantized(10, 1)
		before, after := layerErrors(t, p, o, nearest, imgs), layerErrors(t, p, o, rounded, imgs)
		var sum float64
		for layer, e := range before {
			// The bias makes up for the mean of a layer's input, in which padding has no part: there it may be off by a little.
			if !(after[layer] <= 1.01*e) {
				t.Errorf("%s, %v: error of %s grew from %g to %g", name, mode, layer, e, after[layer])
			}
			sum += 10 * math.Log10(e/after[layer]) / float64(len(before))
		}
		unseen, unseenAfter := layerErrors(t, p, o, nearest, others), layerErrors(t, p, o, rounded, others)
		var gain float64
		for layer, e := range unseen {
			gain += 10 * math.Log10(e/unseenAfter[layer]) / float64(len(unseen))
		}
		t.Logf("%s, %v: %.2f dB less error a layer on the images that decided, %.2f dB on others", name, mode, sum, gain)
		if !(sum > 1) || !(gain > 0.5) {
			t.Errorf("%s, %v: rounding by data gained %.2f dB, on other images %.2f dB", name, mode, sum, gain)
		}
		if !slices.ContainsFunc(rep.Layers, func(l LayerReport) bool { return l.RoundingGain > 1 }) {
			t.Errorf("%s: no gain is reported", name)
		}
		if mode == PairSafe {
			checkPairs(t, rounded)
		}
		if _, _, again, _ := quantized(10, 3); !bytes.Equal(encoded(t, rounded), encoded(t, again)) {
			t.Errorf("%s: another number of threads gives another file", name)
		}
	}
}

// checkPairs demands that input channels 2j and 2j+1 of a tap are safe together wherever that is a rule.
func checkPairs(t *testing.T, q *format.Model) {
	t.Helper()
	for i := range q.Ops {
		op := &q.Ops[i]
		switch op.Kind {
		case format.OpConv2D, format.OpFullyConnected, format.OpCAMHead:
			w := &q.Tensors[op.Inputs[1]]
			run := pad4(w.Shape[3])
			for k := 0; k < len(w.Data); k += 2 {
				if a, b := int(int8(w.Data[k])), int(int8(w.Data[k+1])); k%run < run-1 && (max(a, 0)+max(b, 0) > 128 || min(a, 0)+min(b, 0) < -128) {
					t.Errorf("%s: weights %d and %d are a pair", op.Name, a, b)
				}
			}
		}
	}
}

// Whatever the covariance, steps never raise the error, which is what its definition says, and no weight leaves its two integers.
func TestDescent(t *testing.T) {
	rng := rand.New(rand.NewPCG(650, 1))
	for n := range 60 {
		k := 2 + rng.IntN(10)
		samples := make([][]float64, 1+rng.IntN(3*k))
		h := make([]float32, k*k)
		for s := range samples {
			common := rng.NormFloat64()
			for range k {
				samples[s] = append(samples[s], common+0.5*rng.NormFloat64())
			}
			for i, a := range samples[s] {
				for j, b := range samples[s] {
					h[i*k+j] += float32(a * b)
				}
			}
		}
		var pairs *pairing
		if n%2 == 0 {
			pairs = pairingOf(1, k)
		}
		w := make([]float64, k)
		for i := range w {
			w[i] = rng.NormFloat64()
		}
		c := channel{l: &layer{}, full: newRounder(k, nil), w: w, other: make([]int8, k)}
		if pairs != nil {
			c.safe = newRounder(k, pairs)
		}
		best := c.search()
		first := chosen{q: slices.Clone(best.q), scale: best.scale}
		newDescent(&gram{k: k, groups: 1, h: h}, pairs).improve(&best, w, nil, 0, k, 0)
		power := func(c chosen) (e float64) {
			for _, x := range samples {
				d := 0.0
				for i, v := range c.q {
					d += (float64(c.scale)*float64(v) - w[i]) * x[i]
				}
				e += d * d
			}
			return e
		}
		if a, b := power(first), power(best); b > a*(1+1e-4)+1e-9 || math.Abs(a-best.stats.before) > 1e-3*a+1e-9 || math.Abs(b-best.stats.after) > 1e-3*a+1e-9 {
			t.Errorf("%d weights: error %g becomes %g, it says %g and %g", k, a, b, best.stats.before, best.stats.after)
		}
		if pairs.violated(best.q) {
			t.Errorf("pairs of %v are not safe", best.q)
		}
	}
}
