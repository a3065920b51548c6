package quant

// Report says what quantization did to each weight and each activation. It marshals to JSON.
type Report struct {
	Model   string `json:"model"`
	Method  string `json:"method"`
	Weights string `json:"weights"`
	Images  int    `json:"images"`
	// Pixels tells that the network takes the image's bytes, normalisation folded into its first convolution.
	Pixels  bool           `json:"pixels"`
	Layers  []LayerReport  `json:"layers"`
	Tensors []TensorReport `json:"tensors"`
	// Equalized lists the activations whose channels were scaled; Reordered counts those whose channels got another order.
	Equalized []EqualizedTensor `json:"equalized,omitempty"`
	Reordered int               `json:"reordered,omitempty"`
	// PairLoss is what the rule of pairs costs weights rounded to the nearest: the mean over such layers of the decibels between WeightSNRFull and
	// WeightSNR, PairLossWorst the most of any layer.
	PairLoss      float64 `json:"pair_loss"`
	PairLossWorst float64 `json:"pair_loss_worst"`
	// RoundingGain is the mean over the layers that were rounded by data of theirs.
	RoundingGain float64 `json:"rounding_gain,omitempty"`
	// Notes are remarks for the user: what had to be done that costs accuracy, and where.
	Notes []string `json:"notes,omitempty"`
	// Twin is what to measure the quantized model against.
	Twin *Twin `json:"-"`
	// ops are the places in the quantized model of the float model's operators, -1 where one became several.
	ops []int
}

// EqualizedTensor is an activation whose channels were scaled, with the share of the noise in its reader's results that was
// expected to go thereby, in decibels.
type EqualizedTensor struct {
	Name string  `json:"name"`
	Gain float64 `json:"gain"`
}

// LayerReport is about the weights of one layer. Ratios are in decibels, capped at 200, over all weights of the layer.
type LayerReport struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Channels int    `json:"channels"`
	Weights  int    `json:"weights"`
	// WeightSNR is the signal-to-noise ratio of the weights as stored, WeightSNRFull what it would be without the pair rule.
	WeightSNR     float64   `json:"weight_snr"`
	WeightSNRFull float64   `json:"weight_snr_full"`
	ChannelSNR    []float64 `json:"channel_snr"`
	WeightScale   []float32 `json:"weight_scale"`
	// RoundingGain is how much less error in the layer's results rounding by data leaves than rounding to the nearest, in decibels.
	RoundingGain float64 `json:"rounding_gain,omitempty"`
	// ChannelMin and ChannelMax are the range of each channel's float weights, with zero.
	ChannelMin []float32 `json:"channel_min"`
	ChannelMax []float32 `json:"channel_max"`
	// Pairs is the number of pairs that must be safe, PairsChanged how many of them differ from plain rounding.
	Pairs        int           `json:"pairs"`
	PairsChanged int           `json:"pairs_changed"`
	Raised       []RaisedScale `json:"raised,omitempty"`
}

// RaisedScale is a channel whose scale had to be larger than the best one, to keep its sums in 32 bits. Channels that are
// nothing but their bias are the usual case.
type RaisedScale struct {
	Channel int     `json:"channel"`
	Factor  float64 `json:"factor"`
	// Steps is how far rounding its weights can put the result off, for the worst input, in steps of the output's grid (in
	// real units for a class activation head).
	Steps float64 `json:"steps"`
}

// TensorReport is about one activation: what was observed, and the int8 grid chosen for it.
type TensorReport struct {
	Name  string  `json:"name"`
	Layer string  `json:"layer"` // the operator that makes it
	Min   float32 `json:"min"`   // observed
	Max   float32 `json:"max"`
	Type  string  `json:"type"` // i8 or i16
	Scale float32 `json:"scale"`
	Zero  int32   `json:"zero"`
	Lo    float32 `json:"lo"` // what the grid reaches
	Hi    float32 `json:"hi"`
	// Clipped is the share of the observed values beyond Lo and Hi, to the histogram's resolution.
	Clipped float64 `json:"clipped"`
	// Cut tells that what lies beyond makes no difference to the functions that read the activation.
	Cut bool `json:"cut,omitempty"`
	// Shared names the tensor whose grid this one has, to save a requantization between them.
	Shared string `json:"shared,omitempty"`
}

// WorstChannel is the output channel whose weights lost most, and its ratio. Channels whose scale was raised are left out unless
// there is nothing else: they are next to nothing but their bias.
func (l *LayerReport) WorstChannel() (channel int, snr float64) {
	raised := map[int]bool{}
	for _, r := range l.Raised {
		raised[r.Channel] = true
	}
	channel = -1
	for c, v := range l.ChannelSNR {
		if !raised[c] && (channel < 0 || v < snr) {
			channel, snr = c, v
		}
	}
	if channel < 0 {
		return 0, maxSNR
	}
	return channel, snr
}

// sumUp fills in what follows from the layers.
func (r *Report) sumUp() {
	n, rounded := 0, 0
	for i := range r.Layers {
		l := &r.Layers[i]
		if l.RoundingGain > 0 {
			r.RoundingGain += l.RoundingGain
			rounded++
		} else if l.Pairs > 0 {
			loss := l.WeightSNRFull - l.WeightSNR
			r.PairLoss += loss
			r.PairLossWorst = max(r.PairLossWorst, loss)
			n++
		}
	}
	if n > 0 {
		r.PairLoss /= float64(n)
	}
	if rounded > 0 {
		r.RoundingGain /= float64(rounded)
	}
}
