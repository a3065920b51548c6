//go:build !unix

package main

import "runtime"

// peakRSS is the memory that Go holds, in MiB: the nearest to a peak of the resident memory that every system tells.
func peakRSS() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / (1 << 20)
}
