package main

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// attentionDrawer draws what a model pays attention to: the three views, the attention M that they add up to, and the class
// map without it and with it.
type attentionDrawer struct {
	dir     *outdir.Dir
	session *runtime.Session
	flat    *rfgaedge.Session // every attention is the same everywhere
	options rfgaedge.LocalizeOptions
	spec    frame.Spec
	resizer frame.Resizer
	input   []byte
	seen    []*runtime.Attention // by session, in the latest picture
}

func newAttentionDrawer(m *rfgaedge.Model, dir *outdir.Dir, options rfgaedge.LocalizeOptions) (*attentionDrawer, error) {
	d := &attentionDrawer{dir: dir, options: options, spec: rfgaedge.FrameSpec(&m.Runtime().Format().Pre)}
	d.input = make([]byte, 3*d.spec.W*d.spec.H)
	// Features keep the size that the layers behind are used to: every sigmoid counts as 1/2.
	flat, err := withAttention(m, func(a *format.Attr) {
		a.Off = format.RFGAChannels | format.RFGARows | format.RFGAColumns
		a.A += 1.5 * a.B
	})
	if err != nil {
		return nil, badModel(err)
	}
	d.session, err = m.Runtime().NewSession(runtime.Options{Attention: func(_ int, a *runtime.Attention) { d.seen = append(d.seen, a) }})
	if err != nil {
		return nil, badModel(err)
	}
	if d.flat, err = flat.NewSession(rfgaedge.Resizing(rfgaedge.Exact)); err != nil {
		d.session.Close()
		return nil, badModel(err)
	}
	return d, nil
}

func (d *attentionDrawer) close() {
	d.session.Close()
	d.flat.Close()
}

// draw writes a picture for each attention of the model and returns their paths. r is what was found in img, with its heat.
func (d *attentionDrawer) draw(ctx context.Context, name string, img *frame.Image, r *rfgaedge.Result) ([]string, error) {
	if err := d.resizer.Preprocess(d.input, img, d.spec); err != nil {
		return nil, badInput(err)
	}
	if err := d.session.SetImage(0, d.input); err != nil {
		return nil, badModel(err)
	}
	d.seen = d.seen[:0]
	if err := d.session.RunHead(ctx); err != nil {
		return nil, err
	}
	maps, err := d.maps(ctx, img, r)
	if err != nil {
		return nil, err
	}
	var paths []string
	for i, a := range d.seen {
		suffix := ".attention.png"
		if len(d.seen) > 1 {
			suffix = fmt.Sprintf(".attention-%d.png", i+1)
		}
		panels := slices.Concat(d.views(img, a), maps)
		path, err := d.dir.Create(name, suffix, func(w io.Writer) error {
			return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(w, overlay.SideBySide(panels))
		})
		if err != nil {
			return paths, badIO(err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// maps draws the class map with attention the same everywhere, and as it is, each with its boxes; nothing where nothing was
// located.
func (d *attentionDrawer) maps(ctx context.Context, img *frame.Image, r *rfgaedge.Result) ([]overlay.Panel, error) {
	if len(r.Heat.Pix) == 0 {
		return nil, nil
	}
	o := d.options
	o.Classes, o.MinP, o.Heat = []int{r.Heat.Class}, 0, true
	if err := d.flat.SetOptions(o); err != nil {
		return nil, err
	}
	var without rfgaedge.Result
	if err := d.flat.Localize(ctx, frameOf(img), &without); err != nil {
		return nil, err
	}
	detail := func(r *rfgaedge.Result) string {
		for _, l := range r.Locations {
			if l.Class.ID == without.Heat.Class {
				return fmt.Sprintf("%s %s", className(l.Class), percent(l.Class.P))
			}
		}
		return ""
	}
	picture := func(r *rfgaedge.Result) image.Image {
		var boxes []overlay.Mark
		for _, l := range r.Locations {
			if l.Class.ID == without.Heat.Class {
				boxes = append(boxes, overlay.Mark{Box: rectangle(l.Box)})
			}
		}
		return overlay.Draw(img.Pix, img.W, img.H, heatOf(r), boxes)
	}
	return []overlay.Panel{
		{Title: "class map, attention flat", Detail: detail(&without), Picture: picture(&without)},
		{Title: "class map, with attention", Detail: detail(r), Picture: picture(r)},
	}, nil
}

// views draws the attention's parts and their sum, averaged over the channels.
func (d *attentionDrawer) views(img *frame.Image, a *runtime.Attention) []overlay.Panel {
	region := d.spec.Region(img.W, img.H)
	span := func(v []float32) (lo, hi float32, text string) {
		lo, hi = slices.Min(v), slices.Max(v)
		return lo, hi, fmt.Sprintf("%.2f to %.2f", lo, hi)
	}
	photo := overlay.Draw(img.Pix, img.W, img.H, nil, nil)
	clo, chi, ctext := span(a.Channels)
	rlo, rhi, rtext := span(a.Rows)
	wlo, whi, wtext := span(a.Columns)
	// Columns are stored position by position; in the picture a position is a column.
	columns := make([]float32, len(a.Columns))
	for u := range a.W {
		for c := range a.C {
			columns[c*a.W+u] = a.Columns[u*a.C+c]
		}
	}
	sum := make([]float32, a.H*a.W)
	for y := range a.H {
		for u := range a.W {
			total := float32(0)
			for c := range a.C {
				total += a.Channels[c] + a.Rows[y*a.C+c] + a.Columns[u*a.C+c]
			}
			sum[y*a.W+u] = total / float32(a.C)
		}
	}
	mlo, mhi, mtext := span(sum)
	heat := &overlay.Heat{Pix: make([]float64, len(sum)), W: a.W, H: a.H, Region: region}
	for i, v := range sum {
		heat.Pix[i] = float64(v-mlo) / float64(max(mhi-mlo, 1e-6))
	}
	return []overlay.Panel{
		{Title: a.Op, Detail: fmt.Sprintf("%dx%d, %d channels", a.H, a.W, a.C), Picture: photo},
		{Title: "channel view", Detail: ctext, Picture: overlay.Bars(a.Channels, clo, chi)},
		{Title: "row view: rows x channels", Detail: rtext, Picture: overlay.Matrix(a.Rows, a.C, a.H, rlo, rhi)},
		{Title: "column view: channels x columns", Detail: wtext, Picture: overlay.Matrix(columns, a.W, a.C, wlo, whi)},
		{Title: "M, mean of the channels", Detail: mtext, Picture: overlay.Draw(img.Pix, img.W, img.H, heat, nil)},
	}
}
