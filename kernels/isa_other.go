//go:build purego || (!amd64 && !arm64 && !arm && !wasm)

package kernels

func detectISA() ISA { return Portable }

func cacheL2() int { return 0 }
