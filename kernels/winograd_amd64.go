//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates of transforms of filters are those of results that go to L2, which bounds them.
var archGEMM16s = []GEMM16{
	{"s16s16_gemm_14x32c2_avx512vnni", AVX512VNNI, 14, 32, 2, 64, asm.S16S16Gemm14x32c2AVX512VNNI},
	{"s16s16_gemm_8x32c2_avx512vnni", AVX512VNNI, 8, 32, 2, 63, asm.S16S16Gemm8x32c2AVX512VNNI},
	{"s16s16_gemm_7x32c2_avx512vnni", AVX512VNNI, 7, 32, 2, 56, asm.S16S16Gemm7x32c2AVX512VNNI},
	{"s16s16_gemm_4x32c2_avx512vnni", AVX512VNNI, 4, 32, 2, 42, asm.S16S16Gemm4x32c2AVX512VNNI},
	{"s16s16_gemm_2x32c2_avx512vnni", AVX512VNNI, 2, 32, 2, 36, asm.S16S16Gemm2x32c2AVX512VNNI},
	{"s16s16_gemm_1x32c2_avx512vnni", AVX512VNNI, 1, 32, 2, 32, asm.S16S16Gemm1x32c2AVX512VNNI},

	{"s16s16_gemm_6x16c2_avx2", AVX2, 6, 16, 2, 24, asm.S16S16Gemm6x16c2AVX2},
	{"s16s16_gemm_4x16c2_avx2", AVX2, 4, 16, 2, 23, asm.S16S16Gemm4x16c2AVX2},
	{"s16s16_gemm_2x16c2_avx2", AVX2, 2, 16, 2, 18, asm.S16S16Gemm2x16c2AVX2},
	{"s16s16_gemm_1x16c2_avx2", AVX2, 1, 16, 2, 14, asm.S16S16Gemm1x16c2AVX2},

	{"s16s16_gemm_6x8c2_sse41", SSE41, 6, 8, 2, 11, asm.S16S16Gemm6x8c2SSE41},
	{"s16s16_gemm_4x8c2_sse41", SSE41, 4, 8, 2, 11, asm.S16S16Gemm4x8c2SSE41},
	{"s16s16_gemm_2x8c2_sse41", SSE41, 2, 8, 2, 10, asm.S16S16Gemm2x8c2SSE41},
	{"s16s16_gemm_1x8c2_sse41", SSE41, 1, 8, 2, 8, asm.S16S16Gemm1x8c2SSE41},
}

var archWinoInputs = []WinoInput{
	{"u8s16_winoinput4_avx512", AVX512, wino4x4, 32, 24, asm.U8S16WinoInput4AVX512},
	{"u8s16_winoinput2_avx512", AVX512, wino2x2, 32, 74, asm.U8S16WinoInput2AVX512},
	{"u8s16_winoinput4_avx2", AVX2, wino4x4, 16, 16, asm.U8S16WinoInput4AVX2},
	{"u8s16_winoinput2_avx2", AVX2, wino2x2, 16, 43, asm.U8S16WinoInput2AVX2},

	{"u8s16_winoinput6of7_avx512", AVX512, wino6of7, 32, 64, asm.U8S16WinoInput6of7AVX512},
	{"u8s16_winoinput4of3_avx512", AVX512, wino4of3, 32, 205, asm.U8S16WinoInput4of3AVX512},
	{"u8s16_winoinput6of7_avx2", AVX2, wino6of7, 16, 62, asm.U8S16WinoInput6of7AVX2},
	{"u8s16_winoinput4of3_avx2", AVX2, wino4of3, 16, 200, asm.U8S16WinoInput4of3AVX2},

	{"u8s16_winoinput4_sse41", SSE41, wino4x4, 8, 9, asm.U8S16WinoInput4SSE41},
	{"u8s16_winoinput2_sse41", SSE41, wino2x2, 8, 24, asm.U8S16WinoInput2SSE41},
	{"u8s16_winoinput6of7_sse41", SSE41, wino6of7, 8, 30, asm.U8S16WinoInput6of7SSE41},
	{"u8s16_winoinput4of3_sse41", SSE41, wino4of3, 8, 91, asm.U8S16WinoInput4of3SSE41},
}

var archWinoFilters = []WinoFilter{
	{"s8s16_winofilter4_avx512", AVX512, wino4x4, true, 64, 18, asm.S8S16WinoFilter4AVX512},
	{"s8s16_winofilter2_avx512", AVX512, wino2x2, true, 64, 37, asm.S8S16WinoFilter2AVX512},
	{"s8s16_winofilter4_avx2", AVX2, wino4x4, false, 32, 16, asm.S8S16WinoFilter4AVX2},
	{"s8s16_winofilter2_avx2", AVX2, wino2x2, false, 32, 28, asm.S8S16WinoFilter2AVX2},

	{"s8s16_winofilter6of7_avx512", AVX512, wino6of7, false, 64, 66, asm.S8S16WinoFilter6of7AVX512},
	{"s8s16_winofilter4of3_avx512", AVX512, wino4of3, false, 64, 205, asm.S8S16WinoFilter4of3AVX512},
	{"s8s16_winofilter6of7_avx2", AVX2, wino6of7, false, 32, 72, asm.S8S16WinoFilter6of7AVX2},
	{"s8s16_winofilter4of3_avx2", AVX2, wino4of3, false, 32, 225, asm.S8S16WinoFilter4of3AVX2},

	{"s8s16_winofilter4_sse41", SSE41, wino4x4, false, 16, 14, asm.S8S16WinoFilter4SSE41},
	{"s8s16_winofilter2_sse41", SSE41, wino2x2, false, 16, 27, asm.S8S16WinoFilter2SSE41},
	{"s8s16_winofilter6of7_sse41", SSE41, wino6of7, false, 16, 40, asm.S8S16WinoFilter6of7SSE41},
	{"s8s16_winofilter4of3_sse41", SSE41, wino4of3, false, 16, 130, asm.S8S16WinoFilter4of3SSE41},
}

var archWinoOutputs = []WinoOutput{
	{"s32_winooutput4_avx512", AVX512, wino4x4, 32, 10, asm.S32WinoOutput4AVX512},
	{"s32_winooutput2_avx512", AVX512, wino2x2, 32, 60, asm.S32WinoOutput2AVX512},
	{"s32_winooutput4_avx2", AVX2, wino4x4, 16, 9, asm.S32WinoOutput4AVX2},
	{"s32_winooutput2_avx2", AVX2, wino2x2, 16, 36, asm.S32WinoOutput2AVX2},

	{"s32_winooutput6of7_avx512", AVX512, wino6of7, 32, 34, asm.S32WinoOutput6of7AVX512},
	{"s32_winooutput4of3_avx512", AVX512, wino4of3, 32, 103, asm.S32WinoOutput4of3AVX512},
	{"s32_winooutput6of7_avx2", AVX2, wino6of7, 16, 31, asm.S32WinoOutput6of7AVX2},
	{"s32_winooutput4of3_avx2", AVX2, wino4of3, 16, 96, asm.S32WinoOutput4of3AVX2},

	{"s32_winooutput4_sse41", SSE41, wino4x4, 8, 6, asm.S32WinoOutput4SSE41},
	{"s32_winooutput2_sse41", SSE41, wino2x2, 8, 24, asm.S32WinoOutput2SSE41},
	{"s32_winooutput6of7_sse41", SSE41, wino6of7, 8, 16, asm.S32WinoOutput6of7SSE41},
	{"s32_winooutput4of3_sse41", SSE41, wino4of3, 8, 47, asm.S32WinoOutput4of3SSE41},
}
