package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
	"github.com/rfga-edge/rfga-edge/frame"
)

type localizeCmd struct {
	Images []string `arg:"" name:"image" help:"Image file, folder (the images directly in it, by name), or - for standard input."`
	lookFlags
	Overlay   string `placeholder:"DIR" help:"Write DIR/NAME.overlay.png: the photo with heat map, boxes and labels."`
	Heatmap   string `placeholder:"DIR" help:"Write DIR/NAME.heat.png: the heat map in the photo's size, 8-bit gray, 255 times the heat."`
	Attention string `placeholder:"DIR" help:"Write DIR/NAME.attention.png: the attention's three views, their sum M, and the class map without attention and with it, side by side."`
	JSON      bool   `name:"json" help:"One JSON object a line."`
}

// Help is what 'localize --help' adds.
func (*localizeCmd) Help() string {
	return `For each image one line: name, class, probability, and the box as [x0,y0,x1,y1] in the image's pixels, x1 and y1 not included. With several classes or boxes they follow on the same line.

JPEG (turned as its EXIF data say), PNG, WebP, GIF (first frame) and BMP. An image that cannot be read gives an error and the others go on; the exit code is then 4, or 5 if a file could not be opened at all.

The model that is built in knows the 1000 classes of ImageNet: animals, plants, food, vehicles, tools and other things; no people. It names one class for the whole picture, best where one object fills much of it, and draws its box from a map of 10x10, so boxes are coarse. defaultmodel/MODEL_CARD.md has its data, licences and accuracy; --attention needs a model with RFGA, as it is.`
}

func (c *localizeCmd) Run(e *env) error {
	if slices.Index(c.Images, stdinName) >= 0 && slices.Index(c.Images[slices.Index(c.Images, stdinName)+1:], stdinName) >= 0 {
		return usage("standard input (-) can be read only once")
	}
	model, options, err := c.open()
	if err != nil {
		return err
	}
	defer model.Close()
	options.Heat = c.Overlay != "" || c.Heatmap != "" || c.Attention != ""
	session, err := model.NewSession(rfgaedge.Threads(c.Threads), rfgaedge.Localizing(options), rfgaedge.Resizing(rfgaedge.Exact))
	if err != nil {
		return err
	}
	defer session.Close()

	l := &localizer{env: e, model: model, session: session, sources: listSources(c.Images)}
	l.look = l.one
	l.print = l.textPrinter()
	if c.JSON {
		l.print = l.printRecord
	}
	if l.overlays, err = c.folder(c.Overlay, l.sources); err != nil {
		return err
	}
	if l.heats, err = c.folder(c.Heatmap, l.sources); err != nil {
		return err
	}
	if c.Attention != "" {
		if !hasAttention(model) {
			return usage("--attention: model %q has no attention (RFGA) to draw; if convert wrote it out for int16 views, take a float form of the model", model.Name())
		}
		dir, err := c.folder(c.Attention, l.sources)
		if err != nil {
			return err
		}
		if l.attention, err = newAttentionDrawer(model, dir, options); err != nil {
			return err
		}
		defer l.attention.close()
	}
	return l.all()
}

func (c *localizeCmd) folder(path string, sources []source) (*outdir.Dir, error) {
	if path == "" {
		return nil, nil
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.name)
	}
	d, err := outdir.New(path, names)
	return d, badIO(err)
}

// localizer goes through the sources one by one, so that its memory does not grow with their number.
type localizer struct {
	*env
	model     *rfgaedge.Model
	session   *rfgaedge.Session
	sources   []source
	overlays  *outdir.Dir
	heats     *outdir.Dir
	attention *attentionDrawer
	print     func(*finding) error
	look      func(source, *finding)
	record    rfgaedge.Record
}

// finding is what is to be said about one source.
type finding struct {
	source source
	err    error // then the rest is empty
	result *rfgaedge.Result
	decode time.Duration
	files  []string         // written for it
	record *rfgaedge.Record // where it came ready from elsewhere
}

func (l *localizer) all() error {
	worst := exitOK
	var result rfgaedge.Result
	for _, s := range l.sources {
		f := finding{source: s, result: &result}
		if f.err = l.ctx.Err(); f.err == nil {
			l.look(s, &f)
		}
		if errors.Is(f.err, context.Canceled) {
			return f.err
		}
		worst = max(worst, exitCode(f.err))
		if err := l.print(&f); err != nil {
			return err
		}
	}
	if worst != exitOK {
		return &coded{worst, errReported}
	}
	return nil
}

// one localizes a source in this process.
func (l *localizer) one(s source, f *finding) {
	begin := time.Now()
	img, err := s.decode(l.in)
	if err != nil {
		f.err = err
		return
	}
	f.decode = time.Since(begin)
	if f.err = l.session.Localize(l.ctx, frameOf(img), f.result); f.err == nil {
		f.err = l.draw(f, img)
	}
}

func frameOf(img *frame.Image) *rfgaedge.Frame {
	return &rfgaedge.Frame{Format: rfgaedge.RGB24, Width: img.W, Height: img.H, Planes: [3][]byte{img.Pix}}
}

// heatOf is the heat of the first class located, nil if there is none.
func heatOf(r *rfgaedge.Result) *overlay.Heat {
	h := &r.Heat
	if len(h.Pix) == 0 {
		return nil
	}
	return &overlay.Heat{Pix: h.Pix, W: h.Width, H: h.Height, Region: rectangle(h.Region)}
}

// draw writes the pictures that were asked for.
func (l *localizer) draw(f *finding, img *frame.Image) error {
	heat, name := heatOf(f.result), f.source.name
	if name == stdinName {
		name = "stdin"
	}
	write := func(d *outdir.Dir, suffix string, picture func() image.Image) error {
		if d == nil {
			return nil
		}
		path, err := d.Create(name, suffix, func(w io.Writer) error {
			return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(w, picture())
		})
		f.files = append(f.files, path)
		return badIO(err)
	}
	if err := write(l.overlays, ".overlay.png", func() image.Image {
		return overlay.Draw(img.Pix, img.W, img.H, heat, marks(f.result))
	}); err != nil {
		return err
	}
	if err := write(l.heats, ".heat.png", func() image.Image { return overlay.Gray(img.W, img.H, heat) }); err != nil {
		return err
	}
	if l.attention == nil {
		return nil
	}
	files, err := l.attention.draw(l.ctx, name, img, f.result)
	f.files = append(f.files, files...)
	return err
}

func marks(r *rfgaedge.Result) []overlay.Mark {
	var list []overlay.Mark
	group := -1
	for i, loc := range r.Locations {
		m := overlay.Mark{Box: rectangle(loc.Box)}
		if i == 0 || loc.Class != r.Locations[i-1].Class { // a class's largest box says what the others are too
			group++
			m.Label, m.Detail = className(loc.Class), percent(loc.Class.P)
		}
		m.Group = group
		list = append(list, m)
	}
	if list == nil {
		list = append(list, overlay.Mark{Label: "nothing found"})
	}
	return list
}

func rectangle(b rfgaedge.Box) image.Rectangle { return image.Rect(b.X0, b.Y0, b.X1, b.Y1) }

func className(c rfgaedge.Class) string {
	if c.Label == "" {
		return fmt.Sprintf("class %d", c.ID)
	}
	return c.Label
}

func percent(p float32) string {
	switch {
	case p >= 0.0995:
		return fmt.Sprintf("%.0f %%", 100*p)
	case p >= 0.0005:
		return fmt.Sprintf("%.1f %%", 100*p)
	}
	return "<0.1 %"
}
