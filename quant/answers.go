package quant

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/rfga-edge/rfga-edge/rfga"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Metric says how the answers of a quantized network are compared with those of the float network.
type Metric uint8

const (
	// Top1 counts the images whose most probable class is another one.
	Top1 Metric = iota
	// Maps is one minus Pearson's correlation of the class maps of the float network's class.
	Maps
	// IoU is one minus the intersection over union of the boxes of the float network's class.
	IoU
)

var metricNames = [...]string{"top1", "map", "iou"}

func (m Metric) String() string {
	if int(m) < len(metricNames) {
		return metricNames[m]
	}
	return fmt.Sprintf("Metric(%d)", uint8(m))
}

// ParseMetric reads top1, map or iou.
func ParseMetric(s string) (Metric, error) {
	for i, n := range metricNames {
		if s == n {
			return Metric(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no metric; there are %s", s, strings.Join(metricNames[:], ", "))
}

// answer is what a network says of an image.
type answer struct {
	scores []float32 // a number a class
	class  int       // of the largest
	cam    []float32 // the class map, of a network that makes them
	boxes  []rfga.Box
}

// respondent runs a network for its answers.
type respondent struct {
	rm     *runtime.Model
	s      *runtime.Session
	loc    format.Localization
	scores int // output to read them from, -1 for the head
	n      int
	mapper rfga.Mapper
	heat   []float64
}

// newRespondent makes a session of m; observe, unless nil, sees the float activations, and may change them.
func newRespondent(m *format.Model, threads int, observe func(image, tensor int, data []float32)) (*respondent, error) {
	registerMatMul()
	rm, err := runtime.FromFormat(m)
	if err != nil {
		return nil, err
	}
	r := &respondent{rm: rm, loc: m.Loc, scores: -1}
	if r.loc.Norm == 0 {
		r.loc = format.Localization{Norm: format.HeatP65, Threshold: 0.05} // as a session of the root package does
	}
	if _, _, r.n = rm.MapShape(); r.n == 0 {
		for i, o := range m.Outputs {
			if s := m.Tensors[o.Tensor].Shape; s[1] == 1 && s[2] == 1 && s[3] > 1 && r.scores < 0 {
				r.scores, r.n = i, s[3]
			}
		}
		if r.scores < 0 {
			return nil, errors.New("the model has no output of class scores")
		}
	}
	r.s, err = rm.NewSession(runtime.Options{Threads: min(threads, runtime.MaxThreads), Observe: observe})
	return r, err
}

func (r *respondent) close() {
	r.s.Close()
	r.rm.Close()
}

// ask returns the answer to an image; the map and the box are those of class, or of the answer's own if class is below 0.
func (r *respondent) ask(ctx context.Context, x []float32, class int) (*answer, error) {
	if err := r.s.SetFloat(0, x); err != nil {
		return nil, err
	}
	a := &answer{scores: make([]float32, r.n)}
	var err error
	if r.scores >= 0 {
		if err = r.s.Run(ctx); err == nil {
			err = r.s.OutputFloat(0, r.scores, a.scores)
		}
	} else if err = r.s.RunHead(ctx); err == nil {
		err = r.s.Logits(0, a.scores)
	}
	if err != nil {
		return nil, err
	}
	for k, v := range a.scores {
		if v > a.scores[a.class] {
			a.class = k
		}
	}
	if r.scores >= 0 {
		return a, nil
	}
	if class < 0 {
		class = a.class
	}
	h, w, _ := r.rm.MapShape()
	a.cam = make([]float32, h*w)
	if err := r.s.ClassMap(0, class, a.cam); err != nil {
		return nil, err
	}
	p := &r.rm.Format().Pre
	if r.heat == nil {
		r.heat = make([]float64, p.Width*p.Height)
	}
	r.mapper.HeatMap(r.heat, p.Width, p.Height, a.cam, w, h, rfga.Norm(r.loc.Norm))
	a.boxes = append(a.boxes, r.mapper.Boxes(r.heat, p.Width, p.Height, float64(r.loc.Threshold), false)...)
	return a, nil
}

// loss is how far b is from a, the float network's answer to the same image: 0 for no difference, 1 for nothing in common.
func (m Metric) loss(a, b *answer) float64 {
	switch m {
	case Top1:
		if a.class != b.class {
			return 1
		}
		return 0
	case Maps:
		return 1 - pearson(a.cam, b.cam)
	}
	switch {
	case len(a.boxes) == 0 && len(b.boxes) == 0:
		return 0
	case len(a.boxes) == 0 || len(b.boxes) == 0:
		return 1
	}
	return 1 - rfga.IoU(a.boxes[0], b.boxes[0])
}

// noise is the power of b's error over that of a's differences, of what the metric is about.
func (m Metric) noise(a, b *answer) float64 {
	u, v := a.cam, b.cam
	if m == Top1 {
		u, v = a.scores, b.scores
	}
	mean := 0.0
	for _, x := range u {
		mean += float64(x) / float64(len(u))
	}
	signal, noise := 0.0, 0.0
	for i, x := range u {
		d, e := float64(x)-mean, float64(v[i])-float64(x)
		signal, noise = signal+d*d, noise+e*e
	}
	if signal == 0 {
		return 0
	}
	return noise / signal
}

// pearson is the correlation of two maps. Of constant ones it is 1 if both are, else 0.
func pearson(a, b []float32) float64 {
	n := float64(len(a))
	var ma, mb float64
	for i := range a {
		ma, mb = ma+float64(a[i])/n, mb+float64(b[i])/n
	}
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i])-ma, float64(b[i])-mb
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		if aa == bb {
			return 1
		}
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
