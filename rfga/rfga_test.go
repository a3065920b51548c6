package rfga

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNormalizeDegenerate(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, norm := range []Norm{MinMax, P65} {
		for _, m := range [][]float64{{}, {3}, {2, 2, 2}, {1, nan, 3}, {nan, nan}, {1, 2, inf}, {-inf, 0, 1}, {inf, inf},
			{-math.MaxFloat64, math.MaxFloat64}, {math.Copysign(0, -1), 0}} {
			got := slices.Clone(m)
			Normalize(got, norm)
			for i, v := range got {
				if v != 0 && !(m[0] == -math.MaxFloat64 && norm == P65 && i == 1) {
					t.Errorf("%v of %v: %v", norm, m, got)
					break
				}
			}
		}
	}
	// The percentile is the maximum: nothing stands out.
	m := []float64{0, 5, 5, 5, 5}
	if Normalize(m, P65); slices.Max(m) != 0 {
		t.Errorf("p65 of a map whose percentile is its maximum: %v", m)
	}
	m = []float64{-1, 0, 3}
	if Normalize(m, MinMax); m[0] != 0 || m[1] != 0.25 || m[2] != 1 {
		t.Errorf("minmax: %v", m)
	}
}

func TestOrderStatistic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 60; n++ {
		m := make([]float64, n)
		for i := range m {
			switch r.IntN(4) {
			case 0:
				m[i] = float64(r.IntN(5) - 2) // ties, zeros
			case 1:
				m[i] = math.Copysign(0, -1)
			case 2:
				m[i] = math.Float64frombits(r.Uint64() &^ (1 << 62)) // all magnitudes below 2, tiny ones too
			default:
				m[i] = r.NormFloat64()
			}
		}
		s := slices.Clone(m)
		slices.Sort(s)
		for k := range n {
			upTo := n
			for upTo > 0 && s[upTo-1] > s[k] {
				upTo--
			}
			if v, u := orderStatistic(m, k); v != s[k] || u != upTo {
				t.Fatalf("%d of %v: %v with %d up to it, want %v with %d", k, m, v, u, s[k], upTo)
			}
		}
	}
}

func TestQuantizeAndLevel(t *testing.T) {
	levels := make([]uint8, 8)
	top := Quantize(levels, []float64{0, 0.5, 1, 1.0 / 255, 0.999999, -3, 7, math.NaN()})
	if want := []uint8{0, 127, 255, 1, 254, 0, 255, 0}; !slices.Equal(levels, want) || top != 255 {
		t.Errorf("levels %v, top %d, want %v", levels, top, want)
	}
	for _, c := range []struct {
		t    float64
		top  uint8
		want uint8
	}{{0, 255, 0}, {0.5, 255, 127}, {0.999, 255, 254}, {1, 255, 255}, {0.29, 100, 28}, {0.3, 10, 3}, {5, 200, 255}, {-1, 9, 0}, {math.NaN(), 9, 0}} {
		if got := Level(c.t, c.top); got != c.want {
			t.Errorf("Level(%v, %d) = %d, want %d", c.t, c.top, got, c.want)
		}
	}
}

func TestBoxes(t *testing.T) {
	const w, h = 8, 6
	heat := make([]float64, w*h)
	if b := Boxes(heat, w, h, 0.5, true); len(b) != 0 {
		t.Errorf("no heat: %v", b)
	}
	// A 3x3 block with a cold middle, a larger warm block at the lower right, a line.
	for _, p := range [][3]float64{{0, 0, .9}, {1, 0, .9}, {2, 0, .9}, {0, 1, .9}, {2, 1, .9}, {0, 2, .9}, {1, 2, .9}, {2, 2, 1}} {
		heat[int(p[1])*w+int(p[0])] = p[2]
	}
	for y := 3; y < 6; y++ {
		for x := 4; x < 8; x++ {
			heat[y*w+x] = 0.5
		}
	}
	heat[1*w+5], heat[1*w+6] = 0.25, 0.25
	for _, c := range []struct {
		threshold float64
		multi     bool
		want      []Box
	}{
		{0.75, true, []Box{{0, 0, 3, 3, 8.0 / 48, 7.3 / 8}}},
		{0.4, false, []Box{{4, 3, 8, 6, 12.0 / 48, 0.5}}},
		{0.4, true, []Box{{4, 3, 8, 6, 12.0 / 48, 0.5}, {0, 0, 3, 3, 8.0 / 48, 7.3 / 8}}},
		{0.1, true, []Box{{4, 3, 8, 6, 12.0 / 48, 0.5}, {0, 0, 3, 3, 8.0 / 48, 7.3 / 8}, {5, 1, 7, 2, 2.0 / 48, 0.25}}},
	} {
		got := Boxes(heat, w, h, c.threshold, c.multi)
		same := slices.EqualFunc(got, c.want, func(a, b Box) bool {
			near := math.Abs(a.Mean-b.Mean) < 1e-12 && math.Abs(a.Area-b.Area) < 1e-12
			a.Mean, a.Area, b.Mean, b.Area = 0, 0, 0, 0
			return near && a == b
		})
		if !same {
			t.Errorf("threshold %v, multi %v: %+v, want %+v", c.threshold, c.multi, got, c.want)
		}
	}
}

func TestEvalBoxes(t *testing.T) {
	var m Mapper
	levels := []uint8{
		9, 9, 9, 0,
		9, 0, 9, 0,
		9, 9, 9, 0,
		0, 0, 0, 9,
	}
	got := m.EvalBoxes(nil, levels, 4, 4, 8, true)
	// The whole, whose right and lower ends are cut to the last index, then the hole grown by 1.
	if want := []EvalBox{{0, 0, 3, 3}, {0, 0, 3, 3}}; !slices.Equal(got, want) {
		t.Errorf("boxes %v, want %v", got, want)
	}
	if got = m.EvalBoxes(got[:0], levels, 4, 4, 9, true); !slices.Equal(got, []EvalBox{{}}) {
		t.Errorf("no contour: %v", got)
	}
}

func TestIoU(t *testing.T) {
	for _, c := range []struct {
		a, b  Box
		plain float64
		eval  float64
	}{
		{Box{X1: 10, Y1: 10}, Box{X1: 10, Y1: 10}, 1, 1},
		{Box{X1: 10, Y1: 10}, Box{X0: 5, X1: 15, Y1: 10}, 50.0 / 150, 66.0 / 176},
		{Box{X1: 10, Y1: 10}, Box{X0: 10, X1: 20, Y1: 10}, 0, 11.0 / 231},
		{Box{X1: 3, Y1: 3}, Box{X0: 8, Y0: 8, X1: 9, Y1: 9}, 0, 0},
		{Box{}, Box{}, 0, 1},
	} {
		if got := IoU(c.a, c.b); got != c.plain {
			t.Errorf("IoU(%v, %v) = %v, want %v", c.a, c.b, got, c.plain)
		}
		e := func(b Box) EvalBox { return EvalBox{b.X0, b.Y0, b.X1, b.Y1} }
		if got := EvalIoU(e(c.a), e(c.b)); got != c.eval {
			t.Errorf("EvalIoU(%v, %v) = %v, want %v", c.a, c.b, got, c.eval)
		}
	}
	if got := EvalIoU(EvalBox{5, 5, 4, 4}, EvalBox{5, 5, 4, 4}); got != 0 {
		t.Errorf("empty union: %v", got)
	}
	if (EvalBox{0, 0, 0, 0}).Valid() != nil || (EvalBox{0, -1, 2, 2}).Valid() == nil || (EvalBox{3, 0, 2, 2}).Valid() == nil {
		t.Error("Valid")
	}
	if got, want := TruthBox([4]float64{3, 2, 317, 316}, 320, 317, 224, 224), (EvalBox{2, 1, 221, 223}); got != want {
		t.Errorf("TruthBox %v, want %v", got, want)
	}
}

func TestMapperAllocates(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	src := make([]float32, 10*10)
	for i := range src {
		src[i] = float32(r.NormFloat64())
	}
	dst := make([]float64, 320*320)
	boxes := make([]EvalBox, 0, 1000)
	levels := make([]uint8, len(dst))
	var m Mapper
	if n := testing.AllocsPerRun(3, func() {
		m.HeatMap(dst, 320, 320, src, 10, 10, P65)
		m.Boxes(dst, 320, 320, 0.05, true)
		m.Boxes(dst, 320, 320, 0.05, false)
		top := Quantize(levels, dst)
		m.EvalBoxes(boxes, levels, 320, 320, Level(0.3, top), true)
	}); n != 0 {
		t.Errorf("%v allocations a frame after the first", n)
	}
}

func BenchmarkHeatMapAndBox(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	src := make([]float32, 14*14)
	for i := range src {
		src[i] = float32(r.NormFloat64())
	}
	dst := make([]float64, 224*224)
	var m Mapper
	for b.Loop() {
		m.HeatMap(dst, 224, 224, src, 14, 14, P65)
		m.Boxes(dst, 224, 224, 0.05, false)
	}
}
