package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// mjpeg is a stream of JPEGs. What lies between them, such as multipart's boundaries and headers, is skipped.
type mjpeg struct {
	*bytesFrom
	buf []byte
}

// Markers of a JPEG, behind 0xff.
const (
	soi  = 0xd8
	eoi  = 0xd9
	sos  = 0xda
	rst0 = 0xd0
	rst7 = 0xd7
	tem  = 0x01
)

var errCut = errors.New("the next picture begins before this one has ended")

func (s *mjpeg) Read(p *Packet) error {
	if err := s.seek(); err != nil {
		return err
	}
	err := s.picture()
	*p = Packet{Picture: s.buf, Time: time.Now()}
	if err == nil {
		return nil
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the stream ends within it")
	}
	*p = Packet{Err: fmt.Errorf("JPEG of %d bytes: %w", len(s.buf), err), Time: p.Time}
	return nil
}

// seek skips to the next start of a picture. Skipped bytes are no error: multipart has text there.
func (s *mjpeg) seek() error {
	for {
		head, err := s.buffered(3)
		if i := bytes.Index(head, []byte{0xff, soi, 0xff}); i >= 0 {
			_, err := s.Discard(i)
			return err
		}
		if err != nil {
			s.Discard(len(head))
			return err
		}
		s.Discard(len(head) - 2)
	}
}

// picture reads a picture to its end, segment by segment: a preview within a segment does not end it.
func (s *mjpeg) picture() error {
	s.buf = s.buf[:0]
	if err := s.take(2); err != nil {
		return err
	}
	for {
		m, err := s.marker()
		if err != nil {
			return err
		}
		switch {
		case m == eoi:
			return nil
		case m >= rst0 && m <= rst7 || m == tem:
			continue
		}
		at := len(s.buf)
		if err := s.take(2); err != nil {
			return err
		}
		n := int(s.buf[at])<<8 | int(s.buf[at+1])
		if n < 2 {
			return fmt.Errorf("segment %#x of %d bytes", m, n)
		}
		if err := s.take(n - 2); err != nil {
			return err
		}
		if m == sos {
			if err := s.scan(); err != nil {
				return err
			}
		}
	}
}

// marker reads a marker; before it there may be fill bytes.
func (s *mjpeg) marker() (byte, error) {
	for {
		if head, _ := s.Peek(2); len(head) == 2 && head[0] == 0xff && head[1] == soi {
			return 0, errCut // and it stays to be read
		}
		if err := s.take(2); err != nil {
			return 0, err
		}
		last := s.buf[len(s.buf)-2:]
		if last[0] != 0xff {
			return 0, fmt.Errorf("%#x where a marker should be", last[0])
		}
		if last[1] != 0xff {
			return last[1], nil
		}
		s.buf = s.buf[:len(s.buf)-1]
		s.UnreadByte()
	}
}

// scan reads entropy-coded data up to the marker behind it, which stays to be read.
func (s *mjpeg) scan() error {
	for {
		head, err := s.buffered(2)
		if len(head) < 2 {
			return err
		}
		n := len(head) - 1 // of the last byte, the one behind decides
		for i := 0; ; {
			j := bytes.IndexByte(head[i:n], 0xff)
			if j < 0 {
				break
			}
			i += j
			if next := head[i+1]; next != 0 && (next < rst0 || next > rst7) {
				return s.take(i)
			}
			i++
		}
		if err := s.take(n); err != nil {
			return err
		}
	}
}

// take moves n bytes to the picture.
func (s *mjpeg) take(n int) error {
	if len(s.buf)+n > MaxFrame {
		return fmt.Errorf("more than %d bytes", MaxFrame)
	}
	at := len(s.buf)
	s.buf = append(s.buf, make([]byte, n)...) // without a temporary: the compiler extends in place
	got, err := io.ReadFull(s.Reader, s.buf[at:])
	s.buf = s.buf[:at+got]
	return err
}
