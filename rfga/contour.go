package rfga

// A Contour is one border of the foreground: the outside of a component, or of a hole in it.
type Contour struct {
	X, Y, W, H int // bounding box of the border pixels, which are foreground; around a hole it is the hole's box grown by 1
	// Area2 is twice the area of the polygon through the centres of the border pixels; 0 for a thin line.
	Area2 int64
	Hole  bool

	id int32 // the border's number, which labels its pixels
}

// tracer finds borders by border following (Suzuki and Abe, "Topological structural analysis of digitized binary images by
// border following", 1985, algorithm 1). It keeps its memory.
type tracer struct {
	stride  int
	label   []int32 // the image with a frame of zeros: 0 background, 1 foreground not on a border seen so far, +-border number
	borders []border
	out     []Contour
}

type border struct {
	Contour
	parent, child, sibling int32 // 0: none; child is the one found last, sibling the one found before
}

const frameBorder = 1 // number of the frame around the image, the hole that holds everything

// Contours finds the contours of the foreground of img, h rows of w values: the values above level. Foreground pixels are
// connected with their 8 neighbours, background pixels with 4; the image stands in a frame of background.
//
// The order is that of OpenCV's findContours(RETR_TREE): depth first, parents before children, siblings by descending
// position of the pixel that a raster scan meets first. The result is valid until the Mapper's next call.
func (m *Mapper) Contours(img []uint8, w, h int, level uint8) []Contour {
	return m.trace.find(img, w, h, level)
}

func (t *tracer) find(img []uint8, w, h int, level uint8) []Contour {
	t.load(img, w, h, level)
	t.borders = append(t.borders[:0], border{}, border{Contour: Contour{Hole: true, id: frameBorder}})
	for y := range h {
		t.scan(w, y)
	}
	t.order()
	return t.out
}

func (t *tracer) load(img []uint8, w, h int, level uint8) {
	t.stride = w + 2
	t.label = grow(t.label, t.stride*(h+2))
	clear(t.label)
	for y := range h {
		row := t.label[(y+1)*t.stride+1:][:w]
		for x, v := range img[y*w:][:w] {
			if v > level {
				row[x] = 1
			}
		}
	}
}

// scan walks along one row, follows every border that starts on it, and keeps track of the border met last, which tells
// where in the tree a new one belongs.
func (t *tracer) scan(w, y int) {
	last := int32(frameBorder)
	at := (y+1)*t.stride + 1
	for x := 0; x < w; x, at = x+1, at+1 {
		v := t.label[at]
		if v == 0 {
			continue
		}
		switch {
		case v == 1 && t.label[at-1] == 0:
			t.follow(at, x, y, false, last)
		case v >= 1 && t.label[at+1] == 0:
			if v > 1 {
				last = v
			}
			t.follow(at, x, y, true, last)
		}
		if v = t.label[at]; v != 1 {
			last = max(v, -v)
		}
	}
}

// Steps to the eight neighbours, counterclockwise from the right one.
var stepX = [8]int{1, 1, 0, -1, -1, -1, 0, 1}
var stepY = [8]int{0, -1, -1, -1, 0, 1, 1, 1}

// follow follows the border that starts at a pixel: an outer border, whose left neighbour is background, or a hole's,
// whose right neighbour is. Pixels get the border's number, negated where their right neighbour belongs to its background.
func (t *tracer) follow(start, x, y int, hole bool, last int32) {
	n := int32(len(t.borders))
	parent := last
	if t.borders[last].Hole == hole {
		parent = t.borders[last].parent
	}
	t.borders = append(t.borders, border{parent: parent, sibling: t.borders[parent].child})
	t.borders[parent].child = n
	b := &t.borders[n]

	var step [8]int
	for d := range step {
		step[d] = stepY[d]*t.stride + stepX[d]
	}
	from := 4
	if hole {
		from = 0
	}
	// Clockwise from the background pixel to the first foreground neighbour, the pixel where the walk will end.
	d := (from + 7) & 7
	for d != from && t.label[start+step[d]] == 0 {
		d = (d + 7) & 7
	}
	if d == from { // a pixel alone
		t.label[start] = -n
		b.Contour = Contour{X: x, Y: y, W: 1, H: 1, Hole: hole, id: n}
		return
	}
	end := start + step[d]
	at, x0, y0, x1, y1 := start, x, y, x, y
	var cross int64
	for {
		// Counterclockwise from where we came to the next foreground pixel.
		right := false // the right neighbour is background that this walk has passed
		for d = (d + 1) & 7; t.label[at+step[d]] == 0; d = (d + 1) & 7 {
			right = right || d == 0
		}
		if right {
			t.label[at] = -n
		} else if t.label[at] == 1 {
			t.label[at] = n
		}
		next := at + step[d]
		// The cross product of two neighbours is that of the first and the step.
		cross += int64(x*stepY[d] - y*stepX[d])
		if next == start && at == end {
			break
		}
		x, y = x+stepX[d], y+stepY[d]
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
		at, d = next, d^4
	}
	b.Contour = Contour{X: x0, Y: y0, W: x1 - x0 + 1, H: y1 - y0 + 1, Area2: max(cross, -cross), Hole: hole, id: n}
}

// order lists the tree depth first.
func (t *tracer) order() {
	t.out = t.out[:0]
	at := t.borders[frameBorder].child
	for at > frameBorder {
		b := &t.borders[at]
		t.out = append(t.out, b.Contour)
		if b.child != 0 {
			at = b.child
			continue
		}
		for at > frameBorder && t.borders[at].sibling == 0 {
			at = t.borders[at].parent
		}
		at = t.borders[at].sibling // the frame has none: 0
	}
}
