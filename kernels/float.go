package kernels

import (
	"fmt"
	"math"
)

// Func is an elementwise function of PrepareUnaryF32; the values are those of the model format.
type Func uint8

const (
	ReLU        Func = 1 // max(x,0)
	ReLU6       Func = 2 // min(max(x,0),6)
	Sigmoid     Func = 3 // 1/(1+exp(-x))
	Swish       Func = 4 // x*sigmoid(x)
	HardSigmoid Func = 5 // min(max(x+3,0),6)/6
	HardSwish   Func = 6 // x*hardsigmoid(x)
)

// At returns f(x), the same bits on every machine; NaN if f is unknown.
func (f Func) At(x float32) float32 {
	switch f {
	case ReLU:
		return max(x, 0)
	case ReLU6:
		return min(max(x, 0), 6)
	case Sigmoid:
		return Sigmoid32(x)
	case Swish:
		return float32(float64(x) * sigmoid64(float64(x)))
	case HardSigmoid:
		return min(max(x+3, 0), 6) / 6
	case HardSwish:
		return float32(x*min(max(x+3, 0), 6)) / 6
	}
	return float32(math.NaN())
}

// PrepareUnaryF32 returns y = f(x) over n elements.
func PrepareUnaryF32(n int, f Func) (*Prepared, error) {
	if err := checkCount(n); err != nil {
		return nil, err
	}
	if f < ReLU || f > HardSwish {
		return nil, fmt.Errorf("elementwise function %d is unknown", f)
	}
	if rows := map[Func][]Row[mapFunc]{Sigmoid: sigmoids, Swish: swishes}[f]; rows != nil {
		k := chooseRow(rows, features)
		return k.prepared(flatStage("unary", n, func(io *IO, lo, hi int) {
			mapRow(k.Fn, f, view[float32](io.Out[0])[lo:hi], view[float32](io.In[0])[lo:hi])
		})), nil
	}
	return portable(flatStage("unary", n, func(io *IO, lo, hi int) {
		x, y := view[float32](io.In[0])[lo:hi], view[float32](io.Out[0])[lo:hi]
		for i, v := range x {
			y[i] = f.At(v)
		}
	})), nil
}

// HalfToFloat expands an IEEE 754 binary16; every half is a float32.
func HalfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&0x3ff)
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp == 0:
		v := float32(frac) * 0x1p-24
		if sign != 0 {
			return -v
		}
		return v
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
