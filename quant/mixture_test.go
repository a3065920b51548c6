package quant

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// distance is the relative error of all outputs together.
func distance(a, b map[string][]float64) float64 {
	var d, s float64
	for k, v := range a {
		for i := range v {
			d, s = d+(v[i]-b[k][i])*(v[i]-b[k][i]), s+v[i]*v[i]
		}
	}
	return math.Sqrt(d / s)
}

// Every mixture runs and gives the same bits with any number of threads; more bits bring the network nearer to the float one,
// and only float layers cost the promise of the same bits on all machines.
func TestMixtures(t *testing.T) {
	for name, m := range map[string]*format.Model{"localizer": localizer(t, 600), "everything": everything(t, 601), "moves": moves(t, 603)} {
		m = simplify(m)
		imgs := images(m.Pre.Width, 5, 602)
		o, _ := Options{Threads: 2}.withDefaults()
		c, err := calibrate(t.Context(), m, memory(imgs[:4]), o)
		if err != nil {
			t.Fatal(err)
		}
		real, _ := outputs(t, m, imgs[4], 1)
		miss := func(what string, mix mixture) float64 {
			q, _, err := lower(c, o, mix)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, what, err)
			}
			exact := true // a softmax is exact in both forms
			for i := range m.Ops {
				exact = exact && (!at(mix.float, i) || m.Ops[i].Kind == format.OpSoftmax)
			}
			if q.DeriveExact() != exact {
				t.Errorf("%s, %s: exact is %v", name, what, !exact)
			}
			got, raw := outputs(t, q, imgs[4], 1)
			_, again := outputs(t, q, imgs[4], 3)
			for k := range raw {
				if !bytes.Equal(raw[k], again[k]) {
					t.Errorf("%s, %s: output %s depends on threads", name, what, k)
				}
			}
			return distance(real, got)
		}
		all := slices.Repeat([]bool{true}, max(len(m.Ops), len(m.Tensors)))
		plain := miss("int8", mixture{})
		wide := miss("int16 activations", mixture{wide: all})
		fine := miss("fine weights", mixture{fine: all})
		both := miss("both", mixture{wide: all, fine: all})
		float := miss("float", mixture{float: all})
		t.Logf("%s: relative error %.5f with int8, %.5f with int16 activations, %.5f with fine weights, %.5f with both, %.6f with half floats", name, plain, wide, fine, both, float)
		if !(wide < 0.9*plain) || name != "moves" && !(both < wide/2) || !(float < 2e-3) {
			t.Errorf("%s: more bits do not help", name)
		}
		for i := range m.Ops {
			one := make([]bool, len(m.Ops))
			one[i] = true
			miss("half floats in "+m.Ops[i].Name, mixture{float: one})
			miss("half floats but for "+m.Ops[i].Name, mixture{float: slices.Concat(all[:i], []bool{false}, all[i+1:])})
			miss("fine weights in "+m.Ops[i].Name, mixture{fine: one})
		}
	}
}
