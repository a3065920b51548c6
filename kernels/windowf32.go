package kernels

import (
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// A windowGrid slides a window: it says which taps an output has, and which neighbouring outputs have the same.
type windowGrid struct {
	in, out             Shape
	win                 Window
	firstFull, endFull  int // output columns whose window lies inside the image's width
	maxTaps, weightStep int
}

// newWindowGrid is for weights of weightStep bytes a tap.
func newWindowGrid(w *Window, in, out Shape, weightStep int) windowGrid {
	g := windowGrid{in: in, out: out, win: *w, weightStep: weightStep, maxTaps: min(w.KH, in.H) * min(w.KW, in.W)}
	g.firstFull = min(ceilDiv(w.Pad[1], w.StrideW), out.W)
	if room := in.W - 1 - (w.KW-1)*w.DilationW + w.Pad[1]; room >= 0 {
		g.endFull = min(room/w.StrideW+1, out.W)
	}
	g.endFull = max(g.endFull, g.firstFull)
	return g
}

// scratch is what a run of taps needs.
func (g *windowGrid) scratch() int { return g.maxTaps * int(unsafe.Sizeof(asm.Tap{})) }

// span returns how many outputs of a row, from column ow on, have the same columns of the window in the image.
func (g *windowGrid) span(ow int) int {
	if ow >= g.firstFull && ow < g.endFull {
		return g.endFull - ow
	}
	return 1
}

// run fills list with the taps of output oh, ow that lie in the image, and returns how many outputs from there on share
// them, their number of rows and columns, and the pixel of the first.
func (g *windowGrid) run(list []asm.Tap, oh, ow int) (count, rows, cols, pixel int) {
	w := &g.win
	h0, h1, ih := taps(oh, w.StrideH, w.DilationH, w.KH, w.Pad[0], g.in.H)
	w0, w1, iw := taps(ow, w.StrideW, w.DilationW, w.KW, w.Pad[1], g.in.W)
	n := 0
	for kh := h0; kh < h1; kh++ {
		for kw := w0; kw < w1; kw++ {
			list[n] = asm.Tap{A: 4 * g.in.C * ((kh-h0)*w.DilationH*g.in.W + (kw-w0)*w.DilationW), W: (kh*w.KW + kw) * g.weightStep}
			n++
		}
	}
	return g.span(ow), h1 - h0, w1 - w0, (ih+h0*w.DilationH)*g.in.W + iw + w0*w.DilationW
}

// PrepareMaxPoolF32 returns a float maximum pooling.
func PrepareMaxPoolF32(c *PoolF32) (*Prepared, error) {
	if err := checkPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	if err := checkMaxPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	k := chooseRow(maxPoolsF32, features)
	return k.prepared(poolStageF32("maxpool", c, k.Fn)), nil
}

// PrepareAvgPoolF32 returns a float average pooling. Sums run over the window's rows, in each from left to right.
func PrepareAvgPoolF32(c *PoolF32) (*Prepared, error) {
	if err := checkPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	if err := checkAvgPool(&c.Window); err != nil {
		return nil, err
	}
	k := chooseRow(avgPoolsF32, features)
	return k.prepared(poolStageF32("avgpool", c, k.Fn)), nil
}

// poolStageF32 pools by kernel f. The divisor of an average is PyTorch's; no element counts as one zero.
func poolStageF32(name string, c *PoolF32, f poolFunc) Stage {
	g, units, include := newWindowGrid(&c.Window, c.In, c.Out, 0), newPoolGrid(c.Out), c.CountIncludePad
	return Stage{Name: name, Units: units.rows * units.blocks, Scratch: g.scratch(), Run: func(io *IO, lo, hi int, tmp []byte) {
		x, y, list := view[float32](io.In[0]), view[float32](io.Out[0]), view[asm.Tap](tmp)
		w := &g.win
		for u := lo; u < hi; u++ {
			oh, c0, c1 := units.at(u)
			padded := min(w.KH, g.in.H+w.Pad[2]-(oh*w.StrideH-w.Pad[0]))
			for ow := 0; ow < g.out.W; {
				count, rows, cols, pixel := g.run(list, oh, ow)
				to := y[(oh*g.out.W+ow)*g.out.C+c0:]
				if rows*cols == 0 {
					clear(to[:c1-c0])
					ow++
					continue
				}
				divisor := rows * cols
				if include {
					divisor = padded * min(w.KW, g.in.W+w.Pad[3]-(ow*w.StrideW-w.Pad[1]))
				}
				f(at(to, 0), 4*g.out.C, at(x, pixel*g.in.C+c0), 4*w.StrideW*g.in.C, count, at(list, 0), rows*cols, c1-c0, float32(divisor))
				ow += count
			}
		}
	}}
}

func maxPoolPortableF32(dst *float32, ldd int, a *float32, step, pixels int, taps *asm.Tap, count, n int, _ float32) {
	for i := range pixels {
		y := row(dst, i*ldd/4, n)
		for t, tap := range row(taps, 0, count) {
			x := row(a, (i*step+tap.A)/4, n)[:len(y)]
			if t == 0 {
				copy(y, x)
				continue
			}
			for j, v := range x {
				y[j] = max(y[j], v)
			}
		}
	}
}

func avgPoolPortableF32(dst *float32, ldd int, a *float32, step, pixels int, taps *asm.Tap, count, n int, divisor float32) {
	for i := range pixels {
		y := row(dst, i*ldd/4, n)
		for t, tap := range row(taps, 0, count) {
			x := row(a, (i*step+tap.A)/4, n)[:len(y)]
			if t == 0 {
				copy(y, x)
				continue
			}
			for j, v := range x {
				y[j] += v
			}
		}
		for j := range y {
			y[j] /= divisor
		}
	}
}
