package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
)

// large has a constant of some megabytes, so that the writer takes a digest of digests.
func large(tb testing.TB) *Model {
	k := newMaker(5, F32, 700, 1001)
	op := Op{Kind: OpAdd, Attr: NewAttr(), Inputs: []int{k.m.Input, k.constant(F32, 1, 700, 1001, 3)}}
	k.head(tb, k.op(tb, op, F32), 5)
	k.m.Exact = k.m.DeriveExact()
	return k.m
}

// treeOf is the digest with the flag tree, straight from the specification.
func treeOf(file []byte) []byte {
	all := bytes.Clone(file[:32])
	for at := 64; at < len(file); at += 1 << 20 {
		sum := sha256.Sum256(file[at:min(at+1<<20, len(file))])
		all = append(all, sum[:]...)
	}
	sum := sha256.Sum256(all)
	return sum[:]
}

func TestTreeDigest(t *testing.T) {
	t.Run("one by one", testTreeDigest)
	defer func() { SumMany, SumLanes = nil, 0 }()
	for _, lanes := range []int{2, 3, 16} {
		var calls atomic.Int32
		SumMany = func(messages [][]byte, sums [][sha256.Size]byte) {
			calls.Add(1)
			if len(messages) > lanes {
				t.Errorf("%d messages at once", len(messages))
			}
			for i, m := range messages {
				sums[i] = sha256.Sum256(m)
			}
		}
		SumLanes = lanes
		t.Run(fmt.Sprintf("%d at once", lanes), testTreeDigest)
		if calls.Load() == 0 {
			t.Error("SumMany was not called")
		}
	}
}

func testTreeDigest(t *testing.T) {
	m := large(t)
	file := encoded(t, m)
	if len(file) < treeFrom || file[offMinor] != 2 || file[offFlags]&2 == 0 {
		t.Fatalf("%d bytes, minor version %d, flags %d", len(file), file[offMinor], file[offFlags])
	}
	if !bytes.Equal(file[offDigest:headerSize], treeOf(file)) {
		t.Error("the digest is another one than the specification's")
	}
	got, info, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Minor != 2 || info.Digest != digestString([32]byte(file[offDigest:headerSize])) {
		t.Errorf("version 1.%d, digest %s", info.Minor, info.Digest)
	}
	if !bytes.Equal(encoded(t, got), file) {
		t.Error("encoding is not deterministic")
	}

	// Damage is found wherever it is: in the header, the first piece, at both sides of a seam, in the last byte; and pieces that
	// changed places are.
	for _, at := range []int{offMinor, offReserved, offDigest, headerSize, headerSize + pieceSize - 1, headerSize + pieceSize, len(file) - 1} {
		file[at] ^= 1
		if _, _, err := Decode(file); !errors.Is(err, ErrDigest) {
			t.Errorf("byte %d: %v", at, err)
		}
		file[at] ^= 1
	}
	swapped := bytes.Clone(file)
	copy(swapped[headerSize+2*pieceSize:], file[headerSize+3*pieceSize:][:pieceSize])
	copy(swapped[headerSize+3*pieceSize:], file[headerSize+2*pieceSize:][:pieceSize])
	if _, _, err := Decode(swapped); !errors.Is(err, ErrDigest) {
		t.Errorf("pieces in another order: %v", err)
	}

	// The version must say so.
	file[offMinor] = 1
	if _, _, err := Decode(fixed(file)); err == nil || errors.Is(err, ErrDigest) {
		t.Errorf("the flag in a file of version 1.1: %v", err)
	}
}

// What other writers, and older ones, may choose: a large file without the flag, a small one with it.
func TestDigestIsFree(t *testing.T) {
	for what, file := range map[string][]byte{"large": encoded(t, large(t)), "small": encoded(t, sample(t, I8))} {
		file[offFlags] ^= flagTree
		binary.LittleEndian.PutUint16(file[offMinor:], uint16(file[offFlags]&flagTree)) // 2 or 0
		if _, _, err := Decode(file); !errors.Is(err, ErrDigest) {
			t.Errorf("%s: the flag without its digest: %v", what, err)
		}
		if _, _, err := Decode(fixed(file)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
