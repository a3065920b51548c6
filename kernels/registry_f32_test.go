package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
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

// checkGEMMF32 compares one call of a kernel with the definition, bit by bit, in guarded memory.
func checkGEMMF32(t testing.TB, g *GEMMF32, r *rand.Rand, k int) {
	t.Helper()
	lda, ldc, ldr := k+r.IntN(3), g.NR+r.IntN(5), g.NR+r.IntN(3)
	a, ga := guardedOf[float32]((g.MR-1)*lda + k)
	b, gb := guardedOf[float32](k * g.NR)
	c, gc := guardedOf[float32]((g.MR-1)*ldc + g.NR)
	bias, gs := guardedOf[float32](g.NR)
	res, gr := guardedOf[float32]((g.MR-1)*ldr + g.NR)
	for _, v := range [][]float32{a, b, c, bias, res} {
		copy(v, randF(r, len(v)))
	}
	var startAt, other *float32
	var p *asm.ClampF32
	if r.IntN(2) == 0 {
		startAt = &bias[0]
	}
	if r.IntN(3) > 0 {
		p = &asm.ClampF32{Lo: -1, Hi: 4, InnerLo: -3, InnerHi: 2}
		if r.IntN(2) == 0 {
			other = &res[0]
		}
	}
	want := make([]float32, len(c))
	copy(want, c)
	for i := range g.MR {
		for j := range g.NR {
			v := c[i*ldc+j]
			if startAt != nil {
				v = bias[j]
			}
			for q := range k {
				v = mulAdd(g.ISA)(a[i*lda+q], b[q*g.NR+j], v)
			}
			if p != nil {
				var x *float32
				if other != nil {
					x = &res[i*ldr+j]
				}
				v = finish32(v, x, p)
			}
			want[i*ldc+j] = v
		}
	}
	g.Fn(&c[0], 4*ldc, &a[0], 4*lda, &b[0], k, startAt, other, 4*ldr, p)
	for i, v := range want {
		if c[i] != v {
			t.Fatalf("%s, k %d: row %d column %d is %g, want %g", g.Name, k, i/ldc, i%ldc, c[i], v)
		}
	}
	for _, g := range []guarded{ga, gb, gc, gs, gr} {
		g.check(t)
	}
}

func TestGEMMF32(t *testing.T) {
	for i := range gemmsF32 {
		g := &gemmsF32[i]
		t.Run(g.Name, func(t *testing.T) {
			runnable(t, g.Name, g.ISA)
			r := rand.New(rand.NewPCG(1, 2))
			for k := 1; k <= 23; k++ {
				for range 3 {
					checkGEMMF32(t, g, r, k)
				}
			}
			checkGEMMF32(t, g, r, 301)
		})
	}
}

func FuzzGEMMF32(f *testing.F) {
	f.Add(uint8(0), uint16(7), uint64(1))
	f.Fuzz(func(t *testing.T, kernel uint8, k uint16, seed uint64) {
		if len(gemmsF32) == 0 {
			t.Skip()
		}
		g := &gemmsF32[int(kernel)%len(gemmsF32)]
		if g.ISA&^features != 0 {
			t.Skip()
		}
		checkGEMMF32(t, g, rand.New(rand.NewPCG(seed, 1)), 1+int(k)%300)
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
