package service

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// desk lends sessions to requests, in the order in which they came.
type desk struct {
	places   chan struct{}       // a value for everybody inside
	bytes    *semaphore.Weighted // bodies that are in memory
	sessions chan *rfgaedge.Session
	count    int
	busy     atomic.Int64 // microseconds that a photo has taken lately
}

// newDesk opens sessions; up to waiting requests may wait for one.
func newDesk(model *rfgaedge.Model, sessions, waiting int, bytes int64, opts ...rfgaedge.Option) (*desk, error) {
	d := &desk{places: make(chan struct{}, sessions+waiting), bytes: semaphore.NewWeighted(bytes),
		sessions: make(chan *rfgaedge.Session, sessions), count: sessions}
	for range sessions {
		s, err := model.NewSession(opts...)
		if err != nil {
			d.count = len(d.sessions)
			d.close()
			return nil, err
		}
		d.sessions <- s
	}
	return d, nil
}

// enter takes a place, or says when to come again. The caller leaves it.
func (d *desk) enter() error {
	select {
	case d.places <- struct{}{}:
		return nil
	default:
	}
	wait := time.Duration(d.busy.Load()) * time.Microsecond * time.Duration(cap(d.places)/d.count)
	e := fail(http.StatusTooManyRequests, "busy: %d requests are being worked on or wait; send it again after the seconds that Retry-After names", cap(d.places))
	e.retry = min(max(wait, time.Second), time.Minute)
	return e
}

func (d *desk) leave() { <-d.places }

// inside is the number of requests inside, those with a session included.
func (d *desk) inside() int { return len(d.places) }

// with waits for a session and calls work with it.
func (d *desk) with(ctx context.Context, work func(*rfgaedge.Session) error) error {
	select {
	case s := <-d.sessions:
		defer func() { d.sessions <- s }()
		begin := time.Now()
		err := work(s)
		d.busy.Store((3*d.busy.Load() + time.Since(begin).Microseconds()) / 4)
		return err
	case <-ctx.Done():
		return overdue(ctx)
	}
}

// close waits for every session to come back and closes it.
func (d *desk) close() {
	for range d.count {
		(<-d.sessions).Close()
	}
}

// overdue is the error of a request that has waited in vain, or whose client has gone.
func overdue(ctx context.Context) error {
	if context.Cause(ctx) == context.DeadlineExceeded {
		e := fail(http.StatusServiceUnavailable, "no session became free in time; send fewer requests at once, or give the server more --sessions")
		e.retry = time.Second
		return e
	}
	return ctx.Err()
}
