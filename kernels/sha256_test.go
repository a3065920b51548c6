package kernels

import (
	"crypto/sha256"
	"testing"
)

func checkSHA256Pair(t testing.TB, f sha256PairFunc, message []byte) {
	// Two messages of one length, each at its own place in memory, with other bytes around them.
	n := len(message) / 2
	for _, shift := range []int{0, 1} {
		buf := append(make([]byte, shift), message...)
		a, b := buf[shift:][:n:n], buf[shift+n:][:n:n]
		if x, y := sha256PairOf(f)(a, b); x != sha256.Sum256(a) || y != sha256.Sum256(b) {
			t.Errorf("%d bytes, shifted by %d: another digest than crypto/sha256's", n, shift)
		}
	}
}

func TestSHA256Pair(t *testing.T) {
	message := make([]byte, 2*1100)
	for i := range message {
		message[i] = byte(i * i >> 3)
	}
	for i := range sha256Pairs {
		if row := &sha256Pairs[i]; row.ISA&^features == 0 {
			for n := range 300 {
				checkSHA256Pair(t, row.Fn, message[:2*n])
			}
			checkSHA256Pair(t, row.Fn, message)
			if n := testing.AllocsPerRun(10, func() { sha256PairOf(row.Fn) }); n > 1 {
				t.Errorf("%s: %g allocations", row.Name, n)
			}
		} else {
			t.Logf("%s: not on this CPU", row.Name)
		}
	}
}

func FuzzSHA256Pair(f *testing.F) {
	f.Add([]byte("ab"))
	f.Add(make([]byte, 2*119))
	f.Fuzz(func(t *testing.T, message []byte) {
		for i := range sha256Pairs {
			if row := &sha256Pairs[i]; row.ISA&^features == 0 {
				checkSHA256Pair(t, row.Fn, message)
			}
		}
	})
}

func BenchmarkSHA256Pair(b *testing.B) {
	a := make([]byte, 1<<20)
	b.Run("crypto", func(b *testing.B) {
		b.SetBytes(2 << 20)
		for b.Loop() {
			sha256.Sum256(a)
			sha256.Sum256(a)
		}
	})
	if f := SHA256Pair(); f != nil {
		b.Run("pair", func(b *testing.B) {
			b.SetBytes(2 << 20)
			for b.Loop() {
				f(a, a)
			}
		})
	}
}
