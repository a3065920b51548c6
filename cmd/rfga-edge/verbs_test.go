package main

import (
	"image"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/npy"
	"github.com/rfga-edge/rfga-edge/defaultmodel"
	"github.com/rfga-edge/rfga-edge/frame"
)

func readArray(t *testing.T, path string) ([]int, []float32) {
	t.Helper()
	a, err := npy.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	x := make([]float32, a.Elements())
	if err := a.ReadFloat32(x, 0); err != nil {
		t.Fatal(err)
	}
	return a.Shape, x
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	noise := func(i int) float32 { return float32(math.Sin(float64(i * i))) }
	x := array(t, filepath.Join(dir, "x.npy"), []int{3, 3, 48, 64}, noise)
	var all runResult
	out, _ := expect(t, exitOK, "run", model, "--input", x, "--out", filepath.Join(dir, "out"), "--threads", "2")
	if decode(t, out, &all); !slices.Equal(all.Outputs["logits"].Shape, []int{3, 3}) || !slices.Equal(all.Outputs["maps"].Shape, []int{3, 3, 12, 16}) || len(all.Hash) != 64 {
		t.Errorf("%s", out)
	}
	if got := names(t, filepath.Join(dir, "out")); got != "logits.npy maps.npy" {
		t.Errorf("outputs: %s", got)
	}
	_, logits := readArray(t, filepath.Join(dir, "out", "logits.npy"))
	_, maps := readArray(t, filepath.Join(dir, "out", "maps.npy"))
	for k, l := range logits {
		var sum float64
		for _, v := range maps[k*12*16:][:12*16] {
			sum += float64(v)
		}
		if math.Abs(sum/(12*16)-float64(l)) > 1e-4 {
			t.Errorf("logit %d is %v, the mean of its map %v", k, l, sum/(12*16))
		}
	}
	// One image of the batch alone, without the batch dimension.
	one := array(t, filepath.Join(dir, "one.npy"), []int{3, 48, 64}, func(i int) float32 { return noise(i + 2*3*48*64) })
	expect(t, exitOK, "run", model, "--input", one, "--out", filepath.Join(dir, "one"))
	if shape, got := readArray(t, filepath.Join(dir, "one", "logits.npy")); !slices.Equal(shape, []int{1, 3}) || !slices.Equal(got, logits[6:]) {
		t.Errorf("one image gives %v %v, in the batch %v", shape, got, logits[6:])
	}
}

// The contract's pixel input, from end to end with the built-in model: a photo and its normalised array have one hash.
func TestRunPhoto(t *testing.T) {
	dir := t.TempDir()
	const photo = "../../testdata/photos/fish9.jpg"
	m, err := defaultmodel.Open()
	if err != nil {
		t.Fatal(err)
	}
	fm := m.Runtime().Format()
	img, err := source{name: photo}.decode(nil)
	if err != nil {
		t.Fatal(err)
	}
	var resizer frame.Resizer
	n := fm.Pre.Width * fm.Pre.Height
	square, x := make([]byte, 3*n), make([]float32, 3*n)
	if err := resizer.Preprocess(square, img, rfgaedge.FrameSpec(&fm.Pre)); err != nil {
		t.Fatal(err)
	}
	for i, b := range square { // (byte/255 - mean)/std in float32, as a PyTorch program would
		c := i % 3
		x[c*n+i/3] = (float32(b)/255 - fm.Pre.Mean[c]) / fm.Pre.Std[c]
	}
	path := array(t, filepath.Join(dir, "x.npy"), []int{1, 3, fm.Pre.Height, fm.Pre.Width}, func(i int) float32 { return x[i] })
	var hashes [2]string
	for i, input := range []string{photo, path} {
		out, _ := expect(t, exitOK, "run", "--input", input, "--out", filepath.Join(dir, "out"))
		var r runResult
		decode(t, out, &r)
		hashes[i] = r.Hash
	}
	if hashes[0] != hashes[1] || len(hashes[0]) != 64 {
		t.Errorf("the photo gives %s, its array %s", hashes[0], hashes[1])
	}
}

func TestRunBadInput(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	zero := func(int) float32 { return 0 }
	out := filepath.Join(dir, "out")
	for path, code := range map[string]int{
		array(t, filepath.Join(dir, "a.npy"), []int{1, 3, 64, 48}, zero):  exitInput,
		array(t, filepath.Join(dir, "b.npy"), []int{0, 3, 48, 64}, zero):  exitInput,
		array(t, filepath.Join(dir, "c.npy"), []int{9}, zero):             exitInput,
		file(t, filepath.Join(dir, "d.npy"), "\x93NUMPY\x01\x00\xff\xff"): exitInput,
		dir:                            exitInput,
		filepath.Join(dir, "none.npy"): exitIO,
	} {
		expect(t, code, "run", model, "--input", path, "--out", out)
	}
	if _, err := os.Stat(out); err == nil && names(t, out) != "" {
		t.Errorf("left behind: %s", names(t, out))
	}
	good := array(t, filepath.Join(dir, "x.npy"), []int{1, 3, 48, 64}, zero)
	expect(t, exitIO, "run", model, "--input", good, "--out", filepath.Join(good, "no"))
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	out, _ := expect(t, exitOK, "inspect", model)
	for _, want := range []string{"colours", "sha256:", "64x48", "conv2d", "avg_pool", "cam_head", "arena", "DATA", "kernel"} {
		if !strings.Contains(strings.ReplaceAll(out, "avgpool", "avg_pool"), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	var d description
	out, _ = expect(t, exitOK, "inspect", "--json", model)
	decode(t, out, &d)
	st, err := os.Stat(model)
	if err != nil {
		t.Fatal(err)
	}
	if d.FileBytes != st.Size() || d.Classes != 3 || len(d.Ops) == 0 || d.MACs < 3*3*48*64 || d.Arena.Bytes < d.Arena.LowerBound || len(d.Sections) < 4 {
		t.Errorf("%s", out)
	}
}

func TestBench(t *testing.T) {
	model := colours(t, t.TempDir())
	out, _ := expect(t, exitOK, "bench", model, "--seconds", "0.01", "--json", "--layers", "--threads", "2", "--batch", "3")
	var r benchResult
	if decode(t, out, &r); len(r.Times) < minRuns || r.Min <= 0 || r.P50 < r.Min || r.P90 < r.P50 || r.PeakRSS <= 0 || r.Cold < 0 || r.Version == "" || len(r.Layers) != 3 {
		t.Errorf("%s", out)
	}
	if out, _ := expect(t, exitOK, "bench", model, "--seconds", "0.01", "--layers"); !strings.Contains(out, "p50") || !strings.Contains(out, "blocks") {
		t.Errorf("%s", out)
	}
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	out, _ := expect(t, exitOK, "convert", "--list-arch")
	if !strings.Contains(out, "resnet50_rfga") {
		t.Errorf("architectures:\n%s", out)
	}
	target := filepath.Join(dir, "m.rfga")
	junk := file(t, filepath.Join(dir, "w.pth"), "junk")
	expect(t, exitModel, "convert", junk, "-o", target, "--precision", "fp32")
	expect(t, exitIO, "convert", filepath.Join(dir, "none.pth"), "-o", target, "--precision", "fp32")
	expect(t, exitIO, "convert", junk, "-o", filepath.Join(dir, "no", "m.rfga"), "--precision", "fp32")
	expect(t, exitIO, "convert", junk, "-o", target, "--precision", "fp32", "--labels", filepath.Join(dir, "none.txt"))
	expect(t, exitInput, "convert", junk, "-o", target, "--precision", "fp32", "--labels", file(t, filepath.Join(dir, "l.txt"), "\n\n"))
	if got := names(t, dir); got != "l.txt w.pth" {
		t.Errorf("left behind: %s", got)
	}
}

// TestConvertQuantized: a file with its own scales needs no images, and becomes float or is calibrated anew if asked for.
func TestConvertQuantized(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "m.rfga")
	fixtures := filepath.Join("..", "..", "convert", "onnx", "testdata")
	quantized := filepath.Join(fixtures, "quantized", "localizer_qdq_asymmetric.onnx")
	for _, c := range []struct {
		precision, calibration string
		args                   []string
	}{
		{"int8", "scales and integers of the imported model", nil},
		{"fp32", "", []string{"--precision", "fp32"}},
		{"int8", "images", []string{"--calibrate", filepath.Join(fixtures, "input.npy")}},
	} {
		out, log := expect(t, exitOK, append([]string{"convert", quantized, "-o", target}, c.args...)...)
		if !strings.Contains(out, c.precision) || !strings.Contains(out, c.calibration) {
			t.Errorf("%v: %s", c.args, out)
		}
		if c.args == nil && !strings.Contains(log, "rounded anew") {
			t.Errorf("nothing is said of the asymmetric weights: %s", log)
		}
		m, err := openModel(target)
		if err != nil {
			t.Fatal(err)
		}
		if m.Precision() != c.precision {
			t.Errorf("%v: precision %s", c.args, m.Precision())
		}
		m.Close()
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if _, log := expect(t, exitUsage, "convert", filepath.Join(fixtures, "torch_rfga.onnx"), "-o", target); !strings.Contains(log, "--calibrate") {
		t.Errorf("a float model without images: %s", log)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

func TestLabels(t *testing.T) {
	path := file(t, filepath.Join(t.TempDir(), "l.txt"), "\ufeffred fox\r\n\r\nblue \xff jay\n\n\n")
	labels, err := readLabels(path)
	if err != nil || !slices.Equal(labels, []string{"red fox", "", "blue \ufffd jay"}) {
		t.Errorf("%q, error %v", labels, err)
	}
}

func TestCalibrationSources(t *testing.T) {
	dir := t.TempDir()
	photo(t, filepath.Join(dir, "in", "b.png"), image.Rect(0, 0, 160, 120), red)
	photo(t, filepath.Join(dir, "in", "a.png"), image.Rect(0, 0, 160, 120), blue)
	m, err := openModel(colours(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	fm := m.Runtime().Format()
	src, err := openCalibration(filepath.Join(dir, "in"), fm)
	if err != nil {
		t.Fatal(err)
	}
	if src.Len() != 2 {
		t.Fatalf("%d images", src.Len())
	}
	x, err := src.At(0) // blue: bytes 10, 10, 230, mean and deviation a half
	if err != nil || len(x) != 3*48*64 || math.Abs(float64(x[0])-(10/127.5-1)) > 1e-6 || math.Abs(float64(x[2*48*64])-(230/127.5-1)) > 1e-6 {
		t.Errorf("%v, error %v", x[:3], err)
	}
	file(t, filepath.Join(dir, "in", "c.jpg"), "junk")
	if src, err = openCalibration(filepath.Join(dir, "in"), fm); err != nil {
		t.Fatal(err)
	}
	if _, err := src.At(2); exitCode(err) != exitInput || !strings.Contains(err.Error(), "c.jpg") {
		t.Errorf("a bad image: %v", err)
	}
	nan := array(t, filepath.Join(dir, "x.npy"), []int{2, 3, 48, 64}, func(i int) float32 { return float32(math.Sqrt(float64(9000 - i))) })
	if src, err = openCalibration(nan, fm); err != nil || src.Len() != 2 {
		t.Fatal(err)
	}
	defer src.Close()
	if _, err := src.At(0); exitCode(err) != exitInput {
		t.Errorf("NaN: %v", err)
	}
}

// TestConvertAndRun goes the whole way with a small checkpoint: convert, run, localize, and the model's promise that bytes
// and their normalised values are one input.
func TestConvertAndRun(t *testing.T) {
	dir := t.TempDir()
	checkpoint := filepath.Join("..", "..", "convert", "testdata", "mobilenet.pth")
	const side = 64
	mean, std := []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		if img.Pix[i] = byte(i*i>>7 + i/side); i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	picture := filepath.Join(dir, "in", "p.png")
	savePNG(t, picture, img)
	x := array(t, filepath.Join(dir, "x.npy"), []int{1, 3, side, side}, func(i int) float32 {
		c := i / (side * side)
		p := img.Pix[4*(i%(side*side))+c]
		return float32((float64(p) - 255*float64(mean[c])) / (255 * float64(std[c])))
	})
	hashes := map[string]string{}
	for _, precision := range []string{"fp32", "fp16", "int8"} {
		model := filepath.Join(dir, precision+".rfga")
		args := []string{"convert", checkpoint, "-o", model, "--precision", precision, "--input-size", "64"}
		if precision == "int8" {
			args = append(args, "--calibrate", filepath.Join(dir, "in"))
		}
		if out, _ := expect(t, exitOK, args...); !strings.Contains(out, precision) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %s", precision, out)
		}
		var r runResult
		out, _ := expect(t, exitOK, "run", model, "--input", x, "--out", filepath.Join(dir, precision))
		decode(t, out, &r)
		hashes[precision] = r.Hash
		m, err := openModel(model)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Precision() != precision {
			t.Errorf("%s: precision %s", precision, m.Precision())
		}
		out, _ = expect(t, exitOK, "localize", "-m", model, "--json", picture)
		if l := lines(t, out)[0]; l.Precision != precision || len(l.Classes) != 1 || l.Digest != m.Digest() {
			t.Errorf("%s: %s", precision, out)
		}
	}
	_, want := readArray(t, filepath.Join(dir, "fp32", "logits.npy"))
	for precision, tolerance := range map[string]float64{"fp16": 0.02, "int8": 0.3} {
		_, got := readArray(t, filepath.Join(dir, precision, "logits.npy"))
		for k := range want {
			if math.Abs(float64(got[k]-want[k])) > tolerance*float64(max(slices.Max(want), -slices.Min(want))) {
				t.Errorf("%s: logits %v, fp32 has %v", precision, got, want)
				break
			}
		}
	}
	var r runResult
	out, _ := expect(t, exitOK, "run", filepath.Join(dir, "int8.rfga"), "--input", x, "--out", filepath.Join(dir, "again"), "--threads", "3")
	if decode(t, out, &r); r.Hash != hashes["int8"] {
		t.Errorf("with 3 threads the hash is %s, with 1 %s", r.Hash, hashes["int8"])
	}
	// Calibrating with the array gives the model that the folder gives: the same values.
	twin := filepath.Join(dir, "twin.rfga")
	expect(t, exitOK, "convert", checkpoint, "-o", twin, "--input-size", "64", "--name", "int8", "--calibrate", x)
	expect(t, exitOK, "convert", checkpoint, "-o", filepath.Join(dir, "int8.rfga"), "--input-size", "64", "--name", "int8", "--calibrate", filepath.Join(dir, "in"))
	a, err1 := os.ReadFile(twin)
	b, err2 := os.ReadFile(filepath.Join(dir, "int8.rfga"))
	if err1 != nil || err2 != nil || !slices.Equal(a, b) {
		t.Errorf("calibration with a photo and with its array differ (%v, %v)", err1, err2)
	}
}

// TestDefaultModel uses the model that the command carries.
func TestDefaultModel(t *testing.T) {
	if _, err := openModel(""); err != nil {
		t.Skip(err)
	}
	out, _ := expect(t, exitOK, "localize", "--json", "--threads", "2", filepath.Join("..", "..", "testdata", "photos", "panda.jpg"))
	if l := lines(t, out)[0]; l.Classes[0].Label != "giant panda" || l.Precision != "int8" || len(l.Locations) != 1 || l.Locations[0].Box[2] > l.W {
		t.Errorf("%s", out)
	}
}

func TestPluginRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "p.wasm")
	if err := os.WriteFile(text, []byte("no module"), 0o666); err != nil {
		t.Fatal(err)
	}
	expect(t, exitUsage, "plugin", "localize", "x.jpg")
	expect(t, exitUsage, "plugin", "localize", "--plugin", text, "--topk", "0", "x.jpg")
	expect(t, exitUsage, "plugin", "localize", "--plugin", text, "--memory", "5000", "x.jpg")
	expect(t, exitIO, "plugin", "localize", "--plugin", filepath.Join(dir, "none.wasm"), "x.jpg")
	expect(t, exitModel, "plugin", "localize", "--plugin", text, "x.jpg")
	expect(t, exitUsage, "plugin", "bench")
	expect(t, exitUsage, "plugin", "bench", "--plugin", text, "--seconds", "0")
	expect(t, exitUsage, "plugin", "bench", "--plugin", text, "--memory", "0")
	expect(t, exitIO, "plugin", "bench", "--plugin", text, filepath.Join(dir, "none.rfga"))
	expect(t, exitModel, "plugin", "bench", "--plugin", text)
}
