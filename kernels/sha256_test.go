package kernels

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// checkSHA256 hashes messages of one length, of every number up to the kernel's, each with other bytes around it.
func checkSHA256(t testing.TB, row *sha256Row, bytes []byte) {
	for count := 1; count <= row.Lanes; count++ {
		n := len(bytes) / count
		messages, sums := make([][]byte, count), make([][32]byte, count)
		for i := range messages {
			messages[i] = bytes[i*n:][:n:n]
		}
		row.sum(messages, sums)
		for i, m := range messages {
			if sums[i] != sha256.Sum256(m) {
				t.Errorf("%s: message %d of %d, %d bytes: another digest than crypto/sha256's", row.Name, i, count, n)
			}
		}
	}
}

// A pointer behind the last block of a message is one to whatever lies there in memory, perhaps an object that the garbage collector has
// freed: it ends the program when it finds one.
func TestSHA256KeepsNoPointerBehind(t *testing.T) {
	size := 0
	whileCollecting(func() {
		size = size%512 + 64
		for i := range sha256s {
			row := &sha256s[i]
			if row.ISA&^features != 0 {
				continue
			}
			messages, sums := make([][]byte, row.Lanes), make([][32]byte, row.Lanes)
			for k := range messages {
				messages[k] = make([]byte, size)
			}
			row.sum(messages, sums)
		}
	})
}

func TestSHA256(t *testing.T) {
	message := make([]byte, 5000)
	for i := range message {
		message[i] = byte(i * i >> 3)
	}
	for i := range sha256s {
		row := &sha256s[i]
		t.Run(row.Name, func(t *testing.T) {
			runnable(t, row.Name, row.ISA)
			for n := range 300 {
				checkSHA256(t, row, message[:row.Lanes*n])
				checkSHA256(t, row, message[n:])
			}
			long := bytes.Repeat(message, 300) // more than a kernel is given at once
			checkSHA256(t, row, long[:len(long)-7])
		})
	}
}

func FuzzSHA256(f *testing.F) {
	f.Add([]byte("ab"))
	f.Add(make([]byte, 16*119))
	f.Fuzz(func(t *testing.T, message []byte) {
		for i := range sha256s {
			if row := &sha256s[i]; row.ISA&^features == 0 {
				checkSHA256(t, row, message)
			}
		}
	})
}

func BenchmarkSHA256(b *testing.B) {
	a := make([]byte, 1<<20)
	b.Run("crypto", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for b.Loop() {
			sha256.Sum256(a)
		}
	})
	for i := range sha256s {
		row := &sha256s[i]
		if row.ISA&^features != 0 {
			continue
		}
		messages, sums := make([][]byte, row.Lanes), make([][32]byte, row.Lanes)
		for i := range messages {
			messages[i] = a
		}
		b.Run(row.Name, func(b *testing.B) {
			b.SetBytes(int64(row.Lanes) << 20)
			for b.Loop() {
				row.sum(messages, sums)
			}
		})
	}
}
