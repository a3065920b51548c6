package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/npy"
	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func TestMain(m *testing.M) {
	if os.Getenv("RFGA_TEST_MAIN") != "" { // a process of its own, see process
		code := Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		fmt.Fprintf(os.Stderr, "peak %.1f MiB\n", peakRSS())
		os.Exit(code)
	}
	panicsEscape = true
	os.Exit(m.Run())
}

// command runs the command line in this process.
func command(stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = Main(args, stdin, &out, &err)
	return code, out.String(), err.String()
}

// process is the command as a process of its own. At its end it says on standard error how much memory it took at most.
func process(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "RFGA_TEST_MAIN=1")
	return cmd
}

// expect runs the command and checks its exit code, and that what went wrong was said on stderr.
func expect(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	got, stdout, stderr := command(strings.NewReader(""), args...)
	if got != code {
		t.Fatalf("rfga-edge %s: exit code %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	if code != exitOK && stderr == "" && !strings.Contains(stdout, `"error"`) {
		t.Errorf("rfga-edge %s: exit code %d without a word", strings.Join(args, " "), code)
	}
	return stdout, stderr
}

// colours writes a model that finds red, green and blue things in images of 64x48.
func colours(t testing.TB, dir string) string {
	t.Helper()
	return coloursOf(t, dir, 64, 48)
}

// coloursOf is colours for another input.
func coloursOf(t testing.TB, dir string, w, h int) string {
	t.Helper()
	half := [3]float32{0.5, 0.5, 0.5}
	b := build.New("colours", "test", w, h, half, half)
	weights := []float32{1, -1, -1, -1, 1, -1, -1, -1, 1}
	x := b.Conv("differences", b.Input(), weights, [4]int{3, 3, 1, 1}, []float32{-1, -1, -1}, build.Win{}, 1, build.ActReLU)
	x = b.AvgPool("blocks", x, build.PoolWin{Kernel: [2]int{4, 4}}, false)
	b.Localizer("classes", x, []float32{9, 0, 0, 0, 9, 0, 0, 0, 9}, nil)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m.Labels = []string{"red fox, Vulpes vulpes", "green snake", "blue jay"}
	m.Loc = format.Localization{Norm: format.HeatMinMax, Threshold: 0.4}
	path := filepath.Join(dir, "colours.rfga")
	if err := format.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// photo writes a gray PNG with a square of a colour.
func photo(t testing.TB, path string, square image.Rectangle, c color.Color) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for y := range 120 {
		for x := range 160 {
			if img.Set(x, y, color.Gray{128}); image.Pt(x, y).In(square) {
				img.Set(x, y, c)
			}
		}
	}
	return savePNG(t, path, img)
}

func savePNG(t testing.TB, path string, img image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return file(t, path, b.String())
}

func file(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func array(t testing.TB, path string, shape []int, at func(i int) float32) string {
	t.Helper()
	var b bytes.Buffer
	w, err := npy.NewWriter(&b, shape)
	if err != nil {
		t.Fatal(err)
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	for i := range n {
		if err := w.Write([]float32{at(i)}); err != nil {
			t.Fatal(err)
		}
	}
	return file(t, path, b.String())
}

func decode(t *testing.T, line string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
}

// names lists what is in a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

var (
	red  = color.RGBA{230, 10, 10, 255}
	blue = color.RGBA{10, 10, 230, 255}
)

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	img := photo(t, filepath.Join(dir, "a.png"), image.Rect(20, 20, 60, 60), red)
	for _, line := range []string{
		"paint", "--colour", "localize", "localize --topk x " + img, "localize --topk 0 " + img, "localize --min-p 2 -m " + model + " " + img,
		"localize --threshold 1.5 -m " + model + " " + img, "localize --threshold NaN -m " + model + " " + img, "localize --class cat -m " + model + " " + img,
		"localize --class 3 -m " + model + " " + img, "localize --threads 0 -m " + model + " " + img, "localize -m " + model + " - -",
		"run " + model, "run " + model + " --input x.npy", "bench --threads 0 " + model, "bench --seconds 0 " + model, "bench --seconds NaN " + model,
		"bench --batch 0 " + model, "inspect a b", "convert", "convert w.pth", "convert w.pth -o m.rfga", "convert w.pth -o m.rfga --precision int4",
		"convert w.pth -o m.rfga --precision fp32 --calibrate x.npy", "convert w.pth -o m.rfga --precision fp32 --arch alexnet",
		"convert w.pth -o m.rfga --precision fp32 --mean 1,2", "convert w.pth -o m.rfga --precision fp32 --std 1,0,1", "convert w.pth -o m.rfga --precision fp32 --input-size -3",
		"convert w.pth -o m.rfga --calibrate x.npy --percentile 3", "convert w.pth -o m.rfga --calibrate x.npy --method kl", "convert w.pth -o m.rfga --calibrate x.npy --method-for conv",
		"convert w.pth -o m.rfga --calibrate x.npy --method mse --percentile 99", "convert w.pth -o m.rfga --precision fp16 --int16 *", "convert w.pth -o m.rfga --precision fp16 --max-loss 1%",
		"convert w.pth -o m.rfga --calibrate x.npy --max-loss 100%", "convert w.pth -o m.rfga --calibrate x.npy --max-loss -1", "convert w.pth -o m.rfga --calibrate x.npy --max-loss NaN",
		"convert w.pth -o m.rfga --calibrate x.npy --metric map", "convert w.pth -o m.rfga --calibrate x.npy --round up", "convert w.pth -o m.rfga --calibrate x.npy --round ada:0",
		"convert w.pth -o m.rfga --calibrate x.npy --round ada:NaN", "convert w.pth -o m.rfga --calibrate x.npy --round nearest:3", "convert w.pth -o m.rfga --precision fp16 --round ada", "convert w.pth -o m.rfga --calibrate x.npy --allow-fp16", "convert w.pth -o m.rfga --calibrate x.npy --max-loss 1% --metric psnr",
		"convert " + model + " -o " + model + " --precision fp32", "version now",
	} {
		expect(t, exitUsage, strings.Fields(line)...)
	}
}

func TestHelp(t *testing.T) {
	for _, verb := range []string{"", "localize", "convert", "run", "inspect", "bench", "version", "selftest"} {
		out, _ := expect(t, exitOK, strings.Fields(verb+" --help")...)
		if !strings.Contains(out, "Usage: rfga-edge "+verb) {
			t.Errorf("help of %q:\n%s", verb, out)
		}
	}
	if out, _ := expect(t, exitOK); !strings.Contains(out, "localize") {
		t.Errorf("without arguments:\n%s", out)
	}
}

func TestVersion(t *testing.T) {
	out, _ := expect(t, exitOK, "version")
	if !strings.HasPrefix(out, "rfga-edge "+release) || strings.Count(out, "\n") != 1 {
		t.Errorf("version: %s", out)
	}
	var v struct {
		V                          int
		Version, Go, OS, Arch, ISA string
	}
	out, _ = expect(t, exitOK, "version", "--json")
	if decode(t, out, &v); v.V != 1 || v.ISA == "" {
		t.Errorf("version --json: %s", out)
	}
}

func TestSelftest(t *testing.T) {
	out, _ := expect(t, exitOK, "selftest", "--json")
	var s struct {
		V       int
		ISA     string
		OK      bool
		Hash    string
		Kernels []kernelResult
	}
	if decode(t, out, &s); !s.OK || len(s.Hash) != 64 || len(s.Kernels) == 0 {
		t.Errorf("selftest: %s", out)
	}
	if out, _ = expect(t, exitOK, "selftest"); !strings.Contains(out, "hash "+s.Hash) {
		t.Errorf("selftest: %s", out)
	}
}

func TestBadModels(t *testing.T) {
	dir := t.TempDir()
	img := photo(t, filepath.Join(dir, "a.png"), image.Rect(20, 20, 60, 60), red)
	x := array(t, filepath.Join(dir, "x.npy"), []int{1, 3, 4, 4}, func(int) float32 { return 0 })
	whole, err := os.ReadFile(colours(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]int{
		file(t, filepath.Join(dir, "text.rfga"), "hello"):                        exitModel,
		file(t, filepath.Join(dir, "empty.rfga"), ""):                            exitModel,
		file(t, filepath.Join(dir, "short.rfga"), string(whole[:len(whole)-64])): exitModel,
		file(t, filepath.Join(dir, "flip.rfga"), string(append(whole, 0)[1:])):   exitModel,
		filepath.Join(dir, "missing.rfga"):                                       exitIO,
	}
	for path, code := range bad {
		expect(t, code, "localize", "--model", path, img)
		expect(t, code, "run", path, "--input", x, "--out", filepath.Join(dir, "out"))
		expect(t, code, "inspect", path)
		expect(t, code, "bench", path)
	}
	// A model that is no localizer can be run, inspected and measured.
	b := build.New("mean", "test", 4, 4, [3]float32{}, [3]float32{1, 1, 1})
	b.Output("y", b.GlobalAvgPool("mean", b.Input()), true)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain.rfga")
	if err := format.WriteFile(plain, m); err != nil {
		t.Fatal(err)
	}
	expect(t, exitModel, "localize", "--model", plain, img)
	expect(t, exitOK, "run", plain, "--input", x, "--out", filepath.Join(dir, "out"))
	expect(t, exitOK, "inspect", plain)
	expect(t, exitOK, "bench", plain, "--seconds", "0.001")
}
