package rfgaedge

import (
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Model is a network. It is read-only, safe for concurrent use, and shared by its sessions.
type Model struct {
	rt       *runtime.Model
	defaults config
}

// Open opens the .rfga file at path: maps it, checks its digest and every number in it, and prepares it for this machine.
// A file that is no usable model gives a *ModelError. Close releases the file.
func Open(path string, opts ...Option) (*Model, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	rt, err := runtime.OpenWith(path, runtime.LoadOptions{HalfMath: c.halfMath})
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return nil, err
		}
		return nil, &ModelError{Path: path, Err: err}
	}
	return &Model{rt: rt, defaults: c}, nil
}

// Load reads a .rfga file of size bytes from r. See Open.
func Load(r io.ReaderAt, size int64, opts ...Option) (*Model, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	rt, err := runtime.LoadWith(r, size, runtime.LoadOptions{HalfMath: c.halfMath})
	if err != nil {
		return nil, &ModelError{Err: err}
	}
	return &Model{rt: rt, defaults: c}, nil
}

// New wraps a model that package runtime has loaded; closing either closes both.
func New(rt *runtime.Model, opts ...Option) (*Model, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, errors.Join(err, rt.Close())
	}
	return &Model{rt: rt, defaults: c}, nil
}

// configure applies the options of a model to the defaults.
func configure(opts []Option) (config, error) {
	c := config{threads: 1, filter: Antialiased}
	for _, o := range opts {
		if err := o(&c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Close releases the model's file. Its sessions must not be used afterwards.
func (m *Model) Close() error { return m.rt.Close() }

// Runtime gives access to the layer below: steps, kernels, raw outputs.
func (m *Model) Runtime() *runtime.Model { return m.rt }

// Name is the network's name, as its converter wrote it.
func (m *Model) Name() string { return m.rt.Format().Name }

// Digest is the file's digest, "sha256:" and 64 hexadecimal digits.
func (m *Model) Digest() string { return m.rt.Digest() }

// Precision says what the weights are: "int8", "fp16" (some of which may be float32; all are computed in float32 unless HalfMath is asked for) or "fp32";
// "int8+fp16" and "int8+fp32" where layers differ.
func (m *Model) Precision() string {
	fm := m.rt.Format()
	var i8, f16, f32 bool
	for _, op := range fm.Ops {
		switch op.Kind {
		case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpRFGA, format.OpCAMHead:
			switch fm.Tensors[op.Inputs[1]].DType {
			case format.I8:
				i8 = true
			case format.F16:
				f16 = true
			default:
				f32 = true
			}
		}
	}
	float := "fp32"
	if f16 {
		float = "fp16"
	}
	switch {
	case i8 && (f16 || f32):
		return "int8+" + float
	case i8:
		return "int8"
	}
	return float
}

// InputSize is the width and height of the square that frames are turned into.
func (m *Model) InputSize() (width, height int) {
	pre := &m.rt.Format().Pre
	return pre.Width, pre.Height
}

// Classes is the number of classes, 0 for a network that localizes nothing.
func (m *Model) Classes() int {
	_, _, classes := m.rt.MapShape()
	return classes
}

// Labels returns the names of the classes by id, nil if the model has none.
func (m *Model) Labels() []string { return slices.Clone(m.rt.Format().Labels) }

func (m *Model) label(id int) string {
	if labels := m.rt.Format().Labels; id < len(labels) {
		return labels[id]
	}
	return ""
}
