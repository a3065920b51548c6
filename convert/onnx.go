package convert

import (
	"fmt"
	"os"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// maxONNX bounds the file that is read into memory; protobuf itself ends at 2 GiB.
const maxONNX = 1<<31 - 1

// loadONNX imports an ONNX file.
func loadONNX(path string, o Options) (*format.Model, error) {
	if o.Arch != "" {
		return nil, fmt.Errorf("%s: an ONNX file brings its own graph, so it cannot be read as %q; --arch is for checkpoints", path, o.Arch)
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxONNX {
		return nil, fmt.Errorf("%s: not a regular file of at most 2 GiB", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := onnx.Import(path, data, onnx.Options{InputSize: o.InputSize, Float: o.Float, Note: o.Note})
	if err != nil {
		return nil, err
	}
	m.Name = o.Name
	return m, nil
}
