package board

import (
	"os"
	"runtime/debug"
)

// Frugal makes the garbage collector run when a quarter of what is in use has been allocated, not as much again: what a stream
// allocates are decoded pictures, which are large and hold no pointers, so collecting them is cheap and keeping them is not.
// GOGC and GOMEMLIMIT in the environment have their way.
func Frugal() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(25)
	}
}
