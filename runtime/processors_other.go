//go:build !linux

package runtime

import goruntime "runtime"

// processors is how many processors this process may keep busy.
func processors() float64 { return float64(goruntime.NumCPU()) }
