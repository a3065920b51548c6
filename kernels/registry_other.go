//go:build purego || (!amd64 && !arm64 && !arm && !wasm)

package kernels

// An architecture with kernels has a file like registry_amd64.go instead of this one.
var (
	archGEMMs        []GEMM
	archRequantizers []Requantizer
	archGEMMRequants []GEMMRequant
	archDepthwises   []Depthwise
	archWideners     []Widener
	archInterleavers []Interleaver
	archFlippers     []Flipper
)
