package onnx_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
)

// TestQuantizedMixer compares a network of channel shuffles, slices, PReLU, a layer normalisation and a GELU in parts with ONNX
// Runtime. "joined" has what both compute alike: there, only ties can fall to the other side. Behind it, normalisation and GELU round
// once here and some eight times there, so that results are at least as close to those of the network without rounding.
func TestQuantizedMixer(t *testing.T) {
	for _, name := range []string{"mixer_qdq_u8s8", "mixer_qdq_s8s8", "mixer_qop_u8s8"} {
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
			if qop := strings.Contains(name, "qop"); qop != (len(notes) == 1) || qop && !strings.Contains(notes[0], "no QuantizeLinear follows it") {
				t.Errorf("notes %q", notes)
			}
			exact := results(t, importFile(t, base+".onnx", onnx.Options{Float: true}), readNPY(t, "testdata/input.npy"))
			if !strings.Contains(kinds(m), "normalize:1") || !m.DeriveExact() {
				t.Errorf("operators %s, exact: %v", kinds(m), m.DeriveExact())
			}
			for out, got := range results(t, m, readNPY(t, "testdata/input.npy")) {
				want := readNPY(t, base+"."+out+".npy")
				step, other, worst := stepOf(want), 0, 0.0
				var here, there float64
				for i, x := range exact[out] {
					here += math.Pow(float64(got[i]-x), 2)
					there += math.Pow(float64(want[i]-x), 2)
					d := math.Abs(float64(got[i])-float64(want[i])) / step
					worst = max(worst, d)
					if d > 0.5 {
						other++
					}
				}
				t.Logf("%s: at most %.2f steps of %.3g from ONNX Runtime, %d of %d differ; squared error %.4g, ONNX Runtime's %.4g", out, worst, step, other, len(want), here, there)
				if out == "joined" && (worst > 1.01 || other > len(want)/50) || here > 1.2*there || worst > 6 {
					t.Errorf("%s: %.2f steps, %d of %d differ, squared error %v and %v", out, worst, other, len(want), here, there)
				}
			}
		})
	}
}
