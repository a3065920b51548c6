package runtime

import (
	"sync/atomic"
	"testing"

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
