package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// PrepareConvI8 returns a quantized convolution, grouped or not. A fully connected layer is one over a 1x1 image.
//
// It is a matrix product of OH*OW rows, one per output pixel, and KH*KW*I/groups terms by O/groups columns. Rows of a 1x1
// convolution with stride 1 are pixels of the input as they lie there; others are gathered, a block at a time.
func PrepareConvI8(c *ConvI8) (*Prepared, error) {
	if p := prepareWinogradI8(c, features, cacheL2()); p != nil {
		return p, nil
	}
	return prepareConvI8(c, features, cacheL2())
}

// prepareConvS32 returns the convolution without its last step: Out[0] holds int32 accumulators, the bias included.
// c.Requant and c.Residual are not used.
func prepareConvS32(c *ConvI8, available ISA, l2 int) (*Prepared, error) {
	g, err := newConvI8(c, available, l2, true)
	if err != nil {
		return nil, err
	}
	return g.prepared(), nil
}

// convI8 is a convolution made ready. It is read-only; what changes during a run is in io and scratch.
type convI8 struct {
	in, out Shape
	win     Window
	groups  int
	gi, go_ int // input and output channels of a group
	order   termOrder
	k       int // terms of a row: KH*KW*order.run
	kPad    int // k, rounded up to the kernel's KR
	rows    int // OH*OW

	family  []*GEMM // largest tile first
	requant *Requantizer
	rounds  *GEMMRequant // for whole tiles of a panel, or nil
	wide    *GEMMRequant // of two panels
	widen   *Widener     // for kernels with 16-bit operands, else nil
	inTurn  *Interleaver // for those with three rows in turn, else nil
	flip    *Flipper     // for kernels that read values, else nil
	direct  bool         // rows are pixels of the input
	inPlace bool         // and are read there: the kernel takes them as they are stored

	packed   []int8 // [groups][panels][kPad/KR][NR][KR]
	panels   int    // of a group
	panelLen int
	bias     []int32   // [groups][panels*NR], with the zero point folded in
	mult     []float32 // likewise
	params   *asm.Requant
	residual bool
	raw      bool   // accumulators are the result
	padRow   []byte // [groups][KW, or a slab's columns][gi] stored padding bytes
	why      string

	tile   int // rows of a unit
	nSplit bool
	block  blocking
}

func prepareConvI8(c *ConvI8, available ISA, l2 int) (*Prepared, error) {
	g, err := newConvI8(c, available, l2, false)
	if err != nil {
		return nil, err
	}
	return g.prepared(), nil
}

func newConvI8(c *ConvI8, available ISA, l2 int, raw bool) (*convI8, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	w := &c.Window
	g := &convI8{in: c.In, out: c.Out, win: c.Window, groups: c.Groups, gi: c.In.C / c.Groups, go_: c.Out.C / c.Groups,
		rows: c.Out.H * c.Out.W, raw: raw, residual: c.Residual != nil && !raw}
	g.direct = w.KH == 1 && w.KW == 1 && w.StrideH == 1 && w.StrideW == 1 && w.Pad == [4]int{}

	mult := make([]float32, c.Out.C)
	if !raw {
		var err error
		if g.params, mult, err = c.Requant.prepare(c.Out.C, c.Residual); err != nil {
			return nil, err
		}
	}
	proved, err := c.prove()
	if err != nil {
		return nil, err
	}
	g.choose(c, available, proved.pairSafe)
	g.requant = chooseRequantizer(available, g.residual)
	if !g.raw {
		g.rounds = chooseGEMMRequant(g.family, 1, g.residual)
		if g.groups == 1 && g.go_ > g.family[0].NR {
			g.wide = chooseGEMMRequant(g.family, 2, g.residual)
		}
	}
	if err := g.pack(c, proved, mult); err != nil {
		return nil, err
	}
	g.plan(l2)
	return g, nil
}

func (g *convI8) prepared() *Prepared {
	units, grain := ceilDiv(g.rows, g.tile), 2
	if g.nSplit {
		grain = units // a panel
		if !g.inPlace {
			grain *= 4 // gathered rows are to meet some
		}
		units *= g.shares()
	}
	return &Prepared{
		Stages: []Stage{{Name: "conv", Units: units, Grain: grain, Scratch: g.block.size, Run: g.run}},
		Kernel: g.family[0].Name,
		Why:    g.why,
		MACs:   int64(g.rows) * int64(g.out.C) * int64(g.win.KH*g.win.KW*g.gi),
		Packed: len(g.packed) + 8*len(g.bias),
	}
}

// why says in words what led to the choice of a kernel.
func why(g *GEMM, available ISA, safe bool) string {
	if g.ISA == Portable {
		if available == Portable {
			return "no SIMD available"
		}
		return "no kernel for " + available.String()
	}
	switch {
	case g.PairSafe:
		return g.ISA.String() + ", pair-safe weights"
	case g.A == S16 && !safe:
		return g.ISA.String() + ", weights not pair-safe: 16-bit products"
	}
	return g.ISA.String() + ", any weights"
}

// check demands consistent shapes and values in range. Sums are checked while packing, where the weights are read.
func (c *ConvI8) check() error {
	if err := checkShapes(c.In, c.Out); err != nil {
		return err
	}
	if err := checkWindow(&c.Window, c.In, c.Out, false); err != nil {
		return err
	}
	if c.Groups < 1 || c.In.C%c.Groups != 0 || c.Out.C%c.Groups != 0 {
		return fmt.Errorf("%d groups do not divide %d input and %d output channels", c.Groups, c.In.C, c.Out.C)
	}
	w := &c.Window
	taps := int64(w.KH) * int64(w.KW)
	run := int64(padded4(c.In.C / c.Groups))
	if taps > maxElements || taps*run > maxElements || taps*run*int64(c.Out.C) > maxElements {
		return fmt.Errorf("%dx%d taps of %d channels into %d: more than %d weights", w.KH, w.KW, run, c.Out.C, maxElements)
	}
	if err := checkLength("weights", len(c.Weights), int(taps*run)*c.Out.C); err != nil {
		return err
	}
	if err := checkOptional("biases", len(c.Bias), c.Out.C); err != nil {
		return err
	}
	if err := checkOptional("padding values", len(c.PadValue), c.In.C); err != nil {
		return err
	}
	return checkZero("input", c.ZeroIn)
}

// padByte is the stored byte of channel ch outside the image.
func padByte(pad []int8, zero int32, ch int) byte {
	if len(pad) == 0 {
		return byte(zero + 128)
	}
	return byte(int32(pad[ch]) + 128)
}

// A proof is what the loader found out about a layer's weights by reading them.
type proof struct {
	pairSafe bool
	sums     []int64 // of each output channel's weights
	reach    int64   // the largest range of any output channel's sum, over all inputs of 0..255
}

// channelSums adds up one channel's weights by sign, and checks their range.
type channelSums struct{ pos, neg int64 }

func (s *channelSums) add(run []int8) (ok bool) {
	pos, neg, _, ok := scanWeights(run)
	s.pos, s.neg = s.pos+pos, s.neg+neg
	return ok
}

// check demands that the accumulator fits int32 whatever the input is: its values less the zero point lie in
// -128-zero..127-zero.
func (s *channelSums) check(ch int, bias []int32, zero int32) error {
	var b int64
	if len(bias) != 0 {
		b = int64(bias[ch])
	}
	least, most := int64(-128-zero), int64(127-zero)
	lo, hi := b+s.pos*least+s.neg*most, b+s.pos*most+s.neg*least
	if lo < math.MinInt32 || hi > math.MaxInt32 {
		return fmt.Errorf("output channel %d: accumulator range %d..%d does not fit int32", ch, lo, hi)
	}
	return nil
}

// errMinWeight refuses what a symmetric quantizer never makes, and pair rules and 16-bit sums do not allow for.
func errMinWeight(ch int) error {
	return fmt.Errorf("output channel %d has a weight of -128: want -127..127", ch)
}

// foldBias is the bias of a sum of operands times weights, where an operand is the value plus offset. It wraps, as the sum
// it is added to does: both are taken modulo 2**32.
func foldBias(bias []int32, ch int, zero, offset int32, sum int64) int32 {
	b := -int64(zero+offset) * sum
	if len(bias) != 0 {
		b += int64(bias[ch])
	}
	return int32(b)
}

// prove reads the weights once: range, accumulator bounds, sums and the pair rule.
//
// VPMADDUBSW cannot saturate if in every pair of neighbours along K the positive weights add up to at most 128, and the
// negative ones to at least -128. With an even number of input channels these are channels 2j and 2j+1 of one tap; with an odd
// number pairs straddle taps, and it is those of the natural order that are checked; see pairSafe for another.
func (c *ConvI8) prove() (*proof, error) {
	gi := c.In.C / c.Groups
	run, taps := padded4(gi), c.Window.KH*c.Window.KW
	p := &proof{pairSafe: true, sums: make([]int64, c.Out.C)}
	k := make([]int8, taps*gi)
	for o := range c.Out.C {
		filter := c.filter(k, o, taps, gi, run)
		pos, neg, safe, ok := scanWeights(filter)
		if !ok {
			return nil, errMinWeight(o)
		}
		s := channelSums{pos, neg}
		if err := s.check(o, c.Bias, c.ZeroIn); err != nil {
			return nil, err
		}
		p.sums[o] = pos + neg
		p.reach = max(p.reach, 255*(pos-neg))
		p.pairSafe = p.pairSafe && safe
	}
	return p, nil
}

// filter returns output channel o's weights without padding, in k unless they are already contiguous.
func (c *ConvI8) filter(k []int8, o, taps, gi, run int) []int8 {
	w := c.Weights[o*taps*run:][:taps*run]
	if gi == run {
		return w
	}
	for t := range taps {
		copy(k[t*gi:][:gi], w[t*run:])
	}
	return k
}

// pack lays the weights out in panels and folds the zero point into the bias.
func (g *convI8) pack(c *ConvI8, p *proof, mult []float32) error {
	main := g.family[0]
	nr, kr := main.NR, main.KR
	g.kPad = ceilDiv(g.k, kr) * kr
	g.panels = ceilDiv(g.go_, nr)
	g.panelLen = g.kPad * nr
	if total := int64(g.groups) * int64(g.panels) * int64(g.panelLen); total > 2*maxElements {
		return fmt.Errorf("packed weights take %d bytes", total)
	}
	g.packed = aligned[int8](g.groups * g.panels * g.panelLen)
	g.bias = aligned[int32](g.groups * g.panels * nr)
	g.mult = aligned[float32](g.groups * g.panels * nr)

	taps, run := g.win.KH*g.win.KW, padded4(g.gi)
	natural := g.order == termOrder{run: g.gi}
	var buf, filter []int8
	if run != g.gi || !natural {
		buf, filter = make([]int8, nr*g.k), make([]int8, taps*g.gi)
	}
	for panel := range g.groups * g.panels {
		first, end := panel/g.panels*g.go_+panel%g.panels*nr, (panel/g.panels+1)*g.go_
		n := min(nr, end-first)
		for o := first; o < first+n; o++ {
			at := panel*nr + o - first
			g.bias[at], g.mult[at] = foldBias(c.Bias, o, c.ZeroIn, main.A.Bias(), p.sums[o]), mult[o]
		}
		columns := buf
		switch {
		case buf == nil: // as they lie there
			columns = c.Weights[first*g.k:]
		case natural:
			for j := range n {
				c.filter(buf[j*g.k:][:g.k], first+j, taps, g.gi, run)
			}
		default:
			for j := range n {
				g.order.arrange(buf[j*g.k:][:g.k], c.filter(filter, first+j, taps, g.gi, run), &g.win, g.gi)
			}
		}
		packPanel(g.packed[panel*g.panelLen:][:g.panelLen], columns, g.k, n, g.k, nr, kr)
	}

	runs := g.win.KW
	if g.order.slab {
		runs = g.slabColumns()
	}
	g.padRow = aligned[byte](runs * c.In.C)
	for group := range g.groups {
		for kx := range runs {
			for i := range g.gi {
				g.padRow[(group*runs+kx)*g.gi+i] = padByte(c.PadValue, c.ZeroIn, group*g.gi+i)
			}
		}
	}
	return nil
}

// at returns a pointer to element i.
func at[T any](s []T, i int) *T {
	var t T
	return (*T)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s)), i*int(unsafe.Sizeof(t))))
}
