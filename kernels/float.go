package kernels

import (
	"fmt"
	"math"
)

// PrepareUnaryF32 returns y = f(x).
func PrepareUnaryF32(c *UnaryF32) (*Prepared, error) {
	if err := checkShape("input", c.Shape); err != nil {
		return nil, err
	}
	f, n := c.Func, c.Shape.Len()
	if f < ReLU || f > Pow {
		return nil, fmt.Errorf("elementwise function %d is unknown", f)
	}
	if rows := map[Func][]Row[mapFunc]{Sigmoid: sigmoids, Swish: swishes}[f]; rows != nil {
		k := chooseRow(rows, features)
		return k.prepared(flatStage("unary", n, func(io *IO, lo, hi int) {
			mapRow(k.Fn, f, view[float32](io.Out[0])[lo:hi], view[float32](io.In[0])[lo:hi])
		})), nil
	}
	if f == PReLU {
		return c.preparePReLU()
	}
	at := f.With(c.A, c.B)
	return portable(flatStage("unary", n, func(io *IO, lo, hi int) {
		x, y := view[float32](io.In[0])[lo:hi], view[float32](io.Out[0])[lo:hi]
		for i, v := range x {
			y[i] = at(v)
		}
	})), nil
}

func (c *UnaryF32) preparePReLU() (*Prepared, error) {
	ch, slope := c.Shape.C, c.Slope
	if err := checkLength("slopes", len(slope), ch); err != nil {
		return nil, err
	}
	return portable(Stage{Name: "prelu", Units: c.Shape.H, Run: func(io *IO, lo, hi int, _ []byte) {
		row := c.Shape.W * ch
		x, y := view[float32](io.In[0])[lo*row:hi*row], view[float32](io.Out[0])[lo*row:hi*row]
		for p := 0; p < len(x); p += ch {
			for i, s := range slope {
				v := x[p+i]
				if v < 0 {
					v *= s
				}
				y[p+i] = v
			}
		}
	}}), nil
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

// MaxHalf is the largest finite half.
const MaxHalf = 65504

// FloatToHalf rounds a finite float to the nearest half, ties to even, and saturates at the largest finite one.
func FloatToHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	mag := bits & 0x7fffffff
	switch {
	case mag >= 0x477ff000: // 65520, which rounds to infinity, and beyond
		return sign | 0x7bff
	case mag < 0x38800000: // below 2^-14: subnormal, a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(mag))*(1<<24)))
	}
	mag += 0xfff + mag>>13&1 // half of what is cut off, less for an even result
	return sign | uint16((mag-0x38000000)>>13)
}
