package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/report"
	"github.com/rfga-edge/rfga-edge/convert"
	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

type convertCmd struct {
	File      string `arg:"" optional:"" name:"weights" help:"PyTorch checkpoint (.pth, .pt), .safetensors, .npz, .onnx or .tflite, recognised by content."`
	Output    string `short:"o" placeholder:"M.rfga" help:"Model to write."`
	Precision string `enum:"int8,fp16,fp32" default:"int8" help:"int8, fp16 or fp32 (${default}). int8 needs --calibrate, unless the file is quantized."`
	Calibrate string `placeholder:"DIR|X.npy" help:"Images like those the model will see: a folder (the images directly in it), or normalised float32 of shape N,3,H,W."`

	Arch      string    `placeholder:"A" help:"Architecture of a checkpoint, where it is not recognised; see --list-arch."`
	InputSize int       `placeholder:"S" help:"Side of the input square, where it is not the architecture's own."`
	Labels    string    `placeholder:"FILE" help:"Names of the classes, one a line, in the order of the logits."`
	Mean      []float32 `placeholder:"R,G,B" help:"Mean of the input's normalisation, of values 0 to 1, where it is not the architecture's own."`
	Std       []float32 `placeholder:"R,G,B" help:"Standard deviation, likewise."`

	Images     int      `default:"0" placeholder:"N" help:"Calibrate with so many of the images, drawn by --seed; 0: all of them."`
	Seed       uint64   `default:"1" placeholder:"N" help:"Seed of --images (${default})."`
	Method     string   `default:"min-max" placeholder:"M" help:"How the range of an activation follows from what was seen: min-max, percentile[:P], mse, entropy or average (${default}). docs/quantization.md compares them."`
	MethodFor  []string `sep:"none" placeholder:"NAME=M" help:"Another method for the activations whose name, or whose operator's, is NAME; '*' stands for any text. May be repeated."`
	Int16      []string `name:"int16" sep:"none" placeholder:"NAME" help:"16 bits for the activations whose name, or whose operator's, is NAME; '*' stands for any text. A class head's name: for its weights; 'rfga.*': for attention's views. May be repeated."`
	Percentile float64  `default:"100" placeholder:"P" help:"Short for --method percentile:P."`
	Weights    string   `name:"weights" enum:"pair-safe,full" default:"pair-safe" help:"int8 weights: pair-safe runs fastest on x86, full is a little more accurate (${default})."`

	Round string `default:"nearest" placeholder:"nearest|ada" help:"How weights become integers: nearest, or ada[:SECONDS], by what the calibration images show, with so much effort (${default}; 30)."`

	mixedFlags `embed:""`

	Report string `placeholder:"F.html" help:"Measure what int8 costs, layer by layer, on the calibration images: a page of its own, and in the model for 'inspect --quant'."`

	Equalize bool `default:"true" negatable:"" help:"Even out the ranges of an activation's channels between layers (on)."`
	Reorder  bool `default:"true" negatable:"" help:"Choose the order of channels in which pair-safe weights lose least (on)."`

	Name      string   `help:"Name of the model; without it the file's."`
	Source    string   `placeholder:"TEXT" help:"Where the weights come from, to be kept in the model."`
	Licence   string   `placeholder:"SPDX" help:"Their licence, to be kept in the model."`
	Heat      string   `enum:",p65,minmax" default:"" placeholder:"p65|minmax" help:"How a class map becomes a heat map."`
	Threshold *float32 `placeholder:"T" help:"Default of localize --threshold for this model."`

	Threads  int  `default:"0" placeholder:"N" help:"Threads; 0: one per processor."`
	Verbose  bool `short:"v" help:"Print every remark of the quantizer."`
	ListArch bool `help:"List the architectures and exit."`
}

const needsImages = "int8 needs images to calibrate with: --calibrate DIR or --calibrate X.npy; or choose --precision fp16 or fp32"

// fewNotes is how many remarks are printed unasked.
const fewNotes = 4

// Help is what 'convert --help' adds.
func (*convertCmd) Help() string {
	return `The model appears under its name only when it is complete. A checkpoint's code is not executed: only tensors are read.

A file that is quantized (ONNX with QuantizeLinear or QLinear operators, .tflite of integers) becomes an int8 model with its own scales and integers; with --calibrate,
and for fp16 and fp32, it is taken as the float model that it stands for.`
}

func (c *convertCmd) Run(e *env) error {
	if c.ListArch {
		return listArchs(e)
	}
	if err := c.check(); err != nil {
		return err
	}
	labels, err := readLabels(c.Labels)
	if err != nil {
		return err
	}
	var notes []string
	m, err := convert.Load(c.File, convert.Options{Arch: c.Arch, InputSize: c.InputSize, Labels: labels, Name: c.Name,
		Float: c.Precision != "int8" || c.Calibrate != "", Note: func(n string) { notes = append(notes, n) },
		Prov: format.Provenance{Source: c.Source, Licence: c.Licence, Converter: "rfga-edge " + release}})
	if err != nil {
		return badModel(err)
	}
	if err := e.ctx.Err(); err != nil {
		return err
	}
	c.override(m)
	var page *report.Page
	switch {
	case c.Precision == "fp16":
		m = convert.ToFP16(m)
	case c.Precision == "int8" && convert.IsQuantized(m):
	case c.Precision == "int8" && c.Calibrate == "":
		return usage("%s is not quantized, and %s", printable(c.File), needsImages)
	case c.Precision == "int8":
		var more []string
		if m, page, more, err = c.quantize(e, m); err != nil {
			return err
		}
		notes = append(notes, more...)
	}
	if err := format.WriteFile(c.Output, m); err != nil {
		return badModel(err)
	}
	if page != nil {
		if err := writeReport(c.Report, page); err != nil {
			return err
		}
	}
	for i, n := range notes {
		if i == fewNotes && !c.Verbose {
			fmt.Fprintf(e.err, "and %d more remarks; --verbose prints them\n", len(notes)-i)
			break
		}
		fmt.Fprintf(e.err, "note: %s\n", n)
	}
	return c.report(e, m)
}

// check reports what is wrong with the command line before any work is done.
func (c *convertCmd) check() error {
	switch {
	case c.File == "":
		return usage("name the weights to convert, or ask for --list-arch")
	case c.Output == "":
		return usage("name the model to write: -o M.rfga")
	case c.Precision == "int8" && c.Calibrate == "" && !convert.MayBeQuantized(c.File):
		return usage(needsImages)
	case c.Report != "" && c.Calibrate == "":
		return usage("--report compares int8 with the float network on the calibration images: it needs --calibrate")
	case len(c.Int16) > 0 && c.Calibrate == "":
		return usage("--int16 chooses among activations that are calibrated: it needs --calibrate")
	case c.MaxLoss != "" && c.Calibrate == "":
		return usage("--max-loss is met with images: it needs --calibrate")
	case slices.Contains(c.Int16, ""):
		return usage("--int16 takes the name of an activation, as in '_blocks.3.*'")
	case c.Precision != "int8" && c.Calibrate != "":
		return usage("--calibrate is for int8; --precision is %s", c.Precision)
	case c.InputSize < 0 || c.InputSize > format.MaxImageSide:
		return usage("--input-size %d: 1 to %d", c.InputSize, format.MaxImageSide)
	case !(c.Percentile > 50 && c.Percentile <= 100):
		return usage("--percentile %g: above 50, at most 100", c.Percentile)
	case c.Percentile < 100 && c.Method != "min-max":
		return usage("--percentile is short for --method percentile:%g: give one of the two", c.Percentile)
	case c.Images < 0:
		return usage("--images %d: 1 or more; 0 for all", c.Images)
	case c.Mean != nil && len(c.Mean) != 3 || c.Std != nil && len(c.Std) != 3:
		return usage("--mean and --std take three numbers, as in 0.485,0.456,0.406")
	case c.Threshold != nil && !(*c.Threshold >= 0 && *c.Threshold <= 1):
		return usage("--threshold %g: 0 to 1", *c.Threshold)
	case c.Threads < 0 || c.Threads > runtime.MaxThreads:
		return usage("--threads %d: 0 to %d", c.Threads, runtime.MaxThreads)
	}
	if _, err := c.ranges(); err != nil {
		return err
	}
	if seconds, err := c.rounding(); err != nil {
		return err
	} else if seconds > 0 && c.Calibrate == "" {
		return usage("--round ada looks at images: it needs --calibrate")
	}
	if err := c.mixedFlags.check(); err != nil {
		return err
	}
	for i := range c.Mean {
		if !(c.Mean[i] > -1e3 && c.Mean[i] < 1e3) {
			return usage("--mean %g: out of range", c.Mean[i])
		}
	}
	for _, s := range c.Std {
		if !(s > 1e-6 && s < math.MaxFloat32) {
			return usage("--std %g: it must be positive", s)
		}
	}
	if c.Arch != "" && !slices.ContainsFunc(convert.Archs(), func(a convert.Arch) bool { return a.Name == c.Arch }) {
		return usage("--arch %s: unknown; 'rfga-edge convert --list-arch' lists them", c.Arch)
	}
	if a, err := os.Stat(c.File); err == nil {
		if b, err := os.Stat(c.Output); err == nil && os.SameFile(a, b) {
			return usage("%s would be overwritten: choose another name for the model", c.File)
		}
	}
	if _, err := os.Stat(filepath.Dir(c.Output)); err != nil {
		return badIO(err) // better now than after the calibration
	}
	if c.Report != "" {
		if _, err := os.Stat(filepath.Dir(c.Report)); err != nil {
			return badIO(err)
		}
	}
	return nil
}

// override puts what the user says in the place of what the architecture says.
func (c *convertCmd) override(m *format.Model) {
	if c.Mean != nil {
		m.Pre.Mean = [3]float32(c.Mean)
	}
	if c.Std != nil {
		m.Pre.Std = [3]float32(c.Std)
	}
	switch c.Heat {
	case "p65":
		m.Loc.Norm = format.HeatP65
	case "minmax":
		m.Loc.Norm = format.HeatMinMax
	}
	if c.Threshold != nil {
		m.Loc.Threshold = *c.Threshold
	}
}

// ranges are the options that say how activations get their ranges.
func (c *convertCmd) ranges() (o quant.Options, err error) {
	method := c.Method
	if c.Percentile < 100 {
		method = fmt.Sprintf("percentile:%g", c.Percentile)
	}
	if o.Range, err = quant.ParseRange(method); err != nil {
		return o, usage("--method %v", err)
	}
	for _, rule := range c.MethodFor {
		name, method, ok := strings.Cut(rule, "=")
		if !ok || name == "" {
			return o, usage("--method-for %s: want NAME=METHOD, as in '_blocks.3.*=mse'", rule)
		}
		r, err := quant.ParseRange(method)
		if err != nil {
			return o, usage("--method-for %v", err)
		}
		o.Ranges = append(o.Ranges, quant.Rule{Pattern: name, Range: r})
	}
	return o, nil
}

// rounding is the effort for rounding weights by data, 0 for none.
func (c *convertCmd) rounding() (seconds float64, err error) {
	const effort, most = 30, 1e6
	how, text, has := strings.Cut(c.Round, ":")
	switch {
	case how == "nearest" && !has:
		return 0, nil
	case how == "ada" && !has:
		return effort, nil
	case how == "ada":
		if seconds, err = strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds <= most {
			return seconds, nil
		}
	}
	return 0, usage("--round %s: want nearest, ada, or ada:SECONDS as in ada:120", c.Round)
}

// quantize makes the int8 model, the page about it if that is asked for, and remarks.
func (c *convertCmd) quantize(e *env, m *format.Model) (*format.Model, *report.Page, []string, error) {
	src, err := openCalibration(c.Calibrate, m)
	if err != nil {
		return nil, nil, nil, err
	}
	defer src.Close()
	o, err := c.ranges()
	if err != nil {
		return nil, nil, nil, err
	}
	o.KeepScales, o.KeepOrder = !c.Equalize, !c.Reorder
	if o.RoundSeconds, err = c.rounding(); err != nil {
		return nil, nil, nil, err
	}
	o.Int16 = c.Int16
	o.Threads, o.Images, o.Seed = c.Threads, c.Images, c.Seed
	if c.Weights == "full" {
		o.Weights = quant.Full
	}
	q, rep, err := c.quantized(e, m, src, o)
	var unused *quant.PatternError
	if errors.As(err, &unused) {
		return nil, nil, nil, usage("%v", err)
	}
	if err != nil {
		return nil, nil, nil, badModel(err)
	}
	if o.RoundSeconds > 0 {
		fmt.Fprintf(e.err, "rounding by data leaves %.2f dB less error in a layer's results, on average\n", rep.RoundingGain)
	} else if o.Weights == quant.PairSafe {
		fmt.Fprintf(e.err, "pair-safe weights lose %.2f dB against full ones on average, %.2f dB at worst\n", rep.PairLoss, rep.PairLossWorst)
	}
	var page *report.Page
	if c.Report != "" {
		if page, err = c.measure(e, q, rep, src, o); err != nil {
			return nil, nil, nil, badModel(err)
		}
		fmt.Fprintln(e.err, quant.Verdict(q))
	}
	return q, page, rep.Notes, nil
}

func (c *convertCmd) quantized(e *env, m *format.Model, src quant.Source, o quant.Options) (*format.Model, *quant.Report, error) {
	if c.MaxLoss != "" {
		out, err := c.mixed(e, m, src, o)
		if err != nil {
			return nil, nil, err
		}
		return out.Model, out.Report, nil
	}
	step, end := progress(e.err, "calibrating")
	defer end()
	o.Progress = step
	return quant.Quantize(e.ctx, m, src, o)
}

// report says on one line what was written, as it reads back.
func (c *convertCmd) report(e *env, m *format.Model) error {
	written, err := runtime.Open(c.Output)
	if err != nil {
		return badModel(fmt.Errorf("the model was written, but does not open: %w", err))
	}
	defer written.Close()
	what := c.Precision
	if m.Prov.Calibration != "" {
		what += " (" + m.Prov.Calibration + ")"
	}
	_, err = fmt.Fprintf(e.out, "%s: %s, %s, %d bytes, %s\n", printable(c.Output), m.Arch, what, written.Info().FileSize, written.Digest())
	return badIO(err)
}

func listArchs(e *env) error {
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for _, a := range convert.Archs() {
		fmt.Fprintf(w, "%s\t%d\t%s\n", a.Name, a.InputSize, a.About)
	}
	return badIO(w.Flush())
}

// readLabels reads one label a line. Empty lines at the end do not count.
func readLabels(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, badIO(err)
	}
	defer f.Close()
	var labels []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		labels = append(labels, strings.ToValidUTF8(strings.TrimSpace(strings.TrimPrefix(s.Text(), "\ufeff")), "\ufffd"))
		if len(labels) > 2*format.MaxLabels {
			break
		}
	}
	if err := s.Err(); err != nil {
		return nil, badInput(fmt.Errorf("%s: %w", path, err))
	}
	for len(labels) > 0 && labels[len(labels)-1] == "" {
		labels = labels[:len(labels)-1]
	}
	if len(labels) == 0 {
		return nil, badInput(errors.New(path + ": no labels in this file"))
	}
	if len(labels) > format.MaxLabels {
		return nil, badInput(fmt.Errorf("%s: more than %d labels", path, format.MaxLabels))
	}
	return labels, nil
}
