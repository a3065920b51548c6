package quant

import (
	"context"
	"fmt"

	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// calibration is what was observed of a float model's activations.
type calibration struct {
	m       *format.Model
	images  int        // seen
	of      int        // in the source
	tensors []observer // by tensor index
	views   map[int]*viewObserver
	watch   []bool // tensors that become int8
	err     error  // the first of a run
	// weights remembers the searches for scales, by layer: a model may be lowered several times.
	weights map[searched][]chosen
}

// searched names a layer of an operator of the model; its weights are others where it takes bytes.
type searched struct {
	op     *format.Op
	layer  string
	pixels bool
}

// search returns where the scales found for ly are remembered.
func (c *calibration) search(op *format.Op, ly *layer, pixels bool) []chosen {
	k := searched{op, ly.name, pixels}
	if c.weights == nil {
		c.weights = map[searched][]chosen{}
	}
	if c.weights[k] == nil {
		c.weights[k] = make([]chosen, ly.out)
	}
	return c.weights[k]
}

func newCalibration(m *format.Model, threads int) (*calibration, error) {
	c := &calibration{m: m, tensors: make([]observer, len(m.Tensors)), views: map[int]*viewObserver{}, watch: make([]bool, len(m.Tensors))}
	c.watch[m.Input] = true
	c.tensors[m.Input].sums = make([]float64, m.Tensors[m.Input].Shape[3])
	for i := range m.Ops {
		op := &m.Ops[i]
		switch op.Kind {
		case format.OpCAMHead, format.OpSoftmax:
			continue // their results are not int8
		case format.OpRFGA:
			v, err := newViewObserver(m, op, threads)
			if err != nil {
				return nil, fmt.Errorf("operator %q: %w", op.Name, err)
			}
			c.views[i] = v
		}
		for _, t := range op.Outputs {
			if t >= 0 {
				c.watch[t] = true
				c.tensors[t].sums = make([]float64, m.Tensors[t].Shape[3])
			}
		}
	}
	return c, nil
}

// observe takes the values of one activation of one image, in NHWC order.
func (c *calibration) observe(t int, data []float32) {
	if c.err != nil || !c.watch[t] {
		return
	}
	if !c.tensors[t].add(data) {
		c.err = fmt.Errorf("tensor %q: a value is infinite or not a number", c.m.Tensors[t].Name)
		return
	}
	for i, v := range c.views {
		if c.m.Ops[i].Inputs[0] != t {
			continue
		}
		if !v.add(data) {
			c.err = fmt.Errorf("operator %q: a value inside is infinite or not a number", c.m.Ops[i].Name)
			return
		}
	}
}

// calibrate runs the float model over the images of src that o selects.
func calibrate(ctx context.Context, m *format.Model, src Source, o Options) (*calibration, error) {
	c, err := newCalibration(m, o.Threads)
	if err != nil {
		return nil, err
	}
	return c, c.run(ctx, src, o)
}

// run observes the images of src that o selects.
func (c *calibration) run(ctx context.Context, src Source, o Options) error {
	m := c.m
	registerMatMul()
	rm, err := runtime.FromFormat(m)
	if err != nil {
		return err
	}
	defer rm.Close()
	s, err := rm.NewSession(runtime.Options{Threads: min(o.Threads, runtime.MaxThreads), Observe: func(_, t int, data []float32) { c.observe(t, data) }})
	if err != nil {
		return err
	}
	defer s.Close()
	c.of = src.Len()
	chosen := o.selection(c.of)
	for _, i := range chosen {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := src.At(i)
		if err != nil {
			return fmt.Errorf("calibration image %d: %w", i, err)
		}
		if err := s.SetFloat(0, x); err != nil {
			return fmt.Errorf("calibration image %d: %w", i, err)
		}
		if err := s.Run(ctx); err != nil {
			return err
		}
		if c.err != nil {
			return fmt.Errorf("calibration image %d: %w", i, c.err)
		}
		c.images++
		if o.Progress != nil {
			o.Progress(c.images, len(chosen))
		}
	}
	return nil
}
