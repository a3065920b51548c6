package rfgaedge_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// colours is a network that finds red, green and blue things: it subtracts the other two channels from each and looks at
// blocks of 4x4 pixels. Its answers can be checked by eye.
func colours(t testing.TB) *format.Model {
	t.Helper()
	half := [3]float32{0.5, 0.5, 0.5}
	b := build.New("colours", "test", 64, 48, half, half)
	w := []float32{1, -1, -1, -1, 1, -1, -1, -1, 1} // on values -1..1: pure colours give 3-1, white and black nothing
	x := b.Conv("differences", b.Input(), w, [4]int{3, 3, 1, 1}, []float32{-1, -1, -1}, build.Win{}, 1, build.ActReLU)
	x = b.AvgPool("blocks", x, build.PoolWin{Kernel: [2]int{4, 4}}, false)
	b.Localizer("classes", x, []float32{9, 0, 0, 0, 9, 0, 0, 0, 9}, nil)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m.Labels = []string{"red fox, Vulpes vulpes", "green snake", "blue jay"}
	m.Loc = format.Localization{Norm: format.HeatMinMax, Threshold: 0.4}
	return m
}

func encode(t testing.TB, m *format.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := format.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func load(t testing.TB, m *format.Model, opts ...rfgaedge.Option) *rfgaedge.Model {
	t.Helper()
	b := encode(t, m)
	model, err := rfgaedge.Load(bytes.NewReader(b), int64(len(b)), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	return model
}

func session(t testing.TB, m *rfgaedge.Model, opts ...rfgaedge.Option) *rfgaedge.Session {
	t.Helper()
	s, err := m.NewSession(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// picture is gray with rectangles of colour.
func picture(w, h int, spots map[image.Rectangle]color.Color) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.Gray{128})
		}
	}
	for r, c := range spots {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				img.Set(x, y, c)
			}
		}
	}
	return img
}

var (
	red  = color.RGBA{230, 10, 10, 255}
	blue = color.RGBA{10, 10, 230, 255}
)

func near(t *testing.T, got rfgaedge.Box, want image.Rectangle, by int) {
	t.Helper()
	for _, d := range []int{got.X0 - want.Min.X, got.Y0 - want.Min.Y, got.X1 - want.Max.X, got.Y1 - want.Max.Y} {
		if d < -by || d > by {
			t.Errorf("box %v, want %v to within %d", got, want, by)
			return
		}
	}
}

func TestLocalize(t *testing.T) {
	where := image.Rect(40, 60, 140, 160)
	small := image.Rect(200, 20, 240, 60)
	img := picture(320, 240, map[image.Rectangle]color.Color{where: red, small: blue})
	s := session(t, load(t, colours(t)), rfgaedge.Localizing(rfgaedge.LocalizeOptions{TopK: 2, Heat: true}))
	var r rfgaedge.Result
	if err := s.Localize(t.Context(), rfgaedge.FrameOf(img), &r); err != nil {
		t.Fatal(err)
	}
	if r.Width != 320 || r.Height != 240 || len(r.Classes) != 2 || r.Classes[0].ID != 0 || r.Classes[0].Label != "red fox, Vulpes vulpes" || r.Classes[1].ID != 2 {
		t.Fatalf("result %+v", r)
	}
	if p := r.Classes[0].P + r.Classes[1].P; !(r.Classes[0].P > r.Classes[1].P) || p > 1.0001 {
		t.Errorf("probabilities %v", r.Classes)
	}
	if len(r.Locations) != 2 || r.Locations[0].Class.ID != 0 || r.Locations[1].Class.ID != 2 {
		t.Fatalf("locations %+v", r.Locations)
	}
	near(t, r.Locations[0].Box, where, 12)
	near(t, r.Locations[1].Box, small, 12)
	if l := r.Locations[0]; l.Threshold != float64(float32(0.4)) || math.Abs(l.Area-100.*100/(320*240)) > 0.05 {
		t.Errorf("threshold %v, area %v", l.Threshold, l.Area)
	}
	if h := r.Heat; h.Class != 0 || h.Width != 64 || h.Height != 48 || len(h.Pix) != 64*48 || slices.Max(h.Pix) != 1 || h.Region != (rfgaedge.Box{X1: 320, Y1: 240}) {
		t.Errorf("heat of class %d, %dx%d, over %v", h.Class, h.Width, h.Height, h.Region)
	}
}

func TestLocalizeOptions(t *testing.T) {
	a, b := image.Rect(20, 40, 100, 120), image.Rect(200, 100, 300, 220)
	f := rfgaedge.FrameOf(picture(320, 240, map[image.Rectangle]color.Color{a: red, b: red}))
	s := session(t, load(t, colours(t)))
	find := func(o rfgaedge.LocalizeOptions) (r rfgaedge.Result) {
		t.Helper()
		if err := s.SetOptions(o); err != nil {
			t.Fatal(err)
		}
		if err := s.Localize(t.Context(), f, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := find(rfgaedge.LocalizeOptions{}); len(r.Classes) != 1 || len(r.Locations) != 1 {
		t.Errorf("by default %+v", r)
	} else {
		near(t, r.Locations[0].Box, b, 12)
	}
	if r := find(rfgaedge.LocalizeOptions{Multi: true}); len(r.Locations) != 2 {
		t.Errorf("with Multi %+v", r.Locations)
	} else {
		near(t, r.Locations[0].Box, b, 12)
		near(t, r.Locations[1].Box, a, 12)
	}
	if r := find(rfgaedge.LocalizeOptions{TopK: 3, Locate: 1}); len(r.Classes) != 3 || len(r.Locations) != 1 || r.Locations[0].Class != r.Classes[0] {
		t.Errorf("with Locate 1 %+v", r)
	}
	if r := find(rfgaedge.LocalizeOptions{TopK: 99}); len(r.Classes) != 3 {
		t.Errorf("with TopK beyond the classes %+v", r.Classes)
	}
	if r := find(rfgaedge.LocalizeOptions{MinP: 0.999999}); len(r.Classes) != 0 || len(r.Locations) != 0 {
		t.Errorf("with MinP %+v", r)
	}
	if r := find(rfgaedge.LocalizeOptions{Classes: []int{2}}); len(r.Classes) != 1 || r.Classes[0].ID != 0 || len(r.Locations) != 0 {
		t.Errorf("there is no blue: %+v", r)
	}
	tight, wide := find(rfgaedge.LocalizeOptions{Threshold: 0.95}).Locations[0].Box, find(rfgaedge.LocalizeOptions{Threshold: 0.02}).Locations[0].Box
	if tight.X1-tight.X0 >= wide.X1-wide.X0 {
		t.Errorf("threshold 0.95 gives %v, 0.02 %v", tight, wide)
	}
	for _, o := range []rfgaedge.LocalizeOptions{{TopK: -1}, {Locate: -1}, {MinP: 1.5}, {MinP: math.NaN()}, {Threshold: -0.1}, {Threshold: math.NaN()}, {Classes: []int{3}}, {Classes: []int{-1}}} {
		var e *rfgaedge.OptionError
		if err := s.SetOptions(o); !errors.As(err, &e) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

func TestLocalizeDoesNotAllocate(t *testing.T) {
	f := rfgaedge.FrameOf(picture(320, 240, map[image.Rectangle]color.Color{image.Rect(40, 60, 140, 160): red}))
	for _, threads := range []int{1, 2} {
		s := session(t, load(t, colours(t)), rfgaedge.Threads(threads), rfgaedge.Localizing(rfgaedge.LocalizeOptions{TopK: 3, Heat: true, Multi: true}))
		var r rfgaedge.Result
		run := func() {
			if err := s.Localize(context.Background(), f, &r); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if n := testing.AllocsPerRun(5, run); n != 0 {
			t.Errorf("%d threads: %v allocations per frame", threads, n)
		}
	}
}

func TestFrames(t *testing.T) {
	img := picture(90, 70, map[image.Rectangle]color.Color{image.Rect(10, 10, 50, 40): red, image.Rect(60, 20, 85, 60): blue})
	const stride = 90*4 + 12
	packed := map[rfgaedge.PixelFormat][]byte{}
	for y := range 70 {
		for x := range 90 {
			c := img.RGBAAt(x, y)
			packed[rfgaedge.RGB24] = append(packed[rfgaedge.RGB24], c.R, c.G, c.B)
			packed[rfgaedge.BGR24] = append(packed[rfgaedge.BGR24], c.B, c.G, c.R)
			packed[rfgaedge.RGBA] = append(packed[rfgaedge.RGBA], c.R, c.G, c.B, 77)
			packed[rfgaedge.BGRA] = append(packed[rfgaedge.BGRA], c.B, c.G, c.R, 0)
		}
		packed[rfgaedge.BGRA] = append(packed[rfgaedge.BGRA], make([]byte, stride-90*4)...)
	}
	nrgba := image.NewNRGBA(image.Rect(-7, 3, 83, 73))
	paletted := image.NewPaletted(img.Rect, color.Palette{color.Gray{128}, red, blue})
	for y := range 70 {
		for x := range 90 {
			nrgba.Set(x-7, y+3, img.At(x, y))
			paletted.Set(x, y, img.At(x, y))
		}
	}
	frames := map[string]*rfgaedge.Frame{"RGBA": rfgaedge.FrameOf(img), "NRGBA": rfgaedge.FrameOf(nrgba), "paletted": rfgaedge.FrameOf(paletted)}
	for format, pix := range packed {
		f := &rfgaedge.Frame{Format: format, Width: 90, Height: 70, Planes: [3][]byte{pix}}
		if format == rfgaedge.BGRA {
			f.Strides[0] = stride
		}
		frames[format.String()+" bytes"] = f
	}
	s := session(t, load(t, colours(t)), rfgaedge.Localizing(rfgaedge.LocalizeOptions{TopK: 3, Multi: true}))
	var want rfgaedge.Result
	if err := s.Localize(t.Context(), frames[rfgaedge.RGB24.String()+" bytes"], &want); err != nil {
		t.Fatal(err)
	}
	for name, f := range frames {
		var r rfgaedge.Result
		if err := s.Localize(t.Context(), f, &r); err != nil || !slices.Equal(r.Classes, want.Classes) || !slices.Equal(r.Locations, want.Locations) {
			t.Errorf("%s: %+v, error %v, want %+v", name, r, err, want)
		}
	}
	gray := image.NewGray(image.Rect(0, 0, 30, 30))
	ycc := image.NewYCbCr(image.Rect(0, 0, 31, 30), image.YCbCrSubsampleRatio420)
	for name, f := range map[string]*rfgaedge.Frame{"gray": rfgaedge.FrameOf(gray), "YCbCr": rfgaedge.FrameOf(ycc)} {
		if err := s.Localize(t.Context(), f, new(rfgaedge.Result)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadFrames(t *testing.T) {
	s := session(t, load(t, colours(t)))
	pix := make([]byte, 300)
	for name, f := range map[string]*rfgaedge.Frame{
		"empty":          {},
		"no format":      {Width: 10, Height: 10, Planes: [3][]byte{pix}},
		"unknown format": {Format: 99, Width: 10, Height: 10, Planes: [3][]byte{pix}},
		"no width":       {Format: rfgaedge.RGB24, Height: 10, Planes: [3][]byte{pix}},
		"negative":       {Format: rfgaedge.RGB24, Width: 10, Height: -10, Planes: [3][]byte{pix}},
		"huge":           {Format: rfgaedge.RGB24, Width: math.MaxInt, Height: math.MaxInt, Planes: [3][]byte{pix}},
		"too short":      {Format: rfgaedge.RGB24, Width: 10, Height: 11, Planes: [3][]byte{pix}},
		"narrow stride":  {Format: rfgaedge.RGB24, Width: 10, Height: 5, Planes: [3][]byte{pix}, Strides: [3]int{29}},
		"wide stride":    {Format: rfgaedge.RGB24, Width: 10, Height: 5, Planes: [3][]byte{pix}, Strides: [3]int{math.MaxInt}},
		"no image":       rfgaedge.FrameOf(image.NewRGBA(image.Rectangle{})),
	} {
		var e *rfgaedge.FrameError
		if err := s.Localize(t.Context(), f, new(rfgaedge.Result)); !errors.As(err, &e) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	last := &rfgaedge.Frame{Format: rfgaedge.RGB24, Width: 10, Height: 3, Planes: [3][]byte{pix[:2*40+30]}, Strides: [3]int{40}}
	if err := s.Localize(t.Context(), last, new(rfgaedge.Result)); err != nil {
		t.Errorf("a last row without its padding: %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := session(t, load(t, colours(t)))
	if err := s.Localize(ctx, rfgaedge.FrameOf(image.NewGray(image.Rect(0, 0, 9, 9))), new(rfgaedge.Result)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestModelErrors(t *testing.T) {
	var model *rfgaedge.ModelError
	var path *fs.PathError
	dir := t.TempDir()
	if _, err := rfgaedge.Open(filepath.Join(dir, "none")); !errors.As(err, &path) {
		t.Errorf("no file: %v", err)
	}
	if _, err := rfgaedge.Open(dir); !errors.As(err, &model) {
		t.Errorf("a folder: %v", err)
	}
	b := encode(t, colours(t))
	b[len(b)/2] ^= 1
	if _, err := rfgaedge.Load(bytes.NewReader(b), int64(len(b))); !errors.As(err, &model) {
		t.Errorf("a damaged file: %v", err)
	}
	var option *rfgaedge.OptionError
	if _, err := load(t, colours(t)).NewSession(rfgaedge.Threads(0)); !errors.As(err, &option) {
		t.Errorf("no threads: %v", err)
	}
	plain := build.New("plain", "test", 8, 8, [3]float32{}, [3]float32{1, 1, 1})
	plain.Output("y", plain.GlobalAvgPool("mean", plain.Input()), true)
	m, err := plain.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, m).NewSession(); !errors.Is(err, rfgaedge.ErrNoHead) {
		t.Errorf("a model without classes: %v", err)
	}
}

func TestModel(t *testing.T) {
	m := colours(t)
	path := filepath.Join(t.TempDir(), "m.rfga")
	if err := format.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	model, err := rfgaedge.Open(path, rfgaedge.Threads(2))
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	if w, h := model.InputSize(); w != 64 || h != 48 || model.Name() != "colours" || model.Classes() != 3 || model.Precision() != "fp32" || !strings.HasPrefix(model.Digest(), "sha256:") || !slices.Equal(model.Labels(), m.Labels) {
		t.Errorf("model %q of %dx%d, %d classes, %s, %s", model.Name(), w, h, model.Classes(), model.Precision(), model.Digest())
	}
}

func TestFindClass(t *testing.T) {
	m := colours(t)
	m.Labels = []string{"crane", "lesser panda, red panda", "crane", "giant panda", "red fox"}[:3]
	model := load(t, m)
	for name, want := range map[string]int{"1": 1, " 2 ": 2, "Red Panda": 1, "lesser panda, red panda": 1, "LESSER": 1, "red-panda": 1} {
		if id, err := model.FindClass(name); err != nil || id != want {
			t.Errorf("%q is %d, error %v, want %d", name, id, err, want)
		}
	}
	for name, want := range map[string]string{"crane": "0 (crane), 2 (crane)", "3": "0..2", "-1": "0..2", "": "empty", "pan": "1 (lesser panda", "cat": "no label"} {
		if _, err := model.FindClass(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", name, err, want)
		}
	}
}

// TestOddLogits feeds the softmax what no sound network gives.
func TestOddLogits(t *testing.T) {
	m := colours(t)
	head := &m.Tensors[m.Ops[len(m.Ops)-1].Inputs[1]]
	for i := range 4 { // 3e38 times what the red channel gives: infinity
		head.Data[i] = []byte{0xff, 0xff, 0x7f, 0x7f}[i]
	}
	s := session(t, load(t, m), rfgaedge.Localizing(rfgaedge.LocalizeOptions{TopK: 3}))
	var r rfgaedge.Result
	if err := s.Localize(t.Context(), rfgaedge.FrameOf(picture(64, 48, map[image.Rectangle]color.Color{image.Rect(0, 0, 64, 48): red})), &r); err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Classes {
		if !(c.P >= 0 && c.P <= 1) {
			t.Errorf("class %d has probability %v", c.ID, c.P)
		}
	}
}
