//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rates are products per cycle of a full tile on a core that starts two vector multiplications a cycle.
var archGEMMs = []GEMM{
	{"u8s8_gemm_14x32c4_avx512vnni", AVX512VNNI, 14, 32, 4, U8, false, 128, asm.U8S8Gemm14x32c4AVX512VNNI},
	{"u8s8_gemm_7x32c4_avx512vnni", AVX512VNNI, 7, 32, 4, U8, false, 110, asm.U8S8Gemm7x32c4AVX512VNNI},
	{"u8s8_gemm_4x32c4_avx512vnni", AVX512VNNI, 4, 32, 4, U8, false, 70, asm.U8S8Gemm4x32c4AVX512VNNI},
	{"u8s8_gemm_2x32c4_avx512vnni", AVX512VNNI, 2, 32, 4, U8, false, 60, asm.U8S8Gemm2x32c4AVX512VNNI},
	{"u8s8_gemm_1x32c4_avx512vnni", AVX512VNNI, 1, 32, 4, U8, false, 50, asm.U8S8Gemm1x32c4AVX512VNNI},

	{"u8s8_gemm_6x16c4_avx2", AVX2, 6, 16, 4, U8, true, 32, asm.U8S8Gemm6x16c4AVX2},
	{"u8s8_gemm_4x16c4_avx2", AVX2, 4, 16, 4, U8, true, 30, asm.U8S8Gemm4x16c4AVX2},
	{"u8s8_gemm_2x16c4_avx2", AVX2, 2, 16, 4, U8, true, 25, asm.U8S8Gemm2x16c4AVX2},
	{"u8s8_gemm_1x16c4_avx2", AVX2, 1, 16, 4, U8, true, 16, asm.U8S8Gemm1x16c4AVX2},

	{"u8s8_gemm_6x16c4_avx512vnni", AVX512VNNI, 6, 16, 4, U8, false, 56, asm.U8S8Gemm6x16c4AVX512VNNI},
	{"u8s8_gemm_4x16c4_avx512vnni", AVX512VNNI, 4, 16, 4, U8, false, 46, asm.U8S8Gemm4x16c4AVX512VNNI},
	{"u8s8_gemm_2x16c4_avx512vnni", AVX512VNNI, 2, 16, 4, U8, false, 36, asm.U8S8Gemm2x16c4AVX512VNNI},
	{"u8s8_gemm_1x16c4_avx512vnni", AVX512VNNI, 1, 16, 4, U8, false, 28, asm.U8S8Gemm1x16c4AVX512VNNI},

	{"u8s8_gemm_6x16c4_avxvnni", AVXVNNI, 6, 16, 4, U8, false, 56, asm.U8S8Gemm6x16c4AVXVNNI},
	{"u8s8_gemm_4x16c4_avxvnni", AVXVNNI, 4, 16, 4, U8, false, 46, asm.U8S8Gemm4x16c4AVXVNNI},
	{"u8s8_gemm_2x16c4_avxvnni", AVXVNNI, 2, 16, 4, U8, false, 36, asm.U8S8Gemm2x16c4AVXVNNI},
	{"u8s8_gemm_1x16c4_avxvnni", AVXVNNI, 1, 16, 4, U8, false, 28, asm.U8S8Gemm1x16c4AVXVNNI},

	{"s16s8_gemm_6x16c2_avx2", AVX2, 6, 16, 2, S16, false, 26, asm.S16S8Gemm6x16c2AVX2},
	{"s16s8_gemm_4x16c2_avx2", AVX2, 4, 16, 2, S16, false, 24, asm.S16S8Gemm4x16c2AVX2},
	{"s16s8_gemm_2x16c2_avx2", AVX2, 2, 16, 2, S16, false, 20, asm.S16S8Gemm2x16c2AVX2},
	{"s16s8_gemm_1x16c2_avx2", AVX2, 1, 16, 2, S16, false, 12, asm.S16S8Gemm1x16c2AVX2},

	{"u8s8_gemm_4x8c4_sse41", SSE41, 4, 8, 4, U8, true, 12, asm.U8S8Gemm4x8c4SSE41},
	{"u8s8_gemm_2x8c4_sse41", SSE41, 2, 8, 4, U8, true, 10, asm.U8S8Gemm2x8c4SSE41},
	{"u8s8_gemm_1x8c4_sse41", SSE41, 1, 8, 4, U8, true, 7, asm.U8S8Gemm1x8c4SSE41},

	{"s16s8_gemm_6x8c2_sse41", SSE41, 6, 8, 2, S16, false, 9, asm.S16S8Gemm6x8c2SSE41},
	{"s16s8_gemm_4x8c2_sse41", SSE41, 4, 8, 2, S16, false, 8, asm.S16S8Gemm4x8c2SSE41},
	{"s16s8_gemm_2x8c2_sse41", SSE41, 2, 8, 2, S16, false, 7, asm.S16S8Gemm2x8c2SSE41},
	{"s16s8_gemm_1x8c2_sse41", SSE41, 1, 8, 2, S16, false, 5, asm.S16S8Gemm1x8c2SSE41},
}

var archGEMMRequants = []GEMMRequant{
	{"u8s8_gemmrequant_14x32c4_avx512vnni", AVX512VNNI, 14, 32, 4, 1, false, asm.U8S8GemmRequant14x32c4AVX512VNNI},
	{"u8s8_gemmrequantadd_14x32c4_avx512vnni", AVX512VNNI, 14, 32, 4, 1, true, asm.U8S8GemmRequantAdd14x32c4AVX512VNNI},
	{"u8s8_gemmrequant_7x64c4_avx512vnni", AVX512VNNI, 7, 64, 4, 2, false, asm.U8S8GemmRequant7x64c4AVX512VNNI},
	{"u8s8_gemmrequantadd_7x64c4_avx512vnni", AVX512VNNI, 7, 64, 4, 2, true, asm.U8S8GemmRequantAdd7x64c4AVX512VNNI},
}

var archRequantizers = []Requantizer{
	{"s32u8_requant_avx512", AVX512, false, 16, asm.S32U8RequantAVX512},
	{"s32u8_requantadd_avx512", AVX512, true, 16, asm.S32U8RequantAddAVX512},
	{"s32u8_requant_avx2", AVX2, false, 8, asm.S32U8RequantAVX2},
	{"s32u8_requantadd_avx2", AVX2, true, 8, asm.S32U8RequantAddAVX2},
	{"s32u8_requant_sse41", SSE41, false, 4, asm.S32U8RequantSSE41},
	{"s32u8_requantadd_sse41", SSE41, true, 4, asm.S32U8RequantAddSSE41},
}

var archDepthwises = []Depthwise{
	{"u8s8_depthwise_64c4_avx512vnni", AVX512VNNI, 64, 4, U8, S8, laneOrder(), false, 24, asm.U8S8Depthwise64c4AVX512VNNI},
	{"u8s8_depthwiseadd_64c4_avx512vnni", AVX512VNNI, 64, 4, U8, S8, laneOrder(), true, 24, asm.U8S8DepthwiseAdd64c4AVX512VNNI},
	{"u8s16_depthwise_16c2_avx2", AVX2, 16, 2, U8, S16, nil, false, 10, asm.U8S16Depthwise16c2AVX2},
	{"u8s16_depthwiseadd_16c2_avx2", AVX2, 16, 2, U8, S16, nil, true, 10, asm.U8S16DepthwiseAdd16c2AVX2},
	{"u8s16_depthwise_8c2_sse41", SSE41, 8, 2, U8, S16, nil, false, 4, asm.U8S16Depthwise8c2SSE41},
	{"u8s16_depthwiseadd_8c2_sse41", SSE41, 8, 2, U8, S16, nil, true, 4, asm.U8S16DepthwiseAdd8c2SSE41},
}

// laneOrder is the order in which interleaving within 128-bit lanes leaves the channels of a 512-bit register: place
// 16*j+4*i+d holds channel 16*i+4*j+d.
func laneOrder() []int {
	order := make([]int, 64)
	for place := range order {
		j, i, d := place/16, place/4%4, place%4
		order[place] = 16*i + 4*j + d
	}
	return order
}

var archInterleavers []Interleaver

var archWideners = []Widener{
	{"u8u16_widen_avx2", AVX2, 32, asm.U8U16WidenAVX2},
	{"u8u16_widen_sse41", SSE41, 16, asm.U8U16WidenSSE41},
}

// No kernel of this architecture reads values.
var archFlippers []Flipper
