package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// pixels measures the kernels of package frame: s.M rows, each of s.N elements made of s.K.
func (b *benches) pixels(op string, s BenchShape) {
	n := ceilDiv(s.N, PixelsLeast) * PixelsLeast
	x, w := filled[byte](s.K*n), filled[int16](3*n+8*s.K)
	y, z := aligned[int16](3*n), aligned[byte](3*n)
	repeat := func(run func()) func() {
		return func() {
			for range s.M {
				run()
			}
		}
	}
	switch op {
	case "blend":
		coef := filled[int16](s.K)
		benchRows(b, blenders, s.M*n*s.K, func(f blendFunc) { repeat(func() { f(&y[0], &x[0], n, n, &coef[0], s.K) })() })
	case "unzip":
		benchRows(b, unzippers, s.M*n, func(f unzipFunc) { repeat(func() { f(&y[0], &y[n], &w[0], n) })() })
		benchRows(b, unzip3s, s.M*n, func(f unzip3Func) { repeat(func() { f(&y[0], &y[n], &y[2*n], &w[0], n) })() })
	case "reduce":
		blocks := ceilDiv(s.K, 8)
		coef, first := filled[int16](8*blocks*n), aligned[int32](n)
		benchRows(b, reducers, s.M*n*8*blocks, func(f reduceFunc) { repeat(func() { f(&y[0], &w[0], &first[0], &coef[0], blocks, n) })() })
	case "color":
		var m asm.ColorMatrix
		benchRows(b, colorers, s.M*n, func(f colorFunc) { repeat(func() { f(&z[0], &w[0], &w[n], &w[2*n], n, &m) })() })
	}
}
