package convert_test

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert"
	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// ablations are the variants of testdata/generate_ablation.py, in its order.
var ablations = []struct {
	name string
	a    float32
	off  format.RFGAPart
}{
	{"all parts", 1, 0}, {"no channels", 1, format.RFGAChannels}, {"no rows", 1, format.RFGARows}, {"no columns", 1, format.RFGAColumns},
	{"no expansion", 1, format.RFGAExpansion}, {"no residual", 0, 0},
}

// TestAblation leaves parts of the attention out by attributes of the operator, writes the model as a file and reads it
// again, and compares the class maps with PyTorch's.
func TestAblation(t *testing.T) {
	const size = 48
	m, err := convert.Load(filepath.Join("testdata", "mobilenet.pth"), convert.Options{InputSize: size})
	if err != nil {
		t.Fatal(err)
	}
	var images []float32
	for i := range 8 { // the pattern and others like it
		images = append(images, rotate(pattern(size), i*1001)...)
	}
	quantized := func(o quant.Options) *format.Model {
		q, _, err := quant.Quantize(context.Background(), m, chunks{images, 3 * size * size}, o)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	var every []string // of the operators: the attention keeps its own, while its views' names would have it written out
	for _, op := range m.Ops {
		every = append(every, op.Name)
	}
	forms := []struct {
		name  string
		model *format.Model
		limit float64 // of the difference over the largest value; 0: none
	}{
		{"fp32", m, 1e-4}, {"fp16", convert.ToFP16(m), 5e-3},
		// So small a network loses much in 8 bits: what is compared is the direction in which leaving the part out moves the
		// maps. Package kernels compares the operator bit by bit.
		{"int16", quantized(quant.Options{Int16: every, Weights: quant.Full}), 0}, {"int8", quantized(quant.Options{}), 0},
	}
	want := readNPY(t, filepath.Join("testdata", "mobilenet.ablation.npy"))
	n := len(want) / len(ablations)
	for _, f := range forms {
		var whole []float32
		for i, v := range ablations {
			want, of := want[i*n:][:n], want[:n]
			got := outputs(t, reread(t, altered(f.model, v.a, v.off)), pattern(size))["maps"]
			if i == 0 {
				whole = got
			}
			if w := worst(t, got, want); f.limit > 0 && !(w < f.limit) {
				t.Errorf("%s, %s: maps differ from PyTorch's by %.2g of the largest value, limit %g", f.name, v.name, w, f.limit)
			}
			if c := pearson(minus(got, whole), minus(want, of)); i > 0 && !(c > 0.7) {
				t.Errorf("%s, %s: what changes correlates with PyTorch's by %.4f", f.name, v.name, c)
			}
		}
	}
}

func minus(a, b []float32) []float32 {
	d := slices.Clone(a)
	for i := range d {
		d[i] -= b[i]
	}
	return d
}

// rotate moves the elements by n places, the first ones to the end.
func rotate(v []float32, n int) []float32 {
	n %= len(v)
	return slices.Concat(v[n:], v[:n])
}

func altered(m *format.Model, a float32, off format.RFGAPart) *format.Model {
	c := *m
	c.Ops = slices.Clone(m.Ops)
	for i := range c.Ops {
		if c.Ops[i].Kind == format.OpRFGA {
			c.Ops[i].Attr.A, c.Ops[i].Attr.Off = a, off
		}
	}
	return &c
}

func reread(t *testing.T, m *format.Model) *format.Model {
	t.Helper()
	var file bytes.Buffer
	if err := format.Encode(&file, m); err != nil {
		t.Fatal(err)
	}
	back, _, err := format.Decode(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// TestAttention compares what a session reports of the attention with PyTorch's sigmoids.
func TestAttention(t *testing.T) {
	m, err := convert.Load(filepath.Join("testdata", "mobilenet.pth"), convert.Options{InputSize: 48})
	if err != nil {
		t.Fatal(err)
	}
	rm, err := runtime.FromFormat(m)
	if err != nil {
		t.Fatal(err)
	}
	var got []float32
	s, err := rm.NewSession(runtime.Options{Attention: func(image int, a *runtime.Attention) {
		if image != 0 || a.Op != "rfga" || a.A != 1 || a.B != 1 || a.C != len(a.Channels) || a.H*a.C != len(a.Rows) || a.W*a.C != len(a.Columns) {
			t.Errorf("image %d, %q: %dx%dx%d", image, a.Op, a.H, a.W, a.C)
		}
		got = slices.Concat(got, a.Channels, a.Rows, a.Columns)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetFloat(0, pattern(48)); err != nil {
		t.Fatal(err)
	}
	if err := s.RunHead(context.Background()); err != nil {
		t.Fatal(err)
	}
	if w := worst(t, got, readNPY(t, filepath.Join("testdata", "mobilenet.attention.npy"))); !(w < 1e-4) {
		t.Errorf("the attention differs from PyTorch's by %.2g", w)
	}
}
