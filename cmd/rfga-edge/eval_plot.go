package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/rfga"
)

// Sizes of a panel of the plot, in SVG units.
const (
	plotW, plotH            = 300, 220
	plotLeft, plotTop       = 46, 34
	plotRight, plotBottom   = 14, 40
	panelW                  = plotLeft + plotW + plotRight
	panelH                  = plotTop + plotH + plotBottom
	plotInk, plotGrid       = "#333", "#ddd"
	plotFont, plotFontSmall = 13, 11
)

// plotColours are those of IoU 30, 50 and 70, told apart by colour-blind people too.
var plotColours = [len(rfga.IoUs)]string{"#0072b2", "#d55e00", "#009e73"}

// writePlot draws accuracy over threshold, a panel a protocol, as SVG.
func (ev *evaluation) writePlot(scores []rfga.Scores) error {
	return badIO(outdir.WriteFile(ev.cmd.Plot, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		width := panelW * len(scores)
		fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="%d" fill="%s">`+"\n",
			width, panelH, width, panelH, plotFontSmall, plotInk)
		fmt.Fprintf(b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, panelH)
		for i := range scores {
			ev.panel(b, panelW*i, ev.protocols[i], &scores[i])
		}
		fmt.Fprintln(b, "</svg>")
		return b.Flush()
	}))
}

func (ev *evaluation) panel(b io.Writer, left int, p rfga.Protocol, s *rfga.Scores) {
	x := func(t float64) float64 { return float64(left+plotLeft) + t*plotW }
	y := func(percent float64) float64 { return plotTop + (100-percent)/100*plotH }
	fmt.Fprintf(b, `<text x="%g" y="18" font-size="%d">%s: %s, %s contour</text>`+"\n", x(0), plotFont, p.Name, p.Norm, p.Contours())
	for k := 0; k <= 4; k++ {
		t := float64(k) / 4
		fmt.Fprintf(b, `<path d="M%g %gH%gM%g %gV%g" stroke="%s"/>`, x(0), y(100*t), x(1), x(t), y(0), y(100), plotGrid)
		fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="end">%g</text><text x="%g" y="%g" text-anchor="middle">%g</text>`+"\n",
			x(0)-6, y(100*t)+4, 100*t, x(t), y(0)+15, t)
	}
	fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="middle">threshold</text>`+"\n", x(0.5), y(0)+32)
	fmt.Fprintf(b, `<text transform="translate(%g %g) rotate(-90)" text-anchor="middle">images with a right box, %%</text>`+"\n", x(0)-34, y(50))
	for d, curve := range s.Curves {
		if curve == nil {
			continue
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.8" points="`, plotColours[d])
		for i, v := range curve {
			fmt.Fprintf(b, "%.1f,%.1f ", x(ev.thresholds[i]), y(v))
		}
		fmt.Fprintf(b, `"/><circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`, x(ev.thresholds[s.Best[d]]), y(s.At[d]), plotColours[d])
		fmt.Fprintf(b, `<text x="%g" y="%d" text-anchor="end" fill="%s">IoU %d: %.1f at %.3g</text>`+"\n",
			x(1)-4, plotTop+14+15*d, plotColours[d], rfga.IoUs[d], s.At[d], ev.thresholds[s.Best[d]])
	}
}
