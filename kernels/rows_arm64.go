//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

var (
	archSummers   = []Row[sumFunc]{{"u8s32_sum_neon", NEON, 8, asm.U8S32SumNEON}}
	archMaxers    = []Row[maxFunc]{{"u8_max_neon", NEON, 16, asm.U8MaxNEON}}
	archRescalers = []Row[unaryFunc]{{"u8_rescale_neon", NEON, 3, asm.U8RescaleNEON}}
	archRounders  = []Row[roundFunc]{{"s32u8_rescale_neon", NEON, 3, asm.S32U8RescaleNEON}}
	archAdders    = []Row[binaryFunc]{{"u8_add_neon", NEON, 2, asm.U8AddNEON}}
	archMulers    = []Row[binaryFunc]{{"u8_mul_neon", NEON, 2, asm.U8MulNEON}}
	archAttenders = []Row[attendFunc]{{"u8s16_attend_neon", NEON, 2, asm.U8S16AttendNEON}}
)

// Three taps of a column at a time: see Depthwise3x3. Without dot products the kernels for any window take these too.
var archDepthwises3x3 = []Depthwise3x3{
	{Depthwise{"s8s8_depthwise3x3s1_16c4_dotprod", DotProd, 16, 4, S8, S8, nil, false, 6, asm.S8S8Depthwise3x3s116c4DotProd}, 1},
	{Depthwise{"s8s8_depthwise3x3s2_16c4_dotprod", DotProd, 16, 4, S8, S8, nil, false, 5, asm.S8S8Depthwise3x3s216c4DotProd}, 2},
}

// Weights are proved and packed by plain Go.
var (
	archSHA256s    []sha256Row
	archScanners   []Row[scanFunc]
	archSpreaders4 []Row[spreadFunc]
	archSpreaders2 []Row[spreadFunc]
)

// Rows of int16.
var (
	archDepthwises16   = []Row[depthwise16Func]{{"s16s16_depthwise_16c2_neon", NEON, 4, asm.S16S16Depthwise16c2NEON}}
	archRequantizers16 = []Row[requant16Func]{{"s32s16_requant_neon", NEON, 2, asm.S32S16RequantNEON}}
	archAdders16       = []Row[add16Func]{{"s16_add_neon", NEON, 2, asm.S16AddNEON}}
)
