package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// floatVariants are sets of instruction sets that give different float kernels on this CPU.
func floatVariants() []ISA {
	var list []ISA
	for _, x := range []ISA{Portable, closure(F16C), closure(AVX512), NEON, SIMD128} {
		if x&^features == 0 {
			list = append(list, x)
		}
	}
	return list
}

func TestFloatRegistryNames(t *testing.T) {
	for i := range gemmsF32 {
		g := &gemmsF32[i]
		if stem := fmt.Sprintf("f32_gemm_%dx%dc1_", g.MR, g.NR); !strings.HasPrefix(g.Name, stem) {
			t.Errorf("%s: name does not start with %s", g.Name, stem)
		}
		if family := gemmF32Family(g); family[len(family)-1].MR != 1 {
			t.Errorf("%s: its family has no kernel of one row", g.Name)
		}
	}
	for i := range gemmsF32F16 {
		g := &gemmsF32F16[i]
		if stem := fmt.Sprintf("f32f16_gemm_%dx%dc1_", g.MR, g.NR); !strings.HasPrefix(g.Name, stem) {
			t.Errorf("%s: name does not start with %s", g.Name, stem)
		}
		// Every tile of the float32 family has its like, or weights are expanded apart.
		if family := chooseGEMMF32(closure(g.ISA), 32); len(expandingFamily(family, closure(g.ISA))) != len(family) {
			t.Errorf("%s: its family has not the tiles of %s", g.Name, family[0].Name)
		}
	}
}

// The offsets are written into the assembly.
func TestFloatLayout(t *testing.T) {
	var p asm.ClampF32
	var tap asm.Tap
	for i, o := range []uintptr{unsafe.Offsetof(p.Lo), unsafe.Offsetof(p.Hi), unsafe.Offsetof(p.InnerLo), unsafe.Offsetof(p.InnerHi)} {
		if o != uintptr(4*i) {
			t.Errorf("field %d is at %d, want %d", i, o, 4*i)
		}
	}
	if size := unsafe.Sizeof(tap.A); unsafe.Offsetof(tap.W) != size || unsafe.Sizeof(tap) != 2*size {
		t.Error("Tap is not two words")
	}
}

func TestFMA32(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	for range 100000 {
		x, y, z := float32(r.NormFloat64()), float32(r.NormFloat64()), float32(r.NormFloat64()*math.Exp2(float64(r.IntN(80)-40)))
		exact := bigFMA(x, y, z)
		if got := fma32(x, y, z); got != exact {
			t.Fatalf("%g*%g+%g = %g, want %g", x, y, z, got, exact)
		}
	}
}

// gemmCall is a float32 product with its operands in guarded memory. Weights are halves too, of the same values.
type gemmCall struct {
	a, b, c, bias, res, want []float32
	halves                   []uint16
	lda, ldc, ldr            int
	startAt, other           *float32
	p                        *asm.ClampF32
	guards                   []guarded
}

// newGEMMCall draws operands for a tile of mr x nr and k terms, and computes what it should give.
func newGEMMCall(r *rand.Rand, isa ISA, mr, nr, k int) *gemmCall {
	x := &gemmCall{lda: k + r.IntN(3), ldc: nr + r.IntN(5), ldr: nr + r.IntN(3)}
	for _, v := range []struct {
		at *[]float32
		n  int
	}{{&x.a, (mr-1)*x.lda + k}, {&x.b, k * nr}, {&x.c, (mr-1)*x.ldc + nr}, {&x.bias, nr}, {&x.res, (mr-1)*x.ldr + nr}} {
		data, g := guardedOf[float32](v.n)
		copy(data, randF(r, v.n))
		*v.at, x.guards = data, append(x.guards, g)
	}
	halves, g := guardedOf[uint16](len(x.b))
	x.halves, x.guards = halves, append(x.guards, g)
	for i, v := range x.b {
		halves[i] = roundToHalf(v)
		x.b[i] = HalfToFloat(halves[i])
	}
	if r.IntN(2) == 0 {
		x.startAt = &x.bias[0]
	}
	if r.IntN(3) > 0 {
		x.p = &asm.ClampF32{Lo: -1, Hi: 4, InnerLo: -3, InnerHi: 2}
		if r.IntN(2) == 0 {
			x.other = &x.res[0]
		}
	}
	x.want = slices.Clone(x.c)
	for i := range mr {
		for j := range nr {
			v := x.c[i*x.ldc+j]
			if x.startAt != nil {
				v = x.bias[j]
			}
			for q := range k {
				v = mulAdd(isa)(x.a[i*x.lda+q], x.b[q*nr+j], v)
			}
			if x.p != nil {
				var other *float32
				if x.other != nil {
					other = &x.res[i*x.ldr+j]
				}
				v = finish32(v, other, x.p)
			}
			x.want[i*x.ldc+j] = v
		}
	}
	return x
}

// check compares what a kernel wrote with the definition, bit by bit.
func (x *gemmCall) check(t testing.TB, name string, k int) {
	t.Helper()
	for i, v := range x.want {
		if x.c[i] != v {
			t.Fatalf("%s, k %d: row %d column %d is %g, want %g", name, k, i/x.ldc, i%x.ldc, x.c[i], v)
		}
	}
	for _, g := range x.guards {
		g.check(t)
	}
}

func checkGEMMF32(t testing.TB, g *GEMMF32, r *rand.Rand, k int) {
	t.Helper()
	x := newGEMMCall(r, g.ISA, g.MR, g.NR, k)
	g.Fn(&x.c[0], 4*x.ldc, &x.a[0], 4*x.lda, &x.b[0], k, x.startAt, x.other, 4*x.ldr, x.p)
	x.check(t, g.Name, k)
}

func checkGEMMF32F16(t testing.TB, g *GEMMF32F16, r *rand.Rand, k int) {
	t.Helper()
	x := newGEMMCall(r, g.ISA, g.MR, g.NR, k)
	wide, guard := guardedOf[float32](len(x.b))
	keep := r.IntN(2) == 0
	var to *float32
	if keep {
		to = &wide[0]
	}
	g.Fn(&x.c[0], 4*x.ldc, &x.a[0], 4*x.lda, &x.halves[0], k, x.startAt, x.other, 4*x.ldr, x.p, to)
	x.check(t, g.Name, k)
	if guard.check(t); keep && !slices.Equal(wide, x.b) {
		t.Fatalf("%s, k %d: keeps %v, want %v", g.Name, k, wide, x.b)
	}
}

func TestGEMMF32(t *testing.T) {
	for i := range gemmsF32 {
		g := &gemmsF32[i]
		t.Run(g.Name, func(t *testing.T) {
			runnable(t, g.Name, g.ISA)
			eachDepth(func(r *rand.Rand, k int) { checkGEMMF32(t, g, r, k) })
		})
	}
	for i := range gemmsF32F16 {
		g := &gemmsF32F16[i]
		t.Run(g.Name, func(t *testing.T) {
			runnable(t, g.Name, g.ISA)
			eachDepth(func(r *rand.Rand, k int) { checkGEMMF32F16(t, g, r, k) })
		})
	}
}

// eachDepth calls f for numbers of terms around the edges of unrolled loops.
func eachDepth(f func(r *rand.Rand, k int)) {
	r := rand.New(rand.NewPCG(1, 2))
	for k := 1; k <= 23; k++ {
		for range 3 {
			f(r, k)
		}
	}
	f(r, 301)
}

func FuzzGEMMF32(f *testing.F) {
	f.Add(uint8(0), uint16(7), uint64(1))
	f.Add(uint8(255), uint16(7), uint64(1))
	f.Fuzz(func(t *testing.T, kernel uint8, k uint16, seed uint64) {
		if len(gemmsF32) == 0 {
			t.Skip()
		}
		r, depth := rand.New(rand.NewPCG(seed, 1)), 1+int(k)%300
		n := int(kernel) % (len(gemmsF32) + len(gemmsF32F16))
		if n < len(gemmsF32) {
			if g := &gemmsF32[n]; g.ISA&^features == 0 {
				checkGEMMF32(t, g, r, depth)
			}
			return
		}
		if g := &gemmsF32F16[n-len(gemmsF32)]; g.ISA&^features == 0 {
			checkGEMMF32F16(t, g, r, depth)
		}
	})
}

// NaN goes through bounds and residual.
func TestFloatNaN(t *testing.T) {
	for i := range gemmsF32 {
		g := &gemmsF32[i]
		if g.ISA&^features != 0 {
			continue
		}
		nan := float32(math.NaN())
		a, b, c := []float32{nan}, make([]float32, g.NR), make([]float32, g.NR)
		p := &asm.ClampF32{Lo: 0, Hi: 6, InnerLo: 0, InnerHi: 6}
		for _, res := range []*float32{nil, &b[0]} {
			if g.MR == 1 {
				if g.Fn(&c[0], 0, &a[0], 0, &b[0], 1, &b[0], res, 0, p); c[0] == c[0] {
					t.Errorf("%s: NaN*0 becomes %g", g.Name, c[0])
				}
			}
		}
	}
}

// Depthwise and pooling kernels write exactly their channels; their values are the self test's.
func TestWindowGuards(t *testing.T) {
	check := func(name string, isa ISA, call func(dst, a *float32, n, pixels int)) {
		if isa&^features != 0 {
			return
		}
		for n := 1; n <= 70; n++ {
			for _, pixels := range []int{1, 2, 4, 5} {
				dst, gd := guardedOf[float32](pixels * n)
				a, ga := guardedOf[float32](pixels * n)
				clear(a)
				call(&dst[0], &a[0], n, pixels)
				for i, v := range dst {
					if v != 0 {
						t.Fatalf("%s, %d channels, %d pixels: element %d is %g", name, n, pixels, i, v)
					}
				}
				gd.check(t)
				ga.check(t)
			}
		}
	}
	tap := []asm.Tap{{}, {}}
	w := randF(rand.New(rand.NewPCG(1, 1)), 100)
	zero := aligned[float32](500)
	for _, d := range depthwisesF32 {
		for _, res := range []*float32{nil, &zero[0]} {
			check(d.Name, d.ISA, func(dst, a *float32, n, pixels int) {
				d.Fn(dst, 4*n, a, 4*n, pixels, &tap[0], 2, &w[0], n, &zero[0], res, 4*n, &asm.ClampF32{Lo: -1, Hi: 1, InnerLo: -1, InnerHi: 1})
			})
		}
	}
	for _, p := range append(append([]Row[poolFunc]{}, maxPoolsF32...), avgPoolsF32...) {
		check(p.Name, p.ISA, func(dst, a *float32, n, pixels int) { p.Fn(dst, 4*n, a, 4*n, pixels, &tap[0], 2, n, 2) })
	}
}
