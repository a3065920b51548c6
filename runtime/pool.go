package runtime

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// spins is how often an idle worker looks for work before it parks: some tens of microseconds, longer than the gap
// between two operators and shorter than anyone would notice in a power meter.
const spins = 20000

// pool runs stages on a fixed number of threads, the caller being one of them. A stage's units are cut into static slices,
// one per thread, so that nothing is allocated, queued or negotiated per operator.
type pool struct {
	scratch [][]byte // by thread
	workers []worker
	epoch   atomic.Uint32 // counts jobs; a worker runs when it moves
	pending atomic.Int32  // workers that have not finished the job
	stage   *kernels.Stage
	io      *kernels.IO
	closed  bool
	once    sync.Once
}

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
	_      [40]byte // keeps neighbours off one cache line
}

func newPool(threads, scratch int) *pool {
	p := &pool{workers: make([]worker, threads-1)}
	for range threads {
		p.scratch = append(p.scratch, alignedBytes(scratch))
	}
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		go p.work(i)
	}
	return p
}

func (p *pool) close() {
	p.once.Do(func() {
		p.closed = true
		p.publish()
	})
}

// publish makes the job visible and wakes the workers that sleep.
func (p *pool) publish() {
	p.pending.Store(int32(len(p.workers)))
	p.epoch.Add(1)
	for i := range p.workers {
		if w := &p.workers[i]; w.parked.Load() && w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// run does all units of the stage and returns when they are done.
func (p *pool) run(st *kernels.Stage, io *kernels.IO) {
	if len(p.workers) == 0 || st.Units == 1 {
		st.Run(io, 0, st.Units, p.scratch[0])
		return
	}
	p.stage, p.io = st, io
	p.publish()
	p.slice(0)
	for n := 0; p.pending.Load() > 0; n++ {
		relax(n)
	}
}

func (p *pool) slice(thread int) {
	n := len(p.workers) + 1
	lo, hi := p.stage.Units*thread/n, p.stage.Units*(thread+1)/n
	if lo < hi {
		p.stage.Run(p.io, lo, hi, p.scratch[thread])
	}
}

func (p *pool) work(i int) {
	w := &p.workers[i]
	seen := uint32(0)
	for {
		for n := 0; p.epoch.Load() == seen; n++ {
			if n < spins {
				relax(n)
				continue
			}
			w.parked.Store(true)
			// A job published before the flag was set would never wake this worker: look again.
			if p.epoch.Load() != seen && w.parked.CompareAndSwap(true, false) {
				break
			}
			<-w.wake
		}
		seen++
		if p.closed {
			return
		}
		p.slice(i + 1)
		p.pending.Add(-1)
	}
}

// relax passes the time of one look at a shared word, and now and then lets another goroutine have the processor: with
// fewer processors than threads, the work waited for may not be running.
func relax(n int) {
	if n&255 == 255 {
		runtime.Gosched()
		return
	}
	for i := 0; i < 16; i++ {
	}
}
