package kernels

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// numbered is memory of n elements of elem bytes that tell where they come from.
func numbered(n, elem int) []byte {
	b := make([]byte, 0, n*elem)
	for i := range n {
		b = append(b, binary.LittleEndian.AppendUint32(nil, uint32(i)*0x9E3779B1)[:elem]...)
	}
	return b
}

func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 1))
	for range 200 {
		in := Shape{1 + r.IntN(5), 1 + r.IntN(6), 1 + r.IntN(40)}
		c := &Gather{In: in, Out: in, Axis: 1 + r.IntN(3), Elem: []int{1, 2, 4}[r.IntN(3)]}
		n := []int{in.H, in.W, in.C}[c.Axis-1]
		switch r.IntN(3) {
		case 0: // a slice
			from := r.IntN(n)
			for k := from; k < n; k++ {
				c.Index = append(c.Index, int32(k))
			}
		case 1: // anything
			for range 1 + r.IntN(12) {
				c.Index = append(c.Index, int32(r.IntN(n)))
			}
		default: // backwards, in pairs
			for k := n - 1; k >= 0; k-- {
				c.Index = append(c.Index, int32(k&^1), int32(k))
			}
		}
		*[]*int{&c.Out.H, &c.Out.W, &c.Out.C}[c.Axis-1] = len(c.Index)
		x, e := numbered(in.Len(), c.Elem), c.Elem
		var want []byte
		for h := range c.Out.H {
			for w := range c.Out.W {
				for ch := range c.Out.C {
					at := [3]int{h, w, ch}
					at[c.Axis-1] = int(c.Index[at[c.Axis-1]])
					from := ((at[0]*in.W+at[1])*in.C + at[2]) * e
					want = append(want, x[from:from+e]...)
				}
			}
		}
		got := opRun(t, mustPrepare(t)(PrepareGather(c)), [][]byte{x}, len(want))[0]
		if string(got) != string(want) {
			t.Fatalf("%+v: %x, want %x", c, got, want)
		}
	}
}

func TestPermute(t *testing.T) {
	r := rand.New(rand.NewPCG(42, 1))
	for range 200 {
		rank := 1 + r.IntN(6)
		dims, perm, n := make([]int, rank), r.Perm(rank), 1
		for i := range dims {
			dims[i] = []int{1, 2, 3, 5, 17}[r.IntN(5)]
			n *= dims[i]
		}
		if n > 1<<16 {
			continue
		}
		e := []int{1, 2, 4}[r.IntN(3)]
		x := numbered(n, e)
		var want []byte
		size := make([]int, rank)
		for i, p := range perm {
			size[i] = dims[p]
		}
		for k := range n { // the index of element k of the result, and where that lies in the input
			index, rest := make([]int, rank), k
			for i := rank - 1; i >= 0; i-- {
				index[perm[i]] = rest % size[i]
				rest /= size[i]
			}
			from := 0
			for d, i := range index {
				from = from*dims[d] + i
			}
			want = append(want, x[from*e:][:e]...)
		}
		c := &Permute{In: Shape{1, n, 1}, Out: Shape{1, 1, n}, Dims: dims, Perm: perm, Elem: e}
		got := opRun(t, mustPrepare(t)(PreparePermute(c)), [][]byte{x}, len(want))[0]
		if string(got) != string(want) {
			t.Fatalf("%+v differs", c)
		}
	}
}

func TestTablesI8(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 1))
	s := Shape{3, 4, 7}
	x, table := randQ(r, s.Len()), randQ(r, 256*s.C)
	want := make([]int8, s.Len())
	for i, q := range x {
		want[i] = table[i%s.C*256+int(q)+128]
	}
	wantBytes(t, opRun(t, mustPrepare(t)(PrepareTableI8(s, table)), [][]byte{stored(x)}, s.Len())[0], want)
}

// float64 arithmetic in arbitrary precision: 53 bits, to nearest even.
func big64(f func(z *big.Float) *big.Float) *big.Float { return f(new(big.Float).SetPrec(53)) }

// TestNormalizeI8 follows the formula of the package comment with exact integers and rounding by package big.
func TestNormalizeI8(t *testing.T) {
	r := rand.New(rand.NewPCG(44, 1))
	for range 120 {
		s := Shape{1 + r.IntN(4), 1 + r.IntN(4), []int{1, 2, 12, 66}[r.IntN(4)]}
		c := &NormalizeI8{Shape: s, Axis: []int{1, 3}[r.IntN(2)], Groups: 1, Epsilon: float32(math.Exp(-r.Float64() * 12)),
			ScaleIn: float32(math.Exp(r.NormFloat64() * 3)), ZeroIn: randZero(r), Zero: randZero(r)}
		c.Lo, c.Hi = randBounds(r)
		if r.IntN(2) == 0 {
			c.Groups = []int{2, s.C}[r.IntN(2)]
			if s.C%c.Groups != 0 {
				c.Groups = 1
			}
		}
		for range s.C {
			c.Scale = append(c.Scale, float32(r.NormFloat64()*40))
			c.Shift = append(c.Shift, float32(r.NormFloat64()*20))
		}
		x := randQ(r, s.Len())
		want := make([]int8, len(x))
		for i := range x {
			var sum, squares, n int64
			for j, q := range x {
				d := int64(q) - int64(c.ZeroIn)
				if j%s.C/(s.C/c.Groups) == i%s.C/(s.C/c.Groups) && (c.Axis == 1 || j/s.C == i/s.C) {
					sum, squares, n = sum+d, squares+d*d, n+1
				}
			}
			count := new(big.Float).SetPrec(53).SetInt64(n)
			scale := big.NewFloat(float64(c.ScaleIn))
			eps := big64(func(z *big.Float) *big.Float { return z.Quo(big.NewFloat(float64(c.Epsilon)), scale) })
			eps = big64(func(z *big.Float) *big.Float { return z.Quo(eps, scale) })
			square := big64(func(z *big.Float) *big.Float { return z.Mul(count, count) })
			eps = big64(func(z *big.Float) *big.Float { return z.Mul(square, eps) })
			v := big64(func(z *big.Float) *big.Float { return z.SetInt64(n*squares - sum*sum) })
			v = big64(func(z *big.Float) *big.Float { return z.Add(v, eps) })
			v = big64(func(z *big.Float) *big.Float { return z.Sqrt(v) })
			v = big64(func(z *big.Float) *big.Float { return z.Quo(big.NewFloat(1), v) })
			d := big64(func(z *big.Float) *big.Float { return z.SetInt64(n*(int64(x[i])-int64(c.ZeroIn)) - sum) })
			d = big64(func(z *big.Float) *big.Float { return z.Mul(d, v) })
			f, _ := d.Float32()
			u := new(big.Float).SetPrec(24).Mul(big.NewFloat(float64(f)), big.NewFloat(float64(c.Scale[i%s.C])))
			u = new(big.Float).SetPrec(24).Add(u, big.NewFloat(float64(c.Shift[i%s.C])))
			want[i] = bigRound(u, c.Zero, c.Lo, c.Hi)
		}
		wantBytes(t, opRun(t, mustPrepare(t)(PrepareNormalizeI8(c)), [][]byte{stored(x)}, s.Len())[0], want)
	}
}

// TestFunctions compares with package math, over all of float32.
func TestFunctions(t *testing.T) {
	softplus := func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	for f, exact := range map[Func]func(x float64) float64{
		Tanh: math.Tanh, Softplus: softplus, Erf: math.Erf, Exp: math.Exp, Log: math.Log, Sqrt: math.Sqrt, Abs: math.Abs,
		Mish:       func(x float64) float64 { return x * math.Tanh(softplus(x)) },
		GELU:       func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
		GELUTanh:   func(x float64) float64 { return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
		ELU:        func(x float64) float64 { return max(x, 0) + math.Expm1(min(x, 0)) },
		Reciprocal: func(x float64) float64 { return 1 / x },
		Softsign:   func(x float64) float64 { return x / (1 + math.Abs(x)) },
	} {
		worst, at, g := 0.0, float32(0), f.With(1, 1)
		for bits := uint64(0); bits < 1<<32; bits += 40999 {
			x := math.Float32frombits(uint32(bits))
			want := exact(float64(x))
			got := g(x)
			if math.IsNaN(want) || math.Abs(want) > math.MaxFloat32 || math.Abs(want) < 1e-37 {
				if a := math.Abs(float64(got)); math.Abs(want) > math.MaxFloat32*1.000001 && !(a > math.MaxFloat32) || math.Abs(want) < 1e-37 && a > 2e-37 {
					t.Errorf("function %d of %g is %g, want %g", f, x, got, want)
				}
				continue
			}
			if e := ulps(got, want); e > worst {
				worst, at = e, x
			}
		}
		if most := map[Func]float64{Softsign: 1.5, GELUTanh: 4}[f]; worst > max(most, 0.52) {
			t.Errorf("function %d is %.3f units in the last place off at %g", f, worst, at)
		}
	}
	pow := Pow.With(-0.75, 1)
	for _, x := range []float32{0.001, 0.5, 1, 2, 1000, 1e20} {
		if e := ulps(pow(x), math.Pow(float64(x), -0.75)); e > 0.52 {
			t.Errorf("%g^-0.75 is %g, %.2f units off", x, pow(x), e)
		}
	}
	if v := Pow.With(0.5, 1); v(0) != 0 || v(-1) == v(-1) || Pow.With(0, 1)(0) != 1 || !math.IsInf(float64(pow(0)), 1) {
		t.Error("powers of 0 and -1")
	}
	nan := float32(math.NaN())
	for f := LeakyReLU; f <= Pow; f++ {
		if v := f.With(0.5, 1)(nan); v == v {
			t.Errorf("function %d of NaN is %g", f, v)
		}
	}
}
