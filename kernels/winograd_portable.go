package kernels

import "unsafe"

// Portable Go kernels, the definition of the modular transforms.

var portableGEMM16s = []GEMM16{
	{Name: "s16s16_gemm_2x4c1_portable", MR: 2, NR: 4, KR: 1, Rate: 1, Fn: gemm16Portable2},
	{Name: "s16s16_gemm_1x4c1_portable", MR: 1, NR: 4, KR: 1, Rate: 1, Fn: gemm16Portable1},
}

var portableWinoInputs = []WinoInput{
	{Name: "u8s16_winoinput4_portable", Form: wino4x4, Lanes: 1, Rate: 1, Fn: winoInput4Portable},
	{Name: "u8s16_winoinput2_portable", Form: wino2x2, Lanes: 1, Rate: 2, Fn: winoInput2Portable},
	{Name: "u8s16_winoinput6of7_portable", Form: wino6of7, Lanes: 1, Rate: 1, Fn: lineInputPortable(wino6of7)},
	{Name: "u8s16_winoinput4of3_portable", Form: wino4of3, Lanes: 1, Rate: 1, Fn: lineInputPortable(wino4of3)},
}

var portableWinoFilters = []WinoFilter{
	{Name: "s8s16_winofilter4_portable", Form: wino4x4, ByRow: true, Lanes: 4, Rate: 1, Fn: winoFilter4Portable},
	{Name: "s8s16_winofilter2_portable", Form: wino2x2, ByRow: true, Lanes: 4, Rate: 2, Fn: winoFilter2Portable},
	{Name: "s8s16_winofilter6of7_portable", Form: wino6of7, Lanes: 4, Rate: 1, Fn: lineFilterPortable(wino6of7)},
	{Name: "s8s16_winofilter4of3_portable", Form: wino4of3, Lanes: 4, Rate: 1, Fn: lineFilterPortable(wino4of3)},
}

var portableWinoOutputs = []WinoOutput{
	{Name: "s32_winooutput4_portable", Form: wino4x4, NR: 4, Rate: 1, Fn: winoOutput4Portable},
	{Name: "s32_winooutput2_portable", Form: wino2x2, NR: 4, Rate: 2, Fn: winoOutput2Portable},
	{Name: "s32_winooutput6of7_portable", Form: wino6of7, NR: 4, Rate: 1, Fn: lineOutputPortable(wino6of7)},
	{Name: "s32_winooutput4of3_portable", Form: wino4of3, NR: 4, Rate: 1, Fn: lineOutputPortable(wino4of3)},
}

func gemm16Portable2(c *int32, a *int16, lda int, b *int16, k int) {
	a0, a1, w := unsafe.Slice(a, k), row(a, lda/2, k), unsafe.Slice(b, 4*k)
	var c00, c01, c02, c03, c10, c11, c12, c13 int32
	for i, v := range a0 {
		v0, v1 := int32(v), int32(a1[i])
		w := w[4*i : 4*i+4 : 4*i+4]
		w0, w1, w2, w3 := int32(w[0]), int32(w[1]), int32(w[2]), int32(w[3])
		c00 += v0 * w0
		c01 += v0 * w1
		c02 += v0 * w2
		c03 += v0 * w3
		c10 += v1 * w0
		c11 += v1 * w1
		c12 += v1 * w2
		c13 += v1 * w3
	}
	*(*[8]int32)(unsafe.Pointer(c)) = [8]int32{c00, c01, c02, c03, c10, c11, c12, c13}
}

func gemm16Portable1(c *int32, a *int16, _ int, b *int16, k int) {
	w := unsafe.Slice(b, 4*k)
	var c0, c1, c2, c3 int32
	for i, v := range unsafe.Slice(a, k) {
		v := int32(v)
		w := w[4*i : 4*i+4 : 4*i+4]
		c0 += v * int32(w[0])
		c1 += v * int32(w[1])
		c2 += v * int32(w[2])
		c3 += v * int32(w[3])
	}
	*(*[4]int32)(unsafe.Pointer(c)) = [4]int32{c0, c1, c2, c3}
}

// The transforms of one dimension: B^T, G and A^T of F(4,3) and F(2,3). Products of the matrices and their scales: winoForm.

func winoIn4(d0, d1, d2, d3, d4, d5 int32) (v0, v1, v2, v3, v4, v5 int32) {
	a, b, c, e := d4-4*d2, d3-4*d1, d4-d2, 2*(d3-d1)
	return 4*(d0-d2) + c, a + b, a - b, c + e, c - e, d5 - d3 - 2*e
}

func winoFil4(w0, w1, w2 int32) (g0, g1, g2, g3, g4, g5 int32) {
	s, t := w0+w2, w0+4*w2
	return 6 * w0, s + w1, s - w1, t + 2*w1, t - 2*w1, 6 * w2
}

func winoOut4(m0, m1, m2, m3, m4, m5 int32) (y0, y1, y2, y3 int32) {
	s1, d1, s2, d2 := m1+m2, m1-m2, m3+m4, m3-m4
	return m0 - 4*s1 + s2, 2*d2 - 4*d1, 4 * (s2 - s1), 4*(m5+2*d2) - 4*d1
}

func winoIn2(d0, d1, d2, d3 int32) (v0, v1, v2, v3 int32) { return d0 - d2, d1 + d2, d2 - d1, d1 - d3 }

func winoFil2(w0, w1, w2 int32) (g0, g1, g2, g3 int32) {
	return 2 * w0, w0 + w1 + w2, w0 - w1 + w2, 2 * w2
}

func winoOut2(m0, m1, m2, m3 int32) (y0, y1 int32) { return m0 + m1 + m2, m1 - m2 - m3 }

func winoInput4Portable(v *int16, ldf int, x *byte, ldy, ldx, n int, _ *byte) {
	var t [6][6]int32
	for c := range n {
		for j := range 6 {
			d := func(i int) int32 { return int32(*(*byte)(unsafe.Add(unsafe.Pointer(x), i*ldy+j*ldx+c))) }
			t[0][j], t[1][j], t[2][j], t[3][j], t[4][j], t[5][j] = winoIn4(d(0), d(1), d(2), d(3), d(4), d(5))
		}
		p := unsafe.Add(unsafe.Pointer(v), 2*c)
		for i := range 6 {
			d := &t[i]
			v0, v1, v2, v3, v4, v5 := winoIn4(d[0], d[1], d[2], d[3], d[4], d[5])
			for j, e := range [6]int32{v0, v1, v2, v3, v4, v5} {
				*(*int16)(unsafe.Add(p, (6*i+j)*ldf)) = int16(e)
			}
		}
	}
}

func winoInput2Portable(v *int16, ldf int, x *byte, ldy, ldx, n int, _ *byte) {
	var t [4][4]int32
	for c := range n {
		for j := range 4 {
			d := func(i int) int32 { return int32(*(*byte)(unsafe.Add(unsafe.Pointer(x), i*ldy+j*ldx+c))) }
			t[0][j], t[1][j], t[2][j], t[3][j] = winoIn2(d(0), d(1), d(2), d(3))
		}
		p := unsafe.Add(unsafe.Pointer(v), 2*c)
		for i := range 4 {
			d := &t[i]
			v0, v1, v2, v3 := winoIn2(d[0], d[1], d[2], d[3])
			for j, e := range [4]int32{v0, v1, v2, v3} {
				*(*int16)(unsafe.Add(p, (4*i+j)*ldf)) = int16(e)
			}
		}
	}
}

// winoColumns multiplies row r of G by the columns of a filter's weights, which are four lanes apart.
func winoColumns(rows *int16, r int, w *[33]int8) (t0, t1, t2 int32) {
	g := (*[65]int16)(unsafe.Add(unsafe.Pointer(rows), 2*3*32*r))
	g0, g1, g2 := int32(g[0]), int32(g[32]), int32(g[64])
	return g0*int32(w[0]) + g1*int32(w[12]) + g2*int32(w[24]),
		g0*int32(w[4]) + g1*int32(w[16]) + g2*int32(w[28]),
		g0*int32(w[8]) + g1*int32(w[20]) + g2*int32(w[32])
}

func winoFilter4Portable(u *int16, ldf int, w *int8, groups int, rows *int16, n int, _ *byte) {
	const lanes = 4
	for l := range lanes * groups {
		taps := (*[8*lanes + 1]int8)(unsafe.Add(unsafe.Pointer(w), l/lanes*9*lanes+l%lanes))
		p := unsafe.Add(unsafe.Pointer(u), 2*l)
		for r := range n {
			g0, g1, g2, g3, g4, g5 := winoFil4(winoColumns(rows, r, taps))
			for _, e := range [6]int32{g0, g1, g2, g3, g4, g5} {
				*(*int16)(p) = int16(e)
				p = unsafe.Add(p, ldf)
			}
		}
	}
}

func winoFilter2Portable(u *int16, ldf int, w *int8, groups int, rows *int16, n int, _ *byte) {
	const lanes = 4
	for l := range lanes * groups {
		taps := (*[8*lanes + 1]int8)(unsafe.Add(unsafe.Pointer(w), l/lanes*9*lanes+l%lanes))
		p := unsafe.Add(unsafe.Pointer(u), 2*l)
		for r := range n {
			g0, g1, g2, g3 := winoFil2(winoColumns(rows, r, taps))
			for _, e := range [4]int32{g0, g1, g2, g3} {
				*(*int16)(p) = int16(e)
				p = unsafe.Add(p, ldf)
			}
		}
	}
}

func winoOutput4Portable(y *int32, ldy int, m *int32, ldf, tiles int, corr *int32, _ *byte) {
	const nr = 4
	form := wino4x4
	var s [4][6]int32
	for t := range tiles {
		for c := range nr {
			for j := range 6 {
				d := func(i int) int32 { return *(*int32)(unsafe.Add(unsafe.Pointer(m), (6*i+j)*ldf+4*(nr*t+c))) }
				s[0][j], s[1][j], s[2][j], s[3][j] = winoOut4(d(0), d(1), d(2), d(3), d(4), d(5))
			}
			add := row(corr, c, 1)[0]
			for i := range 4 {
				d := &s[i]
				y0, y1, y2, y3 := winoOut4(d[0], d[1], d[2], d[3], d[4], d[5])
				out := row((*int32)(unsafe.Add(unsafe.Pointer(y), i*ldy)), 4*nr*t+c, 3*nr+1)
				for j, e := range [4]int32{y0, y1, y2, y3} {
					out[nr*j] = (e*int32(form.inverse) + add) >> form.shift
				}
			}
		}
	}
}

func winoOutput2Portable(y *int32, ldy int, m *int32, ldf, tiles int, corr *int32, _ *byte) {
	const nr = 4
	form := wino2x2
	var s [2][4]int32
	for t := range tiles {
		for c := range nr {
			for j := range 4 {
				d := func(i int) int32 { return *(*int32)(unsafe.Add(unsafe.Pointer(m), (4*i+j)*ldf+4*(nr*t+c))) }
				s[0][j], s[1][j] = winoOut2(d(0), d(1), d(2), d(3))
			}
			add := row(corr, c, 1)[0]
			for i := range 2 {
				d := &s[i]
				y0, y1 := winoOut2(d[0], d[1], d[2], d[3])
				out := row((*int32)(unsafe.Add(unsafe.Pointer(y), i*ldy)), 2*nr*t+c, nr+1)
				for j, e := range [2]int32{y0, y1} {
					out[nr*j] = (e + add) >> form.shift
				}
			}
		}
	}
}
