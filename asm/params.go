package asm

// Requant holds what requantization needs besides the per-channel bias and multiplier. Stored bytes are values plus 128,
// and so are the zero points here: Zero is zero_out+128. Assembly reads the fields by offset; a test holds them in place.
//
//	v = clamp(f32(acc+bias)*mult, Lo, Hi);  byte = Zero + rne(v)
//
// With a residual the byte above, less Zero, is r, and res the other operand's byte:
//
//	v = clamp(f32(f32(r+AOff)*AMult) + f32(f32(res-BZero)*BMult), RLo, RHi);  byte = RZero + rne(v)
type Requant struct {
	Lo, Hi   float32 // 0, 4
	Zero     int32   // 8
	AOff     int32   // 12: zero_out of the operator less the zero point that the addition uses for it
	AMult    float32 // 16
	BZero    int32   // 20
	BMult    float32 // 24
	RLo, RHi float32 // 28, 32
	RZero    int32   // 36
}

// Attention holds what RFGA's last stage needs. Assembly reads the fields by offset; a test holds them in place.
//
//	factor = A + (B*(sum of three sigmoids) + Round)>>14
//	v = clamp(f32((x-Zero)*factor)*Mult, Lo, Hi);  byte = ZeroOut + rne(v)
type Attention struct {
	Zero    int32   // 0: of x, plus 128
	A, B    int32   // 4, 8: Q14
	Mult    float32 // 12
	Lo, Hi  float32 // 16, 20
	ZeroOut int32   // 24: plus 128
	Round   int32   // 28: one half, 8192
}

// Scan is what a pass over weights finds out. Assembly writes the fields by offset; a test holds them in place.
type Scan struct {
	Pos, Neg int32 // 0, 4: sums of the positive weights, and of the negative ones without sign
	Over     int32 // 8: 1 if such a sum of a pair of neighbours is above 128, else 0
	Low      int32 // 12: 1 if a weight is -128, else 0
}

// ColorMatrix turns three 16-bit numbers a, b, c of a pixel into three bytes. Assembly reads the fields by offset; a test
// holds them in place. Coefficients lie as pairs, as often as a register of 32 bytes has room for them: of a and b, then of c
// and nothing.
//
//	byte[ch] = clamp((Coef[ch][0][0]*a + Coef[ch][0][1]*b + Coef[ch][1][0]*c + Bias[ch][0])>>20, 0, 255)
type ColorMatrix struct {
	Coef [3][2][16]int16 // 64*ch + 32*pair
	Bias [3][8]int32     // 192 + 32*ch
}

// SetRow sets what channel ch is made of.
func (m *ColorMatrix) SetRow(ch int, a, b, c int16, bias int32) {
	for i := range 8 {
		m.Coef[ch][0][2*i], m.Coef[ch][0][2*i+1] = a, b
		m.Coef[ch][1][2*i], m.Coef[ch][1][2*i+1] = c, 0
		m.Bias[ch][i] = bias
	}
}
