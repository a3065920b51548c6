package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// selfTestWinograd compares the kernels of Winograd's method: matrix products with the definition, transforms with portable
// Go's, which take four channels at a time.
func selfTestWinograd(tell func(kernel string, err error)) {
	for i := range gemm16s {
		if g := &gemm16s[i]; g.ISA&^features == 0 {
			tell(g.Name, selfTestGEMM16(g))
		}
	}
	for i := range winoInputs {
		if in := &winoInputs[i]; in.ISA&^features == 0 {
			tell(in.Name, selfTestWinoInput(in))
		}
	}
	for i := range winoFilters {
		if fil := &winoFilters[i]; fil.ISA&^features == 0 {
			tell(fil.Name, selfTestWinoFilter(fil))
		}
	}
	for i := range winoOutputs {
		if out := &winoOutputs[i]; out.ISA&^features == 0 {
			tell(out.Name, selfTestWinoOutput(out))
		}
	}
}

func selfTestGEMM16(g *GEMM16) error {
	r := rand.New(rand.NewPCG(3, uint64(g.MR)))
	for _, k := range []int{1, 2, 7, 8, 31, 200} {
		k = ceilDiv(k, g.KR) * g.KR
		a, b, c := aligned[int16](g.MR*k), aligned[int16](k*g.NR), aligned[int32](g.MR*g.NR)
		for i := range a {
			a[i] = int16(r.IntN(51001) - 25500)
		}
		for i := range b {
			b[i] = int16(r.IntN(12447) - 6223)
		}
		g.Fn(&c[0], &a[0], 2*k, &b[0], k)
		for i := range g.MR {
			for j := range g.NR {
				var sum int32
				for t := range k {
					sum += int32(a[g.ISA.transformed().index(i, t, k)]) * int32(b[(t/g.KR*g.NR+j)*g.KR+t%g.KR])
				}
				if c[i*g.NR+j] != sum {
					return fmt.Errorf("depth %d, row %d, column %d: %d, portable Go has %d", k, i, j, c[i*g.NR+j], sum)
				}
			}
		}
	}
	return nil
}

// compareLanes compares what a kernel wrote to lanes first, first+1, ... with portable Go's first lanes, in every row.
func compareLanes[T comparable](got, want []T, rows, ldGot, ldWant, first, n int) error {
	for i := range rows {
		if g, w := got[i*ldGot+first:][:n], want[i*ldWant:][:n]; !slices.Equal(g, w) {
			return fmt.Errorf("row %d, from lane %d: %v, portable Go has %v", i, first, g, w)
		}
	}
	return nil
}

func selfTestWinoInput(in *WinoInput) error {
	form := in.Form
	r := rand.New(rand.NewPCG(4, uint64(form.m)))
	portable := portableWinoInputs[slices.IndexFunc(portableWinoInputs, func(p WinoInput) bool { return p.Form == form })].Fn
	n, freqs := form.n, form.freqs
	tmp := aligned[byte](winoTmp)
	for _, c := range []int{1, 16, 37, 64} {
		ld := ceilDiv(c, in.Lanes) * in.Lanes
		layout := in.ISA.transformed()
		x, row, want := aligned[byte](n*n*c), aligned[int16](freqs*layout.Rows()*ld), aligned[int16](freqs*ld)
		for i := range x {
			x[i] = byte(r.Uint32())
		}
		in.Fn(&row[0], 2*layout.Rows()*ld, &x[0], n*c, c, c, &tmp[0])
		got := make([]int16, freqs*ld)
		for i := range got {
			got[i] = row[i/ld*layout.Rows()*ld+layout.index(0, i%ld, ld)]
		}
		portable(&want[0], 2*ld, &x[0], n*c, c, c, &tmp[0])
		if err := compareLanes(got, want, freqs, ld, ld, 0, c); err != nil {
			return err
		}
	}
	return nil
}

func selfTestWinoFilter(fil *WinoFilter) error {
	form := fil.Form
	r := rand.New(rand.NewPCG(5, uint64(form.m)))
	portable := portableWinoFilters[slices.IndexFunc(portableWinoFilters, func(p WinoFilter) bool { return p.Form == form })].Fn
	freqs, taps := form.freqs, form.taps
	tmp := aligned[byte](winoTmp)
	for _, groups := range []int{1, 3} {
		ld := groups * fil.Lanes
		w, got := aligned[int8](taps*ld), aligned[int16](freqs*ld)
		for i := range w {
			w[i] = int8(r.IntN(255) - 127)
		}
		fil.Fn(&got[0], 2*ld, &w[0], groups, form.row(0), form.rows(), &tmp[0])
		four, want := aligned[int8](taps*4), aligned[int16](freqs*4)
		for first := 0; first < ld; first += 4 {
			for tap := range taps {
				copy(four[4*tap:][:4], w[(first/fil.Lanes*taps+tap)*fil.Lanes+first%fil.Lanes:])
			}
			portable(&want[0], 8, &four[0], 1, form.row(0), form.rows(), &tmp[0])
			if err := compareLanes(got, want, freqs, ld, 4, first, 4); err != nil {
				return err
			}
		}
	}
	return nil
}

func selfTestWinoOutput(out *WinoOutput) error {
	form := out.Form
	r := rand.New(rand.NewPCG(6, uint64(form.m)))
	portable := portableWinoOutputs[slices.IndexFunc(portableWinoOutputs, func(p WinoOutput) bool { return p.Form == form })].Fn
	m, perRow := form.m, form.m // rows of sums of a tile, and sums of a row
	if form.line != nil {
		perRow = 1
	}
	tmp := aligned[byte](winoTmp)
	for _, tiles := range []int{1, 3} {
		ldm, ldy := tiles*out.NR, tiles*out.NR*perRow
		products, got, corr := aligned[int32](form.freqs*ldm), aligned[int32](m*ldy), aligned[int32](out.NR)
		for i := range products {
			products[i] = int32(r.Uint32())
		}
		for i := range corr {
			corr[i] = int32(r.Uint32())
		}
		out.Fn(&got[0], 4*ldy, &products[0], 4*ldm, tiles, &corr[0], &tmp[0])
		four, want := aligned[int32](form.freqs*4), aligned[int32](m*perRow*4)
		for first := 0; first < ldm; first += 4 {
			for f := range form.freqs {
				copy(four[4*f:][:4], products[f*ldm+first:])
			}
			portable(&want[0], 4*4*perRow, &four[0], 16, 1, &corr[first%out.NR], &tmp[0])
			for j := range perRow {
				at := (first/out.NR*perRow+j)*out.NR + first%out.NR
				if err := compareLanes(got, want[4*j:], m, ldy, 4*perRow, at, 4); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
