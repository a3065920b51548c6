package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestRequantize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	accs := []int32{0, 1, -1, 5, -5, 1<<24 + 1, 1<<24 + 3, -1<<24 - 1, math.MaxInt32, math.MinInt32, math.MaxInt32 - 64}
	mults := []float32{0.5, 0.1, 0x1p-24, 1, 0x1p-126, math.MaxFloat32, 1.0 / 3}
	for range 3000 {
		acc, m := int32(r.Uint32()), float32(math.Exp(-r.Float64()*22))
		if r.IntN(2) == 0 {
			acc >>= r.IntN(31)
		}
		if r.IntN(8) == 0 {
			acc, m = accs[r.IntN(len(accs))], mults[r.IntN(len(mults))]
		}
		zero := randZero(r)
		lo, hi := randBounds(r)
		checkRequantize(t, acc, m, zero, lo, hi)
	}
}

func checkRequantize(t *testing.T, acc int32, m float32, zero, lo, hi int32) {
	t.Helper()
	want := bigRequant(int64(acc), m, zero, lo, hi)
	if got := requantize(acc, m, zero, lo, hi); got != int32(want) {
		t.Fatalf("requantize(%d, %g, %d, %d, %d) = %d, want %d", acc, m, zero, lo, hi, got, want)
	}
	if got := newRounder(zero, lo, hi).store(float32(float32(acc) * m)); int32(got)-128 != int32(want) {
		t.Fatalf("rounder stores %d, want %d", int32(got)-128, want)
	}
}

func FuzzRequantize(f *testing.F) {
	f.Add(int32(-5), uint32(0x3f000000), int8(0), int8(-128), int8(127))
	f.Add(int32(math.MinInt32), uint32(0x7f7fffff), int8(-128), int8(-128), int8(127))
	f.Fuzz(func(t *testing.T, acc int32, bits uint32, zero, lo, hi int8) {
		m := math.Float32frombits(bits)
		if checkMult("", m) != nil || lo > hi {
			t.Skip()
		}
		checkRequantize(t, acc, m, int32(zero), int32(lo), int32(hi))
	})
}

func TestTableI8(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for _, n := range []int{1, 7, flatUnit, 3*flatUnit + 5} {
		table, x := randQ(r, 256), randQ(r, n)
		want := make([]int8, n)
		for i, q := range x {
			want[i] = table[int(q)+128]
		}
		p := mustPrepare(t)(PrepareTableI8(Shape{1, 1, n}, table))
		wantBytes(t, opRun(t, p, [][]byte{stored(x)}, n)[0], want)
	}
}

func TestQuantizeI8(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for range 20 {
		scale, zero := float32(math.Exp(r.NormFloat64())), randZero(r)
		x := []float32{nan, -nan, inf, -inf, 0, 0.5 * scale, 1.5 * scale, -0.5 * scale, -2.5 * scale, math.MaxFloat32, -math.MaxFloat32, 1e-45}
		for range 300 {
			x = append(x, float32(r.NormFloat64()*60)*scale)
		}
		want := make([]int8, len(x))
		for i, v := range x {
			switch v64 := float64(v); {
			case v64 != v64:
				want[i] = int8(zero)
			case math.IsInf(v64, 1):
				want[i] = 127
			case math.IsInf(v64, -1):
				want[i] = -128
			default:
				q := new(big.Float).SetPrec(24).Quo(big.NewFloat(v64), big.NewFloat(float64(scale)))
				want[i] = bigRound(q, zero, -128, 127)
			}
		}
		p := mustPrepare(t)(PrepareQuantizeI8(len(x), scale, zero))
		wantBytes(t, opRun(t, p, [][]byte{bytesOf(x)}, len(x))[0], want)

		q := randQ(r, 300)
		p = mustPrepare(t)(PrepareDequantizeI8(len(q), scale, zero))
		y := view[float32](opRun(t, p, [][]byte{stored(q)}, 4*len(q))[0])
		for i, v := range q {
			if want, _ := bigMul(int64(v)-int64(zero), scale).Float32(); y[i] != want {
				t.Fatalf("dequantize %d: %g, want %g", v, y[i], want)
			}
		}
	}
}

func TestBinaryI8(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	for range 60 {
		a := Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(20)}
		b := a
		for _, d := range []*int{&b.H, &b.W, &b.C} {
			if r.IntN(2) == 0 {
				*d = 1
			}
		}
		c := &BinaryI8{A: a, B: b, Out: a, ZeroA: randZero(r), ZeroB: randZero(r), Zero: randZero(r),
			MultA: float32(math.Exp(r.NormFloat64())), MultB: float32(math.Exp(r.NormFloat64()))}
		c.Lo, c.Hi = randBounds(r)
		qa, qb := randQ(r, a.Len()), randQ(r, b.Len())
		add, mul := make([]int8, a.Len()), make([]int8, a.Len())
		for i := range add {
			h, w, ch := i/a.C/a.W, i/a.C%a.W, i%a.C
			j := (h%b.H*b.W+w%b.W)*b.C + ch%b.C
			va, vb := int64(qa[i])-int64(c.ZeroA), int64(qb[j])-int64(c.ZeroB)
			sum := new(big.Float).SetPrec(24).Add(bigMul(va, c.MultA), bigMul(vb, c.MultB))
			add[i] = bigRound(sum, c.Zero, c.Lo, c.Hi)
			mul[i] = bigRequant(va*vb, c.MultA, c.Zero, c.Lo, c.Hi)
		}
		in := [][]byte{stored(qa), stored(qb)}
		for _, isa := range variants() {
			wantBytes(t, opRun(t, mustPrepare(t)(prepareAddI8(c, isa)), in, a.Len())[0], add)
			wantBytes(t, opRun(t, mustPrepare(t)(prepareMulI8(c, isa)), in, a.Len())[0], mul)
		}
	}
}

func TestPoolI8(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	tried := 0
	for tried < 150 {
		in := Shape{1 + r.IntN(9), 1 + r.IntN(9), []int{1, 5, 70, 400}[r.IntN(4)]}
		w := Window{KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), DilationH: 1, DilationW: 1,
			Pad: [4]int{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)}}
		if r.IntN(8) == 0 {
			w.KH, w.KW, w.Pad = in.H, in.W, [4]int{}
		}
		roomH, roomW := in.H+w.Pad[0]+w.Pad[2]-w.KH, in.W+w.Pad[1]+w.Pad[3]-w.KW
		if roomH < 0 || roomW < 0 {
			continue
		}
		out := Shape{roomH/w.StrideH + 1, roomW/w.StrideW + 1, in.C}
		if r.IntN(2) == 0 { // ceil mode
			out.H, out.W = ceilDiv(roomH, w.StrideH)+1, ceilDiv(roomW, w.StrideW)+1
			if (out.H-1)*w.StrideH >= in.H+w.Pad[0] {
				out.H--
			}
			if (out.W-1)*w.StrideW >= in.W+w.Pad[1] {
				out.W--
			}
		}
		tried++
		c := &PoolI8{In: in, Out: out, Window: w, CountIncludePad: r.IntN(2) == 0, ZeroIn: randZero(r),
			Requant: Requant{Mult: []float32{float32(math.Exp(r.NormFloat64()))}, Zero: randZero(r)}}
		c.Requant.Lo, c.Requant.Hi = randBounds(r)
		x := randQ(r, in.Len())
		average, maximum, hasMax := naivePool(c, x)
		for _, isa := range variants() {
			wantBytes(t, opRun(t, mustPrepare(t)(prepareAvgPoolI8(c, isa)), [][]byte{stored(x)}, out.Len())[0], average)
			p, err := prepareMaxPoolI8(c, isa)
			if !hasMax {
				wantError(t, err, "nothing but padding")
				continue
			}
			wantBytes(t, opRun(t, mustPrepare(t)(p, err), [][]byte{stored(x)}, out.Len())[0], maximum)
		}
	}
}

// naivePool visits every place of every window, and says what it is: image, padding, or beyond the padding.
func naivePool(c *PoolI8, x []int8) (average, maximum []int8, hasMax bool) {
	w, q, m := &c.Window, &c.Requant, c.Requant.Mult[0]
	hasMax = true
	for oh := range c.Out.H {
		for ow := range c.Out.W {
			for ch := range c.In.C {
				sum, image, padding, best := int64(0), 0, 0, int64(math.MinInt64)
				for kh := range w.KH {
					for kw := range w.KW {
						ih, iw := oh*w.StrideH+kh-w.Pad[0], ow*w.StrideW+kw-w.Pad[1]
						switch {
						case ih >= 0 && ih < c.In.H && iw >= 0 && iw < c.In.W:
							v := int64(x[(ih*c.In.W+iw)*c.In.C+ch]) - int64(c.ZeroIn)
							sum, image, best = sum+v, image+1, max(best, v)
						case ih < c.In.H+w.Pad[2] && iw < c.In.W+w.Pad[3]:
							padding++
						}
					}
				}
				count := image
				if c.CountIncludePad {
					count += padding
				}
				average = append(average, bigRequant(sum, float32(float64(m)/float64(max(1, count))), q.Zero, q.Lo, q.Hi))
				if image == 0 {
					hasMax = false
					best = 0
				}
				maximum = append(maximum, bigRequant(best, m, q.Zero, q.Lo, q.Hi))
			}
		}
	}
	return average, maximum, hasMax
}

func TestConcatI8(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	for i := range 60 {
		axis := 1 + i%3
		c := &ConcatI8{Out: Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(6)}, Axis: axis, Zero: randZero(r)}
		dim := func(s *Shape) *int { return []*int{&s.H, &s.W, &s.C}[axis-1] }
		*dim(&c.Out) = 0
		var in [][]byte
		var x [][]int8
		for range 1 + r.IntN(4) {
			s := c.Out
			*dim(&s) = 1 + r.IntN(4)
			c.In = append(c.In, s)
			c.Zeros = append(c.Zeros, randZero(r))
			c.Mults = append(c.Mults, []float32{1, float32(math.Exp(r.NormFloat64()))}[r.IntN(2)])
			q := randQ(r, s.Len())
			x, in = append(x, q), append(in, stored(q))
		}
		for _, s := range c.In {
			*dim(&c.Out) += *dim(&s)
		}
		want := make([]int8, 0, c.Out.Len())
		for h := range c.Out.H {
			for w := range c.Out.W {
				for ch := range c.Out.C {
					at := [3]int{h, w, ch}
					k := 0
					for at[axis-1] >= *dim(&c.In[k]) {
						at[axis-1] -= *dim(&c.In[k])
						k++
					}
					v := x[k][(at[0]*c.In[k].W+at[1])*c.In[k].C+at[2]]
					want = append(want, bigRequant(int64(v)-int64(c.Zeros[k]), c.Mults[k], c.Zero, -128, 127))
				}
			}
		}
		for _, isa := range variants() {
			wantBytes(t, opRun(t, mustPrepare(t)(prepareConcatI8(c, isa)), in, c.Out.Len())[0], want)
		}
	}
}

func TestPadI8(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	for range 20 {
		in, pad, value := Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(6)}, [4]int{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)}, int8(r.IntN(256)-128)
		out := Shape{in.H + pad[0] + pad[2], in.W + pad[1] + pad[3], in.C}
		x := randQ(r, in.Len())
		var want []int8
		for i := range out.Len() {
			h, w := i/out.C/out.W-pad[0], i/out.C%out.W-pad[1]
			if h < 0 || w < 0 || h >= in.H || w >= in.W {
				want = append(want, value)
			} else {
				want = append(want, x[(h*in.W+w)*in.C+i%in.C])
			}
		}
		wantBytes(t, opRun(t, mustPrepare(t)(PreparePadI8(in, out, pad, value)), [][]byte{stored(x)}, out.Len())[0], want)
	}
}

func TestResizeI8(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for range 60 {
		ch := 1 + r.IntN(6)
		c := &ResizeI8{In: Shape{1 + r.IntN(7), 1 + r.IntN(7), ch}, Out: Shape{1 + r.IntN(15), 1 + r.IntN(15), ch}, ZeroIn: randZero(r),
			Bilinear: r.IntN(3) > 0, AlignCorners: r.IntN(2) == 0,
			Requant: Requant{Mult: []float32{[]float32{1, float32(math.Exp(r.NormFloat64()))}[r.IntN(2)]}, Zero: randZero(r)}}
		c.Requant.Lo, c.Requant.Hi = randBounds(r)
		x := randQ(r, c.In.Len())
		at := func(h, w, ch int) int64 { return int64(x[(h*c.In.W+w)*c.In.C+ch]) - int64(c.ZeroIn) }
		var want []int8
		for i := range c.Out.Len() {
			h, w, ch := i/ch/c.Out.W, i/ch%c.Out.W, i%ch
			acc, m := int64(0), c.Requant.Mult[0]
			if c.Bilinear {
				h0, h1, wh := naiveLerp(h, c.In.H, c.Out.H, c.AlignCorners)
				w0, w1, ww := naiveLerp(w, c.In.W, c.Out.W, c.AlignCorners)
				acc = (at(h0, w0, ch)*(2048-ww)+at(h0, w1, ch)*ww)*(2048-wh) + (at(h1, w0, ch)*(2048-ww)+at(h1, w1, ch)*ww)*wh
				m = float32(float64(m) / (1 << 22))
			} else {
				acc = at(h*c.In.H/c.Out.H, w*c.In.W/c.Out.W, ch)
			}
			want = append(want, bigRequant(acc, m, c.Requant.Zero, c.Requant.Lo, c.Requant.Hi))
		}
		wantBytes(t, opRun(t, mustPrepare(t)(PrepareResizeI8(c)), [][]byte{stored(x)}, c.Out.Len())[0], want)
	}
}

// naiveLerp places an output coordinate with rational numbers.
func naiveLerp(o, in, out int, align bool) (at0, at1 int, weight int64) {
	pos := new(big.Rat)
	if align {
		if out > 1 {
			pos = big.NewRat(int64(o*(in-1)), int64(out-1))
		}
	} else {
		half := big.NewRat(1, 2)
		pos.Add(big.NewRat(int64(o), 1), half)
		pos.Mul(pos, big.NewRat(int64(in), int64(out)))
		pos.Sub(pos, half)
		if pos.Sign() < 0 {
			pos.SetInt64(0)
		}
	}
	at := new(big.Int).Div(pos.Num(), pos.Denom())
	pos.Sub(pos, new(big.Rat).SetInt(at))
	pos.Mul(pos, big.NewRat(2048, 1))
	f, exact := pos.Float64()
	if !exact {
		f, _ = new(big.Float).SetPrec(200).SetRat(pos).Float64()
	}
	return int(at.Int64()), min(int(at.Int64())+1, in-1), int64(math.RoundToEven(f))
}

func TestSoftmaxI8(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	for range 20 {
		s, scale := Shape{1 + r.IntN(3), 1 + r.IntN(3), 1 + r.IntN(30)}, float32(math.Exp(r.NormFloat64()-2))
		x := randQ(r, s.Len())
		p := mustPrepare(t)(PrepareSoftmaxI8(s, scale, randZero(r), false))
		y := view[float32](opRun(t, p, [][]byte{stored(x)}, 4*s.Len())[0])
		for at := 0; at < len(x); at += s.C {
			sum := 0.0
			for _, q := range x[at:][:s.C] {
				sum += math.Exp(float64(q) * float64(scale))
			}
			for i, q := range x[at:][:s.C] {
				if want := math.Exp(float64(q)*float64(scale)) / sum; math.Abs(float64(y[at+i])-want) > 1e-6 {
					t.Fatalf("softmax %g, want %g", y[at+i], want)
				}
			}
		}
	}
}
