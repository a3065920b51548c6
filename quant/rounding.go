package quant

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/rfga-edge/rfga-edge/runtime"
)

// Rounding weights by data. The nearest integer is the best for a weight by itself, but the errors of the weights that an
// output sums meet inputs that vary together: rounding one up may cancel what rounding another one down did. What counts is
// the error of the layer's result, dT H d for the weights' errors d and the covariance H of their inputs (gram.go; the mean's share
// is the bias's affair). Starting from the nearest, or nearest safe, integers, single steps up or down are taken as long as one
// makes it smaller, so that it never grows.
//
// Source: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", 2020, which states the problem layer by
// layer and solves a relaxed form with gradients. Descent on the integers themselves needs no learning rate and no chance.

// nominal is how many multiply-adds a second of Options.RoundSeconds stands for: effort is counted, not timed, so that the same
// options give the same file on a slow machine too.
const nominal = 4e9

// Bounds on how many places of a layer are looked at, and on the memory of the covariances that are held at a time.
const (
	fewestColumns = 512
	mostColumns   = 1 << 15
	gramMemory    = 256 << 20 // bytes; one layer may need more
)

// roundByData improves the rounding of all layers whose input is seen often enough. Lowering finds it among the searches that were
// done already.
func (c *calibration) roundByData(ctx context.Context, src Source, o Options) error {
	l, err := newLowerer(c, o, mixture{})
	if err != nil {
		return err
	}
	var layers []*gram
	work := 0.0
	for i := range c.m.Ops {
		if len(weightInputs(&c.m.Ops[i])) != 1 {
			continue
		}
		g := newGram(c.m, i)
		layers = append(layers, g)
		work += float64(g.size())
	}
	columns := min(max(int(o.RoundSeconds*nominal/max(work, 1)), fewestColumns), mostColumns)
	for len(layers) > 0 {
		n, size := 0, 0
		for n < len(layers) && (n == 0 || size+4*layers[n].size() <= gramMemory) {
			size += 4 * layers[n].size()
			n++
		}
		if err := c.roundLayers(ctx, l, layers[:n], columns, src, o); err != nil {
			return err
		}
		layers = layers[n:]
	}
	return nil
}

// roundLayers runs the float network once more for some layers, and improves them.
func (c *calibration) roundLayers(ctx context.Context, l *lowerer, layers []*gram, columns int, src Source, o Options) error {
	chosen := o.selection(src.Len())
	reads := map[int][]*gram{}
	for _, g := range layers {
		n := max(columns, g.k)
		g.begin((n+len(chosen)-1)/len(chosen), o.Threads)
		x := c.m.Ops[g.op].Inputs[0]
		reads[x] = append(reads[x], g)
	}
	registerMatMul()
	rm, err := runtime.FromFormat(c.m)
	if err != nil {
		return err
	}
	defer rm.Close()
	image := 0
	s, err := rm.NewSession(runtime.Options{Threads: min(o.Threads, runtime.MaxThreads), Observe: func(_, t int, data []float32) {
		for _, g := range reads[t] {
			g.add(data, image)
		}
	}})
	if err != nil {
		return err
	}
	defer s.Close()
	for n, i := range chosen {
		x, err := src.At(i)
		if err == nil {
			err = s.SetFloat(0, x)
		}
		if err != nil {
			return fmt.Errorf("calibration image %d: %w", i, err)
		}
		image = i
		if err := s.Run(ctx); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(n+1, len(chosen))
		}
	}
	for _, g := range layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if g.count < g.k {
			continue // a handful of vectors says little of how their elements vary together
		}
		g.finish()
		op := &c.m.Ops[g.op]
		ly, _, err := l.layerOf(op)
		if err != nil {
			return fmt.Errorf("operator %q: %w", op.Name, err)
		}
		ly.found = c.search(op, ly, l.pixels)
		if err := ly.roundBy(g, o.Threads); err != nil {
			return err
		}
		g.h = nil
	}
	return nil
}

// roundBy searches for the scale of every channel and improves its integers.
func (l *layer) roundBy(g *gram, threads int) error {
	if n := l.taps * l.in; n != g.k || len(l.w) != l.out*n || anyNotFinite(l.w) >= 0 {
		return fmt.Errorf("%s: weights that cannot be rounded", l.name)
	}
	var pairs *pairing
	if l.pairs {
		pairs = pairingOf(l.taps, l.in)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(max(threads, 1), l.out) {
		wg.Go(func() {
			c := newChannel(l, pairs)
			d := newDescent(g, pairs)
			for o := int(next.Add(1)) - 1; o < l.out; o = int(next.Add(1)) - 1 {
				first := c.load(o)
				l.found[o] = c.search()
				d.improve(&l.found[o], c.w, l.gain, first, l.in, o/(l.out/g.groups))
			}
		})
	}
	wg.Wait()
	return nil
}

// descent improves the integers of one channel after another; it holds the scratch for that.
type descent struct {
	g           *gram
	left, right []bool    // whether a weight must be safe with the one before it, and with the one after it
	d           []float64 // errors of the weights, in units of the float network's input
	slope       []float64 // H d
	unit        []float64 // what a step of one is in those units, over the scale
	v           []float64
}

func newDescent(g *gram, pairs *pairing) *descent {
	d := &descent{g: g, left: make([]bool, g.k), right: make([]bool, g.k)}
	for _, list := range []*[]float64{&d.d, &d.slope, &d.unit, &d.v} {
		*list = make([]float64, g.k)
	}
	if pairs != nil {
		k := 0
		for _, run := range pairs.runs {
			for i := range run {
				d.left[k], d.right[k] = i > 0, i < run-1
				k++
			}
		}
	}
	return d
}

// sweeps bounds how often all weights of a channel are tried; it ends earlier where no step helps.
const sweeps = 16

// improve lowers dT H d of a channel with real weights w.
func (s *descent) improve(best *chosen, w, gain []float64, first, in, group int) {
	if best.scale == 0 {
		return
	}
	h := s.g.h[group*s.g.k*s.g.k:][:s.g.k*s.g.k]
	for k := range s.unit {
		s.unit[k] = 1
		if gain != nil {
			s.unit[k] = 1 / gain[first+k%in]
		}
	}
	before := s.measure(h, best.q, w, float64(best.scale))
	after := before
	for range 2 {
		after += s.sweep(h, best.q, w, float64(best.scale))
		if e, scale := s.refit(h, best.q, w, float64(best.scale)); e < after {
			after, best.scale = e, scale
			after = s.measure(h, best.q, w, float64(scale))
		}
	}
	best.stats.before, best.stats.after = before, s.measure(h, best.q, w, float64(best.scale))
	best.stats.noise = 0
	for k, q := range best.q {
		e := float64(best.scale)*float64(q) - w[k]
		best.stats.noise += e * e
	}
}

// measure returns dT H d and leaves d and H d.
func (s *descent) measure(h []float32, q []int8, w []float64, scale float64) float64 {
	for k, v := range q {
		s.d[k] = (scale*float64(v) - w[k]) * s.unit[k]
	}
	return s.product(h, s.slope, s.d)
}

// product returns vT H v and leaves H v in to.
func (s *descent) product(h []float32, to, v []float64) float64 {
	clear(to)
	for k, f := range v {
		if f == 0 {
			continue
		}
		for j, c := range h[k*len(v):][:len(v)] {
			to[j] += f * float64(c)
		}
	}
	e := 0.0
	for k, f := range v {
		e += f * to[k]
	}
	return e
}

// sweep takes steps that help until none does, and returns by how much they changed dT H d.
func (s *descent) sweep(h []float32, q []int8, w []float64, scale float64) (change float64) {
	n := len(q)
	for range sweeps {
		moved := false
		for k := range q {
			step := 1
			if s.slope[k]*s.unit[k] > 0 {
				step = -1
			}
			f := float64(step) * scale * s.unit[k]
			gain := 2*f*s.slope[k] + f*f*float64(h[k*n+k])
			if !(gain < 0) || !s.allowed(q, k, step, w[k]/scale) {
				continue
			}
			q[k] += int8(step)
			for j, c := range h[k*n:][:n] {
				s.slope[j] += f * float64(c)
			}
			change += gain
			moved = true
		}
		if !moved {
			break
		}
	}
	return change
}

// allowed says whether weight k may take a step: to one of the two integers around t, or nearer to it, in the range, and safe
// with its neighbours.
func (s *descent) allowed(q []int8, k, step int, t float64) bool {
	v := int(q[k]) + step
	if v > weightMax || v < -weightMax {
		return false
	}
	if off := math.Abs(float64(v) - t); off >= 1 && off > math.Abs(float64(q[k])-t) {
		return false
	}
	return !(s.left[k] && clash(int(q[k-1]), v)) && !(s.right[k] && clash(v, int(q[k+1])))
}

// refit returns the scale that suits the integers best, and dT H d with it.
func (s *descent) refit(h []float32, q []int8, w []float64, scale float64) (e float64, best float32) {
	for k, v := range q {
		s.v[k] = float64(v) * s.unit[k]
	}
	qq := s.product(h, s.slope, s.v)
	wq := 0.0
	for k, f := range w {
		wq += f * s.unit[k] * s.slope[k]
	}
	best = float32(wq / qq)
	if !(best > 0) || math.IsInf(float64(best), 0) || math.Abs(float64(best)/scale-1) > 0.1 {
		best = float32(scale)
	}
	return s.measure(h, q, w, float64(best)), best
}
