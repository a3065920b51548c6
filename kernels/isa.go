package kernels

import (
	"fmt"
	"os"
	"strings"
)

// ISA is a set of instruction set extensions. A kernel's record names what it needs beyond Go's baseline for the
// architecture; zero is portable Go.
type ISA uint32

const (
	SSE41      ISA = 1 << iota // amd64: SSE4.1 and what precedes it
	AVX2                       // amd64: AVX2 with operating system support
	AVX512                     // amd64: AVX-512 F, BW, DQ, VL
	AVX512VNNI                 // amd64: VPDPBUSD and VPDPWSSD on 512-bit registers
	AVXVNNI                    // amd64: the same, VEX-encoded on 256-bit registers
	NEON                       // arm64, arm: Advanced SIMD
	DotProd                    // arm64: SDOT, UDOT
	I8MM                       // arm64: SMMLA, USMMLA
	SIMD128                    // wasm
	FMA                        // amd64: fused multiply-add on 256-bit registers
	F16C                       // amd64: conversion from half precision, likewise
	FP16                       // arm64: arithmetic in half precision (FEAT_FP16)
	SHA                        // amd64: instructions for SHA-256
	SIMD128x3                  // wasm: kernels for hosts that compile like wazero, see HostEnv
)

// transformed is the form of Winograd's transformed input for kernels that need s.
func (s ISA) transformed() Operand {
	if s&SIMD128x3 != 0 {
		return S16x3
	}
	return S16
}

// HostEnv is the environment variable by which a host tells a WebAssembly module who runs it. "wazero", which compiles
// instruction by instruction, gets kernels with the least to execute; without it a module takes those that suit the compilers of browsers.
// The results are the same.
const HostEnv = "RFGA_WASM_HOST"

// Portable is the ISA of kernels written in Go.
const Portable ISA = 0

// isaTable lists every extension with its name in RFGA_DISABLE, RFGA_REQUIRE_ISA and reports, and the extension that it
// builds on: without the one there is not the other.
var isaTable = []struct {
	isa   ISA
	name  string
	needs ISA
}{
	{SSE41, "sse4.1", 0},
	{AVX2, "avx2", SSE41},
	{AVX512, "avx512", AVX2},
	{AVX512VNNI, "avx512vnni", AVX512},
	{AVXVNNI, "avxvnni", AVX2},
	{NEON, "neon", 0},
	{DotProd, "dotprod", NEON},
	{I8MM, "i8mm", DotProd},
	{SIMD128, "simd128", 0},
	{FMA, "fma", AVX2},
	{F16C, "f16c", FMA},
	{FP16, "fp16", NEON},
	{SHA, "sha", SSE41},
	{SIMD128x3, "simd128x3", SIMD128},
}

// String joins the names of the extensions in s with "+"; the empty set is "portable".
func (s ISA) String() string {
	if s == Portable {
		return "portable"
	}
	var names []string
	for _, t := range isaTable {
		if s&t.isa != 0 {
			names = append(names, t.name)
		}
	}
	return strings.Join(names, "+")
}

// ParseISA is the inverse of String; names may be joined with "+" or ",".
func ParseISA(list string) (ISA, error) {
	var s ISA
next:
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == '+' || r == ' ' }) {
		if name == "portable" {
			continue
		}
		for _, t := range isaTable {
			if t.name == name {
				s |= t.isa
				continue next
			}
		}
		return s, fmt.Errorf("unknown instruction set %q", name)
	}
	return s, nil
}

// without removes the extensions in drop, and those that build on them.
func (s ISA) without(drop ISA) ISA {
	s &^= drop
	for _, t := range isaTable { // in order of dependence
		if s&t.isa != 0 && t.needs&^s != 0 {
			s &^= t.isa
		}
	}
	return s
}

// Without removes the extensions in drop, and those that build on them.
func (s ISA) Without(drop ISA) ISA { return s.without(drop) }

// switches are the words of RFGA_DISABLE that are not instruction sets: ways of computing the same bits.
var switches = []string{"winograd"}

var (
	disabledISA, disabledSwitches, envErr = parseDisable(os.Getenv("RFGA_DISABLE"))
	detected                              = detectISA()
	features                              = detected.without(disabledISA)
)

// Features returns the extensions that kernels may use: what the CPU and the operating system have, less RFGA_DISABLE.
func Features() ISA { return features }

// Disabled reports whether RFGA_DISABLE names the switch.
func Disabled(name string) bool { return disabledSwitches[name] }

// CheckEnv reports a word in RFGA_DISABLE that means nothing, which a user would otherwise take for a working switch.
func CheckEnv() error { return envErr }

func parseDisable(env string) (ISA, map[string]bool, error) {
	var drop ISA
	var err error
	words := map[string]bool{}
	for word := range strings.FieldsFuncSeq(env, func(r rune) bool { return r == ',' || r == ' ' }) {
		if isa, e := ParseISA(word); e == nil {
			drop |= isa
			continue
		}
		words[word] = true
		if !knownSwitch(word) {
			err = fmt.Errorf("RFGA_DISABLE: unknown word %q (want an instruction set such as avx2, or %s)", word, strings.Join(switches, ", "))
		}
	}
	return drop, words, err
}

func knownSwitch(word string) bool {
	for _, s := range switches {
		if s == word {
			return true
		}
	}
	return false
}

// ISAName names the instruction set of the int8 matrix product that this process uses, for reports: "avx512vnni", "avx2",
// "neon+dotprod", "portable".
func ISAName() string {
	best := Portable
	rate := 0
	for i := range gemms {
		if g := &gemms[i]; g.ISA&^features == 0 && g.Rate > rate {
			best, rate = g.ISA, g.Rate
		}
	}
	return best.String()
}
