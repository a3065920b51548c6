package kernels

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/rfga-edge/rfga-edge/asm"
)

// bigHalf rounds to a half by the definition: the nearest multiple of the spacing there, ties to even.
func bigHalf(v *big.Float) uint16 {
	if v.Sign() == 0 {
		return 0
	}
	abs := new(big.Float).Abs(v)
	exp := max(abs.MantExp(nil)-11, -24) // of the last place
	n := new(big.Float).SetMantExp(abs, -exp)
	whole, _ := n.Int(nil)
	rest, _ := new(big.Float).Sub(n, new(big.Float).SetInt(whole)).Float64()
	places := whole.Int64()
	if rest > 0.5 || rest == 0.5 && places&1 == 1 {
		places++
	}
	h := roundToHalf(float32(math.Ldexp(float64(places), exp))) // exact, or too large
	if v.Signbit() {
		h |= 0x8000
	}
	return h
}

func TestFMAHalf(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	f := func(h uint16) *big.Float {
		return new(big.Float).SetPrec(300).SetFloat64(float64(HalfToFloat(h)))
	}
	for range 20000 {
		x, y, z := uint16(r.Uint32N(0x7c00)), uint16(r.Uint32N(0x7c00)), uint16(r.Uint32N(0x7c00))|uint16(r.Uint32N(2))<<15
		want := bigHalf(f(0).Add(f(0).Mul(f(x), f(y)), f(z)))
		if got := fmaHalf(x, y, z); got != want && got&0x7fff != 0 {
			t.Fatalf("%#04x*%#04x+%#04x = %#04x, want %#04x", x, y, z, got, want)
		}
	}
}

// checkGEMMF16 compares one call of a kernel with the definition, bit by bit, in guarded memory.
func checkGEMMF16(t testing.TB, g *GEMMF16, r *rand.Rand, k int) {
	t.Helper()
	lda, ldc, ldr := k+r.IntN(3), g.NR+r.IntN(5), g.NR+r.IntN(3)
	a, ga := guardedOf[uint16]((g.MR-1)*lda + k)
	b, gb := guardedOf[uint16](k * g.NR)
	copy(a, randHalves(r, len(a)))
	copy(b, randHalves(r, len(b)))
	c, gc := guardedOf[float32]((g.MR-1)*ldc + g.NR)
	bias, gs := guardedOf[float32](g.NR)
	res, gr := guardedOf[float32]((g.MR-1)*ldr + g.NR)
	for _, v := range [][]float32{c, bias, res} {
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
			v = sumHalves(v, a[i*lda:][:k], b[j:], g.NR)
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
	g.Fn(&c[0], 4*ldc, &a[0], 2*lda, &b[0], k, startAt, other, 4*ldr, p)
	for i, v := range want {
		if c[i] != v {
			t.Fatalf("%s, k %d: row %d column %d is %g, want %g", g.Name, k, i/ldc, i%ldc, c[i], v)
		}
	}
	for _, g := range []guarded{ga, gb, gc, gs, gr} {
		g.check(t)
	}
}

func TestGEMMF16(t *testing.T) {
	for i := range gemmsF16 {
		g := &gemmsF16[i]
		t.Run(g.Name, func(t *testing.T) {
			runnable(t, g.Name, g.ISA)
			r := rand.New(rand.NewPCG(1, 2))
			for k := 1; k <= 40; k++ {
				for range 3 {
					checkGEMMF16(t, g, r, k)
				}
			}
			checkGEMMF16(t, g, r, halfTerms)
		})
	}
}

func FuzzGEMMF16(f *testing.F) {
	f.Add(uint8(0), uint8(7), uint64(1))
	f.Fuzz(func(t *testing.T, kernel, k uint8, seed uint64) {
		if len(gemmsF16) == 0 {
			t.Skip("no kernel for halves in this build")
		}
		g := &gemmsF16[int(kernel)%len(gemmsF16)]
		if g.ISA&^features != 0 {
			t.Skip("not on this CPU")
		}
		checkGEMMF16(t, g, rand.New(rand.NewPCG(seed, 1)), 1+int(k))
	})
}

// naiveHalf is the definition of output element j: passes of halfTerms terms, each summed in halves, over the window's rows,
// its columns and the input channels.
func (c *ConvF32) naiveHalf(in [][]byte, j int) float32 {
	x, w := view[float32](in[0]), &c.Window
	gi, taps := c.In.C/c.Groups, w.KH*w.KW
	pos, o := j/c.Out.C, j%c.Out.C
	row, filter := make([]uint16, taps*gi), make([]uint16, taps*gi)
	for t := range taps {
		ih, iw := pos/c.Out.W*w.StrideH-w.Pad[0]+t/w.KW*w.DilationH, pos%c.Out.W*w.StrideW-w.Pad[1]+t%w.KW*w.DilationW
		for i := range gi {
			if ih >= 0 && ih < c.In.H && iw >= 0 && iw < c.In.W {
				row[t*gi+i] = roundToHalf(x[(ih*c.In.W+iw)*c.In.C+o/(c.Out.C/c.Groups)*gi+i])
			}
			filter[t*gi+i] = c.Weights16[(o*taps+t)*padded4(gi)+i]
		}
	}
	v := c.Bias[o]
	for k0 := 0; k0 < len(row); k0 += halfTerms {
		v = sumHalves(v, row[k0:min(k0+halfTerms, len(row))], filter[k0:], 1)
	}
	var res *float32
	if c.Residual {
		res = &view[float32](in[1])[j]
	}
	return finish32(v, res, &asm.ClampF32{Lo: c.ClampLo, Hi: c.ClampHi, InnerLo: c.InnerLo, InnerHi: c.InnerHi})
}

// The definition is as near to the exact result as halves allow, and where the CPU has the kernels they have its bits,
// whatever the split into units and the size of the caches. Not all elements are looked at: the definition is slow.
func TestConvF16(t *testing.T) {
	for i, cc := range floatCases {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c, in := cc.build(rand.New(rand.NewPCG(5, uint64(i))), true)
			c.HalfMath = true
			if c.Out.Len()*c.Window.KH*c.Window.KW*c.In.C/c.Groups > 3<<20 {
				return // too slow where half precision is emulated; the same code as the others
			}
			want := map[int]float32{}
			var errors, sizes float64
			step := max(c.Out.Len()*c.Window.KH*c.Window.KW*c.In.C/40000, 1)
			for j := i % step; j < c.Out.Len(); j += step | 1 {
				want[j] = c.naiveHalf(in, j)
				exact, size := c.naiveAt(in, j)
				d := math.Abs(float64(want[j]) - exact)
				// Each operand and each term is rounded once, to 11 bits.
				if !(d <= (halfTerms+2)*0x1p-11*(size+4)) {
					t.Fatalf("element %d is %g, want %g", j, want[j], exact)
				}
				errors, sizes = errors+d*d, sizes+size*size
			}
			if rms := math.Sqrt(errors / sizes); rms > 0x1p-11 {
				t.Errorf("errors are %.2g of the sums of absolute values, want less than 2^-11", rms)
			}
			if halfFamily(features) == nil {
				if newConvF16(c, features, 0) != nil {
					t.Error("half precision without kernels")
				}
				return
			}
			var first []byte
			for _, l2 := range []int{0, 1 << 12, 1 << 21} {
				p := mustPrepare(t)(prepareConvF32(c, features, l2))
				if p.Kernel != halfFamily(features)[0].Name {
					t.Fatalf("computed by %s", p.Kernel)
				}
				got := opRun(t, p, in, 4*c.Out.Len())[0]
				if first == nil {
					first = got
				}
				if !bytes.Equal(got, first) {
					t.Errorf("cache %d: other bits", l2)
				}
				for j, v := range want {
					if y := view[float32](got)[j]; y != v {
						t.Fatalf("cache %d: element %d is %g, want %g", l2, j, y, v)
					}
				}
			}
		})
	}
}

// Where one tile has all rows, those of the next one would lie behind the operand, by more than Slack in the last pass over many terms.
// The garbage collector ends the program when it finds a pointer there and the memory is free.
func TestConvF16KeepsNoPointerBehind(t *testing.T) {
	type layer struct {
		p  *Prepared
		in []byte
		io *IO
	}
	var layers []layer
	for _, width := range []int{6, 14} { // rows of a tile with AVX2 and with AVX-512
		cc := &floatCase{Shape{1, width, 2000}, 32, 1, win(1, 1, 1), false}
		c, in := cc.build(rand.New(rand.NewPCG(5, 9)), true)
		for _, isa := range floatVariants() {
			if isa == Portable && features != Portable {
				continue // it would take nearly all of the time
			}
			p := mustPrepare(t)(prepareConvF32(c, isa, 1<<12))
			layers = append(layers, layer{p, in[0], &IO{In: make([][]byte, 1), Out: [][]byte{make([]byte, 4*c.Out.Len()+Slack)}}})
		}
	}
	whileCollecting(func() {
		for _, l := range layers {
			// Memory of its own, with other memory freed behind it.
			l.io.In[0] = append(make([]byte, 0, len(l.in)+Slack), l.in...)
			for i := range l.p.Stages {
				s := &l.p.Stages[i]
				s.Run(l.io, 0, s.Units, make([]byte, s.Scratch+Slack))
			}
		}
	})
}

func TestHalfMathIsAskedFor(t *testing.T) {
	for _, test := range []struct {
		asked    bool
		weight   float32
		halfMath bool
	}{{false, 1, false}, {true, 1, true}, {true, 65519, true}, {true, 65520, false}, {true, float32(math.NaN()), false}} {
		c, _ := floatCases[0].build(rand.New(rand.NewPCG(1, 1)), false)
		c.HalfMath, c.Weights[2] = test.asked, test.weight
		g := newConvF16(c, features, 0)
		if want := test.halfMath && halfFamily(features) != nil; (g != nil) != want {
			t.Errorf("asked %v, a weight of %g: half precision %v, want %v", test.asked, test.weight, g != nil, want)
		}
	}
}
