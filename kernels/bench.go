package kernels

import (
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// BenchShape is what a kernel is measured at: M output pixels (or rows), K terms a result (taps times channels for a matrix
// product, taps for a window, 1 for a row), N columns or channels.
type BenchShape struct{ M, K, N int }

// Bench is one kernel at one shape, ready to be measured.
type Bench struct {
	Name string
	ISA  ISA
	Pick bool   // the kernel that would be chosen for this shape here, weights being pair-safe
	Peak string // name of the record in Peaks that bounds it, "" if there is none
	MACs int64  // multiplications and additions that count in a Run; 0 for kernels that are measured by elements
	Elem int64  // else elements
	Run  func()
}

// benchWork bounds the work of one Run, so that the slowest kernel is done with it in some hundredths of a second. A shape
// with more rows than that is measured on the first of them.
const benchWork = 32 << 20

// BenchOps lists the operations that Benches knows, as KernelInfo names them.
var BenchOps = []string{"gemm", "gemmf32", "gemmf32f16", "gemmf16", "depthwise", "depthwisef32", "winograd", "winogradf32", "requant", "gemmrequant", "widen", "flip", "expand", "narrow",
	"sum", "max", "rescale", "add", "mul", "attend", "scan", "spread", "sha256", "depthwisei16", "requanti16", "addi16",
	"blend", "unzip", "reduce", "color", "maxpoolf32", "avgpoolf32", "map", "sums", "dot", "attendf32"}

// Benches returns every kernel of an operation that this CPU can run and that fits the shape.
func Benches(op string, s BenchShape) []Bench {
	b := &benches{}
	s.M = max(min(s.M, benchWork/max(s.K*s.N, 1)), min(s.M, 32))
	switch op {
	case "gemm":
		b.gemm(s)
		b.gemm16(s)
	case "gemmf32":
		b.gemmF32(s)
	case "gemmf32f16":
		b.gemmF32F16(s)
	case "gemmf16":
		b.gemmF16(s)
	case "depthwise":
		b.depthwise(s)
	case "depthwisef32":
		b.depthwiseF32(s)
	case "winograd":
		b.winograd(s)
	case "winogradf32":
		b.winogradF32(s)
	case "requant":
		b.requant(s)
	case "gemmrequant":
		b.gemmRequant(s)
	case "expand", "narrow", "maxpoolf32", "avgpoolf32", "map", "sums", "dot", "attendf32":
		b.rowsF32(op, s)
	case "blend", "unzip", "reduce", "color":
		b.pixels(op, s)
	default:
		b.rows(op, s)
	}
	return b.list
}

type benches struct{ list []Bench }

func (b *benches) add(name string, isa ISA, pick bool, macs, elements int, run func()) {
	x := Bench{Name: name, ISA: isa, Pick: pick, MACs: int64(macs), Elem: int64(elements), Run: run}
	if macs > 0 {
		x.Peak = peakOf(name, isa)
	}
	b.list = append(b.list, x)
}

// filled is an operand of n elements that are neither zero nor, as floats, denormal.
func filled[T any](n int) []T {
	var t T
	s := aligned[T](n + Slack)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), (n+Slack)*int(unsafe.Sizeof(t)))
	if f, ok := any(s).([]float32); ok {
		for i := range f[:n] {
			f[i] = float32(i%61-30) / 32
		}
		return s
	}
	x := uint32(1)
	for i := range bytes {
		x = x*1664525 + 1013904223
		bytes[i] = byte(x >> 24)
	}
	return s
}

// tiles calls product for whole tiles of mr rows, a block of them that fits half of L2 at a time, panel by panel, as the
// operators do. It returns how many rows that covers, and the function.
func tiles(s BenchShape, mr, nr, rowBytes int, product func(row, panel int)) (rows int, run func()) {
	l2 := cacheL2()
	if l2 <= 0 {
		l2 = defaultL2
	}
	rows = s.M / mr * mr
	block := max(l2/2/rowBytes/mr, 1) * mr
	return rows, func() {
		for r0 := 0; r0 < rows; r0 += block {
			for p := range ceilDiv(s.N, nr) {
				for r := r0; r < min(r0+block, rows); r += mr {
					product(r, p)
				}
			}
		}
	}
}

func (b *benches) gemm(s BenchShape) {
	pick := chooseGEMM(features, true, s.N)[0].Name
	for i := range gemms {
		g := &gemms[i]
		if g.ISA&^features != 0 || s.M < g.MR {
			continue
		}
		k := ceilDiv(s.K, g.KR) * g.KR
		lda := k * g.A.Size()
		a, w, c := filled[byte](s.M*lda), filled[int8](ceilDiv(s.N, g.NR)*g.NR*k), aligned[int32](g.MR*g.NR)
		rows, run := tiles(s, g.MR, g.NR, lda, func(row, panel int) {
			g.Fn(&c[0], &a[row*lda], lda, &w[panel*g.NR*k], k)
		})
		b.add(g.Name, g.ISA, g.Name == pick, rows*s.K*s.N, 0, run)
	}
}

// gemmRequant measures the products of whole tiles together with their rounding.
func (b *benches) gemmRequant(s BenchShape) {
	p, family := benchRequant(), chooseGEMM(features, true, s.N)
	for i := range gemmRequants {
		g := &gemmRequants[i]
		if g.ISA&^features != 0 || s.M < g.MR {
			continue
		}
		k, full := ceilDiv(s.K, g.KR)*g.KR, ceilDiv(s.N, g.NR)*g.NR
		a, w, dst, res := filled[byte](s.M*k), filled[int8](full*k), aligned[byte](g.MR*g.NR), filled[byte](g.MR*g.NR)
		bias, mult := filled[int32](full), filled[float32](full)
		rows, run := tiles(s, g.MR, g.NR, k, func(row, panel int) {
			g.Fn(&dst[0], g.NR, &a[row*k], k, &w[panel*g.NR*k], k, &bias[panel*g.NR], &mult[panel*g.NR], &res[0], g.NR, p)
		})
		b.add(g.Name, g.ISA, g == chooseGEMMRequant(family, min(2, ceilDiv(s.N, family[0].NR)), g.Residual), rows*s.K*s.N, 0, run)
	}
}

// gemm16 measures Winograd's matrix products at the shape as it is: one of the many small products that they are for.
func (b *benches) gemm16(s BenchShape) {
	for i := range gemm16s {
		g := &gemm16s[i]
		if g.ISA&^features != 0 || s.M < g.MR {
			continue
		}
		k := ceilDiv(s.K, g.KR) * g.KR
		a, w, c := filled[int16](s.M*k), filled[int16](ceilDiv(s.N, g.NR)*g.NR*k), aligned[int32](g.MR*g.NR)
		rows, run := tiles(s, g.MR, g.NR, 2*k, func(row, panel int) {
			g.Fn(&c[0], &a[row*k], 2*k, &w[panel*g.NR*k], k)
		})
		b.add(g.Name, g.ISA, false, rows*s.K*s.N, 0, run)
	}
}

// depthwise measures windows of s.K taps, and those kernels that only do 3x3 with 9.
func (b *benches) depthwise(s BenchShape) {
	p := benchRequant()
	for _, residual := range []bool{false, true} {
		pick := chooseDepthwise(features, residual, s.N, s.K).Name
		one := func(d *Depthwise, step, k, taps int) {
			if d.ISA&^features != 0 || d.Residual != residual {
				return
			}
			channels := ceilDiv(s.N, d.CR) * d.CR
			off := make([]int, taps)
			for t := range off {
				off[t] = t % k * s.N
			}
			a, w := filled[byte]((s.M*step+taps)*s.N), filled[byte](taps*channels*d.W.Size())
			dst, res := aligned[byte](s.M*s.N), filled[byte](s.M*s.N)
			bias, mult := filled[int32](channels), filled[float32](channels)
			b.add(d.Name, d.ISA, d.Name == pick, s.M*k*s.N, 0, func() {
				d.Fn(&dst[0], s.N, &a[0], step*s.N, s.M, &off[0], taps, &w[0], s.N, &bias[0], &mult[0], &res[0], s.N, p)
			})
		}
		for i := range depthwises {
			one(&depthwises[i], 1, s.K, ceilDiv(s.K, depthwises[i].KR)*depthwises[i].KR)
		}
		for i := range depthwises3x3 {
			d := &depthwises3x3[i]
			one(&d.Depthwise, columnTaps*d.Stride, 9, 3*columnTaps) // columns are off[columnTaps]-off[0] apart
		}
	}
}

func benchRequant() *asm.Requant {
	return &asm.Requant{Lo: -100, Hi: 100, AMult: 1, BMult: 1, RLo: -100, RHi: 100, Zero: 128, BZero: 128, RZero: 128}
}

// requant measures as a matrix product of s.N columns calls it: panel by panel, while accumulators are in L1.
func (b *benches) requant(s BenchShape) {
	nr := chooseGEMM(features, true, s.N)[0].NR
	batch := max(accumBytes/(4*nr), 1)
	p := benchRequant()
	acc, dst, res := filled[int32](batch*nr), aligned[byte](s.M*s.N+Slack), filled[byte](s.M*s.N)
	bias, mult := filled[int32](ceilDiv(s.N, nr)*nr), filled[float32](ceilDiv(s.N, nr)*nr)
	for i := range requantizers {
		q := &requantizers[i]
		if q.ISA&^features != 0 {
			continue
		}
		b.add(q.Name, q.ISA, q == chooseRequantizer(features, q.Residual), 0, s.M*s.N, func() {
			for n := 0; n < s.N; n += nr {
				for r := 0; r < s.M; r += batch {
					q.Fn(&dst[r*s.N+n], s.N, &acc[0], nr, min(batch, s.M-r), min(nr, s.N-n), &bias[n], &mult[n], &res[r*s.N+n], s.N, p)
				}
			}
		})
	}
}
