package kernels

import (
	"fmt"
	"math"
)

// HeadI16 is HeadI8 for an int16 input. Maps are int64: sums of a thousand channels need not fit int32.
type HeadI16 HeadI8

// PrepareHeadI16 returns the class activation head of an int16 activation. IO as HeadI8, with maps of int64.
func PrepareHeadI16(h *HeadI16) (*Prepared, error) { return prepareHeadI16(h, features) }

func prepareHeadI16(h *HeadI16, available ISA) (*Prepared, error) {
	c := *h
	if err := checkHead(c.In, c.Classes, len(c.Weights), len(c.Bias)); err != nil {
		return nil, err
	}
	if err := Int16.checkZero("input", c.ZeroIn); err != nil {
		return nil, err
	}
	if int64(c.In.H)*int64(c.In.W) > math.MaxInt32/255 {
		return nil, fmt.Errorf("%dx%d positions: more than %d", c.In.H, c.In.W, math.MaxInt32/255)
	}
	maps, err := newConvI16(&ConvI16{X: Int16, In: c.In, Out: Shape{c.In.H, c.In.W, c.Classes}, Window: window1D(1, 1), Groups: 1,
		Weights: c.Weights, Bias: c.Bias, ZeroIn: c.ZeroIn}, available, cacheL2(), true)
	if err != nil {
		return nil, err
	}
	p := portable(
		Stage{Name: "sums", Units: ceilDiv(c.In.C, channelUnit), Run: c.runSums},
		Stage{Name: "logits", Units: ceilDiv(c.Classes, headClasses), Run: c.runLogits})
	p.Inner, p.MACs = []int{8 * c.In.C}, int64(c.Classes)*int64(c.In.C)
	if c.Maps {
		m := maps.prepared(&ConvI16{In: c.In})
		p.Kernel, p.Why, p.Packed, p.MACs = m.Kernel, m.Why, m.Packed, p.MACs+m.MACs
		p.embed("maps", m, func(sub, io *IO) { sub.In, sub.Out = io.In[:1], io.Out[1:2] })
	}
	return p, nil
}

func (c *HeadI16) weights(k int) []int8 { return (*HeadI8)(c).weights(k) }

// runSums sums x-zero over all positions.
func (c *HeadI16) runSums(io *IO, lo, hi int, _ []byte) {
	x, sums, n := view[int16](io.In[0]), view[int64](io.Inner[0]), c.In.C
	c0, c1 := lo*channelUnit, min(hi*channelUnit, n)
	fill(sums[c0:c1], -int64(c.ZeroIn)*int64(c.In.H*c.In.W))
	for p := range c.In.H * c.In.W {
		for i, v := range x[p*n:][c0:c1] {
			sums[c0+i] += int64(v)
		}
	}
}

func (c *HeadI16) runLogits(io *IO, lo, hi int, _ []byte) {
	sums, y := view[int64](io.Inner[0]), view[int64](io.Out[0])
	for k := lo * headClasses; k < min(hi*headClasses, c.Classes); k++ {
		var s int64
		for i, w := range c.weights(k) {
			s += int64(w) * sums[i]
		}
		if len(c.Bias) > 0 {
			s += int64(c.Bias[k]) * int64(c.In.H*c.In.W)
		}
		y[k] = s
	}
}

// ClassMapI16 writes the map of one class to dst (H*W): the bits that Maps gives it.
func ClassMapI16(c *HeadI16, x []byte, class int, dst []int64) {
	v, w, n := view[int16](x), c.weights(class), c.In.C
	for p := range c.In.H * c.In.W {
		var s int64
		for i, q := range v[p*n:][:n] {
			s += int64(w[i]) * int64(int32(q)-c.ZeroIn)
		}
		if len(c.Bias) > 0 {
			s += int64(c.Bias[class])
		}
		dst[p] = s
	}
}

// RFGAI16 is RFGAI8 with types of input and output. Views, the values before the sigmoid and the sigmoids stay as they are.
type RFGAI16 struct {
	X, Y Type
	RFGAI8
}

// PrepareRFGAI16 returns attention with int16 on either side. Its stages are those of PrepareRFGAI8 but for the first and the
// last; views sum in int64, and so does the last product.
func PrepareRFGAI16(c *RFGAI16) (*Prepared, error) {
	for v, name := range [...]string{"channel view's", "height view's", "width view's"} {
		if err := checkMult(name, c.ViewMult[v]); err != nil {
			return nil, err
		}
	}
	if err := c.X.checkZero("input", c.ZeroIn); err != nil {
		return nil, err
	}
	if err := c.Y.checkRequant(&c.Requant, 1); err != nil {
		return nil, err
	}
	if abs(int64(c.A)) > 1<<30 || abs(int64(c.B)) > 1<<30 {
		return nil, fmt.Errorf("attributes A = %d, B = %d: at most 2^30", c.A, c.B)
	}
	inner := c.RFGAI8
	inner.ZeroIn, inner.Requant = 0, Requant{Mult: []float32{1}, Lo: -128, Hi: 127}
	p, err := PrepareRFGAI8(&inner)
	if err != nil {
		return nil, err
	}
	a := attention16{RFGAI16: *c}
	for v := range a.views {
		a.views[v] = newWideRounder(c.ViewZero[v], -128, 127)
	}
	a.round = newWideRounder(c.Requant.Zero, c.Requant.Lo, c.Requant.Hi)
	s := c.Shape
	first, last := &p.Stages[0], &p.Stages[len(p.Stages)-1]
	first.Scratch, first.Run = 8*2*channelUnit+6*channelUnit, a.runViews
	last.Scratch, last.Run = 6*s.C, a.runApply
	p.Why += "; int16 input or output in Go"
	return p, nil
}

type attention16 struct {
	RFGAI16
	views [3]wideRounder
	round wideRounder
}

func (r *attention16) runViews(io *IO, lo, hi int, tmp []byte) {
	s := r.Shape
	sums := view[int64](tmp)
	tx, ty, _ := tmpRows(tmp[8*2*channelUnit:], channelUnit)
	for u := lo; u < hi; u++ {
		c0 := u * channelUnit
		n := min(channelUnit, s.C-c0)
		all, line := sums[:n], sums[channelUnit:][:n]
		// sum adds count pixels, step elements apart, and stores their view.
		sum := func(from, step, count int) {
			clear(line)
			for k := range count {
				for i, v := range r.X.load(io.In[0], from+k*step, n, tx) {
					line[i] += int64(v) - int64(r.ZeroIn)
				}
			}
		}
		store := func(view, inner, at int, sums []int64) {
			for i, v := range sums {
				ty[i] = r.views[view].round(float32(float32Of(v) * r.ViewMult[view]))
			}
			Int8.put(io.Inner[inner], at, ty[:n])
		}
		clear(all)
		for h := range s.H {
			sum(h*s.W*s.C+c0, s.C, s.W)
			for i, v := range line {
				all[i] += v
			}
			store(1, rfgaYH, h*s.C+c0, line)
		}
		for w := range s.W {
			sum(w*s.C+c0, s.W*s.C, s.H)
			store(2, rfgaYW, w*s.C+c0, line)
		}
		store(0, rfgaYC, c0, all)
	}
}

func (r *attention16) runApply(io *IO, lo, hi int, tmp []byte) {
	s := r.Shape
	tx, ty, _ := tmpRows(tmp, s.C)
	for h := lo; h < hi; h++ {
		gh := view[int32](io.Inner[rfgaGH])[h*s.C:][:s.C]
		for w := range s.W {
			gw := view[int16](io.Inner[rfgaGW])[w*s.C:][:s.C]
			at := (h*s.W + w) * s.C
			y := r.Y.room(io.Out[0], at, s.C, ty)
			for i, v := range r.X.load(io.In[0], at, s.C, tx) {
				m := int64(gh[i]) + int64(gw[i])
				gain := int64(r.A) + (int64(r.B)*m+8192)>>14
				y[i] = r.round.round(float32(float32Of((int64(v)-int64(r.ZeroIn))*gain) * r.Requant.Mult[0]))
			}
			r.Y.put(io.Out[0], at, y)
		}
	}
}
