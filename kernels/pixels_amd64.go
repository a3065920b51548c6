//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var (
	archBlenders = []Row[blendFunc]{
		{"u8s16_blend_avx512", AVX512, 20, asm.U8S16BlendAVX512},
		{"u8s16_blend_avx2", AVX2, 10, asm.U8S16BlendAVX2},
		{"u8s16_blend_sse41", SSE41, 5, asm.U8S16BlendSSE41},
	}
	archUnzippers = []Row[unzipFunc]{
		{"s16_unzip_avx512", AVX512, 20, asm.S16UnzipAVX512},
		{"s16_unzip_avx2", AVX2, 10, asm.S16UnzipAVX2},
		{"s16_unzip_sse41", SSE41, 5, asm.S16UnzipSSE41},
	}
	archUnzip3s = []Row[unzip3Func]{
		{"s16_unzip3_avx512", AVX512, 10, asm.S16Unzip3AVX512},
		{"s16_unzip3_sse41", SSE41, 4, asm.S16Unzip3SSE41},
	}
	archReducers = []Row[reduceFunc]{
		{"s16_reduce_avx2", AVX2, 4, asm.S16ReduceAVX2},
		{"s16_reduce_sse41", SSE41, 2, asm.S16ReduceSSE41},
	}
	archColorers = []Row[colorFunc]{
		{"s16u8_color_avx2", AVX2, 4, asm.S16U8ColorAVX2},
		{"s16u8_color_sse41", SSE41, 2, asm.S16U8ColorSSE41},
	}
)
