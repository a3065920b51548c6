package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/convert"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime"
)

// compareResult is the JSON object of a comparison of precisions.
type compareResult struct {
	V       int           `json:"v"`
	Version string        `json:"version"`
	Model   string        `json:"model"`
	ISA     string        `json:"isa"`
	Threads int           `json:"threads"`
	Fastest string        `json:"fastest"`
	Input   string        `json:"input"`
	Images  int           `json:"images"`
	Forms   []compareForm `json:"forms"`
}

// compareForm is one precision. What it costs is against fp32, absent for fp32 itself and where an output is missing.
type compareForm struct {
	Precision string    `json:"precision"`
	File      string    `json:"file"` // empty if it was made here
	Bytes     int64     `json:"bytes,omitempty"`
	P50       float64   `json:"p50_ms"`
	Min       float64   `json:"min_ms"`
	Top1      *float64  `json:"top1_agreement,omitempty"`
	Logits    *float64  `json:"logits_correlation,omitempty"`
	Maps      *float64  `json:"maps_correlation,omitempty"`
	Times     []float64 `json:"times_ms"`

	model   *rfgaedge.Model
	session *runtime.Session
	outputs []outputs32
}

// outputs32 is what one image gives.
type outputs32 struct{ logits, maps []float32 }

const (
	compareRounds = 7
	compareImages = 8 // of noise
)

func (c *benchModelCmd) compare(e *env) error {
	forms, err := c.openForms()
	defer func() {
		for i := range forms {
			if f := &forms[i]; f.session != nil {
				f.session.Close()
			}
			if f := &forms[i]; f.model != nil {
				f.model.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	reference := forms[0].model
	src, err := c.compareInput(reference)
	if err != nil {
		return err
	}
	defer src.Close()
	r := &compareResult{V: 1, Version: version(), Model: reference.Name(), ISA: kernels.Features().String(), Threads: c.Threads, Input: c.Input, Images: src.Len()}
	if r.Input == "" {
		r.Input = "noise"
	}
	for i := range forms {
		f := &forms[i]
		if f.session, err = f.model.Runtime().NewSession(runtime.Options{Threads: c.Threads}); err != nil {
			return badModel(err)
		}
	}
	if err := runForms(e, forms, src); err != nil {
		return err
	}
	for i := range forms {
		forms[i].judge(forms[0].outputs)
	}
	if err := c.timeForms(e.ctx, forms); err != nil {
		return err
	}
	// The reference was needed for its accuracy; it is listed if it was asked for.
	r.Forms = slices.DeleteFunc(slices.Clone(forms), func(f compareForm) bool { return !slices.Contains(c.Compare, f.Precision) })
	slices.SortFunc(r.Forms, func(a, b compareForm) int {
		return slices.Index(c.Compare, a.Precision) - slices.Index(c.Compare, b.Precision)
	})
	r.Fastest = slices.MinFunc(r.Forms, func(a, b compareForm) int { return cmp.Compare(a.P50, b.P50) }).Precision
	if c.JSON {
		return printJSON(e.out, r)
	}
	return r.print(e)
}

// openForms opens the model and its other precisions, fp32 first.
func (c *benchModelCmd) openForms() (forms []compareForm, err error) {
	if len(c.Models) == 0 {
		return nil, usage("--compare needs a model with float32 weights: name one")
	}
	add := func(path string) error {
		m, err := openModel(path, c.options()...)
		if err != nil {
			return err
		}
		f := compareForm{Precision: m.Precision(), File: path, model: m}
		if info := m.Runtime().Info(); info != nil {
			f.Bytes = info.FileSize
		}
		f.Precision, _, _ = strings.Cut(f.Precision, "+") // int8 with some float layers
		for _, o := range forms {
			if o.Precision == f.Precision {
				m.Close()
				return usage("%s and %s are both %s", o.File, path, f.Precision)
			}
		}
		forms = append(forms, f)
		return nil
	}
	for _, path := range c.Models {
		if err := add(path); err != nil {
			return forms, err
		}
	}
	at := slices.IndexFunc(forms, func(f compareForm) bool { return f.Precision == "fp32" })
	if at < 0 {
		return forms, badModel(fmt.Errorf("%s: --compare measures against float32 weights, this model's are %s", c.Models[0], forms[0].Precision))
	}
	forms[0], forms[at] = forms[at], forms[0]
	for _, want := range c.Compare {
		if slices.ContainsFunc(forms, func(f compareForm) bool { return f.Precision == want }) {
			continue
		}
		path := beside(forms[0].File, want)
		_, statErr := os.Stat(path)
		switch {
		case statErr == nil:
			err = add(path)
		case !errors.Is(statErr, fs.ErrNotExist):
			err = badIO(statErr)
		case want == "fp16":
			var rt *runtime.Model
			if rt, err = runtime.FromFormat(convert.ToFP16(forms[0].model.Runtime().Format())); err == nil {
				var m *rfgaedge.Model
				if m, err = rfgaedge.New(rt); err == nil {
					forms = append(forms, compareForm{Precision: want, model: m})
				}
			}
			err = badModel(err)
		default:
			err = usage("there is no %s: make it with 'rfga-edge convert', or name the %s model too", path, want)
		}
		if err != nil {
			return forms, err
		}
	}
	for i := range forms[1:] {
		if err := sameNetwork(forms[0].model, forms[1+i].model); err != nil {
			return forms, badModel(fmt.Errorf("%s and %s: %w", forms[0].File, forms[1+i].File, err))
		}
	}
	return forms, nil
}

// beside is where another precision of a model is looked for: M.int8.rfga beside M.rfga or M.fp32.rfga.
func beside(path, precision string) string {
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	stem = strings.TrimSuffix(stem, ".fp32")
	return stem + "." + precision + ".rfga"
}

func sameNetwork(a, b *rfgaedge.Model) error {
	aw, ah := a.InputSize()
	bw, bh := b.InputSize()
	if aw != bw || ah != bh {
		return fmt.Errorf("inputs of %dx%d and %dx%d: not the same network", aw, ah, bw, bh)
	}
	if a.Classes() != b.Classes() {
		return fmt.Errorf("%d and %d classes: not the same network", a.Classes(), b.Classes())
	}
	return nil
}

// compareInput is what accuracy is measured on.
func (c *benchModelCmd) compareInput(m *rfgaedge.Model) (calibration, error) {
	if c.Input != "" {
		return openCalibration(c.Input, m.Runtime().Format())
	}
	fm := m.Runtime().Format()
	return &noiseSource{w: fm.Pre.Width, h: fm.Pre.Height, mean: fm.Pre.Mean, std: fm.Pre.Std, x: make([]float32, 3*fm.Pre.Width*fm.Pre.Height)}, nil
}

// noiseSource makes images that are a little like photos: noise at every scale, more of it at large ones, the same in every
// run. Flat noise would tell little: to a network it is one and the same image.
type noiseSource struct {
	w, h      int
	mean, std [3]float32
	x         []float32
}

func (s *noiseSource) Len() int          { return compareImages }
func (s *noiseSource) Close() error      { return nil }
func (s *noiseSource) Name(i int) string { return fmt.Sprintf("noise, image %d", i) }

func (s *noiseSource) At(n int) ([]float32, error) {
	seed := uint32(n + 1)
	random := func() float32 { // -1 to 1
		seed = seed*1664525 + 1013904223
		return float32(int32(seed)) / (1 << 31)
	}
	clear(s.x)
	size := s.w * s.h
	for cell := max(s.w, s.h); cell >= 1; cell /= 2 {
		across, down := s.w/cell+2, s.h/cell+2
		grid := make([]float32, 4*across*down) // shared by the colours, and one of each
		for i := range grid {
			grid[i] = random()
		}
		for c := range 3 {
			own := grid[(c+1)*across*down:]
			for y := range s.h {
				gy, fy := y/cell, float32(y%cell)/float32(cell)
				for x := range s.w {
					gx, fx := x/cell, float32(x%cell)/float32(cell)
					i := gy*across + gx
					at := func(j int) float32 { return 0.8*grid[j] + 0.4*own[j] }
					top := at(i) + fx*(at(i+1)-at(i))
					bottom := at(i+across) + fx*(at(i+across+1)-at(i+across))
					s.x[c*size+y*s.w+x] += 0.25 * (top + fy*(bottom-top))
				}
			}
		}
	}
	for i, v := range s.x {
		c := i / size
		s.x[i] = (min(max(0.45+v, 0), 1) - s.mean[c]) / s.std[c]
	}
	return s.x, nil
}

// runForms computes every form's outputs for every image.
func runForms(e *env, forms []compareForm, src calibration) error {
	step, end := progress(e.err, "comparing")
	defer end()
	for i := range src.Len() {
		x, err := src.At(i)
		if err != nil {
			return err
		}
		for j := range forms {
			f := &forms[j]
			if err := f.session.SetFloat(0, x); err != nil {
				return badModel(err)
			}
			if err := f.session.Run(e.ctx); err != nil {
				return err
			}
			o, err := f.take()
			if err != nil {
				return badModel(err)
			}
			f.outputs = append(f.outputs, o)
		}
		step(i+1, src.Len())
	}
	return nil
}

// take copies the outputs. A network without named logits is judged by its first output.
func (f *compareForm) take() (o outputs32, err error) {
	for i, info := range f.session.Outputs() {
		n := 1
		for _, d := range info.Shape[1:] {
			n *= d
		}
		x := make([]float32, n)
		if err := f.session.OutputFloat(0, i, x); err != nil {
			return o, err
		}
		switch {
		case info.Name == "maps":
			h, w, _ := f.model.Runtime().MapShape()
			o.maps = centred(x, h*w)
		case info.Name == "logits", o.logits == nil:
			o.logits = x
		}
	}
	return o, nil
}

// centred subtracts from each map its mean: what is left says where, not how much.
func centred(maps []float32, size int) []float32 {
	for m := range slices.Chunk(maps, max(size, 1)) {
		var sum float64
		for _, v := range m {
			sum += float64(v)
		}
		for i := range m {
			m[i] -= float32(sum / float64(size))
		}
	}
	return maps
}

// judge compares the outputs with the reference's.
func (f *compareForm) judge(ref []outputs32) {
	if f.Precision == "fp32" {
		return
	}
	same := 0
	var logits, maps correlation
	for i, o := range f.outputs {
		if argmax(o.logits) == argmax(ref[i].logits) {
			same++
		}
		logits.add(o.logits, ref[i].logits)
		maps.add(o.maps, ref[i].maps)
	}
	share := round(float64(same)/float64(len(f.outputs)), 4)
	f.Top1, f.Logits, f.Maps = &share, logits.value(), maps.value()
}

func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// correlation is Pearson's, over pairs that come in parts.
type correlation struct{ n, a, b, aa, bb, ab float64 }

func (c *correlation) add(a, b []float32) {
	if len(a) != len(b) {
		return
	}
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		c.n++
		c.a, c.b, c.aa, c.bb, c.ab = c.a+x, c.b+y, c.aa+x*x, c.bb+y*y, c.ab+x*y
	}
}

// value is nil where there is nothing to correlate.
func (c *correlation) value() *float64 {
	va, vb := c.aa-c.a*c.a/c.n, c.bb-c.b*c.b/c.n
	if c.n == 0 || !(va > 0) || !(vb > 0) {
		return nil
	}
	r := round((c.ab-c.a*c.b/c.n)/math.Sqrt(va*vb), 5)
	return &r
}

// timeForms visits every form in every round, so that the machine's drift hits all alike.
func (c *benchModelCmd) timeForms(ctx context.Context, forms []compareForm) error {
	slice := c.Seconds / compareRounds / float64(len(forms))
	for round := range compareRounds + 1 {
		for i := range forms {
			f := &forms[(i+round)%len(forms)]
			times, err := measure(ctx, slice, 1, func() error { return f.session.Run(ctx) })
			if err != nil {
				return err
			}
			if round > 0 { // the first warms up
				f.Times = append(f.Times, times...)
			}
		}
	}
	for i := range forms {
		sorted := slices.Sorted(slices.Values(forms[i].Times))
		forms[i].P50, forms[i].Min = quantile(sorted, 0.5), sorted[0]
	}
	return nil
}

func (r *compareResult) print(e *env) error {
	fmt.Fprintf(e.out, "%s on %s, %d thread%s, %d images of %s\n\n", r.Model, r.ISA, r.Threads, plural(r.Threads), r.Images, printable(r.Input))
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "precision\tp50 ms\tmin ms\tMiB\ttop-1 as fp32\tlogits corr\tmaps corr\t")
	for _, f := range r.Forms {
		size := "-"
		if f.Bytes > 0 {
			size = fmt.Sprintf("%.1f", float64(f.Bytes)/(1<<20))
		}
		mark := ""
		if f.Precision == r.Fastest {
			mark = "fastest"
		}
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%s\t%s\t%s\t%s\t%s\n", f.Precision, f.P50, f.Min, size,
			orDash(f.Top1, "%.1f %%", 100), orDash(f.Logits, "%.5f", 1), orDash(f.Maps, "%.5f", 1), mark)
	}
	return badIO(w.Flush())
}

func orDash(v *float64, format string, scale float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v*scale)
}
