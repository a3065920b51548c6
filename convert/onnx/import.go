package onnx

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Options say what an ONNX file does not.
type Options struct {
	// InputSize is the side of the image where the file leaves it open, and instead of what the file says. 0: the file's.
	InputSize int
	// Mean and Std normalise the image, whose values are 0..1. A zero Std means ImageNet's, or for an input of bytes what the graph
	// does with them.
	Mean, Std [3]float32
	// Labels name the classes; there must be as many as the classifier has, if there are any.
	Labels []string
	// Float makes a float model of a quantized one: weights keep their values, activations are no longer rounded.
	Float bool
	// Note takes remarks on how the model differs from the file; nil drops them.
	Note func(string)
}

// Import converts an ONNX model to a float32 model, or a quantized one to an int8 model. path is the file's name, for errors and provenance; external data is
// looked for in its folder, and nowhere else.
//
// The graph must have one input that matters, an image N,3,H,W (or N,H,W,3) of floating point, or of bytes that are cast to it or
// quantized integers; outputs keep their names (but for slashes, which
// become underscores) and must be N,C,H,W or N,C. Nodes that cannot be converted give an *UnsupportedError, which lists them all.
func Import(path string, data []byte, o Options) (*format.Model, error) {
	m, err := importModel(path, data, o)
	if err != nil && path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return m, err
}

func importModel(path string, data []byte, o Options) (*format.Model, error) {
	f, err := decodeFile(data)
	if err != nil {
		return nil, err
	}
	size := int64(len(data))
	if path != "" {
		dir := &folder{path: filepath.Dir(path)}
		defer dir.close()
		extra, err := f.locate(dir)
		if err != nil {
			return nil, err
		}
		size += extra
	}
	im := &importer{o: o, budget: newBudget(size)}
	if err := im.build(f); err != nil {
		return nil, err
	}
	o = im.o
	if o.Std == [3]float32{} {
		o.Mean, o.Std = [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}
	}
	quantized := im.net.isQuantized()
	switch {
	case quantized && len(im.errs) > 0:
		return nil, &UnsupportedError{im.errs}
	case quantized && o.Float:
		im.net.dropRounding()
		quantized = false
	case quantized:
		im.net.matchQuantized()
	}
	im.net.simplify()
	if quantized {
		im.net.checkQuantized(func(n *node, err error) { im.errs = append(im.errs, NodeError{n.name, n.op, err.Error()}) })
	}
	for _, n := range im.net.nodes {
		if err := n.check(&im.budget); err != nil && !n.lost {
			im.errs = append(im.errs, NodeError{n.name, n.op, err.Error()})
		}
	}
	if len(im.errs) > 0 {
		return nil, &UnsupportedError{im.errs}
	}
	source := text([]byte(filepath.Base(path)))
	name := strings.TrimSuffix(source, filepath.Ext(source))
	if path == "" {
		source, name = "", short(f.graph.name)
	}
	var m *format.Model
	var notes []string
	if quantized {
		if m, notes, err = im.net.emitQuantized(name, o); o.Note != nil {
			for _, n := range notes {
				o.Note(n)
			}
		}
	} else {
		m, err = im.net.emit(name, o)
	}
	if err != nil {
		return nil, err
	}
	m.Prov.Source = source
	if quantized {
		m.Prov.Calibration = "scales and integers of the imported model"
	}
	m.Prov.Notes = strings.TrimSpace(fmt.Sprintf("ONNX opset %d %s %s", im.opset, short(f.producer), short(f.version)))
	if err := setLabels(m, o.Labels); err != nil {
		return nil, err
	}
	return m, nil
}

// short cuts what a file says about itself.
func short(s string) string {
	if len(s) <= 128 {
		return s
	}
	return strings.ToValidUTF8(s[:128], "") + "..."
}

// locate tells every constant with external data where the model is, and returns the size of that data.
func (f *file) locate(dir *folder) (size int64, err error) {
	seen := map[string]bool{}
	one := func(t *tensor) {
		if t == nil || t.ext == nil || err != nil {
			return
		}
		t.ext.dir = dir
		if !seen[t.ext.location] {
			seen[t.ext.location] = true
			var n int64
			if _, n, err = dir.open(t.ext.location); err == nil {
				size += n
			}
		}
	}
	f.graph.constants(one)
	return size, err
}

func setLabels(m *format.Model, labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	for _, op := range m.Ops {
		if op.Kind != format.OpCAMHead {
			continue
		}
		if s := m.Tensors[op.Outputs[0]].Shape; s[len(s)-1] != len(labels) {
			return fmt.Errorf("there are %d labels and %d classes", len(labels), s[len(s)-1])
		}
	}
	m.Labels = labels
	return nil
}
