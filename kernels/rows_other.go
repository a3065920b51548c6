//go:build purego || !amd64

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

var archDepthwises3x3 []Depthwise3x3

var (
	archScanners   []Row[scanFunc]
	archSpreaders4 []Row[spreadFunc]
	archSpreaders2 []Row[spreadFunc]
)
