package onnx_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
)

// The fixtures' results come from ONNX Runtime; testdata/generate.py says what each is. The operators say that patterns
// were found and that nothing is left of what they were made of.
func TestFixtures(t *testing.T) {
	const size = 16
	for _, c := range []struct {
		name string
		o    onnx.Options
		want string
	}{
		{"torch_rfga", onnx.Options{}, "cam_head:1 conv2d:1 depthwise_conv2d:1 rfga:1"},
		{"torch_rfga_unfolded", onnx.Options{}, "cam_head:1 conv2d:1 depthwise_conv2d:1 rfga:1"},
		{"torch_rfga_dynamic", onnx.Options{InputSize: size}, "cam_head:1 conv2d:1 depthwise_conv2d:1 rfga:1"},
		{"torch_rfga_expand", onnx.Options{}, "cam_head:1 conv2d:1 depthwise_conv2d:1 rfga:1"},
		{"torch_blocks", onnx.Options{}, "add:1 avg_pool:1 concat:1 conv2d:5 depthwise_conv2d:1 fully_connected:3 global_avg_pool:2 max_pool:1 mul:2 resize:3 softmax:1 unary:4"},
		{"torch_blocks_opset9", onnx.Options{}, "avg_pool:1 concat:1 conv2d:3 fully_connected:1 max_pool:1 resize:1 softmax:1 unary:2"},
		{"torch_classifier", onnx.Options{}, "cam_head:1 conv2d:1"},
		{"dynamo_rfga", onnx.Options{}, "cam_head:1 conv2d:1 depthwise_conv2d:1 rfga:1"},
		{"dynamo_rfga_batch", onnx.Options{}, "cam_head:1 conv2d:1 depthwise_conv2d:1 rfga:1"},
		{"dynamo_blocks", onnx.Options{}, "add:1 avg_pool:1 concat:1 conv2d:5 depthwise_conv2d:1 fully_connected:3 global_avg_pool:2 max_pool:1 mul:2 resize:3 softmax:1 unary:4"},
		{"hand_rfga_2d", onnx.Options{}, "cam_head:1 conv2d:1 rfga:1"},
		{"hand_rfga_twice", onnx.Options{}, "cam_head:1 conv2d:3 rfga:2 softmax:1 unary:1"},
		{"hand_rfga_row", onnx.Options{}, "conv2d:1 rfga:1"},
		{"hand_float16", onnx.Options{}, "cam_head:1 conv2d:2"},
		{"hand_elementwise", onnx.Options{}, "add:5 conv2d:1 depthwise_conv2d:6 global_avg_pool:1 max_pool:1 mul:2 unary:5"},
		{"hand_windows", onnx.Options{}, "avg_pool:4 concat:2 conv2d:2 max_pool:2 pad:1 resize:1"},
		{"hand_external", onnx.Options{}, "conv2d:2"},
		{"hand_functions", onnx.Options{}, "conv2d:1 depthwise_conv2d:3 softmax:1 unary:16"},
		{"hand_arithmetic", onnx.Options{}, "add:8 conv2d:2 depthwise_conv2d:8 mul:5 permute:2 softmax:1 unary:10"},
		{"hand_decomposed", onnx.Options{}, "conv2d:2 depthwise_conv2d:5 mul:5 unary:12"},
		{"hand_norm", onnx.Options{}, "conv2d:3 mul:4 normalize:12 permute:4 unary:3"},
		{"hand_reduce", onnx.Options{}, "avg_pool:3 conv2d:7 depthwise_conv2d:5 global_avg_pool:4 max_pool:3 mul:2 permute:7 unary:2"},
		{"hand_move", onnx.Options{}, "add:1 concat:2 conv2d:4 depthwise_conv2d:1 gather:19 max_pool:1 permute:7"},
		{"hand_pad_resize", onnx.Options{}, "add:16 conv2d:2 depthwise_conv2d:3 gather:40 mul:24 pad:1 permute:2 resize:1"},
		{"hand_transpose", onnx.Options{}, "conv2d:12 gather:11 global_avg_pool:1 max_pool:1 mul:1 permute:11 unary:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := "testdata/" + c.name
			m := importFile(t, base+".onnx", c.o)
			if got := kinds(m); got != c.want {
				t.Errorf("operators %s, expected %s", got, c.want)
			}
			compare(t, m, "testdata/input.npy", base)
		})
	}
}

// TestExporters: odd but legal graphs, which testdata/exporters/generate.py describes.
func TestExporters(t *testing.T) {
	for _, name := range []string{"opset9", "constants", "products", "resize", "rounded", "opset21", "opset23"} {
		t.Run(name, func(t *testing.T) {
			m := importFile(t, "testdata/exporters/"+name+".onnx", onnx.Options{})
			compare(t, m, "testdata/input.npy", "testdata/exporters/"+name)
		})
	}
}

func TestOptions(t *testing.T) {
	const path = "testdata/torch_classifier.onnx"
	labels := []string{"a", "b", "c", "d", "e"}
	m := importFile(t, path, onnx.Options{Mean: [3]float32{1, 2, 3}, Std: [3]float32{4, 5, 6}, Labels: labels, InputSize: 24})
	if m.Pre.Mean != [3]float32{1, 2, 3} || m.Pre.Std != [3]float32{4, 5, 6} || m.Pre.Width != 24 || m.Pre.Height != 24 {
		t.Errorf("preprocessing is %+v", m.Pre)
	}
	if !slices.Equal(m.Labels, labels) || m.Name != "torch_classifier" || m.Prov.Source != "torch_classifier.onnx" || m.Outputs[0].Name != "scores" || !m.Outputs[0].Flat {
		t.Errorf("labels %v, name %q, source %q, outputs %v", m.Labels, m.Name, m.Prov.Source, m.Outputs)
	}
	for want, o := range map[string]onnx.Options{"labels": {Labels: labels[:4]}, "limit": {InputSize: 1 << 20}, "deviation": {Std: [3]float32{1, -1, 1}}} {
		if _, err := importPath(path, o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v: the error is %v", o, err)
		}
	}
	if _, err := importPath("testdata/torch_rfga_dynamic.onnx", onnx.Options{}); err == nil || !strings.Contains(err.Error(), "input size") {
		t.Errorf("without a size the error is %v", err)
	}
}

// TestAlmostRFGA: what computes something else must not be taken for the operator.
func TestAlmostRFGA(t *testing.T) {
	axes := func(a ...int64) msg { return ints("axes", a...) }
	nodes := func(change map[int]msg) []msg {
		n := []msg{
			0:  node("Relu: x -> r"),
			1:  node("ReduceMean: r -> rows", axes(3)),
			2:  node("Conv: rows wh -> h", ints("pads", 1, 0, 1, 0)),
			3:  node("ReduceMean: r -> cols", axes(2)),
			4:  node("Conv: cols ww -> w", ints("pads", 0, 1, 0, 1)),
			5:  node("GlobalAveragePool: r -> all"),
			6:  node("Reshape: all s1 -> flat"),
			7:  node("Conv: flat wc -> c0", ints("pads", 1, 1)),
			8:  node("Reshape: c0 s2 -> c"),
			9:  node("Sigmoid: h -> sh"),
			10: node("Sigmoid: w -> sw"),
			11: node("Sigmoid: c -> sc"),
			12: node("Identity: sc -> scaled"),
			13: node("Add: sh sw -> m0"),
			14: node("Add: scaled m0 -> m1"),
			15: node("Add: m1 one -> m"),
			16: node("Mul: m r -> y"),
		}
		for i, c := range change {
			n[i] = c
		}
		return n
	}
	ones := func(n int) []float32 { return slices.Repeat([]float32{0.5}, n) }
	inits := []msg{floats("wh", ones(27), 3, 3, 3, 1), floats("ww", ones(27), 3, 3, 1, 3), floats("wc", ones(3), 1, 1, 3), floats("w5", ones(5), 1, 1, 5),
		floats("one", ones(1)), longs("s1", 1, 1, 3), longs("s2", 1, 3, 1, 1)}
	m, err := load(t, model(nodes(nil), inits...))
	if err != nil || kinds(m) != "rfga:1 unary:1" {
		t.Fatalf("the unchanged graph: %v", err)
	}
	for name, change := range map[string]map[int]msg{
		"rows of another value":      {1: node("ReduceMean: x -> rows", axes(3))},
		"a product with another":     {16: node("Mul: m x -> y")},
		"columns twice":              {1: node("ReduceMean: r -> rows", axes(2)), 2: node("Conv: rows ww -> h", ints("pads", 0, 1, 0, 1))},
		"five taps":                  {7: node("Conv: flat w5 -> c0", ints("pads", 2, 2))},
		"another activation":         {11: node("HardSigmoid: c -> sc")},
		"unequal weights in the sum": {12: node("Mul: sc one -> scaled")},
		"two branches":               {14: node("Identity: m0 -> m1")},
		"a clamp in a branch":        {9: node("Relu: h -> h1"), 12: node("Add: h1 sc -> scaled"), 13: node("Identity: sw -> m0")},
	} {
		m, err := load(t, model(nodes(change), inits...))
		var u *onnx.UnsupportedError
		if !errors.As(err, &u) && (err != nil || strings.Contains(kinds(m), "rfga")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
