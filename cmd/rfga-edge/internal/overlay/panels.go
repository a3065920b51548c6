package overlay

import (
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
)

// Panel is one of several pictures side by side, with the words above it.
type Panel struct {
	Title, Detail string
	Picture       image.Image
}

const (
	panelHeight = 300 // of the pictures, in pixels
	panelGap    = 12
	panelText   = 15.0
)

// SideBySide returns the panels in one row on a white sheet. Pictures are scaled to one height.
func SideBySide(panels []Panel) image.Image {
	title := int(3.2 * panelText)
	face, err := opentype.NewFace(typeface(), &opentype.FaceOptions{Size: panelText, DPI: 72, Hinting: font.HintingNone})
	if err != nil { // the size is positive and finite
		return image.NewRGBA(image.Rectangle{})
	}
	defer face.Close()
	width := func(t string) float64 { return float64(font.MeasureString(face, t)) / 64 }
	var places []image.Rectangle
	x := panelGap
	for _, p := range panels {
		b := p.Picture.Bounds()
		w := max(1, int(math.Round(float64(b.Dx())*panelHeight/float64(max(1, b.Dy())))))
		places = append(places, image.Rect(x, title, x+w, title+panelHeight))
		// A narrow picture leaves its title room.
		x += max(w, int(math.Ceil(max(width(p.Title), width(p.Detail))))) + panelGap
	}
	sheet := image.NewRGBA(image.Rect(0, 0, x, title+panelHeight+panelGap))
	draw.Draw(sheet, sheet.Rect, image.White, image.Point{}, draw.Src)
	for i, p := range panels {
		draw.ApproxBiLinear.Scale(sheet, places[i], p.Picture, p.Picture.Bounds(), draw.Src, nil)
		d := font.Drawer{Dst: sheet, Src: image.NewUniform(ink), Face: face}
		for line, text := range []string{p.Title, p.Detail} {
			d.Dot = point(float64(places[i].Min.X), panelText*(1.2+1.3*float64(line)))
			d.DrawString(text)
			d.Src = image.NewUniform(color.RGBA{0x5A, 0x63, 0x70, 255})
		}
	}
	return sheet
}

// Matrix returns w x h values in the colours of the heat map, lo the coldest and hi the warmest, each a block of pixels in a
// picture of about 300 x 300.
func Matrix(values []float32, w, h int, lo, hi float32) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, panelHeight, panelHeight))
	table := warm()
	for y := range panelHeight {
		for x := range panelHeight {
			c := table[level(values[y*h/panelHeight*w+x*w/panelHeight], lo, hi)]
			img.SetRGBA(x, y, color.RGBA{uint8(c[0]), uint8(c[1]), uint8(c[2]), 255})
		}
	}
	return img
}

// level is where v lies between lo and hi, 0 to 255.
func level(v, lo, hi float32) int {
	if !(hi > lo) {
		return 0
	}
	return int(255*min(max((v-lo)/(hi-lo), 0), 1) + 0.5)
}

// Bars returns the values as bars of a height from 0 to 1, in the colours of the heat map between lo and hi. Where there are
// more values than pixels, a bar is a group's mean.
func Bars(values []float32, lo, hi float32) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, panelHeight, panelHeight))
	draw.Draw(img, img.Rect, image.NewUniform(color.RGBA{0xEE, 0xF0, 0xF3, 255}), image.Point{}, draw.Src)
	table, n := warm(), len(values)
	for x := range panelHeight {
		first := x * n / panelHeight
		group := values[first:max(first+1, (x+1)*n/panelHeight)]
		var sum float32
		for _, v := range group {
			sum += v
		}
		v := sum / float32(len(group))
		c := table[level(v, lo, hi)]
		top := panelHeight - int(panelHeight*min(max(v, 0), 1)+0.5)
		for y := top; y < panelHeight; y++ {
			img.SetRGBA(x, y, color.RGBA{uint8(c[0]), uint8(c[1]), uint8(c[2]), 255})
		}
	}
	return img
}
