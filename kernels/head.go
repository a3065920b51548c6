package kernels

import (
	"fmt"
	"math"
)

// headClasses is the number of classes of one unit of the logits.
const headClasses = 64

// headI8 is the prepared operator.
//
// A logit is the sum over channels of a weight times the sum over positions. The sums of stored bytes, taken apart into their
// own bytes, are a few more pixels for the matrix product that makes the maps: logit = sum over j of 256^j*(product of
// plane j) + base.
type headI8 struct {
	HeadI8
	pixels, planes int
	base           []int64 // what the logits have besides: bias, and the zero point's share
	sums           *Row[sumFunc]
}

// Inner buffers of headI8.
const (
	headPlanes   = iota // [planes][C] bytes
	headProducts        // [planes][K] int32
	headInner
)

// PrepareHeadI8 returns the quantized class activation head. Its stages: the sum of each channel over all positions, the
// logits from those, and the class maps if they are asked for.
func PrepareHeadI8(c *HeadI8) (*Prepared, error) {
	return prepareHeadI8(c, features)
}

func prepareHeadI8(c *HeadI8, available ISA) (*Prepared, error) {
	h := &headI8{HeadI8: *c, sums: chooseRow(summers, available)}
	if err := h.check(); err != nil {
		return nil, err
	}
	conv := func(in Shape, bias []int32, zero int32) (*convI8, error) {
		return newConvI8(&ConvI8{In: in, Out: Shape{in.H, in.W, c.Classes}, Window: window1D(1, 1), Groups: 1,
			Weights: c.Weights, Bias: bias, ZeroIn: zero}, available, cacheL2(), true)
	}
	logits, err := conv(Shape{1, h.planes, c.In.C}, nil, -128)
	if err != nil {
		return nil, err
	}
	product := logits.prepared()
	p := &Prepared{Inner: make([]int, headInner), Kernel: product.Kernel, Why: product.Why, Packed: product.Packed,
		MACs: int64(c.Classes) * int64(c.In.C)}
	p.Inner[headPlanes], p.Inner[headProducts] = h.planes*c.In.C, 4*h.planes*c.Classes
	p.Stages = []Stage{{Name: "sums", Units: ceilDiv(c.In.C, channelUnit), Scratch: 4 * 2 * channelUnit, Run: h.runSums}}
	p.embed("logits", product, func(sub, io *IO) {
		sub.In, sub.Out = io.Inner[headPlanes:headPlanes+1], io.Inner[headProducts:headProducts+1]
	})
	p.Stages = append(p.Stages, Stage{Name: "combine", Units: ceilDiv(c.Classes, headClasses), Run: h.runLogits})
	if !c.Maps {
		return p, nil
	}
	maps, err := conv(c.In, c.Bias, c.ZeroIn)
	if err != nil {
		return nil, err
	}
	maps.packed = logits.packed // the same weights
	p.MACs *= int64(1 + h.pixels)
	p.embed("maps", maps.prepared(), func(sub, io *IO) { sub.In, sub.Out = io.In[:1], io.Out[1:2] })
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
	h.pixels = h.In.H * h.In.W
	if h.pixels > math.MaxInt32/255 {
		return fmt.Errorf("%d positions: more than %d can overflow the int32 sums", h.pixels, math.MaxInt32/255)
	}
	for most := h.pixels * 255; most > 0; most >>= 8 {
		h.planes++
	}
	h.base = make([]int64, h.Classes)
	for k := range h.base {
		var s channelSums
		s.add(h.weights(k))
		h.base[k] = -int64(h.ZeroIn+128) * (s.pos + s.neg)
		if len(h.Bias) > 0 {
			h.base[k] += int64(h.Bias[k])
		}
		h.base[k] *= int64(h.pixels)
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

// runSums sums blocks of channels over all positions, and takes the sums apart.
func (h *headI8) runSums(io *IO, lo, hi int, tmp []byte) {
	n := h.In.C
	sums := view[int32](tmp)
	for u := lo; u < hi; u++ {
		c0, c1 := u*channelUnit, min((u+1)*channelUnit, n)
		h.sums.Fn(&sums[0], at(io.In[0], c0), 0, 1, n, h.pixels, c1-c0)
		for j := range h.planes {
			plane := io.Inner[headPlanes][j*n:][c0:c1]
			for i, s := range sums[:len(plane)] {
				plane[i] = byte(s >> (8 * j))
			}
		}
	}
}

func (h *headI8) runLogits(io *IO, lo, hi int, _ []byte) {
	products, y := view[int32](io.Inner[headProducts]), view[int64](io.Out[0])
	for k := lo * headClasses; k < min(hi*headClasses, h.Classes); k++ {
		s := h.base[k]
		for j := range h.planes {
			s += int64(products[j*h.Classes+k]) << (8 * j)
		}
		y[k] = s
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

// headPixels is how many positions dotPixels takes at a time.
const headPixels = 4

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
