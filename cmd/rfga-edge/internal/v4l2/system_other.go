//go:build !linux || !(386 || amd64 || arm || arm64 || loong64 || riscv64 || s390x)

package v4l2

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

type nothing struct{}

var here system = nothing{}

func (nothing) open(path string) (handle, error) {
	return nil, fmt.Errorf("%s: video devices are read on Linux only, not on %s/%s; pipe them through ffmpeg: %w", path, runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}

func (nothing) monotonic() time.Duration { return 0 }

// IsDevice tells whether a path is a video device, which only Linux has.
func IsDevice(string) bool { return false }
