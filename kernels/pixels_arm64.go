//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var (
	archBlenders  = []Row[blendFunc]{{"u8s16_blend_neon", NEON, 5, asm.U8S16BlendNEON}}
	archUnzippers = []Row[unzipFunc]{{"s16_unzip_neon", NEON, 5, asm.S16UnzipNEON}}
	archUnzip3s   = []Row[unzip3Func]{{"s16_unzip3_neon", NEON, 5, asm.S16Unzip3NEON}}
	archReducers  = []Row[reduceFunc]{{"s16_reduce_neon", NEON, 2, asm.S16ReduceNEON}}
	archColorers  = []Row[colorFunc]{{"s16u8_color_neon", NEON, 2, asm.S16U8ColorNEON}}
)
