package overlay

import (
	"image"
	"testing"
)

func TestSideBySide(t *testing.T) {
	wide, narrow := image.NewRGBA(image.Rect(0, 0, 200, 100)), image.NewRGBA(image.Rect(5, 5, 6, 105))
	img := SideBySide([]Panel{{"one", "detail", wide}, {"a title that is wider than its picture", "", narrow}, {"", "", wide}})
	b := img.Bounds()
	// Two pictures of twice the height, and between them room for a title; black pictures on white.
	if b.Dx() < 4*panelHeight+200 || b.Dy() <= panelHeight {
		t.Errorf("a sheet of %v", b)
	}
	for _, c := range []struct {
		x, y  int
		white bool
	}{{panelGap + 1, b.Dy() - panelGap - 2, false}, {1, 1, true}, {panelGap + 2*panelHeight + 3, b.Dy() / 2, true}, {b.Dx() - panelGap - 2, b.Dy() / 2, false}} {
		if r, _, _, _ := img.At(c.x, c.y).RGBA(); (r == 0xffff) != c.white {
			t.Errorf("(%d,%d) is %v", c.x, c.y, img.At(c.x, c.y))
		}
	}
	SideBySide(nil)
}

// Where a value lies in the picture, and which colour it has.
func TestMatrixAndBars(t *testing.T) {
	cold, hot := warm()[0], warm()[255]
	is := func(img image.Image, x, y int, c [3]float32) bool {
		r, g, b, _ := img.At(x, y).RGBA()
		return r>>8 == uint32(c[0]) && g>>8 == uint32(c[1]) && b>>8 == uint32(c[2])
	}
	m := Matrix([]float32{0, 0, 0, 0, 0, 7}, 3, 2, 0, 7)
	if !is(m, 299, 299, hot) || !is(m, 201, 151, hot) || !is(m, 199, 299, cold) || !is(m, 299, 149, cold) {
		t.Error("the matrix's last element is not the warm one")
	}
	if !is(Matrix([]float32{3}, 1, 1, 3, 3), 0, 0, cold) {
		t.Error("a matrix of equal elements")
	}
	bars := Bars([]float32{0.25, 1}, 0.25, 1)
	if !is(bars, 0, 299, cold) || !is(bars, 0, 226, cold) || is(bars, 0, 223, cold) || !is(bars, 299, 0, hot) {
		t.Error("bars of other heights than a quarter and all")
	}
	many := make([]float32, 2000)
	many[1999] = 1
	Bars(many, 0, 1)
}
