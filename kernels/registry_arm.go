//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates are products per cycle of a full tile on a core whose NEON unit is 128 bits wide; the Cortex-A7's is half that.
var archGEMMs = []GEMM{
	{"s8s8_gemm_2x8c8_neon", NEON, 2, 8, 8, S8, false, 4, asm.S8S8Gemm2x8c8NEON},
	{"s8s8_gemm_1x8c8_neon", NEON, 1, 8, 8, S8, false, 3, asm.S8S8Gemm1x8c8NEON},
}

var archGEMMRequants []GEMMRequant

var archRequantizers = []Requantizer{
	{"s32u8_requant_neon", NEON, false, 4, asm.S32U8RequantNEON},
	{"s32u8_requantadd_neon", NEON, true, 4, asm.S32U8RequantAddNEON},
}

var (
	archDepthwises   []Depthwise
	archWideners     []Widener
	archInterleavers []Interleaver
	archFlippers     = []Flipper{{"u8s8_flip_neon", NEON, 16, asm.U8S8FlipNEON}}
)
