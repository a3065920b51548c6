package rfga

import (
	"cmp"
	"slices"
)

// A Box is where an object is, in cells of the heat map.
type Box struct {
	X0, Y0, X1, Y1 int     // half-open: X1-X0 columns
	Area           float64 // share of the map's cells that the object covers, holes left out
	Mean           float64 // mean heat over them
}

// region collects what a Box says about one component.
type region struct {
	cells int
	heat  float64
}

// Boxes finds objects in a heat map of h rows of w values in 0..1: the components of what is hotter than threshold times
// the maximum (both quantized to 8 bits as the evaluation protocol does). Without multi, the one of the largest polygon area;
// with multi all, the largest first, and of equals the one that Contours gives first. No foreground, no box.
//
// The box is that of the evaluation protocol before it is cut to the map's last row and column. The result is valid until
// the Mapper's next call.
func (m *Mapper) Boxes(heat []float64, w, h int, threshold float64, multi bool) []Box {
	heat = heat[:w*h]
	m.levels = grow(m.levels, len(heat))
	top := Quantize(m.levels, heat)
	contours := m.Contours(m.levels, w, h, Level(threshold, top))
	m.measure(heat, w, h)
	if !multi {
		contours = contours[Largest(contours):]
		contours = contours[:min(1, len(contours))]
	} else {
		contours = slices.DeleteFunc(contours, func(c Contour) bool { return c.Hole })
		slices.SortStableFunc(contours, func(a, b Contour) int { return cmp.Compare(b.Area2, a.Area2) })
	}
	m.boxes = m.boxes[:0]
	for _, c := range contours {
		r := m.regions[c.id]
		m.boxes = append(m.boxes, Box{
			X0: c.X, Y0: c.Y, X1: c.X + c.W, Y1: c.Y + c.H,
			Area: float64(r.cells) / float64(len(heat)), Mean: r.heat / float64(r.cells),
		})
	}
	return m.boxes
}

// Boxes is Mapper.Boxes with memory of its own.
func Boxes(heat []float64, w, h int, threshold float64, multi bool) []Box {
	return new(Mapper).Boxes(heat, w, h, threshold, multi)
}

// Largest returns the index of the first contour of maximal polygon area, 0 if there is none. It is an outer one: a hole's
// polygon is never larger than that of the component around it, which comes before it.
func Largest(contours []Contour) int {
	best := 0
	for i := range contours {
		if contours[i].Area2 > contours[best].Area2 {
			best = i
		}
	}
	return best
}

// measure sums up every component's cells and heat, after the borders have been traced: a run of foreground in a row starts
// on a border, so its first label names the component.
func (m *Mapper) measure(heat []float64, w, h int) {
	t := &m.trace
	m.regions = grow(m.regions, len(t.borders))
	clear(m.regions)
	for y := range h {
		labels := t.label[(y+1)*t.stride+1:][:w]
		row := heat[y*w:][:w]
		owner := int32(0)
		for x, v := range labels {
			if v == 0 {
				owner = 0
				continue
			}
			if owner == 0 {
				owner = max(v, -v)
				if t.borders[owner].Hole {
					owner = t.borders[owner].parent
				}
			}
			r := &m.regions[owner]
			r.cells++
			r.heat += row[x]
		}
	}
}

// EvalBox is a box of the evaluation protocol: x0, y0, x1, y1 with both ends inside.
type EvalBox [4]int

// EvalBoxes appends to dst the boxes that the evaluation protocol gives for one threshold: of levels (a heat map after
// Quantize) above level, the largest contour or every one, holes included, as x, y, min(x+w, width-1), min(y+h, height-1);
// without a contour the one box 0,0,0,0.
func (m *Mapper) EvalBoxes(dst []EvalBox, levels []uint8, w, h int, level uint8, multi bool) []EvalBox {
	return appendEvalBoxes(dst, m.Contours(levels, w, h, level), w, h, multi)
}

func appendEvalBoxes(dst []EvalBox, contours []Contour, w, h int, multi bool) []EvalBox {
	if len(contours) == 0 {
		return append(dst, EvalBox{})
	}
	if !multi {
		contours = contours[Largest(contours):][:1]
	}
	for _, c := range contours {
		dst = append(dst, EvalBox{c.X, c.Y, min(c.X+c.W, w-1), min(c.Y+c.H, h-1)})
	}
	return dst
}
