package overlay

import (
	"fmt"
	"image"
	"math"
	"testing"
)

// spot is a heat map with one warm place in its middle.
func spot(n int, region image.Rectangle) *Heat {
	h := &Heat{Pix: make([]float64, n*n), W: n, H: n, Region: region}
	for i := range h.Pix {
		x, y := float64(i%n)/float64(n-1)-0.5, float64(i/n)/float64(n-1)-0.5
		h.Pix[i] = math.Exp(-20 * (x*x + y*y))
	}
	return h
}

func gray(w, h int) []byte {
	b := make([]byte, 3*w*h)
	for i := range b {
		b[i] = 128
	}
	return b
}

func TestDrawAnySize(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 300}, {300, 1}, {7, 5}, {40, 40}, {640, 480}, {333, 1000}} {
		w, h := size[0], size[1]
		t.Run(fmt.Sprintf("%dx%d", w, h), func(t *testing.T) {
			marks := []Mark{{Label: "a very long label that no small picture has room for", Detail: "100 %"}, {Detail: "3 %"}, {}}
			for _, b := range []image.Rectangle{{image.Pt(0, 0), image.Pt(w, h)}, {image.Pt(w/2, h/2), image.Pt(w/2+1, h/2+1)}, {image.Pt(-5, -5), image.Pt(w+9, h+9)}, {image.Pt(w-1, 0), image.Pt(w, h)}} {
				marks = append(marks, Mark{Box: b, Label: "ünïcödé 猫", Detail: "97 %"})
			}
			img := Draw(gray(w, h), w, h, spot(20, image.Rect(0, 0, w, h)), marks)
			if img.Bounds() != image.Rect(0, 0, w, h) || !img.Opaque() {
				t.Errorf("bounds %v, opaque %v", img.Bounds(), img.Opaque())
			}
		})
	}
}

func TestDrawShowsHeatAndBox(t *testing.T) {
	const w, h = 400, 300
	box := image.Rect(100, 100, 300, 250)
	plain := Draw(gray(w, h), w, h, nil, nil)
	if c := plain.RGBAAt(10, 10); c.R != 128 || c.G != 128 || c.B != 128 {
		t.Errorf("without heat and marks the photo changed to %v", c)
	}
	img := Draw(gray(w, h), w, h, spot(32, image.Rect(0, 0, w, h)), []Mark{{Box: box, Label: "cat", Detail: "97 %"}})
	if c := img.RGBAAt(w/2, h/2); c.R < 180 || c.B > c.G || c.G > c.R {
		t.Errorf("the warmest place is %v, not warm", c)
	}
	if c := img.RGBAAt(5, 5); c.R > 110 {
		t.Errorf("the coldest place is %v, not dimmed", c)
	}
	// Through the middle of the left edge: the stroke has its own colour inside the box, nothing changes far outside.
	if c := img.RGBAAt(101, 200); int(c.G)-int(c.R) < 60 {
		t.Errorf("the stroke is %v", c)
	}
	if a, b := img.RGBAAt(95, 200), Draw(gray(w, h), w, h, spot(32, image.Rect(0, 0, w, h)), nil).RGBAAt(95, 200); a != b {
		t.Errorf("outside the box %v became %v", b, a)
	}
}

func TestPlatesDoNotOverlap(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 600, 400))
	s := style{line: 2, text: 14}
	var plates []image.Rectangle
	for range 8 {
		p := s.plate(img, Mark{Box: image.Rect(50, 50, 200, 200), Label: "giant panda", Detail: "3 %"}, accent(0), plates)
		for _, o := range plates {
			if p.Overlaps(o) {
				t.Errorf("plate %v lies on %v", p, o)
			}
		}
		if !p.In(img.Rect) {
			t.Errorf("plate %v leaves the picture", p)
		}
		plates = append(plates, p)
	}
}

func TestGrayKeepsRegion(t *testing.T) {
	h := &Heat{Pix: []float64{1, 1, 1, 1}, W: 2, H: 2, Region: image.Rect(10, 0, 20, 15)}
	img := Gray(30, 15, h)
	for x, want := range map[int]uint8{9: 0, 10: 255, 19: 255, 20: 0} {
		if got := img.GrayAt(x, 7).Y; got != want {
			t.Errorf("column %d is %d, want %d", x, got, want)
		}
	}
	half := &Heat{Pix: []float64{0, 1}, W: 2, H: 1, Region: image.Rect(0, 0, 4, 1)}
	if got := Gray(4, 1, half).Pix; got[0] != 0 || got[1] != 63 || got[2] != 191 || got[3] != 255 {
		t.Errorf("bilinear values are %v", got)
	}
}

func TestColoursRiseEvenly(t *testing.T) {
	table := warm()
	last := -1.0
	for i, c := range table {
		l := oklab([3]float64{float64(c[0]), float64(c[1]), float64(c[2])})[0]
		if l <= last {
			t.Fatalf("colour %d is not lighter than the one before", i)
		}
		last = l
	}
}
