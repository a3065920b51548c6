package frame

// conversion turns Y, Cb, Cr into red, green and blue with 16 fractional bits.
type conversion struct {
	y                  [256]int32 // the luma's part, rounding included
	crR, cbG, crG, cbB int32
}

// conversions by Range and Matrix. Full range is what image/color computes: 257*Y instead of one half rounds so that gray
// stays gray and white white. Limited range rounds to nearest.
var conversions = func() (t [2][2]conversion) {
	for m, k := range [2][2]float64{BT601: {0.299, 0.114}, BT709: {0.2126, 0.0722}} {
		kr, kb := k[0], k[1]
		kg := 1 - kr - kb
		for r, scale := range [2]float64{Limited: 65536 * 255 / 224.0, Full: 65536} {
			c := &t[r][m]
			c.crR, c.cbB = round(2*(1-kr)*scale), round(2*(1-kb)*scale)
			c.crG, c.cbG = round(2*(1-kr)*kr/kg*scale), round(2*(1-kb)*kb/kg*scale)
			for y := range c.y {
				if Range(r) == Full {
					c.y[y] = int32(y) * 0x10101
				} else {
					c.y[y] = round(65536*255/219.0)*int32(y-16) + 1<<15
				}
			}
		}
	}
	// Of BT.601 at full range image/color takes the five decimals that the JFIF document prints.
	jfif := &t[Full][BT601]
	jfif.crR, jfif.cbG, jfif.crG, jfif.cbB = 91881, 22554, 46802, 116130
	return t
}()

// imageColor is image/color's conversion. fileColor is that of JPEG files as libjpeg does it: the same numbers, rounded to
// nearest. Lossy WebP files hold video's range.
var (
	imageColor = &conversions[Full][BT601]
	fileColor  = func() *conversion {
		c := conversions[Full][BT601]
		for y := range c.y {
			c.y[y] = int32(y)<<16 + 1<<15
		}
		return &c
	}()
	webpColor = &conversions[Limited][BT601]
)

func round(v float64) int32 { return int32(v + 0.5) }

func (c *conversion) rgb(y, cb, cr byte) (r, g, b byte) {
	l, u, v := c.y[y], int32(cb)-128, int32(cr)-128
	return clip(l + c.crR*v), clip(l - c.cbG*u - c.crG*v), clip(l + c.cbB*u)
}

// clip drops the 16 fractional bits and limits to a byte.
func clip(v int32) byte {
	if uint32(v) < 1<<24 {
		return byte(v >> 16)
	}
	return byte(^(v >> 31)) // 0 below, 255 above
}

// rgbRow writes row y of the frame, which has been checked, as red, green, blue.
func (f *Frame) rgbRow(dst []byte, y int) {
	r := f.rows(y)
	c := &conversions[f.Range][f.Matrix]
	switch f.Format {
	case RGB24:
		copy(dst, r[0])
	case BGR24:
		packed(dst, r[0], 3, 2, 1, 0)
	case RGBA:
		packed(dst, r[0], 4, 0, 1, 2)
	case BGRA:
		packed(dst, r[0], 4, 2, 1, 0)
	case Gray8:
		for i, v := range r[0] {
			p := dst[3*i : 3*i+3 : 3*i+3]
			p[0], p[1], p[2] = v, v, v
		}
	case I420, I422:
		for i, l := range r[0] {
			p := dst[3*i : 3*i+3 : 3*i+3]
			p[0], p[1], p[2] = c.rgb(l, r[1][i/2], r[2][i/2])
		}
	case I444:
		for i, l := range r[0] {
			p := dst[3*i : 3*i+3 : 3*i+3]
			p[0], p[1], p[2] = c.rgb(l, r[1][i], r[2][i])
		}
	case NV12:
		semiplanar(dst, r[0], r[1], 0, c)
	case NV21:
		semiplanar(dst, r[0], r[1], 1, c)
	case YUYV:
		interleaved(dst, r[0], f.Width, [4]int{0, 2, 1, 3}, c)
	case UYVY:
		interleaved(dst, r[0], f.Width, [4]int{1, 3, 0, 2}, c)
	}
}

// packed copies the bytes at r, g, b of pixels of size bytes.
func packed(dst, src []byte, size, r, g, b int) {
	for i, o := 0, 0; i+size <= len(src); i, o = i+size, o+3 {
		s, d := src[i:i+size:i+size], dst[o:o+3:o+3]
		d[0], d[1], d[2] = s[r], s[g], s[b]
	}
}

// semiplanar converts a row whose chroma samples are pairs; cb says which of the pair is Cb.
func semiplanar(dst, luma, chroma []byte, cb int, c *conversion) {
	for i, l := range luma {
		pair := chroma[i&^1:][:2]
		p := dst[3*i : 3*i+3 : 3*i+3]
		p[0], p[1], p[2] = c.rgb(l, pair[cb], pair[1-cb])
	}
}

// interleaved converts a row of groups of four bytes for two pixels: at says where the first and second luma, Cb and Cr are.
func interleaved(dst, src []byte, width int, at [4]int, c *conversion) {
	for i := range width {
		s := src[i/2*4:][:4]
		p := dst[3*i : 3*i+3 : 3*i+3]
		p[0], p[1], p[2] = c.rgb(s[at[i&1]], s[at[2]], s[at[3]])
	}
}
