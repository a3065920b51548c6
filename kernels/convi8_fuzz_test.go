package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Every order of terms gives the same, whichever the estimate prefers.
func TestTermOrders(t *testing.T) {
	for i, cc := range convCases {
		c, x, res := cc.build(rand.New(rand.NewPCG(uint64(i), 5)))
		want := naiveConv(c, x, res)
		in, inRes := storeGuarded(x), storeGuarded(res)
		for _, isa := range variants() {
			for _, order := range orderedConvs(t, c, isa) {
				p := order.prepared()
				for _, split := range []string{"whole", "single", "thirds"} {
					out := newGuarded(c.Out.Len())
					runStages(t, p, &IO{In: [][]byte{in.body, inRes.body}, Out: [][]byte{out.body}}, split)
					out.check(t)
					diff(t, fmt.Sprintf("%s, %s, %+v, %s", cc.name, p.Kernel, order.order, split), loadBytes(out.body), want, c.Out)
				}
			}
		}
	}
}

// orderedConvs returns the convolution in every order.
func orderedConvs(t testing.TB, c *ConvI8, isa ISA) (list []*convI8) {
	proved, err := c.prove()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		g, err := newConvI8(c, isa, 1<<13, false)
		if err != nil {
			t.Fatal(err)
		}
		orders := g.orders()
		if i == len(orders) {
			return list
		}
		_, mult, _ := c.Requant.prepare(c.Out.C, c.Residual)
		g.use(orders[i], isa, c.pairSafe(orders[i], proved.pairSafe))
		if err := g.pack(c, proved, mult); err != nil {
			t.Fatal(err)
		}
		g.plan(1 << 13)
		list = append(list, g)
	}
}

// fuzzedConv reads a geometry from bytes.
func fuzzedConv(b []byte, channels int) (cc convCase, ok bool) {
	if len(b) < 15 {
		return cc, false
	}
	at := func(i, n int) int { return int(b[i]) % n }
	cc = convCase{in: Shape{1 + at(0, 12), 1 + at(1, 34), 1 + at(2, channels)}, o: 1 + at(3, 40), groups: 1,
		win: Window{KH: 1 + at(4, 5), KW: 1 + at(5, 5), StrideH: 1 + at(6, 3), StrideW: 1 + at(7, 3), DilationH: 1 + at(8, 2), DilationW: 1 + at(9, 2),
			Pad: [4]int{at(10, 4), at(11, 4), at(12, 4), at(13, 4)}},
		padValue: b[14]&1 != 0, residual: b[14]&2 != 0, safe: b[14]&4 != 0, extreme: b[14]&8 != 0}
	if b[14]&16 != 0 && cc.in.C%2 == 0 && cc.o%2 == 0 {
		cc.groups = 2
	}
	out := cc.win.outSize(cc.in, cc.o)
	return cc, out.H >= 1 && out.W >= 1 && checkWindow(&cc.win, cc.in, out, false) == nil
}

// FuzzConvI8 makes small convolutions of any geometry.
func FuzzConvI8(f *testing.F) {
	f.Add(uint64(1), []byte{7, 7, 3, 5, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 0})
	f.Add(uint64(2), []byte{5, 16, 12, 40, 1, 3, 1, 1, 1, 1, 0, 1, 0, 1, 2})
	f.Fuzz(func(t *testing.T, seed uint64, b []byte) {
		cc, ok := fuzzedConv(b, 20)
		if !ok {
			t.Skip()
		}
		c, x, res := cc.build(rand.New(rand.NewPCG(seed, 9)))
		want := naiveConv(c, x, res)
		in, inRes := storeGuarded(x), storeGuarded(res)
		for _, isa := range variants() {
			for _, order := range orderedConvs(t, c, isa) {
				p, out := order.prepared(), newGuarded(c.Out.Len())
				runStages(t, p, &IO{In: [][]byte{in.body, inRes.body}, Out: [][]byte{out.body}}, "thirds")
				out.check(t)
				diff(t, fmt.Sprintf("%s, %+v", p.Kernel, order.order), loadBytes(out.body), want, c.Out)
			}
		}
	})
}

// FuzzDepthwiseI8 makes small depthwise convolutions of any geometry.
func FuzzDepthwiseI8(f *testing.F) {
	f.Add(uint64(1), []byte{7, 7, 31, 0, 2, 2, 0, 0, 0, 0, 1, 1, 1, 1, 0})
	f.Add(uint64(2), []byte{5, 16, 95, 0, 2, 2, 1, 1, 0, 0, 0, 1, 0, 1, 2})
	f.Fuzz(func(t *testing.T, seed uint64, b []byte) {
		if cc, ok := fuzzedConv(b, 140); ok {
			checkDepthwiseI8(t, &cc, rand.New(rand.NewPCG(seed, 10)))
		}
	})
}
