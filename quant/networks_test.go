package quant

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

var (
	imagenetMean = [3]float32{0.485, 0.456, 0.406}
	imagenetStd  = [3]float32{0.229, 0.224, 0.225}
)

// net builds test networks with random weights of the size that keeps activations near one.
type net struct {
	*build.Builder
	rng *rand.Rand
}

func newNet(name string, side int, seed uint64) *net {
	return &net{build.New(name, "test", side, side, imagenetMean, imagenetStd), rand.New(rand.NewPCG(seed, 77))}
}

func (n *net) normal(count int, sd float64) []float32 {
	out := make([]float32, count)
	for i := range out {
		out[i] = float32(n.rng.NormFloat64() * sd)
	}
	return out
}

// conv is a convolution whose channels have scales of their own, as folded batch normalisation leaves them.
func (n *net) conv(name string, x, out, k, stride, groups int, act build.Act) int {
	in := n.Shape(x).C / groups
	w := n.normal(out*in*k*k, math.Sqrt(2/float64(in*k*k)))
	for o := range out {
		s := float32(math.Exp(0.4 * n.rng.NormFloat64()))
		for i := range in * k * k {
			w[o*in*k*k+i] *= s
		}
	}
	p := k / 2
	return n.Conv(name, x, w, [4]int{out, in, k, k}, n.normal(out, 0.2),
		build.Win{Stride: [2]int{stride, stride}, Pad: [4]int{p, p, p, p}}, groups, act)
}

func (n *net) attention(name string, x int, a, b float32) int {
	c := n.Shape(x).C
	bn := build.BN{Gamma: make([]float32, c), Beta: n.normal(c, 0.5), Mean: n.normal(c, 0.2), Var: make([]float32, c), Eps: 1e-5}
	for i := range c {
		bn.Gamma[i], bn.Var[i] = 0.6+0.8*n.rng.Float32(), 0.2+n.rng.Float32()
	}
	sd := math.Sqrt(2 / float64(3*c))
	return n.RFGA(name, x, build.RFGAWeights{ConvC: n.normal(3, 0.6), ConvH: n.normal(3*c*c, sd), ConvW: n.normal(3*c*c, sd), BN: [3]build.BN{bn, bn, bn}}, a, b)
}

func (n *net) finish(t *testing.T) *format.Model {
	t.Helper()
	m, err := n.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// localizer is a small MobileNetV1 with a residual block, attention and a class activation head.
func localizer(t *testing.T, seed uint64) *format.Model {
	n := newNet("tiny", 32, seed)
	x := n.conv("stem", n.Input(), 8, 3, 2, 1, build.ActReLU)
	for i, c := range []int{16, 24} {
		d := n.conv("dw"+string(rune('0'+i)), x, n.Shape(x).C, 3, 1, n.Shape(x).C, build.ActReLU)
		x = n.conv("pw"+string(rune('0'+i)), d, c, 1, 1, 1, build.ActReLU6)
	}
	y := n.conv("res.a", x, 24, 3, 1, 1, build.ActReLU)
	y = n.conv("res.b", y, 24, 1, 1, 1, build.ActNone)
	x = n.Add("res.add", x, y, build.ActReLU)
	x = n.MaxPool("pool", x, build.PoolWin{Kernel: [2]int{2, 2}})
	x = n.attention("rfga", x, 1, 1)
	n.Localizer("head", x, n.normal(10*24, 0.2), n.normal(10, 0.05))
	return n.finish(t)
}

// everything has each operator that has an int8 form, joined in ways that make grids be shared and not.
func everything(t *testing.T, seed uint64) *format.Model {
	n := newNet("everything", 16, seed)
	stem := n.conv("stem", n.Input(), 10, 3, 1, 1, build.ActNone)
	swish := n.Unary("swish", stem, format.FuncSwish)
	hard := n.Unary("hardswish", stem, format.FuncHardSwish)
	pooled := n.MaxPool("max", swish, build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}})
	avg := n.AvgPool("avg", hard, build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}}, false)
	grouped := n.conv("grouped", pooled, 20, 3, 1, 2, build.ActReLU6)
	dw := n.conv("dw", avg, 10, 3, 1, 10, build.ActNone)
	cat := n.Concat("cat", 3, grouped, dw, pooled)
	se := n.GlobalAvgPool("se.pool", cat)
	se = n.conv("se.conv", se, 40, 1, 1, 1, build.ActNone)
	gate := n.Unary("se.gate", se, format.FuncHardSigmoid)
	gate2 := n.Unary("se.gate2", se, format.FuncSigmoid)
	x := n.Mul("se.mul", cat, gate, build.ActNone)
	x = n.Add("se.add", x, gate2, build.ActReLU)
	x = n.Pad("pad", x, [4]int{1, 0, 1, 2}, 0.5)
	x = n.Resize("up", x, 20, 20, format.ModeNearest, false)
	x = n.conv("mix", x, 12, 3, 2, 1, build.ActReLU)
	x = n.attention("rfga", x, 0.35, 0.65)
	n.Output("features", x, false)
	v := n.AvgPool("last", x, build.PoolWin{Kernel: [2]int{5, 5}, Pad: [4]int{0, 0, 0, 0}}, true)
	fc := n.Linear("fc", v, n.normal(12*4*7, 0.2), 7, n.normal(7, 0.1), build.ActNone)
	n.Output("prob", n.Softmax("softmax", fc), true)
	return n.finish(t)
}

// noise is an image of the spectrum of photographs as normalised values on the grid of 8-bit pixels, NHWC.
func noise(side int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 99))
	x := make([]float64, side*side*3)
	for k := 2; k <= side; k *= 2 {
		grid := make([]float64, (k+1)*(k+1)*3)
		for i := range grid {
			grid[i] = rng.NormFloat64() / math.Sqrt(float64(k))
		}
		for i := range x {
			p, c := i/3, i%3
			fy, fx := float64(p/side)*float64(k)/float64(side), float64(p%side)*float64(k)/float64(side)
			y0, x0 := int(fy), int(fx)
			dy, dx := fy-float64(y0), fx-float64(x0)
			at := func(y, x int) float64 { return grid[(y*(k+1)+x)*3+c] }
			x[i] += (1-dy)*((1-dx)*at(y0, x0)+dx*at(y0, x0+1)) + dy*((1-dx)*at(y0+1, x0)+dx*at(y0+1, x0+1))
		}
	}
	mean, sq := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
		sq += v * v / float64(len(x))
	}
	sd := math.Sqrt(sq - mean*mean)
	for i, v := range x {
		m, s := float64(imagenetMean[i%3]), float64(imagenetStd[i%3])
		b := math.Round(min(max(((v-mean)/sd)*s+m, 0), 1) * 255)
		x[i] = (b/255 - m) / s
	}
	return x
}

func images(side, count int, seed uint64) [][]float64 {
	var out [][]float64
	for i := range count {
		out = append(out, noise(side, seed+uint64(i)))
	}
	return out
}

// correlation is Pearson's.
func correlation(a, b []float64) float64 {
	var ma, mb float64
	for i := range a {
		ma, mb = ma+a[i]/float64(len(a)), mb+b[i]/float64(len(b))
	}
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+(a[i]-ma)*(b[i]-mb), aa+(a[i]-ma)*(a[i]-ma), bb+(b[i]-mb)*(b[i]-mb)
	}
	return ab / math.Sqrt(aa*bb)
}
