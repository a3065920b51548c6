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
	if err := checkFloat(m); err != nil {
		return nil, nil, err
	}
	if err := format.Validate(m); err != nil {
		return nil, nil, err
	}
	m = simplify(m)
	c, err := calibrate(ctx, m, src, o)
	if err != nil {
		return nil, nil, err
	}
	return lower(c, o)
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
