package rfga

import (
	"fmt"
	"math"
)

// GridSide is the side of the square on which the evaluation protocols compare maps with boxes and masks, whatever the
// sizes of the images and of the network.
const GridSide = 224

// IoUs are the overlaps, in percent, at which a box counts as right.
var IoUs = [...]int{30, 50, 70}

const iou50 = 1 // index in IoUs of the overlap that GT-known, Top-1 and Top-5 localization ask for

// A Protocol says how a map becomes boxes.
type Protocol struct {
	Name  string
	Norm  Norm
	Multi bool // every contour may hit, not the largest alone
}

// Contours says which contours give boxes: "single" or "multi".
func (p Protocol) Contours() string {
	if p.Multi {
		return "multi"
	}
	return "single"
}

// Protocols are those of the field: the first and second version of clovaai/wsolevaluation (Choe et al., "Evaluating weakly
// supervised object localization methods right", CVPR 2020, arXiv 2007.04178), and that of the authors of RFGA.
var Protocols = []Protocol{
	{Name: "clova-v1", Norm: MinMax},
	{Name: "clova-v2", Norm: MinMax, Multi: true},
	{Name: "moana", Norm: P65},
}

// Thresholds returns 0, step, 2*step, ... below 1, the shares of the maximum at which a map is cut.
func Thresholds(step float64) ([]float64, error) {
	const smallest = 1e-5
	if !(step >= smallest && step < 1) {
		return nil, fmt.Errorf("a step of %g between thresholds is not in %g..1", step, smallest)
	}
	t := make([]float64, int(math.Ceil(1/step)))
	for i := range t {
		t[i] = float64(i) * step
	}
	return t, nil
}

// Truth is what is known about an image: boxes on the grid, or a mask.
type Truth struct {
	Boxes []EvalBox
	Mask  []uint8 // GridSide rows of GridSide values: Background, Foreground or Ignored; nil without one
}

// Values of a mask.
const (
	Background uint8 = 0
	Foreground uint8 = 1
	Ignored    uint8 = 255 // left out of PxAP
)

// A Scorer measures one map after the other under some protocols. Contours that two protocols share are found once. It
// keeps its memory and serves one goroutine at a time.
type Scorer struct {
	thresholds []float64
	groups     []group
	mapper     Mapper
	resized    []float64
	heat       []float64
	levels     []uint8
	boxes      []EvalBox
}

// group is the protocols of one normalisation.
type group struct {
	norm      Norm
	protocols []int // indices in the Scorer's list
	multi     []bool
}

// NewScorer prepares for protocols and thresholds (of Thresholds).
func NewScorer(protocols []Protocol, thresholds []float64) *Scorer {
	s := &Scorer{thresholds: thresholds, resized: make([]float64, GridSide*GridSide), heat: make([]float64, GridSide*GridSide),
		levels: make([]uint8, GridSide*GridSide)}
	for i, p := range protocols {
		g := 0
		for g < len(s.groups) && s.groups[g].norm != p.Norm {
			g++
		}
		if g == len(s.groups) {
			s.groups = append(s.groups, group{norm: p.Norm})
		}
		s.groups[g].protocols = append(s.groups[g].protocols, i)
		s.groups[g].multi = append(s.groups[g].multi, p.Multi)
	}
	return s
}

// Score measures a class map of h rows of w values. For every protocol p it calls boxes(p, curve) if the truth has boxes,
// with the best overlap (EvalIoU of any predicted and any true box) at each threshold, and mask(p, heat) if it has a mask,
// with the normalised map. Both slices are valid during the call only.
func (s *Scorer) Score(m []float64, w, h int, truth Truth, boxes func(p int, curve []float64), mask func(p int, heat []float64)) {
	s.mapper.Resize(s.resized, GridSide, GridSide, m, w, h)
	var curves [2][]float64 // of single and multi
	for _, g := range s.groups {
		copy(s.heat, s.resized)
		Normalize(s.heat, g.norm)
		if truth.Mask != nil {
			for _, p := range g.protocols {
				mask(p, s.heat)
			}
		}
		if len(truth.Boxes) == 0 {
			continue
		}
		single, multi := false, false
		for _, m := range g.multi {
			single, multi = single || !m, multi || m
		}
		curves[0], curves[1] = s.overlaps(truth.Boxes, single, multi)
		for i, p := range g.protocols {
			if g.multi[i] {
				boxes(p, curves[1])
			} else {
				boxes(p, curves[0])
			}
		}
	}
}

// overlaps cuts the heat map at every threshold. Thresholds of one 8-bit level, and levels between which no value lies, have
// the same contours.
func (s *Scorer) overlaps(truth []EvalBox, single, multi bool) (one, all []float64) {
	one, all = make([]float64, len(s.thresholds)), make([]float64, len(s.thresholds))
	top := Quantize(s.levels, s.heat)
	var present [256]bool
	for _, v := range s.levels {
		present[v] = true
	}
	last := -1
	for i, t := range s.thresholds {
		level := int(Level(t, top))
		same := last >= 0
		for v := last + 1; v <= level; v++ {
			same = same && !present[v]
		}
		if last = level; same {
			one[i], all[i] = one[i-1], all[i-1]
			continue
		}
		contours := s.mapper.Contours(s.levels, GridSide, GridSide, uint8(level))
		if single {
			s.boxes = appendEvalBoxes(s.boxes[:0], contours, GridSide, GridSide, false)
			one[i] = bestOverlap(s.boxes, truth)
		}
		if multi {
			s.boxes = appendEvalBoxes(s.boxes[:0], contours, GridSide, GridSide, true)
			all[i] = bestOverlap(s.boxes, truth)
		}
	}
	return one, all
}

func bestOverlap(boxes, truth []EvalBox) float64 {
	best := 0.0
	for _, b := range boxes {
		for _, t := range truth {
			best = max(best, EvalIoU(b, t))
		}
	}
	return best
}
