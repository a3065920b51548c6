//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// The direct kernels of CPUs with dot products are faster than these, of 4 products a cycle: the chooser's estimate keeps
// them for those without.
var archGEMM16s = []GEMM16{
	{"s16s16_gemm_8x8c1_neon", NEON, 8, 8, 1, 4, asm.S16S16Gemm8x8c1NEON},
	{"s16s16_gemm_4x8c1_neon", NEON, 4, 8, 1, 4, asm.S16S16Gemm4x8c1NEON},
	{"s16s16_gemm_2x8c1_neon", NEON, 2, 8, 1, 3, asm.S16S16Gemm2x8c1NEON},
	{"s16s16_gemm_1x8c1_neon", NEON, 1, 8, 1, 2, asm.S16S16Gemm1x8c1NEON},
}

var archWinoInputs = []WinoInput{
	{"u8s16_winoinput4_neon", NEON, wino4x4, 8, 4, asm.U8S16WinoInput4NEON},
	{"u8s16_winoinput2_neon", NEON, wino2x2, 8, 10, asm.U8S16WinoInput2NEON},
	{"u8s16_winoinput6of7_neon", NEON, wino6of7, 8, 6, asm.U8S16WinoInput6of7NEON},
	{"u8s16_winoinput4of3_neon", NEON, wino4of3, 8, 18, asm.U8S16WinoInput4of3NEON},
}

var archWinoFilters = []WinoFilter{
	{"s8s16_winofilter4_neon", NEON, wino4x4, false, 8, 7, asm.S8S16WinoFilter4NEON},
	{"s8s16_winofilter2_neon", NEON, wino2x2, false, 8, 15, asm.S8S16WinoFilter2NEON},
	{"s8s16_winofilter6of7_neon", NEON, wino6of7, false, 8, 7, asm.S8S16WinoFilter6of7NEON},
	{"s8s16_winofilter4of3_neon", NEON, wino4of3, false, 8, 25, asm.S8S16WinoFilter4of3NEON},
}

var archWinoOutputs = []WinoOutput{
	{"s32_winooutput4_neon", NEON, wino4x4, 8, 2, asm.S32WinoOutput4NEON},
	{"s32_winooutput2_neon", NEON, wino2x2, 8, 6, asm.S32WinoOutput2NEON},
	{"s32_winooutput6of7_neon", NEON, wino6of7, 8, 3, asm.S32WinoOutput6of7NEON},
	{"s32_winooutput4of3_neon", NEON, wino4of3, 8, 8, asm.S32WinoOutput4of3NEON},
}
