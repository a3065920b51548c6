package quant

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

var kindNames = map[format.OpKind]string{
	format.OpConv2D: "conv", format.OpDepthwiseConv2D: "depthwise", format.OpFullyConnected: "linear", format.OpCAMHead: "head",
	format.OpRFGA: "rfga",
}

// constants reads weights and bias of a linear operator into a layer.
func (l *lowerer) constants(op *format.Op) (*layer, []int, error) {
	if len(op.Inputs) < 2 {
		return nil, nil, fmt.Errorf("%d inputs, weights are missing", len(op.Inputs))
	}
	w, err := weightsOf(l.m, op.Inputs[1])
	if err != nil {
		return nil, nil, err
	}
	shape := l.m.Tensors[op.Inputs[1]].Shape
	if len(shape) != 4 {
		return nil, nil, fmt.Errorf("weights of shape %v", shape)
	}
	ly := &layer{name: op.Name, out: shape[0], taps: shape[1] * shape[2], in: shape[3], groups: 1, w: w, pairs: l.o.Weights == PairSafe}
	if len(op.Inputs) > 2 {
		if ly.bias, err = vectorOf(l.m, op.Inputs[2]); err != nil {
			return nil, nil, err
		}
	}
	return ly, shape, nil
}

// finish quantizes ly and reports it.
func (l *lowerer) finish(op *format.Op, ly *layer) (*quantized, error) {
	ly.found = l.c.search(op, ly, l.pixels)
	res, err := ly.quantize(l.o.Threads)
	if err != nil {
		return nil, err
	}
	res.stats.Kind = kindNames[op.Kind]
	l.rep.Layers = append(l.rep.Layers, res.stats)
	for _, r := range res.stats.Raised {
		if r.Steps > 0.5 || ly.scaleOut == 0 {
			l.note("%s: the weights of output channel %d are coarser by a factor of %.3g than they could be, to keep its sums in 32 bits",
				ly.name, r.Channel, r.Factor)
		}
	}
	return res, nil
}

// foldNormalisation makes a layer that reads the image's bytes out of one that reads normalised values.
func (l *lowerer) foldNormalisation(ly *layer) {
	for c := range 3 {
		ly.gain = append(ly.gain, 1/(255*float64(l.m.Pre.Std[c])))
		ly.offset = append(ly.offset, 255*float64(l.m.Pre.Mean[c]))
	}
	for c := range ly.mean {
		ly.mean[c] *= 255 * float64(l.m.Pre.Std[c])
	}
}

// padBytes are the int8 values nearest to zero in normalised space.
func (l *lowerer) padBytes() []int8 {
	out := make([]int8, 3)
	for c, mean := range l.m.Pre.Mean {
		out[c] = int8(min(max(math.RoundToEven(255*float64(mean)), 0), 255) - 128)
	}
	return out
}

func (l *lowerer) convolution(i int, op *format.Op) error {
	x, in, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	ly, shape, err := l.layerOf(op)
	if err != nil {
		return err
	}
	ly.scaleIn, ly.scaleOut = float64(in.scale), float64(l.grids[op.Outputs[0]].scale)
	e := &linearOp{op: op, x: x, shape: shape, inFileOrder: func(q []int8) []int8 {
		switch {
		case op.Kind == format.OpDepthwiseConv2D:
			return transpose(q, ly.out, ly.taps)
		case tapsByColumn(op, ly.in):
			return transposeTaps(q, shape[2], shape[1], ly.in)
		}
		return q
	}}
	if l.takesPixels(op) && op.Attr.Pad != [4]int{} {
		e.padding = l.padBytes()
	}
	return l.linear(i, e, ly)
}

// layerOf reads a linear operator into a layer, without the scales of its activations.
func (l *lowerer) layerOf(op *format.Op) (*layer, []int, error) {
	ly, shape, err := l.constants(op)
	if err != nil || op.Kind != format.OpConv2D && op.Kind != format.OpDepthwiseConv2D {
		return ly, shape, err
	}
	ly.groups = op.Attr.Groups
	if op.Kind == format.OpDepthwiseConv2D {
		// (1,KH,KW,C) is C channels of one input each; their products are summed in 32 bits, so pairs do not matter.
		ly.out, ly.in, ly.groups, ly.pairs = shape[3], 1, shape[3], false
		ly.w = transpose(ly.w, ly.taps, ly.out)
	}
	channels := l.m.Tensors[op.Inputs[0]].Shape[3]
	if ly.groups < 1 || ly.out%ly.groups != 0 || ly.in*ly.groups != channels {
		return nil, nil, fmt.Errorf("weights of shape %v and %d groups for %d channels", shape, op.Attr.Groups, channels)
	}
	ly.mean = l.c.tensors[op.Inputs[0]].means()
	if l.takesPixels(op) {
		l.foldNormalisation(ly)
	}
	if tapsByColumn(op, ly.in) {
		ly.w = transposeTaps(ly.w, shape[1], shape[2], ly.in)
	}
	return ly, shape, nil
}

// takesPixels says whether an operator reads the image's bytes.
func (l *lowerer) takesPixels(op *format.Op) bool { return l.pixels && op.Inputs[0] == l.m.Input }

// tapsByColumn says whether kernels take the taps of a window column by column: with an odd number of input channels, where pairs
// straddle taps.
func tapsByColumn(op *format.Op, in int) bool {
	return op.Kind == format.OpConv2D && in%2 == 1 && op.Attr.Dilation[1] == 1
}

// linearOp is how a layer is written to the file.
type linearOp struct {
	op          *format.Op
	x           int // the tensor that it reads
	shape       []int
	inFileOrder func(q []int8) []int8
	padding     []int8 // nil for the zero point
}

// linear quantizes a layer and emits it.
func (l *lowerer) linear(i int, e *linearOp, ly *layer) error {
	if at(l.mix.fine, i) {
		return l.inTwoParts(e, ly)
	}
	res, err := l.finish(e.op, ly)
	if err != nil {
		return err
	}
	y := e.op.Outputs[0]
	a := e.op.Attr
	a.QLo, a.QHi = l.grids[y].clamp(a.ClampLo, a.ClampHi)
	inputs := l.linearInputs(e, res)
	l.emit(e.op, e.op.Kind, inputs, []int{l.activation(y)}, a)
	return nil
}

// linearInputs adds a layer's constants and returns all of its inputs.
func (l *lowerer) linearInputs(e *linearOp, res *quantized) []int {
	inputs := append([]int{e.x}, l.linearConstants(e.op, res, e.shape, e.inFileOrder(res.q))...)
	if e.padding != nil {
		inputs = append(inputs, l.constI8(e.op.Name+".pad", []int{3}, e.padding))
	}
	return inputs
}

// linearConstants adds weights, bias and multipliers and returns their indices.
func (l *lowerer) linearConstants(op *format.Op, res *quantized, shape []int, q []int8) []int {
	w := l.tensor(format.Tensor{Name: l.nameOf(op, 1, ".weight"), DType: format.I8, Shape: slices.Clone(shape), Scale: res.scale,
		Data: padded(q, shape[3])})
	out := []int{w, l.constI32(l.nameOf(op, 2, ".bias"), res.bias)}
	if res.mult != nil {
		out = append(out, l.constF32(op.Name+".mult", res.mult))
	}
	return out
}

// transposeTaps turns filters of rows x cols taps of in channels into cols x rows.
func transposeTaps[T any](v []T, rows, cols, in int) []T {
	out := make([]T, 0, len(v))
	for n := rows * cols * in; len(v) > 0; v = v[n:] {
		for c := range cols {
			for r := range rows {
				out = append(out, v[(r*cols+c)*in:][:in]...)
			}
		}
	}
	return out
}

// transpose turns v, rows x cols elements with cols contiguous, into cols x rows.
func transpose[T any](v []T, rows, cols int) []T {
	out := make([]T, len(v))
	for r := range rows {
		for c := range cols {
			out[c*rows+r] = v[r*cols+c]
		}
	}
	return out
}

func (l *lowerer) fullyConnected(i int, op *format.Op) error {
	x, in, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	ly, shape, err := l.constants(op)
	if err != nil {
		return err
	}
	y := op.Outputs[0]
	ly.scaleIn, ly.scaleOut = float64(in.scale), float64(l.grids[y].scale)
	if mean := l.c.tensors[op.Inputs[0]].means(); mean != nil {
		ly.mean = slices.Repeat(mean, ly.in/len(mean)) // the vector is H, W, C
	}
	return l.linear(i, &linearOp{op: op, x: x, shape: shape, inFileOrder: func(q []int8) []int8 { return q }}, ly)
}

// isClassifier reports whether a fully connected layer is the network's last word on one vector of channels. Eight bits
// would tie many of a thousand logits, so it becomes a class activation head over one position, whose logits are exact.
func (l *lowerer) isClassifier(op *format.Op) bool {
	s, y := l.m.Tensors[op.Inputs[0]].Shape, op.Outputs[0]
	if s[1] != 1 || s[2] != 1 || l.uses[y] != 1 || !math.IsInf(float64(op.Attr.ClampLo), -1) || !math.IsInf(float64(op.Attr.ClampHi), 1) {
		return false
	}
	for i := range l.m.Ops {
		// A model has one head: another one, or another such layer, leaves this one as it is.
		o := &l.m.Ops[i]
		if o != op && (o.Kind == format.OpCAMHead || o.Kind == format.OpFullyConnected && l.isOutput(o.Outputs[0])) {
			return false
		}
	}
	return l.isOutput(y)
}

func (l *lowerer) isOutput(t int) bool {
	return slices.ContainsFunc(l.m.Outputs, func(o format.Output) bool { return o.Tensor == t })
}
