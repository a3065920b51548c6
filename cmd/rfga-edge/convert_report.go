package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/report"
	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/rfga"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// worstPairs is how many images a report shows.
const worstPairs = 6

// shareRuns bounds what measuring shares costs: runs of the float network, but at least one image.
const shareRuns = 128

// measure compares q with the float network over the images it was calibrated with, puts the result into q, and returns the
// page about it.
func (c *convertCmd) measure(e *env, q *format.Model, rep *quant.Report, src calibration, o quant.Options) (*report.Page, error) {
	step, end := progress(e.err, "measuring")
	defer end()
	o.Progress = step
	r := &comparer{q: q, src: src}
	m, err := quant.Measure(e.ctx, q, rep.Twin, src, o, r.compare)
	if err != nil {
		return nil, err
	}
	if err := c.share(e.ctx, q, rep, m, src, o, r); err != nil {
		return nil, err
	}
	q.Quality = m.Quality(q, rep)
	r.sumUp(q.Quality)
	pairs, err := r.draw()
	if err != nil {
		return nil, err
	}
	return &report.Page{Model: q, Report: rep, Measured: m, Worst: pairs, Command: "rfga-edge " + release + " convert --report"}, nil
}

// share finds each layer's part in the error of the outputs, on the images that fared worst.
func (c *convertCmd) share(ctx context.Context, q *format.Model, rep *quant.Report, m *quant.Measurement, src calibration, o quant.Options, r *comparer) error {
	n := min(max(shareRuns/max(len(m.Layers), 1), 1), len(r.worst))
	var images []int
	for _, w := range r.worst[:n] {
		images = append(images, w.index)
	}
	shares, err := quant.Shares(ctx, q, rep.Twin, src, images, max(o.Threads, 2))
	if err != nil {
		return err
	}
	for i := range m.Layers {
		m.Layers[i].Share = shares[m.Layers[i].Tensor]
	}
	return nil
}

// comparer looks at the answers of both networks, image by image, and remembers the worst.
type comparer struct {
	q                       *format.Model
	src                     calibration
	mapper                  rfga.Mapper
	images, agreed, located int
	correlation, overlap    float64
	worst                   []compared // the worst first
}

// compared is an image with both answers.
type compared struct {
	index       int
	badness     float64
	float, int8 answer
	located     bool
	correlation float64
	iou         float64
	mapH, mapW  int
}

// answer is the most probable class with its map.
type answer struct {
	class int
	p     float64
	cam   []float32
}

// compare takes the answers to one image.
func (r *comparer) compare(i int, float, quantized *runtime.Session) error {
	c := compared{index: i}
	at := scoresOf(r.q)
	var err error
	if at >= 0 {
		if c.float, err = top(float, at, r.q); err != nil {
			return err
		}
		if c.int8, err = top(quantized, at, r.q); err != nil {
			return err
		}
		if r.images++; c.float.class == c.int8.class {
			r.agreed++
		} else {
			c.badness += 2
		}
		c.badness += math.Abs(c.float.p - c.int8.p)
	}
	if c.mapH, c.mapW = mapShape(r.q); at >= 0 && c.mapH*c.mapW > 1 {
		if err := r.locate(&c, float, quantized); err != nil {
			return err
		}
	}
	k, _ := slices.BinarySearchFunc(r.worst, c, func(a, b compared) int {
		return cmp.Or(cmp.Compare(b.badness, a.badness), cmp.Compare(a.index, b.index))
	})
	if k < worstPairs {
		r.worst = slices.Insert(r.worst[:min(len(r.worst), worstPairs-1)], k, c)
	}
	return nil
}

// locate compares the maps and boxes of the class that the float network names.
func (r *comparer) locate(c *compared, float, quantized *runtime.Session) error {
	for _, a := range []struct {
		s *runtime.Session
		*answer
	}{{float, &c.float}, {quantized, &c.int8}} {
		a.cam = make([]float32, c.mapH*c.mapW)
		if err := a.s.ClassMap(0, c.float.class, a.cam); err != nil {
			return err
		}
	}
	c.located, c.correlation = true, alike(c.float.cam, c.int8.cam)
	_, f := r.box(c.float.cam, c)
	_, q := r.box(c.int8.cam, c)
	if c.iou = 1; f != q { // both may have none
		c.iou = rfga.IoU(f, q)
	}
	r.located++
	r.correlation += c.correlation
	r.overlap += c.iou
	c.badness += 1 - c.correlation + (1-c.iou)/2
	return nil
}

// box is the largest box of a class map, and the heat map, in pixels of the network's input.
func (r *comparer) box(cam []float32, c *compared) ([]float64, rfga.Box) {
	w, h := r.q.Pre.Width, r.q.Pre.Height
	norm, threshold := r.q.Loc.Norm, float64(r.q.Loc.Threshold)
	if norm == 0 { // as localize does
		norm, threshold = format.HeatP65, 0.05
	}
	heat := make([]float64, w*h)
	r.mapper.HeatMap(heat, w, h, cam, c.mapW, c.mapH, rfga.Norm(norm))
	boxes := r.mapper.Boxes(heat, w, h, threshold, false)
	if len(boxes) == 0 {
		return heat, rfga.Box{}
	}
	return heat, boxes[0]
}

func (r *comparer) sumUp(q *format.Quality) {
	q.Classified, q.Agreed, q.Located = r.images, r.agreed, r.located
	if r.located > 0 {
		q.Correlation = float32(min(max(r.correlation/float64(r.located), -1), 1))
		q.IoU = float32(min(max(r.overlap/float64(r.located), 0), 1))
	}
}

// scoresOf is the output that classifies: "logits", or else the first flat one of several values; -1 without.
func scoresOf(m *format.Model) int {
	best := -1
	for i, o := range m.Outputs {
		t := &m.Tensors[o.Tensor]
		if o.Name == "logits" {
			return i
		}
		if best < 0 && t.Shape[1] == 1 && t.Shape[2] == 1 && t.Shape[3] > 1 {
			best = i
		}
	}
	return best
}

// mapShape is the size of the class maps of a model with a class activation head; zeros without.
func mapShape(m *format.Model) (h, w int) {
	for i := range m.Ops {
		if op := &m.Ops[i]; op.Kind == format.OpCAMHead {
			s := m.Tensors[op.Inputs[0]].Shape
			h, w = s[1], s[2]
		}
	}
	return h, w
}

// top is the class with the largest score, with its probability if the scores are logits.
func top(s *runtime.Session, output int, m *format.Model) (answer, error) {
	v := make([]float32, m.Tensors[m.Outputs[output].Tensor].Elements())
	if err := s.OutputFloat(0, output, v); err != nil {
		return answer{}, err
	}
	a := answer{}
	for k, x := range v {
		if x > v[a.class] {
			a.class = k
		}
	}
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(float64(x) - float64(v[a.class]))
	}
	a.p = 1 / sum
	if m.Tensors[m.Outputs[output].Tensor].DType == format.F32 { // a softmax has been applied
		a.p = float64(v[a.class])
	}
	return a, nil
}

// alike is the correlation of two maps, 1 for two that do not vary and 0 where only one does.
func alike(a, b []float32) float64 {
	var c correlation
	c.add(a, b)
	if v := c.value(); v != nil {
		return *v
	}
	if flat(a) && flat(b) {
		return 1
	}
	return 0
}

func flat(v []float32) bool { return len(v) == 0 || slices.Min(v) == slices.Max(v) }

// draw makes the pictures of the worst images.
func (r *comparer) draw() ([]report.Pair, error) {
	var out []report.Pair
	for i := range r.worst {
		c := &r.worst[i]
		x, err := r.src.At(c.index)
		if err != nil {
			return nil, err
		}
		rgb := pixelsOf(x, &r.q.Pre)
		p := report.Pair{Name: r.src.Name(c.index), Located: c.located, Correlation: c.correlation, IoU: c.iou}
		if p.Float, err = r.picture(rgb, &c.float, c, "float"); err != nil {
			return nil, err
		}
		if p.Int8, err = r.picture(rgb, &c.int8, c, "int8"); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// picture draws one answer over the image as the network sees it.
func (r *comparer) picture(rgb []byte, a *answer, c *compared, network string) (report.Answer, error) {
	w, h := r.q.Pre.Width, r.q.Pre.Height
	out := report.Answer{Class: fmt.Sprintf("class %d", a.class), P: a.p}
	if a.class < len(r.q.Labels) {
		out.Class = printable(r.q.Labels[a.class])
	}
	out.Alt = fmt.Sprintf("the image; the %s network says %s", network, out.Class)
	var heat *overlay.Heat
	var marks []overlay.Mark
	if c.located {
		pix, box := r.box(a.cam, c)
		heat = &overlay.Heat{Pix: pix, W: w, H: h, Region: image.Rect(0, 0, w, h)}
		if box != (rfga.Box{}) {
			marks = append(marks, overlay.Mark{Box: image.Rect(box.X0, box.Y0, box.X1, box.Y1)})
			out.Alt += fmt.Sprintf(", heat map, box from %d,%d to %d,%d", box.X0, box.Y0, box.X1, box.Y1)
		}
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, overlay.Draw(rgb, w, h, heat, marks), &jpeg.Options{Quality: 82})
	out.JPEG = b.Bytes()
	return out, err
}

// pixelsOf turns a network's normalised input, 3,H,W, back into RGB.
func pixelsOf(x []float32, p *format.Preprocess) []byte {
	n := p.Width * p.Height
	rgb := make([]byte, 3*n)
	for c := range 3 {
		to := c
		if p.Order == format.BGR {
			to = 2 - c
		}
		for i, v := range x[c*n : (c+1)*n] {
			rgb[3*i+to] = byte(math.Round(255 * min(max(float64(v)*float64(p.Std[c])+float64(p.Mean[c]), 0), 1)))
		}
	}
	return rgb
}

// writeReport writes the page; it appears under its name only when it is complete.
func writeReport(path string, p *report.Page) error {
	return badIO(outdir.WriteFile(path, p.Write))
}
