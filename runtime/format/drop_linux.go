package format

import "syscall"

func dropPages(mem []byte) error { return syscall.Madvise(mem, syscall.MADV_DONTNEED) }
