package kernels

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

func TestAttentionLayout(t *testing.T) {
	var p asm.Attention
	got := []uintptr{unsafe.Offsetof(p.Zero), unsafe.Offsetof(p.A), unsafe.Offsetof(p.B), unsafe.Offsetof(p.Mult), unsafe.Offsetof(p.Lo),
		unsafe.Offsetof(p.Hi), unsafe.Offsetof(p.ZeroOut), unsafe.Offsetof(p.Round)}
	for i, o := range got {
		if o != uintptr(4*i) {
			t.Errorf("field %d is at %d, want %d", i, o, 4*i)
		}
	}
}

// checkRows runs every record of a kind on this CPU against the naive definition, want. Buffers are guarded; call gets them
// filled, and want is called once more for every record.
func checkRows[F any](t *testing.T, rows []Row[F], check func(t testing.TB, r *rand.Rand, fn F)) {
	for i := range rows {
		k := &rows[i]
		t.Run(k.Name, func(t *testing.T) {
			runnable(t, k.Name, k.ISA)
			r := rand.New(rand.NewPCG(11, 12))
			for range 400 {
				check(t, r, k.Fn)
			}
		})
	}
}

func guardedBytes(r *rand.Rand, n int) ([]byte, guarded) {
	b, g := guardedOf[byte](n)
	mode := r.IntN(5)
	for i := range b {
		switch mode {
		case 0:
			b[i] = 255
		case 1:
			b[i] = byte(r.IntN(2) * 255)
		default:
			b[i] = byte(r.Uint32())
		}
	}
	return b, g
}

// rowLength favours the edges of vectors.
func rowLength(r *rand.Rand) int {
	if r.IntN(3) == 0 {
		return max(1, []int{16, 32, 64, 128}[r.IntN(4)]+r.IntN(5)-2)
	}
	return 1 + r.IntN(200)
}

// windowCase is a window over channels in guarded memory.
type windowCase struct {
	a              []byte
	g              guarded
	ldh, h, ldw, w int
	n              int
}

func randWindow(r *rand.Rand) windowCase {
	c := windowCase{h: 1 + r.IntN(4), w: 1 + r.IntN(4), n: rowLength(r)}
	if r.IntN(8) == 0 { // about where sums of bytes leave 16 bits
		c.h, c.w, c.n = 1, 255+r.IntN(6), 1+r.IntN(70)
	}
	c.ldw = c.n + r.IntN(3)*r.IntN(9)
	c.ldh = c.ldw*c.w + r.IntN(9)
	c.a, c.g = guardedBytes(r, (c.h-1)*c.ldh+(c.w-1)*c.ldw+c.n)
	return c
}

func (c *windowCase) each(j int, visit func(u byte)) {
	for i := range c.h {
		for k := range c.w {
			visit(c.a[i*c.ldh+k*c.ldw+j])
		}
	}
}

func checkSum(t testing.TB, r *rand.Rand, fn sumFunc) {
	c := randWindow(r)
	dst, gd := guardedOf[int32](c.n + 63)
	fn(&dst[0], &c.a[0], c.ldh, c.h, c.ldw, c.w, c.n)
	for j := range c.n {
		var want int32
		c.each(j, func(u byte) { want += int32(u) })
		if dst[j] != want {
			t.Fatalf("%dx%d places of %d channels: sum %d is %d, want %d", c.h, c.w, c.n, j, dst[j], want)
		}
	}
	c.g.check(t)
	gd.check(t)
}

func checkMax(t testing.TB, r *rand.Rand, fn maxFunc) {
	c := randWindow(r)
	dst, gd := guardedOf[byte](c.n)
	fn(&dst[0], &c.a[0], c.ldh, c.h, c.ldw, c.w, c.n)
	for j := range c.n {
		var want byte
		c.each(j, func(u byte) { want = max(want, u) })
		if dst[j] != want {
			t.Fatalf("%dx%d places of %d channels: max %d is %d, want %d", c.h, c.w, c.n, j, dst[j], want)
		}
	}
	c.g.check(t)
	gd.check(t)
}

func TestSums(t *testing.T)   { checkRows(t, summers, checkSum) }
func TestMaxima(t *testing.T) { checkRows(t, maxers, checkMax) }

func randMult(r *rand.Rand) float32 {
	switch r.IntN(12) {
	case 0:
		return 0.5 // ties
	case 1:
		return 0x1p-126
	case 2:
		return maxResidualMult
	}
	return float32(math.Exp(2*r.NormFloat64() - 1))
}

// elementwise is a random requantization of one operand or two with its zero points.
func elementwise(r *rand.Rand) (p *asm.Requant, za, zb, zero, lo, hi int32) {
	za, zb, zero = randZero(r), randZero(r), randZero(r)
	lo, hi = randBounds(r)
	p = rescaling(za, randMult(r), zero, lo, hi)
	p.BZero, p.BMult = zb+128, randMult(r)
	return p, za, zb, zero, lo, hi
}

func checkUnary(t testing.TB, r *rand.Rand, fn unaryFunc) {
	n := rowLength(r)
	p, za, _, zero, lo, hi := elementwise(r)
	x, gx := guardedBytes(r, n)
	dst, gd := guardedOf[byte](n)
	before := bytes.Clone(x)
	if r.IntN(4) == 0 {
		dst, gd = x, gx // in place
	}
	fn(&dst[0], &x[0], n, p)
	for i, u := range before {
		want := naiveRequant(float32(float32(int32(u)-128-za)*p.AMult), zero, lo, hi)
		if got := int32(dst[i]) - 128; got != want {
			t.Fatalf("n %d: element %d of %d becomes %d, want %d", n, i, u, got, want)
		}
	}
	gx.check(t)
	gd.check(t)
}

func checkRound(t testing.TB, r *rand.Rand, fn roundFunc) {
	n := rowLength(r)
	p, _, _, zero, lo, hi := elementwise(r)
	p.AOff = r.Int32N(20001) - 10000
	x, gx := guardedOf[int32](n)
	for i := range x {
		x[i] = (r.Int32N(1<<31-1) - 1<<30) >> r.IntN(31)
	}
	dst, gd := guardedOf[byte](n)
	fn(&dst[0], &x[0], n, p)
	for i, v := range x {
		want := naiveRequant(float32(float32(v+p.AOff)*p.AMult), zero, lo, hi)
		if got := int32(dst[i]) - 128; got != want {
			t.Fatalf("n %d: element %d of %d becomes %d, want %d", n, i, v, got, want)
		}
	}
	gx.check(t)
	gd.check(t)
}

func checkBinary(t testing.TB, r *rand.Rand, fn binaryFunc, value func(a, b int32, p *asm.Requant) float32) {
	n := rowLength(r)
	p, za, zb, zero, lo, hi := elementwise(r)
	x, gx := guardedBytes(r, n)
	y, gy := guardedBytes(r, n)
	dst, gd := guardedOf[byte](n)
	fn(&dst[0], &x[0], &y[0], n, p)
	for i := range n {
		want := naiveRequant(value(int32(x[i])-128-za, int32(y[i])-128-zb, p), zero, lo, hi)
		if got := int32(dst[i]) - 128; got != want {
			t.Fatalf("n %d: element %d of %d and %d is %d, want %d", n, i, x[i], y[i], got, want)
		}
	}
	for _, g := range []guarded{gx, gy, gd} {
		g.check(t)
	}
}

func checkAdd(t testing.TB, r *rand.Rand, fn binaryFunc) {
	checkBinary(t, r, fn, func(a, b int32, p *asm.Requant) float32 {
		return float32(float32(a)*p.AMult) + float32(float32(b)*p.BMult)
	})
}

func checkMul(t testing.TB, r *rand.Rand, fn binaryFunc) {
	checkBinary(t, r, fn, func(a, b int32, p *asm.Requant) float32 { return float32(float32(a*b) * p.AMult) })
}

func TestRescale(t *testing.T) { checkRows(t, rescalers, checkUnary) }
func TestRound(t *testing.T)   { checkRows(t, rounders, checkRound) }
func TestAddRows(t *testing.T) { checkRows(t, adders, checkAdd) }
func TestMulRows(t *testing.T) { checkRows(t, mulers, checkMul) }

func checkAttend(t testing.TB, r *rand.Rand, fn attendFunc) {
	n, pixels := rowLength(r), 1+r.IntN(4)
	zx, zero := randZero(r), randZero(r)
	lo, hi := randBounds(r)
	p := &asm.Attention{Zero: zx + 128, A: 16384, B: 16384, Mult: float32(math.Exp(r.NormFloat64() - 10)), Lo: float32(lo - zero), Hi: float32(hi - zero),
		ZeroOut: zero + 128, Round: 8192}
	if r.IntN(2) == 0 {
		p.A, p.B = r.Int32N(60000)-30000, r.Int32N(40000)-20000
	}
	x, gx := guardedBytes(r, pixels*n)
	gh, ggh := guardedOf[int32](n)
	gw, ggw := guardedOf[int16](pixels * n)
	for i := range gh {
		gh[i] = r.Int32N(65535) - 32767
	}
	for i := range gw {
		gw[i] = int16(r.Uint32())
	}
	dst, gd := guardedOf[byte](pixels * n)
	fn(&dst[0], &x[0], &gh[0], &gw[0], pixels, n, p)
	for i, u := range x {
		m := int64(gh[i%n]) + int64(gw[i])
		acc := (int64(u) - 128 - int64(zx)) * (int64(p.A) + (int64(p.B)*m+8192)>>14)
		if want := bigRequant(int64(int32(acc)), p.Mult, zero, lo, hi); int(dst[i])-128 != int(want) {
			t.Fatalf("%d pixels of %d: element %d, acc %d, is %d, want %d", pixels, n, i, acc, int(dst[i])-128, want)
		}
	}
	for _, g := range []guarded{gx, ggh, ggw, gd} {
		g.check(t)
	}
}

func TestAttend(t *testing.T) { checkRows(t, attenders, checkAttend) }

// FuzzRows drives every row of every kind from one seed.
func FuzzRows(f *testing.F) {
	for i := range 13 {
		f.Add(uint8(i), uint64(i), uint64(7))
	}
	f.Fuzz(func(t *testing.T, kind uint8, a, b uint64) {
		seed := func() *rand.Rand { return rand.New(rand.NewPCG(a, b)) }
		switch kind % 13 {
		case 0:
			fuzzRows(t, summers, seed, checkSum)
		case 1:
			fuzzRows(t, maxers, seed, checkMax)
		case 2:
			fuzzRows(t, rescalers, seed, checkUnary)
		case 3:
			fuzzRows(t, adders, seed, checkAdd)
		case 4:
			fuzzRows(t, mulers, seed, checkMul)
		case 5:
			fuzzRows(t, attenders, seed, checkAttend)
		case 6:
			fuzzRows(t, rounders, seed, checkRound)
		case 7:
			fuzzRows(t, scanners, seed, checkScanner)
		case 8:
			fuzzRows(t, spreaders4, seed, checkSpreader(4))
		case 9:
			fuzzRows(t, spreaders2, seed, checkSpreader(2))
		case 10:
			fuzzRows(t, depthwises16, seed, checkDepthwise16)
		case 11:
			fuzzRows(t, requantizers16, seed, checkRequant16)
		case 12:
			fuzzRows(t, adders16, seed, checkAdd16)
		}
	})
}

func fuzzRows[F any](t *testing.T, rows []Row[F], seed func() *rand.Rand, check func(t testing.TB, r *rand.Rand, fn F)) {
	for i := range rows {
		if rows[i].ISA&^features == 0 {
			check(t, seed(), rows[i].Fn)
		}
	}
}

// The chooser takes the fastest that may be used, and portable Go only where there is nothing else.
func TestChooseRow(t *testing.T) {
	checkChosen(t, summers)
	checkChosen(t, maxers)
	checkChosen(t, rescalers)
	checkChosen(t, rounders)
	checkChosen(t, adders)
	checkChosen(t, mulers)
	checkChosen(t, attenders)
	checkChosen(t, scanners)
	checkChosen(t, spreaders4)
	checkChosen(t, spreaders2)
	checkChosen(t, depthwises16)
	checkChosen(t, requantizers16)
	checkChosen(t, adders16)
}

func checkChosen[F any](t *testing.T, rows []Row[F]) {
	for _, isa := range variants() {
		got := chooseRow(rows, isa)
		for i := range rows {
			if r := &rows[i]; r.ISA&^isa == 0 && (r.Rate > got.Rate || got.ISA == Portable && r.ISA != Portable) {
				t.Errorf("%v: %s is chosen, not %s", isa, got.Name, r.Name)
			}
		}
	}
}
