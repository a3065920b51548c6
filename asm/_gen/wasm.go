package main

import (
	"bytes"
	"fmt"
	"strings"
)

// The wasm emitter writes Go assembly as text: a stack machine with locals R0-R15 (i64), V0-V15 (v128) and PC_B (i32), which
// is a parameter that only functions with calls in them need.
//
// Go 1.27's assembler encodes v128 instructions, but not the operands of some: only V128Load has its offset, V128Store
// always has offset 0, lanes are lane 0, and other loads and shuffles lack theirs. What is used here is what it encodes;
// a test of package kernels holds the list. Relaxed instructions, whose results differ between machines, are not on it.

var wasmFiles = []file[*wasm]{
	gemmWASM(),
	gemmTurnsWASM(),
	interleaveWASM(),
	requantWASM(),
	depthwiseWASM(),
	flipWASM(),
	sumWASM(),
	maxWASM(),
	elementwiseWASM(),
	attendWASM(),
	gemm16WASM(),
	depthwise16WASM(),
	elementwise16WASM(),
	winoInputWASM(),
	winoFilterWASM(),
	winoOutputWASM(),
	gemmF32WASM(),
	halvesWASM(),
	windowsF32WASM(),
	pixelsWASM(),
}

// wasm emits one function.
type wasm struct {
	bytes.Buffer
	name  string
	args  []string // in order, 8 bytes each
	depth int
}

// emitWASM assembles one file.
func emitWASM(f file[*wasm]) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header + "//go:build wasm && !purego\n\n#include \"textflag.h\"\n")
	for _, fn := range f.funcs {
		b := &wasm{name: fn.name}
		size := 0
		for param := range strings.SplitSeq(fn.sig, ", ") {
			name, kind, _ := strings.Cut(param, " ")
			b.args = append(b.args, name)
			size = 8 * len(b.args)
			if kind == "float32" { // only the last may be shorter
				size -= 4
			}
		}
		fn.emit(b)
		b.line("RET")
		if b.depth != 0 {
			return nil, fmt.Errorf("%s: %d blocks are open at the end", fn.name, b.depth)
		}
		fmt.Fprintf(&out, "\n// func %s(%s)\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", fn.name, fn.sig, fn.name, size)
		out.Write(b.Bytes())
	}
	return out.Bytes(), nil
}

// r is a local that holds an integer or an address, w one that holds a vector.
type (
	r int
	w int
)

func (x r) String() string { return fmt.Sprintf("R%d", int(x)) }
func (x w) String() string { return fmt.Sprintf("V%d", int(x)) }

// line writes instructions; those separated by semicolons belong together.
func (b *wasm) line(lines ...string) {
	for _, l := range lines {
		for s := range strings.SplitSeq(l, "; ") {
			b.WriteString(strings.Repeat("\t", b.depth+1) + s + "\n")
		}
	}
}

func (b *wasm) linef(format string, args ...any) { b.line(fmt.Sprintf(format, args...)) }

func (b *wasm) open(block string) {
	b.line(block)
	b.depth++
}

func (b *wasm) end() {
	b.depth--
	b.line("End")
}

// arg loads an argument.
func (b *wasm) arg(name string, to r) r {
	for i, a := range b.args {
		if a == name {
			b.linef("MOVD %s+%d(FP), %v", name, 8*i, to)
			return to
		}
	}
	panic("no argument " + name)
}

// again ends a loop that counts x down by n and repeats while it is above zero.
func (b *wasm) again(x r, n int) {
	b.linef("Get %v; I64Const $%d; I64Sub; Tee %v; I64Const $0; I64GtS; BrIf $0", x, n, x)
	b.end()
}

// add adds a constant to x.
func (b *wasm) add(x r, n int) {
	b.linef("Get %v; I64Const $%d; I64Add; Set %v", x, n, x)
}

// addTo adds y to x.
func (b *wasm) addTo(x, y r) {
	b.linef("Get %v; Get %v; I64Add; Set %v", x, y, x)
}

// sum sets x to y+z.
func (b *wasm) sum(x, y, z r) {
	b.linef("Get %v; Get %v; I64Add; Set %v", y, z, x)
}

func (b *wasm) zero(regs ...w) {
	for _, x := range regs {
		b.linef("V128Const $0, $0; Set %v", x)
	}
}

// push16 leaves the 16 bytes at x+disp on the stack.
func (b *wasm) push16(x r, disp int) {
	b.linef("Get %v; I32WrapI64; V128Load $%d", x, disp)
}

// splats does splat for one field of p after the other, into registers from x on.
func (b *wasm) splats(x w, p r, fields ...int) {
	for i, f := range fields {
		b.splat(x+w(i), p, f)
	}
}

// splat sets x to four copies of the 32 bits at p+disp.
func (b *wasm) splat(x w, p r, disp int) {
	b.linef("Get %v; I32WrapI64; I32Load $%d; I32x4Splat; Set %v", p, disp, x)
}
