package wasinn

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero/api"

	"github.com/rfga-edge/rfga-edge/runtime"
)

// guest is what one guest has loaded.
type guest struct {
	mu       sync.Mutex
	c        *Config
	mem      api.Memory
	graphs   map[uint32]*graph
	contexts map[uint32]*execution
	last     uint32 // handle
	held     int64  // bytes of files and contexts
}

type graph struct {
	model *runtime.Model
	own   bool // loaded by the guest
}

type execution struct {
	model   *runtime.Model
	session *runtime.Session
	set     bool // an input
	done    bool // outputs are valid
	out     []float32
}

func (g *guest) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.contexts {
		e.session.Close()
	}
	for _, gr := range g.graphs {
		if gr.own {
			gr.model.Close()
		}
	}
	g.graphs, g.contexts, g.held = nil, nil, 0
}

func bad(format string, args ...any) (Errno, string) {
	return InvalidArgument, fmt.Sprintf(format, args...)
}

// handle stores a new handle where the guest wants it.
func (g *guest) handle(out uint32) (uint32, bool) {
	if !g.mem.WriteUint32Le(out, g.last+1) {
		return 0, false
	}
	g.last++
	return g.last, true
}

// load(builders, count, encoding, target, out): builders is an array of (address, size).
func (g *guest) load(_ context.Context, a []uint32) (Errno, string) {
	builders, count, out := a[0], a[1], a[4]
	if count != 1 {
		return bad("%d builders: a .rfga model is one", count)
	}
	address, ok1 := g.mem.ReadUint32Le(builders)
	size, ok2 := g.mem.ReadUint32Le(builders + 4)
	if !ok1 || !ok2 || builders > math.MaxUint32-8 {
		return bad("builder at %d is outside of the memory", builders)
	}
	switch own := g.ownGraphs(); {
	case own >= g.c.MaxModels:
		return TooLarge, fmt.Sprintf("%d models are loaded already: the limit", own)
	case int64(size) > g.c.MaxFile:
		return TooLarge, fmt.Sprintf("a model of %d bytes: the limit is %d", size, g.c.MaxFile)
	case g.held+int64(size) > g.c.MaxMemory:
		return TooLarge, fmt.Sprintf("%d bytes are held, %d more wanted: the limit is %d", g.held, size, g.c.MaxMemory)
	}
	b, ok := g.mem.Read(address, size)
	if !ok {
		return bad("%d bytes at %d are outside of the memory", size, address)
	}
	model, err := runtime.FromBytes(slices.Clone(b)) // the guest may write to its memory while the model is in use
	if err != nil {
		return InvalidEncoding, err.Error()
	}
	h, ok := g.handle(out)
	if !ok {
		model.Close()
		return bad("result at %d is outside of the memory", out)
	}
	g.graphs[h] = &graph{model, true}
	g.held += int64(size)
	return Success, ""
}

func (g *guest) ownGraphs() (n int) {
	for _, gr := range g.graphs {
		if gr.own {
			n++
		}
	}
	return n
}

// load_by_name(name, size, out)
func (g *guest) loadByName(_ context.Context, a []uint32) (Errno, string) {
	name, ok := g.mem.Read(a[0], a[1])
	if !ok {
		return bad("name of %d bytes at %d is outside of the memory", a[1], a[0])
	}
	model := g.c.Models[string(name)]
	if model == nil {
		return NotFound, fmt.Sprintf("there is no model %.80q", name)
	}
	for h, gr := range g.graphs { // once for each model, so that asking again and again costs nothing
		if gr.model == model {
			if !g.mem.WriteUint32Le(a[2], h) {
				return bad("result at %d is outside of the memory", a[2])
			}
			return Success, ""
		}
	}
	h, ok := g.handle(a[2])
	if !ok {
		return bad("result at %d is outside of the memory", a[2])
	}
	g.graphs[h] = &graph{model, false}
	return Success, ""
}

// init_execution_context(graph, out)
func (g *guest) initContext(_ context.Context, a []uint32) (Errno, string) {
	gr := g.graphs[a[0]]
	if gr == nil {
		return bad("there is no graph %d", a[0])
	}
	if len(g.contexts) >= g.c.MaxContexts {
		return TooLarge, fmt.Sprintf("%d contexts are open already: the limit", len(g.contexts))
	}
	options := runtime.Options{Threads: g.c.Threads}
	need := gr.model.SessionMemory(options)
	if g.held+need > g.c.MaxMemory {
		return TooLarge, fmt.Sprintf("%d bytes are held, a context takes %d: the limit is %d", g.held, need, g.c.MaxMemory)
	}
	s, err := gr.model.NewSession(options)
	if err != nil {
		return RuntimeError, err.Error()
	}
	h, ok := g.handle(a[1])
	if !ok {
		s.Close()
		return bad("result at %d is outside of the memory", a[1])
	}
	g.contexts[h] = &execution{model: gr.model, session: s}
	g.held += need
	return Success, ""
}

// set_input(context, index, tensor): tensor is dimensions (address, count), type, data (address, size); 20 bytes.
func (g *guest) setInput(_ context.Context, a []uint32) (Errno, string) {
	e := g.contexts[a[0]]
	if e == nil {
		return bad("there is no context %d", a[0])
	}
	if a[1] != 0 {
		return bad("there is no input %d", a[1])
	}
	t, ok := g.mem.Read(a[2], 20)
	if !ok {
		return bad("tensor at %d is outside of the memory", a[2])
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(t[at:]) }
	if word(4) > 4 {
		return bad("a tensor of %d dimensions: 3 or 4", word(4))
	}
	raw, ok := g.mem.Read(word(0), 4*word(4))
	if !ok {
		return bad("dimensions at %d are outside of the memory", word(0))
	}
	var dims []uint32
	for i := 0; i < len(raw); i += 4 {
		dims = append(dims, binary.LittleEndian.Uint32(raw[i:]))
	}
	data, ok := g.mem.Read(word(12), word(16))
	if !ok {
		return bad("data of %d bytes at %d are outside of the memory", word(16), word(12))
	}
	e.set, e.done = false, false
	pre := &e.model.Format().Pre
	w, h := uint32(pre.Width), uint32(pre.Height)
	if len(dims) == 4 && dims[0] == 1 {
		dims = dims[1:]
	}
	var err error
	switch kind := t[8]; {
	case kind == tensorU8 && slices.Equal(dims, []uint32{h, w, 3}):
		err = e.session.SetImage(0, data)
	case kind == tensorF32 && slices.Equal(dims, []uint32{3, h, w}) && len(data) == int(12*w*h):
		x := make([]float32, len(data)/4)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		err = e.session.SetFloat(0, x)
	default:
		return bad("a tensor of type %d, dimensions %v and %d bytes: the model takes u8 (%d,%d,3) or f32 (3,%d,%d)", kind, dims, len(data), h, w, h, w)
	}
	if err != nil {
		return bad("%v", err)
	}
	e.set = true
	return Success, ""
}

// compute(context)
func (g *guest) compute(ctx context.Context, a []uint32) (Errno, string) {
	e := g.contexts[a[0]]
	if e == nil {
		return bad("there is no context %d", a[0])
	}
	if !e.set {
		return bad("the context has no input")
	}
	e.done = false
	if err := e.session.Run(ctx); err != nil {
		return RuntimeError, err.Error()
	}
	e.done = true
	return Success, ""
}

// get_output(context, index, buffer, size, written)
func (g *guest) getOutput(_ context.Context, a []uint32) (Errno, string) {
	e := g.contexts[a[0]]
	if e == nil {
		return bad("there is no context %d", a[0])
	}
	if !e.done {
		return RuntimeError, "nothing is computed yet"
	}
	outs := e.session.Outputs()
	if a[1] >= uint32(len(outs)) {
		return bad("there is no output %d", a[1])
	}
	n := 1
	for _, d := range outs[a[1]].Shape {
		n *= d
	}
	if !g.mem.WriteUint32Le(a[4], uint32(4*n)) {
		return bad("result at %d is outside of the memory", a[4])
	}
	if int64(4*n) > int64(a[3]) {
		return TooLarge, fmt.Sprintf("output %d has %d bytes, the buffer %d", a[1], 4*n, a[3])
	}
	dst, ok := g.mem.Read(a[2], uint32(4*n))
	if !ok {
		return bad("buffer of %d bytes at %d is outside of the memory", 4*n, a[2])
	}
	e.out = slices.Grow(e.out[:0], n)[:n]
	if err := e.session.OutputFloat(0, int(a[1]), e.out); err != nil {
		return RuntimeError, err.Error()
	}
	for i, v := range e.out {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
	return Success, ""
}
