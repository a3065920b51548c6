package convert

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// RegisterBLAS makes gonum's matrix product that of every float model prepared from now on. It is meant for
// calibration, which runs the float network over many images. It starts threads of its own, beyond a session's.
func RegisterBLAS() {
	kernels.RegisterMatMulF32("gonum", func(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1,
			blas32.General{Rows: m, Cols: k, Stride: lda, Data: a},
			blas32.General{Rows: k, Cols: n, Stride: ldb, Data: b}, 1,
			blas32.General{Rows: m, Cols: n, Stride: ldc, Data: c})
	})
}
