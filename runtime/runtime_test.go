package runtime_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// forms runs a test on the network in float32, in int8 and in int16.
func forms(t *testing.T, f func(t *testing.T, m *runtime.Model)) {
	fm := zoo(t)
	t.Run("fp32", func(t *testing.T) { f(t, load(t, fm)) })
	t.Run("int8", func(t *testing.T) { f(t, load(t, lowered(t, fm))) })
	t.Run("int16", func(t *testing.T) { f(t, load(t, widened(t, fm))) })
}

func run(t *testing.T, s *runtime.Session, pix []byte) []byte {
	t.Helper()
	if err := s.SetImage(0, pix); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return raw(t, s, 0)
}

func TestThreadsDoNotChangeBits(t *testing.T) {
	forms(t, func(t *testing.T, m *runtime.Model) {
		pix, _ := photo(1)
		want := run(t, session(t, m, runtime.Options{}), pix)
		for threads := 2; threads <= 7; threads++ {
			if !bytes.Equal(run(t, session(t, m, runtime.Options{Threads: threads}), pix), want) {
				t.Errorf("%d threads give other bits than one", threads)
			}
		}
	})
}

func TestBatchDoesNotChangeBits(t *testing.T) {
	forms(t, func(t *testing.T, m *runtime.Model) {
		one, many := session(t, m, runtime.Options{}), session(t, m, runtime.Options{Batch: 3, Threads: 2})
		for n := range 3 {
			pix, _ := photo(uint64(n))
			if err := many.SetImage(n, pix); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // a second run must find the inputs untouched
			if err := many.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 3 {
			pix, _ := photo(uint64(n))
			if !bytes.Equal(raw(t, many, n), run(t, one, pix)) {
				t.Errorf("image %d of a batch differs from the image alone", n)
			}
		}
	})
}

// The contract's pixel input: a photo and its normalised float array are one input.
func TestPixelsAndFloatsAreOneInput(t *testing.T) {
	m := load(t, lowered(t, zoo(t)))
	s := session(t, m, runtime.Options{})
	for seed := range uint64(5) {
		pix, x := photo(seed)
		want := run(t, s, pix)
		if err := s.SetFloat(0, x); err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw(t, s, 0), want) {
			t.Fatalf("photo %d and its normalised array give different results", seed)
		}
	}
}

// Observing sessions run without fusion; fusing must not change a bit.
func TestFusionKeepsBits(t *testing.T) {
	check := func(m *runtime.Model, want int) {
		t.Helper()
		fused := 0
		for _, s := range m.Steps() {
			fused += len(s.Fused)
		}
		if fused != want {
			t.Fatalf("%d operators were fused instead of %d", fused, want)
		}
		pix, _ := photo(3)
		plain := session(t, m, runtime.Options{Observe: func(int, int, []float32) {}})
		if !bytes.Equal(run(t, plain, pix), run(t, session(t, m, runtime.Options{}), pix)) {
			t.Error("the fused plan gives other bits than the operators one by one")
		}
	}
	check(load(t, zoo(t)), 4)             // pad, relu, two residual additions
	check(load(t, lowered(t, zoo(t))), 2) // the quantizer has merged pad and relu itself
	check(load(t, padAndTable(t)), 2)
}

// padAndTable is an int8 graph as another program may write it: a padding with a value of its own, a convolution, and a
// ReLU as a table.
func padAndTable(t *testing.T) *format.Model {
	t.Helper()
	bytesOf := func(v ...int8) (b []byte) {
		for _, x := range v {
			b = append(b, byte(x))
		}
		return b
	}
	const c = 4
	act := func(name string, h, w, ch int) format.Tensor {
		return format.Tensor{Name: name, DType: format.I8, Shape: []int{1, h, w, ch}, Scale: []float32{0.05}, Zero: -7}
	}
	var weights, table []int8
	for i := range c * 3 * 3 * 4 { // three input channels and the padding of the run
		v := int8(i*37%201 - 100)
		if i%4 == 3 {
			v = 0
		}
		weights = append(weights, v)
	}
	for i := range 256 {
		table = append(table, int8(max(i-128, -7)))
	}
	mults := make([]byte, 0, 4*c)
	for range c {
		mults = binary.LittleEndian.AppendUint32(mults, math.Float32bits(0.01))
	}
	attr := format.NewAttr()
	pad := attr
	pad.Pad, pad.PadValue = [4]int{2, 0, 1, 3}, 1.25
	m := &format.Model{
		Name: "by hand", Arch: "test", Input: 0,
		Pre: format.Preprocess{Width: side, Height: side, Rule: format.ResizeSquash, Order: format.RGB, Mean: mean, Std: std},
		Loc: format.Localization{Norm: format.HeatMinMax, Threshold: 0.5},
		Tensors: []format.Tensor{
			act("image", side, side, 3), act("padded", side+3, side+3, 3), act("conv", side+1, side+1, c), act("relu", side+1, side+1, c),
			{Name: "w", DType: format.I8, Shape: []int{c, 3, 3, 3}, Scale: []float32{0.1, 0.1, 0.1, 0.1}, Data: bytesOf(weights...)},
			{Name: "mult", DType: format.F32, Shape: []int{c}, Data: mults},
			{Name: "table", DType: format.I8, Shape: []int{256}, Data: bytesOf(table...)},
		},
		Ops: []format.Op{
			{Kind: format.OpPad, Name: "pad", Inputs: []int{0}, Outputs: []int{1}, Attr: pad},
			{Kind: format.OpConv2D, Name: "conv", Inputs: []int{1, 4, -1, 5}, Outputs: []int{2}, Attr: attr},
			{Kind: format.OpUnary, Name: "relu", Inputs: []int{2, 6}, Outputs: []int{3}, Attr: attr},
		},
		Outputs: []format.Output{{Name: "y", Tensor: 3}},
		Exact:   true,
	}
	m.Ops[2].Attr.Func = format.FuncReLU
	return m
}

func TestHeadShortcutIsTheSameBits(t *testing.T) {
	forms(t, func(t *testing.T, m *runtime.Model) {
		s := session(t, m, runtime.Options{Threads: 2})
		pix, _ := photo(4)
		run(t, s, pix)
		h, w, classes := m.MapShape()
		logits, maps := make([]float32, classes), make([]float32, classes*h*w)
		if err := errors.Join(s.Logits(0, logits), s.OutputFloat(0, 1, maps)); err != nil {
			t.Fatal(err)
		}
		short := session(t, m, runtime.Options{})
		if err := errors.Join(short.SetImage(0, pix), short.RunHead(context.Background())); err != nil {
			t.Fatal(err)
		}
		got, one := make([]float32, classes), make([]float32, h*w)
		if err := short.Logits(0, got); err != nil {
			t.Fatal(err)
		}
		for k := range classes {
			if err := short.ClassMap(0, k, one); err != nil {
				t.Fatal(err)
			}
			if math.Float32bits(got[k]) != math.Float32bits(logits[k]) {
				t.Errorf("logit %d: %v by the shortcut, %v by the graph", k, got[k], logits[k])
			}
			exact := m.Format().Exact
			for i, v := range one {
				ref := maps[k*h*w+i]
				if exact && v != ref || math.Abs(float64(v-ref)) > 1e-5*math.Max(1, math.Abs(float64(ref))) {
					t.Fatalf("class %d, place %d: %v by the shortcut, %v by the graph", k, i, v, ref)
				}
			}
			mean := 0.0
			for _, v := range one {
				mean += float64(v) / float64(h*w)
			}
			if math.Abs(mean-float64(logits[k])) > 1e-4*math.Max(1, math.Abs(mean)) {
				t.Errorf("class %d: the mean of the map is %v, the logit %v", k, mean, logits[k])
			}
		}
	})
}

func TestRunDoesNotAllocate(t *testing.T) {
	forms(t, func(t *testing.T, m *runtime.Model) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		pix, x := photo(5)
		h, w, classes := m.MapShape()
		logits, one := make([]float32, classes), make([]float32, h*w)
		for _, threads := range []int{1, 3} {
			s := session(t, m, runtime.Options{Threads: threads, Batch: 2})
			n := testing.AllocsPerRun(20, func() {
				err := errors.Join(s.SetImage(0, pix), s.SetFloat(1, x), s.Run(ctx), s.RunHead(ctx), s.Logits(0, logits), s.ClassMap(1, 2, one))
				if err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("%d threads: %v allocations in a run", threads, n)
			}
		}
	})
}

// stopAfter is a context that is done after being asked n times.
type stopAfter struct {
	context.Context
	n int
}

func (c *stopAfter) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestCancellationBetweenOperators(t *testing.T) {
	m := load(t, zoo(t))
	s := session(t, m, runtime.Options{Threads: 2})
	pix, _ := photo(6)
	want := run(t, s, pix)
	for n := range len(m.Steps()) {
		if err := s.Run(&stopAfter{context.Background(), n}); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped before step %d: %v", n, err)
		}
	}
	if !bytes.Equal(run(t, s, pix), want) {
		t.Error("a cancelled run leaves something behind")
	}
}

func TestRefusedInputs(t *testing.T) {
	s := session(t, load(t, zoo(t)), runtime.Options{})
	for name, err := range map[string]error{
		"short image":    s.SetImage(0, make([]byte, 5)),
		"no such image":  s.SetImage(1, make([]byte, side*side*3)),
		"negative image": s.SetFloat(-1, make([]float32, side*side*3)),
		"long array":     s.SetFloat(0, make([]float32, side*side*3+1)),
		"no such class":  s.ClassMap(0, 7, make([]float32, 100)),
		"no room":        s.Logits(0, make([]float32, 3)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := load(t, zoo(t)).NewSession(runtime.Options{Threads: 1 << 20}); err == nil {
		t.Error("a million threads: no error")
	}
}

// Float inputs outside the range of bytes, infinities and NaN have one defined byte each.
func TestHostileFloats(t *testing.T) {
	s := session(t, load(t, lowered(t, zoo(t))), runtime.Options{})
	pix, x := photo(7)
	plane := side * side
	for i, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e30, -1e30} {
		x[i], x[plane+i], x[2*plane+i] = v, v, v
		for c := range 3 {
			b := byte(0)
			switch {
			case v > 0:
				b = 255
			case v != v:
				b = byte(math.RoundToEven(255 * float64(mean[c])))
			}
			pix[3*i+c] = b
		}
	}
	want := run(t, s, pix)
	if err := errors.Join(s.SetFloat(0, x), s.Run(context.Background())); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw(t, s, 0), want) {
		t.Error("out-of-range values do not become the bytes that the contract names")
	}
}

// A file carries the plan's whole input: what was loaded from bytes runs like what was built.
func TestFileRunsLikeMemory(t *testing.T) {
	forms(t, func(t *testing.T, m *runtime.Model) {
		path := t.TempDir() + "/m.rfga"
		if err := format.WriteFile(path, m.Format()); err != nil {
			t.Fatal(err)
		}
		f, err := runtime.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		pix, _ := photo(8)
		if !bytes.Equal(run(t, session(t, f, runtime.Options{}), pix), run(t, session(t, m, runtime.Options{}), pix)) {
			t.Error("the file gives other bits")
		}
	})
}
