package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
	"github.com/rfga-edge/rfga-edge/frame"
)

// pictures reads a video: its format and the size of every picture.
func pictures(t *testing.T, video []byte) (kind string, list []*rfgaedge.Frame) {
	t.Helper()
	s, err := stream.New(io.NopCloser(bytes.NewReader(video)), false, stream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p stream.Packet
		err := s.Read(&p)
		if err == io.EOF {
			return kind, list
		}
		if err != nil || p.Err != nil {
			t.Fatal(err, p.Err)
		}
		kind = "y4m"
		f := p.Frame
		if p.Picture != nil {
			kind = "mjpeg"
			if f, err = frame.DecodeFrame(p.Picture, frame.Limits{}); err != nil {
				t.Fatal(err)
			}
		}
		f, _ = f.Copy(nil)
		list = append(list, &f)
	}
}

func TestStreamOverlay(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	box := image.Rect(30, 40, 80, 100)
	green, blue := color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}
	path := video(t, dir, box, color.RGBA{255, 0, 0, 255}, green, blue, green)
	if err := os.Truncate(path, 4*3*160*120-1); err != nil { // no picture for the last frame, which is one byte short
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	run := func(code int, args ...string) (string, string) {
		t.Helper()
		return expect(t, code, append([]string{"stream", "--model", model, "--format", "rgb24", "--size", "160x120", path}, args...)...)
	}
	check := func(video []byte, kind string) {
		t.Helper()
		got, list := pictures(t, video)
		if got != kind || len(list) != 3 {
			t.Fatalf("%s, %d pictures; want %s, 3", got, len(list), kind)
		}
		for i, f := range list {
			rgb := f.RGB(nil)
			// The middle of the box is still its colour, warmed up; an edge of the box is drawn.
			p := rgb[3*(70*160+55):][:3]
			if strong := []int{0, 1, 2}[i]; p[strong] < 60 {
				t.Errorf("%s, picture %d: %v in the box", kind, i, p)
			}
			if bytes.Equal(rgb[3*(2*160+2):][:3], p) {
				t.Errorf("%s, picture %d: nothing to be seen", kind, i)
			}
		}
	}
	lines := func(text string) int { return strings.Count(text, "\"seq\":") }

	out, _ := run(exitOK, "--overlay-out", at("o.y4m"))
	if lines(out) != 4 {
		t.Errorf("%d lines beside the overlay", lines(out))
	}
	check(read("o.y4m"), "y4m")
	run(exitOK, "--overlay-out", at("o.mjpg"))
	check(read("o.mjpg"), "mjpeg")

	out, said := run(exitOK, "--overlay-out", "-", "--overlay-as", "y4m")
	check([]byte(out), "y4m")
	if lines(said) != 4 {
		t.Errorf("standard error has %q", said)
	}
	out, said = run(exitOK, "--overlay-out", "-", "--out", at("lines.json"))
	check([]byte(out), "mjpeg")
	if said != "" || lines(string(read("lines.json"))) != 4 {
		t.Errorf("standard error has %q, the file %q", said, read("lines.json"))
	}
	run(exitUsage, "--overlay-out", "-", "--out", "-")
	run(exitUsage, "--overlay-as", "y4m")
	run(exitUsage, "--overlay-out", "-", "--overlay-as", "avi")
	run(exitIO, "--overlay-out", at("none/o.y4m"))
	run(exitIO, "--out", dir)
}

func TestStreamMask(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	box := image.Rect(30, 40, 80, 100)
	path := video(t, dir, box, color.RGBA{255, 0, 0, 255})
	look := func(code int, mask string) (l streamLine) {
		t.Helper()
		out, _ := expect(t, code, "stream", "--model", model, "--format", "rgb24", "--size", "160x120", path, "--mask", mask)
		if code == exitOK {
			decode(t, out, &l)
		}
		return l
	}
	mask := image.NewGray(image.Rect(0, 0, 16, 12))
	for i := range mask.Pix {
		mask.Pix[i] = 255
	}
	if l := look(exitOK, savePNG(t, filepath.Join(dir, "white.png"), mask)); len(l.Locations) != 1 {
		t.Errorf("a white mask: %+v", l)
	}
	for y := 4; y < 10; y++ {
		for x := 3; x < 8; x++ {
			mask.SetGray(x, y, color.Gray{0})
		}
	}
	l := look(exitOK, savePNG(t, filepath.Join(dir, "mask.png"), mask))
	if len(l.Locations) != 0 { // the rest is black
		t.Errorf("what the mask hides is found: %+v", l)
	}
	look(exitInput, path)
	look(exitIO, filepath.Join(dir, "none.png"))
}

// What is found in one frame alone is not shown, and what is missed in one is.
func TestStreamSmooth(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	red, nothing := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 0, 255}
	path := video(t, dir, image.Rect(30, 40, 80, 100), red, nothing, red, red, nothing, red)
	out, _ := expect(t, exitOK, "stream", "--model", model, "--format", "rgb24", "--size", "160x120", path, "--smooth", "--min-p", "0.5")
	var got []int
	for s := range strings.Lines(out) {
		var l streamLine
		decode(t, s, &l)
		got = append(got, len(l.Locations))
	}
	want := []int{0, 0, 0, 1, 1, 1}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("boxes a frame %v, want %v", got, want)
		}
	}
}

// stuck is an output that nobody reads.
type stuck struct{ entered, leave chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.leave
	return 0, io.ErrClosedPipe
}

// An overlay that nobody takes does not hold up a camera's answers, and keeps two of them at most.
func TestViewerStuck(t *testing.T) {
	out := stuck{make(chan struct{}, 1), make(chan struct{})}
	v := newViewer(out, "mjpeg", 0, true, &env{err: io.Discard})
	answer := func() *rfgaedge.Answer {
		return &rfgaedge.Answer{Frame: &rfgaedge.Frame{Format: rfgaedge.Gray8, Width: 8, Height: 8, Planes: [3][]byte{make([]byte, 64)}}}
	}
	seen := map[*rfgaedge.Answer]bool{}
	a := answer()
	for stuckNow := false; ; {
		seen[a] = true
		next, err := v.show(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if a = next; a.Frame == nil {
			*a = *answer()
		}
		select {
		case <-out.entered:
			stuckNow = true
		default:
		}
		if stuckNow {
			break
		}
	}
	for range 1000 {
		next, err := v.show(t.Context(), a)
		if err != nil || next != a {
			t.Fatalf("an answer is taken while another is being drawn, error %v", err)
		}
	}
	if len(seen) > 2 {
		t.Errorf("%d answers", len(seen))
	}
	close(out.leave)
	if err := v.finish(); exitCode(err) != exitIO {
		t.Errorf("error %v", err)
	}
}

// An interruption ends the command even if nobody reads its output.
func TestStreamInterruptedWhileStuck(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	path := video(t, dir, image.Rect(30, 40, 80, 100), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255})
	ctx, cancel := context.WithCancel(t.Context())
	out := stuck{make(chan struct{}, 1), make(chan struct{})}
	defer close(out.leave)
	ended := make(chan error, 1)
	c := &streamCmd{Input: path}
	c.Model, c.TopK, c.Threads, c.Every, c.Format, c.Size = model, 1, 1, 1, "rgb24", "160x120"
	go func() { ended <- c.Run(&env{ctx: ctx, in: strings.NewReader(""), out: out, err: io.Discard}) }()
	<-out.entered
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
