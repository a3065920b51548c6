package v4l2

import (
	"time"
	"unsafe"
)

// system opens devices: the operating system, or a test's.
type system interface {
	open(path string) (handle, error)
	// monotonic is the clock that drivers stamp frames with.
	monotonic() time.Duration
}

// handle is an open device.
type handle interface {
	ioctl(request uint32, arg unsafe.Pointer) error
	mmap(offset int64, length int) ([]byte, error)
	munmap([]byte) error
	// wait tells whether a frame, or an error, is there to be taken, after timeout at the latest.
	wait(timeout time.Duration) (bool, error)
	close() error
}
