package tflite_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/convert/tflite"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// readNPY reads a little-endian float32 array in C order.
func readNPY(t *testing.T, path string) []float32 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, []byte("\x93NUMPY\x01\x00")) || !bytes.Contains(b[:128], []byte("'descr': '<f4', 'fortran_order': False")) {
		t.Fatalf("%s is not a float32 array", path)
	}
	b = b[10+int(binary.LittleEndian.Uint16(b[8:])):]
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".tflite")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// results runs m on the image and returns its outputs by name.
func results(t *testing.T, m *format.Model) map[string][]float32 {
	t.Helper()
	rm, err := runtime.FromFormat(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rm.NewSession(runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetFloat(0, readNPY(t, "testdata/input.npy")); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for i, o := range m.Outputs {
		v := make([]float32, m.Tensors[o.Tensor].Elements())
		if err := s.OutputFloat(0, i, v); err != nil {
			t.Fatal(err)
		}
		out[o.Name] = v
	}
	return out
}

func kinds(m *format.Model) string {
	count := map[string]int{}
	for i := range m.Ops {
		count[fmt.Sprint(m.Ops[i].Kind)]++
	}
	var out []string
	for k, n := range count {
		out = append(out, fmt.Sprintf("%s:%d", k, n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

var half = onnx.Options{Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}}

// TestFixtures compares with LiteRT's reference kernels (testdata/generate.py). "features" is behind 13 quantized layers, in each of
// which LiteRT's fixed-point multipliers and its own rounding can be a step away; "scores" behind a mean and a classifier that are
// exact here and rounded there.
func TestFixtures(t *testing.T) {
	const net = "add:1 avg_pool:1 cam_head:1 concat:1 conv2d:5 depthwise_conv2d:2 global_avg_pool:1 max_pool:1 mul:1 pad:1 resize:1 unary:2"
	for name, want := range map[string]string{
		"float32": net, "float16": net, "int8": net, "int8_io": net,
		"uint8_io": strings.Replace(net, "conv2d:5 depthwise_conv2d:2 global_avg_pool:1", "conv2d:5 depthwise_conv2d:2 fully_connected:1 global_avg_pool:2", 1),
	} {
		t.Run(name, func(t *testing.T) {
			o := half
			if strings.HasSuffix(name, "_io") {
				o = onnx.Options{} // the file says it
			}
			m, err := tflite.Import("testdata/"+name+".tflite", read(t, name), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Replace(kinds(m), " softmax:1", "", 1); got != want {
				t.Errorf("operators %s, expected %s", got, want)
			}
			if exact := !strings.HasPrefix(name, "float"); m.DeriveExact() != exact {
				t.Errorf("exact is %v", !exact)
			}
			if d := float64(m.Pre.Std[0]) - 0.5; math.Abs(d) > 0.01 || math.Abs(float64(m.Pre.Mean[0])-0.5) > 0.01 {
				t.Errorf("the image is normalised with %v and %v", m.Pre.Mean, m.Pre.Std)
			}
			got := results(t, m)
			for _, out := range []string{"features", "scores"} {
				compare(t, name, out, got[out], readNPY(t, "testdata/"+name+"."+out+".npy"))
			}
		})
	}
}

func compare(t *testing.T, name, out string, got, want []float32) {
	if len(got) != len(want) {
		t.Errorf("%s: %d results, expected %d", out, len(got), len(want))
		return
	}
	limit := 1e-5 * float64(max(slices.Max(want), -slices.Min(want)))
	if !strings.HasPrefix(name, "float") {
		limit = 2.01 * step(want)
	}
	other, worst := 0, 0.0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if worst = max(worst, d); d > limit/3 {
			other++
		}
	}
	t.Logf("%s: at most %.3g of %.3g, %d of %d differ", out, worst, limit, other, len(want))
	if !(worst <= limit) || other > len(want)/8 {
		t.Errorf("%s: %g away, at most %g is expected; %d of %d differ", out, worst, limit, other, len(want))
	}
}

// step is the distance of a rounded tensor's values from each other.
func step(v []float32) float64 {
	s, least := slices.Sorted(slices.Values(v)), math.Inf(1)
	for i := 1; i < len(s); i++ {
		if d := float64(s[i]) - float64(s[i-1]); d > 1e-5*float64(s[len(s)-1]) {
			least = min(least, d)
		}
	}
	return least
}

// TestAsFloat: the float model that a quantized one stands for.
func TestAsFloat(t *testing.T) {
	o := half
	o.Float = true
	m, err := tflite.Import("", read(t, "int8"), o)
	if err != nil {
		t.Fatal(err)
	}
	got, want := results(t, m)["scores"], readNPY(t, "testdata/float32.scores.npy")
	for k := range want {
		if math.Abs(float64(got[k]-want[k])) > 0.05 {
			t.Errorf("score %d is %v, that of the float model %v", k, got[k], want[k])
		}
	}
}

// load imports a file that may be anything: it must not panic, nor allocate more than the limit.
func load(t *testing.T, data []byte) error {
	t.Helper()
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	m, err := tflite.Import("", data, onnx.Options{})
	goruntime.ReadMemStats(&after)
	if limit := 8*uint64(len(data)) + 64<<20; after.TotalAlloc-before.TotalAlloc > limit {
		t.Errorf("a file of %d bytes made the import allocate %d MB (error: %v)", len(data), (after.TotalAlloc-before.TotalAlloc)>>20, err)
	}
	if err == nil {
		if err := format.Validate(m); err != nil {
			t.Errorf("the import made an invalid model: %v", err)
		}
	}
	return err
}

func TestHostile(t *testing.T) {
	data := read(t, "uint8_io")
	for n := 0; n < len(data); n += 13 {
		load(t, data[:n])
		if t.Failed() {
			t.Fatalf("the first %d bytes", n)
		}
	}
	for i := 0; i < len(data); i += 5 {
		flip := []byte{0x01, 0xff, 0x80, 0x10, 0x04}[i%5]
		data[i] ^= flip
		load(t, data)
		data[i] ^= flip
		if t.Failed() {
			t.Fatalf("byte %d", i)
		}
	}
	for what, file := range map[string]string{
		"byte 4": "TFL2", "points outside": "\xff\xff\xff\x7fTFL3", "no graph": "\x10\x00\x00\x00TFL3\x04\x00\x04\x00\x00\x00\x00\x00\x04\x00\x00\x00",
	} {
		if err := load(t, []byte(file)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
}

// TestUnsupported: every operator that is not read is named at once.
func TestUnsupported(t *testing.T) {
	data := slices.Clone(read(t, "int8"))
	// The operators' codes are bytes with their own values in this file: LOGISTIC and HARD_SWISH become something else.
	changed := 0
	for _, code := range []byte{14, 117} {
		for i := range data {
			trial := slices.Clone(data)
			if trial[i] != code {
				continue
			}
			trial[i] = 127
			_, err := tflite.Import("", trial, half)
			var u *onnx.UnsupportedError
			if errors.As(err, &u) && strings.Count(err.Error(), "operator 127 of LiteRT") > changed {
				data, changed = trial, changed+1
				break
			}
		}
	}
	_, err := tflite.Import("", data, half)
	var u *onnx.UnsupportedError
	if !errors.As(err, &u) || changed != 2 || len(u.Nodes) != 2 {
		t.Errorf("%d codes changed: %v", changed, err)
	}
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"int8", "uint8_io", "float16"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := tflite.Import("", data, onnx.Options{}); err == nil {
			if err := format.Validate(m); err != nil {
				t.Errorf("the import made an invalid model: %v", err)
			}
		}
	})
}
