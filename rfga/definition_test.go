package rfga

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// trace is every intermediate value of the int8 operator, in the names of the package comment.
type trace struct {
	sc, sh, sw []int32 // view sums
	vc, vh, vw []int32
	zc, zh, zw []int32
	m, g       []int32
	y          []int32
}

// define computes the operator as the package comment defines it, element by element.
func define(p *kernels.RFGAI8, x []int8) trace {
	H, W, C := p.Shape.H, p.Shape.W, p.Shape.C
	pad := (C + 3) / 4 * 4
	at := func(y, x, c int) int { return (y*W+x)*C + c }
	t := trace{sc: make([]int32, C), sh: make([]int32, H*C), sw: make([]int32, W*C)}
	for y := range H {
		for u := range W {
			for c := range C {
				d := int32(x[at(y, u, c)]) - p.ZeroIn
				t.sc[c] += d
				t.sh[y*C+c] += d
				t.sw[u*C+c] += d
			}
		}
	}
	requant := func(acc int32, m float32, zero, lo, hi int32) int32 {
		v := float32(acc) * m
		v = min(max(v, float32(lo-zero)), float32(hi-zero))
		return zero + int32(math.RoundToEven(float64(v)))
	}
	view := func(s []int32, k int) []int32 {
		v := make([]int32, len(s))
		for i := range s {
			v[i] = requant(s[i], p.ViewMult[k], p.ViewZero[k], -128, 127)
		}
		return v
	}
	t.vc, t.vh, t.vw = view(t.sc, 0), view(t.sh, 1), view(t.sw, 2)

	t.zc = make([]int32, C)
	for o := range C {
		acc := p.BC[o]
		for k := range 3 {
			if i := o + k - 1; i >= 0 && i < C {
				acc += int32(p.WC[4*o+k]) * (t.vc[i] - p.ViewZero[0])
			}
		}
		t.zc[o] = requant(acc, p.ConvC.Mult[o], p.ConvC.Zero, p.ConvC.Lo, p.ConvC.Hi)
	}
	along := func(n int, v []int32, zero int32, w []int8, b []int32, q kernels.Requant) []int32 {
		z := make([]int32, n*C)
		for pos := range n {
			for o := range C {
				acc := b[o]
				for k := range 3 {
					if r := pos + k - 1; r >= 0 && r < n {
						for i := range C {
							acc += int32(w[(3*o+k)*pad+i]) * (v[r*C+i] - zero)
						}
					}
				}
				z[pos*C+o] = requant(acc, q.Mult[o], q.Zero, q.Lo, q.Hi)
			}
		}
		return z
	}
	t.zh = along(H, t.vh, p.ViewZero[1], p.WH, p.BH, p.ConvH)
	t.zw = along(W, t.vw, p.ViewZero[2], p.WW, p.BW, p.ConvW)

	for y := range H {
		for u := range W {
			for c := range C {
				m := int32(p.Table[t.zc[c]+128]) + int32(p.Table[256+t.zh[y*C+c]+128]) + int32(p.Table[512+t.zw[u*C+c]+128])
				g := p.A + (p.B*m+8192)>>14
				t.m, t.g = append(t.m, m), append(t.g, g)
				acc := (int32(x[at(y, u, c)]) - p.ZeroIn) * g
				t.y = append(t.y, requant(acc, p.Requant.Mult[0], p.Requant.Zero, p.Requant.Lo, p.Requant.Hi))
			}
		}
	}
	return t
}

// sigmoidTable is the sigmoid of s*(z-zero) in Q14, thrice.
func sigmoidTable(s float64, zero int) []int16 {
	t := make([]int16, 0, 768)
	for range 3 {
		for z := -128; z < 128; z++ {
			t = append(t, int16(math.RoundToEven(16384/(1+math.Exp(-s*float64(z-zero))))))
		}
	}
	return t
}

// example is the worked example of the package comment.
func example() (*kernels.RFGAI8, []int8) {
	conv := func(m float32) kernels.Requant {
		return kernels.Requant{Mult: []float32{m, m}, Lo: -128, Hi: 127}
	}
	w := func(v ...int8) []int8 { // (2,3,2) with two zeros behind every pair
		var p []int8
		for i := 0; i < len(v); i += 2 {
			p = append(p, v[i], v[i+1], 0, 0)
		}
		return p
	}
	return &kernels.RFGAI8{
		Shape: kernels.Shape{H: 2, W: 3, C: 2}, ZeroIn: -5,
		ViewMult: [3]float32{0.25, 0.5, 0.75}, ViewZero: [3]int32{-10, 3, 0},
		WC: []int8{7, 2, -3, 0, 4, -1, 9, 0},
		WH: w(1, -2, 3, 4, -1, 2, 5, 0, -3, 1, 2, 2),
		WW: w(2, 1, -4, 3, 0, 1, -2, 2, 6, -1, 1, -3),
		BC: []int32{8, -20}, BH: []int32{-16, 40}, BW: []int32{0, 12},
		ConvC: conv(0.25), ConvH: conv(0.125), ConvW: conv(0.125),
		Table: sigmoidTable(1.0/32, 0), A: 16384, B: 16384,
		Requant: kernels.Requant{Mult: []float32{1.0 / 32768}, Zero: -20, Lo: -128, Hi: 127},
	}, []int8{10, -30, 25, 0, -5, 90, 40, -61, 127, -128, 3, 14}
}

func TestWorkedExample(t *testing.T) {
	p, x := example()
	r := define(p, x)
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name string
		v    []int32
	}{{"Sc", r.sc}, {"Sh", r.sh}, {"Sw", r.sw}, {"Vc", r.vc}, {"Vh", r.vh}, {"Vw", r.vw}, {"Zc", r.zc}, {"Zh", r.zh}, {"Zw", r.zw},
		{"M", r.m}, {"G", r.g}, {"y", r.y}} {
		line := fmt.Sprintf("%-2s = %s", v.name, strings.Trim(fmt.Sprint(v.v), "[]"))
		if !strings.Contains(string(doc), "\t"+line+"\n") {
			t.Errorf("the package comment does not say %q", line)
		}
	}
}
