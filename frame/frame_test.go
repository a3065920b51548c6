package frame

import (
	"errors"
	"image"
	"image/color"
	"math"
	"testing"
)

func TestConversions(t *testing.T) {
	for y := range 256 {
		for u := 0; u < 256; u += 3 {
			for v := 0; v < 256; v += 3 {
				r, g, b := color.YCbCrToRGB(byte(y), byte(u), byte(v))
				if r1, g1, b1 := imageColor.rgb(byte(y), byte(u), byte(v)); r != r1 || g != g1 || b != b1 {
					t.Fatalf("%d %d %d: %d %d %d, image/color gives %d %d %d", y, u, v, r1, g1, b1, r, g, b)
				}
			}
		}
	}
	limit := func(v float64) int { return int(math.Floor(min(max(v, 0), 255) + 0.5)) }
	for rng := Limited; rng <= Full; rng++ {
		for m, k := range [][2]float64{{0.299, 0.114}, {0.2126, 0.0722}} {
			for y := 0; y < 256; y += 5 {
				for u := 0; u < 256; u += 15 {
					for v := 0; v < 256; v += 15 {
						l, cb, cr := float64(y), float64(u)-128, float64(v)-128
						if rng == Limited {
							l, cb, cr = (l-16)*255/219, cb*255/224, cr*255/224
						}
						r, b := l+2*(1-k[0])*cr, l+2*(1-k[1])*cb
						g := (l - k[0]*r - k[1]*b) / (1 - k[0] - k[1])
						r1, g1, b1 := conversions[rng][m].rgb(byte(y), byte(u), byte(v))
						// Full range follows image/color, which rounds by the luma's value.
						for i, d := range [3]int{int(r1) - limit(r), int(g1) - limit(g), int(b1) - limit(b)} {
							if max(d, -d) > 1 {
								t.Fatalf("range %d matrix %d, %d %d %d: channel %d is off by %d", rng, m, y, u, v, i, d)
							}
						}
					}
				}
			}
		}
	}
}

// TestYCbCrFormats puts one picture into every YCbCr format.
func TestYCbCrFormats(t *testing.T) {
	for _, size := range [][2]int{{8, 6}, {7, 5}, {1, 1}, {2, 1}, {5, 2}} {
		w, h := size[0], size[1]
		cw, ch := (w+1)/2, (h+1)/2
		luma, cb, cr := noise(w*h, 1), noise(cw*ch, 2), noise(cw*ch, 3)
		for _, f := range []Format{I420, NV12, NV21, YUYV, UYVY} {
			const pad = 3 // bytes behind every row but the last
			p := &Frame{Format: f, Width: w, Height: h, Matrix: BT709}
			put := func(i, rows int, row func(y int) []byte) {
				for y := range rows {
					b := row(y)
					p.Strides[i] = len(b) + pad
					p.Planes[i] = append(p.Planes[i], b...)
					if y < rows-1 {
						p.Planes[i] = append(p.Planes[i], 1, 2, 3)
					}
				}
			}
			pair := func(a, b []byte) func(int) []byte {
				return func(y int) (r []byte) {
					for x := range cw {
						r = append(r, a[y*cw+x], b[y*cw+x])
					}
					return r
				}
			}
			lumaAt := func(x, y int) byte { return luma[y*w+min(x, w-1)] }
			chromaRow := func(y int) int { return y / 2 * cw }
			switch f {
			case I420:
				put(0, h, func(y int) []byte { return luma[y*w:][:w] })
				put(1, ch, func(y int) []byte { return cb[y*cw:][:cw] })
				put(2, ch, func(y int) []byte { return cr[y*cw:][:cw] })
			case NV12, NV21:
				put(0, h, func(y int) []byte { return luma[y*w:][:w] })
				if f == NV12 {
					put(1, ch, pair(cb, cr))
				} else {
					put(1, ch, pair(cr, cb))
				}
			default:
				put(0, h, func(y int) (r []byte) {
					for x := range cw {
						y0, y1, u, v := lumaAt(2*x, y), lumaAt(2*x+1, y), cb[chromaRow(y)+x], cr[chromaRow(y)+x]
						if f == YUYV {
							r = append(r, y0, u, y1, v)
						} else {
							r = append(r, u, y0, v, y1)
						}
					}
					return r
				})
			}
			if err := p.Check(); err != nil {
				t.Fatal(err)
			}
			row := make([]byte, 3*w)
			for y := range h {
				p.rgbRow(row, y)
				for x := range w {
					k := y/2*cw + x/2
					r, g, b := conversions[Limited][BT709].rgb(luma[y*w+x], cb[k], cr[k])
					if got := [3]byte(row[3*x:]); got != [3]byte{r, g, b} {
						t.Fatalf("%v %dx%d, pixel %d,%d: %v, want %d %d %d", f, w, h, x, y, got, r, g, b)
					}
				}
			}
			p.Planes[0] = p.Planes[0][:len(p.Planes[0])-1]
			var e *FrameError
			if err := p.Check(); !errors.As(err, &e) {
				t.Fatalf("%v with a short plane: %v", f, err)
			}
		}
	}
}

func TestFrameCheck(t *testing.T) {
	pix := make([]byte, 100)
	for _, f := range []Frame{
		{},
		{Format: RGB24, Width: 4, Height: -1, Planes: [3][]byte{pix}},
		{Format: RGB24, Width: MaxSide + 1, Height: 1, Planes: [3][]byte{pix}},
		{Format: 99, Width: 4, Height: 4, Planes: [3][]byte{pix}},
		{Format: RGB24, Width: 4, Height: 4, Planes: [3][]byte{pix}, Strides: [3]int{11}},
		{Format: RGB24, Width: 4, Height: 4, Planes: [3][]byte{pix}, Strides: [3]int{-12}},
		{Format: RGB24, Width: 4, Height: 4, Planes: [3][]byte{pix}, Strides: [3]int{math.MaxInt}},
		{Format: RGB24, Width: 4, Height: 9, Planes: [3][]byte{pix}},
		{Format: I420, Width: 4, Height: 4, Planes: [3][]byte{pix, pix}},
		{Format: NV12, Width: 4, Height: 4, Planes: [3][]byte{pix, pix}, Matrix: 2},
	} {
		var e *FrameError
		if err := f.Check(); !errors.As(err, &e) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	ok := Frame{Format: RGB24, Width: 4, Height: 8, Planes: [3][]byte{pix}}
	if err := ok.Check(); err != nil {
		t.Error(err)
	}
}

func TestFrameOfShares(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 9, 7), image.YCbCrSubsampleRatio420)
	if f := FrameOf(m); f.Format != I420 || f.Range != Full || f.Matrix != BT601 || &f.Planes[1][0] != &m.Cb[0] {
		t.Errorf("4:2:0 gives %v", f.Format)
	}
	a := image.NewRGBA(image.Rect(0, 0, 2, 2))
	if f := FrameOf(a); f.Format != RGB24 {
		t.Errorf("a transparent RGBA gives %v", f.Format)
	}
}
