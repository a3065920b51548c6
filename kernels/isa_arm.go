//go:build !purego

package kernels

import "golang.org/x/sys/cpu"

// detectISA asks the kernel: ARMv7 has cores without NEON.
func detectISA() ISA {
	if cpu.ARM.HasNEON {
		return NEON
	}
	return Portable
}

func cacheL2() int { return 0 }
