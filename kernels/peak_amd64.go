//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var archPeaks = []Peak{
	{"u8s8_peak_avx512vnni", AVX512VNNI, form8, 24 * 64, asm.U8S8PeakAVX512VNNI},
	{"s16s16_peak_avx512vnni", AVX512VNNI, form16, 24 * 32, asm.S16S16PeakAVX512VNNI},
	{"u8s8_peak_avxvnni", AVXVNNI, form8, 12 * 32, asm.U8S8PeakAVXVNNI},
	{"u8s8_peak_avx2", AVX2, form8, 12 * 32, asm.U8S8PeakAVX2},
	{"s16s16_peak_avx2", AVX2, form16, 12 * 16, asm.S16S16PeakAVX2},
	{"u8s8_peak_sse41", SSE41, form8, 12 * 16, asm.U8S8PeakSSE41},
	{"s16s16_peak_sse41", SSE41, form16, 12 * 8, asm.S16S16PeakSSE41},
	{"f32_peak_avx512", AVX512, formF32, 24 * 16, asm.F32PeakAVX512},
	{"f32_peak_fma", FMA, formF32, 12 * 8, asm.F32PeakFMA},
}
