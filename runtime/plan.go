package runtime

import (
	"cmp"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// A step is one prepared operator of the plan together with what was fused into it.
type step struct {
	op    format.Op // a copy: fusion changes its attributes
	fused []string
	in    []int // tensors bound to IO.In: activations only
	out   []int // tensors bound to IO.Out
	inner []int // buffers bound to IO.Inner
	prep  *kernels.Prepared

	// Filled in by fusion, read by prepare.
	residual *format.Op // the addition done in the epilogue
	padOp    *format.Op // the explicit padding in front

	logits  *kernels.Prepared // for the head: the form that makes no maps
	headI8  *kernels.HeadI8   // likewise: its description
	headF32 *kernels.HeadF32
	headI16 *kernels.HeadI16
	dead    bool
}

// buffer is a piece of memory with a lifetime in steps: a tensor of the file or an operator's inner buffer.
type buffer struct {
	size        int
	first, last int // steps
	external    bool
	offset      int // in the arena, unless external
}

// plan is what the executor runs. It is read-only once made.
type plan struct {
	fm       *format.Model
	halfMath bool // of convolutions
	steps    []*step
	buffers  []buffer // the file's tensors by index, then inner buffers
	arena    ArenaStats
	scratch  int // bytes per worker
	head     int // index in steps of the class activation head, -1 without
	// toLogits[i] tells whether step i is needed for the head's logits (without its maps).
	toLogits []bool
	headI8   *kernels.HeadI8
	headF32  *kernels.HeadF32
	headI16  *kernels.HeadI16
	// operands are the constants that steps read in the place of an activation, as activations are stored.
	operands map[int][]byte
}

func newPlan(fm *format.Model, fuse bool, o LoadOptions) (*plan, error) {
	half := o.HalfMath && slices.ContainsFunc(fm.Tensors, func(t format.Tensor) bool { return t.DType == format.F16 })
	p := &plan{fm: fm, halfMath: half, head: -1}
	for i := range fm.Ops {
		op := fm.Ops[i]
		op.Inputs = slices.Clone(op.Inputs)
		op.Outputs = slices.Clone(op.Outputs)
		p.steps = append(p.steps, &step{op: op})
	}
	if fuse {
		p.fuse()
	}
	if err := p.prepareAll(); err != nil {
		return nil, err
	}
	for i, s := range p.steps {
		if s.op.Kind == format.OpCAMHead { // of several, the last: it is the one that classifies
			p.head, p.headI8, p.headF32, p.headI16 = i, s.headI8, s.headF32, s.headI16
		}
	}
	p.findOperands()
	p.findLogits()
	p.layout()
	return p, nil
}

func (p *plan) findOperands() {
	p.operands = make(map[int][]byte)
	for _, s := range p.steps {
		for _, t := range s.in {
			if p.fm.Tensors[t].Data != nil && p.operands[t] == nil {
				p.operands[t] = operandOf(&p.fm.Tensors[t])
			}
		}
	}
}

// prepareAll prepares every step. Proving and packing weights is most of a cold start, so all processors share it, the steps
// with the most weights first.
func (p *plan) prepareAll() error {
	weights := make([]int, len(p.steps))
	order := make([]int, len(p.steps))
	for i, s := range p.steps {
		order[i] = i
		for _, t := range s.op.Inputs {
			if t >= 0 {
				weights[i] += len(p.fm.Tensors[t].Data)
			}
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(weights[j], weights[i]) })
	errs := make([]error, len(p.steps))
	var next atomic.Int32
	var wg sync.WaitGroup
	for range min(goruntime.GOMAXPROCS(0), len(p.steps)) {
		wg.Go(func() {
			for n := int(next.Add(1)); n <= len(order); n = int(next.Add(1)) {
				i := order[n-1]
				errs[i] = p.prepare(p.steps[i])
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if op := &p.steps[i].op; err != nil {
			return fmt.Errorf("operator %d %s %q: %w", i, op.Kind, op.Name, err)
		}
	}
	return nil
}

// activations returns those of the listed tensors that are not constants or absent.
func (p *plan) activations(list []int) []int {
	var out []int
	for _, t := range list {
		if t >= 0 && p.fm.Tensors[t].Data == nil {
			out = append(out, t)
		}
	}
	return out
}

// uses counts how often each tensor is read, an output of the graph counting as a read.
func (p *plan) uses() []int {
	n := make([]int, len(p.fm.Tensors))
	for _, s := range p.steps {
		for _, t := range s.op.Inputs {
			if t >= 0 {
				n[t]++
			}
		}
	}
	for _, o := range p.fm.Outputs {
		n[o.Tensor]++
	}
	return n
}

// findLogits marks the steps that the head's logits depend on.
func (p *plan) findLogits() {
	p.toLogits = make([]bool, len(p.steps))
	if p.head < 0 {
		return
	}
	need := make(map[int]bool)
	p.toLogits[p.head] = true
	need[p.steps[p.head].in[0]] = true
	for i := p.head - 1; i >= 0; i-- {
		s := p.steps[i]
		if !slices.ContainsFunc(s.out, func(t int) bool { return need[t] }) {
			continue
		}
		p.toLogits[i] = true
		for _, t := range s.in {
			need[t] = true
		}
	}
}

// elementSize is the size in memory of one element of an activation.
func elementSize(d format.DType) int {
	switch d {
	case format.I8:
		return 1
	case format.I16, format.F16:
		return 2
	case format.I64:
		return 8
	}
	return 4
}

func (p *plan) bytes(t int) int {
	return p.fm.Tensors[t].Elements() * elementSize(p.fm.Tensors[t].DType)
}

// layout gives every buffer its lifetime and its place in the arena. The graph's input and outputs and the head's input
// live outside: they belong to an image of the batch and must survive the run.
func (p *plan) layout() {
	p.buffers = make([]buffer, len(p.fm.Tensors))
	for t := range p.buffers {
		p.buffers[t] = buffer{first: -1}
	}
	touch := func(t, i int) {
		if p.operands[t] != nil {
			return
		}
		b := &p.buffers[t]
		if b.first < 0 {
			b.first, b.size = i, p.bytes(t)
		}
		b.last = i
	}
	for i, s := range p.steps {
		for _, t := range s.in {
			touch(t, i)
		}
		for _, t := range s.out {
			touch(t, i)
		}
		for _, n := range s.prep.Inner {
			s.inner = append(s.inner, len(p.buffers))
			p.buffers = append(p.buffers, buffer{size: n, first: i, last: i})
		}
		for _, q := range []*kernels.Prepared{s.prep, s.logits} {
			if q != nil {
				for _, st := range q.Stages {
					p.scratch = max(p.scratch, st.Scratch)
				}
			}
		}
	}
	touch(p.fm.Input, 0)
	p.buffers[p.fm.Input].external = true
	for _, o := range p.fm.Outputs {
		p.buffers[o.Tensor].external = true
	}
	if p.head >= 0 {
		h := p.steps[p.head]
		p.buffers[h.in[0]].external = true
		p.buffers[h.out[0]].external = true
	}
	p.arena = place(p.buffers)
}
