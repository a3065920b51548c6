package quant

import (
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Quality is what a file keeps of a measurement: of the activations and weights of q, which Quantize made with the report rep.
// How classes, maps and boxes fared is the caller's to fill in.
func (m *Measurement) Quality(q *format.Model, rep *Report) *format.Quality {
	out := &format.Quality{Images: m.Images}
	for i := range m.Layers {
		l := &m.Layers[i]
		a := format.ActivationQuality{Tensor: l.Tensor, SNR: float32(l.SNR), Own: float32(l.Own), Grid: float32(l.Grid), Cosine: float32(l.Cosine),
			Min: l.Min, Max: l.Max, Share: float32(l.Share), Cut: l.Cut}
		a.Channel, a.ChannelFactor = widest(l.Peaks)
		total := uint64(0)
		for _, n := range l.Codes {
			total += n
		}
		if total > 0 {
			a.Low, a.High = float32(float64(l.Low)/float64(total)), float32(float64(l.High)/float64(total))
			a.Bars = bars(l.Codes, total)
		}
		out.Activations = append(out.Activations, a)
	}
	slices.SortFunc(out.Activations, func(a, b format.ActivationQuality) int { return a.Tensor - b.Tensor })
	layers := map[string]*LayerReport{}
	for i := range rep.Layers {
		layers[rep.Layers[i].Name] = &rep.Layers[i]
	}
	for i := range q.Ops {
		op := &q.Ops[i]
		for k, name := range weightNames(op) {
			l := layers[name]
			if l == nil || k >= len(op.Inputs) || op.Inputs[k] < 0 {
				continue
			}
			w := format.WeightQuality{Tensor: op.Inputs[k], SNR: float32(l.WeightSNR), Full: float32(l.WeightSNRFull)}
			channel, least := l.WorstChannel()
			w.Channel, w.ChannelSNR = channel, float32(least)
			out.Weights = append(out.Weights, w)
		}
	}
	slices.SortFunc(out.Weights, func(a, b format.WeightQuality) int { return a.Tensor - b.Tensor })
	out.Weights = slices.CompactFunc(out.Weights, func(a, b format.WeightQuality) bool { return a.Tensor == b.Tensor })
	return out
}

// weightNames are the names under which a Report has an operator's weights, by the operator's input.
func weightNames(op *format.Op) map[int]string {
	switch op.Kind {
	case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpCAMHead:
		return map[int]string{1: op.Name}
	case format.OpRFGA:
		return map[int]string{1: op.Name + ".conv_c", 3: op.Name + ".conv_h", 5: op.Name + ".conv_w"}
	}
	return nil
}

// widest returns the channel with the largest magnitude, and how many times the median channel's that is.
func widest(peaks []float32) (channel int, factor float32) {
	if len(peaks) == 0 {
		return 0, 0
	}
	for c, p := range peaks {
		if p > peaks[channel] {
			channel = c
		}
	}
	sorted := slices.Sorted(slices.Values(peaks))
	if median := sorted[len(sorted)/2]; median > 0 {
		factor = min(peaks[channel]/median, math.MaxFloat32)
	}
	return channel, factor
}

// bars condenses a histogram to the file's.
func bars(codes []uint64, total uint64) (out [format.QualityBars]uint8) {
	per := len(codes) / len(out)
	for i := range out {
		n := uint64(0)
		for _, c := range codes[i*per : (i+1)*per] {
			n += c
		}
		if n > 0 {
			out[i] = 1 + uint8(math.Round(254*max(1+math.Log10(float64(n)/float64(total))/9, 0)))
		}
	}
	return out
}

// barShare is the share of the values that a bar stands for.
func barShare(b uint8) float64 {
	if b == 0 {
		return 0
	}
	return math.Pow(10, 9*(float64(b-1)/254-1))
}
