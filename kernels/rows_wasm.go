//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var (
	archDepthwises16   = []Row[depthwise16Func]{{"s16s16_depthwise_16c2_simd128", SIMD128, 3, asm.S16S16Depthwise16c2SIMD128}}
	archRequantizers16 = []Row[requant16Func]{{"s32s16_requant_simd128", SIMD128, 2, asm.S32S16RequantSIMD128}}
	archAdders16       = []Row[add16Func]{{"s16_add_simd128", SIMD128, 2, asm.S16AddSIMD128}}
)

var (
	archSummers   = []Row[sumFunc]{{"u8s32_sum_simd128", SIMD128, 4, asm.U8S32SumSIMD128}}
	archMaxers    = []Row[maxFunc]{{"u8_max_simd128", SIMD128, 16, asm.U8MaxSIMD128}}
	archRescalers = []Row[unaryFunc]{{"u8_rescale_simd128", SIMD128, 2, asm.U8RescaleSIMD128}}
	archRounders  = []Row[roundFunc]{{"s32u8_rescale_simd128", SIMD128, 2, asm.S32U8RescaleSIMD128}}
	archAdders    = []Row[binaryFunc]{{"u8_add_simd128", SIMD128, 2, asm.U8AddSIMD128}}
	archMulers    = []Row[binaryFunc]{{"u8_mul_simd128", SIMD128, 2, asm.U8MulSIMD128}}
	archAttenders = []Row[attendFunc]{{"u8s16_attend_simd128", SIMD128, 2, asm.U8S16AttendSIMD128}}
)

// There is no kernel of its own for windows of 3x3, the others take them, and weights are proved and packed by plain Go.
var (
	archDepthwises3x3 []Depthwise3x3
	archSHA256s       []sha256Row
	archScanners      []Row[scanFunc]
	archSpreaders4    []Row[spreadFunc]
	archSpreaders2    []Row[spreadFunc]
)
