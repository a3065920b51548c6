package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
)

// outFlags say where a verb's two outputs go: JSON lines and, if it is asked for, video with what was found drawn on it.
type outFlags struct {
	Out       string `placeholder:"FILE|-" help:"Write the JSON lines there; without it to standard output, or to standard error if the overlay goes to standard output."`
	Overlay   string `name:"overlay-out" placeholder:"FILE|-" help:"Write the frames with heat map, boxes and labels drawn on them, as video: '| ffplay -' shows it."`
	OverlayAs string `name:"overlay-as" placeholder:"y4m|mjpeg" enum:"y4m,mjpeg," default:"" help:"y4m or mjpeg; without it y4m for a FILE.y4m, else mjpeg."`
}

// open opens the outputs. Both are closed by the caller; video is nil if none is asked for.
func (c *outFlags) open(e *env) (lines, video io.WriteCloser, err error) {
	if c.Out == stdinName && c.Overlay == stdinName {
		return nil, nil, usage("--out - and --overlay-out -: standard output takes one of them")
	}
	if c.OverlayAs != "" && c.Overlay == "" {
		return nil, nil, usage("--overlay-as %s says nothing without --overlay-out", c.OverlayAs)
	}
	if f, ok := e.out.(*os.File); ok && c.Overlay == stdinName && term.IsTerminal(int(f.Fd())) {
		return nil, nil, usage("--overlay-out -: standard output is a terminal, which shows no video; name a file or pipe it, such as | ffplay -")
	}
	switch {
	case c.Out == "" && c.Overlay == stdinName:
		lines = unclosed{e.err}
	default:
		if lines, err = create(e, c.Out); err != nil {
			return nil, nil, err
		}
	}
	if c.Overlay == "" {
		return lines, nil, nil
	}
	if video, err = create(e, c.Overlay); err != nil {
		return nil, nil, errors.Join(err, lines.Close())
	}
	return lines, video, nil
}

// format is what the overlay is written as.
func (c *outFlags) format() string {
	switch {
	case c.OverlayAs != "":
		return c.OverlayAs
	case strings.EqualFold(filepath.Ext(c.Overlay), ".y4m"):
		return "y4m"
	}
	return "mjpeg"
}

// unclosed is a standard stream.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// create opens a file to write to, or gives standard output for "" and "-". A FIFO lets nobody in until somebody reads;
// an interruption ends the wait.
func create(e *env, path string) (io.WriteCloser, error) {
	if path == "" || path == stdinName {
		return unclosed{e.out}, nil
	}
	type result struct {
		f   *os.File
		err error
	}
	opened := make(chan result, 1)
	go func() {
		f, err := os.Create(path)
		opened <- result{f, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, badIO(r.err)
		}
		return r.f, nil
	case <-e.ctx.Done():
		return nil, e.ctx.Err()
	}
}

// viewer draws answers in a goroutine of its own, so that whoever watches slowly does not hold up the JSON lines. It has one
// answer at a time: of a camera, answers that come while it is busy are not drawn; of a file it draws every one.
type viewer struct {
	in   chan *rfgaedge.Answer
	free chan *rfgaedge.Answer // answers to fill again
	live bool
	done chan error

	out    *stream.Writer
	err    io.Writer // for what is left out
	canvas *image.RGBA
	rgb    []byte
	said   bool
}

// newViewer starts to draw to w. The caller closes it with finish.
func newViewer(w io.Writer, format string, fps float64, live bool, e *env) *viewer {
	v := &viewer{in: make(chan *rfgaedge.Answer), free: make(chan *rfgaedge.Answer, 2), live: live, done: make(chan error, 1),
		out: stream.NewWriter(w, format, fps), err: e.err}
	v.free <- new(rfgaedge.Answer)
	go func() { v.done <- v.run() }()
	return v
}

// show hands an answer over, and returns the one to fill next: another one, or the same if the viewer was busy.
func (v *viewer) show(ctx context.Context, a *rfgaedge.Answer) (*rfgaedge.Answer, error) {
	if v.live {
		select {
		case v.in <- a:
			return <-v.free, nil
		case err := <-v.done:
			v.done <- err
			return a, err
		default:
			return a, nil
		}
	}
	select {
	case v.in <- a:
		return <-v.free, nil
	case err := <-v.done:
		v.done <- err
		return a, err
	case <-ctx.Done():
		return a, nil
	}
}

// finish waits until what was handed over is drawn.
func (v *viewer) finish() error {
	close(v.in)
	return <-v.done
}

func (v *viewer) run() error {
	for a := range v.in {
		if a.Err == nil && a.Frame != nil {
			err := v.draw(a)
			if errors.Is(err, stream.ErrSize) {
				if !v.said {
					fmt.Fprintf(v.err, "rfga-edge: the overlay ends here: %v (--overlay-as mjpeg has not this limit)\n", err)
				}
				v.said, err = true, nil
			}
			if err != nil {
				return badIO(err)
			}
		}
		v.free <- a
	}
	return nil
}

func (v *viewer) draw(a *rfgaedge.Answer) error {
	f, r := a.Frame, &a.Result
	if v.canvas == nil || v.canvas.Rect.Dx() != f.Width || v.canvas.Rect.Dy() != f.Height {
		v.canvas = image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	}
	v.rgb = f.RGB(v.rgb)
	pix := v.canvas.Pix
	for i, o := 0, 0; o < len(pix); i, o = i+3, o+4 {
		pix[o], pix[o+1], pix[o+2], pix[o+3] = v.rgb[i], v.rgb[i+1], v.rgb[i+2], 255
	}
	var heat *overlay.Heat
	if h := r.Heat; len(h.Pix) > 0 {
		heat = &overlay.Heat{Pix: h.Pix, W: h.Width, H: h.Height, Region: rectangle(h.Region)}
	}
	overlay.Paint(v.canvas, heat, marks(r))
	return v.out.Write(v.canvas)
}
