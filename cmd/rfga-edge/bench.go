package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime"
)

type benchCmd struct {
	Model   benchModelCmd   `cmd:"" default:"withargs" help:"Measure a model; the word model may be left out."`
	Kernels benchKernelsCmd `cmd:"" help:"Measure every kernel of this CPU at the shapes of a model."`
}

type benchModelCmd struct {
	Models  []string `arg:"" optional:"" name:"model" placeholder:"M.rfga" help:"Model; without it the one built in. With --compare, also other precisions of it."`
	Threads int      `default:"1" placeholder:"N" help:"Threads (${default})."`
	Batch   int      `default:"1" placeholder:"N" help:"Images per run (${default})."`
	Seconds float64  `default:"2" placeholder:"S" help:"How long to measure (${default}), after a warm-up."`
	Layers  bool     `help:"Also measure every operator."`
	Compare []string `placeholder:"PRECISION" help:"Compare int8, fp16, fp32: which is fastest here, and what it costs against fp32."`
	Input   string   `placeholder:"DIR|X.npy" help:"With --compare, images to judge by: a folder of photos, or normalised float32 of shape N,3,H,W; without it noise."`
	JSON    bool     `name:"json" help:"Print one JSON object."`
	mathFlags
}

// Help is what 'bench --help' adds.
func (*benchCmd) Help() string {
	return `'rfga-edge bench [M.rfga] [flags]' measures a model; 'rfga-edge bench model --help' lists its flags. A file named model or kernels needs a path, as ./model.`
}

// Help is what 'bench model --help' adds.
func (*benchModelCmd) Help() string {
	return `A run computes every output (for a localizer all class maps), from an image's bytes. The input is noise: the time does not depend on it.

'rfga-edge bench M.rfga --compare int8,fp16,fp32' wants a model with float32 weights. The int8 model is looked for beside it, M.int8.rfga next to M.rfga or M.fp32.rfga, or named as well; so is the fp16 model, which is otherwise made from M. All are measured in turn, round by round, and run on the same images: how often the most likely class is fp32's, and how well logits and class maps (each less its mean) correlate with fp32's.`
}

// benchResult is the JSON object of a measurement. Times are of runs, a run being the whole batch.
type benchResult struct {
	V         int          `json:"v"`
	Version   string       `json:"version"`
	Model     string       `json:"model"`
	Digest    string       `json:"digest"`
	Precision string       `json:"precision"`
	ISA       string       `json:"isa"`
	Threads   int          `json:"threads"`
	Batch     int          `json:"batch"`
	GMAC      float64      `json:"gmac"` // of a run
	P50       float64      `json:"p50_ms"`
	P90       float64      `json:"p90_ms"`
	Min       float64      `json:"min_ms"`
	Rate      float64      `json:"gmac_per_s"`   // at p50
	PeakRSS   float64      `json:"peak_rss_mib"` // up to the first result
	Cold      float64      `json:"cold_s"`       // process start to first result
	Layers    []layerBench `json:"layers,omitempty"`
	Times     []float64    `json:"times_ms"`
}

type layerBench struct {
	Name   string  `json:"name"`
	Kind   string  `json:"kind"`
	Kernel string  `json:"kernel"`
	GMAC   float64 `json:"gmac"`
	P50    float64 `json:"p50_ms"`
	Rate   float64 `json:"gmac_per_s"`
}

const (
	minRuns = 4
	maxRuns = 1 << 20
)

func (c *benchModelCmd) Run(e *env) error {
	if !(c.Seconds > 0 && c.Seconds <= 3600) {
		return usage("--seconds %g: above 0, at most 3600", c.Seconds)
	}
	if c.Batch < 1 || c.Batch > 1024 {
		return usage("--batch %d: 1 to 1024", c.Batch)
	}
	if err := checkThreads(c.Threads); err != nil {
		return err
	}
	for _, p := range c.Compare {
		if !slices.Contains([]string{"int8", "fp16", "fp32"}, p) {
			return usage("--compare %s: int8, fp16 and fp32 can be compared", p)
		}
	}
	if len(c.Compare) > 0 {
		if c.Batch != 1 || c.Layers {
			return usage("--compare goes with neither --batch nor --layers")
		}
		return c.compare(e)
	}
	path := ""
	switch {
	case len(c.Models) > 1:
		return usage("%d models: one at a time, or --compare", len(c.Models))
	case c.Input != "":
		return usage("--input is for --compare")
	case len(c.Models) == 1:
		path = c.Models[0]
	}
	model, err := openModel(path, c.options()...)
	if err != nil {
		return err
	}
	defer model.Close()
	session, images, err := c.session(model, false)
	if err != nil {
		return err
	}
	defer session.Close()

	run := func() error {
		for i, pix := range images {
			if err := session.SetImage(i, pix); err != nil {
				return badModel(err)
			}
		}
		return session.Run(e.ctx)
	}
	if err := run(); err != nil {
		return err
	}
	r := &benchResult{V: 1, Version: version(), Model: model.Name(), Digest: model.Digest(), Precision: model.Precision(), ISA: kernels.ISAName(),
		Threads: c.Threads, Batch: c.Batch,
		Cold: round(sinceStart().Seconds(), 3), PeakRSS: round(peakRSS(), 1)}
	warm := min(0.3, c.Seconds/2)
	if _, err := measure(e.ctx, warm, 1, run); err != nil {
		return err
	}
	if r.Times, err = measure(e.ctx, c.Seconds, minRuns, run); err != nil {
		return err
	}
	r.GMAC = float64(totalMACs(model)) * float64(c.Batch) / 1e9
	sorted := slices.Sorted(slices.Values(r.Times))
	r.P50, r.P90, r.Min = quantile(sorted, 0.5), quantile(sorted, 0.9), sorted[0]
	r.Rate = round(r.GMAC/r.P50*1e3, 2)
	if c.Layers {
		if r.Layers, err = c.layers(e.ctx, model); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(e.out, r)
	}
	return r.print(e)
}

// session makes a session and as many images of noise as it takes, the same ones every time.
func (c *benchModelCmd) session(model *rfgaedge.Model, timings bool) (*runtime.Session, [][]byte, error) {
	s, err := model.Runtime().NewSession(runtime.Options{Threads: c.Threads, Batch: c.Batch, Timings: timings})
	if err != nil {
		return nil, nil, badModel(err)
	}
	w, h := model.InputSize()
	images := make([][]byte, c.Batch)
	pix := noise(c.Batch * 3 * w * h)
	for i := range images {
		images[i] = pix[i*3*w*h : (i+1)*3*w*h]
	}
	return s, images, nil
}

// noise is n bytes, the same ones every time.
func noise(n int) []byte {
	b, seed := make([]byte, n), uint32(1)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}

// measure runs until the seconds are over, but a least number of times, and returns how long each run took in ms.
func measure(ctx context.Context, seconds float64, least int, run func() error) ([]float64, error) {
	var times []float64
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for len(times) < maxRuns && (len(times) < least || time.Now().Before(end)) {
		begin := time.Now()
		if err := run(); err != nil {
			return nil, err
		}
		times = append(times, round(float64(time.Since(begin).Nanoseconds())/1e6, 4))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// layers measures every step in a session of its own, because looking at the clock costs time too. One image a run.
func (c *benchModelCmd) layers(ctx context.Context, model *rfgaedge.Model) ([]layerBench, error) {
	one := *c
	one.Batch = 1
	session, images, err := one.session(model, true)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	steps := model.Runtime().Steps()
	times := make([][]float64, len(steps))
	if err := session.SetImage(0, images[0]); err != nil {
		return nil, badModel(err)
	}
	_, err = measure(ctx, c.Seconds, minRuns, func() error {
		if err := session.Run(ctx); err != nil {
			return err
		}
		for i, t := range session.StepTimes() {
			times[i] = append(times[i], float64(t.Nanoseconds())/1e6)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var list []layerBench
	for i, s := range steps {
		slices.Sort(times[i])
		l := layerBench{Name: s.Name, Kind: s.Kind.String(), Kernel: s.Kernel, GMAC: float64(s.MACs) / 1e9, P50: round(quantile(times[i], 0.5), 4)}
		if l.P50 > 0 {
			l.Rate = round(l.GMAC/l.P50*1e3, 2)
		}
		list = append(list, l)
	}
	return list, nil
}

func totalMACs(model *rfgaedge.Model) (n int64) {
	for _, s := range model.Runtime().Steps() {
		n += s.MACs
	}
	return n
}

func (r *benchResult) print(e *env) error {
	fmt.Fprintf(e.out, "%s  %s on %s, %d thread%s, batch %d\n", r.Model, r.Precision, r.ISA, r.Threads, plural(r.Threads), r.Batch)
	fmt.Fprintf(e.out, "p50 %.3f ms   p90 %.3f ms   min %.3f ms   %d runs\n", r.P50, r.P90, r.Min, len(r.Times))
	_, err := fmt.Fprintf(e.out, "%.3f GMAC, %.1f GMAC/s   peak RSS %.0f MiB   cold start %.2f s\n", r.GMAC, r.Rate, r.PeakRSS, r.Cold)
	if err != nil || r.Layers == nil {
		return badIO(err)
	}
	var sum float64
	for _, l := range r.Layers {
		sum += l.P50
	}
	fmt.Fprintln(e.out)
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "p50 ms\tshare\tMMAC\tGMAC/s\t  operator\t")
	for _, l := range r.Layers {
		fmt.Fprintf(w, "%.3f\t%.1f %%\t%.2f\t%.1f\t  %s %s (%s)\n", l.P50, 100*l.P50/max(sum, 1e-9), l.GMAC*1e3, l.Rate, l.Kind, l.Name, l.Kernel)
	}
	fmt.Fprintf(w, "%.3f\t100.0 %%\t%.2f\t%.1f\t  all\n", sum, r.GMAC/float64(r.Batch)*1e3, r.GMAC/float64(r.Batch)/max(sum, 1e-9)*1e3)
	return badIO(w.Flush())
}

// quantile of sorted values, linear between neighbours.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	j := min(i+1, len(sorted)-1)
	return round(sorted[i]+(at-float64(i))*(sorted[j]-sorted[i]), 4)
}

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
