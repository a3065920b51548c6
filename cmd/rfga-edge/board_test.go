package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/board"
)

func TestBoardFlags(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	path := video(t, dir, image.Rect(30, 40, 80, 100), color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255})
	look := func(want int, args ...string) (string, string) {
		t.Helper()
		return expect(t, want, append([]string{"stream", "--model", model, "--format", "rgb24", "--size", "160x120", path}, args...)...)
	}
	for _, args := range [][]string{{"--cpus", "x"}, {"--nice", "20"}, {"--temp-max", "NaN"}, {"--temp-max", "200"}} {
		look(exitUsage, args...)
	}
	sysThermal = dir // without zones
	defer func() { sysThermal = board.SysThermal }()
	look(exitUsage, "--temp-max", "60")
	zone := filepath.Join(dir, "thermal_zone0")
	if err := os.Mkdir(zone, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(zone, "temp"), []byte("61000\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, said := look(exitOK, "--temp-max", "60"); said != "rfga-edge: 61.0 degrees: slowing down to stay below 60\n" {
		t.Errorf("said %q", said)
	}
	if runtime.GOOS != "linux" {
		look(exitUsage, "--cpus", "0")
	}
}

// A camera's process takes no more than 64 MiB beside the model, whatever comes in: large frames, or JPEGs of them.
func TestStreamMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process's own peak")
	}
	dir := t.TempDir()
	img := image.NewYCbCr(image.Rect(0, 0, 1920, 1080), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i * i >> 9)
	}
	var jpegs bytes.Buffer
	for range 12 {
		if err := jpeg.Encode(&jpegs, img, nil); err != nil {
			t.Fatal(err)
		}
	}
	raw := bytes.Repeat(slices.Concat(img.Y, img.Cb, img.Cr), 5)
	for name, c := range map[string]struct {
		data []byte
		args []string
	}{
		"mjpeg": {jpegs.Bytes(), nil},
		"i420":  {raw, []string{"--format", "i420", "--size", "1920x1080"}},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		cmd := process(t, append([]string{"stream", "--fast", path}, c.args...)...)
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &said)
		}
		var peak float64
		if _, err := fmt.Sscanf(said.String(), "peak %f MiB", &peak); err != nil || bytes.Contains(out, []byte("error")) {
			t.Fatalf("%q, %v, %.200s", &said, err, out)
		}
		file, err := os.Stat("../../defaultmodel/default.rfga")
		if err != nil {
			t.Fatal(err)
		}
		model := float64(file.Size()) / (1 << 20)
		t.Logf("%s: %.1f MiB, of which the model is %.1f", name, peak, model)
		if peak-model > 64 {
			t.Errorf("%s: %.1f MiB beside the model of %.1f", name, peak-model, model)
		}
	}
}
