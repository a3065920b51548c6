//go:build linux && (386 || amd64 || arm || arm64 || loong64 || riscv64 || s390x)

package v4l2

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

type linux struct{}

var here system = linux{}

func (linux) open(path string) (handle, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			return file(fd), nil
		}
		if err != unix.EINTR {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (linux) monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// file is a file descriptor.
type file int

func (f file) ioctl(request uint32, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f), uintptr(request), uintptr(arg))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

func (f file) mmap(offset int64, length int) ([]byte, error) {
	return unix.Mmap(int(f), offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (file) munmap(b []byte) error { return unix.Munmap(b) }

func (f file) wait(timeout time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(f), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(timeout.Milliseconds()))
	if err == unix.EINTR {
		return false, nil
	}
	return n > 0, err
}

func (f file) close() error { return unix.Close(int(f)) }

// IsDevice tells whether a path is a video device: a character device with their number.
func IsDevice(path string) bool {
	const major = 81
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && unix.Major(uint64(st.Rdev)) == major
}
