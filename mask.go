package rfgaedge

import (
	"image"

	"github.com/rfga-edge/rfga-edge/frame"
)

// hiding is what a mask hides of the network's square, for one geometry.
type hiding struct {
	key    hidingKey
	hidden []bool // by pixel of the square
	dark   []bool // the same before it is widened
	xs     []int  // the mask's column for every column of the square
}

type hidingKey struct {
	mask          *image.Gray
	width, height int
	view          image.Rectangle
}

// maskLevel is the gray from which on a mask shows what is there.
const maskLevel = 128

// prepare finds what is hidden, unless it is known.
func (h *hiding) prepare(mask *image.Gray, f *Frame, spec *frame.Spec) {
	key := hidingKey{mask, f.Width, f.Height, f.View()}
	if h.key == key {
		return
	}
	h.key = key
	if len(h.hidden) == 0 {
		h.hidden, h.dark, h.xs = make([]bool, spec.W*spec.H), make([]bool, spec.W*spec.H), make([]int, spec.W)
	}
	// The middle of each of the square's pixels, in the frame and from there in the mask, which is stretched over the frame.
	at := func(x, y int) image.Point {
		r := spec.ToSource(image.Rect(x, y, x+1, y+1), spec.W, spec.H, key.view.Dx(), key.view.Dy()).Add(key.view.Min)
		stretch := func(v, size, of int) int { return int(int64(v) * int64(size) / int64(2*of)) }
		return mask.Rect.Min.Add(image.Pt(stretch(r.Min.X+r.Max.X, mask.Rect.Dx(), f.Width), stretch(r.Min.Y+r.Max.Y, mask.Rect.Dy(), f.Height)))
	}
	for x := range h.xs {
		h.xs[x] = at(x, 0).X
	}
	for y := range spec.H {
		row := at(0, y).Y
		out := h.dark[y*spec.W:][:spec.W]
		for x := range out {
			out[x] = mask.GrayAt(h.xs[x], row).Y < maskLevel
		}
	}
	h.widen(spec.W, spec.H)
}

// widen hides the neighbours of what is dark too: the resize, whose filter reaches from one pixel's middle to the next one's, has
// mixed some of it into them.
func (h *hiding) widen(w, height int) {
	clear(h.hidden)
	for y := range height {
		for x := range w {
			if !h.dark[y*w+x] {
				continue
			}
			for v := max(y-1, 0); v < min(y+2, height); v++ {
				for u := max(x-1, 0); u < min(x+2, w); u++ {
					h.hidden[v*w+u] = true
				}
			}
		}
	}
}

// paint gives hidden pixels of the square a colour.
func (h *hiding) paint(square []byte, color [3]byte) {
	for i, hidden := range h.hidden {
		if hidden {
			copy(square[3*i:3*i+3], color[:])
		}
	}
}

// cool takes the heat away from where it is hidden.
func (h *hiding) cool(heat []float64) {
	for i, hidden := range h.hidden {
		if hidden {
			heat[i] = 0
		}
	}
}
