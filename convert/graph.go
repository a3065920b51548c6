package convert

import (
	"fmt"
	"os"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// maxGraph bounds the file that is read into memory; protobuf and flatbuffers end at 2 GiB.
const maxGraph = 1<<31 - 1

// loadGraph imports a file that brings its own graph, what of a kind, with an importer for it.
func loadGraph(path string, o Options, what string, read func(string, []byte, onnx.Options) (*format.Model, error)) (*format.Model, error) {
	if o.Arch != "" {
		return nil, fmt.Errorf("%s: %s brings its own graph, so it cannot be read as %q; --arch is for checkpoints", path, what, o.Arch)
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxGraph {
		return nil, fmt.Errorf("%s: not a regular file of at most 2 GiB", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := read(path, data, onnx.Options{InputSize: o.InputSize, Float: o.Float, Note: o.Note})
	if err != nil {
		return nil, err
	}
	m.Name = o.Name
	return m, nil
}
