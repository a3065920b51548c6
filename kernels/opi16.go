package kernels

import (
	"fmt"
	"math"
)

// BinaryI16 is BinaryI8 with a type for each tensor.
type BinaryI16 struct {
	TA, TB, TY Type
	BinaryI8
}

// PrepareAddI16 returns an addition whose operands and result are int8 or int16 each.
func PrepareAddI16(c *BinaryI16) (*Prepared, error) { return prepareAddI16(c, features) }

func prepareAddI16(c *BinaryI16, available ISA) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkMult("second operand's", c.MultB); err != nil {
		return nil, err
	}
	if m := max(c.MultA, c.MultB); m > maxResidualMult {
		return nil, fmt.Errorf("multiplier %g is above %g", m, float32(maxResidualMult))
	}
	p := newWideAdd(c.ZeroA, c.ZeroB, c.MultA, c.MultB, c.Zero, c.Lo, c.Hi, available)
	return p.add.prepared(c.stage("add", p.row)), nil
}

// PrepareMulI16 returns a multiplication whose operands and result are int8 or int16 each. A product is below 2**32: it is
// rounded to float32 once.
func PrepareMulI16(c *BinaryI16) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	za, zb, m, r := int64(c.ZeroA), int64(c.ZeroB), c.MultA, newWideRounder(c.Zero, c.Lo, c.Hi)
	return portable(c.stage("mul", func(y, a, b []int16) {
		for i, v := range a {
			y[i] = r.round(float32(float32Of((int64(v)-za)*(int64(b[i])-zb)) * m))
		}
	})), nil
}

func (c *BinaryI16) check() error {
	if err := checkBroadcast(c.A, c.B, c.Out); err != nil {
		return err
	}
	if err := c.TA.checkZero("first operand's", c.ZeroA); err != nil {
		return err
	}
	if err := c.TB.checkZero("second operand's", c.ZeroB); err != nil {
		return err
	}
	if err := checkMult("first operand's", c.MultA); err != nil {
		return err
	}
	return c.TY.checkOutput(c.Zero, c.Lo, c.Hi)
}

// stage has a unit a row of the output and calls row for each pixel.
func (c *BinaryI16) stage(name string, row func(y, a, b []int16)) Stage {
	s, bs := c.A, c.B
	return Stage{Name: name, Units: s.H, Scratch: 6 * s.C, Run: func(io *IO, lo, hi int, tmp []byte) {
		ta, tb, ty := tmpRows(tmp, s.C)
		for h := lo; h < hi; h++ {
			for w := range s.W {
				i := (h*s.W + w) * s.C
				bi := ((h%bs.H)*bs.W + w%bs.W) * bs.C // a dimension of 1 repeats
				b := c.TB.load(io.In[1], bi, bs.C, tb)
				if bs.C < s.C {
					v := b[0]
					b = tb[:s.C]
					fill(b, v)
				}
				y := c.TY.room(io.Out[0], i, s.C, ty)
				row(y, c.TA.load(io.In[0], i, s.C, ta), b)
				c.TY.put(io.Out[0], i, y)
			}
		}
	}}
}

// PrepareTableI16 returns y = table[x - least x] over n elements: table has an entry for each value of x's type, which one of
// y's type.
func PrepareTableI16(n int, x, y Type, table []int16) (*Prepared, error) {
	if err := checkCount(n); err != nil {
		return nil, err
	}
	lo, hi := x.bounds()
	if err := checkLength("table entries", len(table), int(hi-lo)+1); err != nil {
		return nil, err
	}
	least, most := y.bounds()
	for i, v := range table {
		if int32(v) < least || int32(v) > most {
			return nil, fmt.Errorf("table entry %d is %d: outside %d..%d", i, v, least, most)
		}
	}
	return portable(wideStage("table", n, x, y, func(y, x []int16) {
		for i, v := range x {
			y[i] = table[int32(v)-lo]
		}
	})), nil
}

// PrepareQuantizeI16 returns q = zero + rne(clamp(x/scale, ...)) of float32 elements, in int16; NaN gives zero.
func PrepareQuantizeI16(n int, scale float32, zero int32) (*Prepared, error) {
	if err := checkWideElementwise(n, scale, zero); err != nil {
		return nil, err
	}
	r := newWideRounder(zero, math.MinInt16, math.MaxInt16)
	return portable(flatStage("quantize", n, func(io *IO, lo, hi int) {
		x, y := view[float32](io.In[0])[lo:hi], view[int16](io.Out[0])[lo:hi]
		for i, v := range x {
			f := v / scale
			if f != f {
				f = 0
			}
			y[i] = r.round(f)
		}
	})), nil
}

// PrepareDequantizeI16 returns float32(q-zero)*scale of int16 elements.
func PrepareDequantizeI16(n int, scale float32, zero int32) (*Prepared, error) {
	if err := checkWideElementwise(n, scale, zero); err != nil {
		return nil, err
	}
	return portable(flatStage("dequantize", n, func(io *IO, lo, hi int) {
		x, y := view[int16](io.In[0])[lo:hi], view[float32](io.Out[0])[lo:hi]
		for i, v := range x {
			y[i] = float32(float32(int32(v)-zero) * scale)
		}
	})), nil
}

func checkWideElementwise(n int, scale float32, zero int32) error {
	if err := checkCount(n); err != nil {
		return err
	}
	if err := checkScale(scale); err != nil {
		return err
	}
	return Int16.checkZero("the", zero)
}

// PrepareSoftmaxI16 is PrepareSoftmaxI8 for an int16 activation.
func PrepareSoftmaxI16(s Shape, scale float32, zero int32, log bool) (*Prepared, error) {
	if err := checkShape("input", s); err != nil {
		return nil, err
	}
	if err := checkWideElementwise(s.Len(), scale, zero); err != nil {
		return nil, err
	}
	return portable(softmaxStage(s, log, func(io *IO, at int, y []float32) (sum float64) {
		x := view[int16](io.In[0])[at:][:len(y)]
		top := x[0]
		for _, v := range x {
			top = max(top, v)
		}
		for i, v := range x {
			minus := -float32(float32(int32(top)-int32(v)) * scale)
			e := Exp32(minus)
			y[i] = e
			sum += float64(e)
			if log {
				y[i] = minus
			}
		}
		return sum
	})), nil
}

// PoolI16 is PoolI8 with types.
type PoolI16 struct {
	X, Y Type
	PoolI8
}

func (c *PoolI16) check() error {
	if err := checkPool(&c.Window, c.In, c.Out); err != nil {
		return err
	}
	if err := c.X.checkZero("input", c.ZeroIn); err != nil {
		return err
	}
	return c.Y.checkRequant(&c.Requant, 1)
}

// PrepareMaxPoolI16 returns a maximum pooling.
func PrepareMaxPoolI16(c *PoolI16) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkMaxPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	q := &c.Requant
	r := newWideRounder(q.Zero, q.Lo, q.Hi)
	return portable(c.stage("maxpool", math.MinInt16, func(acc int64, v int16) int64 { return max(acc, int64(v)) },
		func(acc int64, _, _ int) int16 {
			return r.round(float32(float32Of(acc-int64(c.ZeroIn)) * q.Mult[0]))
		})), nil
}

// PrepareAvgPoolI16 returns an average pooling; with the window of the whole image it is the global one. Sums are int64.
func PrepareAvgPoolI16(c *PoolI16) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkAvgPool(&c.Window); err != nil {
		return nil, err
	}
	q := &c.Requant
	if err := checkMult("divided", float32(float64(q.Mult[0])/float64(c.Window.KH*c.Window.KW))); err != nil {
		return nil, err
	}
	r := newWideRounder(q.Zero, q.Lo, q.Hi)
	return portable(c.stage("avgpool", 0, func(acc int64, v int16) int64 { return acc + int64(v) },
		func(acc int64, inside, padded int) int16 {
			divisor := max(1, inside)
			if c.CountIncludePad {
				divisor = padded
			}
			return r.round(float32(float32Of(acc-int64(inside)*int64(c.ZeroIn)) * float32(float64(q.Mult[0])/float64(divisor))))
		})), nil
}

// stage folds the elements of every window, channel by channel.
func (c *PoolI16) stage(name string, first int64, fold func(acc int64, v int16) int64, last func(acc int64, inside, padded int) int16) Stage {
	ldh, ldw := c.Window.steps(c.In)
	n := newPoolGrid(c.Out).most
	return poolStage(name, &c.Window, c.In, c.Out, align64(8*n)+6*n, func(io *IO, p poolWindow, tmp []byte) {
		acc := view[int64](tmp)[:p.n]
		tx, ty, _ := tmpRows(tmp[align64(8*n):], n)
		fill(acc, first)
		for h := range p.h {
			for w := range p.w {
				for i, v := range c.X.load(io.In[0], p.x+h*ldh+w*ldw, p.n, tx) {
					acc[i] = fold(acc[i], v)
				}
			}
		}
		y := c.Y.room(io.Out[0], p.y, p.n, ty)
		for i, v := range acc {
			y[i] = last(v, p.h*p.w, p.rows*p.cols)
		}
		c.Y.put(io.Out[0], p.y, y)
	})
}

// ConcatI16 is ConcatI8 with types. Of one input it is a requantization, between types too.
type ConcatI16 struct {
	X []Type
	Y Type
	ConcatI8
}

// PrepareConcatI16 returns a concatenation.
func PrepareConcatI16(c *ConcatI16) (*Prepared, error) {
	if err := checkConcat(c.In, c.Out, c.Axis); err != nil {
		return nil, err
	}
	for what, n := range map[string]int{"zero points": len(c.Zeros), "multipliers": len(c.Mults), "types": len(c.X)} {
		if err := checkLength(what, n, len(c.In)); err != nil {
			return nil, err
		}
	}
	if err := c.Y.checkZero("output", c.Zero); err != nil {
		return nil, err
	}
	for i, m := range c.Mults {
		if err := checkMult(fmt.Sprintf("input %d's", i), m); err != nil {
			return nil, err
		}
		if err := c.X[i].checkZero(fmt.Sprintf("input %d's", i), c.Zeros[i]); err != nil {
			return nil, err
		}
	}
	lo, hi := c.Y.bounds()
	parts := make([]*wideAdd, len(c.In))
	for i := range parts {
		parts[i] = newWideRescale(c.Zeros[i], c.Mults[i], c.Zero, lo, hi, features)
	}
	// starts of the inputs along the axis
	starts := make([]int, len(c.In))
	for i := range c.In[1:] {
		starts[i+1] = starts[i] + [...]int{c.In[i].H, c.In[i].W, c.In[i].C}[c.Axis-1]
	}
	out := c.Out
	return parts[0].add.prepared(Stage{Name: "concat", Units: out.H, Scratch: 6 * out.C, Run: func(io *IO, lo, hi int, tmp []byte) {
		tx, ty, _ := tmpRows(tmp, out.C)
		for i, s := range c.In {
			h0, w0, c0 := 0, 0, 0
			*[...]*int{&h0, &w0, &c0}[c.Axis-1] = starts[i]
			for h := max(lo, h0); h < min(hi, h0+s.H); h++ {
				for w := range s.W {
					x := c.X[i].load(io.In[i], ((h-h0)*s.W+w)*s.C, s.C, tx)
					at := (h*out.W+w0+w)*out.C + c0
					y := c.Y.room(io.Out[0], at, s.C, ty)
					parts[i].rescale(y, x)
					c.Y.put(io.Out[0], at, y)
				}
			}
		}
	}}), nil
}

// PreparePadI16 returns padding with one value.
func PreparePadI16(in, out Shape, pad [4]int, value int16) (*Prepared, error) {
	return preparePad(in, out, pad, value)
}

// ResizeI16 is ResizeI8 with types.
type ResizeI16 struct {
	X, Y Type
	ResizeI8
}

// PrepareResizeI16 returns a resize. The weights of a bilinear one sum to 2**22: its sums are int64.
func PrepareResizeI16(c *ResizeI16) (*Prepared, error) {
	if err := checkResize(c.In, c.Out); err != nil {
		return nil, err
	}
	if err := c.X.checkZero("input", c.ZeroIn); err != nil {
		return nil, err
	}
	if err := c.Y.checkRequant(&c.Requant, 1); err != nil {
		return nil, err
	}
	m, one := c.Requant.Mult[0], int64(1)
	if c.Bilinear {
		m, one = float32(float64(m)/(1<<22)), 1<<22
		if err := checkMult("divided", m); err != nil {
			return nil, err
		}
	}
	in, out, zero, r := c.In, c.Out, int64(c.ZeroIn)*one, newWideRounder(c.Requant.Zero, c.Requant.Lo, c.Requant.Hi)
	return portable(Stage{Name: "resize", Units: out.H, Scratch: 6 * out.C, Run: func(io *IO, lo, hi int, tmp []byte) {
		ty, _, _ := tmpRows(tmp, out.C)
		for oh := lo; oh < hi; oh++ {
			wy := newLerp(oh, in.H, out.H, c.AlignCorners)
			for ow := range out.W {
				wx := newLerp(ow, in.W, out.W, c.AlignCorners)
				at := (oh*out.W + ow) * out.C
				y := c.Y.room(io.Out[0], at, out.C, ty)
				for i := range y {
					x := func(h, w int) int64 { return int64(c.X.at(io.In[0], (h*in.W+w)*in.C+i)) }
					var acc int64
					if c.Bilinear {
						y0, y1, x0, x1 := int64(wy.int0()), int64(wy.int1()), int64(wx.int0()), int64(wx.int1())
						acc = x(wy.at0, wx.at0)*y0*x0 + x(wy.at0, wx.at1)*y0*x1 + x(wy.at1, wx.at0)*y1*x0 + x(wy.at1, wx.at1)*y1*x1
					} else {
						acc = x(int(int64(oh)*int64(in.H)/int64(out.H)), int(int64(ow)*int64(in.W)/int64(out.W)))
					}
					y[i] = r.round(float32(float32Of(acc-zero) * m))
				}
				c.Y.put(io.Out[0], at, y)
			}
		}
	}}), nil
}

// at is element i's value.
func (t Type) at(b []byte, i int) int16 {
	if t == Int16 {
		return view[int16](b)[i]
	}
	return int16(b[i]) - 128
}
