//go:build !amd64 || purego

package kernels

// No peaks are measured on this architecture yet: kernels show their speed without a share.
var archPeaks []Peak
