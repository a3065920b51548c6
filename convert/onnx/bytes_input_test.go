package onnx_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/runtime"
)

// TestBytesInput gives networks whose input are bytes the image as bytes, as localize does, and compares with ONNX Runtime's
// results (testdata/bytes/generate.py).
func TestBytesInput(t *testing.T) {
	for name, tolerance := range map[string]float64{"cast": 1e-4, "quantized": 0} {
		base := filepath.Join("testdata", "bytes", name)
		m := importFile(t, base+".onnx", onnx.Options{})
		rm, err := runtime.FromFormat(m)
		if err != nil {
			t.Fatal(err)
		}
		s, err := rm.NewSession(runtime.Options{})
		if err != nil {
			t.Fatal(err)
		}
		const side = 16
		pix := make([]byte, 3*side*side)
		for i := range pix {
			pix[i%(side*side)*3+i/(side*side)] = byte((37*i + i*i/5) % 256)
		}
		if err := s.SetImage(0, pix); err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := readNPY(t, base+".y.npy")
		got := make([]float32, len(want))
		if err := s.OutputFloat(0, 0, got); err != nil {
			t.Fatal(err)
		}
		s.Close()
		largest, worst, off := 0.0, 0.0, 0
		for i, v := range want {
			largest = max(largest, float64(v))
			d := math.Abs(float64(got[i] - v))
			worst = max(worst, d)
			if d > 1e-6 {
				off++
			}
		}
		if tolerance > 0 && !(worst <= tolerance*largest) {
			t.Errorf("%s: off by %g, the largest value is %g", name, worst, largest)
		}
		// Integers may be one step off where a product lies on a tie.
		if step := stepOf(want); tolerance == 0 && (worst > 1.01*step || off > len(want)/100) {
			t.Errorf("%s: %d of %d values differ, by %g at most; a step is %g", name, off, len(want), worst, step)
		}
	}
	given := importFile(t, filepath.Join("testdata", "bytes", "cast.onnx"), onnx.Options{Mean: [3]float32{1, 2, 3}, Std: [3]float32{4, 5, 6}})
	if given.Pre.Mean != [3]float32{1, 2, 3} {
		t.Errorf("the caller's mean became %v", given.Pre.Mean)
	}
}

// TestBytesInputErrors: arithmetic on the integers themselves is another arithmetic, and is refused with the node's name.
func TestBytesInputErrors(t *testing.T) {
	input := func(elem int64, nodes ...msg) []byte {
		g := msg{}.str(2, "g")
		for _, n := range nodes {
			g = g.bytes(1, n)
		}
		g = g.bytes(5, floats("s", []float32{0.02})).bytes(5, floats("s2", []float32{0.03})).bytes(5, floats("zero", []float32{0}))
		shape := msg{}
		for _, d := range []int64{1, 3, 8, 8} {
			shape = shape.bytes(1, msg{}.int(1, d))
		}
		x := msg{}.str(1, "x").bytes(2, msg{}.bytes(1, msg{}.int(1, elem).bytes(2, shape)))
		g = g.bytes(11, x).bytes(12, valueInfo("y"))
		return msg{}.int(1, 8).bytes(7, g).bytes(8, msg{}.str(1, "").int(2, 13))
	}
	const u8, i8, i32 = 2, 3, 6
	cast := func(text string, to int64) msg { return node(text, msg{}.str(1, "to").int(20, 2).int(3, to)) }
	for want, file := range map[string][]byte{
		"mul_a":                      input(u8, node("Mul: x x -> a"), cast("Cast: a -> y", 1)),
		"concat_a":                   input(u8, node("Concat: x x -> a"), cast("Cast: a -> y", 1)),
		"a cast of an activation to": input(u8, cast("Cast: x -> y", 6)),
		"of int8, and node":          input(i8, cast("Cast: x -> y", 1)),
		"two different scales":       input(u8, node("DequantizeLinear: x s -> a"), node("DequantizeLinear: x s2 -> b"), node("Add: a b -> y")),
		"DequantizeLinear)":          input(u8, node("DequantizeLinear: x s -> a"), cast("Cast: x -> b", 1), node("Add: a b -> y")),
		"no initializer":             input(u8, node("Identity: s -> t"), node("DequantizeLinear: x t -> y")),
		"a scale of 0":               input(u8, node("DequantizeLinear: x zero -> y")),
		"or its bytes":               input(i32, cast("Cast: x -> y", 1)),
	} {
		if _, err := onnx.Import("", file, onnx.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
