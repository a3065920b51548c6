package convert

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/checkpoint"
	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/convert/tflite"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Options say what a file of weights does not.
type Options struct {
	Arch      string   // of Archs; empty: recognised
	InputSize int      // side of the input square; 0: the architecture's default
	Labels    []string // names of the classes, in the order of the logits
	Name      string   // of the model; empty: the file's name
	Prov      format.Provenance
	// Float makes a float model of a file that is quantized already, which otherwise becomes an int8 model with the file's own
	// scales and integers.
	Float bool
	// Note takes remarks on how the model differs from the file; nil drops them.
	Note func(string)
}

// Load reads trained weights, PyTorch's .pth and .pt, .safetensors, .npz, .onnx or .tflite by content, into a float32 model, or an int8 model
// if the file is quantized: see IsQuantized. An error names the file, and lists every tensor that does not fit the architecture at once.
func Load(path string, o Options) (*format.Model, error) {
	if o.Name == "" {
		o.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	if o.Prov.Source == "" {
		o.Prov.Source = filepath.Base(path)
	}
	m, err := load(path, o)
	if err != nil {
		return nil, err
	}
	if o.Prov.Notes == "" {
		o.Prov.Notes = m.Prov.Notes
	}
	o.Prov.Calibration = m.Prov.Calibration
	m.Prov = o.Prov
	if len(o.Labels) > 0 {
		if k := classes(m); k > 0 && k != len(o.Labels) {
			return nil, fmt.Errorf("%d labels for %d classes of %s: give one label a line for each class, in the order of the logits", len(o.Labels), k, path)
		}
		m.Labels = o.Labels
	}
	if err := format.Validate(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// IsQuantized says whether a model that Load returned is of integers, so that there is nothing left to calibrate.
func IsQuantized(m *format.Model) bool { return m.Tensors[m.Input].DType == format.I8 }

// MayBeQuantized says whether a file is of a kind that holds quantized models, so that only reading it can tell.
func MayBeQuantized(path string) bool {
	head, err := readHead(path)
	return err == nil && !checkpoint.Sniff(head) && (tflite.Sniff(head) || onnx.Sniff(head))
}

func load(path string, o Options) (*format.Model, error) {
	head, err := readHead(path)
	if err != nil {
		return nil, err
	}
	// Checkpoints first: what they begin with is certain, while ONNX has no magic number.
	switch {
	case checkpoint.Sniff(head):
	case tflite.Sniff(head):
		return loadGraph(path, o, "a LiteRT file", tflite.Import)
	case onnx.Sniff(head):
		return loadGraph(path, o, "an ONNX file", onnx.Import)
	}
	ck, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	m, err := FromCheckpoint(ck, o)
	if err != nil {
		return nil, fmt.Errorf("%s (%s): %w", path, ck.Format, err)
	}
	return m, nil
}

// readHead returns the first bytes of a file.
func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	return head[:n], nil
}

// FromCheckpoint makes the model of an open checkpoint.
func FromCheckpoint(ck *checkpoint.Checkpoint, o Options) (*format.Model, error) {
	n, a, err := newNetwork(ck, o.Name, o)
	if err != nil {
		return nil, err
	}
	a.build(n)
	// Where every tensor that was looked at fits, a graph that cannot be built has another cause: the input size.
	if err := n.Err(); err != nil && len(n.missing)+len(n.misshapen) == 0 {
		return nil, fmt.Errorf("%s at input size %d: %w", a.Name, n.Shape(n.Input()).W, err)
	}
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	m, err := n.Finish()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	return m, nil
}

// classes is the number of logits, 0 if the network has no class activation head.
func classes(m *format.Model) int {
	for i := range m.Ops {
		if m.Ops[i].Kind == format.OpCAMHead {
			s := m.Tensors[m.Ops[i].Outputs[0]].Shape
			return s[len(s)-1]
		}
	}
	return 0
}
