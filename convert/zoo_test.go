package convert_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/rfga-edge/rfga-edge/convert"
	"github.com/rfga-edge/rfga-edge/quant"
)

// TestZoo compares whole networks, which are too large to keep here, with ONNX Runtime: in float32 within 1e-4 of the largest
// value, and converted to int8. RFGA_ONNX_MODELS lists folders with NAME.onnx, NAME.input.npy, NAME.calib.npy (images to
// calibrate with, N,3,H,W) and NAME.OUTPUT.npy; make onnx-zoo fills one.
func TestZoo(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("RFGA_ONNX_MODELS"))
	if len(dirs) == 0 {
		t.Skip("RFGA_ONNX_MODELS is not set; make onnx-zoo DIR=... sets it")
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "network\toperators\tfp32: difference / largest\tint8: correlation")
	for _, dir := range dirs {
		paths, _ := filepath.Glob(filepath.Join(dir, "*.onnx"))
		for _, path := range paths {
			name := strings.TrimSuffix(filepath.Base(path), ".onnx")
			t.Run(name, func(t *testing.T) { checkNetwork(t, table, path, name) })
		}
	}
	table.Flush()
	t.Log("\n" + text.String())
}

func checkNetwork(t *testing.T, table *tabwriter.Writer, path, name string) {
	base := strings.TrimSuffix(path, ".onnx")
	if _, err := os.Stat(base + ".input.npy"); err != nil {
		t.Skip("it has no input")
	}
	m, err := convert.Load(path, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := readNPY(t, base+".input.npy")
	got := outputs(t, m, x)
	difference := 0.0
	for _, o := range m.Outputs {
		want := readNPY(t, base+"."+o.Name+".npy")
		largest, worst := 0.0, 0.0
		for i, v := range want {
			largest, worst = max(largest, math.Abs(float64(v))), max(worst, math.Abs(float64(got[o.Name][i]-v)))
		}
		difference = max(difference, worst/largest)
		if !(worst <= 1e-4*largest) {
			t.Errorf("fp32, %s: worst difference %g, the largest value is %g", o.Name, worst, largest)
		}
	}
	images := readNPY(t, base+".calib.npy")
	q, _, err := quant.Quantize(context.Background(), m, chunks{images, len(x)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ints := outputs(t, q, x)
	least := 1.0
	for _, o := range m.Outputs {
		c := pearson(got[o.Name], ints[o.Name])
		if least = min(least, c); !(c > 0.9) {
			t.Errorf("int8, %s: correlates with float by %.4f", o.Name, c)
		}
	}
	fmt.Fprintf(table, "%s\t%d\t%.1e\t%.4f\n", name, len(m.Ops), difference, least)
}

// chunks are images one after the other.
type chunks struct {
	v    []float32
	size int
}

func (c chunks) Len() int                    { return len(c.v) / c.size }
func (c chunks) At(i int) ([]float32, error) { return c.v[i*c.size:][:c.size], nil }

// pearson is the correlation of two vectors, 1 for two that do not vary.
func pearson(a, b []float32) float64 {
	var ma, mb, ab, aa, bb float64
	for i := range a {
		ma, mb = ma+float64(a[i])/float64(len(a)), mb+float64(b[i])/float64(len(b))
	}
	for i := range a {
		x, y := float64(a[i])-ma, float64(b[i])-mb
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 && bb == 0 {
		return 1
	}
	return ab / math.Sqrt(aa*bb)
}
