package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Float layers inside of a quantized model. A float operator is the float model's own, its weights in half precision; between
// two of them an activation stays float32. Where a quantized operator reads what a float one made, the activation is rounded
// to the grid that it would have had; the other way round it is expanded.

// float emits an operator as it stands in the float model.
func (l *lowerer) float(op *format.Op) error {
	out := format.Op{Kind: op.Kind, Name: op.Name, Attr: op.Attr}
	if op.Kind == format.OpFullyConnected && l.isClassifier(op) {
		out.Kind = format.OpCAMHead // as the quantized form becomes one
		out.Attr = format.NewAttr()
	}
	weights := weightInputs(op)
	for k, t := range op.Inputs {
		switch {
		case t < 0:
			out.Inputs = append(out.Inputs, -1)
		case l.m.Tensors[t].Data == nil:
			x, err := l.expanded(t)
			if err != nil {
				return err
			}
			out.Inputs = append(out.Inputs, x)
		case slices.Contains(weights, k):
			w, err := halved(&l.m.Tensors[t])
			if err != nil {
				return err
			}
			out.Inputs = append(out.Inputs, l.tensor(w))
		default:
			out.Inputs = append(out.Inputs, l.tensor(l.m.Tensors[t]))
		}
	}
	for _, t := range op.Outputs {
		if t < 0 {
			out.Outputs = append(out.Outputs, -1)
			continue
		}
		l.real[t] = l.realTensor(t)
		out.Outputs = append(out.Outputs, l.real[t])
	}
	l.out.Ops = append(l.out.Ops, out)
	return nil
}

// realTensor adds activation t of the float model as it is.
func (l *lowerer) realTensor(t int) int {
	src := &l.m.Tensors[t]
	if l.c.watch[t] {
		o, layer := &l.c.tensors[t], ""
		if l.maker[t] >= 0 {
			layer = l.m.Ops[l.maker[t]].Name
		}
		l.rep.Tensors = append(l.rep.Tensors, TensorReport{Name: src.Name, Layer: layer, Min: o.min, Max: o.max, Type: format.F32.String()})
	}
	return l.tensor(format.Tensor{Name: src.Name, DType: format.F32, Shape: slices.Clone(src.Shape)})
}

// expanded returns the float32 tensor for an activation that a float operator reads.
func (l *lowerer) expanded(t int) (int, error) {
	if l.real[t] < 0 {
		x, _, err := l.input(t)
		if err != nil {
			return 0, err
		}
		src := &l.m.Tensors[t]
		l.real[t] = l.tensor(format.Tensor{Name: src.Name + ".real", DType: format.F32, Shape: slices.Clone(src.Shape)})
		l.out.Ops = append(l.out.Ops, format.Op{Kind: format.OpDequantize, Name: src.Name + ".real", Inputs: []int{x}, Outputs: []int{l.real[t]}, Attr: format.NewAttr()})
	}
	return l.real[t], nil
}

// round makes the quantized form of an activation that a float operator made.
func (l *lowerer) round(t int) {
	y := l.activation(t)
	l.out.Tensors[y].Name += ".rounded"
	l.out.Ops = append(l.out.Ops, format.Op{Kind: format.OpQuantize, Name: l.out.Tensors[y].Name, Inputs: []int{l.real[t]}, Outputs: []int{y}, Attr: format.NewAttr()})
}

// beginInput makes the input tensor: the real values where a float operator reads them.
func (l *lowerer) beginInput() {
	if !l.floatInput() {
		l.out.Input = l.activation(l.m.Input)
		return
	}
	l.real[l.m.Input] = l.realTensor(l.m.Input)
	l.out.Input = l.real[l.m.Input]
}

// floatInput says whether a float operator reads the model's input.
func (l *lowerer) floatInput() bool {
	for i := range l.m.Ops {
		if at(l.mix.float, i) && slices.Contains(l.m.Ops[i].Inputs, l.m.Input) {
			return true
		}
	}
	return false
}

// weightInputs are the places of an operator's weights among its inputs.
func weightInputs(op *format.Op) []int {
	switch op.Kind {
	case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpCAMHead:
		return []int{1}
	case format.OpRFGA:
		return []int{1, 3, 5}
	}
	return nil
}

// halved is a constant in half precision; one with values beyond its range stays as it is.
func halved(t *format.Tensor) (format.Tensor, error) {
	out := *t
	if t.DType != format.F32 {
		return out, nil
	}
	v, err := decode(t)
	if err != nil {
		return out, err
	}
	half := make([]byte, 0, 2*len(v))
	for k, f := range v {
		if f-f != 0 {
			return out, fmt.Errorf("element %d of %q is %v", k, t.Name, f)
		}
		if math.Abs(float64(f)) > kernels.MaxHalf {
			return out, nil
		}
		half = binary.LittleEndian.AppendUint16(half, kernels.FloatToHalf(f))
	}
	out.DType, out.Data = format.F16, half
	return out, nil
}
