package kernels

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// Every weight of a model is read when the model is loaded: the loader proves its sums, then packs it. Most of a cold start is
// spent here, so neither looks at one weight after the other.

type (
	// scanFunc reads n weights; n is a multiple of scanBlock, from scanBlock to scanLimit.
	scanFunc = func(w *int8, n int) asm.Scan
	// spreadFunc lays out groups of KR weights of 8 columns, KR being that of the list it is in: for j < 8, g < groups, t < KR,
	// dst[step*g+KR*j+t] = src[lda*j+KR*g+t]. groups is a multiple of spreadGroups, and not 0.
	spreadFunc = func(dst *int8, step int, src *int8, lda, groups int)
)

const (
	scanBlock     = 32
	scanLimit     = 1 << 20 // of a call: its sums fit 32 bits
	spreadColumns = 8
	spreadGroups  = 16
)

var (
	scanners   = slices.Concat([]Row[scanFunc]{{Name: "s8_scan_portable", Rate: 4, Fn: scanPortable}}, archScanners)
	spreaders4 = slices.Concat([]Row[spreadFunc]{{Name: "s8_spread_8x4_portable", Rate: 4, Fn: spreadPortable4}}, archSpreaders4)
	spreaders2 = slices.Concat([]Row[spreadFunc]{{Name: "s8_spread_8x2_portable", Rate: 2, Fn: spreadPortable2}}, archSpreaders2)

	scanner   = chooseRow(scanners, features)
	spreader4 = chooseRow(spreaders4, features)
	spreader2 = chooseRow(spreaders2, features)
)

func scanPortable(w *int8, n int) asm.Scan { return scanWords(unsafe.Slice(w, n)) }

func spreadPortable4(dst *int8, step int, src *int8, lda, groups int) {
	spreadPortable(dst, step, src, lda, groups, 4)
}

func spreadPortable2(dst *int8, step int, src *int8, lda, groups int) {
	spreadPortable(dst, step, src, lda, groups, 2)
}

func spreadPortable(dst *int8, step int, src *int8, lda, groups, kr int) {
	for j := range spreadColumns {
		spread(row(dst, kr*j, step*(groups-1)+kr), row(src, lda*j, kr*groups), kr, step)
	}
}

const (
	everyByte = 0x0101010101010101
	evenBytes = 0x00ff00ff00ff00ff
	evenHalfs = 0x0000ffff0000ffff
	pairLimit = 128 // of two weights of the same sign: 255*128 fits int16
)

// scanWeights adds up weights by sign. pairSafe says whether the pairs (w[0],w[1]), (w[2],w[3]), ... are: their positive weights
// add up to pairLimit at most, and so do their negative ones without sign; an odd last one is paired with 0. inRange says that
// no weight is -128.
func scanWeights(w []int8) (pos, neg int64, pairSafe, inRange bool) {
	pairSafe, inRange = true, true
	var s asm.Scan
	for len(w) > 0 {
		n := min(len(w)&^(scanBlock-1), scanLimit)
		if n > 0 {
			s = scanner.Fn(&w[0], n)
		} else {
			n = len(w)
			var last [scanBlock]int8
			copy(last[:], w)
			s = scanWords(last[:])
		}
		w = w[n:]
		pos, neg = pos+int64(s.Pos), neg-int64(s.Neg)
		pairSafe, inRange = pairSafe && s.Over == 0, inRange && s.Low == 0
	}
	return pos, neg, pairSafe, inRange
}

// scanWords is the definition of the scanners. It takes eight weights at a time: their magnitudes, parted by sign, are added two by
// two into four lanes of 16 bits.
func scanWords(w []int8) (s asm.Scan) {
	const excess = (256 - pairLimit - 1) * (everyByte & evenBytes) // takes a sum above pairLimit to bit 8 of its lane
	var over, most uint64
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), len(w))
	for len(b) >= 8 {
		var p, n uint64
		for range min(len(b)/8, 255) { // sums of pairs are at most 256: 16 bits hold 255 of them
			x := binary.LittleEndian.Uint64(b)
			b = b[8:]
			sign := x >> 7 & everyByte
			mask := sign<<8 - sign
			magnitude := (x ^ mask) + sign // at most 128: no carry
			minus := magnitude & mask
			plus := magnitude ^ minus
			plus = plus&evenBytes + plus>>8&evenBytes
			minus = minus&evenBytes + minus>>8&evenBytes
			p, n = p+plus, n+minus
			over |= (plus + excess) | (minus + excess)
			most |= magnitude
		}
		s.Pos, s.Neg = s.Pos+int32(foldHalfs(p)), s.Neg+int32(foldHalfs(n))
	}
	if over&(everyByte&evenBytes<<8) != 0 {
		s.Over = 1
	}
	if most&(everyByte<<7) != 0 {
		s.Low = 1
	}
	return s
}

// foldHalfs adds four 16-bit numbers.
func foldHalfs(x uint64) int64 {
	x = x&evenHalfs + x>>16&evenHalfs
	return int64(x>>32 + x&0xffffffff)
}

// packBlock is how many weights of a column are packed at a time: so many of a whole panel fit L1.
const packBlock = 128

// spread writes groups of kr neighbours step bytes apart; a last group may be shorter.
func spread(dst, src []int8, kr, step int) {
	d, s := unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src))
	n := len(src) / kr
	if n > 0 {
		_ = dst[(n-1)*step+kr-1]
	}
	switch kr {
	case 2:
		for i := range n {
			*(*[2]int8)(unsafe.Add(d, i*step)) = *(*[2]int8)(unsafe.Add(s, 2*i))
		}
	case 4:
		for i := range n {
			*(*[4]int8)(unsafe.Add(d, i*step)) = *(*[4]int8)(unsafe.Add(s, 4*i))
		}
	case 8:
		for i := range n {
			*(*[8]int8)(unsafe.Add(d, i*step)) = *(*[8]int8)(unsafe.Add(s, 8*i))
		}
	default:
		for i := range n {
			copy(dst[i*step:][:kr], src[i*kr:])
		}
	}
	if rest := src[n*kr:]; len(rest) > 0 {
		copy(dst[n*step:], rest)
	}
}

// spreadRows is spread for columns that begin lda bytes apart in src, n weights each: column j goes to dst[kr*j:].
func spreadRows(dst []int8, step int, src []int8, lda, columns, n, kr int) {
	j, done := 0, 0
	var r *Row[spreadFunc]
	switch kr {
	case 4:
		r = spreader4
	case 2:
		r = spreader2
	}
	if groups := n / kr &^ (spreadGroups - 1); r != nil && groups > 0 {
		done = groups * kr
		for ; j+spreadColumns <= columns; j += spreadColumns {
			r.Fn(&dst[kr*j], step, &src[lda*j], lda, groups)
			for i := j; done < n && i < j+spreadColumns; i++ {
				spread(dst[kr*i+groups*step:], src[lda*i+done:][:n-done], kr, step)
			}
		}
	}
	for ; j < columns; j++ {
		spread(dst[kr*j:], src[lda*j:][:n], kr, step)
	}
}

// packPanel lays columns of k weights, lda apart, out as [k/kr][nr][kr].
func packPanel(dst, src []int8, lda, columns, k, nr, kr int) {
	for k0 := 0; k0 < k; k0 += packBlock {
		spreadRows(dst[k0*nr:], nr*kr, src[k0:], lda, columns, min(packBlock, k-k0), kr)
	}
}
