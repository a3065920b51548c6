package stream

import (
	"context"
	"errors"
	"image"
	"io"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// PumpOptions says which of a source's frames are looked at.
type PumpOptions struct {
	Every int             // every so-manieth frame, from the first on; 0 is 1
	FPS   func() float64  // the most frames a second at this moment, 0 for no limit; nil: no limit
	Crop  image.Rectangle // the part to look at; an empty one is all of the frame
}

// Pump reads frames and offers them to the camera until the source ends, ctx is done, or nothing more can be read; then it
// says to the camera that no more will follow. Frames count from 0, those left out too. Of a live source the frames beyond
// the wanted rate are left out, another source waits.
//
// It returns nil at the source's end and when ctx is done.
func Pump(ctx context.Context, src Source, camera *rfgaedge.Camera, o PumpOptions) error {
	defer camera.Finish()
	p := &pump{src: src, camera: camera, o: o}
	for seq := uint64(0); ; seq++ {
		err := src.Read(&p.packet)
		if ctx.Err() != nil {
			return nil
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if p.packet.Err == nil && !p.wanted(ctx, seq) {
			continue
		}
		if err := p.offer(ctx, seq); err != nil {
			if ctx.Err() != nil || errors.Is(err, rfgaedge.ErrClosed) {
				return nil
			}
			return err
		}
	}
}

type pump struct {
	src    Source
	camera *rfgaedge.Camera
	o      PumpOptions
	packet Packet
	due    time.Time // before which no frame is wanted
}

// wanted tells whether to look at a frame, after waiting if the source can wait.
func (p *pump) wanted(ctx context.Context, seq uint64) bool {
	if p.o.Every > 1 && seq%uint64(p.o.Every) != 0 {
		return false
	}
	if p.o.FPS == nil {
		return true
	}
	fps := p.o.FPS()
	if fps <= 0 {
		return true
	}
	gap := time.Duration(float64(time.Second) / fps)
	now := time.Now()
	if early := p.due.Sub(now); early > 0 {
		// Frames of a camera jitter: one that comes a little early still counts.
		if p.src.Live() && early > gap/4 {
			return false
		}
		if !p.src.Live() {
			select {
			case <-time.After(early):
			case <-ctx.Done():
			}
		}
	}
	p.due = p.due.Add(gap)
	if p.due.Before(now) {
		p.due = now.Add(gap)
	}
	return true
}

func (p *pump) offer(ctx context.Context, seq uint64) error {
	packet := &p.packet
	stamp := rfgaedge.Stamp{Seq: seq, Time: packet.Time}
	switch {
	case packet.Err != nil:
		return p.camera.OfferError(ctx, packet.Err, stamp)
	case packet.Picture != nil:
		return p.camera.OfferPicture(ctx, packet.Picture, p.o.Crop, stamp)
	}
	packet.Frame.Crop = p.o.Crop
	err := p.camera.Offer(ctx, &packet.Frame, stamp)
	var bad *rfgaedge.FrameError
	if errors.As(err, &bad) {
		return p.camera.OfferError(ctx, err, stamp)
	}
	return err
}
