package build_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

var free = [2]float64{math.Inf(-1), math.Inf(1)}

// pointwise is the 1x1 convolution of w on an image whose grid has a scale of 1/4, to a result with a scale of 1/2.
func pointwise(t *testing.T, w build.Weights) (q []int8, scale, mult float32, bias int32, notes []string) {
	t.Helper()
	b := build.NewQuantized("net", "test", 4, 4, mean, std, build.Grid{Scale: 0.25, Zero: 3})
	y := b.Conv("c", b.Input(), w, [4]int{1, 3, 1, 1}, build.Win{}, 1, free[0], free[1], build.Grid{Scale: 0.5, Zero: -7})
	b.Output("y", y, false)
	m, notes, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	in := m.Ops[0].Inputs
	for _, v := range m.Tensors[in[1]].Data[:3] {
		q = append(q, int8(v))
	}
	number := func(i int) uint32 { return binary.LittleEndian.Uint32(m.Tensors[in[i]].Data) }
	return q, m.Tensors[in[1]].Scale[0], math.Float32frombits(number(3)), int32(number(2)), notes
}

func TestQuantizedWeights(t *testing.T) {
	for _, c := range []struct {
		name  string
		w     []float32
		scale float64
		bias  float64
		q     []int8
		// The scale that is stored, and the integer bias.
		stored  float64
		integer int32
		note    string
	}{
		{"as they are", []float32{127, -127, 5}, 0.125, 0.125 * 0.25 * 17, []int8{127, -127, 5}, 0.125, 17, ""},
		{"a negative scale", []float32{127, -127, 5}, -0.125, 0.125 * 0.25 * 17, []int8{-127, 127, -5}, 0.125, 17, ""},
		{"-128", []float32{-128, 127, 5}, 0.125, 0, []int8{-127, 127, 5}, 0.125, 0, "1 weights of -128"},
		{"128 of a negative scale", []float32{-128, 100, 5}, -0.125, 0, []int8{127, -99, -5}, 0.125 * 128 / 127, 0, "rounded anew"},
		{"asymmetric", []float32{254, -100, 5}, 0.125, 0, []int8{127, -50, 2}, 0.25, 0, "asymmetric"},
		{"real", []float32{0.5, -0.25, 0}, 1, 0, []int8{127, -64, 0}, 0.5 / 127, 0, "not quantized"},
		{"a scale and a shift", []float32{0, 1, 0}, 0.5, 0.0321, []int8{0, 127, 0}, 0.5 / 127, 33, ""},
		{"nothing but a bias", []float32{0, 0, 0}, 1, 2, []int8{0, 0, 0}, 0.5 / 65536 / 0.25, 2 * 2 * 65536, ""},
		{"a bias too large", []float32{1, 2, 3}, 0x1p-30, 10, []int8{0, 0, 0}, 0, 0, "32 bits"},
	} {
		q, scale, mult, bias, notes := pointwise(t, build.Weights{W: c.w, Scale: []float64{c.scale}, Bias: []float64{c.bias}})
		if c.stored == 0 { // whatever it became, its bias is right and its sums fit
			if got := float64(bias) * 0.25 * float64(scale); math.Abs(got-c.bias) > 1e-6 || math.Abs(float64(bias)) > math.MaxInt32-255*381 {
				t.Errorf("%s: bias %d of %v is %v", c.name, bias, scale, got)
			}
		} else if !slices.Equal(q, c.q) || scale != float32(c.stored) || bias != c.integer {
			t.Errorf("%s: weights %v, scale %v, bias %d; expected %v, %v, %d", c.name, q, scale, bias, c.q, float32(c.stored), c.integer)
		}
		if want := float32(0.25 * float64(scale) / 0.5); mult != want {
			t.Errorf("%s: multiplier %v, expected %v", c.name, mult, want)
		}
		if all := strings.Join(notes, "\n"); (c.note == "") != (all == "") || !strings.Contains(all, c.note) {
			t.Errorf("%s: notes %q, expected %q", c.name, all, c.note)
		}
	}
}

func TestQuantizedRefusals(t *testing.T) {
	g := build.Grid{Scale: 0.5}
	nan := math.NaN()
	ones := func(n int) build.Weights { return build.Weights{W: make([]float32, n), Scale: []float64{1}} }
	for what, f := range map[string]func(b *build.Quantized) int{
		"weights": func(b *build.Quantized) int {
			return b.Conv("op", 0, ones(5), [4]int{1, 3, 1, 1}, build.Win{}, 1, free[0], free[1], g)
		},
		"scales": func(b *build.Quantized) int {
			return b.Conv("op", 0, build.Weights{W: make([]float32, 3)}, [4]int{1, 3, 1, 1}, build.Win{}, 1, free[0], free[1], g)
		},
		"groups": func(b *build.Quantized) int {
			return b.Conv("op", 0, ones(3), [4]int{1, 3, 1, 1}, build.Win{}, 0, free[0], free[1], g)
		},
		"nan": func(b *build.Quantized) int {
			return b.Conv("op", 0, build.Weights{W: []float32{1, 2, 3}, Scale: []float64{nan}}, [4]int{1, 3, 1, 1}, build.Win{}, 1, free[0], free[1], g)
		},
		"linear":   func(b *build.Quantized) int { return b.Linear("op", 0, ones(5), 1, free[0], free[1], g) },
		"head":     func(b *build.Quantized) int { l, _ := b.CAMHead("op", 0, ones(4), 1); return l },
		"rfga":     func(b *build.Quantized) int { return b.RFGA("op", 0, build.QuantizedRFGA{A: 1, B: 1}, g) },
		"rfga a":   func(b *build.Quantized) int { return b.RFGA("op", 0, build.QuantizedRFGA{A: 60000, B: 1}, g) },
		"grid":     func(b *build.Quantized) int { return b.GlobalAvgPool("op", 0, build.Grid{}) },
		"zero":     func(b *build.Quantized) int { return b.GlobalAvgPool("op", 0, build.Grid{Scale: 1, Zero: 128}) },
		"function": func(b *build.Quantized) int { return b.Table("op", 0, format.FuncReLU, math.Sqrt, g) },
		"value":    func(b *build.Quantized) int { return b.Add("op", 0, 77, free[0], free[1], g) },
	} {
		b := build.NewQuantized("net", "test", 4, 4, mean, std, build.Grid{Scale: 0.25, Zero: 3})
		if y := f(b); y != -1 {
			t.Errorf("%s: accepted as %d", what, y)
		}
		if _, _, err := b.Finish(); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
