package format

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"sync"
	"sync/atomic"
)

// SHA-256 is a chain: one processor computes it, while others wait. So a large file has a digest of digests (flag tree), which
// all processors compute together.
const (
	pieceSize = 1 << 20
	treeFrom  = 8 << 20 // bytes of a file from which the writer sets the flag
)

// SumMany writes the SHA-256 of up to SumLanes messages of one length to sums, in less time than one after the other takes. Package
// runtime sets it, before any file is opened, where there is a kernel for the CPU; otherwise it is nil.
var (
	SumMany  func(messages [][]byte, sums [][sha256.Size]byte)
	SumLanes int
)

func digestString(sum [sha256.Size]byte) string { return "sha256:" + hex.EncodeToString(sum[:]) }

// pieces is how many digests a tree has.
func pieces(size uint64) int { return int((size - headerSize + pieceSize - 1) / pieceSize) }

// hasher computes the digest of a file in memory. Any number of goroutines may call work.
type hasher struct {
	file []byte
	tree bool
	next atomic.Int64
	left sync.WaitGroup
	sums [][sha256.Size]byte // of a tree's pieces, or of the whole file
}

func newHasher(file []byte) *hasher {
	h := &hasher{file: file}
	switch {
	case len(file) < headerSize:
	case binary.LittleEndian.Uint32(file[offFlags:])&flagTree != 0:
		h.tree = true
		h.sums = make([][sha256.Size]byte, pieces(uint64(len(file))))
	default:
		h.sums = make([][sha256.Size]byte, 1)
	}
	h.left.Add(len(h.sums))
	return h
}

// work hashes until there is nothing left to begin with.
func (h *hasher) work() {
	step := 1
	if h.tree && SumMany != nil {
		step = SumLanes
	}
	var many [][]byte
	for {
		i := int(h.next.Add(int64(step))) - step
		if i >= len(h.sums) {
			return
		}
		n := min(step, len(h.sums)-i)
		if !h.tree {
			h.sums[i] = plainDigest(h.file)
			h.left.Done()
			continue
		}
		many = many[:0]
		for j := i; j < i+n && len(h.piece(j)) == pieceSize; j++ { // the last may be shorter
			many = append(many, h.piece(j))
		}
		if len(many) <= max(1, SumLanes/8) { // so few take no longer one by one
			many = many[:0]
		} else {
			SumMany(many, h.sums[i:])
		}
		for j := i + len(many); j < i+n; j++ {
			h.sums[j] = sha256.Sum256(h.piece(j))
		}
		h.left.Add(-n)
	}
}

// piece is the part of a tree's file that has digest i.
func (h *hasher) piece(i int) []byte {
	b := h.file[headerSize+i*pieceSize:]
	return b[:min(len(b), pieceSize)]
}

// background begins with the work, on other processors if there are any.
func (h *hasher) background() {
	for range min(len(h.sums), max(runtime.GOMAXPROCS(0)-1, 1)) {
		go h.work()
	}
}

// sum does what work is left and returns the digest.
func (h *hasher) sum() [sha256.Size]byte {
	h.work()
	h.left.Wait()
	switch {
	case h.tree:
		return rootDigest(h.file[:offDigest], h.sums)
	case len(h.sums) == 1:
		return h.sums[0]
	}
	return [sha256.Size]byte{}
}

// digestOf is the digest of a whole file.
func digestOf(file []byte) [sha256.Size]byte {
	h := newHasher(file)
	h.background()
	return h.sum()
}

// plainDigest is the digest of a file without the flag tree: of all of it, the digest's own field taken as zero.
func plainDigest(file []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(file[:offDigest])
	h.Write(make([]byte, sha256.Size))
	// A part at a time: the garbage collector cannot stop a goroutine inside of a Write, and all others wait meanwhile.
	for b := file[headerSize:]; len(b) > 0; {
		n := min(len(b), pieceSize/16)
		h.Write(b[:n])
		b = b[n:]
	}
	h.Sum(sum[:0])
	return sum
}

// rootDigest is the digest of a file with the flag tree.
func rootDigest(head []byte, sums [][sha256.Size]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(head)
	for i := range sums {
		h.Write(sums[i][:])
	}
	h.Sum(sum[:0])
	return sum
}

// digestOfParts is the digest of a file in parts, of which the first holds its header.
func digestOfParts(parts [][]byte) [sha256.Size]byte {
	head := parts[0][:offDigest]
	tree := binary.LittleEndian.Uint32(head[offFlags:])&flagTree != 0
	var sums [][sha256.Size]byte
	h, room := sha256.New(), pieceSize
	if !tree {
		h.Write(parts[0][:headerSize]) // the digest's field is still zero
	}
	for i, p := range parts {
		if i == 0 {
			p = p[headerSize:]
		}
		for tree && len(p) >= room {
			h.Write(p[:room])
			sums = append(sums, [sha256.Size]byte(h.Sum(nil)))
			h.Reset()
			p, room = p[room:], pieceSize
		}
		h.Write(p)
		room -= len(p)
	}
	if !tree {
		return [sha256.Size]byte(h.Sum(nil))
	}
	if room < pieceSize {
		sums = append(sums, [sha256.Size]byte(h.Sum(nil)))
	}
	return rootDigest(head, sums)
}
