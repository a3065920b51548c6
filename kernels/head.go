package kernels

import (
	"fmt"
	"math"
)

const (
	headClasses = 16 // classes of one unit of the logits
	headPixels  = 4  // positions of one unit of the maps
)

// headI8 is the prepared operator. It computes on stored bytes; bias has the zero point folded in, modulo 2**32.
type headI8 struct {
	HeadI8
	pixels, run int
	bias        []int32
}

// PrepareHeadI8 returns the quantized class activation head. Its stages: the sum of each channel over all positions, the
// logits from those, and the class maps if they are asked for.
func PrepareHeadI8(c *HeadI8) (*Prepared, error) {
	h := &headI8{HeadI8: *c}
	if err := h.check(); err != nil {
		return nil, err
	}
	p := portable(
		Stage{Name: "sums", Units: ceilDiv(c.In.C, channelUnit), Run: h.runSums},
		Stage{Name: "logits", Units: ceilDiv(c.Classes, headClasses), Run: h.runLogits},
	)
	p.Inner = []int{4 * c.In.C}
	p.MACs = int64(c.Classes) * int64(c.In.C)
	if c.Maps {
		p.Stages = append(p.Stages, Stage{Name: "maps", Units: ceilDiv(h.pixels, headPixels), Run: h.runMaps})
		p.MACs *= int64(1 + h.pixels)
	}
	return p, nil
}

// check also prepares. With at most MaxInt32/255 positions and maxElements weights, logits are far from leaving int64.
func (h *headI8) check() error {
	if err := checkHead(h.In, h.Classes, len(h.Weights), len(h.Bias)); err != nil {
		return err
	}
	if err := checkZero("input", h.ZeroIn); err != nil {
		return err
	}
	h.pixels, h.run = h.In.H*h.In.W, padded4(h.In.C)
	if h.pixels > math.MaxInt32/255 {
		return fmt.Errorf("%d positions: more than %d can overflow the int32 sums", h.pixels, math.MaxInt32/255)
	}
	h.bias = make([]int32, h.Classes)
	for k := range h.bias {
		var err error
		if h.bias[k], err = checkedBias(h.weights(k), k, h.Bias, h.ZeroIn); err != nil {
			return err
		}
	}
	return nil
}

// checkedBias checks channel ch's weights and accumulator, and returns its bias with the zero point folded in, to be added to
// the sum of stored bytes times weights.
func checkedBias(w []int8, ch int, bias []int32, zero int32) (int32, error) {
	var s channelSums
	if !s.add(w) {
		return 0, errMinWeight(ch)
	}
	if err := s.check(ch, bias, zero); err != nil {
		return 0, err
	}
	return foldBias(bias, ch, zero, U8.Bias(), s.pos+s.neg), nil
}

func checkHead(in Shape, classes, weights, biases int) error {
	if err := checkShape("input", in); err != nil {
		return err
	}
	if err := checkShape("output", Shape{in.H, in.W, classes}); err != nil {
		return err
	}
	if err := checkOptional("biases", biases, classes); err != nil {
		return err
	}
	return checkWeights(weights, classes, 1, 1, in.C)
}

// weights is class k's row.
func (c *HeadI8) weights(k int) []int8 { return c.Weights[k*padded4(c.In.C):][:c.In.C] }

// runSums writes the sum of x-ZeroIn over all positions for blocks of channels.
func (h *headI8) runSums(io *IO, lo, hi int, _ []byte) {
	x, n := io.In[0], h.In.C
	zero := int32(h.pixels) * (h.ZeroIn + 128)
	for u := lo; u < hi; u++ {
		c0, c1 := u*channelUnit, min((u+1)*channelUnit, n)
		sums := view[int32](io.Inner[0])[c0:c1]
		for i := range sums {
			sums[i] = -zero
		}
		for p := range h.pixels {
			for i, v := range x[p*n:][c0:c1][:len(sums)] {
				sums[i] += int32(v)
			}
		}
	}
}

func (h *headI8) runLogits(io *IO, lo, hi int, _ []byte) {
	sums, y := view[int32](io.Inner[0])[:h.In.C], view[int64](io.Out[0])
	for k := lo * headClasses; k < min(hi*headClasses, h.Classes); k++ {
		var s int64
		if len(h.Bias) > 0 {
			s = int64(h.pixels) * int64(h.Bias[k])
		}
		for i, w := range h.weights(k)[:len(sums)] {
			s += int64(w) * int64(sums[i])
		}
		y[k] = s
	}
}

// runMaps reads a class's weights once for the positions of a unit.
func (h *headI8) runMaps(io *IO, lo, hi int, _ []byte) {
	x, y := io.In[0], view[int32](io.Out[1])
	for u := lo; u < hi; u++ {
		p0, p1 := u*headPixels, min((u+1)*headPixels, h.pixels)
		for k := range h.Classes {
			sums := dotPixels(h.weights(k), x[p0*h.In.C:p1*h.In.C], p1-p0)
			for p := p0; p < p1; p++ {
				y[p*h.Classes+k] = sums[p-p0] + h.bias[k]
			}
		}
	}
}

// dotPixels multiplies w with up to headPixels neighbouring pixels of stored bytes.
func dotPixels(w []int8, x []byte, pixels int) (sums [headPixels]int32) {
	n := len(w)
	if pixels < headPixels {
		for p := range pixels {
			for i, u := range x[p*n:][:n] {
				sums[p] += int32(u) * int32(w[i])
			}
		}
		return sums
	}
	x0, x1, x2, x3 := x[:n], x[n:][:n], x[2*n:][:n], x[3*n:][:n]
	var s0, s1, s2, s3 int32
	for i, v := range w {
		v := int32(v)
		s0 += int32(x0[i]) * v
		s1 += int32(x1[i]) * v
		s2 += int32(x2[i]) * v
		s3 += int32(x3[i]) * v
	}
	return [headPixels]int32{s0, s1, s2, s3}
}

// ClassMapI8 writes the map of one class, 0..Classes-1, to dst (H*W): the bits that Maps gives it. c is a description that
// PrepareHeadI8 accepted, and x the head's input.
func ClassMapI8(c *HeadI8, x []byte, class int, dst []int32) {
	w := c.weights(class)
	var s channelSums
	s.add(w)
	bias := foldBias(c.Bias, class, c.ZeroIn, U8.Bias(), s.pos+s.neg)
	n, pixels := c.In.C, c.In.H*c.In.W
	for p := 0; p < pixels; p += headPixels {
		m := min(headPixels, pixels-p)
		sums := dotPixels(w, x[p*n:], m)
		for i, s := range sums[:m] {
			dst[p+i] = s + bias
		}
	}
}
