package kernels

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

func TestColorMatrixLayout(t *testing.T) {
	var m asm.ColorMatrix
	for ch := range 3 {
		for i, got := range []uintptr{uintptr(unsafe.Pointer(&m.Coef[ch][0])), uintptr(unsafe.Pointer(&m.Coef[ch][1])), uintptr(unsafe.Pointer(&m.Bias[ch]))} {
			if want := []int{64 * ch, 64*ch + 32, 192 + 32*ch}[i]; got-uintptr(unsafe.Pointer(&m)) != uintptr(want) {
				t.Errorf("channel %d, field %d is not at %d", ch, i, want)
			}
		}
	}
}

func guardedWords(r *rand.Rand, n int) ([]int16, guarded) {
	s, g := guardedOf[int16](n)
	extreme := r.IntN(4) == 0
	for i := range s {
		s[i] = int16(r.Uint32())
		if extreme {
			s[i] = []int16{-32768, 32767}[r.IntN(2)]
		}
	}
	return s, g
}

// pixelLength favours the edges of vectors and of blocks of four.
func pixelLength(r *rand.Rand, least int) int {
	if r.IntN(2) == 0 {
		return max(least, []int{64, 128, 256, 512}[r.IntN(4)]+r.IntN(5)-2)
	}
	return least + r.IntN(700)
}

func checkBlend(t testing.TB, r *rand.Rand, fn blendFunc) {
	n, taps := pixelLength(r, PixelsLeast), 1+r.IntN(12)
	stride := n + r.IntN(9)
	src, gs := guardedBytes(r, stride*(taps-1)+n)
	coef, gc := guardedWords(r, taps)
	for i := range coef {
		coef[i] = max(coef[i], -32767)
	}
	dst, gd := guardedOf[int16](n)
	fn(&dst[0], &src[0], stride, n, &coef[0], taps)
	for j := range n {
		var want int64
		for k, c := range coef {
			want += (256*(int64(src[k*stride+j])-128)*int64(c) + 16384) >> 15
		}
		if dst[j] != int16(want) {
			t.Fatalf("%d rows of %d: element %d is %d, want %d", taps, n, j, dst[j], int16(want))
		}
	}
	for _, g := range []guarded{gs, gc, gd} {
		g.check(t)
	}
}

func checkUnzip(t testing.TB, r *rand.Rand, fn unzipFunc) {
	n := PixelsLeast * (1 + r.IntN(5))
	src, gs := guardedWords(r, 2*n)
	a, ga := guardedOf[int16](n)
	b, gb := guardedOf[int16](n)
	fn(&a[0], &b[0], &src[0], n)
	for i := range n {
		if a[i] != src[2*i] || b[i] != src[2*i+1] {
			t.Fatalf("%d pairs: pair %d is %d, %d, want %v", n, i, a[i], b[i], src[2*i:2*i+2])
		}
	}
	for _, g := range []guarded{gs, ga, gb} {
		g.check(t)
	}
}

func checkUnzip3(t testing.TB, r *rand.Rand, fn unzip3Func) {
	n := PixelsLeast * (1 + r.IntN(5))
	src, gs := guardedWords(r, 3*n)
	a, ga := guardedOf[int16](n)
	b, gb := guardedOf[int16](n)
	c, gc := guardedOf[int16](n)
	fn(&a[0], &b[0], &c[0], &src[0], n)
	for i := range n {
		if a[i] != src[3*i] || b[i] != src[3*i+1] || c[i] != src[3*i+2] {
			t.Fatalf("%d triples: triple %d is %d, %d, %d, want %v", n, i, a[i], b[i], c[i], src[3*i:3*i+3])
		}
	}
	for _, g := range []guarded{gs, ga, gb, gc} {
		g.check(t)
	}
}

func checkReduce(t testing.TB, r *rand.Rand, fn reduceFunc) {
	n, blocks := 8*(1+r.IntN(20)), 1+r.IntN(5)
	size := 8*blocks + r.IntN(600)
	src, gs := guardedWords(r, size)
	coef, gc := guardedOf[int16](n * 8 * blocks)
	first, gf := guardedOf[int32](n)
	dst, gd := guardedOf[int16](n)
	at := func(i, k int) *int16 { return &coef[16*(i/2*blocks+k/8)+8*(i%2)+k%8] }
	for i := range n {
		first[i] = r.Int32N(int32(size - 8*blocks + 1))
		left := int32(32768) // in absolute value, so that every sum fits
		for k := range 8 * blocks {
			c := min(r.Int32N(left+1), 32767)
			if r.IntN(8) == 0 {
				c = min(left, 32767)
			}
			left -= c
			*at(i, k) = int16(c)
			if r.IntN(5) == 0 {
				*at(i, k) = int16(-c)
			}
		}
	}
	fn(&dst[0], &src[0], &first[0], &coef[0], blocks, n)
	for i := range n {
		var sum int64
		for k := range 8 * blocks {
			sum += int64(*at(i, k)) * int64(src[int(first[i])+k])
		}
		if want := int16(int32(sum+1<<15) >> 16); dst[i] != want {
			t.Fatalf("%d results of %d blocks: result %d is %d, want %d", n, blocks, i, dst[i], want)
		}
	}
	for _, g := range []guarded{gs, gc, gf, gd} {
		g.check(t)
	}
}

func checkColor(t testing.TB, r *rand.Rand, fn colorFunc) {
	n := 16 + r.IntN(100)
	var m asm.ColorMatrix
	var f [3][3]int64
	var bias [3]int64
	for ch := range 3 {
		for i := range 3 {
			f[ch][i] = int64(r.IntN(40000) - 20000)
		}
		bias[ch] = int64(r.Int32N(1<<29) - 1<<28)
		m.SetRow(ch, int16(f[ch][0]), int16(f[ch][1]), int16(f[ch][2]), int32(bias[ch]))
	}
	var in [3][]int16
	var g [4]guarded
	for i := range in {
		in[i], g[i] = guardedWords(r, n)
		for j := range in[i] { // of blends that have been reduced
			in[i][j] >>= 1
		}
	}
	dst, gd := guardedOf[byte](3 * n)
	g[3] = gd
	fn(&dst[0], &in[0][0], &in[1][0], &in[2][0], n, &m)
	for i := range n {
		for ch := range 3 {
			v := (f[ch][0]*int64(in[0][i]) + f[ch][1]*int64(in[1][i]) + f[ch][2]*int64(in[2][i]) + bias[ch]) >> 20
			if want := byte(min(max(v, 0), 255)); dst[3*i+ch] != want {
				t.Fatalf("%d pixels: byte %d of pixel %d is %d, want %d", n, ch, i, dst[3*i+ch], want)
			}
		}
	}
	for _, g := range g {
		g.check(t)
	}
}

func TestBlend(t *testing.T)  { checkRows(t, blenders, checkBlend) }
func TestUnzip(t *testing.T)  { checkRows(t, unzippers, checkUnzip) }
func TestUnzip3(t *testing.T) { checkRows(t, unzip3s, checkUnzip3) }
func TestReduce(t *testing.T) { checkRows(t, reducers, checkReduce) }
func TestColor(t *testing.T)  { checkRows(t, colorers, checkColor) }

func TestChoosePixelRow(t *testing.T) {
	checkChosen(t, blenders)
	checkChosen(t, unzippers)
	checkChosen(t, unzip3s)
	checkChosen(t, reducers)
	checkChosen(t, colorers)
}

// FuzzPixels drives every kernel of package frame from one seed.
func FuzzPixels(f *testing.F) {
	for i := range 5 {
		f.Add(uint8(i), uint64(i), uint64(7))
	}
	f.Fuzz(func(t *testing.T, kind uint8, a, b uint64) {
		seed := func() *rand.Rand { return rand.New(rand.NewPCG(a, b)) }
		switch kind % 5 {
		case 0:
			fuzzRows(t, blenders, seed, checkBlend)
		case 1:
			fuzzRows(t, unzippers, seed, checkUnzip)
		case 2:
			fuzzRows(t, unzip3s, seed, checkUnzip3)
		case 3:
			fuzzRows(t, reducers, seed, checkReduce)
		case 4:
			fuzzRows(t, colorers, seed, checkColor)
		}
	})
}
