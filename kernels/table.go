package kernels

import "fmt"

// A byteTable maps stored bytes to stored bytes: every int8 operator on one element is one.
type byteTable [256]byte

// requantTable is q = zero + rne(clamp(float32(x-zeroIn)*m, lo-zero, hi-zero)) for all 256 x.
func requantTable(zeroIn int32, m float32, zero, lo, hi int32) *byteTable {
	var t byteTable
	for u := range t {
		t[u] = byte(requantize(int32(u)-128-zeroIn, m, zero, lo, hi) + 128)
	}
	return &t
}

// orNil returns nil for a table that changes nothing: a copy is faster.
func (t *byteTable) orNil() *byteTable {
	for u, v := range t {
		if byte(u) != v {
			return t
		}
	}
	return nil
}

// apply sets y[i] = t[x[i]]; y and x may be the same memory. A nil table copies.
func (t *byteTable) apply(y, x []byte) {
	if t == nil {
		copy(y, x)
		return
	}
	y = y[:len(x)]
	for i, u := range x {
		y[i] = t[u]
	}
}

// PrepareTableI8 returns y = table[x+128]: every quantized elementwise function. table has 256 elements, or 256 for each
// channel one after the other.
func PrepareTableI8(s Shape, table []int8) (*Prepared, error) {
	if err := checkShape("input", s); err != nil {
		return nil, err
	}
	if n := 256 * s.C; s.C > 1 && len(table) == n {
		return prepareTables(s, table), nil
	}
	n := s.Len()
	if err := checkLength("table entries", len(table), 256); err != nil {
		return nil, err
	}
	var full byteTable
	for u, q := range table {
		full[u] = byte(q) ^ 0x80
	}
	t := full.orNil()
	return portable(flatStage("table", n, func(io *IO, lo, hi int) {
		t.apply(io.Out[0][lo:hi], io.In[0][lo:hi])
	})), nil
}

// prepareTables has a table for each channel.
func prepareTables(s Shape, table []int8) *Prepared {
	full := make([]byteTable, s.C)
	for i, q := range table {
		full[i/256][i%256] = byte(q) ^ 0x80
	}
	return portable(Stage{Name: "tables", Units: s.H, Run: func(io *IO, lo, hi int, _ []byte) {
		row := s.W * s.C
		x, y := io.In[0][lo*row:hi*row], io.Out[0][lo*row:hi*row]
		for len(x) > 0 {
			for c := range full {
				y[c] = full[c][x[c]]
			}
			x, y = x[s.C:], y[s.C:]
		}
	}})
}

// PrepareQuantizeI8 returns q = zero + rne(clamp(x/scale, -128-zero, 127-zero)) over n float32 elements, the quotient
// rounded to float32; NaN gives zero.
func PrepareQuantizeI8(n int, scale float32, zero int32) (*Prepared, error) {
	if err := checkElementwise(n, scale, zero); err != nil {
		return nil, err
	}
	r := newRounder(zero, -128, 127)
	return portable(flatStage("quantize", n, func(io *IO, lo, hi int) {
		x, y := view[float32](io.In[0])[lo:hi], io.Out[0][lo:hi]
		for i, v := range x {
			f := v / scale
			if f != f {
				f = 0
			}
			y[i] = r.store(f)
		}
	})), nil
}

// PrepareDequantizeI8 returns float32(q-zero)*scale over n elements.
func PrepareDequantizeI8(n int, scale float32, zero int32) (*Prepared, error) {
	if err := checkElementwise(n, scale, zero); err != nil {
		return nil, err
	}
	t := realTable(scale, zero)
	return portable(flatStage("dequantize", n, func(io *IO, lo, hi int) {
		x, y := io.In[0][lo:hi], view[float32](io.Out[0])[lo:hi]
		for i, u := range x {
			y[i] = t[u]
		}
	})), nil
}

// realTable is float32(q-zero)*scale for all 256 stored bytes.
func realTable(scale float32, zero int32) *[256]float32 {
	var t [256]float32
	for u := range t {
		t[u] = float32(float32(int32(u)-128-zero) * scale)
	}
	return &t
}

func checkElementwise(n int, scale float32, zero int32) error {
	if err := checkCount(n); err != nil {
		return err
	}
	if err := checkScale(scale); err != nil {
		return err
	}
	if err := checkZero("the", zero); err != nil {
		return fmt.Errorf("quantization: %w", err)
	}
	return nil
}
