package kernels

import "math"

// Func is an elementwise function of UnaryF32; the values are those of the model format.
type Func uint8

const (
	ReLU        Func = 1  // max(x,0)
	ReLU6       Func = 2  // min(max(x,0),6)
	Sigmoid     Func = 3  // 1/(1+exp(-x))
	Swish       Func = 4  // x*sigmoid(x)
	HardSigmoid Func = 5  // min(max(x+3,0),6)/6
	HardSwish   Func = 6  // x*hardsigmoid(x)
	LeakyReLU   Func = 7  // a*x below 0, b*x elsewhere
	ELU         Func = 8  // a*(exp(x)-1) below 0, b*x elsewhere
	PReLU       Func = 9  // slope*x below 0, x elsewhere, with a slope for each channel
	Tanh        Func = 10 // tanh(x)
	Softplus    Func = 11 // log(1+exp(x))
	Mish        Func = 12 // x*tanh(softplus(x))
	GELU        Func = 13 // x*(1+erf(x/sqrt(2)))/2
	GELUTanh    Func = 14 // x*(1+tanh(sqrt(2/pi)*(x+0.044715*x^3)))/2
	Erf         Func = 15 // erf(x)
	Exp         Func = 16 // exp(x)
	Log         Func = 17 // log(x)
	Sqrt        Func = 18 // sqrt(x)
	Reciprocal  Func = 19 // 1/x
	Abs         Func = 20 // |x|
	Softsign    Func = 21 // x/(1+|x|)
	Pow         Func = 22 // x^a for x >= 0, NaN below
)

// At returns f(x) with a = b = 1, the same bits on every machine; NaN if f is unknown, or needs slopes.
func (f Func) At(x float32) float32 {
	switch f {
	case ReLU:
		return max(x, 0)
	case ReLU6:
		return min(max(x, 0), 6)
	case Sigmoid:
		return Sigmoid32(x)
	case Swish:
		return float32(float64(x) * sigmoid64(float64(x)))
	case HardSigmoid:
		return min(max(x+3, 0), 6) / 6
	case HardSwish:
		return float32(x*min(max(x+3, 0), 6)) / 6
	}
	return f.With(1, 1)(x)
}

// With returns the function with its parameters, the same bits on every machine. What is not a sum, a product or a root in
// float32 is computed in float64 and rounded once.
func (f Func) With(a, b float32) func(x float32) float32 {
	in64 := func(g func(x float64) float64) func(x float32) float32 {
		return func(x float32) float32 { return float32(g(float64(x))) }
	}
	switch f {
	case ReLU, ReLU6, Sigmoid, Swish, HardSigmoid, HardSwish:
		return f.At
	case LeakyReLU:
		return func(x float32) float32 {
			if x < 0 {
				return a * x
			}
			return b * x
		}
	case ELU:
		return func(x float32) float32 {
			if x < 0 {
				return float32(float64(a) * expm164(float64(x)))
			}
			return b * x
		}
	case Tanh:
		return in64(tanh64)
	case Softplus:
		return in64(softplus64)
	case Mish:
		return in64(func(x float64) float64 { return float64(x * tanh64(softplus64(x))) })
	case GELU:
		return in64(func(x float64) float64 { return float64(x / 2 * erfc64(float64(x*(-math.Sqrt2/2)))) })
	case GELUTanh:
		return in64(func(x float64) float64 {
			cube := float64(float64(x*x) * x)
			return float64(x * sigmoid64(float64(2*geluInner*(x+float64(geluCube*cube))))) // 1+tanh(u) is 2*sigmoid(2*u)
		})
	case Erf:
		return in64(erf64)
	case Exp:
		return in64(exp64)
	case Log:
		return in64(log64)
	case Sqrt:
		return in64(math.Sqrt)
	case Reciprocal:
		return func(x float32) float32 { return 1 / x }
	case Abs:
		return func(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
	case Softsign:
		return func(x float32) float32 { return x / (1 + max(x, -x)) }
	case Pow:
		p := float64(a)
		return in64(func(x float64) float64 {
			switch {
			case x != x || x < 0:
				return math.NaN()
			case p == 0 || x == 1:
				return 1
			case x == 0 && p > 0:
				return 0
			}
			return exp64(float64(p * log64(x)))
		})
	}
	return func(float32) float32 { return float32(math.NaN()) }
}

const (
	geluInner = 0.7978845608028654 // sqrt(2/pi)
	geluCube  = 0.044715
)

// series returns c[0] + c[1]*x + ..., every product and every sum rounded on its own.
func series(x float64, c []float64) float64 {
	s := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		s = float64(s*x) + c[i]
	}
	return s
}

// Series of e**x - 1 over x; of tanh(x) over x, artanh(x) over x and erf(x) over x*2/sqrt(pi), in x*x; and erfcx below.
var (
	expm1Series  = []float64{1, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880}
	tanhSeries   = []float64{1, -1.0 / 3, 2.0 / 15, -17.0 / 315, 62.0 / 2835, -1382.0 / 155925, 21844.0 / 6081075}
	artanhSeries = []float64{1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15}
	erfSeries    = []float64{1, -1.0 / 3, 1.0 / 10, -1.0 / 42, 1.0 / 216, -1.0 / 1320, 1.0 / 9360, -1.0 / 75600}
	// (1+2*x) * e**(x*x) * erfc(x) as a polynomial in (x-2)/(x+2), fitted on 0.5 to 12, where it is within 1e-12.
	erfcxFit = []float64{1.2769783815516527, -0.09276382658070101, -0.16603039738313763, 0.16405127963281590, -0.05422001102185022,
		-0.008034004986647880, 0.008722817381755480, 0.001271216246365752, -0.001458102674747702, -0.0004535217582724267,
		0.0002117438505163488, 0.0001480058870555365, -1.3422287003733219e-05, -3.0729980259700879e-05, -6.6700229932054530e-07}
)

// expm164 returns e**x - 1 to 2**-29 of it.
func expm164(x float64) float64 {
	if x > -0.25 && x < 0.25 {
		return float64(x * series(x, expm1Series))
	}
	return exp64(x) - 1
}

func tanh64(x float64) float64 {
	if x > -0.25 && x < 0.25 {
		return float64(x * series(float64(x*x), tanhSeries))
	}
	return 1 - 2/(1+exp64(2*x))
}

// log64 returns the natural logarithm to 1e-13 of it or so: with x = m*2**n and m within a factor sqrt(2) of 1, it is
// n*ln2 + 2*artanh((m-1)/(m+1)).
func log64(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case x > math.MaxFloat64:
		return x
	}
	m, n := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, n = 2*m, n-1
	}
	return float64(float64(n)*ln2) + artanh2((m-1)/(m+1))
}

// artanh2 returns 2*artanh(s) for |s| <= 0.18.
func artanh2(s float64) float64 {
	return float64(2 * s * series(float64(s*s), artanhSeries))
}

// softplus64 returns log(1+e**x).
func softplus64(x float64) float64 {
	u := exp64(-max(x, -x))
	if u < 0.4 {
		return max(x, 0) + artanh2(u/(2+u)) // log(1+u)
	}
	return max(x, 0) + log64(1+u)
}

func erf64(x float64) float64 {
	if x > -0.5 && x < 0.5 {
		return float64(x * float64(1.1283791670955126*series(float64(x*x), erfSeries)))
	}
	return 1 - erfc64(x)
}

// erfc64 returns 1 - erf(x) to 2**-29 of it; beyond 12, where it is 0 in float32, 0.
func erfc64(x float64) float64 {
	switch {
	case x < -0.5:
		return 2 - erfc64(-x)
	case x < 0.5:
		return 1 - erf64(x)
	case x > 12:
		return 0
	}
	p := series((x-2)/(x+2), erfcxFit)
	return float64(exp64(-float64(x*x))*p) / (1 + 2*x)
}
