//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var (
	archSummers = []Row[sumFunc]{
		{"u8s32_sum_avx512", AVX512, 16, asm.U8S32SumAVX512},
		{"u8s32_sum_avx2", AVX2, 8, asm.U8S32SumAVX2},
	}
	archMaxers    = []Row[maxFunc]{{"u8_max_avx2", AVX2, 32, asm.U8MaxAVX2}}
	archRescalers = []Row[unaryFunc]{{"u8_rescale_avx512", AVX512, 8, asm.U8RescaleAVX512}, {"u8_rescale_avx2", AVX2, 3, asm.U8RescaleAVX2}}
	archRounders  = []Row[roundFunc]{{"s32u8_rescale_avx512", AVX512, 10, asm.S32U8RescaleAVX512}, {"s32u8_rescale_avx2", AVX2, 4, asm.S32U8RescaleAVX2}}
	archAdders    = []Row[binaryFunc]{{"u8_add_avx512", AVX512, 5, asm.U8AddAVX512}, {"u8_add_avx2", AVX2, 2, asm.U8AddAVX2}}
	archMulers    = []Row[binaryFunc]{{"u8_mul_avx512", AVX512, 5, asm.U8MulAVX512}, {"u8_mul_avx2", AVX2, 2, asm.U8MulAVX2}}
	archAttenders = []Row[attendFunc]{
		{"u8s16_attend_avx512", AVX512, 6, asm.U8S16AttendAVX512},
		{"u8s16_attend_avx2", AVX2, 4, asm.U8S16AttendAVX2},
	}
)

// Rows of int16.
var (
	archDepthwises16 = []Row[depthwise16Func]{
		{"s16s16_depthwise_16c2_avx2", AVX2, 8, asm.S16S16Depthwise16c2AVX2},
		{"s16s16_depthwise_16c2_sse41", SSE41, 4, asm.S16S16Depthwise16c2SSE41},
	}
	archRequantizers16 = []Row[requant16Func]{
		{"s32s16_requant_avx2", AVX2, 3, asm.S32S16RequantAVX2},
		{"s32s16_requant_sse41", SSE41, 2, asm.S32S16RequantSSE41},
	}
	archAdders16 = []Row[add16Func]{
		{"s16_add_avx2", AVX2, 3, asm.S16AddAVX2},
		{"s16_add_sse41", SSE41, 2, asm.S16AddSSE41},
	}
)

// Three taps of a column at a time: see Depthwise3x3.
var archDepthwises3x3 = []Depthwise3x3{
	{Depthwise{"u8s8_depthwise3x3s1_64c4_avx512vnni", AVX512VNNI, 64, 4, U8, S8, laneOrder(), false, 48, asm.U8S8Depthwise3x3s164c4AVX512VNNI}, 1},
	{Depthwise{"u8s8_depthwise3x3s2_64c4_avx512vnni", AVX512VNNI, 64, 4, U8, S8, laneOrder(), false, 38, asm.U8S8Depthwise3x3s264c4AVX512VNNI}, 2},
	{Depthwise{"u8s16_depthwise3x3s1_16c2_avx2", AVX2, 16, 2, U8, S16, nil, false, 14, asm.U8S16Depthwise3x3s116c2AVX2}, 1},
	{Depthwise{"u8s16_depthwise3x3s2_16c2_avx2", AVX2, 16, 2, U8, S16, nil, false, 12, asm.U8S16Depthwise3x3s216c2AVX2}, 2},
}

// Rates are weights per cycle.
var (
	archSHA256s = []sha256Row{
		{Row[sha256Func]{"sha256_x2_sha", SHA, 2, asm.SHA256x2SHA}, 2, false},
		{Row[sha256Func]{"sha256_x16_avx512", AVX512, 1, asm.SHA256x16AVX512}, 16, true},
	}
	archScanners   = []Row[scanFunc]{{"s8_scan_avx2", AVX2, 10, scanAVX2}}
	archSpreaders4 = []Row[spreadFunc]{{"s8_spread_8x4_avx2", AVX2, 12, asm.S8Spread8x4AVX2}}
	archSpreaders2 = []Row[spreadFunc]{{"s8_spread_8x2_avx2", AVX2, 10, asm.S8Spread8x2AVX2}}
)

func scanAVX2(w *int8, n int) (s asm.Scan) {
	asm.S8ScanAVX2(w, n, &s)
	return s
}
