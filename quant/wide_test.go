package quant

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// With int16 everywhere a network is nearer to the float network than with int8, on images that calibration has not seen, and
// every mixture of both types runs and gives the same bits with any number of threads.
func TestInt16(t *testing.T) {
	for name, m := range map[string]*format.Model{"localizer": localizer(t, 600), "everything": everything(t, 601)} {
		imgs := images(m.Pre.Width, 5, 602)
		real, _ := outputs(t, m, imgs[4], 1)
		miss := func(o Options) float64 {
			q, rep, err := Quantize(t.Context(), m, memory(imgs[:4]), o)
			if err != nil {
				t.Fatalf("%s, int16 %q: %v", name, o.Int16, err)
			}
			wide := 0
			for _, r := range rep.Tensors {
				if r.Type == "i16" {
					wide++
				}
			}
			if (wide > 0) != (len(o.Int16) > 0) {
				t.Errorf("%s, int16 %q: %d tensors are i16", name, o.Int16, wide)
			}
			got, raw := outputs(t, q, imgs[4], 1)
			_, again := outputs(t, q, imgs[4], 3)
			var d, s float64
			for k, v := range real {
				if !bytes.Equal(raw[k], again[k]) {
					t.Errorf("%s, int16 %q: output %s depends on threads", name, o.Int16, k)
				}
				for i := range v {
					d, s = d+(v[i]-got[k][i])*(v[i]-got[k][i]), s+v[i]*v[i]
				}
			}
			return math.Sqrt(d / s)
		}
		narrow, wide := miss(Options{Weights: Full}), miss(Options{Weights: Full, Int16: []string{"*"}})
		t.Logf("%s: relative error %.4f with int8, %.4f with int16", name, narrow, wide)
		if !(wide < 0.8*narrow) {
			t.Errorf("%s: relative error %.4f with int16, %.4f with int8", name, wide, narrow)
		}
		seen := map[string]bool{}
		for i := range m.Ops {
			if op := m.Ops[i].Name; name == "everything" && !seen[op] && m.Ops[i].Kind != format.OpCAMHead && m.Ops[i].Kind != format.OpSoftmax &&
				m.Ops[i].Kind != format.OpNormalize && m.Ops[i].Attr.Func != format.FuncPReLU {
				seen[op] = true
				q, _, err := Quantize(t.Context(), m, memory(imgs[:1]), Options{Int16: []string{op}, Weights: Full, KeepScales: true})
				if err != nil && strings.Contains(err.Error(), "of the int16 patterns") {
					continue // simplification moved it away
				}
				if err != nil {
					t.Fatalf("%s, int16 %q: %v", name, op, err)
				}
				outputs(t, q, imgs[4], 2)
			}
		}
	}
}
