package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// element reads a stored value of either type.
func element(t Type, b []byte, i int) int64 {
	if t == Int16 {
		return int64(view[int16](b)[i])
	}
	return int64(b[i]) - 128
}

// naiveRound is the contract's last step, from an exact integer: one rounding to float32, one product, clamp, half to even.
func naiveRound(acc *big.Int, m float32, zero, lo, hi int32) int32 {
	f, _ := new(big.Float).SetInt(acc).Float32()
	v := float64(f * m)
	return zero + int32(math.RoundToEven(min(max(v, float64(lo-zero)), float64(hi-zero))))
}

// Convolutions of int16, with either type of input and result, on every instruction set of this machine, are what sums of
// unlimited size give.
func TestConvI16(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 1))
	for n, s := range []struct{ h, w, c, o, k, stride, pad, groups int }{
		{5, 4, 3, 5, 3, 1, 1, 1}, {4, 4, 8, 33, 1, 1, 0, 1}, {6, 5, 4, 6, 3, 2, 1, 2}, {1, 1, 700, 9, 1, 1, 0, 1}, {3, 7, 5, 16, 3, 1, 1, 1},
	} {
		for types := range 4 {
			x, y := Type(types&1), Type(types>>1)
			oh, ow := (s.h+2*s.pad-s.k)/s.stride+1, (s.w+2*s.pad-s.k)/s.stride+1
			gi := s.c / s.groups
			run, taps := padded4(gi), s.k*s.k
			c := &ConvI16{X: x, Y: y, In: Shape{s.h, s.w, s.c}, Out: Shape{oh, ow, s.o}, Groups: s.groups,
				Window:  Window{s.k, s.k, s.stride, s.stride, 1, 1, [4]int{s.pad, s.pad, s.pad, s.pad}},
				Weights: make([]int8, s.o*taps*run)}
			for i := range c.Weights {
				if i%run < gi {
					c.Weights[i] = int8(rng.IntN(255) - 127)
					if s.c == 700 { // sums far outside int32
						c.Weights[i] = 127
					}
				}
			}
			least, most := x.bounds()
			lo, hi := y.bounds()
			c.ZeroIn = least + rng.Int32N(most-least+1)
			c.Requant = Requant{Zero: lo + rng.Int32N(hi-lo+1), Lo: lo + 3, Hi: hi - 5}
			for o := range s.o {
				c.Bias = append(c.Bias, rng.Int32()-1<<30)
				c.Requant.Mult = append(c.Requant.Mult, float32(hi)/float32(most)/float32(100*(o+1)))
			}
			for range s.c {
				c.PadValue = append(c.PadValue, int16(least+rng.Int32N(most-least+1)))
			}
			in := alignedTest(s.h * s.w * s.c * x.size())
			for i := range s.h * s.w * s.c {
				v := least + rng.Int32N(most-least+1)
				if i%3 == 0 {
					v = []int32{least, most, c.ZeroIn}[i/3%3]
				}
				if x == Int16 {
					view[int16](in)[i] = int16(v)
				} else {
					in[i] = byte(v + 128)
				}
			}
			for _, isa := range []ISA{Portable, features} {
				p, err := prepareConvI16(c, isa, 0)
				if err != nil {
					t.Fatal(err)
				}
				io := &IO{In: [][]byte{in}, Out: [][]byte{alignedTest(oh * ow * s.o * y.size())}}
				for _, n := range p.Inner {
					io.Inner = append(io.Inner, alignedTest(n))
				}
				for _, st := range p.Stages {
					for u := range st.Units {
						st.Run(io, u, u+1, alignedTest(st.Scratch))
					}
				}
				for i := range oh * ow * s.o {
					o, ox, oy := i%s.o, i/s.o%ow, i/s.o/ow
					acc := big.NewInt(int64(c.Bias[o]))
					for tap := range taps {
						iy, ix := oy*s.stride-s.pad+tap/s.k, ox*s.stride-s.pad+tap%s.k
						for k := range gi {
							ch := o/(s.o/s.groups)*gi + k
							v := int64(c.PadValue[ch])
							if iy >= 0 && iy < s.h && ix >= 0 && ix < s.w {
								v = element(x, in, (iy*s.w+ix)*s.c+ch)
							}
							acc.Add(acc, big.NewInt((v-int64(c.ZeroIn))*int64(c.Weights[(o*taps+tap)*run+k])))
						}
					}
					want := naiveRound(acc, c.Requant.Mult[o], c.Requant.Zero, c.Requant.Lo, c.Requant.Hi)
					if got := element(y, io.Out[0], i); got != int64(want) {
						t.Fatalf("shape %d, %v to %v, %v: element %d is %d, want %d", n, x, y, isa, i, got, want)
					}
				}
			}
		}
	}
}

// alignedTest returns n bytes on a 64-byte boundary with slack behind them.
func alignedTest(n int) []byte { return aligned[byte](n + Slack)[:n] }
