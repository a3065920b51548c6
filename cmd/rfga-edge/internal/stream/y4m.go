package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

const (
	y4mMagic  = "YUV4MPEG2"
	y4mFrame  = "FRAME"
	maxHeader = 1 << 12 // bytes of a header line
)

// y4m is uncompressed video with a header line, and a line that begins with FRAME before each frame.
type y4m struct {
	raw
	options Options
}

func newY4M(b *bytesFrom, o Options) (*y4m, error) {
	s := &y4m{raw: raw{bytesFrom: b}, options: o}
	line, err := s.line()
	if err != nil {
		return nil, fmt.Errorf("y4m header: %w", noEOF(err))
	}
	return s, s.header(line)
}

// line reads up to a line feed, which it drops.
func (s *y4m) line() (string, error) {
	var line []byte
	for {
		c, err := s.ReadByte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(line), nil
		}
		if line = append(line, c); len(line) > maxHeader {
			return "", fmt.Errorf("no end of line within %d bytes", maxHeader)
		}
	}
}

// header takes size and format from a stream's header line.
func (s *y4m) header(line string) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] != y4mMagic {
		return fmt.Errorf("y4m header: %.20q instead of %s", line, y4mMagic)
	}
	f := rfgaedge.Frame{Format: rfgaedge.I420}
	for _, field := range fields[1:] {
		value := field[1:]
		var err error
		switch field[0] {
		case 'W':
			f.Width, err = strconv.Atoi(value)
		case 'H':
			f.Height, err = strconv.Atoi(value)
		case 'C':
			f.Format, err = y4mFormat(value)
		case 'X':
			if value == "COLORRANGE=FULL" {
				f.Range = rfgaedge.Full
			}
		}
		if err != nil {
			return fmt.Errorf("y4m header, %q: %w", field, err)
		}
	}
	s.options.color(&f)
	if f.Width < 1 || f.Height < 1 || f.Width > 1<<16 || f.Height > 1<<16 || f.Format.Size(f.Width, f.Height) > MaxFrame {
		return fmt.Errorf("y4m header: a size of %dx%d pixels; a frame may have %d bytes", f.Width, f.Height, MaxFrame)
	}
	if size := f.Format.Size(f.Width, f.Height); len(s.buf) != size {
		s.buf = make([]byte, size)
	}
	s.frame = f
	return s.frame.Split(s.buf)
}

// y4mFormat is the format of a colour space's name; how chroma sits between the pixels, which some names say, is ignored.
func y4mFormat(name string) (rfgaedge.PixelFormat, error) {
	switch name {
	case "420", "420jpeg", "420mpeg2", "420paldv":
		return rfgaedge.I420, nil
	case "422":
		return rfgaedge.I422, nil
	case "444":
		return rfgaedge.I444, nil
	case "mono":
		return rfgaedge.Gray8, nil
	}
	return 0, errors.New("only 420, 422, 444 and mono of 8 bits are read; with ffmpeg: -pix_fmt yuv420p")
}

func (s *y4m) Read(p *Packet) error {
	head, err := s.Peek(len(y4mFrame))
	if len(head) == 0 {
		return err
	}
	if string(head) != y4mFrame {
		if begins, _ := s.Peek(len(y4mMagic)); string(begins) == y4mMagic { // another stream behind the first
			line, err := s.line()
			if err == nil {
				err = s.header(line)
			}
			if err != nil {
				return noEOF(err)
			}
			return s.Read(p)
		}
		return s.resync(p)
	}
	if _, err := s.line(); err != nil {
		*p = Packet{Err: fmt.Errorf("y4m frame header: %w", noEOF(err)), Time: time.Now()}
		return nil
	}
	err = s.raw.Read(p)
	if err == io.EOF { // a header without a frame
		*p, err = Packet{Err: short(0, len(s.buf)), Time: time.Now()}, nil
	}
	return err
}

// resync skips to what looks like the next frame's header, and says so once.
func (s *y4m) resync(p *Packet) error {
	skipped := 0
	for {
		head, err := s.buffered(len(y4mFrame))
		if i := bytes.Index(head, []byte(y4mFrame)); i >= 0 {
			skipped += i
			s.Discard(i)
			break
		}
		n := len(head)
		if err == nil {
			n -= len(y4mFrame) - 1
		}
		s.Discard(n)
		skipped += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	*p = Packet{Err: fmt.Errorf("no frame header where one should be: %d bytes skipped", skipped), Time: time.Now()}
	return nil
}
