//go:build arm64 && !purego

package kernels

import "golang.org/x/sys/cpu"

func detectISA() ISA {
	s := NEON // the architecture's baseline for Go
	if cpu.ARM64.HasASIMDDP {
		s |= DotProd
	}
	if cpu.ARM64.HasI8MM {
		s |= I8MM
	}
	return s.without(0)
}

func cacheL2() int { return 0 }
