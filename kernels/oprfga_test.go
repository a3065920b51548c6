package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// randRFGA makes an operator whose intermediate values spread over their ranges.
func randRFGA(r *rand.Rand, s Shape) *RFGAI8 {
	c := &RFGAI8{Shape: s, ZeroIn: randZero(r), A: 16384, B: 16384}
	if r.IntN(2) == 0 {
		c.A, c.B = 5734, 10650 // 0.35, 0.65
	}
	if r.IntN(4) == 0 {
		c.A, c.B = int32(r.IntN(40000)-20000), int32(r.IntN(60000)-30000)
	}
	around := func(scale float64) float32 { return float32(scale * math.Exp(0.5*r.NormFloat64())) }
	for v, n := range []int{s.H * s.W, s.W, s.H} {
		c.ViewMult[v] = around(1 / float64(n))
		c.ViewZero[v] = randZero(r)
	}
	biases := func() []int32 {
		if r.IntN(4) == 0 {
			return nil
		}
		b := make([]int32, s.C)
		for i := range b {
			b[i] = int32(r.IntN(10000) - 5000)
		}
		return b
	}
	requant := func(scale float64) Requant {
		q := Requant{Mult: make([]float32, s.C), Zero: randZero(r), Lo: -128, Hi: 127}
		for i := range q.Mult {
			q.Mult[i] = around(scale)
		}
		return q
	}
	c.WC, c.WH, c.WW = randW(r, s.C, 3), randW(r, 3*s.C, s.C), randW(r, 3*s.C, s.C)
	c.BC, c.BH, c.BW = biases(), biases(), biases()
	c.ConvC = requant(1.0 / 200)
	c.ConvH, c.ConvW = requant(1/math.Sqrt(float64(s.C))/200), requant(1/math.Sqrt(float64(s.C))/200)
	c.Table = make([]int16, 3*256)
	for i := range c.Table {
		c.Table[i] = int16(math.RoundToEven(16384 / (1 + math.Exp(-(float64(i%256)-128)/40))))
		if r.IntN(50) == 0 {
			c.Table[i] = []int16{0, 16384}[r.IntN(2)]
		}
	}
	if r.IntN(3) == 0 {
		for v := range c.Off.Views {
			c.Off.Views[v] = r.IntN(3) == 0
		}
		c.Off.Expansion = r.IntN(2) == 0
	}
	c.Requant = Requant{Mult: []float32{around(1.0 / 40000)}, Zero: randZero(r)}
	c.Requant.Lo, c.Requant.Hi = randBounds(r)
	return c
}

// naiveRFGA follows the contract's text.
func naiveRFGA(c *RFGAI8, x []int8) []int8 {
	y, _ := naiveAttention(c, x)
	return y
}

// naiveAttention also returns the sigmoids of the views, in Q14.
func naiveAttention(c *RFGAI8, x []int8) (y []int8, sigmoids [3][]int64) {
	products, sigmoids := naiveProducts(c, func(i int) int64 { return int64(x[i]) })
	q := &c.Requant
	for _, p := range products {
		y = append(y, bigRequant(p, q.Mult[0], q.Zero, q.Lo, q.Hi))
	}
	return y, sigmoids
}

// naiveProducts returns what the last step requantizes, of an input of either type.
func naiveProducts(c *RFGAI8, x func(i int) int64) ([]int64, [3][]int64) {
	s := c.Shape
	at := func(h, w, ch int) int64 { return x((h*s.W+w)*s.C+ch) - int64(c.ZeroIn) }
	sums := [3][]int64{make([]int64, s.C), make([]int64, s.H*s.C), make([]int64, s.W*s.C)}
	for h := range s.H {
		for w := range s.W {
			for ch := range s.C {
				v := at(h, w, ch)
				sums[0][ch] += v
				sums[1][h*s.C+ch] += v
				sums[2][w*s.C+ch] += v
			}
		}
	}
	var views [3][]int64 // view less its zero point
	for v := range views {
		for _, sum := range sums[v] {
			q := bigRequant(sum, c.ViewMult[v], c.ViewZero[v], -128, 127)
			views[v] = append(views[v], int64(q)-int64(c.ViewZero[v]))
		}
	}
	bias := func(b []int32, ch int) int64 {
		if b == nil {
			return 0
		}
		return int64(b[ch])
	}
	attention := func(v int, acc int64, q *Requant, ch int) int64 {
		z := bigRequant(acc, q.Mult[ch], q.Zero, q.Lo, q.Hi)
		if c.Off.Views[v] {
			return 0
		}
		return int64(c.Table[256*v+int(z)+128])
	}
	// conv1d runs along n positions of a view: C to C channels, or one to one for the channel view.
	conv1d := func(v, n int, w []int8, b []int32, q *Requant) (m []int64) {
		for p := range n {
			for o := range s.C {
				acc := bias(b, o)
				for k := range 3 {
					if p+k < 1 || p+k > n {
						continue
					}
					for i := range s.C {
						acc += int64(w[(o*3+k)*padded4(s.C)+i]) * views[v][(p+k-1)*s.C+i]
					}
				}
				m = append(m, attention(v, acc, q, o))
			}
		}
		return m
	}
	mh, mw := conv1d(1, s.H, c.WH, c.BH, &c.ConvH), conv1d(2, s.W, c.WW, c.BW, &c.ConvW)
	var mc []int64
	for ch := range s.C {
		acc := bias(c.BC, ch)
		for k := range 3 {
			if i := ch + k - 1; i >= 0 && i < s.C {
				acc += int64(c.WC[4*ch+k]) * views[0][i]
			}
		}
		mc = append(mc, attention(0, acc, &c.ConvC, ch))
	}
	average := func(t []int64, n int64) {
		for ch := range s.C {
			sum := int64(0)
			for p := range n {
				sum += t[int(p)*s.C+ch]
			}
			for p := range n {
				t[int(p)*s.C+ch] = int64(math.Floor(float64(2*sum+n) / float64(2*n)))
			}
		}
	}
	if c.Off.Expansion {
		average(mh, int64(s.H))
		average(mw, int64(s.W))
	}
	var y []int64
	for h := range s.H {
		for w := range s.W {
			for ch := range s.C {
				m := mc[ch] + mh[h*s.C+ch] + mw[w*s.C+ch]
				factor := int64(c.A) + int64(math.Floor(float64(int64(c.B)*m+8192)/16384))
				y = append(y, at(h, w, ch)*factor)
			}
		}
	}
	return y, [3][]int64{mc, mh, mw}
}

func TestRFGAI8(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 1))
	for i := range 40 {
		s := Shape{1 + r.IntN(5), 1 + r.IntN(5), 1 + r.IntN(20)}
		if i%8 == 0 {
			s.C = channelUnit + 1 + r.IntN(channelUnit)
		}
		c, x := randRFGA(r, s), randQ(r, s.Len())
		want := naiveRFGA(c, x)
		for _, isa := range variants() {
			p := mustPrepare(t)(prepareRFGAI8(c, isa))
			wantBytes(t, opRun(t, p, [][]byte{stored(x)}, s.Len())[0], want)
		}
	}
}

// What a session draws is what the operator multiplied with.
func TestRFGAI8Attention(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 1))
	for range 20 {
		s := Shape{1 + r.IntN(5), 1 + r.IntN(5), 1 + r.IntN(20)}
		c, x := randRFGA(r, s), randQ(r, s.Len())
		p := mustPrepare(t)(PrepareRFGAI8(c))
		var got [3][]float32
		for v, n := range []int{1, s.H, s.W} {
			got[v] = make([]float32, n*s.C)
		}
		p.Stages = append(p.Stages, Stage{Name: "attention", Units: 1, Run: func(io *IO, _, _ int, _ []byte) {
			p.Attention(io, got[0], got[1], got[2])
		}})
		opRun(t, p, [][]byte{stored(x)}, s.Len())
		_, want := naiveAttention(c, x)
		for v := range want {
			for i, q := range want[v] {
				if got[v][i] != float32(q)/16384 {
					t.Fatalf("view %d: value %d is %g, want %d/16384", v, i, got[v][i], q)
				}
			}
		}
	}
}

func FuzzRFGAI8(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(4), uint8(5), []byte{0, 255})
	f.Add(uint64(2), uint8(0), uint8(0), uint8(0), []byte{})
	f.Fuzz(func(t *testing.T, seed uint64, h, w, ch uint8, pixels []byte) {
		s := Shape{1 + int(h%4), 1 + int(w%4), 1 + int(ch%12)}
		r := rand.New(rand.NewPCG(seed, 0))
		c, x := randRFGA(r, s), randQ(r, s.Len())
		for i := range min(len(x), len(pixels)) {
			x[i] = int8(pixels[i])
		}
		p := mustPrepare(t)(PrepareRFGAI8(c))
		wantBytes(t, opRun(t, p, [][]byte{stored(x)}, s.Len())[0], naiveRFGA(c, x))
	})
}

// With a = b = 1 the accumulator stays below 2^24; larger factors are said, and refused where they leave int32.
func TestRFGAI8Bound(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 1))
	c := randRFGA(r, Shape{2, 2, 4})
	c.A, c.B, c.ZeroIn = 16384, 16384, -128
	prepared := &rfgaI8{RFGAI8: *c}
	if n, err := prepared.bound(); err != nil || n >= 1<<24 || n < 255*3*16384 {
		t.Errorf("bound %d, %v", n, err)
	}
	c.A = 1 << 20
	p := mustPrepare(t)(PrepareRFGAI8(c))
	if want := "float32 has no longer every integer"; len(p.Why) < len(want) || p.Why[len(p.Why)-len(want):] != want {
		t.Errorf("why: %q", p.Why)
	}
	c.A = 1 << 23
	_, err := PrepareRFGAI8(c)
	wantError(t, err, "does not fit int32")
	c.A, c.B = 0, 1<<17
	_, err = PrepareRFGAI8(c)
	wantError(t, err, "B = 131072")
}

func TestHeadI8(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 1))
	for i := range 30 {
		c := &HeadI8{In: Shape{1 + r.IntN(4), 1 + r.IntN(5), 1 + r.IntN(90)}, Classes: 1 + r.IntN(40), ZeroIn: randZero(r), Maps: i%3 > 0}
		c.Weights = randW(r, c.Classes, c.In.C)
		if i%4 > 0 {
			c.Bias = make([]int32, c.Classes)
			for k := range c.Bias {
				c.Bias[k] = int32(r.Uint32()) / 2
			}
		}
		x, pixels := randQ(r, c.In.Len()), c.In.H*c.In.W
		isas := variants()
		p := mustPrepare(t)(prepareHeadI8(c, isas[i%len(isas)]))
		sizes := []int{8 * c.Classes}
		if c.Maps {
			sizes = append(sizes, 4*pixels*c.Classes)
		}
		out := opRun(t, p, [][]byte{stored(x)}, sizes...)
		one, buffer := make([]int32, pixels), newOpBuffer(c.In.Len(), 0x77)
		copy(buffer.data, stored(x))
		for k := range c.Classes {
			ClassMapI8(c, buffer.data, k, one)
			var total int64
			for p := range pixels {
				var acc int64
				if c.Bias != nil {
					acc = int64(c.Bias[k])
				}
				for ch := range c.In.C {
					acc += int64(c.Weights[k*padded4(c.In.C)+ch]) * (int64(x[p*c.In.C+ch]) - int64(c.ZeroIn))
				}
				total += acc
				if c.Maps && int64(view[int32](out[1])[p*c.Classes+k]) != acc {
					t.Fatalf("class %d position %d: map differs", k, p)
				}
				if int64(one[p]) != acc {
					t.Fatalf("class %d position %d: single map differs", k, p)
				}
			}
			if got := view[int64](out[0])[k]; got != total {
				t.Fatalf("logit %d is %d, want %d", k, got, total)
			}
		}
	}
}
