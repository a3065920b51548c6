package kernels

import "syscall"

const hugePage = 2 << 20 // what amd64 has, and arm64 with pages of 4 KB

// huge returns n bytes of zeros or more: whole huge pages, if the system has some. It is asked for them, nothing depends on it. What
// lies before the first one is not touched, and so takes no memory.
func huge(n int) []byte {
	n = (n + hugePage - 1) &^ (hugePage - 1)
	b := from(make([]byte, n+hugePage), hugePage)[:n]
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
	return b
}
