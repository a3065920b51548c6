package rfga

import (
	"fmt"
	"math"
)

// Norm is how a resized class map becomes a heat map of 0..1. The values are those of the model file.
type Norm uint8

const (
	// MinMax subtracts the minimum and divides by the new maximum (the clova protocol).
	MinMax Norm = 1
	// P65 subtracts the 65th percentile, divides by the new maximum and clips to 0..1 (the protocol of the authors).
	P65 Norm = 2
)

func (n Norm) String() string {
	switch n {
	case MinMax:
		return "minmax"
	case P65:
		return "p65"
	}
	return fmt.Sprintf("Norm(%d)", uint8(n))
}

// A Mapper turns class maps into heat maps and boxes. It keeps its memory: after the first call with given sizes it
// allocates nothing. The zero value is ready; a Mapper serves one goroutine at a time.
type Mapper struct {
	horizontal, vertical axis
	rows                 []float64 // horizontally resized source rows
	wide                 []float64 // the source as float64
	levels               []uint8
	trace                tracer
	regions              []region
	boxes                []Box
}

// HeatMap resizes the class map src, sh rows of sw values, to dh rows of dw values in dst and normalises it.
// Every value is then in 0..1; a map that is constant or holds a NaN or an infinity gives zeros.
func (m *Mapper) HeatMap(dst []float64, dw, dh int, src []float32, sw, sh int, norm Norm) {
	m.wide = grow(m.wide, sw*sh)
	for i := range m.wide {
		m.wide[i] = float64(src[i])
	}
	m.Resize(dst, dw, dh, m.wide, sw, sh)
	Normalize(dst[:dw*dh], norm)
}

// HeatMap is Mapper.HeatMap with memory of its own.
func HeatMap(dst []float64, dw, dh int, src []float32, sw, sh int, norm Norm) {
	new(Mapper).HeatMap(dst, dw, dh, src, sw, sh, norm)
}

// Normalize normalises a map in place. It panics on a Norm that does not exist: the caller has read it from a model file,
// whose reader checks it.
func Normalize(m []float64, norm Norm) {
	lo, hi := math.Inf(1), math.Inf(-1)
	sound := true
	for _, v := range m {
		sound = sound && v == v
		lo, hi = min(lo, v), max(hi, v)
	}
	var base float64
	switch norm {
	case MinMax:
		base = lo
	case P65:
		if sound && len(m) > 0 {
			base = percentile(m, 0.65)
		}
	default:
		panic("rfga: no such heat map normalisation: " + norm.String())
	}
	top := hi - base // subtraction rounds monotonically, so this is the maximum of the differences
	if !sound || !(top > 0) || math.IsInf(hi, 0) || math.IsInf(lo, 0) || math.IsInf(top, 0) || lo == hi {
		clear(m)
		return
	}
	for i, v := range m {
		m[i] = min(max((v-base)/top, 0), 1)
	}
}

// percentile returns the q-quantile of m, which holds no NaN, with linear interpolation between order statistics, as NumPy
// computes it.
func percentile(m []float64, q float64) float64 {
	at := float64(float64(len(m)-1) * q) // rounded: not fused into the subtraction below
	k := int(at)
	t := at - float64(k)
	a, upTo := orderStatistic(m, k)
	b := a
	if k+1 < len(m) && upTo < k+2 { // the next one is larger
		b = math.Inf(1)
		for _, v := range m {
			if v > a {
				b = min(b, v)
			}
		}
	}
	d := b - a
	if t >= 0.5 {
		return b - float64(d*(1-t))
	}
	return a + float64(d*t)
}

// orderStatistic returns the k-th smallest value, counted from 0, and how many values are not above it. It narrows down the
// bits of the value from the top, digit by digit: linear time for any input, and no copy of it.
func orderStatistic(m []float64, k int) (v float64, upTo int) {
	const digit = 11
	var prefix uint64
	below := 0 // values whose upper bits are smaller than the prefix
	for shift := 64 - digit; ; shift = max(shift-digit, 0) {
		width := digit
		if shift == 0 {
			width = 64 % digit
		}
		var count [1 << digit]int32
		known := ^uint64(0) << (shift + width) // a shift by 64 gives 0: nothing is known
		mask := uint64(1)<<width - 1
		for _, v := range m {
			if key := sortable(v); key&known == prefix {
				count[key>>shift&mask]++
			}
		}
		for d := range count {
			if n := int(count[d]); k >= below+n {
				below += n
				continue
			}
			prefix |= uint64(d) << shift
			if shift == 0 {
				return unsortable(prefix), below + int(count[d])
			}
			break
		}
	}
}

// sortable maps float64 values to integers of the same order; -0 and +0 are one value.
func sortable(v float64) uint64 {
	b := math.Float64bits(v + 0) // -0 + 0 is +0
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

func unsortable(k uint64) float64 {
	if k>>63 != 0 {
		return math.Float64frombits(k &^ (1 << 63))
	}
	return math.Float64frombits(^k)
}

// Quantize writes trunc(255*heat) to dst and returns the largest level. Values are expected in 0..1 and clamped to it;
// NaN gives 0.
func Quantize(dst []uint8, heat []float64) (top uint8) {
	dst = dst[:len(heat)]
	for i, v := range heat {
		u := uint8(0)
		if v > 0 {
			u = uint8(min(v, 1) * 255)
		}
		dst[i] = u
		top = max(top, u)
	}
	return top
}

// Level is the threshold on quantized heat that a fraction of its maximum stands for: foreground is above it.
func Level(threshold float64, top uint8) uint8 {
	v := threshold * float64(top)
	if !(v > 0) {
		return 0
	}
	return uint8(min(v, 255))
}
