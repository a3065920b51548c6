//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var (
	archBlenders  = []Row[blendFunc]{{"u8s16_blend_simd128", SIMD128, 5, asm.U8S16BlendSIMD128}}
	archUnzippers = []Row[unzipFunc]{{"s16_unzip_simd128", SIMD128, 5, asm.S16UnzipSIMD128}}
	archUnzip3s   = []Row[unzip3Func]{{"s16_unzip3_simd128", SIMD128, 5, asm.S16Unzip3SIMD128}}
	archReducers  = []Row[reduceFunc]{{"s16_reduce_simd128", SIMD128, 2, asm.S16ReduceSIMD128}}
	archColorers  = []Row[colorFunc]{{"s16u8_color_simd128", SIMD128, 2, asm.S16U8ColorSIMD128}}
)
