package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// runnable skips a kernel that this CPU does not have, or fails if RFGA_REQUIRE_ISA promises that it has.
func runnable(t *testing.T, name string, isa ISA) {
	t.Helper()
	if isa&^features != 0 {
		t.Skipf("%s needs %v, here is %v", name, isa, features)
	}
}

func TestRequiredISA(t *testing.T) {
	want, err := ParseISA(os.Getenv("RFGA_REQUIRE_ISA"))
	if err != nil {
		t.Fatalf("RFGA_REQUIRE_ISA: %v", err)
	}
	if missing := want &^ features; missing != 0 {
		t.Errorf("RFGA_REQUIRE_ISA: %v is missing, here is %v", missing, features)
	}
}

// The names say what the fields say, and families are complete.
func TestRegistryNames(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Registry() {
		if seen[k.Name] {
			t.Errorf("%s is registered twice", k.Name)
		}
		seen[k.Name] = true
		if !strings.HasSuffix(k.Name, "_"+strings.ReplaceAll(k.ISA.String(), ".", "")) {
			t.Errorf("%s: name does not end with its instruction set, %s", k.Name, k.ISA)
		}
	}
	forms := map[Operand]string{U8: "u8", S8: "s8", S16: "s16", S16x3: "s16x3"}
	for i := range gemms {
		g := &gemms[i]
		stem := fmt.Sprintf("%ss8_gemm_%dx%dc%d_", forms[g.A], g.MR, g.NR, g.KR)
		if !strings.HasPrefix(g.Name, stem) {
			t.Errorf("%s: name does not start with %s", g.Name, stem)
		}
		if family := gemmFamily(g); family[len(family)-1].MR != g.A.Rows() {
			t.Errorf("%s: its family has no kernel of %d rows", g.Name, g.A.Rows())
		}
	}
	for i := range depthwises {
		if d := &depthwises[i]; d.Order != nil {
			for ch := range d.CR {
				orderInverse(d.Order, ch) // panics if it is not a permutation
			}
		}
	}
}

var textSymbol = regexp.MustCompile(`(?m)^TEXT ·(\w+)\(SB\)`)

// Every TEXT symbol has a record, and every record of this architecture's assembly a symbol.
func TestSymbolsAreRegistered(t *testing.T) {
	if len(archGEMMs) == 0 {
		t.Skip("no assembly in this build")
	}
	files, err := filepath.Glob("../asm/*_" + runtime.GOARCH + ".s")
	if err != nil || len(files) == 0 {
		t.Skipf("no assembly source here (%v)", err)
	}
	symbols := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range textSymbol.FindAllStringSubmatch(string(text), -1) {
			symbols[strings.ToLower(m[1])] = true
		}
	}
	for _, k := range Registry() {
		if k.ISA != Portable && !symbols[strings.ReplaceAll(k.Name, "_", "")] {
			t.Errorf("%s has no symbol", k.Name)
		}
		delete(symbols, strings.ReplaceAll(k.Name, "_", ""))
	}
	for s := range symbols {
		t.Errorf("symbol %s has no record", s)
	}
}

var requires = regexp.MustCompile(`// Requires: (.*)\nTEXT ·(\w+)\(SB\)`)

// What a function's instructions require, as the generator lists it, is within what guards its record.
func TestInstructionsFitGuard(t *testing.T) {
	files, _ := filepath.Glob("../asm/*_amd64.s")
	if len(archGEMMs) == 0 || runtime.GOARCH != "amd64" || len(files) == 0 {
		t.Skip("no amd64 assembly in this build")
	}
	provides := map[string]ISA{"SSE": 0, "MMX+": 0, "SSE2": 0, "SSSE3": SSE41, "SSE4.1": SSE41, "AVXVNNI": AVXVNNI, "AVX": AVX2, "AVX2": AVX2, "FMA3": FMA, "F16C": F16C, "SHA": SHA,
		"AVX512F": AVX512, "AVX512BW": AVX512, "AVX512DQ": AVX512, "AVX512VL": AVX512, "AVX512VNNI": AVX512VNNI}
	guards := map[string]ISA{}
	for _, k := range Registry() {
		guards[strings.ReplaceAll(k.Name, "_", "")] = closure(k.ISA)
	}
	checked := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range requires.FindAllStringSubmatch(string(text), -1) {
			checked++
			for ext := range strings.SplitSeq(m[1], ", ") {
				need, known := provides[ext]
				if guard := guards[strings.ToLower(m[2])]; !known || need&^guard != 0 {
					t.Errorf("%s needs %s, its guard is %v", m[2], ext, guard)
				}
			}
		}
		if n := len(textSymbol.FindAllString(string(text), -1)); n != len(requires.FindAllString(string(text), -1)) {
			t.Errorf("%s: a function does not say what it requires", f)
		}
	}
	if checked == 0 {
		t.Error("no function was checked")
	}
}

// The offsets are written into the assembly.
func TestRequantLayout(t *testing.T) {
	var p asm.Requant
	got := []uintptr{unsafe.Offsetof(p.Lo), unsafe.Offsetof(p.Hi), unsafe.Offsetof(p.Zero), unsafe.Offsetof(p.AOff), unsafe.Offsetof(p.AMult),
		unsafe.Offsetof(p.BZero), unsafe.Offsetof(p.BMult), unsafe.Offsetof(p.RLo), unsafe.Offsetof(p.RHi), unsafe.Offsetof(p.RZero)}
	for i, o := range got {
		if o != uintptr(4*i) {
			t.Errorf("field %d is at %d, want %d", i, o, 4*i)
		}
	}
}

// guardedOf is a guarded buffer seen as elements.
func guardedOf[T any](n int) ([]T, guarded) {
	var e T
	g := newGuarded(n * int(unsafe.Sizeof(e)))
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(g.body))), n), g
}

// checkGEMM compares one call of a kernel with the sum written out. fill gives activations (stored bytes) and weights.
func checkGEMM(t testing.TB, g *GEMM, k int, fill func() (byte, int8)) {
	t.Helper()
	kPad := ceilDiv(k, g.KR) * g.KR
	size := g.A.Size()
	lda := kPad*size + 6
	last := g.A.index(g.MR-1, k-1, lda/size) * size
	a, ga := guardedOf[byte](last + size) // the last term ends the buffer: what is behind it does not matter
	b, gb := guardedOf[int8](kPad * g.NR)
	c, gc := guardedOf[int32](g.MR * g.NR)
	clear(b)
	us, ws := make([]byte, g.MR*k), make([]int8, k*g.NR)
	for i := range us {
		us[i], _ = fill()
	}
	for i := range ws {
		_, ws[i] = fill()
	}
	for i := range g.MR {
		for j, u := range us[i*k:][:k] {
			switch g.A {
			case U8:
				a[i*lda+j] = u
			case S8:
				a[i*lda+j] = u ^ 0x80
			case S16, S16x3:
				at := 2 * g.A.index(i, j, lda/2)
				a[at], a[at+1] = u, 0
			}
		}
	}
	for i := range k {
		for j := range g.NR {
			b[(i/g.KR*g.NR+j)*g.KR+i%g.KR] = ws[i*g.NR+j]
		}
	}
	if g.PairSafe { // make it so: halve what breaks the rule
		for p := 0; p+1 < len(b); p += 2 {
			for !pairsSafe(b[p : p+2]) {
				b[p], b[p+1] = b[p]/2, b[p+1]/2
			}
		}
		for i := range k {
			for j := range g.NR {
				ws[i*g.NR+j] = b[(i/g.KR*g.NR+j)*g.KR+i%g.KR]
			}
		}
	}
	g.Fn(&c[0], &a[0], lda, &b[0], kPad)
	for i := range g.MR {
		for j := range g.NR {
			var want int32
			for x := range k {
				want += (int32(us[i*k+x]) - 128 + g.A.Bias()) * int32(ws[x*g.NR+j])
			}
			if c[i*g.NR+j] != want {
				t.Fatalf("%s, k %d: c[%d][%d] = %d, want %d", g.Name, k, i, j, c[i*g.NR+j], want)
			}
		}
	}
	ga.check(t)
	gb.check(t)
	gc.check(t)
}

func TestGEMM(t *testing.T) {
	for i := range gemms {
		g := &gemms[i]
		t.Run(g.Name, func(t *testing.T) {
			runnable(t, g.Name, g.ISA)
			r := rand.New(rand.NewPCG(1, 2))
			random := func() (byte, int8) { return byte(r.Uint32()), int8(max(int(r.Uint32N(256))-128, -127)) }
			extreme := func() (byte, int8) { return byte(r.IntN(2) * 255), int8(r.IntN(2)*254 - 127) }
			most := func() (byte, int8) { return 255, -127 }
			for k := 1; k <= 5*max(g.KR, 4)+3; k++ {
				checkGEMM(t, g, k, random)
				checkGEMM(t, g, k, extreme)
			}
			checkGEMM(t, g, 2048, most)
			checkGEMM(t, g, 1001, random)
		})
	}
}

func FuzzGEMM(f *testing.F) {
	f.Add(uint8(0), uint16(7), []byte{0, 255, 127, 128})
	f.Fuzz(func(t *testing.T, kernel uint8, k uint16, data []byte) {
		g := &gemms[int(kernel)%len(gemms)]
		if g.ISA&^features != 0 || len(data) == 0 {
			t.Skip()
		}
		i := 0
		checkGEMM(t, g, 1+int(k)%300, func() (byte, int8) {
			i += 3
			return data[i%len(data)], max(int8(data[(i+1)%len(data)]), -127)
		})
	})
}

func TestGEMMFamilies(t *testing.T) {
	for _, test := range []struct {
		available ISA
		safe      bool
		want      string
	}{
		{Portable, true, "u8s8_gemm_2x4c1_portable"},
		{closure(AVX2), true, "u8s8_gemm_6x16c4_avx2"},
		{closure(AVX2), false, "s16s8_gemm_6x16c2_avx2"},
		{closure(AVX512), true, "u8s8_gemm_6x16c4_avx2"},
		{closure(AVX512VNNI), false, "u8s8_gemm_14x32c4_avx512vnni"},
	} {
		if test.available != Portable && len(archGEMMs) == 0 || runtime.GOARCH != "amd64" {
			continue
		}
		if got := chooseGEMM(test.available, test.safe, 64)[0].Name; got != test.want {
			t.Errorf("%v, pair-safe %v: %s, want %s", test.available, test.safe, got, test.want)
		}
	}
}

// checkRequantizer compares a kernel with the definition in naiveRequant.
func checkRequantizer(t testing.TB, q *Requantizer, r *rand.Rand, rows, n int, req *Requant, res *Residual) {
	t.Helper()
	req.Mult = make([]float32, n)
	for i := range req.Mult {
		req.Mult[i] = float32(math.Exp2(r.Float64()*30 - 32))
		switch r.IntN(20) {
		case 0:
			req.Mult[i] = math.MaxFloat32
		case 1:
			req.Mult[i] = 0x1p-126
		case 2:
			req.Mult[i] = 0.5 // ties
		}
	}
	p, mult, err := req.prepare(n, res)
	if err != nil {
		t.Fatal(err)
	}
	ldd, ldc, ldr := n+r.IntN(9), n+r.IntN(9), n+r.IntN(9)
	dst, gd := guardedOf[byte]((rows-1)*ldd + n)
	acc, gc := guardedOf[int32]((rows-1)*ldc + n)
	bias, gb := guardedOf[int32](n)
	ms, gm := guardedOf[float32](n)
	other, gr := guardedOf[byte]((rows-1)*ldr + n)
	copy(ms, mult)
	for i := range dst {
		dst[i] = 0xA5
	}
	for i := range other {
		other[i] = byte(r.Uint32())
	}
	for i := range bias {
		bias[i] = r.Int32N(2001) - 1000
	}
	for i := range acc {
		acc[i] = (r.Int32N(1<<31-1) - 1<<30) >> r.IntN(31)
	}
	q.Fn(&dst[0], ldd, &acc[0], ldc, rows, n, &bias[0], &ms[0], &other[0], ldr, p)
	for i := range rows {
		for j := range min(ldd, len(dst)-i*ldd) {
			if j >= n {
				if dst[i*ldd+j] != 0xA5 {
					t.Fatalf("%s, n %d: byte %d behind row %d written", q.Name, n, j-n, i)
				}
				continue
			}
			want := naiveRequant(float32(float32(acc[i*ldc+j]+bias[j])*mult[j]), req.Zero, req.Lo, req.Hi)
			if res != nil {
				a := float32(float32(want-res.ZeroA) * res.MultA)
				b := float32(float32(int32(other[i*ldr+j])-128-res.ZeroB) * res.MultB)
				want = naiveRequant(float32(a+b), res.Zero, res.Lo, res.Hi)
			}
			if got := int32(dst[i*ldd+j]) - 128; got != want {
				t.Fatalf("%s, n %d: acc %d, mult %g: %d, want %d", q.Name, n, acc[i*ldc+j]+bias[j], mult[j], got, want)
			}
		}
	}
	for _, g := range []guarded{gd, gc, gb, gm, gr} {
		g.check(t)
	}
}

func TestRequantizers(t *testing.T) {
	for i := range requantizers {
		q := &requantizers[i]
		t.Run(q.Name, func(t *testing.T) {
			runnable(t, q.Name, q.ISA)
			r := rand.New(rand.NewPCG(5, 6))
			for n := 1; n <= 70; n++ {
				req := &Requant{Zero: r.Int32N(256) - 128, Lo: -128, Hi: 127}
				var res *Residual
				if q.Residual {
					res = &Residual{ZeroA: r.Int32N(256) - 128, ZeroB: r.Int32N(256) - 128, MultA: r.Float32() + 0.01, MultB: r.Float32() * 3, Zero: r.Int32N(256) - 128, Lo: -128, Hi: 127}
					res.MultB = max(res.MultB, 0.01)
				}
				checkRequantizer(t, q, r, 1+r.IntN(5), n, req, res)
				req.Lo, req.Hi = -r.Int32N(128), r.Int32N(128)
				checkRequantizer(t, q, r, 1+r.IntN(5), n, req, res)
			}
		})
	}
}

func TestDepthwiseKernels(t *testing.T) {
	lengths := []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 130}
	for i := range depthwises {
		d := &depthwises[i]
		t.Run(d.Name, func(t *testing.T) {
			runnable(t, d.Name, d.ISA)
			r := rand.New(rand.NewPCG(7, 8))
			for _, n := range lengths {
				for _, taps := range []int{1, 2, 4, 9, 10, 25} {
					off, places := make([]int, ceilDiv(taps, d.KR)*d.KR), make([]int, taps)
					for i := range taps {
						off[i], places[i] = r.IntN(3*n), i
					}
					checkDepthwise(t, d, r, n, places, n+r.IntN(5), off, r.IntN(2) == 0)
				}
			}
		})
	}
	for i := range depthwises3x3 {
		d := &depthwises3x3[i]
		t.Run(d.Name, func(t *testing.T) {
			runnable(t, d.Name, d.ISA)
			r := rand.New(rand.NewPCG(8, 8))
			for _, n := range lengths {
				for range 8 {
					off, distance := make([]int, 3*columnTaps), n+r.IntN(5)
					var places []int
					for y := range 3 {
						off[y] = r.IntN(3 * n)
						for x := range 3 {
							off[columnTaps*x+y] = off[y] + x*distance
							places = append(places, columnTaps*x+y)
						}
					}
					checkDepthwise(t, &d.Depthwise, r, n, places, d.Stride*distance, off, r.IntN(2) == 0)
				}
			}
		})
	}
}

// checkDepthwise computes a few pixels of n channels; tap i is at places[i] of off and of the weights.
func checkDepthwise(t testing.TB, d *Depthwise, r *rand.Rand, n int, places []int, step int, off []int, extreme bool) {
	t.Helper()
	taps, padded, blocks := len(places), len(off), ceilDiv(n, d.CR)
	pixels, span := 1+r.IntN(7), slices.Max(off)
	a, ga := guardedOf[byte](span + (pixels-1)*step + n)
	for i := range a {
		a[i] = byte(r.Uint32())
		if extreme {
			a[i] = byte(r.IntN(2) * 255)
		}
	}
	w, gw := guardedOf[byte](blocks * d.CR * padded * d.W.Size())
	clear(w)
	bias, mult := make([]int32, blocks*d.CR), make([]float32, blocks*d.CR)
	req := Requant{Mult: multipliers(r, n, taps), Zero: 5, Lo: -120, Hi: 127}
	var res *Residual
	if d.Residual {
		res = &Residual{ZeroA: 3, ZeroB: -7, MultA: 0.71, MultB: 1.3, Zero: -5, Lo: -128, Hi: 90}
	}
	p, ms, err := req.prepare(n, res)
	if err != nil {
		t.Fatal(err)
	}
	ws, bs := weights(r, n*taps, extreme, false), make([]int32, n)
	for ch := range n {
		place := ch
		if d.Order != nil {
			place = ch/d.CR*d.CR + orderInverse(d.Order, ch%d.CR)
		}
		bs[ch] = r.Int32N(2000) - 1000
		bias[place], mult[place] = bs[ch], ms[ch]
		for tap := range taps {
			v := ws[ch*taps+tap]
			p := places[tap]
			i := place/d.CR*padded*d.CR + (p/d.KR*d.CR+place%d.CR)*d.KR + p%d.KR
			if d.W == S16 {
				w[2*i], w[2*i+1] = byte(v), byte(int16(v)>>8)
			} else {
				w[i] = byte(v)
			}
		}
	}
	other, gr := guardedOf[byte](pixels*n + 3)
	for i := range other {
		other[i] = byte(r.Uint32())
	}
	dst, gd := guardedOf[byte]((pixels-1)*(n+2) + n)
	for i := range dst {
		dst[i] = 0xA5
	}
	bias, mult = append(bias, make([]int32, 16)...), append(mult, make([]float32, 16)...)
	d.Fn(&dst[0], n+2, &a[0], step, pixels, &off[0], padded, &w[0], n, &bias[0], &mult[0], &other[0], n, p)
	for px := range pixels {
		for ch := range n {
			acc := bs[ch]
			for tap := range taps {
				x := int32(a[px*step+off[places[tap]]+ch])
				if d.A == S8 {
					x = int32(int8(x))
				}
				acc += x * int32(ws[ch*taps+tap])
			}
			want := naiveRequant(float32(float32(acc)*ms[ch]), req.Zero, req.Lo, req.Hi)
			if res != nil {
				x := float32(float32(want-res.ZeroA) * res.MultA)
				y := float32(float32(int32(other[px*n+ch])-128-res.ZeroB) * res.MultB)
				want = naiveRequant(float32(x+y), res.Zero, res.Lo, res.Hi)
			}
			if got := int32(dst[px*(n+2)+ch]) - 128; got != want {
				t.Fatalf("%s, n %d, taps %d: pixel %d channel %d = %d, want %d", d.Name, n, taps, px, ch, got, want)
			}
		}
		if px+1 < pixels && (dst[px*(n+2)+n] != 0xA5 || dst[px*(n+2)+n+1] != 0xA5) {
			t.Fatalf("%s, n %d: written behind pixel %d", d.Name, n, px)
		}
	}
	for _, g := range []guarded{ga, gw, gr, gd} {
		g.check(t)
	}
}

func TestWideners(t *testing.T) {
	for i := range wideners {
		w := &wideners[i]
		t.Run(w.Name, func(t *testing.T) {
			runnable(t, w.Name, w.ISA)
			r := rand.New(rand.NewPCG(9, 9))
			for n := 1; n < 100; n++ {
				src, gs := guardedOf[byte](n)
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				dst, gd := guardedOf[uint16](n + Slack)
				w.Fn(&dst[0], &src[0], n)
				for i, u := range src {
					if dst[i] != uint16(u) {
						t.Fatalf("n %d: dst[%d] = %d, want %d", n, i, dst[i], u)
					}
				}
				gs.check(t)
				gd.check(t)
			}
		})
	}
}

func TestInterleavers(t *testing.T) {
	for i := range interleavers {
		w := &interleavers[i]
		t.Run(w.Name, func(t *testing.T) {
			runnable(t, w.Name, w.ISA)
			r := rand.New(rand.NewPCG(9, 11))
			for k := 8; k < 100; k += 8 {
				n, lda := 1+r.IntN(4), k+r.IntN(9)
				src, gs := guardedOf[byte]((3*n-1)*lda + k)
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				dst, gd := guardedOf[uint16](3*n*k + Slack)
				w.Fn(&dst[0], &src[0], lda, k, n)
				for i, got := range dst[:3*n*k] { // [n][k/8][3][8]
					row, term := 3*(i/(3*k))+i/8%3, i%(3*k)/24*8+i%8
					if want := uint16(src[row*lda+term]); got != want {
						t.Fatalf("k %d, n %d: dst[%d] = %d, want row %d, term %d: %d", k, n, i, got, row, term, want)
					}
				}
				gs.check(t)
				gd.check(t)
			}
		})
	}
}

func TestFlippers(t *testing.T) {
	for i := range flippers {
		f := &flippers[i]
		t.Run(f.Name, func(t *testing.T) {
			runnable(t, f.Name, f.ISA)
			r := rand.New(rand.NewPCG(9, 10))
			for n := 1; n < 200; n++ {
				src, gs := guardedOf[byte](n)
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				dst, gd := guardedOf[byte](n + Slack)
				dst[n] = 0xA5
				f.Fn(&dst[0], &src[0], n)
				for i, u := range src {
					if dst[i] != u^0x80 {
						t.Fatalf("n %d: dst[%d] = %d, want %d", n, i, dst[i], u^0x80)
					}
				}
				if n%flipRun == 0 && dst[n] != 0xA5 {
					t.Fatalf("n %d: written behind", n)
				}
				f.Fn(&dst[0], &dst[0], n) // in place
				for i, u := range src {
					if dst[i] != u {
						t.Fatalf("n %d, in place: dst[%d] = %d, want %d", n, i, dst[i], u)
					}
				}
				gs.check(t)
				gd.check(t)
			}
		})
	}
}
