package kernels

import "fmt"

// PrepareRFGAF32 returns float attention: y = x*(A + B*(sigmoid(conv_c) + sigmoid(conv_h) + sigmoid(conv_w))). The views are
// means, summed in float64 from the first row or column to the last. Its stages and inner buffers are RFGAI8's.
func PrepareRFGAF32(c *RFGAF32) (*Prepared, error) {
	if err := checkShape("input", c.Shape); err != nil {
		return nil, err
	}
	h, w, ch := c.Shape.H, c.Shape.W, c.Shape.C
	if err := checkLength("channel convolution weights (3 a channel, padded to 4)", len(c.WC), 4*ch); err != nil {
		return nil, err
	}
	if err := checkOptional("channel convolution biases", len(c.BC), ch); err != nil {
		return nil, err
	}
	convH, err := PrepareConvF32(&ConvF32{
		In: Shape{h, 1, ch}, Out: Shape{h, 1, ch}, Window: window1D(3, 1), Groups: 1,
		Weights: c.WH, Weights16: c.WH16, Bias: c.BH, ClampLo: negInf, ClampHi: posInf,
	})
	if err != nil {
		return nil, fmt.Errorf("convolution along height: %w", err)
	}
	convW, err := PrepareConvF32(&ConvF32{
		In: Shape{1, w, ch}, Out: Shape{1, w, ch}, Window: window1D(1, 3), Groups: 1,
		Weights: c.WW, Weights16: c.WW16, Bias: c.BW, ClampLo: negInf, ClampHi: posInf,
	})
	if err != nil {
		return nil, fmt.Errorf("convolution along width: %w", err)
	}

	r := rfgaF32{RFGAF32: *c, sums: chooseRow(summersF32, features).Fn, sigmoid: chooseRow(sigmoids, features).Fn,
		attend: chooseRow(attendersF32, features).Fn, factors: []float32{c.A, c.B}}
	r.WH, r.WW, r.WH16, r.WW16 = nil, nil, nil, nil // packed: lets go of the caller's
	p := &Prepared{
		Inner:  make([]int, rfgaInner),
		Kernel: convH.Kernel,
		Why:    convH.Why,
		MACs:   convH.MACs + convW.MACs + int64(3*ch) + int64(c.Shape.Len()),
		Packed: convH.Packed + convW.Packed,
	}
	p.Inner[rfgaYC], p.Inner[rfgaZC] = 4*ch, 4*ch
	p.Inner[rfgaYH], p.Inner[rfgaZH] = 4*h*ch, 4*h*ch
	p.Inner[rfgaYW], p.Inner[rfgaZW] = 4*w*ch, 4*w*ch
	blocks := ceilDiv(ch, channelUnit)
	p.Stages = []Stage{
		{Name: "views", Units: blocks, Scratch: 16 * channelUnit, Run: r.runViews},
		{Name: "conv_c", Units: blocks, Run: r.runConvC},
	}
	p.embed("conv_h", convH, func(sub, io *IO) {
		sub.In, sub.Out = io.Inner[rfgaYH:rfgaYH+1], io.Inner[rfgaZH:rfgaZH+1]
	})
	p.embed("conv_w", convW, func(sub, io *IO) {
		sub.In, sub.Out = io.Inner[rfgaYW:rfgaYW+1], io.Inner[rfgaZW:rfgaZW+1]
	})
	p.Stages = append(p.Stages, Stage{Name: "sigmoid", Units: h + w, Run: r.runSigmoid})
	if c.Off.Expansion {
		p.Stages = append(p.Stages, Stage{Name: "average", Units: ch, Run: r.runAverage})
	}
	p.Stages = append(p.Stages, Stage{Name: "apply", Units: h, Scratch: 4 * ch, Run: r.runApply})
	p.Attention = r.attention
	return p, nil
}

// rfgaF32 is attention made ready.
type rfgaF32 struct {
	RFGAF32
	sums    sumsF32Func
	sigmoid mapFunc
	attend  attendF32Func
	factors []float32 // A, B
}

func (r *rfgaF32) runViews(io *IO, lo, hi int, tmp []byte) {
	s, x := r.Shape, view[float32](io.In[0])
	yc, yh, yw := view[float32](io.Inner[rfgaYC]), view[float32](io.Inner[rfgaYH]), view[float32](io.Inner[rfgaYW])
	sums := view[float64](tmp)
	for u := lo; u < hi; u++ {
		c0 := u * channelUnit
		n := min(channelUnit, s.C-c0)
		wide := ceilDiv(n, 16) * 16
		all, line := sums[:n], sums[channelUnit:][:n]
		clear(all)
		for h := range s.H {
			r.sums(&line[0], at(x, h*s.W*s.C+c0), 4*s.C, s.W, wide)
			for i, v := range line {
				all[i] += v
			}
			storeMeans(yh[h*s.C+c0:], line, s.W)
		}
		for w := range s.W {
			r.sums(&line[0], at(x, w*s.C+c0), 4*s.W*s.C, s.H, wide)
			storeMeans(yw[w*s.C+c0:], line, s.H)
		}
		storeMeans(yc[c0:], all, s.H*s.W)
	}
}

func storeMeans(y []float32, sums []float64, count int) {
	y = y[:len(sums)]
	for i, s := range sums {
		y[i] = float32(s / float64(count))
	}
}

// runConvC writes the channel view's sigmoid.
func (r *rfgaF32) runConvC(io *IO, lo, hi int, _ []byte) {
	y, z, n := view[float32](io.Inner[rfgaYC]), view[float32](io.Inner[rfgaZC]), r.Shape.C
	for c := lo * channelUnit; c < min(hi*channelUnit, n); c++ {
		w := r.WC[4*c:][:3]
		acc := w[1] * y[c]
		if c > 0 {
			acc += w[0] * y[c-1]
		}
		if c < n-1 {
			acc += w[2] * y[c+1]
		}
		if len(r.BC) > 0 {
			acc += r.BC[c]
		}
		z[c] = Sigmoid32(acc)
		if r.Off.Views[0] {
			z[c] = 0
		}
	}
}

// runSigmoid turns the rows of both other views, height first, into their sigmoids.
func (r *rfgaF32) runSigmoid(io *IO, lo, hi int, _ []byte) {
	n := r.Shape.C
	for u := lo; u < hi; u++ {
		v, z, row := 1, io.Inner[rfgaZH], u
		if u >= r.Shape.H {
			v, z, row = 2, io.Inner[rfgaZW], u-r.Shape.H
		}
		z32 := view[float32](z)[row*n:][:n]
		if r.Off.Views[v] {
			clear(z32)
			continue
		}
		mapRow(r.sigmoid, Sigmoid, z32, z32)
	}
}

// runAverage gives every row its channel's mean over the rows, and every column that over the columns.
func (r *rfgaF32) runAverage(io *IO, lo, hi int, _ []byte) {
	n := r.Shape.C
	for _, m := range [...]struct{ inner, count int }{{rfgaZH, r.Shape.H}, {rfgaZW, r.Shape.W}} {
		z := view[float32](io.Inner[m.inner])
		for c := lo; c < hi; c++ {
			sum := 0.0
			for i := range m.count {
				sum += float64(z[i*n+c])
			}
			for i := range m.count {
				z[i*n+c] = float32(sum / float64(m.count))
			}
		}
	}
}

// attention implements Prepared.Attention.
func (r *rfgaF32) attention(io *IO, channels, rows, columns []float32) {
	copy(channels, view[float32](io.Inner[rfgaZC])[:r.Shape.C])
	copy(rows, view[float32](io.Inner[rfgaZH])[:r.Shape.H*r.Shape.C])
	copy(columns, view[float32](io.Inner[rfgaZW])[:r.Shape.W*r.Shape.C])
}

func (r *rfgaF32) runApply(io *IO, lo, hi int, tmp []byte) {
	s := r.Shape
	x, y := view[float32](io.In[0]), view[float32](io.Out[0])
	zc, zh, zw := view[float32](io.Inner[rfgaZC]), view[float32](io.Inner[rfgaZH]), view[float32](io.Inner[rfgaZW])
	sum, whole := view[float32](tmp)[:s.C], s.C&^15
	for h := lo; h < hi; h++ {
		zh := zh[h*s.C:][:s.C]
		for c, v := range zc[:s.C] {
			sum[c] = v + zh[c]
		}
		for w := range s.W {
			at := (h*s.W + w) * s.C
			x, y, zw := x[at:][:s.C], y[at:][:s.C], zw[w*s.C:][:s.C]
			if whole > 0 {
				r.attend(&y[0], &x[0], &sum[0], &zw[0], whole, &r.factors[0])
			}
			if n := s.C - whole; n > 0 {
				attendPortableF32(&y[whole], &x[whole], &sum[whole], &zw[whole], n, &r.factors[0])
			}
		}
	}
}
