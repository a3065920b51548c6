package asm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The 32-bit arm assembly holds NEON as words, with the mnemonic in a comment. These tests decode them as those of arm64 do,
// by tables written from the Arm Architecture Reference Manual for ARMv7-A (DDI 0406, A7), and by llvm-mc where there is one.

// vd, vn and vm are the registers of 64 bits of a word: a field of four bits, and one bit elsewhere.
func vd(w uint32) int { return bits(w, 12, 4) | bits(w, 22, 1)<<4 }
func vn(w uint32) int { return bits(w, 16, 4) | bits(w, 7, 1)<<4 }
func vm(w uint32) int { return bits(w, 0, 4) | bits(w, 5, 1)<<4 }

const (
	maskThree = 0xFFB00F50 // all but the registers and, for long operations, what Q would be
	maskTwo   = 0xFFBF0FD0
)

// quad names a register of 128 bits by the first of 64, whose number is even.
func quad(d int) string {
	if d%2 != 0 {
		return "undefined"
	}
	return fmt.Sprintf("q%d", d/2)
}

// quads is an instruction on registers of 128 bits.
func quads(op string, of ...func(uint32) int) func(uint32) string {
	return func(w uint32) string {
		regs := make([]string, len(of))
		for i, r := range of {
			regs[i] = quad(r(w))
		}
		return op + " " + strings.Join(regs, ", ")
	}
}

// structures is a load or store of whole registers.
func structures(op string, n int) func(uint32) string {
	return func(w uint32) string {
		var regs []string
		for i := range n {
			regs = append(regs, fmt.Sprintf("d%d", vd(w)+i))
		}
		return fmt.Sprintf("%s.8 {%s}, [r%d]%s", op, strings.Join(regs, ", "), bits(w, 16, 4), moved(w))
	}
}

// moved is how the address goes on: Rm 15 leaves it, 13 adds what was read or written.
func moved(w uint32) string {
	switch bits(w, 0, 4) {
	case 13:
		return "!"
	case 15:
		return ""
	}
	return " and an index"
}

var armForms = []form{
	// Three registers of the same length: 1111001 U 0 D size Vn Vd opcode N Q M o Vm.
	{maskThree, 0b1111_0010_0_0_10_0000_0000_1000_0_1_0_0_0000, "", quads("vadd.i32", vd, vn, vm)},
	{maskThree, 0b1111_0011_0_0_10_0000_0000_1000_0_1_0_0_0000, "", quads("vsub.i32", vd, vn, vm)},
	{maskThree, 0b1111_0011_0_0_00_0000_0000_0001_0_1_0_1_0000, "", quads("veor", vd, vn, vm)},
	{maskThree, 0b1111_0010_0_0_00_0000_0000_1101_0_1_0_0_0000, "", quads("vadd.f32", vd, vn, vm)},
	{maskThree, 0b1111_0011_0_0_00_0000_0000_1101_0_1_0_1_0000, "", quads("vmul.f32", vd, vn, vm)},
	{maskThree, 0b1111_0010_0_0_00_0000_0000_1111_0_1_0_0_0000, "", quads("vmax.f32", vd, vn, vm)},
	{maskThree, 0b1111_0010_0_0_10_0000_0000_1111_0_1_0_0_0000, "", quads("vmin.f32", vd, vn, vm)},
	{maskThree, 0b1111_0010_0_0_10_0000_0000_1011_0_0_0_1_0000, "", func(w uint32) string {
		return fmt.Sprintf("vpadd.i32 d%d, d%d, d%d", vd(w), vn(w), vm(w))
	}},
	// Three registers of different lengths: 1111001 U 1 D size Vn Vd opcode N 0 M 0 Vm.
	{maskThree, 0b1111_0010_1_0_00_0000_0000_1100_0_0_0_0_0000, "", long("vmull.s8")},
	{maskThree, 0b1111_0010_1_0_00_0000_0000_1000_0_0_0_0_0000, "", long("vmlal.s8")},
	// Two registers, miscellaneous: 1111 0011 1 D 11 size A Vd 0 opcode Q M 0 Vm.
	{maskTwo, 0b1111_0011_1_0_11_01_00_0000_0_1100_1_0_0_0000, "", quads("vpadal.s16", vd, vm)},
	{maskTwo, 0b1111_0011_1_0_11_10_11_0000_0_1100_1_0_0_0000, "", quads("vcvt.f32.s32", vd, vm)},
	{maskTwo, 0b1111_0011_1_0_11_01_10_0000_0_0100_0_0_0_0000, "", narrow("vmovn.i32")},
	{maskTwo, 0b1111_0011_1_0_11_00_10_0000_0_0100_0_0_0_0000, "", narrow("vmovn.i16")},
	// Two registers and a shift: 1111001 U 1 D imm6 Vd opcode L Q M 1 Vm. VMOVL is a shift by 0.
	{0xFFBF0FD0, 0b1111_0011_1_0_001_000_0000_1010_0_0_0_1_0000, "", widen("vmovl.u8")},
	{0xFFBF0FD0, 0b1111_0011_1_0_010_000_0000_1010_0_0_0_1_0000, "", widen("vmovl.u16")},
	{0xFF800FD0, 0b1111_0011_1_0_000_000_0000_0000_1_0_0_1_0000, "", func(w uint32) string {
		return fmt.Sprintf("vshr.u64 d%d, d%d, #%d", vd(w), vm(w), 64-bits(w, 16, 6))
	}},
	// One register and an immediate: 1111001 i 1 D 000 imm3 Vd cmode 0 Q op 1 imm4.
	{0xFEB80FF0, 0b1111_0010_1_0_000_000_0000_1110_0_1_0_1_0000, "", func(w uint32) string {
		return fmt.Sprintf("vmov.i8 %s, #0x%x", quad(vd(w)), bits(w, 24, 1)<<7|bits(w, 16, 3)<<4|bits(w, 0, 4))
	}},
	// VDUP from a general-purpose register: cond 1110 1 B Q 0 Vd Rt 1011 D 0 E 1 0000.
	{0xFFF00F7F, 0b1110_1110_1010_0000_0000_1011_0_0_0_1_0000, "", func(w uint32) string {
		return fmt.Sprintf("vdup.32 %s, r%d", quad(vn(w)), bits(w, 12, 4))
	}},
	// Element and structure load and store, multiple: 1111 0100 0 D L 0 Rn Vd type size align Rm.
	{0xFFB00FF0, 0b1111_0100_0_0_10_0000_0000_0111_00_00_0000, "", structures("vld1", 1)},
	{0xFFB00FF0, 0b1111_0100_0_0_10_0000_0000_1010_00_00_0000, "", structures("vld1", 2)},
	{0xFFB00FF0, 0b1111_0100_0_0_10_0000_0000_0010_00_00_0000, "", structures("vld1", 4)},
	{0xFFB00FF0, 0b1111_0100_0_0_00_0000_0000_0111_00_00_0000, "", structures("vst1", 1)},
	{0xFFB00FF0, 0b1111_0100_0_0_00_0000_0000_1010_00_00_0000, "", structures("vst1", 2)},
	{0xFFB00FF0, 0b1111_0100_0_0_00_0000_0000_0010_00_00_0000, "", structures("vst1", 4)},
	// One element from one lane: 1111 0100 1 D 00 Rn Vd size 00 index_align Rm; the index, and the alignment, are 0.
	{0xFFB00FF0, 0b1111_0100_1_0_00_0000_0000_00_00_0000_0000, "", lane("vst1.8")},
	{0xFFB00FF0, 0b1111_0100_1_0_00_0000_0000_01_00_0000_0000, "", lane("vst1.16")},
	{0xFFB00FF0, 0b1111_0100_1_0_00_0000_0000_10_00_0000_0000, "", lane("vst1.32")},
	// One element to all lanes: 1111 0100 1 D 10 Rn Vd 1100 size T a Rm.
	{0xFFB00FF0, 0b1111_0100_1_0_10_0000_0000_1100_10_1_0_0000, "", func(w uint32) string {
		return fmt.Sprintf("vld1.32 {d%d[], d%d[]}, [r%d]%s", vd(w), vd(w)+1, bits(w, 16, 4), moved(w))
	}},
}

func long(op string) func(uint32) string {
	return func(w uint32) string { return fmt.Sprintf("%s %s, d%d, d%d", op, quad(vd(w)), vn(w), vm(w)) }
}

func narrow(op string) func(uint32) string {
	return func(w uint32) string { return fmt.Sprintf("%s d%d, %s", op, vd(w), quad(vm(w))) }
}

func widen(op string) func(uint32) string {
	return func(w uint32) string { return fmt.Sprintf("%s %s, d%d", op, quad(vd(w)), vm(w)) }
}

func lane(op string) func(uint32) string {
	return func(w uint32) string { return fmt.Sprintf("%s {d%d[0]}, [r%d]%s", op, vd(w), bits(w, 16, 4), moved(w)) }
}

// armBaseline lists the mnemonics of Go's assembler that kernels use. MOVD is VLDR.
var armBaseline = words(`MOVW MOVD ADD ADD.S SUB.S CMP TST B BEQ BNE BLT BGE BGT RET`)

// checkARM returns what is wrong with a file of 32-bit arm assembly.
func checkARM(source string) (problems []string) {
	for i, line := range strings.Split(source, "\n") {
		line = strings.TrimSpace(line)
		op, rest, _ := strings.Cut(line, " ")
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("line %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		switch {
		case line == "" || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "#") || op == "TEXT" || strings.HasSuffix(line, ":"):
		case op == "WORD":
			m := wordLine.FindStringSubmatch(line)
			if m == nil {
				bad("%q: want WORD $0x and 8 digits, and the mnemonic behind //", line)
				continue
			}
			w, _ := strconv.ParseUint(m[1], 16, 32)
			if text, _ := decode(armForms, uint32(w)); text != m[2] {
				bad("%#08x is %q, the comment says %s", w, text, m[2])
			}
		case !armBaseline[op]:
			bad("%s is not in this test's list", op)
		case strings.Contains(rest, "R10") || strings.Contains(rest, "R11") || strings.Contains(rest, "R14"):
			bad("%s: R10, R11 and R14 are Go's", line)
		}
	}
	return problems
}

func armFiles(t *testing.T) map[string]string {
	files, err := filepath.Glob("*_arm.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no 32-bit arm assembly here (%v)", err)
	}
	sources := map[string]string{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_neon_arm.s") {
			t.Errorf("%s: NEON is the only instruction set known here", file)
		}
		sources[file] = string(source)
	}
	return sources
}

func TestARMWords(t *testing.T) {
	for file, source := range armFiles(t) {
		for _, p := range checkARM(source) {
			t.Errorf("%s: %s", file, p)
		}
	}
}

// The check finds what it is there for.
func TestARMWordsRefuses(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"WORD $0xf2808c04 // vmull.s8 q4, d0, d4", ""},
		{"WORD $0xf2808c04 // vmull.s8 q4, d0, d5", "the comment says"},
		{"WORD $0xf3808c04 // vmull.s8 q4, d0, d4", "the comment says"}, // unsigned
		{"WORD $0xf2801c04 // vmull.s8 q0, d0, d4", "the comment says"}, // an odd destination
		{"WORD $0xf4250a0d // vld1.8 {d0, d1}, [r5]", "the comment says"},
		{"WORD $0xf2808c04", "want WORD"},
		{"MOVW R10, R1", "are Go's"},
		{"MULD F0, F1", "not in this test's list"},
	} {
		got := strings.Join(checkARM("\t"+test.line+"\n"), "; ")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.line, got, test.want)
		}
	}
}

// llvm-mc reads the words as the comments do.
func TestARMWordsLLVM(t *testing.T) {
	mc := findLLVM("llvm-mc")
	if mc == "" {
		t.Skip("no llvm-mc in PATH: the words are checked against this package's own tables only")
	}
	var encoded, want []string
	for _, source := range armFiles(t) {
		for line := range strings.Lines(source) {
			if m := wordLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				h := m[1]
				encoded = append(encoded, fmt.Sprintf("0x%s 0x%s 0x%s 0x%s", h[6:8], h[4:6], h[2:4], h[0:2]))
				want = append(want, m[2])
			}
		}
	}
	cmd := exec.Command(mc, "--disassemble", "--triple=armv7", "--mattr=+neon")
	compareLLVM(t, cmd, encoded, want)
}
