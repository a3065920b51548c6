package kernels

import "math"

// Exponential functions that give the same bits on every machine: one polynomial in float64, every product rounded on its
// own (float64(x*y) is never fused), rounded once to float32 at the end. The error is below 0.51 units in the last place.

const (
	log2e   = 1.4426950408889634
	ln2     = 0.6931471805599453
	magic64 = 0x1.8p52 // rounds to an integer, as magic does in float32
	// Beyond expRange results of float32 are 0, 1 or +Inf already; here float64's are normal still, and float32 times the
	// smallest of them is 0 as well.
	expRange = 700
)

// exp64 returns e**x for float32 results: the relative error is below 2**-31 where they are finite. NaN gives NaN.
func exp64(x float64) float64 {
	x = min(max(x, -expRange), expRange)
	t := float64(x*log2e) + magic64
	n := t - magic64
	r := x - float64(n*ln2) // |r| <= ln2/2
	// The series of e**r up to r**8/8!.
	p := float64(r*(1.0/40320)) + 1.0/5040
	p = float64(p*r) + 1.0/720
	p = float64(p*r) + 1.0/120
	p = float64(p*r) + 1.0/24
	p = float64(p*r) + 1.0/6
	p = float64(p*r) + 0.5
	p = float64(p*r) + 1
	p = float64(p*r) + 1
	// 2**n: the low bits of t hold n.
	return float64(p * math.Float64frombits((math.Float64bits(t)+1023)<<52))
}

// sigmoid64 returns 1/(1+e**-x).
func sigmoid64(x float64) float64 { return 1 / (1 + exp64(-x)) }

// Exp32 returns e**x, the same bits on every machine.
func Exp32(x float32) float32 { return float32(exp64(float64(x))) }

// Sigmoid32 returns 1/(1+e**-x), the same bits on every machine.
func Sigmoid32(x float32) float32 { return float32(sigmoid64(float64(x))) }
