package kernels

import (
	"os"
	"syscall"
	"unsafe"
)

// hugePages asks for huge pages behind b. It is advice: nothing depends on it.
func hugePages(b []byte) {
	page := os.Getpagesize()
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (page - 1)
	if n := (len(b) - skip) &^ (page - 1); n > 0 {
		_ = syscall.Madvise(b[skip:][:n], syscall.MADV_HUGEPAGE)
	}
}
