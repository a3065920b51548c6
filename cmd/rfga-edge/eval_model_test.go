package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// scores runs eval --json and returns the metrics of each protocol.
func scores(t *testing.T, args ...string) map[string]map[string]any {
	t.Helper()
	out, _ := expect(t, exitOK, append([]string{"eval", "--json", "--step", "0.01"}, args...)...)
	var got map[string]map[string]any
	decode(t, out, &got)
	return got
}

// number compares a metric, null being NaN.
func wantScore(t *testing.T, got map[string]any, name string, want float64) {
	t.Helper()
	v, ok := got[name].(float64)
	if !ok {
		v = math.NaN()
	}
	if !(math.Abs(v-want) < 0.01) && !(math.IsNaN(v) && math.IsNaN(want)) {
		t.Errorf("%s is %v, want %v", name, got[name], want)
	}
}

// coloured is a data set of a red and a blue square, which its own numbers call 7 and 9.
func coloured(t *testing.T, dir string) (data string) {
	t.Helper()
	photo(t, filepath.Join(dir, "r.png"), image.Rect(30, 40, 80, 100), red)
	photo(t, filepath.Join(dir, "b.png"), image.Rect(90, 10, 150, 60), blue)
	data = filepath.Join(dir, "meta")
	file(t, filepath.Join(data, "image_ids.txt"), "r.png\nb.png\n")
	file(t, filepath.Join(data, "class_labels.txt"), "r.png,7\nb.png,9\n")
	file(t, filepath.Join(data, "image_sizes.txt"), "r.png,160,120\nb.png,160,120\n")
	file(t, filepath.Join(data, "localization.txt"), "r.png,30,40,79,99\nb.png,90,10,149,59\n")
	return data
}

func TestEvalClasses(t *testing.T) {
	dir := t.TempDir()
	model, data := colours(t, dir), coloured(t, dir)
	for text, want := range map[string]float64{
		"data,model\n7,0\n9,2\n":                100,
		"7,red fox\n9,\"jay\"\n":                100,
		"7,2\n9,0\n":                            0,
		"7,0\n9,green snake\n":                  50,
		"7,green snake\n7,0\n9,1\n\n9,blue jay": 100, // several are right
	} {
		v1 := scores(t, model, "--data", data, "--classes", file(t, filepath.Join(dir, "map.csv"), text))["clova-v1"]
		wantScore(t, v1, "Top1", want)
		if text[0] == 'd' { // the maps are those of the right class
			wantScore(t, v1, "MaxBoxAcc50", 100)
			wantScore(t, v1, "Top1Loc", 100)
		}
	}
	for text, says := range map[string]string{"7,red fox\n9,dodo\n": "line 2", "7,0\nx,1\n": "line 2", "7,0\n-1,1\n": "line 2", "7,99\n": "line 1"} {
		if _, stderr := expect(t, exitInput, "eval", model, "--data", data, "--classes", file(t, filepath.Join(dir, "map.csv"), text)); !strings.Contains(stderr, says) {
			t.Errorf("%q: %s", text, stderr)
		}
	}
	if _, stderr := expect(t, exitInput, "eval", model, "--data", data); !strings.Contains(stderr, "--classes") {
		t.Errorf("classes that the model has not: %s", stderr)
	}
	expect(t, exitIO, "eval", model, "--data", data, "--classes", filepath.Join(dir, "none.csv"))
}

// TestEvalMasks measures a map against masks that are picture files. Half of the picture is the object; the map is 1 on half of
// it, 1/2 on the rest of it and on as much background: precision 1 at recall 1/2, 2/3 at recall 1.
func TestEvalMasks(t *testing.T) {
	dir := t.TempDir()
	mask := func(name string, x0, x1 int) {
		img := image.NewGray(image.Rect(0, 0, 448, 112))
		for y := range 112 {
			for x := 2 * x0; x < 2*x1; x++ {
				img.SetGray(x, y, color.Gray{255})
			}
		}
		savePNG(t, filepath.Join(dir, "masks", name), img)
	}
	mask("left.png", 112, 168)
	mask("right.png", 168, 224)
	mask("ignore.png", 56, 140)
	array(t, filepath.Join(dir, "maps", "x.npy"), []int{224, 224}, func(i int) float32 {
		switch x := i % 224; {
		case x >= 168:
			return 1
		case x >= 56:
			return 0.5
		}
		return 0
	})
	data := filepath.Join(dir, "meta")
	file(t, filepath.Join(data, "image_ids.txt"), "x.jpg\n")
	args := []string{"--data", data, "--npy", filepath.Join(dir, "maps"), "--masks", filepath.Join(dir, "masks"), "--protocol", "clova-v1"}
	for lines, want := range map[string]float64{
		"x.jpg,left.png,\nx.jpg,right.png,\n":                     50 + 50*2./3,
		"x.jpg,left.png,ignore.png\nx.jpg,right.png,ignore.png\n": 100, // background that does not count
		"x.jpg,right.png,\n":                                      100,
	} {
		file(t, filepath.Join(data, "localization.txt"), lines)
		v1 := scores(t, args...)["clova-v1"]
		wantScore(t, v1, "PxAP", want)
		wantScore(t, v1, "MaxBoxAcc", math.NaN())
	}
	file(t, filepath.Join(data, "localization.txt"), "x.jpg,none.png,\n")
	if _, stderr := expect(t, exitIO, append([]string{"eval"}, args...)...); !strings.Contains(stderr, "none.png") {
		t.Errorf("a mask that is missing: %s", stderr)
	}
	file(t, filepath.Join(dir, "masks", "none.png"), "no picture")
	if _, stderr := expect(t, exitInput, append([]string{"eval"}, args...)...); !strings.Contains(stderr, "none.png") {
		t.Errorf("a mask that is no picture: %s", stderr)
	}
}

// TestEvalOrientation: the coordinates of a data set are those of the stored pixels, whatever EXIF says, unless the sizes are
// those of the picture turned.
func TestEvalOrientation(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	square := image.Rect(20, 10, 70, 50)
	for _, shape := range []image.Point{{160, 120}, {144, 144}} {
		img := image.NewRGBA(image.Rectangle{Max: shape})
		for y := range shape.Y {
			for x := range shape.X {
				if img.Set(x, y, color.Gray{128}); image.Pt(x, y).In(square) {
					img.Set(x, y, red)
				}
			}
		}
		var buf bytes.Buffer
		if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 98}); err != nil {
			t.Fatal(err)
		}
		for _, o := range []byte{1, 3, 6, 8} {
			exif := "\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(o) + "\x00\x00\x00\x00\x00\x00"
			file(t, filepath.Join(dir, "x.jpg"), "\xff\xd8"+exif+buf.String()[2:])
			data := filepath.Join(dir, "meta")
			file(t, filepath.Join(data, "image_ids.txt"), "x.jpg\n")
			file(t, filepath.Join(data, "class_labels.txt"), "x.jpg,0\n")
			write := func(w, h int, b image.Rectangle) {
				file(t, filepath.Join(data, "image_sizes.txt"), fmt.Sprintf("x.jpg,%d,%d\n", w, h))
				file(t, filepath.Join(data, "localization.txt"), fmt.Sprintf("x.jpg,%d,%d,%d,%d\n", b.Min.X, b.Min.Y, b.Max.X-1, b.Max.Y-1))
			}
			write(shape.X, shape.Y, square)
			wantScore(t, scores(t, model, "--data", data)["clova-v1"], "MaxBoxAcc70", 100)
			if o >= 6 && shape.X != shape.Y { // 6: a quarter to the right, 8: to the left
				turned := image.Rect(shape.Y-square.Max.Y, square.Min.X, shape.Y-square.Min.Y, square.Max.X)
				if o == 8 {
					turned = image.Rect(square.Min.Y, shape.X-square.Max.X, square.Max.Y, shape.X-square.Min.X)
				}
				write(shape.Y, shape.X, turned)
				wantScore(t, scores(t, model, "--data", data)["clova-v1"], "MaxBoxAcc70", 100)
			}
			if o == 1 && shape.X != shape.Y {
				write(shape.Y, shape.X, square)
				expect(t, exitInput, "eval", model, "--data", data)
			}
		}
	}
}

// attentive is the colours' model with attention in front of its head, as a file with the attributes changed.
func attentive(t *testing.T, dir string, change func(*format.Attr)) string {
	t.Helper()
	half := [3]float32{0.5, 0.5, 0.5}
	b := build.New("attentive", "test", 64, 48, half, half)
	x := b.Conv("differences", b.Input(), []float32{1, -1, -1, -1, 1, -1, -1, -1, 1}, [4]int{3, 3, 1, 1}, []float32{-1, -1, -1}, build.Win{}, 1, build.ActReLU)
	x = b.AvgPool("blocks", x, build.PoolWin{Kernel: [2]int{4, 4}}, false)
	w := build.RFGAWeights{ConvC: []float32{1, -3, 2}}
	for i := range 27 {
		w.ConvH, w.ConvW = append(w.ConvH, float32(i%7)-3), append(w.ConvW, float32(i*5%11)-5)
	}
	for v := range w.BN {
		w.BN[v] = build.BN{Mean: make([]float32, 3), Var: []float32{1, 1, 1}, Beta: []float32{-1, 0, 1}, Eps: 1e-5}
	}
	x = b.RFGA("rfga", x, w, 1, 1)
	b.Localizer("classes", x, []float32{9, 0, 0, 0, 9, 0, 0, 0, 9}, nil)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m.Labels = []string{"red fox, Vulpes vulpes", "green snake", "blue jay"}
	m.Loc = format.Localization{Norm: format.HeatMinMax, Threshold: 0.4}
	for i := range m.Ops {
		if m.Ops[i].Kind == format.OpRFGA {
			change(&m.Ops[i].Attr)
		}
	}
	path := filepath.Join(dir, "attentive.rfga")
	if err := format.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEvalAblate compares each variant with a file that has its attributes.
func TestEvalAblate(t *testing.T) {
	dir := t.TempDir()
	data := coloured(t, dir)
	classes := file(t, filepath.Join(dir, "map.csv"), "7,0\n9,2\n")
	args := []string{"--data", data, "--classes", classes}
	whole := attentive(t, dir, func(*format.Attr) {})
	var got map[string]map[string]map[string]any
	out, _ := expect(t, exitOK, append([]string{"eval", whole, "--ablate", "--json", "--step", "0.01"}, args...)...)
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != 6 {
		t.Fatalf("%v: %s", err, out)
	}
	for key, change := range map[string]func(*format.Attr){
		"whole": func(*format.Attr) {}, "no_channels": func(a *format.Attr) { a.Off = format.RFGAChannels }, "no_rows": func(a *format.Attr) { a.Off = format.RFGARows },
		"no_columns": func(a *format.Attr) { a.Off = format.RFGAColumns }, "no_expansion": func(a *format.Attr) { a.Off = format.RFGAExpansion },
		"no_residual": func(a *format.Attr) { a.A = 0 },
	} {
		want := scores(t, append([]string{attentive(t, t.TempDir(), change)}, args...)...)
		if a, b := fmt.Sprint(got[key]), fmt.Sprint(want); a != b {
			t.Errorf("%s:\n%s\na file with these attributes gives\n%s", key, a, b)
		}
	}
	text, _ := expect(t, exitOK, append([]string{"eval", whole, "--ablate", "--step", "0.01"}, args...)...)
	if strings.Count(text, "no residual") != 3 || !strings.Contains(text, "MaxBoxAcc at 50") {
		t.Errorf("%s", text)
	}
	if _, stderr := expect(t, exitUsage, append([]string{"eval", colours(t, dir), "--ablate"}, args...)...); !strings.Contains(stderr, "no attention") {
		t.Errorf("a model without attention: %s", stderr)
	}
	expect(t, exitUsage, append([]string{"eval", whole, "--ablate", "--plot", filepath.Join(dir, "x.svg")}, args...)...)
}

// TestEvalMaps measures the maps that were written like those they were made from.
func TestEvalMaps(t *testing.T) {
	dir := t.TempDir()
	model, data := colours(t, dir), coloured(t, dir)
	classes, maps := file(t, filepath.Join(dir, "map.csv"), "7,0\n9,2\n"), filepath.Join(dir, "maps")
	want := scores(t, model, "--data", data, "--classes", classes, "--maps", maps)
	if got := names(t, maps); got != "b.npy r.npy" {
		t.Errorf("maps: %s", got)
	}
	got := scores(t, "--data", data, "--npy", maps)
	for p := range want {
		for _, m := range []string{"MaxBoxAcc30", "MaxBoxAcc50", "MaxBoxAcc70", "thresholds"} {
			if a, b := fmt.Sprint(got[p][m]), fmt.Sprint(want[p][m]); a != b {
				t.Errorf("%s, %s: %s, the model itself gives %s", p, m, a, b)
			}
		}
	}
	file(t, filepath.Join(data, "image_ids.txt"), "../x/r.png\n")
	photo(t, filepath.Join(dir, "x", "r.png"), image.Rect(0, 0, 9, 9), red)
	args := []string{"eval", model, "--data", data, "--images", filepath.Join(dir, "x"), "--maps", maps}
	file(t, filepath.Join(data, "class_labels.txt"), "../x/r.png,0\n")
	file(t, filepath.Join(data, "image_sizes.txt"), "../x/r.png,160,120\n")
	file(t, filepath.Join(data, "localization.txt"), "../x/r.png,0,0,8,8\n")
	if _, stderr := expect(t, exitInput, args...); !strings.Contains(stderr, "outside") {
		t.Errorf("an id that leads out of the folder: %s", stderr)
	}
}

func TestEvalAt(t *testing.T) {
	dir := t.TempDir()
	model, data := colours(t, dir), coloured(t, dir)
	classes := file(t, filepath.Join(dir, "map.csv"), "7,0\n9,2\n")
	args := []string{model, "--data", data, "--classes", classes}
	at := func(threshold string) []any {
		r := scores(t, append(args, "--at", threshold)...)["clova-v1"]["at"].(map[string]any)
		return r["BoxAcc"].([]any)
	}
	if low, high := at("0.4"), at("0.99"); low[1] != 100.0 || high[2] != 0.0 {
		t.Errorf("IoU 50 at 0.4: %v; IoU 70 at 0.99: %v", low, high)
	}
	expect(t, exitUsage, append([]string{"eval", "--at", "1.5"}, args...)...)
}

func TestLocalizeAttention(t *testing.T) {
	dir := t.TempDir()
	model := attentive(t, dir, func(*format.Attr) {})
	a := photo(t, filepath.Join(dir, "a.png"), image.Rect(30, 40, 80, 100), red)
	drawn := filepath.Join(dir, "drawn")
	out, _ := expect(t, exitOK, "localize", "-m", model, "--attention", drawn, a)
	if got := names(t, drawn); got != "a.attention.png" || !strings.Contains(out, got) {
		t.Errorf("%s: %s", got, out)
	}
	whole := readPNG(t, filepath.Join(drawn, "a.attention.png")).Bounds()
	expect(t, exitOK, "localize", "-m", model, "--attention", drawn, "--min-p", "1", a) // nothing located: the views alone
	if b := readPNG(t, filepath.Join(drawn, "a.attention.png")).Bounds(); b.Dy() != whole.Dy() || b.Dx() > whole.Dx()-2*400 {
		t.Errorf("%v without maps, %v with two of 400 pixels", b, whole)
	}
	if _, stderr := expect(t, exitUsage, "localize", "-m", colours(t, dir), "--attention", filepath.Join(dir, "no"), a); !strings.Contains(stderr, "no attention") {
		t.Errorf("%s", stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); err == nil {
		t.Error("a folder was made for nothing")
	}
}
