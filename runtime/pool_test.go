package runtime

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// Every unit is done once, whatever the number of threads, also when workers have parked in between.
func TestPoolDoesEveryUnitOnce(t *testing.T) {
	for threads := 1; threads <= 5; threads++ {
		p := newPool(threads, 64)
		for round := range 300 {
			units := 1 + round%17
			done := make([]atomic.Int32, units)
			st := kernels.Stage{Units: units, Run: func(_ *kernels.IO, lo, hi int, tmp []byte) {
				if len(tmp) < 64 {
					t.Errorf("scratch of %d bytes", len(tmp))
				}
				for i := lo; i < hi; i++ {
					done[i].Add(1)
				}
			}}
			if round%100 == 99 {
				for i := range p.workers { // let them park: a job must wake them
					for n := 0; !p.workers[i].parked.Load(); n++ {
						relax(n)
					}
				}
			}
			p.run(&st, nil)
			for i := range done {
				if n := done[i].Load(); n != 1 {
					t.Fatalf("%d threads, round %d: unit %d of %d done %d times", threads, round, i, units, n)
				}
			}
		}
		p.close()
		p.close()
	}
}

// A thread that is stuck in one piece of its share does not keep the others from the rest.
func TestPoolTakesFromOthers(t *testing.T) {
	const threads, units = 3, 2 * 3 * pieces
	p := newPool(threads, 64)
	defer p.close()
	for range 20 {
		var rest sync.WaitGroup // what is not in the piece that gets stuck
		rest.Add(units - 2)
		all := make(chan struct{})
		go func() { rest.Wait(); close(all) }()
		p.run(&kernels.Stage{Units: units, Run: func(_ *kernels.IO, lo, hi int, _ []byte) {
			if lo != units/threads { // the first of the second thread's share
				rest.Add(lo - hi)
				return
			}
			select {
			case <-all:
			case <-time.After(time.Minute):
				t.Error("nobody did the rest of the share")
			}
		}}, nil)
	}
}

// Stages of few units, and such whose calls should be long, are done all the same.
func TestPoolGrain(t *testing.T) {
	p := newPool(2, 64)
	defer p.close()
	for _, c := range []struct{ units, grain, calls int }{{80, 0, 8}, {80, 10, 8}, {80, 11, 6}, {80, 40, 2}, {80, 100, 2}, {3, 1, 2}} {
		var calls, units atomic.Int32
		p.run(&kernels.Stage{Units: c.units, Grain: c.grain, Run: func(_ *kernels.IO, lo, hi int, _ []byte) {
			calls.Add(1)
			units.Add(int32(hi - lo))
		}}, nil)
		if int(calls.Load()) != c.calls || int(units.Load()) != c.units {
			t.Errorf("%d units of grain %d: %d done in %d calls, want %d", c.units, c.grain, units.Load(), calls.Load(), c.calls)
		}
	}
}
