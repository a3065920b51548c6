package kernels

import (
	"fmt"
	"math"
	"unsafe"
)

// maxElements bounds one activation, and maxSide a dimension or any number of a window: sums and products of the checks
// below stay within int64, and every offset within int on 32-bit machines.
const (
	maxElements = 1 << 29
	maxSide     = 1 << 24
)

// flatUnit is the number of elements of one unit of an elementwise stage.
const flatUnit = 4096

// channelUnit is the number of channels of one unit where a stage is split over channels: int8, a cache line.
const channelUnit = 64

// view returns b's memory as elements of T, without a copy; b is aligned for T.
func view[T any](b []byte) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// portable returns a Prepared whose stages are portable Go.
func portable(stages ...Stage) *Prepared {
	return &Prepared{Stages: stages, Kernel: "portable", Why: "written in Go only"}
}

// flatStage returns a stage over n elements; f gets the elements lo..hi-1.
func flatStage(name string, n int, f func(io *IO, lo, hi int)) Stage {
	return Stage{Name: name, Units: ceilDiv(n, flatUnit), Run: func(io *IO, lo, hi int, _ []byte) {
		f(io, lo*flatUnit, min(hi*flatUnit, n))
	}}
}

func checkCount(n int) error {
	if n < 1 || n > maxElements {
		return fmt.Errorf("%d elements: need 1..%d", n, maxElements)
	}
	return nil
}

func checkShape(what string, s Shape) error {
	if min(s.H, s.W, s.C) < 1 || max(s.H, s.W, s.C) > maxSide {
		return fmt.Errorf("%s %dx%dx%d: every dimension must be 1..%d", what, s.H, s.W, s.C, maxSide)
	}
	// Two steps, so that the product cannot overflow.
	if hw := int64(s.H) * int64(s.W); hw > maxElements || hw*int64(s.C) > maxElements {
		return fmt.Errorf("%s %dx%dx%d has more than %d elements", what, s.H, s.W, s.C, maxElements)
	}
	return nil
}

func checkShapes(in, out Shape) error {
	if err := checkShape("input", in); err != nil {
		return err
	}
	return checkShape("output", out)
}

// checkMult demands what the contract does: finite, positive and normal.
func checkMult(what string, m float32) error {
	if !(m >= 0x1p-126 && m <= math.MaxFloat32) {
		return fmt.Errorf("%s multiplier %g is not finite, positive and normal", what, m)
	}
	return nil
}

func checkZero(what string, zero int32) error {
	if zero < -128 || zero > 127 {
		return fmt.Errorf("%s zero point %d is outside -128..127", what, zero)
	}
	return nil
}

func checkScale(scale float32) error {
	if !(scale >= 0x1p-126 && scale <= math.MaxFloat32) {
		return fmt.Errorf("scale %g is not finite, positive and normal", scale)
	}
	return nil
}

// checkOutput checks the zero point and the bounds of a quantized result.
func checkOutput(zero, lo, hi int32) error {
	if err := checkZero("output", zero); err != nil {
		return err
	}
	if lo < -128 || hi > 127 || lo > hi {
		return fmt.Errorf("output bounds %d..%d are not within -128..127", lo, hi)
	}
	return nil
}

// check demands n multipliers.
func (r *Requant) check(n int) error {
	if err := checkLength("multipliers", len(r.Mult), n); err != nil {
		return err
	}
	for i, m := range r.Mult {
		if checkMult("", m) != nil {
			return checkMult(fmt.Sprintf("channel %d's", i), m)
		}
	}
	return checkOutput(r.Zero, r.Lo, r.Hi)
}

func checkLength(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("%d %s: need %d", got, what, want)
	}
	return nil
}

// checkOptional accepts nothing or n values.
func checkOptional(what string, got, n int) error {
	if got == 0 {
		return nil
	}
	return checkLength(what, got, n)
}

// padded4 is the length of a run of n weights in the canonical order.
func padded4(n int) int { return (n + 3) &^ 3 }

// checkClamp checks the bounds of a float result.
func checkClamp(lo, hi float32) error {
	if !(lo <= hi) {
		return fmt.Errorf("clamp %g..%g is empty", lo, hi)
	}
	return nil
}

// checkWindow checks that w slides over in and gives out's height and width, rounded down or, if ceil, up as PyTorch does:
// a last window that would start behind the image and its near padding is left off.
func checkWindow(w *Window, in, out Shape, ceil bool) error {
	sizes := [...]int{w.KH, w.KW, w.StrideH, w.StrideW, w.DilationH, w.DilationW}
	for _, v := range sizes {
		if v < 1 || v > maxSide {
			return fmt.Errorf("window %dx%d, stride %dx%d, dilation %dx%d: every number must be 1..%d",
				w.KH, w.KW, w.StrideH, w.StrideW, w.DilationH, w.DilationW, maxSide)
		}
	}
	for _, p := range w.Pad {
		if p < 0 || p > maxSide {
			return fmt.Errorf("padding %v: every number must be 0..%d", w.Pad, maxSide)
		}
	}
	for _, a := range [...]struct {
		name                               string
		in, out, k, stride, dil, near, far int
	}{
		{"height", in.H, out.H, w.KH, w.StrideH, w.DilationH, w.Pad[0], w.Pad[2]},
		{"width", in.W, out.W, w.KW, w.StrideW, w.DilationW, w.Pad[1], w.Pad[3]},
	} {
		room := int64(a.in) + int64(a.near) + int64(a.far) - int64(a.dil)*int64(a.k-1) - 1
		if room < 0 {
			return fmt.Errorf("%s %d padded by %d+%d is less than a window of %d with dilation %d", a.name, a.in, a.near, a.far, a.k, a.dil)
		}
		down := room/int64(a.stride) + 1
		up := (room+int64(a.stride)-1)/int64(a.stride) + 1
		if (up-1)*int64(a.stride) >= int64(a.in)+int64(a.near) {
			up--
		}
		if int64(a.out) != down && (!ceil || int64(a.out) != up) {
			return fmt.Errorf("output %s %d: the window gives %d", a.name, a.out, down)
		}
	}
	return nil
}

// taps returns which taps first..end-1 of window o lie inside the image along one axis; the last return value is where tap 0
// lies. Without any, first == end.
func taps(o, stride, dil, k, pad, in int) (first, end, start int) {
	start = o*stride - pad
	if start >= 0 && start+(k-1)*dil < in { // nearly all, and divisions take as long as a window
		return 0, k, start
	}
	if start < 0 {
		first = min(ceilDiv(-start, dil), k)
	}
	if start < in {
		end = min(ceilDiv(in-start, dil), k)
	}
	return first, max(first, end), start
}
