package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// wideValues are those of an activation of either type, with what stores them.
type wideValues struct {
	t     Type
	v     []int64
	bytes []byte
}

// randValues returns n values: uniform, or at the ends.
func randValues(r *rand.Rand, t Type, n int) wideValues {
	lo, hi := t.bounds()
	x := wideValues{t: t, bytes: make([]byte, n*t.size())}
	ends := r.IntN(4) == 0
	for i := range n {
		v := lo + r.Int32N(hi-lo+1)
		if ends {
			v = []int32{lo, hi, 0}[r.IntN(3)]
		}
		x.v = append(x.v, int64(v))
		if t == Int16 {
			x.bytes[2*i], x.bytes[2*i+1] = bytesOf([]int16{int16(v)})[0], bytesOf([]int16{int16(v)})[1]
		} else {
			x.bytes[i] = byte(v + 128)
		}
	}
	return x
}

func randType(r *rand.Rand) Type { return Type(r.IntN(2)) }

func (t Type) randZero(r *rand.Rand) int32 {
	lo, hi := t.bounds()
	return []int32{lo, hi, 0, lo + r.Int32N(hi-lo+1)}[r.IntN(4)]
}

// randOut is the last step of an operator whose values before it are of about the given size.
func randOut(r *rand.Rand, t Type, size float64) Requant {
	least, most := t.bounds()
	q := Requant{Mult: []float32{float32(math.Exp(r.NormFloat64()) * float64(most) / size)}, Zero: t.randZero(r), Lo: least, Hi: most}
	if r.IntN(2) == 0 {
		a, b := least+r.Int32N(most-least+1), least+r.Int32N(most-least+1)
		q.Lo, q.Hi = min(a, b), max(a, b)
	}
	return q
}

// bigScaled is acc, rounded to float32 once, times m, rounded to float32.
func bigScaled(acc int64, m float32) *big.Float { return bigMul(acc, m) }

func (q *Requant) big(acc int64) int32 {
	return bigRound32(bigScaled(acc, q.Mult[0]), q.Zero, q.Lo, q.Hi)
}

// wantValues compares a result of type y with what it has to be.
func wantValues(t testing.TB, what string, y Type, got []byte, want []int32) {
	t.Helper()
	if len(got) != len(want)*y.size() {
		t.Fatalf("%s: %d bytes for %d values", what, len(got), len(want))
	}
	for i, v := range want {
		if g := element(y, got, i); g != int64(v) {
			t.Fatalf("%s: element %d is %d, want %d", what, i, g, v)
		}
	}
}

// checksI16 compare each operator that has a file of its own for int16 with arithmetic of unlimited size, for types drawn at random.
var checksI16 = []struct {
	name  string
	check func(t testing.TB, r *rand.Rand)
}{
	{"add and mul", checkBinaryI16}, {"table", checkTableI16}, {"quantize", checkQuantizeI16}, {"softmax", checkSoftmaxI16},
	{"pools", checkPoolI16}, {"concat", checkConcatI16}, {"pad", checkPadI16}, {"resize", checkResizeI16},
	{"rfga", checkRFGAI16}, {"head", checkHeadI16}, {"depthwise", checkDepthwiseI16},
}

func TestOperatorsI16(t *testing.T) {
	for i, c := range checksI16 {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(160, uint64(i)))
			for range 40 {
				c.check(t, r)
			}
		})
	}
}

func FuzzOperatorsI16(f *testing.F) {
	for i := range checksI16 {
		f.Add(uint8(i), uint64(i), uint64(1))
	}
	f.Fuzz(func(t *testing.T, operator uint8, seed, more uint64) {
		checksI16[int(operator)%len(checksI16)].check(t, rand.New(rand.NewPCG(seed, more)))
	})
}

func checkBinaryI16(t testing.TB, r *rand.Rand) {
	a := Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(40)}
	b := a
	for _, d := range []*int{&b.H, &b.W, &b.C} {
		if r.IntN(3) == 0 {
			*d = 1
		}
	}
	c := &BinaryI16{TA: randType(r), TB: randType(r), TY: randType(r), BinaryI8: BinaryI8{A: a, B: b, Out: a}}
	c.ZeroA, c.ZeroB = c.TA.randZero(r), c.TB.randZero(r)
	va, vb := randValues(r, c.TA, a.Len()), randValues(r, c.TB, b.Len())
	_, ma := c.TA.bounds()
	_, mb := c.TB.bounds()
	q := randOut(r, c.TY, float64(ma))
	c.MultA, c.MultB = q.Mult[0], randOut(r, c.TY, float64(mb)).Mult[0]
	c.Zero, c.Lo, c.Hi = q.Zero, q.Lo, q.Hi
	product := *c
	product.MultA = randOut(r, c.TY, float64(ma)*float64(mb)).Mult[0]
	var add, mul []int32
	for i := range a.Len() {
		h, w, ch := i/a.C/a.W, i/a.C%a.W, i%a.C
		x, y := va.v[i]-int64(c.ZeroA), vb.v[(h%b.H*b.W+w%b.W)*b.C+ch%b.C]-int64(c.ZeroB)
		sum := new(big.Float).SetPrec(24).Add(bigScaled(x, c.MultA), bigScaled(y, c.MultB))
		add = append(add, bigRound32(sum, c.Zero, c.Lo, c.Hi))
		mul = append(mul, bigRound32(bigScaled(x*y, product.MultA), c.Zero, c.Lo, c.Hi))
	}
	in := [][]byte{va.bytes, vb.bytes}
	for _, isa := range variants() {
		wantValues(t, "add", c.TY, opRun(t, mustPrepare(t)(prepareAddI16(c, isa)), in, a.Len()*c.TY.size())[0], add)
	}
	wantValues(t, "mul", c.TY, opRun(t, mustPrepare(t)(PrepareMulI16(&product)), in, a.Len()*c.TY.size())[0], mul)
}

func checkTableI16(t testing.TB, r *rand.Rand) {
	x, y, n := randType(r), randType(r), 1+r.IntN(3000)
	lo, hi := x.bounds()
	table := randValues(r, y, int(hi-lo)+1)
	list := make([]int16, len(table.v))
	for i, v := range table.v {
		list[i] = int16(v)
	}
	in := randValues(r, x, n)
	var want []int32
	for _, v := range in.v {
		want = append(want, int32(table.v[v-int64(lo)]))
	}
	wantValues(t, "table", y, opRun(t, mustPrepare(t)(PrepareTableI16(n, x, y, list)), [][]byte{in.bytes}, n*y.size())[0], want)
}

func checkQuantizeI16(t testing.TB, r *rand.Rand) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	scale, zero := float32(math.Exp(r.NormFloat64())), Int16.randZero(r)
	x := []float32{nan, inf, -inf, 0, 0.5 * scale, 1.5 * scale, -2.5 * scale, math.MaxFloat32, 1e-45}
	for range 100 {
		x = append(x, float32(r.NormFloat64()*20000)*scale)
	}
	var want []int32
	for _, v := range x {
		switch v64 := float64(v); {
		case v64 != v64:
			want = append(want, zero)
		case math.IsInf(v64, 1):
			want = append(want, math.MaxInt16)
		case math.IsInf(v64, -1):
			want = append(want, math.MinInt16)
		default:
			q := new(big.Float).SetPrec(24).Quo(big.NewFloat(v64), big.NewFloat(float64(scale)))
			want = append(want, bigRound32(q, zero, math.MinInt16, math.MaxInt16))
		}
	}
	wantValues(t, "quantize", Int16, opRun(t, mustPrepare(t)(PrepareQuantizeI16(len(x), scale, zero)), [][]byte{bytesOf(x)}, 2*len(x))[0], want)
	q := randValues(r, Int16, 1+r.IntN(300))
	y := view[float32](opRun(t, mustPrepare(t)(PrepareDequantizeI16(len(q.v), scale, zero)), [][]byte{q.bytes}, 4*len(q.v))[0])
	for i, v := range q.v {
		if want, _ := bigMul(v-int64(zero), scale).Float32(); y[i] != want {
			t.Fatalf("dequantize %d: %g, want %g", v, y[i], want)
		}
	}
}

func checkSoftmaxI16(t testing.TB, r *rand.Rand) {
	s, scale, log := Shape{1 + r.IntN(3), 1 + r.IntN(3), 1 + r.IntN(30)}, float32(math.Exp(r.NormFloat64()-8)), r.IntN(2) == 0
	x := randValues(r, Int16, s.Len())
	y := view[float32](opRun(t, mustPrepare(t)(PrepareSoftmaxI16(s, scale, Int16.randZero(r), log)), [][]byte{x.bytes}, 4*s.Len())[0])
	for at := 0; at < s.Len(); at += s.C {
		top, sum := x.v[at], 0.0
		for _, q := range x.v[at:][:s.C] {
			top = max(top, q)
		}
		for _, q := range x.v[at:][:s.C] {
			sum += math.Exp(float64(q-top) * float64(scale))
		}
		for i, q := range x.v[at:][:s.C] {
			want, got := math.Exp(float64(q-top)*float64(scale))/sum, float64(y[at+i])
			if log {
				want = float64(q-top)*float64(scale) - math.Log(sum)
			}
			if math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
				t.Fatalf("softmax %g, want %g", got, want)
			}
		}
	}
}

func checkPoolI16(t testing.TB, r *rand.Rand) {
	in := Shape{1 + r.IntN(6), 1 + r.IntN(6), []int{1, 5, 70}[r.IntN(3)]}
	w := Window{KH: 1 + r.IntN(3), KW: 1 + r.IntN(3), StrideH: 1 + r.IntN(2), StrideW: 1 + r.IntN(2), DilationH: 1, DilationW: 1,
		Pad: [4]int{r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2)}}
	roomH, roomW := in.H+w.Pad[0]+w.Pad[2]-w.KH, in.W+w.Pad[1]+w.Pad[3]-w.KW
	if roomH < 0 || roomW < 0 {
		return
	}
	out := Shape{roomH/w.StrideH + 1, roomW/w.StrideW + 1, in.C}
	x, y := randType(r), randType(r)
	_, most := x.bounds()
	c := &PoolI16{X: x, Y: y, PoolI8: PoolI8{In: in, Out: out, Window: w, CountIncludePad: r.IntN(2) == 0, ZeroIn: x.randZero(r), Requant: randOut(r, y, float64(most))}}
	v := randValues(r, x, in.Len())
	var average, maximum []int32
	hasMax := true
	for i := range out.Len() {
		oh, ow, ch := i/out.C/out.W, i/out.C%out.W, i%out.C
		sum, image, best := int64(0), 0, int64(math.MinInt64)
		for kh := range w.KH {
			for kw := range w.KW {
				ih, iw := oh*w.StrideH+kh-w.Pad[0], ow*w.StrideW+kw-w.Pad[1]
				if ih >= 0 && ih < in.H && iw >= 0 && iw < in.W {
					d := v.v[(ih*in.W+iw)*in.C+ch] - int64(c.ZeroIn)
					sum, image, best = sum+d, image+1, max(best, d)
				}
			}
		}
		count := max(image, 1)
		if c.CountIncludePad {
			count = w.KH * w.KW
		}
		if image == 0 {
			hasMax, best = false, 0
		}
		q := c.Requant
		maximum = append(maximum, q.big(best))
		q.Mult = []float32{float32(float64(q.Mult[0]) / float64(count))}
		average = append(average, q.big(sum))
	}
	wantValues(t, "avgpool", y, opRun(t, mustPrepare(t)(PrepareAvgPoolI16(c)), [][]byte{v.bytes}, out.Len()*y.size())[0], average)
	p, err := PrepareMaxPoolI16(c)
	if !hasMax {
		if err == nil {
			t.Fatal("a maximum of nothing but padding")
		}
		return
	}
	wantValues(t, "maxpool", y, opRun(t, mustPrepare(t)(p, err), [][]byte{v.bytes}, out.Len()*y.size())[0], maximum)
}

func checkConcatI16(t testing.TB, r *rand.Rand) {
	axis, y := 1+r.IntN(3), randType(r)
	dim := func(s *Shape) *int { return []*int{&s.H, &s.W, &s.C}[axis-1] }
	c := &ConcatI16{Y: y, ConcatI8: ConcatI8{Out: Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(6)}, Axis: axis, Zero: y.randZero(r)}}
	*dim(&c.Out) = 0
	var in [][]byte
	var parts []wideValues
	for range 1 + r.IntN(4) {
		s, x := c.Out, randType(r)
		*dim(&s) = 1 + r.IntN(4)
		*dim(&c.Out) += *dim(&s)
		_, most := x.bounds()
		c.In, c.X, c.Zeros = append(c.In, s), append(c.X, x), append(c.Zeros, x.randZero(r))
		c.Mults = append(c.Mults, randOut(r, y, float64(most)).Mult[0])
		v := randValues(r, x, s.Len())
		parts, in = append(parts, v), append(in, v.bytes)
	}
	least, most := y.bounds()
	var want []int32
	for i := range c.Out.Len() {
		at, k := [3]int{i / c.Out.C / c.Out.W, i / c.Out.C % c.Out.W, i % c.Out.C}, 0
		for at[axis-1] >= *dim(&c.In[k]) {
			at[axis-1] -= *dim(&c.In[k])
			k++
		}
		v := parts[k].v[(at[0]*c.In[k].W+at[1])*c.In[k].C+at[2]] - int64(c.Zeros[k])
		want = append(want, bigRound32(bigScaled(v, c.Mults[k]), c.Zero, least, most))
	}
	wantValues(t, "concat", y, opRun(t, mustPrepare(t)(PrepareConcatI16(c)), in, c.Out.Len()*y.size())[0], want)
}

func checkPadI16(t testing.TB, r *rand.Rand) {
	in, pad := Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(6)}, [4]int{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)}
	out, value := Shape{in.H + pad[0] + pad[2], in.W + pad[1] + pad[3], in.C}, int32(int16(r.Uint32()))
	x := randValues(r, Int16, in.Len())
	var want []int32
	for i := range out.Len() {
		h, w := i/out.C/out.W-pad[0], i/out.C%out.W-pad[1]
		if h < 0 || w < 0 || h >= in.H || w >= in.W {
			want = append(want, value)
		} else {
			want = append(want, int32(x.v[(h*in.W+w)*in.C+i%in.C]))
		}
	}
	wantValues(t, "pad", Int16, opRun(t, mustPrepare(t)(PreparePadI16(in, out, pad, int16(value))), [][]byte{x.bytes}, 2*out.Len())[0], want)
}

func checkResizeI16(t testing.TB, r *rand.Rand) {
	ch, x, y := 1+r.IntN(6), randType(r), randType(r)
	_, most := x.bounds()
	c := &ResizeI16{X: x, Y: y, ResizeI8: ResizeI8{In: Shape{1 + r.IntN(7), 1 + r.IntN(7), ch}, Out: Shape{1 + r.IntN(15), 1 + r.IntN(15), ch},
		ZeroIn: x.randZero(r), Bilinear: r.IntN(3) > 0, AlignCorners: r.IntN(2) == 0, Requant: randOut(r, y, float64(most))}}
	v := randValues(r, x, c.In.Len())
	at := func(h, w, ch int) int64 { return v.v[(h*c.In.W+w)*c.In.C+ch] - int64(c.ZeroIn) }
	var want []int32
	for i := range c.Out.Len() {
		h, w, ch := i/ch/c.Out.W, i/ch%c.Out.W, i%ch
		q := c.Requant
		if !c.Bilinear {
			want = append(want, q.big(at(h*c.In.H/c.Out.H, w*c.In.W/c.Out.W, ch)))
			continue
		}
		h0, h1, wh := naiveLerp(h, c.In.H, c.Out.H, c.AlignCorners)
		w0, w1, ww := naiveLerp(w, c.In.W, c.Out.W, c.AlignCorners)
		q.Mult = []float32{float32(float64(q.Mult[0]) / (1 << 22))}
		want = append(want, q.big((at(h0, w0, ch)*(2048-ww)+at(h0, w1, ch)*ww)*(2048-wh)+(at(h1, w0, ch)*(2048-ww)+at(h1, w1, ch)*ww)*wh))
	}
	wantValues(t, "resize", y, opRun(t, mustPrepare(t)(PrepareResizeI16(c)), [][]byte{v.bytes}, c.Out.Len()*y.size())[0], want)
}

func checkRFGAI16(t testing.TB, r *rand.Rand) {
	s := Shape{1 + r.IntN(5), 1 + r.IntN(5), 1 + r.IntN(20)}
	c := &RFGAI16{X: randType(r), Y: randType(r), RFGAI8: *randRFGA(r, s)}
	c.Off = RFGAI8{}.Off // parts are left out of int8 only
	_, most := c.X.bounds()
	c.ZeroIn = c.X.randZero(r)
	for v := range c.ViewMult {
		c.ViewMult[v] *= 127 / float32(most)
	}
	c.Requant = randOut(r, c.Y, float64(most)*30000)
	x := randValues(r, c.X, s.Len())
	products, _ := naiveProducts(&c.RFGAI8, func(i int) int64 { return x.v[i] })
	var want []int32
	for _, p := range products {
		want = append(want, c.Requant.big(p))
	}
	wantValues(t, "rfga", c.Y, opRun(t, mustPrepare(t)(PrepareRFGAI16(c)), [][]byte{x.bytes}, s.Len()*c.Y.size())[0], want)
}

func checkHeadI16(t testing.TB, r *rand.Rand) {
	s, classes := Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(80)}, 1+r.IntN(40)
	h := &HeadI16{In: s, Classes: classes, Weights: randW(r, classes, s.C), ZeroIn: Int16.randZero(r), Maps: r.IntN(3) > 0}
	if r.IntN(3) > 0 {
		for range classes {
			h.Bias = append(h.Bias, int32(r.Uint32())/4)
		}
	}
	x := randValues(r, Int16, s.Len())
	maps, logits := make([]int64, s.H*s.W*classes), make([]int64, classes)
	for i := range maps {
		p, k := i/classes, i%classes
		if h.Bias != nil {
			maps[i] = int64(h.Bias[k])
		}
		for ch := range s.C {
			maps[i] += int64(h.Weights[k*padded4(s.C)+ch]) * (x.v[p*s.C+ch] - int64(h.ZeroIn))
		}
		logits[k] += maps[i]
	}
	for _, isa := range variants() {
		sizes := []int{8 * classes}
		if h.Maps {
			sizes = append(sizes, 8*len(maps))
		}
		out := opRun(t, mustPrepare(t)(prepareHeadI16(h, isa)), [][]byte{x.bytes}, sizes...)
		for k, v := range view[int64](out[0]) {
			if v != logits[k] {
				t.Fatalf("%v: logit %d is %d, want %d", isa, k, v, logits[k])
			}
		}
		for i := range len(out[len(out)-1]) / 8 {
			if v := view[int64](out[len(out)-1])[i]; h.Maps && v != maps[i] {
				t.Fatalf("%v: map value %d is %d, want %d", isa, i, v, maps[i])
			}
		}
	}
	one := make([]int64, s.H*s.W)
	k := r.IntN(classes)
	ClassMapI16(h, x.bytes, k, one)
	for p, v := range one {
		if v != maps[p*classes+k] {
			t.Fatalf("map of class %d: value %d is %d, want %d", k, p, v, maps[p*classes+k])
		}
	}
}

func checkDepthwiseI16(t testing.TB, r *rand.Rand) {
	in := Shape{1 + r.IntN(7), 1 + r.IntN(7), []int{1 + r.IntN(9), 8 * (1 + r.IntN(5)), 1 + r.IntN(70)}[r.IntN(3)]}
	w := Window{KH: 1 + r.IntN(3), KW: 1 + r.IntN(3), StrideH: 1 + r.IntN(2), StrideW: 1 + r.IntN(2), DilationH: 1 + r.IntN(2), DilationW: 1 + r.IntN(2),
		Pad: [4]int{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)}}
	roomH, roomW := in.H+w.Pad[0]+w.Pad[2]-(w.KH-1)*w.DilationH-1, in.W+w.Pad[1]+w.Pad[3]-(w.KW-1)*w.DilationW-1
	if roomH < 0 || roomW < 0 {
		return
	}
	out, taps := Shape{roomH/w.StrideH + 1, roomW/w.StrideW + 1, in.C}, w.KH*w.KW
	d := &DepthwiseI16{X: randType(r), Y: randType(r), R: randType(r), In: in, Out: out, Window: w, Weights: randW(r, taps, in.C)}
	_, most := d.X.bounds()
	d.ZeroIn = d.X.randZero(r)
	d.Requant = randOut(r, d.Y, float64(most)*100)
	mult := d.Requant.Mult[0]
	d.Requant.Mult = nil
	for range in.C {
		d.Requant.Mult = append(d.Requant.Mult, mult*float32(math.Exp(r.NormFloat64()/2)))
		d.Bias = append(d.Bias, int32(r.Uint32())>>8)
	}
	pad := randValues(r, d.X, in.C)
	for i := range pad.v {
		if r.IntN(2) == 0 && d.PadValue == nil {
			break
		}
		d.PadValue = append(d.PadValue, int16(pad.v[i]))
	}
	if len(d.PadValue) < in.C {
		d.PadValue = nil
	}
	x := randValues(r, d.X, in.Len())
	buffers := [][]byte{x.bytes}
	var other wideValues
	if r.IntN(2) == 0 {
		_, b := d.R.bounds()
		q := randOut(r, d.Y, 32767)
		d.Residual = &Residual{ZeroA: d.Requant.Zero, ZeroB: d.R.randZero(r), MultA: q.Mult[0], MultB: randOut(r, d.Y, float64(b)).Mult[0], Zero: q.Zero, Lo: q.Lo, Hi: q.Hi}
		other = randValues(r, d.R, out.Len())
		buffers = append(buffers, other.bytes)
	}
	var want []int32
	for i := range out.Len() {
		oh, ow, ch := i/out.C/out.W, i/out.C%out.W, i%out.C
		acc := int64(d.Bias[ch])
		for kh := range w.KH {
			for kw := range w.KW {
				ih, iw := oh*w.StrideH+kh*w.DilationH-w.Pad[0], ow*w.StrideW+kw*w.DilationW-w.Pad[1]
				v := int64(d.ZeroIn)
				if d.PadValue != nil {
					v = int64(d.PadValue[ch])
				}
				if ih >= 0 && ih < in.H && iw >= 0 && iw < in.W {
					v = x.v[(ih*in.W+iw)*in.C+ch]
				}
				acc += (v - int64(d.ZeroIn)) * int64(d.Weights[(kh*w.KW+kw)*padded4(in.C)+ch])
			}
		}
		q := &d.Requant
		y := bigRound32(bigScaled(acc, q.Mult[ch]), q.Zero, q.Lo, q.Hi)
		if e := d.Residual; e != nil {
			a, b := bigScaled(int64(y)-int64(e.ZeroA), e.MultA), bigScaled(other.v[i]-int64(e.ZeroB), e.MultB)
			y = bigRound32(new(big.Float).SetPrec(24).Add(a, b), e.Zero, e.Lo, e.Hi)
		}
		want = append(want, y)
	}
	for _, isa := range variants() {
		wantValues(t, "depthwise", d.Y, opRun(t, mustPrepare(t)(prepareDepthwiseI16(d, isa)), buffers, out.Len()*d.Y.size())[0], want)
	}
}
