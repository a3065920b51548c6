package onnx_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// results runs m on an image and returns its outputs by name.
func results(t *testing.T, m *format.Model, image []float32) map[string][]float32 {
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
	if err := s.SetFloat(0, image); err != nil {
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

// stepOf is the distance of a rounded tensor's values from each other.
func stepOf(v []float32) float64 {
	s := slices.Sorted(slices.Values(v))
	step := math.Inf(1)
	for i := 1; i < len(s); i++ {
		if d := float64(s[i]) - float64(s[i-1]); d > 1e-6*math.Abs(float64(s[len(s)-1])) {
			step = min(step, d)
		}
	}
	return step
}

// TestQuantizedFixtures compares the integers of networks that ONNX Runtime quantized with its own results
// (testdata/quantized/generate.py). Twelve layers in front of "excited" each round as there: only ties and the last bit of a
// product can fall to the other side. Attention, logits and maps are more exact here than there, where each of the operators that
// they are made of rounds to 8 bits.
func TestQuantizedFixtures(t *testing.T) {
	const net = "avg_pool:1 cam_head:1 concat:1 conv2d:4 depthwise_conv2d:1 global_avg_pool:1 max_pool:1 mul:1 rfga:1"
	for name, want := range map[string]string{
		"localizer_qdq_u8s8":       "add:1 " + net + " unary:2",
		"localizer_qdq_u8s7":       "add:1 " + net + " unary:2",
		"localizer_qdq_s8s8":       "add:1 " + net + " unary:5",
		"localizer_qdq_tensor":     "add:1 " + net + " unary:2",
		"localizer_qdq_asymmetric": "add:1 " + net + " unary:2",
		"localizer_qop_u8s8":       "add:1 " + net + " unary:2",
		"localizer_qop_s8s8":       "add:1 " + net + " unary:2",
	} {
		t.Run(name, func(t *testing.T) {
			base := "testdata/quantized/" + name
			var notes []string
			data, err := os.ReadFile(base + ".onnx")
			if err != nil {
				t.Fatal(err)
			}
			m, err := onnx.Import(base+".onnx", data, onnx.Options{Note: func(s string) { notes = append(notes, s) }})
			if err != nil {
				t.Fatal(err)
			}
			if got := kinds(m); got != want {
				t.Errorf("operators %s, expected %s", got, want)
			}
			if !m.DeriveExact() {
				t.Error("the model is not exact")
			}
			if asymmetric := name == "localizer_qdq_asymmetric"; asymmetric != (len(notes) > 0) {
				t.Errorf("notes %q", notes)
			}
			for out, got := range results(t, m, readNPY(t, "testdata/input.npy")) {
				want := readNPY(t, base+"."+out+".npy")
				step, other, worst := stepOf(want), 0, 0.0
				for i := range want {
					d := math.Abs(float64(got[i])-float64(want[i])) / step
					worst = max(worst, d)
					if d > 0.5 {
						other++
					}
				}
				t.Logf("%s: at most %.2f steps of %.3g from ONNX Runtime, %d of %d differ", out, worst, step, other, len(want))
				limit, others := 3., len(want)
				if out == "excited" {
					limit, others = 1.01, len(want)/50
				}
				if name == "localizer_qdq_asymmetric" { // its weights were rounded anew
					limit, others = 5, len(want)
				}
				if worst > limit || other > others {
					t.Errorf("%s: %.2f steps, and %d of %d differ", out, worst, other, len(want))
				}
			}
		})
	}
}

// TestQuantizedClassifier: behind a softmax the logits are added, so that the network can localize.
func TestQuantizedClassifier(t *testing.T) {
	for _, name := range []string{"classifier_qdq_u8s8", "classifier_qop_u8s8"} {
		base := "testdata/quantized/" + name
		m := importFile(t, base+".onnx", onnx.Options{})
		out := results(t, m, readNPY(t, "testdata/input.npy"))
		want, sum := readNPY(t, base+".probabilities.npy"), 0.0
		for _, l := range out["logits"] {
			sum += math.Exp(float64(l))
		}
		for k, p := range out["probabilities"] {
			if math.Abs(float64(p-want[k])) > 1./256 {
				t.Errorf("%s: probability %d is %v, ONNX Runtime's %v", name, k, p, want[k])
			}
			if q := math.Exp(float64(out["logits"][k])) / sum; math.Abs(q-float64(want[k])) > 2./256 {
				t.Errorf("%s: the logits give probability %d as %v, ONNX Runtime has %v", name, k, q, want[k])
			}
		}
	}
}

// TestQuantizationAware takes what training with quantization exports: float weights behind QuantizeLinear and Clip.
func TestQuantizationAware(t *testing.T) {
	const base = "testdata/quantized/qat"
	m := importFile(t, base+".onnx", onnx.Options{})
	if got, want := kinds(m), "add:1 cam_head:1 conv2d:1 depthwise_conv2d:1"; got != want {
		t.Errorf("operators %s, expected %s", got, want)
	}
	got, want := results(t, m, readNPY(t, "testdata/input.npy"))["logits"], readNPY(t, base+".logits.npy")
	for k := range want {
		if d := math.Abs(float64(got[k] - want[k])); d > 0.02 { // the mean, which is not rounded here, has steps of 3/255 there
			t.Errorf("logit %d is %v, ONNX Runtime's %v", k, got[k], want[k])
		}
	}
}

// TestQuantizedAsFloat: without rounding, a quantized network is a float one with nearly the same results.
func TestQuantizedAsFloat(t *testing.T) {
	for _, name := range []string{"localizer_qdq_u8s8", "localizer_qop_s8s8"} {
		base := "testdata/quantized/" + name
		m := importFile(t, base+".onnx", onnx.Options{Float: true})
		for i := range m.Tensors {
			if m.Tensors[i].DType != format.F32 {
				t.Fatalf("%s: tensor %q is of %v", name, m.Tensors[i].Name, m.Tensors[i].DType)
			}
		}
		for out, got := range results(t, m, readNPY(t, "testdata/input.npy")) {
			want := readNPY(t, base+"."+out+".npy")
			var dot, a, b float64
			for i := range want {
				dot, a, b = dot+float64(got[i]*want[i]), a+float64(got[i]*got[i]), b+float64(want[i]*want[i])
			}
			if cos := dot / math.Sqrt(a*b); cos < 0.999 {
				t.Errorf("%s, %s: cosine %v", name, out, cos)
			}
		}
	}
}

// TestQuantizedHostile cuts and changes a file everywhere.
func TestQuantizedHostile(t *testing.T) {
	for name, step := range map[string]int{"qat": 1, "classifier_qop_u8s8": 1, "mixer_qop_u8s8": 3} {
		data, err := os.ReadFile(filepath.Join("testdata/quantized", name+".onnx"))
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(data); n += 5 {
			// Behind the graph stand operator sets of no use here.
			if _, err := onnx.Import("", data[:n], onnx.Options{}); err == nil && n < len(data)-300 {
				t.Fatalf("the first %d of %d bytes are accepted", n, len(data))
			}
		}
		for i := 0; i < len(data); i += step {
			flip := byte(0x01) << (i % 8)
			data[i] ^= flip
			load(t, data)
			data[i] ^= flip
			if t.Failed() {
				t.Fatalf("%s, byte %d", name, i)
			}
		}
	}
}

// TestQuantizedRefusals: what does not fit is named, all of it at once.
func TestQuantizedRefusals(t *testing.T) {
	scale, zero := floats("s", []float32{0.02}), msg{}.int(2, 3).str(8, "z").bytes(9, []byte{0})
	weight := floats("w", make([]float32, 81), 3, 3, 3, 3)
	for want, m := range map[string]msg{
		"before that is quantized": model([]msg{node("QuantizeLinear: x s z -> a"), node("DequantizeLinear: a s z -> b"),
			node("Conv: b w -> c"), node("Sigmoid: c -> e"), node("Mul: c e -> f"), node("QuantizeLinear: f s z -> g"), node("DequantizeLinear: g s z -> h"),
			node("Conv: c w -> y")}, scale, zero, weight),
		"are missing behind it": model([]msg{node("QuantizeLinear: x s z -> a"), node("DequantizeLinear: a s z -> b"),
			node("Conv: b w -> y")}, scale, zero, weight),
		"int16": model([]msg{node("QuantizeLinear: x s z -> a"), node("DequantizeLinear: a s z -> y")},
			scale, msg{}.int(2, 5).str(8, "z").bytes(9, []byte{0, 0})),
		"blocks": model([]msg{node("QuantizeLinear: x s z -> a", msg{}.str(1, "block_size").int(20, 2).int(3, 32)),
			node("DequantizeLinear: a s z -> y")}, scale, zero),
		"must be positive": model([]msg{node("QuantizeLinear: x s z -> a"), node("DequantizeLinear: a s z -> y")},
			floats("s", []float32{-1}), zero),
		"that were made with": model([]msg{node("QuantizeLinear: x s z -> a"), node("DequantizeLinear: a r z -> y")},
			scale, zero, floats("r", []float32{0.03})),
		"not the result of a quantization": model([]msg{node("DequantizeLinear: x s z -> y")}, scale, zero),
		"while the network runs":           model([]msg{node("DynamicQuantizeLinear: x -> a b c"), node("DequantizeLinear: a b c -> y")}),
		"integers is not supported": model([]msg{node("QuantizeLinear: x s z -> a"), node("Cast: a -> y", msg{}.str(1, "to").int(20, 2).int(3, 1))},
			scale, zero),
	} {
		if _, err := load(t, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v", want, err)
		}
	}
}
