package asm

// ClampF32 holds what a float kernel does with a finished sum v. Assembly reads the fields by offset; a test holds them in
// place.
//
//	without a residual: v = min(max(v, Lo), Hi)
//	with one, r:        v = min(max(v, InnerLo), InnerHi) + r;  v = min(max(v, Lo), Hi)
//
// NaN stays NaN.
type ClampF32 struct {
	Lo, Hi           float32 // 0, 4
	InnerLo, InnerHi float32 // 8, 12
}

// Tap is where a window kernel finds one tap, in bytes from where it is told to read activations and weights.
type Tap struct {
	A, W int // 0, 8
}
