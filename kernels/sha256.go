package kernels

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"unsafe"
)

// sha256PairFunc is SHA-256's compression of blocks of 64 bytes of two messages, from p and q, with the chaining values state[0:8] and
// state[8:16]. k is sha256Constants. blocks is at least 1.
type sha256PairFunc = func(state *uint32, p, q *byte, blocks int, k *uint32)

// There is no portable row: crypto/sha256 is that.
var (
	sha256Pairs = archSHA256Pairs
	sha256Pair  = chooseRow(sha256Pairs, features)
)

const sha256Block = 64

// sha256Initial and sha256Constants are those of FIPS 180-4: the first 32 bits of the fractional parts of the first primes'
// square roots and cube roots. Behind the constants are 16 bytes that reverse the order of bytes in a word.
var (
	sha256Initial   = sha256Roots(8, math.Sqrt)
	sha256Constants = append(sha256Roots(64, math.Cbrt), 0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f)
)

func sha256Roots(n int, root func(float64) float64) []uint32 {
	var out []uint32
next:
	for p := 2; len(out) < n; p++ {
		for d := 2; d*d <= p; d++ {
			if p%d == 0 {
				continue next
			}
		}
		_, fraction := math.Modf(root(float64(p)))
		out = append(out, uint32(fraction*(1<<32)))
	}
	return out
}

// SHA256Pair returns a function that computes the SHA-256 of two messages of one length at once, in less time than one after the
// other, or nil if this CPU has no kernel for it.
func SHA256Pair() func(a, b []byte) (x, y [32]byte) {
	if sha256Pair == nil {
		return nil
	}
	return sha256PairOf(sha256Pair.Fn)
}

func sha256PairOf(f sha256PairFunc) func(a, b []byte) (x, y [32]byte) {
	return func(a, b []byte) (x, y [32]byte) {
		var state [16]uint32
		copy(state[:8], sha256Initial)
		copy(state[8:], sha256Initial)
		k := &sha256Constants[0]
		whole := len(a) / sha256Block
		if b = b[:len(a)]; whole > 0 {
			f(&state[0], unsafe.SliceData(a), unsafe.SliceData(b), whole, k)
		}
		// What is left of each, a bit that is set, and the length in bits at the end of a block.
		var ends [2][2 * sha256Block]byte
		rest := len(a) % sha256Block
		blocks := 1 + (rest+8)/sha256Block
		for i, m := range [2][]byte{a, b} {
			copy(ends[i][:], m[len(m)-rest:])
			ends[i][rest] = 0x80
			binary.BigEndian.PutUint64(ends[i][blocks*sha256Block-8:], 8*uint64(len(m)))
		}
		f(&state[0], &ends[0][0], &ends[1][0], blocks, k)
		for i := range 8 {
			binary.BigEndian.PutUint32(x[4*i:], state[i])
			binary.BigEndian.PutUint32(y[4*i:], state[8+i])
		}
		return x, y
	}
}

// selfTestSHA256 compares with crypto/sha256, with lengths around the edges of blocks.
func selfTestSHA256(tell func(kernel string, err error)) {
	r := rand.New(rand.NewPCG(9, 9))
	for i := range sha256Pairs {
		row := &sha256Pairs[i]
		if row.ISA&^features != 0 {
			continue
		}
		var err error
		for _, n := range []int{0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 4096} {
			a, b := make([]byte, n), make([]byte, n)
			for j := range n {
				a[j], b[j] = byte(r.Uint32()), byte(r.Uint32())
			}
			if x, y := sha256PairOf(row.Fn)(a, b); x != sha256.Sum256(a) || y != sha256.Sum256(b) {
				err = fmt.Errorf("%d bytes: another digest than crypto/sha256's", n)
			}
		}
		tell(row.Name, err)
	}
}
