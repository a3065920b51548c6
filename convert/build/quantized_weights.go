package build

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

const (
	accMax    = math.MaxInt32
	weightMax = 127
	// Multipliers stay this far inside the normal float32 numbers, so that no division of them by a window's size leaves it.
	multMin = 0x1p-100
	multMax = 0x1p+100
)

// Weights are those of a linear operator: the real weight of output channel o is Scale[o]*W, its bias Bias[o] in real units.
// Where W are integers of -127..127 they are stored as they are. Others are rounded anew, with a scale for each channel, which
// is what happens to weights with a zero point that leaves that range, to -128, and to weights that were never quantized.
type Weights struct {
	W     []float32 // output channels outermost
	Scale []float64 // one for each output channel; a negative one turns the signs of W
	Bias  []float64 // nil: none
}

// intWeights are the weights of a layer as the format has them, but for the order.
type intWeights struct {
	q     []int8
	scale []float32
	bias  []int32
	mult  []float32 // nil where accumulators are the result
}

// channels quantizes every output channel of w for an input of scale in and a result of scale out, which is zero where
// accumulators are the result.
func (q *Quantized) channels(name string, w Weights, outputs int, in, out float64) (res intWeights, ok bool) {
	if q.b.err != nil {
		return res, false
	}
	if outputs < 1 || len(w.W)%outputs != 0 || len(w.Scale) != outputs || w.Bias != nil && len(w.Bias) != outputs {
		q.b.fail(name, "%d weights, %d scales and %d biases for %d output channels", len(w.W), len(w.Scale), len(w.Bias), outputs)
		return res, false
	}
	n := len(w.W) / outputs
	res = intWeights{q: make([]int8, len(w.W)), scale: make([]float32, outputs), bias: make([]int32, outputs)}
	if out > 0 {
		res.mult = make([]float32, outputs)
	}
	var count rounded
	for o := range outputs {
		c := channel{w: w.W[o*n:][:n], q: res.q[o*n:][:n], scale: w.Scale[o], in: in, out: out}
		if w.Bias != nil {
			c.bias = w.Bias[o]
		}
		if err := c.quantize(&count); err != nil {
			q.b.fail(name, "output channel %d: %v", o, err)
			return res, false
		}
		s := c.stored()
		res.scale[o], res.bias[o] = s, int32(math.RoundToEven(c.bias/(in*float64(s))))
		if res.mult != nil { // rounded in the order that ONNX Runtime has
			res.mult[o] = float32(float32(in*float64(s)) / float32(out))
		}
	}
	count.report(q, name, outputs)
	return res, true
}

// rounded counts, over a layer, what could not be taken as it was.
type rounded struct {
	clamped       int // weights of -128 that became -127
	anew          int // channels rounded to another scale
	coarser       int // of these, because their sums would not have fitted into 32 bits
	signal, noise float64
}

// report tells the user what was changed in a layer.
func (c *rounded) report(q *Quantized, name string, outputs int) {
	if c.clamped > 0 {
		q.note("%s: %d weights of -128 are stored as -127, the least this format has", name, c.clamped)
	}
	if c.anew == 0 {
		return
	}
	snr := 200.0
	if c.noise > 0 {
		snr = min(snr, 10*math.Log10(c.signal/c.noise))
	}
	why := "they are asymmetric, or not quantized"
	if c.coarser == c.anew {
		why = "their sums would not have fitted into 32 bits"
	}
	q.note("%s: the weights of %d of %d output channels were rounded anew to -127..127, because %s (signal to noise %.1f dB)",
		name, c.anew, outputs, why, snr)
}

// channel is one output channel on its way to integers q.
type channel struct {
	w       []float32
	q       []int8
	scale   float64 // of w; with step, that of q
	bias    float64
	in, out float64
	// step is what one of q is worth in units of w; 0 for a channel that is nothing but its bias, of scale alone.
	step float64
}

// stored is the scale of q.
func (c *channel) stored() float32 {
	if c.step == 0 {
		return float32(c.scale)
	}
	return float32(c.scale * c.step)
}

// quantize chooses the step and writes q.
func (c *channel) quantize(count *rounded) error {
	sign := 1.0
	if c.scale < 0 {
		sign, c.scale = -1, -c.scale
	}
	largest, lowest, whole := 0.0, 0.0, true
	for _, v := range c.w {
		x := sign * float64(v)
		largest, lowest, whole = max(largest, math.Abs(x)), min(lowest, x), whole && x == math.Trunc(x)
	}
	if s := c.scale * largest; s-s != 0 || c.bias-c.bias != 0 {
		return errors.New("a weight, scale or bias is not finite")
	}
	switch {
	case c.scale*largest < 0x1p-120:
		c.scale = idleScale(c.bias, c.in, c.out)
	case whole && largest <= weightMax:
		c.step = c.finer(largest)
	case whole && largest == 128 && lowest == -128:
		c.step = 1
		count.clamped += c.round(sign)
	default:
		c.step = largest / weightMax
		count.anew++
	}
	asItIs := c.step == 1
	for tries := 0; ; tries++ {
		if c.step > 0 {
			c.round(sign)
		}
		if c.fits() {
			break
		}
		if tries == 400 {
			return fmt.Errorf("no weight scale keeps its sums in 32 bits (largest weight %g, bias %g, scales %g to %g)", c.scale*largest, c.bias, c.in, c.out)
		}
		if c.step == 0 {
			c.scale *= 1.5
			continue
		}
		if asItIs && tries == 0 {
			count.anew++
			count.coarser++
		}
		c.step *= 1.5
	}
	for k, v := range c.w {
		x := sign * float64(v)
		d := x - c.step*float64(c.q[k])
		count.signal += c.scale * c.scale * x * x
		count.noise += c.scale * c.scale * d * d
	}
	return nil
}

// finer is the step of weights that are integers: 1, or a fraction where the bias is no multiple of what one is worth, as behind
// a normalisation that is written as a convolution with weights of 1.
func (c *channel) finer(largest float64) float64 {
	units := c.bias / (c.in * c.scale)
	if math.Abs(units-math.RoundToEven(units)) < 1e-2 || math.Abs(units) > 1<<20 {
		return 1
	}
	return 1 / math.Floor(weightMax/largest)
}

// round writes the weights in steps and returns how many were clamped.
func (c *channel) round(sign float64) (clamped int) {
	for k, v := range c.w {
		t := math.RoundToEven(sign * float64(v) / c.step)
		q := min(max(t, -weightMax), weightMax)
		if q != t {
			clamped++
		}
		c.q[k] = int8(q)
	}
	return clamped
}

// fits says whether every partial sum stays in 32 bits, whatever bytes come, and whether the multiplier is a normal number.
func (c *channel) fits() bool {
	sum := int64(0)
	for _, v := range c.q {
		sum += int64(max(v, -v))
	}
	s := c.stored()
	unit := c.in * float64(s)
	m := unit
	if c.out > 0 {
		m /= c.out
	}
	return s >= 0x1p-120 && math.Abs(math.RoundToEven(c.bias/unit))+255*float64(sum) <= accMax && m >= multMin && m <= multMax
}

// idleScale is a scale for a channel whose weights are all zero: its bias gets 16 bits of fraction of an output step.
func idleScale(bias, in, out float64) float64 {
	step := out
	if step == 0 {
		step = max(math.Abs(bias), 0x1p-20)
	}
	return min(max(step/65536/in, 0x1p-60), 0x1p60)
}

// ordered adds the weight constant of shape ohwi, whose element (o,y,x,i) is number at(o,y,x,i) of r.
func (q *Quantized) ordered(name string, r *intWeights, ohwi [4]int, at func(o, y, x, i int) int) int {
	o, kh, kw, run := ohwi[0], ohwi[1], ohwi[2], ohwi[3]
	t := q.b.tensor(format.Tensor{Name: name, DType: format.I8, Shape: ohwi[:], Scale: r.scale})
	if t < 0 {
		return -1
	}
	width := format.PadChannels(run)
	data, k := make([]byte, o*kh*kw*width), 0
	for o := range o {
		for y := range kh {
			for x := range kw {
				for i := range run {
					data[k+i] = byte(r.q[at(o, y, x, i)])
				}
				k += width
			}
		}
	}
	q.b.m.Tensors[t].Data = data
	return t
}

func (q *Quantized) int32s(name string, v []int32) int {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, uint32(x))
	}
	return q.b.tensor(format.Tensor{Name: name, DType: format.I32, Shape: []int{len(v)}, Data: data})
}

func (q *Quantized) float32s(name string, v []float32) int {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return q.b.tensor(format.Tensor{Name: name, DType: format.F32, Shape: []int{len(v)}, Data: data})
}
