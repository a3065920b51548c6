package kernels

import (
	"cmp"
	"fmt"
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
// Padding is part of the tile, zero points are in the bias, as in the direct kernels.
type winoForm struct {
	m, n    int
	shift   uint
	inverse uint32 // of the odd part of the scale
}

// limit is what hi-lo must be below.
func (f *winoForm) limit() int64 { return 1 << (32 - f.shift) }

// winoForms are what there is, best first.
var winoForms = []*winoForm{{m: 4, n: 6, shift: 6, inverse: 0x38E38E39}, {m: 2, n: 4, shift: 2, inverse: 1}}

// GEMM16 is the record of a matrix product of 16-bit integers: c[i][j] = sum over k of a[i][k]*b[k][j], modulo 2**32.
// a has MR rows, lda bytes apart; b is a packed panel, [k/KR][NR][KR]; k is a multiple of KR; c is [MR][NR].
// Sums of KR products fit int32. Records that differ in MR and Name only are a family, which ends with one row.
type GEMM16 struct {
	Name       string
	ISA        ISA
	MR, NR, KR int
	Rate       int // products per cycle, as GEMM's
	Fn         func(c *int32, a *int16, lda int, b *int16, k int)
}

// The transforms' scratch, tmp, is winoTmp bytes, 64-byte aligned. Rates are elements of results per 100 cycles.
const winoTmp = 36 * 64

// WinoInput is the record of the transform of a tile of F(MxM,3x3), n channels of it: v[f*ldf...][c] for f < (M+2)^2, from
// stored bytes x[i*ldy+j*ldx+c]. It reads and writes whole groups of Lanes channels.
type WinoInput struct {
	Name     string
	ISA      ISA
	M, Lanes int
	Rate     int
	Fn       func(v *int16, ldf int, x *byte, ldy, ldx, n int, tmp *byte)
}

// WinoFilter is the record of the transform of filters: u[f*ldf...][Lanes*g+l] from w[Lanes*(9*g+tap)+l], for g < groups. A
// lane is a term of a column: Lanes is NR*KR of the matrix product.
type WinoFilter struct {
	Name     string
	ISA      ISA
	M, Lanes int
	Rate     int
	Fn       func(u *int16, ldf int, w *int8, groups int, tmp *byte)
}

// WinoOutput is the record of the transform of products m[f*ldf...][NR*t+c] of some tiles in a row into sums
// y[i*ldy...][NR*(M*t+j)+c] = (A^T m A * inverse + corr[c]) >> shift.
type WinoOutput struct {
	Name  string
	ISA   ISA
	M, NR int
	Rate  int
	Fn    func(y *int32, ldy int, m *int32, ldf, tiles int, corr *int32, tmp *byte)
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

// chooseWinograd returns the rows for a form and n output channels; an instruction set that has a matrix product has its
// transforms too.
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
		if r := &winoInputs[i]; r.M == form.m && r.ISA&^available == 0 && (k.input == nil || r.Rate > k.input.Rate) {
			k.input = r
		}
	}
	for i := range winoFilters {
		if r := &winoFilters[i]; r.M == form.m && r.ISA&^available == 0 && r.Lanes == best.NR*best.KR && (k.filter == nil || r.Rate > k.filter.Rate) {
			k.filter = r
		}
	}
	for i := range winoOutputs {
		if r := &winoOutputs[i]; r.M == form.m && r.ISA&^available == 0 && r.NR == best.NR && (k.output == nil || r.Rate > k.output.Rate) {
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
			if g.MR > i {
				continue
			}
			if c := costs[i-g.MR] + float64(g.MR)/float64(g.Rate); costs[i] == 0 || c < costs[i] {
				costs[i], next[i] = c, uint8(j)
			}
		}
	}
	return next, costs[rows]
}

// winoI8 is a 3x3 convolution made ready. It is read-only; what changes during a run is in io and scratch.
type winoI8 struct {
	in, out Shape
	pad     [4]int
	form    *winoForm
	winoKernels
	requant *Requantizer

	th, tw, tiles int // tiles down, across, and in all
	kPad          int // input channels, rounded up to KR
	ldv           int // of a tile's transformed channels, in elements
	nr, panels    int

	stored  []int16 // transformed weights, [panels][n*n][kPad/KR][NR][KR] with ldu between frequencies, if they are few,
	packed  []int8  // else weights, [panels][kPad/KR][9][NR][KR], which are transformed panel by panel on every run
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
	if Disabled("winograd") || !winoApplies(c) || c.check() != nil {
		return nil
	}
	// Reading all weights takes time, and pair-safe ones only make the direct kernels faster: if that much is clear, leave it.
	if !slices.ContainsFunc(winoForms, func(f *winoForm) bool { return winoGain(c, available, f, false) >= minWinoGain }) {
		return nil
	}
	proved, err := c.prove()
	if err != nil {
		return nil
	}
	reach := proved.reach
	for _, form := range winoForms {
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
		g.why = fmt.Sprintf("%s, sums span %d of %d: F(%dx%d,3x3) modulo 2^32, about %.1f times as fast as the direct sum",
			g.family[0].ISA, reach, form.limit(), form.m, form.m, gain)
		return g.prepared()
	}
	return nil
}

// winoApplies looks at the geometry. With very few channels the transforms are most of the work.
func winoApplies(c *ConvI8) bool {
	return c.Groups == 1 && c.In.C >= 8 && c.Window == Window{KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Pad: c.Window.Pad}
}

// minWinoGain is what the estimate must promise before the direct kernels, which read less memory, are left.
const minWinoGain = 1.05

// winoGain estimates how many times faster than the direct kernels a layer would be, from the rates of the rows. What both
// do is left out.
func winoGain(c *ConvI8, available ISA, form *winoForm, safe bool) float64 {
	d := chooseGEMM(available, safe, c.Out.C)
	rows, cost := c.Out.H*c.Out.W, 0.0
	for _, k := range d { // as convI8.product takes them
		cost += float64(rows/k.MR*k.MR) / float64(k.Rate)
		rows %= k.MR
	}
	direct := cost * float64(9*c.In.C) * float64(ceilDiv(c.Out.C, d[0].NR)*d[0].NR)
	return direct / winoCycles(c, available, form)
}

func winoCycles(c *ConvI8, available ISA, form *winoForm) float64 {
	k := chooseWinograd(available, form, c.Out.C)
	tiles := ceilDiv(c.Out.H, form.m) * ceilDiv(c.Out.W, form.m)
	nr := k.family[0].NR
	in := float64(ceilDiv(c.In.C, k.input.Lanes) * k.input.Lanes)
	out := float64(ceilDiv(c.Out.C, nr) * nr)
	_, cost := k.split(tiles)
	cycles := cost*float64(form.n*form.n)*float64(c.In.C)*out + 100*float64(tiles)*(in/float64(k.input.Rate)+out/float64(k.output.Rate))
	if !winoStored(c, available, form) {
		cycles += 100 * float64(c.In.C) * out / float64(k.filter.Rate)
	}
	return cycles
}

// storedLimit is up to how many bytes a layer's transformed weights are kept. They are eight times the weights, and more than
// this comes from memory more slowly than it is computed again.
const storedLimit = 5 << 18

func winoStored(c *ConvI8, available ISA, form *winoForm) bool {
	g := chooseWinograd(available, form, c.Out.C).family[0]
	return 2*form.n*form.n*c.In.C*ceilDiv(c.Out.C, g.NR)*g.NR <= storedLimit
}

func newWinoI8(c *ConvI8, available ISA, l2 int, form *winoForm, p *proof, stored bool) (*winoI8, error) {
	g := &winoI8{in: c.In, out: c.Out, pad: c.Window.Pad, form: form, winoKernels: chooseWinograd(available, form, c.Out.C),
		th: ceilDiv(c.Out.H, form.m), tw: ceilDiv(c.Out.W, form.m), resid: c.Residual != nil}
	g.tiles = g.th * g.tw
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
	g.packed = aligned[int8](g.panels * groups * 9 * nr * kr)
	for first := 0; first < c.Out.C; first += nr {
		panel := g.packed[first*groups*9*kr:]
		columns := min(nr, c.Out.C-first)
		for i := 0; i < c.In.C; i += packBlock {
			for tap := range 9 {
				w := c.Weights[(first*9+tap)*run+i:]
				spreadRows(panel[(i/kr*9+tap)*nr*kr:], 9*nr*kr, w, 9*run, columns, min(packBlock, c.In.C-i), kr)
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
		size := g.form.n * g.form.n * g.ldu / 2
		g.stored = aligned[int16](g.panels * size)
		tmp := aligned[byte](winoTmp)
		for i := range g.panels {
			g.filters(at(g.stored, i*size), i, &tmp[0])
		}
		g.packed = nil
	}
}

// filters writes the transformed weights of a panel.
func (g *winoI8) filters(u *int16, panel int, tmp *byte) {
	groups := g.kPad / g.family[0].KR
	g.filter.Fn(u, g.ldu, at(g.packed, panel*groups*9*g.filter.Lanes), groups, tmp)
}

func (g *winoI8) prepared() *Prepared {
	p := &Prepared{
		Kernel: g.family[0].Name,
		Why:    g.why,
		MACs:   9 * int64(g.out.Len()) * int64(g.in.C),
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
