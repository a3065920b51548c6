package onnx

import (
	"errors"
	"fmt"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

var sigmoidNode = fn(format.FuncSigmoid)

// checkQuantized says, for each node that will be computed, whether it can be in integers: what it reads must lie on a grid, and
// so must its result, unless it is a result of the graph that may be of 32 bits or more.
func (g *net) checkQuantized(fail func(n *node, err error)) {
	grids := g.grids()
	results := map[*node]bool{}
	for _, o := range g.outputs {
		results[peel(o.n)] = true
	}
	heads := 0
	for _, n := range g.nodes {
		switch n.do.(type) {
		case input:
			g.checkInput(n, fail)
			continue
		case quantize, dequantize, camLogits:
			continue
		case *camHead:
			heads++
		case softmax:
			if !results[n] {
				fail(n, fmt.Errorf("a softmax inside of a quantized network is not supported"))
			}
		}
		if !inIntegers(n) {
			fail(n, fmt.Errorf("it has no form in integers; convert the float model with --calibrate instead"))
			continue
		}
		for _, x := range n.in {
			if _, ok := grids.of(x); !ok && !chained(n) {
				fail(n, fmt.Errorf("it reads the result of %s %q before that is quantized; every activation of a quantized network needs QuantizeLinear and DequantizeLinear", peel(x).op, peel(x).name))
				break
			}
		}
		if results[n] {
			if _, ok := grids.of(n); !ok && !exactResult(n, heads) {
				fail(n, fmt.Errorf("its result is one of the graph's and is not quantized; QuantizeLinear and DequantizeLinear are missing behind it"))
			}
			if _, ok := n.do.(*linear); ok {
				heads++
			}
		}
	}
}

// checkInput wants all readers of the image to quantize it alike.
func (g *net) checkInput(in *node, fail func(n *node, err error)) {
	var grid *build.Grid
	for _, n := range g.nodes {
		for _, x := range n.in {
			if x != in {
				continue
			}
			q, ok := n.do.(quantize)
			if !ok {
				fail(n, fmt.Errorf("it reads the image before that is quantized; a quantized network begins with QuantizeLinear"))
			} else if grid != nil && *grid != q.grid {
				fail(n, fmt.Errorf("it quantizes the image with scale %v and zero point %d, another node with %v and %d", q.grid.Scale, q.grid.Zero, grid.Scale, grid.Zero))
			} else {
				grid = &q.grid
			}
		}
	}
}

// inIntegers says whether a kind of node has a form on int8.
func inIntegers(n *node) bool {
	switch n.do.(type) {
	case *conv, *linear, add, mul, unary, prelu, mean, maxPool, avgPool, concat, pad,
		gather, permute, expand, normalize, resize, softmax, *camHead, quantAttention:
		return true
	}
	return false
}

// chained says whether n is a function, or a function of a function, of a rounded value, which is one table.
func chained(n *node) bool {
	for {
		if _, ok := n.do.(unary); !ok {
			return false
		}
		if n = n.in[0]; isOnGrid(n) {
			return true
		}
	}
}

func isOnGrid(n *node) bool {
	_, ok := gridOf(n)
	return ok
}

// exactResult says whether n can be a result without rounding: a softmax, which is of float32, or a classifier, whose
// accumulators are kept, as the model's only head.
func exactResult(n *node, heads int) bool {
	switch d := n.do.(type) {
	case softmax, *camHead:
		return true
	case *linear:
		s := n.in[0].shape
		return heads == 0 && d.none() && s[axisH] == 1 && s[axisW] == 1
	}
	return false
}

// quantEmitter writes a quantized net with the builder.
type quantEmitter struct {
	emitter
	q     *build.Quantized
	grids *grids
	done  map[madeOf]int
	notes []string
}

// madeOf is a node's result on a grid.
type madeOf struct {
	n *node
	g build.Grid
}

// emitQuantized writes the net as an int8 model. The notes say where it differs from the original.
func (g *net) emitQuantized(name string, o Options) (*format.Model, []string, error) {
	in, grid, err := g.quantizedInput()
	if err != nil {
		return nil, nil, err
	}
	e := &quantEmitter{grids: g.grids(), done: map[madeOf]int{},
		q: build.NewQuantized(name, "onnx", in.shape[axisW], in.shape[axisH], o.Mean, o.Std, grid)}
	e.at, e.logits, e.names = map[*node]int{}, map[*node]int{}, map[string]bool{}
	e.done[madeOf{in, grid}] = e.q.Input()
	for _, n := range g.nodes {
		var err error
		switch d := n.do.(type) {
		case quantize:
			switch peel(n).do.(type) {
			case softmax, camLogits, *camHead: // results, which stay as they are
			default:
				_, err = e.on(n, d.grid)
			}
		case softmax, *camHead:
			err = e.result(n)
		}
		if err == nil {
			err = e.q.Err()
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s %q: %w", n.op, n.name, err)
		}
	}
	for _, r := range g.outputs {
		y, err := e.output(r.n)
		if err != nil {
			return nil, nil, fmt.Errorf("%s %q: %w", r.n.op, r.n.name, err)
		}
		e.q.Output(outputName(r.name), y, r.flat)
	}
	m, notes, err := e.q.Finish()
	return m, append(e.notes, notes...), err
}

// quantizedInput is the image and its grid.
func (g *net) quantizedInput() (*node, build.Grid, error) {
	for _, n := range g.nodes {
		if q, ok := n.do.(quantize); ok {
			if _, ok := n.in[0].do.(input); ok {
				return n.in[0], q.grid, nil
			}
		}
	}
	return nil, build.Grid{}, errors.New("the image is quantized by no node")
}

// output is the tensor of a result of the graph.
func (e *quantEmitter) output(n *node) (int, error) {
	p := peel(n)
	if y, ok := e.at[p]; ok {
		return y, nil
	}
	if _, ok := p.do.(camLogits); ok {
		return e.logits[p.in[0]], nil
	}
	if d, ok := p.do.(*linear); ok {
		if _, ok := e.grids.of(n); !ok {
			logits, _, err := e.head(p, headOf(d.out, d.weights, d.post))
			return logits, err
		}
	}
	return e.read(n)
}

// result writes a node whose result has no grid.
func (e *quantEmitter) result(n *node) (err error) {
	switch d := n.do.(type) {
	case softmax:
		var x int
		if x, err = e.read(n.in[0]); err == nil {
			e.at[n] = e.q.Softmax(e.unique(n.name), x)
		}
	case *camHead:
		e.logits[n], e.at[n], err = e.head(n, d)
	}
	return err
}

func (e *quantEmitter) head(n *node, d *camHead) (logits, maps int, err error) {
	x, err := e.read(n.in[0])
	if err != nil {
		return -1, -1, err
	}
	w, err := integers(d.weights, d.post, d.classes)
	if err != nil {
		return -1, -1, err
	}
	logits, maps = e.q.CAMHead(e.unique(n.name), x, w, d.classes)
	return logits, maps, nil
}

// read is the tensor of a node that lies on a grid.
func (e *quantEmitter) read(n *node) (int, error) {
	g, ok := e.grids.of(n)
	if !ok {
		return -1, fmt.Errorf("it reads %s %q, which is not quantized", n.op, n.name)
	}
	return e.on(n, g)
}

// on is the tensor of n on grid g, which is written the first time it is asked for.
func (e *quantEmitter) on(n *node, g build.Grid) (int, error) {
	if y, ok := e.done[madeOf{n, g}]; ok {
		return y, nil
	}
	y, err := e.write(n, g)
	if err == nil {
		err = e.q.Err()
	}
	if err != nil {
		return -1, err
	}
	if s := e.q.Shape(y); [3]int{s.H, s.W, s.C} != n.shape {
		return -1, fmt.Errorf("the result is %v, the importer inferred %dx%dx%d; this is a bug in the importer", s, n.shape[0], n.shape[1], n.shape[2])
	}
	e.done[madeOf{n, g}] = y
	return y, nil
}

// write adds the operators that make n on grid g.
func (e *quantEmitter) write(n *node, g build.Grid) (int, error) {
	if isRounding(n) {
		x := n.in[0]
		have, ok := gridOf(x)
		if !ok || isWindow(x) { // the operator rounds to g itself
			return e.on(x, g)
		}
		y, err := e.on(x, have)
		if err != nil || have == g {
			return y, err
		}
		return e.q.Concat(e.unique(n.name), 3, g, y), nil
	}
	if u, ok := n.do.(unary); ok {
		return e.table(n, u, g)
	}
	if isMove(n) {
		return e.moved(n, g)
	}
	xs := make([]int, len(n.in))
	for i, x := range n.in {
		var err error
		if xs[i], err = e.read(x); err != nil {
			return -1, err
		}
	}
	q, name := e.q, e.unique(n.name)
	switch d := n.do.(type) {
	case *conv:
		if _, ok := e.grids.rounded[n]; !ok && d.scaling {
			e.notes = append(e.notes, fmt.Sprintf("%s: no QuantizeLinear follows it; its result has the range that its input allows, in steps of %.4g", name, g.Scale))
		}
		w, err := integers(d.weights, d.post, d.oihw[0])
		if d.pre != nil {
			err = errors.New("a scale or shift in front of it is not quantized")
		}
		if err != nil {
			return -1, err
		}
		return q.Conv(name, xs[0], w, d.oihw, d.win, d.groups, d.lo, d.hi, g), nil
	case *linear:
		w, err := integers(d.weights, d.post, d.out)
		if err != nil {
			return -1, err
		}
		return q.Linear(name, xs[0], w, d.out, d.lo, d.hi, g), nil
	case quantAttention:
		w, err := d.integers(n.shape[axisC])
		if err != nil {
			return -1, err
		}
		return q.RFGA(name, xs[0], w, g), nil
	case add:
		return q.Add(name, xs[0], xs[1], d.lo, d.hi, g), nil
	case mul:
		return q.Mul(name, xs[0], xs[1], d.lo, d.hi, g), nil
	case mean:
		if isGlobalMean(n) {
			return q.GlobalAvgPool(name, xs[0], g), nil
		}
		return q.AvgPool(name, xs[0], d.window(n.in[0].shape).win, false, g), nil
	case maxPool:
		return q.MaxPool(name, xs[0], d.win, g), nil
	case avgPool:
		return q.AvgPool(name, xs[0], d.win, d.countIncludePad, g), nil
	case concat:
		return q.Concat(name, int(d.axis)+1, g, xs...), nil
	case pad:
		y := q.Pad(name, xs[0], d.pad, d.value)
		if q.Grid(y) != g {
			y = q.Concat(e.unique(n.name), 3, g, y)
		}
		return y, nil
	case prelu:
		return q.PReLU(name, xs[0], float32sOf(d.slope), g), nil
	case normalize:
		axis, post := d.form(n.shape[axisC])
		return q.Normalize(name, xs[0], axis, d.groups, float32(d.eps), float32sOf(post.scale), float32sOf(post.shift), g), nil
	case resize:
		return q.Resize(name, xs[0], n.shape[axisH], n.shape[axisW], d.mode, d.alignCorners, g), nil
	}
	return -1, fmt.Errorf("no operator of the runtime computes this in integers")
}

// isWindow says whether n is an operator that keeps its input's grid, but could as well round to another.
func isWindow(n *node) bool {
	switch n.do.(type) {
	case maxPool, resize, concat, pad:
		return true
	}
	return false
}

// moved writes a node that only moves elements. Rounding before it is the same as behind it, so that what has no grid is rounded to g
// first; what lies on another grid is rounded again behind.
func (e *quantEmitter) moved(n *node, g build.Grid) (int, error) {
	have, ok := gridOf(n.in[0])
	if !ok {
		have = g
	}
	y, err := e.on(n.in[0], have)
	if err != nil {
		return -1, err
	}
	q, name := e.q, e.unique(n.name)
	switch d := n.do.(type) {
	case gather:
		y = q.Gather(name, y, int(d.axis)+1, d.index)
	case permute:
		y = q.Permute(name, y, d.dims, d.perm, build.Shape{H: n.shape[0], W: n.shape[1], C: n.shape[2]})
	case expand:
		for a, want := range n.shape {
			if n.in[0].shape[a] != want {
				y = q.Gather(e.unique(name), y, a+1, make([]int, want))
			}
		}
	}
	if have != g {
		y = q.Concat(e.unique(name), 3, g, y)
	}
	return y, nil
}

func isNearest(r resize) bool { return r.mode == format.ModeNearest }

// table writes a function, or a function of functions, of something on a grid.
func (e *quantEmitter) table(n *node, u unary, g build.Grid) (int, error) {
	f, x := u.at, n.in[0]
	for !isOnGrid(x) {
		inner, ok := x.do.(unary)
		if !ok {
			break
		}
		outer := f
		f, x = func(v float64) float64 { return outer(inner.at(v)) }, x.in[0]
	}
	y, err := e.read(x)
	if err != nil {
		return -1, err
	}
	return e.q.Table(e.unique(n.name), y, u.f, f, g), nil
}

// at is the function's value, of float32 as in float models.
func (u unary) at(x float64) float64 {
	return float64(kernels.Func(u.f).With(float32(u.a), float32(u.b))(float32(x)))
}

// integers are weights that the builder can take as they are, if they came through unscaled.
func integers(weights func() ([]float32, error), post affine, out int) (build.Weights, error) {
	w, err := weights()
	if err != nil {
		return build.Weights{}, err
	}
	r := build.Weights{W: w, Scale: make([]float64, out), Bias: make([]float64, out)}
	for o := range out {
		r.Scale[o], r.Bias[o] = post.at(o)
	}
	return r, nil
}

// integers reads the weights of attention. Those of the channel view are three for all channels, each with its scale.
func (at quantAttention) integers(ch int) (r build.QuantizedRFGA, err error) {
	r.Views, r.Before = at.views, at.before
	r.A, r.B = float32(at.a), float32(at.b)
	taps, err := at.c.weights()
	if err != nil {
		return r, err
	}
	repeated := func() ([]float32, error) {
		w := make([]float32, 0, 3*ch)
		for range ch {
			w = append(w, taps...)
		}
		return w, nil
	}
	for i, weights := range []func() ([]float32, error){repeated, at.h.weights, at.w.weights} {
		if r.Conv[i], err = integers(weights, at.post[i], ch); err != nil {
			return r, err
		}
	}
	return r, nil
}
