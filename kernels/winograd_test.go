package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkWinograd compares a layer with the contract, in every form that its range allows, with every instruction set here.
func checkWinograd(t testing.TB, c *ConvI8, x, res []int8, splits ...string) {
	t.Helper()
	want := naiveConv(c, x, res)
	in, inRes := storeGuarded(x), storeGuarded(res)
	proved, err := c.prove()
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range winoFormsOf(&c.Window) {
		if winoReach(c) >= form.limit() {
			continue
		}
		for _, isa := range variants() {
			if k := chooseWinograd(isa, form, c.Out.C); !k.complete() {
				continue
			}
			for _, l2 := range []int{0, 1 << 17, 1 << 12} {
				for _, stored := range []bool{true, false} {
					g, err := newWinoI8(c, isa, l2, form, proved, stored)
					if err != nil {
						t.Fatal(err)
					}
					p := g.prepared()
					for _, split := range splits {
						out := newGuarded(c.Out.Len())
						io := &IO{In: [][]byte{in.body, inRes.body}, Out: [][]byte{out.body}}
						var inner []guarded
						for _, n := range p.Inner {
							inner = append(inner, newGuarded(n))
							io.Inner = append(io.Inner, inner[len(inner)-1].body)
						}
						runStages(t, p, io, split)
						out.check(t)
						for _, b := range inner {
							b.check(t)
						}
						diff(t, fmt.Sprintf("F(%s), %s, %s, L2 %d, stored %v", form.name, p.Kernel, split, l2, stored), loadBytes(out.body), want, c.Out)
					}
				}
			}
		}
	}
	in.check(t)
	inRes.check(t)
}

// line is a window of one row or column with stride 1.
func line(kh, kw int, pad ...int) Window {
	return Window{KH: kh, KW: kw, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Pad: [4]int(pad)}
}

func TestWinograd(t *testing.T) {
	for i, cc := range []convCase{
		{name: "4x4", in: Shape{4, 4, 32}, o: 32, win: win(3, 1, 1, 1)},
		{name: "8x8", in: Shape{8, 8, 64}, o: 64, win: win(3, 1, 1, 1), residual: true},
		{name: "7x7", in: Shape{7, 7, 48}, o: 40, win: win(3, 1, 1, 1), padValue: true},
		{name: "14x14", in: Shape{14, 14, 40}, o: 70, win: win(3, 1, 1, 1), residual: true},
		{name: "odd channels", in: Shape{9, 13, 37}, o: 29, win: win(3, 1, 1, 1), padValue: true},
		{name: "one channel", in: Shape{6, 5, 1}, o: 1, win: win(3, 1, 1, 1)},
		{name: "no padding", in: Shape{11, 10, 16}, o: 33, win: win(3, 1, 1)},
		{name: "uneven padding", in: Shape{5, 6, 20}, o: 17, win: win(3, 1, 1, 3, 0, 2, 5), padValue: true, residual: true},
		{name: "padding only", in: Shape{1, 1, 4}, o: 5, win: win(3, 1, 1, 4), padValue: true},
		{name: "one pixel", in: Shape{3, 3, 70}, o: 90, win: win(3, 1, 1)},
		{name: "a row", in: Shape{1, 30, 8}, o: 12, win: win(3, 1, 1, 1)},
		{name: "extreme", in: Shape{8, 9, 64}, o: 48, win: win(3, 1, 1, 1), extreme: true, padValue: true},
		{name: "many tiles", in: Shape{41, 38, 6}, o: 8, win: win(3, 1, 1, 1)},
		{name: "1x7", in: Shape{17, 17, 48}, o: 40, win: line(1, 7, 0, 3, 0, 3)},
		{name: "7x1", in: Shape{17, 17, 40}, o: 70, win: line(7, 1, 3, 0, 3, 0), residual: true, padValue: true},
		{name: "1x7 short", in: Shape{3, 7, 33}, o: 17, win: line(1, 7, 0, 0, 0, 0)},
		{name: "7x1 padded beside", in: Shape{9, 5, 20}, o: 33, win: line(7, 1, 1, 2, 4, 1), padValue: true, extreme: true},
		{name: "1x7 padding only", in: Shape{1, 1, 5}, o: 3, win: line(1, 7, 1, 6, 0, 6), padValue: true, residual: true},
		{name: "1x7 extreme", in: Shape{6, 30, 64}, o: 48, win: line(1, 7, 0, 3, 0, 3), extreme: true},
		{name: "1x3", in: Shape{8, 8, 48}, o: 36, win: line(1, 3, 0, 1, 0, 1), residual: true},
		{name: "3x1", in: Shape{9, 6, 37}, o: 29, win: line(3, 1, 1, 0, 1, 0), padValue: true, extreme: true},
		{name: "3x1 padded beside", in: Shape{5, 4, 16}, o: 9, win: line(3, 1, 2, 1, 0, 3), padValue: true},
	} {
		t.Run(cc.name, func(t *testing.T) {
			cc.groups = 1
			c, x, res := cc.build(rand.New(rand.NewPCG(uint64(i), 11)))
			checkWinograd(t, c, x, res, "whole", "single", "thirds")
		})
	}
}

// At the edge of the bound 230 channels of 127 are in, 231 are out, and there the method does fail.
func TestWinogradBound(t *testing.T) {
	layer := func(channels int, sign int8) *ConvI8 {
		run := padded4(channels)
		c := &ConvI8{In: Shape{6, 6, channels}, Out: Shape{6, 6, 3}, Window: win(3, 1, 1, 1), Groups: 1, ZeroIn: -128,
			Weights: make([]int8, 3*9*run), Requant: Requant{Mult: []float32{1e-6}, Lo: -128, Hi: 127}}
		for i := range c.Weights {
			if i%run < channels {
				c.Weights[i] = 127 * sign
				if i >= 2*9*run { // mixed signs in the last channel
					c.Weights[i] = [2]int8{127, -127}[i/run%2]
				}
			}
		}
		return c
	}
	for _, sign := range []int8{1, -1} {
		c := layer(230, sign)
		if winoReach(c) >= wino4x4.limit() {
			t.Fatalf("230 channels: reach %d", winoReach(c))
		}
		for _, zero := range []int32{-128, 127} {
			c.ZeroIn = zero
			for _, v := range []int8{-128, 127} {
				x := slices.Repeat([]int8{v}, c.In.Len())
				checkWinograd(t, c, x, x, "whole")
			}
			x := values(rand.New(rand.NewPCG(1, 1)), c.In.Len(), true)
			checkWinograd(t, c, x, x, "whole")
		}

		out := layer(231, sign)
		if reach := winoReach(out); reach < wino4x4.limit() || reach >= wino2x2.limit() {
			t.Fatalf("231 channels: reach %d", reach)
		}
		x := slices.Repeat([]int8{127}, out.In.Len())
		checkWinograd(t, out, x, x, "whole") // by F(2x2)
		proved, _ := out.prove()
		wrong := 0
		for _, v := range []int8{-128, 127} {
			x := slices.Repeat([]int8{v}, out.In.Len())
			g, err := newWinoI8(out, Portable, 0, wino4x4, proved, true)
			if err != nil {
				t.Fatal(err)
			}
			y := newGuarded(out.Out.Len())
			runStages(t, g.prepared(), &IO{In: [][]byte{storeGuarded(x).body}, Out: [][]byte{y.body}}, "whole")
			if !slices.Equal(loadBytes(y.body), naiveConv(out, x, nil)) {
				wrong++
			}
		}
		if wrong == 0 {
			t.Error("beyond the bound nothing goes wrong: is the bound too strict?")
		}
	}
}

// What PrepareConvI8 chooses, and what it says about it.
func TestWinogradChoice(t *testing.T) {
	build := func(cc convCase) *ConvI8 {
		cc.groups = max(cc.groups, 1)
		c, _, _ := cc.build(rand.New(rand.NewPCG(1, 12)))
		return c
	}
	big := convCase{in: Shape{28, 28, 128}, o: 128, win: win(3, 1, 1, 1), safe: true}
	for _, isa := range variants() {
		if isa == AVX512 || len(archWinoInputs) == 0 && isa != Portable {
			continue // its transforms or its product would be portable Go
		}
		p := prepareWinogradI8(build(big), isa, 0)
		if Disabled("winograd") {
			if p != nil {
				t.Error("chosen although it is disabled")
			}
			continue
		}
		if isa&DotProd != 0 { // products of bytes at four times the rate of 16-bit ones: nothing is gained
			if p != nil {
				t.Errorf("%v: chosen, %s", isa, p.Why)
			}
			continue
		}
		if p == nil || !strings.Contains(p.Why, "F(4x4,3x3)") || !strings.HasPrefix(p.Kernel, "s16s16_gemm_") {
			t.Errorf("%v: %+v", isa, p)
		}
	}
	for name, edit := range map[string]func(c *convCase){
		"stride 2":   func(c *convCase) { c.win.StrideH, c.win.StrideW = 2, 2 },
		"dilation 2": func(c *convCase) { c.win.DilationH, c.win.DilationW = 2, 2 },
		"1x2":        func(c *convCase) { c.win.KH, c.win.KW = 1, 2 },
		"groups":     func(c *convCase) { c.groups = 2 },
		"3 channels": func(c *convCase) { c.in.C = 3 },
		"one pixel":  func(c *convCase) { c.in.H, c.in.W, c.win.Pad = 3, 3, [4]int{} },
	} {
		cc := big
		edit(&cc)
		if p := prepareWinogradI8(build(cc), features, 0); p != nil && len(archGEMM16s) > 0 {
			t.Errorf("%s: chosen, %s", name, p.Why)
		}
	}
}

func FuzzWinograd(f *testing.F) {
	f.Add(uint64(3), uint8(16), uint8(16), uint8(30), uint8(40), uint16(0x0303), uint8(8))
	f.Add(uint64(4), uint8(9), uint8(11), uint8(48), uint8(20), uint16(0x3131), uint8(22))
	f.Add(uint64(1), uint8(9), uint8(7), uint8(33), uint8(20), uint16(0x1111), uint8(3|4<<3))
	f.Add(uint64(2), uint8(4), uint8(4), uint8(64), uint8(64), uint16(0), uint8(4|4<<3))
	f.Fuzz(func(t *testing.T, seed uint64, h, w, c, o uint8, pad uint16, flags uint8) {
		cc := convCase{in: Shape{1 + int(h)%20, 1 + int(w)%20, 1 + int(c)%80}, o: 1 + int(o)%70, groups: 1,
			win:      win(3, 1, 1, int(pad&3), int(pad>>4&3), int(pad>>8&3), int(pad>>12&3)),
			residual: flags&1 != 0, padValue: flags&2 != 0, extreme: flags&4 != 0}
		if kind := flags >> 3 & 7; kind < 4 { // 1x7 7x1 1x3 3x1
			cc.win.KH, cc.win.KW = []int{1, 7, 1, 3}[kind], []int{7, 1, 3, 1}[kind]
		}
		if s := cc.win.outSize(cc.in, 1); s.H < 1 || s.W < 1 {
			t.Skip()
		}
		layer, x, res := cc.build(rand.New(rand.NewPCG(seed, 13)))
		checkWinograd(t, layer, x, res, "thirds")
	})
}
