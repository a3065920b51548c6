package report

import (
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Ratios from which a number is called good and fair.
const (
	goodDB = 30
	fairDB = 20
)

func class(db float64) string {
	switch {
	case db >= goodDB:
		return "good"
	case db >= fairDB:
		return "fair"
	}
	return "bad"
}

func decibels(db float64) string {
	if db >= 200 {
		return "exact"
	}
	return fmt.Sprintf("%.1f", db)
}

func (p *Page) table(w *writer) {
	w.put("<section aria-labelledby=\"layers\"><h2 id=\"layers\">Every layer</h2>\n<div class=\"card scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of layers\"><table>\n<thead><tr>")
	for _, h := range []struct{ name, class, first string }{
		{"#", "", "up"}, {"layer", "name", ""}, {"up to here, dB", "", "up"}, {"alone, dB", "", "up"}, {"rounding, dB", "wide", "up"}, {"cosine", "wide", "up"},
		{"clipped", "", "down"}, {"share", "", "down"}, {"values on the grid", "wide", ""},
	} {
		if h.first == "" {
			w.put("<th scope=\"col\" class=\"%s\">%s</th>", h.class, h.name)
			continue
		}
		w.put("<th scope=\"col\" class=\"%s\" data-first=\"%s\"><button type=\"button\">%s</button></th>", h.class, h.first, h.name)
	}
	w.put("</tr></thead>\n<tbody>\n")
	for i := range p.Measured.Layers {
		l := &p.Measured.Layers[i]
		w.put("<tr><td data-v=\"%d\">%d</td><th scope=\"row\" class=\"name\"><a href=\"#t%d\">%s</a><br/><span class=\"dim small\">%s, %s</span></th>", i, i+1, l.Tensor, breakable(title(l)), breakable(l.Kind), l.Type)
		w.put("<td data-v=\"%g\"><span class=\"pill %s\">%s</span></td><td data-v=\"%g\"><span class=\"pill %s\">%s</span></td>", l.SNR, class(l.SNR), decibels(l.SNR), l.Own, class(l.Own), decibels(l.Own))
		if l.Codes != nil {
			w.put("<td class=\"wide\" data-v=\"%g\">%s</td>", l.Grid, decibels(l.Grid))
		} else {
			w.put("<td class=\"wide\" data-v=\"201\">&#8211;</td>")
		}
		clipped := percent(l.Clipped)
		if l.Cut {
			clipped = "cut"
		}
		w.put("<td class=\"wide\" data-v=\"%g\">%.4f</td><td data-v=\"%g\">%s</td><td data-v=\"%g\">%s</td>", l.Cosine, l.Cosine, l.Clipped, clipped, l.Share, share(l))
		w.put("<td class=\"wide\">%s</td></tr>\n", histogram(l, 120, 26, false))
	}
	w.put("</tbody></table></div></section>\n")
}

func title(l *quant.Measured) string {
	if l.Output != "" && l.Kind == format.OpCAMHead.String() {
		return l.Layer + ": " + l.Output
	}
	if l.Layer != "" {
		return l.Layer
	}
	return l.Name
}

// breakable lets a long name go on in the next line behind its separators.
func breakable(s string) markup {
	return markup(separators.Replace(html.EscapeString(s)))
}

var separators = strings.NewReplacer("_", "_<wbr/>", ".", ".<wbr/>", "/", "/<wbr/>")

func share(l *quant.Measured) string {
	if l.Share == 0 {
		return "–"
	}
	return percent(l.Share)
}

func (p *Page) details(w *writer) {
	tensors := map[string]*quant.TensorReport{}
	for i := range p.Report.Tensors {
		tensors[p.Report.Tensors[i].Name] = &p.Report.Tensors[i]
	}
	weights := map[string]*quant.LayerReport{}
	for i := range p.Report.Layers {
		weights[p.Report.Layers[i].Name] = &p.Report.Layers[i]
	}
	gains := map[string]float64{}
	for _, e := range p.Report.Equalized {
		gains[e.Name] = e.Gain
	}
	w.put("<section aria-labelledby=\"details\"><h2 id=\"details\">Layer by layer</h2>\n")
	for i := range p.Measured.Layers {
		l := &p.Measured.Layers[i]
		w.put("<details class=\"layer\" id=\"t%d\"><summary><strong>%s</strong> <span class=\"dim small\">%s</span> <span class=\"pill %s\">%s dB alone</span></summary>\n<div>\n",
			l.Tensor, title(l), l.Kind, class(l.Own), decibels(l.Own))
		w.put("<dl>")
		row := func(name, value string) { w.put("<dt>%s</dt><dd>%s</dd>", name, value) }
		row("result", l.Name+", "+l.Type)
		row("up to here", decibels(l.SNR)+" dB, cosine "+fmt.Sprintf("%.5f", l.Cosine))
		row("alone", decibels(l.Own)+" dB")
		if l.Codes != nil {
			row("rounding", decibels(l.Grid)+" dB")
		}
		row("float values", fmt.Sprintf("%.4g to %.4g", l.Min, l.Max))
		if t := tensors[l.Name]; t != nil && l.Codes != nil {
			row("grid", fmt.Sprintf("%.4g to %.4g in steps of %.4g, zero at %d", t.Lo, t.Hi, t.Scale, t.Zero))
			if t.Shared != "" {
				row("shared with", t.Shared)
			}
		}
		if l.Cut {
			row("cut", "the functions that read it no longer change beyond the grid")
		} else if l.Codes != nil {
			row("clipped", percent(l.Clipped))
		}
		if l.Share > 0 {
			row("share", percent(l.Share)+" of the error of the outputs")
		}
		if g, ok := gains[l.Name]; ok {
			row("equalized", fmt.Sprintf("%.1f dB less noise expected", g))
		}
		w.put("</dl>\n")
		if l.Codes != nil {
			w.put("<figure><figcaption>Values on the grid, logarithmic</figcaption>%s</figure>\n", histogram(l, 320, 110, true))
		}
		if len(l.Peaks) > 1 && l.Kind != format.OpCAMHead.String() {
			w.put("<figure><figcaption>Largest value of each of %d channels</figcaption>%s</figure>\n", len(l.Peaks), peaks(l.Peaks))
		}
		p.weights(w, l, weights)
		w.put("</div></details>\n")
	}
	w.put("</section>\n")
}

// weights draws the weights of the operator that makes l: those of attention are three.
func (p *Page) weights(w *writer, l *quant.Measured, weights map[string]*quant.LayerReport) {
	for _, suffix := range []string{"", ".conv_c", ".conv_h", ".conv_w"} {
		r := weights[l.Layer+suffix]
		if r == nil || l.Kind == format.OpCAMHead.String() && l.Output == "maps" {
			continue
		}
		worst, least := r.WorstChannel()
		loss := ""
		if r.Pairs > 0 {
			loss = fmt.Sprintf("; without the rule of pairs it would be %.1f", math.Max(r.WeightSNRFull, r.WeightSNR))
		}
		w.put("<figure><figcaption>%s: range of the weights of %d output channels. Rounded to 8 bits they have %.1f dB%s. Channel %d is worst with %.1f dB.</figcaption>%s</figure>\n",
			r.Name, r.Channels, r.WeightSNR, loss, worst, least, ranges(r.ChannelMin, r.ChannelMax, worst))
	}
}
