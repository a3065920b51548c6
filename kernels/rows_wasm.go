//go:build !purego

package kernels

import "github.com/rfga-edge/rfga-edge/asm"

// Rows of int16, whose steps of 64-bit sums and taps plain Go is slowest at. Those of bytes are plain Go.
var (
	archDepthwises16   = []Row[depthwise16Func]{{"s16s16_depthwise_16c2_simd128", SIMD128, 3, asm.S16S16Depthwise16c2SIMD128}}
	archRequantizers16 = []Row[requant16Func]{{"s32s16_requant_simd128", SIMD128, 2, asm.S32S16RequantSIMD128}}
	archAdders16       = []Row[add16Func]{{"s16_add_simd128", SIMD128, 2, asm.S16AddSIMD128}}
)

var (
	archSummers   []Row[sumFunc]
	archMaxers    []Row[maxFunc]
	archRescalers []Row[unaryFunc]
	archRounders  []Row[roundFunc]
	archAdders    []Row[binaryFunc]
	archMulers    []Row[binaryFunc]
	archAttenders []Row[attendFunc]
)

// There is no kernel of its own for windows of 3x3, the others take them, and weights are proved and packed by plain Go.
var (
	archDepthwises3x3 []Depthwise3x3
	archSHA256Pairs   []Row[sha256PairFunc]
	archScanners      []Row[scanFunc]
	archSpreaders4    []Row[spreadFunc]
	archSpreaders2    []Row[spreadFunc]
)
