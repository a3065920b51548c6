package quant

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// tally sums up a comparison.
type tally struct {
	signal, square, dot float64 // of float values, of the quantized network's, of both
	free, own, grid     float64 // squares of the errors
	min, max            float32
	low, high           uint64
	codes               [256]uint64
	peaks               []float32
}

func (a *tally) merge(b *tally) {
	a.signal, a.square, a.dot = a.signal+b.signal, a.square+b.square, a.dot+b.dot
	a.free, a.own, a.grid = a.free+b.free, a.own+b.own, a.grid+b.grid
	a.min, a.max = min(a.min, b.min), max(a.max, b.max)
	a.low, a.high = a.low+b.low, a.high+b.high
	for i, n := range b.codes {
		a.codes[i] += n
	}
	for c, p := range b.peaks {
		a.peaks[c] = max(a.peaks[c], p)
	}
}

// meter compares one activation over all images.
type meter struct {
	tally
	t      *format.Tensor
	cut    bool
	values uint64
	chunks []tally
}

// chunkValues is how many values, about, one worker takes at a time. The sums do not depend on the number of workers.
const chunkValues = 1 << 15

func (t *trio) meters() []*meter {
	out := make([]*meter, len(t.q.Tensors))
	for i := range t.q.Ops {
		for _, y := range t.q.Ops[i].Outputs {
			if y >= 0 && t.compared(y) {
				out[y] = newMeter(&t.q.Tensors[y], t.twin.Cut[y])
			}
		}
	}
	return out
}

func newMeter(t *format.Tensor, cut bool) *meter {
	m := &meter{t: t, cut: cut}
	m.reset(t.Shape[len(t.Shape)-1])
	return m
}

func (a *tally) reset(channels int) {
	peaks := a.peaks
	if len(peaks) != channels {
		peaks = make([]float32, channels)
	}
	clear(peaks)
	*a = tally{peaks: peaks, min: float32(math.Inf(1)), max: float32(math.Inf(-1))}
}

// add takes one image: the float values, the quantized network's and the layer's alone.
func (m *meter) add(f []float32, free, forced []byte, threads int) {
	c := len(m.peaks)
	size := max(chunkValues/c, 1) * c
	n := (len(f) + size - 1) / size
	if len(m.chunks) < n {
		m.chunks = make([]tally, n)
	}
	each := m.t.DType.Size()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(max(threads, 1), n) {
		wg.Go(func() {
			y, z := make([]float32, size), make([]float32, size)
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				lo, hi := k*size, min((k+1)*size, len(f))
				realsOf(y[:hi-lo], m.t, free[lo*each:hi*each])
				realsOf(z[:hi-lo], m.t, forced[lo*each:hi*each])
				m.chunks[k].reset(c)
				m.compare(&m.chunks[k], f[lo:hi], y, z)
			}
		})
	}
	wg.Wait()
	for k := range n {
		m.merge(&m.chunks[k])
	}
	m.values += uint64(len(f))
}

// compare adds up whole positions: f are the float values, y and z the quantized network's and the layer's alone.
func (m *meter) compare(a *tally, f, y, z []float32) {
	g, gridded := gridOfTensor(m.t)
	least, most := g.bounds()
	lo, hi, zero, scale := float64(least), float64(most), float64(g.zero), float64(g.scale)
	shift := 0
	if g.wide {
		shift = 8
	}
	channels := len(a.peaks)
	for at := 0; at < len(f); at += channels {
		for c, v := range f[at : at+channels] {
			a.min, a.max = min(a.min, v), max(a.max, v)
			a.peaks[c] = max(a.peaks[c], v, -v)
			x, y, z := float64(v), float64(y[at+c]), float64(z[at+c])
			k := nearest(x/scale) + zero
			if gridded {
				if k < lo {
					k = lo
					a.low++
				} else if k > hi {
					k = hi
					a.high++
				}
				a.codes[uint8(int(k-lo)>>shift)]++
				if m.cut {
					x = min(max(x, scale*(lo-zero)), scale*(hi-zero))
				}
				r := scale * (k - zero)
				a.grid += (x - r) * (x - r)
			}
			a.signal += x * x
			a.square += y * y
			a.dot += x * y
			a.free += (x - y) * (x - y)
			a.own += (x - z) * (x - z)
		}
	}
}

func (m *meter) result(q *format.Model, op, y int) Measured {
	r := Measured{Tensor: y, Name: m.t.Name, Layer: q.Ops[op].Name, Kind: q.Ops[op].Kind.String(), Type: m.t.DType.String(),
		SNR: decibels(m.signal, m.free), Own: decibels(m.signal, m.own), Grid: decibels(m.signal, m.grid), Cosine: cosine(m.dot, m.signal, m.square),
		Min: m.min, Max: m.max, Peaks: slices.Clone(m.peaks), Low: m.low, High: m.high, Output: outputName(q, y), Cut: m.cut}
	if _, gridded := gridOfTensor(m.t); gridded {
		r.Codes = m.codes[:]
		r.Clipped = float64(m.low+m.high) / float64(max(m.values, 1))
	}
	return r
}

func outputName(q *format.Model, t int) string {
	for _, o := range q.Outputs {
		if o.Tensor == t {
			return o.Name
		}
	}
	return ""
}

// gridOfTensor is the grid of a quantized activation; ok is false for one of float32.
func gridOfTensor(t *format.Tensor) (g grid, ok bool) {
	switch t.DType {
	case format.I8, format.I16:
		return grid{scale: t.Scale[0], zero: t.Zero, wide: t.DType == format.I16}, true
	}
	return grid{scale: 1}, false
}

// realsOf turns an activation as it lies in memory into real values.
func realsOf(dst []float32, t *format.Tensor, b []byte) {
	switch g, _ := gridOfTensor(t); t.DType {
	case format.I8:
		var table [256]float32
		for i := range table {
			table[i] = float32(g.real(i - 128))
		}
		for i := range dst {
			dst[i] = table[b[i]]
		}
	case format.I16:
		for i, v := range viewOf[int16](b) {
			dst[i] = float32(g.real(int(v)))
		}
	default:
		copy(dst, viewOf[float32](b))
	}
}

// force overwrites an activation with float values, on its grid.
func force(t *format.Tensor, b []byte, f []float32) {
	switch g, _ := gridOfTensor(t); t.DType {
	case format.I8:
		for i, v := range f {
			b[i] = byte(g.quantize(float64(v))) ^ 0x80
		}
	case format.I16:
		v := viewOf[int16](b)
		for i, x := range f {
			v[i] = int16(g.quantize(float64(x)))
		}
	default:
		copy(viewOf[float32](b), f)
	}
}

// viewOf reads a session's memory, which is aligned, as elements of one type.
func viewOf[T any](b []byte) []T {
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(z)))
}

// An outputMeter compares an output of the model that is no activation on a grid: logits, class maps, probabilities.
type outputMeter struct {
	tally
	index   int
	channel int // values a channel
	a, b, c []float32
}

func newOutputMeters(q *format.Model) []*outputMeter {
	var out []*outputMeter
	for i, o := range q.Outputs {
		t := &q.Tensors[o.Tensor]
		n := t.Elements()
		m := &outputMeter{index: i, channel: n / t.Shape[3], a: make([]float32, n), b: make([]float32, n), c: make([]float32, n)}
		m.reset(t.Shape[3])
		out = append(out, m)
	}
	return out
}

// add takes the outputs of the run that has just ended.
func (m *outputMeter) add(t *trio) error {
	for _, w := range []struct {
		s   *runtime.Session
		dst []float32
	}{{t.float.s, m.a}, {t.free.s, m.b}, {t.forced.s, m.c}} {
		if err := w.s.OutputFloat(0, m.index, w.dst); err != nil {
			return err
		}
	}
	for i, v := range m.a {
		x, y, z := float64(v), float64(m.b[i]), float64(m.c[i])
		m.min, m.max = min(m.min, v), max(m.max, v)
		m.peaks[i/m.channel] = max(m.peaks[i/m.channel], v, -v)
		m.signal += x * x
		m.square += y * y
		m.dot += x * y
		m.free += (x - y) * (x - y)
		m.own += (x - z) * (x - z)
	}
	return nil
}

func (m *outputMeter) result(q *format.Model) Measured {
	o := q.Outputs[m.index]
	t := &q.Tensors[o.Tensor]
	r := Measured{Tensor: o.Tensor, Name: t.Name, Type: t.DType.String(), Output: o.Name, SNR: decibels(m.signal, m.free), Own: decibels(m.signal, m.own),
		Grid: maxSNR, Cosine: cosine(m.dot, m.signal, m.square), Min: m.min, Max: m.max, Peaks: slices.Clone(m.peaks)}
	if i := producers(q)[o.Tensor]; i >= 0 {
		r.Layer, r.Kind = q.Ops[i].Name, q.Ops[i].Kind.String()
	}
	return r
}
