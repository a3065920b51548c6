package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naiveConv is the contract, written down once more without looking at the kernels: NHWC values in -128..127, groups,
// padding per channel, requantization and the fused addition in float32 operations rounded one by one.
func naiveConv(c *ConvI8, x, res []int8) []int8 {
	gi, gout := c.In.C/c.Groups, c.Out.C/c.Groups
	run := (gi + 3) / 4 * 4
	w := &c.Window
	y := make([]int8, c.Out.Len())
	for oy := range c.Out.H {
		for ox := range c.Out.W {
			for o := range c.Out.C {
				acc := int64(0)
				if c.Bias != nil {
					acc = int64(c.Bias[o])
				}
				for ky := range w.KH {
					for kx := range w.KW {
						iy, ix := oy*w.StrideH-w.Pad[0]+ky*w.DilationH, ox*w.StrideW-w.Pad[1]+kx*w.DilationW
						for i := range gi {
							ch := o/gout*gi + i
							v := int64(c.ZeroIn)
							if c.PadValue != nil {
								v = int64(c.PadValue[ch])
							}
							if iy >= 0 && iy < c.In.H && ix >= 0 && ix < c.In.W {
								v = int64(x[(iy*c.In.W+ix)*c.In.C+ch])
							}
							acc += (v - int64(c.ZeroIn)) * int64(c.Weights[((o*w.KH+ky)*w.KW+kx)*run+i])
						}
					}
				}
				at := (oy*c.Out.W+ox)*c.Out.C + o
				m := c.Requant.Mult[o%len(c.Requant.Mult)]
				q := naiveRequant(float32(float32(acc)*m), c.Requant.Zero, c.Requant.Lo, c.Requant.Hi)
				if r := c.Residual; r != nil {
					a := float32(float32(q-r.ZeroA) * r.MultA)
					b := float32(float32(int32(res[at])-r.ZeroB) * r.MultB)
					q = naiveRequant(float32(a+b), r.Zero, r.Lo, r.Hi)
				}
				y[at] = int8(q)
			}
		}
	}
	return y
}

func naiveRequant(v float32, zero, lo, hi int32) int32 {
	f := math.RoundToEven(float64(v))
	return zero + int32(min(max(f, float64(lo-zero)), float64(hi-zero)))
}

// variants are the instruction sets that this machine can test, portable Go first.
func variants() []ISA {
	list := []ISA{Portable}
	for _, x := range isaTable {
		if features&x.isa != 0 {
			list = append(list, closure(x.isa))
		}
	}
	return list
}

// closure is an extension with all that it builds on.
func closure(s ISA) ISA {
	for i := len(isaTable) - 1; i >= 0; i-- {
		if s&isaTable[i].isa != 0 {
			s |= isaTable[i].needs
		}
	}
	return s
}

// guarded is a buffer with a pattern on both sides that must stay, 64-byte aligned, Slack readable behind it.
type guarded struct {
	all, body []byte
}

const guard = 192

func newGuarded(n int) guarded {
	all := aligned[byte](guard + n + guard)
	for i := range all {
		all[i] = 0xA5
	}
	return guarded{all, all[guard:][:n:n]}
}

func (g guarded) check(t testing.TB) {
	t.Helper()
	n := len(g.body)
	for i, b := range g.all {
		if (i < guard || i >= guard+n) && b != 0xA5 {
			t.Fatalf("byte %d of %d written: %#x", i-guard, n, b)
		}
	}
}

func storeGuarded(q []int8) guarded {
	g := newGuarded(len(q))
	for i, v := range q {
		g.body[i] = byte(v) ^ 0x80
	}
	return g
}

func loadBytes(b []byte) []int8 {
	q := make([]int8, len(b))
	for i, v := range b {
		q[i] = int8(v ^ 0x80)
	}
	return q
}

// runStage runs the stages of p in one of several partitions of their units.
func runStages(t testing.TB, p *Prepared, io *IO, split string) {
	for i := range p.Stages {
		s := &p.Stages[i]
		tmp := newGuarded(s.Scratch)
		switch split {
		case "whole":
			s.Run(io, 0, s.Units, tmp.body)
		case "single":
			for u := s.Units - 1; u >= 0; u-- {
				s.Run(io, u, u+1, tmp.body)
			}
		case "thirds":
			a, b := s.Units/3, s.Units*2/3
			s.Run(io, b, s.Units, tmp.body)
			s.Run(io, 0, a, tmp.body)
			s.Run(io, a, b, tmp.body)
		}
		tmp.check(t)
	}
}

type convCase struct {
	name     string
	in       Shape
	o        int
	groups   int
	win      Window
	residual bool
	padValue bool
	extreme  bool
	safe     bool // pair-safe weights
}

func win(k, s, d int, pad ...int) Window {
	w := Window{KH: k, KW: k, StrideH: s, StrideW: s, DilationH: d, DilationW: d}
	switch len(pad) {
	case 1:
		w.Pad = [4]int{pad[0], pad[0], pad[0], pad[0]}
	case 4:
		w.Pad = [4]int(pad)
	}
	return w
}

func (w Window) outSize(in Shape, c int) Shape {
	return Shape{
		H: (in.H+w.Pad[0]+w.Pad[2]-w.DilationH*(w.KH-1)-1)/w.StrideH + 1,
		W: (in.W+w.Pad[1]+w.Pad[3]-w.DilationW*(w.KW-1)-1)/w.StrideW + 1,
		C: c,
	}
}

var convCases = []convCase{
	{name: "1x1", in: Shape{7, 7, 32}, o: 64, groups: 1, win: win(1, 1, 1)},
	{name: "1x1 odd channels", in: Shape{5, 9, 13}, o: 37, groups: 1, win: win(1, 1, 1), residual: true},
	{name: "1x1 pair-safe", in: Shape{6, 6, 40}, o: 48, groups: 1, win: win(1, 1, 1), safe: true, extreme: true},
	{name: "1x1 extreme", in: Shape{6, 5, 64}, o: 33, groups: 1, win: win(1, 1, 1), extreme: true},
	{name: "1x1 stride 2", in: Shape{9, 9, 16}, o: 24, groups: 1, win: win(1, 2, 1)},
	{name: "fully connected", in: Shape{1, 1, 515}, o: 101, groups: 1, win: win(1, 1, 1)},
	{name: "3x3 pad", in: Shape{8, 9, 16}, o: 20, groups: 1, win: win(3, 1, 1, 1), residual: true},
	{name: "3x3 first layer", in: Shape{17, 15, 3}, o: 16, groups: 1, win: win(3, 2, 1, 0, 1, 1, 0), padValue: true},
	{name: "3x3 dilated", in: Shape{11, 10, 8}, o: 9, groups: 1, win: win(3, 1, 2, 2), extreme: true},
	{name: "5x3 odd strides", in: Shape{12, 13, 5}, o: 7, groups: 1, win: Window{KH: 5, KW: 3, StrideH: 2, StrideW: 3, DilationH: 1, DilationW: 2, Pad: [4]int{4, 0, 1, 3}}, padValue: true},
	{name: "groups", in: Shape{6, 7, 24}, o: 36, groups: 4, win: win(3, 1, 1, 1), padValue: true, residual: true},
	{name: "1x1 groups", in: Shape{6, 7, 24}, o: 12, groups: 3, win: win(1, 1, 1)},
	{name: "padding only", in: Shape{1, 1, 4}, o: 5, groups: 1, win: win(3, 1, 1, 3), padValue: true},
	{name: "3x3 pair-safe", in: Shape{6, 6, 12}, o: 18, groups: 1, win: win(3, 1, 1, 1), safe: true, extreme: true},
	{name: "3x3 pair-safe odd", in: Shape{6, 6, 7}, o: 18, groups: 1, win: win(3, 1, 1, 1), safe: true, extreme: true},
	{name: "7x7 first layer", in: Shape{23, 30, 3}, o: 33, groups: 1, win: win(7, 2, 1, 3), padValue: true},
	{name: "7x7 first layer pair-safe", in: Shape{19, 18, 3}, o: 17, groups: 1, win: win(7, 2, 1, 3), safe: true, extreme: true},
	{name: "1x7", in: Shape{5, 31, 20}, o: 34, groups: 1, win: Window{KH: 1, KW: 7, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Pad: [4]int{0, 3, 0, 3}}},
	{name: "7x1", in: Shape{17, 5, 20}, o: 18, groups: 1, win: Window{KH: 7, KW: 1, StrideH: 1, StrideW: 1, DilationH: 2, DilationW: 1, Pad: [4]int{6, 0, 6, 0}}},
	{name: "wide", in: Shape{4, 150, 2}, o: 40, groups: 1, win: win(3, 1, 1, 1), residual: true},
	{name: "padding beyond the image", in: Shape{2, 3, 1}, o: 3, groups: 1, win: win(2, 3, 1, 9), padValue: true},
	{name: "many rows", in: Shape{40, 40, 6}, o: 8, groups: 1, win: win(1, 1, 1)},
}

// values are random, or, with extreme, only the ends of the range.
func values(r *rand.Rand, n int, extreme bool) []int8 {
	v := make([]int8, n)
	for i := range v {
		v[i] = int8(r.IntN(256) - 128)
		if extreme {
			v[i] = [2]int8{-128, 127}[r.IntN(2)]
		}
	}
	return v
}

func weights(r *rand.Rand, n int, extreme, safe bool) []int8 {
	v := values(r, n, extreme)
	for i := range v {
		v[i] = max(v[i], -127)
		if safe {
			v[i] /= 2
		}
		if safe && extreme && i%2 == 0 { // exactly at the bound: 127+1, -127-1
			v[i] = [2]int8{-127, 127}[r.IntN(2)]
			v[i+1] = [2]int8{-1, 1}[r.IntN(2)]
		}
	}
	if safe && extreme {
		for i := 1; i < n; i += 2 {
			v[i] = [2]int8{-1, 1}[r.IntN(2)]
		}
	}
	return v
}

func multipliers(r *rand.Rand, n, k int) []float32 {
	m := make([]float32, n)
	for i := range m {
		m[i] = float32(math.Exp(r.Float64()*3)) / (300 * float32(math.Sqrt(float64(k))))
	}
	return m
}

func (cc *convCase) build(r *rand.Rand) (*ConvI8, []int8, []int8) {
	gi := cc.in.C / cc.groups
	k := cc.win.KH * cc.win.KW * gi
	c := &ConvI8{In: cc.in, Out: cc.win.outSize(cc.in, cc.o), Window: cc.win, Groups: cc.groups, ZeroIn: int32(r.IntN(256) - 128),
		Weights: make([]int8, cc.o*cc.win.KH*cc.win.KW*((gi+3)/4*4)),
		Requant: Requant{Mult: multipliers(r, cc.o, k), Zero: int32(r.IntN(40) - 20), Lo: -100, Hi: 120}}
	if cc.extreme {
		c.ZeroIn, c.Requant.Lo, c.Requant.Hi = -128, -128, 127
	}
	run := (gi + 3) / 4 * 4
	for i := 0; i < len(c.Weights); i += run {
		copy(c.Weights[i:], weights(r, (gi+1)&^1, cc.extreme, cc.safe)[:gi])
	}
	if r.IntN(4) > 0 {
		c.Bias = make([]int32, cc.o)
		for i := range c.Bias {
			c.Bias[i] = r.Int32N(20000) - 10000
		}
	}
	if cc.padValue {
		c.PadValue = values(r, cc.in.C, false)
	}
	if cc.residual {
		c.Residual = &Residual{ZeroA: 3, ZeroB: -7, MultA: 0.71, MultB: 1.3, Zero: -5, Lo: -128, Hi: 90}
	}
	return c, values(r, c.In.Len(), cc.extreme), values(r, c.Out.Len(), false)
}

func TestConvI8(t *testing.T) {
	for i, cc := range convCases {
		t.Run(cc.name, func(t *testing.T) {
			c, x, res := cc.build(rand.New(rand.NewPCG(uint64(i), 1)))
			want := naiveConv(c, x, res)
			in, inRes := storeGuarded(x), storeGuarded(res)
			for _, isa := range variants() {
				for _, l2 := range []int{0, 1 << 12} {
					p, err := prepareConvI8(c, isa, l2)
					if err != nil {
						t.Fatal(err)
					}
					for _, split := range []string{"whole", "single", "thirds"} {
						out := newGuarded(c.Out.Len())
						io := &IO{In: [][]byte{in.body, inRes.body}, Out: [][]byte{out.body}}
						runStages(t, p, io, split)
						out.check(t)
						diff(t, fmt.Sprintf("%s, %s, L2 %d", p.Kernel, split, l2), loadBytes(out.body), want, c.Out)
					}
				}
			}
			in.check(t)
			inRes.check(t)
		})
	}
}

func diff(t testing.TB, what string, got, want []int8, s Shape) {
	t.Helper()
	bad := 0
	for i := range want {
		if got[i] != want[i] {
			if bad++; bad <= 3 {
				t.Errorf("%s: y[%d,%d,%d] = %d, want %d", what, i/s.C/s.W, i/s.C%s.W, i%s.C, got[i], want[i])
			}
		}
	}
	if bad > 0 {
		t.Fatalf("%s: %d of %d wrong", what, bad, len(want))
	}
}

var depthwiseCases = []convCase{
	{name: "3x3", in: Shape{7, 7, 32}, win: win(3, 1, 1, 1)},
	{name: "3x3 extreme", in: Shape{9, 8, 96}, win: win(3, 1, 1, 1), extreme: true},
	{name: "3x3 stride 2", in: Shape{14, 15, 24}, win: win(3, 2, 1, 0, 0, 1, 1), padValue: true},
	{name: "5x5", in: Shape{9, 20, 72}, win: win(5, 1, 1, 2), residual: true},
	{name: "5x5 stride 2", in: Shape{13, 10, 17}, win: win(5, 2, 1, 2), residual: true},
	{name: "dilated", in: Shape{12, 12, 3}, win: win(3, 1, 3, 3)},
	{name: "3x3 dilated", in: Shape{9, 12, 64}, win: win(3, 1, 2, 2)},
	{name: "3x3 dilated, stride 2", in: Shape{9, 13, 70}, win: win(3, 2, 2, 2)},
	{name: "3x3 of half a block", in: Shape{8, 11, 32}, win: win(3, 1, 1, 1), padValue: true},
	{name: "1x1", in: Shape{4, 4, 5}, win: win(1, 1, 1)},
	{name: "window larger than image", in: Shape{3, 2, 40}, win: win(7, 1, 1, 3), padValue: true, extreme: true},
	{name: "channel blocks", in: Shape{7, 7, 328}, win: win(3, 1, 1, 1), residual: true},
	{name: "1x3", in: Shape{6, 9, 200}, win: Window{KH: 1, KW: 3, StrideH: 1, StrideW: 2, DilationH: 1, DilationW: 1, Pad: [4]int{0, 2, 0, 1}}},
}

func TestDepthwiseI8(t *testing.T) {
	for i, cc := range depthwiseCases {
		t.Run(cc.name, func(t *testing.T) { checkDepthwiseI8(t, &cc, rand.New(rand.NewPCG(uint64(i), 2))) })
	}
}

// checkDepthwiseI8 builds a grouped convolution, of which a depthwise one is a case with another order of weights.
func checkDepthwiseI8(t testing.TB, cc *convCase, r *rand.Rand) {
	cc.o, cc.groups = cc.in.C, cc.in.C
	c, x, res := cc.build(r)
	taps, padded := cc.win.KH*cc.win.KW, (cc.o+3)/4*4
	d := &DepthwiseI8{In: c.In, Out: c.Out, Window: c.Window, Weights: make([]int8, taps*padded), Bias: c.Bias,
		ZeroIn: c.ZeroIn, PadValue: c.PadValue, Requant: c.Requant, Residual: c.Residual}
	for ch := range cc.o {
		for tap := range taps {
			d.Weights[tap*padded+ch] = c.Weights[(ch*taps+tap)*4]
		}
	}
	want := naiveConv(c, x, res)
	in, inRes := storeGuarded(x), storeGuarded(res)
	for _, isa := range variants() {
		p, err := prepareDepthwiseI8(d, isa)
		if err != nil {
			t.Fatal(err)
		}
		for _, split := range []string{"whole", "single", "thirds"} {
			out := newGuarded(c.Out.Len())
			io := &IO{In: [][]byte{in.body, inRes.body}, Out: [][]byte{out.body}}
			runStages(t, p, io, split)
			out.check(t)
			diff(t, p.Kernel+", "+split, loadBytes(out.body), want, c.Out)
		}
	}
	in.check(t)
}

func TestConvI8Refuses(t *testing.T) {
	base := func() *ConvI8 {
		cc := convCase{in: Shape{2, 2, 8}, o: 4, groups: 1, win: win(1, 1, 1)}
		c, _, _ := cc.build(rand.New(rand.NewPCG(1, 1)))
		c.Bias = make([]int32, 4)
		return c
	}
	for _, test := range []struct {
		want string
		edit func(c *ConvI8)
	}{
		{"weight of -128", func(c *ConvI8) { c.Weights[9] = -128 }},
		{"does not fit int32", func(c *ConvI8) { c.Bias[2] = math.MaxInt32 }},
		{"does not fit int32", func(c *ConvI8) { c.Bias[2] = math.MinInt32 }},
		{"multiplier", func(c *ConvI8) { c.Requant.Mult[1] = float32(math.NaN()) }},
		{"multiplier", func(c *ConvI8) { c.Requant.Mult[1] = -1 }},
		{"multiplier", func(c *ConvI8) { c.Requant.Mult[1] = 1e-40 }},
		{"multipliers", func(c *ConvI8) { c.Requant.Mult = c.Requant.Mult[:3] }},
		{"weights", func(c *ConvI8) { c.Weights = c.Weights[1:] }},
		{"biases", func(c *ConvI8) { c.Bias = c.Bias[1:] }},
		{"padding values", func(c *ConvI8) { c.PadValue = []int8{1} }},
		{"groups", func(c *ConvI8) { c.Groups = 3 }},
		{"zero point", func(c *ConvI8) { c.ZeroIn = 128 }},
		{"bounds", func(c *ConvI8) { c.Requant.Hi = 128 }},
		{"height", func(c *ConvI8) { c.Out.H++ }},
		{"stride", func(c *ConvI8) { c.Window.StrideH = 0 }},
		{"residual", func(c *ConvI8) { c.Residual = &Residual{MultA: 1, MultB: float32(math.Inf(1)), Hi: 1} }},
	} {
		c := base()
		test.edit(c)
		if _, err := PrepareConvI8(c); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one about %q", err, test.want)
		}
	}
}

// Raw accumulators are what requantization by 1 would round, unclamped.
func TestConvS32(t *testing.T) {
	for i, cc := range convCases[:8] {
		c, x, _ := cc.build(rand.New(rand.NewPCG(uint64(i), 4)))
		c.Residual = nil
		in := storeGuarded(x)
		var want []int32
		for _, isa := range variants() {
			p, err := prepareConvS32(c, isa, 1<<14)
			if err != nil {
				t.Fatal(err)
			}
			out := newGuarded(4 * c.Out.Len())
			runStages(t, p, &IO{In: [][]byte{in.body}, Out: [][]byte{out.body}}, "thirds")
			out.check(t)
			got := view[int32](out.body)
			if want == nil {
				want = got
				q := naiveConv(c, x, nil)
				for j, acc := range got {
					m := c.Requant.Mult[j%cc.o]
					if r := naiveRequant(float32(float32(acc)*m), c.Requant.Zero, c.Requant.Lo, c.Requant.Hi); r != int32(q[j]) {
						t.Fatalf("%s: acc %d gives %d, want %d", cc.name, acc, r, q[j])
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s differs from portable Go", cc.name, p.Kernel)
			}
		}
	}
}

func TestConvI8SingleMultiplier(t *testing.T) {
	cc := convCase{in: Shape{3, 3, 8}, o: 21, groups: 1, win: win(1, 1, 1)}
	c, x, _ := cc.build(rand.New(rand.NewPCG(7, 7)))
	c.Requant.Mult = c.Requant.Mult[:1]
	p, err := PrepareConvI8(c)
	if err != nil {
		t.Fatal(err)
	}
	in, out := storeGuarded(x), newGuarded(c.Out.Len())
	runStages(t, p, &IO{In: [][]byte{in.body}, Out: [][]byte{out.body}}, "whole")
	diff(t, p.Kernel, loadBytes(out.body), naiveConv(c, x, nil), c.Out)
}

func TestConvI8DoesNotAllocate(t *testing.T) {
	for _, cc := range []convCase{convCases[0], convCases[6], convCases[10]} {
		c, x, res := cc.build(rand.New(rand.NewPCG(3, 3)))
		in, inRes, out := storeGuarded(x), storeGuarded(res), newGuarded(c.Out.Len())
		io := &IO{In: [][]byte{in.body, inRes.body}, Out: [][]byte{out.body}}
		for _, isa := range variants() {
			p, err := prepareConvI8(c, isa, 0)
			if err != nil {
				t.Fatal(err)
			}
			s := &p.Stages[0]
			tmp := aligned[byte](s.Scratch + Slack)
			if n := testing.AllocsPerRun(3, func() { s.Run(io, 0, s.Units, tmp) }); n != 0 {
				t.Errorf("%s, %s: %v allocations a run", cc.name, p.Kernel, n)
			}
		}
	}
}
