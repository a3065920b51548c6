package quant

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// shareImages are enough to rank layers by their share of the output's error.
const shareImages = 8

// Shares (shares.go) measures something else: what each layer of a finished model, weights and rounding together, does to all of its
// outputs. The report says which layer that is; here it matters which part of a layer to raise, for one metric, and there may be no
// session of the quantized model to take the layer's values from, only the float network and single roundings in it.

// A cause is one source of error: the int8 grid of a group of activations, the int8 weights of a layer, or the int8 views of an
// attention.
type cause struct {
	group int // root of the activations' group, -1 for weights and views
	op    int // the operator whose weights or views they are, or the first one that makes an activation of the group; -1 for the input
	views bool
	noise float64
}

// sharer measures what each cause adds to the float network's output when it is the only one.
type sharer struct {
	c      *calibration
	o      Options
	metric Metric
	grids  *lowerer      // of the plain int8 model
	narrow *format.Model // the plain int8 model
	ops    []int         // its operators by those of c.m (Report.ops)
	images [][]float32
	truth  []*answer
	step   func()
}

// measure returns the shares of all causes, in the order of operators, activations before weights.
func (s *sharer) measure(ctx context.Context) ([]cause, error) {
	m := s.c.m
	rounding := -1
	r, err := newRespondent(m, s.o.Threads, func(_, t int, data []float32) {
		switch {
		case rounding < 0 || !s.c.watch[t] || s.grids.groups.root(t) != rounding:
		case t == m.Input && s.grids.pixels:
			s.roundPixels(data)
		default:
			s.grids.grids[t].roundAll(data)
		}
	})
	if err != nil {
		return nil, err
	}
	defer r.close()
	for _, x := range s.images {
		a, err := r.ask(ctx, x, -1)
		if err != nil {
			return nil, err
		}
		s.truth = append(s.truth, a)
	}
	var list []cause
	seen := map[int]bool{}
	round := func(t, maker int) error {
		if t < 0 || !s.c.watch[t] || seen[s.grids.groups.root(t)] {
			return nil
		}
		rounding = s.grids.groups.root(t)
		seen[rounding] = true
		noise, err := s.noise(ctx, r)
		list = append(list, cause{group: rounding, op: maker, noise: noise})
		s.step()
		return err
	}
	if err := round(m.Input, -1); err != nil {
		return nil, err
	}
	for i := range m.Ops {
		for _, t := range m.Ops[i].Outputs {
			if err := round(t, i); err != nil {
				return nil, err
			}
		}
		if len(weightInputs(&m.Ops[i])) == 0 || s.ops[i] < 0 { // without weights, or with finer ones already
			continue
		}
		noise, err := s.ofWeights(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("operator %q: %w", m.Ops[i].Name, err)
		}
		list = append(list, cause{group: -1, op: i, noise: noise})
		s.step()
		if m.Ops[i].Kind != format.OpRFGA {
			continue
		}
		inside, err := s.ofAttention(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("operator %q: %w", m.Ops[i].Name, err)
		}
		list = append(list, cause{group: -1, op: i, views: true, noise: max(inside-noise, 0)})
		s.step()
	}
	return list, nil
}

// causes is how many shares measure will find, at most.
func (s *sharer) causes() int {
	n := 1
	for i := range s.c.m.Ops {
		n += 1 + min(1, len(weightInputs(&s.c.m.Ops[i])))
		if s.c.m.Ops[i].Kind == format.OpRFGA {
			n++
		}
	}
	return n
}

// noise is the mean over the images.
func (s *sharer) noise(ctx context.Context, r *respondent) (float64, error) {
	sum := 0.0
	for k, x := range s.images {
		a, err := r.ask(ctx, x, s.truth[k].class)
		if err != nil {
			return 0, err
		}
		sum += s.metric.noise(s.truth[k], a)
	}
	return sum / float64(len(s.images)), nil
}

// ofWeights runs the float model with the int8 weights of operator i alone.
func (s *sharer) ofWeights(ctx context.Context, i int) (float64, error) {
	m, err := s.withRounded(i)
	if err != nil {
		return 0, err
	}
	r, err := newRespondent(m, s.o.Threads, nil)
	if err != nil {
		return 0, err
	}
	defer r.close()
	return s.noise(ctx, r)
}

// ofAttention is what the inside of attention i adds: the float model with that one operator in the form of the contract, between
// activations of 16 bits. Its weights and its views are rounded there, and nothing else to speak of.
func (s *sharer) ofAttention(ctx context.Context, i int) (float64, error) {
	m := s.c.m
	mix := mixture{wide: make([]bool, len(m.Tensors)), float: slices.Repeat([]bool{true}, len(m.Ops))}
	mix.wide[m.Ops[i].Inputs[0]], mix.wide[m.Ops[i].Outputs[0]], mix.float[i] = true, true, false
	q, _, err := lower(s.c, s.o, mix)
	if err != nil {
		return 0, err
	}
	r, err := newRespondent(q, s.o.Threads, nil)
	if err != nil {
		return 0, err
	}
	defer r.close()
	return s.noise(ctx, r)
}

// withRounded is the float model in which operator i has the weights that its int8 form stands for, its bias making up for the
// mean of what they are wrong by.
func (s *sharer) withRounded(i int) (*format.Model, error) {
	r := newRewriter(s.c.m)
	op, narrow := &r.m.Ops[i], &s.narrow.Ops[s.ops[i]]
	for _, k := range weightInputs(op) {
		w, err := weightsOf(s.c.m, op.Inputs[k])
		if err != nil {
			return nil, err
		}
		shape := s.c.m.Tensors[op.Inputs[k]].Shape
		rounded := s.realWeights(op, &s.narrow.Tensors[narrow.Inputs[k]], shape)
		if bias := k + 1; bias < len(op.Inputs) && op.Inputs[bias] >= 0 && op.Kind != format.OpRFGA {
			if err := s.correctBias(r, op, shape, w, rounded); err != nil {
				return nil, err
			}
		}
		old := s.c.m.Tensors[op.Inputs[k]]
		op.Inputs[k] = r.constant(old.Name, old.Shape, paddedF32(rounded, shape[3]))
	}
	return r.model(), nil
}

// realWeights are int8 weights in real units, in file order without padding.
func (s *sharer) realWeights(op *format.Op, q *format.Tensor, shape []int) []float32 {
	run, stored := shape[3], pad4(shape[3])
	n := len(q.Data) / stored * run
	out := make([]float32, n)
	channel := n / shape[0] // weights of an output channel
	groups := groupsOf(op)
	for k := range out {
		o, i := k/channel, k%run
		if op.Kind == format.OpDepthwiseConv2D {
			o = i
		} else {
			i += o / (shape[0] / groups) * run
		}
		v := float64(int8(q.Data[k/run*stored+k%run])) * float64(q.Scale[min(o, len(q.Scale)-1)])
		if s.grids.pixels && op.Inputs[0] == s.c.m.Input {
			v *= 255 * float64(s.c.m.Pre.Std[i])
		}
		out[k] = float32(v)
	}
	return out
}

func (s *sharer) correctBias(r *rewriter, op *format.Op, shape []int, w, rounded []float32) error {
	mean := s.c.tensors[op.Inputs[0]].means()
	if mean == nil {
		return nil
	}
	bias, err := vectorOf(s.c.m, op.Inputs[2])
	if err != nil {
		return err
	}
	b := make([]float64, len(bias))
	for k, v := range bias {
		b[k] = float64(v)
	}
	groups := groupsOf(op)
	for k := range w {
		o, i := k/(len(w)/shape[0]), k%shape[3] // output and input channel
		if op.Kind == format.OpDepthwiseConv2D {
			o = i
		} else {
			i += o / (shape[0] / groups) * shape[3]
		}
		b[o] += (float64(w[k]) - float64(rounded[k])) * mean[i%len(mean)]
	}
	out := make([]float32, len(b))
	for k, v := range b {
		out[k] = float32(v)
	}
	old := s.c.m.Tensors[op.Inputs[2]]
	op.Inputs[2] = r.constant(old.Name, old.Shape, out)
	return nil
}

// groupsOf is how many groups a layer's channels have: only a convolution has more than one.
func groupsOf(op *format.Op) int {
	if op.Kind == format.OpConv2D {
		return op.Attr.Groups
	}
	return 1
}

// roundPixels makes an input what the image's bytes can say.
func (s *sharer) roundPixels(data []float32) {
	p := &s.c.m.Pre
	for i, v := range data {
		mean, std := 255*float64(p.Mean[i%3]), 255*float64(p.Std[i%3])
		b := min(max(math.RoundToEven(float64(v)*std+mean), 0), 255)
		data[i] = float32((b - mean) / std)
	}
}

// roundAll moves values to the grid.
func (g grid) roundAll(data []float32) {
	least, most := g.bounds()
	lo, hi := float64(int32(least)-g.zero), float64(int32(most)-g.zero)
	inv := 1 / float64(g.scale)
	for i, v := range data {
		q := min(max(math.RoundToEven(float64(v)*inv), lo), hi)
		data[i] = float32(q * float64(g.scale))
	}
}

// paddedF32 fills each run up with zeros to a multiple of 4.
func paddedF32(v []float32, run int) []float32 {
	out := make([]float32, 0, len(v)/run*pad4(run))
	for k := 0; k < len(v); k += run {
		out = append(out, v[k:k+run]...)
		out = append(out, make([]float32, pad4(run)-run)...)
	}
	return out
}
