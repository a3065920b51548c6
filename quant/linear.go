package quant

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// layer is a linear operator on its way to int8: a convolution, a fully connected layer, a head, or one of RFGA's Conv1d.
// The channel's real result is the sum of w*(x - offset) plus bias.
type layer struct {
	name   string
	out    int // output channels
	taps   int // rows times columns of the kernel
	in     int // input channels that one output channel reads
	groups int
	w      []float32 // out, taps, in, without padding
	bias   []float32 // out, or nil
	offset []float64 // per input channel (groups*in) in units of scaleIn, nil for none: what the input's mean shifts
	gain   []float64 // per input channel, nil for ones: factor on the weights that normalisation amounts to
	// mean is what x - offset is on average, per input channel; nil if it is not known.
	mean    []float64
	scaleIn float64
	// scaleOut is zero where the accumulators are the result.
	scaleOut float64
	pairs    bool
	found    []chosen // what earlier searches for the channels' scales found; nil to forget it
}

// chosen is the best scale of a channel by itself and its integers. It does not depend on the activations' scales.
type chosen struct {
	q     []int8 // nil until it is searched for
	scale float32
	safe  bool // found under the rule of pairs
	stats channelStats
}

// quantized is what layer becomes. Of channel o, the real value of an accumulator is scaleIn*scale[o].
type quantized struct {
	q     []int8 // as layer.w
	scale []float32
	bias  []int32
	mult  []float32 // nil if scaleOut is zero
	stats LayerReport
}

// Bounds on what a channel's scale must achieve.
const (
	accMax = math.MaxInt32
	// Multipliers stay this far inside the normal float32 numbers, so that no division of them by a window's size leaves it.
	multMin = 0x1p-100
	multMax = 0x1p+100
)

// quantize chooses scales and integers for every channel. Channels are independent, so threads do not change the result.
func (l *layer) quantize(threads int) (*quantized, error) {
	n := l.taps * l.in
	if len(l.w) != l.out*n || l.bias != nil && len(l.bias) != l.out {
		return nil, fmt.Errorf("%s: %d weights and %d biases for %d channels of %d weights", l.name, len(l.w), len(l.bias), l.out, n)
	}
	if k := anyNotFinite(l.w); k >= 0 {
		return nil, fmt.Errorf("%s: weight %d of output channel %d is %v", l.name, k%n, k/n, l.w[k])
	}
	if k := anyNotFinite(l.bias); k >= 0 {
		return nil, fmt.Errorf("%s: the bias of output channel %d is %v", l.name, k, l.bias[k])
	}
	if !(l.scaleIn > 0) || l.scaleOut < 0 {
		return nil, fmt.Errorf("%s: activation scales %g and %g must be positive", l.name, l.scaleIn, l.scaleOut)
	}
	res := &quantized{q: make([]int8, len(l.w)), scale: make([]float32, l.out), bias: make([]int32, l.out)}
	if l.scaleOut > 0 {
		res.mult = make([]float32, l.out)
	}
	var pairs *pairing
	if l.pairs {
		pairs = pairingOf(l.taps, l.in)
	}
	channels := make([]channelStats, l.out)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(max(threads, 1), l.out) {
		wg.Go(func() {
			c := newChannel(l, pairs)
			for o := int(next.Add(1)) - 1; o < l.out; o = int(next.Add(1)) - 1 {
				channels[o] = c.quantize(o, res)
			}
		})
	}
	wg.Wait()
	for o := range channels {
		if err := channels[o].err; err != nil {
			return nil, fmt.Errorf("%s: output channel %d: %w", l.name, o, err)
		}
	}
	res.stats = l.report(res, channels)
	return res, nil
}

// channelStats is what quantizing one channel cost.
type channelStats struct {
	lo, hi                   float64 // of the weights, and zero
	signal, noise, noiseFull float64
	before, after            float64 // the result's error by nearest integers and by rounded ones, where data did the rounding
	pairs, changed           int
	raised                   float64 // factor by which the scale had to grow beyond the best, or 0
	steps                    float64 // if raised, how far off the output can be at worst
	err                      error
}

type channel struct {
	l     *layer
	full  *rounder
	safe  *rounder // nil without pairs
	w     []float64
	other []int8
}

func newChannel(l *layer, pairs *pairing) *channel {
	n := l.taps * l.in
	c := &channel{l: l, full: newRounder(n, nil), w: make([]float64, n), other: make([]int8, n)}
	if pairs != nil {
		c.safe = newRounder(n, pairs)
	}
	return c
}

// load takes the real weights of channel o and returns the first input channel of its group.
func (c *channel) load(o int) (first int) {
	l, n := c.l, len(c.w)
	first = o / (l.out / l.groups) * l.in
	for k := range c.w {
		c.w[k] = float64(l.w[o*n+k])
		if l.gain != nil {
			c.w[k] *= l.gain[first+k%l.in]
		}
	}
	return first
}

func (c *channel) quantize(o int, res *quantized) channelStats {
	l, n, first := c.l, len(c.w), c.load(o)
	q := res.q[o*n:][:n]
	var best chosen
	if l.found != nil {
		best = l.found[o]
	}
	if best.q == nil {
		best = c.search()
		if l.found != nil {
			l.found[o] = best
		}
	}
	copy(q, best.q)
	st, scale, used := best.stats, best.scale, c.full
	if best.safe {
		used = c.safe
	}
	bias := 0.0
	if l.bias != nil {
		bias = float64(l.bias[o])
	}
	// total is the bias in real units. It takes the offset's share from the weights as they are stored, and adds what their
	// rounding is wrong by on the average input: then the channel's mean is that of the float network.
	total := func(s float32) float64 {
		b := bias
		for k, v := range q {
			w, i := float64(s)*float64(v), first+k%l.in
			if l.offset != nil {
				b -= w * l.offset[i]
			}
			if l.mean != nil {
				b += (c.w[k] - w) * l.mean[i]
			}
		}
		return b
	}
	if scale == 0 {
		scale = l.idleScale(bias)
	}
	alone := scale
	for tries := 0; !l.fits(scale, total(scale), q); tries++ {
		if tries == 400 || math.IsInf(float64(scale), 0) {
			st.err = fmt.Errorf("no weight scale keeps the sum in 32 bits and the multiplier in range (largest weight %g, bias %g, scales %g to %g)",
				peak(c.w), bias, l.scaleIn, l.scaleOut)
			return st
		}
		scale *= 1.5
		st.noise = used.at(c.w, scale, q)
	}
	if scale != alone {
		st.raised = float64(scale) / float64(alone)
		for k, v := range q {
			st.steps += 255 * l.scaleIn * math.Abs(c.w[k]-float64(scale)*float64(v))
		}
		if l.scaleOut > 0 {
			st.steps /= l.scaleOut
		}
	}
	res.scale[o] = scale
	res.bias[o] = int32(math.RoundToEven(total(scale) / (l.scaleIn * float64(scale))))
	if res.mult != nil {
		res.mult[o] = float32(l.scaleIn * float64(scale) / l.scaleOut)
	}
	return st
}

// search finds the best scale for the channel in c.w.
func (c *channel) search() chosen {
	best := chosen{q: make([]int8, len(c.w))}
	st := &best.stats
	st.signal = sumSquares(c.w)
	for _, v := range c.w {
		st.lo, st.hi = min(st.lo, v), max(st.hi, v)
	}
	best.scale, st.noise = c.full.best(c.w, best.q)
	st.noiseFull = st.noise
	if c.safe == nil {
		return best
	}
	st.pairs = c.safe.pairs.count()
	if c.safe.pairs.violated(best.q) {
		best.safe = true
		best.scale, st.noise = c.safe.best(c.w, best.q)
		c.full.at(c.w, best.scale, c.other)
		st.changed = c.safe.pairs.differing(best.q, c.other)
	}
	return best
}

// idleScale is a scale for a channel whose weights are all zero: its bias gets 16 bits of fraction of an output step.
func (l *layer) idleScale(bias float64) float32 {
	step := l.scaleOut
	if step == 0 {
		step = max(math.Abs(bias), 0x1p-20)
	}
	return float32(min(max(step/65536/l.scaleIn, 0x1p-60), 0x1p60))
}

// fits reports whether a channel with these integers and bias keeps every partial sum in 32 bits, whatever bytes come and
// in whatever order they are added, and whether its multiplier is a normal number.
func (l *layer) fits(scale float32, bias float64, q []int8) bool {
	if scale < 0x1p-120 {
		return false
	}
	b := math.Abs(math.RoundToEven(bias / (l.scaleIn * float64(scale))))
	if !(b+255*float64(absSum(q)) <= accMax) {
		return false
	}
	m := l.scaleIn * float64(scale)
	if l.scaleOut > 0 {
		m /= l.scaleOut
	}
	return m >= multMin && m <= multMax
}

func (l *layer) report(res *quantized, channels []channelStats) LayerReport {
	r := LayerReport{Name: l.name, Channels: l.out, Weights: len(l.w)}
	var signal, noise, full, before, after float64
	for o, c := range channels {
		signal, noise, full = signal+c.signal, noise+c.noise, full+c.noiseFull
		before, after = before+c.before, after+c.after
		r.Pairs += c.pairs
		r.PairsChanged += c.changed
		r.ChannelSNR = append(r.ChannelSNR, snr(c.signal, c.noise))
		r.ChannelMin, r.ChannelMax = append(r.ChannelMin, float32(c.lo)), append(r.ChannelMax, float32(c.hi))
		if c.raised > 0 {
			r.Raised = append(r.Raised, RaisedScale{Channel: o, Factor: c.raised, Steps: c.steps})
		}
	}
	r.WeightSNR, r.WeightSNRFull = snr(signal, noise), snr(signal, full)
	r.WeightScale = res.scale
	if before > 0 {
		r.RoundingGain = snr(before, after)
	}
	return r
}

func (p *pairing) count() int {
	n := 0
	for _, run := range p.runs {
		n += run - 1
	}
	return n
}

// differing counts the pairs of a and b that differ.
func (p *pairing) differing(a, b []int8) int {
	n, k := 0, 0
	for _, run := range p.runs {
		for end := k + run; k < end; k++ {
			if k+1 < end && (a[k] != b[k] || a[k+1] != b[k+1]) {
				n++
			}
		}
	}
	return n
}

func peak(w []float64) float64 {
	p := 0.0
	for _, v := range w {
		p = max(p, math.Abs(v))
	}
	return p
}
