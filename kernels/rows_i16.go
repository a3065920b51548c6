package kernels

import (
	"slices"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// What rows of int16 do, besides matrix products. n is a multiple of 8 where it is said.
type (
	// depthwise16Func: dst[j] = sum over t < 2*pairs of a[off[t]/2+j]*w of tap t and channel j, j < n; w as packDepthwise16 lays it
	// out. a is readable up to Slack bytes behind its last element, up to 15 elements behind dst[n-1] are written.
	depthwise16Func = func(dst *int32, a *int16, off *int, w *int16, pairs, n int)
	// requant16Func: dst[i] = R(float32(low[i]+bias[i]+base[i]+256*(high[i]+bias[i]))*mult[i]), i < n, a multiple of 8, with p.RLo,
	// p.RHi and p.RZero; high may be nil.
	requant16Func = func(dst *int16, low, high, bias *int32, base *float64, mult *float32, n int, p *asm.Requant)
	// add16Func: dst[i] = R(f32(f32(a[i]+p.AOff)*p.AMult) + f32(f32(b[i]-p.BZero)*p.BMult)), i < n, a multiple of 8.
	add16Func = func(dst, a, b *int16, n int, p *asm.Requant)
)

var (
	depthwises16   = slices.Concat([]Row[depthwise16Func]{{Name: "s16s16_depthwise_portable", Rate: 1, Fn: depthwise16Portable}}, archDepthwises16)
	requantizers16 = slices.Concat([]Row[requant16Func]{{Name: "s32s16_requant_portable", Rate: 1, Fn: requant16Portable}}, archRequantizers16)
	adders16       = slices.Concat([]Row[add16Func]{{Name: "s16_add_portable", Rate: 1, Fn: add16Portable}}, archAdders16)
)

// depthwise16Block is the number of channels whose weights lie together.
const depthwise16Block = 16

// packDepthwise16 lays out weights, taps rows of stride elements, for depthwise16Func: for each block of 16 channels and each pair of
// taps, the pairs of channels 0-3, 8-11, 4-7 and 12-15. A missing tap has weights of zero.
func packDepthwise16(w []int8, taps, stride, channels int) []int16 {
	pairs := (taps + 1) / 2
	var out []int16
	for c0 := 0; c0 < channels; c0 += depthwise16Block {
		for p := range pairs {
			for _, first := range [...]int{0, 8, 4, 12} {
				for i := range 4 {
					for t := 2 * p; t < 2*p+2; t++ {
						v := int16(0)
						if c := c0 + first + i; t < taps && c < channels {
							v = int16(w[t*stride+c])
						}
						out = append(out, v)
					}
				}
			}
		}
	}
	return out
}

func depthwise16Portable(dst *int32, a *int16, off *int, w *int16, pairs, n int) {
	y := unsafe.Slice(dst, n)
	clear(y)
	for c0 := 0; c0 < n; c0 += depthwise16Block {
		for t, bytes := range unsafe.Slice(off, 2*pairs) {
			x := row(a, bytes/2+c0, min(depthwise16Block, n-c0))
			k := row(w, (c0/depthwise16Block*pairs+t/2)*2*depthwise16Block, 2*depthwise16Block)
			for i, v := range x {
				place := i&3 + i&4<<1 + i&8>>1 // channels 4-7 and 8-11 change places
				y[c0+i] += int32(v) * int32(k[2*place+t&1])
			}
		}
	}
}

func requant16Portable(dst *int16, low, high, bias *int32, base *float64, mult *float32, n int, p *asm.Requant) {
	y, l, b, k, m := unsafe.Slice(dst, n), unsafe.Slice(low, n), unsafe.Slice(bias, n), unsafe.Slice(base, n), unsafe.Slice(mult, n)
	r := wideRounder{p.RLo, p.RHi, p.RZero - magicBits}
	if high == nil {
		for i := range y {
			y[i] = r.round(float32(float32(float64(l[i]+b[i])+k[i]) * m[i]))
		}
		return
	}
	for i, h := range unsafe.Slice(high, n) {
		v := float64(l[i]+b[i]) + k[i]
		v += float64(256 * float64(h+b[i]))
		y[i] = r.round(float32(float32(v) * m[i]))
	}
}

func add16Portable(dst, a, b *int16, n int, p *asm.Requant) {
	y, v := unsafe.Slice(dst, n), unsafe.Slice(b, n)
	r := wideRounder{p.RLo, p.RHi, p.RZero - magicBits}
	for i, u := range unsafe.Slice(a, n) {
		y[i] = r.round(float32(float32(int32(u)+p.AOff)*p.AMult) + float32(float32(int32(v[i])-p.BZero)*p.BMult))
	}
}
