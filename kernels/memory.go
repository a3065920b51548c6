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
	bytes := from(cut(n*size+64+Slack), 64)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(bytes))), n)
}

// Memory returns n zero bytes on a 64-byte boundary with Slack readable bytes behind them, for the buffers of a run. Large ones lie
// in huge pages.
func Memory(n int) []byte {
	var b []byte
	if size := n + 64 + Slack; size < pieceSize/8 {
		b = make([]byte, size)
	} else {
		b = huge(size)
	}
	return from(b, 64)[: n : n+Slack]
}

// from is what is left of b from the first multiple of align on.
func from(b []byte, align int) []byte {
	return b[-int(uintptr(unsafe.Pointer(unsafe.SliceData(b))))&(align-1):]
}

// cut returns n bytes of zeros or more that nobody else uses.
func cut(n int) []byte {
	if n < smallest {
		return make([]byte, n)
	}
	if n > largest {
		return huge(n)
	}
	n = align64(n)
	piece.Lock()
	defer piece.Unlock()
	if len(piece.rest) < n {
		piece.rest = huge(pieceSize)
	}
	b := piece.rest[:n:n]
	piece.rest = piece.rest[n:]
	return b
}
