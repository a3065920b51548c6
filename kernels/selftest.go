package kernels

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"unsafe"
)

// SelfTest runs every kernel that this CPU can run and compares it, bit by bit, with portable Go. report is called for each
// kernel with what is wrong, or nil. The digest is over the portable results: it is the same on every machine.
func SelfTest(report func(kernel string, err error)) (digest string, err error) {
	failed := 0
	tell := func(kernel string, err error) {
		if err != nil {
			failed++
		}
		report(kernel, err)
	}
	h := sha256.New()
	for i := range gemms {
		if g := &gemms[i]; g.ISA&^features == 0 {
			tell(g.Name, selfTestGEMM(g))
		}
	}
	for i := range gemmRequants {
		if g := &gemmRequants[i]; g.ISA&^features == 0 {
			tell(g.Name, selfTestGEMMRequant(g))
		}
	}
	for i := range wideners {
		if w := &wideners[i]; w.ISA&^features == 0 {
			tell(w.Name, selfTestWidener(w))
		}
	}
	for i := range interleavers {
		if w := &interleavers[i]; w.ISA&^features == 0 {
			tell(w.Name, selfTestInterleaver(w))
		}
	}
	for i := range flippers {
		if f := &flippers[i]; f.ISA&^features == 0 {
			tell(f.Name, selfTestFlipper(f))
		}
	}
	selfTestRows(tell)
	selfTestSHA256(tell)
	selfTestPixels(tell)
	selfTestFloat(tell)
	selfTestWinograd(tell)
	for _, p := range Peaks() { // they have no result: that they run is all there is to test
		p.Fn(1)
		tell(p.Name, nil)
	}
	cases := selfTestCases()
	want := make([][]byte, len(cases))
	for i := range cases {
		if want[i], _, err = cases[i].run(Portable); err != nil {
			return "", fmt.Errorf("%s: %w", cases[i].name, err)
		}
		h.Write(want[i])
	}
	// Kernels that work on an accumulator or on a whole layer are reached through layers, one instruction set at a time.
	errs := map[string]error{}
	var order []string
	for _, isa := range selfTestISAs() {
		for i := range cases {
			got, used, err := cases[i].run(isa)
			if err == nil && !bytes.Equal(got, want[i]) {
				err = fmt.Errorf("layer %s differs from portable Go", cases[i].name)
			}
			for _, name := range used {
				if _, seen := errs[name]; !seen {
					order = append(order, name)
				}
				errs[name] = errors.Join(errs[name], err)
			}
		}
	}
	for _, name := range order {
		tell(name, errs[name])
	}
	if failed > 0 {
		return "", fmt.Errorf("%d kernels differ from portable Go", failed)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// selfTestISAs lists what each runnable kernel asks for, once, portable Go first.
func selfTestISAs() []ISA {
	var list []ISA
	for _, k := range Registry() {
		if k.Runnable && !slices.Contains(list, k.ISA) {
			list = append(list, k.ISA)
		}
	}
	slices.Sort(list)
	return list
}

// selfTestGEMM compares a kernel with the definition in GEMM's comment, over depths around its unrolling.
func selfTestGEMM(g *GEMM) error {
	r := rand.New(rand.NewPCG(1, uint64(g.MR)))
	for _, k := range []int{1, 2, 3, 7, 8, 31, 64, 200} {
		k = (k + g.KR - 1) / g.KR * g.KR
		lda := k * g.A.Size()
		a, b := aligned[byte](g.MR*lda), aligned[byte](k*g.NR)
		row := make([]int32, g.MR*k)
		for i := range row {
			v := byte(r.Uint32())
			row[i] = int32(v)
			switch g.A {
			case S8:
				row[i], a[i] = int32(int8(v)), v
			case S16, S16x3:
				*(*uint16)(unsafe.Pointer(&a[2*g.A.index(i/k, i%k, k)])) = uint16(v)
			default:
				a[i] = v
			}
		}
		for i := range b { // [k/KR][NR][KR]; a quarter of the range is pair-safe
			b[i] = byte(int8(r.IntN(128) - 64))
		}
		c := aligned[byte](4 * g.MR * g.NR)
		got := view[int32](c)
		g.Fn(&got[0], &a[0], lda, (*int8)(unsafe.Pointer(&b[0])), k)
		for i := range g.MR {
			for j := range g.NR {
				var sum int32
				for t := range k {
					sum += row[i*k+t] * int32(int8(b[(t/g.KR*g.NR+j)*g.KR+t%g.KR]))
				}
				if got[i*g.NR+j] != sum {
					return fmt.Errorf("depth %d, row %d, column %d: %d, portable Go has %d", k, i, j, got[i*g.NR+j], sum)
				}
			}
		}
	}
	return nil
}

// selfTestGEMMRequant takes zero points and bounds of every kind; multipliers spread results over more than the range.
func selfTestGEMMRequant(g *GEMMRequant) error {
	r := rand.New(rand.NewPCG(8, uint64(g.MR)))
	for _, k := range []int{4, 8, 12, 16, 20, 64, 200} {
		a, b, bias, mult := aligned[byte](g.MR*k), aligned[int8](k*g.NR), aligned[int32](g.NR), aligned[float32](g.NR)
		for i := range a {
			a[i] = byte(r.Uint32())
		}
		for i := range b {
			b[i] = int8(r.Uint32())
		}
		for j := range g.NR {
			bias[j], mult[j] = r.Int32N(1<<20)-1<<19, float32(math.Exp2(r.Float64()*16-20))
		}
		q := Requant{Mult: mult[:g.NR], Zero: r.Int32N(256) - 128, Lo: -r.Int32N(129), Hi: r.Int32N(128)}
		var other *Residual
		requant := requantPortable
		if g.Residual {
			other = &Residual{ZeroA: r.Int32N(256) - 128, ZeroB: r.Int32N(256) - 128, MultA: r.Float32() + 0.01, MultB: r.Float32() + 0.01,
				Zero: r.Int32N(256) - 128, Lo: -r.Int32N(129), Hi: r.Int32N(128)}
			requant = requantAddPortable
		}
		p, _, err := q.prepare(g.NR, other)
		if err != nil {
			return err
		}
		res := aligned[byte](g.MR * g.NR)
		for i := range res {
			res[i] = byte(r.Uint32())
		}
		sums, got, want := make([]int32, g.MR*g.NR), make([]byte, g.MR*g.NR), make([]byte, g.MR*g.NR)
		for i := range sums {
			for t := range k {
				sums[i] += int32(a[i/g.NR*k+t]) * int32(b[g.weight(k, t, i%g.NR)])
			}
		}
		requant(&want[0], g.NR, &sums[0], g.NR, g.MR, g.NR, &bias[0], &mult[0], &res[0], g.NR, p)
		g.Fn(&got[0], g.NR, &a[0], k, &b[0], k, &bias[0], &mult[0], &res[0], g.NR, p)
		for i, v := range want {
			if got[i] != v {
				return fmt.Errorf("depth %d, row %d, column %d: %d, portable Go has %d", k, i/g.NR, i%g.NR, got[i], v)
			}
		}
	}
	return nil
}

func selfTestWidener(w *Widener) error {
	for _, n := range []int{1, 15, 16, 33, 256} {
		src, dst := aligned[byte](n+Slack), aligned[uint16](n+Slack)
		for i := range src {
			src[i] = byte(255 - i)
		}
		w.Fn(&dst[0], &src[0], n)
		for i, v := range dst[:n] {
			if v != uint16(src[i]) {
				return fmt.Errorf("element %d of %d: %d, portable Go has %d", i, n, v, src[i])
			}
		}
	}
	return nil
}

func selfTestInterleaver(w *Interleaver) error {
	const n = 3
	for _, k := range []int{8, 16, 72} {
		lda := k + 5
		src, got, want := aligned[byte](3*n*lda+Slack), aligned[uint16](3*n*k+Slack), aligned[uint16](3*n*k)
		for i := range src {
			src[i] = byte(7 * i)
		}
		w.Fn(&got[0], &src[0], lda, k, n)
		interleavePortable(&want[0], &src[0], lda, k, n)
		if !slices.Equal(got[:3*n*k], want[:3*n*k]) {
			return fmt.Errorf("%d terms: %v, portable Go has %v", k, got[:3*n*k], want[:3*n*k])
		}
	}
	return nil
}

func selfTestFlipper(f *Flipper) error {
	for _, n := range []int{1, 15, 64, 65, 200} {
		src, dst := aligned[byte](n+Slack), aligned[byte](n+Slack)
		for i := range src {
			src[i] = byte(7 * i)
		}
		f.Fn(&dst[0], &src[0], n)
		for i, v := range dst[:n] {
			if v != src[i]^0x80 {
				return fmt.Errorf("element %d of %d: %#x, portable Go has %#x", i, n, v, src[i]^0x80)
			}
		}
	}
	return nil
}

// selfTestCase is a layer with its operands.
type selfTestCase struct {
	name   string
	conv   *ConvI8
	depth  *DepthwiseI8
	wide   *ConvI16 // int16 in and out
	x, res []byte
	out    int
}

// run computes the layer with the kernels of one instruction set and names them.
func (c *selfTestCase) run(isa ISA) (out []byte, used []string, err error) {
	var p *Prepared
	residual := c.res != nil
	switch {
	case c.conv != nil:
		p, err = prepareConvI8(c.conv, isa, 1<<16)
		used = append(used, chooseRequantizer(isa, residual).Name)
	case c.wide != nil:
		if p, err = prepareConvI16(c.wide, isa, 1<<16); err == nil {
			used = append(used, p.Kernel)
		}
	default:
		p, err = prepareDepthwiseI8(c.depth, isa)
	}
	if err != nil {
		return nil, used, err
	}
	if c.depth != nil {
		used = append(used, p.Kernel)
	}
	out = aligned[byte](c.out)
	io := &IO{In: [][]byte{c.x, c.res}, Out: [][]byte{out}}
	for i := range p.Inner {
		io.Inner = append(io.Inner, aligned[byte](p.Inner[i]))
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		s.Run(io, 0, s.Units, aligned[byte](s.Scratch))
	}
	return out, used, nil
}

// selfTestCases are small layers that between them reach every kind of kernel: with and without residual, odd channels,
// padding, strides, dilation, groups.
func selfTestCases() []selfTestCase {
	type geometry struct {
		name     string
		in       Shape
		out      int // 0: depthwise
		groups   int
		win      Window
		residual bool
	}
	var list []selfTestCase
	for i, g := range []geometry{
		{"1x1", Shape{7, 9, 64}, 48, 1, Window{1, 1, 1, 1, 1, 1, [4]int{}}, false},
		{"1x1 odd, residual", Shape{5, 5, 37}, 29, 1, Window{1, 1, 1, 1, 1, 1, [4]int{}}, true},
		{"3x3", Shape{9, 8, 20}, 33, 1, Window{3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}}, false},
		{"3x3 stride 2 of 3 channels", Shape{15, 17, 3}, 16, 1, Window{3, 3, 2, 2, 1, 1, [4]int{0, 0, 1, 1}}, false},
		{"3x3 dilated, groups, residual", Shape{9, 9, 24}, 36, 3, Window{3, 3, 1, 1, 2, 2, [4]int{2, 2, 2, 2}}, true},
		{"depthwise 3x3", Shape{9, 9, 72}, 0, 0, Window{3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}}, false},
		{"depthwise 3x3 stride 2, residual", Shape{11, 12, 45}, 0, 0, Window{3, 3, 2, 2, 1, 1, [4]int{0, 1, 1, 0}}, true},
		{"depthwise 3x3 of whole blocks", Shape{7, 11, 64}, 0, 0, Window{3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}}, false},
		{"depthwise 3x3 stride 2", Shape{10, 11, 130}, 0, 0, Window{3, 3, 2, 2, 1, 1, [4]int{1, 1, 1, 1}}, false},
		{"depthwise 5x5", Shape{8, 7, 100}, 0, 0, Window{5, 5, 1, 1, 1, 1, [4]int{2, 2, 2, 2}}, false},
	} {
		r := rand.New(rand.NewPCG(2, uint64(i)))
		taps, run, o, rows := g.win.KH*g.win.KW, g.in.C, g.in.C, 1
		if g.out > 0 {
			run, o, rows = g.in.C/g.groups, g.out, g.out
		}
		padded := (run + 3) / 4 * 4
		if g.out == 0 {
			rows = taps
		} else {
			rows *= taps
		}
		w := make([]int8, rows*padded)
		for j := range w {
			// Neighbours of at most 64 are pair-safe; every second layer is not.
			if j%padded < run {
				w[j] = int8(r.IntN(129) - 64)
				if i%2 == 1 {
					w[j] = int8(max(r.IntN(256)-128, -127))
				}
			}
		}
		size := func(in, k, stride, dilation, before, after int) int {
			return (in+before+after-dilation*(k-1)-1)/stride + 1
		}
		out := Shape{size(g.in.H, g.win.KH, g.win.StrideH, g.win.DilationH, g.win.Pad[0], g.win.Pad[2]),
			size(g.in.W, g.win.KW, g.win.StrideW, g.win.DilationW, g.win.Pad[1], g.win.Pad[3]), o}
		rq := Requant{Mult: make([]float32, o), Zero: -3, Lo: -120, Hi: 127}
		bias := make([]int32, o)
		for j := range o {
			rq.Mult[j] = float32(r.IntN(1000)+200) / (1 << 21)
			bias[j] = r.Int32N(40000) - 20000
		}
		c := selfTestCase{name: g.name, out: out.Len(), x: aligned[byte](g.in.Len())}
		fill := func(b []byte) {
			for j := range b {
				b[j] = byte(r.Uint32())
			}
		}
		fill(c.x)
		var res *Residual
		if g.residual {
			c.res = aligned[byte](out.Len())
			fill(c.res)
			res = &Residual{ZeroA: -3, ZeroB: 5, MultA: 0.8, MultB: 0.65, Zero: 2, Lo: -128, Hi: 127}
		}
		if g.out > 0 {
			c.conv = &ConvI8{In: g.in, Out: out, Window: g.win, Groups: g.groups, Weights: w, Bias: bias, ZeroIn: 11, Requant: rq, Residual: res}
		} else {
			c.depth = &DepthwiseI8{In: g.in, Out: out, Window: g.win, Weights: w, Bias: bias, ZeroIn: -7, Requant: rq, Residual: res}
		}
		list = append(list, c)
		if g.out > 0 {
			list = append(list, c.widened())
		}
	}
	return list
}

// widened is a convolution's case with its bytes taken for the high bytes of int16 values.
func (c selfTestCase) widened() selfTestCase {
	w := c
	w.name, w.conv, w.out = c.name+", int16", nil, 2*c.out
	wide := func(b []byte) []byte {
		out := aligned[byte](2 * len(b))
		for i, v := range view[int16](out) {
			view[int16](out)[i] = v + int16(b[i]^0x80)<<8 + int16(37*i&255)
		}
		return out
	}
	w.x = wide(c.x)
	w.wide = &ConvI16{X: Int16, Y: Int16, R: Int16, In: c.conv.In, Out: c.conv.Out, Window: c.conv.Window, Groups: c.conv.Groups,
		Weights: c.conv.Weights, Bias: c.conv.Bias, ZeroIn: 1234, Requant: c.conv.Requant}
	w.wide.Requant.Zero, w.wide.Requant.Lo, w.wide.Requant.Hi = -77, -30000, 32767
	if r := c.conv.Residual; r != nil {
		w.res = wide(c.res)
		w.wide.Residual = &Residual{ZeroA: -77, ZeroB: 999, MultA: 0.8, MultB: 0.65, Zero: 2, Lo: -32768, Hi: 32767}
	}
	return w
}
