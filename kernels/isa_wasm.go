//go:build !purego

package kernels

// A module with v128 instructions runs only where they are known: a build for other hosts has the tag purego.
func detectISA() ISA { return SIMD128 }

func cacheL2() int { return 0 }
