package kernels

import (
	"cmp"
	"slices"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Operand is the form in which a kernel reads one of its matrices.
type Operand uint8

const (
	U8  Operand = 1 // the stored byte, value+128
	S8  Operand = 2 // the value
	S16 Operand = 3 // 16 bits: the stored byte zero-extended as an activation, the value as a weight

	// S16x3 is S16 with three rows in turn, eight terms of each: [rows/3][k/8][3][8]. Rows are still lda bytes on the average.
	S16x3 Operand = 4
)

// Size is the number of bytes of one element.
func (o Operand) Size() int {
	if o == S16 || o == S16x3 {
		return 2
	}
	return 1
}

// Rows is the number of rows that lie side by side, and that the smallest tile of a family has.
func (o Operand) Rows() int {
	if o == S16x3 {
		return 3
	}
	return 1
}

// index is where term t of row i lies, in elements; lda is in elements too.
func (o Operand) index(i, t, lda int) int {
	if o == S16x3 {
		return i/3*3*lda + t/8*24 + i%3*8 + t%8
	}
	return i*lda + t
}

// Bias is what an activation's operand form adds to its value; the layer's bias takes it back.
func (o Operand) Bias() int32 {
	if o == S8 {
		return 0
	}
	return 128
}

// GEMM is the record of one int8 matrix product microkernel: c[i][j] = sum over k of a[i][k]*b[k][j], modulo 2**32.
//
// a has MR rows, lda bytes apart, in form A. b is a packed panel of NR columns: [k/KR][NR][KR] weights. k is a multiple of
// KR. c is [MR][NR], contiguous. A kernel may read up to Slack bytes behind its operands and writes c only.
// Records that differ in MR and Name only are a family: they share packed weights, and the smallest tile of every family has
// A.Rows() rows, so that any number of rows is covered exactly, or with one or two that do not count.
type GEMM struct {
	Name       string
	ISA        ISA
	MR, NR, KR int
	A          Operand
	PairSafe   bool // b must be pair-safe, see PairSafe
	Rate       int  // products per cycle of a full tile, roughly: the chooser's measure
	Fn         func(c *int32, a *byte, lda int, b *int8, k int)
}

// Requantizer is the record of a kernel that turns int32 accumulators into stored bytes: rows x n of them, accumulators
// ldc elements apart, bytes ldd apart. asm.Requant has the formula. With Residual, res is the other operand, ldr bytes
// apart. bias, mult, c and res are readable up to Slack bytes behind column n-1; exactly n bytes a row are written.
type Requantizer struct {
	Name     string
	ISA      ISA
	Residual bool
	Rate     int
	Fn       func(dst *byte, ldd int, c *int32, ldc, rows, n int, bias *int32, mult *float32, res *byte, ldr int, p *asm.Requant)
}

// GEMMRequant is the record of a product's tile that rounds its sums as a Requantizer does, before it stores them: MR rows of NR
// bytes, ldd apart. Weights are packed as a GEMM's of so many Panels, one behind the other; bias and mult are theirs. With Residual,
// res is the other operand's rows, ldr bytes apart; else it is not used.
type GEMMRequant struct {
	Name       string
	ISA        ISA
	MR, NR, KR int
	Panels     int
	Residual   bool
	Fn         func(dst *byte, ldd int, a *byte, lda int, b *int8, k int, bias *int32, mult *float32, res *byte, ldr int, p *asm.Requant)
}

// Depthwise is the record of a depthwise convolution kernel with its requantization. It computes pixels outputs of n
// channels: pixel p reads channel c of tap t at a + p*step + off[t] + c, and writes dst + p*ldd + c. taps is a multiple of
// KR; a tap that pads has weight zero and some valid offset.
// Weights are packed [n/CR][taps/KR][CR][KR] in form W, channels of a block in the order Order; bias and mult are
// [n/CR][CR] in that order. Reads go up to Slack bytes behind channel n-1; exactly n bytes a pixel are written.
type Depthwise struct {
	Name     string
	ISA      ISA
	CR, KR   int
	A        Operand // what a holds: stored bytes (U8), or their values (S8)
	W        Operand
	Order    []int // Order[i] is the channel, within a block, at packed place i; nil is the natural order
	Residual bool
	Rate     int
	Fn       func(dst *byte, ldd int, a *byte, step, pixels int, off *int, taps int, w *byte, n int, bias *int32, mult *float32, res *byte, ldr int, p *asm.Requant)
}

// A Depthwise3x3 is a Depthwise for windows of 3x3 taps, that takes them column by column: tap ky, kx is at place
// columnTaps*kx+ky of off and of the weights, off[columnTaps*kx+ky] is off[ky] + kx*d, and step is Stride*d.
type Depthwise3x3 struct {
	Depthwise
	Stride int
}

// columnTaps is the number of places of a column of a Depthwise3x3: three, and one of weight zero.
const columnTaps = 4

// Records of kernels that bring stored bytes into another form.
type (
	// Widener: n bytes as 16-bit integers (S16). It may read and write up to Slack elements behind the n.
	Widener = Row[func(dst *uint16, src *byte, n int)]
	// Interleaver: n times three rows of k terms as S16x3. The rows are lda bytes apart in src; k is a multiple of 8. It may
	// read up to Slack bytes behind a row and write up to Slack elements behind the last.
	Interleaver = Row[func(dst *uint16, src *byte, lda, k, n int)]
	// Flipper: n bytes as values (S8). dst may be src. It may read and write up to Slack bytes behind the n, unless n is a
	// multiple of flipRun.
	Flipper = Row[func(dst, src *byte, n int)]
)

// The registry: portable rows and those that were built for this architecture. What this CPU can run is a matter of
// Features.
var (
	gemms        = slices.Concat(portableGEMMs, archGEMMs)
	requantizers = slices.Concat(portableRequantizers, archRequantizers)
	gemmRequants = archGEMMRequants // the others take a GEMM and a Requantizer
	depthwises   = slices.Concat(portableDepthwises, archDepthwises)
	// There is no portable one: the others take 3x3 windows as well.
	depthwises3x3 = archDepthwises3x3
	wideners      = slices.Concat(portableWideners, archWideners)
	interleavers  = slices.Concat(portableInterleavers, archInterleavers)
	flippers      = slices.Concat(portableFlippers, archFlippers)
)

// GEMMs returns the records of every matrix product kernel in this build, runnable here or not.
func GEMMs() []GEMM { return slices.Clone(gemms) }

// KernelInfo names one kernel of the registry.
type KernelInfo struct {
	Name, Op string
	ISA      ISA
	Runnable bool // on this CPU, under RFGA_DISABLE
}

// Registry lists every kernel in this build.
func Registry() []KernelInfo {
	var list []KernelInfo
	add := func(op, name string, isa ISA) {
		list = append(list, KernelInfo{Name: name, Op: op, ISA: isa, Runnable: isa&^features == 0})
	}
	for i := range gemms {
		add("gemm", gemms[i].Name, gemms[i].ISA)
	}
	for i := range gemmRequants {
		add("gemmrequant", gemmRequants[i].Name, gemmRequants[i].ISA)
	}
	for i := range depthwises {
		add("depthwise", depthwises[i].Name, depthwises[i].ISA)
	}
	for i := range depthwises3x3 {
		add("depthwise", depthwises3x3[i].Name, depthwises3x3[i].ISA)
	}
	for i := range requantizers {
		add("requant", requantizers[i].Name, requantizers[i].ISA)
	}
	listRows("widen", wideners, add)
	listRows("widen", interleavers, add)
	winoRegistry(add)
	listRows("flip", flippers, add)
	eachRow(add)
	eachPixelRow(add)
	for i := range archPeaks {
		add("peak", archPeaks[i].Name, archPeaks[i].ISA)
	}
	eachFloatRow(add)
	return list
}

// chooseGEMM returns the family to use for n columns, largest tile first; portable Go serves where nothing else does. A
// tile's idle columns count against it.
func chooseGEMM(available ISA, pairSafe bool, n int) []*GEMM {
	var best *GEMM
	score := func(g *GEMM) float64 {
		full := (n + g.NR - 1) / g.NR * g.NR
		return float64(g.Rate) * float64(n) / float64(full)
	}
	for i := range gemms {
		g := &gemms[i]
		if g.ISA&^available != 0 || g.PairSafe && !pairSafe {
			continue
		}
		if best == nil || score(g) > score(best) {
			best = g
		}
	}
	return gemmFamily(best)
}

// gemmFamily returns the records that share g's packing and instruction set, largest tile first.
func gemmFamily(g *GEMM) []*GEMM {
	var family []*GEMM
	for i := range gemms {
		o := &gemms[i]
		if o.ISA == g.ISA && o.NR == g.NR && o.KR == g.KR && o.A == g.A && o.PairSafe == g.PairSafe {
			family = append(family, o)
		}
	}
	slices.SortFunc(family, func(a, b *GEMM) int { return cmp.Compare(b.MR, a.MR) })
	return family
}

// weight is the place of term t of column j in weights of k terms.
func (g *GEMMRequant) weight(k, t, j int) int {
	nr := g.NR / g.Panels
	return j/nr*nr*k + (t/g.KR*nr+j%nr)*g.KR + t%g.KR
}

// chooseGEMMRequant returns the record for so many panels of a family, nil if there is none.
func chooseGEMMRequant(family []*GEMM, panels int, residual bool) *GEMMRequant {
	for i := range gemmRequants {
		if g, f := &gemmRequants[i], family[0]; g.Residual == residual && g.Panels == panels && g.ISA == f.ISA && g.NR == panels*f.NR && g.KR == f.KR {
			return g
		}
	}
	return nil
}

func chooseRequantizer(available ISA, residual bool) *Requantizer {
	var best *Requantizer
	for i := range requantizers {
		r := &requantizers[i]
		if r.Residual == residual && r.ISA&^available == 0 && (best == nil || r.Rate > best.Rate) {
			best = r
		}
	}
	return best
}

func chooseDepthwise(available ISA, residual bool, channels, taps int) *Depthwise {
	var best *Depthwise
	score := func(d *Depthwise) float64 {
		full := ((channels + d.CR - 1) / d.CR * d.CR) * ((taps + d.KR - 1) / d.KR * d.KR)
		return float64(d.Rate) * float64(channels*taps) / float64(full)
	}
	for i := range depthwises {
		d := &depthwises[i]
		if d.Residual == residual && d.ISA&^available == 0 && (best == nil || score(d) > score(best)) {
			best = d
		}
	}
	return best
}
