//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates are products per cycle of a full tile on a core that starts one vector multiplication a cycle, as registry_arm64.go
// has them.
var archGEMMsF32 = []GEMMF32{
	{"f32_gemm_8x8c1_neon", NEON, 8, 8, 4, asm.F32Gemm8x8c1NEON},
	{"f32_gemm_4x8c1_neon", NEON, 4, 8, 4, asm.F32Gemm4x8c1NEON},
	{"f32_gemm_2x8c1_neon", NEON, 2, 8, 3, asm.F32Gemm2x8c1NEON},
	{"f32_gemm_1x8c1_neon", NEON, 1, 8, 2, asm.F32Gemm1x8c1NEON},
}

var archGEMMsF32F16 []GEMMF32F16

var archGEMMsF16 = []GEMMF16{
	{"f16_gemm_8x16c1_fp16", FP16, 8, 16, 7, asm.F16Gemm8x16c1FP16},
	{"f16_gemm_4x16c1_fp16", FP16, 4, 16, 7, asm.F16Gemm4x16c1FP16},
	{"f16_gemm_2x16c1_fp16", FP16, 2, 16, 6, asm.F16Gemm2x16c1FP16},
	{"f16_gemm_1x16c1_fp16", FP16, 1, 16, 3, asm.F16Gemm1x16c1FP16},
}

var archNarrowers = []Row[narrowFunc]{{"f32f16_narrow_neon", NEON, 4, asm.F32F16NarrowNEON}}

var (
	archExpanders     = []Row[expandFunc]{{"f16f32_expand_neon", NEON, 4, asm.F16F32ExpandNEON}}
	archDepthwisesF32 = []Row[depthwiseFunc]{{"f32_depthwise_neon", NEON, 4, asm.F32DepthwiseNEON}}
	archMaxPoolsF32   = []Row[poolFunc]{{"f32_maxpool_neon", NEON, 4, asm.F32MaxPoolNEON}}
	archAvgPoolsF32   = []Row[poolFunc]{{"f32_avgpool_neon", NEON, 4, asm.F32AvgPoolNEON}}

	archSigmoids     = []Row[mapFunc]{{"f32_sigmoid_neon", NEON, 4, asm.F32SigmoidNEON}}
	archSwishes      = []Row[mapFunc]{{"f32_swish_neon", NEON, 4, asm.F32SwishNEON}}
	archSummersF32   = []Row[sumsF32Func]{{"f32_sums_neon", NEON, 4, asm.F32SumsNEON}}
	archDots         = []Row[dotFunc]{{"f32_dot_neon", NEON, 4, asm.F32DotNEON}}
	archAttendersF32 = []Row[attendF32Func]{{"f32_attend_neon", NEON, 4, asm.F32AttendNEON}}

	archWinoF32 = []winoRowsF32{
		{2,
			[]Row[winoInputFunc]{{"f32_winoinput_neon", NEON, 4, asm.F32WinoInputNEON}},
			[]Row[winoFilterFunc]{{"f32_winofilter_neon", NEON, 4, asm.F32WinoFilterNEON}},
			[]Row[winoHalvesFunc]{{"f16f32_winofilter_neon", NEON, 4, asm.F16F32WinoFilterNEON}},
			[]Row[winoOutputFunc]{{"f32_winooutput_neon", NEON, 4, asm.F32WinoOutputNEON}}},
	}
)
