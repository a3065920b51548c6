package onnx_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// msg writes protobuf messages by hand.
type msg []byte

func (m msg) bytes(num protowire.Number, b []byte) msg {
	return protowire.AppendBytes(protowire.AppendTag(m, num, protowire.BytesType), b)
}

func (m msg) str(num protowire.Number, s string) msg { return m.bytes(num, []byte(s)) }

func (m msg) int(num protowire.Number, v int64) msg {
	return protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), uint64(v))
}

// node is a NodeProto "op: a b -> c"; attributes are appended as they are.
func node(text string, attrs ...msg) msg {
	op, rest, _ := strings.Cut(text, ": ")
	in, out, _ := strings.Cut(rest, "->")
	var m msg
	for _, s := range strings.Fields(in) {
		m = m.str(1, strings.TrimPrefix(s, "-")) // "-" is an absent input
	}
	for _, s := range strings.Fields(out) {
		m = m.str(2, s)
	}
	m = m.str(3, strings.ToLower(op)+"_"+strings.Fields(out)[0]).str(4, op)
	for _, a := range attrs {
		m = m.bytes(5, a)
	}
	return m
}

func ints(name string, v ...int64) msg {
	m := msg{}.str(1, name).int(20, 7)
	for _, x := range v {
		m = m.int(8, x)
	}
	return m
}

func floats(name string, data []float32, dims ...int64) msg {
	m := msg{}.int(2, 1).str(8, name)
	for _, d := range dims {
		m = m.int(1, d)
	}
	var b []byte
	for _, f := range data {
		b = protowire.AppendFixed32(b, math.Float32bits(f))
	}
	return m.bytes(9, b)
}

func longs(name string, v ...int64) msg {
	m := msg{}.int(2, 7).str(8, name).int(1, int64(len(v)))
	for _, x := range v {
		m = m.int(7, x)
	}
	return m
}

func valueInfo(name string, dims ...int64) msg {
	var shape msg
	for _, d := range dims {
		shape = shape.bytes(1, msg{}.int(1, d))
	}
	return msg{}.str(1, name).bytes(2, msg{}.bytes(1, msg{}.int(1, 1).bytes(2, shape)))
}

// model is a file with an image of 1,3,8,8 as input and y as output.
func model(nodes []msg, inits ...msg) msg {
	g := msg{}.str(2, "g")
	for _, n := range nodes {
		g = g.bytes(1, n)
	}
	for _, t := range inits {
		g = g.bytes(5, t)
	}
	g = g.bytes(11, valueInfo("x", 1, 3, 8, 8)).bytes(12, valueInfo("y"))
	return msg{}.int(1, 8).bytes(7, g).bytes(8, msg{}.str(1, "").int(2, 13))
}

// load imports a file that may be anything: it must not panic, nor allocate more than the limit.
func load(t *testing.T, data []byte) (*format.Model, error) {
	t.Helper()
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	m, err := onnx.Import("", data, onnx.Options{})
	goruntime.ReadMemStats(&after)
	if limit := 8*uint64(len(data)) + 64<<20; after.TotalAlloc-before.TotalAlloc > limit {
		t.Errorf("a file of %d bytes made the import allocate %d MB (error: %v)", len(data), (after.TotalAlloc-before.TotalAlloc)>>20, err)
	}
	if err == nil {
		if err := format.Validate(m); err != nil {
			t.Errorf("the import made an invalid model: %v", err)
		}
	}
	return m, err
}

func TestTruncated(t *testing.T) {
	data, err := os.ReadFile("testdata/torch_rfga.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := onnx.Import("", data[:n], onnx.Options{}); err == nil {
			t.Fatalf("the first %d of %d bytes are accepted", n, len(data))
		}
	}
}

func TestFlippedBits(t *testing.T) {
	for name, flip := range map[string]byte{"hand_rfga_2d": 0xff, "hand_windows": 0x01, "hand_float16": 0x0f} {
		flipBytes(t, name, 1, func(int) byte { return flip })
	}
	step := 7 // RFGA_EXHAUSTIVE=1 flips every byte here too
	if os.Getenv("RFGA_EXHAUSTIVE") != "" {
		step = 1
	}
	for _, name := range []string{"hand_move", "hand_norm", "hand_pad_resize", "hand_transpose", "hand_reduce", "hand_functions", "hand_arithmetic"} {
		flipBytes(t, name, step, func(i int) byte { return 1 << (i % 8) })
	}
}

// flipBytes imports a fixture with every step-th byte changed.
func flipBytes(t *testing.T, name string, step int, mask func(i int) byte) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(data); i += step {
		data[i] ^= mask(i)
		load(t, data)
		data[i] ^= mask(i)
		if t.Failed() {
			t.Fatalf("%s, byte %d", name, i)
		}
	}
}

// TestUnsupported: one error names every node that cannot be converted, and no other.
func TestUnsupported(t *testing.T) {
	_, err := load(t, model([]msg{
		node("Relu: x -> a"),
		node("LSTM: a -> b"),
		node("Relu: b -> c"),
		node("Mystery: c -> d"),
		node("Dead: x -> e"),
		node("Slice: a begin begin -> f"),
		node("Conv: f w -> h"),
		node("Gather: a end -> i", ints("axis", 9)),
		node("Expand: a shape -> k"),
		node("Concat: d h i k -> y", msg{}.str(1, "axis").int(3, 1).int(20, 2)),
	}, longs("begin", 0), longs("end", 1), longs("shape", 1, 3, 8, 8)))
	var u *onnx.UnsupportedError
	if !errors.As(err, &u) {
		t.Fatalf("the error is %v", err)
	}
	var got []string
	for _, n := range u.Nodes {
		got = append(got, n.Name)
		if n.Reason == "" || !strings.Contains(err.Error(), n.Reason) || !strings.Contains(err.Error(), fmt.Sprintf("%s %q", n.Op, n.Name)) {
			t.Errorf("%+v is not in the message %v", n, err)
		}
	}
	if want := "lstm_b mystery_d slice_f conv_h gather_i"; strings.Join(got, " ") != want {
		t.Errorf("listed are %v, expected %s", got, want)
	}
}

func TestHostile(t *testing.T) {
	w := floats("w", make([]float32, 9), 3, 3, 1, 1)
	huge := func(dims ...int64) msg {
		m := msg{}.int(2, 1).str(8, "w")
		for _, d := range dims {
			m = m.int(1, d)
		}
		return m.bytes(9, make([]byte, 36))
	}
	pads := ints("pads", 1, 1, 1, 1)
	double := []msg{node("Concat: x x -> c0", ints("axis", 1))}
	for i := range 40 {
		double = append(double, node(fmt.Sprintf("Concat: c%d c%d -> c%d", i, i, i+1), ints("axis", 1)))
	}
	double = append(double, node("Mul: c40 k -> y"))
	many, last := []msg{}, "x"
	for i := range 4000 {
		next := fmt.Sprint("v", i)
		many = append(many, node("Conv: "+last+" w -> "+next, ints("pads", 9, 9, 9, 9)))
		last = next
	}
	many = append(many, node("Relu: "+last+" -> y"))
	big := floats("w", make([]float32, 3*3*61*61), 3, 3, 61, 61)
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"empty", "no graph", nil},
		{"text", "", []byte("hello, this is not a model at all")},
		{"cycle", "no node before it", model([]msg{node("Add: x b -> a"), node("Relu: a -> b"), node("Add: a b -> y")})},
		{"itself", "no node before it", model([]msg{node("Add: x y -> y")})},
		{"dangling", "no node before it", model([]msg{node("Add: x nowhere -> y")})},
		{"two inputs", "0 inputs", model([]msg{node("Identity: w -> y")}, w)},
		{"no output", "made by no node", model([]msg{node("Relu: x -> z")})},
		{"twice the same name", "already taken", model([]msg{node("Relu: x -> a"), node("Neg: x -> a"), node("Relu: a -> y")})},
		{"initializers of one name", "two initializers", model([]msg{node("Conv: x w -> y")}, w, w)},
		{"huge dimensions", "elements", model([]msg{node("Conv: x w -> y")}, huge(1<<40, 1<<40))},
		{"negative dimensions", "negative", model([]msg{node("Conv: x w -> y")}, huge(-3, 3, 1, 1))},
		{"more elements than data", "bytes of data", model([]msg{node("Conv: x w -> y")}, huge(1<<20, 3, 1, 1))},
		{"a wrong kernel", "", model([]msg{node("Conv: x w -> y", ints("kernel_shape", 5, 5))}, w)},
		{"negative pads", "pads", model([]msg{node("Conv: x w -> y", ints("pads", -1, 0, 0, 0))}, w)},
		{"a kernel larger than the image", "empty", model([]msg{node("Conv: x w -> y")}, big)},
		{"pads of another rank", "pads", model([]msg{node("MaxPool: x -> y", ints("kernel_shape", 2, 2), ints("pads", 1, 1))})},
		{"padding without an image", "smaller than the window", model([]msg{node("MaxPool: x -> y", ints("kernel_shape", 1, 1), pads)})},
		{"a shape of 2^62", "", model([]msg{node("ConstantOfShape: s -> k"), node("Mul: x k -> y")}, longs("s", 1<<31, 1<<31))},
		{"a constant of 2^28", "memory", model([]msg{node("ConstantOfShape: s -> k"), node("Mul: x k -> y")}, longs("s", 1<<28))},
		{"an expansion to 2^29", "", model([]msg{node("Expand: x s -> e"), node("Mul: e k -> y")}, longs("s", 1<<26, 3, 8, 8), floats("k", []float32{2}, 1))},
		{"2^40 channels", "larger", model(double, floats("k", []float32{2}, 1))},
		{"one weight used 4000 times", "memory", model(many, floats("w", make([]float32, 9*19*19), 3, 3, 19, 19))},
		{"reshape to other elements", "elements", model([]msg{node("Reshape: x s -> y")}, longs("s", 5, 5))},
		{"two -1", "not a shape", model([]msg{node("Reshape: x s -> y")}, longs("s", -1, -1))},
		{"an axis out of range", "axis", model([]msg{node("ReduceMean: x -> y", ints("axes", 9))})},
		{"a permutation with a repeat", "twice", model([]msg{node("Transpose: x -> y", ints("perm", 0, 1, 1, 2))})},
		{"a resize by a NaN", "scales", model([]msg{node("Resize: x - s -> y")}, floats("s", []float32{1, 1, float32(math.NaN()), 2}, 4))},
		{"infinite weights", "finite", model([]msg{node("Conv: x w -> y")}, floats("w", []float32{float32(math.Inf(1)), 0, 0}, 1, 3, 1, 1))},
		{"division by zero", "", model([]msg{node("Div: s s -> t"), node("Reshape: x t -> y")}, longs("s", 0, 0))},
		{"a gather out of range", "outside", model([]msg{node("Shape: x -> s"), node("Gather: s i -> t"), node("Reshape: x t -> y")}, longs("i", 9))},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, expected one that says %q", err, c.want)
			}
		})
	}
}

// TestManyMessages: two bytes of file must not buy a hundred of memory without end.
func TestManyMessages(t *testing.T) {
	for name, num := range map[string]protowire.Number{"nodes": 1, "initializers": 5, "inputs": 11} {
		g := msg(strings.Repeat(string(msg{}.bytes(num, nil)), 4<<20))
		if _, err := load(t, msg{}.bytes(7, g)); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	for name, num := range map[string]protowire.Number{"names": 1, "attributes": 5} {
		n := msg(strings.Repeat(string(msg{}.bytes(num, nil)), 4<<20))
		if _, err := load(t, msg{}.bytes(7, msg{}.bytes(1, n))); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// TestManyOfEverything has as many of each as is allowed.
func TestManyOfEverything(t *testing.T) {
	some := func(num protowire.Number, n int) msg { return msg(strings.Repeat(string(msg{}.bytes(num, nil)), n)) }
	branch := msg{}.bytes(6, nil)
	n := append(some(1, 1<<18-1), some(5, 1<<16-1<<12)...)
	for range 1<<12 - 2 {
		n = n.bytes(5, branch)
	}
	g := append(some(1, 1<<16-1), some(5, 1<<16-1)...)
	g = append(g.bytes(1, n).bytes(12, valueInfo("y")), some(11, 1<<16-1)...)
	if _, err := load(t, msg{}.bytes(7, g).bytes(8, msg{}.int(2, 13))); err == nil || !strings.Contains(err.Error(), "two initializers") {
		t.Errorf("the error is %v", err)
	}
}

func TestExternalDataStaysInFolder(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "model")
	if err := os.Mkdir(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"secret", "model/w.bin"} {
		if err := os.WriteFile(filepath.Join(dir, p), make([]byte, 40), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(inner, "link")); err != nil {
		t.Skip(err)
	}
	entry := func(k, v string) msg { return msg{}.str(1, k).str(2, v) }
	for _, c := range []struct{ location, offset, length, want string }{
		{"w.bin", "0", "36", ""},
		{"w.bin", "4", "36", ""},
		{"w.bin", "5", "36", "has 40"},
		{"w.bin", "0", "35", "length 35"},
		{"w.bin", "-4", "36", "number of bytes"},
		{"w.bin", "9223372036854775807", "36", "has 40"},
		{"../secret", "0", "36", "folder"},
		{filepath.Join(dir, "secret"), "0", "36", "folder"},
		{"link", "0", "36", "escapes"},
		{".", "0", "36", "not a file"},
		{"gone", "0", "36", "gone"},
		{"", "0", "36", "folder"},
	} {
		w := msg{}.int(2, 1).str(8, "w").int(1, 3).int(1, 3).int(1, 1).int(1, 1).int(14, 1).
			bytes(13, entry("location", c.location)).bytes(13, entry("offset", c.offset)).bytes(13, entry("length", c.length))
		_, err := onnx.Import(filepath.Join(inner, "m.onnx"), model([]msg{node("Conv: x w -> y")}, w), onnx.Options{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: the error is %v", c, err)
		}
	}
}

func TestSniff(t *testing.T) {
	for _, s := range []string{"PK\x03\x04 a zip file", "\x80\x02}q\x00.", "\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":1}", "RFGA\x01\x00\x00\x00", "", "\x08", "\x89PNG\r\n\x1a\n", "#!/bin/sh\n"} {
		if onnx.Sniff([]byte(s)) {
			t.Errorf("%q is taken for ONNX", s)
		}
	}
}

func FuzzImport(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.onnx")
	more, _ := filepath.Glob("testdata/*/*.onnx")
	for _, p := range append(paths, more...) {
		data, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<20 {
			load(t, data)
		}
	})
}
