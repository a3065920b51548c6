package kernels

import "github.com/rfga-edge/rfga-edge/asm"

func (b *benches) gemmF32(s BenchShape) {
	family := chooseGEMMF32(features, s.N)
	for i := range gemmsF32 {
		g := &gemmsF32[i]
		if g.ISA&^features != 0 || s.M < g.MR {
			continue
		}
		a, w := filled[float32](s.M*s.K), filled[float32](ceilDiv(s.N, g.NR)*g.NR*s.K)
		c, bias := aligned[float32](g.MR*g.NR), filled[float32](g.NR)
		rows, run := tiles(s, g.MR, g.NR, 4*s.K, func(row, panel int) {
			g.Fn(&c[0], 4*g.NR, &a[row*s.K], 4*s.K, &w[panel*g.NR*s.K], s.K, &bias[0], nil, 0, nil)
		})
		b.add(g.Name, g.ISA, g.Name == family[0].Name, rows*s.K*s.N, 0, run)
	}
}

func (b *benches) gemmF32F16(s BenchShape) {
	family := expandingFamily(chooseGEMMF32(features, s.N), features)
	for i := range gemmsF32F16 {
		g := &gemmsF32F16[i]
		if g.ISA&^features != 0 || s.M < g.MR {
			continue
		}
		a, w := filled[float32](s.M*s.K), make([]uint16, ceilDiv(s.N, g.NR)*g.NR*s.K)
		c, bias := aligned[float32](g.MR*g.NR), filled[float32](g.NR)
		rows, run := tiles(s, g.MR, g.NR, 4*s.K, func(row, panel int) {
			g.Fn(&c[0], 4*g.NR, &a[row*s.K], 4*s.K, &w[panel*g.NR*s.K], s.K, &bias[0], nil, 0, nil, nil)
		})
		b.add(g.Name, g.ISA, len(family) > 0 && g == family[0], rows*s.K*s.N, 0, run)
	}
}

func (b *benches) gemmF16(s BenchShape) {
	k := min(s.K, halfTerms)
	for i := range gemmsF16 {
		g := &gemmsF16[i]
		if g.ISA&^features != 0 || s.M < g.MR {
			continue
		}
		a, w := make([]uint16, s.M*s.K+Slack), make([]uint16, ceilDiv(s.N, g.NR)*g.NR*s.K)
		c, bias := aligned[float32](g.MR*g.NR), filled[float32](g.NR)
		rows, run := tiles(s, g.MR, g.NR, 2*s.K, func(row, panel int) {
			start := &bias[0]
			for k0 := 0; k0 < s.K; k0 += k {
				g.Fn(&c[0], 4*g.NR, &a[row*s.K+k0], 2*s.K, &w[(panel*s.K+k0)*g.NR], min(k, s.K-k0), start, nil, 0, nil)
				start = nil
			}
		})
		b.add(g.Name, g.ISA, g.MR == halfFamily(features)[0].MR, rows*s.K*s.N, 0, run)
	}
}

func (b *benches) depthwiseF32(s BenchShape) {
	at := make([]asm.Tap, s.K)
	for t := range at {
		at[t] = asm.Tap{A: 4 * t * s.N, W: 4 * t * s.N}
	}
	a, w := filled[float32]((s.M+s.K)*s.N), filled[float32](s.K*s.N)
	dst, bias := aligned[float32](s.M*s.N), filled[float32](s.N)
	p := &asm.ClampF32{Lo: -6, Hi: 6, InnerLo: -6, InnerHi: 6}
	for i := range depthwisesF32 {
		d := &depthwisesF32[i]
		if d.ISA&^features != 0 {
			continue
		}
		b.add(d.Name, d.ISA, d == chooseRow(depthwisesF32, features), s.M*s.K*s.N, 0, func() {
			d.Fn(&dst[0], 4*s.N, &a[0], 4*s.N, s.M, &at[0], s.K, &w[0], s.N, &bias[0], nil, 0, p)
		})
	}
}

// winogradF32 measures the float transforms of s.M tiles of s.K input and s.N output channels.
func (b *benches) winogradF32(s BenchShape) {
	const most = 32 // columns of a panel
	spread := func(bytes int) int { return align64(bytes) + 64 }
	p := &asm.ClampF32{Lo: -6, Hi: 6, InnerLo: -6, InnerHi: 6}
	tmp := aligned[float32](winoTmp / 4)
	for _, form := range winoF32Forms {
		m, n := form.m, form.m+2
		row, lda := 4*s.K*(m*s.M+2), spread(4*s.K)
		ldv, ldu, ldm := spread(s.M*lda), spread(4*most*s.K), spread(4*most*s.M)
		x, v := filled[float32](n*row/4), aligned[float32](n*n*ldv/4)
		benchRows(b, form.inputs, s.M*s.K*n*n, func(f winoInputFunc) {
			f(&v[0], ldv, lda, &x[0], row, 4*s.K, s.M, s.K, &tmp[0])
		})
		w, halves, u := filled[float32](9*most*s.K), make([]uint16, 9*most*s.K+Slack), aligned[float32](n*n*ldu/4)
		for i := range form.filters {
			r := &form.filters[i]
			b.panels(r.Name, r.ISA, r == chooseRow(form.filters, features), s.N, n*n*s.K, func() { r.Fn(&u[0], ldu, &w[0], s.K, &tmp[0]) })
		}
		for i := range form.halves {
			r := &form.halves[i]
			b.panels(r.Name, r.ISA, r == chooseRow(form.halves, features), s.N, n*n*s.K, func() { r.Fn(&u[0], ldu, &halves[0], s.K, &tmp[0]) })
		}
		sums, bias, y := filled[float32](n*n*ldm/4), filled[float32](most), aligned[float32](m*m*s.M*most)
		for i := range form.outputs {
			r := &form.outputs[i]
			b.panels(r.Name, r.ISA, r == chooseRow(form.outputs, features), s.N, m*m*s.M, func() {
				r.Fn(&y[0], 4*m*s.M*most, 4*most, &sums[0], ldm, s.M, &bias[0], nil, p, &tmp[0])
			})
		}
	}
}

// panels measures a kernel that does a panel at a time, as wide as its instruction set's matrix product has it.
func (b *benches) panels(name string, isa ISA, pick bool, columns, rows int, run func()) {
	nr := 16
	for i := range gemmsF32 {
		if gemmsF32[i].ISA == isa {
			nr = gemmsF32[i].NR
		}
	}
	b.row(name, isa, pick, rows*columns, func() {
		for range ceilDiv(columns, nr) {
			run()
		}
	})
}

// rowsF32 measures the kernels that work on rows of floats.
func (b *benches) rowsF32(op string, s BenchShape) {
	n := ceilDiv(s.M*s.N, 16) * 16
	a, dst := filled[float32](max((s.M+s.K)*s.N, n)), aligned[float32](n)
	switch op {
	case "expand":
		halves := make([]uint16, n+Slack)
		benchRows(b, expanders, n, func(f expandFunc) { f(&dst[0], &halves[0], n) })
	case "narrow":
		halves := make([]uint16, n)
		benchRows(b, narrowers, n, func(f narrowFunc) { f(&halves[0], &dst[0], n) })
	case "maxpoolf32", "avgpoolf32":
		at := make([]asm.Tap, s.K)
		for t := range at {
			at[t].A = 4 * t * s.N
		}
		kind := map[string][]Row[poolFunc]{"maxpoolf32": maxPoolsF32, "avgpoolf32": avgPoolsF32}[op]
		benchRows(b, kind, s.M*s.N*s.K, func(f poolFunc) {
			f(&dst[0], 4*s.N, &a[0], 4*s.N, s.M, &at[0], s.K, s.N, float32(s.K))
		})
	case "map":
		for _, rows := range [][]Row[mapFunc]{sigmoids, swishes} {
			benchRows(b, rows, n, func(f mapFunc) { f(&dst[0], &a[0], n) })
		}
	case "sums":
		channels := ceilDiv(s.N, 16) * 16
		sums := aligned[float64](channels)
		a := filled[float32](s.M * channels)
		benchRows(b, summersF32, s.M*channels, func(f sumsF32Func) { f(&sums[0], &a[0], 4*channels, s.M, channels) })
	case "dot":
		c := filled[float32](n)
		benchRows(b, dots, n, func(f dotFunc) { f(&a[0], &c[0], n) })
	case "attendf32":
		g, w := filled[float32](n), filled[float32](n)
		p := []float32{1, 1}
		benchRows(b, attendersF32, n, func(f attendF32Func) { f(&dst[0], &a[0], &g[0], &w[0], n, &p[0]) })
	}
}
