// The command extism localizes photos with rfga-edge-extism.wasm through Extism's Go SDK:
//
//	go run . rfga-edge-extism.wasm photo.jpg ...
package main

import (
	"context"
	"fmt"
	"os"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: extism rfga-edge-extism.wasm PHOTO...")
		os.Exit(2)
	}
	ctx := context.Background()
	manifest := extism.Manifest{
		Wasm:   []extism.Wasm{extism.WasmFile{Path: os.Args[1]}},
		Config: map[string]string{"topk": "1", "options": "multi=0"},
	}
	// This SDK runs modules by wazero, whose kernels the module takes when it is told so.
	config := extism.PluginConfig{EnableWasi: true,
		ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime().WithEnv("RFGA_WASM_HOST", "wazero")}
	plugin, err := extism.NewPlugin(ctx, manifest, config, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	defer plugin.Close(ctx)
	code := 0
	for _, photo := range os.Args[2:] {
		b, err := os.ReadFile(photo)
		if err == nil {
			_, b, err = plugin.Call("localize", b)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", photo, err)
			code = 4
			continue
		}
		fmt.Println(string(b))
	}
	os.Exit(code)
}
