package overlay

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

var (
	casing = color.RGBA{0, 0, 0, 150} // premultiplied: dark enough to set any stroke off from a bright photo
	ink    = color.RGBA{0x10, 0x16, 0x20, 255}
	faint  = color.RGBA{0x1C, 0x23, 0x2E, 215}
)

// style holds the sizes of one picture, in pixels.
type style struct{ line, text float64 }

// rect is a rectangle of the rasterizer's.
type rect struct{ x0, y0, x1, y1 float64 }

func (r rect) grow(d float64) rect { return rect{r.x0 - d, r.y0 - d, r.x1 + d, r.y1 + d} }

// box strokes the rectangle just inside its edges, with a dark casing on both sides of the bright line.
func (s style) box(img *image.RGBA, b image.Rectangle, c color.RGBA) {
	r := rect{float64(b.Min.X), float64(b.Min.Y), float64(b.Max.X), float64(b.Max.Y)}
	// The casing must stay inside the picture too.
	edge := max(1, s.line*0.4)
	bounds := img.Bounds()
	r.x0, r.y0 = max(r.x0, edge), max(r.y0, edge)
	r.x1, r.y1 = min(r.x1, float64(bounds.Max.X)-edge), min(r.y1, float64(bounds.Max.Y)-edge)
	radius := min(2.5*s.line, (r.x1-r.x0)/4, (r.y1-r.y0)/4)
	ring := func(outer, inner rect, c color.RGBA) {
		if inner.x0 >= inner.x1 || inner.y0 >= inner.y1 {
			inner = rect{} // the box is thinner than its stroke: fill it
		}
		path := func(z *pen) {
			z.rounded(outer, max(0, radius+(r.x0-outer.x0)), false)
			z.rounded(inner, max(0, radius-(inner.x0-r.x0)), true)
		}
		// Four bands, so that the rasterizer's memory grows with the ring and not with the photo.
		band := radius + 2*edge + s.line
		top, bottom := min(outer.y0+band, outer.y1), max(outer.y1-band, outer.y0+band)
		left, right := min(outer.x0+band, outer.x1), max(outer.x1-band, outer.x0+band)
		mid := rect{outer.x0, math.Ceil(top), outer.x1, max(math.Floor(bottom), math.Ceil(top))}
		fill(img, rect{outer.x0, outer.y0, outer.x1, mid.y0}, c, path)
		fill(img, rect{outer.x0, mid.y1, outer.x1, outer.y1}, c, path)
		fill(img, rect{outer.x0, mid.y0, math.Ceil(left), mid.y1}, c, path)
		fill(img, rect{max(math.Floor(right), math.Ceil(left)), mid.y0, outer.x1, mid.y1}, c, path)
	}
	ring(r.grow(edge), r.grow(-s.line-edge), casing)
	ring(r, r.grow(-s.line), c)
}

// plate writes the mark's text on a plate beside its box: above it, or where there is no room, inside; never on another
// plate if that can be helped. It returns where the plate lies.
func (s style) plate(img *image.RGBA, m Mark, c color.RGBA, others []image.Rectangle) image.Rectangle {
	face, err := opentype.NewFace(typeface(), &opentype.FaceOptions{Size: s.text, DPI: 72, Hinting: font.HintingNone})
	if err != nil { // sizes are positive and finite
		return image.Rectangle{}
	}
	defer face.Close()
	bounds := img.Bounds()
	gap, padX, padY := s.text*0.45, s.text*0.5, s.text*0.28
	width := func(t string) float64 { return float64(font.MeasureString(face, t)) / 64 }
	label, detail := m.Label, m.Detail
	room := float64(bounds.Dx()) - 2*padX - 2
	if detail != "" {
		if rest := room - gap - width(detail); rest > 2*s.text || label == "" {
			room = rest
		} else {
			detail = ""
		}
	}
	label = shorten(label, room, width)
	w := width(label) + 2*padX
	if detail != "" {
		w += gap + width(detail)
	}
	metrics := face.Metrics()
	ascent, descent := float64(metrics.Ascent)/64, float64(metrics.Descent)/64
	h := ascent + descent + 2*padY
	at := s.place(image.Pt(int(math.Ceil(w)), int(math.Ceil(h))), m.Box, bounds, others)

	r := rect{float64(at.Min.X), float64(at.Min.Y), float64(at.Min.X) + w, float64(at.Min.Y) + h}
	rim := r.grow(max(1, s.line*0.3))
	fill(img, rim, color.RGBA{0, 0, 0, 90}, func(z *pen) { z.rounded(rim, s.text*0.3, false) })
	fill(img, r, c, func(z *pen) { z.rounded(r, s.text*0.3, false) })
	d := font.Drawer{Dst: img, Src: image.NewUniform(ink), Face: face, Dot: point(r.x0+padX, r.y0+padY+ascent)}
	d.DrawString(label)
	if detail != "" {
		d.Src, d.Dot.X = image.NewUniform(faint), d.Dot.X+fixed.Int26_6(gap*64)
		d.DrawString(detail)
	}
	return at
}

// place finds the plate's rectangle in the picture.
func (s style) place(size image.Point, box, bounds image.Rectangle, others []image.Rectangle) image.Rectangle {
	margin := int(math.Ceil(s.line * 0.5))
	inset := int(math.Ceil(s.line * 2))
	tries := []image.Point{{box.Min.X, box.Min.Y - size.Y - margin}, {box.Min.X + inset, box.Min.Y + inset},
		{box.Min.X, box.Max.Y + margin}, {box.Max.X - size.X, box.Min.Y - size.Y - margin}, {box.Min.X + inset, box.Max.Y - size.Y - inset}}
	if box.Empty() {
		tries = []image.Point{{inset, inset}}
	}
	clamp := func(p image.Point) image.Rectangle {
		p.X = max(min(p.X, bounds.Max.X-size.X-1), bounds.Min.X)
		p.Y = max(min(p.Y, bounds.Max.Y-size.Y-1), bounds.Min.Y)
		return image.Rectangle{p, p.Add(size)}
	}
	free := func(r image.Rectangle) bool {
		for _, o := range others {
			if r.Overlaps(o.Inset(-margin)) {
				return false
			}
		}
		return true
	}
	for _, p := range tries {
		if fits := p.Y >= bounds.Min.Y && p.Y+size.Y <= bounds.Max.Y; fits && free(clamp(p)) {
			return clamp(p)
		}
	}
	r := clamp(tries[min(1, len(tries)-1)])
	for range 50 { // below one another
		if free(r) {
			break
		}
		r = clamp(r.Min.Add(image.Pt(0, size.Y+margin)))
	}
	return r
}

// shorten cuts the text so that it is at most room pixels wide.
func shorten(text string, room float64, width func(string) float64) string {
	if width(text) <= room {
		return text
	}
	r := []rune(text)
	for len(r) > 1 {
		r = r[:len(r)-1]
		if t := string(r) + "…"; width(t) <= room {
			return t
		}
	}
	return string(r)
}

var typeface = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		panic("overlay: the built-in font does not parse: " + err.Error())
	}
	return f
})

func point(x, y float64) fixed.Point26_6 {
	return fixed.Point26_6{X: fixed.Int26_6(x * 64), Y: fixed.Int26_6(y * 64)}
}

// fill paints the part of the path that lies in the area, in one colour, anti-aliased.
func fill(img *image.RGBA, area rect, c color.RGBA, path func(z *pen)) {
	b := image.Rect(int(math.Floor(area.x0)), int(math.Floor(area.y0)), int(math.Ceil(area.x1)), int(math.Ceil(area.y1))).Intersect(img.Bounds())
	if b.Empty() {
		return
	}
	z := &pen{*vector.NewRasterizer(b.Dx(), b.Dy()), float64(b.Min.X), float64(b.Min.Y)}
	path(z)
	z.DrawOp = draw.Over
	z.Draw(img, b, image.NewUniform(c), image.Point{})
}

// pen is a rasterizer whose origin lies elsewhere in the picture.
type pen struct {
	vector.Rasterizer
	x, y float64
}

// rounded adds a rectangle with round corners to the path; reversed, it cuts a hole.
func (z *pen) rounded(r rect, radius float64, reversed bool) {
	if r == (rect{}) {
		return
	}
	const k = 0.5522847498 // a cubic curve's handle for a quarter of a circle
	q := radius * (1 - k)
	// Corner by corner: where the curve starts, its two handles, where it ends.
	corners := [4][4][2]float64{
		{{r.x0, r.y0 + radius}, {r.x0, r.y0 + q}, {r.x0 + q, r.y0}, {r.x0 + radius, r.y0}},
		{{r.x1 - radius, r.y0}, {r.x1 - q, r.y0}, {r.x1, r.y0 + q}, {r.x1, r.y0 + radius}},
		{{r.x1, r.y1 - radius}, {r.x1, r.y1 - q}, {r.x1 - q, r.y1}, {r.x1 - radius, r.y1}},
		{{r.x0 + radius, r.y1}, {r.x0 + q, r.y1}, {r.x0, r.y1 - q}, {r.x0, r.y1 - radius}},
	}
	if reversed {
		slices.Reverse(corners[:])
		for i := range corners {
			slices.Reverse(corners[i][:])
		}
	}
	at := func(p [2]float64) (float32, float32) { return float32(p[0] - z.x), float32(p[1] - z.y) }
	for i, c := range corners {
		x, y := at(c[0])
		if i == 0 {
			z.MoveTo(x, y)
		} else {
			z.LineTo(x, y)
		}
		bx, by := at(c[1])
		cx, cy := at(c[2])
		dx, dy := at(c[3])
		z.CubeTo(bx, by, cx, cy, dx, dy)
	}
	z.ClosePath()
}
