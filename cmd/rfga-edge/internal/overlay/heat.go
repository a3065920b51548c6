package overlay

import (
	"image"
	"math"
	"sync"
)

// tap is where one column or row of the photo falls into the heat map: between cells lo and hi, f of the way to hi.
type tap struct {
	at     int
	lo, hi int
	f      float64
}

func taps(first, last, bound, cells int) []tap {
	ts := make([]tap, 0, bound)
	scale := float64(cells) / float64(last-first)
	for at := max(first, 0); at < min(last, bound); at++ {
		v := min(max((float64(at-first)+0.5)*scale-0.5, 0), float64(cells-1))
		lo := int(v)
		ts = append(ts, tap{at, lo, min(lo+1, cells-1), v - float64(lo)})
	}
	return ts
}

// each calls f for every pixel of the photo that the map covers, with the map's value there, bilinear.
func (h *Heat) each(photo image.Rectangle, f func(x, y int, v float64)) {
	if h == nil || h.W <= 0 || h.H <= 0 || h.Region.Empty() {
		return
	}
	xs := taps(h.Region.Min.X, h.Region.Max.X, photo.Dx(), h.W)
	for _, y := range taps(h.Region.Min.Y, h.Region.Max.Y, photo.Dy(), h.H) {
		a, b := h.Pix[y.lo*h.W:], h.Pix[y.hi*h.W:]
		for _, x := range xs {
			top := a[x.lo] + x.f*(a[x.hi]-a[x.lo])
			bottom := b[x.lo] + x.f*(b[x.hi]-b[x.lo])
			f(x.at, y.at, min(max(top+y.f*(bottom-top), 0), 1))
		}
	}
}

// drawHeat lays the map over the photo. The cold parts step back (darker, less colour) and the warm parts glow, so that
// the photo stays readable and the eye goes where the network looked.
func drawHeat(img *image.RGBA, h *Heat) {
	table := warm()
	h.each(img.Rect, func(x, y int, v float64) {
		p := img.Pix[y*img.Stride+4*x:][:4:4]
		r, g, b := float32(p[0]), float32(p[1]), float32(p[2])
		cold := 1 - smooth(float32(v/0.35))
		gray := 0.2126*r + 0.7152*g + 0.0722*b
		fade, dim := 0.35*cold, 1-0.22*cold
		c := table[int(v*255+0.5)]
		alpha := 0.58 * smooth(float32(v/0.75))
		mix := func(p, c float32) uint8 {
			p = (p + fade*(gray-p)) * dim
			return uint8(p + alpha*(c-p) + 0.5)
		}
		p[0], p[1], p[2] = mix(r, c[0]), mix(g, c[1]), mix(b, c[2])
	})
}

// smooth is 0 below 0, 1 above 1, with no corner between.
func smooth(x float32) float32 {
	x = min(max(x, 0), 1)
	return x * x * (3 - 2*x)
}

// warm is the colour map: from indigo over magenta and orange to pale yellow with evenly rising lightness, interpolated
// in the perceptual space Oklab (Björn Ottosson, 2020), as 256 sRGB colours.
var warm = sync.OnceValue(func() *[256][3]float32 {
	stops := [][3]float64{{0x2B, 0x0B, 0x78}, {0x8A, 0x12, 0x9E}, {0xDB, 0x2B, 0x5E}, {0xFB, 0x75, 0x1E}, {0xFF, 0xC0, 0x2E}, {0xFF, 0xEE, 0x8C}}
	var lab [6][3]float64
	for i, s := range stops {
		lab[i] = oklab(s)
	}
	t := new([256][3]float32)
	for i := range t {
		at := float64(i) / 255 * float64(len(stops)-1)
		k := min(int(at), len(stops)-2)
		f := at - float64(k)
		var v [3]float64
		for c := range v {
			v[c] = lab[k][c] + f*(lab[k+1][c]-lab[k][c])
		}
		t[i] = srgb(v)
	}
	return t
})

func oklab(rgb [3]float64) [3]float64 {
	var lin [3]float64
	for i, v := range rgb {
		if v /= 255; v <= 0.04045 {
			lin[i] = v / 12.92
		} else {
			lin[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	l := math.Cbrt(0.4122214708*lin[0] + 0.5363325363*lin[1] + 0.0514459929*lin[2])
	m := math.Cbrt(0.2119034982*lin[0] + 0.6806995451*lin[1] + 0.1073969566*lin[2])
	s := math.Cbrt(0.0883024619*lin[0] + 0.2817188376*lin[1] + 0.6299787005*lin[2])
	return [3]float64{0.2104542553*l + 0.7936177850*m - 0.0040720468*s, 1.9779984951*l - 2.4285922050*m + 0.4505937099*s, 0.0259040371*l + 0.7827717662*m - 0.8086757660*s}
}

func srgb(lab [3]float64) (rgb [3]float32) {
	l := lab[0] + 0.3963377774*lab[1] + 0.2158037573*lab[2]
	m := lab[0] - 0.1055613458*lab[1] - 0.0638541728*lab[2]
	s := lab[0] - 0.0894841775*lab[1] - 1.2914855480*lab[2]
	l, m, s = l*l*l, m*m*m, s*s*s
	for i, v := range [3]float64{4.0767416621*l - 3.3077115913*m + 0.2309699292*s, -1.2684380046*l + 2.6097574011*m - 0.3413193965*s, -0.0041960863*l - 0.7034186147*m + 1.7076147010*s} {
		v = min(max(v, 0), 1)
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		rgb[i] = float32(255 * v)
	}
	return rgb
}
