//go:build arm64 && !purego

package kernels

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/cpu"
)

func detectISA() ISA {
	s := NEON // the architecture's baseline for Go
	if cpu.ARM64.HasASIMDDP {
		s |= DotProd
	}
	if cpu.ARM64.HasI8MM {
		s |= I8MM
	}
	if cpu.ARM64.HasFPHP && cpu.ARM64.HasASIMDHP {
		s |= FP16
	}
	return s.without(0)
}

// cacheL2 is the size of the first core's second-level cache in bytes, or 0 where the system does not say. Where cores
// differ the first is a small one, and blocks that suit it suit the others.
var cacheL2 = sync.OnceValue(func() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/cpu0/cache/index2/size")
	if err != nil {
		return 0
	}
	return parseCacheSize(string(text))
})

// parseCacheSize reads what Linux writes, such as "512K".
func parseCacheSize(s string) int {
	digits, ok := strings.CutSuffix(strings.TrimSpace(s), "K")
	n, err := strconv.Atoi(digits)
	if err != nil || !ok || n < 64 || n > 1<<16 {
		return 0
	}
	return n << 10
}
