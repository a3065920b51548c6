package rfgaedge

import (
	"context"
	"io"
	"time"

	"github.com/rfga-edge/rfga-edge/frame"
)

// enqueue puts the camera behind those that wait, unless it is there, is being looked at, or has nothing to look at.
func (c *Camera) enqueue() {
	if c.queued || c.running || !c.full || c.closed || c.o.EveryFrame && c.done {
		return
	}
	p := c.pool
	c.queued = true
	if p.tail == nil {
		p.head = c
	} else {
		p.tail.next = c
	}
	p.tail = c
	p.work.Signal()
}

// Next waits for an answer newer than the one before and puts it into a. After Finish it gives what is still under way, and
// then io.EOF; after Close, ErrClosed.
func (c *Camera) Next(ctx context.Context, a *Answer) error {
	p := c.pool
	for {
		p.mu.Lock()
		switch {
		case c.closed || p.closed:
			p.mu.Unlock()
			wake(c.answers)
			return ErrClosed
		case c.done:
			*a, c.ready = c.ready, *a
			if a.Frame = nil; a.kept {
				a.Frame = &a.shot.frame
			}
			c.done = false
			c.stats.Answered++
			c.enqueue()
			if c.idle() {
				wake(c.answers)
			}
			p.mu.Unlock()
			return nil
		case c.idle():
			p.mu.Unlock()
			wake(c.answers)
			return io.EOF
		}
		p.mu.Unlock()
		select {
		case <-c.answers:
		case <-p.stopped:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// idle tells whether the camera will give no more answers.
func (c *Camera) idle() bool { return c.finished && !c.full && !c.running && !c.done }

// Finish says that no frame will follow. Those under way are still looked at.
func (c *Camera) Finish() {
	c.pool.mu.Lock()
	c.finished = true
	c.pool.mu.Unlock()
	wake(c.room)
	wake(c.answers)
}

// Close takes the camera out of the pool: Offer and Next give ErrClosed.
func (c *Camera) Close() {
	c.pool.mu.Lock()
	c.finished, c.closed, c.full = true, true, false
	c.pool.mu.Unlock()
	wake(c.room)
	wake(c.answers)
}

// Stats returns the counts so far.
func (c *Camera) Stats() CameraStats {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.stats
}

// take waits for a camera's turn and moves what waits there into a. It returns nil when the pool closes.
func (p *Pool) take(a *Answer) *Camera {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.head == nil && !p.closed {
			p.work.Wait()
		}
		if p.closed {
			return nil
		}
		c := p.head
		if p.head = c.next; p.head == nil {
			p.tail = nil
		}
		c.next, c.queued = nil, false
		if !c.full { // closed in the meantime
			continue
		}
		a.shot, c.waiting = c.waiting, a.shot
		c.full, c.running = false, true
		wake(c.room)
		return c
	}
}

// give leaves an answer for Next and lets the camera queue again. The answer before, if nobody took it, is overwritten.
func (p *Pool) give(c *Camera, a *Answer, busy time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.running = false
	c.stats.Busy += busy
	if a.Err != nil {
		c.stats.Failed++
	}
	if c.done {
		c.stats.Unread++
		a.Dropped += c.ready.Dropped + 1
	}
	c.ready, *a = *a, c.ready
	if !c.o.KeepFrames { // the session keeps the memory of frames
		c.ready.shot, a.shot = a.shot, c.ready.shot
	}
	c.done = true
	wake(c.answers)
	c.enqueue()
}

// serve is the life of a session: frame after frame, of whichever camera's turn it is.
func (p *Pool) serve(ctx context.Context, s *Session) {
	standing := s.options
	var a Answer
	for {
		c := p.take(&a)
		if c == nil {
			return
		}
		begin := time.Now()
		s.options = standing
		if o := c.o.Localizing; o != nil {
			s.SetOptions(*o) // they were checked when the camera was added
		}
		a.look(ctx, c, s, begin)
		if ctx.Err() != nil {
			return
		}
		p.give(c, &a, time.Since(begin))
	}
}

// look decodes the shot if need be and localizes what is in it.
func (a *Answer) look(ctx context.Context, c *Camera, s *Session, begin time.Time) {
	a.Stamp, a.Dropped, a.Waited, a.Decode, a.kept = a.shot.Stamp, a.shot.dropped, begin.Sub(a.shot.offered), 0, false
	if a.Err = a.shot.err; a.Err != nil {
		return
	}
	f := &a.shot.frame
	if a.shot.packed {
		crop := f.Crop
		if *f, a.Err = frame.DecodeFrame(a.shot.buf, c.o.Limits); a.Err != nil {
			return
		}
		f.Crop = crop
		a.Decode = time.Since(begin)
	}
	a.kept = c.o.KeepFrames
	a.Err = s.Localize(ctx, f, &a.Result)
}
