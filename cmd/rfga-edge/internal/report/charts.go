package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/rfga-edge/rfga-edge/quant"
)

// Sizes of the chart of all layers, in SVG units.
const (
	chartW, chartH          = 960, 300
	chartLeft, chartRight   = 56, 10
	chartTop, chartBottom   = 10, 30
	chartMost               = 60 // dB; what is better is drawn there
	chartLeast              = -10
	histogramBars, peakBars = 64, 160
)

// chart draws the ratios of all layers.
func chart(layers []quant.Measured) markup {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="Signal-to-noise ratio of each layer, in decibels; the table below has the numbers">`, chartW, chartH)
	least := 0.0
	for _, l := range layers {
		least = min(least, l.SNR, l.Own)
	}
	bottom := max(10*math.Floor(least/10), chartLeast)
	x := func(i int) float64 {
		return chartLeft + float64(i)*(chartW-chartLeft-chartRight)/max(float64(len(layers)-1), 1)
	}
	y := func(db float64) float64 {
		db = min(max(db, bottom), chartMost)
		return chartTop + (chartMost-db)/(chartMost-bottom)*(chartH-chartTop-chartBottom)
	}
	for db := bottom; db <= chartMost; db += 10 {
		fmt.Fprintf(&b, `<path class="rule" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%g dB</text>`, chartLeft, y(db), chartW-chartRight, chartLeft-7, y(db)+4, db)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">layer 1</text><text x="%d" y="%d" text-anchor="end">layer %d</text>`,
		chartLeft, chartH-8, chartW-chartRight, chartH-8, len(layers))
	for _, line := range []struct {
		class string
		width float64
		of    func(l *quant.Measured) float64
		has   func(l *quant.Measured) bool
	}{
		{"grid", 1, func(l *quant.Measured) float64 { return l.Grid }, func(l *quant.Measured) bool { return l.Codes != nil }},
		{"own", 1.8, func(l *quant.Measured) float64 { return l.Own }, nil},
		{"free", 2.4, func(l *quant.Measured) float64 { return l.SNR }, nil},
	} {
		fmt.Fprintf(&b, `<polyline class="%s" fill="none" stroke-width="%g" stroke-linejoin="round" points="`, line.class, line.width)
		for i := range layers {
			if line.has == nil || line.has(&layers[i]) {
				fmt.Fprintf(&b, "%.1f,%.1f ", x(i), y(line.of(&layers[i])))
			}
		}
		b.WriteString(`"/>`)
	}
	b.WriteString("</svg>")
	return markup(b.String())
}

// histogram draws how the float values lie on the grid; labelled with its ends where there is room.
func histogram(l *quant.Measured, width, height float64, labelled bool) markup {
	if l.Codes == nil {
		return ""
	}
	var b strings.Builder
	total, n := 0.0, [histogramBars]float64{}
	for i, c := range l.Codes {
		n[i*histogramBars/len(l.Codes)] += float64(c)
		total += float64(c)
	}
	n[0] -= float64(l.Low)
	n[histogramBars-1] -= float64(l.High)
	room := height
	if labelled {
		room -= 18
	}
	// From one in a million, a bar that can be seen, to all of them.
	tall := func(v float64) float64 {
		if v <= 0 {
			return 0
		}
		return max(1+math.Log10(v/total)/6, 0.04) * room
	}
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`, width, height, width, height, describe(l))
	// Two places at the ends are for what is clipped.
	step := width / (histogramBars + 4)
	bar := func(at int, v float64) {
		if h := tall(v); h > 0 {
			fmt.Fprintf(&b, "M%.1f %gv-%.1fh%.1fv%.1fz", float64(at)*step, room, h, 0.9*step, h)
		}
	}
	b.WriteString(`<path class="bars" d="`)
	for i, v := range n {
		bar(i+2, v)
	}
	if b.WriteString(`"/>`); l.Low+l.High > 0 {
		b.WriteString(`<path class="out" d="`)
		bar(0, float64(l.Low))
		bar(histogramBars+3, float64(l.High))
		b.WriteString(`"/>`)
	}
	fmt.Fprintf(&b, `<path class="rule" d="M%.1f %.1fH%.1f"/>`, 2*step, room, (histogramBars+2)*step)
	if labelled {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g">low end</text><text x="%.1f" y="%g" text-anchor="end">high end</text>`, 2*step, height-3, (histogramBars+2)*step, height-3)
	}
	b.WriteString("</svg>")
	return markup(b.String())
}

// describe says in words what a histogram shows.
func describe(l *quant.Measured) string {
	total, most, used := 0.0, 0, 0
	for i, c := range l.Codes {
		total += float64(c)
		if c > l.Codes[most] {
			most = i
		}
		if c > 0 {
			used++
		}
	}
	return fmt.Sprintf("%d of 256 steps are used; %s of the values lie on the most frequent one; %s are clipped", used, percent(float64(l.Codes[most])/total), percent(l.Clipped))
}

// peaks draws the largest magnitude of each channel; the widest channel is marked.
func peaks(v []float32) markup {
	low := make([]float32, len(v))
	widest := 0
	for c, p := range v {
		if p > v[widest] {
			widest = c
		}
	}
	return ranges(low, v, widest)
}

// ranges draws an interval for each channel and marks one. Many channels share a column.
func ranges(low, high []float32, marked int) markup {
	if len(low) == 0 {
		return ""
	}
	const width, height = 320, 90
	lo, hi := 0.0, 0.0
	for c := range low {
		lo, hi = min(lo, float64(low[c])), max(hi, float64(high[c]))
	}
	if hi == lo {
		hi = lo + 1
	}
	y := func(v float32) float64 { return height * (hi - float64(v)) / (hi - lo) }
	columns := min(len(low), peakBars)
	step := width / float64(columns)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%d channels; the one marked is %d, %.3g to %.3g">`,
		width, height, width, height, len(low), marked, low[marked], high[marked])
	column := func(k int) {
		from, to := k*len(low)/columns, (k+1)*len(low)/columns
		l, h := low[from], high[from]
		for c := from; c < to; c++ {
			l, h = min(l, low[c]), max(h, high[c])
		}
		fmt.Fprintf(&b, "M%.1f %.1fh%.1fv%.1fh-%.1fz", float64(k)*step, y(h), 0.85*step, max(y(l)-y(h), 1), 0.85*step)
	}
	at := ((marked+1)*columns - 1) / len(low) // its column
	b.WriteString(`<path class="bars" d="`)
	for k := range columns {
		if k != at {
			column(k)
		}
	}
	b.WriteString(`"/><path class="mark" d="`)
	column(at)
	b.WriteString(`"/>`)
	fmt.Fprintf(&b, `<path class="rule" d="M0 %.1fH%d"/></svg>`, y(0), width)
	return markup(b.String())
}
