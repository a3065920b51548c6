//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var archGEMM16s = []GEMM16{
	{"s16s16_gemm_12x8c8_simd128", SIMD128, 12, 8, 8, 6, asm.S16S16Gemm12x8c8SIMD128},
	{"s16s16_gemm_3x8c8_simd128", SIMD128, 3, 8, 8, 6, asm.S16S16Gemm3x8c8SIMD128},
	{"s16s16_gemm_1x8c8_simd128", SIMD128, 1, 8, 8, 5, asm.S16S16Gemm1x8c8SIMD128},
	{"s16s16_gemm_12x8c8_simd128x3", SIMD128x3, 12, 8, 8, 9, asm.S16S16Gemm12x8c8SIMD128x3},
	{"s16s16_gemm_3x8c8_simd128x3", SIMD128x3, 3, 8, 8, 8, asm.S16S16Gemm3x8c8SIMD128x3},
}

var archWinoInputs = []WinoInput{
	{"u8s16_winoinput4_simd128", SIMD128, wino4x4, 8, 2, asm.U8S16WinoInput4SIMD128},
	{"u8s16_winoinput2_simd128", SIMD128, wino2x2, 8, 5, asm.U8S16WinoInput2SIMD128},
	{"u8s16_winoinput4_simd128x3", SIMD128x3, wino4x4, 8, 2, asm.U8S16WinoInput4SIMD128x3},
	{"u8s16_winoinput2_simd128x3", SIMD128x3, wino2x2, 8, 5, asm.U8S16WinoInput2SIMD128x3},
}

var archWinoFilters = []WinoFilter{
	{"s8s16_winofilter4_simd128", SIMD128, wino4x4, false, 64, 4, asm.S8S16WinoFilter4SIMD128},
	{"s8s16_winofilter2_simd128", SIMD128, wino2x2, false, 64, 7, asm.S8S16WinoFilter2SIMD128},
}

var archWinoOutputs = []WinoOutput{
	{"s32_winooutput4_simd128", SIMD128, wino4x4, 8, 2, asm.S32WinoOutput4SIMD128},
	{"s32_winooutput2_simd128", SIMD128, wino2x2, 8, 4, asm.S32WinoOutput2SIMD128},
}
