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

// There is no kernel of its own for windows of 3x3, the others take them, and weights are proved and packed by plain Go.
var (
	archDepthwises3x3 []Depthwise3x3
	archScanners      []Row[scanFunc]
	archSpreaders4    []Row[spreadFunc]
	archSpreaders2    []Row[spreadFunc]
)
