package kernels

import (
	"fmt"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// PrepareConcatI8 returns a quantized concatenation. Parts that already have the output's scale and zero point are copied.
func PrepareConcatI8(c *ConcatI8) (*Prepared, error) {
	return prepareConcatI8(c, features)
}

func prepareConcatI8(c *ConcatI8, available ISA) (*Prepared, error) {
	if err := checkConcat(c.In, c.Out, c.Axis); err != nil {
		return nil, err
	}
	if err := checkLength("zero points", len(c.Zeros), len(c.In)); err != nil {
		return nil, err
	}
	if err := checkLength("multipliers", len(c.Mults), len(c.In)); err != nil {
		return nil, err
	}
	if err := checkOutput(c.Zero, -128, 127); err != nil {
		return nil, err
	}
	kernel := chooseRow(rescalers, available)
	parts := make([]*asm.Requant, len(c.In)) // nil copies
	for i, m := range c.Mults {
		if err := checkMult(fmt.Sprintf("input %d's", i), m); err != nil {
			return nil, err
		}
		if err := checkZero(fmt.Sprintf("input %d's", i), c.Zeros[i]); err != nil {
			return nil, err
		}
		if requantTable(c.Zeros[i], m, c.Zero, -128, 127).orNil() != nil {
			parts[i] = rescaling(c.Zeros[i], m, c.Zero, -128, 127)
		}
	}
	return kernel.prepared(concatStage(c.In, c.Out, c.Axis, 1, func(i int, y, x []byte) {
		if parts[i] == nil {
			copy(y, x)
			return
		}
		kernel.Fn(unsafe.SliceData(y), unsafe.SliceData(x), len(x), parts[i])
	})), nil
}

// PrepareConcatF32 returns a float concatenation.
func PrepareConcatF32(c *ConcatF32) (*Prepared, error) {
	if err := checkConcat(c.In, c.Out, c.Axis); err != nil {
		return nil, err
	}
	return portable(concatStage(c.In, c.Out, c.Axis, 4, func(_ int, y, x []byte) { copy(y, x) })), nil
}

func checkConcat(in []Shape, out Shape, axis int) error {
	if len(in) < 1 {
		return fmt.Errorf("nothing to concatenate")
	}
	if axis < 1 || axis > 3 {
		return fmt.Errorf("axis %d: need 1 (height), 2 (width) or 3 (channels)", axis)
	}
	if err := checkShape("output", out); err != nil {
		return err
	}
	total := int64(0)
	for i, s := range in {
		if err := checkShape(fmt.Sprintf("input %d", i), s); err != nil {
			return err
		}
		want := out
		switch axis {
		case 1:
			want.H, total = s.H, total+int64(s.H)
		case 2:
			want.W, total = s.W, total+int64(s.W)
		case 3:
			want.C, total = s.C, total+int64(s.C)
		}
		if s != want {
			return fmt.Errorf("input %d is %v: does not fit output %v along axis %d", i, s, out, axis)
		}
	}
	if want := [...]int{out.H, out.W, out.C}[axis-1]; total != int64(want) {
		return fmt.Errorf("the inputs make %d along axis %d: output has %d", total, axis, want)
	}
	return nil
}

// concatStage calls move for runs of each input i; elements are elem bytes. Its units are rows of the output.
func concatStage(in []Shape, out Shape, axis, elem int, move func(i int, y, x []byte)) Stage {
	outRow, outPixel := out.W*out.C*elem, out.C*elem
	return Stage{Name: "concat", Units: out.H, Run: func(io *IO, lo, hi int, _ []byte) {
		at := 0 // rows, or bytes within a row or pixel, that the inputs before i fill
		for i, s := range in {
			x, y := io.In[i], io.Out[0]
			row, pixel := s.W*s.C*elem, s.C*elem
			switch axis {
			case 1:
				if a, b := max(lo, at), min(hi, at+s.H); a < b {
					move(i, y[a*row:b*row], x[(a-at)*row:(b-at)*row])
				}
				at += s.H
			case 2:
				for h := lo; h < hi; h++ {
					move(i, y[h*outRow+at:][:row], x[h*row:][:row])
				}
				at += row
			case 3:
				for p := lo * out.W; p < hi*out.W; p++ {
					move(i, y[p*outPixel+at:][:pixel], x[p*pixel:][:pixel])
				}
				at += pixel
			}
		}
	}}
}

// PreparePadI8 returns padding with one value (contract domain), pad being top, left, bottom, right.
func PreparePadI8(in, out Shape, pad [4]int, value int8) (*Prepared, error) {
	return preparePad(in, out, pad, byte(value)^0x80)
}

// PreparePadF32 returns padding with one value.
func PreparePadF32(in, out Shape, pad [4]int, value float32) (*Prepared, error) {
	return preparePad(in, out, pad, value)
}

func preparePad[T byte | int16 | float32](in, out Shape, pad [4]int, value T) (*Prepared, error) {
	if err := checkShapes(in, out); err != nil {
		return nil, err
	}
	for _, p := range pad {
		if p < 0 || p > maxSide {
			return nil, fmt.Errorf("padding %v: every number must be 0..%d", pad, maxSide)
		}
	}
	if want := (Shape{in.H + pad[0] + pad[2], in.W + pad[1] + pad[3], in.C}); out != want {
		return nil, fmt.Errorf("output is %v: input %v padded by %v makes %v", out, in, pad, want)
	}
	row, outRow, left := in.W*in.C, out.W*out.C, pad[1]*in.C
	return portable(Stage{Name: "pad", Units: out.H, Run: func(io *IO, lo, hi int, _ []byte) {
		x, y := view[T](io.In[0]), view[T](io.Out[0])
		for h := lo; h < hi; h++ {
			y := y[h*outRow:][:outRow]
			ih := h - pad[0]
			if ih < 0 || ih >= in.H {
				fill(y, value)
				continue
			}
			fill(y[:left], value)
			copy(y[left:], x[ih*row:][:row])
			fill(y[left+row:], value)
		}
	}}), nil
}

func fill[T any](y []T, value T) {
	for i := range y {
		y[i] = value
	}
}
