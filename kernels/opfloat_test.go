package kernels

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// A fixture is one operator with PyTorch's result; testdata/gen_ops.py writes them.
type fixture struct {
	Op                                            string
	In                                            []tensorRef
	Out                                           tensorRef
	Weights, Bias, Logits, WC, WH, WW, BC, BH, BW *tensorRef
	Window                                        []int
	Groups, Axis, Func                            int
	Clamp, Inner                                  [2]*float32
	Residual, Include, Bilinear, Align, Log       bool
	Value, A, B                                   float32
}

type tensorRef struct {
	At    int
	Shape []int
}

type fixtures []float32

func loadFixtures(t *testing.T) (fixtures, []fixture) {
	t.Helper()
	text, err := os.ReadFile("testdata/ops.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []fixture
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	npy, err := os.ReadFile("testdata/ops.npy")
	if err != nil {
		t.Fatal(err)
	}
	npy = npy[10+int(binary.LittleEndian.Uint16(npy[8:])):]
	data := make(fixtures, len(npy)/4)
	for i := range data {
		data[i] = math.Float32frombits(binary.LittleEndian.Uint32(npy[4*i:]))
	}
	return data, cases
}

func (d fixtures) get(r *tensorRef) []float32 {
	if r == nil {
		return nil
	}
	n := 1
	for _, s := range r.Shape {
		n *= s
	}
	return d[r.At:][:n]
}

// weights pads every run of the last dimension to a multiple of four.
func (d fixtures) weights(r *tensorRef) []float32 {
	run := r.Shape[len(r.Shape)-1]
	var w []float32
	for v := d.get(r); len(v) > 0; v = v[run:] {
		w = append(w, v[:run]...)
		w = append(w, make([]float32, padded4(run)-run)...)
	}
	return w
}

func (r *tensorRef) shape() Shape {
	if len(r.Shape) == 3 {
		return Shape{r.Shape[0], r.Shape[1], r.Shape[2]}
	}
	return Shape{1, 1, r.Shape[0]}
}

func orOne(v float32) float32 {
	if v == 0 {
		return 1
	}
	return v
}

func bound(v *float32, none float32) float32 {
	if v == nil {
		return none
	}
	return *v
}

func (d fixtures) prepare(f *fixture) (*Prepared, error) {
	in, out := f.In[0].shape(), f.Out.shape()
	var w Window
	if v := f.Window; v != nil {
		w = Window{v[0], v[1], v[2], v[3], v[4], v[5], [4]int(v[6:10])}
	}
	lo, hi, innerLo, innerHi := bound(f.Clamp[0], negInf), bound(f.Clamp[1], posInf), bound(f.Inner[0], negInf), bound(f.Inner[1], posInf)
	switch f.Op {
	case "conv":
		return PrepareConvF32(&ConvF32{in, out, w, f.Groups, d.weights(f.Weights), nil, d.get(f.Bias), lo, hi, f.Residual, innerLo, innerHi, false})
	case "depthwise":
		return PrepareDepthwiseF32(&DepthwiseF32{in, out, w, d.weights(f.Weights), d.get(f.Bias), lo, hi, f.Residual, innerLo, innerHi})
	case "maxpool":
		return PrepareMaxPoolF32(&PoolF32{In: in, Out: out, Window: w})
	case "avgpool":
		return PrepareAvgPoolF32(&PoolF32{in, out, w, f.Include})
	case "resize":
		return PrepareResizeF32(&ResizeF32{in, out, f.Bilinear, f.Align})
	case "unary":
		return PrepareUnaryF32(&UnaryF32{Shape: in, Func: Func(f.Func), A: orOne(f.A), B: orOne(f.B), Slope: d.get(f.Weights)})
	case "softmax":
		return PrepareSoftmaxF32(in, f.Log)
	case "add":
		return PrepareAddF32(&BinaryF32{in, f.In[1].shape(), out, lo, hi})
	case "mul":
		return PrepareMulF32(&BinaryF32{in, f.In[1].shape(), out, lo, hi})
	case "concat":
		c := &ConcatF32{Out: out, Axis: f.Axis}
		for i := range f.In {
			c.In = append(c.In, f.In[i].shape())
		}
		return PrepareConcatF32(c)
	case "pad":
		return PreparePadF32(in, out, w.Pad, f.Value)
	case "normalize":
		return PrepareNormalizeF32(&NormalizeF32{Shape: in, Axis: f.Axis, Groups: f.Groups, Epsilon: f.Value, Scale: d.get(f.Weights), Shift: d.get(f.Bias)})
	case "rfga":
		return PrepareRFGAF32(&RFGAF32{in, d.weights(f.WC), d.weights(f.WH), d.weights(f.WW), nil, nil, d.get(f.BC), d.get(f.BH), d.get(f.BW), f.A, f.B, RFGAOff{}})
	}
	return nil, fmt.Errorf("unknown operator %q", f.Op)
}

// wantClose compares with PyTorch: within 1e-5 of the largest value.
func wantClose(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	largest := 0.0
	for _, v := range want {
		if a := math.Abs(float64(v)); !math.IsInf(a, 0) {
			largest = max(largest, a)
		}
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - float64(v)); !(d <= 1e-5*largest+1e-38) && got[i] != v {
			t.Fatalf("element %d is %g, want %g", i, got[i], v)
		}
	}
}

func TestFloatAgainstPyTorch(t *testing.T) {
	for _, isa := range floatVariants() {
		t.Run(isa.String(), func(t *testing.T) {
			setFeatures(t, isa)
			testFloatAgainstPyTorch(t)
		})
	}
}

// setFeatures makes the package choose among the kernels of isa for the rest of the test.
func setFeatures(t *testing.T, isa ISA) {
	saved := features
	features = isa
	t.Cleanup(func() { features = saved })
}

func testFloatAgainstPyTorch(t *testing.T) {
	data, cases := loadFixtures(t)
	for i := range cases {
		f := &cases[i]
		t.Run(fmt.Sprintf("%02d_%s", i, f.Op), func(t *testing.T) {
			if f.Op == "head" {
				testHeadF32(t, data, f)
				return
			}
			p := mustPrepare(t)(data.prepare(f))
			var in [][]byte
			for j := range f.In {
				in = append(in, bytesOf(data.get(&f.In[j])))
			}
			want := data.get(&f.Out)
			got := view[float32](opRun(t, p, in, 4*len(want))[0])
			if f.Op == "unary" { // one value is 1e20
				for j := range want {
					wantClose(t, got[j:][:1], want[j:][:1])
				}
				return
			}
			wantClose(t, got, want)
		})
	}
}

func testHeadF32(t *testing.T, data fixtures, f *fixture) {
	in, want := f.In[0].shape(), data.get(&f.Out)
	c := &HeadF32{In: in, Classes: f.Out.Shape[2], Weights: data.weights(f.Weights), Bias: data.get(f.Bias)}
	x := bytesOf(data.get(&f.In[0]))
	for _, maps := range []bool{false, true} {
		c.Maps = maps
		sizes := []int{4 * c.Classes}
		if maps {
			sizes = append(sizes, 4*len(want))
		}
		out := opRun(t, mustPrepare(t)(PrepareHeadF32(c)), [][]byte{x}, sizes...)
		wantClose(t, view[float32](out[0]), data.get(f.Logits))
		if maps {
			wantClose(t, view[float32](out[1]), want)
		}
	}
	one, column := make([]float32, in.H*in.W), make([]float32, in.H*in.W)
	for k := range c.Classes {
		for p := range column {
			column[p] = want[p*c.Classes+k]
		}
		ClassMapF32(c, x, k, one)
		wantClose(t, one, column)
	}
}

// A registered matrix product is used and named, by whatever contains a convolution.
func TestRegisterMatMulF32(t *testing.T) {
	setFeatures(t, Portable) // a kernel for this CPU is preferred
	calls := 0
	RegisterMatMulF32("test_matmul", func(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
		calls++
		matMulPortable(m, n, k, a, lda, b, ldb, c, ldc)
	})
	defer RegisterMatMulF32("", nil)
	data, cases := loadFixtures(t)
	for i := range cases {
		f := &cases[i]
		if f.Op != "conv" && f.Op != "rfga" {
			continue
		}
		p := mustPrepare(t)(data.prepare(f))
		if p.Kernel != "test_matmul" || p.MACs == 0 {
			t.Errorf("%s: kernel %q, %d MACs", f.Op, p.Kernel, p.MACs)
		}
	}
	f := &cases[0]
	p := mustPrepare(t)(data.prepare(f))
	io := &IO{In: [][]byte{bytesOf(data.get(&f.In[0]))}, Out: [][]byte{make([]byte, 4*len(data.get(&f.Out)))}}
	p.Stages[0].Run(io, 0, p.Stages[0].Units, newOpBuffer(p.Stages[0].Scratch, 0).data)
	if calls == 0 {
		t.Error("the registered product was not called")
	}
}

func TestMatMulPortable(t *testing.T) {
	for _, s := range [][3]int{{1, 1, 1}, {4, 4, 4}, {5, 7, 3}, {9, 3, 300}, {3, 10, 513}, {8, 6, 256}} {
		m, n, k := s[0], s[1], s[2]
		lda, ldb, ldc := k+3, n+2, n+1
		a, b, c := make([]float32, m*lda), make([]float32, k*ldb), make([]float32, m*ldc)
		for i := range a {
			a[i] = float32(i%7 - 3)
		}
		for i := range b {
			b[i] = float32(i%5 - 2)
		}
		for i := range c {
			c[i] = float32(i)
		}
		matMulPortable(m, n, k, a, lda, b, ldb, c, ldc)
		for i := range m * ldc {
			want := float32(i)
			if row, col := i/ldc, i%ldc; col < n {
				for p := range k {
					want += a[row*lda+p] * b[p*ldb+col]
				}
			}
			if c[i] != want { // integers: exact in any order
				t.Fatalf("%v: element %d is %g, want %g", s, i, c[i], want)
			}
		}
	}
}

// ulps is the distance of got from the exact value, in units of the last place of float32.
func ulps(got float32, exact float64) float64 {
	e := max(math.Ilogb(exact), -126)
	return math.Abs(float64(got)-exact) / math.Ldexp(1, e-23)
}

func TestExp32(t *testing.T) {
	worst, worstSigmoid := 0.0, 0.0
	for bits := uint64(0); bits < 1<<32; bits += 4099 {
		x := math.Float32frombits(uint32(bits))
		if x != x {
			continue
		}
		exact := math.Exp(float64(x))
		if got := Exp32(x); exact > math.MaxFloat32 {
			if !math.IsInf(float64(got), 1) && exact > math.MaxFloat32*1.0000001 {
				t.Fatalf("Exp32(%g) = %g", x, got)
			}
		} else {
			worst = max(worst, ulps(got, max(exact, 1e-60)))
		}
		exact = 1 / (1 + math.Exp(-float64(x)))
		worstSigmoid = max(worstSigmoid, ulps(Sigmoid32(x), max(exact, 1e-60)))
	}
	if worst > 0.51 || worstSigmoid > 0.51 {
		t.Errorf("errors up to %.4f and %.4f units in the last place", worst, worstSigmoid)
	}
	nan := float32(math.NaN())
	if v := Exp32(nan); v == v {
		t.Errorf("Exp32(NaN) = %g", v)
	}
	if Exp32(0) != 1 || Exp32(negInf) != 0 || Exp32(posInf) != posInf || Sigmoid32(negInf) != 0 || Sigmoid32(posInf) != 1 || Sigmoid32(0) != 0.5 {
		t.Error("special values")
	}
}
