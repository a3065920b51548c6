package plugin_test

import (
	"bytes"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// smallModel is a network of 32x32 pixels that finds red, green and blue things.
func smallModel(t testing.TB) []byte {
	t.Helper()
	half := [3]float32{0.5, 0.5, 0.5}
	b := build.New("small", "test", 32, 32, half, half)
	w := []float32{1, -1, -1, -1, 1, -1, -1, -1, 1}
	x := b.Conv("differences", b.Input(), w, [4]int{3, 3, 1, 1}, []float32{-1, -1, -1}, build.Win{}, 1, build.ActReLU)
	x = b.AvgPool("blocks", x, build.PoolWin{Kernel: [2]int{2, 2}}, false)
	b.Localizer("classes", x, []float32{9, 0, 0, 0, 9, 0, 0, 0, 9}, nil)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m.Labels = []string{`red "fox"`, "green", "blue"}
	m.Loc = format.Localization{Norm: format.HeatMinMax, Threshold: 0.4}
	var buf bytes.Buffer
	if err := format.Encode(&buf, m); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
