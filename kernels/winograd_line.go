package kernels

import "unsafe"

// Winograd's convolution in one dimension, F(m,r): m outputs of r taps from a line of n = m+r-1 inputs, for filters of one row
// or of one column. F(6,7) has 14 products for 42, F(4,3) 6 for 12, and what holds of two dimensions holds of them: integer
// matrices, of 16-bit results, sums modulo 2**32, an odd scale times a power of two.
//
// F(4,3) is one dimension of F(4x4,3x3): its scale is 24 = 8*3. F(6,7) multiplies polynomials at the points 0, 1, -1, 2, -2, 1/2,
// -1/2 and infinity, and modulo x^2+x+1 and x^2-x+1, in three products each (Karatsuba's). That many points would not fit 16
// bits: 3^6 alone is too much for a weight. The scale is 7560 = 8*945, spread so that both sides fit:
//
//	U = G w      |U| <= 31,115, by the rows of 1 and -1
//	V = B^T u    |V| <= 21,420, by the third product modulo x^2+x+1 and x^2-x+1
//
// Where |U| is largest, |V| is at most 17,850: a pair of products is below 1.2e9, and fits int32. The sum is known modulo 2**29.
type lineMatrices struct{ bt, g, at [][]int32 }

var (
	wino6of7 = &winoForm{name: "6,7", m: 6, r: 7, n: 12, freqs: 14, taps: 7, shift: 3, inverse: 0xFBAA6551, line: &lineMatrices{
		bt: [][]int32{
			{4, 0, -17, 0, 4, 0, -4, 0, 17, 0, -4, 0},
			{0, -4, -4, 13, 13, 9, 9, 13, 13, -4, -4, 0},
			{0, 4, -4, -13, 13, -9, 9, -13, 13, 4, -4, 0},
			{0, 2, 1, -8, -4, 0, 0, -2, -1, 8, 4, 0},
			{0, -2, 1, 8, -4, 0, 0, 2, -1, -8, 4, 0},
			{0, 4, 8, -1, -2, 0, 0, -4, -8, 1, 2, 0},
			{0, -4, 8, 1, -2, 0, 0, 4, -8, -1, 2, 0},
			{0, -4, 4, 17, -21, 0, 21, -17, -4, 4, 0, 0},
			{0, 0, 4, -4, -17, 21, 0, -21, 17, 4, -4, 0},
			{0, -4, 8, 13, -38, 21, 21, -38, 13, 8, -4, 0},
			{0, 4, 4, -17, -21, 0, 21, 17, -4, -4, 0, 0},
			{0, 0, 4, 4, -17, -21, 0, 21, 17, -4, -4, 0},
			{0, 4, 8, -13, -38, -21, 21, 38, 13, -8, -4, 0},
			{0, -4, 0, 17, 0, -4, 0, 4, 0, -17, 0, 4},
		},
		g: [][]int32{
			{210, 0, 0, 0, 0, 0, 0},
			{35, 35, 35, 35, 35, 35, 35},
			{35, -35, 35, -35, 35, -35, 35},
			{1, 2, 4, 8, 16, 32, 64},
			{1, -2, 4, -8, 16, -32, 64},
			{64, 32, 16, 8, 4, 2, 1},
			{64, -32, 16, -8, 4, -2, 1},
			{45, 0, -45, 45, 0, -45, 45},
			{0, 45, -45, 0, 45, -45, 0},
			{-15, -15, 30, -15, -15, 30, -15},
			{45, 0, -45, -45, 0, 45, 45},
			{0, -45, -45, 0, 45, 45, 0},
			{-15, 15, 30, 15, -15, -30, -15},
			{0, 0, 0, 0, 0, 0, 210},
		},
		at: [][]int32{
			{9, 4, 4, 1, 1, 32, 32, 4, 0, 4, 4, 0, 4, 0},
			{0, 4, -4, 2, -2, 16, -16, 0, 4, 4, 0, -4, -4, 0},
			{0, 4, 4, 4, 4, 8, 8, -4, -4, -8, -4, -4, -8, 0},
			{0, 4, -4, 8, -8, 4, -4, 4, 0, 4, -4, 0, -4, 0},
			{0, 4, 4, 16, 16, 2, 2, 0, 4, 4, 0, 4, 4, 0},
			{0, 4, -4, 32, -32, 1, -1, -4, -4, -8, 4, 4, 8, 9},
		},
	}}
	wino4of3 = &winoForm{name: "4,3", m: 4, r: 3, n: 6, freqs: 6, taps: 3, shift: 3, inverse: 0xAAAAAAAB, line: &lineMatrices{
		bt: [][]int32{{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
		g:  [][]int32{{6, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}},
		at: [][]int32{{1, -4, -4, 1, 1, 0}, {0, -4, 4, 2, -2, 0}, {0, -4, -4, 4, 4, 0}, {0, -4, 4, 8, -8, 4}},
	}}
)

// lineWalk says how lines lie in the image: along its columns if the filter is a column, else along its rows. Tiles are taken
// across lines, so that one call transforms many of them back.
type lineWalk struct {
	length, lines  int // of the output
	inLength, in   int // pixels of a line, and lines, of the input
	before, beside int // padding
	step, next     int // bytes from pixel to pixel of an input line, and from line to line
	oStep, oNext   int // of the output
}

func newLineWalk(c *ConvI8) lineWalk {
	if c.Window.KH > 1 {
		return lineWalk{c.Out.H, c.Out.W, c.In.H, c.In.W, c.Window.Pad[0], c.Window.Pad[1],
			c.In.W * c.In.C, c.In.C, c.Out.W * c.Out.C, c.Out.C}
	}
	return lineWalk{c.Out.W, c.Out.H, c.In.W, c.In.H, c.Window.Pad[1], c.Window.Pad[0],
		c.In.C, c.In.W * c.In.C, c.Out.C, c.Out.W * c.Out.C}
}

// inputLine transforms input tile t.
func (g *winoI8) inputLine(io *IO, v *int16, t int, tmp []byte) {
	w, n, c := &g.walk, g.form.n, g.in.C
	from, line := t/w.lines*g.form.m-w.before, t%w.lines-w.beside
	src, step := at(io.In[0], line*w.next+from*w.step), w.step
	if line < 0 || line >= w.in || from < 0 || from+n > w.inLength {
		x := tmp[g.block.offX:]
		for i := range n {
			pixel := g.padByte[:c]
			if p := from + i; line >= 0 && line < w.in && p >= 0 && p < w.inLength {
				pixel = io.In[0][line*w.next+p*w.step:][:c]
			}
			copy(x[i*c:], pixel)
		}
		src, step = at(x, 0), c
	}
	g.input.Fn(v, g.block.ldv, src, 0, step, c, at(tmp, g.block.offTmp))
}

// outputLines transforms the products of tiles t..end-1 back and stores a panel's columns of the output.
func (g *winoI8) outputLines(io *IO, p, t, end int, tmp []byte) {
	b, w, m := &g.block, &g.walk, g.form.m
	y := (*int32)(unsafe.Pointer(at(tmp, b.offY)))
	ch := p * g.nr
	n := min(g.nr, g.out.C-ch)
	src := at(tmp, b.offM)
	for t < end {
		first, line := t/w.lines*m, t%w.lines
		tiles := min(b.row, w.lines-line, end-t)
		g.output.Fn(y, b.ldy, (*int32)(unsafe.Pointer(src)), b.ldm, tiles, at(g.corr, ch), at(tmp, b.offTmp))
		for i := range min(m, w.length-first) {
			to := (first+i)*w.oStep + line*w.oNext + ch
			var res *byte
			if g.resid {
				res = at(io.In[1], to)
			}
			acc := (*int32)(unsafe.Add(unsafe.Pointer(y), i*b.ldy))
			g.requant.Fn(at(io.Out[0], to), w.oNext, acc, g.nr, tiles, n, at(g.bias, ch), at(g.mult, ch), res, w.oNext, g.params)
		}
		src = (*byte)(unsafe.Add(unsafe.Pointer(src), tiles*4*g.nr))
		t += tiles
	}
}

// The portable transforms multiply by the matrices.

func lineInputPortable(form *winoForm) func(v *int16, ldf int, x *byte, ldy, ldx, n int, tmp *byte) {
	return func(v *int16, ldf int, x *byte, _, ldx, n int, _ *byte) {
		for c := range n {
			for f, coefficients := range form.line.bt {
				var sum int32
				for i, b := range coefficients {
					sum += b * int32(*(*byte)(unsafe.Add(unsafe.Pointer(x), i*ldx+c)))
				}
				*(*int16)(unsafe.Add(unsafe.Pointer(v), f*ldf+2*c)) = int16(sum)
			}
		}
	}
}

func lineFilterPortable(form *winoForm) func(u *int16, ldf int, w *int8, groups int, rows *int16, n int, tmp *byte) {
	const lanes = 4
	return func(u *int16, ldf int, w *int8, groups int, _ *int16, _ int, _ *byte) {
		for g := range groups {
			for l := range lanes {
				taps := row(w, lanes*form.r*g+l, lanes*(form.r-1)+1)
				for f, coefficients := range form.line.g {
					var sum int32
					for i, b := range coefficients {
						sum += b * int32(taps[lanes*i])
					}
					*(*int16)(unsafe.Add(unsafe.Pointer(u), f*ldf+2*(lanes*g+l))) = int16(sum)
				}
			}
		}
	}
}

func lineOutputPortable(form *winoForm) func(y *int32, ldy int, m *int32, ldf, tiles int, corr *int32, tmp *byte) {
	const nr = 4
	return func(y *int32, ldy int, m *int32, ldf, tiles int, corr *int32, _ *byte) {
		for t := range tiles {
			for c := range nr {
				for i, coefficients := range form.line.at {
					var sum int32
					for f, a := range coefficients {
						sum += a * *(*int32)(unsafe.Add(unsafe.Pointer(m), f*ldf+4*(nr*t+c)))
					}
					sum = (sum*int32(form.inverse) + row(corr, c, 1)[0]) >> form.shift
					*(*int32)(unsafe.Add(unsafe.Pointer(y), i*ldy+4*(nr*t+c))) = sum
				}
			}
		}
	}
}
