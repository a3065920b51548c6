package format

import (
	"fmt"
	"math"
)

// QualityBars is the number of bars of an activation's histogram.
const QualityBars = 32

// Quality says what quantization cost, as its converter measured it on images: the optional section QUAL. doc.go describes the
// fields. It is for people: nothing that a model computes depends on it.
type Quality struct {
	Images      int
	Classified  int // images of which the classes of the float network were compared, 0 or Images
	Agreed      int // and those with the same class
	Located     int // images of which maps and boxes were compared
	Correlation float32
	IoU         float32
	Activations []ActivationQuality // by ascending tensor
	Weights     []WeightQuality     // likewise
}

// ActivationQuality is about an activation. Ratios are in decibels, -200 to 200.
type ActivationQuality struct {
	Tensor        int
	SNR, Own      float32 // of the whole network up to here, and of this layer alone
	Grid          float32 // of rounding its values to the grid alone
	Cosine        float32
	Low, High     float32 // shares of values beyond either end of the grid
	Min, Max      float32 // of the float values
	Share         float32 // in the error of the outputs
	Cut           bool    // the grid ends on purpose where the functions that read it no longer change
	Channel       int     // the one with the largest values
	ChannelFactor float32 // how many times the median channel's largest that is, 0 for never more than zero
	// Bars are the values on the grid, from its low end to its high one: 0 for none, else 1+round(254*(1+log10(share)/9)),
	// shares below 1e-9 counting as that.
	Bars [QualityBars]uint8
}

// WeightQuality is about the weights of a layer.
type WeightQuality struct {
	Tensor     int
	SNR, Full  float32 // as stored; and without the rule of pairs
	Channel    int     // the output channel whose weights lost most
	ChannelSNR float32
}

// Sizes of the records, from which a reader bounds their numbers.
const (
	minActivationQuality = 11*4 + 1 + QualityBars
	minWeightQuality     = 5 * 4
)

func (d *decoder) quality(r *reader) {
	q := &Quality{Images: r.index(), Classified: r.index(), Agreed: r.index(), Located: r.index(), Correlation: r.f32(), IoU: r.f32()}
	if n := r.count("activations", MaxTensors, minActivationQuality); n > 0 {
		q.Activations = make([]ActivationQuality, n)
	}
	for i := range q.Activations {
		a := &q.Activations[i]
		a.Tensor = r.index()
		for _, f := range a.floats() {
			*f = r.f32()
		}
		a.Channel, a.ChannelFactor, a.Cut = r.index(), r.f32(), r.bool()
		for k := range a.Bars {
			a.Bars[k] = r.u8()
		}
	}
	if n := r.count("weights", MaxTensors, minWeightQuality); n > 0 {
		q.Weights = make([]WeightQuality, n)
	}
	for i := range q.Weights {
		q.Weights[i] = WeightQuality{r.index(), r.f32(), r.f32(), r.index(), r.f32()}
	}
	d.m.Quality = q
}

// floats are the plain numbers of a record in the file's order.
func (a *ActivationQuality) floats() []*float32 {
	return []*float32{&a.SNR, &a.Own, &a.Grid, &a.Cosine, &a.Low, &a.High, &a.Min, &a.Max, &a.Share}
}

func encodeQuality(q *Quality) []byte {
	var t table
	for _, n := range []int{q.Images, q.Classified, q.Agreed, q.Located} {
		t.u32(uint32(n))
	}
	t.f32(q.Correlation)
	t.f32(q.IoU)
	t.u32(uint32(len(q.Activations)))
	for i := range q.Activations {
		a := &q.Activations[i]
		t.u32(uint32(a.Tensor))
		for _, f := range a.floats() {
			t.f32(*f)
		}
		t.u32(uint32(a.Channel))
		t.f32(a.ChannelFactor)
		cut := uint8(0)
		if a.Cut {
			cut = 1
		}
		t.u8(cut)
		t.b = append(t.b, a.Bars[:]...)
	}
	t.u32(uint32(len(q.Weights)))
	for _, w := range q.Weights {
		t.u32(uint32(w.Tensor))
		t.f32(w.SNR)
		t.f32(w.Full)
		t.u32(uint32(w.Channel))
		t.f32(w.ChannelSNR)
	}
	return t.b
}

// checkQuality checks the section against the model it is about.
func (g *graph) checkQuality() error {
	q := g.m.Quality
	if q == nil {
		return nil
	}
	fail := func(format string, args ...any) error { return failf(sectionIDs[secQuality], format, args...) }
	if q.Images < 1 || q.Images > math.MaxInt32 || q.Classified != 0 && q.Classified != q.Images || q.Agreed < 0 || q.Agreed > q.Classified || q.Located < 0 || q.Located > q.Images {
		return fail("%d images, %d of them classified, %d alike, %d located: these counts do not fit each other", q.Images, q.Classified, q.Agreed, q.Located)
	}
	if !within(q.Correlation, -1, 1) || !within(q.IoU, 0, 1) || q.Located == 0 && (q.Correlation != 0 || q.IoU != 0) {
		return fail("correlation %v and overlap %v: want -1 to 1 and 0 to 1, and zeros if nothing was located", q.Correlation, q.IoU)
	}
	if len(q.Activations) > MaxTensors || len(q.Weights) > MaxTensors {
		return fail("%d activations and %d weights: at most %d", len(q.Activations), len(q.Weights), MaxTensors)
	}
	last := -1
	for i := range q.Activations {
		a := &q.Activations[i]
		if err := g.checkMeasured(a.Tensor, last, roleActivation, a.Channel, 3); err != nil {
			return fail("activation %d: %v", i, err)
		}
		last = a.Tensor
		if err := a.check(); err != nil {
			return fail("activation %d (%s): %v", i, quote(g.m.Tensors[a.Tensor].Name), err)
		}
	}
	last = -1
	for i, w := range q.Weights {
		axis := 0
		if t := w.Tensor; t >= 0 && t < len(g.m.Tensors) && len(g.m.Tensors[t].Scale) != g.m.Tensors[t].Shape[0] {
			axis = len(g.m.Tensors[t].Shape) - 1 // depthwise
		}
		if err := g.checkMeasured(w.Tensor, last, roleWeights, w.Channel, axis); err != nil {
			return fail("weights %d: %v", i, err)
		}
		last = w.Tensor
		if !within(w.SNR, -200, 200) || !within(w.Full, -200, 200) || !within(w.ChannelSNR, -200, 200) {
			return fail("weights %d: ratios of %v, %v and %v: want -200 to 200 dB", i, w.SNR, w.Full, w.ChannelSNR)
		}
	}
	return nil
}

// checkMeasured checks that a record is about a tensor of the role, in order, and about a channel that it has.
func (g *graph) checkMeasured(t, last int, r role, channel, axis int) error {
	if t <= last || t >= len(g.m.Tensors) || g.roles[t] != r {
		return fmt.Errorf("tensor %d: want %v, by ascending index", t, r)
	}
	if n := g.m.Tensors[t].Shape[axis]; channel < 0 || channel >= n {
		return fmt.Errorf("channel %d of %d", channel, n)
	}
	return nil
}

func (a *ActivationQuality) check() error {
	switch {
	case !within(a.SNR, -200, 200) || !within(a.Own, -200, 200) || !within(a.Grid, -200, 200):
		return fmt.Errorf("ratios of %v, %v and %v: want -200 to 200 dB", a.SNR, a.Own, a.Grid)
	case !within(a.Cosine, -1, 1):
		return fmt.Errorf("cosine %v: want -1 to 1", a.Cosine)
	case !within(a.Low, 0, 1) || !within(a.High, 0, 1) || !within(a.Share, 0, 1):
		return fmt.Errorf("shares of %v, %v and %v: want 0 to 1", a.Low, a.High, a.Share)
	case !within(a.Min, -math.MaxFloat32, a.Max) || !within(a.Max, a.Min, math.MaxFloat32):
		return fmt.Errorf("range %v to %v", a.Min, a.Max)
	case !within(a.ChannelFactor, 0, math.MaxFloat32):
		return fmt.Errorf("channel factor %v", a.ChannelFactor)
	}
	return nil
}

// within is false for NaN.
func within(v, lo, hi float32) bool { return v >= lo && v <= hi }
