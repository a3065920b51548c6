package asm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The arm64 assembly holds instructions that Go's assembler does not know as words, each with its mnemonic in a comment.
// These tests run everywhere: they decode the words with the tables below, written from the encodings in the Arm
// Architecture Reference Manual (DDI 0487, C7) and not from the generator, and compare; and they demand that a file holds
// nothing that the instruction set in its name does not have.

// form is one row of the encoding tables: an instruction word is of the form if its bits under mask are value.
type form struct {
	mask, value uint32
	feature     string // "" is the baseline
	text        func(w uint32) string
}

func bits(w uint32, lo, n int) int { return int(w >> lo & (1<<n - 1)) }

// d, n and m are the registers' usual places.
func d(w uint32) int { return bits(w, 0, 5) }
func n(w uint32) int { return bits(w, 5, 5) }
func m(w uint32) int { return bits(w, 16, 5) }

func three(format string) func(uint32) string {
	return func(w uint32) string { return fmt.Sprintf(format, d(w), n(w), m(w)) }
}

func two(format string) func(uint32) string {
	return func(w uint32) string { return fmt.Sprintf(format, d(w), n(w)) }
}

var forms = []form{
	// Advanced SIMD two-register miscellaneous: 0 Q U 01110 size 10000 opcode 10 Rn Rd.
	{0xFFFFFC00, 0b0_1_0_01110_01_10000_00110_10 << 10, "", two("sadalp v%d.4s, v%d.8h")},
	{0xFFFFFC00, 0b0_1_0_01110_00_10000_11010_10 << 10, "", two("fcvtns v%d.4s, v%d.4s")},
	{0xFFFFFC00, 0b0_0_0_01110_00_10000_10111_10 << 10, "", two("fcvtl v%d.4s, v%d.4h")},
	{0xFFFFFC00, 0b0_1_0_01110_00_10000_10111_10 << 10, "", two("fcvtl2 v%d.4s, v%d.8h")},
	{0xFFFFFC00, 0b0_0_0_01110_00_10000_10110_10 << 10, "", two("fcvtn v%d.4h, v%d.4s")},
	{0xFFFFFC00, 0b0_1_0_01110_00_10000_10110_10 << 10, "", two("fcvtn2 v%d.8h, v%d.4s")},
	{0xFFFFFC00, 0b0_0_0_01110_01_10000_10110_10 << 10, "", two("fcvtn v%d.2s, v%d.2d")},
	{0xFFFFFC00, 0b0_1_0_01110_01_10000_10110_10 << 10, "", two("fcvtn2 v%d.4s, v%d.2d")},
	// Advanced SIMD three different: 0 Q U 01110 size 1 Rm opcode 00 Rn Rd.
	{0xFFE0FC00, 0b0_0_0_01110_01_1_00000_0001_00 << 10, "", three("saddw v%d.4s, v%d.4s, v%d.4h")},
	{0xFFE0FC00, 0b0_1_0_01110_01_1_00000_0001_00 << 10, "", three("saddw2 v%d.4s, v%d.4s, v%d.8h")},
	{0xFFE0FC00, 0b0_0_0_01110_01_1_00000_1000_00 << 10, "", three("smlal v%d.4s, v%d.4h, v%d.4h")},
	{0xFFE0FC00, 0b0_1_0_01110_01_1_00000_1000_00 << 10, "", three("smlal2 v%d.4s, v%d.8h, v%d.8h")},
	// Advanced SIMD three same: 0 Q U 01110 size 1 Rm opcode 1 Rn Rd.
	{0xFFE0FC00, 0b0_1_1_01110_01_1_00000_10110_1 << 10, "", three("sqrdmulh v%d.8h, v%d.8h, v%d.8h")},
	// Advanced SIMD shift by immediate: 0 Q U 011110 immh immb opcode 1 Rn Rd; to the right by twice the result's bits less immh:immb.
	{0xFFFFFC00, 0b0_0_0_011110_0010_000_10000_1 << 10, "", two("shrn v%d.4h, v%d.4s, #16")},
	{0xFFFFFC00, 0b0_1_0_011110_0010_000_10000_1 << 10, "", two("shrn2 v%d.8h, v%d.4s, #16")},
	{0xFFFFFC00, 0b0_0_0_011110_0010_000_10001_1 << 10, "", two("rshrn v%d.4h, v%d.4s, #16")},
	{0xFFFFFC00, 0b0_1_0_011110_0010_000_10001_1 << 10, "", two("rshrn2 v%d.8h, v%d.4s, #16")},
	{0xFFFFFC00, 0b0_0_1_011110_0001_100_10000_1 << 10, "", two("sqshrun v%d.8b, v%d.8h, #4")},
	// Advanced SIMD vector x indexed element: 0 Q U 01111 size L M Rm opcode H 0 Rn Rd.
	{0xFFC0F400, 0b0_0_0_01111_01_0_0_0000_0010_0_0 << 10, "", halfElement("smlal v%d.4s, v%d.4h, v%d.h[%d]")},
	{0xFFC0F400, 0b0_1_0_01111_01_0_0_0000_0010_0_0 << 10, "", halfElement("smlal2 v%d.4s, v%d.8h, v%d.h[%d]")},
	{0xFFC0F400, 0b0_1_0_01111_00_0_0_0000_0001_0_0 << 10, "fp16", halfElement("fmla v%d.8h, v%d.8h, v%d.h[%d]")},
	{0xFFC0F400, 0b0_1_0_01111_10_0_0_0000_0001_0_0 << 10, "", func(w uint32) string {
		return fmt.Sprintf("fmla v%d.4s, v%d.4s, v%d.s[%d]", d(w), n(w), m(w), bits(w, 11, 1)<<1|bits(w, 21, 1))
	}},
	{0xFFC0F400, 0b0_1_0_01111_10_0_0_0000_1110_0_0 << 10, "dotprod", func(w uint32) string {
		return fmt.Sprintf("sdot v%d.4s, v%d.16b, v%d.4b[%d]", d(w), n(w), m(w), bits(w, 11, 1)<<1|bits(w, 21, 1))
	}},
	// Advanced SIMD three-register extension: 0 Q U 01110 size 0 Rm 1 opcode 1 Rn Rd.
	{0xFFE0FC00, 0b0_1_0_01110_10_0_00000_1_0010_1 << 10, "dotprod", three("sdot v%d.4s, v%d.16b, v%d.16b")},
	{0xFFE0FC00, 0b0_1_0_01110_10_0_00000_1_0100_1 << 10, "i8mm", three("smmla v%d.4s, v%d.16b, v%d.16b")},
	{0xFFE0FC00, 0b0_1_0_01110_10_0_00000_1_0101_1 << 10, "i8mm", three("usmmla v%d.4s, v%d.16b, v%d.16b")},
	{0xFFE0FC00, 0b0_1_0_01110_10_0_00000_1_0011_1 << 10, "i8mm", three("usdot v%d.4s, v%d.16b, v%d.16b")},
	// Load register (register offset): size 111 V 00 opc 1 Rm option S 10 Rn Rt; option 011, S 0: no extension, no shift.
	{0xFFE0FC00, 0b00_111_1_00_11_1_00000_011_0_10 << 10, "", three("ldr q%d, [x%d, x%d]")},
}

// halfElement: index H:L:M, so that Rm has four bits.
func halfElement(format string) func(uint32) string {
	return func(w uint32) string {
		return fmt.Sprintf(format, d(w), n(w), bits(w, 16, 4), bits(w, 11, 1)<<2|bits(w, 21, 1)<<1|bits(w, 20, 1))
	}
}

// decode returns what the word is, or "" if no row of the tables has it.
func decode(forms []form, w uint32) (text, feature string) {
	for _, f := range forms {
		if w&f.mask == f.value {
			return f.text(w), f.feature
		}
	}
	return "", ""
}

// features are what a kernel may use, by the instruction set in its file's name.
var features = map[string]string{"neon": "", "dotprod": " dotprod ", "i8mm": " dotprod i8mm ", "fp16": " fp16 "}

// baseline lists the mnemonics of Go's assembler that kernels use and every arm64 CPU has. The assembler knows others that
// it has not: SVE (Z and P registers), SHA, AES, atomics.
var baseline = words(`ADD ADDS SUB SUBS CMP LSL MOVD B BEQ BNE BLT BGE BGT TBZ RET LDP.P MUL CBNZ
	FMOVQ FMOVQ.P FMOVD FMOVD.P FMOVS FLDPQ FLDPD FSTPQ VLD1 VLD1.P VLD1R VLD2.P VST1 VST1.P
	VADD VSUB VMUL VADDP VEOR VEXT VMOVI VMOV VDUP VSMULL VSMULL2 VSMLAL VSMLAL2 VUXTL VUXTL2 VSXTL VSXTL2 VUZP1 VUZP2
	VZIP1 VZIP2 VORR VLD2.P VLD3.P VST3.P VTRN1 VTRN2 VSHL VSSHR VUSHR VSCVTF VFADD VFSUB VFMUL VFMAX VFMIN
	VUADDW VUADDW2 VUMAX BLE CBZ MOVW MOVD.P VFDIV VFNEG VFMLA VFADDP VFCVTL VFCVTL2 VFCVTN VFCVTN2`)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
}

var wordLine = regexp.MustCompile(`^WORD \$0x([0-9a-fA-F]{8}) // (.+)$`)

// checkARM64 returns what is wrong with a file of arm64 assembly for an instruction set.
func checkARM64(isa, source string) (problems []string) {
	allowed, known := features[isa]
	if !known {
		return []string{"instruction set " + isa + " in the file's name is not known here"}
	}
	for i, line := range strings.Split(source, "\n") {
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("line %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		line = strings.TrimSpace(line)
		op, _, _ := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "TEXT ") || strings.HasSuffix(line, ":"):
		case op == "WORD":
			m := wordLine.FindStringSubmatch(line)
			if m == nil {
				bad("%q: want WORD $0x and 8 digits, and the mnemonic behind //", line)
				continue
			}
			w, _ := strconv.ParseUint(m[1], 16, 32)
			text, feature := decode(forms, uint32(w))
			switch {
			case text == "":
				bad("no table here has %#08x (%s)", w, m[2])
			case text != m[2]:
				bad("%#08x is %s, the comment says %s", w, text, m[2])
			case feature != "" && !strings.Contains(allowed, " "+feature+" "):
				bad("%s needs %s", text, feature)
			}
		case !baseline[op]:
			bad("%s is not in this test's list of baseline instructions", op)
		}
	}
	return problems
}

// eachARM64 calls f with every file of arm64 assembly and its instruction set.
func eachARM64(t *testing.T, f func(t *testing.T, isa, source string)) {
	files, err := filepath.Glob("*_arm64.s")
	if err != nil || len(files) == 0 {
		t.Skipf("no arm64 assembly here (%v)", err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			stem := strings.TrimSuffix(file, "_arm64.s")
			f(t, stem[strings.LastIndexByte(stem, '_')+1:], string(source))
		})
	}
}

func TestARM64Words(t *testing.T) {
	eachARM64(t, func(t *testing.T, isa, source string) {
		for _, p := range checkARM64(isa, source) {
			t.Error(p)
		}
	})
}

// The check finds what it is there for.
func TestARM64WordsRefuses(t *testing.T) {
	for _, test := range []struct{ isa, line, want string }{
		{"dotprod", "WORD $0x4f82e020 // sdot v0.4s, v1.16b, v2.4b[0]", ""},
		{"neon", "WORD $0x4f82e020 // sdot v0.4s, v1.16b, v2.4b[0]", "needs dotprod"},
		{"dotprod", "WORD $0x4e82ac20 // usmmla v0.4s, v1.16b, v2.16b", "needs i8mm"},
		{"i8mm", "WORD $0x4fa2e820 // sdot v0.4s, v1.16b, v2.4b[3]", ""},
		{"dotprod", "WORD $0x4fa2e820 // sdot v0.4s, v1.16b, v2.4b[2]", "the comment says"},
		{"dotprod", "WORD $0x4f92e020 // sdot v0.4s, v1.16b, v2.4b[0]", "v18.4b[0], the comment says"},
		{"neon", "WORD $0x4e606a8c", "want WORD"},
		{"neon", "WORD $0xd503201f // nop", "no table"},
		{"neon", "VEOR3 V0.B16, V1.B16, V2.B16, V3.B16", "not in this test's list"},
		{"fp16", "WORD $0x4f221020 // fmla v0.8h, v1.8h, v2.h[2]", ""},
		{"neon", "WORD $0x4f221020 // fmla v0.8h, v1.8h, v2.h[2]", "needs fp16"},
		{"sve", "RET", "not known"},
	} {
		got := strings.Join(checkARM64(test.isa, "\t"+test.line+"\n"), "; ")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s in a %s file: %q, want %q", test.line, test.isa, got, test.want)
		}
	}
}

// llvm-mc reads the words as the comments do.
func TestARM64WordsLLVM(t *testing.T) {
	mc := findLLVM("llvm-mc")
	if mc == "" {
		t.Skip("no llvm-mc in PATH: the words are checked against this package's own tables only")
	}
	var encoded, want []string
	eachARM64(t, func(t *testing.T, isa, source string) {
		for line := range strings.Lines(source) {
			if m := wordLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				h := m[1]
				encoded = append(encoded, fmt.Sprintf("0x%s 0x%s 0x%s 0x%s", h[6:8], h[4:6], h[2:4], h[0:2]))
				want = append(want, m[2])
			}
		}
	})
	compareLLVM(t, exec.Command(mc, "--disassemble", "--triple=aarch64", "--mattr=+dotprod,+i8mm,+fullfp16"), encoded, want)
}

// compareLLVM has cmd, an llvm-mc, decode the words and compares them with what they ought to be.
func compareLLVM(t *testing.T, cmd *exec.Cmd, encoded, want []string) {
	t.Helper()
	mc := cmd.Path
	cmd.Stdin = strings.NewReader(strings.Join(encoded, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", mc, err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && line[0] != '.' {
			got = append(got, line)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s decodes %d of %d words", mc, len(got), len(want))
	}
	bad := 0
	for i := range want {
		if got[i] != want[i] {
			if bad++; bad <= 5 {
				t.Errorf("%s: %s, the comment says %s", encoded[i], got[i], want[i])
			}
		}
	}
}

// findLLVM looks for a tool of LLVM, which distributions install with its version in the name.
func findLLVM(tool string) string {
	if p, err := exec.LookPath(tool); err == nil {
		return p
	}
	for v := 40; v >= 13; v-- {
		if p, err := exec.LookPath(fmt.Sprintf("%s-%d", tool, v)); err == nil {
			return p
		}
	}
	return ""
}
