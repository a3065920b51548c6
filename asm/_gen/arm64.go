package main

import (
	"bytes"
	"fmt"
	"strings"
)

// The arm64 emitter writes Go assembly as text. Kernels lay out registers by hand and say in which order instructions
// stand: in-order cores (Cortex-A53, A55, A510) run them in that order.
//
// An instruction is a line. Those that Go's assembler does not know are words, with the mnemonic, as other assemblers write
// it, in a comment: a test of package asm decodes the words and compares.

var arm64Files = []file[*arm]{
	gemmNEON(),
	gemmDotProd(),
	gemmI8MM(),
	gemm16NEON(),
	winoInputNEON(),
	winoFilterNEON(),
	winoOutputNEON(),
	lineInputNEON(),
	lineFilterNEON(),
	lineOutputNEON(),
	requantNEON(),
	depthwiseNEON(),
	depthwise3x3DotProd(),
	flipNEON(),
	sumNEON(),
	maxNEON(),
	elementwiseNEON(),
	attendNEON(),
	depthwise16NEON(),
	elementwise16NEON(),
	gemmF32NEON(),
	halvesNEON(),
	gemmF16(),
	narrowNEON(),
	windowsF32NEON(),
	winoF32NEON(),
	rowsF32NEON(),
	pixelsNEON(),
}

// arm emits one function.
type arm struct {
	bytes.Buffer
	name   string
	args   []string // parameters and results in order, 8 bytes each
	labels int
}

// emitARM64 assembles one file.
func emitARM64(f file[*arm]) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header + "//go:build arm64 && !purego\n\n#include \"textflag.h\"\n")
	for _, fn := range f.funcs {
		b := &arm{name: fn.name}
		size := 0
		for param := range strings.SplitSeq(strings.ReplaceAll(fn.sig, ") (", ", "), ", ") {
			name, kind, _ := strings.Cut(param, " ")
			b.args = append(b.args, name)
			size = 8 * len(b.args)
			if kind == "float32" { // only the last may be shorter
				size -= 4
			}
		}
		fn.emit(b)
		fmt.Fprintf(&out, "\n// func %s(%s)\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", fn.name, fn.sig, fn.name, size)
		out.Write(b.Bytes())
	}
	return out.Bytes(), nil
}

// x is a general-purpose register. R18, R27 and R28 are the platform's, the assembler's and Go's.
type x int

// v is a vector register.
type v int

func (r x) String() string { return fmt.Sprintf("R%d", int(r)) }

func (b *arm) line(lines ...string) {
	for _, l := range lines {
		b.WriteString("\t" + l + "\n")
	}
}

func (b *arm) linef(format string, args ...any) { b.line(fmt.Sprintf(format, args...)) }

func (b *arm) label(l string) { b.WriteString(l + ":\n") }

// unique makes a label unique within the function.
func (b *arm) unique(name string) string {
	b.labels++
	return fmt.Sprintf("%s%d", name, b.labels)
}

// arg loads an argument.
func (b *arm) arg(name string, to x) x {
	for i, a := range b.args {
		if a == name {
			b.linef("MOVD %s+%d(FP), %v", name, 8*i, to)
			return to
		}
	}
	panic("no argument " + name)
}

// beginLoop and endLoop mark an inner loop for _gen/mca: what it computes in one turn, and what the unit that bounds it
// does in a cycle is for mca to say.
func (b *arm) beginLoop(label string, products int) {
	b.linef("// inner loop of %s: %d products", b.name, products)
	b.label(label)
}

// beginElements is beginLoop of a loop that is measured by its results: a transform, requantization, rows.
func (b *arm) beginElements(label string, elements int) {
	b.linef("// inner loop of %s: %d elements", b.name, elements)
	b.label(label)
}

func (b *arm) endLoop(branch string) {
	b.line(branch, "// end of inner loop")
}

func (b *arm) zero(regs ...v) {
	for _, r := range regs {
		b.linef("VEOR V%d.B16, V%d.B16, V%d.B16", r, r, r)
	}
}

// weave puts every insertion behind the instruction of main with its index; those with one index stay in order.
func weave(main []string, insert map[int][]string) []string {
	var out []string
	out = append(out, insert[-1]...)
	for i, l := range main {
		out = append(out, l)
		out = append(out, insert[i]...)
	}
	return out
}

// apart puts one of extra behind every every-th instruction of main, and what is left at the end.
func apart(main, extra []string, every int) []string {
	insert := map[int][]string{}
	for i, l := range extra {
		at := min((i+1)*every-1, len(main)-1)
		insert[at] = append(insert[at], l)
	}
	return weave(main, insert)
}

// alternate takes lines of x and y in turn, as many of each.
func alternate(x, y []string) (l []string) {
	for i := range x {
		l = append(l, x[i], y[i])
	}
	return l
}

// lines is what emit writes, to be woven.
func lines(emit func(b *arm)) []string {
	b := &arm{}
	emit(b)
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(b.String(), "\n\t", "\n")), "\n")
}

func f(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// Loads and stores of vector registers, by size.
func ldq(to v, base x, disp int) string   { return f("FMOVQ %s, F%d", at(base, disp), to) }
func ldd(to v, base x, disp int) string   { return f("FMOVD %s, F%d", at(base, disp), to) }
func ldqp(to v, base x, disp int) string  { return f("FMOVQ.P %d(%v), F%d", disp, base, to) }
func stq(from v, base x, disp int) string { return f("FMOVQ F%d, %s", from, at(base, disp)) }
func stdw(from v, base x, disp int) string {
	return f("FMOVD F%d, %s", from, at(base, disp))
}

func at(base x, disp int) string {
	if disp == 0 {
		return f("(%v)", base)
	}
	return f("%d(%v)", disp, base)
}

// Vector arithmetic: destination first, then sources in the architecture's order; Go's is the reverse.
func smull(d, n, m v) string  { return f("VSMULL V%d.B8, V%d.B8, V%d.H8", m, n, d) }
func smull2(d, n, m v) string { return f("VSMULL2 V%d.B16, V%d.B16, V%d.H8", m, n, d) }
func smlal(d, n, m v) string  { return f("VSMLAL V%d.B8, V%d.B8, V%d.H8", m, n, d) }
func smlal2(d, n, m v) string { return f("VSMLAL2 V%d.B16, V%d.B16, V%d.H8", m, n, d) }
func eor(d, n, m v) string    { return f("VEOR V%d.B16, V%d.B16, V%d.B16", m, n, d) }

// arr writes a three-operand instruction whose operands have one arrangement.
func arr(op, kind string, d, n, m v) string {
	return f("%s V%d.%s, V%d.%s, V%d.%s", op, m, kind, n, kind, d, kind)
}

// word is an instruction by its encoding: base with registers d, n, m in their places.
func word(base uint32, d, n, m int, text string) string {
	return f("WORD $0x%08x // %s", base|uint32(m)<<16|uint32(n)<<5|uint32(d), text)
}

func sadalp(d, n v) string {
	return word(0x4E606800, int(d), int(n), 0, f("sadalp v%d.4s, v%d.8h", d, n))
}

func saddw(d, n v) string {
	return word(0x0E601000, int(d), int(d), int(n), f("saddw v%d.4s, v%d.4s, v%d.4h", d, d, n))
}

func saddw2(d, n v) string {
	return word(0x4E601000, int(d), int(d), int(n), f("saddw2 v%d.4s, v%d.4s, v%d.8h", d, d, n))
}

func fcvtns(d, n v) string {
	return word(0x4E21A800, int(d), int(n), 0, f("fcvtns v%d.4s, v%d.4s", d, n))
}

// sdotLane adds to d the products of the groups of four signed bytes of n with group lane of m.
func sdotLane(d, n, m v, lane int) string {
	h, l := uint32(lane>>1), uint32(lane&1)
	return word(0x4F80E000|h<<11|l<<21, int(d), int(n), int(m), f("sdot v%d.4s, v%d.16b, v%d.4b[%d]", d, n, m, lane))
}

// smlalLane adds to d the products of the low four 16-bit integers of n, or the high ones, with lane of m, of V0 to V15.
func smlalLane(d, n, m v, lane int, high bool) string {
	w, name, kind := uint32(0x0F402000), "smlal", "4h"
	if high {
		w, name, kind = 0x4F402000, "smlal2", "8h"
	}
	h, l, mm := uint32(lane>>2), uint32(lane>>1&1), uint32(lane&1)
	return word(w|h<<11|l<<21|mm<<20, int(d), int(n), int(m), f("%s v%d.4s, v%d.%s, v%d.h[%d]", name, d, n, kind, m, lane))
}

// usmmla adds to d, two rows of two, the product of n, two rows of eight unsigned bytes, and m, two columns of signed ones.
func usmmla(d, n, m v) string {
	return word(0x4E80AC00, int(d), int(n), int(m), f("usmmla v%d.4s, v%d.16b, v%d.16b", d, n, m))
}

// fmlaLane adds to d the products of n with lane of m, in one operation each.
func fmlaLane(d, n, m v, lane int) string {
	h, l := uint32(lane>>1), uint32(lane&1)
	return word(0x4F801000|h<<11|l<<21, int(d), int(n), int(m), f("fmla v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, lane))
}

// fcvtlHalves expands the low four halves of n, or the high ones.
func fcvtlHalves(d, n v, high bool) string {
	if high {
		return word(0x4E217800, int(d), int(n), 0, f("fcvtl2 v%d.4s, v%d.8h", d, n))
	}
	return word(0x0E217800, int(d), int(n), 0, f("fcvtl v%d.4s, v%d.4h", d, n))
}

// ldqx loads 16 bytes at base+index.
func ldqx(to v, base, index x) string {
	return word(0x3CE06800, int(to), int(base), int(index), f("ldr q%d, [x%d, x%d]", to, base, index))
}
