//go:build purego || (!amd64 && !arm64 && !wasm)

package kernels

// An architecture with rows in assembly has a file like rows_amd64.go instead of this one.
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
	archSHA256s       []sha256Row
	archScanners      []Row[scanFunc]
	archSpreaders4    []Row[spreadFunc]
	archSpreaders2    []Row[spreadFunc]
)

// Rows of int16 are plain Go.
var (
	archDepthwises16   []Row[depthwise16Func]
	archRequantizers16 []Row[requant16Func]
	archAdders16       []Row[add16Func]
)
