//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates are products per cycle of a full tile where SIMD128 becomes SSE4.1, the bounds checks included.
var archGEMMs = []GEMM{
	{"u8s8_gemm_12x8c8_simd128", SIMD128, 12, 8, 8, U8, false, 6, asm.U8S8Gemm12x8c8SIMD128},
	{"u8s8_gemm_3x8c8_simd128", SIMD128, 3, 8, 8, U8, false, 5, asm.U8S8Gemm3x8c8SIMD128},
	{"u8s8_gemm_1x8c8_simd128", SIMD128, 1, 8, 8, U8, false, 3, asm.U8S8Gemm1x8c8SIMD128},
	{"s16x3s8_gemm_12x8c8_simd128x3", SIMD128x3, 12, 8, 8, S16x3, false, 9, asm.S16x3S8Gemm12x8c8SIMD128x3},
	{"s16x3s8_gemm_3x8c8_simd128x3", SIMD128x3, 3, 8, 8, S16x3, false, 8, asm.S16x3S8Gemm3x8c8SIMD128x3},
}

var archGEMMRequants []GEMMRequant

var archRequantizers = []Requantizer{
	{"s32u8_requant_simd128", SIMD128, false, 4, asm.S32U8RequantSIMD128},
	{"s32u8_requantadd_simd128", SIMD128, true, 4, asm.S32U8RequantAddSIMD128},
}

var archDepthwises = []Depthwise{
	{"s8s16_depthwise_16c1_simd128", SIMD128, 16, 1, S8, S16, nil, false, 3, asm.S8S16Depthwise16c1SIMD128},
	{"s8s16_depthwiseadd_16c1_simd128", SIMD128, 16, 1, S8, S16, nil, true, 3, asm.S8S16DepthwiseAdd16c1SIMD128},
}

// No kernel of this architecture reads 16-bit integers.
var archWideners []Widener

var archInterleavers = []Interleaver{{"u8s16x3_interleave_simd128x3", SIMD128x3, 16, asm.U8S16x3InterleaveSIMD128x3}}

var archFlippers = []Flipper{{"u8s8_flip_simd128", SIMD128, 16, asm.U8S8FlipSIMD128}}
