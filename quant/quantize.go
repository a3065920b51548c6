package quant

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Quantize returns the int8 form of the float model m, calibrated over the images of src, and what that cost. m is not
// changed; the result shares no memory with it.
//
// Errors name the operator or tensor. Cancelling ctx stops between two images.
func Quantize(ctx context.Context, m *format.Model, src Source, o Options) (*format.Model, *Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	p, err := prepare(ctx, m, src, o)
	if err != nil {
		return nil, nil, err
	}
	return p.lower(o, mixture{})
}

// prepared is a float model whose channels suit int8, with what was observed of it.
type prepared struct {
	c         *calibration
	scaled    []equalized
	reordered int
}

// prepare does what comes before the choice of grids.
func prepare(ctx context.Context, m *format.Model, src Source, o Options) (*prepared, error) {
	if err := checkFloat(m); err != nil {
		return nil, err
	}
	if err := format.Validate(m); err != nil {
		return nil, err
	}
	if src == nil || src.Len() == 0 {
		return nil, errors.New("quant: no calibration images; int8 needs at least one, a hundred are better")
	}
	p := &prepared{}
	m = simplify(m)
	var err error
	if !o.KeepScales && equalizable(m) {
		survey := o
		survey.Images = min(len(o.selection(src.Len())), surveyImages)
		progress := o.Progress
		o.Progress, survey.Progress = nil, nil
		if progress != nil {
			extra := survey.Images
			survey.Progress = func(done, total int) { progress(done, extra+len(o.selection(src.Len()))) }
			o.Progress = func(done, total int) { progress(extra+done, extra+total) }
		}
		if m, p.scaled, err = withEvenChannels(ctx, m, src, survey); err != nil {
			return nil, err
		}
	}
	if !o.KeepOrder && o.Weights == PairSafe {
		m, p.reordered = reorder(m)
	}
	if p.c, err = calibrate(ctx, m, src, o); err == nil && o.RoundSeconds > 0 {
		err = p.c.roundByData(ctx, src, o)
	}
	return p, err
}

// lower makes the quantized model and its report.
func (p *prepared) lower(o Options, mix mixture) (*format.Model, *Report, error) {
	q, rep, err := lower(p.c, o, mix)
	if err != nil {
		return nil, nil, err
	}
	rep.sumUp()
	rep.Reordered = p.reordered
	for _, e := range p.scaled {
		rep.Equalized = append(rep.Equalized, EqualizedTensor{e.tensor, e.gain})
	}
	return q, rep, nil
}

// surveyImages are enough to find the ranges of channels.
const surveyImages = 64

// withEvenChannels observes the ranges of m's channels and equalizes them.
func withEvenChannels(ctx context.Context, m *format.Model, src Source, o Options) (*format.Model, []equalized, error) {
	c, err := newCalibration(m, o.Threads)
	if err != nil {
		return nil, nil, err
	}
	for t := range c.tensors {
		c.tensors[t].perChannel()
	}
	if err := c.run(ctx, src, o); err != nil {
		return nil, nil, err
	}
	m, scaled := equalize(m, c)
	return m, scaled, nil
}

// checkFloat reports a model that is not one of floats from end to end.
func checkFloat(m *format.Model) error {
	if m == nil {
		return errors.New("quant: no model")
	}
	index := map[int]bool{}
	for i := range m.Ops {
		if op := &m.Ops[i]; op.Kind == format.OpGather && len(op.Inputs) > 1 {
			index[op.Inputs[1]] = true
		}
	}
	for i := range m.Tensors {
		if index[i] {
			continue
		}
		switch t := &m.Tensors[i]; t.DType {
		case format.F32, format.F16:
		default:
			return fmt.Errorf("quant: tensor %q is of an integer type: the model is already quantized; start from its float form", t.Name)
		}
	}
	return nil
}
