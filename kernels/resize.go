package kernels

import "fmt"

// PrepareResizeI8 returns a quantized resize.
func PrepareResizeI8(c *ResizeI8) (*Prepared, error) {
	if err := checkResize(c.In, c.Out); err != nil {
		return nil, err
	}
	if err := checkZero("input", c.ZeroIn); err != nil {
		return nil, err
	}
	if err := c.Requant.check(1); err != nil {
		return nil, err
	}
	r := c.Requant
	if !c.Bilinear {
		t := requantTable(c.ZeroIn, r.Mult[0], r.Zero, r.Lo, r.Hi).orNil()
		return portable(nearestStage(c.In, c.Out, t.apply)), nil
	}
	// The four weights sum to 2^22: 255<<22 is the largest sum of stored bytes, and of their zero point.
	m := float32(float64(r.Mult[0]) / (1 << 22))
	if err := checkMult("divided", m); err != nil {
		return nil, err
	}
	round, zero := newRounder(r.Zero, r.Lo, r.Hi), (c.ZeroIn+128)<<22
	return portable(bilinearStage(c.In, c.Out, c.AlignCorners, func(y, x00, x01, x10, x11 []byte, wy, wx lerp) {
		w00, w01 := wy.int0()*wx.int0(), wy.int0()*wx.int1()
		w10, w11 := wy.int1()*wx.int0(), wy.int1()*wx.int1()
		x00, x01, x10, x11 = x00[:len(y)], x01[:len(y)], x10[:len(y)], x11[:len(y)]
		for i := range y {
			acc := int32(x00[i])*w00 + int32(x01[i])*w01 + int32(x10[i])*w10 + int32(x11[i])*w11 - zero
			y[i] = round.store(float32(float32(acc) * m))
		}
	})), nil
}

// PrepareResizeF32 returns a float resize.
func PrepareResizeF32(c *ResizeF32) (*Prepared, error) {
	if err := checkResize(c.In, c.Out); err != nil {
		return nil, err
	}
	if !c.Bilinear {
		return portable(nearestStage(c.In, c.Out, func(y, x []float32) { copy(y, x) })), nil
	}
	return portable(bilinearStage(c.In, c.Out, c.AlignCorners, func(y, x00, x01, x10, x11 []float32, wy, wx lerp) {
		x00, x01, x10, x11 = x00[:len(y)], x01[:len(y)], x10[:len(y)], x11[:len(y)]
		for i := range y {
			top := float32(wx.f0*x00[i]) + float32(wx.f1*x01[i])
			bottom := float32(wx.f0*x10[i]) + float32(wx.f1*x11[i])
			y[i] = float32(wy.f0*top) + float32(wy.f1*bottom)
		}
	})), nil
}

func checkResize(in, out Shape) error {
	if err := checkShapes(in, out); err != nil {
		return err
	}
	if in.C != out.C {
		return fmt.Errorf("input has %d channels, output %d", in.C, out.C)
	}
	return nil
}

// nearestStage hands each output pixel and its source, floor(o*in/out), to move.
func nearestStage[T byte | float32](in, out Shape, move func(y, x []T)) Stage {
	source := func(o, in, out int) int { return int(int64(o) * int64(in) / int64(out)) }
	return Stage{Name: "resize", Units: out.H, Run: func(io *IO, lo, hi int, _ []byte) {
		x, y := view[T](io.In[0]), view[T](io.Out[0])
		for oh := lo; oh < hi; oh++ {
			row := source(oh, in.H, out.H) * in.W
			for ow := range out.W {
				move(y[(oh*out.W+ow)*out.C:][:out.C], x[(row+source(ow, in.W, out.W))*in.C:][:in.C])
			}
		}
	}}
}

// A lerp is one output coordinate's two source coordinates and their weights: in float32, and the second one in 2048ths.
type lerp struct {
	at0, at1 int
	f0, f1   float32
	part     int32
}

func (l *lerp) int0() int32 { return 2048 - l.part }
func (l *lerp) int1() int32 { return l.part }

// newLerp places output o as torch.nn.functional.interpolate does: at (o+0.5)*in/out-0.5, not below 0, or with alignCorners at
// o*(in-1)/(out-1). The coordinate is a fraction of integers and its weights are rounded once, half to even.
func newLerp(o, in, out int, alignCorners bool) lerp {
	num, den := max(0, (2*int64(o)+1)*int64(in)-int64(out)), 2*int64(out)
	if alignCorners {
		num, den = int64(o)*int64(in-1), max(1, int64(out-1))
	}
	at, rest := num/den, num%den
	part, left := 2048*rest/den, 2048*rest%den
	if 2*left > den || 2*left == den && part&1 == 1 {
		part++
	}
	l := lerp{at0: int(at), at1: min(int(at)+1, in-1), part: int32(part)}
	l.f1 = float32(float64(rest) / float64(den))
	l.f0 = 1 - l.f1
	return l
}

// bilinearStage hands each output pixel and its four sources to mix.
func bilinearStage[T byte | float32](in, out Shape, alignCorners bool, mix func(y, x00, x01, x10, x11 []T, wy, wx lerp)) Stage {
	columns := make([]lerp, out.W)
	for o := range columns {
		columns[o] = newLerp(o, in.W, out.W, alignCorners)
	}
	return Stage{Name: "resize", Units: out.H, Run: func(io *IO, lo, hi int, _ []byte) {
		x, y := view[T](io.In[0]), view[T](io.Out[0])
		for oh := lo; oh < hi; oh++ {
			wy := newLerp(oh, in.H, out.H, alignCorners)
			row0, row1 := x[wy.at0*in.W*in.C:], x[wy.at1*in.W*in.C:]
			for ow, wx := range columns {
				at0, at1 := wx.at0*in.C, wx.at1*in.C
				mix(y[(oh*out.W+ow)*out.C:][:out.C], row0[at0:], row0[at1:], row1[at0:], row1[at1:], wy, wx)
			}
		}
	}}
}
