package kernels

import "fmt"

// PrepareAddI8 returns a quantized addition.
func PrepareAddI8(c *BinaryI8) (*Prepared, error) {
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
	// Each operand's product is one of 256 values.
	ta, tb := realTable(c.MultA, c.ZeroA), realTable(c.MultB, c.ZeroB)
	r := newRounder(c.Zero, c.Lo, c.Hi)
	return portable(binaryStage("add", c.A, c.B,
		func(y, a, b []byte) {
			y, b = y[:len(a)], b[:len(a)]
			for i, u := range a {
				y[i] = r.store(ta[u] + tb[b[i]])
			}
		},
		func(y, a []byte, b byte) {
			y = y[:len(a)]
			fb := tb[b]
			for i, u := range a {
				y[i] = r.store(ta[u] + fb)
			}
		})), nil
}

// PrepareMulI8 returns a quantized multiplication. The product of two differences is at most 255*255: float32 holds it exactly.
func PrepareMulI8(c *BinaryI8) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	za, zb, m := c.ZeroA+128, c.ZeroB+128, c.MultA
	r := newRounder(c.Zero, c.Lo, c.Hi)
	return portable(binaryStage("mul", c.A, c.B,
		func(y, a, b []byte) {
			y, b = y[:len(a)], b[:len(a)]
			for i, u := range a {
				y[i] = r.store(float32(float32((int32(u)-za)*(int32(b[i])-zb)) * m))
			}
		},
		func(y, a []byte, b byte) {
			y = y[:len(a)]
			vb := int32(b) - zb
			for i, u := range a {
				y[i] = r.store(float32(float32((int32(u)-za)*vb) * m))
			}
		})), nil
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
		},
		func(y, a []float32, b float32) {
			y = y[:len(a)]
			for i, v := range a {
				y[i] = min(max(v+b, lo), hi)
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
		},
		func(y, a []float32, b float32) {
			y = y[:len(a)]
			for i, v := range a {
				y[i] = min(max(v*b, lo), hi)
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

// binaryStage runs vector on runs of elements and, where b has one channel and a has more, scalar on each pixel.
func binaryStage[T byte | float32](name string, as, bs Shape, vector func(y, a, b []T), scalar func(y, a []T, b T)) Stage {
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
	return Stage{Name: name, Units: as.H, Run: func(io *IO, lo, hi int, _ []byte) {
		y, a, b := view[T](io.Out[0]), view[T](io.In[0]), view[T](io.In[1])
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
					scalar(y[x*c:][:c], a[x*c:][:c], b[x*stepW])
				}
			}
		}
	}}
}
