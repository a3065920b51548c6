package kernels

import (
	"sync"
	"unsafe"
)

// Packed weights are most of a model's memory, and touching it for the first time is a good part of a cold start: 4 KB a page
// fault, unless pages are huge. So they are cut from large pieces of the heap, which the system is asked to back with such.
const (
	pieceSize = 8 << 20
	smallest  = 16 << 10 // what is cut from a piece
	largest   = pieceSize / 2
)

var piece struct {
	sync.Mutex
	rest []byte
}

// aligned returns n elements on a 64-byte boundary, so that full-width loads of packed weights touch one cache line, and
// with Slack behind them. T holds no pointers.
func aligned[T any](n int) []T {
	var t T
	size := int(unsafe.Sizeof(t))
	bytes := cut(n*size + 64 + Slack)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))) & 63
	return unsafe.Slice((*T)(unsafe.Pointer(&bytes[skip])), n)
}

// cut returns n bytes of zeros that nobody else uses.
func cut(n int) []byte {
	if n < smallest {
		return make([]byte, n)
	}
	if n > largest {
		b := make([]byte, n)
		hugePages(b)
		return b
	}
	n = align64(n)
	piece.Lock()
	defer piece.Unlock()
	if len(piece.rest) < n {
		piece.rest = make([]byte, pieceSize)
		hugePages(piece.rest)
	}
	b := piece.rest[:n:n]
	piece.rest = piece.rest[n:]
	return b
}
