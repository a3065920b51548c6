package rfgaedge

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/rfga"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Session localizes frames one at a time, with memory of its own. It is not safe for concurrent use; sessions of one model
// share its weights.
type Session struct {
	m       *Model
	rt      *runtime.Session
	options LocalizeOptions
	spec    frame.Spec
	loc     format.Localization
	resizer frame.Resizer
	mapper  rfga.Mapper
	mean    [3]byte // the colour that the network takes for nothing
	hiding  hiding
	input   []byte    // the network's square
	logits  []float32 // one per class
	probs   []float32
	cam     []float32 // one class map
	heat    []float64 // and its heat map, in the input's resolution
}

// NewSession allocates what localizing needs, on top of the model's default options. Close stops its threads.
// A model without a class activation head gives ErrNoHead.
func (m *Model) NewSession(opts ...Option) (*Session, error) {
	c := m.defaults
	for _, o := range opts {
		if err := o(&c); err != nil {
			return nil, err
		}
	}
	h, w, classes := m.rt.MapShape()
	if classes == 0 {
		return nil, fmt.Errorf("model %q: %w", m.Name(), ErrNoHead)
	}
	fm := m.rt.Format()
	s := &Session{m: m, spec: FrameSpec(&fm.Pre), loc: fm.Loc}
	s.spec.Filter = c.filter
	for i, m := range fm.Pre.Mean {
		s.mean[i] = byte(math.RoundToEven(min(max(255*float64(m), 0), 255)))
	}
	if s.loc.Norm == 0 { // a file whose maps are no output need not say
		s.loc = format.Localization{Norm: format.HeatP65, Threshold: 0.05}
	}
	if err := s.SetOptions(c.localize); err != nil {
		return nil, err
	}
	var err error
	if s.rt, err = m.rt.NewSession(runtime.Options{Threads: c.threads}); err != nil {
		return nil, err
	}
	inW, inH := m.InputSize()
	s.input = make([]byte, 3*inW*inH)
	s.logits, s.probs = make([]float32, classes), make([]float32, classes)
	s.cam, s.heat = make([]float32, h*w), make([]float64, inW*inH)
	return s, nil
}

// Close stops the session's threads. The session must not be used afterwards.
func (s *Session) Close() { s.rt.Close() }

// SetOptions changes what the following calls of Localize look for.
func (s *Session) SetOptions(o LocalizeOptions) error {
	if err := s.m.checkOptions(&o); err != nil {
		return err
	}
	o.TopK = min(max(o.TopK, 1), s.m.Classes())
	if o.Threshold == 0 {
		o.Threshold = float64(s.loc.Threshold)
	}
	s.options = o
	return nil
}

func (m *Model) checkOptions(o *LocalizeOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	for _, id := range o.Classes {
		if n := m.Classes(); id < 0 || id >= n {
			return &OptionError{"Classes", fmt.Sprintf("id %d is not in 0..%d", id, n-1)}
		}
	}
	return nil
}

// Localize finds what is in the frame and where, and writes it to r. It stops between two layers when ctx is done. The
// frame is not kept; a *FrameError says what is wrong with one. After an error r holds nothing of use.
func (s *Session) Localize(ctx context.Context, f *Frame, r *Result) error {
	begin := time.Now()
	r.reset(f)
	if err := s.resizer.PreprocessFrame(s.input, f, s.spec); err != nil {
		return err
	}
	if mask := s.options.Mask; mask != nil {
		s.hiding.prepare(mask, f, &s.spec)
		s.hiding.paint(s.input, s.mean)
	}
	if err := s.rt.SetImage(0, s.input); err != nil {
		return err
	}
	prepared := time.Now()
	if err := s.rt.RunHead(ctx); err != nil {
		return err
	}
	if err := s.rt.Logits(0, s.logits); err != nil {
		return err
	}
	softmax(s.probs, s.logits)
	s.name(r)
	inferred := time.Now()
	if s.options.Classes == nil {
		for i, c := range r.Classes {
			if s.options.Locate > 0 && i == s.options.Locate {
				break
			}
			if err := s.locate(r, c, f); err != nil {
				return err
			}
		}
	}
	for _, id := range s.options.Classes {
		if err := s.locate(r, s.class(id), f); err != nil {
			return err
		}
	}
	r.Timings = Timings{prepared.Sub(begin), inferred.Sub(prepared), time.Since(inferred)}
	return nil
}

func (r *Result) reset(f *Frame) {
	*r = Result{Width: f.Width, Height: f.Height, Classes: r.Classes[:0], Locations: r.Locations[:0], Heat: Heat{Pix: r.Heat.Pix[:0]}}
}

func (s *Session) class(id int) Class { return Class{id, s.m.label(id), s.probs[id]} }

// name appends the most probable classes, of equals those with the smaller id first.
func (s *Session) name(r *Result) {
	for id, p := range s.probs {
		if float64(p) < s.options.MinP {
			continue
		}
		at := len(r.Classes)
		for at > 0 && s.logits[r.Classes[at-1].ID] < s.logits[id] {
			at--
		}
		if at == s.options.TopK {
			continue
		}
		if len(r.Classes) < s.options.TopK {
			r.Classes = append(r.Classes, Class{})
		}
		copy(r.Classes[at+1:], r.Classes[at:])
		r.Classes[at] = s.class(id)
	}
}

// locate appends the boxes of a class, and its heat map where that is wanted.
func (s *Session) locate(r *Result, c Class, f *Frame) error {
	if float64(c.P) < s.options.MinP {
		return nil
	}
	if err := s.rt.ClassMap(0, c.ID, s.cam); err != nil {
		return err
	}
	mh, mw, _ := s.m.rt.MapShape()
	w, h := s.m.InputSize()
	s.mapper.HeatMap(s.heat, w, h, s.cam, mw, mh, rfga.Norm(s.loc.Norm))
	if s.options.Mask != nil {
		s.hiding.cool(s.heat)
	}
	for _, b := range s.mapper.Boxes(s.heat, w, h, s.options.Threshold, s.options.Multi) {
		box := s.toFrame(b, f)
		r.Locations = append(r.Locations, Location{Class: c, Box: box, Threshold: s.options.Threshold, Area: b.Area})
	}
	if s.options.Heat && len(r.Heat.Pix) == 0 {
		r.Heat.Class, r.Heat.Width, r.Heat.Height, r.Heat.Region = c.ID, w, h, s.region(f)
		r.Heat.Pix = append(r.Heat.Pix, s.heat...)
	}
	return nil
}
