package rfga

import "fmt"

// IoU is the intersection over union of two half-open boxes, 0 if both are empty.
func IoU(a, b Box) float64 {
	area := func(w, h int) int { return max(w, 0) * max(h, 0) }
	both := area(min(a.X1, b.X1)-max(a.X0, b.X0), min(a.Y1, b.Y1)-max(a.Y0, b.Y0))
	all := area(a.X1-a.X0, a.Y1-a.Y0) + area(b.X1-b.X0, b.Y1-b.Y0) - both
	if all <= 0 {
		return 0
	}
	return float64(both) / float64(all)
}

// EvalIoU is the intersection over union of the evaluation protocol: inclusive ends, so that 1 is added to widths, heights
// and those of the intersection; 0 for an empty union. The boxes are expected to be Valid.
func EvalIoU(a, b EvalBox) float64 {
	area := func(b EvalBox) int { return (b[2] - b[0] + 1) * (b[3] - b[1] + 1) }
	both := max(0, min(a[2], b[2])-max(a[0], b[0])+1) * max(0, min(a[3], b[3])-max(a[1], b[1])+1)
	all := area(a) + area(b) - both
	if all <= 0 {
		return 0
	}
	return float64(both) / float64(all)
}

// Valid reports what the evaluation protocol refuses: negative coordinates, and ends before beginnings.
func (b EvalBox) Valid() error {
	if min(b[0], b[1], b[2], b[3]) < 0 {
		return fmt.Errorf("box %v has a negative coordinate", [4]int(b))
	}
	if b[2] < b[0] || b[3] < b[1] {
		return fmt.Errorf("box %v ends before it begins (expected x0,y0,x1,y1)", [4]int(b))
	}
	return nil
}

// TruthBox moves a ground-truth box from an image of width x height pixels to the evaluation grid of w x h:
// trunc(coordinate*grid/size), multiplied first.
func TruthBox(box [4]float64, width, height, w, h int) EvalBox {
	scale := func(v float64, to, from int) int { return int(v * float64(to) / float64(from)) }
	return EvalBox{scale(box[0], w, width), scale(box[1], h, height), scale(box[2], w, width), scale(box[3], h, height)}
}
