package kernels

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Inner buffers of RFGAI8: the quantized views, the Conv1d results before the sigmoid, and what they become by it.
const (
	rfgaYC = iota // C
	rfgaYH        // H x C
	rfgaYW        // W x C
	rfgaZC
	rfgaZH
	rfgaZW
	rfgaGH // H x C int32: the sum of the channel's and the row's sigmoids
	rfgaGW // W x C int16: the column's
	rfgaInner
)

// rfgaI8 is the prepared operator.
type rfgaI8 struct {
	RFGAI8
	biasC  []int32 // of conv c, with the zero point folded in
	views  [3]*asm.Requant
	convC  rounder
	sums   *Row[sumFunc]
	round  *Row[roundFunc]
	attend *Row[attendFunc]
	params *asm.Attention
}

// PrepareRFGAI8 returns quantized residual fine-grained attention. Its stages: the views, the convolution along the channels,
// the convolutions along height and width (which are int8 convolutions like any other), and the calibration of x.
func PrepareRFGAI8(c *RFGAI8) (*Prepared, error) {
	return prepareRFGAI8(c, features)
}

func prepareRFGAI8(c *RFGAI8, available ISA) (*Prepared, error) {
	r := &rfgaI8{RFGAI8: *c, sums: chooseRow(summers, available), round: chooseRow(rounders, available), attend: chooseRow(attenders, available)}
	if err := r.check(); err != nil {
		return nil, err
	}
	largest, err := r.bound()
	if err != nil {
		return nil, err
	}
	// What the summands' zero points add up to comes off each sum.
	for v, count := range [...]int{c.Shape.H * c.Shape.W, c.Shape.W, c.Shape.H} {
		r.views[v] = rescaling(0, c.ViewMult[v], c.ViewZero[v], -128, 127)
		r.views[v].AOff = -int32(count) * (c.ZeroIn + 128)
	}
	r.convC = newRounder(c.ConvC.Zero, c.ConvC.Lo, c.ConvC.Hi)
	q := &c.Requant
	if c.Off.Views != [3]bool{} {
		r.Table = slices.Clone(c.Table)
		for v, off := range c.Off.Views {
			if off {
				clear(r.Table[256*v:][:256])
			}
		}
	}
	r.params = &asm.Attention{Zero: c.ZeroIn + 128, A: c.A, B: c.B, Mult: q.Mult[0], Lo: float32(q.Lo - q.Zero), Hi: float32(q.Hi - q.Zero),
		ZeroOut: q.Zero + 128, Round: 8192}

	h, w, ch := c.Shape.H, c.Shape.W, c.Shape.C
	convH, err := prepareConvI8(&ConvI8{
		In: Shape{h, 1, ch}, Out: Shape{h, 1, ch}, Window: window1D(3, 1), Groups: 1,
		Weights: c.WH, Bias: c.BH, ZeroIn: c.ViewZero[1], Requant: c.ConvH,
	}, available, cacheL2())
	if err != nil {
		return nil, fmt.Errorf("convolution along height: %w", err)
	}
	convW, err := prepareConvI8(&ConvI8{
		In: Shape{1, w, ch}, Out: Shape{1, w, ch}, Window: window1D(1, 3), Groups: 1,
		Weights: c.WW, Bias: c.BW, ZeroIn: c.ViewZero[2], Requant: c.ConvW,
	}, available, cacheL2())
	if err != nil {
		return nil, fmt.Errorf("convolution along width: %w", err)
	}

	r.WH, r.WW = nil, nil // packed: lets go of the caller's

	p := &Prepared{
		Inner:  make([]int, rfgaInner),
		Kernel: convH.Kernel,
		Why:    convH.Why,
		MACs:   convH.MACs + convW.MACs + int64(3*ch) + int64(c.Shape.Len()),
		Packed: convH.Packed + convW.Packed,
	}
	if convW.Kernel != convH.Kernel {
		p.Kernel += ", " + convW.Kernel
	}
	if largest >= 1<<24 {
		p.Why += fmt.Sprintf("; accumulators reach %d, where float32 has no longer every integer", largest)
	}
	p.Inner[rfgaYC], p.Inner[rfgaZC] = ch, ch
	p.Inner[rfgaYH], p.Inner[rfgaZH] = h*ch, h*ch
	p.Inner[rfgaYW], p.Inner[rfgaZW] = w*ch, w*ch
	p.Inner[rfgaGH], p.Inner[rfgaGW] = 4*h*ch, 2*w*ch
	blocks := ceilDiv(ch, channelUnit)
	p.Stages = []Stage{
		{Name: "views", Units: blocks, Scratch: 4 * 3 * channelUnit, Run: r.runViews},
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
	p.Stages = append(p.Stages, Stage{Name: "apply", Units: h, Run: r.runApply})
	p.Attention = r.attention
	return p, nil
}

// window1D is a window of kh x kw with the padding that keeps the size.
func window1D(kh, kw int) Window {
	return Window{KH: kh, KW: kw, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Pad: [4]int{kh / 2, kw / 2, kh / 2, kw / 2}}
}

// check leaves to PrepareConvI8 what belongs to the convolutions along height and width.
func (r *rfgaI8) check() error {
	if err := checkShape("input", r.Shape); err != nil {
		return err
	}
	if n := int64(r.Shape.H) * int64(r.Shape.W); n > math.MaxInt32/255 {
		return fmt.Errorf("a view sums %d elements: more than %d can overflow int32", n, math.MaxInt32/255)
	}
	if err := checkZero("input", r.ZeroIn); err != nil {
		return err
	}
	for v, name := range [...]string{"channel view's", "height view's", "width view's"} {
		if err := checkMult(name, r.ViewMult[v]); err != nil {
			return err
		}
		if err := checkZero(name, r.ViewZero[v]); err != nil {
			return err
		}
	}
	ch := r.Shape.C
	if err := checkLength("channel convolution weights (3 a channel, padded to 4)", len(r.WC), 4*ch); err != nil {
		return err
	}
	if err := checkOptional("channel convolution biases", len(r.BC), ch); err != nil {
		return err
	}
	if len(r.ConvC.Mult) == 1 {
		r.ConvC.Mult = slices.Repeat(r.ConvC.Mult, ch)
	}
	if err := r.ConvC.check(ch); err != nil {
		return fmt.Errorf("channel convolution: %w", err)
	}
	r.biasC = make([]int32, ch)
	for c := range ch {
		var err error
		if r.biasC[c], err = checkedBias(r.WC[4*c:][:3], c, r.BC, r.ViewZero[0]); err != nil {
			return fmt.Errorf("channel convolution: %w", err)
		}
	}
	if err := checkLength("sigmoid table entries", len(r.Table), 3*256); err != nil {
		return err
	}
	return r.Requant.check(1)
}

// bound returns the largest magnitude of (x-ZeroIn)*(A+((B*M+8192)>>14)), an error if it, or what leads to it, leaves int32.
func (r *rfgaI8) bound() (int64, error) {
	var lo, hi int64 // of M
	for v := range 3 {
		t := r.Table[256*v:][:256]
		low, high := t[0], t[0]
		for _, q := range t {
			low, high = min(low, q), max(high, q)
		}
		lo, hi = lo+int64(low), hi+int64(high)
	}
	if b := max(abs(int64(r.B)*lo), abs(int64(r.B)*hi)) + 8192; b > math.MaxInt32 {
		return 0, fmt.Errorf("attribute B = %d times an attention sum of %d..%d does not fit int32", r.B, lo, hi)
	}
	g0, g1 := int64(r.A)+(int64(r.B)*lo+8192)>>14, int64(r.A)+(int64(r.B)*hi+8192)>>14
	gain := max(abs(g0), abs(g1))
	largest := gain * int64(max(r.ZeroIn+128, 127-r.ZeroIn))
	if gain > math.MaxInt32 || largest > math.MaxInt32 {
		return 0, fmt.Errorf("attributes A = %d, B = %d make factors up to %d: the accumulator reaches %d, which does not fit int32", r.A, r.B, gain, largest)
	}
	return largest, nil
}

func abs(v int64) int64 { return max(v, -v) }

// runViews sums a block of channels over rows, columns and all, and requantizes the sums.
func (r *rfgaI8) runViews(io *IO, lo, hi int, tmp []byte) {
	s := r.Shape
	row := s.W * s.C
	all, sums := view[int32](tmp)[:channelUnit], view[int32](tmp)[channelUnit:]
	for u := lo; u < hi; u++ {
		c0 := u * channelUnit
		n := min(channelUnit, s.C-c0)
		all := all[:n]
		clear(all)
		for h := range s.H {
			r.sums.Fn(&sums[0], at(io.In[0], h*row+c0), 0, 1, s.C, s.W, n)
			for i, v := range sums[:n] {
				all[i] += v
			}
			r.round.Fn(at(io.Inner[rfgaYH], h*s.C+c0), &sums[0], n, r.views[1])
		}
		for w := range s.W {
			r.sums.Fn(&sums[0], at(io.In[0], w*s.C+c0), row, s.H, 0, 1, n)
			r.round.Fn(at(io.Inner[rfgaYW], w*s.C+c0), &sums[0], n, r.views[2])
		}
		r.round.Fn(at(io.Inner[rfgaYC], c0), &all[0], n, r.views[0])
	}
}

// runConvC convolves the channel view along the channels, with three weights for each channel.
func (r *rfgaI8) runConvC(io *IO, lo, hi int, _ []byte) {
	y, z, n := io.Inner[rfgaYC], io.Inner[rfgaZC], r.Shape.C
	pad := byte(r.ViewZero[0] + 128)
	for c := lo * channelUnit; c < min(hi*channelUnit, n); c++ {
		before, after := pad, pad
		if c > 0 {
			before = y[c-1]
		}
		if c < n-1 {
			after = y[c+1]
		}
		w := r.WC[4*c:][:3]
		acc := r.biasC[c] + int32(w[0])*int32(before) + int32(w[1])*int32(y[c]) + int32(w[2])*int32(after)
		z[c] = r.convC.store(float32(float32(acc) * r.ConvC.Mult[c]))
	}
}

// runSigmoid looks the sigmoids up: of the rows, to which it adds those of the channels, and of the columns.
func (r *rfgaI8) runSigmoid(io *IO, lo, hi int, _ []byte) {
	n := r.Shape.C
	tc, th, tw := (*[256]int16)(r.Table), (*[256]int16)(r.Table[256:]), (*[256]int16)(r.Table[512:])
	for u := lo; u < hi; u++ {
		if w := u - r.Shape.H; w >= 0 {
			y := view[int16](io.Inner[rfgaGW])[w*n:][:n]
			for i, z := range io.Inner[rfgaZW][w*n:][:n] {
				y[i] = tw[z]
			}
			continue
		}
		y, zc := view[int32](io.Inner[rfgaGH])[u*n:][:n], io.Inner[rfgaZC][:n]
		for i, z := range io.Inner[rfgaZH][u*n:][:n] {
			y[i] = int32(tc[zc[i]]) + int32(th[z])
		}
	}
}

// runAverage gives every row its channel's mean over the rows, and every column that over the columns.
func (r *rfgaI8) runAverage(io *IO, lo, hi int, _ []byte) {
	averageQ14(view[int32](io.Inner[rfgaGH]), r.Shape.H, r.Shape.C, lo, hi)
	averageQ14(view[int16](io.Inner[rfgaGW]), r.Shape.W, r.Shape.C, lo, hi)
}

// averageQ14 replaces the columns lo..hi-1 of a matrix of n rows and c columns by their means, rounded half up. Values are
// sums of sigmoids: not negative.
func averageQ14[T int16 | int32](y []T, n, c, lo, hi int) {
	for k := lo; k < hi; k++ {
		sum := int64(0)
		for i := range n {
			sum += int64(y[i*c+k])
		}
		mean := T((2*sum + int64(n)) / int64(2*n))
		for i := range n {
			y[i*c+k] = mean
		}
	}
}

// attention implements Prepared.Attention.
func (r *rfgaI8) attention(io *IO, channels, rows, columns []float32) {
	const one = 1 << 14
	n := r.Shape.C
	for c, z := range io.Inner[rfgaZC][:n] {
		channels[c] = float32(r.Table[z]) / one
	}
	for i, v := range view[int32](io.Inner[rfgaGH])[:r.Shape.H*n] {
		rows[i] = float32(v-int32(r.Table[io.Inner[rfgaZC][i%n]])) / one
	}
	for i, v := range view[int16](io.Inner[rfgaGW])[:r.Shape.W*n] {
		columns[i] = float32(v) / one
	}
}

// runApply computes rows of the output.
func (r *rfgaI8) runApply(io *IO, lo, hi int, _ []byte) {
	s := r.Shape
	for h := lo; h < hi; h++ {
		x := h * s.W * s.C
		gh, gw := &view[int32](io.Inner[rfgaGH])[h*s.C], &view[int16](io.Inner[rfgaGW])[0]
		r.attend.Fn(at(io.Out[0], x), at(io.In[0], x), gh, gw, s.W, s.C, r.params)
	}
}
