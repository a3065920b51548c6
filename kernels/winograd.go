package kernels

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Winograd's convolution F(mxm,3x3) computes m*m outputs of a 3x3 filter from a tile of n*n inputs, n = m+2, with n*n
// multiplications instead of 9*m*m: a quarter for m = 4. Over the integers, modulo 2**32, it gives the very sum of the
// direct kernels. With B, G, A the usual matrices of F(4x4,3x3), the rows of G multiplied by 24, -6, -6, 24, 24, 6 and those of A
// by 1, -4, -4, 1, 1, 4, which makes all of them integers and the result 24*24 times as large:
//
//	U = G w G^T      |U| <= 7*7*127 = 6,223           fits int16; w are weights
//	V = B^T u B      |V| <= 10*10*255 = 25,500        fits int16; u are stored bytes, 0..255
//	M = sum over input channels of U*V                modulo 2**32; a pair of products is below 2**29
//	Y = A^T M A = 576*sum                             modulo 2**32
//
// 576 = 64*9 and 9 is odd: Y*inverse(9) = 64*sum modulo 2**32, so the sum is known modulo 2**26. It lies between lo = 255*(sum of
// the negative weights) and hi = 255*(sum of the positive weights), which the loader computes. If hi-lo < 2**26 the sum moved
// by c0 to the middle of that range fits 26 bits: sum+c0 = (Y*inverse(9) + 64*c0) >> 6. The bias takes c0 back.
// F(2x2,3x3) leaves 4*sum, and asks for hi-lo < 2**30.
//
// Padding is part of the tile, zero points are in the bias, as in the direct kernels. Forms of one dimension, for 1x7, 7x1,
// 1x3 and 3x1 filters, are in winograd_line.go.
type winoForm struct {
	name    string // as in F(name)
	m, r, n int    // outputs, taps and inputs of a dimension: n = m+r-1
	freqs   int    // products of a tile
	taps    int    // of a filter
	shift   uint
	inverse uint32 // of the odd part of the scale
	line    *lineMatrices
	filter  []int16 // rows of G, each of their numbers 32 times
}

// rows is how many rows of frequencies a filter's transform has.
func (f *winoForm) rows() int {
	if f.line != nil {
		return 1
	}
	return f.n
}

// row is what WinoFilter wants of rows i, i+1, ...
func (f *winoForm) row(i int) *int16 {
	if f.line != nil {
		return nil
	}
	return &f.filter[3*32*i]
}

// repeat32 has each of some numbers 32 times, 64-byte aligned.
func repeat32(numbers ...int16) []int16 {
	all := aligned[int16](32 * len(numbers))
	for i := range all {
		all[i] = numbers[i/32]
	}
	return all
}

// limit is what hi-lo must be below.
func (f *winoForm) limit() int64 { return 1 << (32 - f.shift) }

var (
	wino4x4 = &winoForm{name: "4x4,3x3", m: 4, r: 3, n: 6, freqs: 36, taps: 9, shift: 6, inverse: 0x38E38E39,
		filter: repeat32(6, 0, 0, 1, 1, 1, 1, -1, 1, 1, 2, 4, 1, -2, 4, 0, 0, 6)}
	wino2x2 = &winoForm{name: "2x2,3x3", m: 2, r: 3, n: 4, freqs: 16, taps: 9, shift: 2, inverse: 1,
		filter: repeat32(2, 0, 0, 1, 1, 1, 1, -1, 1, 0, 0, 2)}
)

// winoForms are what there is; of one window's, the best first.
var winoForms = []*winoForm{wino4x4, wino2x2, wino6of7, wino4of3}

// GEMM16 is the record of a matrix product of 16-bit integers: c[i][j] = sum over k of a[i][k]*b[k][j], modulo 2**32.
// a has MR rows, lda bytes apart; b is a packed panel, [k/KR][NR][KR]; k is a multiple of KR; c is [MR][NR].
// Sums of KR products fit int32. Records that differ in MR and Name only are a family, as of GEMM; the form of a follows from
// the ISA, see transformed.
type GEMM16 struct {
	Name       string
	ISA        ISA
	MR, NR, KR int
	Rate       int // products per cycle, as GEMM's
	Fn         func(c *int32, a *int16, lda int, b *int16, k int)
}

// The transforms' scratch, tmp, is winoTmp bytes, 64-byte aligned. Rates are elements of results per 100 cycles.
const winoTmp = 36 * 64

// WinoInput is the record of the transform of a tile, n channels of it: v[f*ldf...][c] for all frequencies f, from stored bytes
// x[i*ldy+j*ldx+c], or x[i*ldx+c] of a line. What it writes is a row in the form that its ISA's products take. It reads and writes whole groups of Lanes
// channels.
type WinoInput struct {
	Name  string
	ISA   ISA
	Form  *winoForm
	Lanes int
	Rate  int
	Fn    func(v *int16, ldf int, x *byte, ldy, ldx, n int, tmp *byte)
}

// WinoFilter is the record of the transform of filters: u[f*ldf...][Lanes*g+l] from w[Lanes*(taps*g+tap)+l], for g < groups. A
// lane is a term of a column: Lanes is NR*KR of the matrix product. If it is ByRow, frequencies are those of n rows, which
// winoForm.row names, in the same order; else they are all, and the two are not used. Wide panels want it: their transformed weights
// would not fit L2.
type WinoFilter struct {
	Name  string
	ISA   ISA
	Form  *winoForm
	ByRow bool
	Lanes int
	Rate  int
	Fn    func(u *int16, ldf int, w *int8, groups int, rows *int16, n int, tmp *byte)
}

// WinoOutput is the record of the transform of products m[f*ldf...][NR*t+c] of some tiles in a row into sums
// y[i*ldy...][NR*(M*t+j)+c] = (A^T m A * inverse + corr[c]) >> shift, or of tiles of neighbouring lines, into y[i*ldy...][NR*t+c].
type WinoOutput struct {
	Name string
	ISA  ISA
	Form *winoForm
	NR   int
	Rate int
	Fn   func(y *int32, ldy int, m *int32, ldf, tiles int, corr *int32, tmp *byte)
}

var (
	gemm16s     = slices.Concat(portableGEMM16s, archGEMM16s)
	winoInputs  = slices.Concat(portableWinoInputs, archWinoInputs)
	winoFilters = slices.Concat(portableWinoFilters, archWinoFilters)
	winoOutputs = slices.Concat(portableWinoOutputs, archWinoOutputs)
)

// winoRegistry lists the kernels of this file for Registry.
func winoRegistry(add func(op, name string, isa ISA)) {
	for i := range gemm16s {
		add("gemm", gemm16s[i].Name, gemm16s[i].ISA)
	}
	for i := range winoInputs {
		add("winograd", winoInputs[i].Name, winoInputs[i].ISA)
	}
	for i := range winoFilters {
		add("winograd", winoFilters[i].Name, winoFilters[i].ISA)
	}
	for i := range winoOutputs {
		add("winograd", winoOutputs[i].Name, winoOutputs[i].ISA)
	}
}

// winoKernels are rows that work together.
type winoKernels struct {
	family []*GEMM16 // largest tile first
	input  *WinoInput
	filter *WinoFilter
	output *WinoOutput
}

// complete tells whether there are transforms for the matrix product: an instruction set that has one has those of two
// dimensions too, but perhaps not those of one.
func (k *winoKernels) complete() bool {
	portable := k.family[0].ISA == Portable
	return k.filter != nil && k.input != nil && (portable || k.filter.ISA != Portable && k.input.ISA != Portable && k.output.ISA != Portable)
}

// chooseWinograd returns the rows for a form and n output channels.
func chooseWinograd(available ISA, form *winoForm, n int) winoKernels {
	var k winoKernels
	var best *GEMM16
	score := func(g *GEMM16) float64 { return float64(g.Rate) * float64(n) / float64(ceilDiv(n, g.NR)*g.NR) }
	for i := range gemm16s {
		if g := &gemm16s[i]; g.ISA&^available == 0 && (best == nil || score(g) > score(best)) {
			best = g
		}
	}
	for i := range gemm16s {
		if g := &gemm16s[i]; g.ISA == best.ISA && g.NR == best.NR && g.KR == best.KR {
			k.family = append(k.family, g)
		}
	}
	slices.SortFunc(k.family, func(a, b *GEMM16) int { return cmp.Compare(b.MR, a.MR) })
	for i := range winoInputs {
		if r := &winoInputs[i]; r.Form == form && r.ISA&^available == 0 && r.ISA.transformed() == best.ISA.transformed() && (k.input == nil || r.Rate > k.input.Rate) {
			k.input = r
		}
	}
	for i := range winoFilters {
		if r := &winoFilters[i]; r.Form == form && r.ISA&^available == 0 && r.Lanes == best.NR*best.KR && (k.filter == nil || r.Rate > k.filter.Rate) {
			k.filter = r
		}
	}
	for i := range winoOutputs {
		if r := &winoOutputs[i]; r.Form == form && r.ISA&^available == 0 && r.NR == best.NR && (k.output == nil || r.Rate > k.output.Rate) {
			k.output = r
		}
	}
	return k
}

// split divides rows among the family: next[i] is the kernel to take first when i rows are left. The cost is in cycles per
// term and column.
func (k *winoKernels) split(rows int) (next []uint8, cost float64) {
	next, costs := make([]uint8, rows+1), make([]float64, rows+1)
	for i := 1; i <= rows; i++ {
		for j, g := range k.family {
			if g.MR > i && j < len(k.family)-1 {
				continue
			}
			if c := costs[max(i-g.MR, 0)] + float64(g.MR)/float64(g.Rate); costs[i] == 0 || c < costs[i] {
				costs[i], next[i] = c, uint8(j)
			}
		}
	}
	return next, costs[rows]
}

// winoI8 is a convolution made ready. It is read-only; what changes during a run is in io and scratch.
type winoI8 struct {
	in, out Shape
	pad     [4]int
	form    *winoForm
	winoKernels
	requant *Requantizer

	tw, tiles  int // tiles across, or lines, and tiles in all
	walk       lineWalk
	kPad       int // input channels, rounded up to KR
	ldv        int // of a tile's transformed channels, in elements
	nr, panels int

	stored  []int16 // transformed weights, [panels][freqs][kPad/KR][NR][KR] with ldu between frequencies, if they are few,
	packed  []int8  // else weights, [panels][kPad/KR][taps][NR][KR], which are transformed panel by panel on every run
	ldu     int     // bytes between a panel's frequencies
	bias    []int32 // [panels][NR], with zero point and c0 folded in
	corr    []int32 // likewise, c0 << shift
	mult    []float32
	params  *asm.Requant
	resid   bool
	padByte []byte // n pixels outside the image

	block winoBlocking
	next  []uint8 // next[rows] is the kernel of family to take first when so many rows are left
	why   string
}

// prepareWinogradI8 returns a convolution by Winograd's method, or nil if the method does not apply or would not be faster.
// The errors of a bad description are left to the direct path.
func prepareWinogradI8(c *ConvI8, available ISA, l2 int) *Prepared {
	forms := winoFormsFor(c)
	if Disabled("winograd") || len(forms) == 0 || c.check() != nil {
		return nil
	}
	// Reading all weights takes time, and pair-safe ones only make the direct kernels faster: if that much is clear, leave it.
	if !slices.ContainsFunc(forms, func(f *winoForm) bool { return winoGain(c, available, f, false) >= minWinoGain }) {
		return nil
	}
	proved, err := c.prove()
	if err != nil {
		return nil
	}
	reach := proved.reach
	for _, form := range forms {
		if reach >= form.limit() {
			continue
		}
		gain := winoGain(c, available, form, proved.pairSafe)
		if gain < minWinoGain {
			return nil
		}
		g, err := newWinoI8(c, available, l2, form, proved, winoStored(c, available, form))
		if err != nil {
			return nil
		}
		g.why = fmt.Sprintf("%s, sums span %d of %d: F(%s) modulo 2^32, about %.1f times as fast as the direct sum",
			g.family[0].ISA, reach, form.limit(), form.name, gain)
		return g.prepared()
	}
	return nil
}

// winoFormsFor lists the forms of a layer's window, best first. With very few channels the transforms are most of the work.
func winoFormsFor(c *ConvI8) []*winoForm {
	if c.Groups != 1 || c.In.C < 8 {
		return nil
	}
	return winoFormsOf(&c.Window)
}

func winoFormsOf(w *Window) []*winoForm {
	if w.StrideH != 1 || w.StrideW != 1 || w.DilationH != 1 || w.DilationW != 1 {
		return nil
	}
	switch [2]int{w.KH, w.KW} {
	case [2]int{3, 3}:
		return []*winoForm{wino4x4, wino2x2}
	case [2]int{1, 7}, [2]int{7, 1}:
		return []*winoForm{wino6of7}
	case [2]int{1, 3}, [2]int{3, 1}:
		return []*winoForm{wino4of3}
	}
	return nil
}

// minWinoGain is what the estimate must promise before the direct kernels, which read less memory, are left.
const minWinoGain = 1.05

// winoGain estimates how many times faster than the direct kernels a layer would be, from the rates of the rows. What both
// do is left out.
func winoGain(c *ConvI8, available ISA, form *winoForm, safe bool) float64 {
	d := chooseGEMM(available, safe, c.Out.C)
	direct := rowCost(d, c.Out.H*c.Out.W) * float64(form.taps*c.In.C) * float64(ceilDiv(c.Out.C, d[0].NR)*d[0].NR)
	return direct / winoCycles(c, available, form)
}

// tileCount counts the tiles of a layer.
func tileCount(c *ConvI8, form *winoForm) int {
	if form.line == nil {
		return ceilDiv(c.Out.H, form.m) * ceilDiv(c.Out.W, form.m)
	}
	if c.Window.KH > 1 {
		return ceilDiv(c.Out.H, form.m) * c.Out.W
	}
	return ceilDiv(c.Out.W, form.m) * c.Out.H
}

func winoCycles(c *ConvI8, available ISA, form *winoForm) float64 {
	k := chooseWinograd(available, form, c.Out.C)
	if !k.complete() {
		return math.Inf(1)
	}
	tiles := tileCount(c, form)
	nr := k.family[0].NR
	in := float64(ceilDiv(c.In.C, k.input.Lanes) * k.input.Lanes)
	out := float64(ceilDiv(c.Out.C, nr) * nr)
	_, cost := k.split(tiles)
	cycles := cost*float64(form.freqs)*float64(c.In.C)*out + 100*float64(tiles)*(in/float64(k.input.Rate)+out/float64(k.output.Rate))
	if !winoStored(c, available, form) {
		cycles += 100 * float64(c.In.C) * out / float64(k.filter.Rate)
	}
	return cycles
}

// storedLimit is up to how many bytes a layer's transformed weights are kept. They are eight times the weights, and more than
// this comes from memory more slowly than it is computed again. Those of one dimension are computed in less than a third of
// that time, and are not kept.
const storedLimit = 5 << 18

func winoStored(c *ConvI8, available ISA, form *winoForm) bool {
	g := chooseWinograd(available, form, c.Out.C).family[0]
	return form.line == nil && 2*form.freqs*c.In.C*ceilDiv(c.Out.C, g.NR)*g.NR <= storedLimit
}

func newWinoI8(c *ConvI8, available ISA, l2 int, form *winoForm, p *proof, stored bool) (*winoI8, error) {
	g := &winoI8{in: c.In, out: c.Out, pad: c.Window.Pad, form: form, winoKernels: chooseWinograd(available, form, c.Out.C),
		tw: ceilDiv(c.Out.W, form.m), tiles: tileCount(c, form), resid: c.Residual != nil}
	if form.line != nil {
		g.walk = newLineWalk(c)
		g.tw = g.walk.lines
	}
	g.requant = chooseRequantizer(available, g.resid)
	main := g.family[0]
	g.nr, g.panels = main.NR, ceilDiv(c.Out.C, main.NR)
	g.kPad = ceilDiv(c.In.C, main.KR) * main.KR
	g.ldv = max(ceilDiv(c.In.C, g.input.Lanes)*g.input.Lanes, g.kPad)
	g.ldu = winoStride(2 * g.kPad * g.nr)
	var mult []float32
	var err error
	if g.params, mult, err = c.Requant.prepare(c.Out.C, c.Residual); err != nil {
		return nil, err
	}
	g.pack(c, p, mult, stored)
	g.plan(l2)
	return g, nil
}

// winoStride is a distance between frequencies: a power of two, which channels often give, would put all of them into the
// same lines of the cache.
func winoStride(n int) int { return align64(n) + 64 }

// pack lays out the weights, and folds zero point and c0 into the bias.
func (g *winoI8) pack(c *ConvI8, p *proof, mult []float32, stored bool) {
	kr, nr := g.family[0].KR, g.nr
	run, groups := padded4(c.In.C), g.kPad/kr
	g.bias, g.corr, g.mult = aligned[int32](g.panels*nr), aligned[int32](g.panels*nr), aligned[float32](g.panels*nr)
	taps := g.form.taps
	g.packed = aligned[int8](g.panels * groups * taps * nr * kr)
	for first := 0; first < c.Out.C; first += nr {
		panel := g.packed[first*groups*taps*kr:]
		columns := min(nr, c.Out.C-first)
		for i := 0; i < c.In.C; i += packBlock {
			for tap := range taps {
				w := c.Weights[(first*taps+tap)*run+i:]
				spreadRows(panel[(i/kr*taps+tap)*nr*kr:], taps*nr*kr, w, taps*run, columns, min(packBlock, c.In.C-i), kr)
			}
		}
	}
	for o := range c.Out.C {
		c0 := -((255*p.sums[o] + 1) >> 1) // lo+c0 >= -2**25 and hi+c0 < 2**25, lo+hi being 255*sum
		g.bias[o], g.mult[o] = foldBias(c.Bias, o, c.ZeroIn, U8.Bias(), p.sums[o])-int32(c0), mult[o]
		g.corr[o] = int32(c0 << g.form.shift)
	}
	g.padByte = make([]byte, g.form.n*c.In.C)
	for i := range g.padByte {
		g.padByte[i] = padByte(c.PadValue, c.ZeroIn, i%c.In.C)
	}
	if stored {
		size := g.form.freqs * g.ldu / 2
		g.stored = aligned[int16](g.panels * size)
		tmp := aligned[byte](winoTmp)
		for i := range g.panels {
			g.filters(at(g.stored, i*size), i, 0, g.form.rows(), &tmp[0])
		}
		g.packed = nil
	}
}

// filters writes n rows of frequencies of a panel's transformed weights, from the first one on.
func (g *winoI8) filters(u *int16, panel, first, n int, tmp *byte) {
	groups := g.kPad / g.family[0].KR
	g.filter.Fn(u, g.ldu, at(g.packed, panel*groups*g.form.taps*g.filter.Lanes), groups, g.form.row(first), n, tmp)
}

func (g *winoI8) prepared() *Prepared {
	p := &Prepared{
		Kernel: g.family[0].Name,
		Why:    g.why,
		MACs:   int64(g.form.taps) * int64(g.out.Len()) * int64(g.in.C),
		Packed: 2*len(g.stored) + len(g.packed) + 12*len(g.bias),
	}
	if g.stored != nil {
		p.Stages = []Stage{{Name: "winograd", Units: g.tiles, Grain: 4 * g.family[0].MR, Scratch: g.block.size, Run: g.runTiles}}
		return p
	}
	p.Inner = []int{g.block.count * g.block.vBytes}
	p.Stages = []Stage{
		{Name: "winograd input", Units: g.tiles, Scratch: g.block.size, Run: g.runInput},
		{Name: "winograd", Units: g.panels * g.block.count, Grain: g.block.count, Scratch: g.block.size, Run: g.runPanels},
	}
	return p
}
