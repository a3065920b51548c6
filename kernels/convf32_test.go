package kernels

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// bigFMA is x*y+z, rounded once.
func bigFMA(x, y, z float32) float32 {
	b := func(v float32) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(v)) }
	v, _ := b(0).Add(b(0).Mul(b(x), b(y)), b(z)).Float32()
	return v
}

// A floatCase is a convolution with random operands.
type floatCase struct {
	in       Shape
	o        int
	groups   int
	win      Window
	residual bool
}

var floatCases = []floatCase{
	{Shape{7, 9, 64}, 48, 1, win(1, 1, 1), false},
	{Shape{5, 5, 37}, 29, 1, win(1, 1, 1), true},
	{Shape{4, 5, 256}, 40, 1, win(1, 1, 1), true}, // rows a page apart
	{Shape{9, 8, 20}, 33, 1, win(3, 1, 1, 1), false},
	{Shape{15, 17, 3}, 16, 1, win(3, 2, 1, 1), false},
	{Shape{9, 9, 24}, 36, 3, win(3, 1, 2, 2), true},
	{Shape{6, 6, 130}, 70, 1, win(3, 1, 1, 1), true}, // several passes
	{Shape{1, 1, 300}, 100, 1, win(1, 1, 1), false},
	{Shape{20, 20, 8}, 64, 1, win(5, 1, 1, 2), true},
	// Winograd: even and odd sizes, borders of every kind, columns left over, several passes.
	{Shape{12, 12, 64}, 64, 1, win(3, 1, 1, 1), true},
	{Shape{9, 13, 70}, 96, 1, win(3, 1, 1, 1), false},
	{Shape{11, 8, 96}, 80, 1, win(3, 1, 1), true},
	{Shape{10, 10, 40}, 100, 1, Window{3, 3, 1, 1, 1, 1, [4]int{2, 0, 0, 3}}, true},
	{Shape{3, 3, 200}, 40, 1, win(3, 1, 1), false},
	{Shape{22, 22, 300}, 32, 1, win(3, 1, 1, 1), false},
}

func (cc *floatCase) build(r *rand.Rand, half bool) (c *ConvF32, in [][]byte) {
	out := cc.win.outSize(cc.in, cc.o)
	c = &ConvF32{In: cc.in, Out: out, Window: cc.win, Groups: cc.groups, Bias: randF(r, cc.o),
		ClampLo: -2, ClampHi: 5, Residual: cc.residual, InnerLo: -1, InnerHi: 4}
	gi := cc.in.C / cc.groups
	n, run := cc.o*cc.win.KH*cc.win.KW, padded4(gi)
	c.Weights = make([]float32, n*run)
	halves := make([]uint16, len(c.Weights))
	for i := range c.Weights {
		if i%run < gi {
			halves[i] = uint16(r.Uint32N(0x3000)) | uint16(r.Uint32N(2))<<15
			c.Weights[i] = HalfToFloat(halves[i])
		}
	}
	if half {
		c.Weights, c.Weights16 = nil, halves
	}
	in = [][]byte{bytesOf(randF(r, cc.in.Len()))}
	if cc.residual {
		in = append(in, bytesOf(randF(r, out.Len())))
	}
	return c, in
}

// naive computes in float64, and the sum of absolute values of all terms.
func (c *ConvF32) naive(in [][]byte) (y, size []float64) {
	for j := range c.Out.Len() {
		sum, abs := c.naiveAt(in, j)
		y, size = append(y, sum), append(size, abs)
	}
	return y, size
}

// naiveAt is naive for output element j.
func (c *ConvF32) naiveAt(in [][]byte, j int) (y, size float64) {
	x, w := view[float32](in[0]), &c.Window
	gi, pos, o := c.In.C/c.Groups, j/c.Out.C, j%c.Out.C
	c0 := o / (c.Out.C / c.Groups) * gi
	sum := float64(c.Bias[o])
	abs := math.Abs(sum)
	for kh := range w.KH {
		for kw := range w.KW {
			ih, iw := pos/c.Out.W*w.StrideH-w.Pad[0]+kh*w.DilationH, pos%c.Out.W*w.StrideW-w.Pad[1]+kw*w.DilationW
			if ih < 0 || ih >= c.In.H || iw < 0 || iw >= c.In.W {
				continue
			}
			for i := range gi {
				p := float64(x[(ih*c.In.W+iw)*c.In.C+c0+i]) * float64(c.weight(((o*w.KH+kh)*w.KW+kw)*padded4(gi)+i))
				sum += p
				abs += math.Abs(p)
			}
		}
	}
	if c.Residual {
		sum = min(max(sum, float64(c.InnerLo)), float64(c.InnerHi)) + float64(view[float32](in[1])[j])
	}
	return min(max(sum, float64(c.ClampLo)), float64(c.ClampHi)), abs
}

// Every variant is within the error that a sum of k float32 terms can have, k*2^-24 of the sum of absolute values, and
// those with fused operations agree bit by bit, whatever the split into units and the size of the caches, and with the
// weights as halves or as the same values in float32.
func TestConvF32(t *testing.T) {
	winograd := map[int]int{}
	for i, cc := range floatCases {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var fused []byte
			c, in := cc.build(rand.New(rand.NewPCG(5, uint64(i))), false) // halves have the same values
			want, size := c.naive(in)
			for _, isa := range floatVariants() {
				for _, half := range []bool{false, true} {
					for _, l2 := range []int{0, 1 << 12, 1 << 21} {
						c, in := cc.build(rand.New(rand.NewPCG(5, uint64(i))), half)
						p := mustPrepare(t)(prepareConvF32(c, isa, l2))
						got := opRun(t, p, in, 4*c.Out.Len())[0]
						if strings.Contains(p.Why, "Winograd") {
							winograd[i]++
						}
						if isa != Portable {
							if fused == nil {
								fused = got
							}
							if !bytes.Equal(fused, got) {
								t.Errorf("%s, halves %v, cache %d: other bits", p.Kernel, half, l2)
							}
						}
						k := float64(c.Window.KH*c.Window.KW*c.In.C/c.Groups + 2)
						for j, v := range view[float32](got) {
							if d := math.Abs(float64(v) - want[j]); !(d <= k*0x1p-24*(size[j]+4)) {
								t.Fatalf("%s, halves %v: element %d is %g, want %g", p.Kernel, half, j, v, want[j])
							}
						}
					}
				}
			}
		})
	}
	if len(winoF32Forms) > 0 && len(floatVariants()) > 1 && !Disabled("winograd") && len(winograd) < 5 {
		t.Errorf("few cases were computed by Winograd's algorithm: %v", winograd)
	}
}

// How far Winograd's results are from the exact ones, beside a direct sum's, for activations behind a ReLU: the root of the mean
// squared error, relative to the result's. It is what winogradf32.go says of the two forms.
func TestWinogradErrorF32(t *testing.T) {
	if len(winoF32Forms) == 0 {
		t.Skip("no kernels for it here")
	}
	for _, channels := range []int{64, 512} {
		cc := floatCase{Shape{12, 12, channels}, 32, 1, win(3, 1, 1, 1), false}
		r := rand.New(rand.NewPCG(6, uint64(channels)))
		c, in := cc.build(r, false)
		c.ClampLo, c.ClampHi, c.Bias = float32(math.Inf(-1)), float32(math.Inf(1)), make([]float32, cc.o)
		for i := range c.Weights {
			c.Weights[i] = float32(r.NormFloat64()) // 24 bits of them
		}
		for i, x := 0, view[float32](in[0]); i < len(x); i++ {
			x[i] = max(float32(r.NormFloat64()), 0)
		}
		want, _ := c.naive(in)
		deviation := func(p *Prepared) float64 {
			var d, all float64
			for j, v := range view[float32](opRun(t, p, in, 4*c.Out.Len())[0]) {
				d += (float64(v) - want[j]) * (float64(v) - want[j])
				all += want[j] * want[j]
			}
			return math.Sqrt(d / all)
		}
		for _, isa := range floatVariants() {
			family := chooseGEMMF32(isa, c.Out.C)
			if family == nil {
				continue
			}
			direct := deviation(newConvF32(c, family, isa, 0).prepared())
			for i := range winoF32Forms {
				form := &winoF32Forms[i]
				g := newWinoF32(c, form, family, isa)
				if g == nil {
					continue
				}
				g.finishPlan(0)
				got, most := deviation(g.prepared()), map[int]float64{2: 1, 4: 6}[form.m]
				t.Logf("%s, %d channels: direct %.1e, F(%dx%d,3x3) %.1e", family[0].Name, channels, direct, form.m, form.m, got)
				if !(got <= most*direct) {
					t.Errorf("more than %g times the direct sum's", most)
				}
			}
		}
	}
}

func TestConvF32Refuses(t *testing.T) {
	c, _ := floatCases[0].build(rand.New(rand.NewPCG(1, 1)), false)
	c.Weights16 = make([]uint16, len(c.Weights))
	if _, err := PrepareConvF32(c); err == nil {
		t.Error("weights in two precisions are accepted")
	}
}
