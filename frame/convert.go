package frame

import (
	"image"
	"image/color"
)

// rgbOf converts a picture to rows of red, green, blue, ignoring transparency. c converts YCbCr; smooth interpolates chroma.
func rgbOf(img image.Image, c *conversion, smooth bool) []byte {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	pix := make([]byte, 3*w*h)
	row := func(y int) []byte { return pix[3*y*w:][:3*w] }
	switch m := img.(type) {
	case *image.YCbCr:
		ycbcr(pix, m, c, smooth)
	case *image.NYCbCrA:
		ycbcr(pix, &m.YCbCr, c, smooth)
	case *image.Gray:
		for y := range h {
			src, dst := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:w], row(y)
			for i, v := range src {
				dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
			}
		}
	case *image.Gray16:
		for y := range h {
			src, dst := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:2*w], row(y)
			for i := range w {
				v := src[2*i]
				dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
			}
		}
	case *image.NRGBA:
		for y := range h {
			packed(row(y), m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:4*w], 4, 0, 1, 2)
		}
	case *image.NRGBA64:
		for y := range h {
			packed(row(y), m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:8*w], 8, 0, 2, 4)
		}
	case *image.RGBA:
		if !m.Opaque() {
			generic(pix, img)
			break
		}
		for y := range h {
			packed(row(y), m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:4*w], 4, 0, 1, 2)
		}
	case *image.RGBA64:
		if !m.Opaque() {
			generic(pix, img)
			break
		}
		for y := range h {
			packed(row(y), m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:8*w], 8, 0, 2, 4)
		}
	case *image.Paletted:
		var palette [256][3]byte // an index without an entry is black
		for i, c := range m.Palette[:min(256, len(m.Palette))] {
			v := straight(c)
			palette[i] = [3]byte{v.R, v.G, v.B}
		}
		for y := range h {
			src, dst := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:w], row(y)
			for i, v := range src {
				copy(dst[3*i:], palette[v][:])
			}
		}
	case *image.CMYK:
		for y := range h {
			src, dst := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:4*w], row(y)
			for i := range w {
				k := 255 - int(src[4*i+3])
				for j := range 3 { // what the ink leaves of the white that black leaves
					dst[3*i+j] = byte(((255-int(src[4*i+j]))*k + 127) / 255)
				}
			}
		}
	default:
		generic(pix, img)
	}
	return pix
}

// straight gives a colour's stored values where it has them, not multiplied by alpha.
func straight(c color.Color) color.NRGBA {
	switch c := c.(type) {
	case color.NRGBA:
		return c
	case color.RGBA:
		if c.A == 255 {
			return color.NRGBA(c)
		}
	}
	return color.NRGBAModel.Convert(c).(color.NRGBA)
}

func generic(pix []byte, img image.Image) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			v := straight(img.At(x, y))
			pix[0], pix[1], pix[2] = v.R, v.G, v.B
			pix = pix[3:]
		}
	}
}
