package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// PrepareMaxPoolI8 returns a quantized maximum pooling. Requantization never decreases in x, so it follows the maximum of
// the stored bytes.
func PrepareMaxPoolI8(c *PoolI8) (*Prepared, error) {
	return prepareMaxPoolI8(c, features)
}

func prepareMaxPoolI8(c *PoolI8, available ISA) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkMaxPool(&c.Window, c.In, c.Out); err != nil {
		return nil, err
	}
	kernel, scale := chooseRow(maxers, available), chooseRow(rescalers, available)
	q := &c.Requant
	params := rescaling(c.ZeroIn, q.Mult[0], q.Zero, q.Lo, q.Hi)
	if requantTable(c.ZeroIn, q.Mult[0], q.Zero, q.Lo, q.Hi).orNil() == nil {
		params = nil
	}
	ldh, ldw := c.Window.steps(c.In)
	return kernel.prepared(poolStage("maxpool", &c.Window, c.In, c.Out, 0, func(io *IO, p poolWindow, _ []byte) {
		y := at(io.Out[0], p.y)
		kernel.Fn(y, at(io.In[0], p.x), ldh, p.h, ldw, p.w, p.n)
		if params != nil {
			scale.Fn(y, y, p.n, params)
		}
	})), nil
}

// steps is the distance, in elements, between places of the window one above and one beside the other.
func (w *Window) steps(in Shape) (ldh, ldw int) { return w.DilationH * in.W * in.C, w.DilationW * in.C }

func (c *PoolI8) check() error {
	if err := checkPool(&c.Window, c.In, c.Out); err != nil {
		return err
	}
	if err := checkZero("input", c.ZeroIn); err != nil {
		return err
	}
	return c.Requant.check(1)
}

func checkPool(w *Window, in, out Shape) error {
	if err := checkShapes(in, out); err != nil {
		return err
	}
	if in.C != out.C {
		return fmt.Errorf("input has %d channels, output %d", in.C, out.C)
	}
	return checkWindow(w, in, out, true)
}

// checkMaxPool refuses windows that lie in the padding altogether: they have no maximum.
func checkMaxPool(w *Window, in, out Shape) error {
	for o := range out.H {
		if first, end, _ := taps(o, w.StrideH, w.DilationH, w.KH, w.Pad[0], in.H); first == end {
			return fmt.Errorf("the windows of output row %d hold nothing but padding %v", o, w.Pad)
		}
	}
	for o := range out.W {
		if first, end, _ := taps(o, w.StrideW, w.DilationW, w.KW, w.Pad[1], in.W); first == end {
			return fmt.Errorf("the windows of output column %d hold nothing but padding %v", o, w.Pad)
		}
	}
	return nil
}

// A poolGrid splits a pooling into units: rows of the output, and where they are few, blocks of channels in each.
type poolGrid struct {
	rows, blocks, block, channels int
	most                          int // elements of a visit
}

const poolRun = 1024 // elements of neighbouring outputs, whose sums stay in L1

func newPoolGrid(out Shape) poolGrid {
	g := poolGrid{out.H, 1, out.C, out.C, max(out.C, poolRun)}
	if out.H < minUnits/2 && out.C > channelUnit {
		g.block = channelUnit
		g.blocks = ceilDiv(out.C, g.block)
		g.most = g.block
	}
	return g
}

// at returns unit u's row and channels.
func (g poolGrid) at(u int) (row, c0, c1 int) {
	c0 = u % g.blocks * g.block
	return u / g.blocks, c0, min(c0+g.block, g.channels)
}

// A poolWindow is one output's window over a block of n channels: what of it lies in the image. With a stride of 1 the windows
// of neighbours lie side by side as their channels do, and n may be the elements of several.
type poolWindow struct {
	x, y       int // offsets, in elements, of the first place and of the output
	h, w, n    int // places inside, h and w both 0 if there is none, and elements
	rows, cols int // the window's extent within the padded image, as average pooling counts it
}

// poolStage calls visit for every output, or run of outputs. Its units are those of a poolGrid.
func poolStage(name string, w *Window, in, out Shape, scratch int, visit func(io *IO, p poolWindow, tmp []byte)) Stage {
	g, win, columns := newPoolGrid(out), *w, newWindowGrid(w, in, out, 0)
	run := 1
	if win.StrideW == 1 && g.blocks == 1 {
		run = g.most / out.C
	}
	return Stage{Name: name, Units: g.rows * g.blocks, Scratch: scratch, Run: func(io *IO, lo, hi int, tmp []byte) {
		var p poolWindow
		for u := lo; u < hi; u++ {
			oh, c0, c1 := g.at(u)
			kh0, kh1, ih := taps(oh, win.StrideH, win.DilationH, win.KH, win.Pad[0], in.H)
			// The padded extent ends a window that hangs over it, as in PyTorch.
			p.rows = min(win.KH, in.H+win.Pad[2]-ih)
			for ow, count := 0, 0; ow < out.W; ow += count {
				kw0, kw1, iw := taps(ow, win.StrideW, win.DilationW, win.KW, win.Pad[1], in.W)
				p.cols = min(win.KW, in.W+win.Pad[3]-iw)
				count = min(run, columns.span(ow))
				p.h, p.w, p.n = kh1-kh0, kw1-kw0, count*(c1-c0)
				if p.h == 0 || p.w == 0 {
					p.h, p.w = 0, 0
				}
				p.x = ((ih+kh0*win.DilationH)*in.W+iw+kw0*win.DilationW)*in.C + c0
				p.y = (oh*out.W+ow)*out.C + c0
				visit(io, p, tmp)
			}
		}
	}}
}

// PrepareAvgPoolI8 returns a quantized average pooling; with the window of the whole image it is the global one.
func PrepareAvgPoolI8(c *PoolI8) (*Prepared, error) {
	return prepareAvgPoolI8(c, features)
}

func prepareAvgPoolI8(c *PoolI8, available ISA) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkAvgPool(&c.Window); err != nil {
		return nil, err
	}
	// What lies in the padding adds nothing to the sum, so the image bounds the number of summands.
	count := int64(min(c.Window.KH, c.In.H)) * int64(min(c.Window.KW, c.In.W))
	if count > math.MaxInt32/255 {
		return nil, fmt.Errorf("a window sums %d elements: more than %d can overflow int32", count, math.MaxInt32/255)
	}
	full := int64(c.Window.KH) * int64(c.Window.KW)
	if err := checkMult("divided", float32(float64(c.Requant.Mult[0])/float64(full))); err != nil {
		return nil, err
	}
	q := &c.Requant
	mult, zero, params := float64(q.Mult[0]), c.ZeroIn+128, rescaling(0, 0, q.Zero, q.Lo, q.Hi)
	kernel, round := chooseRow(summers, available), chooseRow(rounders, available)
	ldh, ldw := c.Window.steps(c.In)
	// Scratch: the sums, and the requantization of this window.
	sums := align64(4 * (newPoolGrid(c.Out).most + 63))
	scratch := sums + int(unsafe.Sizeof(asm.Requant{}))
	includePad := c.CountIncludePad
	return kernel.prepared(poolStage("avgpool", &c.Window, c.In, c.Out, scratch, func(io *IO, p poolWindow, tmp []byte) {
		acc := view[int32](tmp[:sums])
		inside := p.h * p.w
		divisor := max(1, inside)
		if includePad {
			divisor = p.rows * p.cols
		}
		if inside == 0 {
			clear(acc[:p.n])
		} else {
			kernel.Fn(&acc[0], at(io.In[0], p.x), ldh, p.h, ldw, p.w, p.n)
		}
		own := (*asm.Requant)(unsafe.Pointer(at(tmp, sums)))
		*own = *params
		own.AOff, own.AMult = -int32(inside)*zero, float32(mult/float64(divisor))
		round.Fn(at(io.Out[0], p.y), &acc[0], p.n, own)
	})), nil
}

func checkAvgPool(w *Window) error {
	if w.DilationH != 1 || w.DilationW != 1 {
		return fmt.Errorf("dilation %dx%d: average pooling has none", w.DilationH, w.DilationW)
	}
	if int64(w.KH)*int64(w.KW) > maxElements {
		return fmt.Errorf("window %dx%d has more than %d elements", w.KH, w.KW, maxElements)
	}
	return nil
}
