package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"image"
	"image/color"

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
