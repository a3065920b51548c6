package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// selfTestFloatRows compares the float rows with portable Go, bit by bit; a dot product, whose order is its own, closely.
func selfTestFloatRows(tell func(kernel string, err error)) {
	testRows(tell, sigmoids, func(f, portable mapFunc) error { return selfTestMap(f, portable) })
	testRows(tell, swishes, func(f, portable mapFunc) error { return selfTestMap(f, portable) })
	r := rand.New(rand.NewPCG(6, 6))
	testRows(tell, summersF32, func(f, portable sumsF32Func) error {
		for _, n := range []int{16, 48} {
			a := randF(r, 11*n)
			got, want := make([]float64, n), make([]float64, n)
			f(&got[0], &a[0], 4*n, 11, n)
			portable(&want[0], &a[0], 4*n, 11, n)
			for i, v := range want {
				if got[i] != v {
					return fmt.Errorf("sum %d of %d: %g, want %g", i, n, got[i], v)
				}
			}
		}
		return nil
	})
	testRows(tell, dots, func(f, portable dotFunc) error {
		for _, n := range []int{16, 32, 80, 1024} {
			a, b := randF(r, n), randF(r, n)
			if got, want := f(&a[0], &b[0], n), portable(&a[0], &b[0], n); math.Abs(got-want) > 1e-10 {
				return fmt.Errorf("product of %d: %g, want %g", n, got, want)
			}
		}
		return nil
	})
	testRows(tell, attendersF32, func(f, portable attendF32Func) error {
		for _, n := range []int{16, 80} {
			a, g, w, p := randF(r, n), randF(r, n), randF(r, n), []float32{1.25, -0.3}
			got, want := make([]float32, n), make([]float32, n)
			f(&got[0], &a[0], &g[0], &w[0], n, &p[0])
			portable(&want[0], &a[0], &g[0], &w[0], n, &p[0])
			if err := sameFloats(got, want); err != nil {
				return err
			}
		}
		return nil
	})
}

// testRows calls f with every runnable row and the portable one.
func testRows[F any](tell func(kernel string, err error), rows []Row[F], f func(row, portable F) error) {
	for i := range rows {
		if r := &rows[i]; r.ISA&^features == 0 {
			tell(r.Name, f(r.Fn, rows[0].Fn))
		}
	}
}

func selfTestMap(f, portable mapFunc) error {
	r := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{8, 16, 4096} {
		x, got, want := aligned[float32](n), make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = math.Float32frombits(r.Uint32())
			if i%3 > 0 {
				x[i] = float32(r.NormFloat64() * 8)
			}
		}
		f(&got[0], &x[0], n)
		portable(&want[0], &x[0], n)
		for i, v := range want {
			if got[i] != v && (v == v || got[i] == got[i]) {
				return fmt.Errorf("of %g: %g, want %g", x[i], got[i], v)
			}
		}
	}
	return nil
}
