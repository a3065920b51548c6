package kernels

import (
	"fmt"
	"unsafe"
)

// PrepareAddI8 returns a quantized addition.
func PrepareAddI8(c *BinaryI8) (*Prepared, error) {
	return prepareAddI8(c, features)
}

func prepareAddI8(c *BinaryI8, available ISA) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkMult("second operand's", c.MultB); err != nil {
		return nil, err
	}
	// An infinite product could meet the opposite one.
	if m := max(c.MultA, c.MultB); m > maxResidualMult {
		return nil, fmt.Errorf("multiplier %g is above %g", m, float32(maxResidualMult))
	}
	return c.stage("add", chooseRow(adders, available)), nil
}

// PrepareMulI8 returns a quantized multiplication. The product of two differences is at most 255*255: float32 holds it exactly.
func PrepareMulI8(c *BinaryI8) (*Prepared, error) {
	return prepareMulI8(c, features)
}

func prepareMulI8(c *BinaryI8, available ISA) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return c.stage("mul", chooseRow(mulers, available)), nil
}

// stage runs a kernel on runs of elements.
func (c *BinaryI8) stage(name string, kernel *Row[binaryFunc]) *Prepared {
	params := rescaling(c.ZeroA, c.MultA, c.Zero, c.Lo, c.Hi)
	params.BZero, params.BMult = c.ZeroB+128, c.MultB
	return kernel.prepared(binaryStage(name, c.A, c.B, func(y, a, b []byte) {
		kernel.Fn(unsafe.SliceData(y), unsafe.SliceData(a), unsafe.SliceData(b), len(y), params)
	}))
}

func (c *BinaryI8) check() error {
	if err := checkBroadcast(c.A, c.B, c.Out); err != nil {
		return err
	}
	if err := checkZero("first operand's", c.ZeroA); err != nil {
		return err
	}
	if err := checkZero("second operand's", c.ZeroB); err != nil {
		return err
	}
	if err := checkMult("first operand's", c.MultA); err != nil {
		return err
	}
	return checkOutput(c.Zero, c.Lo, c.Hi)
}

// PrepareAddF32 returns a float addition.
func PrepareAddF32(c *BinaryF32) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	lo, hi := c.ClampLo, c.ClampHi
	return portable(binaryStage("add", c.A, c.B,
		func(y, a, b []float32) {
			y, b = y[:len(a)], b[:len(a)]
			for i, v := range a {
				y[i] = min(max(v+b[i], lo), hi)
			}
		})), nil
}

// PrepareMulF32 returns a float multiplication.
func PrepareMulF32(c *BinaryF32) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	lo, hi := c.ClampLo, c.ClampHi
	return portable(binaryStage("mul", c.A, c.B,
		func(y, a, b []float32) {
			y, b = y[:len(a)], b[:len(a)]
			for i, v := range a {
				y[i] = min(max(v*b[i], lo), hi)
			}
		})), nil
}

func (c *BinaryF32) check() error {
	if err := checkBroadcast(c.A, c.B, c.Out); err != nil {
		return err
	}
	return checkClamp(c.ClampLo, c.ClampHi)
}

func checkBroadcast(a, b, out Shape) error {
	if err := checkShapes(a, out); err != nil {
		return err
	}
	if err := checkShape("second operand", b); err != nil {
		return err
	}
	if out != a {
		return fmt.Errorf("output %v differs from the first operand's %v", out, a)
	}
	if (b.H != a.H && b.H != 1) || (b.W != a.W && b.W != 1) || (b.C != a.C && b.C != 1) {
		return fmt.Errorf("second operand %v cannot be repeated to the first's %v", b, a)
	}
	return nil
}

// binaryStage runs vector on runs of elements; where b has one channel and a has more, b's is repeated in scratch.
func binaryStage[T byte | float32](name string, as, bs Shape, vector func(y, a, b []T)) Stage {
	if as == bs {
		return flatStage(name, as.Len(), func(io *IO, lo, hi int) {
			vector(view[T](io.Out[0])[lo:hi], view[T](io.In[0])[lo:hi], view[T](io.In[1])[lo:hi])
		})
	}
	// Steps of b per row and pixel of a: 0 repeats it.
	stepH, stepW := bs.W*bs.C, bs.C
	if bs.H == 1 {
		stepH = 0
	}
	if bs.W == 1 {
		stepW = 0
	}
	w, c, row := as.W, as.C, as.W*as.C
	return Stage{Name: name, Units: as.H, Scratch: 4 * c, Run: func(io *IO, lo, hi int, tmp []byte) {
		y, a, b := view[T](io.Out[0]), view[T](io.In[0]), view[T](io.In[1])
		repeated := view[T](tmp)[:c]
		for h := lo; h < hi; h++ {
			y, a, b := y[h*row:][:row], a[h*row:][:row], b[h*stepH:]
			switch {
			case bs.W == w && bs.C == c:
				vector(y, a, b[:row])
			case bs.C == c:
				for x := range w {
					vector(y[x*c:][:c], a[x*c:][:c], b[x*stepW:][:c])
				}
			default:
				for x := range w {
					if x == 0 || stepW > 0 {
						fill(repeated, b[x*stepW])
					}
					vector(y[x*c:][:c], a[x*c:][:c], repeated)
				}
			}
		}
	}}
}
