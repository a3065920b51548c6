package build

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Win is the geometry of a convolution; pairs are (rows, columns), Pad is top, left, bottom, right. A zero stride or
// dilation pair means 1,1.
type Win struct {
	Stride, Dilation [2]int
	Pad              [4]int
}

// BN is a batch normalisation in inference: (x-Mean)/sqrt(Var+Eps)*Gamma + Beta. Nil Gamma is ones, nil Beta zeros.
type BN struct {
	Gamma, Beta, Mean, Var []float32
	Eps                    float32
}

// affine is BN as scale*x + shift in channel o.
func (n *BN) affine(o int) (scale, shift float64) {
	scale = 1 / math.Sqrt(float64(n.Var[o])+float64(n.Eps))
	if n.Gamma != nil {
		scale *= float64(n.Gamma[o])
	}
	shift = -float64(n.Mean[o]) * scale
	if n.Beta != nil {
		shift += float64(n.Beta[o])
	}
	return scale, shift
}

// fits says whether every vector has c channels.
func (n *BN) fits(c int) bool {
	return len(n.Mean) == c && len(n.Var) == c && (n.Gamma == nil || len(n.Gamma) == c) && (n.Beta == nil || len(n.Beta) == c)
}

// FoldConv returns the weights and the bias of a convolution (w O,I,KH,KW; bias may be nil) with bn behind it folded in,
// computed in float64. It returns nil, nil if the lengths do not match, which Conv then reports; ConvBN names the length.
func FoldConv(w []float32, oihw [4]int, bias []float32, bn BN) ([]float32, []float32) {
	o := oihw[0]
	n, ok := product(oihw[:])
	if !ok || len(w) != n || !bn.fits(o) || bias != nil && len(bias) != o {
		return nil, nil
	}
	fw, fb, run := make([]float32, n), make([]float32, o), n/o
	for c := range o {
		scale, shift := bn.affine(c)
		for i := c * run; i < (c+1)*run; i++ {
			fw[i] = float32(float64(w[i]) * scale)
		}
		if bias != nil {
			shift += float64(bias[c]) * scale
		}
		fb[c] = float32(shift)
	}
	return fw, fb
}

// ConvBN is Conv with a batch normalisation between it and its activation.
func (b *Builder) ConvBN(name string, x int, w []float32, oihw [4]int, bias []float32, bn BN, win Win, groups int, act Act) int {
	if b.err != nil {
		return -1
	}
	if !bn.fits(oihw[0]) {
		return b.fail(name, "batch normalisation has %d means and %d variances (weight %d, bias %d) for %d channels",
			len(bn.Mean), len(bn.Var), len(bn.Gamma), len(bn.Beta), oihw[0])
	}
	if !b.convWeights(name, w, oihw, bias) {
		return -1
	}
	w, bias = FoldConv(w, oihw, bias, bn)
	return b.Conv(name, x, w, oihw, bias, win, groups, act)
}

// Conv is a convolution with w in the order O,I/groups,KH,KW; bias may be nil. With one filter per channel it becomes a
// depthwise convolution. Padding is with zeros.
func (b *Builder) Conv(name string, x int, w []float32, oihw [4]int, bias []float32, win Win, groups int, act Act) int {
	s, ok := b.use(name, x)
	if !ok || !b.convWeights(name, w, oihw, bias) {
		return -1
	}
	o, i, kh, kw := oihw[0], oihw[1], oihw[2], oihw[3]
	if groups < 1 || s.C%groups != 0 || o%groups != 0 || s.C/groups != i {
		return b.fail(name, "weights %v (O,I,KH,KW) with %d groups do not fit an input of %v: I must be channels/groups, and groups must divide O", oihw, groups, s)
	}
	a := format.NewAttr()
	a.Groups = groups
	a.Stride, a.Dilation, a.Pad = orOnes(win.Stride), orOnes(win.Dilation), win.Pad
	b.clamp(name, &a, act)
	oh, ow := b.window(name, s, [2]int{kh, kw}, &a, false)
	if b.err != nil {
		return -1
	}
	kind := format.OpConv2D
	var wt int
	if groups > 1 && groups == s.C && o == s.C {
		kind = format.OpDepthwiseConv2D
		wt = b.weights(name+".weight", [4]int{1, kh, kw, o}, func(_, y, x, c int) float32 { return w[(c*kh+y)*kw+x] })
	} else {
		wt = b.weights(name+".weight", [4]int{o, kh, kw, i}, func(o, y, x, c int) float32 { return w[((o*i+c)*kh+y)*kw+x] })
	}
	return b.emit(kind, name, []int{x, wt, b.vector(name+".bias", bias)}, Shape{oh, ow, o}, a)
}

// Linear is a fully connected layer over the whole of x, w in the order (out, C*H*W) that a flattened C,H,W has.
func (b *Builder) Linear(name string, x int, w []float32, out int, bias []float32, act Act) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	n := s.H * s.W * s.C
	if !b.convWeights(name, w, [4]int{out, n, 1, 1}, bias) {
		return -1
	}
	a := format.NewAttr()
	b.clamp(name, &a, act)
	plane := s.H * s.W
	wt := b.weights(name+".weight", [4]int{out, 1, 1, n}, func(o, _, _, i int) float32 {
		return w[o*n+i%s.C*plane+i/s.C] // NHWC element i is channel i%C of position i/C
	})
	return b.emit(format.OpFullyConnected, name, []int{x, wt, b.vector(name+".bias", bias)}, Shape{1, 1, out}, a)
}

// convWeights checks the lengths of weights and bias against oihw.
func (b *Builder) convWeights(name string, w []float32, oihw [4]int, bias []float32) bool {
	if b.err != nil {
		return false
	}
	n, ok := product(oihw[:])
	switch {
	case !ok:
		b.fail(name, "weights of shape %v (O,I,KH,KW): dimensions must be positive and their product at most %d", oihw, format.MaxElements)
	case oihw[2] > format.MaxKernel || oihw[3] > format.MaxKernel:
		b.fail(name, "a kernel of %dx%d is larger than the limit, %d", oihw[2], oihw[3], format.MaxKernel)
	case len(w) != n:
		b.fail(name, "%d weights for shape %v (O,I,KH,KW), which has %d", len(w), oihw, n)
	case bias != nil && len(bias) != oihw[0]:
		b.fail(name, "%d biases for %d output channels", len(bias), oihw[0])
	}
	return b.err == nil
}

// weights makes a weight constant in canonical order, each run of the last dimension padded with zeros to 4.
func (b *Builder) weights(name string, ohwi [4]int, at func(o, y, x, i int) float32) int {
	o, kh, kw, run := ohwi[0], ohwi[1], ohwi[2], ohwi[3]
	padded := format.PadChannels(run)
	return b.constant(name, ohwi[:], o*kh*kw*padded, func(dst []byte) {
		k := 0
		for o := range o {
			for y := range kh {
				for x := range kw {
					for i := range run {
						putF32(dst, k+i, at(o, y, x, i))
					}
					k += padded
				}
			}
		}
	})
}

// window checks a window against the limits and returns its output size. With ceil, windows may hang over the far edge
// of the padded image as long as they start inside the image or its near padding (PyTorch's rule).
func (b *Builder) window(name string, s Shape, kernel [2]int, a *format.Attr, ceil bool) (oh, ow int) {
	size := [2]int{s.H, s.W}
	var out [2]int
	for d := range 2 {
		k, stride, dil, near, far := kernel[d], a.Stride[d], a.Dilation[d], a.Pad[d], a.Pad[d+2]
		if max(k, stride, dil, near, far) > format.MaxStride {
			b.fail(name, "kernel %v, stride %v, dilation %v or padding %v is above the limit, %d", kernel, a.Stride, a.Dilation, a.Pad, format.MaxStride)
			return 0, 0
		}
		n, err := format.WindowOut(size[d], k, stride, dil, near, far, ceil)
		if err != nil {
			b.fail(name, "%v (input %v, kernel %v, padding %v as top, left, bottom, right)", err, s, kernel, a.Pad)
			return 0, 0
		}
		out[d] = n
	}
	return out[0], out[1]
}

func orOnes(p [2]int) [2]int {
	if p == [2]int{} {
		return [2]int{1, 1}
	}
	return p
}

// product multiplies dimensions, and says whether all are positive and the product is within the format's limit.
func product(dims []int) (int, bool) {
	n := 1
	for _, d := range dims {
		if d < 1 || d > format.MaxDim || n > format.MaxElements/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}
