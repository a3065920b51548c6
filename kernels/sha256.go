package kernels

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"unsafe"
)

// sha256Func is SHA-256's compression of blocks of 64 bytes of some messages, those of message i from p[i], with the chaining values
// in state. k is sha256Constants. blocks is at least 1.
type sha256Func = func(state *uint32, p **byte, blocks int, k *uint32)

// sha256Row is the record of a compression of Lanes messages at once. state is [Lanes][8], or with ByWord [8][Lanes].
type sha256Row struct {
	Row[sha256Func]
	Lanes  int
	ByWord bool
}

const maxSHA256Lanes = 16

// There is no portable row: crypto/sha256 is that.
var sha256s = archSHA256s

func chooseSHA256(available ISA) *sha256Row {
	var best *sha256Row
	for i := range sha256s {
		if r := &sha256s[i]; r.ISA&^available == 0 && (best == nil || r.Rate > best.Rate) {
			best = r
		}
	}
	return best
}

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

// SHA256Many returns a function that writes the SHA-256 of messages of one length to sums, and how many it takes at once, in less time
// than one after the other. Without a kernel for that on this CPU it returns nil.
func SHA256Many() (sum func(messages [][]byte, sums [][32]byte), lanes int) {
	row := chooseSHA256(features)
	if row == nil {
		return nil, 0
	}
	return row.sum, row.Lanes
}

// sum hashes up to Lanes messages. Lanes without one hash the first.
func (r *sha256Row) sum(messages [][]byte, sums [][32]byte) {
	var state [maxSHA256Lanes * 8]uint32
	word := func(lane, i int) *uint32 {
		if r.ByWord {
			return &state[r.Lanes*i+lane]
		}
		return &state[8*lane+i]
	}
	n := len(messages[0])
	var from [maxSHA256Lanes]*byte
	// What is left of each, a bit that is set, and the length in bits at the end of a block.
	var ends [maxSHA256Lanes][2 * sha256Block]byte
	rest := n % sha256Block
	last := 1 + (rest+8)/sha256Block
	for lane := range r.Lanes {
		m := messages[0]
		if lane < len(messages) {
			m = messages[lane][:n]
		}
		for i, v := range sha256Initial {
			*word(lane, i) = v
		}
		from[lane] = unsafe.SliceData(m)
		copy(ends[lane][:], m[n-rest:])
		ends[lane][rest] = 0x80
		binary.BigEndian.PutUint64(ends[lane][last*sha256Block-8:], 8*uint64(n))
	}
	// A part at a time: the garbage collector cannot stop a goroutine inside of a kernel, and all others wait meanwhile.
	for blocks := n / sha256Block; blocks > 0; {
		part := min(blocks, 16<<10/r.Lanes)
		r.Fn(&state[0], &from[0], part, &sha256Constants[0])
		if blocks -= part; blocks == 0 {
			break // no pointer behind a message: something else lies there
		}
		for lane := range r.Lanes {
			from[lane] = (*byte)(unsafe.Add(unsafe.Pointer(from[lane]), part*sha256Block))
		}
	}
	for lane := range from {
		from[lane] = &ends[lane][0]
	}
	r.Fn(&state[0], &from[0], last, &sha256Constants[0])
	for lane := range messages {
		for i := range 8 {
			binary.BigEndian.PutUint32(sums[lane][4*i:], *word(lane, i))
		}
	}
}

// selfTestSHA256 compares with crypto/sha256, with lengths around the edges of blocks.
func selfTestSHA256(tell func(kernel string, err error)) {
	r := rand.New(rand.NewPCG(9, 9))
	for i := range sha256s {
		row := &sha256s[i]
		if row.ISA&^features != 0 {
			continue
		}
		var err error
		for _, n := range []int{0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 4096} {
			messages, sums := make([][]byte, row.Lanes), make([][32]byte, row.Lanes)
			for i := range messages {
				messages[i] = make([]byte, n)
				for j := range n {
					messages[i][j] = byte(r.Uint32())
				}
			}
			row.sum(messages, sums)
			for i, m := range messages {
				if sums[i] != sha256.Sum256(m) {
					err = fmt.Errorf("%d bytes: another digest than crypto/sha256's", n)
				}
			}
		}
		tell(row.Name, err)
	}
}
