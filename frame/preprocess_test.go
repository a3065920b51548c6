package frame

import (
	"image"
	"math"
	"testing"
)

func TestNormalizerRoundTrip(t *testing.T) {
	for _, c := range [][2][3]float32{
		{{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
		{{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
		{{127.0 / 255, 127.0 / 255, 127.0 / 255}, {128.0 / 255, 128.0 / 255, 128.0 / 255}},
		{{0, 1, 0.33333334}, {1, 1.0 / 255, 0.003}},
	} {
		n := NewNormalizer(c[0], c[1])
		pix := make([]byte, 3*256)
		for b := range 256 {
			pix[3*b], pix[3*b+1], pix[3*b+2] = byte(b), byte(255-b), byte(b^85)
		}
		chw, nhwc, back := make([]float32, len(pix)), make([]float32, len(pix)), make([]byte, len(pix))
		n.CHW(chw, pix)
		n.NHWC(nhwc, pix)
		n.Bytes(back, chw)
		for i, p := range pix {
			ch := i % 3
			if back[i] != p {
				t.Errorf("mean %v, std %v: byte %d comes back as %d", c[0][ch], c[1][ch], p, back[i])
			}
			want := (float64(p)/255 - float64(c[0][ch])) / float64(c[1][ch])
			if math.Abs(float64(nhwc[i])-want) > 1e-6*max(1, math.Abs(want)) || nhwc[i] != chw[ch*256+i/3] {
				t.Errorf("mean %v, std %v: byte %d is %v and %v, want %v", c[0][ch], c[1][ch], p, nhwc[i], chw[ch*256+i/3], want)
			}
		}
		nan := float32(math.NaN())
		inf := float32(math.Inf(1))
		for ch := range 3 {
			pad := byte(math.RoundToEven(255 * float64(c[0][ch])))
			if got := n.Byte(nan, ch); got != pad {
				t.Errorf("NaN gives %d, want %d", got, pad)
			}
			if a, b := n.Byte(-inf, ch), n.Byte(inf, ch); a != 0 || b != 255 {
				t.Errorf("infinities give %d and %d", a, b)
			}
		}
	}
}

func TestToSource(t *testing.T) {
	squash := Spec{W: 320, H: 320}
	crop := Spec{W: 224, H: 224, Rule: CenterCrop, Resize: 256}
	for _, c := range []struct {
		s            Spec
		r            image.Rectangle
		gw, gh, w, h int
		want         image.Rectangle
	}{
		{squash, image.Rect(0, 0, 320, 320), 320, 320, 1024, 768, image.Rect(0, 0, 1024, 768)},
		{squash, image.Rect(80, 160, 160, 320), 320, 320, 640, 480, image.Rect(160, 240, 320, 480)},
		{squash, image.Rect(3, 3, 7, 14), 14, 14, 100, 50, image.Rect(21, 11, 50, 50)},
		{squash, image.Rect(100, 100, 101, 101), 320, 320, 7, 3, image.Rect(2, 1, 3, 2)},
		{squash, image.Rect(-5, -5, 999, 999), 320, 320, 64, 48, image.Rect(0, 0, 64, 48)},
		{squash, image.Rect(319, 319, 320, 320), 320, 320, 5, 5, image.Rect(4, 4, 5, 5)},
		// 512x512 -> 256x256, the centre 224 begins at 16: pixels 32..480.
		{crop, image.Rect(0, 0, 224, 224), 224, 224, 512, 512, image.Rect(32, 32, 480, 480)},
		{crop, image.Rect(0, 0, 7, 7), 7, 7, 512, 512, image.Rect(32, 32, 480, 480)},
		// 400x200 -> 512x256: the square begins at 144 and 16 of it.
		{crop, image.Rect(56, 0, 112, 224), 224, 224, 400, 200, image.Rect(156, 13, 200, 188)},
	} {
		if got := c.s.ToSource(c.r, c.gw, c.gh, c.w, c.h); got != c.want {
			t.Errorf("%+v: %v on a grid of %dx%d over %dx%d: %v, want %v", c.s, c.r, c.gw, c.gh, c.w, c.h, got, c.want)
		}
	}
	if got, want := crop.Region(400, 200), image.Rect(113, 13, 288, 188); got != want {
		t.Errorf("region %v, want %v", got, want)
	}
}

func TestPreprocessRefuses(t *testing.T) {
	img := &Image{Pix: make([]byte, 300), W: 10, H: 10}
	var r Resizer
	for _, c := range []struct {
		n int
		s Spec
	}{
		{0, Spec{}}, {12, Spec{W: 2, H: 3}}, {12, Spec{W: 2, H: 2, Rule: 7}}, {12, Spec{W: 2, H: 2, Order: 3}},
		{12, Spec{W: 2, H: 2, Rule: CenterCrop, Resize: 1}}, {12, Spec{W: 2, H: 2, Rule: CenterCrop, Resize: 1 << 30}},
	} {
		if err := r.Preprocess(make([]byte, c.n), img, c.s); err == nil {
			t.Errorf("%d bytes, %+v: no error", c.n, c.s)
		}
	}
	if err := r.Preprocess(make([]byte, 12), &Image{Pix: img.Pix[1:], W: 10, H: 10}, Spec{W: 2, H: 2}); err == nil {
		t.Error("short picture: no error")
	}
}

func TestResizerAllocates(t *testing.T) {
	const w, h = 320, 240
	img := &Image{Pix: noise(3*w*h, 1), W: w, H: h}
	f := &Frame{Format: NV12, Width: w, Height: h, Planes: [3][]byte{img.Pix[:w*h], img.Pix[w*h:]}}
	dst := make([]byte, 3*96*96)
	var r Resizer
	for _, s := range []Spec{{W: 96, H: 96}, {W: 96, H: 96, Rule: CenterCrop, Resize: 110, Order: BGR}} {
		if n := testing.AllocsPerRun(3, func() {
			if r.Preprocess(dst, img, s) != nil || r.PreprocessFrame(dst, f, s) != nil {
				t.Fatal("error")
			}
		}); n != 0 {
			t.Errorf("%+v: %v allocations an image after the first", s, n)
		}
	}
}
