package rfga

import (
	"math"
	"slices"
)

// A Tally counts, under one protocol, over the images of a data set. Tallies of parts of it can be added up. Its size does
// not depend on the number of images.
type Tally struct {
	images     int // with boxes
	named      int // with a class
	located    int // with both
	top1, top5 int
	right      [len(IoUs)][]int // images whose box is right, at each threshold
	right1     []int            // and whose class was first, at IoU 50
	right5     []int            // and whose class was among the first five
	pixels     Pixels
}

// Naming is how an image was classified.
type Naming struct {
	Known      bool // the image has a class and the map's maker named one
	Top1, Top5 bool
}

// NewTally is an empty one for thresholds (of Thresholds).
func NewTally(thresholds []float64) *Tally {
	t := &Tally{right1: make([]int, len(thresholds)), right5: make([]int, len(thresholds)), pixels: newPixels(thresholds)}
	for i := range t.right {
		t.right[i] = make([]int, len(thresholds))
	}
	return t
}

// Name counts an image's classification.
func (t *Tally) Name(n Naming) {
	if n.Known {
		t.named++
		t.top1 += count(n.Top1)
		t.top5 += count(n.Top5)
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Boxes counts an image's best overlap at each threshold.
func (t *Tally) Boxes(curve []float64, n Naming) {
	t.images++
	t.located += count(n.Known)
	for d, percent := range IoUs {
		need := float64(percent) / 100
		for i, v := range curve {
			if v >= need {
				t.right[d][i]++
				if d == iou50 && n.Known {
					t.right1[i] += count(n.Top1)
					t.right5[i] += count(n.Top5)
				}
			}
		}
	}
}

// Mask counts the pixels of an image's normalised map.
func (t *Tally) Mask(heat []float64, mask []uint8) { t.pixels.count(heat, mask) }

// Add adds what another one counted, over the same thresholds.
func (t *Tally) Add(o *Tally) {
	t.images += o.images
	t.named += o.named
	t.located += o.located
	t.top1 += o.top1
	t.top5 += o.top5
	for d := range t.right {
		addTo(t.right[d], o.right[d])
	}
	addTo(t.right1, o.right1)
	addTo(t.right5, o.right5)
	addTo(t.pixels.inside, o.pixels.inside)
	addTo(t.pixels.outside, o.pixels.outside)
}

func addTo(dst, src []int) {
	for i, v := range src {
		dst[i] += v
	}
}

// Scores are a data set's results in percent; NaN is what the data do not give, or the protocol does not define.
type Scores struct {
	MaxBoxAcc   float64              // single contour, IoU 50
	MaxBoxAccV2 float64              // mean over IoUs: multi contour, and that of the authors' protocol
	At          [len(IoUs)]float64   // accuracy at the best threshold of each IoU
	Best        [len(IoUs)]int       // index of that threshold, the first of equals; -1 without boxes
	Curves      [len(IoUs)][]float64 // accuracy at every threshold; nil without boxes
	PxAP        float64
	Top1, Top5  float64
	// Class right and box right at IoU 50, each at its own best threshold; GT-known asks for the box alone.
	Top1Loc, Top5Loc, GTKnown float64
}

// Scores computes the results under the protocol that was counted.
func (t *Tally) Scores(p Protocol) Scores {
	s := Scores{MaxBoxAcc: math.NaN(), MaxBoxAccV2: math.NaN(), PxAP: t.pixels.precision(), GTKnown: math.NaN(),
		Top1: percent(t.top1, t.named), Top5: percent(t.top5, t.named),
		Top1Loc: percent(slices.Max(t.right1), t.located), Top5Loc: percent(slices.Max(t.right5), t.located)}
	for d, right := range t.right {
		s.At[d], s.Best[d] = math.NaN(), -1
		if t.images == 0 {
			continue
		}
		most := slices.Max(right)
		s.At[d], s.Best[d] = percent(most, t.images), slices.Index(right, most)
		s.Curves[d] = make([]float64, len(right))
		for i, n := range right {
			s.Curves[d][i] = percent(n, t.images)
		}
	}
	s.GTKnown = s.At[iou50]
	if !p.Multi {
		s.MaxBoxAcc = s.At[iou50]
	}
	if p.Multi || p.Norm == P65 {
		s.MaxBoxAccV2 = (s.At[0] + s.At[1] + s.At[2]) / 3
	}
	return s
}

// percent is the share in the order in which the field's code computes it; NaN of nothing.
func percent(n, of int) float64 {
	if of == 0 {
		return math.NaN()
	}
	return float64(float64(n)*100) / float64(of)
}
