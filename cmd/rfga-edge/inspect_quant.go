package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// mostFindings is how many layers inspect explains.
const mostFindings = 5

// quantDescription is what inspect --quant tells; it is its JSON object. Ratios are in decibels.
type quantDescription struct {
	V       int               `json:"v"`
	Name    string            `json:"name"`
	Digest  string            `json:"digest"`
	Verdict string            `json:"verdict"`
	Images  int               `json:"images"`
	Classes *quantClasses     `json:"classes,omitempty"`
	Maps    *quantMaps        `json:"maps,omitempty"`
	Layers  []quantActivation `json:"layers"`
	Weights []quantWeights    `json:"weights"`
	Look    []quant.Finding   `json:"findings"`
}

type quantClasses struct {
	Images int `json:"images"`
	Same   int `json:"same"`
}

type quantMaps struct {
	Images      int     `json:"images"`
	Correlation float32 `json:"correlation"`
	IoU         float32 `json:"iou"`
}

type quantActivation struct {
	Name    string  `json:"name"`
	Layer   string  `json:"layer"`
	Kind    string  `json:"kind"`
	Type    string  `json:"type"`
	SNR     float32 `json:"snr"`
	Own     float32 `json:"own"`
	Grid    float32 `json:"grid"`
	Cosine  float32 `json:"cosine"`
	Low     float32 `json:"below"` // shares of values beyond the ends of the grid
	High    float32 `json:"above"`
	Cut     bool    `json:"cut"`
	Min     float32 `json:"min"`
	Max     float32 `json:"max"`
	Share   float32 `json:"share"`
	Channel int     `json:"widest_channel"`
	Factor  float32 `json:"widest_over_median"`
	Bars    []int   `json:"bars"`
}

type quantWeights struct {
	Name    string  `json:"name"`
	SNR     float32 `json:"snr"`
	Full    float32 `json:"snr_without_pairs"`
	Channel int     `json:"worst_channel"`
	Worst   float32 `json:"worst_channel_snr"`
}

// describeQuant says what the model's file carries about its quantization.
func describeQuant(model *rfgaedge.Model) (*quantDescription, error) {
	m := model.Runtime().Format()
	q := m.Quality
	if q == nil {
		why := "int8 costs nothing to a model of floats"
		if strings.Contains(model.Precision(), "int8") {
			why = "what int8 costs was not measured when it was converted; convert it again with --calibrate IMAGES --report F.html"
		}
		return nil, badModel(fmt.Errorf("%s: %s", printable(m.Name), why))
	}
	d := &quantDescription{V: 1, Name: m.Name, Digest: model.Digest(), Verdict: quant.Verdict(m), Images: q.Images, Look: quant.Findings(m, mostFindings)}
	if q.Classified > 0 {
		d.Classes = &quantClasses{q.Classified, q.Agreed}
	}
	if q.Located > 0 {
		d.Maps = &quantMaps{q.Located, q.Correlation, q.IoU}
	}
	makers := map[int]*format.Op{}
	for i := range m.Ops {
		for _, t := range m.Ops[i].Outputs {
			makers[t] = &m.Ops[i]
		}
	}
	for _, a := range q.Activations {
		t := &m.Tensors[a.Tensor]
		l := quantActivation{Name: t.Name, Type: t.DType.String(), SNR: a.SNR, Own: a.Own, Grid: a.Grid, Cosine: a.Cosine, Low: a.Low, High: a.High,
			Cut: a.Cut, Min: a.Min, Max: a.Max, Share: a.Share, Channel: a.Channel, Factor: a.ChannelFactor}
		if op := makers[a.Tensor]; op != nil {
			l.Layer, l.Kind = op.Name, op.Kind.String()
		}
		for _, b := range a.Bars {
			l.Bars = append(l.Bars, int(b))
		}
		d.Layers = append(d.Layers, l)
	}
	for _, w := range q.Weights {
		d.Weights = append(d.Weights, quantWeights{m.Tensors[w.Tensor].Name, w.SNR, w.Full, w.Channel, w.ChannelSNR})
	}
	return d, nil
}

func (d *quantDescription) print(out io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", d.Verdict)
	for i, f := range d.Look {
		if i == 0 {
			fmt.Fprint(&b, "\nWhich layers, why, and what to try with convert\n")
		}
		where := printable(f.Layer)
		if f.Kind != "" {
			where += " (" + f.Kind + ")"
		}
		fmt.Fprintf(&b, "%d. %s: %s; %s.\n", i+1, where, f.Loss, f.Why)
		if len(f.Try) > 0 {
			fmt.Fprintf(&b, "   %s\n", printable(strings.Join(f.Try, "   or   ")))
		}
	}
	fmt.Fprintf(&b, "\nSignal-to-noise ratio in dB against the float network, on %d images: of the whole network up to a layer, of the layer alone, of rounding alone\n", d.Images)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "layer\tkind\ttype\tup to here\talone\trounding\tcosine\tclipped\tshare\tvalues on the grid")
	for _, l := range d.Layers {
		rounding, clipped := "-", "-"
		if l.Type == "i8" || l.Type == "i16" {
			rounding, clipped = fmt.Sprintf("%.1f", l.Grid), fmt.Sprintf("%.2g %%", 100*(l.Low+l.High))
		}
		if l.Cut {
			clipped = "cut"
		}
		share := "-"
		if l.Share > 0 {
			share = fmt.Sprintf("%.1f %%", 100*l.Share)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%.1f\t%s\t%.4f\t%s\t%s\t%s\n", printable(l.Layer), l.Kind, l.Type, l.SNR, l.Own, rounding, l.Cosine, clipped, share, blocks(l.Bars))
	}
	w.Flush()
	fmt.Fprint(&b, "\nWeights, dB; without the rule of pairs; the worst output channel\n")
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range d.Weights {
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\tchannel %d: %.1f\n", printable(l.Name), l.SNR, l.Full, l.Channel, l.Worst)
	}
	w.Flush()
	_, err := out.Write(b.Bytes())
	return badIO(err)
}

// blocks draws a histogram, two of its bars a character.
func blocks(bars []int) string {
	var b strings.Builder
	tall := []rune(" ▁▂▃▄▅▆▇█")
	any := false
	for i := 0; i+1 < len(bars); i += 2 {
		v := max(bars[i], bars[i+1])
		any = any || v > 0
		// From one in a hundred million to all of them; the file's scale begins at one in a thousand million.
		b.WriteRune(tall[min((v+30)/32, 8)])
	}
	if !any {
		return ""
	}
	return "|" + b.String() + "|"
}
