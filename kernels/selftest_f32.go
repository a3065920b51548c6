package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/rfga-edge/rfga-edge/asm"
)

// fma32 is x*y+z with one rounding. The product is exact in float64; the sum is rounded to odd there, so that rounding it
// again to float32 gives what rounding once does.
func fma32(x, y, z float32) float32 {
	return float32(sumToOdd(float64(x)*float64(y), float64(z)))
}

// sumToOdd is p+c, rounded to the neighbour with an odd significand where it is not exact.
func sumToOdd(p, c float64) float64 {
	s := p + c
	d := s - p
	if e := (p - (s - d)) + (c - d); e != 0 && math.Float64bits(s)&1 == 0 {
		s = math.Nextafter(s, math.Inf(int(math.Copysign(1, e))))
	}
	return s
}

// mulAdd is what a term does in the float kernels of an instruction set: x*y+z.
func mulAdd(isa ISA) func(x, y, z float32) float32 {
	if fused(isa) {
		return fma32
	}
	return func(x, y, z float32) float32 { return float32(x*y) + z }
}

// finish32 is what asm.ClampF32 says.
func finish32(v float32, res *float32, p *asm.ClampF32) float32 {
	if res != nil {
		v = min(max(v, p.InnerLo), p.InnerHi) + *res
	}
	return min(max(v, p.Lo), p.Hi)
}

// selfTestFloat compares the float kernels with their definitions, bit by bit.
func selfTestFloat(tell func(kernel string, err error)) {
	for i := range gemmsF32 {
		if g := &gemmsF32[i]; g.ISA&^features == 0 {
			tell(g.Name, selfTestGEMMF32(g))
		}
	}
	for i := range gemmsF32F16 {
		if g := &gemmsF32F16[i]; g.ISA&^features == 0 {
			tell(g.Name, selfTestGEMMF32F16(g))
		}
	}
	for i := range gemmsF16 {
		if g := &gemmsF16[i]; g.ISA&^features == 0 {
			tell(g.Name, selfTestGEMMF16(g))
		}
	}
	for i := range narrowers {
		if n := &narrowers[i]; n.ISA&^features == 0 {
			tell(n.Name, selfTestNarrower(n))
		}
	}
	for i := range expanders {
		if e := &expanders[i]; e.ISA&^features == 0 {
			tell(e.Name, selfTestExpander(e))
		}
	}
	for _, rows := range [][]Row[poolFunc]{maxPoolsF32, avgPoolsF32} {
		for i := range rows {
			if p := &rows[i]; p.ISA&^features == 0 {
				tell(p.Name, selfTestPoolF32(p, rows[0].Fn))
			}
		}
	}
	for i := range depthwisesF32 {
		if d := &depthwisesF32[i]; d.ISA&^features == 0 {
			tell(d.Name, selfTestDepthwiseF32(d))
		}
	}
	selfTestFloatRows(tell)
	selfTestWinogradF32(tell)
}

// randF returns n values on both sides of zero, with slack.
func randF(r *rand.Rand, n int) []float32 {
	v := aligned[float32](n)
	for i := range v {
		v[i] = (r.Float32() - 0.5) * float32(int(1)<<r.IntN(6))
	}
	return v
}

func selfTestGEMMF32(g *GEMMF32) error {
	r, add := rand.New(rand.NewPCG(3, uint64(g.MR))), mulAdd(g.ISA)
	p := &asm.ClampF32{Lo: -2, Hi: 3, InnerLo: -1, InnerHi: 4}
	for _, k := range []int{1, 2, 3, 4, 5, 31, 200} {
		a, b, c := randF(r, g.MR*k), randF(r, k*g.NR), make([]float32, g.MR*g.NR)
		bias, res := randF(r, g.NR), randF(r, g.MR*g.NR)
		// In two passes, if there are terms enough.
		first := (k + 1) / 2
		g.Fn(&c[0], 4*g.NR, &a[0], 4*k, &b[0], first, &bias[0], nil, 0, nil)
		if k > first {
			g.Fn(&c[0], 4*g.NR, &a[first], 4*k, &b[first*g.NR], k-first, nil, &res[0], 4*g.NR, p)
		}
		for i := range g.MR {
			for j := range g.NR {
				v := bias[j]
				for t := range k {
					v = add(a[i*k+t], b[t*g.NR+j], v)
				}
				if k > first {
					v = finish32(v, &res[i*g.NR+j], p)
				}
				if c[i*g.NR+j] != v {
					return fmt.Errorf("depth %d, row %d, column %d: %g, want %g", k, i, j, c[i*g.NR+j], v)
				}
			}
		}
	}
	return nil
}

func selfTestExpander(e *Row[expandFunc]) error {
	src, got, want := aligned[uint16](1<<16), aligned[float32](1<<16), make([]float32, 1<<16)
	for i := range src {
		src[i] = uint16(i)
	}
	e.Fn(&got[0], &src[0], len(src))
	expandPortable(&want[0], &src[0], len(src))
	for i, v := range want {
		if got[i] != v && (v == v || got[i] == got[i]) {
			return fmt.Errorf("half %#04x: %g, want %g", i, got[i], v)
		}
	}
	return nil
}

// selfTestWindow gives taps, activations and sizes of a small window to f.
func selfTestWindow(f func(r *rand.Rand, taps []asm.Tap, a []float32, n, pixels int) error) error {
	r := rand.New(rand.NewPCG(4, 4))
	for _, n := range []int{1, 3, 8, 13, 16, 31, 32, 50, 71} {
		for _, pixels := range []int{1, 3, 4, 9} {
			taps := make([]asm.Tap, 1+r.IntN(9))
			for i := range taps {
				taps[i] = asm.Tap{A: 4 * n * r.IntN(12), W: 4 * n * i}
			}
			if err := f(r, taps, randF(r, n*(12+2*pixels)), n, pixels); err != nil {
				return fmt.Errorf("%d channels, %d pixels, %d taps: %w", n, pixels, len(taps), err)
			}
		}
	}
	return nil
}

func selfTestPoolF32(p *Row[poolFunc], portable poolFunc) error {
	return selfTestWindow(func(_ *rand.Rand, taps []asm.Tap, a []float32, n, pixels int) error {
		got, want := make([]float32, n*pixels), make([]float32, n*pixels)
		p.Fn(&got[0], 4*n, &a[0], 8*n, pixels, &taps[0], len(taps), n, 7)
		portable(&want[0], 4*n, &a[0], 8*n, pixels, &taps[0], len(taps), n, 7)
		return sameFloats(got, want)
	})
}

func selfTestDepthwiseF32(d *Row[depthwiseFunc]) error {
	p := &asm.ClampF32{Lo: -2, Hi: 3, InnerLo: -1, InnerHi: 4}
	return selfTestWindow(func(r *rand.Rand, taps []asm.Tap, a []float32, n, pixels int) error {
		w, bias, res := randF(r, n*len(taps)), randF(r, n), randF(r, n*pixels)
		got, want := make([]float32, n*pixels), make([]float32, n*pixels)
		add := mulAdd(d.ISA)
		for i := range want {
			v := bias[i%n]
			for _, t := range taps {
				x, f := a[i/n*2*n+t.A/4+i%n], w[t.W/4+i%n]
				v = add(x, f, v)
			}
			want[i] = finish32(v, &res[i], p)
		}
		d.Fn(&got[0], 4*n, &a[0], 8*n, pixels, &taps[0], len(taps), &w[0], n, &bias[0], &res[0], 4*n, p)
		if d.ISA == Portable { // Go may or may not fuse
			for i, v := range got {
				if math.Abs(float64(v-want[i])) > 1e-4 {
					return fmt.Errorf("element %d: %g, want %g", i, v, want[i])
				}
			}
			return nil
		}
		return sameFloats(got, want)
	})
}

func sameFloats(got, want []float32) error {
	for i, v := range want {
		if got[i] != v {
			return fmt.Errorf("element %d: %g, want %g", i, got[i], v)
		}
	}
	return nil
}
