package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// mixedFlags are those of accuracy-controlled mixed precision.
type mixedFlags struct {
	MaxLoss   string `placeholder:"P%" help:"Raise the layers that int8 harms most until the loss against the float network is at most this, as in 0.5%. It is measured on a quarter of the images, held out of the calibration."`
	Metric    string `enum:",top1,map,iou" default:"" placeholder:"top1|map|iou" help:"What --max-loss is about: share of images with another class, 1 - correlation of class maps, 1 - overlap of boxes (top1)."`
	AllowFP16 bool   `name:"allow-fp16" help:"Let --max-loss make layers fp16 where 16-bit integers are not enough: results are then no longer the same bits on every machine."`
}

func (f *mixedFlags) check() error {
	switch {
	case f.MaxLoss == "" && (f.Metric != "" || f.AllowFP16):
		return usage("--metric and --allow-fp16 say how --max-loss is to be met: give one, as in --max-loss 0.5%%")
	case f.MaxLoss == "":
		return nil
	}
	_, err := f.target()
	return err
}

func (f *mixedFlags) target() (t quant.Target, err error) {
	text, percent := strings.CutSuffix(f.MaxLoss, "%")
	t.MaxLoss, err = strconv.ParseFloat(text, 64)
	if percent {
		t.MaxLoss /= 100
	}
	if err != nil || !(t.MaxLoss >= 0 && t.MaxLoss < 1) {
		return t, usage("--max-loss %s: a share from 0 to less than 1, as in 0.005 or 0.5%%", f.MaxLoss)
	}
	t.AllowFP16 = f.AllowFP16
	if f.Metric != "" {
		t.Metric, err = quant.ParseMetric(f.Metric)
	}
	return t, err
}

// mixed quantizes with as little more than int8 as the target needs. A target that cannot be met is an error, and no file.
func (f *mixedFlags) mixed(e *env, m *format.Model, src quant.Source, o quant.Options) (*quant.Outcome, error) {
	target, err := f.target()
	if err != nil {
		return nil, err
	}
	stage, end := "", func() {}
	var step func(done, total int)
	target.Progress = func(now string, done, total int) {
		if now != stage {
			end()
			stage = now
			step, end = progress(e.err, now)
		}
		step(done, total)
	}
	out, err := quant.QuantizeTo(e.ctx, m, src, o, target)
	end()
	if err != nil {
		return nil, err
	}
	report := &strings.Builder{}
	printOutcome(report, out, target)
	if raised(out) > 0 {
		if err := printCost(e.ctx, report, src, out); err != nil {
			return nil, err
		}
	}
	if _, err := io.WriteString(e.err, report.String()); err != nil {
		return nil, badIO(err)
	}
	if !out.Met {
		return nil, badModel(errors.New(cannotMeet(out, target)))
	}
	return out, nil
}

func raised(out *quant.Outcome) (n int) {
	for _, c := range out.Causes {
		if c.Now != "int8" {
			n++
		}
	}
	return n
}

// shownCauses is how many causes are printed: those of most of the error.
const shownCauses = 12

func printOutcome(w io.Writer, out *quant.Outcome, t quant.Target) {
	fmt.Fprintf(w, "%s loss on %d held-out images: %.3g %% in int8, %.3g %% now, %.3g %% allowed; %d models tried\n",
		t.Metric, out.HeldOut, 100*out.PlainLoss, 100*out.Loss, 100*t.MaxLoss, out.Tried)
	if limit := 3 / float64(out.HeldOut); t.Metric == quant.Top1 && out.Loss <= t.MaxLoss && limit > t.MaxLoss {
		fmt.Fprintf(w, "so few images cannot tell a loss of %.3g %% from one of %.2g %%: give more\n", 100*t.MaxLoss, 100*min(limit, 1))
	}
	if len(out.Causes) == 0 {
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  layer\twhat\tshare of the noise\tnow")
	rest, kept := 0.0, 0
	for i, c := range out.Causes {
		if i >= shownCauses {
			rest += c.Share
			if c.Now != "int8" {
				kept++
			}
			continue
		}
		fmt.Fprintf(tw, "  %s\t%s\t%.1f %%\t%s\n", printable(c.Layer), c.What, 100*c.Share, c.Now)
	}
	if n := len(out.Causes) - shownCauses; n > 0 {
		fmt.Fprintf(tw, "  %d more\t\t%.1f %%\t%d raised\n", n, 100*rest, kept)
	}
	tw.Flush()
}

func cannotMeet(out *quant.Outcome, t quant.Target) string {
	var held []string
	for _, c := range out.Causes {
		if c.Fixed != "" && c.Share > 0 && len(held) < 4 {
			held = append(held, fmt.Sprintf("%s of %s (%s)", c.What, printable(c.Layer), printable(c.Fixed)))
		}
	}
	what := "16 bits for everything that can have them give"
	if t.AllowFP16 {
		what = "the nearest, 16 bits or fp16 for every layer, has"
	}
	s := fmt.Sprintf("the %s loss cannot be brought to %.3g %%: %s %.3g %%", t.Metric, 100*t.MaxLoss, what, 100*out.Loss)
	if len(held) > 0 && !t.AllowFP16 {
		s += "; what stays int8: " + strings.Join(held, ", ")
	}
	if !t.AllowFP16 {
		s += "; --allow-fp16 can go further"
	}
	return s + "; no file was written"
}

// printCost says what the outcome costs against plain int8, in time on this machine and in bytes.
func printCost(ctx context.Context, w io.Writer, src quant.Source, out *quant.Outcome) error {
	x, err := src.At(0)
	if err != nil {
		return err
	}
	times, err := interleaved(ctx, slices.Clone(x), out.Plain, out.Model)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "one inference here, one thread: %.2f ms in int8, %.2f ms now (%.2f times); constants %s in int8, %s now\n",
		1e3*times[0].Seconds(), 1e3*times[1].Seconds(), times[1].Seconds()/times[0].Seconds(), kib(constantBytes(out.Plain)), kib(constantBytes(out.Model)))
	if !out.Model.DeriveExact() {
		fmt.Fprintln(w, "layers in fp16 compute in float32: results are not the same bits on every machine")
	}
	return nil
}

func constantBytes(m *format.Model) (n int64) {
	for i := range m.Tensors {
		n += int64(len(m.Tensors[i].Data))
	}
	return n
}

// interleaved runs models in turn and returns the median time of each.
func interleaved(ctx context.Context, x []float32, models ...*format.Model) ([]time.Duration, error) {
	const rounds, warm, most = 31, 3, 3 * time.Second
	sessions := make([]*runtime.Session, len(models))
	for i, m := range models {
		rm, err := runtime.FromFormat(m)
		if err != nil {
			return nil, err
		}
		defer rm.Close()
		if sessions[i], err = rm.NewSession(runtime.Options{}); err != nil {
			return nil, err
		}
		defer sessions[i].Close()
		if err := sessions[i].SetFloat(0, x); err != nil {
			return nil, err
		}
	}
	times := make([][]time.Duration, len(models))
	begin := time.Now()
	for n := range rounds + warm {
		for i, s := range sessions {
			start := time.Now()
			if err := s.Run(ctx); err != nil {
				return nil, err
			}
			if n >= warm {
				times[i] = append(times[i], time.Since(start))
			}
		}
		if n > warm && time.Since(begin) > most {
			break
		}
	}
	medians := make([]time.Duration, len(models))
	for i, t := range times {
		slices.Sort(t)
		medians[i] = t[len(t)/2]
	}
	return medians, nil
}
