package frame

import (
	"fmt"
	"image"
	"math"
)

// Rule says how an image becomes the network's square. The values are those of the model file.
type Rule uint8

const (
	Squash     Rule = 1 // the whole image to W x H
	CenterCrop Rule = 2 // the short side to Resize, then the centre W x H, as torchvision's Resize and CenterCrop
)

// Order is the order of colours that the network takes. The values are those of the model file.
type Order uint8

const (
	RGB Order = 1
	BGR Order = 2
)

// Filter says how pixels are resized.
type Filter uint8

const (
	Exact       Filter = iota // Pillow's bits, after converting the colours of every pixel: for files
	Antialiased               // the same filter in one pass over the frame, to within 1 of 255 where colours are in gamut
	Fast                      // of tall frames only every second, fourth, ... row under the filter: at least four
)

// Spec is how an image becomes the input of a network.
type Spec struct {
	W, H   int
	Rule   Rule  // 0 is Squash
	Resize int   // of CenterCrop, at least W and H
	Order  Order // 0 is RGB
	Filter Filter
}

// Check says what is wrong with a Spec.
func (s Spec) Check() error {
	switch {
	case s.W < 1 || s.H < 1 || s.W > MaxSide || s.H > MaxSide:
		return fmt.Errorf("network input of %dx%d: sides are 1 to %d", s.W, s.H, MaxSide)
	case s.Rule > CenterCrop:
		return fmt.Errorf("there is no resize rule %d", s.Rule)
	case s.Rule == CenterCrop && (s.Resize < max(s.W, s.H) || s.Resize > MaxSide):
		return fmt.Errorf("resize of the short side to %d does not fit a centre crop of %dx%d", s.Resize, s.W, s.H)
	case s.Filter > Fast:
		return fmt.Errorf("there is no filter %d", s.Filter)
	case s.Order > BGR:
		return fmt.Errorf("there is no colour order %d", s.Order)
	}
	return nil
}

// window is the resized image's size and where the network's square lies in it.
func (s Spec) window(w, h int) (fullW, fullH, left, top int) {
	if s.Rule != CenterCrop {
		return s.W, s.H, 0, 0
	}
	if w <= h {
		fullW, fullH = s.Resize, s.Resize*h/w
	} else {
		fullW, fullH = s.Resize*w/h, s.Resize
	}
	half := func(n int) int { return int(math.RoundToEven(float64(n) / 2)) }
	return fullW, fullH, half(fullW - s.W), half(fullH - s.H)
}

// Region returns the part of a w x h image that the network sees, rounded to whole pixels.
func (s Spec) Region(w, h int) image.Rectangle {
	return s.ToSource(image.Rect(0, 0, s.W, s.H), s.W, s.H, w, h)
}

// ToSource turns a half-open rectangle on a grid of gridW x gridH cells over the network's square (the square's own pixels,
// a heat map's cells) into pixels of the w x h image it was made from: half-open, edges rounded to the nearest pixel
// boundary, inside the image and at least one pixel wide and high.
func (s Spec) ToSource(r image.Rectangle, gridW, gridH, w, h int) image.Rectangle {
	fullW, fullH, left, top := s.window(w, h)
	x := func(v int) int { return edge(v, s.W, gridW, left, w, fullW) }
	y := func(v int) int { return edge(v, s.H, gridH, top, h, fullH) }
	x0, x1 := span(x(r.Min.X), x(r.Max.X), w)
	y0, y1 := span(y(r.Min.Y), y(r.Max.Y), h)
	return image.Rectangle{Min: image.Pt(x0, y0), Max: image.Pt(x1, y1)}
}

// edge computes (v*square/grid + offset)*size/full, rounded to nearest.
func edge(v, square, grid, offset, size, full int) int {
	num, den := (int64(v)*int64(square)+int64(offset)*int64(grid))*int64(size), int64(grid)*int64(full)
	return int((2*num + den) / (2 * den))
}

// span limits lo..hi to 0..n and keeps one element of it.
func span(lo, hi, n int) (int, int) {
	lo = min(max(lo, 0), n-1)
	return lo, min(max(hi, lo+1), n)
}

// A Resizer makes network inputs. It keeps coefficients and memory: for images of one size it allocates only the first
// time. The zero value is ready; a Resizer serves one goroutine at a time.
type Resizer struct {
	horizontal, vertical taps
	line                 []byte // a source row as RGB
	rows                 []byte // horizontally resized source rows
	acc                  []int32
	image                Frame
	fused                fused
}

// Preprocess writes the network's square to dst: W*H*3 bytes in the order of colours that the Spec asks for.
func (r *Resizer) Preprocess(dst []byte, img *Image, spec Spec) error {
	r.image = Frame{Format: RGB24, Width: img.W, Height: img.H, Planes: [3][]byte{img.Pix}}
	err := r.PreprocessFrame(dst, &r.image, spec)
	r.image.Planes[0] = nil
	return err
}

// PreprocessFrame is Preprocess for frames, or for the part of one that Crop names. With the filter Exact a YCbCr frame is converted at its full size,
// each pixel with the chroma sample of its block, before it is resized.
func (r *Resizer) PreprocessFrame(dst []byte, f *Frame, spec Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if err := f.Check(); err != nil {
		return err
	}
	if len(dst) != 3*spec.W*spec.H {
		return fmt.Errorf("destination of %d bytes: a network input of %dx%d has %d", len(dst), spec.W, spec.H, 3*spec.W*spec.H)
	}
	view := f.View()
	fullW, fullH, left, top := spec.window(view.Dx(), view.Dy())
	r.horizontal.prepare(view.Dx(), fullW, left, spec.W)
	r.vertical.prepare(view.Dy(), fullH, top, spec.H)
	if spec.Filter != Exact {
		r.fused.prepare(f, spec, &r.horizontal, &r.vertical)
		r.fused.run(dst, f, spec)
		return nil
	}

	n := 3 * spec.W
	from, _ := r.vertical.at(0)
	last, coef := r.vertical.at(spec.H - 1)
	to := last + len(coef)
	r.rows = grow(r.rows, (to-from)*n)
	r.line = grow(r.line, 3*f.Width)
	for y := from; y < to; y++ {
		line := r.line
		if f.Format == RGB24 {
			line = f.rows(view.Min.Y + y)[0]
		} else {
			f.rgbRow(line, view.Min.Y+y)
		}
		line = line[3*view.Min.X : 3*view.Max.X]
		out := r.rows[(y-from)*n:][:n]
		if fullW == view.Dx() { // the filter would give every pixel itself
			copy(out, line[3*left:])
		} else {
			r.horizontal.row(out, line)
		}
	}
	r.acc = grow(r.acc, n)
	for y := range spec.H {
		out := dst[y*n:][:n]
		if fullH == view.Dy() {
			copy(out, r.rows[(top+y-from)*n:])
		} else {
			r.vertical.column(out, y, r.rows, from, r.acc)
		}
	}
	if spec.Order == BGR {
		for i := 0; i < len(dst); i += 3 {
			dst[i], dst[i+2] = dst[i+2], dst[i]
		}
	}
	return nil
}
