package quant

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// A Finding says of one layer how much it loses, why, and what can be done about it.
type Finding struct {
	Tensor int      `json:"tensor"` // of the file; -1 for what concerns most layers
	Name   string   `json:"name"`   // of the activation
	Layer  string   `json:"layer"`  // of the operator that makes it
	Kind   string   `json:"kind"`
	Loss   string   `json:"loss"`
	Why    string   `json:"why"`
	Try    []string `json:"try"` // flags of convert, the most promising first
}

// Bounds of what counts as a cause.
const (
	goodOwn     = 35   // dB: about what int8 rounding costs at its best; nothing to gain
	manyClipped = 1e-4 // share of the values beyond the grid
	tooMany     = 5e-4 // likewise, of most layers
	farChannel  = 4    // times the median channel's reach
	narrow      = 0.35 // of the grid, in which all but a thousandth of the values lie
)

// Findings explains the quality that m's file carries: the layers that cost most, most first, at most so many.
func Findings(m *format.Model, most int) []Finding {
	if m.Quality == nil {
		return nil
	}
	x := explainer{m: m, by: producers(m), activations: map[int]*format.ActivationQuality{}, weights: map[int]*format.WeightQuality{}}
	var list []*format.ActivationQuality
	shared := false
	for i := range m.Quality.Activations {
		a := &m.Quality.Activations[i]
		x.activations[a.Tensor] = a
		shared = shared || a.Share > 0
		if x.by[a.Tensor] >= 0 && m.Tensors[a.Tensor].DType == format.I8 {
			list = append(list, a)
		}
	}
	for i := range m.Quality.Weights {
		x.weights[m.Quality.Weights[i].Tensor] = &m.Quality.Weights[i]
	}
	slices.SortStableFunc(list, func(a, b *format.ActivationQuality) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Own, b.Own))
	})
	var out []Finding
	if f, ok := x.method(list); ok && most > 0 {
		out = append(out, f)
	}
	for _, a := range list {
		if len(out) == most {
			break
		}
		if a.Own >= goodOwn || shared && a.Share < 0.5/float32(len(list)) {
			continue
		}
		out = append(out, x.explain(a))
	}
	return out
}

// Sound tells whether the quantized model answers like the float one, as far as its file says.
func Sound(m *format.Model) bool { return m.Quality != nil && strings.HasPrefix(Verdict(m), sound+":") }

const sound = "int8 answers like the float network"

// Verdict sums up in a sentence how the quantized model of m's file compares with the float one.
func Verdict(m *format.Model) string {
	q := m.Quality
	if q == nil {
		return ""
	}
	worst := float32(maxSNR)
	for _, o := range m.Outputs {
		for _, a := range q.Activations {
			if a.Tensor == o.Tensor {
				worst = min(worst, a.SNR)
			}
		}
	}
	agreed := 1.0
	if q.Classified > 0 {
		agreed = float64(q.Agreed) / float64(q.Classified)
	}
	say := sound
	switch {
	case agreed >= 0.97 && (q.Located == 0 || q.Correlation >= 0.97) && worst >= 15:
	case agreed >= 0.9 && (q.Located == 0 || q.Correlation >= 0.9) && worst >= 8:
		say = "int8 answers much like the float network, with losses that show"
	default:
		say = "int8 answers differently from the float network, and the layers below say why"
	}
	var facts []string
	if q.Classified > 0 {
		facts = append(facts, fmt.Sprintf("the same class in %d of %d images", q.Agreed, q.Classified))
	}
	if q.Located > 0 {
		facts = append(facts, fmt.Sprintf("class maps that correlate by %.3f", q.Correlation), fmt.Sprintf("boxes that overlap by %.2f", q.IoU))
	}
	facts = append(facts, fmt.Sprintf("outputs of %.1f dB", worst))
	return say + ": " + strings.Join(facts, ", ") + "."
}

type explainer struct {
	m           *format.Model
	by          []int
	activations map[int]*format.ActivationQuality
	weights     map[int]*format.WeightQuality
}

// method blames the calibration where most layers clip: then it is no use to treat one after the other.
func (x *explainer) method(list []*format.ActivationQuality) (f Finding, ok bool) {
	clip := 0
	for _, a := range list {
		if a.Low+a.High > tooMany && !a.Cut {
			clip++
		}
	}
	if 2*clip < len(list) || clip < 3 {
		return f, false
	}
	return Finding{Tensor: -1, Layer: "most layers", Loss: fmt.Sprintf("%d of %d activations are clipped", clip, len(list)),
		Why: "the calibration method cuts off more of the large values than they can spare", Try: []string{"--method min-max", "--method percentile:99.999"}}, true
}

// power turns decibels of a ratio into the noise of a signal of 1.
func power(db float32) float64 { return math.Pow(10, -float64(db)/10) }

func (x *explainer) explain(a *format.ActivationQuality) Finding {
	t, op := &x.m.Tensors[a.Tensor], &x.m.Ops[x.by[a.Tensor]]
	f := Finding{Tensor: a.Tensor, Name: t.Name, Layer: op.Name, Kind: op.Kind.String(), Loss: fmt.Sprintf("%.1f dB by itself", a.Own)}
	if a.Share > 0 {
		f.Loss = fmt.Sprintf("%.0f %% of the error of the outputs; %s", 100*a.Share, f.Loss)
	}
	name := cmp.Or(t.Name, op.Name)
	wide := "--int16 " + shell(name)
	method := func(m string) string { return "--method-for " + shell(name+"="+m) }
	own, grid := power(a.Own), power(a.Grid)
	clipped := a.Low + a.High
	if w := x.weightsOf(op); grid < own/2 {
		x.explainSums(&f, a, op, w, own)
		return f
	}
	switch {
	case clipped > manyClipped && !a.Cut:
		f.Why = fmt.Sprintf("%.3g %% of its values lie beyond the ends of its grid and are clipped", 100*clipped)
		f.Try = []string{method("min-max"), method("percentile:99.999"), wide}
	case a.ChannelFactor >= farChannel:
		f.Why = fmt.Sprintf("channel %d reaches %.1f times as far as the median channel and stretches the grid of all of them", a.Channel, a.ChannelFactor)
		f.Try = []string{wide, method("mse")}
	case filledShare(a.Bars) < narrow:
		f.Why = fmt.Sprintf("all but a thousandth of its values lie in %.0f %% of its grid: a few large ones stretch it", 100*filledShare(a.Bars))
		f.Try = []string{method("mse"), wide}
	default:
		f.Why = "its values are spread over the whole grid: 256 steps are too few for them"
		f.Try = []string{wide}
	}
	return f
}

// explainSums explains a layer whose error is in its sums, before the result is rounded to the grid.
func (x *explainer) explainSums(f *Finding, a *format.ActivationQuality, op *format.Op, w *format.WeightQuality, own float64) {
	if w != nil && power(w.SNR) > own/3 {
		if w.Full-w.SNR > 1 {
			f.Why = fmt.Sprintf("its weights lose %.1f dB to the rule of pairs, which the fastest kernels of older x86 processors need", w.Full-w.SNR)
			f.Try = []string{"--weights full"}
			return
		}
		f.Why = fmt.Sprintf("rounding its weights to 8 bits costs most; those of output channel %d have %.1f dB", w.Channel, w.ChannelSNR)
		f.Try = []string{"--round ada"}
		switch op.Kind {
		case format.OpCAMHead: // finer weights
			f.Try = append([]string{"--int16 " + shell(op.Name)}, f.Try...)
		case format.OpRFGA:
			f.Try = []string{"--max-loss 0.5% --metric map"}
		}
		return
	}
	if op.Kind == format.OpRFGA {
		f.Why = "256 steps are too few for its views, or for the values before its sigmoids"
		f.Try = []string{"--int16 " + shell(op.Name+".*")}
		return
	}
	in := x.inputOf(op)
	if a := x.activations[op.Inputs[0]]; in != "" && a != nil && a.Low+a.High > manyClipped && !a.Cut {
		f.Why = fmt.Sprintf("it depends on large values of its input, %.3g %% of which are clipped", 100*(a.Low+a.High))
		f.Try = []string{"--method-for " + shell(in+"=min-max"), "--int16 " + shell(in)}
		return
	}
	f.Why = "it subtracts large values from each other, so that the rounding of its input shows in the small differences"
	if op.Kind == format.OpMul || op.Kind == format.OpAdd || op.Kind == format.OpUnary {
		f.Why = "it makes the rounding of its input larger"
	}
	if in != "" {
		f.Try = []string{"--int16 " + shell(in)}
	}
}

// inputOf is the name of an operator's first input, if that is an int8 activation that some operator makes.
func (x *explainer) inputOf(op *format.Op) string {
	t := op.Inputs[0]
	if t < 0 || x.by[t] < 0 || x.m.Tensors[t].DType != format.I8 {
		return ""
	}
	return cmp.Or(x.m.Tensors[t].Name, x.m.Ops[x.by[t]].Name)
}

// weightsOf is what is known of an operator's weights: of several, of those that lost most.
func (x *explainer) weightsOf(op *format.Op) (worst *format.WeightQuality) {
	for _, t := range op.Inputs {
		if w := x.weights[t]; w != nil && (worst == nil || w.SNR < worst.SNR) {
			worst = w
		}
	}
	return worst
}

// shell quotes a name where a shell needs it.
func shell(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=:-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// filledShare is how much of a grid the values fill, but for a thousandth of them.
func filledShare(bars [format.QualityBars]uint8) float64 {
	const rare = 1e-3
	lo, hi := 0, len(bars)
	total := 0.0
	for _, b := range bars {
		total += barShare(b)
	}
	if total == 0 {
		return 1
	}
	out := 0.0
	for lo < hi {
		a, b := barShare(bars[lo])/total, barShare(bars[hi-1])/total
		if out+min(a, b) > rare {
			break
		}
		out += min(a, b)
		if a <= b {
			lo++
		} else {
			hi--
		}
	}
	return float64(hi-lo) / float64(len(bars))
}
