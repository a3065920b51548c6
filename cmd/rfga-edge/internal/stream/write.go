package stream

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
)

// Writer writes pictures as video: y4m, or JPEGs one behind the other. It keeps memory for one picture.
type Writer struct {
	w      *bufio.Writer
	y4m    bool
	fps    float64
	size   image.Point
	planes []byte
}

// NewWriter makes a Writer of "y4m" or "mjpeg". fps is the rate that y4m's header tells, 0 for 25.
func NewWriter(w io.Writer, format string, fps float64) *Writer {
	if fps <= 0 {
		fps = 25
	}
	return &Writer{w: bufio.NewWriterSize(w, 1<<16), y4m: format == "y4m", fps: fps}
}

// ErrSize is wrapped by Write's error for a picture of another size than the first, which y4m has no words for.
var ErrSize = fmt.Errorf("y4m has frames of one size only")

// quality of JPEGs: what is drawn on them stays sharp.
const quality = 85

// Write writes a picture and hands it on at once.
func (v *Writer) Write(img *image.RGBA) error {
	if !v.y4m {
		if err := jpeg.Encode(v.w, img, &jpeg.Options{Quality: quality}); err != nil {
			return err
		}
		return v.w.Flush()
	}
	size := img.Rect.Size()
	if v.size == (image.Point{}) {
		v.size = size
		if _, err := fmt.Fprintf(v.w, "%s W%d H%d F%d:1000 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL\n", y4mMagic, size.X, size.Y, int(math.Round(1000*v.fps))); err != nil {
			return err
		}
	}
	if size != v.size {
		return fmt.Errorf("a picture of %dx%d behind those of %dx%d: %w", size.X, size.Y, v.size.X, v.size.Y, ErrSize)
	}
	v.convert(img)
	if _, err := v.w.WriteString(y4mFrame + "\n"); err != nil {
		return err
	}
	if _, err := v.w.Write(v.planes); err != nil {
		return err
	}
	return v.w.Flush()
}

// convert makes planes of full-range BT.601, as JPEG has them, each chroma sample the mean of its pixels.
func (v *Writer) convert(img *image.RGBA) {
	w, h := v.size.X, v.size.Y
	cw, ch := (w+1)/2, (h+1)/2
	if n := w*h + 2*cw*ch; len(v.planes) != n {
		v.planes = make([]byte, n)
	}
	luma, cb, cr := v.planes[:w*h], v.planes[w*h:][:cw*ch], v.planes[w*h+cw*ch:]
	for y := 0; y < h; y += 2 {
		for x := 0; x < w; x += 2 {
			var r, g, b, n int
			for j := y; j < min(y+2, h); j++ {
				for i := x; i < min(x+2, w); i++ {
					p := img.Pix[j*img.Stride+4*i:][:4:4]
					luma[j*w+i], _, _ = color.RGBToYCbCr(p[0], p[1], p[2])
					r, g, b, n = r+int(p[0]), g+int(p[1]), b+int(p[2]), n+1
				}
			}
			at := y/2*cw + x/2
			_, cb[at], cr[at] = color.RGBToYCbCr(byte((r+n/2)/n), byte((g+n/2)/n), byte((b+n/2)/n))
		}
	}
}
