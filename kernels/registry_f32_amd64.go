//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates are products per cycle of a full tile on a core that starts two vector multiplications a cycle.
var archGEMMsF32 = []GEMMF32{
	{"f32_gemm_14x32c1_avx512", AVX512, 14, 32, 32, asm.F32Gemm14x32c1AVX512},
	{"f32_gemm_8x32c1_avx512", AVX512, 8, 32, 31, asm.F32Gemm8x32c1AVX512},
	{"f32_gemm_7x32c1_avx512", AVX512, 7, 32, 30, asm.F32Gemm7x32c1AVX512},
	{"f32_gemm_4x32c1_avx512", AVX512, 4, 32, 26, asm.F32Gemm4x32c1AVX512},
	{"f32_gemm_2x32c1_avx512", AVX512, 2, 32, 16, asm.F32Gemm2x32c1AVX512},
	{"f32_gemm_1x32c1_avx512", AVX512, 1, 32, 8, asm.F32Gemm1x32c1AVX512},

	{"f32_gemm_6x16c1_fma", FMA, 6, 16, 16, asm.F32Gemm6x16c1FMA},
	{"f32_gemm_4x16c1_fma", FMA, 4, 16, 14, asm.F32Gemm4x16c1FMA},
	{"f32_gemm_2x16c1_fma", FMA, 2, 16, 8, asm.F32Gemm2x16c1FMA},
	{"f32_gemm_1x16c1_fma", FMA, 1, 16, 4, asm.F32Gemm1x16c1FMA},
}

var archGEMMsF32F16 = []GEMMF32F16{
	{"f32f16_gemm_14x32c1_avx512", AVX512, 14, 32, asm.F32F16Gemm14x32c1AVX512},
	{"f32f16_gemm_8x32c1_avx512", AVX512, 8, 32, asm.F32F16Gemm8x32c1AVX512},
	{"f32f16_gemm_7x32c1_avx512", AVX512, 7, 32, asm.F32F16Gemm7x32c1AVX512},
	{"f32f16_gemm_4x32c1_avx512", AVX512, 4, 32, asm.F32F16Gemm4x32c1AVX512},
	{"f32f16_gemm_2x32c1_avx512", AVX512, 2, 32, asm.F32F16Gemm2x32c1AVX512},
	{"f32f16_gemm_1x32c1_avx512", AVX512, 1, 32, asm.F32F16Gemm1x32c1AVX512},

	{"f32f16_gemm_6x16c1_f16c", F16C, 6, 16, asm.F32F16Gemm6x16c1F16C},
	{"f32f16_gemm_4x16c1_f16c", F16C, 4, 16, asm.F32F16Gemm4x16c1F16C},
	{"f32f16_gemm_2x16c1_f16c", F16C, 2, 16, asm.F32F16Gemm2x16c1F16C},
	{"f32f16_gemm_1x16c1_f16c", F16C, 1, 16, asm.F32F16Gemm1x16c1F16C},
}

// No instruction multiplies halves here.
var (
	archGEMMsF16  []GEMMF16
	archNarrowers []Row[narrowFunc]
)

var archExpanders = []Row[expandFunc]{
	{"f16f32_expand_avx512", AVX512, 16, asm.F16F32ExpandAVX512},
	{"f16f32_expand_f16c", F16C, 8, asm.F16F32ExpandF16C},
}

var archDepthwisesF32 = []Row[depthwiseFunc]{
	{"f32_depthwise_avx512", AVX512, 16, asm.F32DepthwiseAVX512},
	{"f32_depthwise_fma", FMA, 8, asm.F32DepthwiseFMA},
}

var archMaxPoolsF32 = []Row[poolFunc]{
	{"f32_maxpool_avx512", AVX512, 16, asm.F32MaxPoolAVX512},
	{"f32_maxpool_fma", FMA, 8, asm.F32MaxPoolFMA},
}

var archAvgPoolsF32 = []Row[poolFunc]{
	{"f32_avgpool_avx512", AVX512, 16, asm.F32AvgPoolAVX512},
	{"f32_avgpool_fma", FMA, 8, asm.F32AvgPoolFMA},
}

var archWinoF32 = []winoRowsF32{
	{4,
		[]Row[winoInputFunc]{{"f32_winoinput4_avx512", AVX512, 16, asm.F32WinoInput4AVX512}, {"f32_winoinput4_fma", FMA, 8, asm.F32WinoInput4FMA}},
		[]Row[winoFilterFunc]{{"f32_winofilter4_avx512", AVX512, 16, asm.F32WinoFilter4AVX512}, {"f32_winofilter4_fma", FMA, 8, asm.F32WinoFilter4FMA}},
		[]Row[winoHalvesFunc]{{"f16f32_winofilter4_avx512", AVX512, 16, asm.F16F32WinoFilter4AVX512}, {"f16f32_winofilter4_f16c", F16C, 8, asm.F16F32WinoFilter4F16C}},
		[]Row[winoOutputFunc]{{"f32_winooutput4_avx512", AVX512, 16, asm.F32WinoOutput4AVX512}, {"f32_winooutput4_fma", FMA, 8, asm.F32WinoOutput4FMA}}},
	{2,
		[]Row[winoInputFunc]{{"f32_winoinput_avx512", AVX512, 16, asm.F32WinoInputAVX512}, {"f32_winoinput_fma", FMA, 8, asm.F32WinoInputFMA}},
		[]Row[winoFilterFunc]{{"f32_winofilter_avx512", AVX512, 16, asm.F32WinoFilterAVX512}, {"f32_winofilter_fma", FMA, 8, asm.F32WinoFilterFMA}},
		[]Row[winoHalvesFunc]{{"f16f32_winofilter_avx512", AVX512, 16, asm.F16F32WinoFilterAVX512}, {"f16f32_winofilter_f16c", F16C, 8, asm.F16F32WinoFilterF16C}},
		[]Row[winoOutputFunc]{{"f32_winooutput_avx512", AVX512, 16, asm.F32WinoOutputAVX512}, {"f32_winooutput_fma", FMA, 8, asm.F32WinoOutputFMA}}},
}

var archSigmoids = []Row[mapFunc]{
	{"f32_sigmoid_avx512", AVX512, 16, asm.F32SigmoidAVX512},
	{"f32_sigmoid_fma", FMA, 8, asm.F32SigmoidFMA},
}

var archSwishes = []Row[mapFunc]{
	{"f32_swish_avx512", AVX512, 16, asm.F32SwishAVX512},
	{"f32_swish_fma", FMA, 8, asm.F32SwishFMA},
}

var archSummersF32 = []Row[sumsF32Func]{
	{"f32_sums_avx512", AVX512, 16, asm.F32SumsAVX512},
	{"f32_sums_fma", FMA, 8, asm.F32SumsFMA},
}

var archDots = []Row[dotFunc]{
	{"f32_dot_avx512", AVX512, 16, asm.F32DotAVX512},
	{"f32_dot_fma", FMA, 8, asm.F32DotFMA},
}

var archAttendersF32 = []Row[attendF32Func]{
	{"f32_attend_avx512", AVX512, 16, asm.F32AttendAVX512},
	{"f32_attend_fma", FMA, 8, asm.F32AttendFMA},
}
