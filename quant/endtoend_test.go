package quant

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// memory is a Source over NHWC images.
type memory [][]float64

func (s memory) Len() int                    { return len(s) }
func (s memory) At(i int) ([]float32, error) { return planes(s[i]), nil }

// planes turns H,W,3 into 3,H,W.
func planes(x []float64) []float32 {
	var out []float32
	for _, v := range transpose(x, len(x)/3, 3) {
		out = append(out, float32(v))
	}
	return out
}

// outputs runs a model in package runtime.
func outputs(t *testing.T, m *format.Model, x []float64, threads int) (real map[string][]float64, raw map[string][]byte) {
	t.Helper()
	rm, err := runtime.FromFormat(m)
	if err != nil {
		t.Fatal(err)
	}
	defer rm.Close()
	s, err := rm.NewSession(runtime.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetFloat(0, planes(x)); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	real, raw = map[string][]float64{}, map[string][]byte{}
	for i, o := range s.Outputs() {
		n := 1
		for _, d := range o.Shape {
			n *= d
		}
		f := make([]float32, n)
		if err := s.OutputFloat(0, i, f); err != nil {
			t.Fatal(err)
		}
		for _, v := range f {
			real[o.Name] = append(real[o.Name], float64(v))
		}
		raw[o.Name] = s.AppendRaw(nil, 0, i)
	}
	return real, raw
}

// TestQuantize goes the whole way in package runtime: class maps of the int8 network must correlate with those of the
// float network on images that were not used to calibrate, and the class agree where the margin allows it.
func TestQuantize(t *testing.T) {
	var options []Options
	for m := range methodNames {
		options = append(options, Options{Range: Range{Method: Method(m)}})
	}
	for _, o := range append(options, Options{Weights: Full}) {
		for seed := range uint64(3) {
			m := localizer(t, 100+seed)
			var done []int
			o.Progress = func(i, n int) { done = append(done, i, n) }
			q, rep, err := Quantize(t.Context(), m, memory(images(32, 4, 1000*seed)), o)
			if err != nil {
				t.Fatal(err)
			}
			// Two passes: the first one finds the ranges of channels.
			if !slices.Equal(done, []int{1, 8, 2, 8, 3, 8, 4, 8, 5, 8, 6, 8, 7, 8, 8, 8}) || rep.Images != 4 {
				t.Errorf("progress %v, %d images", done, rep.Images)
			}
			want := map[Method]float64{Entropy: 0.9, Average: 0.97}[o.Range.Method] // they clip, which random networks do not reward
			if want == 0 {
				want = 0.99
			}
			for _, x := range images(32, 3, 1000*seed+500) {
				f, _ := outputs(t, m, x, 1)
				i, _ := outputs(t, q, x, 2)
				if c := correlation(f["maps"], i["maps"]); c < want {
					t.Errorf("%+v, seed %d: maps correlate %.4f", o, seed, c)
				}
				worst := 0.0
				for k := range f["logits"] {
					worst = max(worst, math.Abs(f["logits"][k]-i["logits"][k]))
				}
				order := slices.Sorted(slices.Values(f["logits"]))
				if order[9]-order[8] > 3*worst && argmax(f["logits"]) != argmax(i["logits"]) {
					t.Errorf("%+v, seed %d: class %d became %d", o, seed, argmax(f["logits"]), argmax(i["logits"]))
				}
			}
		}
	}
}

func argmax(v []float64) int {
	best := 0
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return best
}

// TestRuntimeAgrees compares package runtime with the naive evaluator of this package's tests: the same bits.
func TestRuntimeAgrees(t *testing.T) {
	for name, m := range map[string]*format.Model{"localizer": localizer(t, 200), "everything": everything(t, 201), "moves": moves(t, 202)} {
		imgs := images(m.Pre.Width, 3, 300)
		q, _, err := Quantize(t.Context(), m, memory(imgs[:2]), Options{})
		if err != nil {
			t.Fatal(err)
		}
		naive := runInt8(q, imgs[2])
		got, raw := outputs(t, q, imgs[2], 2)
		for _, o := range q.Outputs {
			y := &q.Tensors[o.Tensor]
			if y.DType == format.F32 {
				for k, v := range naive.f[o.Tensor] {
					if math.Abs(float64(v)-got[o.Name][k]) > 1e-6 {
						t.Errorf("%s, %s: element %d is %v, want %v", name, o.Name, k, got[o.Name][k], v)
					}
				}
				continue
			}
			want := naive.v[o.Tensor]
			if !o.Flat {
				want = transpose(want, y.Shape[1]*y.Shape[2], y.Shape[3])
			}
			size := len(raw[o.Name]) / len(want)
			for k, v := range want {
				for b, have := range raw[o.Name][k*size : (k+1)*size] {
					if have != byte(v>>(8*b)) {
						t.Fatalf("%s, %s: element %d is % x, want %d", name, o.Name, k, raw[o.Name][k*size:(k+1)*size], v)
					}
				}
			}
		}
	}
}

// TestCalibration checks that the session shows every activation: the ranges are those of the naive evaluator.
func TestCalibration(t *testing.T) {
	m := simplify(everything(t, 12))
	imgs := images(16, 2, 40)
	o, _ := Options{Threads: 2}.withDefaults()
	got, err := calibrate(t.Context(), m, memory(imgs), o)
	if err != nil {
		t.Fatal(err)
	}
	want := calibrated(t, m, imgs)
	near := func(name string, a, b *observer) {
		tolerance := 1e-4 * (1 + math.Abs(float64(b.min)) + math.Abs(float64(b.max)))
		if a.count != b.count || math.Abs(float64(a.min-b.min)) > tolerance || math.Abs(float64(a.max-b.max)) > tolerance {
			t.Errorf("%s: %d values %v..%v, want %d of %v..%v", name, a.count, a.min, a.max, b.count, b.min, b.max)
		}
	}
	for i := range m.Tensors {
		near(m.Tensors[i].Name, &got.tensors[i], &want.tensors[i])
	}
	for i, v := range want.views {
		r := runFloat(m, imgs[0])
		x := r.v[m.Ops[i].Inputs[0]]
		sum := 0.0
		for k := 0; k < len(x); k += v.c {
			sum += x[k]
		}
		if mean := sum / float64(v.h*v.w); float64(v.inner[viewC].min) > mean+1e-5 || float64(v.inner[viewC].max) < mean-1e-5 {
			t.Errorf("channel 0 has mean %v, the view was seen within %v..%v", mean, v.inner[viewC].min, v.inner[viewC].max)
		}
		for k := range v.inner {
			near(innerNames[k], &got.views[i].inner[k], &v.inner[k])
		}
	}
	again, err := calibrate(t.Context(), m, memory{imgs[1], imgs[0]}, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.tensors {
		// The moving averages are means here, rounded in the images' order.
		a, b := &got.tensors[i], &again.tensors[i]
		if math.Abs(a.meanHi-b.meanHi)+math.Abs(a.meanLo-b.meanLo) > 1e-12*(a.meanHi-a.meanLo) {
			t.Errorf("%s: averages %v..%v and %v..%v", m.Tensors[i].Name, a.meanLo, a.meanHi, b.meanLo, b.meanHi)
		}
		a.meanLo, a.meanHi = b.meanLo, b.meanHi
		if !reflect.DeepEqual(got.tensors[i], again.tensors[i]) {
			t.Errorf("%s: the order of the images, or the number of threads, matters", m.Tensors[i].Name)
		}
	}
}

type failing struct{ memory }

func (failing) At(int) ([]float32, error) { return nil, errors.New("no such file") }

func TestQuantizeErrors(t *testing.T) {
	m := localizer(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		src  Source
		want string
	}{
		{t.Context(), nil, "no calibration images"},
		{t.Context(), memory{}, "no calibration images"},
		{t.Context(), failing{memory(images(32, 1, 1))}, "calibration image 0: no such file"},
		{t.Context(), memory(images(16, 1, 1)), "calibration image 0"},
		{ctx, memory(images(32, 1, 1)), "canceled"},
	} {
		if _, _, err := Quantize(c.ctx, m, c.src, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one about %q", err, c.want)
		}
	}
}
