package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// check returns why a node that patterns have left cannot be written; nil if it can. It counts the weights that it needs
// against the budget.
func (n *node) check(b *budget) error {
	switch d := n.do.(type) {
	case expand:
		return b.take(n.shape[0]+n.shape[1]+n.shape[2], 24)
	case add, mul:
		if n.in[0].shape != n.shape && n.in[1].shape != n.shape {
			return b.take(n.shape[0]+n.shape[1]+n.shape[2], 24)
		}
	case mean:
		if !isGlobalMean(n) {
			return d.window(n.in[0].shape).check(n)
		}
	case avgPool:
		return checkWindow(n, d.win.Kernel, d.win.Stride, [2]int{1, 1}, d.win.Pad, true)
	case maxPool:
		return checkWindow(n, d.win.Kernel, d.win.Stride, d.win.Dilation, d.win.Pad, true)
	case *conv:
		if err := checkWindow(n, [2]int{d.oihw[2], d.oihw[3]}, d.win.Stride, d.win.Dilation, d.win.Pad, false); err != nil {
			return err
		}
		row := d.oihw[1]
		if d.groups == d.oihw[0] && row == 1 {
			return b.take(d.oihw[0]*d.oihw[2]*d.oihw[3], 4) // depthwise: no padding to speak of
		}
		return b.take(d.oihw[0]*d.oihw[2]*d.oihw[3]*((row+3)&^3), 4)
	case *linear:
		return b.take(d.out*d.in, 4)
	case *camHead:
		return b.take(d.classes*n.in[0].shape[axisC], 4)
	case *attention, quantAttention:
		return b.take(6*n.shape[axisC]*n.shape[axisC], 4)
	case resize:
		if n.shape[axisH] > format.MaxImageSide || n.shape[axisW] > format.MaxImageSide {
			return fmt.Errorf("a resize to %dx%d, the limit is %d", n.shape[axisH], n.shape[axisW], format.MaxImageSide)
		}
	case pad:
		if v := float64(d.value); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("padding with %v", v)
		}
	}
	return nil
}

func checkWindow(n *node, kernel, stride, dilation [2]int, pad [4]int, pooling bool) error {
	for d := range 2 {
		if kernel[d] > format.MaxKernel || stride[d] > format.MaxStride || dilation[d] > format.MaxStride || pad[d] > format.MaxStride || pad[d+2] > format.MaxStride {
			return fmt.Errorf("kernel %v, stride %v, dilation %v or padding %v is larger than %d", kernel, stride, dilation, pad, format.MaxKernel)
		}
		if reach := max(dilation[d], 1)*(kernel[d]-1) + 1; pooling && (pad[d] >= reach || pad[d+2] >= reach) {
			return fmt.Errorf("padding %v must be smaller than the window %v", pad, kernel)
		}
	}
	return nil
}

// window is a mean over one axis as an average pooling.
func (m mean) window(in [3]int) avgPool {
	w := build.PoolWin{Kernel: [2]int{1, 1}, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}}
	for d := range 2 {
		if m.over[d] {
			w.Kernel[d] = in[d]
		}
	}
	return avgPool{win: w}
}

func (p avgPool) check(n *node) error {
	return checkWindow(n, p.win.Kernel, p.win.Stride, [2]int{1, 1}, p.win.Pad, true)
}

// emitter writes a net with the builder.
type emitter struct {
	b      *build.Builder
	at     map[*node]int // tensor of a node's result
	logits map[*node]int // of a camHead, whose own tensor is the maps
	clamps map[int]clip  // bounds, other than those of ReLU, of the operator that makes a tensor
	names  map[string]bool
}

// emit writes the net. The model is complete but for what Import knows.
func (g *net) emit(name string, o Options) (*format.Model, error) {
	in := g.nodes[slices.IndexFunc(g.nodes, func(n *node) bool { _, ok := n.do.(input); return ok })]
	e := &emitter{b: build.New(name, "onnx", in.shape[axisW], in.shape[axisH], o.Mean, o.Std),
		at: map[*node]int{}, logits: map[*node]int{}, clamps: map[int]clip{}, names: map[string]bool{}}
	for _, n := range g.nodes {
		y, err := e.node(n)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", n.op, n.name, err)
		}
		if err := e.b.Err(); err != nil {
			return nil, err
		}
		if _, held := n.do.(constant); held {
			continue
		}
		if s := e.b.Shape(y); [3]int{s.H, s.W, s.C} != n.shape {
			return nil, fmt.Errorf("%s %q: the result is %v, the importer inferred %dx%dx%d; this is a bug in the importer", n.op, n.name, s, n.shape[0], n.shape[1], n.shape[2])
		}
		e.at[n] = y
	}
	for _, o := range g.outputs {
		e.b.Output(outputName(o.name), e.at[o.n], o.flat)
	}
	m, err := e.b.Finish()
	if err != nil {
		return nil, err
	}
	for i := range m.Ops {
		if c, ok := e.clamps[m.Ops[i].Outputs[0]]; ok {
			m.Ops[i].Attr.ClampLo, m.Ops[i].Attr.ClampHi = float32(c.lo), float32(c.hi)
		}
	}
	return m, nil
}

// outputName is a graph output's name as a model may have it: results are written to files of that name.
func outputName(s string) string {
	s = strings.TrimLeft(strings.NewReplacer("/", "_", "\\", "_").Replace(s), ".")
	if s == "" {
		return "output"
	}
	return s
}

// unique makes an operator's name that no other has.
func (e *emitter) unique(name string) string {
	s := name
	for i := 2; e.names[s]; i++ {
		s = fmt.Sprintf("%s#%d", name, i)
	}
	e.names[s] = true
	return s
}

// clamped notes the bounds of the operator that made y.
func (e *emitter) clamped(y int, c clip) int {
	if !c.none() {
		e.clamps[y] = c
	}
	return y
}

func (e *emitter) node(n *node) (int, error) {
	b, name := e.b, e.unique(n.name)
	x := -1
	if len(n.in) > 0 {
		x = e.at[n.in[0]]
	}
	switch d := n.do.(type) {
	case input:
		return b.Input(), nil
	case *conv:
		w, bias, err := d.folded()
		if err != nil {
			return -1, err
		}
		return e.clamped(b.Conv(name, x, w, d.oihw, bias, d.win, d.groups, build.ActNone), d.clip), nil
	case *linear:
		w, bias, err := weighted(d.weights, d.post, d.out)
		if err != nil {
			return -1, err
		}
		return e.clamped(b.Linear(name, x, w, d.out, bias, build.ActNone), d.clip), nil
	case *camHead:
		w, bias, err := weighted(d.weights, d.post, d.classes)
		if err != nil {
			return -1, err
		}
		logits, maps := b.CAMHead(name, x, w, bias)
		e.logits[n] = logits
		return maps, nil
	case camLogits:
		return e.logits[n.in[0]], nil
	case *attention:
		w, err := d.rfgaWeights(n.shape[axisC])
		if err != nil {
			return -1, err
		}
		return b.RFGA(name, x, w, float32(d.a), float32(d.b)), nil
	case unary:
		return b.UnaryWith(name, x, d.f, float32(d.a), float32(d.b)), nil
	case prelu:
		return b.PReLU(name, x, float32sOf(d.slope)), nil
	case constant:
		return -1, nil // whoever reads it has it
	case add:
		return e.clamped(e.binary(n, name, b.Add, b.AddConst), d.clip), nil
	case mul:
		return e.clamped(e.binary(n, name, b.Mul, b.MulConst), d.clip), nil
	case expand:
		return e.expanded(name, x, n.shape), nil
	case gather:
		return b.Gather(name, x, int(d.axis)+1, d.index), nil
	case permute:
		return b.Permute(name, x, d.dims, d.perm, build.Shape{H: n.shape[0], W: n.shape[1], C: n.shape[2]}), nil
	case normalize:
		axis, post := d.form(n.shape[axisC])
		return b.Normalize(name, x, axis, d.groups, float32(d.eps), float32sOf(post.scale), float32sOf(post.shift)), nil
	case mean:
		if isGlobalMean(n) {
			return b.GlobalAvgPool(name, x), nil
		}
		return b.AvgPool(name, x, d.window(n.in[0].shape).win, false), nil
	case maxPool:
		return b.MaxPool(name, x, d.win), nil
	case avgPool:
		return b.AvgPool(name, x, d.win, d.countIncludePad), nil
	case concat:
		xs := make([]int, len(n.in))
		for i, m := range n.in {
			xs[i] = e.at[m]
		}
		return b.Concat(name, int(d.axis)+1, xs...), nil
	case pad:
		return b.Pad(name, x, d.pad, d.value), nil
	case softmax:
		if d.log {
			return b.LogSoftmax(name, x), nil
		}
		return b.Softmax(name, x), nil
	case resize:
		return b.Resize(name, x, n.shape[axisH], n.shape[axisW], d.mode, d.alignCorners), nil
	}
	return -1, fmt.Errorf("no operator of the runtime computes this")
}

// form is a normalisation as the builder takes it: its axis, and a scale and shift for each of ch channels.
func (d normalize) form(ch int) (axis int, post affine) {
	axis, post = 3, d.post
	if d.all {
		axis = 1
	}
	if len(post.scale) == 1 {
		post = post.spread(ch)
	}
	return axis, post
}

// binary adds or multiplies two inputs; a constant one, of which there is at most one, comes second. Where both are
// repeated, the first is repeated before.
func (e *emitter) binary(n *node, name string, both func(string, int, int, build.Act) int, one func(string, int, []float32, build.Shape, build.Act) int) int {
	a, b := n.in[0], n.in[1]
	if _, ok := a.do.(constant); ok {
		a, b = b, a
	}
	x := e.at[a]
	if a.shape != n.shape && b.shape != n.shape {
		x = e.expanded(name+".repeated", x, n.shape)
	}
	if k, ok := b.do.(constant); ok {
		return one(name, x, k.data, build.Shape{H: b.shape[0], W: b.shape[1], C: b.shape[2]}, build.ActNone)
	}
	return both(name, x, e.at[b], build.ActNone)
}

// expanded repeats axes of one element to a shape.
func (e *emitter) expanded(name string, x int, shape [3]int) int {
	for a, want := range shape {
		s := e.b.Shape(x)
		if have := [3]int{s.H, s.W, s.C}[a]; have != want {
			x = e.b.Gather(name, x, a+1, make([]int, want))
		}
	}
	return x
}

func float32sOf(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, f := range v {
		out[i] = float32(f)
	}
	return out
}

// folded returns weights and bias of a convolution with pre and post folded in, in float64.
func (d *conv) folded() (w, bias []float32, err error) {
	if d.pre == nil {
		return weighted(d.weights, d.post, d.oihw[0])
	}
	if w, err = d.weights(); err != nil {
		return nil, nil, err
	}
	out, run, taps := d.oihw[0], d.oihw[1], d.oihw[2]*d.oihw[3]
	fw, shift := make([]float32, len(w)), make([]float64, out)
	for o := range out {
		first := o / (out / d.groups) * run // input channel
		for i := range run {
			s, t := d.pre.at(first + i)
			for k := range taps {
				at := (o*run+i)*taps + k
				fw[at] = float32(float64(w[at]) * s)
				shift[o] += float64(w[at]) * t
			}
		}
	}
	post := affine{ones(out), shift}.then(d.post)
	return weighted(func() ([]float32, error) { return fw, nil }, post, out)
}

// weighted returns weights and bias with post folded in, in float64.
func weighted(weights func() ([]float32, error), post affine, out int) (w, bias []float32, err error) {
	if w, err = weights(); err != nil {
		return nil, nil, err
	}
	if s, t, ok := post.scalar(); ok && s == 1 && t == 0 {
		return w, nil, nil
	}
	fw, bias, run := make([]float32, len(w)), make([]float32, out), len(w)/out
	for o := range out {
		scale, shift := post.at(o)
		bias[o] = float32(shift)
		for i := o * run; i < (o+1)*run; i++ {
			fw[i] = float32(float64(w[i]) * scale)
		}
	}
	return fw, bias, nil
}
