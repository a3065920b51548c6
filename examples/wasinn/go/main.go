//go:build wasip1

// A guest of the host module wasi_ephemeral_nn in Go: it reads a picture of the network's size from standard input, raw RGB, and prints
// the most probable class of the model that the host calls "default", with its logit. Arguments: width and height. Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -o guest.wasm ./examples/wasinn/go
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"unsafe"
)

//go:wasmimport wasi_ephemeral_nn load_by_name
func loadByName(name unsafe.Pointer, size uint32, graph unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn init_execution_context
func initExecutionContext(graph uint32, context unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn set_input
func setInput(context, index uint32, tensor unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn compute
func compute(context uint32) uint32

//go:wasmimport wasi_ephemeral_nn get_output
func getOutput(context, index uint32, buffer unsafe.Pointer, size uint32, written unsafe.Pointer) uint32

// tensor is laid out as WASI-NN wants it: addresses are 32 bits.
type tensor struct {
	dims, rank uint32
	kind       uint8
	data, size uint32
}

func address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

func must(call string, errno uint32) {
	if errno != 0 {
		fmt.Fprintf(os.Stderr, "%s: error %d\n", call, errno)
		os.Exit(1)
	}
}

func main() {
	w, _ := strconv.Atoi(os.Args[1])
	h, _ := strconv.Atoi(os.Args[2])
	pixels, err := io.ReadAll(io.LimitReader(os.Stdin, int64(3*w*h)))
	if err != nil || len(pixels) == 0 {
		fmt.Fprintln(os.Stderr, "no pixels:", err)
		os.Exit(1)
	}
	name := []byte("default")
	var graph, context, written uint32
	must("load_by_name", loadByName(unsafe.Pointer(&name[0]), uint32(len(name)), unsafe.Pointer(&graph)))
	must("init_execution_context", initExecutionContext(graph, unsafe.Pointer(&context)))
	const u8 = 3
	dims := []uint32{uint32(h), uint32(w), 3}
	t := tensor{address(unsafe.Pointer(&dims[0])), 3, u8, address(unsafe.Pointer(&pixels[0])), uint32(len(pixels))}
	must("set_input", setInput(context, 0, unsafe.Pointer(&t)))
	must("compute", compute(context))
	logits := make([]float32, 4096)
	must("get_output", getOutput(context, 0, unsafe.Pointer(&logits[0]), uint32(4*len(logits)), unsafe.Pointer(&written)))
	best := 0
	for i, v := range logits[:written/4] {
		if v > logits[best] {
			best = i
		}
	}
	fmt.Printf("class %d, logit %.4f\n", best, logits[best])
}
