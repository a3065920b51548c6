package rfga

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// aligned is a buffer as kernels want it.
func aligned(n int) []byte {
	b := make([]byte, n+64+kernels.Slack)
	off := -int(uintptr(unsafe.Pointer(&b[0]))) & 63
	return b[off : off+n : off+n+kernels.Slack]
}

// run computes the operator with package kernels.
func run(t *testing.T, p *kernels.RFGAI8, x []int8) []int32 {
	t.Helper()
	op, err := kernels.PrepareRFGAI8(p)
	if err != nil {
		t.Fatal(err)
	}
	io := &kernels.IO{In: [][]byte{aligned(len(x))}, Out: [][]byte{aligned(len(x))}}
	for i, v := range x {
		io.In[0][i] = byte(v) ^ 0x80
	}
	for _, n := range op.Inner {
		io.Inner = append(io.Inner, aligned(n))
	}
	for _, s := range op.Stages {
		tmp := aligned(s.Scratch + 64)
		for u := s.Units - 1; u >= 0; u-- { // any order
			s.Run(io, u, u+1, tmp)
		}
	}
	y := make([]int32, len(x))
	for i, v := range io.Out[0] {
		y[i] = int32(int8(v ^ 0x80))
	}
	return y
}

// TestKernelFollowsDefinition compares the operator of package kernels with define.
func TestKernelFollowsDefinition(t *testing.T) {
	p, x := example()
	want := define(p, x).y
	if got := run(t, p, x); !slices.Equal(got, want) {
		t.Errorf("worked example: %v, want %v", got, want)
	}

	r := rand.New(rand.NewPCG(1, 1))
	i8 := func(n int) []int8 {
		v := make([]int8, n)
		for i := range v {
			v[i] = int8(r.IntN(256) - 128)
		}
		return v
	}
	for range 60 {
		h, w, c := 1+r.IntN(9), 1+r.IntN(9), 1+r.IntN(40)
		pad := (c + 3) / 4 * 4
		weights := func(runs, n, stride int) []int8 {
			v := make([]int8, runs*stride)
			for i := range runs {
				for k := range n {
					v[i*stride+k] = int8(r.IntN(255) - 127)
				}
			}
			return v
		}
		bias := func() []int32 {
			v := make([]int32, c)
			for i := range v {
				v[i] = int32(r.IntN(40001) - 20000)
			}
			return v
		}
		zero := func() int32 { return int32(r.IntN(256) - 128) }
		conv := func(k int) kernels.Requant {
			q := kernels.Requant{Zero: zero(), Lo: -128, Hi: 127}
			for range c {
				q.Mult = append(q.Mult, float32(0.5+r.Float64())*100/float32(k*127*127))
			}
			return q
		}
		p := &kernels.RFGAI8{
			Shape: kernels.Shape{H: h, W: w, C: c}, ZeroIn: zero(),
			ViewMult: [3]float32{1.3 / float32(h*w), 1.1 / float32(w), 0.9 / float32(h)},
			ViewZero: [3]int32{zero(), zero(), zero()},
			WC:       weights(c, 3, 4), WH: weights(3*c, c, pad), WW: weights(3*c, c, pad),
			BC: bias(), BH: bias(), BW: bias(),
			ConvC: conv(3), ConvH: conv(3 * c), ConvW: conv(3 * c),
			Table: sigmoidTable(1.0/40, r.IntN(20)-10), A: 16384, B: 16384,
			Requant: kernels.Requant{Mult: []float32{float32(0.3+r.Float64()) / 40000}, Zero: zero(), Lo: -128, Hi: 127},
		}
		if r.IntN(2) == 0 {
			p.A, p.B = 5734, 10650 // 0.35 and 0.65
		}
		x := i8(h * w * c)
		if got, want := run(t, p, x), define(p, x).y; !slices.Equal(got, want) {
			t.Fatalf("%dx%dx%d: %v, want %v", h, w, c, got, want)
		}
	}
}
