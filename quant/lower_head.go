package quant

import (
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// head makes a class activation head: its accumulators are the result, without requantization.
func (l *lowerer) head(i int, op *format.Op) error {
	x, in, err := l.input(op.Inputs[0])
	if err != nil {
		return err
	}
	ly, shape, err := l.constants(op)
	if err != nil {
		return err
	}
	ly.scaleIn = float64(in.scale)
	ly.mean = l.c.tensors[op.Inputs[0]].means()
	fine := at(l.mix.fine, i)
	if fine && ly.in > mostFine {
		l.note("%s: %d channels are too many for sums of finer weights: they stay int8", op.Name, ly.in)
		fine = false
	}
	var res *quantized
	if fine {
		if k := anyNotFinite(ly.w); k >= 0 {
			return fmt.Errorf("weight %d of class %d is %v", k%ly.in, k/ly.in, ly.w[k])
		}
		if k := anyNotFinite(ly.bias); k >= 0 {
			return fmt.Errorf("the bias of class %d is %v", k, ly.bias[k])
		}
		if ly.bias == nil {
			ly.bias = make([]float32, ly.out)
		}
		x, in = l.twice(op, x, in)
		shape = []int{shape[0], 1, 1, 2 * shape[3]}
		res = ly.fine(float64(in.scale))
		res.stats.Kind = kindNames[op.Kind]
		l.rep.Layers = append(l.rep.Layers, res.stats)
	} else if res, err = l.finish(op, ly); err != nil {
		return err
	}
	scale := make([]float32, ly.out)
	for k, s := range res.scale {
		scale[k] = float32(float64(in.scale) * float64(s))
	}
	var outputs []int
	for i, t := range op.Outputs {
		if t < 0 {
			continue
		}
		src := &l.m.Tensors[t]
		dtype := format.I64
		if i == 1 && !in.wide {
			dtype = format.I32
		}
		l.index[t] = l.tensor(format.Tensor{Name: src.Name, DType: dtype, Shape: append([]int(nil), src.Shape...), Scale: append([]float32(nil), scale...)})
		outputs = append(outputs, l.index[t])
	}
	l.emit(op, format.OpCAMHead, append([]int{x}, l.linearConstants(op, res, shape, res.q)...), outputs, format.NewAttr())
	return nil
}

// A head's results are sums, not activations: there is no second head to add, as other layers have (lower_parts.go). So the parts of
// its weights, w = coarse + fine/fineSteps, stand side by side and the channels come twice, as x and as x/fineSteps.
const (
	fineSteps = 128
	// fineCoarse is the most that a coarse part is: two of them, and of the fine ones, are a safe pair.
	fineCoarse = 64
	// mostFine input channels keep the sums of a plane of bytes in 32 bits.
	mostFine = accMax / (2 * 255 * fineCoarse)
)

// twice emits the concatenation of an activation and a fineSteps-th of it. An int8 one is exact in int16, which has room for
// 128 times its values; an int16 one keeps its grid, the second copy being rounded to it.
func (l *lowerer) twice(op *format.Op, x int, in grid) (int, grid) {
	out, mults := grid{in.scale / fineSteps, 0, true}, []float32{fineSteps, 1}
	if in.wide {
		out, mults = in, []float32{1, 1. / fineSteps}
	}
	shape := l.out.Tensors[x].Shape
	name := op.Name + ".twice"
	y := l.quantized(name, []int{1, shape[1], shape[2], 2 * shape[3]}, out)
	a := format.NewAttr()
	a.Axis, a.Mults = 3, mults
	l.emit(&format.Op{Name: name}, format.OpConcat, []int{x, x}, []int{y}, a)
	return y, out
}

// fine quantizes a head's weights to about 14 bits: for each class the coarse parts of all channels, then the fine ones. scaleIn is
// that of the doubled input; a class's scale is that of its coarse part.
func (l *layer) fine(scaleIn float64) *quantized {
	n := l.in
	res := &quantized{q: make([]int8, 2*len(l.w)), scale: make([]float32, l.out), bias: make([]int32, l.out)}
	stats := make([]channelStats, l.out)
	for k := range l.out {
		st, w := &stats[k], l.w[k*n:][:n]
		for _, v := range w {
			st.lo, st.hi = min(st.lo, float64(v)), max(st.hi, float64(v))
		}
		// The bias, too, must fit in its 32 bits.
		step := max(max(-st.lo, st.hi)/(fineCoarse*fineSteps+fineSteps/2-1), math.Abs(float64(l.bias[k]))/(scaleIn*fineSteps*0x1p30), 0x1p-80)
		scale := float64(float32(step * fineSteps))
		step = scale / fineSteps
		coarse, fine := res.q[2*k*n:][:n], res.q[(2*k+1)*n:][:n]
		for i, v := range w {
			q := math.RoundToEven(float64(v) / step)
			c := math.RoundToEven(q / fineSteps)
			coarse[i], fine[i] = int8(c), int8(q-fineSteps*c)
			e := float64(v) - q*step
			st.signal, st.noise = st.signal+float64(v)*float64(v), st.noise+e*e
		}
		st.noiseFull = st.noise
		res.scale[k] = float32(scale)
		res.bias[k] = int32(math.RoundToEven(float64(l.bias[k]) / (scaleIn * scale)))
	}
	res.stats = l.report(res, stats)
	return res
}
