//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates are products per cycle of a full tile on a core that starts one vector multiplication a cycle (as the Cortex-A53
// and A72 do; newer ones start two), the other instructions of the inner loop included: asm/_gen/mca reports them.
var archGEMMs = []GEMM{
	{"u8s8_gemm_6x16c8_i8mm", I8MM, 6, 16, 8, U8, false, 28, asm.U8S8Gemm6x16c8I8MM},
	{"u8s8_gemm_4x16c8_i8mm", I8MM, 4, 16, 8, U8, false, 26, asm.U8S8Gemm4x16c8I8MM},
	{"u8s8_gemm_2x16c8_i8mm", I8MM, 2, 16, 8, U8, false, 20, asm.U8S8Gemm2x16c8I8MM},
	{"u8s8_gemm_1x16c8_i8mm", I8MM, 1, 16, 8, U8, false, 12, asm.U8S8Gemm1x16c8I8MM},

	{"s8s8_gemm_8x8c4_dotprod", DotProd, 8, 8, 4, S8, false, 16, asm.S8S8Gemm8x8c4DotProd},
	{"s8s8_gemm_4x8c4_dotprod", DotProd, 4, 8, 4, S8, false, 15, asm.S8S8Gemm4x8c4DotProd},
	{"s8s8_gemm_2x8c4_dotprod", DotProd, 2, 8, 4, S8, false, 12, asm.S8S8Gemm2x8c4DotProd},
	{"s8s8_gemm_1x8c4_dotprod", DotProd, 1, 8, 4, S8, false, 10, asm.S8S8Gemm1x8c4DotProd},

	{"s8s8_gemm_2x8c8_neon", NEON, 2, 8, 8, S8, false, 5, asm.S8S8Gemm2x8c8NEON},
	{"s8s8_gemm_1x8c8_neon", NEON, 1, 8, 8, S8, false, 4, asm.S8S8Gemm1x8c8NEON},
}

var archGEMMRequants []GEMMRequant

var archRequantizers = []Requantizer{
	{"s32u8_requant_neon", NEON, false, 4, asm.S32U8RequantNEON},
	{"s32u8_requantadd_neon", NEON, true, 4, asm.S32U8RequantAddNEON},
}

var archDepthwises = []Depthwise{
	{"s8s8_depthwise_16c1_neon", NEON, 16, 1, S8, S8, nil, false, 3, asm.S8S8Depthwise16c1NEON},
	{"s8s8_depthwiseadd_16c1_neon", NEON, 16, 1, S8, S8, nil, true, 3, asm.S8S8DepthwiseAdd16c1NEON},
}

var archWideners []Widener

var archInterleavers []Interleaver

var archFlippers = []Flipper{
	{"u8s8_flip_neon", NEON, 16, asm.U8S8FlipNEON},
}
