package runtime

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/rfga-edge/rfga-edge/kernels"
)

const (
	// spins is how often an idle worker looks for work before it parks: some tens of microseconds, longer than the gap
	// between two operators and shorter than anyone would notice in a power meter.
	spins = 20000
	// pieces is into how many parts each thread's share of a stage is cut.
	pieces = 4
)

// pool runs stages on a fixed number of threads, the caller being one of them. A stage's units are cut into shares, one per
// thread, and these into pieces. A thread does the pieces of its own share in order, so that it meets the data which its
// core has in cache from the operator before; one that has finished takes pieces from the end of others' shares. So nobody waits
// for a thread that the system does not run, beyond the piece it holds. Nothing is allocated or queued per operator.
type pool struct {
	scratch [][]byte // by thread
	shares  []share  // by thread
	workers []worker
	spins   int
	epoch   atomic.Uint32 // counts jobs; a worker runs when it moves
	left    atomic.Int32  // pieces of the job that are not finished
	count   atomic.Int32  // pieces of the job
	stage   atomic.Pointer[kernels.Stage]
	io      atomic.Pointer[kernels.IO]
	closed  atomic.Bool
	once    sync.Once
}

// A share is the pieces lo..hi-1 that nobody has taken yet, and the job they belong to, in one word: job<<32 | hi<<16 | lo. A
// worker that comes late, with a job in mind that others have finished, finds no piece of it; one that does find a piece
// knows that the job, its stage and its memory are the ones it looked up before.
type share struct {
	word atomic.Uint64
	_    [56]byte // keeps neighbours off one cache line
}

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
	_      [40]byte // likewise
}

func newPool(threads, scratch int) *pool {
	p := &pool{workers: make([]worker, threads-1), shares: make([]share, threads), spins: spins}
	if float64(threads) > processors() {
		p.spins = 0 // whoever spins takes the time of somebody who works
	}
	for range threads {
		p.scratch = append(p.scratch, kernels.Memory(scratch))
	}
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		go p.work(i)
	}
	return p
}

func (p *pool) close() {
	p.once.Do(func() {
		p.closed.Store(true)
		p.publish()
	})
}

// publish makes the job visible and wakes the workers that sleep.
func (p *pool) publish() {
	p.epoch.Add(1)
	for i := range p.workers {
		if w := &p.workers[i]; w.parked.Load() && w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// run does all units of the stage and returns when they are done.
func (p *pool) run(st *kernels.Stage, io *kernels.IO) {
	threads := len(p.shares)
	if threads == 1 || st.Units == 1 {
		st.Run(io, 0, st.Units, p.scratch[0])
		return
	}
	// Whole shares of equal pieces, of at least Grain units where the stage has so many.
	n := min(max(st.Units/max(st.Grain, 1)/threads, 1), pieces) * threads
	p.stage.Store(st)
	p.io.Store(io)
	p.count.Store(int32(n))
	p.left.Store(int32(n))
	job := p.epoch.Load() + 1
	for i := range p.shares {
		p.shares[i].word.Store(uint64(job)<<32 | uint64(n/threads*(i+1))<<16 | uint64(n/threads*i))
	}
	p.publish()
	p.help(0, job)
	for i := 0; p.left.Load() > 0; i++ {
		relax(i)
	}
}

// help does pieces of the job until none is left to take: first the thread's own, then others'.
func (p *pool) help(thread int, job uint32) {
	st, io, n := p.stage.Load(), p.io.Load(), int(p.count.Load())
	for i := range p.shares {
		from := (thread + i) % len(p.shares)
		for {
			piece, ok := p.shares[from].take(job, i == 0)
			if !ok {
				break
			}
			if lo, hi := st.Units*piece/n, st.Units*(piece+1)/n; lo < hi {
				st.Run(io, lo, hi, p.scratch[thread])
			}
			p.left.Add(-1)
		}
	}
}

// take takes a piece of the job: the first, or what is another's from the end.
func (s *share) take(job uint32, first bool) (piece int, ok bool) {
	for {
		word := s.word.Load()
		lo, hi := int(word&0xFFFF), int(word>>16&0xFFFF)
		if uint32(word>>32) != job || lo >= hi {
			return 0, false
		}
		next := word + 1
		piece = lo
		if !first {
			next, piece = word-1<<16, hi-1
		}
		if s.word.CompareAndSwap(word, next) {
			return piece, true
		}
	}
}

func (p *pool) work(i int) {
	w := &p.workers[i]
	seen := uint32(0)
	for {
		for n := 0; p.epoch.Load() == seen; n++ {
			if n < p.spins {
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
		seen = p.epoch.Load()
		if p.closed.Load() {
			return
		}
		p.help(i+1, seen)
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
