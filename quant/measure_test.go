package quant

import (
	"math"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// compared are two lists of values of one tensor, over all images.
type compared struct{ float, other, own, grid []float64 }

func (c *compared) add(float, other []float64) {
	c.float, c.other = append(c.float, float...), append(c.other, other...)
}

// ratio is a signal-to-noise ratio as textbooks have it.
func ratio(signal, estimate []float64) float64 {
	p, e := 0.0, 0.0
	for i, s := range signal {
		p, e = p+s*s, e+math.Pow(s-estimate[i], 2)
	}
	if e == 0 || p == 0 {
		return 200
	}
	return 10 * math.Log10(p/e)
}

// TestMeasure compares with the naive evaluators of this package's tests, which share no code with package runtime: the float
// one makes the float network's values, the integer one those of the quantized network, and of each operator by itself from
// the float values on their grids.
func TestMeasure(t *testing.T) {
	cuts := 0
	for name, c := range map[string]struct {
		m *format.Model
		o Options
	}{
		"localizer": {localizer(t, 400), Options{Range: Range{Method: Percentile, Percentile: 99}, Threads: 2}},
		"int16":     {localizer(t, 401), Options{Int16: []string{"stem"}}},
		"moves":     {moves(t, 402), Options{Range: Range{Method: MSE}}},
		"functions": {gates(t, 403), Options{}},
	} {
		imgs := images(c.m.Pre.Width, 3, 500)
		q, rep, err := Quantize(t.Context(), c.m, memory(imgs), c.o)
		if err != nil {
			t.Fatal(err)
		}
		var seen []int
		got, err := Measure(t.Context(), q, rep.Twin, memory(imgs), c.o, func(i int, float, quantized *runtime.Session) error {
			seen = append(seen, i)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got.Images != 3 || len(seen) != 3 {
			t.Errorf("%s: %d images, %v seen", name, got.Images, seen)
		}
		want := measureNaively(q, rep.Twin, imgs)
		measured := map[int]bool{}
		for _, l := range got.Layers {
			measured[l.Tensor] = true
			w := want[l.Tensor]
			if l.Cut != rep.Twin.Cut[l.Tensor] {
				t.Errorf("%s: %q is cut: %v", name, l.Name, l.Cut)
			}
			compared := w.float
			if g, ok := gridOfTensor(&q.Tensors[l.Tensor]); ok && l.Cut {
				cuts++
				least, most := g.bounds()
				compared = nil
				for _, v := range w.float {
					compared = append(compared, min(max(v, g.real(least)), g.real(most)))
				}
			}
			near := func(what string, have, want, tolerance float64) {
				if !(math.Abs(have-want) <= tolerance) {
					t.Errorf("%s, %s %q: %s is %g, want %g", name, l.Kind, l.Name, what, have, want)
				}
			}
			near("SNR", l.SNR, ratio(compared, w.other), 0.02)
			near("own", l.Own, ratio(compared, w.own), 0.02)
			near("cosine", l.Cosine, correlationAtZero(compared, w.other), 1e-5)
			if w.grid == nil {
				continue
			}
			near("grid", l.Grid, ratio(compared, w.grid), 0.02)
			g, _ := gridOfTensor(&q.Tensors[l.Tensor])
			low, high, lo, hi := 0, 0, math.Inf(1), math.Inf(-1)
			least, most := g.bounds()
			total := uint64(0)
			for _, v := range w.float {
				lo, hi = min(lo, v), max(hi, v)
				if v < float64(g.scale)*(float64(least)-float64(g.zero)-0.5) {
					low++
				}
				if v > float64(g.scale)*(float64(most)-float64(g.zero)+0.5) {
					high++
				}
			}
			for _, n := range l.Codes {
				total += n
			}
			near("values", float64(total), float64(len(w.float)), 0)
			near("low", float64(l.Low), float64(low), 1) // a value on the border may fall to either side in float32
			near("high", float64(l.High), float64(high), 1)
			near("clipped", l.Clipped, float64(low+high)/float64(len(w.float)), 1/float64(len(w.float)))
			near("min", float64(l.Min), lo, 1e-4*(hi-lo))
			near("max", float64(l.Max), hi, 1e-4*(hi-lo))
		}
		for _, op := range q.Ops {
			for _, y := range op.Outputs {
				if y >= 0 && !measured[y] && rep.Twin.Of[y] >= 0 {
					t.Errorf("%s: %s %q was not measured", name, op.Kind, q.Tensors[y].Name)
				}
			}
		}
	}
	if cuts == 0 {
		t.Error("no activation was cut where its function saturates")
	}
}

// gates is a network of squeeze-and-excitation blocks, with functions that saturate.
func gates(t *testing.T, seed uint64) *format.Model {
	n := newNet("gates", 24, seed)
	x := n.conv("stem", n.Input(), 12, 3, 2, 1, build.ActNone)
	x = n.Unary("stem.act", x, format.FuncSwish)
	y := n.conv("squeeze", n.GlobalAvgPool("mean", x), 12, 1, 1, 1, build.ActReLU)
	w := n.normal(12*12, 4)
	y = n.Conv("excite", y, w, [4]int{12, 12, 1, 1}, n.normal(12, 1), build.Win{Stride: [2]int{1, 1}}, 1, build.ActNone)
	x = n.Mul("gate", x, n.Unary("excite.act", y, format.FuncSigmoid), build.ActNone)
	x = n.conv("next", x, 16, 3, 1, 1, build.ActNone)
	x = n.Unary("next.act", x, format.FuncHardSwish)
	n.Localizer("head", x, n.normal(10*16, 0.3), n.normal(10, 0.1))
	return n.finish(t)
}

func correlationAtZero(a, b []float64) float64 {
	ab, aa, bb := 0.0, 0.0, 0.0
	for i := range a {
		ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

func measureNaively(q *format.Model, twin *Twin, imgs [][]float64) map[int]*compared {
	out := map[int]*compared{}
	for _, x := range imgs {
		float, free := runFloat(twin.Float, x), runInt8(q, x)
		forced := &integers{q, map[int][]int64{q.Input: inputQ(q, x)}, map[int][]float32{}}
		for i := range q.Ops {
			op := &q.Ops[i]
			forced.op(op)
			for _, y := range op.Outputs {
				if y < 0 || twin.Of[y] < 0 {
					continue
				}
				if out[y] == nil {
					out[y] = &compared{}
				}
				c, yt, f := out[y], &q.Tensors[y], float.v[twin.Of[y]]
				real := func(r *integers) []float64 {
					if yt.DType == format.F32 {
						var v []float64
						for _, x := range r.f[y] {
							v = append(v, float64(x))
						}
						return v
					}
					v := dequantized(yt, r.v[y])
					if yt.DType == format.I64 { // logits are sums over positions
						s := q.Tensors[op.Inputs[0]].Shape
						for k := range v {
							v[k] /= float64(s[1] * s[2])
						}
					}
					return v
				}
				c.add(f, real(free))
				c.own = append(c.own, real(forced)...)
				if yt.DType != format.I8 && yt.DType != format.I16 {
					continue
				}
				least, most := -128., 127.
				if yt.DType == format.I16 {
					least, most = -32768, 32767
				}
				codes := make([]int64, len(f))
				for k, v := range f {
					codes[k] = int64(min(max(math.RoundToEven(v/float64(yt.Scale[0]))+float64(yt.Zero), least), most))
				}
				forced.v[y] = codes
				c.grid = append(c.grid, dequantized(yt, codes)...)
			}
		}
	}
	return out
}
