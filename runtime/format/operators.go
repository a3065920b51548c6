package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// checkOps checks shapes and values of each operator, once every tensor is known to be sound by itself.
func (g *graph) checkOps() error {
	for i := range g.m.Ops {
		op := &g.m.Ops[i]
		o := opView{op: op, form: g.m.formOf(op), quant: g.m.formOf(op) == op.Kind.signature().quant}
		o.in = g.tensors(op.Inputs, max(len(o.form.in), len(op.Inputs)))
		o.out = g.tensors(op.Outputs, len(o.form.out))
		o.inner = g.tensors(op.Inner, len(op.Inner))
		if err := o.check(); err != nil {
			return failOp(g.m, i, "%v", err)
		}
	}
	return nil
}

// tensors resolves indices to n tensors, nil for absent ones.
func (g *graph) tensors(idx []int, n int) []*Tensor {
	ts := make([]*Tensor, n)
	for i, t := range idx {
		if t >= 0 {
			ts[i] = &g.m.Tensors[t]
		}
	}
	return ts
}

// opView is an operator with its tensors; absent optional ones are nil.
type opView struct {
	op             *Op
	form           *form
	quant          bool
	in, out, inner []*Tensor
}

func (o *opView) check() error {
	for i, t := range o.in {
		s := o.form.slotOf(i)
		if t == nil {
			continue
		}
		if (s.use == useWeights || s.use == useOperand) && len(t.Shape) != 4 {
			return fmt.Errorf("%s has shape %v: want four dimensions", s.name, t.Shape)
		}
		if s.use == useOperand && t.Data != nil {
			if t.Shape[0] != 1 {
				return fmt.Errorf("%s has shape %v: want (1,height,width,channels)", s.name, t.Shape)
			}
			if o.quant && len(t.Scale) != 1 {
				return fmt.Errorf("%s is a constant with %d scales: want 1", s.name, len(t.Scale))
			}
		}
	}
	shapes, err := outShapes(o.op, o.in, o.out)
	if err != nil {
		return err
	}
	for i, t := range o.out {
		if t != nil && !slices.Equal(t.Shape, shapes[i]) {
			return fmt.Errorf("%s has shape %v, the inputs give %v", o.form.out[i].name, t.Shape, shapes[i])
		}
	}
	if o.form.attrs&attrsQ != 0 {
		if lo, hi := o.out[0].DType.qrange(); o.op.Attr.QLo < lo || o.op.Attr.QHi > hi {
			return fmt.Errorf("quantized clamp from %d to %d: %v has %d..%d", o.op.Attr.QLo, o.op.Attr.QHi, o.out[0].DType, lo, hi)
		}
	}
	if want := o.multipliers(); len(o.op.Attr.Mults) != want {
		return fmt.Errorf("%d multipliers: want %d", len(o.op.Attr.Mults), want)
	}
	switch o.op.Kind {
	case OpConv2D, OpDepthwiseConv2D, OpFullyConnected:
		return o.checkConv()
	case OpUnary:
		return o.checkUnary()
	case OpPad:
		return o.sameGrid("padding")
	case OpGather:
		return o.checkGather()
	case OpPermute:
		return o.sameGrid("permuting")
	case OpNormalize:
		return o.checkNormalize()
	case OpSoftmax:
		if f := o.op.Attr.Func; f != 0 && f != FuncLog {
			return fmt.Errorf("func %v of a softmax: want none or %v", f, FuncLog)
		}
	case OpResize:
		if o.op.Attr.Mode == 0 {
			return fmt.Errorf("no interpolation mode")
		}
		if o.op.Attr.Mode != ModeBilinear && o.op.Attr.AlignCorners {
			return fmt.Errorf("align_corners with mode %v", o.op.Attr.Mode)
		}
	case OpRFGA:
		return o.checkRFGA()
	case OpCAMHead:
		return o.checkHead()
	}
	return nil
}

// multipliers is how many values Mults has.
func (o *opView) multipliers() int {
	if o.form.attrs&attrsMults == 0 {
		return 0
	}
	switch o.op.Kind {
	case OpAdd:
		return 2
	case OpConcat:
		return len(o.in)
	case OpRFGA:
		return 4
	}
	return 1
}

func (o *opView) checkConv() error {
	x, c := o.in[0], o.out[0].Shape[3]
	if err := o.shaped(2, c); err != nil {
		return err
	}
	if !o.quant {
		return nil
	}
	if err := o.weightScales(1, c); err != nil {
		return err
	}
	if err := o.shaped(3, c); err != nil {
		return err
	}
	if err := checkMults(o.in[3]); err != nil {
		return err
	}
	pad := o.in[4]
	if pad == nil {
		return nil
	}
	if o.op.Kind == OpFullyConnected {
		return fmt.Errorf("padding values, but a fully connected operator has no padding")
	}
	if pad.DType != x.DType {
		return fmt.Errorf("padding values are %v, the input is %v", pad.DType, x.DType)
	}
	return o.shaped(4, x.Shape[3])
}

// shaped checks that input i has the shape, if it is present.
func (o *opView) shaped(i int, shape ...int) error {
	if t := o.in[i]; t != nil && !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("%s has shape %v: want %v", o.form.in[i].name, t.Shape, shape)
	}
	return nil
}

// weightScales checks that quantized weights have one scale, or one per output channel.
func (o *opView) weightScales(i, channels int) error {
	if n := len(o.in[i].Scale); n != 1 && n != channels {
		return fmt.Errorf("%s has %d scales: want 1 or %d", o.form.in[i].name, n, channels)
	}
	return nil
}

func (o *opView) checkUnary() error {
	a, c := &o.op.Attr, o.in[0].Shape[3]
	switch a.Func {
	case 0:
		return fmt.Errorf("no function")
	case FuncLeakyReLU, FuncELU:
	default:
		if a.B != 1 || a.A != 1 && a.Func != FuncPow {
			return fmt.Errorf("a = %v, b = %v: %v does not have that parameter", a.A, a.B, a.Func)
		}
	}
	if o.quant {
		x, t, y := o.in[0], o.in[1], o.out[0]
		if x.DType == I8 && t.DType == I8 && y.DType == I8 {
			if s := t.Shape; !slices.Equal(s, []int{256}) && !slices.Equal(s, []int{c, 256}) {
				return fmt.Errorf("table has shape %v: want [256], or [%d 256]", s, c)
			}
			return nil
		}
		if t.DType != y.DType {
			return fmt.Errorf("table is %v, the output %v", t.DType, y.DType)
		}
		lo, hi := x.DType.qrange()
		return o.shaped(1, int(hi-lo)+1)
	}
	if (o.in[1] != nil) != (a.Func == FuncPReLU) {
		return fmt.Errorf("%v, and a slope is present: %v", a.Func, o.in[1] != nil)
	}
	return o.shaped(1, c)
}

// sameGrid checks that an operator that only moves elements keeps their quantization.
func (o *opView) sameGrid(what string) error {
	x, y := o.in[0], o.out[0]
	if o.quant && (x.DType != y.DType || x.Scale[0] != y.Scale[0] || x.Zero != y.Zero) {
		return fmt.Errorf("%s keeps the quantization: %v scale %v zero %d becomes %v scale %v zero %d",
			what, x.DType, x.Scale[0], x.Zero, y.DType, y.Scale[0], y.Zero)
	}
	return nil
}

func (o *opView) checkGather() error {
	n := o.in[0].Shape[o.op.Attr.Axis]
	for i := 0; i < len(o.in[1].Data); i += 4 {
		if k := int32(binary.LittleEndian.Uint32(o.in[1].Data[i:])); k < 0 || int(k) >= n {
			return fmt.Errorf("index %d is %d: axis %d of the input has %d", i/4, k, o.op.Attr.Axis, n)
		}
	}
	return o.sameGrid("gathering")
}

func (o *opView) checkNormalize() error {
	a, s := &o.op.Attr, o.in[0].Shape
	if a.Axis != 1 && a.Axis != 3 {
		return fmt.Errorf("axis %d: want 3, each position by itself, or 1, all positions", a.Axis)
	}
	if s[3]%a.Groups != 0 {
		return fmt.Errorf("%d groups do not divide %d channels", a.Groups, s[3])
	}
	n := s[3] / a.Groups
	if a.Axis == 1 {
		n *= s[1] * s[2] // at most MaxElements
	}
	if n > MaxNormalize {
		return fmt.Errorf("%d elements are normalised together, at most %d", n, MaxNormalize)
	}
	if a.Epsilon < minEpsilon {
		return fmt.Errorf("epsilon %v: want at least %v", a.Epsilon, float32(minEpsilon))
	}
	for i := 1; i <= 2; i++ {
		if err := o.shaped(i, s[3]); err != nil {
			return err
		}
		for k := 0; o.quant && k < len(o.in[i].Data); k += 4 {
			if v := math.Float32frombits(binary.LittleEndian.Uint32(o.in[i].Data[k:])); !(math.Abs(float64(v)) <= maxNormScale) {
				return fmt.Errorf("%s %d is %v: want numbers of at most %g", o.form.in[i].name, k/4, v, maxNormScale)
			}
		}
	}
	return nil
}

// minEpsilon keeps the divisor of a normalisation of equal elements a normal number. maxNormScale keeps the products of
// the quantized form finite.
const (
	minEpsilon   = 0x1p-60
	maxNormScale = 0x1p100
)

func (o *opView) checkRFGA() error {
	h, w, c := o.in[0].Shape[1], o.in[0].Shape[2], o.in[0].Shape[3]
	for i, shape := range [3][]int{{c, 1, 1, 3}, {c, 3, 1, c}, {c, 1, 3, c}} {
		if err := o.shaped(1+2*i, shape...); err != nil {
			return err
		}
		if err := o.shaped(2+2*i, c); err != nil {
			return err
		}
		if !o.quant {
			continue
		}
		if err := o.weightScales(1+2*i, c); err != nil {
			return err
		}
		if err := o.shaped(7+i, c); err != nil {
			return err
		}
		if err := checkMults(o.in[7+i]); err != nil {
			return err
		}
	}
	if !o.quant {
		return nil
	}
	for i, t := range o.inner {
		want := [3][]int{{1, 1, 1, c}, {1, h, 1, c}, {1, 1, w, c}}[i%3]
		if !slices.Equal(t.Shape, want) {
			return fmt.Errorf("inner tensor %s has shape %v: want %v", o.form.inner[i], t.Shape, want)
		}
	}
	if err := o.shaped(10, 3, 256); err != nil {
		return err
	}
	for i := 0; i < len(o.in[10].Data); i += 2 {
		if v := int16(binary.LittleEndian.Uint16(o.in[10].Data[i:])); v < 0 || v > 1<<14 {
			return fmt.Errorf("table entry %d is %d: a sigmoid in Q14 is 0..16384", i/2, v)
		}
	}
	return nil
}

func (o *opView) checkHead() error {
	logits, maps := o.out[0], o.out[1]
	classes := logits.Shape[3]
	if err := o.shaped(2, classes); err != nil {
		return err
	}
	if !o.quant {
		return nil
	}
	if x := o.in[0]; maps != nil && (maps.DType == I64) != (x.DType == I16) {
		return fmt.Errorf("maps are %v of an input of %v: want i32 of i8, i64 of i16", maps.DType, x.DType)
	}
	if maps != nil && !slices.Equal(maps.Scale, logits.Scale) {
		return fmt.Errorf("logits and maps have different scales")
	}
	return o.weightScales(1, classes)
}

// checkMults checks a constant of per-channel requantization multipliers.
func checkMults(t *Tensor) error {
	for i := 0; i < len(t.Data); i += 4 {
		if v := math.Float32frombits(binary.LittleEndian.Uint32(t.Data[i:])); !isScale(v) {
			return fmt.Errorf("multiplier %d (tensor %s) is %v: want a finite, positive, normal number", i/4, quote(t.Name), v)
		}
	}
	return nil
}

// checkWeights checks that padding is zero and that no quantized weight is -128: the contract's range is symmetric, and
// kernels rely on it.
func checkWeights(t *Tensor) error {
	if t.DType == I8 {
		if t.Zero != 0 {
			return fmt.Errorf("zero point %d: quantized weights are symmetric", t.Zero)
		}
		if i := bytes.IndexByte(t.Data, 0x80); i >= 0 {
			return fmt.Errorf("weight %d is -128: quantized weights are -127..127", i)
		}
	}
	run := t.Shape[len(t.Shape)-1] * t.DType.Size()
	stride := PadChannels(t.Shape[len(t.Shape)-1]) * t.DType.Size()
	if run == stride {
		return nil
	}
	for i := 0; i < len(t.Data); i += stride {
		for _, v := range t.Data[i+run : i+stride] {
			if v != 0 {
				return fmt.Errorf("run %d is not padded with zeros", i/stride)
			}
		}
	}
	return nil
}
