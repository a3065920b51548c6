package quant

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Cross-layer equalization. An activation has one scale for all its channels, so that a channel whose values are a
// hundredth of the widest one's is left with two or three int8 values. Where only a ReLU or a pooling stands between the convolutions
// that write and read an activation, its channels may be scaled at will: the writer's weights of channel i are divided by
// s[i] and the reader's multiplied by it. Depthwise networks need this most; a reader that is depthwise gains without any
// price, having a weight scale for each channel.
//
// Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, which scales by the
// ranges of weights. Here weights have a scale for each output channel and what is uneven are activations, so the ranges
// are those that were observed; and of several candidates the one is taken that is expected to put least noise into the reader.

// headroom is how far beyond the largest value that was observed a channel may still go, and worthwhile the gain in decibels
// from which on scaling is done. A channel that was widened clips values beyond those observed, which the wide grid had room
// for: on EfficientNet-Lite0, whose channels are even, scaling for any gain and without headroom lost six decibels on images
// of another kind.
const (
	headroom   = 2
	worthwhile = 6
)

// equalized is one activation whose channels were scaled.
type equalized struct {
	tensor string
	// gain is how much of the noise power in the reader's result is expected to go, in decibels.
	gain float64
}

// equalize scales channels by what c observed of m, a calibration that kept channels. It returns a new model.
func equalize(m *format.Model, c *calibration) (*format.Model, []equalized) {
	r := newRewriter(m)
	var done []equalized
	// The ranges of tensors change as their writers do; those of a tensor do not depend on another's scales.
	for i := range r.m.Ops {
		writer := &r.m.Ops[i]
		if writer.Kind != format.OpConv2D && writer.Kind != format.OpDepthwiseConv2D {
			continue
		}
		t, reader := r.only(writer.Outputs[0])
		if reader == nil {
			continue
		}
		lo, hi := float64(writer.Attr.ClampLo), float64(writer.Attr.ClampHi)
		if lo != 0 && !math.IsInf(lo, -1) || hi <= 0 {
			continue
		}
		a, ok := r.filtersOf(writer)
		if !ok {
			continue
		}
		b, ok := r.filtersOf(reader)
		if !ok || !b.depthwise && b.in != a.out || b.depthwise && b.out != a.out {
			continue
		}
		o := &c.tensors[writer.Outputs[0]]
		if len(o.peaks) != a.out || c.tensors[t].count == 0 {
			continue
		}
		s, gain := channelScales(o, b, hi)
		if gain < worthwhile {
			continue
		}
		n := a.taps * a.in
		for k := range a.w {
			a.w[k] = float32(float64(a.w[k]) / s[k/n])
		}
		for k := range a.bias {
			a.bias[k] = float32(float64(a.bias[k]) / s[k])
		}
		for k := range b.w {
			b.w[k] = float32(float64(b.w[k]) * s[b.channelOf(k)])
		}
		r.put(writer, a)
		r.put(reader, b)
		done = append(done, equalized{m.Tensors[writer.Outputs[0]].Name, gain})
	}
	return r.model(), done
}

// equalizable reports whether m has an activation that equalization could scale.
func equalizable(m *format.Model) bool {
	r := newRewriter(m)
	for i := range m.Ops {
		if op := &m.Ops[i]; op.Kind == format.OpConv2D || op.Kind == format.OpDepthwiseConv2D {
			if _, reader := r.only(op.Outputs[0]); reader != nil {
				switch reader.Kind {
				case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpCAMHead:
					return true
				}
			}
		}
	}
	return false
}

// channelOf is the input channel that weight k multiplies.
func (f *filters) channelOf(k int) int {
	if f.depthwise {
		return k / f.taps
	}
	return k % f.in
}

// only follows an activation through poolings, which scale with their input, to the one operator that reads it.
func (r *rewriter) only(t int) (last int, reader *format.Op) {
	for r.uses[t] == 1 && len(r.read[t]) == 1 {
		op := &r.m.Ops[r.read[t][0]]
		if op.Inputs[0] != t {
			return t, nil
		}
		switch op.Kind {
		case format.OpMaxPool, format.OpAvgPool, format.OpGlobalAvgPool:
			t = op.Outputs[0]
			continue
		}
		return t, op
	}
	return t, nil
}

// channelScales returns the factor that each channel is divided by, and the noise that saves in decibels. Channels get no
// wider than the widest one, so that a clamp at hi stays where it is for those that reach it.
func channelScales(o *observer, reader *filters, hi float64) ([]float64, float64) {
	n := len(o.peaks)
	widest := 0.0
	for _, p := range o.peaks {
		widest = max(widest, float64(p))
	}
	one := make([]float64, n)
	for i := range one {
		one[i] = 1
	}
	if widest == 0 {
		return one, 0
	}
	power := o.powers()
	before := expectedNoise(o, power, reader, one)
	best, least := one, before
	heaviest := reader.peaks()
	top := 0.0
	for _, w := range heaviest {
		top = max(top, w)
	}
	for _, alpha := range []float64{1, 0.75, 0.5, 0.25} {
		for _, beta := range []float64{0, 0.5} {
			s := make([]float64, n)
			for i, p := range o.peaks {
				s[i] = 1
				used := min(headroom*float64(p)/widest, 1)
				if used == 0 || heaviest[i] == 0 {
					continue // says nothing, or is not heard
				}
				s[i] = math.Pow(used, alpha) * math.Pow(heaviest[i]/top, -beta)
			}
			bound(s, o.peaks, widest, hi)
			quiet(s, o.peaks, heaviest)
			if e := expectedNoise(o, power, reader, s); e < least {
				best, least = s, e
			}
		}
	}
	return best, before - least
}

// bound keeps scales within what the channels' peaks allow, and powers of the least and greatest within reason.
func bound(s []float64, peaks []float32, widest, hi float64) {
	// Without a clamp a common factor does not matter: the widest channel keeps its width.
	factor := 0.0
	for i, p := range peaks {
		if p > 0 {
			factor = max(factor, float64(p)/s[i])
		}
	}
	factor /= widest
	const most = 1 << 20
	for i, p := range peaks {
		if p == 0 {
			s[i] = 1
			continue
		}
		s[i] = min(max(s[i]*factor, 1./most), most)
		if !math.IsInf(hi, 1) {
			// A channel that is widened must not meet the clamp, one that meets it must not be narrowed.
			s[i] = min(max(s[i], headroom*float64(p)/hi), 1)
		}
	}
}

// quiet scales channels that were never anything but zero so that their weights in the reader do not set its scales.
func quiet(s []float64, peaks []float32, heaviest []float64) {
	most := 0.0
	for i, p := range peaks {
		if p > 0 {
			most = max(most, heaviest[i]*s[i])
		}
	}
	for i, p := range peaks {
		if p == 0 && most > 0 && heaviest[i] > most {
			s[i] = most / heaviest[i]
		}
	}
}

// peaks are the largest weight of each input channel in steps of its output channel's largest.
func (f *filters) peaks() []float64 {
	if f.depthwise {
		out := make([]float64, f.out)
		for k, w := range f.w {
			out[k/f.taps] = max(out[k/f.taps], math.Abs(float64(w)))
		}
		return out
	}
	out, n := make([]float64, f.in), f.taps*f.in
	for o := range f.out {
		w, top := f.w[o*n:][:n], float32(0)
		for _, v := range w {
			top = max(top, v, -v)
		}
		if top == 0 {
			continue
		}
		for k, v := range w {
			out[k%f.in] = max(out[k%f.in], math.Abs(float64(v/top)))
		}
	}
	return out
}

// expectedNoise is the power of the error in the reader's results when channels are divided by s: that of rounding the
// activation, and that of rounding the weights. It is in decibels, the mean over the output channels, whose own scales then
// do not matter.
func expectedNoise(o *observer, power []float64, f *filters, s []float64) float64 {
	width := 0.0
	for i, p := range o.peaks {
		width = max(width, float64(p)/s[i])
	}
	if o.min < 0 {
		width *= 2
	}
	step := width / 255
	sum, heard := 0.0, 0.0
	n := f.taps * f.in
	for c := range f.out {
		w := f.w[c*n:][:n]
		top, activations, weights := 0.0, 0.0, 0.0
		for k, v := range w {
			i := k % f.in
			if f.depthwise {
				i = c
			}
			d := math.Abs(float64(v)) * s[i]
			top = max(top, d)
			activations += d * d
			weights += power[i] / (s[i] * s[i])
		}
		if noise := activations*step*step + weights*(top/127)*(top/127); noise > 0 {
			sum += 10 * math.Log10(noise/12)
			heard++
		}
	}
	return sum / max(heard, 1)
}
