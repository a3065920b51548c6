//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates are products per cycle of a full tile where SIMD128 becomes SSE4.1, the bounds checks included.
var archGEMMsF32 = []GEMMF32{
	{"f32_gemm_6x8c1_simd128", SIMD128, 6, 8, 3, asm.F32Gemm6x8c1SIMD128},
	{"f32_gemm_4x8c1_simd128", SIMD128, 4, 8, 3, asm.F32Gemm4x8c1SIMD128},
	{"f32_gemm_2x8c1_simd128", SIMD128, 2, 8, 2, asm.F32Gemm2x8c1SIMD128},
	{"f32_gemm_1x8c1_simd128", SIMD128, 1, 8, 1, asm.F32Gemm1x8c1SIMD128},
}

// No instruction multiplies halves here, or converts them.
var (
	archGEMMsF32F16 []GEMMF32F16
	archGEMMsF16    []GEMMF16
	archNarrowers   []Row[narrowFunc]
)

var (
	archExpanders     = []Row[expandFunc]{{"f16f32_expand_simd128", SIMD128, 2, asm.F16F32ExpandSIMD128}}
	archDepthwisesF32 = []Row[depthwiseFunc]{{"f32_depthwise_simd128", SIMD128, 2, asm.F32DepthwiseSIMD128}}
	archMaxPoolsF32   = []Row[poolFunc]{{"f32_maxpool_simd128", SIMD128, 2, asm.F32MaxPoolSIMD128}}
	archAvgPoolsF32   = []Row[poolFunc]{{"f32_avgpool_simd128", SIMD128, 2, asm.F32AvgPoolSIMD128}}
)

// What works in float64 is portable here, and convolutions are direct.
var (
	archSigmoids     []Row[mapFunc]
	archSwishes      []Row[mapFunc]
	archSummersF32   []Row[sumsF32Func]
	archDots         []Row[dotFunc]
	archAttendersF32 []Row[attendF32Func]

	archWinoF32 []winoRowsF32
)
