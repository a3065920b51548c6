package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkConvF32 runs whole operators with every family of kernels of this CPU, with weights in both precisions.
func BenchmarkConvF32(b *testing.B) {
	for _, cc := range []struct {
		name string
		in   Shape
		o    int
		win  Window
	}{
		{"1x1_14x14x512x512", Shape{14, 14, 512}, 512, win(1, 1, 1)},
		{"1x1_7x7x1024x1024", Shape{7, 7, 1024}, 1024, win(1, 1, 1)},
		{"1x1_56x56x64x256", Shape{56, 56, 64}, 256, win(1, 1, 1)},
		{"1x1_112x112x32x64", Shape{112, 112, 32}, 64, win(1, 1, 1)},
		{"3x3_224x224x64x64", Shape{224, 224, 64}, 64, win(3, 1, 1, 1)},
		{"3x3_56x56x64x64", Shape{56, 56, 64}, 64, win(3, 1, 1, 1)},
		{"3x3_28x28x128x128", Shape{28, 28, 128}, 128, win(3, 1, 1, 1)},
		{"3x3_28x28x512x512", Shape{28, 28, 512}, 512, win(3, 1, 1, 1)},
		{"3x3_7x7x512x512", Shape{7, 7, 512}, 512, win(3, 1, 1, 1)},
		{"3x3_224x224x3x32", Shape{224, 224, 3}, 32, win(3, 2, 1, 1)},
		{"1x1_28x28x2048x512", Shape{28, 28, 2048}, 512, win(1, 1, 1)},
		{"3x1_28x1x2048x2048", Shape{28, 1, 2048}, 2048, window1D(3, 1)},
		{"fc_2048x1000", Shape{1, 1, 2048}, 1000, win(1, 1, 1)},
	} {
		out := cc.win.outSize(cc.in, cc.o)
		c := &ConvF32{In: cc.in, Out: out, Window: cc.win, Groups: 1, ClampLo: 0, ClampHi: posInf}
		n := cc.o * cc.win.KH * cc.win.KW * padded4(cc.in.C)
		r := rand.New(rand.NewPCG(1, 1))
		weights, halves := make([]float32, n), make([]uint16, n)
		for i := range n {
			weights[i], halves[i] = r.Float32()-0.5, uint16(r.Uint32N(0x3c00))
		}
		for _, isa := range floatVariants() {
			if isa&^features != 0 {
				continue
			}
			for _, half := range []bool{false, true} {
				c.Weights, c.Weights16 = weights, nil
				if half {
					c.Weights, c.Weights16 = nil, halves
				}
				p, err := prepareConvF32(c, isa, cacheL2())
				if err != nil {
					b.Fatal(err)
				}
				b.Run(fmt.Sprintf("%s/%s/half=%v", cc.name, p.Kernel, half), func(b *testing.B) {
					benchFloat(b, p, cc.in, out)
				})
			}
		}
	}
}

func benchFloat(b *testing.B, p *Prepared, in, out Shape) {
	io := &IO{In: [][]byte{aligned[byte](4 * in.Len())}, Out: [][]byte{aligned[byte](4 * out.Len())}}
	for i := range p.Inner {
		io.Inner = append(io.Inner, aligned[byte](p.Inner[i]))
	}
	s := &p.Stages[0]
	tmp := aligned[byte](s.Scratch + Slack)
	best := time.Hour
	for b.Loop() {
		t := time.Now()
		s.Run(io, 0, s.Units, tmp)
		best = min(best, time.Since(t))
	}
	report(b, float64(p.MACs))
	b.ReportMetric(float64(p.MACs)/best.Seconds()/1e9, "best-GMAC/s")
}

// BenchmarkStagesF32 times the stages of the other float operators.
func BenchmarkStagesF32(b *testing.B) {
	const h, w, ch, classes = 14, 14, 1024, 200
	r := rand.New(rand.NewPCG(1, 1))
	rfga, err := PrepareRFGAF32(&RFGAF32{Shape: Shape{h, w, ch}, WC: randF(r, 4*ch), WH: randF(r, 3*ch*ch), WW: randF(r, 3*ch*ch), A: 1, B: 1})
	if err != nil {
		b.Fatal(err)
	}
	head, err := PrepareHeadF32(&HeadF32{In: Shape{h, w, ch}, Classes: classes, Weights: randF(r, classes*ch), Maps: true})
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range []*Prepared{rfga, head} {
		x := randF(r, h*w*ch)
		io := &IO{In: [][]byte{bytesOf(x)}, Out: [][]byte{aligned[byte](4 * len(x)), aligned[byte](4 * len(x))}}
		for i := range p.Inner {
			io.Inner = append(io.Inner, aligned[byte](p.Inner[i]))
		}
		for i := range p.Stages {
			s := &p.Stages[i]
			tmp := aligned[byte](s.Scratch + Slack)
			b.Run(s.Name, func(b *testing.B) {
				for b.Loop() {
					s.Run(io, 0, s.Units, tmp)
				}
			})
		}
	}
}
