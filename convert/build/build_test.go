package build_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

var (
	mean = [3]float32{0.485, 0.456, 0.406}
	std  = [3]float32{0.229, 0.224, 0.225}
)

func ramp(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i + 1)
	}
	return v
}

func values(t *format.Tensor) []float32 {
	v := make([]float32, len(t.Data)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return v
}

func start() *build.Builder { return build.New("net", "test", 9, 7, mean, std) }

func finish(t *testing.T, b *build.Builder, y int) *format.Model {
	t.Helper()
	b.Output("y", y, false)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestConvOrder places every weight of O,I,KH,KW where O,KH,KW,I padded to 4 wants it.
func TestConvOrder(t *testing.T) {
	const o, i, kh, kw = 2, 3, 2, 5
	w := ramp(o * i * kh * kw)
	b := start()
	y := b.Conv("c", b.Input(), w, [4]int{o, i, kh, kw}, []float32{7, 8}, build.Win{Stride: [2]int{2, 1}, Pad: [4]int{0, 2, 1, 1}}, 1, build.ActReLU6)
	if got, want := b.Shape(y), (build.Shape{H: 4, W: 8, C: o}); got != want {
		t.Errorf("shape %v, want %v", got, want)
	}
	m := finish(t, b, y)
	op := &m.Ops[0]
	if op.Kind != format.OpConv2D || op.Attr.ClampLo != 0 || op.Attr.ClampHi != 6 || op.Attr.Stride != [2]int{2, 1} || op.Attr.Dilation != [2]int{1, 1} {
		t.Errorf("operator %+v", op)
	}
	wt := &m.Tensors[op.Inputs[1]]
	if !slices.Equal(wt.Shape, []int{o, kh, kw, i}) {
		t.Errorf("weight shape %v", wt.Shape)
	}
	got := values(wt)
	if len(got) != o*kh*kw*4 {
		t.Fatalf("%d stored weights, want %d", len(got), o*kh*kw*4)
	}
	for oc := range o {
		for y := range kh {
			for x := range kw {
				for ic := range 4 {
					var want float32
					if ic < i {
						want = w[oc*i*kh*kw+ic*kh*kw+y*kw+x]
					}
					if g := got[((oc*kh+y)*kw+x)*4+ic]; g != want {
						t.Fatalf("weight %d,%d,%d,%d is %v, want %v", oc, y, x, ic, g, want)
					}
				}
			}
		}
	}
	if bias := values(&m.Tensors[op.Inputs[2]]); !slices.Equal(bias, []float32{7, 8}) {
		t.Errorf("bias %v", bias)
	}
}

func TestDepthwise(t *testing.T) {
	b := start()
	y := b.Conv("d", b.Input(), ramp(3*9), [4]int{3, 1, 3, 3}, nil, build.Win{Pad: [4]int{1, 1, 1, 1}}, 3, build.ActReLU)
	m := finish(t, b, y)
	op := &m.Ops[0]
	wt := &m.Tensors[op.Inputs[1]]
	if op.Kind != format.OpDepthwiseConv2D || op.Attr.Groups != 3 || !slices.Equal(wt.Shape, []int{1, 3, 3, 3}) || len(op.Inputs) != 2 {
		t.Fatalf("operator %+v, weights %v", op, wt.Shape)
	}
	if got, want := values(wt)[:8], []float32{1, 10, 19, 0, 2, 11, 20, 0}; !slices.Equal(got, want) {
		t.Errorf("weights start with %v, want %v", got, want)
	}
}

// TestFoldConv compares folding with the batch normalisation applied to the convolution's result.
func TestFoldConv(t *testing.T) {
	w, bias := []float32{1, -2, 3, 0.5}, []float32{0.25, -4}
	bn := build.BN{Gamma: []float32{2, -1}, Beta: []float32{0.1, 0.2}, Mean: []float32{3, -1}, Var: []float32{4, 0.01}, Eps: 1e-3}
	fw, fb := build.FoldConv(w, [4]int{2, 2, 1, 1}, bias, bn)
	x := []float64{0.7, -1.3}
	for o := range 2 {
		conv := float64(w[2*o])*x[0] + float64(w[2*o+1])*x[1] + float64(bias[o])
		want := (conv-float64(bn.Mean[o]))/math.Sqrt(float64(bn.Var[o])+float64(bn.Eps))*float64(bn.Gamma[o]) + float64(bn.Beta[o])
		got := float64(fw[2*o])*x[0] + float64(fw[2*o+1])*x[1] + float64(fb[o])
		if math.Abs(got-want) > 1e-5*math.Abs(want) {
			t.Errorf("channel %d: %v, want %v", o, got, want)
		}
	}
	if fw, fb := build.FoldConv(w, [4]int{2, 2, 1, 1}, nil, build.BN{Mean: bias}); fw != nil || fb != nil {
		t.Error("a short batch normalisation was folded")
	}
}

// TestLinearOrder checks that a layer over flattened C,H,W reads the same elements in N,H,W,C.
func TestLinearOrder(t *testing.T) {
	b := build.New("net", "test", 2, 2, mean, std)
	m := finish(t, b, b.Linear("fc", b.Input(), ramp(12), 1, nil, build.ActNone))
	got := values(&m.Tensors[m.Ops[0].Inputs[1]])
	if want := []float32{1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12}; !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
}

func TestPoolShapes(t *testing.T) {
	for _, c := range []struct {
		win  build.PoolWin
		h, w int // of a 7x9 input, from PyTorch's MaxPool2d
	}{
		{build.PoolWin{Kernel: [2]int{2, 2}}, 3, 4},
		{build.PoolWin{Kernel: [2]int{2, 2}, CeilMode: true}, 4, 5},
		{build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}}, 4, 5},
		{build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}, CeilMode: true}, 4, 5},
		{build.PoolWin{Kernel: [2]int{1, 1}, Stride: [2]int{4, 4}, CeilMode: true}, 2, 3},
		{build.PoolWin{Kernel: [2]int{2, 2}, Stride: [2]int{3, 3}, Pad: [4]int{1, 1, 1, 1}, CeilMode: true}, 3, 4},
		{build.PoolWin{Kernel: [2]int{2, 2}, Stride: [2]int{8, 8}, Pad: [4]int{1, 1, 1, 1}, CeilMode: true}, 1, 2},
	} {
		b := start()
		if got := b.Shape(b.MaxPool("p", b.Input(), c.win)); got != (build.Shape{H: c.h, W: c.w, C: 3}) || b.Err() != nil {
			t.Errorf("%+v: %v, want %dx%d (error %v)", c.win, got, c.h, c.w, b.Err())
		}
	}
}

func TestShapes(t *testing.T) {
	b := start()
	x := b.Input()
	p := b.Pad("pad", x, [4]int{1, 2, 3, 4}, 0.5)
	g := b.GlobalAvgPool("gap", x)
	for _, c := range []struct {
		name string
		y    int
		want build.Shape
	}{
		{"pad", p, build.Shape{H: 11, W: 15, C: 3}},
		{"gap", g, build.Shape{H: 1, W: 1, C: 3}},
		{"add", b.Add("add", x, x, build.ActReLU), build.Shape{H: 7, W: 9, C: 3}},
		{"mul", b.Mul("mul", g, x, build.ActNone), build.Shape{H: 7, W: 9, C: 3}},
		{"concat", b.Concat("concat", 3, x, x, x), build.Shape{H: 7, W: 9, C: 9}},
		{"resize", b.Resize("resize", x, 3, 20, format.ModeBilinear, true), build.Shape{H: 3, W: 20, C: 3}},
		{"softmax", b.Softmax("softmax", g), build.Shape{H: 1, W: 1, C: 3}},
		{"leaky relu", b.UnaryWith("leaky", x, format.FuncLeakyReLU, 0.1, 1), build.Shape{H: 7, W: 9, C: 3}},
		{"prelu", b.PReLU("prelu", x, ramp(3)), build.Shape{H: 7, W: 9, C: 3}},
		{"gather", b.Gather("gather", x, 2, []int{8, 0}), build.Shape{H: 7, W: 2, C: 3}},
		{"permute", b.Permute("permute", x, []int{7, 27}, []int{1, 0}, build.Shape{H: 3, W: 9, C: 7}), build.Shape{H: 3, W: 9, C: 7}},
		{"normalize", b.Normalize("normalize", x, 3, 1, 1e-5, ramp(3), nil), build.Shape{H: 7, W: 9, C: 3}},
		{"constant", b.AddConst("position", g, ramp(189), build.Shape{H: 7, W: 9, C: 3}, 0), build.Shape{H: 7, W: 9, C: 3}},
		{"gain", b.MulConst("gain", x, ramp(3), build.Shape{H: 1, W: 1, C: 3}, 0), build.Shape{H: 7, W: 9, C: 3}},
		{"log softmax", b.LogSoftmax("log softmax", g), build.Shape{H: 1, W: 1, C: 3}},
		{"swish", b.Unary("swish", x, format.FuncSwish), build.Shape{H: 7, W: 9, C: 3}},
		{"avg", b.AvgPool("avg", x, build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [4]int{1, 1, 1, 1}}, true), build.Shape{H: 7, W: 9, C: 3}},
	} {
		if got := b.Shape(c.y); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if b.Err() != nil {
		t.Error(b.Err())
	}
}

func TestRFGAAndHead(t *testing.T) {
	const c = 3
	bn := func(gamma float32) build.BN {
		return build.BN{Gamma: []float32{gamma, gamma, gamma}, Mean: make([]float32, c), Var: []float32{1, 1, 1}}
	}
	b := start()
	y := b.RFGA("rfga", b.Input(), build.RFGAWeights{ConvC: []float32{1, 2, 3}, ConvH: ramp(27), ConvW: ramp(27), BN: [3]build.BN{bn(2), bn(3), bn(5)}}, 0.35, 0.65)
	b.Localizer("head", y, ramp(2*c), []float32{1, 2})
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	op, head := &m.Ops[0], &m.Ops[1]
	if op.Kind != format.OpRFGA || len(op.Inputs) != 7 || op.Attr.A != 0.35 || op.Attr.B != 0.65 {
		t.Fatalf("operator %+v", op)
	}
	wc, wh, ww := &m.Tensors[op.Inputs[1]], &m.Tensors[op.Inputs[3]], &m.Tensors[op.Inputs[5]]
	if !slices.Equal(wc.Shape, []int{c, 1, 1, 3}) || !slices.Equal(wh.Shape, []int{c, 3, 1, c}) || !slices.Equal(ww.Shape, []int{c, 1, 3, c}) {
		t.Errorf("shapes %v %v %v", wc.Shape, wh.Shape, ww.Shape)
	}
	if got, want := values(wc)[4:8], []float32{2, 4, 6, 0}; !slices.Equal(got, want) {
		t.Errorf("conv_c of channel 1 is %v, want %v", got, want)
	}
	// Output channel 1, tap 2: the inputs 0..2 are elements 9+2, 9+5, 9+8 of O,I,K, counted from 1.
	if got, want := values(wh)[(1*3+2)*4:][:4], []float32{36, 45, 54, 0}; !slices.Equal(got, want) {
		t.Errorf("conv_h %v, want %v", got, want)
	}
	if got, want := values(ww)[(1*3+2)*4:][:4], []float32{60, 75, 90, 0}; !slices.Equal(got, want) {
		t.Errorf("conv_w %v, want %v", got, want)
	}
	if head.Kind != format.OpCAMHead || len(m.Outputs) != 2 || !m.Outputs[0].Flat || m.Outputs[1].Name != "maps" {
		t.Errorf("head %+v, outputs %+v", head, m.Outputs)
	}
	if s := m.Tensors[head.Outputs[1]].Shape; !slices.Equal(s, []int{1, 7, 9, 2}) {
		t.Errorf("maps %v", s)
	}
}

// TestRefusals gives every method something that does not fit: one error with the operator's name, and never a panic.
func TestRefusals(t *testing.T) {
	one := build.Win{}
	nan := float32(math.NaN())
	for what, f := range map[string]func(b *build.Builder) int{
		"no weights":   func(b *build.Builder) int { return b.Conv("op", 0, nil, [4]int{1, 3, 1, 1}, nil, one, 1, 0) },
		"zero outputs": func(b *build.Builder) int { return b.Conv("op", 0, nil, [4]int{0, 3, 1, 1}, nil, one, 1, 0) },
		"negative":     func(b *build.Builder) int { return b.Conv("op", 0, nil, [4]int{-1, -3, 1, 1}, nil, one, 1, 0) },
		"overflow": func(b *build.Builder) int {
			return b.Conv("op", 0, nil, [4]int{1 << 24, 1 << 24, 1 << 24, 1 << 24}, nil, one, 1, 0)
		},
		"channels":         func(b *build.Builder) int { return b.Conv("op", 0, ramp(4), [4]int{1, 4, 1, 1}, nil, one, 1, 0) },
		"groups":           func(b *build.Builder) int { return b.Conv("op", 0, ramp(3), [4]int{1, 3, 1, 1}, nil, one, 0, 0) },
		"bias":             func(b *build.Builder) int { return b.Conv("op", 0, ramp(3), [4]int{1, 3, 1, 1}, ramp(2), one, 1, 0) },
		"kernel too large": func(b *build.Builder) int { return b.Conv("op", 0, ramp(3*8), [4]int{1, 3, 8, 1}, nil, one, 1, 0) },
		"stride": func(b *build.Builder) int {
			return b.Conv("op", 0, ramp(3), [4]int{1, 3, 1, 1}, nil, build.Win{Stride: [2]int{1, -1}}, 1, 0)
		},
		"padding": func(b *build.Builder) int {
			return b.Conv("op", 0, ramp(3), [4]int{1, 3, 1, 1}, nil, build.Win{Pad: [4]int{1 << 30}}, 1, 0)
		},
		"activation": func(b *build.Builder) int { return b.Conv("op", 0, ramp(3), [4]int{1, 3, 1, 1}, nil, one, 1, 9) },
		"nan": func(b *build.Builder) int {
			return b.Conv("op", 0, []float32{1, nan, 1}, [4]int{1, 3, 1, 1}, nil, one, 1, 0)
		},
		"bn": func(b *build.Builder) int {
			return b.ConvBN("op", 0, ramp(3), [4]int{1, 3, 1, 1}, nil, build.BN{}, one, 1, 0)
		},
		"bn variance": func(b *build.Builder) int {
			return b.ConvBN("op", 0, ramp(3), [4]int{1, 3, 1, 1}, nil, build.BN{Mean: ramp(1), Var: []float32{-1}}, one, 1, 0)
		},
		"bn weights": func(b *build.Builder) int {
			return b.ConvBN("op", 0, ramp(2), [4]int{1, 3, 1, 1}, nil, build.BN{Mean: ramp(1), Var: ramp(1)}, one, 1, 0)
		},
		"value":          func(b *build.Builder) int { return b.Unary("op", 77, format.FuncReLU) },
		"negative value": func(b *build.Builder) int { return b.Softmax("op", -1) },
		"function":       func(b *build.Builder) int { return b.Unary("op", 0, 99) },
		"prelu unary":    func(b *build.Builder) int { return b.UnaryWith("op", 0, format.FuncPReLU, 1, 1) },
		"slopes":         func(b *build.Builder) int { return b.PReLU("op", 0, ramp(2)) },
		"index":          func(b *build.Builder) int { return b.Gather("op", 0, 3, []int{0, 3}) },
		"no index":       func(b *build.Builder) int { return b.Gather("op", 0, 3, nil) },
		"gather axis":    func(b *build.Builder) int { return b.Gather("op", 0, 0, []int{0}) },
		"permute dims": func(b *build.Builder) int {
			return b.Permute("op", 0, []int{7, 9}, []int{1, 0}, build.Shape{H: 7, W: 9, C: 1})
		},
		"permute perm": func(b *build.Builder) int {
			return b.Permute("op", 0, []int{7, 27}, []int{1, 1}, build.Shape{H: 7, W: 9, C: 3})
		},
		"permute shape": func(b *build.Builder) int {
			return b.Permute("op", 0, []int{7, 27}, []int{1, 0}, build.Shape{H: 7, W: 9, C: 4})
		},
		"norm groups":     func(b *build.Builder) int { return b.Normalize("op", 0, 3, 2, 1e-5, nil, nil) },
		"norm scales":     func(b *build.Builder) int { return b.Normalize("op", 0, 1, 3, 1e-5, ramp(2), nil) },
		"constant size":   func(b *build.Builder) int { return b.AddConst("op", 0, ramp(2), build.Shape{H: 1, W: 1, C: 3}, 0) },
		"constant shape":  func(b *build.Builder) int { return b.MulConst("op", 0, ramp(14), build.Shape{H: 7, W: 1, C: 2}, 0) },
		"linear":          func(b *build.Builder) int { return b.Linear("op", 0, ramp(5), 1, nil, 0) },
		"linear negative": func(b *build.Builder) int { return b.Linear("op", 0, ramp(5), -1, nil, 0) },
		"shapes":          func(b *build.Builder) int { return b.Add("op", 0, b.Pad("p", 0, [4]int{1}, 0), 0) },
		"pool kernel":     func(b *build.Builder) int { return b.MaxPool("op", 0, build.PoolWin{}) },
		"pool padding": func(b *build.Builder) int {
			return b.MaxPool("op", 0, build.PoolWin{Kernel: [2]int{2, 2}, Pad: [4]int{2}})
		},
		"average dilation": func(b *build.Builder) int {
			return b.AvgPool("op", 0, build.PoolWin{Kernel: [2]int{2, 2}, Dilation: [2]int{2, 2}}, true)
		},
		"concat of nothing": func(b *build.Builder) int { return b.Concat("op", 3) },
		"concat axis":       func(b *build.Builder) int { return b.Concat("op", 0, 0) },
		"concat shapes":     func(b *build.Builder) int { return b.Concat("op", 3, 0, b.Pad("p", 0, [4]int{1}, 0)) },
		"pad":               func(b *build.Builder) int { return b.Pad("op", 0, [4]int{-1}, 0) },
		"pad nan":           func(b *build.Builder) int { return b.Pad("op", 0, [4]int{}, nan) },
		"resize":            func(b *build.Builder) int { return b.Resize("op", 0, 0, 5, format.ModeNearest, false) },
		"resize mode":       func(b *build.Builder) int { return b.Resize("op", 0, 5, 5, 9, false) },
		"rfga":              func(b *build.Builder) int { return b.RFGA("op", 0, build.RFGAWeights{}, 1, 1) },
		"rfga bn": func(b *build.Builder) int {
			return b.RFGA("op", 0, build.RFGAWeights{ConvC: ramp(3), ConvH: ramp(27), ConvW: ramp(27)}, 1, 1)
		},
		"head":            func(b *build.Builder) int { l, _ := b.CAMHead("op", 0, ramp(4), nil); return l },
		"head of nothing": func(b *build.Builder) int { l, _ := b.CAMHead("op", 0, nil, nil); return l },
	} {
		b := start()
		if y := f(b); y != -1 {
			t.Errorf("%s: accepted as %d", what, y)
		}
		if y := b.Softmax("later", b.Input()); y != -1 {
			t.Errorf("%s: a later call went on", what)
		}
		b.Output("y", 0, false)
		if _, err := b.Finish(); err == nil || !strings.HasPrefix(err.Error(), "op") {
			t.Errorf("%s: error %v does not name the operator", what, err)
		}
	}
	if _, err := start().Finish(); err == nil {
		t.Error("a graph without outputs was finished")
	}
	if _, err := build.New("net", "a", 0, 5, mean, std).Finish(); err == nil {
		t.Error("a width of 0 was accepted")
	}
	if _, err := build.New("net", "a", 5, 5, mean, [3]float32{}).Finish(); err == nil {
		t.Error("a standard deviation of 0 was accepted")
	}
	b := start()
	b.Output("y", 0, true)
	if b.Err() == nil {
		t.Error("a flat output of 7x9 was accepted")
	}
}
