package stream

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/frame"
)

// readAll reads a stream to its end: a line a frame, "error: ..." for bad ones.
func readAll(t testing.TB, r io.Reader, o Options) (lines []string, err error) {
	s, err := New(io.NopCloser(r), true, o)
	if err != nil {
		return nil, err
	}
	var p Packet
	for {
		err := s.Read(&p)
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		switch f := &p.Frame; {
		case p.Err != nil:
			lines = append(lines, "error: "+p.Err.Error())
		case p.Picture != nil:
			config, err := jpeg.DecodeConfig(bytes.NewReader(p.Picture))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jpeg.Decode(bytes.NewReader(p.Picture)); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("jpeg %dx%d", config.Width, config.Height))
		default:
			if err := f.Check(); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%v %dx%d %d %d: %d", f.Format, f.Width, f.Height, f.Matrix, f.Range, f.Planes[0][0]))
		}
		if p.Time.IsZero() {
			t.Error("a packet without a time")
		}
	}
}

// check reads the stream whole and byte by byte.
func check(t *testing.T, data string, o Options, want ...string) {
	t.Helper()
	for _, r := range []io.Reader{strings.NewReader(data), iotest.OneByteReader(strings.NewReader(data)), iotest.DataErrReader(strings.NewReader(data))} {
		got, err := readAll(t, r, o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
				t.Fatalf("frames %q, want %q", got, want)
			}
		}
	}
}

func pixels(first byte, n int) string { return string(first) + strings.Repeat("x", n-1) }

func TestRaw(t *testing.T) {
	o := Options{Format: "nv12", Width: 4, Height: 2}
	bt709, full := frame.BT709, frame.Full
	check(t, pixels(7, 12)+pixels(8, 12), o, "nv12 4x2 0 0: 7", "nv12 4x2 0 0: 8")
	check(t, pixels(7, 12)+pixels(8, 5), o, "nv12 4x2", "error: the stream ends after 5 of the frame's 12 bytes")
	o.Matrix, o.Range = &bt709, &full
	check(t, pixels(7, 12), o, "nv12 4x2 1 1: 7")
	for _, name := range []string{"rgb24", "bgr24", "rgba", "bgra", "gray8", "i420", "nv12", "nv21", "yuyv", "uyvy", "i422", "i444"} {
		format, err := rfgaedge.ParsePixelFormat(name)
		if err != nil {
			t.Fatal(err)
		}
		check(t, pixels(1, format.Size(7, 5))+pixels(2, format.Size(7, 5)), Options{Format: name, Width: 7, Height: 5}, name+" 7x5 0 0: 1", name+" 7x5 0 0: 2")
	}
}

func TestY4M(t *testing.T) {
	const head = "YUV4MPEG2 W4 H2 F25:1 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL\n"
	check(t, head+"FRAME\n"+pixels(7, 12)+"FRAME Ip\n"+pixels(8, 12), Options{}, "i420 4x2 0 1: 7", "i420 4x2 0 1: 8")
	check(t, "YUV4MPEG2 W4 H2\n", Options{})
	check(t, "YUV4MPEG2 W4 H2 C444\nFRAME\n"+pixels(7, 24)+"FRAME\n"+pixels(1, 23), Options{}, "i444 4x2 0 0: 7", "error: the stream ends after 23 of")
	check(t, "YUV4MPEG2 W4 H2 Cmono\nFRAME\n"+pixels(7, 8)+"FRAME\n", Options{}, "gray8 4x2 0 0: 7", "error: the stream ends after 0 of")
	check(t, "YUV4MPEG2 W4 H2\nFRAME\n"+pixels(7, 12)+"FRAMX"+pixels(8, 12)+"FRAME\n"+pixels(9, 12)+"FRAM", Options{},
		"i420 4x2 0 0: 7", "error: no frame header where one should be: 17 bytes", "i420 4x2 0 0: 9", "error: no frame header where one should be: 4 bytes")
	check(t, "YUV4MPEG2 W4 H2\nFRAME\n"+pixels(7, 12)+"YUV4MPEG2 W2 H2 C422\nFRAME\n"+pixels(8, 8), Options{}, "i420 4x2 0 0: 7", "i422 2x2 0 0: 8")
	for _, bad := range []string{"YUV4MPEG2", "YUV4MPEG2 W4\n", "YUV4MPEG2 W4 H-1\n", "YUV4MPEG2 W99999 H99999\n", "YUV4MPEG2 W4 H2 C420p10\n", "YUV4MPEG2 Wx H2\n",
		"YUV4MPEG2 " + strings.Repeat("A", 5000), "YUV4MPEG2 W65536 H65536 C444\n"} {
		if _, err := readAll(t, strings.NewReader(bad), Options{}); err == nil || err == io.EOF {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	if _, err := readAll(t, strings.NewReader("YUV4MPEG2 W4 H2\nFRAME\n"+pixels(7, 12)+"YUV4MPEG2 W4"), Options{}); err != io.ErrUnexpectedEOF {
		t.Errorf("a second header that ends: %v", err)
	}
}

// jpegOf is a JPEG; a preview hides a whole one in an application segment.
func jpegOf(t testing.TB, w, h int, preview bool) string {
	m := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for i := range m.Y {
		m.Y[i] = byte(i * 37)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	if !preview {
		return b.String()
	}
	inner := jpegOf(t, 8, 8, false)
	return b.String()[:2] + "\xff\xe1" + string([]byte{byte((len(inner) + 2) >> 8), byte(len(inner) + 2)}) + inner + b.String()[2:]
}

func TestMJPEG(t *testing.T) {
	a, b := jpegOf(t, 64, 48, false), jpegOf(t, 30, 20, true)
	check(t, a+b+a, Options{}, "jpeg 64x48", "jpeg 30x20", "jpeg 64x48")
	check(t, a+"\xff\xff\xd9"[:0]+b, Options{Format: "mjpeg"}, "jpeg 64x48", "jpeg 30x20")
	part := func(s string) string {
		return "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: " + fmt.Sprint(len(s)) + "\r\n\r\n" + s + "\r\n"
	}
	check(t, part(a)+part(b)+"--frame--\r\n", Options{}, "jpeg 64x48", "jpeg 30x20")
	check(t, "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"+part(a), Options{}, "jpeg 64x48")
	// Cut pictures: another follows, garbage follows, nothing follows.
	check(t, a[:len(a)-40]+b, Options{}, "error: JPEG of", "jpeg 30x20")
	check(t, a[:100]+part(b), Options{}, "error: JPEG of", "jpeg 30x20")
	check(t, a+b[:len(b)-1], Options{}, "jpeg 64x48", "error: JPEG of")
	check(t, a+"\xff\xd8\xff\xe0\x00\x01"+b, Options{}, "jpeg 64x48", "error: JPEG of 6 bytes: segment 0xe0 of 1 bytes", "jpeg 30x20")
}

// A live picture comes out as soon as its last byte is there.
func TestMJPEGDoesNotWait(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	one := jpegOf(t, 16, 16, false)
	go w.Write([]byte(one))
	s, err := New(r, true, Options{Format: "mjpeg"})
	if err != nil {
		t.Fatal(err)
	}
	var p Packet
	if err := s.Read(&p); err != nil || string(p.Picture) != one {
		t.Errorf("%d bytes, error %v", len(p.Picture), err)
	}
}

func TestOptions(t *testing.T) {
	var usage *UsageError
	for _, o := range []Options{{Format: "nv13"}, {Format: "nv12"}, {Format: "nv12", Width: -4, Height: 2}, {Format: "rgba", Width: 65536, Height: 65536}, {Format: "gray8", Width: 70000, Height: 1}} {
		if _, err := New(io.NopCloser(strings.NewReader("abcd")), false, o); !errors.As(err, &usage) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := New(io.NopCloser(strings.NewReader("abcd")), false, Options{}); !errors.As(err, &usage) {
		t.Errorf("raw video without a format: %v", err)
	}
	if _, err := New(io.NopCloser(strings.NewReader("")), false, Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("nothing: %v", err)
	}
	for _, input := range []string{"tcp://10.0.0.1:99", "tcp://example.com:1", "tcp://127.0.0.1", t.TempDir()} {
		if _, err := Open(t.Context(), input, Options{}); !errors.As(err, &usage) {
			t.Errorf("%s: %v", input, err)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestOpen(t *testing.T) {
	data := pixels(7, 12) + pixels(8, 12)
	path := filepath.Join(t.TempDir(), "v.nv12")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Format: "nv12", Width: 4, Height: 2}
	first := func(s Source, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var p Packet
		if err := s.Read(&p); err != nil || p.Frame.Planes[0][0] != 7 {
			t.Errorf("error %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s, err := Open(t.Context(), path, o)
	if first(s, err); s.Live() {
		t.Error("a file is live")
	}
	o.Stdin = strings.NewReader(data)
	s, err = Open(t.Context(), "-", o)
	if first(s, err); !s.Live() {
		t.Error("a pipe is not live")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.WriteString(c, data)
			c.Close()
		}
	}()
	s, err = Open(t.Context(), "tcp://"+l.Addr().String(), o)
	if first(s, err); !s.Live() {
		t.Error("a connection is not live")
	}
}

func FuzzStreams(f *testing.F) {
	f.Add(uint8(0), []byte("YUV4MPEG2 W4 H2\nFRAME\n0123456789abFRAMx"))
	f.Add(uint8(1), []byte(jpegOf(f, 8, 8, true)))
	f.Add(uint8(2), []byte("0123456789abc"))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		o := Options{Format: []string{"y4m", "mjpeg", "nv12"}[kind%3], Width: 4, Height: 2}
		if len(data) > 1<<16 {
			return
		}
		s, err := New(io.NopCloser(bytes.NewReader(data)), true, o)
		if err != nil {
			return
		}
		var p Packet
		total := 0
		for s.Read(&p) == nil { // every packet takes bytes: it ends
			if total++; total > len(data)+1 {
				t.Fatal("more packets than bytes")
			}
			if p.Err == nil && p.Picture == nil {
				if err := p.Frame.Check(); err != nil {
					t.Fatal(err)
				}
			}
			if len(p.Picture) > len(data) {
				t.Fatal("a picture larger than its stream")
			}
		}
	})
}
