package main

import (
	"bytes"
	"fmt"
	"go/token"
	"go/types"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

var amd64Files = []asmFile{
	gemmVNNI(),
	gemmRequantVNNI(14, 32), gemmRequantVNNI(7, 64),
	gemmAVX2(),
	gemmPairSafeAVX2(),
	requantAVX2(),
	requantAVX512(),
	depthwiseAVX2(),
	depthwiseVNNI(),
	depthwise3x3VNNI(),
	depthwise3x3AVX2(),
	widenAVX2(),
	gemmVNNI256(true),
	gemmVNNI256(false),
	gemmSSE(),
	gemmPairSafeSSE(),
	requantSSE(),
	depthwiseSSE(),
	widenSSE(),
	sumAVX2(),
	sumAVX512(),
	maxAVX2(),
	elementwise("AVX2", elementwiseAVX2),
	elementwise("AVX512", elementwiseAVX512),
	attendAVX2(),
	depthwise16AVX2(),
	elementwise16AVX2(),
	depthwise16SSE(),
	elementwise16SSE(),
	attendAVX512(),
	scanAVX2(),
	spreadAVX2(),
	pixelsAVX512(),
	pixelsAVX2(),
	pixelsSSE(),
	gemm16VNNI(),
	gemm16AVX2(),
	gemm16SSE(),
	winoInput(winoSSE),
	winoInput(winoAVX2),
	winoInput(winoAVX512),
	winoFilter(winoSSE),
	winoFilter(winoAVX2),
	winoFilterByRow(),
	winoOutput(winoSSE),
	winoOutput(winoAVX2),
	winoOutput(winoAVX512),
	lineInput(winoSSE),
	lineInput(winoAVX2),
	lineInput(winoAVX512),
	lineFilter(winoSSE),
	lineFilter(winoAVX2),
	lineFilter(winoAVX512),
	lineOutput(winoSSE),
	lineOutput(winoAVX2),
	lineOutput(winoAVX512),
	gemmF32(floatAVX512, 14, 8, 7, 4, 2, 1),
	gemmF32(floatAVX2, 6, 4, 2, 1),
	gemmF32F16(floatAVX512, 14, 8, 7, 4, 2, 1),
	gemmF32F16(floatAVX2, 6, 4, 2, 1),
	halves(floatAVX512),
	halves(floatAVX2),
	windowsF32(floatAVX512),
	windowsF32(floatAVX2),
	winoF32(floatAVX512),
	winoF32(floatAVX2),
	winoF32Four(floatAVX512),
	winoF32Four(floatAVX2),
	sha256Pair(),
	sha256Lanes(),
	miscF32(floatAVX512),
	miscF32(floatAVX2),
	peakAVX512VNNI(),
	peakAVX2(),
	peakAVX512(),
	peakFMA(),
	peakAVXVNNI(),
	peakSSE(),
}

type (
	asmFile = file[*builder]
	asmFunc = function[*builder]
)

// builder is avo's context with what it lacks and what every kernel does.
type builder struct {
	*build.Context
	labels int
	vex    bool // VPDPBUSD is VEX-encoded
	legacy bool // no VEX at all: SSE
}

// emitAMD64 assembles one file.
func emitAMD64(f asmFile) ([]byte, error) {
	b := &builder{Context: build.NewContext()}
	b.ConstraintExpr("amd64,!purego")
	for _, fn := range f.funcs {
		sig, err := signature(fn.sig)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fn.name, err)
		}
		b.Function(fn.name)
		b.Attributes(attr.NOSPLIT)
		b.Signature(sig)
		fn.emit(b)
	}
	text, err := b.Result()
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(text); err != nil {
		return nil, err
	}
	asm, err := printer.NewGoAsm(printer.Config{Name: "asm/_gen", Pkg: "asm"}).Print(text)
	if err != nil {
		return nil, err
	}
	_, body, _ := bytes.Cut(asm, []byte("\n")) // avo's own warning
	if b.vex {
		body = vexEncoded(body)
	}
	return append([]byte(header), bytes.TrimLeft(body, "\n")...), nil
}

// signature parses a stub's parameters; types like Requant are package asm's.
func signature(params string) (*gotypes.Signature, error) {
	pkg := types.NewPackage("github.com/rfga-edge/rfga-edge/asm", "asm")
	for _, typ := range []string{"Requant", "Attention", "Scan", "ClampF32", "Tap", "ColorMatrix"} {
		name := types.NewTypeName(token.NoPos, pkg, typ, nil)
		types.NewNamed(name, types.NewStruct(nil, nil), nil)
		pkg.Scope().Insert(name)
	}
	return gotypes.ParseSignatureInPackage(pkg, "func("+params+")")
}

// arg loads an argument into a fresh general-purpose register.
func (b *builder) arg(name string) reg.GPVirtual {
	return b.Load(b.Param(name), b.GP64()).(reg.GPVirtual)
}

// label makes a name unique within the function.
func (b *builder) label(name string) string {
	b.labels++
	return fmt.Sprintf("%s%d", name, b.labels)
}

// mem is base+disp.
func mem(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

// imm is an immediate of integer arithmetic, which is sign-extended; imm8 selects, shifts or shuffles.
func imm(v int) operand.Op {
	if v == int(int8(v)) {
		return operand.I8(v)
	}
	return operand.I32(v)
}

func imm8(v int) operand.Op { return operand.U8(v) }

// vpdpbusd adds the products of unsigned u and signed s to acc, four bytes a lane. avo 0.5 does not know it.
func (b *builder) vpdpbusd(s operand.Op, u, acc reg.VecPhysical) {
	isa := "AVX512VNNI"
	if b.vex {
		isa = "AVXVNNI"
	}
	b.Instruction(&ir.Instruction{
		Opcode:   "VPDPBUSD",
		Operands: []operand.Op{s, u, acc},
		Inputs:   []operand.Op{s, u, acc},
		Outputs:  []operand.Op{acc},
		ISA:      []string{isa},
	})
}

// zmm and ymm are physical registers: kernels lay them out by hand.
func zmm(i int) reg.VecPhysical { return zmms[i] }
func ymm(i int) reg.VecPhysical { return ymms[i] }
func xmm(i int) reg.VecPhysical { return xmms[i] }

var zmms = []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11,
	reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25,
	reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}
var ymms = []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11,
	reg.Y12, reg.Y13, reg.Y14, reg.Y15}
var xmms = []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7, reg.X8, reg.X9, reg.X10, reg.X11,
	reg.X12, reg.X13, reg.X14, reg.X15}
