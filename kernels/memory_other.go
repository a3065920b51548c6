//go:build !linux

package kernels

func hugePages([]byte) {}
