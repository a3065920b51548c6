//go:build wasip1

// The command extism is the plugin for hosts of Extism (extism.org): the function localize takes an encoded picture as its input
// and returns the JSON object of plugin/ABI.md, info takes nothing. The embedded default model is in it. Configuration keys: topk, and
// options as in ABI.md ("threshold=0.1&multi=1"). Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o rfga-edge-extism.wasm ./plugin/extism
package main

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/rfga-edge/rfga-edge/defaultmodel"
	"github.com/rfga-edge/rfga-edge/plugin/guest"
)

func main() {}

// Extism's memory is the host's: blocks by 64-bit address, read and written 8 bytes or 1 byte at a time.

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u64
func inputLoad64(offset uint64) uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoad8(offset uint64) uint32

//go:wasmimport extism:host/env alloc
func alloc(size uint64) uint64

//go:wasmimport extism:host/env free
func free(block uint64)

//go:wasmimport extism:host/env length
func length(block uint64) uint64

//go:wasmimport extism:host/env load_u8
func load8(address uint64) uint32

//go:wasmimport extism:host/env store_u64
func store64(address, value uint64)

//go:wasmimport extism:host/env store_u8
func store8(address uint64, value uint32)

//go:wasmimport extism:host/env output_set
func outputSet(block, size uint64)

//go:wasmimport extism:host/env error_set
func errorSet(block uint64)

//go:wasmimport extism:host/env config_get
func configGet(key uint64) uint64

var (
	models = guest.Guest{Default: defaultmodel.Open}
	handle int32
)

func input() ([]byte, error) {
	n := inputLength()
	if n > uint64(guest.Limits.Bytes) {
		return nil, fmt.Errorf("input of %d bytes: the limit is %d", n, guest.Limits.Bytes)
	}
	b := make([]byte, n)
	i := uint64(0)
	for ; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], inputLoad64(i))
	}
	for ; i < n; i++ {
		b[i] = byte(inputLoad8(i))
	}
	return b, nil
}

// put copies b into a block of the host.
func put[T []byte | string](b T) uint64 {
	block := alloc(uint64(len(b)))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		store64(block+uint64(i), binary.LittleEndian.Uint64([]byte(b[i:i+8])))
	}
	for ; i < len(b); i++ {
		store8(block+uint64(i), uint32(b[i]))
	}
	return block
}

// config returns a value of the host's configuration, empty without.
func config(key string) string {
	name := put(key)
	defer free(name)
	value := configGet(name)
	if value == 0 {
		return ""
	}
	defer free(value)
	b := make([]byte, length(value))
	for i := range b {
		b[i] = byte(load8(value + uint64(i)))
	}
	return string(b)
}

// answer hands a result to the host.
func answer(b []byte, err error) int32 {
	if err != nil {
		errorSet(put(err.Error()))
		return 1
	}
	outputSet(put(b), uint64(len(b)))
	return 0
}

// model loads the model once, with the options of the first call's configuration.
func model() error {
	if handle > 0 {
		return nil
	}
	h, err := models.Load(nil)
	if err == nil {
		err = models.Options(h, []byte(config("options")))
	}
	if err == nil {
		handle = h
	}
	return err
}

func localizeInput() ([]byte, error) {
	if err := model(); err != nil {
		return nil, err
	}
	topK := 1
	if text := config("topk"); text != "" {
		var err error
		if topK, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("configuration topk: %q is no number", text)
		}
	}
	b, err := input()
	if err != nil {
		return nil, err
	}
	return models.Localize(handle, b, 0, 0, 0, 0, topK)
}

//go:wasmexport localize
func localize() (code int32) {
	defer caught(&code)
	return answer(localizeInput())
}

//go:wasmexport info
func info() (code int32) {
	defer caught(&code)
	if err := model(); err != nil {
		return answer(nil, err)
	}
	return answer(models.Info(handle))
}

func caught(code *int32) {
	if r := recover(); r != nil {
		*code = answer(nil, fmt.Errorf("internal error: %v", r))
	}
}
