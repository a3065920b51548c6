package runtime

import (
	"fmt"
	"io"
	"sync"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func init() { format.SumMany, format.SumLanes = kernels.SHA256Many() }

// Model is a loaded network: the file's contents and the plan. It is read-only, safe for concurrent use, and shared by any
// number of sessions.
type Model struct {
	fm   *format.Model
	info *format.Info // nil for a model that never was a file
	file *format.File // nil unless opened by path
	plan *plan

	observeOnce sync.Once
	observePlan *plan // the plan without fusion, for sessions that observe every tensor
	observeErr  error
}

// LoadOptions says how a model is prepared. The zero value is what Open and Load do.
type LoadOptions struct {
	// HalfMath lets the convolutions of a model with weights in half precision multiply in half precision too, where the
	// CPU has arithmetic for it (FEAT_FP16 of ARMv8.2): with other bits. Elsewhere, and in other models, it changes nothing.
	HalfMath bool
}

// Open maps the .rfga file at path, checks its digest and every number in it, and plans it.
// Errors name the file and what is wrong with it. Close releases the mapping.
func Open(path string) (*Model, error) { return OpenWith(path, LoadOptions{}) }

// OpenWith is Open with options.
func OpenWith(path string, o LoadOptions) (*Model, error) {
	f, err := format.OpenUnverified(path)
	if err != nil {
		return nil, err
	}
	m, err := newModel(f.Model, f.Info, o)
	if e := f.Verify(); e != nil {
		err = e // a damaged file: whatever else was found follows from it
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.file = f
	// The plan has packed most of what it multiplies with; what it still reads in place comes back by a page fault.
	f.DropPages()
	return m, nil
}

// Load reads a .rfga file of size bytes from r into memory. See Open.
func Load(r io.ReaderAt, size int64) (*Model, error) { return LoadWith(r, size, LoadOptions{}) }

// LoadWith is Load with options.
func LoadWith(r io.ReaderAt, size int64, o LoadOptions) (*Model, error) {
	f, err := format.Read(r, size)
	if err != nil {
		return nil, err
	}
	return newModel(f.Model, f.Info, o)
}

// FromBytes loads a .rfga file that is already in memory; b must not change while the model is in use.
func FromBytes(b []byte) (*Model, error) {
	fm, info, err := format.Decode(b)
	if err != nil {
		return nil, err
	}
	return newModel(fm, info, LoadOptions{})
}

// FromFormat plans a model that was built in memory, which must not change afterwards.
func FromFormat(fm *format.Model) (*Model, error) {
	if err := format.Validate(fm); err != nil {
		return nil, err
	}
	return newModel(fm, nil, LoadOptions{})
}

func newModel(fm *format.Model, info *format.Info, o LoadOptions) (*Model, error) {
	p, err := newPlan(fm, true, o)
	if err != nil {
		return nil, err
	}
	return &Model{fm: fm, info: info, plan: p}, nil
}

// Format returns the file's contents; the caller must not change them.
func (m *Model) Format() *format.Model { return m.fm }

// Info returns what is known of the file itself, nil for a model built in memory.
func (m *Model) Info() *format.Info { return m.info }

// Digest is the file's "sha256:..." digest, empty for a model built in memory.
func (m *Model) Digest() string {
	if m.info == nil {
		return ""
	}
	return m.info.Digest
}

// Close releases the file. Sessions of the model must not be used afterwards.
func (m *Model) Close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// unfused returns the plan in which every tensor of the file is computed as the file says.
func (m *Model) unfused() (*plan, error) {
	m.observeOnce.Do(func() { m.observePlan, m.observeErr = newPlan(m.fm, false, LoadOptions{}) })
	return m.observePlan, m.observeErr
}

// Step describes one step of the plan, for people.
type Step struct {
	Kind    format.OpKind
	Name    string
	Fused   []string // names of further operators of the file that the step does
	Inputs  []int    // tensors of the file
	Outputs []int
	Kernel  string // registry name of the chosen kernel
	Why     string
	MACs    int64 // of one image
	Packed  int   // bytes of packed weights
}

// Steps describes the plan in execution order.
func (m *Model) Steps() []Step {
	out := make([]Step, len(m.plan.steps))
	for i, s := range m.plan.steps {
		out[i] = Step{Kind: s.op.Kind, Name: s.op.Name, Fused: s.fused, Inputs: s.in, Outputs: s.out,
			Kernel: s.prep.Kernel, Why: s.prep.Why, MACs: s.prep.MACs, Packed: s.prep.Packed}
	}
	return out
}

// ArenaStats says how well the activations of one image are packed into the arena.
type ArenaStats struct {
	Size       int // bytes a session allocates for activations
	LowerBound int // the most bytes that are live in any one step: no layout can need less
	Sum        int // all activations side by side, without reuse
}

// Arena describes the arena that each session allocates once.
func (m *Model) Arena() ArenaStats { return m.plan.arena }
