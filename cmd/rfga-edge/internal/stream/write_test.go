package stream

import (
	"bytes"
	"errors"
	"image"
	"io"
	"testing"

	"github.com/rfga-edge/rfga-edge/frame"
)

// gradient is a picture that changes slowly.
func gradient(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			copy(img.Pix[img.PixOffset(x, y):], []byte{byte(40 + 2*x), byte(200 - 3*y), byte(60 + x + y), 255})
		}
	}
	return img
}

// near says how far red, green and blue are off at most.
func near(a *image.RGBA, rgb []byte) (most int) {
	for i := range len(rgb) / 3 {
		for c := range 3 {
			most = max(most, int(a.Pix[4*i+c])-int(rgb[3*i+c]), int(rgb[3*i+c])-int(a.Pix[4*i+c]))
		}
	}
	return most
}

// What is written is read again, in either form and odd sizes, with the colours it had.
func TestWriter(t *testing.T) {
	for _, size := range []image.Point{{40, 30}, {33, 17}, {1, 1}} {
		for _, format := range []string{"y4m", "mjpeg"} {
			var b bytes.Buffer
			w := NewWriter(&b, format, 12.5)
			img := gradient(size.X, size.Y)
			for range 3 {
				if err := w.Write(img); err != nil {
					t.Fatal(err)
				}
			}
			s, err := New(io.NopCloser(&b), true, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				var p Packet
				if err := s.Read(&p); err != nil || p.Err != nil {
					t.Fatal(err, p.Err)
				}
				if format == "mjpeg" {
					if p.Frame, err = frame.DecodeFrame(p.Picture, frame.Limits{}); err != nil {
						t.Fatal(err)
					}
				}
				if p.Frame.Width != size.X || p.Frame.Height != size.Y {
					t.Fatalf("%s: %dx%d", format, p.Frame.Width, p.Frame.Height)
				}
				square := make([]byte, 3*size.X*size.Y)
				var r frame.Resizer
				if err := r.PreprocessFrame(square, &p.Frame, frame.Spec{W: size.X, H: size.Y}); err != nil {
					t.Fatal(err)
				}
				if d := near(img, square); d > 12 {
					t.Errorf("%s %v, picture %d: off by %d", format, size, i, d)
				}
			}
			var p Packet
			if err := s.Read(&p); err != io.EOF {
				t.Errorf("%s: more than was written: %v", format, err)
			}
		}
	}
}

func TestWriterErrors(t *testing.T) {
	w := NewWriter(io.Discard, "y4m", 0)
	if err := w.Write(gradient(4, 4)); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(gradient(4, 5)); !errors.Is(err, ErrSize) {
		t.Errorf("another size: %v", err)
	}
	for _, format := range []string{"y4m", "mjpeg"} {
		r, pipe := io.Pipe()
		r.Close()
		if err := NewWriter(pipe, format, 0).Write(gradient(64, 64)); err != io.ErrClosedPipe {
			t.Errorf("%s to nobody: %v", format, err)
		}
	}
	if w := NewWriter(io.Discard, "y4m", 0); testing.AllocsPerRun(5, func() { w.Write(gradientOnce) }) > 0 {
		t.Error("y4m allocates for every picture")
	}
}

var gradientOnce = gradient(64, 48)
