package main

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/wsol"
	"github.com/rfga-edge/rfga-edge/rfga"
)

// run evaluates every image under every protocol: workers with a session each take the next image, count on their own, and
// are added up. Counts are integers, so the order does not matter. spool, if any, gets every image's curves.
func (ev *evaluation) run(spool *spool) ([]*rfga.Tally, error) {
	ctx, stop := context.WithCancelCause(ev.ctx)
	defer stop(nil)
	step, end := progress(ev.err, "evaluating")
	var (
		next, done atomic.Int64
		mu         sync.Mutex
		group      sync.WaitGroup
		total      = ev.tallies()
	)
	for range min(ev.cmd.Threads, ev.set.Len()) {
		group.Go(func() {
			w, err := ev.newWorker(spool)
			if err != nil {
				stop(err)
				return
			}
			defer w.maps.close()
			for i := int(next.Add(1)) - 1; i < ev.set.Len() && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := w.image(ctx, i); err != nil {
					stop(err)
					return
				}
				mu.Lock()
				step(int(done.Add(1)), ev.set.Len())
				mu.Unlock()
			}
			mu.Lock()
			defer mu.Unlock()
			for p := range total {
				total[p].Add(w.tallies[p])
			}
		})
	}
	group.Wait()
	end()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return total, nil
}

func (ev *evaluation) tallies() []*rfga.Tally {
	t := make([]*rfga.Tally, len(ev.protocols))
	for p := range t {
		t[p] = rfga.NewTally(ev.thresholds)
	}
	return t
}

// evalWorker measures one image at a time.
type evalWorker struct {
	ev      *evaluation
	maps    mapMaker
	scorer  *rfga.Scorer
	tallies []*rfga.Tally
	spool   *spool
	m       classMap
}

func (ev *evaluation) newWorker(spool *spool) (*evalWorker, error) {
	maps, err := ev.newMapMaker()
	if err != nil {
		return nil, err
	}
	return &evalWorker{ev: ev, maps: maps, scorer: rfga.NewScorer(ev.protocols, ev.thresholds), tallies: ev.tallies(), spool: spool}, nil
}

func (w *evalWorker) image(ctx context.Context, i int) error {
	item, err := w.ev.set.Item(i)
	if err != nil {
		return badInput(err)
	}
	truth := rfga.Truth{Boxes: item.Boxes}
	if truth.Mask, err = w.ev.set.Mask(item); err != nil {
		return badInput(err)
	}
	if err := w.maps.make(ctx, item, &w.m); err != nil {
		return err
	}
	if dir := w.ev.cmd.Maps; dir != "" {
		if err := w.m.write(dir, item.ID); err != nil {
			return err
		}
	}
	for _, t := range w.tallies {
		t.Name(w.m.naming)
	}
	row := w.spool.begin(&w.m)
	w.scorer.Score(w.m.pix, w.m.w, w.m.h, truth,
		func(p int, curve []float64) {
			w.tallies[p].Boxes(curve, w.m.naming)
			row.curve(p, curve)
		},
		func(p int, heat []float64) { w.tallies[p].Mask(heat, truth.Mask) })
	return badIO(w.spool.put(i, row))
}

// newMapMaker returns what makes the maps, for one goroutine.
func (ev *evaluation) newMapMaker() (mapMaker, error) {
	if ev.model == nil {
		return &npyMaps{dir: ev.cmd.Npy}, nil
	}
	return newModelMaps(ev.model, ev.cmd.Images, ev.answers)
}

// mapMaker makes the class map of an image.
type mapMaker interface {
	make(ctx context.Context, item *wsol.Item, m *classMap) error
	close()
}

// classMap is the map of an image and what its maker thinks the image shows. Its memory is used again.
type classMap struct {
	pix       []float64
	w, h      int
	naming    rfga.Naming
	class     int     // whose map it is; wsol.NoClass if that is unknown
	predicted int     // the most probable class
	p         float32 // and its probability
}
