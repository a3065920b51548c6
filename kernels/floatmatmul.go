package kernels

import "sync"

// MatMulF32 is a float32 matrix product: C += A*B, row-major, A of m rows and k columns, B of k rows and n columns, C of m rows
// and n columns; lda, ldb and ldc are the distances of rows. It writes nothing else and keeps no reference.
type MatMulF32 func(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int)

var matMul struct {
	sync.Mutex
	name string
	f    MatMulF32
}

// RegisterMatMulF32 makes f the matrix product of float convolutions prepared from now on where there is no float kernel for
// this CPU; Prepared.Kernel shows its name. Where there is one, it is faster and needs no registration. Without any the
// product is portable Go. Operators call it with the same arguments however their work is split over threads, so f
// decides alone whether results are reproducible.
func RegisterMatMulF32(name string, f MatMulF32) {
	matMul.Lock()
	defer matMul.Unlock()
	matMul.name, matMul.f = name, f
}

// currentMatMul returns the product that operators use, its name, and why it is that one.
func currentMatMul() (f MatMulF32, name, why string) {
	matMul.Lock()
	defer matMul.Unlock()
	if matMul.f == nil {
		return matMulPortable, "portable", "no float kernel for this CPU, no float32 matrix product registered"
	}
	return matMul.f, matMul.name, "registered by the program, no float kernel for this CPU"
}

// matMulK is the depth of the panel of B that matMulPortable keeps on its stack; with the four columns, 4 KiB.
const matMulK = 256

// matMulPortable sums four rows at a time over panels of matMulK terms, first to last, and adds each panel's sum to C; the
// rows left over take one term after the other.
func matMulPortable(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	var panel [matMulK][4]float32
	full := m &^ 3
	for j := 0; j < n && full > 0; j += 4 {
		width := min(4, n-j)
		for k0 := 0; k0 < k; k0 += matMulK {
			depth := min(matMulK, k-k0)
			for p := range depth {
				// Columns that are missing in the last panel hold what was there before: their sums are dropped.
				copy(panel[p][:], b[(k0+p)*ldb+j:][:width])
			}
			for i := 0; i < full; i += 4 {
				at := i*lda + k0
				r := [4][]float32{a[at:][:depth], a[at+lda:][:depth], a[at+2*lda:][:depth], a[at+3*lda:][:depth]}
				sums := dot4x4(&r, panel[:depth])
				for q := range sums {
					row := c[(i+q)*ldc+j:][:width]
					for p := range row {
						row[p] += sums[q][p]
					}
				}
			}
		}
	}
	for i := full; i < m; i++ {
		c := c[i*ldc:][:n]
		for p, v := range a[i*lda:][:k] {
			for q, w := range b[p*ldb:][:n] {
				c[q] += v * w
			}
		}
	}
}

// dot4x4 returns the products of four rows and the panel's four columns, two rows at a time: eight sums fit the registers
// of every CPU.
func dot4x4(rows *[4][]float32, panel [][4]float32) (sums [4][4]float32) {
	for q := 0; q < 4; q += 2 {
		x, y := rows[q][:len(panel)], rows[q+1][:len(panel)]
		var x0, x1, x2, x3, y0, y1, y2, y3 float32
		for p := range panel {
			w := &panel[p]
			u, v := x[p], y[p]
			x0 += u * w[0]
			x1 += u * w[1]
			x2 += u * w[2]
			x3 += u * w[3]
			y0 += v * w[0]
			y1 += v * w[1]
			y2 += v * w[2]
			y3 += v * w[3]
		}
		sums[q], sums[q+1] = [4]float32{x0, x1, x2, x3}, [4]float32{y0, y1, y2, y3}
	}
	return sums
}
