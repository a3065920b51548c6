package report

import (
	"bufio"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"math"
	"strings"

	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

//go:embed style.css
var style string

//go:embed script.js
var script string

// Page is what the report is about.
type Page struct {
	Model    *format.Model // quantized, with its Quality
	Report   *quant.Report
	Measured *quant.Measurement
	Worst    []Pair // the images with which int8 fared worst, the worst first
	Command  string // that wrote it
}

// Pair is an image as either network answers it.
type Pair struct {
	Name        string
	Float, Int8 Answer
	Located     bool    // whether maps were compared
	Correlation float64 // of the class maps
	IoU         float64 // of the boxes
}

// Answer is one network's.
type Answer struct {
	Class string
	P     float64
	JPEG  []byte // the image with heat map and box
	Alt   string // what it shows, in words
}

// writer escapes what is not markup and remembers the first error.
type writer struct{ *bufio.Writer }

// put writes a format whose string arguments are escaped.
func (w *writer) put(format string, args ...any) {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = html.EscapeString(v)
		case markup:
			args[i] = string(v)
		}
	}
	fmt.Fprintf(w, format, args...)
}

// markup is text that is HTML already.
type markup string

// Write writes the page.
func (p *Page) Write(out io.Writer) error {
	w := &writer{bufio.NewWriterSize(out, 1<<16)}
	name := p.Model.Name
	if name == "" {
		name = "a network"
	}
	w.put("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n")
	w.put("<title>What int8 costs: %s</title>\n<style>\n%s</style>\n</head>\n<body>\n", name, markup(style))
	w.put("<header><h1>What int8 costs: %s</h1>\n<p class=\"dim\">%s, %d&#215;%d pixels. Calibration: %s. Measured on %s, against the float network.</p></header>\n<main>\n",
		name, p.Model.Arch, p.Model.Pre.Width, p.Model.Pre.Height, p.Model.Prov.Calibration, images(p.Measured.Images))
	p.summary(w)
	p.findings(w)
	p.overview(w)
	p.worst(w)
	p.table(w)
	p.details(w)
	p.glossary(w)
	w.put("</main>\n<footer>Written by <code>%s</code>. The model carries the numbers of this page: <code>rfga-edge inspect --quant</code> prints them.</footer>\n", p.Command)
	w.put("<script>\n%s</script>\n</body>\n</html>\n", markup(script))
	return w.Flush()
}

func images(n int) string {
	if n == 1 {
		return "1 image"
	}
	return fmt.Sprintf("%d images", n)
}

// outputSNR is the worst ratio among the model's outputs.
func (p *Page) outputSNR() float64 {
	worst := math.Inf(1)
	for _, l := range p.Measured.Layers {
		if l.Output != "" {
			worst = min(worst, l.SNR)
		}
	}
	return worst
}

func (p *Page) summary(w *writer) {
	q := p.Model.Quality
	w.put("<section aria-labelledby=\"summary\"><h2 id=\"summary\">In short</h2>\n<p class=\"lead\">%s</p>\n<dl class=\"tiles\">\n", quant.Verdict(p.Model))
	tile := func(value, what, note string) {
		w.put("<div class=\"card\"><dt>%s</dt><dd>%s</dd><span class=\"note\">%s</span></div>\n", what, value, note)
	}
	if q.Classified > 0 {
		tile(percent(float64(q.Agreed)/float64(q.Classified)), "same class", fmt.Sprintf("%d of %s", q.Agreed, images(q.Classified)))
	}
	if q.Located > 0 {
		tile(fmt.Sprintf("%.3f", q.Correlation), "correlation of class maps", "1 is the same map")
		tile(fmt.Sprintf("%.2f", q.IoU), "overlap of boxes (IoU)", "1 is the same box")
	}
	if s := p.outputSNR(); !math.IsInf(s, 1) {
		tile(fmt.Sprintf("%.1f dB", s), "signal to noise of the outputs", "error of "+percent(math.Pow(10, -s/20)))
	}
	if p.Report.PairLossWorst > 0 {
		tile(fmt.Sprintf("%.1f dB", p.Report.PairLoss), "lost to pair-safe weights", fmt.Sprintf("on average; %.1f dB at worst", p.Report.PairLossWorst))
	}
	w.put("</dl></section>\n")
}

func (p *Page) findings(w *writer) {
	list := quant.Findings(p.Model, 5)
	w.put("<section aria-labelledby=\"findings\"><h2 id=\"findings\">Which layers, why, and what to do</h2>\n")
	if len(list) == 0 {
		w.put("<p class=\"card\">No layer stands out: each loses about what rounding to 8 bits costs at its best.</p></section>\n")
		return
	}
	if quant.Sound(p.Model) {
		w.put("<p>Nothing has to be done. These layers cost most, if more is wanted:</p>\n")
	}
	w.put("<ol class=\"findings\">\n")
	for _, f := range list {
		w.put("<li class=\"card\"><h3>")
		if f.Tensor >= 0 {
			w.put("<a href=\"#t%d\">%s</a> <span class=\"dim small\">%s</span>", f.Tensor, f.Layer, f.Kind)
		} else {
			w.put("%s", sentence(f.Layer))
		}
		w.put("</h3><p>%s.</p><p>%s.</p>", sentence(f.Loss), sentence(f.Why))
		if len(f.Try) > 0 {
			w.put("<div class=\"try\"><span class=\"dim small\">Convert again with</span>")
			for i, t := range f.Try {
				if i > 0 {
					w.put(" <span class=\"dim small\">or</span>")
				}
				w.put(" <code>%s</code>", t)
			}
			w.put("</div>")
		}
		w.put("</li>\n")
	}
	w.put("</ol>\n<p class=\"small dim\">Flags may be combined. <code>--max-loss 0.5%%</code> chooses layers for 16 bits by itself until int8 loses no more than that.</p></section>\n")
}

// sentence begins with a capital letter.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (p *Page) overview(w *writer) {
	w.put("<section aria-labelledby=\"overview\"><h2 id=\"overview\">From layer to layer</h2>\n<div class=\"card\">")
	w.put("<ul class=\"key\">")
	for _, k := range [][2]string{{"free", "the int8 network up to here"}, {"own", "this layer alone"}, {"grid", "rounding its result alone"}} {
		w.put("<li><svg width=\"22\" height=\"8\" aria-hidden=\"true\"><path class=\"%s\" d=\"M0 4H22\" stroke-width=\"2.5\"/></svg>%s</li>", k[0], k[1])
	}
	w.put("</ul><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Chart of the signal-to-noise ratio by layer\">")
	w.put("%s", chart(p.Measured.Layers))
	w.put("</div></div></section>\n")
}

func (p *Page) worst(w *writer) {
	if len(p.Worst) == 0 {
		return
	}
	w.put("<section aria-labelledby=\"worst\"><h2 id=\"worst\">The images that fared worst</h2>\n<div class=\"pairs\">\n")
	for _, pair := range p.Worst {
		w.put("<div class=\"card\"><h3>%s</h3>", pair.Name)
		if pair.Located {
			w.put("<p class=\"small dim\">The maps correlate by %.3f, the boxes overlap by %.2f.</p>", pair.Correlation, pair.IoU)
		}
		w.put("<div class=\"pair\">")
		for _, a := range []struct {
			what string
			Answer
		}{{"float", pair.Float}, {"int8", pair.Int8}} {
			w.put("<figure>")
			if len(a.JPEG) > 0 {
				w.put("<img loading=\"lazy\" alt=\"%s\" src=\"data:image/jpeg;base64,%s\"/>", a.Alt, base64.StdEncoding.EncodeToString(a.JPEG))
			}
			w.put("<figcaption><strong>%s</strong>: %s, %s</figcaption></figure>", a.what, a.Class, percent(a.P))
		}
		w.put("</div></div>\n")
	}
	w.put("</div></section>\n")
}

func (p *Page) glossary(w *writer) {
	w.put("<section aria-labelledby=\"terms\"><h2 id=\"terms\">What the numbers mean</h2>\n<div class=\"card\">")
	for _, t := range [][2]string{
		{"Signal-to-noise ratio", "ten times the logarithm of the power of the float network's values over the power of their difference from int8's, over all values of all images. 20 dB is an error of 10 % of the signal, 30 dB of 3 %, 40 dB of 1 %."},
		{"Up to here", "the int8 network as it runs: the errors of all layers before add up. This is what the next layer gets."},
		{"Alone", "this layer in int8, with the float network's values, rounded, at its input. Here a layer shows what it does itself."},
		{"Rounding", "the float network's values on this layer's int8 grid: the limit that no choice of weights can pass. If it is near the layer's own ratio, only a better range or 16 bits help."},
		{"Clipped", "the share of values beyond the ends of the grid. A grid that is cut ends on purpose where the function that reads it (a sigmoid, say) no longer changes; its ratios compare what lies within."},
		{"Share", "how much of the error of the outputs comes from this layer: the float network is run with only this layer's result replaced by what int8 makes of it."},
		{"Histogram", "how the float values lie on the grid, low end to high end, on a logarithmic scale; what is clipped is red."},
	} {
		w.put("<p><strong>%s</strong>: %s</p>", t[0], t[1])
	}
	w.put("</div></section>\n")
}

func percent(v float64) string {
	switch p := 100 * v; {
	case p == 0:
		return "0 %"
	case p >= 99.95 && v < 1:
		return "> 99.9 %"
	case p < 0.01:
		return "< 0.01 %"
	case p < 1:
		return fmt.Sprintf("%.2g %%", p)
	default:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", p), ".0") + " %"
	}
}
