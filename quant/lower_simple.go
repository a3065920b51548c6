package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func (l *lowerer) binary(op *format.Op) error {
	if len(op.Inputs) != 2 {
		return fmt.Errorf("%d inputs instead of 2", len(op.Inputs))
	}
	a, ga, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	b, gb, err := l.operand(op.Inputs[1])
	if err != nil {
		return err
	}
	y := op.Outputs[0]
	gy := l.grids[y]
	at := op.Attr
	sa, sb, sy := float64(ga.scale), float64(gb.scale), float64(gy.scale)
	if op.Kind == format.OpAdd {
		at.Mults = []float32{float32(sa / sy), float32(sb / sy)}
	} else {
		at.Mults = []float32{float32(sa * sb / sy)}
	}
	at.QLo, at.QHi = gy.clamp(at.ClampLo, at.ClampHi)
	l.emit(op, op.Kind, []int{a, b}, []int{l.activation(y)}, at)
	return nil
}

func (l *lowerer) unary(op *format.Op) error {
	x, gx, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	f, perChannel, err := l.functionOf(op)
	if err != nil {
		return err
	}
	y := op.Outputs[0]
	gy := l.grids[y]
	if gx.wide || gy.wide {
		if perChannel {
			return fmt.Errorf("a function with a parameter for each channel has no int16 form: leave its input and output in int8")
		}
		lo, hi := gx.bounds()
		t := format.Tensor{Name: op.Name + ".table", DType: gy.dtype(), Shape: []int{hi - lo + 1}}
		for q := lo; q <= hi; q++ {
			if v := gy.quantize(f(gx.real(q), 0)); gy.wide {
				t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(v))
			} else {
				t.Data = append(t.Data, byte(v))
			}
		}
		l.emit(op, op.Kind, []int{x, l.tensor(t)}, []int{l.activation(y)}, op.Attr)
		return nil
	}
	shape, tables := []int{256}, 1
	if perChannel {
		tables = l.m.Tensors[y].Shape[3]
		shape = []int{tables, 256}
	}
	table := make([]int8, tables*256)
	for i := range table {
		table[i] = int8(gy.quantize(f(gx.real(i%256-128), i/256)))
	}
	l.emit(op, op.Kind, []int{x, l.constI8(op.Name+".table", shape, table)}, []int{l.activation(y)}, op.Attr)
	return nil
}

// functions are exact to float64: they only fill tables that the file stores.
var functions = map[format.Func]func(float64) float64{
	format.FuncReLU:        func(x float64) float64 { return max(x, 0) },
	format.FuncReLU6:       func(x float64) float64 { return min(max(x, 0), 6) },
	format.FuncSigmoid:     sigmoid,
	format.FuncSwish:       func(x float64) float64 { return x * sigmoid(x) },
	format.FuncHardSigmoid: hardSigmoid,
	format.FuncHardSwish:   func(x float64) float64 { return x * hardSigmoid(x) },
	format.FuncTanh:        math.Tanh,
	format.FuncSoftplus:    softplus,
	format.FuncMish:        func(x float64) float64 { return x * math.Tanh(softplus(x)) },
	format.FuncGELU:        func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
	format.FuncGELUTanh:    func(x float64) float64 { return x * sigmoid(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)) },
	format.FuncErf:         math.Erf,
	format.FuncExp:         math.Exp,
	format.FuncLog:         math.Log,
	format.FuncSqrt:        math.Sqrt,
	format.FuncReciprocal:  func(x float64) float64 { return 1 / x },
	format.FuncAbs:         math.Abs,
	format.FuncSoftsign:    func(x float64) float64 { return x / (1 + math.Abs(x)) },
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func hardSigmoid(x float64) float64 { return min(max(x+3, 0), 6) / 6 }

// rescale serves the operators whose only quantized attribute is the input's scale over the output's.
func (l *lowerer) rescale(op *format.Op) error {
	x, gx, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	s, y := l.m.Tensors[op.Inputs[0]].Shape, op.Outputs[0]
	if op.Kind == format.OpGlobalAvgPool {
		if err := sumFits(s[1], s[2]); err != nil {
			return err
		}
	}
	a := op.Attr
	a.Mults = []float32{float32(float64(gx.scale) / float64(l.grids[y].scale))}
	l.emit(op, op.Kind, []int{x}, []int{l.activation(y)}, a)
	return nil
}

// sumFits reports whether h*w bytes can be summed in 32 bits.
func sumFits(h, w int) error {
	if h > accMax/255/w {
		return fmt.Errorf("a sum over %dx%d positions does not fit into 32 bits", h, w)
	}
	return nil
}

func (l *lowerer) concat(op *format.Op) error {
	y := op.Outputs[0]
	a := op.Attr
	a.Mults = nil
	var in []int
	for _, t := range op.Inputs {
		x, g, err := l.input(t)
		if err != nil {
			return err
		}
		in = append(in, x)
		a.Mults = append(a.Mults, float32(float64(g.scale)/float64(l.grids[y].scale)))
	}
	l.emit(op, op.Kind, in, []int{l.activation(y)}, a)
	return nil
}

func (l *lowerer) pad(op *format.Op) error {
	x, _, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	l.emit(op, op.Kind, []int{x}, []int{l.activation(op.Outputs[0])}, op.Attr)
	return nil
}

// softmax reads int8 and writes float32, which only an output of the graph may be.
func (l *lowerer) softmax(op *format.Op) error {
	x, _, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	y := op.Outputs[0]
	src := l.m.Tensors[y]
	l.index[y] = l.tensor(format.Tensor{Name: src.Name, DType: format.F32, Shape: append([]int(nil), src.Shape...)})
	l.emit(op, op.Kind, []int{x}, []int{l.index[y]}, op.Attr)
	return nil
}
