package kernels

import (
	"slices"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// A Row is the record of a kernel that works on rows of elements, without weights.
type Row[F any] struct {
	Name string
	ISA  ISA
	Rate int // elements per cycle, roughly: the chooser's measure
	Fn   F
}

// What rows do. Sources are readable up to Slack bytes behind their last element. Exactly n bytes are written, except that
// a sum may write up to 63 elements behind dst[n-1].
type (
	// sumFunc: dst[j] = sum over i < h, k < w of a[ldh*i+ldw*k+j], j < n. At most MaxInt32/255 places, at least one.
	sumFunc = func(dst *int32, a *byte, ldh, h, ldw, w, n int)
	// maxFunc: dst[j] = max over i < h, k < w of a[ldh*i+ldw*k+j], j < n. At least one place.
	maxFunc = func(dst, a *byte, ldh, h, ldw, w, n int)
	// unaryFunc: dst[i] = R(f32(f32(a[i]+p.AOff)*p.AMult)), with p.RLo, p.RHi, p.RZero. dst may be a.
	unaryFunc = func(dst, a *byte, n int, p *asm.Requant)
	// roundFunc is unaryFunc on accumulators.
	roundFunc = func(dst *byte, a *int32, n int, p *asm.Requant)
	// binaryFunc, as an addition: R(f32(f32(a[i]+p.AOff)*p.AMult) + f32(f32(b[i]-p.BZero)*p.BMult)); as a multiplication:
	// R(f32(f32((a[i]+p.AOff)*(b[i]-p.BZero))*p.AMult)).
	binaryFunc = func(dst, a, b *byte, n int, p *asm.Requant)
	// attendFunc: asm.Attention's formula for a row of pixels of n channels. gh[j] is the sum of the channel's and the
	// row's sigmoids, gw[n*i+j] the pixel's column's.
	attendFunc = func(dst, a *byte, gh *int32, gw *int16, pixels, n int, p *asm.Attention)
)

// The rows of this build: portable Go, the definition, and what rows_<goarch>.go adds.
var (
	summers   = slices.Concat([]Row[sumFunc]{{Name: "u8s32_sum_portable", Rate: 1, Fn: sumPortable}}, archSummers)
	maxers    = slices.Concat([]Row[maxFunc]{{Name: "u8_max_portable", Rate: 1, Fn: maxPortable}}, archMaxers)
	rescalers = slices.Concat([]Row[unaryFunc]{{Name: "u8_rescale_portable", Rate: 1, Fn: rescalePortable}}, archRescalers)
	rounders  = slices.Concat([]Row[roundFunc]{{Name: "s32u8_rescale_portable", Rate: 1, Fn: rescaleSumsPortable}}, archRounders)
	adders    = slices.Concat([]Row[binaryFunc]{{Name: "u8_add_portable", Rate: 1, Fn: addPortable}}, archAdders)
	mulers    = slices.Concat([]Row[binaryFunc]{{Name: "u8_mul_portable", Rate: 1, Fn: mulPortable}}, archMulers)
	attenders = slices.Concat([]Row[attendFunc]{{Name: "u8s16_attend_portable", Rate: 1, Fn: attendPortable}}, archAttenders)
)

// eachRow calls add for every row.
func eachRow(add func(op, name string, isa ISA)) {
	listRows("sum", summers, add)
	listRows("max", maxers, add)
	listRows("rescale", rescalers, add)
	listRows("rescale", rounders, add)
	listRows("add", adders, add)
	listRows("mul", mulers, add)
	listRows("attend", attenders, add)
	listRows("scan", scanners, add)
	listRows("spread", spreaders4, add)
	listRows("spread", spreaders2, add)
	listRows("depthwisei16", depthwises16, add)
	listRows("requanti16", requantizers16, add)
	listRows("addi16", adders16, add)
	for i := range sha256s {
		add("sha256", sha256s[i].Name, sha256s[i].ISA)
	}
}

func listRows[F any](op string, rows []Row[F], add func(op, name string, isa ISA)) {
	for i := range rows {
		add(op, rows[i].Name, rows[i].ISA)
	}
}

// chooseRow returns the fastest row that the instruction sets allow.
func chooseRow[F any](rows []Row[F], available ISA) *Row[F] {
	var best *Row[F]
	for i := range rows {
		if r := &rows[i]; r.ISA&^available == 0 && (best == nil || r.Rate > best.Rate) {
			best = r
		}
	}
	return best
}

// prepared returns a Prepared of stages that spend their time in kernel.
func (r *Row[F]) prepared(stages ...Stage) *Prepared {
	p := portable(stages...)
	if r.ISA != Portable {
		p.Kernel, p.Why = r.Name, r.ISA.String()
	}
	return p
}

// rescaling is the parameters of a requantization of single bytes: zeroIn to zero, both contract values.
func rescaling(zeroIn int32, m float32, zero, lo, hi int32) *asm.Requant {
	return &asm.Requant{AOff: -(zeroIn + 128), AMult: m, RLo: float32(lo - zero), RHi: float32(hi - zero), RZero: zero + 128}
}

func sumPortable(dst *int32, a *byte, ldh, h, ldw, w, n int) {
	sums := unsafe.Slice(dst, n)
	clear(sums)
	for i := range h {
		for k := range w {
			for j, u := range row(a, i*ldh+k*ldw, n) {
				sums[j] += int32(u)
			}
		}
	}
}

func maxPortable(dst, a *byte, ldh, h, ldw, w, n int) {
	y := unsafe.Slice(dst, n)
	clear(y)
	for i := range h {
		for k := range w {
			for j, u := range row(a, i*ldh+k*ldw, n) {
				y[j] = byte(max(int32(y[j]), int32(u))) // as int32: without branches
			}
		}
	}
}

// rounderOf is the last step of the elementwise rows.
func rounderOf(p *asm.Requant) rounder { return rounder{p.RLo, p.RHi, p.RZero - magicBits} }

func rescalePortable(dst, a *byte, n int, p *asm.Requant) { rescale(dst, a, n, p) }

func rescaleSumsPortable(dst *byte, a *int32, n int, p *asm.Requant) { rescale(dst, a, n, p) }

func rescale[T byte | int32](dst *byte, a *T, n int, p *asm.Requant) {
	y, r := unsafe.Slice(dst, n), rounderOf(p)
	for i, v := range unsafe.Slice(a, n) {
		y[i] = r.store(float32(float32(int32(v)+p.AOff) * p.AMult))
	}
}

func addPortable(dst, a, b *byte, n int, p *asm.Requant) {
	y, v, r := unsafe.Slice(dst, n), unsafe.Slice(b, n), rounderOf(p)
	for i, u := range unsafe.Slice(a, n) {
		y[i] = r.store(float32(float32(int32(u)+p.AOff)*p.AMult) + float32(float32(int32(v[i])-p.BZero)*p.BMult))
	}
}

func mulPortable(dst, a, b *byte, n int, p *asm.Requant) {
	y, v, r := unsafe.Slice(dst, n), unsafe.Slice(b, n), rounderOf(p)
	for i, u := range unsafe.Slice(a, n) {
		y[i] = r.store(float32(float32((int32(u)+p.AOff)*(int32(v[i])-p.BZero)) * p.AMult))
	}
}

func attendPortable(dst, a *byte, gh *int32, gw *int16, pixels, n int, p *asm.Attention) {
	g, r := unsafe.Slice(gh, n), rounder{p.Lo, p.Hi, p.ZeroOut - magicBits}
	for i := range pixels {
		y, w := row(dst, i*n, n), row(gw, i*n, n)
		for j, u := range row(a, i*n, n) {
			factor := p.A + (p.B*(g[j]+int32(w[j]))+p.Round)>>14
			y[j] = r.store(float32(float32((int32(u)-p.Zero)*factor) * p.Mult))
		}
	}
}
