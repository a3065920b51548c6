package frame

import (
	"image"
	"math"

	"github.com/rfga-edge/rfga-edge/asm"
	"github.com/rfga-edge/rfga-edge/kernels"
)

// The fused way from a frame to the network's square; doc.go defines what it computes. For every row of the square, each plane's rows are
// blended into one row of 16-bit numbers, channels that lie between each other are taken apart, the columns are reduced, and
// three channels become bytes. What is in between is one row, and stays in the first-level cache.

var pixelRows = kernels.ChoosePixelRows(kernels.Features())

// fused holds the coefficients and the memory of one geometry.
type fused struct {
	key      fusedKey
	rows     *kernels.PixelRows
	vertical [2]rowTaps // by whether the plane has half the rows
	columns  [2]columnTaps
	matrix   asm.ColorMatrix
	blended  []int16
	parts    [4][]int16 // channels in the source's width
	channel  [3][]int16 // in the square's
	narrow   [3 * 16]byte
}

type fusedKey struct {
	format        Format
	width, height int
	view          image.Rectangle
	spec          Spec
	matrix        Matrix
	rng           Range
}

// rowTaps says for every row of the square which of a plane's rows it is made of.
type rowTaps struct {
	step         int // from one of them to the next
	first, count []int32
	at           []int32 // where the row's coefficients begin
	coef         []int16
}

// columnTaps says it for the columns, in the layout of kernels' reduction.
type columnTaps struct {
	from, n int // the columns of the plane that are needed
	first   []int32
	blocks  int
	coef    []int16
	taps    rowTaps
}

// prepare computes everything that depends on the geometry and the colours, unless it is there.
func (r *fused) prepare(f *Frame, spec Spec, h, v *taps) {
	view := f.View()
	key := fusedKey{f.Format, f.Width, f.Height, view, spec, f.Matrix, f.Range}
	if r.key == key {
		return
	}
	r.key = key
	if r.rows == nil {
		r.rows = pixelRows
	}
	step := 1
	if spec.Filter == Fast {
		for reach := 2 * max(v.src/max(v.full, 1), 1); reach/step >= 8; step *= 2 {
		}
	}
	whole, half := f.Format.halves()
	r.vertical[0].prepare(v, view.Min.Y, step, 1)
	if half {
		r.vertical[1].prepare(v, view.Min.Y, step, 2)
	}
	r.columns[0].prepare(h, view.Min.X, 1)
	if whole {
		r.columns[1].prepare(h, view.Min.X, 2)
	}
	r.colors(f, spec.Order)
	const pad = 2 * kernels.PixelsLeast
	width := view.Dx() + 2 + pad
	r.blended = grow(r.blended, 4*width)
	for i := range r.parts {
		r.parts[i] = grow(r.parts[i], 2*width)
	}
	for i := range r.channel {
		r.channel[i] = grow(r.channel[i], max(spec.W+8, 16))
	}
}

// halves tells whether a chroma sample belongs to two columns, and to two rows.
func (f Format) halves() (columns, rows bool) {
	switch f {
	case I420, NV12, NV21:
		return true, true
	case I422, YUYV, UYVY:
		return true, false
	}
	return false, false
}

// prepare makes coefficients in 15 bits of a filter: positions begin at min in the plane, only every step-th under the filter counts,
// and share of them lie on one sample.
func (t *rowTaps) prepare(f *taps, origin, step, share int) {
	t.step = max(step/share, 1)
	t.first, t.count, t.at = grow(t.first, f.n), grow(t.count, f.n), grow(t.at, f.n)
	t.coef = t.coef[:0]
	for i := range f.n {
		from, w := f.weightsAt(i)
		skip := (len(w) - 1) % step / 2
		sum := 0.0
		for k := skip; k < len(w); k += step {
			sum += w[k]
		}
		t.first[i], t.at[i] = int32((origin+from+skip)/share), int32(len(t.coef))
		so, done := 0.0, int32(0)
		last := -1
		for k := skip; k < len(w); k += step {
			// Rounding the running sum makes the coefficients add up to one exactly.
			so += w[k]
			next := int32(math.Floor(float64(so/sum*(1<<15)) + 0.5))
			if at := (origin + from + k) / share; at == last {
				t.coef[len(t.coef)-1] += int16(next - done)
			} else {
				t.coef, last = append(t.coef, int16(next-done)), at
			}
			done = next
		}
		t.count[i] = int32(len(t.coef)) - t.at[i]
		for k, c := range t.coef[t.at[i]:] { // one, or a sum that has become one, has no place in 16 bits
			if c < 0 {
				t.coef[int(t.at[i])+k] = math.MaxInt16
			}
		}
	}
}

func (t *columnTaps) prepare(f *taps, origin, share int) {
	t.taps.prepare(f, origin, 1, share)
	n := (f.n + 7) / 8 * 8
	most := int32(0)
	t.from = math.MaxInt
	end := 0
	for i, c := range t.taps.count {
		most = max(most, c)
		t.from = min(t.from, int(t.taps.first[i]))
		end = max(end, int(t.taps.first[i]+c))
	}
	t.n = end - t.from
	t.blocks = (int(most) + 7) / 8
	t.first, t.coef = grow(t.first, n), grow(t.coef, n*8*t.blocks)
	clear(t.first)
	clear(t.coef)
	for i := range f.n {
		t.first[i] = t.taps.first[i] - int32(t.from)
		for k, c := range t.taps.coef[t.taps.at[i]:][:t.taps.count[i]] {
			t.coef[16*(i/2*t.blocks+k/8)+8*(i%2)+k%8] = c
		}
	}
}

// colors sets the matrix: from channels in 7 fractional bits, less 128, to bytes; coefficients have 13.
func (r *fused) colors(f *Frame, order Order) {
	const one = 1 << 13
	bias := func(v float64) int32 { return int32(math.Floor(v*(1<<20)+0.5)) + 1<<19 }
	var rows [3][3]float64
	var offset [3]float64
	switch f.Format {
	case RGB24, BGR24, RGBA, BGRA, Gray8: // the channels come in this order
		for ch := range 3 {
			rows[ch][ch], offset[ch] = 1, 128
			if f.Format == Gray8 {
				rows[ch] = [3]float64{1, 0, 0}
			}
		}
	default:
		c := &conversions[f.Range][f.Matrix]
		y, black := 1.0, 128.0
		if f.Range == Limited {
			y = 255 / 219.0
			black = float64(112 * y)
		}
		rows = [3][3]float64{{y, 0, float64(c.crR) / 65536}, {y, -float64(c.cbG) / 65536, -float64(c.crG) / 65536}, {y, float64(c.cbB) / 65536, 0}}
		offset = [3]float64{black, black, black}
	}
	for ch, row := range rows {
		to := ch
		if order == BGR {
			to = 2 - ch
		}
		q := func(v float64) int16 { return int16(math.RoundToEven(float64(v * one))) }
		r.matrix.SetRow(to, q(row[0]), q(row[1]), q(row[2]), bias(offset[ch]))
	}
}

// run writes the square.
func (r *fused) run(dst []byte, f *Frame, spec Spec) {
	n := 3 * spec.W
	for y := range spec.H {
		r.load(f, y)
		out := dst[y*n:][:n]
		a, b, c := &r.channel[0][0], &r.channel[1][0], &r.channel[2][0]
		if f.Format == Gray8 {
			b, c = a, a
		}
		if spec.W < 16 {
			r.rows.Color(&r.narrow[0], a, b, c, 16, &r.matrix)
			copy(out, r.narrow[:])
			continue
		}
		r.rows.Color(&out[0], a, b, c, spec.W, &r.matrix)
	}
}

// load makes row y of the three channels in the square's width.
func (r *fused) load(f *Frame, y int) {
	wide, thin := &r.columns[0], &r.columns[1]
	chroma := 0
	if _, half := f.Format.halves(); half {
		chroma = 1
	}
	p := &r.parts
	switch f.Format {
	case Gray8:
		r.reduce(0, wide, r.blend(f, 0, y, 0, wide.from, wide.n, 1))
	case I444:
		for ch := range 3 {
			r.reduce(ch, wide, r.blend(f, ch, y, 0, wide.from, wide.n, 1))
		}
	case I420, I422:
		r.reduce(0, wide, r.blend(f, 0, y, 0, wide.from, wide.n, 1))
		r.reduce(1, thin, r.blend(f, 1, y, chroma, thin.from, thin.n, 1))
		r.reduce(2, thin, r.blend(f, 2, y, chroma, thin.from, thin.n, 1))
	case NV12, NV21:
		r.reduce(0, wide, r.blend(f, 0, y, 0, wide.from, wide.n, 1))
		cb := 1
		if f.Format == NV21 {
			cb = 2
		}
		r.unzip(p[0], p[1], r.blend(f, 1, y, 1, thin.from, thin.n, 2), thin.n)
		r.reduce(cb, thin, p[0])
		r.reduce(3-cb, thin, p[1])
	case YUYV, UYVY:
		// Groups of two pixels: the columns of the luma begin on one of them, so that the first may have to be skipped.
		group := wide.from / 2
		pairs := wide.from + wide.n - 2*group
		first := min(group, thin.from)
		groups := max((pairs+1)/2+group, thin.from+thin.n) - first
		luma, color := p[0], p[1]
		if f.Format == UYVY {
			luma, color = color, luma
		}
		r.unzip(p[0], p[1], r.blend(f, 0, y, 0, first, groups, 4), 2*groups)
		r.unzip(p[2], p[3], color, groups)
		r.reduce(0, wide, luma[wide.from-2*first:])
		r.reduce(1, thin, p[2][thin.from-first:])
		r.reduce(2, thin, p[3][thin.from-first:])
	case RGBA, BGRA:
		r.unzip(p[0], p[1], r.blend(f, 0, y, 0, wide.from, wide.n, 4), 2*wide.n)
		red := 0
		if f.Format == BGRA {
			red = 2
		}
		r.unzip(p[2], p[3], p[0], wide.n)
		r.reduce(red, wide, p[2])
		r.reduce(2-red, wide, p[3])
		r.unzip(p[2], p[3], p[1], wide.n)
		r.reduce(1, wide, p[2])
	case RGB24, BGR24:
		red := 0
		if f.Format == BGR24 {
			red = 2
		}
		r.rows.Unzip3(&p[0][0], &p[1][0], &p[2][0], &r.blend(f, 0, y, 0, wide.from, wide.n, 3)[0], whole(wide.n))
		r.reduce(red, wide, p[0])
		r.reduce(1, wide, p[1])
		r.reduce(2-red, wide, p[2])
	}
}

// whole rounds up to what the kernels work on.
func whole(n int) int {
	return (n + kernels.PixelsLeast - 1) / kernels.PixelsLeast * kernels.PixelsLeast
}

// blend makes n samples of size bytes from sample from on, of the plane's rows that row y of the square needs.
func (r *fused) blend(f *Frame, plane, y, half, from, n, size int) []int16 {
	t := &r.vertical[half]
	geometry, _ := f.planes()
	stride := f.stride(plane, geometry[plane])
	src := f.Planes[plane][int(t.first[y])*stride+from*size:]
	r.rows.Blend(&r.blended[0], &src[0], stride*t.step, n*size, &t.coef[t.at[y]], int(t.count[y]))
	return r.blended
}

func (r *fused) unzip(even, odd, src []int16, n int) {
	r.rows.Unzip(&even[0], &odd[0], &src[0], whole(n))
}

func (r *fused) reduce(ch int, t *columnTaps, src []int16) {
	r.rows.Reduce(&r.channel[ch][0], &src[0], &t.first[0], &t.coef[0], t.blocks, len(t.first))
}
