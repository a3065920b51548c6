package kernels

import (
	"fmt"
	"math"
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
	layout := g.ISA.transformed()
	a, ga := guardedOf[int16](layout.index(g.MR-1, k-1, lda/2) + 1)
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
				want += int32(a[layout.index(i, x, lda/2)]) * int32(b[(x/g.KR*g.NR+j)*g.KR+x%g.KR])
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
var winoMatrices = map[*winoForm]lineMatrices{
	wino6of7: *wino6of7.line, // TestWinogradIdentity holds for it, and for no other
	wino4of3: *wino4of3.line,
	wino4x4: {
		[][]int32{{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
		[][]int32{{6, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}},
		[][]int32{{1, -4, -4, 1, 1, 0}, {0, -4, 4, 2, -2, 0}, {0, -4, -4, 4, 4, 0}, {0, -4, 4, 8, -8, 4}},
	},
	wino2x2: {
		[][]int32{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
		[][]int32{{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}},
		[][]int32{{1, 1, 1, 0}, {0, 1, -1, -1}},
	},
}

// dot is the sum of products of a row and n terms.
func dot(l []int32, x func(i int) int32) int32 {
	var sum int32
	for i, a := range l {
		sum += a * x(i)
	}
	return sum
}

// apply transforms in a form's one or two dimensions: l x l^T, or l x.
func apply(form *winoForm, l [][]int32, x func(i, j int) int32) [][]int32 {
	if form.line == nil {
		return sandwich(l, x)
	}
	y := make([][]int32, len(l))
	for i := range y {
		y[i] = []int32{dot(l[i], func(j int) int32 { return x(0, j) })}
	}
	return y
}

// flat lists what apply gave in the order of the frequencies.
func flat(y [][]int32) []int32 { return slices.Concat(y...) }

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
		mx := winoMatrices[form]
		rows := 3 // of a filter, and of the block of results
		results := form.m
		if form.line != nil {
			rows, results = 1, 1
		}
		var x, w [6][12]int32
		for trial := range 300 {
			for i := range x {
				for j := range x[i] {
					x[i][j], w[i][j] = r.Int32N(256), r.Int32N(255)-127
					if trial%2 == 0 {
						x[i][j], w[i][j] = 255*r.Int32N(2), 254*r.Int32N(2)-127
					}
				}
			}
			v := flat(apply(form, mx.bt, func(i, j int) int32 { return x[i][j] }))
			u := flat(apply(form, mx.g, func(i, j int) int32 { return w[i][j] }))
			n := len(mx.bt)
			if form.line != nil {
				n = 0
			}
			y := apply(form, mx.at, func(i, j int) int32 { return u[i*n+j] * v[i*n+j] })
			for i := range results {
				for j := range form.m {
					var sum int32
					for a := range rows {
						for b := range form.r {
							sum += x[i+a][j+b] * w[a][b]
						}
					}
					got := flat(y)[i*form.m+j] * int32(form.inverse)
					if got != sum<<form.shift {
						t.Fatalf("F(%s): %d, want %d", form.name, got, sum<<form.shift)
					}
				}
			}
		}
		// What fits 16 bits, and pairs of products that fit 32.
		for f, b := range mx.bt {
			if form.line == nil {
				continue // winograd.go has the bounds
			}
			var up, down, weight int64
			for _, v := range b {
				up, down = up+max(int64(v), 0), down+max(-int64(v), 0)
			}
			for _, v := range mx.g[f] {
				weight += 127 * max(int64(v), -int64(v))
			}
			if most := 255 * max(up, down); most > math.MaxInt16 || weight > math.MaxInt16 || 2*most*weight > math.MaxInt32 {
				t.Errorf("F(%s), frequency %d: inputs to %d, weights to %d", form.name, f, most, weight)
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
			n, bt := in.Form.n, winoMatrices[in.Form].bt
			rows := n
			if in.Form.line != nil {
				rows = 1
			}
			for c := 1; c <= 70; c++ {
				layout := in.ISA.transformed()
				full := layout.index(0, ceilDiv(c, in.Lanes)*in.Lanes-1, 0) + 1
				ldx := c + r.IntN(3)
				ldy := n*ldx + r.IntN(3)
				ldf := 2*full + 2*r.IntN(40)
				x, gx := guardedOf[byte]((rows-1)*ldy + (n-1)*ldx + c)
				extreme := c%2 == 0
				for i := range x {
					x[i] = byte(r.Uint32())
					if extreme {
						x[i] = byte(r.IntN(2) * 255)
					}
				}
				v, gv := guardedOf[int16]((in.Form.freqs-1)*ldf/2 + full)
				tmp := newGuarded(winoTmp)
				in.Fn(&v[0], ldf, &x[0], ldy, ldx, c, &tmp.body[0])
				for ch := range c {
					want := flat(apply(in.Form, bt, func(i, j int) int32 { return int32(x[i*ldy+j*ldx+ch]) }))
					for f := range want {
						if got := int32(v[f*ldf/2+layout.index(0, ch, 0)]); got != want[f] {
							t.Fatalf("%d channels: v[%d][%d] = %d, want %d", c, f, ch, got, want[f])
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
			taps, gm := fil.Form.taps, winoMatrices[fil.Form].g
			for groups := 1; groups <= 30; groups++ {
				ldf := 2*fil.Lanes*groups + 2*r.IntN(40)
				w, gw := guardedOf[int8](taps * fil.Lanes * groups)
				copy(w, weights(r, len(w), groups%2 == 0, false))
				first, n := 0, fil.Form.rows()
				if fil.ByRow {
					first = r.IntN(n)
					n = 1 + r.IntN(n-first)
				}
				perRow := fil.Form.freqs / fil.Form.rows()
				u, gu := guardedOf[int16]((n*perRow-1)*ldf/2 + fil.Lanes*groups)
				tmp := newGuarded(winoTmp)
				fil.Fn(&u[0], ldf, &w[0], groups, fil.Form.row(first), n, &tmp.body[0])
				for l := range fil.Lanes * groups {
					want := flat(apply(fil.Form, gm, func(i, j int) int32 {
						return int32(w[fil.Lanes*(l/fil.Lanes*taps+3*i+j)+l%fil.Lanes])
					}))
					for f := range n * perRow {
						if got, want := int32(u[f*ldf/2+l]), want[first*perRow+f]; got != want {
							t.Fatalf("%d groups: u[%d][%d] = %d, want %d", groups, first*perRow+f, l, got, want)
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
			form := out.Form
			n, at := form.n, winoMatrices[form].at
			perRow := form.m
			if form.line != nil {
				perRow = 1
			}
			for tiles := 1; tiles <= 9; tiles++ {
				ldf := 4*out.NR*tiles + 4*r.IntN(20)
				ldy := 4*out.NR*perRow*tiles + 4*r.IntN(20)
				m, gm := guardedOf[int32]((form.freqs-1)*ldf/4 + out.NR*tiles)
				y, gy := guardedOf[int32]((form.m-1)*ldy/4 + out.NR*perRow*tiles)
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
						want := apply(form, at, func(i, j int) int32 { return m[(i*n+j)*ldf/4+out.NR*tile+c] })
						for i := range form.m {
							for j := range perRow {
								want := (want[i][j]*int32(form.inverse) + corr[c]) >> form.shift
								if got := y[i*ldy/4+out.NR*(perRow*tile+j)+c]; got != want {
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
					fil.Fn(&u[0], ldf, &w[0], groups, fil.Form.row(0), fil.Form.rows(), &tmp[0])
				}
				rate(b, groups*fil.Lanes)
			})
		}
	}
	for i := range winoOutputs {
		if out := &winoOutputs[i]; out.ISA&^features == 0 {
			b.Run(out.Name, func(b *testing.B) {
				ldf, ldy := winoStride(4*out.NR*tiles), winoStride(4*out.NR*tiles*out.Form.m)
				m, y := aligned[int32](36*ldf/4), aligned[int32](out.Form.m*ldy/4)
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
