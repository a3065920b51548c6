package quant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Accuracy-controlled mixed precision. A part of the images is held out of the calibration, and decides. If plain int8 loses too
// much on it, the causes of error (causes.go) are taken away in the order of their size, as few as do: an activation by making it
// int16, weights by giving the layer a second part (lower_parts.go). Both stay under the int8 contract. Only where that is not
// enough, and only if it is allowed, the worst layers become float instead, the others staying int8.
//
// How many are as few as do is found by bisection: the loss falls with every cause that goes, but for the accidents of rounding.
// So there are some ten models to make and to try, whatever the network's depth.

// Target is what mixed precision shall achieve.
type Target struct {
	Metric    Metric
	MaxLoss   float64 // 0 to 1, the mean over the held-out images
	AllowFP16 bool
	// Progress is called with what is being done, if set.
	Progress func(stage string, done, total int)
}

// heldOutEvery says how much of the images decides: every fourth.
const heldOutEvery = 4

// Outcome is the model that was found, or, if the target was not met, the nearest.
type Outcome struct {
	Model  *format.Model
	Report *Report
	Met    bool
	Loss   float64
	// Plain is the int8 model without anything raised, PlainLoss what it loses.
	Plain     *format.Model
	PlainLoss float64
	HeldOut   int // images that decided
	Tried     int // models
	// Causes are those of the plain model's error, the largest first. They are not measured where it meets the target.
	Causes []Cause
}

// A Cause is one layer's activations or weights.
type Cause struct {
	Layer string
	What  string  // activations, weights, or views (of an attention)
	Share float64 // of the noise of all causes, each measured by itself
	Now   string  // int8, int16 or fp16
	// Fixed says why it has no form of 16 bits under the contract; empty where it has.
	Fixed string
}

// QuantizeTo is Quantize with mixed precision: as few layers as do get more than int8 for the target. An outcome that does not
// meet it is no error.
func QuantizeTo(ctx context.Context, m *format.Model, src Source, o Options, target Target) (*Outcome, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if int(target.Metric) >= len(metricNames) || !(target.MaxLoss >= 0 && target.MaxLoss < 1) {
		return nil, fmt.Errorf("quant: a loss of %g by metric %d is no target", target.MaxLoss, target.Metric)
	}
	if src == nil || src.Len() < 2 {
		return nil, errors.New("quant: mixed precision needs two images or more: a part of them is held out of the calibration")
	}
	k, err := newController(ctx, m, src, o, target)
	if err != nil {
		return nil, err
	}
	return k.search(ctx)
}

// controller tries mixtures.
type controller struct {
	p      *prepared
	o      Options
	target Target
	seen   Source    // the images that calibrated
	held   Source    // those that decide
	truth  []*answer // the float network's, of the held-out images
	base   *lowerer
	causes []cause // the largest first
	tried  int
	most   int // models to try, for the progress
	out    *Outcome
	mix    mixture // of out.Model
}

// subset is a part of a source.
type subset struct {
	Source
	index []int
}

func (s subset) Len() int                    { return len(s.index) }
func (s subset) At(i int) ([]float32, error) { return s.Source.At(s.index[i]) }

// holdOut divides images into those to calibrate with and those that decide.
func holdOut(all []int) (calibrate, held []int) {
	for k, i := range all {
		if k%heldOutEvery == heldOutEvery-1 || len(all) < heldOutEvery && k == len(all)-1 {
			held = append(held, i)
		} else {
			calibrate = append(calibrate, i)
		}
	}
	return calibrate, held
}

func newController(ctx context.Context, m *format.Model, src Source, o Options, target Target) (*controller, error) {
	progress := target.Progress
	if progress == nil {
		progress = func(string, int, int) {}
	}
	target.Progress = progress
	all := o.selection(src.Len())
	if len(all) < 2 {
		return nil, errors.New("quant: mixed precision needs two images or more: a part of them is held out of the calibration")
	}
	calibrate, held := holdOut(all)
	k := &controller{o: o, target: target, held: subset{src, held}, out: &Outcome{HeldOut: len(held)}}
	k.o.Images, k.o.Progress = 0, func(done, total int) { progress("calibrating", done, total) }
	var err error
	if k.p, err = prepare(ctx, m, subset{src, calibrate}, k.o); err != nil {
		return nil, err
	}
	if len(all) < src.Len() {
		k.p.c.of = src.Len()
	}
	if k.out.Plain, k.out.Report, err = k.p.lower(k.o, mixture{}); err != nil {
		return nil, err
	}
	if k.base, err = newLowerer(k.p.c, k.o, mixture{}); err != nil {
		return nil, err
	}
	k.seen = subset{src, calibrate}
	return k, k.askFloat(ctx)
}

// askFloat collects the float network's answers.
func (k *controller) askFloat(ctx context.Context) error {
	r, err := newRespondent(k.p.c.m, k.o.Threads, nil)
	if err != nil {
		return err
	}
	defer r.close()
	if r.scores >= 0 && k.target.Metric != Top1 {
		return fmt.Errorf("quant: the network has no class activation head: its %s cannot be compared, only top1", k.target.Metric)
	}
	for i := range k.held.Len() {
		x, err := k.held.At(i)
		if err != nil {
			return err
		}
		a, err := r.ask(ctx, x, -1)
		if err != nil {
			return err
		}
		k.truth = append(k.truth, a)
	}
	return nil
}

// rank measures the causes of error on some of the images that calibrated.
func (k *controller) rank(ctx context.Context) error {
	src := k.seen
	s := &sharer{c: k.p.c, o: k.o, metric: k.target.Metric, grids: k.base, narrow: k.out.Plain, ops: k.out.Report.ops}
	n := min(shareImages, src.Len())
	for i := range n {
		x, err := src.At(i * src.Len() / n)
		if err != nil {
			return err
		}
		s.images = append(s.images, slices.Clone(x))
	}
	done, total := 0, s.causes()
	s.step = func() {
		done++
		k.target.Progress("measuring layers", done, total)
	}
	var err error
	k.causes, err = s.measure(ctx)
	slices.SortStableFunc(k.causes, func(a, b cause) int { return cmp.Compare(b.noise, a.noise) })
	return err
}

// loss lowers a mixture and compares it with the float network on the held-out images.
func (k *controller) loss(ctx context.Context, mix mixture) (*format.Model, *Report, float64, error) {
	q, rep, err := k.p.lower(k.o, mix)
	if err != nil {
		return nil, nil, 0, err
	}
	r, err := newRespondent(q, k.o.Threads, nil)
	if err != nil {
		return nil, nil, 0, err
	}
	defer r.close()
	sum := 0.0
	for i, a := range k.truth {
		x, err := k.held.At(i)
		if err != nil {
			return nil, nil, 0, err
		}
		b, err := r.ask(ctx, x, a.class)
		if err != nil {
			return nil, nil, 0, err
		}
		sum += k.target.Metric.loss(a, b)
	}
	k.tried++
	k.target.Progress("trying mixtures", k.tried, max(k.most, k.tried))
	return q, rep, sum / float64(len(k.truth)), nil
}

// search finds the mixture.
func (k *controller) search(ctx context.Context) (*Outcome, error) {
	var err error
	if _, _, k.out.PlainLoss, err = k.loss(ctx, mixture{}); err != nil {
		return nil, err
	}
	k.out.Model, k.out.Loss, k.out.Met = k.out.Plain, k.out.PlainLoss, k.out.PlainLoss <= k.target.MaxLoss
	if k.out.Met {
		k.describe()
		return k.out, nil
	}
	if err := k.rank(ctx); err != nil {
		return nil, err
	}
	raisable := slices.DeleteFunc(slices.Clone(k.causes), func(c cause) bool { return k.fixed(c) != "" || k.raised(k.base.mix, c) })
	floats := k.worstOperators()
	k.most = 2 + bits.Len(uint(len(raisable)))
	if k.target.AllowFP16 {
		k.most += 1 + bits.Len(uint(len(floats)))
	}
	err = k.fewest(ctx, len(raisable), func(n int) mixture { return k.mixtureOf(raisable[:n]) })
	if err == nil && !k.out.Met && k.target.AllowFP16 {
		err = k.fewest(ctx, len(floats), func(n int) mixture {
			mix := mixture{float: make([]bool, len(k.p.c.m.Ops))}
			for _, i := range floats[:n] {
				mix.float[i] = true
			}
			return mix
		})
	}
	if err != nil {
		return nil, err
	}
	k.describe()
	return k.out, nil
}

// fewest finds the least n whose mixture meets the target, and makes it the outcome; if none does, the mixture of all is the
// outcome where it is nearer.
func (k *controller) fewest(ctx context.Context, all int, of func(n int) mixture) error {
	lo, hi := 0, all // lo does not meet it
	try := func(n int) (bool, error) {
		mix := of(n)
		q, rep, loss, err := k.loss(ctx, mix)
		if err != nil {
			return false, err
		}
		met := loss <= k.target.MaxLoss
		if met || n == all && loss < k.out.Loss {
			k.out.Model, k.out.Report, k.out.Loss, k.out.Met, k.mix = q, rep, loss, met, mix
		}
		return met, nil
	}
	if all == 0 {
		return nil
	}
	if met, err := try(all); err != nil || !met {
		return err
	}
	for hi-lo > 1 {
		n := (lo + hi) / 2
		met, err := try(n)
		if err != nil {
			return err
		}
		if met {
			hi = n
		} else {
			lo = n
		}
	}
	return nil
}

// fixed says why a cause has no form of 16 bits under the contract; empty if it has one.
func (k *controller) fixed(c cause) string {
	m := k.p.c.m
	if c.group < 0 {
		switch op := &m.Ops[c.op]; {
		case op.Kind == format.OpRFGA:
			return whyWhole(m, op)
		case k.base.isHead(op) && m.Tensors[op.Inputs[1]].Shape[3] > mostFine:
			return "it has too many channels"
		}
		return ""
	}
	for i := range m.Ops {
		op := &m.Ops[i]
		if !hasInt16(op) && (k.base.groups.root(op.Inputs[0]) == c.group || k.base.groups.root(op.Outputs[0]) == c.group) {
			return fmt.Sprintf("%q reads or makes it and has no int16 form", op.Name)
		}
	}
	if c.group == k.base.groups.root(m.Input) {
		return "the input is the image's bytes"
	}
	return ""
}

// raised says whether a mixture gives a cause more than int8.
func (k *controller) raised(mix mixture, c cause) bool {
	switch {
	case c.group >= 0:
		return at(mix.wide, c.group) || k.base.grids[c.group].wide
	case c.views:
		return at(mix.apart, c.op) || at(mix.fine, c.op)
	}
	return at(mix.fine, c.op)
}

func (k *controller) mixtureOf(causes []cause) mixture {
	mix := mixture{wide: make([]bool, len(k.p.c.m.Tensors)), fine: make([]bool, len(k.p.c.m.Ops)), apart: make([]bool, len(k.p.c.m.Ops))}
	for _, c := range causes {
		switch {
		case c.group >= 0:
			mix.wide[c.group] = true
		case c.views:
			mix.apart[c.op] = true
		default:
			mix.fine[c.op] = true
		}
	}
	return mix
}

// worstOperators orders operators by what their weights and their result add to the error.
func (k *controller) worstOperators() []int {
	m := k.p.c.m
	noise := make([]float64, len(m.Ops))
	for _, c := range k.causes {
		for i := range m.Ops {
			if c.group < 0 && c.op == i || c.group >= 0 && k.base.groups.root(m.Ops[i].Outputs[0]) == c.group {
				noise[i] += c.noise
			}
		}
	}
	order := make([]int, len(m.Ops))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(noise[b], noise[a]) })
	return order
}

// describe says in the outcome, and in the model, what was raised.
func (k *controller) describe() {
	m, mix, total := k.p.c.m, k.mix, 0.0
	for _, c := range k.causes {
		total += c.noise
	}
	for _, c := range k.causes {
		d := Cause{Layer: "input", What: "weights", Now: "int8", Fixed: k.fixed(c)}
		if c.op >= 0 {
			d.Layer = m.Ops[c.op].Name
		}
		if total > 0 {
			d.Share = c.noise / total
		}
		if c.group >= 0 {
			d.What = "activations"
		} else if c.views {
			d.What = "views"
		}
		if k.raised(mix, c) || k.raised(k.base.mix, c) {
			d.Now = "int16"
		}
		if c.op >= 0 && at(mix.float, c.op) {
			d.Now = "fp16"
		}
		k.out.Causes = append(k.out.Causes, d)
	}
	k.out.Tried = k.tried
	q := *k.out.Model
	q.Prov.Calibration += fmt.Sprintf(", mixed precision for a %s loss of at most %.3g %% (%.3g %% on %d held-out images)",
		k.target.Metric, 100*k.target.MaxLoss, 100*k.out.Loss, k.out.HeldOut)
	k.out.Model = &q
}
