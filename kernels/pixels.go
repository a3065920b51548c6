package kernels

import (
	"slices"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Kernels of package frame: from a camera's rows to a row of the network's input, in integers, so that the bits are the
// same everywhere. A row of bytes becomes 16-bit numbers v = 256*(byte-128), the columns' filter makes numbers w = 128*(byte-128)
// of them, and the colour matrix bytes of those.
type (
	// blendFunc is a filter across rows: dst[j] = sum over k < taps of mulhrs(256*(src[k*stride+j]-128), coef[k]) modulo
	// 2**16, j < n, with mulhrs(x, c) = (x*c + 1<<14)>>15. n is at least PixelsLeast, coefficients are above -32768, whose
	// product with itself instruction sets do not agree on. Exactly n elements are read and written.
	blendFunc = func(dst *int16, src *byte, stride, n int, coef *int16, taps int)
	// unzipFunc: even[i] = src[2*i], odd[i] = src[2*i+1], i < n, a multiple of PixelsLeast.
	unzipFunc = func(even, odd, src *int16, n int)
	// unzip3Func: a[i] = src[3*i], b[i] = src[3*i+1], c[i] = src[3*i+2], i < n, a multiple of PixelsLeast.
	unzip3Func = func(a, b, c, src *int16, n int)
	// reduceFunc is a filter across columns: dst[i] = (sum over k < 8*blocks of c[i,k]*src[first[i]+k] + 1<<15)>>16, i < n, a
	// multiple of 8. Coefficient c[i,k] is coef[16*(i/2*blocks+k/8) + 8*(i%2) + k%8], and the sum fits 32 bits.
	reduceFunc = func(dst, src *int16, first *int32, coef *int16, blocks, n int)
	// colorFunc: asm.ColorMatrix's formula for n pixels, at least 16. Exactly 3*n bytes are written.
	colorFunc = func(dst *byte, a, b, c *int16, n int, m *asm.ColorMatrix)
)

// PixelsLeast is the least number of elements that a PixelRows' functions work on.
const PixelsLeast = 64

var (
	blenders  = slices.Concat([]Row[blendFunc]{{Name: "u8s16_blend_portable", Rate: 1, Fn: blendPortable}}, archBlenders)
	unzippers = slices.Concat([]Row[unzipFunc]{{Name: "s16_unzip_portable", Rate: 1, Fn: unzipPortable}}, archUnzippers)
	unzip3s   = slices.Concat([]Row[unzip3Func]{{Name: "s16_unzip3_portable", Rate: 1, Fn: unzip3Portable}}, archUnzip3s)
	reducers  = slices.Concat([]Row[reduceFunc]{{Name: "s16_reduce_portable", Rate: 1, Fn: reducePortable}}, archReducers)
	colorers  = slices.Concat([]Row[colorFunc]{{Name: "s16u8_color_portable", Rate: 1, Fn: colorPortable}}, archColorers)
)

func eachPixelRow(add func(op, name string, isa ISA)) {
	listRows("blend", blenders, add)
	listRows("unzip", unzippers, add)
	listRows("unzip", unzip3s, add)
	listRows("reduce", reducers, add)
	listRows("color", colorers, add)
}

// PixelRows is the set of these kernels for package frame.
type PixelRows struct {
	blend, blendAny blendFunc
	Unzip           unzipFunc
	Unzip3          unzip3Func
	Reduce          reduceFunc
	Color           colorFunc
	Names           []string // of the kernels, for reports
}

// ChoosePixelRows takes the fastest kernels that the instruction sets allow; Features() is what this process has.
func ChoosePixelRows(available ISA) *PixelRows {
	blend, unzip, unzip3 := chooseRow(blenders, available), chooseRow(unzippers, available), chooseRow(unzip3s, available)
	reduce, color := chooseRow(reducers, available), chooseRow(colorers, available)
	return &PixelRows{blend.Fn, blenders[0].Fn, unzip.Fn, unzip3.Fn, reduce.Fn, color.Fn,
		[]string{blend.Name, unzip.Name, unzip3.Name, reduce.Name, color.Name}}
}

// Blend is blendFunc for any n.
func (p *PixelRows) Blend(dst *int16, src *byte, stride, n int, coef *int16, taps int) {
	if n < PixelsLeast {
		p.blendAny(dst, src, stride, n, coef, taps)
		return
	}
	p.blend(dst, src, stride, n, coef, taps)
}

func blendPortable(dst *int16, src *byte, stride, n int, coef *int16, taps int) {
	y := unsafe.Slice(dst, n)
	clear(y)
	for k, c := range unsafe.Slice(coef, taps) {
		for j, u := range row(src, k*stride, n) {
			y[j] += int16(((int32(u)-128)<<8*int32(c) + 1<<14) >> 15)
		}
	}
}

func unzipPortable(even, odd, src *int16, n int) {
	e, o := unsafe.Slice(even, n), unsafe.Slice(odd, n)
	s := unsafe.Slice(src, 2*n)
	for i := range e {
		e[i], o[i] = s[2*i], s[2*i+1]
	}
}

func unzip3Portable(a, b, c, src *int16, n int) {
	x, y, z := unsafe.Slice(a, n), unsafe.Slice(b, n), unsafe.Slice(c, n)
	s := unsafe.Slice(src, 3*n)
	for i := range x {
		x[i], y[i], z[i] = s[3*i], s[3*i+1], s[3*i+2]
	}
}

func reducePortable(dst, src *int16, first *int32, coef *int16, blocks, n int) {
	y, at := unsafe.Slice(dst, n), unsafe.Slice(first, n)
	for i := range y {
		var sum int32
		for k := range blocks {
			c := row(coef, 16*(i/2*blocks+k)+8*(i%2), 8)
			for j, v := range row(src, int(at[i])+8*k, 8) {
				sum += int32(c[j]) * int32(v)
			}
		}
		y[i] = int16((sum + 1<<15) >> 16)
	}
}

func colorPortable(dst *byte, a, b, c *int16, n int, m *asm.ColorMatrix) {
	y := unsafe.Slice(dst, 3*n)
	p, q, r := unsafe.Slice(a, n), unsafe.Slice(b, n), unsafe.Slice(c, n)
	for i := range n {
		for ch := range 3 {
			f, k := &m.Coef[ch], m.Bias[ch][0]
			v := (int32(f[0][0])*int32(p[i]) + int32(f[0][1])*int32(q[i]) + int32(f[1][0])*int32(r[i]) + k) >> 20
			y[3*i+ch] = byte(min(max(v, 0), 255))
		}
	}
}
