// Package overlay draws what a network saw onto the photo: the heat map as a translucent layer, boxes, and labels on
// plates. Sizes follow the picture's, so a thumbnail and a 24-megapixel photo look alike.
//
// It imports the standard library and golang.org/x/image (font rendering and the anti-aliasing rasterizer).
package overlay

import (
	"image"
	"image/color"
	"math"
	"slices"
)

// Heat is a map of 0..1 over a rectangle of the photo.
type Heat struct {
	Pix    []float64 // W*H, row by row
	W, H   int
	Region image.Rectangle // the part of the photo it covers, in pixels
}

// Mark is a box with its text, either of which may be empty; a text without a box stands in the corner of the photo.
type Mark struct {
	Box    image.Rectangle // half-open
	Group  int             // marks of one group have one colour
	Label  string
	Detail string // behind the label, less prominent: a probability
}

// Draw returns the photo (w*h pixels of 3 bytes, RGB) with the heat map, if any, and the marks.
func Draw(rgb []byte, w, h int, heat *Heat, marks []Mark) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i, o := 0, 0; o < len(img.Pix); i, o = i+3, o+4 {
		img.Pix[o], img.Pix[o+1], img.Pix[o+2], img.Pix[o+3] = rgb[i], rgb[i+1], rgb[i+2], 255
	}
	Paint(img, heat, marks)
	return img
}

// Paint draws the heat map, if any, and the marks onto a photo without transparency.
func Paint(img *image.RGBA, heat *Heat, marks []Mark) {
	drawHeat(img, heat)
	w, h := img.Rect.Dx(), img.Rect.Dy()
	side := math.Sqrt(float64(w) * float64(h))
	s := style{line: max(1.6, side/230), text: max(12, side/33)}
	for _, m := range slices.Backward(marks) { // the first mark on top
		if !m.Box.Empty() {
			s.box(img, m.Box, accent(m.Group))
		}
	}
	var plates []image.Rectangle
	for _, m := range marks {
		if m.Label != "" || m.Detail != "" {
			plates = append(plates, s.plate(img, m, accent(m.Group), plates))
		}
	}
}

// Gray returns the heat map over the whole photo as 8-bit gray: 255*heat truncated, as a threshold sees it.
// What the network did not see is 0, and so is all of it without a map.
func Gray(w, h int, heat *Heat) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, w, h))
	heat.each(img.Rect, func(x, y int, v float64) { img.Pix[y*img.Stride+x] = uint8(255 * v) })
	return img
}

// accents are told apart by most colour-blind people, and from the colours of the heat map by all.
var accents = []color.RGBA{{0x5C, 0xF2, 0xE3, 255}, {0xB8, 0xF3, 0x4A, 255}, {0xFF, 0xFF, 0xFF, 255}, {0x8F, 0xC7, 0xFF, 255}, {0xFF, 0xA8, 0xE2, 255}}

func accent(group int) color.RGBA { return accents[group%len(accents)] }
