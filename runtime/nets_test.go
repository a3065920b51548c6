package runtime_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

const side = 24

var mean, std = [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}

// normal returns n values of the given spread.
func normal(r *rand.Rand, n int, spread float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64() * spread)
	}
	return v
}

type net struct {
	*build.Builder
	r *rand.Rand
}

func (n net) conv(name string, x, out, k, stride, groups int, pad [4]int, act build.Act) int {
	in := n.Shape(x).C / groups
	w := normal(n.r, out*in*k*k, 1.4/float64(k)/float64(in))
	if in > 1 {
		w = normal(n.r, out*in*k*k, 1.4/float64(k*in/2))
	}
	return n.Conv(name, x, w, [4]int{out, in, k, k}, normal(n.r, out, 0.1),
		build.Win{Stride: [2]int{stride, stride}, Dilation: [2]int{1, 1}, Pad: pad}, groups, act)
}

func (n net) rfga(name string, x int) int {
	c := n.Shape(x).C
	w := build.RFGAWeights{ConvC: normal(n.r, 3, 1), ConvH: normal(n.r, 3*c*c, 0.2), ConvW: normal(n.r, 3*c*c, 0.2)}
	for i := range w.BN {
		ones := make([]float32, c)
		for j := range ones {
			ones[j] = 1
		}
		w.BN[i] = build.BN{Gamma: ones, Beta: normal(n.r, c, 0.3), Mean: make([]float32, c), Var: ones, Eps: 1e-5}
	}
	return n.RFGA(name, x, w, 1, 1)
}

// zoo is a float network that has every operator and every fusion: explicit and asymmetric padding, residual additions with
// the convolution on either side, squeeze-and-excitation, pools, concatenation, resizing, attention twice, and the head.
func zoo(t testing.TB) *format.Model {
	t.Helper()
	n := net{build.New("zoo", "test", side, side, mean, std), rand.New(rand.NewPCG(1, 2))}
	all1 := [4]int{1, 1, 1, 1}
	x := n.conv("stem", n.Input(), 8, 3, 2, 1, all1, build.ActReLU)
	x = n.Pad("pad", x, [4]int{0, 1, 2, 1}, 0)
	x = n.conv("padded", x, 12, 3, 1, 1, [4]int{}, build.ActNone)
	x = n.Unary("relu", x, format.FuncReLU)
	y := n.conv("branch", x, 12, 3, 1, 12, all1, build.ActReLU6)
	y = n.conv("branch.2", y, 12, 1, 1, 1, [4]int{}, build.ActNone)
	x = n.Add("residual", y, x, build.ActReLU)
	s := n.GlobalAvgPool("se.pool", x)
	s = n.conv("se.fc", s, 12, 1, 1, 1, [4]int{}, build.ActNone)
	s = n.Unary("se.sigmoid", s, format.FuncSigmoid)
	x = n.Mul("se.scale", x, s, build.ActNone)
	x = n.rfga("attention.1", x)
	pool := build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: all1}
	a := n.MaxPool("max", x, pool)
	b := n.AvgPool("avg", x, pool, false)
	x = n.Concat("concat", 3, a, b, n.conv("down", x, 8, 3, 2, 4, all1, build.ActNone))
	x = n.Unary("swish", x, format.FuncHardSwish)
	x = n.moves(x)
	x = n.Resize("up", x, 10, 10, format.ModeBilinear, false)
	x = n.conv("last", x, 16, 1, 1, 1, [4]int{}, build.ActReLU)
	short := n.conv("last.short", x, 16, 1, 1, 1, [4]int{}, build.ActNone)
	x = n.Add("last.add", x, short, build.ActReLU)
	x = n.rfga("attention.2", x)
	n.Localizer("classifier", x, normal(n.r, 7*16, 0.3), normal(n.r, 7, 0.1))
	m, err := n.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// moves shuffles, slices, transposes and normalises, and adds a constant of each position.
func (n net) moves(x int) int {
	s := n.Shape(x)
	index := make([]int, s.C)
	for i := range index {
		index[i] = i%2*(s.C/2) + i/2
	}
	x = n.Gather("shuffle", x, 3, index)
	y := n.Gather("rows", n.Gather("half", x, 3, index[:8]), 1, []int{2, 1, 0})
	y = n.Permute("turn", y, []int{3, s.W, 8}, []int{1, 0, 2}, build.Shape{H: s.W, W: 3, C: 8})
	y = n.Normalize("groups", y, 1, 4, 1e-5, nil, normal(n.r, 8, 1))
	y = n.GlobalAvgPool("turn.pool", n.UnaryWith("leaky", y, format.FuncLeakyReLU, 0.1, 1))
	x = n.Normalize("layer", x, 3, 1, 1e-6, normal(n.r, s.C, 1), nil)
	x = n.PReLU("prelu", x, normal(n.r, s.C, 0.3))
	x = n.AddConst("position", x, normal(n.r, s.H*s.W, 1), build.Shape{H: s.H, W: s.W, C: 1}, build.ActNone)
	return n.Mul("turned", x, n.conv("turn.fc", y, s.C, 1, 1, 1, [4]int{}, build.ActNone), build.ActNone)
}

// photo is one image of smooth blobs: bytes and their normalised form (3,H,W).
func photo(seed uint64) (pix []byte, x []float32) {
	r := rand.New(rand.NewPCG(seed, 9))
	pix, x = make([]byte, side*side*3), make([]float32, 3*side*side)
	var v [3]float64
	for i := range side * side {
		for c := range 3 {
			v[c] += r.NormFloat64() * 25
			v[c] = min(max(v[c], 0), 255)
			b := byte(v[c])
			pix[3*i+c] = b
			x[c*side*side+i] = float32((float64(b) - 255*float64(mean[c])) / (255 * float64(std[c])))
		}
	}
	return pix, x
}

type photos int

func (p photos) Len() int { return int(p) }
func (p photos) At(i int) ([]float32, error) {
	_, x := photo(uint64(100 + i))
	return x, nil
}

func lowered(t *testing.T, m *format.Model) *format.Model {
	t.Helper()
	q, _, err := quant.Quantize(context.Background(), m, photos(4), quant.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// widened has int16 wherever it can be.
func widened(t testing.TB, m *format.Model) *format.Model {
	t.Helper()
	q, _, err := quant.Quantize(context.Background(), m, photos(4), quant.Options{Threads: 1, Int16: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func load(t *testing.T, m *format.Model) *runtime.Model {
	t.Helper()
	rm, err := runtime.FromFormat(m)
	if err != nil {
		t.Fatal(err)
	}
	return rm
}

func session(t *testing.T, m *runtime.Model, o runtime.Options) *runtime.Session {
	t.Helper()
	s, err := m.NewSession(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// raw runs the session and returns the raw bytes of all outputs of image n.
func raw(t *testing.T, s *runtime.Session, n int) []byte {
	t.Helper()
	var b []byte
	for i := range s.Outputs() {
		b = s.AppendRaw(b, n, i)
	}
	return b
}
