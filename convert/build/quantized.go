package build

import (
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Grid is the quantization of an activation: real = Scale*(q-Zero), q being -128..127. A grid of uint8 is the same with 128
// taken off its zero point.
type Grid struct {
	Scale float32
	Zero  int32
}

// Real is the value of q.
func (g Grid) Real(q int) float64 { return float64(g.Scale) * float64(int32(q)-g.Zero) }

// At is the integer nearest to a real value, half to even.
func (g Grid) At(v float64) int32 {
	return int32(min(max(math.RoundToEven(v/float64(g.Scale))+float64(g.Zero), -128), 127))
}

// Bounds on the scales of grids, far from where products and quotients of two of them leave the normal float32 numbers.
const (
	gridMin = 0x1p-60
	gridMax = 0x1p+60
)

// Check says what is wrong with a grid.
func (g Grid) Check() error {
	if !(g.Scale >= gridMin && g.Scale <= gridMax) {
		return fmt.Errorf("an activation's scale is %v; it must be a positive number of ordinary size", g.Scale)
	}
	if g.Zero < -128 || g.Zero > 127 {
		return fmt.Errorf("a zero point of %d is outside -128..127", g.Zero)
	}
	return nil
}

// Quantized is an int8 model in the making, out of a network that was quantized elsewhere: the caller says every grid, and
// weights come as integers with their scales. Its methods are those of Builder with the grid of the result as an additional
// argument; x is an activation that one of them returned. Use NewQuantized.
type Quantized struct {
	b     *Builder
	notes []string
}

// NewQuantized starts a model as New does. The image's normalised values are quantized to the grid input.
func NewQuantized(name, arch string, width, height int, mean, std [3]float32, input Grid) *Quantized {
	q := &Quantized{b: New(name, arch, width, height, mean, std)}
	q.set(q.b.m.Input, input)
	return q
}

// Input, Err, Shape and Output are those of Builder.
func (q *Quantized) Input() int                           { return q.b.Input() }
func (q *Quantized) Err() error                           { return q.b.Err() }
func (q *Quantized) Shape(x int) Shape                    { return q.b.Shape(x) }
func (q *Quantized) Output(name string, x int, flat bool) { q.b.Output(name, x, flat) }

// Finish returns the model and what a user should know about how it differs from the one that was imported.
func (q *Quantized) Finish() (*format.Model, []string, error) {
	m, err := q.b.Finish()
	return m, q.notes, err
}

func (q *Quantized) note(msg string, args ...any) {
	q.notes = append(q.notes, fmt.Sprintf(msg, args...))
}

// set makes the float tensor y one of int8.
func (q *Quantized) set(y int, g Grid) int {
	if q.b.err != nil {
		return -1
	}
	t := &q.b.m.Tensors[y]
	if err := g.Check(); err != nil {
		return q.b.fail(t.Name, "%v", err)
	}
	t.DType, t.Scale, t.Zero = format.I8, []float32{g.Scale}, g.Zero
	return y
}

// Grid is the grid of an activation.
func (q *Quantized) Grid(x int) Grid {
	if x < 0 || x >= len(q.b.m.Tensors) || len(q.b.m.Tensors[x].Scale) != 1 {
		return Grid{}
	}
	t := &q.b.m.Tensors[x]
	return Grid{t.Scale[0], t.Zero}
}

// last is the operator that was added last.
func (q *Quantized) last() *format.Op { return &q.b.m.Ops[len(q.b.m.Ops)-1] }

// ratio is a requantization multiplier from one scale to another.
func (q *Quantized) ratio(from, to float64) float32 {
	m := float32(from / to)
	if !(m >= 0x1p-126 && m <= math.MaxFloat32) && q.b.err == nil {
		q.b.fail("requantization", "a multiplier of %g (scale %g to %g) is no ordinary number", from/to, from, to)
	}
	return m
}

// scaled finishes an operator with one input whose only quantized attribute is the ratio of the scales.
func (q *Quantized) scaled(x, y int, out Grid) int {
	if y = q.set(y, out); y >= 0 {
		q.last().Attr.Mults = []float32{q.ratio(float64(q.Grid(x).Scale), float64(out.Scale))}
	}
	return y
}

func (q *Quantized) MaxPool(name string, x int, win PoolWin, out Grid) int {
	return q.scaled(x, q.b.MaxPool(name, x, win), out)
}

func (q *Quantized) AvgPool(name string, x int, win PoolWin, countIncludePad bool, out Grid) int {
	return q.scaled(x, q.b.AvgPool(name, x, win, countIncludePad), out)
}

func (q *Quantized) GlobalAvgPool(name string, x int, out Grid) int {
	if s := q.Shape(x); s.H*s.W > accMax/255 && q.b.err == nil {
		return q.b.fail(name, "a sum over %dx%d positions does not fit into 32 bits", s.H, s.W)
	}
	return q.scaled(x, q.b.GlobalAvgPool(name, x), out)
}

func (q *Quantized) Resize(name string, x, height, width int, mode format.Mode, alignCorners bool, out Grid) int {
	return q.scaled(x, q.b.Resize(name, x, height, width, mode, alignCorners), out)
}

// Concat joins activations along axis and rounds each to the common grid; with one input it is a requantization.
func (q *Quantized) Concat(name string, axis int, out Grid, xs ...int) int {
	y := q.set(q.b.Concat(name, axis, xs...), out)
	if y < 0 {
		return -1
	}
	mults := make([]float32, len(xs))
	for i, x := range xs {
		mults[i] = q.ratio(float64(q.Grid(x).Scale), float64(out.Scale))
	}
	q.last().Attr.Mults = mults
	return y
}

// Pad keeps the grid of x.
func (q *Quantized) Pad(name string, x int, pad [4]int, value float32) int {
	return q.set(q.b.Pad(name, x, pad, value), q.Grid(x))
}

// Softmax is of float32 and can only be a result.
func (q *Quantized) Softmax(name string, x int) int { return q.b.Softmax(name, x) }

// Add is a + c, clamped to lo..hi before it is rounded.
func (q *Quantized) Add(name string, a, c int, lo, hi float64, out Grid) int {
	y := q.set(q.b.Add(name, a, c, ActNone), out)
	if y < 0 {
		return -1
	}
	at := &q.last().Attr
	at.Mults = []float32{q.ratio(float64(q.Grid(a).Scale), float64(out.Scale)), q.ratio(float64(q.Grid(c).Scale), float64(out.Scale))}
	out.clamp(at, lo, hi)
	return y
}

// Mul is a * c, clamped to lo..hi before it is rounded.
func (q *Quantized) Mul(name string, a, c int, lo, hi float64, out Grid) int {
	y := q.set(q.b.Mul(name, a, c, ActNone), out)
	if y < 0 {
		return -1
	}
	at := &q.last().Attr
	at.Mults = []float32{q.ratio(float64(q.Grid(a).Scale)*float64(q.Grid(c).Scale), float64(out.Scale))}
	out.clamp(at, lo, hi)
	return y
}

// Table applies an elementwise function as a table of 256 entries; label is what the file calls it.
func (q *Quantized) Table(name string, x int, label format.Func, f func(float64) float64, out Grid) int {
	in := q.Grid(x)
	y := q.set(q.b.UnaryWith(name, x, label, 1, 1), out)
	if y < 0 {
		return -1
	}
	table := make([]byte, 256)
	for i := range table {
		v := f(in.Real(i - 128))
		if math.IsNaN(v) {
			return q.b.fail(name, "the function has no value at %g", in.Real(i-128))
		}
		table[i] = byte(out.At(v))
	}
	t := q.b.tensor(format.Tensor{Name: name + ".table", DType: format.I8, Shape: []int{256}, Data: table})
	op := q.last()
	op.Inputs = append(op.Inputs, t)
	return y
}

// clamp writes the integer bounds of a result that lies in lo..hi, and the real ones as a note for people.
func (g Grid) clamp(a *format.Attr, lo, hi float64) {
	if !math.IsInf(lo, -1) {
		a.ClampLo, a.QLo = float32(lo), g.At(lo)
	}
	if !math.IsInf(hi, 1) {
		a.ClampHi, a.QHi = float32(hi), g.At(hi)
	}
	a.QHi = max(a.QLo, a.QHi)
}
