package kernels

import (
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Type is the element type of a quantized activation. The operators of the i16 files take either, for each tensor by itself.
type Type uint8

const (
	Int8  Type = iota // in memory the byte q+128
	Int16             // in memory the value
)

func (t Type) String() string { return [...]string{"int8", "int16"}[t] }

func (t Type) size() int { return 1 + int(t) }

// bounds are the values of the type.
func (t Type) bounds() (lo, hi int32) {
	if t == Int16 {
		return math.MinInt16, math.MaxInt16
	}
	return math.MinInt8, math.MaxInt8
}

// load returns n elements from place i on as values: where they lie, or in tmp.
func (t Type) load(b []byte, i, n int, tmp []int16) []int16 {
	if t == Int16 {
		return view[int16](b)[i:][:n]
	}
	tmp = tmp[:n]
	for k, u := range b[i:][:n] {
		tmp[k] = int16(u) - 128
	}
	return tmp
}

// room returns where n values for place i on are to be written before put is called.
func (t Type) room(b []byte, i, n int, tmp []int16) []int16 {
	if t == Int16 {
		return view[int16](b)[i:][:n]
	}
	return tmp[:n]
}

// put stores what was written to room.
func (t Type) put(b []byte, i int, v []int16) {
	if t == Int8 {
		b = b[i:][:len(v)]
		for k, q := range v {
			b[k] = byte(q + 128)
		}
	}
}

func (t Type) checkZero(what string, zero int32) error {
	if lo, hi := t.bounds(); zero < lo || zero > hi {
		return fmt.Errorf("%s zero point %d is outside %d..%d", what, zero, lo, hi)
	}
	return nil
}

// checkOutput checks the zero point and the bounds of a result.
func (t Type) checkOutput(zero, lo, hi int32) error {
	if err := t.checkZero("output", zero); err != nil {
		return err
	}
	if least, most := t.bounds(); lo < least || hi > most || lo > hi {
		return fmt.Errorf("output bounds %d..%d are not within %d..%d", lo, hi, least, most)
	}
	return nil
}

// checkRequant demands n multipliers, and zero point and bounds of the type.
func (t Type) checkRequant(r *Requant, n int) error {
	if err := checkLength("multipliers", len(r.Mult), n); err != nil {
		return err
	}
	for i, m := range r.Mult {
		if err := checkMult(fmt.Sprintf("channel %d's", i), m); err != nil {
			return err
		}
	}
	return t.checkOutput(r.Zero, r.Lo, r.Hi)
}

// wideRounder is the last step of every operator here: zero + rne(clamp(f, lo-zero, hi-zero)). The bounds differ by 65535 at
// most from the zero point: rne is exact.
type wideRounder struct {
	lo, hi float32
	off    int32
}

func newWideRounder(zero, lo, hi int32) wideRounder {
	return wideRounder{float32(lo - zero), float32(hi - zero), zero - magicBits}
}

// round takes a real value in units of the output's scale; f must not be a bare product.
func (r wideRounder) round(f float32) int16 {
	f = min(max(f, r.lo), r.hi)
	return int16(int32(math.Float32bits(f+magic)) + r.off)
}

// float32Of rounds an accumulator, below 2**53, once: conversion to float64 is exact.
func float32Of(acc int64) float32 { return float32(float64(acc)) }

// wideUnit is the number of elements of one unit of an elementwise stage; wideTmp is the scratch for rows of so many.
const wideUnit = 1024

// tmpRows cuts scratch into rows of n values.
func tmpRows(tmp []byte, n int) (a, b, c []int16) {
	v := view[int16](tmp)
	return v[:n], v[n:][:n], v[2*n:][:n]
}

// wideStage returns a stage over n elements of one input and one output.
func wideStage(name string, n int, x, y Type, row func(y, x []int16)) Stage {
	return Stage{Name: name, Units: ceilDiv(n, wideUnit), Scratch: 6 * wideUnit, Run: func(io *IO, lo, hi int, tmp []byte) {
		tx, ty, _ := tmpRows(tmp, wideUnit)
		for u := lo; u < hi; u++ {
			i, m := u*wideUnit, min(wideUnit, n-u*wideUnit)
			out := y.room(io.Out[0], i, m, ty)
			row(out, x.load(io.In[0], i, m, tx))
			y.put(io.Out[0], i, out)
		}
	}}
}

// A wideAdd is R(f32(f32((a-za)*ma) + f32((b-zb)*mb))).
type wideAdd struct {
	params asm.Requant
	add    *Row[add16Func]
}

func newWideAdd(za, zb int32, ma, mb float32, zero, lo, hi int32, available ISA) *wideAdd {
	return &wideAdd{asm.Requant{AOff: -za, AMult: ma, BZero: zb, BMult: mb, RLo: float32(lo - zero), RHi: float32(hi - zero), RZero: zero},
		chooseRow(adders16, available)}
}

// newWideRescale is Q(x-zero, m) as an addition of x with nothing: of zero times any operand.
func newWideRescale(zeroIn int32, m float32, zero, lo, hi int32, available ISA) *wideAdd {
	return newWideAdd(zeroIn, 0, m, 0, zero, lo, hi, available)
}

// rescale is row with nothing to add.
func (p *wideAdd) rescale(y, x []int16) { p.row(y, x, x) }

func (p *wideAdd) row(y, a, b []int16) {
	n := len(a)
	y, b = y[:n], b[:n]
	whole := n &^ 7
	if whole > 0 {
		p.add.Fn(&y[0], &a[0], &b[0], whole, &p.params)
	}
	if whole < n {
		add16Portable(&y[whole], &a[whole], &b[whole], n-whole, &p.params)
	}
}
