package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// checkGEMM16 compares one call with the sum written out.
func checkGEMM16(t testing.TB, g *GEMM16, k int, fill func() (a, b int16)) {
	t.Helper()
	k = ceilDiv(k, g.KR) * g.KR
	lda := 2*k + 6
	a, ga := guardedOf[int16]((g.MR-1)*lda/2 + k)
	b, gb := guardedOf[int16](k * g.NR)
	c, gc := guardedOf[int32](g.MR * g.NR)
	for i := range a {
		a[i], _ = fill()
	}
	for i := range b {
		_, b[i] = fill()
	}
	g.Fn(&c[0], &a[0], lda, &b[0], k)
	for i := range g.MR {
		for j := range g.NR {
			var want int32
			for x := range k {
				want += int32(a[i*lda/2+x]) * int32(b[(x/g.KR*g.NR+j)*g.KR+x%g.KR])
			}
			if c[i*g.NR+j] != want {
				t.Fatalf("%s, k %d: c[%d][%d] = %d, want %d", g.Name, k, i, j, c[i*g.NR+j], want)
			}
		}
	}
	for _, g := range []guarded{ga, gb, gc} {
		g.check(t)
	}
}

func TestGEMM16(t *testing.T) {
	for i := range gemm16s {
		g := &gemm16s[i]
		t.Run(g.Name, func(t *testing.T) {
			runnable(t, g.Name, g.ISA)
			if stem := fmt.Sprintf("s16s16_gemm_%dx%dc%d_", g.MR, g.NR, g.KR); !strings.HasPrefix(g.Name, stem) {
				t.Errorf("name does not start with %s", stem)
			}
			r := rand.New(rand.NewPCG(1, 2))
			random := func() (int16, int16) { return int16(r.IntN(51001) - 25500), int16(r.IntN(12447) - 6223) }
			extreme := func() (int16, int16) { return int16(r.IntN(2)*51000 - 25500), int16(r.IntN(2)*12446 - 6223) }
			most := func() (int16, int16) { return 25500, -6223 }
			for k := 1; k <= 20; k++ {
				checkGEMM16(t, g, k, random)
				checkGEMM16(t, g, k, extreme)
			}
			checkGEMM16(t, g, 1024, most) // the sum wraps
			checkGEMM16(t, g, 333, random)
		})
	}
}

// The matrices as they are in print, with the scales: the transforms are compared with them.
var winoMatrices = map[int]struct{ bt, g, at [][]int32 }{
	4: {
		[][]int32{{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
		[][]int32{{6, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}},
		[][]int32{{1, -4, -4, 1, 1, 0}, {0, -4, 4, 2, -2, 0}, {0, -4, -4, 4, 4, 0}, {0, -4, 4, 8, -8, 4}},
	},
	2: {
		[][]int32{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
		[][]int32{{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}},
		[][]int32{{1, 1, 1, 0}, {0, 1, -1, -1}},
	},
}

// sandwich is l x l^T.
func sandwich(l [][]int32, x func(i, j int) int32) [][]int32 {
	n := len(l[0])
	y := make([][]int32, len(l))
	for i := range y {
		y[i] = make([]int32, len(l))
		for j := range y[i] {
			for a := range n {
				for b := range n {
					y[i][j] += l[i][a] * x(a, b) * l[j][b]
				}
			}
		}
	}
	return y
}

// A^T ((G w G^T) . (B^T x B)) A is the scale times the convolution, as integers: the identity that all of this rests on.
func TestWinogradIdentity(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, form := range winoForms {
		mx := winoMatrices[form.m]
		var x, w [6][6]int32
		for range 100 {
			for i := range 6 {
				for j := range 6 {
					x[i][j], w[i][j] = r.Int32N(256), r.Int32N(255)-127
				}
			}
			v := sandwich(mx.bt, func(i, j int) int32 { return x[i][j] })
			u := sandwich(mx.g, func(i, j int) int32 { return w[i][j] })
			y := sandwich(mx.at, func(i, j int) int32 { return u[i][j] * v[i][j] })
			for i := range form.m {
				for j := range form.m {
					var sum int32
					for a := range 3 {
						for b := range 3 {
							sum += x[i+a][j+b] * w[a][b]
						}
					}
					if got := y[i][j] * int32(form.inverse); got != sum<<form.shift {
						t.Fatalf("F(%d): %d, want %d", form.m, got, sum<<form.shift)
					}
				}
			}
		}
	}
}

func TestWinoInput(t *testing.T) {
	for i := range winoInputs {
		in := &winoInputs[i]
		t.Run(in.Name, func(t *testing.T) {
			runnable(t, in.Name, in.ISA)
			r := rand.New(rand.NewPCG(5, 6))
			n, bt := in.M+2, winoMatrices[in.M].bt
			for c := 1; c <= 70; c++ {
				full := ceilDiv(c, in.Lanes) * in.Lanes
				ldx := c + r.IntN(3)
				ldy := n*ldx + r.IntN(3)
				ldf := 2*full + 2*r.IntN(40)
				x, gx := guardedOf[byte]((n-1)*ldy + (n-1)*ldx + c)
				extreme := c%2 == 0
				for i := range x {
					x[i] = byte(r.Uint32())
					if extreme {
						x[i] = byte(r.IntN(2) * 255)
					}
				}
				v, gv := guardedOf[int16]((n*n-1)*ldf/2 + full)
				tmp := newGuarded(winoTmp)
				in.Fn(&v[0], ldf, &x[0], ldy, ldx, c, &tmp.body[0])
				for ch := range c {
					want := sandwich(bt, func(i, j int) int32 { return int32(x[i*ldy+j*ldx+ch]) })
					for f := range n * n {
						if got := int32(v[f*ldf/2+ch]); got != want[f/n][f%n] {
							t.Fatalf("%d channels: v[%d][%d] = %d, want %d", c, f, ch, got, want[f/n][f%n])
						}
					}
				}
				for _, g := range []guarded{gx, gv, tmp} {
					g.check(t)
				}
			}
		})
	}
}

func TestWinoFilter(t *testing.T) {
	for i := range winoFilters {
		fil := &winoFilters[i]
		t.Run(fil.Name, func(t *testing.T) {
			runnable(t, fil.Name, fil.ISA)
			r := rand.New(rand.NewPCG(7, 8))
			n, gm := fil.M+2, winoMatrices[fil.M].g
			for groups := 1; groups <= 9; groups++ {
				ldf := 2*fil.Lanes*groups + 2*r.IntN(40)
				w, gw := guardedOf[int8](9 * fil.Lanes * groups)
				copy(w, weights(r, len(w), groups%2 == 0, false))
				u, gu := guardedOf[int16]((n*n-1)*ldf/2 + fil.Lanes*groups)
				tmp := newGuarded(winoTmp)
				fil.Fn(&u[0], ldf, &w[0], groups, &tmp.body[0])
				for l := range fil.Lanes * groups {
					want := sandwich(gm, func(i, j int) int32 {
						return int32(w[fil.Lanes*(l/fil.Lanes*9+3*i+j)+l%fil.Lanes])
					})
					for f := range n * n {
						if got := int32(u[f*ldf/2+l]); got != want[f/n][f%n] {
							t.Fatalf("%d groups: u[%d][%d] = %d, want %d", groups, f, l, got, want[f/n][f%n])
						}
					}
				}
				for _, g := range []guarded{gw, gu, tmp} {
					g.check(t)
				}
			}
		})
	}
}

func TestWinoOutput(t *testing.T) {
	for i := range winoOutputs {
		out := &winoOutputs[i]
		t.Run(out.Name, func(t *testing.T) {
			runnable(t, out.Name, out.ISA)
			r := rand.New(rand.NewPCG(9, 10))
			form := winoForms[slices.IndexFunc(winoForms, func(f *winoForm) bool { return f.m == out.M })]
			n, at := form.n, winoMatrices[out.M].at
			for tiles := 1; tiles <= 9; tiles++ {
				ldf := 4*out.NR*tiles + 4*r.IntN(20)
				ldy := 4*out.NR*out.M*tiles + 4*r.IntN(20)
				m, gm := guardedOf[int32]((n*n-1)*ldf/4 + out.NR*tiles)
				y, gy := guardedOf[int32]((out.M-1)*ldy/4 + out.NR*out.M*tiles)
				corr, gc := guardedOf[int32](out.NR)
				for i := range m {
					m[i] = int32(r.Uint32())
				}
				for i := range corr {
					corr[i] = int32(r.Uint32())
				}
				tmp := newGuarded(winoTmp)
				out.Fn(&y[0], ldy, &m[0], ldf, tiles, &corr[0], &tmp.body[0])
				for tile := range tiles {
					for c := range out.NR {
						want := sandwich(at, func(i, j int) int32 { return m[(i*n+j)*ldf/4+out.NR*tile+c] })
						for i := range out.M {
							for j := range out.M {
								want := (want[i][j]*int32(form.inverse) + corr[c]) >> form.shift
								if got := y[i*ldy/4+out.NR*(out.M*tile+j)+c]; got != want {
									t.Fatalf("tile %d of %d: y[%d][%d][%d] = %d, want %d", tile, tiles, i, j, c, got, want)
								}
							}
						}
					}
				}
				for _, g := range []guarded{gm, gy, gc, tmp} {
					g.check(t)
				}
			}
		})
	}
}

// checkWinograd compares a layer with the contract, in every form that its range allows, with every instruction set here.
func checkWinograd(t testing.TB, c *ConvI8, x, res []int8, splits ...string) {
	t.Helper()
	want := naiveConv(c, x, res)
	in, inRes := storeGuarded(x), storeGuarded(res)
	proved, err := c.prove()
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range winoForms {
		if winoReach(c) >= form.limit() {
			continue
		}
		for _, isa := range variants() {
			for _, l2 := range []int{0, 1 << 12} {
				for _, stored := range []bool{true, false} {
					g, err := newWinoI8(c, isa, l2, form, proved, stored)
					if err != nil {
						t.Fatal(err)
					}
					p := g.prepared()
					for _, split := range splits {
						out := newGuarded(c.Out.Len())
						io := &IO{In: [][]byte{in.body, inRes.body}, Out: [][]byte{out.body}}
						var inner []guarded
						for _, n := range p.Inner {
							inner = append(inner, newGuarded(n))
							io.Inner = append(io.Inner, inner[len(inner)-1].body)
						}
						runStages(t, p, io, split)
						out.check(t)
						for _, b := range inner {
							b.check(t)
						}
						diff(t, fmt.Sprintf("F(%d), %s, %s, L2 %d, stored %v", form.m, p.Kernel, split, l2, stored), loadBytes(out.body), want, c.Out)
					}
				}
			}
		}
	}
	in.check(t)
	inRes.check(t)
}

func TestWinograd(t *testing.T) {
	for i, cc := range []convCase{
		{name: "4x4", in: Shape{4, 4, 32}, o: 32, win: win(3, 1, 1, 1)},
		{name: "8x8", in: Shape{8, 8, 64}, o: 64, win: win(3, 1, 1, 1), residual: true},
		{name: "7x7", in: Shape{7, 7, 48}, o: 40, win: win(3, 1, 1, 1), padValue: true},
		{name: "14x14", in: Shape{14, 14, 40}, o: 70, win: win(3, 1, 1, 1), residual: true},
		{name: "odd channels", in: Shape{9, 13, 37}, o: 29, win: win(3, 1, 1, 1), padValue: true},
		{name: "one channel", in: Shape{6, 5, 1}, o: 1, win: win(3, 1, 1, 1)},
		{name: "no padding", in: Shape{11, 10, 16}, o: 33, win: win(3, 1, 1)},
		{name: "uneven padding", in: Shape{5, 6, 20}, o: 17, win: win(3, 1, 1, 3, 0, 2, 5), padValue: true, residual: true},
		{name: "padding only", in: Shape{1, 1, 4}, o: 5, win: win(3, 1, 1, 4), padValue: true},
		{name: "one pixel", in: Shape{3, 3, 70}, o: 90, win: win(3, 1, 1)},
		{name: "a row", in: Shape{1, 30, 8}, o: 12, win: win(3, 1, 1, 1)},
		{name: "extreme", in: Shape{8, 9, 64}, o: 48, win: win(3, 1, 1, 1), extreme: true, padValue: true},
		{name: "many tiles", in: Shape{41, 38, 6}, o: 8, win: win(3, 1, 1, 1)},
	} {
		t.Run(cc.name, func(t *testing.T) {
			cc.groups = 1
			c, x, res := cc.build(rand.New(rand.NewPCG(uint64(i), 11)))
			checkWinograd(t, c, x, res, "whole", "single", "thirds")
		})
	}
}

// At the edge of the bound 230 channels of 127 are in, 231 are out, and there the method does fail.
func TestWinogradBound(t *testing.T) {
	layer := func(channels int, sign int8) *ConvI8 {
		run := padded4(channels)
		c := &ConvI8{In: Shape{6, 6, channels}, Out: Shape{6, 6, 3}, Window: win(3, 1, 1, 1), Groups: 1, ZeroIn: -128,
			Weights: make([]int8, 3*9*run), Requant: Requant{Mult: []float32{1e-6}, Lo: -128, Hi: 127}}
		for i := range c.Weights {
			if i%run < channels {
				c.Weights[i] = 127 * sign
				if i >= 2*9*run { // mixed signs in the last channel
					c.Weights[i] = [2]int8{127, -127}[i/run%2]
				}
			}
		}
		return c
	}
	for _, sign := range []int8{1, -1} {
		c := layer(230, sign)
		if winoReach(c) >= winoForms[0].limit() {
			t.Fatalf("230 channels: reach %d", winoReach(c))
		}
		for _, zero := range []int32{-128, 127} {
			c.ZeroIn = zero
			for _, v := range []int8{-128, 127} {
				x := slices.Repeat([]int8{v}, c.In.Len())
				checkWinograd(t, c, x, x, "whole")
			}
			x := values(rand.New(rand.NewPCG(1, 1)), c.In.Len(), true)
			checkWinograd(t, c, x, x, "whole")
		}

		out := layer(231, sign)
		if reach := winoReach(out); reach < winoForms[0].limit() || reach >= winoForms[1].limit() {
			t.Fatalf("231 channels: reach %d", reach)
		}
		x := slices.Repeat([]int8{127}, out.In.Len())
		checkWinograd(t, out, x, x, "whole") // by F(2x2)
		proved, _ := out.prove()
		wrong := 0
		for _, v := range []int8{-128, 127} {
			x := slices.Repeat([]int8{v}, out.In.Len())
			g, err := newWinoI8(out, Portable, 0, winoForms[0], proved, true)
			if err != nil {
				t.Fatal(err)
			}
			y := newGuarded(out.Out.Len())
			runStages(t, g.prepared(), &IO{In: [][]byte{storeGuarded(x).body}, Out: [][]byte{y.body}}, "whole")
			if !slices.Equal(loadBytes(y.body), naiveConv(out, x, nil)) {
				wrong++
			}
		}
		if wrong == 0 {
			t.Error("beyond the bound nothing goes wrong: is the bound too strict?")
		}
	}
}

// What PrepareConvI8 chooses, and what it says about it.
func TestWinogradChoice(t *testing.T) {
	build := func(cc convCase) *ConvI8 {
		cc.groups = max(cc.groups, 1)
		c, _, _ := cc.build(rand.New(rand.NewPCG(1, 12)))
		return c
	}
	big := convCase{in: Shape{28, 28, 128}, o: 128, win: win(3, 1, 1, 1), safe: true}
	for _, isa := range variants() {
		if isa == AVX512 || isa == SSE41 || isa == closure(SHA) || len(archWinoInputs) == 0 && isa != Portable {
			continue // its transforms or its product would be portable Go
		}
		p := prepareWinogradI8(build(big), isa, 0)
		if Disabled("winograd") {
			if p != nil {
				t.Error("chosen although it is disabled")
			}
			continue
		}
		if isa&DotProd != 0 { // products of bytes at four times the rate of 16-bit ones: nothing is gained
			if p != nil {
				t.Errorf("%v: chosen, %s", isa, p.Why)
			}
			continue
		}
		if p == nil || !strings.Contains(p.Why, "F(4x4,3x3)") || !strings.HasPrefix(p.Kernel, "s16s16_gemm_") {
			t.Errorf("%v: %+v", isa, p)
		}
	}
	for name, edit := range map[string]func(c *convCase){
		"stride 2":   func(c *convCase) { c.win.StrideH, c.win.StrideW = 2, 2 },
		"dilation 2": func(c *convCase) { c.win.DilationH, c.win.DilationW = 2, 2 },
		"1x3":        func(c *convCase) { c.win.KH = 1 },
		"groups":     func(c *convCase) { c.groups = 2 },
		"3 channels": func(c *convCase) { c.in.C = 3 },
		"one pixel":  func(c *convCase) { c.in.H, c.in.W, c.win.Pad = 3, 3, [4]int{} },
	} {
		cc := big
		edit(&cc)
		if p := prepareWinogradI8(build(cc), features, 0); p != nil && len(archGEMM16s) > 0 {
			t.Errorf("%s: chosen, %s", name, p.Why)
		}
	}
}

func FuzzWinograd(f *testing.F) {
	f.Add(uint64(1), uint8(9), uint8(7), uint8(33), uint8(20), uint16(0x1111), uint8(3))
	f.Add(uint64(2), uint8(4), uint8(4), uint8(64), uint8(64), uint16(0), uint8(4))
	f.Fuzz(func(t *testing.T, seed uint64, h, w, c, o uint8, pad uint16, flags uint8) {
		cc := convCase{in: Shape{1 + int(h)%20, 1 + int(w)%20, 1 + int(c)%80}, o: 1 + int(o)%70, groups: 1,
			win:      win(3, 1, 1, int(pad&3), int(pad>>4&3), int(pad>>8&3), int(pad>>12&3)),
			residual: flags&1 != 0, padValue: flags&2 != 0, extreme: flags&4 != 0}
		if s := cc.win.outSize(cc.in, 1); s.H < 1 || s.W < 1 {
			t.Skip()
		}
		layer, x, res := cc.build(rand.New(rand.NewPCG(seed, 13)))
		checkWinograd(t, layer, x, res, "thirds")
	})
}

// BenchmarkWinoTransforms gives the rows' rates: elements of results a microsecond.
func BenchmarkWinoTransforms(b *testing.B) {
	const channels, tiles = 128, 14
	tmp := aligned[byte](winoTmp)
	rate := func(b *testing.B, n int) { b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds()/1e6, "el/us") }
	for i := range winoInputs {
		if in := &winoInputs[i]; in.ISA&^features == 0 {
			b.Run(in.Name, func(b *testing.B) {
				ldf := winoStride(2 * channels)
				v, x := aligned[int16](36*ldf/2), aligned[byte](36*channels)
				for b.Loop() {
					in.Fn(&v[0], ldf, &x[0], 6*channels, channels, channels, &tmp[0])
				}
				rate(b, channels)
			})
		}
	}
	for i := range winoFilters {
		if fil := &winoFilters[i]; fil.ISA&^features == 0 {
			b.Run(fil.Name, func(b *testing.B) {
				groups := channels / 2
				ldf := winoStride(2 * groups * fil.Lanes)
				u, w := aligned[int16](36*ldf/2), aligned[int8](9*groups*fil.Lanes)
				for b.Loop() {
					fil.Fn(&u[0], ldf, &w[0], groups, &tmp[0])
				}
				rate(b, groups*fil.Lanes)
			})
		}
	}
	for i := range winoOutputs {
		if out := &winoOutputs[i]; out.ISA&^features == 0 {
			b.Run(out.Name, func(b *testing.B) {
				ldf, ldy := winoStride(4*out.NR*tiles), winoStride(4*out.NR*tiles*out.M)
				m, y := aligned[int32](36*ldf/4), aligned[int32](out.M*ldy/4)
				corr := aligned[int32](out.NR)
				for b.Loop() {
					out.Fn(&y[0], ldy, &m[0], ldf, tiles, &corr[0], &tmp[0])
				}
				rate(b, tiles*out.NR)
			})
		}
	}
}

func BenchmarkGEMM16(b *testing.B) {
	const k, n = 256, 64
	for i := range gemm16s {
		g := &gemm16s[i]
		if g.ISA&^features != 0 {
			continue
		}
		b.Run(g.Name, func(b *testing.B) {
			m := 56 / g.MR
			a, w, c := aligned[int16](56*k), aligned[int16](k*n), aligned[int32](g.MR*g.NR)
			for b.Loop() {
				for p := range n / g.NR {
					for r := range m {
						g.Fn(&c[0], &a[r*g.MR*k], 2*k, (*int16)(unsafe.Pointer(&w[p*g.NR*k])), k)
					}
				}
			}
			report(b, float64(m*g.MR)*k*n)
		})
	}
}
