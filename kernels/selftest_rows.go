package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/rfga-edge/rfga-edge/asm"
)

// selfTestRows compares every runnable row with the first of its kind, the portable one, over lengths around the vectors'.
func selfTestRows(tell func(kernel string, err error)) {
	const most = 300
	a, b := aligned[byte](4*most), aligned[byte](4*most)
	acc, gh, gw := aligned[int32](4*most), aligned[int32](most), aligned[int16](4*most)
	r := rand.New(rand.NewPCG(3, 1))
	for i := range a {
		a[i], b[i] = byte(r.Uint32()), byte(r.Uint32())
		acc[i], gw[i] = r.Int32N(100000)-50000, int16(r.Int32N(16385))
	}
	for i := range gh {
		gh[i] = r.Int32N(32769)
	}
	p := rescaling(-3, 0.37, 5, -100, 120)
	p.BZero, p.BMult = 117, 0.71
	round := *p
	round.AMult = 0.0021
	att := &asm.Attention{Zero: 120, A: 5734, B: 10650, Mult: 0.00007, Lo: -133, Hi: 122, ZeroOut: 133, Round: 8192}

	selfTestRow(tell, summers, func(f sumFunc, n int) []int32 {
		y := make([]int32, n+63)
		f(&y[0], &a[0], 2*n, 2, n, 2, n)
		return y[:n]
	})
	bytesOf := func(call func(y []byte, n int)) func(n int) []byte {
		return func(n int) []byte {
			y := make([]byte, 2*n)
			call(y, n)
			return y
		}
	}
	selfTestRow(tell, maxers, func(f maxFunc, n int) []byte {
		return bytesOf(func(y []byte, n int) { f(&y[0], &a[0], 2*n, 2, n, 2, n) })(n)
	})
	selfTestRow(tell, rescalers, func(f unaryFunc, n int) []byte {
		return bytesOf(func(y []byte, n int) { f(&y[0], &a[0], n, p) })(n)
	})
	selfTestRow(tell, rounders, func(f roundFunc, n int) []byte {
		return bytesOf(func(y []byte, n int) { f(&y[0], &acc[0], n, &round) })(n)
	})
	for _, rows := range [][]Row[binaryFunc]{adders, mulers} {
		selfTestRow(tell, rows, func(f binaryFunc, n int) []byte {
			return bytesOf(func(y []byte, n int) { f(&y[0], &a[0], &b[0], n, p) })(n)
		})
	}
	selfTestRow(tell, attenders, func(f attendFunc, n int) []byte {
		return bytesOf(func(y []byte, n int) { f(&y[0], &a[0], &gh[0], &gw[0], 2, n, att) })(n)
	})
	selfTestRows16(tell, a, acc)
	w := view[int8](a)
	selfTestRow(tell, scanners, func(f scanFunc, n int) []asm.Scan {
		return []asm.Scan{f(&w[0], ceilDiv(n, scanBlock)*scanBlock)}
	})
	for kr, rows := range map[int][]Row[spreadFunc]{2: spreaders2, 4: spreaders4} {
		selfTestRow(tell, rows, func(f spreadFunc, n int) []int8 {
			const groups = 2 * spreadGroups
			y := make([]int8, groups*(spreadColumns*kr+n))
			f(&y[0], spreadColumns*kr+n, &w[0], kr*groups+1, groups)
			return y
		})
	}
}

// selfTestRows16 is selfTestRows for rows of int16, whose lengths are multiples of 8.
func selfTestRows16(tell func(kernel string, err error), bytes []byte, acc []int32) {
	x := view[int16](bytes)
	base, mult := aligned[float64](len(acc)), aligned[float32](len(acc))
	for i := range acc {
		base[i], mult[i] = float64(1000*i-77777), float32(i%50+1)/(1<<14)
	}
	p := &asm.Requant{AOff: 700, AMult: 0.37, BZero: -900, BMult: 0.71, RLo: -30000, RHi: 32000, RZero: -300}
	results := func(call func(y *int16, n int)) func(n int) []int16 {
		return func(n int) []int16 {
			y := make([]int16, n+8)
			call(&y[0], ceilDiv(n, 8)*8)
			return y
		}
	}
	selfTestRow(tell, adders16, func(f add16Func, n int) []int16 {
		return results(func(y *int16, n int) { f(y, &x[0], &x[9], n, p) })(n)
	})
	selfTestRow(tell, requantizers16, func(f requant16Func, n int) []int16 {
		two := results(func(y *int16, n int) { f(y, &acc[0], &acc[7], &acc[3], &base[0], &mult[0], n, p) })(n)
		return append(two, results(func(y *int16, n int) { f(y, &acc[5], nil, &acc[1], &base[0], &mult[0], n, p) })(n)...)
	})
	w := packDepthwise16(view[int8](bytes), 4, 300, 300)
	off := []int{0, 2, 34, 90}
	selfTestRow(tell, depthwises16, func(f depthwise16Func, n int) []int32 {
		y := make([]int32, n+16)
		f(&y[0], &x[0], &off[0], &w[0], 2, n)
		return y[:n]
	})
}

// selfTestRow tells about every runnable row; call runs a row over n elements and returns all that it may have written.
func selfTestRow[F any, T comparable](tell func(kernel string, err error), rows []Row[F], call func(f F, n int) []T) {
	for i := range rows {
		row := &rows[i]
		if row.ISA&^features != 0 {
			continue
		}
		var err error
		for _, n := range []int{1, 15, 16, 17, 64, 70, 300} {
			if got, want := call(row.Fn, n), call(rows[0].Fn, n); !slices.Equal(got, want) {
				err = fmt.Errorf("%d elements differ from portable Go", n)
			}
		}
		tell(row.Name, err)
	}
}
