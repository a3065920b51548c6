package kernels

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// BenchmarkGEMM runs every largest tile over M=196, K=512, N=512: the product alone, without requantization.
func BenchmarkGEMM(b *testing.B) {
	const m, k, n = 196, 512, 512
	for i := range gemms {
		g := &gemms[i]
		if g.ISA&^features != 0 || gemmFamily(g)[0] != g {
			continue
		}
		b.Run(g.Name, func(b *testing.B) {
			lda := k * g.A.Size()
			a, w, c := aligned[byte](m*lda+Slack), aligned[int8](k*n+Slack), aligned[int32](g.MR*g.NR)
			for b.Loop() {
				for p := range n / g.NR {
					for r := 0; r+g.MR <= m; r += g.MR {
						g.Fn(&c[0], &a[r*lda], lda, &w[p*g.NR*k], k)
					}
				}
			}
			report(b, float64(m/g.MR*g.MR)*k*n)
		})
	}
}

func report(b *testing.B, macs float64) {
	b.ReportMetric(macs*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}

// BenchmarkConvI8 runs whole operators, each in the variants of this CPU.
func BenchmarkConvI8(b *testing.B) {
	for _, cc := range []convCase{
		{name: "1x1_14x14x512x512", in: Shape{14, 14, 512}, o: 512, groups: 1, win: win(1, 1, 1)},
		{name: "1x1_7x7x1024x1024", in: Shape{7, 7, 1024}, o: 1024, groups: 1, win: win(1, 1, 1)},
		{name: "1x1_56x56x64x256", in: Shape{56, 56, 64}, o: 256, groups: 1, win: win(1, 1, 1)},
		{name: "1x1_112x112x32x16", in: Shape{112, 112, 32}, o: 16, groups: 1, win: win(1, 1, 1)},
		{name: "3x3_28x28x128x128", in: Shape{28, 28, 128}, o: 128, groups: 1, win: win(3, 1, 1, 1)},
		{name: "3x3_28x28x512x512", in: Shape{28, 28, 512}, o: 512, groups: 1, win: win(3, 1, 1, 1)},
		{name: "3x3_224x224x3x32", in: Shape{224, 224, 3}, o: 32, groups: 1, win: win(3, 2, 1, 1)},
		{name: "fc_2048x1000", in: Shape{1, 1, 2048}, o: 1000, groups: 1, win: win(1, 1, 1)},
	} {
		for _, safe := range []bool{false, true} {
			cc.safe = safe
			c, x, _ := cc.build(rand.New(rand.NewPCG(1, 1)))
			for _, isa := range variants() {
				p, err := prepareConvI8(c, isa, cacheL2())
				if err != nil {
					b.Fatal(err)
				}
				if safe && p.Kernel != "u8s8_gemm_6x16c4_avx2" || isa == closure(AVX512) || isa == SSE41 || isa == Portable {
					continue
				}
				b.Run(cc.name+"/"+p.Kernel, func(b *testing.B) { benchStage(b, p, x, c.Out) })
			}
		}
	}
}

func benchStage(b *testing.B, p *Prepared, x []int8, out Shape) {
	in, y := storeGuarded(x), newGuarded(out.Len())
	io := &IO{In: [][]byte{in.body}, Out: [][]byte{y.body}}
	s := &p.Stages[0]
	tmp := aligned[byte](s.Scratch + Slack)
	for b.Loop() {
		s.Run(io, 0, s.Units, tmp)
	}
	report(b, float64(p.MACs))
}

func BenchmarkDepthwiseI8(b *testing.B) {
	for _, cc := range []struct{ size, channels, k, stride int }{{112, 32, 3, 1}, {56, 144, 3, 2}, {14, 480, 5, 1}, {7, 1152, 3, 1}} {
		w := win(cc.k, cc.stride, 1, cc.k/2)
		in := Shape{cc.size, cc.size, cc.channels}
		r := rand.New(rand.NewPCG(1, 1))
		d := &DepthwiseI8{In: in, Out: w.outSize(in, in.C), Window: w, Weights: weights(r, w.KH*w.KW*in.C, false, false),
			Requant: Requant{Mult: multipliers(r, in.C, 9), Lo: -128, Hi: 127}}
		for _, isa := range variants() {
			p, err := prepareDepthwiseI8(d, isa)
			if err != nil {
				b.Fatal(err)
			}
			if isa == closure(AVX512) || isa == SSE41 || isa == AVXVNNI {
				continue
			}
			name := strconv.Itoa(cc.size) + "x" + strconv.Itoa(cc.channels) + "k" + strconv.Itoa(cc.k) + "s" + strconv.Itoa(cc.stride)
			b.Run(name+"/"+p.Kernel, func(b *testing.B) { benchStage(b, p, values(r, in.Len(), false), d.Out) })
		}
	}
}
