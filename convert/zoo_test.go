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
// value, and converted to int8, where each layer by itself must stay close to the float one. How well the whole networks agree is
// printed and not judged: their weights are random, so that nothing damps the errors of eighty layers of 25 to 30 dB each. ONNX
// Runtime's int8 of the same networks is no better (efficientnet_b0 correlates 0.21 with float, mobilenet_v3_small 0.84). A layer
// that is lowered wrongly shows in its own error, however the rest adds up. RFGA_ONNX_MODELS lists folders with NAME.onnx, NAME.input.npy, NAME.calib.npy (images to
// calibrate with, N,3,H,W) and NAME.OUTPUT.npy; make onnx-zoo fills one.
func TestZoo(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("RFGA_ONNX_MODELS"))
	if len(dirs) == 0 {
		t.Skip("RFGA_ONNX_MODELS is not set; make onnx-zoo DIR=... sets it")
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "network\toperators\tfp32: difference / largest\tint8: correlation\tint8: worst layer by itself, dB")
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
	q, rep, err := quant.Quantize(context.Background(), m, chunks{images, len(x)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	measured, err := quant.Measure(context.Background(), q, rep.Twin, chunks{images, len(x)}, quant.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const leastOwn = 15 // rounding to int8 leaves 26 to 35 dB, fewer where most values are small beside the largest
	worst := measured.Layers[0]
	for _, l := range measured.Layers {
		if l.Own < worst.Own {
			worst = l
		}
		if l.Own < leastOwn {
			t.Errorf("int8, %s %s: %.1f dB by itself, rounding alone gives %.1f", l.Kind, l.Layer, l.Own, l.Grid)
		}
	}
	ints := outputs(t, q, x)
	least := 1.0
	for _, o := range m.Outputs {
		least = min(least, pearson(got[o.Name], ints[o.Name]))
	}
	fmt.Fprintf(table, "%s\t%d\t%.1e\t%.4f\t%.1f: %s\n", name, len(m.Ops), difference, least, worst.Own, worst.Layer)
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
