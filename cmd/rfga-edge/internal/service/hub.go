package service

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
)

// Source is an input with the name that clients call it by.
type Source struct {
	Name string
	Open func(context.Context) (stream.Source, error) // again after its end, unless it was a file
	Pump stream.PumpOptions
	// Watch is what to look for in it; nil: what the server's options say. Its heat map is kept in any case.
	Watch *rfgaedge.LocalizeOptions
	// Tracker makes what steadies its boxes; nil: they are shown as they are found.
	Tracker func() *rfgaedge.Tracker
	// FPS, if not nil, bounds the rate of frames to look at, given the limit of Pump (0: none) and how long one takes.
	FPS func(limit float64, perFrame time.Duration) float64
}

// hub keeps the sources going.
type hub struct {
	pool  *rfgaedge.Pool
	feeds []*feed // in the order of the command line
	o     *Options
	stop  context.CancelFunc
	ended sync.WaitGroup
}

func newHub(o *Options) (*hub, error) {
	h := &hub{o: o, stop: func() {}}
	if len(o.Sources) == 0 {
		return h, nil
	}
	watch := o.Watch
	watch.Heat = true
	var err error
	if h.pool, err = o.Model.NewPool(min(o.Sessions, len(o.Sources)), rfgaedge.Threads(o.Threads), rfgaedge.Localizing(watch), rfgaedge.Resizing(o.Filter)); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	for _, s := range o.Sources {
		f := &feed{source: s, hub: h, state: waiting, parts: map[part][]byte{}, renewed: make(chan struct{})}
		h.feeds = append(h.feeds, f)
		h.ended.Go(func() { f.run(ctx) })
	}
	return h, nil
}

func (h *hub) close() {
	h.stop()
	h.ended.Wait()
	if h.pool != nil {
		h.pool.Close()
	}
}

// find gives the feed of a name, nil if there is none.
func (h *hub) find(name string) *feed {
	if i := slices.IndexFunc(h.feeds, func(f *feed) bool { return f.source.Name == name }); i >= 0 {
		return h.feeds[i]
	}
	return nil
}

// state is what a source is doing.
type state string

const (
	waiting state = "waiting" // for the other end, or to try again
	running state = "running"
	ended   state = "ended"  // a file, at its end
	failed  state = "failed" // in a way that trying again does not mend
)

// feed is a source at work. It holds the newest answer and the frame that it is about, and nothing older.
type feed struct {
	source Source
	hub    *hub

	mu       sync.Mutex
	state    state
	trouble  string           // why it waits or failed
	version  uint64           // of what follows; 0: nothing yet
	line     []byte           // the newest answer as JSON, an error maybe. It is replaced, not changed
	newest   *rfgaedge.Answer // the newest that has a frame
	frames   uint64           // how many there were; 0: newest is nil
	paired   bool             // line is of newest
	parts    map[part][]byte  // made from newest for those who watch; likewise
	rgb      []byte
	renewed  chan struct{} // closed when the version or the state changes
	camera   *rfgaedge.Camera
	past     rfgaedge.CameraStats // of the openings before
	openings uint64
	watchers int
}

const (
	firstPause = time.Second // before a source that failed is tried again
	lastPause  = 30 * time.Second
)

// run opens the source again and again.
func (f *feed) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		src, err := f.source.Open(ctx)
		live := true
		if err == nil {
			live = src.Live()
			begin := time.Now()
			err = f.watch(ctx, src)
			if time.Since(begin) > lastPause {
				pause = firstPause
			}
		}
		var misuse *stream.UsageError
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &misuse):
			f.change(failed, err)
			f.hub.o.Log.Error("source failed", "source", f.source.Name, "error", err)
			return
		case err == nil && !live:
			f.change(ended, nil)
			f.hub.o.Log.Info("source ended", "source", f.source.Name)
			return
		case err != nil:
			f.hub.o.Log.Warn("source is tried again", "source", f.source.Name, "error", err, "after", pause)
		}
		f.change(waiting, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// watch publishes answers until the source ends.
func (f *feed) watch(ctx context.Context, src stream.Source) error {
	defer src.Close()
	o := rfgaedge.CameraOptions{Name: f.source.Name, EveryFrame: !src.Live(), KeepFrames: true, Limits: f.hub.o.Limits}
	if w := f.source.Watch; w != nil {
		watch := *w
		watch.Heat = true
		o.Localizing = &watch
	}
	camera, err := f.hub.pool.Camera(o)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.camera = camera
	f.openings++
	f.mu.Unlock()
	defer f.leave(camera)
	f.change(running, nil)
	pumped := make(chan error, 1)
	go func() { pumped <- stream.Pump(ctx, src, camera, f.pump(camera)) }()
	var tracker *rfgaedge.Tracker
	if f.source.Tracker != nil {
		tracker = f.source.Tracker()
	}
	next := new(rfgaedge.Answer)
	var record rfgaedge.Record
	for {
		switch err := camera.Next(ctx, next); {
		case err == io.EOF:
			return <-pumped
		case err != nil: // nobody waits for a pump whose read may never end
			return err
		}
		if tracker != nil && next.Err == nil {
			tracker.Update(&next.Result)
		}
		next = f.publish(next, &record)
		f.report()
	}
}

// pump is how frames are chosen.
func (f *feed) pump(camera *rfgaedge.Camera) stream.PumpOptions {
	o := f.source.Pump
	if f.source.FPS == nil {
		return o
	}
	limit := o.FPS
	o.FPS = func() float64 {
		most := 0.0
		if limit != nil {
			most = limit()
		}
		return f.source.FPS(most, camera.Stats().PerFrame())
	}
	return o
}

// leave adds up what the camera has counted.
func (f *feed) leave(camera *rfgaedge.Camera) {
	camera.Close()
	f.mu.Lock()
	f.past = sum(f.past, camera.Stats())
	f.camera = nil
	f.mu.Unlock()
}

func sum(a, b rfgaedge.CameraStats) rfgaedge.CameraStats {
	return rfgaedge.CameraStats{Offered: a.Offered + b.Offered, Replaced: a.Replaced + b.Replaced, Answered: a.Answered + b.Answered,
		Unread: a.Unread + b.Unread, Failed: a.Failed + b.Failed, Busy: a.Busy + b.Busy}
}

// publish makes next the newest answer, and returns one whose memory can be used again.
func (f *feed) publish(next *rfgaedge.Answer, record *rfgaedge.Record) *rfgaedge.Answer {
	line := f.hub.o.Line(nil, f.source.Name, next, record)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.line = line
	f.version++
	if f.paired = next.Frame != nil && next.Err == nil; f.paired { // otherwise the frame before remains to be seen
		next, f.newest = f.newest, next
		f.frames++
		if next == nil {
			next = new(rfgaedge.Answer)
		}
		clear(f.parts)
	}
	f.renew()
	return next
}

// change notes what the source is doing.
func (f *feed) change(s state, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.trouble = s, ""
	if err != nil {
		f.trouble = err.Error()
	}
	if p := f.hub.o.Publisher; p != nil {
		p.State(f.source.Name, s == running)
	}
	f.renew()
}

// report lets the publisher have the newest answer, unless it is an error.
func (f *feed) report() {
	p := f.hub.o.Publisher
	if p == nil || !f.paired { // which nobody else changes
		return
	}
	p.Result(f.source.Name, f.line)
	if p.WantsSnapshot(f.source.Name) {
		f.mu.Lock()
		picture := f.make(boxedJPEG)
		f.mu.Unlock()
		p.Snapshot(f.source.Name, picture)
	}
}

func (f *feed) renew() {
	close(f.renewed)
	f.renewed = make(chan struct{})
}

// stats are the counts of all openings.
func (f *feed) stats() rfgaedge.CameraStats {
	if f.camera == nil {
		return f.past
	}
	return sum(f.past, f.camera.Stats())
}
