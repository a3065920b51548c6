package kernels

import (
	"math/rand/v2"

	"github.com/rfga-edge/rfga-edge/asm"
)

// selfTestPixels compares package frame's kernels with the portable ones.
func selfTestPixels(tell func(kernel string, err error)) {
	const most = 5 * PixelsLeast
	r := rand.New(rand.NewPCG(5, 1))
	pixels, words, coef := aligned[byte](7*most), aligned[int16](3*most), aligned[int16](16*most)
	first := aligned[int32](most)
	for i := range pixels {
		pixels[i] = byte(r.Uint32())
	}
	for i := range words {
		words[i] = int16(r.Uint32())
	}
	for i := range coef {
		coef[i] = int16(r.IntN(2048))
	}
	for i := range first {
		first[i] = r.Int32N(most)
	}
	var m asm.ColorMatrix
	m.SetRow(0, 9539, 0, 13075, 170<<20)
	m.SetRow(1, 9539, -3209, -6660, 135<<20)
	m.SetRow(2, 9539, 16525, 0, 130<<20)

	up := func(n, to int) int { return ceilDiv(n, to) * to }
	selfTestRow(tell, blenders, func(f blendFunc, n int) []int16 {
		n += PixelsLeast
		y := make([]int16, n)
		f(&y[0], &pixels[0], n, n, &coef[0], 6)
		return y
	})
	selfTestRow(tell, unzippers, func(f unzipFunc, n int) []int16 {
		n = up(n, PixelsLeast)
		y := make([]int16, 2*n)
		f(&y[0], &y[n], &words[0], n)
		return y
	})
	selfTestRow(tell, unzip3s, func(f unzip3Func, n int) []int16 {
		n = up(n, PixelsLeast)
		y := make([]int16, 3*n)
		f(&y[0], &y[n], &y[2*n], &words[0], n)
		return y
	})
	selfTestRow(tell, reducers, func(f reduceFunc, n int) []int16 {
		n = up(n, 8)
		y := make([]int16, n)
		f(&y[0], &words[0], &first[0], &coef[0], 2, n)
		return y
	})
	selfTestRow(tell, colorers, func(f colorFunc, n int) []byte {
		n += 16
		y := make([]byte, 3*n)
		f(&y[0], &words[0], &words[n], &words[2*n], n, &m)
		return y
	})
}
