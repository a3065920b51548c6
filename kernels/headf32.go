package kernels

import "math"

var negInf, posInf = float32(math.Inf(-1)), float32(math.Inf(1))

// PrepareHeadF32 returns the float class activation head: logits from the mean of x, and the maps, a 1x1 convolution, if
// they are asked for. The means are summed in float64 from the first position to the last, logits in float64.
func PrepareHeadF32(c *HeadF32) (*Prepared, error) {
	if err := checkHead(c.In, c.Classes, len(c.Weights), len(c.Bias)); err != nil {
		return nil, err
	}
	h, sums, dot := *c, chooseRow(summersF32, features), chooseRow(dots, features)
	p := dot.prepared(
		Stage{Name: "means", Units: ceilDiv(c.In.C, channelUnit), Scratch: 8 * channelUnit, Run: func(io *IO, lo, hi int, tmp []byte) {
			h.runMeans(sums.Fn, io, lo, hi, tmp)
		}},
		Stage{Name: "logits", Units: ceilDiv(c.Classes, headClasses), Run: func(io *IO, lo, hi int, _ []byte) {
			h.runLogits(dot.Fn, io, lo, hi)
		}},
	)
	p.Inner = []int{4 * c.In.C}
	p.MACs = int64(c.Classes) * int64(c.In.C)
	if !c.Maps {
		return p, nil
	}
	maps, err := PrepareConvF32(&ConvF32{
		In: c.In, Out: Shape{c.In.H, c.In.W, c.Classes}, Window: window1D(1, 1), Groups: 1,
		Weights: c.Weights, Bias: c.Bias, ClampLo: negInf, ClampHi: posInf,
	})
	if err != nil {
		return nil, err
	}
	p.embed("maps", maps, func(sub, io *IO) { sub.In, sub.Out = io.In, io.Out[1:2] })
	p.MACs += maps.MACs
	p.Packed, p.Kernel, p.Why = maps.Packed, maps.Kernel, maps.Why
	return p, nil
}

func (c *HeadF32) weights(k int) []float32 { return c.Weights[k*padded4(c.In.C):][:c.In.C] }

func (c *HeadF32) bias(k int) float64 {
	if len(c.Bias) == 0 {
		return 0
	}
	return float64(c.Bias[k])
}

func (c *HeadF32) runMeans(f sumsF32Func, io *IO, lo, hi int, tmp []byte) {
	x, n, pixels := view[float32](io.In[0]), c.In.C, c.In.H*c.In.W
	sums := view[float64](tmp)[:channelUnit]
	for u := lo; u < hi; u++ {
		c0, c1 := u*channelUnit, min((u+1)*channelUnit, n)
		f(&sums[0], at(x, c0), 4*n, pixels, ceilDiv(c1-c0, 16)*16)
		storeMeans(view[float32](io.Inner[0])[c0:c1], sums[:c1-c0], pixels)
	}
}

func (c *HeadF32) runLogits(f dotFunc, io *IO, lo, hi int) {
	means, y := view[float32](io.Inner[0])[:c.In.C], view[float32](io.Out[0])
	for k := lo * headClasses; k < min(hi*headClasses, c.Classes); k++ {
		y[k] = c.dot(f, k, means)
	}
}

// dot returns class k's weights times x plus its bias.
func (c *HeadF32) dot(f dotFunc, k int, x []float32) float32 {
	return float32(c.bias(k) + dotRow(f, x, c.weights(k)))
}

// ClassMapF32 writes the map of one class, 0..Classes-1, to dst (H*W). c is a description that PrepareHeadF32 accepted, and x
// the head's input. Maps differ in their last bits: they are summed in another order.
func ClassMapF32(c *HeadF32, x []byte, class int, dst []float32) {
	n, values, f := c.In.C, view[float32](x), chooseRow(dots, features).Fn
	for p := range dst[:c.In.H*c.In.W] {
		dst[p] = c.dot(f, class, values[p*n:][:n])
	}
}
