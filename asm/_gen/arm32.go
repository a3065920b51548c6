package main

import (
	"bytes"
	"fmt"
	"strings"
)

// The 32-bit arm emitter writes Go assembly as text. Go's assembler for this architecture knows nothing of NEON, so its
// instructions are words, each with the mnemonic in a comment, as other assemblers write it: a test of package asm decodes
// the words and compares. Of Go's own instructions there are integer ones and MOVD, which is VLDR and wants addresses
// that are a multiple of four.

var arm32Files = []file[*arm32]{
	gemmNEON32(),
	requantNEON32(),
	flipNEON32(),
}

// arm32 emits one function.
type arm32 struct {
	bytes.Buffer
	args   []string // in order, 4 bytes each
	labels int
}

// emitARM32 assembles one file.
func emitARM32(f file[*arm32]) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header + "//go:build arm && !purego\n\n#include \"textflag.h\"\n")
	for _, fn := range f.funcs {
		b := &arm32{}
		for param := range strings.SplitSeq(fn.sig, ", ") {
			name, _, _ := strings.Cut(param, " ")
			b.args = append(b.args, name)
		}
		fn.emit(b)
		fmt.Fprintf(&out, "\n// func %s(%s)\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", fn.name, fn.sig, fn.name, 4*len(b.args))
		out.Write(b.Bytes())
	}
	return out.Bytes(), nil
}

// q is a vector register of 128 bits, d one of 64: q(i) is d(2*i) and d(2*i+1). General-purpose registers are of type x: R0
// to R9 and R12 are free.
type (
	q int
	d int
)

func (r q) low() d  { return d(2 * r) }
func (r q) high() d { return d(2*r + 1) }

func (b *arm32) line(lines ...string) {
	for _, l := range lines {
		b.WriteString("\t" + l + "\n")
	}
}

func (b *arm32) linef(format string, args ...any) { b.line(fmt.Sprintf(format, args...)) }

func (b *arm32) label(l string) { b.WriteString(l + ":\n") }

// unique makes a label unique within the function.
func (b *arm32) unique(name string) string {
	b.labels++
	return fmt.Sprintf("%s%d", name, b.labels)
}

// arg loads an argument.
func (b *arm32) arg(name string, to x) x {
	b.linef("MOVW %s, %v", b.place(name), to)
	return to
}

// place is where an argument lies.
func (b *arm32) place(name string) string {
	for i, a := range b.args {
		if a == name {
			return fmt.Sprintf("%s+%d(FP)", name, 4*i)
		}
	}
	panic("no argument " + name)
}

// word32 is an instruction by its encoding: base with the registers of 64 bits d, n and m in their places, each of which is a
// field of four bits and one bit more elsewhere. A register that the instruction does not have is 0.
func word32(base uint32, vd, vn, vm d, text string) string {
	place := func(r d, low, high int) uint32 { return uint32(r)&15<<low | uint32(r)>>4<<high }
	return fmt.Sprintf("WORD $0x%08x // %s", base|place(vd, 12, 22)|place(vn, 16, 7)|place(vm, 0, 5), text)
}

// threeQ writes an instruction on registers of 128 bits.
func threeQ(base uint32, op string, vd, vn, vm q) string {
	return word32(base, vd.low(), vn.low(), vm.low(), f("%s q%d, q%d, q%d", op, vd, vn, vm))
}

func twoQ(base uint32, op string, vd, vm q) string {
	return word32(base, vd.low(), 0, vm.low(), f("%s q%d, q%d", op, vd, vm))
}

// vmull multiplies signed bytes into 16 bits.
func vmull(vd q, vn, vm d) string {
	return word32(0xF2800C00, vd.low(), vn, vm, f("vmull.s8 q%d, d%d, d%d", vd, vn, vm))
}

func vmlal(vd q, vn, vm d) string {
	return word32(0xF2800800, vd.low(), vn, vm, f("vmlal.s8 q%d, d%d, d%d", vd, vn, vm))
}

// vpadal adds neighbours of 16 bits to 32.
func vpadal(vd, vm q) string { return twoQ(0xF3B40640, "vpadal.s16", vd, vm) }

func vpadd(vd, vn, vm d) string {
	return word32(0xF2200B10, vd, vn, vm, f("vpadd.i32 d%d, d%d, d%d", vd, vn, vm))
}

func veor(vd, vn, vm q) string { return threeQ(0xF3000150, "veor", vd, vn, vm) }

// vld1 loads n registers of 64 bits from an address of any alignment, which it may move on; vst1 stores them.
func vld1(first d, n int, base x, on bool) string {
	return vmem(0xF4200000, "vld1", first, n, base, on)
}
func vst1(first d, n int, base x, on bool) string {
	return vmem(0xF4000000, "vst1", first, n, base, on)
}

func vmem(word uint32, op string, first d, n int, base x, on bool) string {
	kind := map[int]uint32{1: 7, 2: 10, 4: 2}[n]
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("d%d", int(first)+i)
	}
	rm, mark := uint32(15), ""
	if on {
		rm, mark = 13, "!"
	}
	return word32(word|kind<<8|uint32(base)<<16|rm, first, 0, 0, f("%s.8 {%s}, [r%d]%s", op, strings.Join(names, ", "), int(base), mark))
}

// vdup32 loads 32 bits into all lanes.
func vdup32(vd q, base x) string {
	return word32(0xF4A00CAF|uint32(base)<<16, vd.low(), 0, 0, f("vld1.32 {d%d[], d%d[]}, [r%d]", vd.low(), vd.high(), int(base)))
}
