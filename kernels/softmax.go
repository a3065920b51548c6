package kernels

// PrepareSoftmaxI8 returns the softmax of a quantized activation along its channels, in float32: with d = max - x,
// e = Exp32(-(d*scale)), y = float32(float64(e) / sum), the sum of the float64(e) in channel order. The zero point cancels.
// With log, y = float32(-float64(d*scale) - log(sum)).
func PrepareSoftmaxI8(s Shape, scale float32, zero int32, log bool) (*Prepared, error) {
	if err := checkShape("input", s); err != nil {
		return nil, err
	}
	if err := checkElementwise(s.Len(), scale, zero); err != nil {
		return nil, err
	}
	var e, minus [256]float32
	for d := range e {
		minus[d] = -float32(float32(d) * scale)
		e[d] = Exp32(minus[d])
	}
	return portable(softmaxStage(s, log, func(io *IO, at int, y []float32) (sum float64) {
		x := io.In[0][at:][:len(y)]
		top := byte(0)
		for _, u := range x {
			top = max(top, u)
		}
		for i, u := range x {
			v := e[top-u]
			y[i] = v
			sum += float64(v)
			if log {
				y[i] = minus[top-u]
			}
		}
		return sum
	})), nil
}

// PrepareSoftmaxF32 returns the softmax of a float activation along its channels, e being Exp32(x-max); with log its
// logarithm, x-max - log(sum).
func PrepareSoftmaxF32(s Shape, log bool) (*Prepared, error) {
	if err := checkShape("input", s); err != nil {
		return nil, err
	}
	return portable(softmaxStage(s, log, func(io *IO, at int, y []float32) (sum float64) {
		x := view[float32](io.In[0])[at:][:len(y)]
		top := x[0]
		for _, v := range x {
			top = max(top, v)
		}
		for i, v := range x {
			e := Exp32(v - top)
			y[i] = e
			sum += float64(e)
			if log {
				y[i] = v - top
			}
		}
		return sum
	})), nil
}

// softmaxStage has a unit for each pixel; exps returns the sum of the exponentials of the elements from at on, and fills y
// with them or, if log, with the exponents.
func softmaxStage(s Shape, log bool, exps func(io *IO, at int, y []float32) (sum float64)) Stage {
	return Stage{Name: "softmax", Units: s.H * s.W, Run: func(io *IO, lo, hi int, _ []byte) {
		out := view[float32](io.Out[0])
		for p := lo; p < hi; p++ {
			y := out[p*s.C:][:s.C]
			sum := exps(io, p*s.C, y)
			if log {
				l := log64(sum)
				for i, v := range y {
					y[i] = float32(float64(v) - l)
				}
				continue
			}
			for i, v := range y {
				y[i] = float32(float64(v) / sum)
			}
		}
	}}
}
