package kernels

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// pairsSafe is the pair rule, pair by pair.
func pairsSafe(w []int8) bool {
	for len(w) > 0 {
		pos, neg := 0, 0
		for _, v := range w[:min(2, len(w))] {
			pos, neg = pos+max(int(v), 0), neg+min(int(v), 0)
		}
		if 255*pos > 32767 || 255*neg < -32768 {
			return false
		}
		w = w[min(2, len(w)):]
	}
	return true
}

// winoReach is the largest range of any output channel's sum, over all inputs of 0..255.
func winoReach(c *ConvI8) int64 {
	var most int64
	n := len(c.Weights) / c.Out.C
	for o := range c.Out.C {
		var sum int64
		for _, w := range c.Weights[o*n:][:n] {
			sum += max(int64(w), -int64(w))
		}
		most = max(most, 255*sum)
	}
	return most
}

func checkScan(t *testing.T, w []int8) {
	t.Helper()
	var pos, neg int64
	for _, v := range w {
		pos, neg = pos+max(int64(v), 0), neg+min(int64(v), 0)
	}
	gotPos, gotNeg, safe, inRange := scanWeights(w)
	if gotPos != pos || gotNeg != neg || safe != pairsSafe(w) || inRange == slices.Contains(w, -128) {
		t.Errorf("%d weights: sums %d and %d, want %d and %d; pair-safe %v, want %v; in range %v",
			len(w), gotPos, gotNeg, pos, neg, safe, pairsSafe(w), inRange)
	}
}

func TestScanWeights(t *testing.T) {
	for _, test := range []struct {
		w    []int8
		safe bool
	}{
		{nil, true}, {[]int8{127, 1}, true}, {[]int8{127, 2}, false}, {[]int8{-127, -1}, true}, {[]int8{-127, -2}, false},
		{[]int8{127, -127}, true}, {[]int8{0, 127, 127, 0}, true}, {[]int8{64, 64, 127}, true}, {[]int8{0, 0, 65, 64}, false},
	} {
		for _, pad := range []int{0, 1, 2, 4, 7, 30} { // at every place of a word
			w := append(make([]int8, 2*pad), test.w...)
			if _, _, safe, _ := scanWeights(w); safe != test.safe {
				t.Errorf("%d: pair-safe %v, want %v", w, safe, test.safe)
			}
			checkScan(t, w)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 80 {
		w := make([]int8, n)
		for i := range w {
			w[i] = int8(r.IntN(256) - 128)
		}
		checkScan(t, w)
		for i := range w {
			w[i] = int8(r.IntN(129) - 64)
		}
		checkScan(t, w)
		if n > 0 {
			w[r.IntN(n)] = -128
			checkScan(t, w)
		}
	}
	for _, n := range []int{8 * 254, 8 * 255, 8*255 + 1, 8 * 256, 5000} { // where sums of 16 bits end
		for _, v := range []int8{127, -127, -128} {
			checkScan(t, slices.Repeat([]int8{v}, n))
		}
	}
}

func TestScanLayout(t *testing.T) {
	var s asm.Scan
	for i, o := range []uintptr{unsafe.Offsetof(s.Pos), unsafe.Offsetof(s.Neg), unsafe.Offsetof(s.Over), unsafe.Offsetof(s.Low)} {
		if o != uintptr(4*i) {
			t.Errorf("field %d is at %d, want %d", i, o, 4*i)
		}
	}
}

// checkScanner compares a scanner with the rules, weight by weight. Weights are large, small, or one apart from the limits.
func checkScanner(t testing.TB, r *rand.Rand, fn scanFunc) {
	b, g := guardedBytes(r, scanBlock*(1+r.IntN(20)))
	w := view[int8](b)
	switch r.IntN(3) {
	case 0:
		for i := range w {
			w[i] = max(w[i]/2, -63)
		}
		w[r.IntN(len(w))] = int8(64 + r.IntN(3))
	case 1:
		clear(w)
		w[r.IntN(len(w))] = int8(r.IntN(3) - 128)
	}
	var want asm.Scan
	for i, v := range w {
		want.Pos, want.Neg = want.Pos+max(int32(v), 0), want.Neg+max(-int32(v), 0)
		if v == -128 {
			want.Low = 1
		}
		if i%2 == 1 && !pairsSafe(w[i-1:i+1]) {
			want.Over = 1
		}
	}
	if got := fn(&w[0], len(w)); got != want {
		t.Errorf("%d weights: %+v, want %+v", len(w), got, want)
	}
	g.check(t)
}

// checkSpreader compares a spreader of groups of kr weights with its definition; the rest of dst must stay as it was.
func checkSpreader(kr int) func(t testing.TB, r *rand.Rand, fn spreadFunc) {
	return func(t testing.TB, r *rand.Rand, fn spreadFunc) {
		groups := spreadGroups * (1 + r.IntN(3))
		lda := kr*groups + r.IntN(70)
		step := spreadColumns*kr + r.IntN(3)*r.IntN(70)
		src, gs := guardedBytes(r, (spreadColumns-1)*lda+kr*groups)
		dst, gd := guardedBytes(r, (groups-1)*step+spreadColumns*kr)
		want := bytes.Clone(dst)
		for j := range spreadColumns {
			for i := range kr * groups {
				want[step*(i/kr)+kr*j+i%kr] = src[lda*j+i]
			}
		}
		fn(&view[int8](dst)[0], step, &view[int8](src)[0], lda, groups)
		if !bytes.Equal(dst, want) {
			t.Errorf("%d groups, %d apart, of columns %d apart differ", groups, step, lda)
		}
		gs.check(t)
		gd.check(t)
	}
}

func TestScanners(t *testing.T) { checkRows(t, scanners, checkScanner) }

func TestSpreaders(t *testing.T) {
	checkRows(t, spreaders4, checkSpreader(4))
	checkRows(t, spreaders2, checkSpreader(2))
}

func TestPackPanel(t *testing.T) {
	for _, kr := range []int{1, 2, 4, 8} {
		for _, k := range []int{1, 3, 63, 64, 65, 128, 130} {
			for _, filled := range []int{1, 5, 8, 17} {
				const nr = 18
				groups := ceilDiv(k, kr)
				const lda = 140
				src, want := make([]int8, filled*lda), make([]int8, groups*nr*kr)
				for j := range filled {
					for i := range k {
						v := int8(7*i + j + 1)
						src[j*lda+i] = v
						want[(i/kr*nr+j)*kr+i%kr] = v
					}
				}
				got := make([]int8, len(want))
				packPanel(got, src, lda, filled, k, nr, kr)
				if !slices.Equal(got, want) {
					t.Error(fmt.Sprintf("kr %d, k %d, %d columns:", kr, k, filled), got, want)
				}
			}
		}
	}
}

func BenchmarkScanWeights(b *testing.B) {
	w := make([]int8, 1<<16)
	b.SetBytes(int64(len(w)))
	for b.Loop() {
		scanWeights(w)
	}
}
