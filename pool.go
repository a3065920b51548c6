package rfgaedge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"sync"
	"time"

	"github.com/rfga-edge/rfga-edge/frame"
)

// ErrClosed is returned by a Pool's cameras after Close.
var ErrClosed = errors.New("the pool is closed")

// Pool looks at many cameras with a fixed number of sessions.
//
// Every camera has room for one frame that waits. A newer frame takes the place of one that nobody has looked at yet, so that
// a slow model sees fewer frames but never old ones. Cameras with a frame take turns: one that delivers ten times as many
// frames as another does not get more turns. Memory is bounded by the number of cameras and sessions, whatever they
// do: frames and results move between a few buffers that are used again and again, and nothing is allocated per frame (what
// the decoder of compressed pictures allocates apart).
//
//	pool, err := model.NewPool(2)
//	door, err := pool.Camera(rfgaedge.CameraOptions{Name: "door"})
//	go func() {                       // whatever delivers frames
//		err := door.Offer(ctx, &frame, rfgaedge.Stamp{Seq: 1, Time: time.Now()})
//	}()
//	var answer rfgaedge.Answer        // used again and again
//	for door.Next(ctx, &answer) == nil {
//		fmt.Println(answer.Seq, answer.Result.Locations)
//	}
type Pool struct {
	model   *Model
	stopped <-chan struct{}
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu         sync.Mutex
	work       sync.Cond // a camera came into the queue, or the pool closes
	head, tail *Camera   // the queue of cameras to look at, the longest waiting first; a camera is in it once at most
	closed     bool
}

// NewPool starts a number of sessions, each with the threads and what else the options say. Close stops them.
func (m *Model) NewPool(sessions int, opts ...Option) (*Pool, error) {
	if sessions < 1 || sessions > maxSessions {
		return nil, &OptionError{"sessions", fmt.Sprintf("%d is not in 1..%d", sessions, maxSessions)}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pool{model: m, stopped: ctx.Done(), cancel: cancel}
	p.work.L = &p.mu
	for range sessions {
		s, err := m.NewSession(opts...)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.workers.Go(func() {
			defer s.Close()
			p.serve(ctx, s)
		})
	}
	return p, nil
}

const maxSessions = 256

// Close stops the sessions, in the middle of a frame if need be, and ends every camera's Offer and Next. It returns when
// the sessions have ended.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.work.Broadcast()
	p.workers.Wait()
}

// CameraOptions says how a Pool treats a camera.
type CameraOptions struct {
	Name string
	// EveryFrame is for files: no frame is left out. Offer then waits for the frame before it to be taken, and the
	// next frame for the answer before it.
	EveryFrame bool
	// KeepFrames hands every frame back in its Answer, to draw on or to store.
	KeepFrames bool
	// Localizing says what to look for; nil: what the pool's options say.
	Localizing *LocalizeOptions
	// Limits bounds compressed pictures; the zero value stands for frame.DefaultLimits.
	Limits frame.Limits
}

// Stamp says which frame it is; it comes back with the answer. A zero Time is set to the time of the offer.
type Stamp struct {
	Seq  uint64
	Time time.Time
}

// Answer is what Next gives: what was found in a frame, or why it could not be looked at. Its memory is used again when
// it is passed to Next again.
type Answer struct {
	Stamp
	Result Result
	Err    error // then Result holds nothing of use
	// Frame is the frame itself if the camera keeps frames and this one could be decoded, else nil.
	Frame *Frame
	// Dropped is the number of the camera's frames between the answer before and this one that made room for newer ones.
	Dropped uint64
	// Waited is the time from the offer until a session took the frame, Decode what decompressing it took.
	Waited, Decode time.Duration

	shot shot
	kept bool // shot has the frame
}

// shot is a frame that waits, with its memory.
type shot struct {
	Stamp
	frame   Frame
	buf     []byte // the frame's pixels, or a compressed picture
	packed  bool
	err     error // instead of a frame
	offered time.Time
	dropped uint64 // frames right before it that made room
}

// CameraStats counts a camera's frames since it was added. Offered is the sum of Replaced, Answered, Unread and what is
// still under way.
type CameraStats struct {
	Offered  uint64 // frames handed over, bad ones included
	Replaced uint64 // made room for a newer frame before a session was free
	Answered uint64 // delivered by Next
	Unread   uint64 // answers that made room for newer ones because nobody called Next
	Failed   uint64 // of the frames looked at, those that gave an error
	// Busy is the time that sessions have spent on the camera.
	Busy time.Duration
}

// PerFrame is how long a session has been busy with a frame on average, 0 before the first.
func (s CameraStats) PerFrame() time.Duration {
	if n := s.Answered + s.Unread; n > 0 {
		return s.Busy / time.Duration(n)
	}
	return 0
}

// Camera is a source of frames of a Pool. Offer and its kind are for one goroutine, Next for another; both are safe to call
// from several.
type Camera struct {
	pool *Pool
	o    CameraOptions

	offering sync.Mutex
	spare    shot // what the next offer is written to

	// The rest is guarded by the pool's mutex.
	next             *Camera // in the queue
	queued, running  bool
	full, done       bool // a frame waits; an answer waits
	finished, closed bool
	waiting          shot
	ready            Answer
	stats            CameraStats

	room, answers chan struct{} // signals: waiting has become free; an answer is there, or none will come
}

// Camera adds a source. The model checks o.Localizing.
func (p *Pool) Camera(o CameraOptions) (*Camera, error) {
	if o.Localizing != nil {
		if err := p.model.checkOptions(o.Localizing); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	return &Camera{pool: p, o: o, room: make(chan struct{}, 1), answers: make(chan struct{}, 1)}, nil
}

// Name is the name that the camera was added with.
func (c *Camera) Name() string { return c.o.Name }

// Offer hands a frame over; it is copied. A frame that contradicts itself gives a *FrameError at once and changes nothing.
// ErrClosed comes after Close or Finish, ctx's error if an offer had to wait in vain.
func (c *Camera) Offer(ctx context.Context, f *Frame, s Stamp) error {
	if err := f.Check(); err != nil {
		return err
	}
	return c.offer(ctx, s, func(to *shot) {
		to.frame, to.buf = f.Copy(to.buf)
	})
}

// OfferPicture hands over a picture in a file's format: JPEG, or another that frame.DecodeImage knows. It is copied, and
// decoded only if it is still the newest when a session is free. A bad picture gives an Answer with an error.
func (c *Camera) OfferPicture(ctx context.Context, data []byte, crop image.Rectangle, s Stamp) error {
	return c.offer(ctx, s, func(to *shot) {
		to.buf, to.packed = append(to.buf[:0], data...), true
		to.frame = Frame{Crop: crop}
	})
}

// OfferError puts an error in the place of a frame that could not be read: it comes out of Next in its turn.
func (c *Camera) OfferError(ctx context.Context, err error, s Stamp) error {
	return c.offer(ctx, s, func(to *shot) { to.err = err })
}

// offer lets fill write to the spare memory and exchanges it for what waits.
func (c *Camera) offer(ctx context.Context, s Stamp, fill func(*shot)) error {
	c.offering.Lock()
	defer c.offering.Unlock()
	p := c.pool
	if c.o.EveryFrame {
		if err := c.await(ctx, c.room, func() bool { return !c.full }); err != nil {
			return err
		}
	}
	now := time.Now()
	if s.Time.IsZero() {
		s.Time = now
	}
	c.spare.Stamp, c.spare.offered, c.spare.packed, c.spare.err = s, now, false, nil
	fill(&c.spare)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || c.finished {
		return ErrClosed
	}
	c.stats.Offered++
	c.spare.dropped = 0
	if c.full {
		c.stats.Replaced++
		c.spare.dropped = c.waiting.dropped + 1
	}
	c.waiting, c.spare = c.spare, c.waiting
	c.full = true
	c.enqueue()
	return nil
}

// await waits for a condition under the pool's mutex; signal is sent to when it may have come true.
func (c *Camera) await(ctx context.Context, signal chan struct{}, met func() bool) error {
	p := c.pool
	for {
		p.mu.Lock()
		ok, closed := met(), p.closed || c.finished
		p.mu.Unlock()
		if closed {
			wake(signal) // whoever else waits
			return ErrClosed
		}
		if ok {
			return nil
		}
		select {
		case <-signal:
		case <-p.stopped:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func wake(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}
