package frame

import "image"

// ycbcr converts a picture whose chroma may be sampled more coarsely than its luma. Without smooth, a pixel takes the sample
// of its block, as package image does. With smooth, chroma is interpolated with the triangle filter that libjpeg (and,
// but for roundings, libwebp) uses for blocks of 2x1, 2x2 and 1x2.
func ycbcr(pix []byte, m *image.YCbCr, c *conversion, smooth bool) {
	b := m.Rect
	w, h := b.Dx(), b.Dy()
	bw, bh := block(m.SubsampleRatio)
	smooth = smooth && b.Min == (image.Point{}) && bw <= 2 && bh <= 2 && bw*bh > 1 && !(bw == 2 && w <= 4)
	cw, ch := (w+bw-1)/bw, (h+bh-1)/bh
	cb, cr := make([]byte, w), make([]byte, w)
	sums := make([]int32, cw)
	for y := range h {
		if smooth {
			near := y / bh
			far := min(max(near+2*(y%bh)-1, 0), ch-1) // of the rows above and below the nearer one
			if bh == 1 {
				far = near
			}
			for _, p := range [2]struct{ dst, src []byte }{{cb, m.Cb}, {cr, m.Cr}} {
				interpolate(p.dst, p.src[near*m.CStride:][:cw], p.src[far*m.CStride:][:cw], sums, bw, bh, y%bh)
			}
		} else {
			for x := range w {
				k := m.COffset(b.Min.X+x, b.Min.Y+y)
				cb[x], cr[x] = m.Cb[k], m.Cr[k]
			}
		}
		luma := m.Y[m.YOffset(b.Min.X, b.Min.Y+y):][:w]
		dst := pix[3*y*w:][:3*w]
		for i, l := range luma {
			p := dst[3*i : 3*i+3 : 3*i+3]
			p[0], p[1], p[2] = c.rgb(l, cb[i], cr[i])
		}
	}
}

// block is how many pixels share a chroma sample, in a row and in a column.
func block(r image.YCbCrSubsampleRatio) (w, h int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// interpolate makes a row of chroma, three parts of the nearer sample and one of the farther in each direction that has
// blocks of two. Roundings alternate so that they do not add up to a drift; lower is 1 in the lower row of a block.
func interpolate(dst, near, far []byte, sums []int32, bw, bh, lower int) {
	for i := range sums {
		sums[i] = int32(near[i])
		if bh == 2 {
			sums[i] = 3*int32(near[i]) + int32(far[i])
		}
	}
	if bw == 1 {
		for i := range dst {
			dst[i] = byte((sums[i] + int32(1+lower)) >> 2)
		}
		return
	}
	shift, left, right := 2, int32(1), int32(2)
	if bh == 2 {
		shift, left, right = 4, 8, 7
	}
	last := len(sums) - 1
	for i, s := range sums {
		dst[2*i] = byte((3*s + sums[max(i-1, 0)] + left) >> shift)
		if 2*i+1 < len(dst) {
			dst[2*i+1] = byte((3*s + sums[min(i+1, last)] + right) >> shift)
		}
	}
}
