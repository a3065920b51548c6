package rfgaedge_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"sync"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

func newPool(t testing.TB, sessions int, opts ...rfgaedge.Option) *rfgaedge.Pool {
	t.Helper()
	p, err := load(t, colours(t)).NewPool(sessions, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func camera(t testing.TB, p *rfgaedge.Pool, o rfgaedge.CameraOptions) *rfgaedge.Camera {
	t.Helper()
	c, err := p.Camera(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// numbered is a frame whose red spot says which one it is: n modulo 8 from the left, camera 0 above, 1 below.
func numbered(n uint64, camera int) *rfgaedge.Frame {
	x, y := int(n%8)*8, camera*24
	return rfgaedge.FrameOf(picture(64, 48, map[image.Rectangle]color.Color{image.Rect(x, y, x+8, y+24): red}))
}

// checkNumber tells whether an answer is that of the frame it says it is.
func checkNumber(t *testing.T, a *rfgaedge.Answer, camera int) {
	t.Helper()
	if a.Err != nil || len(a.Result.Locations) != 1 {
		t.Fatalf("frame %d: %v, error %v", a.Seq, a.Result.Locations, a.Err)
	}
	b := a.Result.Locations[0].Box
	if want := int(a.Seq%8)*8 + 4; b.X0 > want || b.X1 < want || (b.Y0+b.Y1)/2/24 != camera || b.X1-b.X0 > 16 {
		t.Fatalf("camera %d, frame %d: box %v", camera, a.Seq, b)
	}
}

// Whatever the speeds, answers belong to their frames, come in order, are never older than what was answered, and the last
// frame is always looked at; every frame is accounted for.
func TestPoolTakesTheNewest(t *testing.T) {
	const frames = 300
	p := newPool(t, 2)
	var all sync.WaitGroup
	for n := range 2 {
		c := camera(t, p, rfgaedge.CameraOptions{})
		var pictures [8]*rfgaedge.Frame
		for i := range pictures {
			pictures[i] = numbered(uint64(i), n)
		}
		all.Go(func() {
			for seq := range uint64(frames) {
				if err := c.Offer(t.Context(), pictures[seq%8], rfgaedge.Stamp{Seq: seq}); err != nil {
					t.Error(err)
				}
			}
			c.Finish()
		})
		all.Go(func() {
			var a rfgaedge.Answer
			last, got, dropped := -1, uint64(0), uint64(0)
			for {
				err := c.Next(t.Context(), &a)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Error(err)
					return
				}
				checkNumber(t, &a, n)
				if int(a.Seq) <= last {
					t.Errorf("frame %d after %d", a.Seq, last)
				}
				last = int(a.Seq)
				got++
				dropped += a.Dropped
			}
			s := c.Stats()
			if last != frames-1 || s.Offered != frames || s.Answered != got || s.Replaced+s.Unread != dropped || s.Replaced+s.Unread+got != frames {
				t.Errorf("camera %d: last %d, %d answers, %d dropped, %+v", n, last, got, dropped, s)
			}
		})
	}
	all.Wait()
}

// A file's frames are all answered, in order, however slow the reader is.
func TestPoolEveryFrame(t *testing.T) {
	p := newPool(t, 3)
	c := camera(t, p, rfgaedge.CameraOptions{EveryFrame: true, KeepFrames: true})
	go func() {
		for seq := range uint64(50) {
			c.Offer(t.Context(), numbered(seq, 0), rfgaedge.Stamp{Seq: seq})
		}
		c.Finish()
	}()
	var a rfgaedge.Answer
	for want := range uint64(50) {
		if err := c.Next(t.Context(), &a); err != nil || a.Seq != want || a.Dropped != 0 {
			t.Fatalf("frame %d with %d dropped, error %v, want %d", a.Seq, a.Dropped, err, want)
		}
		checkNumber(t, &a, 0)
		if f := numbered(want, 0); a.Frame == nil || !bytes.Equal(a.Frame.Planes[0], f.Planes[0]) {
			t.Fatalf("frame %d comes back changed", want)
		}
	}
	if err := c.Next(t.Context(), &a); err != io.EOF {
		t.Errorf("after the last: %v", err)
	}
}

func TestPoolPictures(t *testing.T) {
	var photo bytes.Buffer
	where := image.Rect(40, 60, 140, 160)
	if err := jpeg.Encode(&photo, picture(320, 240, map[image.Rectangle]color.Color{where: red}), nil); err != nil {
		t.Fatal(err)
	}
	p := newPool(t, 1)
	c := camera(t, p, rfgaedge.CameraOptions{EveryFrame: true, KeepFrames: true})
	cause := errors.New("the cable")
	go func() {
		c.OfferPicture(t.Context(), photo.Bytes(), image.Rectangle{}, rfgaedge.Stamp{Seq: 1})
		c.OfferPicture(t.Context(), photo.Bytes()[:300], image.Rectangle{}, rfgaedge.Stamp{Seq: 2})
		c.OfferError(t.Context(), cause, rfgaedge.Stamp{Seq: 3})
		c.OfferPicture(t.Context(), photo.Bytes(), image.Rect(0, 0, 400, 10), rfgaedge.Stamp{Seq: 4})
		c.OfferPicture(t.Context(), photo.Bytes(), image.Rect(20, 40, 320, 240), rfgaedge.Stamp{Seq: 5})
		c.Finish()
	}()
	var a rfgaedge.Answer
	next := func() {
		t.Helper()
		if err := c.Next(t.Context(), &a); err != nil {
			t.Fatal(err)
		}
	}
	next()
	if a.Err != nil || a.Frame.Format != rfgaedge.I420 || a.Decode <= 0 {
		t.Fatalf("%+v", a)
	}
	near(t, a.Result.Locations[0].Box, where, 14)
	if next(); a.Err == nil || a.Frame != nil {
		t.Errorf("a cut JPEG: %v", a.Err)
	}
	if next(); a.Err != cause {
		t.Errorf("an error comes out as %v", a.Err)
	}
	var bad *rfgaedge.FrameError
	if next(); !errors.As(a.Err, &bad) {
		t.Errorf("a crop outside: %v", a.Err)
	}
	if next(); a.Err != nil {
		t.Fatal(a.Err)
	}
	near(t, a.Result.Locations[0].Box, where, 14)
	if s := c.Stats(); s.Failed != 3 || s.Answered != 5 || s.Busy <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestPoolEnds(t *testing.T) {
	model := load(t, colours(t))
	var option *rfgaedge.OptionError
	for _, n := range []int{0, 1000} {
		if _, err := model.NewPool(n); !errors.As(err, &option) {
			t.Errorf("%d sessions: %v", n, err)
		}
	}
	if _, err := model.NewPool(1, rfgaedge.Threads(-1)); !errors.As(err, &option) {
		t.Error(err)
	}
	p := newPool(t, 1)
	if _, err := p.Camera(rfgaedge.CameraOptions{Localizing: &rfgaedge.LocalizeOptions{Classes: []int{3}}}); !errors.As(err, &option) {
		t.Errorf("a class that is not there: %v", err)
	}
	c := camera(t, p, rfgaedge.CameraOptions{Localizing: &rfgaedge.LocalizeOptions{TopK: 2}})
	var bad *rfgaedge.FrameError
	if err := c.Offer(t.Context(), &rfgaedge.Frame{}, rfgaedge.Stamp{}); !errors.As(err, &bad) {
		t.Errorf("a bad frame: %v", err)
	}
	var a rfgaedge.Answer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	go func() { ended <- c.Next(ctx, &a) }()
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	every := camera(t, p, rfgaedge.CameraOptions{EveryFrame: true})
	go func() {
		for {
			if err := every.Offer(t.Context(), numbered(0, 0), rfgaedge.Stamp{}); err != nil {
				ended <- err
				return
			}
		}
	}()
	go func() { ended <- c.Next(t.Context(), new(rfgaedge.Answer)) }()
	one := camera(t, p, rfgaedge.CameraOptions{})
	one.Close()
	if err := one.Offer(t.Context(), numbered(0, 0), rfgaedge.Stamp{}); err != rfgaedge.ErrClosed {
		t.Errorf("offered to a closed camera: %v", err)
	}
	if err := one.Next(t.Context(), &a); err != rfgaedge.ErrClosed {
		t.Errorf("a closed camera's answer: %v", err)
	}
	p.Close()
	for range 2 {
		if err := <-ended; err != rfgaedge.ErrClosed {
			t.Errorf("pool closed: %v", err)
		}
	}
	if _, err := p.Camera(rfgaedge.CameraOptions{}); err != rfgaedge.ErrClosed {
		t.Errorf("a camera of a closed pool: %v", err)
	}
}

// Frames of every format pass without an allocation, offered and answered.
func TestPoolDoesNotAllocate(t *testing.T) {
	p := newPool(t, 1, rfgaedge.Localizing(rfgaedge.LocalizeOptions{TopK: 3, Multi: true}))
	for format := rfgaedge.RGB24; format <= rfgaedge.I444; format++ {
		c := camera(t, p, rfgaedge.CameraOptions{KeepFrames: true})
		f := &rfgaedge.Frame{Format: format, Width: 161, Height: 119}
		if err := f.Split(make([]byte, format.Size(161, 119))); err != nil {
			t.Fatal(err)
		}
		var a rfgaedge.Answer
		run := func() {
			if c.Offer(context.Background(), f, rfgaedge.Stamp{}) != nil || c.Next(context.Background(), &a) != nil || a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		for range 4 { // all buffers have been around
			run()
		}
		if n := testing.AllocsPerRun(10, run); n != 0 {
			t.Errorf("%v: %v allocations a frame", format, n)
		}
	}
}
