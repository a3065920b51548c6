package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A stopwatch keeps the least time of each of several contestants that run in turn.
type stopwatch map[string]time.Duration

func (s stopwatch) run(name string, f func()) {
	t := time.Now()
	f()
	if d := time.Since(t); s[name] == 0 || d < s[name] {
		s[name] = d
	}
}

func (s stopwatch) report(b *testing.B) {
	for name, d := range s {
		b.ReportMetric(float64(d.Nanoseconds())/1e3, name+"-us")
	}
}

// BenchmarkEpilogueI8 times 1x1 layers of growing depth whose kernel rounds its sums in registers, and in a pass of its own.
func BenchmarkEpilogueI8(b *testing.B) {
	for i := range 10 {
		k, residual := []int{64, 128, 256, 512, 1024}[i/2], i%2 > 0
		cc := convCase{in: Shape{14, 14, k}, o: 256, groups: 1, win: win(1, 1, 1), residual: residual}
		c, x, res := cc.build(rand.New(rand.NewPCG(1, 1)))
		b.Run(fmt.Sprintf("%d/residual=%t", k, residual), func(b *testing.B) {
			s, io := stopwatch{}, &IO{In: [][]byte{stored(x), stored(res)}, Out: [][]byte{aligned[byte](c.Out.Len())}}
			for i := range io.In {
				io.In[i] = append(io.In[i], make([]byte, Slack)...)
			}
			for b.Loop() {
				for _, name := range []string{"registers", "pass"} {
					g, err := newConvI8(c, features, cacheL2(), false)
					if err != nil {
						b.Fatal(err)
					}
					if name == "pass" {
						g.rounds = nil
					}
					stage := &g.prepared().Stages[0]
					tmp := aligned[byte](stage.Scratch + Slack)
					for range 3 {
						s.run(name, func() { stage.Run(io, 0, stage.Units, tmp) })
					}
				}
			}
			s.report(b)
		})
	}
}

// BenchmarkDepthwisePointwise times a depthwise convolution and the 1x1 convolution behind it one after the other, and in turn, some
// rows of the image at a time, as if they were one operator.
func BenchmarkDepthwisePointwise(b *testing.B) {
	for _, c := range []struct{ size, channels, stride, o int }{{112, 32, 1, 64}, {112, 64, 2, 128}, {56, 128, 1, 128}, {56, 128, 2, 256}, {28, 256, 1, 256}} {
		w, in := win(3, c.stride, 1, 1), Shape{c.size, c.size, c.channels}
		mid := w.outSize(in, c.channels)
		out := Shape{mid.H, mid.W, c.o}
		r := rand.New(rand.NewPCG(1, 1))
		depthwise, err := PrepareDepthwiseI8(&DepthwiseI8{In: in, Out: mid, Window: w, Weights: weights(r, 9*in.C, false, false),
			Requant: Requant{Mult: multipliers(r, in.C, 9), Lo: -128, Hi: 127}})
		if err != nil {
			b.Fatal(err)
		}
		pointwise, err := PrepareConvI8(&ConvI8{In: mid, Out: out, Window: win(1, 1, 1), Groups: 1, Weights: weights(r, mid.C*out.C, false, false),
			Requant: Requant{Mult: multipliers(r, out.C, mid.C), Lo: -128, Hi: 127}})
		if err != nil {
			b.Fatal(err)
		}
		dw, pw := &depthwise.Stages[0], &pointwise.Stages[0]
		x, m, y := filled[byte](in.Len()), filled[byte](mid.Len()), filled[byte](out.Len())
		first, second := &IO{In: [][]byte{x}, Out: [][]byte{m}}, &IO{In: [][]byte{m}, Out: [][]byte{y}}
		tmp, tmp2 := aligned[byte](dw.Scratch+Slack), aligned[byte](pw.Scratch+Slack)
		b.Run(fmt.Sprintf("%dx%ds%d", c.size, c.channels, c.stride), func(b *testing.B) {
			s := stopwatch{}
			for b.Loop() {
				s.run("depthwise", func() { dw.Run(first, 0, dw.Units, tmp) })
				for _, rows := range []int{mid.H, 28, 14, 8, 4} {
					s.run(fmt.Sprintf("rows%d", rows), func() {
						for h, done := 0, 0; h < mid.H; h += rows {
							dw.Run(first, dw.Units*h/mid.H, dw.Units*min(h+rows, mid.H)/mid.H, tmp)
							to := pw.Units * min(h+rows, mid.H) / mid.H
							pw.Run(second, done, to, tmp2)
							done = to
						}
					})
				}
			}
			s.report(b)
		})
	}
}

// BenchmarkStagesRFGAI8 times the stages of the attention.
func BenchmarkStagesRFGAI8(b *testing.B) {
	for _, shape := range []Shape{{14, 14, 1024}, {28, 28, 2048}} {
		r, n := rand.New(rand.NewPCG(1, 1)), shape.C
		q := Requant{Mult: []float32{0.001}, Lo: -128, Hi: 127}
		p, err := PrepareRFGAI8(&RFGAI8{Shape: shape, ViewMult: [3]float32{0.01, 0.01, 0.01}, WC: weights(r, 4*n, false, false),
			WH: weights(r, 3*n*n, false, false), WW: weights(r, 3*n*n, false, false), ConvC: q, ConvH: q, ConvW: q,
			Table: make([]int16, 3*256), A: 1 << 14, B: 1 << 14, Requant: q})
		if err != nil {
			b.Fatal(err)
		}
		io := &IO{In: [][]byte{filled[byte](shape.Len())}, Out: [][]byte{filled[byte](shape.Len())}}
		for _, size := range p.Inner {
			io.Inner = append(io.Inner, aligned[byte](size))
		}
		b.Run(fmt.Sprintf("%dx%dx%d", shape.H, shape.W, shape.C), func(b *testing.B) {
			s := stopwatch{}
			for b.Loop() {
				for i := range p.Stages {
					stage := &p.Stages[i]
					tmp := aligned[byte](stage.Scratch + Slack)
					s.run(stage.Name, func() { stage.Run(io, 0, stage.Units, tmp) })
				}
			}
			s.report(b)
		})
	}
}

// BenchmarkWinogradI8 times 3x3 layers by the direct sum and by Winograd's method, as a whole and by stages.
func BenchmarkWinogradI8(b *testing.B) {
	cold := make([]byte, 64<<20)
	for _, s := range []struct{ size, in, out int }{{14, 256, 256}, {14, 512, 512}, {28, 256, 256}, {28, 256, 512}, {28, 512, 512}, {56, 64, 64}, {56, 128, 256}, {56, 256, 256}, {112, 64, 128}, {112, 128, 128}, {224, 64, 64}} {
		cc := convCase{in: Shape{s.size, s.size, s.in}, o: s.out, groups: 1, win: win(3, 1, 1, 1)}
		c, x, _ := cc.build(rand.New(rand.NewPCG(1, 1)))
		direct, err := newConvI8(c, features, cacheL2(), false)
		if err != nil {
			b.Fatal(err)
		}
		proved, err := c.prove()
		if err != nil {
			b.Fatal(err)
		}
		wino, err := newWinoI8(c, features, cacheL2(), wino4x4, proved, winoStored(c, features, wino4x4))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%dx%dx%d", s.size, s.in, s.out), func(b *testing.B) {
			s := stopwatch{}
			for b.Loop() {
				for name, p := range map[string]*Prepared{"direct": direct.prepared(), "winograd": wino.prepared()} {
					io := &IO{In: [][]byte{append(stored(x), make([]byte, Slack)...)}, Out: [][]byte{aligned[byte](c.Out.Len())}}
					for _, size := range p.Inner {
						io.Inner = append(io.Inner, aligned[byte](size))
					}
					var tmp [][]byte
					for i := range p.Stages {
						tmp = append(tmp, aligned[byte](p.Stages[i].Scratch+Slack))
					}
					for range 3 {
						for i := 0; i < len(cold); i += 64 { // as in a network, weights come from afar
							cold[i]++
						}
						s.run(name, func() {
							for i := range p.Stages {
								stage := &p.Stages[i]
								s.run(fmt.Sprintf("%s%d", name, i), func() { stage.Run(io, 0, stage.Units, tmp[i]) })
							}
						})
					}
				}
			}
			s.report(b)
		})
	}
}
