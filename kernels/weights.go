package kernels

import (
	"encoding/binary"
	"unsafe"
)

// Every weight of a model is read when the model is loaded: the loader proves its sums, then packs it. Most of a cold start is
// spent here, so neither looks at one weight after the other.

const (
	everyByte = 0x0101010101010101
	evenBytes = 0x00ff00ff00ff00ff
	evenHalfs = 0x0000ffff0000ffff
	pairLimit = 128 // of two weights of the same sign: 255*128 fits int16
)

// scanWeights adds up weights by sign. pairSafe says whether the pairs (w[0],w[1]), (w[2],w[3]), ... are: their positive weights
// add up to pairLimit at most, and so do their negative ones without sign; an odd last one is paired with 0. inRange says that
// no weight is -128.
//
// It takes eight weights at a time: their magnitudes, parted by sign, are added two by two into four lanes of 16 bits.
func scanWeights(w []int8) (pos, neg int64, pairSafe, inRange bool) {
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
		pos, neg = pos+foldHalfs(p), neg-foldHalfs(n)
	}
	pairSafe, inRange = over&(everyByte&evenBytes<<8) == 0, most&(everyByte<<7) == 0
	if len(b) > 0 {
		var last [8]int8
		copy(last[:], w[len(w)-len(b):])
		p, n, safe, ok := scanWeights(last[:])
		return pos + p, neg + n, pairSafe && safe, inRange && ok
	}
	return pos, neg, pairSafe, inRange
}

// foldHalfs adds four 16-bit numbers.
func foldHalfs(x uint64) int64 {
	x = x&evenHalfs + x>>16&evenHalfs
	return int64(x>>32 + x&0xffffffff)
}

// packBlock is how many weights of a column are packed at a time: a cache line. So many of a whole panel fit L1.
const packBlock = 64

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

// packPanel lays columns of weights, all of one length, out as [k/kr][nr][kr].
func packPanel(dst []int8, columns [][]int8, nr, kr int) {
	for k0 := 0; k0 < len(columns[0]); k0 += packBlock {
		for j, w := range columns {
			spread(dst[k0*nr+j*kr:], w[k0:min(k0+packBlock, len(w))], kr, nr*kr)
		}
	}
}
