package kernels

import (
	"errors"
	"fmt"
	"unsafe"
)

// PrepareConvF32 returns a float convolution: the window's values as rows of a matrix, times the weights. Without a kernel
// for this CPU it is computed by the registered matrix product.
func PrepareConvF32(c *ConvF32) (*Prepared, error) {
	return prepareConvF32(c, features, cacheL2())
}

func prepareConvF32(c *ConvF32, available ISA, l2 int) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if g := newConvF16(c, available, l2); g != nil {
		return g.prepared(), nil
	}
	if family := chooseGEMMF32(available, c.Out.C/c.Groups); family != nil {
		if g := chooseWinoF32(c, family, available, l2); g != nil {
			return g.prepared(), nil
		}
		return newConvF32(c, family, available, l2).prepared(), nil
	}
	return c.prepareMatMul(), nil
}

// With a registered product a unit is a block of output positions times a block of channels; the product sees the same
// block whatever the threads.
const (
	convRows = 64
	convCols = 256
)

func (c *ConvF32) prepareMatMul() *Prepared {
	matMul, name, why := currentMatMul()
	inGroup, outGroup := c.In.C/c.Groups, c.Out.C/c.Groups
	depth, taps := c.Window.KH*c.Window.KW*inGroup, c.Window.KH*c.Window.KW
	// Pack each group's weights as (window, input channel) rows and output channel columns.
	packed, pad := make([]float32, c.Groups*depth*outGroup), padded4(inGroup)
	for o := range c.Out.C {
		group := packed[o/outGroup*depth*outGroup:]
		for t := range taps {
			at := (o*taps + t) * pad
			for i := range inGroup {
				group[(t*inGroup+i)*outGroup+o%outGroup] = c.weight(at + i)
			}
		}
	}
	positions := c.Out.H * c.Out.W
	rowBlocks, cols := ceilDiv(positions, convRows), convCols
	if c.Groups*rowBlocks*ceilDiv(outGroup, cols) < 8 {
		cols = channelUnit
	}
	colBlocks := ceilDiv(outGroup, cols)
	direct := taps == 1 && c.Window.StrideH == 1 && c.Window.StrideW == 1 && c.Window.Pad == [4]int{}
	scratch := 0
	if !direct {
		scratch = 4*min(convRows, positions)*depth + Slack
	}
	conv := *c
	conv.Weights, conv.Weights16 = nil, nil // packed: lets go of the caller's
	run := func(io *IO, lo, hi int, tmp []byte) {
		x, y := view[float32](io.In[0]), view[float32](io.Out[0])
		var other []float32
		if conv.Residual {
			other = view[float32](io.In[1])
		}
		gathered := -1
		for u := lo; u < hi; u++ {
			block := u / colBlocks // of rows, in the group
			g, p0, o0 := block/rowBlocks, block%rowBlocks*convRows, u%colBlocks*cols
			m, n := min(convRows, positions-p0), min(cols, outGroup-o0)
			a, lda := x[p0*conv.In.C+g*inGroup:], conv.In.C
			if !direct {
				a, lda = view[float32](tmp), depth
				if block != gathered {
					conv.gather(a, depth, x, g*inGroup, p0, m)
					gathered = block
				}
			}
			at := p0*conv.Out.C + g*outGroup + o0
			setRows(y[at:], m, n, conv.Out.C, bias(conv.Bias, g*outGroup+o0, n))
			matMul(m, n, depth, a, lda, packed[g*depth*outGroup+o0:], outGroup, y[at:], conv.Out.C)
			for r := range m {
				row := at + r*conv.Out.C
				if conv.Residual {
					clampAdd(y[row:][:n], other[row:][:n], conv.InnerLo, conv.InnerHi, conv.ClampLo, conv.ClampHi)
				} else {
					clampRow(y[row:][:n], conv.ClampLo, conv.ClampHi)
				}
			}
		}
	}
	return &Prepared{
		Stages: []Stage{{Name: "conv", Units: c.Groups * rowBlocks * colBlocks, Scratch: scratch, Run: run}},
		Kernel: name, Why: why,
		MACs:   int64(positions) * int64(c.Out.C) * int64(depth),
		Packed: 4 * len(packed),
	}
}

// weight returns weight i in the canonical order, whatever form it has.
func (c *ConvF32) weight(i int) float32 {
	if c.Weights16 != nil {
		return HalfToFloat(c.Weights16[i])
	}
	return c.Weights[i]
}

func (c *ConvF32) check() error {
	if err := checkConvF32(&c.Window, c.In, c.Out, c.Bias, c.ClampLo, c.ClampHi, c.Residual, c.InnerLo, c.InnerHi); err != nil {
		return err
	}
	if c.Groups < 1 || c.In.C%c.Groups != 0 || c.Out.C%c.Groups != 0 {
		return fmt.Errorf("%d groups do not divide %d input and %d output channels", c.Groups, c.In.C, c.Out.C)
	}
	if len(c.Weights16) != 0 && len(c.Weights) != 0 {
		return errors.New("weights both as float32 and as halves")
	}
	return checkWeights(len(c.Weights)+len(c.Weights16), c.Out.C, c.Window.KH, c.Window.KW, c.In.C/c.Groups)
}

// checkWeights checks the length of weights in the canonical order.
func checkWeights(got, o, kh, kw, i int) error {
	want := int64(padded4(i))
	for _, n := range [...]int{kw, kh, o} {
		if want *= int64(n); want > maxElements {
			return fmt.Errorf("weights %dx%dx%dx%d have more than %d elements", o, kh, kw, i, maxElements)
		}
	}
	return checkLength(fmt.Sprintf("weights for %dx%dx%dx%d padded to %d", o, kh, kw, i, padded4(i)), got, int(want))
}

func checkConvF32(w *Window, in, out Shape, bias []float32, lo, hi float32, residual bool, innerLo, innerHi float32) error {
	if err := checkShapes(in, out); err != nil {
		return err
	}
	if err := checkWindow(w, in, out, false); err != nil {
		return err
	}
	if err := checkOptional("biases", len(bias), out.C); err != nil {
		return err
	}
	if residual {
		if err := checkClamp(innerLo, innerHi); err != nil {
			return fmt.Errorf("before the residual: %w", err)
		}
	}
	return checkClamp(lo, hi)
}

// gather writes the windows of positions p0..p0+m-1, channels c0..c0+I/groups-1, as rows lda elements apart.
func (c *ConvF32) gather(dst []float32, lda int, x []float32, c0, p0, m int) {
	w, n := &c.Window, c.In.C/c.Groups
	oh, ow := p0/c.Out.W, p0%c.Out.W
	for i := range m {
		c.gatherRow(dst[i*lda:][:w.KH*w.KW*n], x[c0:], n, oh*w.StrideH-w.Pad[0], ow*w.StrideW-w.Pad[1])
		if ow++; ow == c.Out.W {
			oh, ow = oh+1, 0
		}
	}
}

// gatherRow writes the window whose first tap is pixel ih, iw, n channels of each.
func (c *ConvF32) gatherRow(dst, x []float32, n, ih, iw int) {
	w := &c.Window
	runs := w.DilationW == 1 && n == c.In.C && iw >= 0 && iw+w.KW <= c.In.W // a row of the window is a run of the input
	if runs && w.KW*n <= shortRun && ih >= 0 && ih+(w.KH-1)*w.DilationH < c.In.H {
		gatherShort(unsafe.SliceData(dst), at(x, (ih*c.In.W+iw)*n), w.DilationH*c.In.W*n, w.KH, w.KW*n)
		return
	}
	for range w.KH {
		row := dst[:w.KW*n]
		dst = dst[len(row):]
		switch {
		case ih < 0 || ih >= c.In.H:
			clear(row)
		case runs:
			copy(row, x[(ih*c.In.W+iw)*n:])
		default:
			for kw := range w.KW {
				to := row[kw*n:][:n]
				if px := iw + kw*w.DilationW; px < 0 || px >= c.In.W {
					clear(to)
				} else {
					copy(to, x[(ih*c.In.W+px)*c.In.C:])
				}
			}
		}
		ih += w.DilationH
	}
}

// shortRun is the length up to which a run is copied by moves of 16 elements. What they write too much belongs to the
// next run, which comes later, to the next row, likewise, or to the slack behind the last; what they read too much is within
// the input's slack.
const shortRun = 32

// gatherShort copies count runs of n elements, step elements apart.
func gatherShort(dst, src *float32, step, count, n int) {
	for range count {
		*(*[16]float32)(unsafe.Pointer(dst)) = *(*[16]float32)(unsafe.Pointer(src))
		if n > 16 {
			*(*[16]float32)(unsafe.Pointer(forward(dst, 64))) = *(*[16]float32)(unsafe.Pointer(forward(src, 64)))
		}
		dst, src = forward(dst, 4*n), forward(src, 4*step)
	}
}

// bias returns n of the biases, nil for none.
func bias(b []float32, at, n int) []float32 {
	if len(b) == 0 {
		return nil
	}
	return b[at:][:n]
}

// setRows sets m rows of n values to b, or to zero.
func setRows(y []float32, m, n, stride int, b []float32) {
	for r := range m {
		row := y[r*stride:][:n]
		if b == nil {
			clear(row)
		} else {
			copy(row, b)
		}
	}
}

func clampRow(y []float32, lo, hi float32) {
	for i, v := range y {
		y[i] = min(max(v, lo), hi)
	}
}

func clampAdd(y, other []float32, innerLo, innerHi, lo, hi float32) {
	other = other[:len(y)]
	for i, v := range y {
		v = min(max(v, innerLo), innerHi) + other[i]
		y[i] = min(max(v, lo), hi)
	}
}
