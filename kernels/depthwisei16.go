package kernels

import (
	"fmt"
	"math"
)

// DepthwiseI16 describes a depthwise convolution as DepthwiseI8 does, with types as ConvI16.
type DepthwiseI16 struct {
	X, Y, R  Type
	In, Out  Shape
	Window   Window
	Weights  []int8
	Bias     []int32
	ZeroIn   int32
	PadValue []int16
	Requant  Requant
	Residual *Residual
}

// PrepareDepthwiseI16 returns a depthwise convolution with int16 on either side. Sums of input times weights, without zero point
// and bias, must fit int32: up to 516 taps of any weights do. The rest is added in float64, exactly.
func PrepareDepthwiseI16(d *DepthwiseI16) (*Prepared, error) { return prepareDepthwiseI16(d, features) }

func prepareDepthwiseI16(d *DepthwiseI16, available ISA) (*Prepared, error) {
	as8 := DepthwiseI8{In: d.In, Out: d.Out, Window: d.Window, Weights: d.Weights, Bias: d.Bias}
	if err := as8.check(); err != nil {
		return nil, err
	}
	if err := d.X.checkZero("input", d.ZeroIn); err != nil {
		return nil, err
	}
	if err := checkOptional("padding values", len(d.PadValue), d.In.C); err != nil {
		return nil, err
	}
	c := ConvI16{X: d.X, Y: d.Y, R: d.R, Out: d.Out, Bias: d.Bias, Requant: d.Requant, Residual: d.Residual}
	g := &convI16{x: d.X, y: d.Y, r: d.R}
	mult, err := c.requant(g, available)
	if err != nil {
		return nil, err
	}
	g.mult, g.base = mult, make([]float64, d.Out.C)
	g.planes = []*convI8{{bias: make([]int32, d.Out.C)}}
	stride := padded4(d.In.C)
	pad := make([]int16, d.In.C)
	for ch := range d.Out.C {
		var sum, reach int64
		for t := range d.Window.KH * d.Window.KW {
			w := int64(d.Weights[t*stride+ch])
			if w == -128 {
				return nil, errMinWeight(ch)
			}
			sum, reach = sum+w, reach+abs(w)
		}
		if most := reach * -math.MinInt16; most > math.MaxInt32 {
			return nil, fmt.Errorf("output channel %d: sums reach %d, which does not fit int32", ch, most)
		}
		base := -int64(d.ZeroIn) * sum
		if len(d.Bias) > 0 {
			base += int64(d.Bias[ch])
		}
		g.base[ch], pad[ch] = float64(base), int16(d.ZeroIn)
		if len(d.PadValue) > 0 {
			pad[ch] = d.PadValue[ch]
		}
	}
	taps := d.Window.KH * d.Window.KW
	r := &depthwiseI16{d: d, g: g, pad: pad, stride: stride}
	p := &Prepared{Kernel: "portable", Why: "a window of too many places, or too much padding", Packed: len(d.Weights),
		MACs: int64(d.Out.H) * int64(d.Out.W) * int64(d.Out.C) * int64(taps)}
	if r.choose(available) {
		p.Kernel, p.Why, p.Packed = r.kernel.Name, "int16 activations; "+r.kernel.ISA.String(), 2*len(r.packed)
		p.Inner = []int{2 * r.height * r.width * d.In.C}
		p.Stages = []Stage{{Name: "pad", Units: r.height, Run: r.copyRows}}
	}
	p.Stages = append(p.Stages, Stage{Name: "depthwise", Units: d.Out.H, Scratch: align64(4*d.In.C) + 64 + 6*align64(d.In.C), Run: r.run})
	return p, nil
}

// Bounds on what a kernel is prepared for: places of a window, and bytes of the padded input.
const (
	mostTaps16   = 1 << 10
	mostPadded16 = 1 << 28
)

// depthwiseI16 is a depthwise convolution made ready. The input is copied with its padding first, as int16: there no window knows of a
// border, and the places of a window are always as far from each other.
type depthwiseI16 struct {
	d             *DepthwiseI16
	g             *convI16
	kernel        *Row[depthwise16Func] // nil for what is beyond the bounds
	packed        []int16
	off           []int // of the places of a window, in bytes; an even number of them
	height, width int   // of the padded input
	pad           []int16
	stride        int
}

// choose lays out the padded input, and the weights for a kernel. It returns false for what is beyond the bounds.
func (r *depthwiseI16) choose(available ISA) bool {
	d, w, c := r.d, &r.d.Window, r.d.In.C
	taps := int64(w.KH) * int64(w.KW)
	height, width := int64(d.In.H)+int64(w.Pad[0])+int64(w.Pad[2]), int64(d.In.W)+int64(w.Pad[1])+int64(w.Pad[3])
	if taps > mostTaps16 || height*width > mostPadded16/2/int64(c) {
		return false
	}
	r.height, r.width = int(height), int(width)
	for ky := range w.KH {
		for kx := range w.KW {
			r.off = append(r.off, 2*c*(ky*w.DilationH*r.width+kx*w.DilationW))
		}
	}
	if len(r.off)%2 == 1 {
		r.off = append(r.off, 0) // with weights of zero
	}
	r.kernel = chooseRow(depthwises16, available)
	r.packed = packDepthwise16(d.Weights, int(taps), r.stride, c)
	return true
}

// copyRows writes rows of the padded input.
func (r *depthwiseI16) copyRows(io *IO, lo, hi int, _ []byte) {
	d, c := r.d, r.d.In.C
	top, left := d.Window.Pad[0], d.Window.Pad[1]
	for y := lo; y < hi; y++ {
		row := view[int16](io.Inner[0])[y*r.width*c:][:r.width*c]
		if y < top || y >= top+d.In.H {
			r.padding(row)
			continue
		}
		r.padding(row[:left*c])
		r.padding(row[(left+d.In.W)*c:])
		at, n := (y-top)*d.In.W*c, d.In.W*c
		if d.X == Int8 {
			Int8.load(io.In[0], at, n, row[left*c:])
		} else {
			copy(row[left*c:], view[int16](io.In[0])[at:][:n])
		}
	}
}

func (r *depthwiseI16) padding(row []int16) {
	for len(row) > 0 {
		row = row[copy(row, r.pad):]
	}
}

func (r *depthwiseI16) run(io *IO, lo, hi int, tmp []byte) {
	d, w, c := r.d, &r.d.Window, r.d.In.C
	acc := view[int32](tmp)[:c]
	own, res, out := tmpRows(tmp[align64(4*c)+64:], c)
	for oy := lo; oy < hi; oy++ {
		for ox := range d.Out.W {
			if r.kernel != nil {
				a := view[int16](io.Inner[0])[(oy*w.StrideH*r.width+ox*w.StrideW)*c:]
				r.kernel.Fn(&acc[0], &a[0], &r.off[0], &r.packed[0], len(r.off)/2, c)
			} else {
				r.sums(acc, io.In[0], oy, ox)
			}
			at := (oy*d.Out.W + ox) * c
			if r.g.residual == nil {
				y := d.Y.room(io.Out[0], at, c, own)
				r.g.requant(y, nil, acc, 0)
				d.Y.put(io.Out[0], at, y)
				continue
			}
			r.g.requant(own, nil, acc, 0)
			y := d.Y.room(io.Out[0], at, c, out)
			r.g.residual.row(y, own, d.R.load(io.In[1], at, c, res))
			d.Y.put(io.Out[0], at, y)
		}
	}
}

// sums multiplies the window of one output pixel without a kernel.
func (r *depthwiseI16) sums(acc []int32, x []byte, oy, ox int) {
	d, w := r.d, &r.d.Window
	clear(acc)
	for ky := range w.KH {
		for kx := range w.KW {
			iy, ix := oy*w.StrideH-w.Pad[0]+ky*w.DilationH, ox*w.StrideW-w.Pad[1]+kx*w.DilationW
			inside := iy >= 0 && ix >= 0 && iy < d.In.H && ix < d.In.W
			for i, v := range d.Weights[(ky*w.KW+kx)*r.stride:][:len(acc)] {
				q := r.pad[i]
				if inside {
					q = d.X.at(x, (iy*d.In.W+ix)*d.In.C+i)
				}
				acc[i] += int32(q) * int32(v)
			}
		}
	}
}
