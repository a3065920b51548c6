package kernels

import "fmt"

// A float convolution's unit is a block of output positions times a block of channels; the matrix product sees the same
// block whatever the threads.
const (
	convRows = 64
	convCols = 256
)

// PrepareConvF32 returns a float convolution: the window's values as rows of a matrix, times the weights.
func PrepareConvF32(c *ConvF32) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	matMul, name, why := currentMatMul()
	inGroup, outGroup := c.In.C/c.Groups, c.Out.C/c.Groups
	depth, taps := c.Window.KH*c.Window.KW*inGroup, c.Window.KH*c.Window.KW
	// Pack each group's weights as (window, input channel) rows and output channel columns.
	packed, pad := make([]float32, c.Groups*depth*outGroup), padded4(inGroup)
	for o := range c.Out.C {
		group := packed[o/outGroup*depth*outGroup:]
		for t := range taps {
			for i, w := range c.Weights[(o*taps+t)*pad:][:inGroup] {
				group[(t*inGroup+i)*outGroup+o%outGroup] = w
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
		scratch = 4 * min(convRows, positions) * depth
	}
	conv := *c
	conv.Weights = nil // packed: lets go of the caller's
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
					conv.gather(a, x, g*inGroup, inGroup, p0, m)
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
	}, nil
}

func (c *ConvF32) check() error {
	if err := checkConvF32(&c.Window, c.In, c.Out, c.Bias, c.ClampLo, c.ClampHi, c.Residual, c.InnerLo, c.InnerHi); err != nil {
		return err
	}
	if c.Groups < 1 || c.In.C%c.Groups != 0 || c.Out.C%c.Groups != 0 {
		return fmt.Errorf("%d groups do not divide %d input and %d output channels", c.Groups, c.In.C, c.Out.C)
	}
	return checkWeights(len(c.Weights), c.Out.C, c.Window.KH, c.Window.KW, c.In.C/c.Groups)
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

// gather writes the windows of positions p0..p0+m-1, channels c0..c0+n-1, as rows.
func (c *ConvF32) gather(dst, x []float32, c0, n, p0, m int) {
	w := &c.Window
	for p := p0; p < p0+m; p++ {
		oh, ow := p/c.Out.W, p%c.Out.W
		h0, h1, ih := taps(oh, w.StrideH, w.DilationH, w.KH, w.Pad[0], c.In.H)
		w0, w1, iw := taps(ow, w.StrideW, w.DilationW, w.KW, w.Pad[1], c.In.W)
		for kh := range w.KH {
			row := dst[:w.KW*n]
			dst = dst[w.KW*n:]
			if kh < h0 || kh >= h1 {
				clear(row)
				continue
			}
			clear(row[:w0*n])
			clear(row[w1*n:])
			src := x[((ih+kh*w.DilationH)*c.In.W)*c.In.C+c0:]
			if w.DilationW == 1 && n == c.In.C {
				copy(row[w0*n:w1*n], src[max(0, iw+w0)*n:])
				continue
			}
			for kw := w0; kw < w1; kw++ {
				copy(row[kw*n:][:n], src[(iw+kw*w.DilationW)*c.In.C:])
			}
		}
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

// PrepareDepthwiseF32 returns a float depthwise convolution; a unit is a row of the output.
func PrepareDepthwiseF32(c *DepthwiseF32) (*Prepared, error) {
	if err := checkConvF32(&c.Window, c.In, c.Out, c.Bias, c.ClampLo, c.ClampHi, c.Residual, c.InnerLo, c.InnerHi); err != nil {
		return nil, err
	}
	if c.In.C != c.Out.C {
		return nil, fmt.Errorf("input has %d channels, output %d", c.In.C, c.Out.C)
	}
	if err := checkWeights(len(c.Weights), 1, c.Window.KH, c.Window.KW, c.In.C); err != nil {
		return nil, err
	}
	conv := *c
	p := portable(Stage{Name: "depthwise", Units: c.Out.H, Run: func(io *IO, lo, hi int, _ []byte) { conv.rows(io, lo, hi) }})
	p.MACs = int64(c.Out.Len()) * int64(c.Window.KH) * int64(c.Window.KW)
	return p, nil
}

func (c *DepthwiseF32) rows(io *IO, lo, hi int) {
	x, y, w, n := view[float32](io.In[0]), view[float32](io.Out[0]), &c.Window, c.In.C
	for oh := lo; oh < hi; oh++ {
		h0, h1, ih := taps(oh, w.StrideH, w.DilationH, w.KH, w.Pad[0], c.In.H)
		for ow := range c.Out.W {
			w0, w1, iw := taps(ow, w.StrideW, w.DilationW, w.KW, w.Pad[1], c.In.W)
			at := (oh*c.Out.W + ow) * n
			y := y[at:][:n]
			setRows(y, 1, n, n, bias(c.Bias, 0, n))
			for kh := h0; kh < h1; kh++ {
				for kw := w0; kw < w1; kw++ {
					x := x[((ih+kh*w.DilationH)*c.In.W+iw+kw*w.DilationW)*n:][:len(y)]
					f := c.Weights[(kh*w.KW+kw)*padded4(n):][:len(y)]
					for i := range y {
						y[i] += x[i] * f[i]
					}
				}
			}
			if c.Residual {
				clampAdd(y, view[float32](io.In[1])[at:][:n], c.InnerLo, c.InnerHi, c.ClampLo, c.ClampHi)
			} else {
				clampRow(y, c.ClampLo, c.ClampHi)
			}
		}
	}
}
