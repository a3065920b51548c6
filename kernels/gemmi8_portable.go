package kernels

import "unsafe"

// Portable Go kernels, the definition of the int8 operators. A panel of 4 columns without interleaving, two rows or one.
var portableGEMMs = []GEMM{
	{Name: "u8s8_gemm_2x4c1_portable", MR: 2, NR: 4, KR: 1, A: U8, Rate: 1, Fn: gemm2x4Portable},
	{Name: "u8s8_gemm_1x4c1_portable", MR: 1, NR: 4, KR: 1, A: U8, Rate: 1, Fn: gemm1x4Portable},
}

func gemm2x4Portable(c *int32, a *byte, lda int, b *int8, k int) {
	a0, a1, w := unsafe.Slice(a, k), row(a, lda, k), unsafe.Slice(b, 4*k)
	var c00, c01, c02, c03, c10, c11, c12, c13 int32
	for i, u := range a0 {
		u0, u1 := int32(u), int32(a1[i])
		w := w[4*i : 4*i+4 : 4*i+4]
		w0, w1, w2, w3 := int32(w[0]), int32(w[1]), int32(w[2]), int32(w[3])
		c00 += u0 * w0
		c01 += u0 * w1
		c02 += u0 * w2
		c03 += u0 * w3
		c10 += u1 * w0
		c11 += u1 * w1
		c12 += u1 * w2
		c13 += u1 * w3
	}
	*(*[8]int32)(unsafe.Pointer(c)) = [8]int32{c00, c01, c02, c03, c10, c11, c12, c13}
}

func gemm1x4Portable(c *int32, a *byte, _ int, b *int8, k int) {
	w := unsafe.Slice(b, 4*k)
	var c0, c1, c2, c3 int32
	for i, u := range unsafe.Slice(a, k) {
		u := int32(u)
		w := w[4*i : 4*i+4 : 4*i+4]
		c0 += u * int32(w[0])
		c1 += u * int32(w[1])
		c2 += u * int32(w[2])
		c3 += u * int32(w[3])
	}
	*(*[4]int32)(unsafe.Pointer(c)) = [4]int32{c0, c1, c2, c3}
}

var portableWideners = []Widener{
	{Name: "u8u16_widen_portable", Rate: 1, Fn: widenPortable},
}

var portableInterleavers = []Interleaver{
	{Name: "u8s16x3_interleave_portable", Rate: 1, Fn: interleavePortable},
}

func interleavePortable(dst *uint16, src *byte, lda, k, n int) {
	d := unsafe.Slice(dst, 3*k*n)
	for i := range 3 * n {
		for t, u := range row(src, i*lda, k) {
			d[S16x3.index(i, t, k)] = uint16(u)
		}
	}
}

var portableFlippers = []Flipper{
	{Name: "u8s8_flip_portable", Rate: 1, Fn: flipPortable},
}

func flipPortable(dst, src *byte, n int) {
	d := unsafe.Slice(dst, n)
	for i, u := range unsafe.Slice(src, n) {
		d[i] = u ^ 0x80
	}
}

func widenPortable(dst *uint16, src *byte, n int) {
	d := unsafe.Slice(dst, n)
	for i, u := range unsafe.Slice(src, n) {
		d[i] = uint16(u)
	}
}
