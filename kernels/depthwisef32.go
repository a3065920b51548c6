package kernels

import (
	"fmt"

	"github.com/rfga-edge/rfga-edge/asm"
)

// PrepareDepthwiseF32 returns a float depthwise convolution. Taps in the padding are left out.
func PrepareDepthwiseF32(c *DepthwiseF32) (*Prepared, error) {
	return prepareDepthwiseF32(c, features)
}

func prepareDepthwiseF32(c *DepthwiseF32, available ISA) (*Prepared, error) {
	if err := checkConvF32(&c.Window, c.In, c.Out, c.Bias, c.ClampLo, c.ClampHi, c.Residual, c.InnerLo, c.InnerHi); err != nil {
		return nil, err
	}
	if c.In.C != c.Out.C {
		return nil, fmt.Errorf("input has %d channels, output %d", c.In.C, c.Out.C)
	}
	if err := checkWeights(len(c.Weights), 1, c.Window.KH, c.Window.KW, c.In.C); err != nil {
		return nil, err
	}
	k := chooseRow(depthwisesF32, available)
	d := &depthwiseF32{DepthwiseF32: *c, kernel: k.Fn,
		grid:  newWindowGrid(&c.Window, c.In, c.Out, 4*padded4(c.In.C)),
		bias:  aligned[float32](c.In.C),
		clamp: &asm.ClampF32{Lo: c.ClampLo, Hi: c.ClampHi, InnerLo: c.InnerLo, InnerHi: c.InnerHi}}
	d.Weights = aligned[float32](len(c.Weights)) // with slack
	copy(d.Weights, c.Weights)
	copy(d.bias, c.Bias)
	d.Bias = nil
	d.channels, d.blocks = c.In.C, 1
	if c.Out.H < minUnits && c.In.C >= 2*channelUnit {
		d.channels = ceilDiv(ceilDiv(c.In.C, ceilDiv(2*minUnits, c.Out.H)), channelUnit) * channelUnit
		d.blocks = ceilDiv(c.In.C, d.channels)
	}
	p := k.prepared(Stage{Name: "depthwise", Units: c.Out.H * d.blocks, Scratch: d.grid.scratch(), Run: d.run})
	p.MACs = int64(c.Out.Len()) * int64(c.Window.KH) * int64(c.Window.KW)
	p.Packed = 4 * (len(d.Weights) + len(d.bias))
	return p, nil
}

// depthwiseF32 is a depthwise convolution made ready. Units are rows of the output by blocks of channels.
type depthwiseF32 struct {
	DepthwiseF32
	grid     windowGrid
	kernel   depthwiseFunc
	bias     []float32
	clamp    *asm.ClampF32
	channels int // of a unit
	blocks   int
}

func (d *depthwiseF32) run(io *IO, lo, hi int, tmp []byte) {
	x, y, list := view[float32](io.In[0]), view[float32](io.Out[0]), view[asm.Tap](tmp)
	c := d.In.C
	for u := lo; u < hi; u++ {
		oh, c0 := u%d.Out.H, u/d.Out.H*d.channels
		n := min(d.channels, c-c0)
		for ow := 0; ow < d.Out.W; {
			count, rows, cols, pixel := d.grid.run(list, oh, ow)
			to := (oh*d.Out.W+ow)*c + c0
			var res *float32
			if d.Residual {
				res = at(view[float32](io.In[1]), to)
			}
			if rows*cols == 0 { // nothing but the bias
				depthwisePortableF32(at(y, to), 0, nil, 0, 1, nil, 0, nil, n, at(d.bias, c0), res, 0, d.clamp)
				ow++
				continue
			}
			d.kernel(at(y, to), 4*c, at(x, pixel*c+c0), 4*d.Window.StrideW*c, count, at(list, 0), rows*cols,
				at(d.Weights, c0), n, at(d.bias, c0), res, 4*c, d.clamp)
			ow += count
		}
	}
}

// depthwisePortableF32 is the definition of depthwiseFunc, but for fused operations.
func depthwisePortableF32(dst *float32, ldd int, a *float32, step, pixels int, taps *asm.Tap, count int, w *float32, n int, bias, res *float32, ldr int, p *asm.ClampF32) {
	for i := range pixels {
		y := row(dst, i*ldd/4, n)
		copy(y, row(bias, 0, n))
		for _, t := range row(taps, 0, count) {
			x, f := row(a, (i*step+t.A)/4, n), row(w, t.W/4, n)
			x, f = x[:len(y)], f[:len(y)]
			for j := range y {
				y[j] += x[j] * f[j]
			}
		}
		if res != nil {
			clampAdd(y, row(res, i*ldr/4, n), p.InnerLo, p.InnerHi, p.Lo, p.Hi)
		} else {
			clampRow(y, p.Lo, p.Hi)
		}
	}
}
