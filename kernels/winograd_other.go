//go:build purego || (!amd64 && !arm64 && !wasm)

package kernels

// An architecture with kernels has a file like winograd_amd64.go instead of this one.
var (
	archGEMM16s     []GEMM16
	archWinoInputs  []WinoInput
	archWinoFilters []WinoFilter
	archWinoOutputs []WinoOutput
)
