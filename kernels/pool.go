package kernels

import (
	"fmt"
	"math"
)

// PrepareMaxPoolI8 returns a quantized maximum pooling. Requantization never decreases in x, so it follows the maximum of
// the stored bytes.
func PrepareMaxPoolI8(c *PoolI8) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkMaxPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	t := requantTable(c.ZeroIn, c.Requant.Mult[0], c.Requant.Zero, c.Requant.Lo, c.Requant.Hi).orNil()
	larger := func(y, x []byte) {
		x = x[:len(y)]
		for i, v := range y {
			y[i] = byte(max(int32(v), int32(x[i]))) // as int32: without branches
		}
	}
	finish := func(y []byte) {
		if t != nil {
			t.apply(y, y)
		}
	}
	return portable(maxPoolStage(&c.Window, c.In, c.Out, larger, finish)), nil
}

// PrepareMaxPoolF32 returns a float maximum pooling.
func PrepareMaxPoolF32(c *PoolF32) (*Prepared, error) {
	if err := checkPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	if err := checkMaxPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	larger := func(y, x []float32) {
		x = x[:len(y)]
		for i, v := range y {
			y[i] = max(v, x[i])
		}
	}
	return portable(maxPoolStage(&c.Window, c.In, c.Out, larger, func([]float32) {})), nil
}

func (c *PoolI8) check() error {
	if err := checkPool(&c.Window, c.In, c.Out); err != nil {
		return err
	}
	if err := checkZero("input", c.ZeroIn); err != nil {
		return err
	}
	return c.Requant.check(1)
}

func checkPool(w *Window, in, out Shape) error {
	if err := checkShapes(in, out); err != nil {
		return err
	}
	if in.C != out.C {
		return fmt.Errorf("input has %d channels, output %d", in.C, out.C)
	}
	return checkWindow(w, in, out, true)
}

// checkMaxPool refuses windows that lie in the padding altogether: they have no maximum.
func checkMaxPool(w *Window, in, out Shape) error {
	for o := range out.H {
		if first, end, _ := taps(o, w.StrideH, w.DilationH, w.KH, w.Pad[0], in.H); first == end {
			return fmt.Errorf("the windows of output row %d hold nothing but padding %v", o, w.Pad)
		}
	}
	for o := range out.W {
		if first, end, _ := taps(o, w.StrideW, w.DilationW, w.KW, w.Pad[1], in.W); first == end {
			return fmt.Errorf("the windows of output column %d hold nothing but padding %v", o, w.Pad)
		}
	}
	return nil
}

// A poolGrid splits a pooling into units: rows of the output, and where they are few, blocks of channels in each.
type poolGrid struct{ rows, blocks, block, channels int }

func newPoolGrid(out Shape) poolGrid {
	g := poolGrid{out.H, 1, out.C, out.C}
	if out.H < 16 && out.C > channelUnit {
		g.block = channelUnit
		g.blocks = ceilDiv(out.C, g.block)
	}
	return g
}

// at returns unit u's row and channels.
func (g poolGrid) at(u int) (row, c0, c1 int) {
	c0 = u % g.blocks * g.block
	return u / g.blocks, c0, min(c0+g.block, g.channels)
}

// maxPoolStage has larger set y to the maximum of y and x, for one place of the window after another, and then calls finish.
func maxPoolStage[T byte | float32](w *Window, in, out Shape, larger func(y, x []T), finish func(y []T)) Stage {
	g, win := newPoolGrid(out), *w
	return Stage{Name: "maxpool", Units: g.rows * g.blocks, Run: func(io *IO, lo, hi int, _ []byte) {
		x, y := view[T](io.In[0]), view[T](io.Out[0])
		for u := lo; u < hi; u++ {
			oh, c0, c1 := g.at(u)
			kh0, kh1, ih := taps(oh, win.StrideH, win.DilationH, win.KH, win.Pad[0], in.H)
			for ow := range out.W {
				kw0, kw1, iw := taps(ow, win.StrideW, win.DilationW, win.KW, win.Pad[1], in.W)
				y := y[(oh*out.W+ow)*out.C:][c0:c1]
				first := true
				for kh := kh0; kh < kh1; kh++ {
					row := (ih + kh*win.DilationH) * in.W
					for kw := kw0; kw < kw1; kw++ {
						x := x[(row+iw+kw*win.DilationW)*in.C:][c0:c1]
						if first {
							copy(y, x)
							first = false
						} else {
							larger(y, x)
						}
					}
				}
				finish(y)
			}
		}
	}}
}

// PrepareAvgPoolI8 returns a quantized average pooling; with the window of the whole image it is the global one.
func PrepareAvgPoolI8(c *PoolI8) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkAvgPool(&c.Window); err != nil {
		return nil, err
	}
	// What lies in the padding adds nothing to the sum, so the image bounds the number of summands.
	count := int64(min(c.Window.KH, c.In.H)) * int64(min(c.Window.KW, c.In.W))
	if count > math.MaxInt32/255 {
		return nil, fmt.Errorf("a window sums %d elements: more than %d can overflow int32", count, math.MaxInt32/255)
	}
	full := int64(c.Window.KH) * int64(c.Window.KW)
	if err := checkMult("divided", float32(float64(c.Requant.Mult[0])/float64(full))); err != nil {
		return nil, err
	}
	mult, zero, round := float64(c.Requant.Mult[0]), c.ZeroIn+128, newRounder(c.Requant.Zero, c.Requant.Lo, c.Requant.Hi)
	sum := func(acc []int32, x []byte, first bool) {
		acc = acc[:len(x)]
		if first {
			for i, v := range x {
				acc[i] = int32(v)
			}
			return
		}
		for i, v := range x {
			acc[i] += int32(v)
		}
	}
	finish := func(y []byte, acc []int32, inside, divisor int) {
		bias := int32(inside) * zero
		m := float32(mult / float64(divisor))
		acc = acc[:len(y)]
		for i := range y {
			y[i] = round.store(float32(float32(acc[i]-bias) * m))
		}
	}
	return portable(avgPoolStage(&c.Window, c.In, c.Out, c.CountIncludePad, sum, finish)), nil
}

// PrepareAvgPoolF32 returns a float average pooling. Sums run over the window's rows, in each from left to right.
func PrepareAvgPoolF32(c *PoolF32) (*Prepared, error) {
	if err := checkPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	if err := checkAvgPool(&c.Window); err != nil {
		return nil, err
	}
	sum := func(acc, x []float32, first bool) {
		if first {
			copy(acc, x)
			return
		}
		acc = acc[:len(x)]
		for i, v := range x {
			acc[i] += v
		}
	}
	finish := func(y, acc []float32, _, divisor int) {
		d := float32(divisor)
		acc = acc[:len(y)]
		for i := range y {
			y[i] = acc[i] / d
		}
	}
	return portable(avgPoolStage(&c.Window, c.In, c.Out, c.CountIncludePad, sum, finish)), nil
}

func checkAvgPool(w *Window) error {
	if w.DilationH != 1 || w.DilationW != 1 {
		return fmt.Errorf("dilation %dx%d: average pooling has none", w.DilationH, w.DilationW)
	}
	if int64(w.KH)*int64(w.KW) > maxElements {
		return fmt.Errorf("window %dx%d has more than %d elements", w.KH, w.KW, maxElements)
	}
	return nil
}

// avgPoolStage sums windows into accumulators in scratch. finish gets how many elements of the window lie inside the image,
// and the divisor. A window without any element counts one zero.
func avgPoolStage[T byte | float32, A int32 | float32](w *Window, in, out Shape, includePad bool,
	sum func(acc []A, x []T, first bool), finish func(y []T, acc []A, inside, divisor int)) Stage {
	g, win := newPoolGrid(out), *w
	return Stage{Name: "avgpool", Units: g.rows * g.blocks, Scratch: 4 * g.block, Run: func(io *IO, lo, hi int, tmp []byte) {
		x, y, acc := view[T](io.In[0]), view[T](io.Out[0]), view[A](tmp)[:g.block]
		for u := lo; u < hi; u++ {
			oh, c0, c1 := g.at(u)
			kh0, kh1, ih := taps(oh, win.StrideH, 1, win.KH, win.Pad[0], in.H)
			// The padded extent ends a window that hangs over it, as in PyTorch.
			rows := min(win.KH, in.H+win.Pad[2]-ih)
			for ow := range out.W {
				kw0, kw1, iw := taps(ow, win.StrideW, 1, win.KW, win.Pad[1], in.W)
				inside := (kh1 - kh0) * (kw1 - kw0)
				divisor := max(1, inside)
				if includePad {
					divisor = rows * min(win.KW, in.W+win.Pad[3]-iw)
				}
				acc := acc[:c1-c0]
				if inside == 0 {
					clear(acc)
				}
				for kh := kh0; kh < kh1; kh++ {
					for kw := kw0; kw < kw1; kw++ {
						sum(acc, x[((ih+kh)*in.W+iw+kw)*in.C:][c0:c1], kh == kh0 && kw == kw0)
					}
				}
				finish(y[(oh*out.W+ow)*out.C:][c0:c1], acc, inside, divisor)
			}
		}
	}}
}
