package build

import (
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// PoolWin is the geometry of a pooling; pairs are (rows, columns), Pad is top, left, bottom, right. A zero stride pair
// means the kernel's size, a zero dilation pair 1,1. With CeilMode the last window may hang over the far edge.
type PoolWin struct {
	Kernel, Stride, Dilation [2]int
	Pad                      [4]int
	CeilMode                 bool
}

// Add is a + c with broadcasting: c has a's shape, or 1 in place of any dimension, or the two change places.
func (b *Builder) Add(name string, a, c int, act Act) int {
	return b.binary(format.OpAdd, name, a, c, act)
}

// Mul is a * c with broadcasting as in Add.
func (b *Builder) Mul(name string, a, c int, act Act) int {
	return b.binary(format.OpMul, name, a, c, act)
}

func (b *Builder) binary(kind format.OpKind, name string, x, y int, act Act) int {
	sx, ok := b.use(name, x)
	if !ok {
		return -1
	}
	sy, ok := b.use(name, y)
	if !ok {
		return -1
	}
	out := sx
	switch {
	case broadcasts(sy, sx):
	case broadcasts(sx, sy):
		out = sy
	default:
		return b.fail(name, "inputs of %v and %v: one must have the other's shape, or 1 in place of any dimension", sx, sy)
	}
	a := format.NewAttr()
	b.clamp(name, &a, act)
	return b.emit(kind, name, []int{x, y}, out, a)
}

// broadcasts says whether s can be repeated to t.
func broadcasts(s, t Shape) bool {
	return (s.H == t.H || s.H == 1) && (s.W == t.W || s.W == 1) && (s.C == t.C || s.C == 1)
}

// Unary applies f to every element.
func (b *Builder) Unary(name string, x int, f format.Func) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if f < format.FuncReLU || f > format.FuncHardSwish {
		return b.fail(name, "unknown function %d", f)
	}
	a := format.NewAttr()
	a.Func = f
	return b.emit(format.OpUnary, name, []int{x}, s, a)
}

// MaxPool is the maximum of every window; padding never wins.
func (b *Builder) MaxPool(name string, x int, win PoolWin) int {
	return b.pool(format.OpMaxPool, name, x, win, false)
}

// AvgPool is the mean of every window, over all of it or over the part inside the image.
func (b *Builder) AvgPool(name string, x int, win PoolWin, countIncludePad bool) int {
	if b.err == nil && orOnes(win.Dilation) != [2]int{1, 1} {
		return b.fail(name, "average pooling with dilation %v; only maximum pooling may be dilated", win.Dilation)
	}
	return b.pool(format.OpAvgPool, name, x, win, countIncludePad)
}

func (b *Builder) pool(kind format.OpKind, name string, x int, win PoolWin, countIncludePad bool) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	a := format.NewAttr()
	a.Kernel, a.Stride, a.Dilation, a.Pad = win.Kernel, win.Stride, orOnes(win.Dilation), win.Pad
	if a.Stride == [2]int{} {
		a.Stride = a.Kernel
	}
	a.CountIncludePad = countIncludePad
	oh, ow := b.window(name, s, a.Kernel, &a, win.CeilMode)
	if b.err != nil {
		return -1
	}
	for d := range 2 { // a window of nothing but padding has no maximum and no mean
		if reach := a.Dilation[d]*(a.Kernel[d]-1) + 1; a.Pad[d] >= reach || a.Pad[d+2] >= reach {
			return b.fail(name, "padding %v must be smaller than the kernel %v", a.Pad, a.Kernel)
		}
	}
	return b.emit(kind, name, []int{x}, Shape{oh, ow, s.C}, a)
}

// GlobalAvgPool is the mean over height and width.
func (b *Builder) GlobalAvgPool(name string, x int) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	return b.emit(format.OpGlobalAvgPool, name, []int{x}, Shape{1, 1, s.C}, format.NewAttr())
}

// Concat joins its inputs along an axis of N,H,W,C: 1 is height, 2 width, 3 channels.
func (b *Builder) Concat(name string, axis int, xs ...int) int {
	if b.err != nil {
		return -1
	}
	if axis < 1 || axis > 3 || len(xs) == 0 || len(xs) > format.MaxInputs {
		return b.fail(name, "concatenation of %d inputs along axis %d: there must be 1..%d inputs and an axis of 1 (H), 2 (W) or 3 (C)", len(xs), axis, format.MaxInputs)
	}
	var sum [3]int
	for i, x := range xs {
		s, ok := b.use(name, x)
		if !ok {
			return -1
		}
		d := [3]int{s.H, s.W, s.C}
		if i == 0 {
			sum = d
			continue
		}
		for k := range 3 {
			switch {
			case k == axis-1:
				sum[k] += d[k]
			case d[k] != sum[k]:
				return b.fail(name, "input %d is %v, which differs from input 0, %v, in more than axis %d", i, s, b.Shape(xs[0]), axis)
			}
		}
	}
	a := format.NewAttr()
	a.Axis = axis
	return b.emit(format.OpConcat, name, append([]int(nil), xs...), Shape{sum[0], sum[1], sum[2]}, a)
}

// Pad puts a border of value around x; pad is top, left, bottom, right.
func (b *Builder) Pad(name string, x int, pad [4]int, value float32) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	for _, p := range pad {
		if p < 0 || p > format.MaxStride {
			return b.fail(name, "padding %v (top, left, bottom, right) must be within 0..%d", pad, format.MaxStride)
		}
	}
	if !finite(value) {
		return b.fail(name, "padding with %v; the value must be finite", value)
	}
	a := format.NewAttr()
	a.Pad, a.PadValue = pad, value
	return b.emit(format.OpPad, name, []int{x}, Shape{s.H + pad[0] + pad[2], s.W + pad[1] + pad[3], s.C}, a)
}

// Softmax is along the channels.
func (b *Builder) Softmax(name string, x int) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	return b.emit(format.OpSoftmax, name, []int{x}, s, format.NewAttr())
}

// Resize interpolates x to height x width.
func (b *Builder) Resize(name string, x, height, width int, mode format.Mode, alignCorners bool) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if height < 1 || width < 1 || height > format.MaxImageSide || width > format.MaxImageSide {
		return b.fail(name, "resize to %dx%d, sides must be within 1..%d", height, width, format.MaxImageSide)
	}
	if mode != format.ModeNearest && mode != format.ModeBilinear || mode == format.ModeNearest && alignCorners {
		return b.fail(name, "resize mode %d with align corners %v; nearest and bilinear are known, the latter with either", mode, alignCorners)
	}
	a := format.NewAttr()
	a.Mode, a.AlignCorners = mode, alignCorners
	return b.emit(format.OpResize, name, []int{x}, Shape{height, width, s.C}, a)
}

// RFGAWeights are the parameters of residual fine-grained attention on C channels: three Conv1d without bias, each with a
// batch normalisation of C channels behind it, in the order channel view, rows (H), columns (W).
type RFGAWeights struct {
	ConvC        []float32 // (1,1,3)
	ConvH, ConvW []float32 // (C,C,3) as O,I,K
	BN           [3]BN
}

// RFGA is out = x*(a + c*M), M being the sum of the three sigmoids.
func (b *Builder) RFGA(name string, x int, w RFGAWeights, a, c float32) int {
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	if len(w.ConvC) != 3 {
		return b.fail(name, "conv_c has %d weights, not 3", len(w.ConvC))
	}
	n := 3 * s.C * s.C
	if len(w.ConvH) != n || len(w.ConvW) != n {
		return b.fail(name, "conv_h has %d weights and conv_w %d; %d channels need %d each (C,C,3)", len(w.ConvH), len(w.ConvW), s.C, n)
	}
	if !finite(a) || !finite(c) {
		return b.fail(name, "a = %v and b = %v must be finite", a, c)
	}
	var scale, shift [3][]float64
	for v := range 3 {
		bn := &w.BN[v]
		if !bn.fits(s.C) {
			return b.fail(name, "bn%d has %d means and %d variances for %d channels", v+1, len(bn.Mean), len(bn.Var), s.C)
		}
		scale[v], shift[v] = make([]float64, s.C), make([]float64, s.C)
		for o := range s.C {
			scale[v][o], shift[v][o] = bn.affine(o)
		}
	}
	bias := func(v int, name string) int {
		f := make([]float32, s.C)
		for o := range f {
			f[o] = float32(shift[v][o])
		}
		return b.vector(name, f)
	}
	fold := func(v, o int, w float32) float32 { return float32(float64(w) * scale[v][o]) }
	in := []int{x,
		b.weights(name+".conv_c.weight", [4]int{s.C, 1, 1, 3}, func(o, _, _, k int) float32 { return fold(0, o, w.ConvC[k]) }),
		bias(0, name+".conv_c.bias"),
		b.weights(name+".conv_h.weight", [4]int{s.C, 3, 1, s.C}, func(o, k, _, i int) float32 { return fold(1, o, w.ConvH[(o*s.C+i)*3+k]) }),
		bias(1, name+".conv_h.bias"),
		b.weights(name+".conv_w.weight", [4]int{s.C, 1, 3, s.C}, func(o, _, k, i int) float32 { return fold(2, o, w.ConvW[(o*s.C+i)*3+k]) }),
		bias(2, name+".conv_w.bias"),
	}
	at := format.NewAttr()
	at.A, at.B = a, c
	return b.emit(format.OpRFGA, name, in, s, at)
}

// CAMHead is a linear classifier of x's channels, w (K,C), as a class activation head: maps is its 1x1 convolution, logits
// the mean of the maps. It does not name outputs.
func (b *Builder) CAMHead(name string, x int, w []float32, bias []float32) (logits, maps int) {
	s, ok := b.use(name, x)
	if !ok {
		return -1, -1
	}
	k := len(w) / s.C
	if !b.convWeights(name, w, [4]int{k, s.C, 1, 1}, bias) {
		return -1, -1
	}
	wt := b.weights(name+".weight", [4]int{k, 1, 1, s.C}, func(o, _, _, i int) float32 { return w[o*s.C+i] })
	bt := b.vector(name+".bias", bias)
	logits, maps = b.activation(name+".logits", Shape{1, 1, k}), b.activation(name+".maps", Shape{s.H, s.W, k})
	b.append(format.OpCAMHead, name, []int{x, wt, bt}, []int{logits, maps}, format.NewAttr())
	if b.err != nil {
		return -1, -1
	}
	return logits, maps
}

// Localizer is CAMHead with its results as the outputs "logits" and "maps".
func (b *Builder) Localizer(name string, x int, w []float32, bias []float32) {
	logits, maps := b.CAMHead(name, x, w, bias)
	b.Output("logits", logits, true)
	b.Output("maps", maps, false)
}
