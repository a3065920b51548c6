//go:build amd64 && !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"
	"golang.org/x/sys/cpu"
)

func detectISA() ISA {
	x := &cpu.X86
	var s ISA
	for _, f := range []struct {
		isa ISA
		has bool
	}{
		{SSE41, x.HasSSE41 && x.HasSSSE3},
		{AVX2, x.HasAVX2 && x.HasAVX && x.HasOSXSAVE},
		{AVX512, x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL},
		{AVX512VNNI, x.HasAVX512VNNI},
		{AVXVNNI, x.HasAVXVNNI},
		{FMA, x.HasFMA},
		{F16C, x.HasF16C},
		{SHA, cpuid.CPU.Has(cpuid.SHA)},
	} {
		if f.has {
			s |= f.isa
		}
	}
	return s.without(0)
}

// cacheL2 is the size of a core's second-level cache in bytes, or 0 if unknown.
func cacheL2() int { return max(cpuid.CPU.Cache.L2, 0) }
