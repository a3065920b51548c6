package kernels

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/rfga-edge/rfga-edge/asm"
)

// random16 are values of int16, many of them at the ends, in guarded memory.
func random16(r *rand.Rand, n int) ([]int16, guarded) {
	v, g := guardedOf[int16](n)
	ends := r.IntN(3) == 0
	for i := range v {
		v[i] = int16(r.Uint32())
		if ends {
			v[i] = []int16{-32768, 32767}[r.IntN(2)]
		}
	}
	return v, g
}

func checkDepthwise16(t testing.TB, r *rand.Rand, fn depthwise16Func) {
	taps, n := 1+r.IntN(12), rowLength(r)
	stride := padded4(n)
	weights := randW(r, taps, n)
	w := packDepthwise16(weights, taps, stride, n)
	pairs := (taps + 1) / 2
	off := make([]int, 2*pairs)
	far := 0
	for i := range taps {
		off[i] = 2 * r.IntN(300)
		far = max(far, off[i]/2)
	}
	a, ga := random16(r, far+n)
	dst, gd := guardedOf[int32](n + 15)
	fn(&dst[0], &a[0], &off[0], &w[0], pairs, n)
	for j := range n {
		var want int64
		for i := range taps {
			want += int64(a[off[i]/2+j]) * int64(weights[i*stride+j])
		}
		if int64(dst[j]) != want {
			t.Fatalf("%d taps of %d channels: sum %d is %d, want %d", taps, n, j, dst[j], want)
		}
	}
	ga.check(t)
	gd.check(t)
}

// requant16Params are a last step into int16.
func requant16Params(r *rand.Rand) (p *asm.Requant, zero, lo, hi int32) {
	q := randOut(r, Int16, 1)
	return &asm.Requant{RLo: float32(q.Lo - q.Zero), RHi: float32(q.Hi - q.Zero), RZero: q.Zero}, q.Zero, q.Lo, q.Hi
}

func checkRequant16(t testing.TB, r *rand.Rand, fn requant16Func) {
	n := (rowLength(r) + 7) &^ 7
	p, zero, lo, hi := requant16Params(r)
	low, gl := guardedOf[int32](n)
	high, gh := guardedOf[int32](n)
	bias, gb := guardedOf[int32](n)
	base, gs := guardedOf[float64](n)
	mult, gm := guardedOf[float32](n)
	for i := range n {
		// Sums wrap on the way and are right once they have their bias.
		low[i], high[i], bias[i] = int32(r.Uint32()), int32(r.Uint32())>>r.IntN(20), int32(r.Uint32())
		base[i] = float64(int64(r.Uint64()) >> (16 + r.IntN(40)))
		mult[i] = max(randMult(r)/float32(int(1)<<r.IntN(30)), 0x1p-126)
	}
	two := r.IntN(3) > 0
	h := &high[0]
	if !two {
		h = nil
	}
	dst, gd := guardedOf[int16](n)
	fn(&dst[0], &low[0], h, &bias[0], &base[0], &mult[0], n, p)
	for i := range n {
		acc := int64(low[i]+bias[i]) + int64(base[i])
		if two {
			acc += 256 * int64(high[i]+bias[i])
		}
		if want := bigRound32(bigMul(acc, mult[i]), zero, lo, hi); int32(dst[i]) != want {
			t.Fatalf("element %d of %d: %d times %g is %d, want %d", i, n, acc, mult[i], dst[i], want)
		}
	}
	for _, g := range []guarded{gl, gh, gb, gs, gm, gd} {
		g.check(t)
	}
}

func checkAdd16(t testing.TB, r *rand.Rand, fn add16Func) {
	n := (rowLength(r) + 7) &^ 7
	p, zero, lo, hi := requant16Params(r)
	za, zb := Int16.randZero(r), Int16.randZero(r)
	p.AOff, p.BZero, p.AMult, p.BMult = -za, zb, randMult(r), randMult(r)
	a, ga := random16(r, n)
	b, gb := random16(r, n)
	dst, gd := guardedOf[int16](n)
	fn(&dst[0], &a[0], &b[0], n, p)
	for i := range n {
		sum := new(big.Float).SetPrec(24).Add(bigMul(int64(a[i])-int64(za), p.AMult), bigMul(int64(b[i])-int64(zb), p.BMult))
		if want := bigRound32(sum, zero, lo, hi); int32(dst[i]) != want {
			t.Fatalf("element %d of %d: %d and %d give %d, want %d", i, n, a[i], b[i], dst[i], want)
		}
	}
	for _, g := range []guarded{ga, gb, gd} {
		g.check(t)
	}
}

func TestDepthwise16(t *testing.T) { checkRows(t, depthwises16, checkDepthwise16) }
func TestRequant16(t *testing.T)   { checkRows(t, requantizers16, checkRequant16) }
func TestAdd16(t *testing.T)       { checkRows(t, adders16, checkAdd16) }
