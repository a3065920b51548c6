package kernels

import (
	"slices"

	"github.com/rfga-edge/rfga-edge/asm"
)

// winograd measures the transforms of s.M tiles of s.K input and s.N output channels, in every form.
func (b *benches) winograd(s BenchShape) {
	tmp := aligned[byte](winoTmp)
	for _, form := range winoForms {
		n2, inputs, outputs, perRow := form.freqs, form.n*form.n, form.m*form.m, form.m
		if form.line != nil {
			inputs, outputs, perRow = form.n, form.m, 1
		}
		pick := chooseWinograd(features, form, s.N)
		for i := range winoInputs {
			w := &winoInputs[i]
			if w.ISA&^features != 0 || w.Form != form {
				continue
			}
			ch := ceilDiv(s.K, w.Lanes) * w.Lanes
			ldf := winoStride(2 * ch)
			v, x := aligned[int16](n2*ldf/2), filled[byte](inputs*s.K)
			b.add(w.Name, w.ISA, w == pick.input, 0, s.M*s.K*inputs, func() {
				for range s.M {
					w.Fn(&v[0], ldf, &x[0], form.n*s.K, s.K, s.K, &tmp[0])
				}
			})
		}
		for i := range winoFilters {
			w := &winoFilters[i]
			if w.ISA&^features != 0 || w.Form != form {
				continue
			}
			main := pick.family[0]
			groups := max(s.K/main.KR, 1)
			panels := max(ceilDiv(s.N*main.KR, w.Lanes), 1)
			ldf := winoStride(2 * w.Lanes * groups)
			u, f := aligned[int16](n2*ldf/2), filled[int8](form.taps*groups*w.Lanes)
			b.add(w.Name, w.ISA, w == pick.filter, 0, panels*groups*w.Lanes*n2, func() {
				for range panels {
					w.Fn(&u[0], ldf, &f[0], groups, w.Form.row(0), w.Form.rows(), &tmp[0])
				}
			})
		}
		for i := range winoOutputs {
			w := &winoOutputs[i]
			if w.ISA&^features != 0 || w.Form != form {
				continue
			}
			const row = 8 // tiles at once
			ldm, ldy := winoStride(4*w.NR*row), winoStride(4*w.NR*perRow*row)
			m, y, corr := filled[int32](n2*ldm/4), aligned[int32](form.m*ldy/4), filled[int32](w.NR)
			panels := ceilDiv(s.N, w.NR)
			b.add(w.Name, w.ISA, w == pick.output, 0, ceilDiv(s.M, row)*row*panels*w.NR*outputs, func() {
				for range panels * ceilDiv(s.M, row) {
					w.Fn(&y[0], ldy, &m[0], ldm, row, &corr[0], &tmp[0])
				}
			})
		}
	}
}

// rows measures the kernels that work on rows of elements.
func (b *benches) rows(op string, s BenchShape) {
	n := s.M * s.N
	x, y, z := filled[byte](4*(s.M+s.K)*s.N), filled[byte](n), aligned[byte](4*n+4*Slack)
	switch op {
	case "widen":
		benchRows(b, wideners, n, func(f func(*uint16, *byte, int)) { f(&view[uint16](z)[0], &x[0], n) })
		if rows, k := s.M/3, ceilDiv(s.N, 8)*8; rows > 0 {
			dst := aligned[uint16](3*k*rows + Slack)
			benchRows(b, interleavers, 3*k*rows, func(f func(*uint16, *byte, int, int, int)) { f(&dst[0], &x[0], s.N, k, rows) })
		}
	case "flip":
		benchRows(b, flippers, n, func(f func(_, _ *byte, _ int)) { f(&z[0], &x[0], n) })
	case "sum":
		dst := aligned[int32](s.N + 64)
		benchRows(b, summers, n*s.K, func(f sumFunc) {
			for p := range s.M {
				f(&dst[0], &x[p*s.N], 0, 1, s.N, s.K, s.N)
			}
		})
	case "max":
		benchRows(b, maxers, n*s.K, func(f maxFunc) {
			for p := range s.M {
				f(&z[p*s.N], &x[p*s.N], 0, 1, s.N, s.K, s.N)
			}
		})
	case "rescale":
		p := benchRequant()
		benchRows(b, rescalers, n, func(f unaryFunc) { f(&z[0], &x[0], n, p) })
		acc := filled[int32](s.N)
		benchRows(b, rounders, n, func(f roundFunc) {
			for i := range s.M {
				f(&z[i*s.N], &acc[0], s.N, p)
			}
		})
	case "add", "mul":
		p := benchRequant()
		kind := map[string][]Row[binaryFunc]{"add": adders, "mul": mulers}[op]
		benchRows(b, kind, n, func(f binaryFunc) { f(&z[0], &x[0], &y[0], n, p) })
	case "sha256":
		x := filled[byte](ceilDiv(s.K*s.N, sha256Block) * sha256Block)
		for i := range sha256s {
			row := &sha256s[i]
			var state [maxSHA256Lanes * 8]uint32
			from := slices.Repeat([]*byte{&x[0]}, row.Lanes)
			b.row(row.Name, row.ISA, row == chooseSHA256(features), row.Lanes*len(x), func() {
				row.Fn(&state[0], &from[0], len(x)/sha256Block, &sha256Constants[0])
			})
		}
	case "scan":
		k := ceilDiv(s.K, scanBlock) * scanBlock
		w := filled[int8](k * s.N)
		benchRows(b, scanners, k*s.N, func(f scanFunc) {
			for j := range s.N {
				f(&w[j*k], k)
			}
		})
	case "spread":
		k, columns := ceilDiv(s.K, 4*spreadGroups)*4*spreadGroups, ceilDiv(s.N, spreadColumns)*spreadColumns
		w, dst := filled[int8](k*columns), aligned[int8](k*spreadColumns)
		for kr, rows := range map[int][]Row[spreadFunc]{2: spreaders2, 4: spreaders4} {
			benchRows(b, rows, columns*k, func(f spreadFunc) {
				for j := 0; j < columns; j += spreadColumns {
					f(&dst[0], spreadColumns*kr, &w[j*k], k, k/kr)
				}
			})
		}
	case "addi16":
		p, wide := benchRequant(), ceilDiv(n, 8)*8
		v := view[int16](filled[byte](4 * (n + 8)))
		benchRows(b, adders16, wide, func(f add16Func) { f(&view[int16](z)[0], &v[0], &v[n], wide, p) })
	case "requanti16":
		p, wide := benchRequant(), ceilDiv(s.N, 8)*8
		acc, base, mult := filled[int32](wide), aligned[float64](wide), filled[float32](wide)
		benchRows(b, requantizers16, s.M*wide, func(f requant16Func) {
			for range s.M {
				f(&view[int16](z)[0], &acc[0], &acc[0], &acc[0], &base[0], &mult[0], wide, p)
			}
		})
	case "depthwisei16":
		taps := ceilDiv(s.K, 2) * 2
		v, dst, off := filled[int16]((s.M+taps)*s.N), aligned[int32](s.N+16), make([]int, taps)
		for i := range off {
			off[i] = 2 * i * s.N
		}
		w := packDepthwise16(filled[int8](taps*s.N), taps, s.N, s.N)
		benchRows(b, depthwises16, n*taps, func(f depthwise16Func) {
			for i := range s.M {
				f(&dst[0], &v[i*s.N], &off[0], &w[0], taps/2, s.N)
			}
		})
	case "attend":
		gh, gw := filled[int32](s.N), filled[int16](n)
		p := &asm.Attention{Zero: 128, A: 1 << 14, B: 1 << 14, Mult: 1, Lo: -100, Hi: 100, ZeroOut: 128, Round: 8192}
		benchRows(b, attenders, n, func(f attendFunc) { f(&z[0], &x[0], &gh[0], &gw[0], s.M, s.N, p) })
	}
}

func (b *benches) row(name string, isa ISA, pick bool, elements int, run func()) {
	if isa&^features == 0 {
		b.add(name, isa, pick, 0, elements, run)
	}
}

func benchRows[F any](b *benches, rows []Row[F], elements int, run func(F)) {
	for i := range rows {
		r := &rows[i]
		b.row(r.Name, r.ISA, r == chooseRow(rows, features), elements, func() { run(r.Fn) })
	}
}
