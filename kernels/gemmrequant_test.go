package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// checkGEMMRequant compares one call with the definition, in guarded memory: rows of outputs and operands some bytes apart.
func checkGEMMRequant(t testing.TB, g *GEMMRequant, r *rand.Rand, k int) {
	t.Helper()
	k = ceilDiv(k, g.KR) * g.KR
	lda, ldd, ldr := k+r.IntN(9), g.NR+r.IntN(9), g.NR+r.IntN(9)
	dst, gd := guardedOf[byte]((g.MR-1)*ldd + g.NR)
	a, ga := guardedOf[byte]((g.MR-1)*lda + k)
	b, gb := guardedOf[int8](k * g.NR)
	bias, gs := guardedOf[int32](g.NR)
	mult, gm := guardedOf[float32](g.NR)
	other, gr := guardedOf[byte]((g.MR-1)*ldr + g.NR)
	for i := range dst {
		dst[i] = 0xA5
	}
	for i := range other {
		other[i] = byte(r.Uint32())
	}
	for i := range a {
		a[i] = byte(r.Uint32())
	}
	for i := range b {
		b[i] = int8(r.Uint32())
	}
	for j := range mult {
		bias[j], mult[j] = int32(r.Uint32())>>r.IntN(31), float32(math.Exp2(r.Float64()*30-32))
		switch r.IntN(20) {
		case 0:
			mult[j] = math.MaxFloat32
		case 1:
			mult[j] = 0x1p-126
		case 2:
			mult[j] = 0.5 // ties
		}
	}
	q := Requant{Mult: mult, Zero: r.Int32N(256) - 128, Lo: -128, Hi: 127}
	if r.IntN(2) == 0 {
		q.Lo, q.Hi = -r.Int32N(128), r.Int32N(128)
	}
	var res *Residual
	if g.Residual {
		res = &Residual{ZeroA: r.Int32N(256) - 128, ZeroB: r.Int32N(256) - 128, MultA: r.Float32() + 0.01, MultB: r.Float32()*3 + 0.01,
			Zero: r.Int32N(256) - 128, Lo: -128, Hi: 127}
		if r.IntN(2) == 0 {
			res.Lo, res.Hi = -r.Int32N(128), r.Int32N(128)
		}
		switch r.IntN(8) {
		case 0:
			res.MultA, res.MultB = 0.5, 0.25 // ties
		case 1:
			res.MultA, res.MultB = maxResidualMult, maxResidualMult
		}
	}
	p, _, err := q.prepare(g.NR, res)
	if err != nil {
		t.Fatal(err)
	}
	g.Fn(&dst[0], ldd, &a[0], lda, &b[0], k, &bias[0], &mult[0], &other[0], ldr, p)
	for i := range g.MR {
		for j := range min(ldd, len(dst)-i*ldd) {
			if j >= g.NR {
				if dst[i*ldd+j] != 0xA5 {
					t.Fatalf("%s, k %d: byte %d behind row %d written", g.Name, k, j-g.NR, i)
				}
				continue
			}
			sum := bias[j]
			for s := range k {
				sum += int32(a[i*lda+s]) * int32(b[g.weight(k, s, j)])
			}
			want := naiveRequant(float32(float32(sum)*mult[j]), q.Zero, q.Lo, q.Hi)
			if res != nil {
				x := float32(float32(want-res.ZeroA) * res.MultA)
				y := float32(float32(int32(other[i*ldr+j])-128-res.ZeroB) * res.MultB)
				want = naiveRequant(float32(x+y), res.Zero, res.Lo, res.Hi)
			}
			if got := int32(dst[i*ldd+j]) - 128; got != want {
				t.Fatalf("%s, k %d: row %d, column %d, sum %d, mult %g: %d, want %d", g.Name, k, i, j, sum, mult[j], got, want)
			}
		}
	}
	for _, g := range []guarded{gd, ga, gb, gs, gm, gr} {
		g.check(t)
	}
}

func TestGEMMRequant(t *testing.T) {
	for i := range gemmRequants {
		g := &gemmRequants[i]
		t.Run(g.Name, func(t *testing.T) {
			op := "gemmrequant"
			if g.Residual {
				op = "gemmrequantadd"
			}
			if stem := fmt.Sprintf("u8s8_%s_%dx%dc%d_", op, g.MR, g.NR, g.KR); !strings.HasPrefix(g.Name, stem) {
				t.Errorf("name does not start with %s", stem)
			}
			runnable(t, g.Name, g.ISA)
			r := rand.New(rand.NewPCG(5, 7))
			for k := g.KR; k <= 100; k += g.KR {
				for range 4 {
					checkGEMMRequant(t, g, r, k)
				}
			}
		})
	}
}

func FuzzGEMMRequant(f *testing.F) {
	f.Add(uint16(7), uint64(1))
	f.Fuzz(func(t *testing.T, k uint16, seed uint64) {
		for i := range gemmRequants {
			if g := &gemmRequants[i]; g.ISA&^features == 0 {
				checkGEMMRequant(t, g, rand.New(rand.NewPCG(seed, 1)), 1+int(k)%600)
			}
		}
	})
}

// A convolution of whole panels and tiles gives the bits that its products and a pass over them give.
func TestConvRoundsInTiles(t *testing.T) {
	if chooseGEMMRequant(chooseGEMM(features, true, 64), 1, false) == nil {
		t.Skip("no such kernel on this CPU")
	}
	for _, cc := range []struct {
		wide bool // two panels at once
		convCase
	}{
		{true, convCase{name: "rows left over", in: Shape{9, 9, 64}, o: 96, win: win(1, 1, 1)}},
		{true, convCase{name: "rows left over, residual", in: Shape{9, 9, 64}, o: 96, win: win(1, 1, 1), residual: true}},
		{false, convCase{name: "one panel, rows left over", in: Shape{9, 9, 64}, o: 32, win: win(1, 1, 1), residual: true}},
		{true, convCase{name: "columns left over", in: Shape{14, 14, 36}, o: 70, win: win(3, 1, 1, 1)}},
		{true, convCase{name: "columns left over, residual", in: Shape{14, 14, 36}, o: 70, win: win(3, 1, 1, 1), residual: true}},
		{false, convCase{name: "slab", in: Shape{32, 34, 3}, o: 32, win: win(3, 2, 1, 1)}},
		{true, convCase{name: "wide slab", in: Shape{34, 34, 3}, o: 64, win: win(3, 2, 1, 1)}},
		{false, convCase{name: "groups", in: Shape{9, 15, 64}, o: 64, groups: 2, win: win(3, 1, 1, 1)}},
	} {
		cc.groups = max(cc.groups, 1)
		c, x, res := cc.build(rand.New(rand.NewPCG(3, 3)))
		var outs [2][]byte
		used := 0
		for i := range outs {
			g, err := newConvI8(c, features, cacheL2(), false)
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				g.rounds, g.wide = nil, nil
			} else if g.rounds != nil && (g.wide != nil) == cc.wide {
				used++
			}
			outs[i] = opRun(t, g.prepared(), [][]byte{stored(x), stored(res)}, c.Out.Len())[0]
		}
		if used == 0 {
			t.Errorf("%s: not used", cc.name)
		}
		if string(outs[0]) != string(outs[1]) {
			t.Errorf("%s: other bits", cc.name)
		}
	}
}
