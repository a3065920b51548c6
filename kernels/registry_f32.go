package kernels

import (
	"cmp"
	"slices"

	"github.com/rfga-edge/rfga-edge/asm"
)

// GEMMF32 is the record of one float32 matrix product microkernel with its epilogue, for i < MR, j < NR:
//
//	v := bias[j], or c[i][j] if bias is nil
//	for t < k { v = FMA(a[i][t], b[t][j], v) }
//	c[i][j] = v, or what p makes of it and of res[i][j], if p is not nil
//
// One sum, one fused operation a term, first to last: tiles of one size or another, sums taken up again where they were
// left, and different instruction sets give the same bits. SIMD128 has no fused operation that is the same everywhere: its
// kernels round the product and the sum, and so does its depthwise convolution.
// Distances of rows (lda, ldc, ldr) are in bytes. b is a packed panel, [k][NR]. k is at least 1. bias is readable for NR
// columns, and so is res if it is not nil; all NR columns of c are written.
// Records that differ in MR and Name only are a family, as those of GEMM are.
type GEMMF32 struct {
	Name   string
	ISA    ISA
	MR, NR int
	Rate   int // products per cycle of a full tile, roughly: the chooser's measure
	Fn     func(c *float32, ldc int, a *float32, lda int, b *float32, k int, bias, res *float32, ldr int, p *asm.ClampF32)
}

// GEMMF32F16 is GEMMF32 with weights in half precision: b[t][j] becomes a float32 as it is loaded, and unless wide is nil, is stored
// there as well, for a GEMMF32 to go on with. The bits are those of GEMMF32 with weights expanded before. A family has the tiles of
// one of GEMMF32.
type GEMMF32F16 struct {
	Name   string
	ISA    ISA
	MR, NR int
	Fn     func(c *float32, ldc int, a *float32, lda int, b *uint16, k int, bias, res *float32, ldr int, p *asm.ClampF32, wide *float32)
}

// GEMMF16 is GEMMF32 on halves, for models that ask for half precision: the terms of a call are summed in halves, one fused
// operation each, and their sum is added to float32,
//
//	h := 0
//	for t < k { h = FMA(a[i][t], b[t][j], h), rounded to a half }
//	c[i][j] = float32(h) + bias[j], or + c[i][j] if bias is nil, or what p makes of that and of res[i][j]
type GEMMF16 struct {
	Name   string
	ISA    ISA
	MR, NR int
	Rate   int
	Fn     func(c *float32, ldc int, a *uint16, lda int, b *uint16, k int, bias, res *float32, ldr int, p *asm.ClampF32)
}

// What float rows do; they may read up to Slack bytes behind their operands.
type (
	// expandFunc writes n halves as float32. n is a multiple of 16.
	expandFunc = func(dst *float32, src *uint16, n int)
	// narrowFunc writes n floats as halves, rounded to the nearest, ties to even. n is a multiple of 16.
	narrowFunc = func(dst *uint16, src *float32, n int)
	// depthwiseFunc, for i < pixels, j < n:
	//
	//	v := bias[j]
	//	for t < taps { v = FMA(a[i*step + at[t].A][j], w[at[t].W][j], v) }
	//	dst[i*ldd][j] = what p makes of v and, if res is not nil, of res[i*ldr][j]
	//
	// with distances and offsets in bytes. taps is at least 1. Exactly n channels are written.
	depthwiseFunc = func(dst *float32, ldd int, a *float32, step, pixels int, at *asm.Tap, taps int, w *float32, n int, bias, res *float32, ldr int, p *asm.ClampF32)
	// poolFunc: dst[i*ldd][j] = the maximum over t < taps of a[i*step + at[t].A][j], or their sum, from the first to the last,
	// divided by divisor. Likewise otherwise. A NaN may get lost in a maximum.
	poolFunc = func(dst *float32, ldd int, a *float32, step, pixels int, at *asm.Tap, taps, n int, divisor float32)
	// mapFunc writes a function of n elements, a multiple of 8: Func.At, the same bits.
	mapFunc = func(dst, src *float32, n int)
	// sumsF32Func: dst[j] = sum over i < pixels of a[i*step][j] in float64, in this order; step in bytes, n a multiple of 16.
	sumsF32Func = func(dst *float64, a *float32, step, pixels, n int)
	// dotFunc returns the sum over i < n, a multiple of 16, of float64(a[i])*float64(b[i]), in an order of its own.
	dotFunc = func(a, b *float32, n int) float64
	// attendF32Func: dst[i] = a[i]*(p[0]+p[1]*(g[i]+w[i])), each operation rounded, for i < n, a multiple of 16.
	attendF32Func = func(dst, a, g, w *float32, n int, p *float32)
)

// The float rows of this build. There is no portable product: without a row, float operators use what RegisterMatMulF32 got.
var (
	gemmsF32      = archGEMMsF32
	gemmsF32F16   = archGEMMsF32F16
	gemmsF16      = archGEMMsF16
	depthwisesF32 = slices.Concat([]Row[depthwiseFunc]{{Name: "f32_depthwise_portable", Rate: 1, Fn: depthwisePortableF32}}, archDepthwisesF32)
	maxPoolsF32   = slices.Concat([]Row[poolFunc]{{Name: "f32_maxpool_portable", Rate: 1, Fn: maxPoolPortableF32}}, archMaxPoolsF32)
	avgPoolsF32   = slices.Concat([]Row[poolFunc]{{Name: "f32_avgpool_portable", Rate: 1, Fn: avgPoolPortableF32}}, archAvgPoolsF32)
	expanders     = slices.Concat([]Row[expandFunc]{{Name: "f16f32_expand_portable", Rate: 1, Fn: expandPortable}}, archExpanders)
	narrowers     = slices.Concat([]Row[narrowFunc]{{Name: "f32f16_narrow_portable", Rate: 1, Fn: narrowPortable}}, archNarrowers)
)

var (
	sigmoids     = slices.Concat([]Row[mapFunc]{{Name: "f32_sigmoid_portable", Rate: 1, Fn: sigmoidPortable}}, archSigmoids)
	swishes      = slices.Concat([]Row[mapFunc]{{Name: "f32_swish_portable", Rate: 1, Fn: swishPortable}}, archSwishes)
	summersF32   = slices.Concat([]Row[sumsF32Func]{{Name: "f32_sums_portable", Rate: 1, Fn: sumsPortableF32}}, archSummersF32)
	dots         = slices.Concat([]Row[dotFunc]{{Name: "f32_dot_portable", Rate: 1, Fn: dotPortable}}, archDots)
	attendersF32 = slices.Concat([]Row[attendF32Func]{{Name: "f32_attend_portable", Rate: 1, Fn: attendPortableF32}}, archAttendersF32)
)

// winoRowsF32 are the transforms of Winograd's convolution F(mxm,3x3). Filters come as float32 or as halves.
type winoRowsF32 struct {
	m       int
	inputs  []Row[winoInputFunc]
	filters []Row[winoFilterFunc]
	halves  []Row[winoHalvesFunc]
	outputs []Row[winoOutputFunc]
}

var winoF32Forms = archWinoF32

// eachFloatRow calls add for every float row.
func eachFloatRow(add func(op, name string, isa ISA)) {
	for i := range gemmsF32 {
		add("gemmf32", gemmsF32[i].Name, gemmsF32[i].ISA)
	}
	for i := range gemmsF32F16 {
		add("gemmf32f16", gemmsF32F16[i].Name, gemmsF32F16[i].ISA)
	}
	for i := range gemmsF16 {
		add("gemmf16", gemmsF16[i].Name, gemmsF16[i].ISA)
	}
	listRows("depthwisef32", depthwisesF32, add)
	listRows("maxpoolf32", maxPoolsF32, add)
	listRows("avgpoolf32", avgPoolsF32, add)
	listRows("expand", expanders, add)
	listRows("narrow", narrowers, add)
	listRows("map", sigmoids, add)
	listRows("map", swishes, add)
	listRows("sums", summersF32, add)
	listRows("dot", dots, add)
	listRows("attendf32", attendersF32, add)
	for _, form := range winoF32Forms {
		listRows("winogradf32", form.inputs, add)
		listRows("winogradf32", form.filters, add)
		listRows("winogradf32", form.halves, add)
		listRows("winogradf32", form.outputs, add)
	}
}

// GEMMsF32 returns the records of every float matrix product kernel in this build, runnable here or not.
func GEMMsF32() []GEMMF32 { return slices.Clone(gemmsF32) }

// chooseGEMMF32 returns the family to use for n columns, largest tile first; nil if there is none.
func chooseGEMMF32(available ISA, n int) []*GEMMF32 {
	var best *GEMMF32
	score := func(g *GEMMF32) float64 {
		return float64(g.Rate) * float64(n) / float64(ceilDiv(n, g.NR)*g.NR)
	}
	for i := range gemmsF32 {
		if g := &gemmsF32[i]; g.ISA&^available == 0 && (best == nil || score(g) > score(best)) {
			best = g
		}
	}
	if best == nil {
		return nil
	}
	return gemmF32Family(best)
}

// gemmF32Family returns the records that share g's packing and instruction set, largest tile first.
func gemmF32Family(g *GEMMF32) []*GEMMF32 {
	var family []*GEMMF32
	for i := range gemmsF32 {
		if o := &gemmsF32[i]; o.ISA == g.ISA && o.NR == g.NR {
			family = append(family, o)
		}
	}
	slices.SortFunc(family, func(a, b *GEMMF32) int { return cmp.Compare(b.MR, a.MR) })
	return family
}

// expandingFamily returns the records that do what a family does with weights in half precision, tile by tile; nil if there are none.
func expandingFamily(family []*GEMMF32, available ISA) []*GEMMF32F16 {
	var list []*GEMMF32F16
	for _, g := range family {
		for i := range gemmsF32F16 {
			if h := &gemmsF32F16[i]; h.ISA&^available == 0 && h.MR == g.MR && h.NR == g.NR {
				list = append(list, h)
			}
		}
	}
	if len(list) < len(family) {
		return nil
	}
	return list
}

// fused reports whether the float kernels of an instruction set fuse a product with its sum.
func fused(isa ISA) bool { return isa != Portable && isa != SIMD128 }

// expandPortable expands IEEE 754 binary16; every half is a float32.
func expandPortable(dst *float32, src *uint16, n int) {
	to := row(dst, 0, n)
	for i, h := range row(src, 0, n) {
		to[i] = HalfToFloat(h)
	}
}
