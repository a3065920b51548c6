package quant

import (
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// registerMatMul makes gonum's the float matrix product of models loaded from now on, where package kernels has none of its
// own for this CPU. It computes each block of the result
// in one order of summation, so calibration does not depend on the number of threads.
var registerMatMul = sync.OnceFunc(func() {
	kernels.RegisterMatMulF32("gonum", func(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1,
			blas32.General{Rows: m, Cols: k, Stride: lda, Data: a},
			blas32.General{Rows: k, Cols: n, Stride: ldb, Data: b}, 1,
			blas32.General{Rows: m, Cols: n, Stride: ldc, Data: c})
	})
})
