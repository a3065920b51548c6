//go:build purego || (!amd64 && !arm64 && !wasm)

package kernels

// An architecture with float kernels has a file like registry_f32_amd64.go instead of this one.
var (
	archGEMMsF32      []GEMMF32
	archGEMMsF32F16   []GEMMF32F16
	archGEMMsF16      []GEMMF16
	archNarrowers     []Row[narrowFunc]
	archExpanders     []Row[expandFunc]
	archDepthwisesF32 []Row[depthwiseFunc]
	archMaxPoolsF32   []Row[poolFunc]
	archAvgPoolsF32   []Row[poolFunc]

	archSigmoids     []Row[mapFunc]
	archSwishes      []Row[mapFunc]
	archSummersF32   []Row[sumsF32Func]
	archDots         []Row[dotFunc]
	archAttendersF32 []Row[attendF32Func]

	archWinoF32 []winoRowsF32
)
