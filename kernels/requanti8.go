package kernels

import (
	"fmt"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// requantByte is the contract's last step on an accumulator that has its bias: the definition of the kernels below.
func requantByte(acc int32, mult float32, p *asm.Requant) byte {
	v := float32(float32(acc) * mult)
	v = min(max(v, p.Lo), p.Hi)
	return byte(p.Zero + rne(v))
}

// addResidual is the fused addition, the definition: q is the stored byte of the operator's own result.
func addResidual(q, res byte, p *asm.Requant) byte {
	a := float32(float32(int32(q)-p.Zero+p.AOff) * p.AMult)
	b := float32(float32(int32(res)-p.BZero) * p.BMult)
	v := min(max(a+b, p.RLo), p.RHi)
	return byte(p.RZero + rne(v))
}

var portableRequantizers = []Requantizer{
	{Name: "s32u8_requant_portable", Rate: 1, Fn: requantPortable},
	{Name: "s32u8_requantadd_portable", Residual: true, Rate: 1, Fn: requantAddPortable},
}

func requantPortable(dst *byte, ldd int, c *int32, ldc, rows, n int, bias *int32, mult *float32, _ *byte, _ int, p *asm.Requant) {
	bs, ms := unsafe.Slice(bias, n), unsafe.Slice(mult, n)
	for i := range rows {
		d, acc := row(dst, i*ldd, n), row(c, i*ldc, n)
		for j, b := range bs {
			d[j] = requantByte(acc[j]+b, ms[j], p)
		}
	}
}

func requantAddPortable(dst *byte, ldd int, c *int32, ldc, rows, n int, bias *int32, mult *float32, res *byte, ldr int, p *asm.Requant) {
	bs, ms := unsafe.Slice(bias, n), unsafe.Slice(mult, n)
	for i := range rows {
		d, acc, r := row(dst, i*ldd, n), row(c, i*ldc, n), row(res, i*ldr, n)
		for j, b := range bs {
			d[j] = addResidual(requantByte(acc[j]+b, ms[j], p), r[j], p)
		}
	}
}

// row is the n elements at offset off (in elements) from p.
func row[T any](p *T, off, n int) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(p), off*int(unsafe.Sizeof(t)))), n)
}

// maxResidualMult keeps both products of a fused addition finite, so that their sum is a number.
const maxResidualMult = 0x1p100

// prepare checks a requantization of some channels and lays it out for the kernels: constants, and a multiplier a channel.
func (r *Requant) prepare(channels int, res *Residual) (*asm.Requant, []float32, error) {
	n := channels
	if len(r.Mult) == 1 {
		n = 1
	}
	if err := r.check(n); err != nil {
		return nil, nil, err
	}
	mult := make([]float32, channels)
	for i := range mult {
		mult[i] = r.Mult[i%n]
	}
	p := &asm.Requant{Lo: float32(r.Lo - r.Zero), Hi: float32(r.Hi - r.Zero), Zero: r.Zero + 128}
	if res == nil {
		return p, mult, nil
	}
	for _, m := range []float32{res.MultA, res.MultB} {
		if err := checkMult("residual", m); err != nil {
			return nil, nil, err
		}
		if m > maxResidualMult {
			return nil, nil, fmt.Errorf("residual multiplier %g is above %g", m, float32(maxResidualMult))
		}
	}
	if err := checkOutput(res.Zero, res.Lo, res.Hi); err != nil {
		return nil, nil, fmt.Errorf("residual: %w", err)
	}
	for _, z := range []int32{res.ZeroA, res.ZeroB} {
		if err := checkZero("residual operand's", z); err != nil {
			return nil, nil, err
		}
	}
	p.AOff, p.AMult = r.Zero-res.ZeroA, res.MultA
	p.BZero, p.BMult = res.ZeroB+128, res.MultB
	p.RLo, p.RHi, p.RZero = float32(res.Lo-res.Zero), float32(res.Hi-res.Zero), res.Zero+128
	return p, mult, nil
}
