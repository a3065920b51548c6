package stream

import (
	"errors"
	"fmt"
	"io"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// raw is video whose frames follow each other without anything between them.
type raw struct {
	*bytesFrom
	frame rfgaedge.Frame
	buf   []byte
}

func newRaw(b *bytesFrom, o Options) (*raw, error) {
	format, err := rfgaedge.ParsePixelFormat(o.Format)
	if err != nil {
		return nil, err
	}
	s := &raw{bytesFrom: b, frame: rfgaedge.Frame{Format: format, Width: o.Width, Height: o.Height}}
	s.buf = make([]byte, format.Size(o.Width, o.Height))
	o.color(&s.frame)
	return s, s.frame.Split(s.buf)
}

// color sets what the options say of the colours.
func (o *Options) color(f *rfgaedge.Frame) {
	if o.Matrix != nil {
		f.Matrix = *o.Matrix
	}
	if o.Range != nil {
		f.Range = *o.Range
	}
}

func (s *raw) Read(p *Packet) error {
	n, err := io.ReadFull(s.Reader, s.buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	*p = Packet{Frame: s.frame, Time: time.Now()}
	if err != nil {
		*p = Packet{Err: short(n, len(s.buf)), Time: p.Time}
	}
	return nil
}

// short is the error of a frame that the stream's end cuts.
func short(have, want int) error {
	return fmt.Errorf("the stream ends after %d of the frame's %d bytes", have, want)
}
