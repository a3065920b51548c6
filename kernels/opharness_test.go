package kernels

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// An opBuffer is aligned, and surrounded by bytes that nobody may write: Slack behind it may be read.
type opBuffer struct {
	all  []byte
	data []byte
	junk byte
}

func newOpBuffer(n int, junk byte) *opBuffer {
	const front = 64
	raw := make([]byte, front+n+Slack+64)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(raw))) & 63)
	g := &opBuffer{all: raw[skip:][:front+n+Slack], junk: junk}
	fill(g.all, junk)
	g.data = g.all[front:][:n]
	return g
}

func (g *opBuffer) intact() bool {
	outside := append(bytes.Clone(g.all[:64]), g.all[64+len(g.data):]...)
	return bytes.Count(outside, []byte{g.junk}) == len(outside)
}

// opRun runs p on in with different splits into units, in buffers that hold different junk, and returns the outputs, of the
// given sizes in bytes. They must be the same for every split; nothing else may be written, nor memory allocated.
func opRun(t testing.TB, p *Prepared, in [][]byte, outSizes ...int) [][]byte {
	t.Helper()
	var first [][]byte
	for split := range 3 {
		junk := byte(0x5A + 0x33*split)
		var watched []*opBuffer
		take := func(n int) []byte {
			g := newOpBuffer(n, junk)
			watched = append(watched, g)
			return g.data
		}
		io := &IO{}
		for _, b := range in {
			buf := take(len(b))
			copy(buf, b)
			io.In = append(io.In, buf)
		}
		for _, n := range outSizes {
			io.Out = append(io.Out, take(n))
		}
		for _, n := range p.Inner {
			io.Inner = append(io.Inner, take(n))
		}
		for i := range p.Stages {
			runStage(&p.Stages[i], io, split, take)
		}
		for _, g := range watched {
			if !g.intact() {
				t.Fatalf("split %d: written outside a buffer of %d bytes", split, len(g.data))
			}
		}
		for i, b := range in {
			if !bytes.Equal(io.In[i], b) {
				t.Fatalf("split %d: input %d was changed", split, i)
			}
		}
		if first == nil {
			first = io.Out
			scratch := make([][]byte, len(p.Stages))
			for i, s := range p.Stages {
				scratch[i] = newOpBuffer(s.Scratch, junk).data
			}
			run := func() {
				for i := range p.Stages {
					p.Stages[i].Run(io, 0, p.Stages[i].Units, scratch[i])
				}
			}
			// The count is the process's: Go's own goroutines may add one now and then, an operator of ours every time.
			n := testing.AllocsPerRun(1, run)
			for again := 0; n != 0 && again < 3; again++ {
				n = testing.AllocsPerRun(1, run)
			}
			if n != 0 {
				t.Fatalf("%v allocations", n)
			}
			continue
		}
		for i := range first {
			if !bytes.Equal(io.Out[i], first[i]) {
				t.Fatalf("split %d gives another output %d", split, i)
			}
		}
	}
	return first
}

// whileCollecting calls work again and again while the garbage collector runs, which ends the program when it finds a pointer into
// free memory.
func whileCollecting(work func()) {
	done := make(chan bool)
	go func() {
		defer close(done)
		for range 100 {
			runtime.GC()
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
			work()
			runtime.Gosched() // WebAssembly has one thread, and nobody to interrupt it
		}
	}
}

// runStage runs a stage whole, in single units from the last, or with three goroutines.
func runStage(s *Stage, io *IO, split int, take func(int) []byte) {
	switch split {
	case 0:
		s.Run(io, 0, s.Units, take(s.Scratch))
	case 1:
		tmp := take(s.Scratch)
		for u := s.Units - 1; u >= 0; u-- {
			s.Run(io, u, u+1, tmp)
		}
	case 2:
		var wg sync.WaitGroup
		for k := range 3 {
			tmp := take(s.Scratch)
			wg.Go(func() { s.Run(io, s.Units*k/3, s.Units*(k+1)/3, tmp) })
		}
		wg.Wait()
	}
}

// Values of the contract's domain, as stored.
func stored(q []int8) []byte {
	b := make([]byte, len(q))
	for i, v := range q {
		b[i] = byte(int(v) + 128)
	}
	return b
}

func bytesOf[T any](v []T) []byte {
	var t T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(t)))
}

// randQ returns n values: uniform, or all at one end, or at either end.
func randQ(r *rand.Rand, n int) []int8 {
	q := make([]int8, n)
	mode := r.IntN(6)
	for i := range q {
		switch mode {
		case 0:
			q[i] = -128
		case 1:
			q[i] = 127
		case 2:
			q[i] = []int8{-128, 127}[r.IntN(2)]
		default:
			q[i] = int8(r.IntN(256) - 128)
		}
	}
	return q
}

// randW returns o runs of n weights, padded to a multiple of four with zeros.
func randW(r *rand.Rand, o, n int) []int8 {
	w := make([]int8, o*padded4(n))
	for i := range o {
		for j := range n {
			w[i*padded4(n)+j] = int8(r.IntN(255) - 127)
		}
	}
	return w
}

func randZero(r *rand.Rand) int32 { return []int32{-128, 127, 0, int32(r.IntN(256) - 128)}[r.IntN(4)] }

func randBounds(r *rand.Rand) (lo, hi int32) {
	if r.IntN(2) == 0 {
		return -128, 127
	}
	a, b := int32(r.IntN(256)-128), int32(r.IntN(256)-128)
	return min(a, b), max(a, b)
}

// The contract's arithmetic in arbitrary precision: 24 bits, to nearest even, is what float32 holds.

func bigFloat32(v int64) *big.Float { return new(big.Float).SetPrec(24).SetInt64(v) }

func bigMul(v int64, m float32) *big.Float {
	return new(big.Float).SetPrec(24).Mul(bigFloat32(v), new(big.Float).SetFloat64(float64(m)))
}

// bigRound returns zero + rne(clamp(f, lo-zero, hi-zero)).
func bigRound(f *big.Float, zero, lo, hi int32) int8 { return int8(bigRound32(f, zero, lo, hi)) }

// bigRound32 is bigRound for results that may be int16.
func bigRound32(f *big.Float, zero, lo, hi int32) int32 {
	l, h := int64(lo-zero), int64(hi-zero)
	if f.Cmp(new(big.Float).SetInt64(l)) <= 0 {
		return lo
	}
	if f.Cmp(new(big.Float).SetInt64(h)) >= 0 {
		return hi
	}
	exact, _ := f.Rat(nil)
	twice := new(big.Int).Lsh(exact.Denom(), 1)
	n, rest := new(big.Int).DivMod(new(big.Int).Add(new(big.Int).Lsh(exact.Num(), 1), exact.Denom()), twice, new(big.Int))
	if rest.Sign() == 0 && n.Bit(0) == 1 {
		n.Sub(n, big.NewInt(1))
	}
	return int32(int64(zero) + n.Int64())
}

func bigRequant(acc int64, m float32, zero, lo, hi int32) int8 {
	return bigRound(bigMul(acc, m), zero, lo, hi)
}

func wantBytes(t testing.TB, got []byte, want []int8) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i, q := range want {
		if g := int(got[i]) - 128; g != int(q) {
			t.Fatalf("element %d is %d, want %d", i, g, q)
		}
	}
}

// mustPrepare fails the test on an error.
func mustPrepare(t testing.TB) func(p *Prepared, err error) *Prepared {
	return func(p *Prepared, err error) *Prepared {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v: want one that says %q", err, text)
	}
}
