package stream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/v4l2"
	"github.com/rfga-edge/rfga-edge/frame"
)

// MaxFrame bounds the bytes of a frame, compressed or not: an 8K frame in RGBA.
const MaxFrame = 8192 * 4320 * 4

// Packet is one frame as a source gives it: raw pixels, or a compressed picture.
type Packet struct {
	Frame   rfgaedge.Frame // its pixels are the source's until the next Read
	Picture []byte         // a JPEG; then Frame is empty. Likewise the source's.
	Err     error          // instead of a frame: what is wrong with this one. The source goes on.
	Time    time.Time      // when it had arrived, or the device's own time
}

// Source gives frames. Read waits for the next one; it returns io.EOF at the end and another error if nothing more can be
// read. Close ends a Read that waits, where the operating system lets it.
type Source interface {
	Read(p *Packet) error
	// Live tells whether frames come in their own time, so that those nobody is ready for are better left out.
	Live() bool
	Close() error
}

// Options says what an input holds where it does not say so itself.
type Options struct {
	// Format is a pixel format for raw video, "y4m" or "mjpeg"; empty: the input's first bytes decide.
	Format        string
	Width, Height int // of raw video
	// Matrix and Range are those of raw YCbCr video, and the matrix that of y4m, which does not say.
	Matrix *frame.Matrix
	Range  *frame.Range
	Stdin  io.Reader // what "-" reads
	Device bool      // the input is a video device, whatever it looks like; format and size are wishes then
	FPS    float64   // the rate to ask a video device for, 0 for its own
}

// A UsageError says which option does not fit the input.
type UsageError struct{ Reason string }

func (e *UsageError) Error() string { return e.Reason }

func misuse(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Open opens an input: "-", a path, or tcp://HOST:PORT with an address of this machine, to connect to or, with ?listen, to
// wait at for one connection; or a video device. It waits for a FIFO's or a connection's other end until ctx is done.
func Open(ctx context.Context, input string, o Options) (Source, error) {
	if err := o.Check(input); err != nil {
		return nil, err
	}
	if o.device(input) {
		return openDevice(input, o)
	}
	r, live, err := open(ctx, input, o.Stdin)
	if err != nil {
		return nil, err
	}
	s, err := New(r, live, o)
	if err != nil {
		err = errors.Join(err, r.Close())
		return nil, err
	}
	return s, nil
}

// device tells whether an input is a video device.
func (o *Options) device(input string) bool { return o.Device || v4l2.IsDevice(input) }

// Check refuses options that the input cannot mean.
func (o *Options) Check(input string) error {
	if o.device(input) {
		_, err := o.wish()
		return err
	}
	return o.check()
}

// check refuses what no stream can mean.
func (o *Options) check() error {
	switch o.Format {
	case "", "y4m", "mjpeg":
		return nil
	}
	format, err := rfgaedge.ParsePixelFormat(o.Format)
	if err != nil {
		return misuse("%v, or y4m or mjpeg", err)
	}
	if o.Width < 1 || o.Height < 1 {
		return misuse("raw video of %s needs a size, such as 1280x720", o.Format)
	}
	if side := max(o.Width, o.Height); side > 1<<16 || format.Size(o.Width, o.Height) > MaxFrame {
		return misuse("%dx%d pixels: a frame may have %d bytes", o.Width, o.Height, MaxFrame)
	}
	return nil
}

// New reads a stream from r, which Close closes.
func New(r io.ReadCloser, live bool, o Options) (Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &bytesFrom{Reader: bufio.NewReaderSize(r, 1<<16), closer: r, live: live}
	kind := o.Format
	if kind == "" {
		if kind = sniff(b.Reader); kind == "" {
			head, err := b.Peek(4)
			if len(head) == 0 && err != nil {
				return nil, fmt.Errorf("the stream is empty: %w", noEOF(err))
			}
			return nil, misuse("the stream begins with % x, which is neither y4m nor a JPEG; raw video needs a pixel format and a size", head)
		}
	}
	switch kind {
	case "y4m":
		return newY4M(b, o)
	case "mjpeg":
		return &mjpeg{bytesFrom: b}, nil
	}
	return newRaw(b, o)
}

// sniff looks at the first bytes: "y4m", "mjpeg" or "".
func sniff(r *bufio.Reader) string {
	head, _ := r.Peek(len(y4mMagic))
	switch {
	case string(head) == y4mMagic:
		return "y4m"
	case bytes.HasPrefix(head, []byte{0xff, 0xd8}), bytes.HasPrefix(head, []byte("--")), bytes.HasPrefix(head, []byte("\r\n--")),
		bytes.HasPrefix(head, []byte("HTTP/1.")), bytes.HasPrefix(bytes.ToLower(head), []byte("content-")):
		return "mjpeg"
	}
	return ""
}

// bytesFrom is what the readers of streams have in common.
type bytesFrom struct {
	*bufio.Reader
	closer io.Closer
	live   bool
}

func (b *bytesFrom) Live() bool   { return b.live }
func (b *bytesFrom) Close() error { return b.closer.Close() }

// buffered gives what has arrived, and waits for least bytes of it. It takes nothing, and never waits for more: a live
// stream's next bytes may come a frame later.
func (b *bytesFrom) buffered(least int) ([]byte, error) { return b.Peek(max(least, b.Buffered())) }

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// open gives the bytes of an input, and whether they come in their own time.
func open(ctx context.Context, input string, stdin io.Reader) (io.ReadCloser, bool, error) {
	switch {
	case input == "-":
		live := true
		if f, ok := stdin.(*os.File); ok {
			st, err := f.Stat()
			live = err != nil || !st.Mode().IsRegular()
		}
		return io.NopCloser(stdin), live, nil
	case strings.HasPrefix(input, "tcp://"):
		c, err := connect(ctx, strings.TrimPrefix(input, "tcp://"))
		return c, true, err
	}
	st, err := os.Stat(input)
	if err != nil {
		return nil, false, err
	}
	if st.IsDir() {
		return nil, false, misuse("%s is a folder; photos are for localize", input)
	}
	type result struct {
		f   *os.File
		err error
	}
	opened := make(chan result, 1)
	go func() { // a FIFO lets nobody in until somebody writes
		f, err := os.Open(input)
		opened <- result{f, err}
	}()
	select {
	case r := <-opened:
		return r.f, !st.Mode().IsRegular(), r.err
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.err == nil {
				r.f.Close()
			}
		}()
		return nil, false, ctx.Err()
	}
}

// connect dials an address of this machine, or waits there for one connection.
func connect(ctx context.Context, address string) (net.Conn, error) {
	address, listen := strings.CutSuffix(address, "?listen")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, misuse("tcp://%s: %v", address, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, misuse("tcp://%s: streams are not encrypted and nobody asks who sends them, so only 127.0.0.1, ::1 and localhost are allowed", address)
	}
	address = net.JoinHostPort(host, port)
	if !listen {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer func() {
		stop()
		l.Close()
	}()
	c, err := l.Accept()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return c, err
}
