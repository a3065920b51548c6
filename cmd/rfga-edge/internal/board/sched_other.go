//go:build !linux

package board

import (
	"errors"
	"fmt"
	"runtime"
)

// Pin is only for Linux.
func Pin([]int) error {
	return fmt.Errorf("choosing CPUs on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Nice is only for Linux, where it concerns threads.
func Nice(int) error {
	return fmt.Errorf("a nice value on %s (start the command with nice instead): %w", runtime.GOOS, errors.ErrUnsupported)
}
