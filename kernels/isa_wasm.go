//go:build !purego

package kernels

import "os"

// A module with v128 instructions runs only where they are known: a build for other hosts has the tag purego.
func detectISA() ISA {
	if os.Getenv(HostEnv) == "wazero" {
		return SIMD128 | SIMD128x3
	}
	return SIMD128
}

func cacheL2() int { return 0 }
