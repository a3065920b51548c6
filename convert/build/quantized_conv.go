package build

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Conv is a convolution with w in the order O,I/groups,KH,KW, clamped to lo..hi. Padding is with the grid's zero.
func (q *Quantized) Conv(name string, x int, w Weights, oihw [4]int, win Win, groups int, lo, hi float64, out Grid) int {
	b := q.b
	s, ok := b.use(name, x)
	if !ok || !b.convWeights(name, w.W, oihw, nil) {
		return -1
	}
	o, i, kh, kw := oihw[0], oihw[1], oihw[2], oihw[3]
	if groups < 1 || s.C%groups != 0 || o%groups != 0 || s.C/groups != i {
		return b.fail(name, "weights %v (O,I,KH,KW) with %d groups do not fit an input of %v", oihw, groups, s)
	}
	a := format.NewAttr()
	a.Groups = groups
	a.Stride, a.Dilation, a.Pad = orOnes(win.Stride), orOnes(win.Dilation), win.Pad
	oh, ow := b.window(name, s, [2]int{kh, kw}, &a, false)
	res, ok := q.channels(name, w, o, float64(q.Grid(x).Scale), float64(out.Scale))
	if !ok {
		return -1
	}
	kind := format.OpConv2D
	var wt int
	if groups > 1 && groups == s.C && o == s.C {
		kind = format.OpDepthwiseConv2D
		wt = q.ordered(name+".weight", &res, [4]int{1, kh, kw, o}, func(_, y, x, c int) int { return (c*kh+y)*kw + x })
	} else {
		wt = q.ordered(name+".weight", &res, [4]int{o, kh, kw, i}, func(o, y, x, c int) int { return ((o*i+c)*kh+y)*kw + x })
	}
	out.clamp(&a, lo, hi)
	return q.linear(kind, name, x, wt, &res, Shape{oh, ow, o}, a, out)
}

// linear adds an operator with weights, biases and multipliers.
func (q *Quantized) linear(kind format.OpKind, name string, x, wt int, res *intWeights, s Shape, a format.Attr, out Grid) int {
	bias := q.int32s(name+".bias", res.bias)
	mult := q.float32s(name+".mult", res.mult)
	if q.b.err != nil {
		return -1
	}
	return q.set(q.b.emit(kind, name, []int{x, wt, bias, mult}, s, a), out)
}

// Linear is a fully connected layer over the whole of x, w in the order (outputs, C*H*W) that a flattened C,H,W has.
func (q *Quantized) Linear(name string, x int, w Weights, outputs int, lo, hi float64, out Grid) int {
	s, ok := q.b.use(name, x)
	if !ok {
		return -1
	}
	n := s.H * s.W * s.C
	if !q.b.convWeights(name, w.W, [4]int{outputs, n, 1, 1}, nil) {
		return -1
	}
	res, ok := q.channels(name, w, outputs, float64(q.Grid(x).Scale), float64(out.Scale))
	if !ok {
		return -1
	}
	plane := s.H * s.W
	wt := q.ordered(name+".weight", &res, [4]int{outputs, 1, 1, n}, func(o, _, _, i int) int {
		return o*n + i%s.C*plane + i/s.C // NHWC element i is channel i%C of position i/C
	})
	a := format.NewAttr()
	out.clamp(&a, lo, hi)
	return q.linear(format.OpFullyConnected, name, x, wt, &res, Shape{1, 1, outputs}, a, out)
}

// CAMHead is a linear classifier of x's channels, w (K,C), as a class activation head, whose accumulators are the result:
// class maps and logits are not rounded.
func (q *Quantized) CAMHead(name string, x int, w Weights, classes int) (logits, maps int) {
	b := q.b
	s, ok := b.use(name, x)
	if !ok || !b.convWeights(name, w.W, [4]int{classes, s.C, 1, 1}, nil) {
		return -1, -1
	}
	in := float64(q.Grid(x).Scale)
	res, ok := q.channels(name, w, classes, in, 0)
	if !ok {
		return -1, -1
	}
	scale := make([]float32, classes)
	for k, v := range res.scale {
		scale[k] = float32(in * float64(v))
	}
	wt := q.ordered(name+".weight", &res, [4]int{classes, 1, 1, s.C}, func(o, _, _, i int) int { return o*s.C + i })
	bias := q.int32s(name+".bias", res.bias)
	logits = b.tensor(format.Tensor{Name: name + ".logits", DType: format.I64, Shape: []int{1, 1, 1, classes}, Scale: scale})
	maps = b.tensor(format.Tensor{Name: name + ".maps", DType: format.I32, Shape: []int{1, s.H, s.W, classes}, Scale: scale})
	b.append(format.OpCAMHead, name, []int{x, wt, bias}, []int{logits, maps}, format.NewAttr())
	if b.err != nil {
		return -1, -1
	}
	return logits, maps
}

// QuantizedRFGA are the parameters of residual fine-grained attention, in the order channel view, rows, columns. Views is the
// grid of each mean, Before that of each Conv1d's result, which the sigmoid reads.
type QuantizedRFGA struct {
	Conv          [3]Weights // (C,1,1,3), (C,C,3), (C,C,3) as O,I,K; batch normalisation is in Scale and Bias
	Views, Before [3]Grid
	A, B          float32
}

// RFGA is out = x*(a + b*M), M being the sum of the three sigmoids.
func (q *Quantized) RFGA(name string, x int, r QuantizedRFGA, out Grid) int {
	b := q.b
	s, ok := b.use(name, x)
	if !ok {
		return -1
	}
	c, sx := s.C, float64(q.Grid(x).Scale)
	if s.H > accMax/255/s.W {
		return b.fail(name, "a sum over %dx%d positions does not fit into 32 bits", s.H, s.W)
	}
	qa, qb := math.Abs(math.RoundToEven(q14One*float64(r.A))), math.Abs(math.RoundToEven(q14One*float64(r.B)))
	if !(qb*3*q14One+q14One/2 <= accMax) || !(255*(qa+3*qb+1) <= accMax) {
		return b.fail(name, "attributes a = %g and b = %g are too large for 32-bit sums", r.A, r.B)
	}
	ohwi := [3][4]int{{c, 1, 1, 3}, {c, 3, 1, c}, {c, 1, 3, c}}
	views := [3]string{"c", "h", "w"}
	in, mults := []int{x}, [3]int{}
	for i, w := range r.Conv {
		part := name + ".conv_" + views[i]
		if want := ohwi[i][0] * ohwi[i][1] * ohwi[i][2] * ohwi[i][3]; len(w.W) != want {
			return b.fail(part, "%d weights; %d channels need %d", len(w.W), c, want)
		}
		res, ok := q.channels(part, w, c, float64(r.Views[i].Scale), float64(r.Before[i].Scale))
		if !ok {
			return -1
		}
		at := func(o, y, x, k int) int { return (o*c+k)*3 + y + x }
		if i == 0 {
			at = func(o, _, _, k int) int { return o*3 + k }
		}
		in = append(in, q.ordered(part+".weight", &res, ohwi[i], at), q.int32s(part+".bias", res.bias))
		mults[i] = q.float32s(part+".mult", res.mult)
	}
	in = append(in, mults[:]...)
	in = append(in, b.tensor(format.Tensor{Name: name + ".table", DType: format.I16, Shape: []int{3, 256}, Data: sigmoidTables(r.Before)}))
	var inner []int
	for k, grids := range [2][3]Grid{r.Views, r.Before} {
		for i, g := range grids {
			shape := [3]Shape{{1, 1, c}, {s.H, 1, c}, {1, s.W, c}}[i]
			inner = append(inner, q.set(b.activation(name+[2]string{".view_", ".pre_"}[k]+views[i], shape), g))
		}
	}
	a := format.NewAttr()
	a.A, a.B = r.A, r.B
	a.Mults = []float32{
		q.ratio(sx, float64(s.H*s.W)*float64(r.Views[0].Scale)),
		q.ratio(sx, float64(s.W)*float64(r.Views[1].Scale)),
		q.ratio(sx, float64(s.H)*float64(r.Views[2].Scale)),
		q.ratio(sx, q14One*float64(out.Scale)),
	}
	y := q.set(b.emit(format.OpRFGA, name, in, s, a), out)
	if y >= 0 {
		q.last().Inner = inner
	}
	return y
}

// q14One is 1.0 in the fixed point of attention values.
const q14One = 1 << 14

// sigmoidTables holds, for each view, the sigmoid of every int8 value before it, in Q14.
func sigmoidTables(before [3]Grid) []byte {
	var out []byte
	for _, g := range before {
		for q := -128; q <= 127; q++ {
			v := int16(math.RoundToEven(q14One / (1 + math.Exp(-g.Real(q)))))
			out = append(out, byte(v), byte(v>>8))
		}
	}
	return out
}
