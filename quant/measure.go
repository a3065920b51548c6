package quant

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// A Twin is the float network that a quantized one stands for, activation by activation and channel by channel: after all
// that leaves the network's results alone (simplification, equalization, the order of channels).
type Twin struct {
	Float *format.Model
	// Of has, for each tensor of the quantized model, the one of Float that it stands for; -1 for none.
	Of []int
	// Cut marks tensors of the quantized model whose grid ends where the functions that read them no longer change.
	Cut []bool
}

// twin says what the tensors of the result stand for.
func (l *lowerer) twin() *Twin {
	w := &Twin{Float: l.m, Of: slices.Repeat([]int{-1}, len(l.out.Tensors)), Cut: make([]bool, len(l.out.Tensors))}
	for t, y := range l.index {
		if y >= 0 {
			w.Of[y], w.Cut[y] = t, l.cut[t]
		}
	}
	by := producers(l.out)
	for t, y := range l.real {
		if y >= 0 && by[y] >= 0 && l.out.Ops[by[y]].Kind != format.OpDequantize { // a float layer made it
			w.Of[y] = t
		}
	}
	return w
}

// Measurement says what quantization cost on real images.
type Measurement struct {
	Images int        `json:"images"`
	Layers []Measured `json:"layers"` // in the order of execution, the model's outputs last
}

// Measured is about one activation or output. Ratios are in decibels, over all values of all images; they are capped at 200.
type Measured struct {
	Tensor int    `json:"tensor"` // of the quantized model
	Name   string `json:"name"`
	Layer  string `json:"layer"` // the operator that makes it
	Kind   string `json:"kind"`
	Type   string `json:"type"` // i8, i16, f32; of the class activation head i32 and i64
	// Output is the name of the model's output that this is; empty for what is only read by other layers.
	Output string `json:"output,omitempty"`
	// SNR compares the quantized network with the float one: the errors of all layers up to here together. Own is the error of
	// this layer alone: its inputs are the float network's, rounded to their grids. Grid is what rounding and clipping the float
	// result to this grid costs, with which no weights have to do; it is 200 without a grid.
	SNR    float64 `json:"snr"`
	Own    float64 `json:"own"`
	Grid   float64 `json:"grid"`
	Cosine float64 `json:"cosine"` // of the two networks' values
	// Clipped is the share of the float values beyond the ends of the grid.
	Clipped float64 `json:"clipped"`
	// Cut tells that the grid ends on purpose where the functions that read the activation no longer change. The ratios then
	// compare values clamped to the grid.
	Cut bool    `json:"cut,omitempty"`
	Min float32 `json:"min"` // of the float values
	Max float32 `json:"max"`
	// Peaks are the largest magnitude of each channel of the float values.
	Peaks []float32 `json:"peaks,omitempty"`
	// Codes says how many float values round to each step of an int8 grid, or to each 256th part of an int16 one. Low and High
	// are those beyond its ends, which the first and last step hold too.
	Codes []uint64 `json:"codes,omitempty"`
	Low   uint64   `json:"low,omitempty"`
	High  uint64   `json:"high,omitempty"`
	// Share is this layer's part in the error of the model's outputs, 0..1; Shares fills it in.
	Share float64 `json:"share"`
}

// Measure runs both networks over the images of src that o selects, the quantized one also with every layer fed by the float
// network, and compares what each layer makes. Its memory does not depend on the number of images. each, if not nil, is called
// after each image with its index in src while both sessions have its outputs.
func Measure(ctx context.Context, q *format.Model, twin *Twin, src Source, o Options, each func(image int, float, quantized *runtime.Session) error) (*Measurement, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if src == nil || src.Len() == 0 {
		return nil, errors.New("quant: no images to measure with")
	}
	t, err := newTrio(q, twin, o.Threads)
	if err != nil {
		return nil, err
	}
	defer t.close()
	meters := t.meters()
	outputs := newOutputMeters(q)
	chosen := o.selection(src.Len())
	for n, i := range chosen {
		x, err := src.At(i)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		err = t.walk(ctx, x, func(tensor int, f []float32, free, forced []byte) {
			meters[tensor].add(f, free, forced, o.Threads)
		})
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		for _, out := range outputs {
			if err := out.add(t); err != nil {
				return nil, err
			}
		}
		if each != nil {
			if err := each(i, t.float.s, t.free.s); err != nil {
				return nil, err
			}
		}
		if o.Progress != nil {
			o.Progress(n+1, len(chosen))
		}
	}
	m := &Measurement{Images: len(chosen)}
	for i := range q.Ops {
		for _, y := range q.Ops[i].Outputs {
			if y >= 0 && meters[y] != nil {
				m.Layers = append(m.Layers, meters[y].result(q, i, y))
			}
		}
	}
	for _, out := range outputs {
		if meters[q.Outputs[out.index].Tensor] == nil {
			m.Layers = append(m.Layers, out.result(q))
		}
	}
	return m, nil
}

// A walker runs a session from activation to activation.
type walker struct {
	m     *runtime.Model
	s     *runtime.Session
	yield func(event) bool // nil while nobody listens
	err   error
}

// event is an activation that has just been made. Its memory is the session's, and what is written there later layers read.
type event struct {
	tensor int
	data   []byte
}

func newWalker(m *format.Model, threads int) (*walker, error) {
	w := &walker{}
	var err error
	if w.m, err = runtime.FromFormat(m); err != nil {
		return nil, err
	}
	w.s, err = w.m.NewSession(runtime.Options{Threads: min(threads, runtime.MaxThreads), ObserveRaw: func(_, t int, data []byte) {
		if w.yield != nil && !w.yield(event{t, data}) {
			w.yield = nil
		}
	}})
	return w, err
}

// walk runs the session on an image. next returns the activations in their order; the session waits in between.
func (w *walker) walk(ctx context.Context, x []float32) (next func() (event, bool), stop func()) {
	return iter.Pull(func(yield func(event) bool) {
		w.yield = yield
		if w.err = w.s.SetFloat(0, x); w.err == nil {
			w.err = w.s.Run(ctx)
		}
		w.yield = nil
	})
}

// trio is the float network and two of the quantized one, which go through the layers in step: free runs as it is; in forced
// every activation, once looked at, is replaced by the float network's on its grid.
type trio struct {
	q                   *format.Model
	twin                *Twin
	float, free, forced *walker
}

func newTrio(q *format.Model, twin *Twin, threads int) (*trio, error) {
	if twin == nil || len(twin.Of) != len(q.Tensors) || len(twin.Cut) != len(q.Tensors) {
		return nil, errors.New("quant: this is not the float twin of the quantized model")
	}
	registerMatMul()
	t := &trio{q: q, twin: twin}
	for _, w := range []struct {
		to *(*walker)
		m  *format.Model
	}{{&t.float, twin.Float}, {&t.free, q}, {&t.forced, q}} {
		var err error
		if *w.to, err = newWalker(w.m, threads); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *trio) close() {
	for _, w := range []*walker{t.float, t.free, t.forced} {
		if w != nil && w.s != nil {
			w.s.Close()
		}
	}
}

// compared tells whether tensor y of the quantized model is an activation that has a float twin to compare with.
func (t *trio) compared(y int) bool {
	switch t.q.Tensors[y].DType {
	case format.I8, format.I16, format.F32:
		return y != t.q.Input && t.twin.Of[y] >= 0 && t.twin.Float.Tensors[t.twin.Of[y]].DType == format.F32
	}
	return false
}

// walk runs the three over one image and calls look with each activation of the quantized model, in its float form, from the
// network as it is, and from the layer alone.
func (t *trio) walk(ctx context.Context, x []float32, look func(tensor int, f []float32, free, forced []byte)) error {
	nextFloat, stopFloat := t.float.walk(ctx, x)
	nextFree, stopFree := t.free.walk(ctx, x)
	nextForced, stopForced := t.forced.walk(ctx, x)
	defer stopFloat()
	defer stopFree()
	defer stopForced()
	have := event{tensor: -1}
	for {
		a, more := nextFree()
		b, too := nextForced()
		if !more || !too {
			break
		}
		if !t.compared(a.tensor) {
			continue
		}
		for have.tensor != t.twin.Of[a.tensor] {
			var ok bool
			if have, ok = nextFloat(); !ok {
				return errors.Join(t.float.err, fmt.Errorf("quant: the float network does not make %q in the order of the quantized one", t.q.Tensors[a.tensor].Name))
			}
		}
		f := viewOf[float32](have.data)
		if len(f) != t.q.Tensors[a.tensor].Elements() {
			return fmt.Errorf("quant: %q has %d values, its float twin %d", t.q.Tensors[a.tensor].Name, t.q.Tensors[a.tensor].Elements(), len(f))
		}
		look(a.tensor, f, a.data, b.data)
		force(&t.q.Tensors[a.tensor], b.data, f)
	}
	for {
		if _, ok := nextFloat(); !ok {
			break
		}
	}
	return errors.Join(t.float.err, t.free.err, t.forced.err)
}

// decibels is snr for a report: bounded on both sides, and never not a number.
func decibels(signal, noise float64) float64 {
	if v := snr(signal, noise); v > -maxSNR {
		return v
	}
	return -maxSNR
}

func cosine(dot, aa, bb float64) float64 {
	if aa == 0 || bb == 0 {
		if aa == bb {
			return 1
		}
		return 0
	}
	return min(max(dot/(math.Sqrt(aa)*math.Sqrt(bb)), -1), 1)
}
