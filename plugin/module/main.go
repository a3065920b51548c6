//go:build wasip1

// The command module is rfga-edge.wasm: a WASI reactor with the interface of plugin/ABI.md. Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -tags defaultmodel -o rfga-edge.wasm ./plugin/module
//
// The tag defaultmodel puts the default model in; the tag purego leaves SIMD out, for hosts that do not know it.
package main

import (
	"fmt"

	"github.com/rfga-edge/rfga-edge/plugin/guest"
)

func main() {}

var (
	memory guest.Memory
	models = guest.Guest{Default: builtIn, Address: guest.Address}
	reply  []byte // what the last call returned, kept alive until the next
	cause  []byte // why the last failing call failed
)

// refuse keeps the reason for rfga_error and returns the code.
func refuse(err error) int32 {
	cause = []byte(err.Error())
	return int32(guest.Code(err))
}

// caught turns a panic of the caller into the code of a bug. The host may go on with other handles.
func caught[T int32 | int64](code *T) {
	if r := recover(); r != nil {
		cause = fmt.Appendf(nil, "internal error: %v", r)
		*code = guest.CodeInternal
	}
}

// text returns where b lies, address in the high half and size in the low one.
func text(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	return int64(guest.Address(b))<<32 | int64(len(b))
}

// answer returns a reply, or the code of an error.
func answer(b []byte, err error) int64 {
	if err != nil {
		return int64(refuse(err))
	}
	reply = b
	return text(reply)
}

//go:wasmexport rfga_abi
func abi() int32 { return guest.ABI }

//go:wasmexport rfga_alloc
func alloc(size uint32) uint32 { return memory.Alloc(size) }

//go:wasmexport rfga_free
func free(p uint32) int32 {
	if err := memory.Free(p); err != nil {
		return refuse(err)
	}
	return 0
}

//go:wasmexport rfga_load
func load(p, n uint32) (handle int32) {
	defer caught(&handle)
	b, err := memory.Take(p, n)
	if err == nil {
		handle, err = models.Load(b)
	}
	if err != nil {
		return refuse(err)
	}
	return handle
}

//go:wasmexport rfga_unload
func unload(handle int32) (code int32) {
	defer caught(&code)
	if err := models.Unload(handle); err != nil {
		return refuse(err)
	}
	return 0
}

//go:wasmexport rfga_info
func info(handle int32) (r int64) {
	defer caught(&r)
	return answer(models.Info(handle))
}

//go:wasmexport rfga_options
func options(handle int32, p, n uint32) (code int32) {
	defer caught(&code)
	b, err := memory.Bytes(p, n)
	if err == nil {
		err = models.Options(handle, b)
	}
	if err != nil {
		return refuse(err)
	}
	return 0
}

//go:wasmexport rfga_localize
func localize(handle int32, p, n uint32, w, h, stride int32, format uint32, topK int32) (r int64) {
	defer caught(&r)
	b, err := memory.Bytes(p, n)
	if err != nil {
		return int64(refuse(err))
	}
	return answer(models.Localize(handle, b, int(w), int(h), int(stride), format, int(topK)))
}

//go:wasmexport rfga_heat
func heat(handle int32) (r int64) {
	defer caught(&r)
	return answer(models.Heat(handle))
}

//go:wasmexport rfga_run
func run(handle int32, p, n uint32) (r int64) {
	defer caught(&r)
	b, err := memory.Bytes(p, n)
	if err != nil {
		return int64(refuse(err))
	}
	return answer(models.Run(handle, b))
}

//go:wasmexport rfga_error
func lastError() int64 { return text(cause) }
