package main

import (
	"image"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// bench is one verb in three forms; the oldest has no word of its own.
func TestBenchForms(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	for _, line := range []string{
		"bench --json --seconds 0.001 " + model, "bench " + model + " --json --seconds 0.001 --threads 2 --layers",
		"bench model --json --seconds 0.001 --batch 2 " + model,
	} {
		out, _ := expect(t, exitOK, strings.Fields(line)...)
		var r benchResult
		decode(t, out, &r)
		// The kernel counts a process's age in ticks of 10 ms, so a quick one may be 0 old.
		if len(r.Times) < minRuns || r.P50 <= 0 || r.Cold < 0 || r.PeakRSS < 1 || strings.Contains(line, "layers") != (r.Layers != nil) {
			t.Errorf("%s: %s", line, out)
		}
	}
	for _, line := range []string{
		"bench " + model + " " + model, "bench --input x.npy " + model, "bench --compare int4 " + model, "bench --compare int8 --batch 2 " + model,
		"bench --compare int8", "bench kernels --op paint", "bench kernels --seconds 0", "bench kernels " + model,
	} {
		expect(t, exitUsage, strings.Fields(line)...)
	}
	for _, verb := range []string{"bench model", "bench kernels"} {
		if out, _ := expect(t, exitOK, strings.Fields(verb+" --help")...); !strings.Contains(out, "Usage: rfga-edge "+verb) {
			t.Errorf("help of %q:\n%s", verb, out)
		}
	}
}

func TestBenchKernels(t *testing.T) {
	model := colours(t, t.TempDir())
	out, _ := expect(t, exitOK, "bench", "kernels", "-m", model, "--seconds", "1e-6", "--json")
	var r kernelsResult
	decode(t, out, &r)
	type shape struct {
		op      string
		m, k, n int
	}
	picks := map[shape]int{}
	for _, k := range r.Kernels {
		s := shape{k.Op, k.M, k.K, k.N}
		picks[s] += 0
		if k.Pick {
			picks[s]++
		}
		if k.Rate < 0 || k.Peak != "" && r.Peaks[k.Peak] <= 0 {
			t.Errorf("%+v", k)
		}
	}
	if _, ok := picks[shape{"gemm", 48 * 64, 3, 3}]; !ok {
		t.Errorf("the convolution's shape is missing: %v", picks)
	}
	for s, n := range picks {
		if n == 0 && s.op != "gemmf32" && s.op != "flip" && s.op != "widen" { // a model may run these otherwise
			t.Errorf("%v: no kernel is marked as chosen", s)
		}
	}
	out, _ = expect(t, exitOK, "bench", "kernels", "--op", "gemm,max", "-m", model, "--seconds", "1e-6")
	if !strings.Contains(out, "gemm 3072x3x3") || strings.Contains(out, "requant") || !strings.Contains(out, "* ") {
		t.Errorf("%s", out)
	}
}

// Every shape that is listed for some model or other is of a known operation.
func TestClassicLayers(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range classicLayers() {
		seen[l.op] = true
		if l.shape.M < 1 || l.shape.K < 1 || l.shape.N < 1 || l.layers != 0 {
			t.Errorf("%+v", l)
		}
	}
	for _, op := range kernels.BenchOps {
		if !seen[op] {
			t.Errorf("no classic layer has %s", op)
		}
	}
}

func TestBenchCompare(t *testing.T) {
	dir := t.TempDir()
	m := colours(t, dir)
	img := photo(t, filepath.Join(dir, "photos", "a.png"), image.Rect(20, 20, 60, 60), red)
	x := array(t, filepath.Join(dir, "x.npy"), []int{2, 3, 48, 64}, func(i int) float32 { return float32(math.Sin(float64(i))) })
	expect(t, exitUsage, "bench", m, "--compare", "int8,fp32") // there is no int8 model

	compare := func(args ...string) compareResult {
		t.Helper()
		out, _ := expect(t, exitOK, append([]string{"bench", m, "--seconds", "0.01", "--json"}, args...)...)
		var r compareResult
		decode(t, out, &r)
		var got []string
		for _, f := range r.Forms {
			got = append(got, f.Precision)
			if f.P50 <= 0 || len(f.Times) == 0 || (f.Precision == "fp32") != (f.Top1 == nil) {
				t.Errorf("%+v", f)
			}
			if f.Precision != "fp32" && (*f.Top1 < 0.5 || *f.Logits < 0.99 || *f.Maps < 0.98) {
				t.Errorf("%s: top-1 %v, correlations %v and %v", f.Precision, *f.Top1, *f.Logits, *f.Maps)
			}
		}
		if !slices.Contains(got, r.Fastest) {
			t.Errorf("fastest of %v is %s", got, r.Fastest)
		}
		r.Model = strings.Join(got, ",")
		return r
	}
	if r := compare("--compare", "fp16,fp32"); r.Model != "fp16,fp32" || r.Images != compareImages || r.Forms[0].File != "" {
		t.Errorf("%+v", r)
	}
	if r := compare("--compare", "fp16", "--input", x); r.Model != "fp16" || r.Images != 2 {
		t.Errorf("%+v", r)
	}
	if r := compare("--compare", "fp16", "--input", filepath.Dir(img)); r.Images != 1 {
		t.Errorf("%+v", r)
	}
	expect(t, exitInput, "bench", m, "--compare", "fp16", "--input", m)
	expect(t, exitUsage, "bench", m, m, "--compare", "fp16")

	// Another network's model beside this one is refused.
	b := build.New("mean", "test", 4, 4, [3]float32{}, [3]float32{1, 1, 1})
	b.Output("y", b.GlobalAvgPool("mean", b.Input()), true)
	other, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := format.WriteFile(beside(m, "fp16"), other); err != nil {
		t.Fatal(err)
	}
	expect(t, exitUsage, "bench", m, "--compare", "fp16") // both are fp32
}

func TestBeside(t *testing.T) {
	for path, want := range map[string]string{"a/m.rfga": "a/m.int8.rfga", "m.fp32.rfga": "m.int8.rfga", "v1.2/m": "v1.2/m.int8.rfga"} {
		if got := beside(path, "int8"); got != want {
			t.Errorf("beside %s: %s, want %s", path, got, want)
		}
	}
}

func TestCorrelation(t *testing.T) {
	var c correlation
	if c.value() != nil {
		t.Error("of nothing")
	}
	c.add([]float32{1, 2, 3}, []float32{-2, -4, -6})
	if v := c.value(); v == nil || *v != -1 {
		t.Errorf("%v", v)
	}
	var flat correlation
	if flat.add([]float32{1, 1}, []float32{1, 2}); flat.value() != nil {
		t.Error("of a constant")
	}
}
