package onnx_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// readNPY reads a little-endian float32 array in C order.
func readNPY(t *testing.T, path string) []float32 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 10 || !bytes.HasPrefix(b, []byte("\x93NUMPY\x01")) {
		t.Fatalf("%s is not a version 1 .npy file", path)
	}
	n := 10 + int(binary.LittleEndian.Uint16(b[8:]))
	if h := string(b[10:n]); !strings.Contains(h, "'<f4'") || strings.Contains(h, "'fortran_order': True") {
		t.Fatalf("%s: header %s", path, h)
	}
	out := make([]float32, (len(b)-n)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[n+4*i:]))
	}
	return out
}

func importPath(path string, o onnx.Options) (*format.Model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return onnx.Import(path, data, o)
}

func importFile(t *testing.T, path string, o onnx.Options) *format.Model {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !onnx.Sniff(data[:min(len(data), 64)]) {
		t.Errorf("%s is not recognised as ONNX", path)
	}
	m, err := onnx.Import(path, data, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := format.Validate(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// compare runs m on an input and checks every output against base.OUTPUT.npy, or all against base.npy, one vector, to 1e-4
// of its largest value.
func compare(t *testing.T, m *format.Model, input, base string) {
	t.Helper()
	rm, err := runtime.FromFormat(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rm.NewSession(runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetFloat(0, readNPY(t, input)); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	var all []float32
	if len(m.Outputs) > 4 {
		all = readNPY(t, base+".npy")
	}
	for i, o := range m.Outputs {
		var want []float32
		if all != nil {
			n := m.Tensors[o.Tensor].Elements()
			want, all = all[:n], all[n:]
		} else {
			want = readNPY(t, base+"."+o.Name+".npy")
		}
		got := make([]float32, len(want))
		if err := s.OutputFloat(0, i, got); err != nil {
			t.Fatal(err)
		}
		largest, worst := 0.0, 0.0
		for k := range want {
			largest = max(largest, math.Abs(float64(want[k])))
			d := math.Abs(float64(got[k]) - float64(want[k]))
			if !(d <= worst) {
				worst = d
			}
		}
		t.Logf("%s: worst difference %.2g of %.3g", o.Name, worst, largest)
		if !(worst <= 1e-4*largest) {
			t.Errorf("%s: worst difference %g, the largest value is %g", o.Name, worst, largest)
		}
	}
}

// kinds counts a model's operators, as "conv:3 rfga:1".
func kinds(m *format.Model) string {
	count := map[string]int{}
	for i := range m.Ops {
		count[fmt.Sprint(m.Ops[i].Kind)]++
	}
	var out []string
	for k, n := range count {
		out = append(out, fmt.Sprintf("%s:%d", k, n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
