//go:build purego || !(amd64 || arm64 || wasm)

package kernels

// An architecture with kernels for package frame has a file like pixels_amd64.go instead of this one.
var (
	archBlenders  []Row[blendFunc]
	archUnzippers []Row[unzipFunc]
	archUnzip3s   []Row[unzip3Func]
	archReducers  []Row[reduceFunc]
	archColorers  []Row[colorFunc]
)
