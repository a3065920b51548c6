package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"time"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Limits of a session, so that a wrong number or a hostile file, however small, cannot exhaust the machine.
const (
	MaxBatch   = 1 << 16
	MaxThreads = 256
	MaxMemory  = 2 << 30 // bytes of arena, inputs, outputs and scratch together
)

// Options says how a session runs. The zero value is one image at a time on one thread.
type Options struct {
	Threads int // worker threads, the caller included; 0 is 1. Results do not depend on it.
	Batch   int // images per run; 0 is 1
	// Timings makes the session measure every step; see Session.StepTimes.
	Timings bool
	// Observe is called with every float32 activation of the file after the operator that makes it has run, and with the
	// input: elements in NHWC order, valid during the call. Nothing is fused then. For calibration.
	Observe func(image, tensor int, data []float32)
	// Attention is called after each OpRFGA has run, with what it paid attention to, valid during the call. For pictures.
	Attention func(image int, a *Attention)
	// ObserveRaw is called likewise with every activation, of whatever type, as it lies in memory: float32, int16 and wider as
	// the machine has them, int8 as q+128. What it changes is what later operators read. For measuring quantization.
	ObserveRaw func(image, tensor int, data []byte)
}

func (o *Options) observes() bool { return o.Observe != nil || o.ObserveRaw != nil }

// Session holds the memory of one run of a model: arena, inputs and outputs. It is not safe for concurrent use; make one
// per goroutine, they share the model. A run allocates nothing.
type Session struct {
	m     *Model
	plan  *plan
	opts  Options
	arena []byte
	// images[n][t] is external tensor t of image n; nil for tensors in the arena.
	images [][][]byte
	steps  []binding
	pool   *pool
	bound  int // the image that the bindings point at
	times  []time.Duration
	input  inputTables
	acc    []int32 // scratch of ClassMap
	acc64  []int64 // likewise, for a head of int16
}

// Attention is the three views' sigmoids of an OpRFGA, each 0..1, or 0 where the operator leaves a view out. Their sum over a
// position and channel is the attention M.
type Attention struct {
	Op       string // its name
	H, W, C  int
	A, B     float32   // out = x*(A + B*M)
	Channels []float32 // C
	Rows     []float32 // H x C
	Columns  []float32 // W x C
}

// binding is a step's IO with where each of its slices comes from.
type binding struct {
	io       kernels.IO
	in, out  []int
	hasOuter bool
}

// NewSession allocates everything a run needs. Close stops its threads; a session that becomes unreachable stops them too.
func (m *Model) NewSession(o Options) (*Session, error) {
	o.Threads, o.Batch = max(o.Threads, 1), max(o.Batch, 1)
	if o.Threads > MaxThreads || o.Batch > MaxBatch {
		return nil, fmt.Errorf("a session of %d threads and batch %d: at most %d and %d", o.Threads, o.Batch, MaxThreads, MaxBatch)
	}
	p := m.plan
	if o.observes() {
		var err error
		if p, err = m.unfused(); err != nil {
			return nil, err
		}
	}
	if need := p.memory(o); need > MaxMemory {
		return nil, fmt.Errorf("a session of batch %d and %d threads needs %d MiB for this model's activations: the limit is %d", o.Batch, o.Threads, need>>20, MaxMemory>>20)
	}
	s := &Session{m: m, plan: p, opts: o, arena: kernels.Memory(p.arena.Size), bound: -1}
	s.input.init(m.fm)
	for range o.Batch {
		img := make([][]byte, len(p.buffers))
		for t, b := range p.buffers {
			if b.external {
				img[t] = kernels.Memory(b.size)
			}
		}
		s.images = append(s.images, img)
	}
	for _, st := range p.steps {
		b := binding{in: st.in, out: st.out}
		b.io.In, b.io.Out = make([][]byte, len(st.in)), make([][]byte, len(st.out))
		for _, t := range st.inner {
			b.io.Inner = append(b.io.Inner, s.inArena(t))
		}
		for i, t := range st.in {
			b.bind(s, b.io.In, i, t)
		}
		for i, t := range st.out {
			b.bind(s, b.io.Out, i, t)
		}
		s.steps = append(s.steps, b)
	}
	if o.Timings {
		s.times = make([]time.Duration, len(p.steps))
	}
	s.pool = newPool(o.Threads, p.scratch)
	goruntime.AddCleanup(s, (*pool).close, s.pool)
	return s, nil
}

// Close stops the session's threads.
func (s *Session) Close() { s.pool.close() }

func (s *Session) inArena(t int) []byte {
	b := s.plan.buffers[t]
	return s.arena[b.offset : b.offset+b.size]
}

func (b *binding) bind(s *Session, list [][]byte, i, t int) {
	if x := s.plan.operands[t]; x != nil {
		list[i] = x
		return
	}
	if s.plan.buffers[t].external {
		b.hasOuter = true
		return
	}
	list[i] = s.inArena(t)
}

// selectImage points the bindings at image n of the batch.
func (s *Session) selectImage(n int) {
	if s.bound == n {
		return
	}
	for i := range s.steps {
		b := &s.steps[i]
		if !b.hasOuter {
			continue
		}
		for j, t := range b.in {
			if x := s.images[n][t]; x != nil {
				b.io.In[j] = x
			}
		}
		for j, t := range b.out {
			if x := s.images[n][t]; x != nil {
				b.io.Out[j] = x
			}
		}
	}
	s.bound = n
}

// Run computes every output for every image of the batch. It stops between two operators when ctx is done, and returns its
// error; the outputs are then undefined.
func (s *Session) Run(ctx context.Context) error { return s.run(ctx, false) }

// RunHead computes what the class activation head's logits need and no class maps: Logits and ClassMap are valid after it.
// They are the same bits as after Run.
func (s *Session) RunHead(ctx context.Context) error {
	if s.plan.head < 0 {
		return ErrNoHead
	}
	return s.run(ctx, true)
}

func (s *Session) run(ctx context.Context, headOnly bool) error {
	for n := range s.images {
		s.selectImage(n)
		if s.opts.observes() {
			s.observe(n, s.plan.fm.Input)
		}
		for i, st := range s.plan.steps {
			if err := ctx.Err(); err != nil {
				return err
			}
			prep := st.prep
			if headOnly {
				if !s.plan.toLogits[i] {
					continue
				}
				if i == s.plan.head {
					prep = st.logits
				}
			}
			var begin time.Time
			if s.times != nil {
				begin = time.Now()
			}
			for j := range prep.Stages {
				s.pool.run(&prep.Stages[j], &s.steps[i].io)
			}
			if s.times != nil {
				s.times[i] = time.Since(begin)
			}
			if s.opts.observes() {
				for _, t := range st.out {
					s.observe(n, t)
				}
			}
			if s.opts.Attention != nil && prep.Attention != nil {
				s.attention(n, i)
			}
		}
	}
	return nil
}

func (s *Session) observe(n, t int) {
	if s.opts.ObserveRaw != nil {
		s.opts.ObserveRaw(n, t, s.tensor(n, t))
	}
	if s.opts.Observe != nil && s.plan.fm.Tensors[t].DType == format.F32 {
		s.opts.Observe(n, t, view[float32](s.tensor(n, t)))
	}
}

// attention reports what step i has just paid attention to in image n.
func (s *Session) attention(n, i int) {
	st := s.plan.steps[i]
	x := s.plan.fm.Tensors[st.op.Inputs[0]].Shape
	a := &Attention{Op: st.op.Name, H: x[1], W: x[2], C: x[3], A: st.op.Attr.A, B: st.op.Attr.B}
	a.Channels, a.Rows, a.Columns = make([]float32, a.C), make([]float32, a.H*a.C), make([]float32, a.W*a.C)
	st.prep.Attention(&s.steps[i].io, a.Channels, a.Rows, a.Columns)
	s.opts.Attention(n, a)
}

// tensor returns the memory of an activation: in the arena it holds the value only until a later step reuses the place.
func (s *Session) tensor(n, t int) []byte {
	if x := s.images[n][t]; x != nil {
		return x
	}
	return s.inArena(t)
}

// StepTimes returns how long each step of Model.Steps took for the last image, if Options.Timings was set.
func (s *Session) StepTimes() []time.Duration { return s.times }

// memory is what a session of these options allocates, in bytes. It is computed in 64 bits: tensors are bounded one by one,
// not their sum.
func (p *plan) memory(o Options) int64 {
	external := int64(0)
	for _, b := range p.buffers {
		if b.external {
			external += int64(roundUp(b.size))
		}
	}
	return int64(p.arena.Size) + external*int64(o.Batch) + int64(p.scratch)*int64(o.Threads)
}

// SessionMemory is how many bytes a session of these options would allocate: its arena, inputs, outputs and scratch.
func (m *Model) SessionMemory(o Options) int64 {
	o.Threads, o.Batch = max(o.Threads, 1), max(o.Batch, 1)
	return m.plan.memory(o)
}

// Memory reports the bytes a session holds: its arena, inputs and outputs of all images, and the threads' scratch.
func (s *Session) Memory() (arena, io, scratch int) {
	arena, scratch = s.plan.arena.Size, s.plan.scratch*s.opts.Threads
	return arena, int(s.plan.memory(s.opts)) - arena - scratch, scratch
}
