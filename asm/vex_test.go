package asm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	byteLine = regexp.MustCompile(`^\tBYTE \$0x([0-9a-f]{2}); BYTE \$0x([0-9a-f]{2}); BYTE \$0x([0-9a-f]{2}); BYTE \$0x([0-9a-f]{2}); BYTE \$0x([0-9a-f]{2}) // (.*)$`)
	spaces   = regexp.MustCompile(`[ \t]+`)
)

// encodedByHand returns the instructions written as bytes: their comments by their bytes in hexadecimal, and the text with
// the comments in their place.
func encodedByHand(t *testing.T, file string) (comments map[string]string, text string) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	comments = map[string]string{}
	lines := strings.Split(string(src), "\n")
	for i, l := range lines {
		if m := byteLine.FindStringSubmatch(l); m != nil {
			comments[strings.Join(m[1:6], "")] = m[6]
			lines[i] = "\t" + m[6]
		} else if strings.Contains(l, "BYTE") {
			t.Errorf("%s:%d: bytes without an instruction: %s", file, i+1, l)
		}
	}
	return comments, spaces.ReplaceAllString(strings.Join(lines, "\n"), " ")
}

// decodeVEX is VEX.256.66.0F38.W0 50 /r between registers, and nothing else.
func decodeVEX(code string) (string, error) {
	var c [5]byte
	for i := range c {
		v, err := strconv.ParseUint(code[2*i:2*i+2], 16, 8)
		if err != nil {
			return "", err
		}
		c[i] = byte(v)
	}
	switch {
	case c[0] != 0xC4:
		return "", fmt.Errorf("%s: not a VEX prefix of three bytes", code)
	case c[1]&0x5F != 0x42:
		return "", fmt.Errorf("%s: not map 0F38 without index", code)
	case c[2]&0x87 != 0x05:
		return "", fmt.Errorf("%s: not W0, 256 bits, prefix 66", code)
	case c[3] != 0x50:
		return "", fmt.Errorf("%s: opcode %#x", code, c[3])
	case c[4]>>6 != 3:
		return "", fmt.Errorf("%s: an operand in memory", code)
	}
	acc := c[4]>>3&7 | ^c[1]>>7&1<<3
	u := ^c[2] >> 3 & 15
	s := c[4]&7 | ^c[1]>>5&1<<3
	return fmt.Sprintf("VPDPBUSD Y%d, Y%d, Y%d", s, u, acc), nil
}

// The bytes are the instruction in the comment, and with it the file is the twin that Go's assembler encodes as EVEX, which
// is tested wherever there is AVX-512 VNNI.
func TestVEX(t *testing.T) {
	files, err := filepath.Glob("*_avxvnni_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files (%v)", err)
	}
	for _, f := range files {
		comments, text := encodedByHand(t, f)
		if len(comments) == 0 {
			t.Errorf("%s: no instruction is encoded by hand", f)
		}
		for code, comment := range comments {
			if got, err := decodeVEX(code); err != nil || got != comment {
				t.Errorf("%s: %s is %s (%v), the comment says %s", f, code, got, err, comment)
			}
		}
		if strings.Contains(f, "_peak_") {
			continue // its result does not matter
		}
		twin := strings.Replace(f, "avxvnni", "avx512vnni", 1)
		src, err := os.ReadFile(twin)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ReplaceAll(text, "AVXVNNI", "AVX512VNNI") != spaces.ReplaceAllString(string(src), " ") {
			t.Errorf("%s differs from %s in more than encoding", f, twin)
		}
	}
}

// Another assembler says the same.
func TestVEXByLLVM(t *testing.T) {
	llvm, err := exec.LookPath("llvm-mc")
	if err != nil {
		t.Skip("llvm-mc is not installed: the bytes are checked by TestVEX only")
	}
	files, _ := filepath.Glob("*_avxvnni_amd64.s")
	for _, f := range files {
		comments, _ := encodedByHand(t, f)
		for code, comment := range comments {
			var in strings.Builder
			for i := 0; i < len(code); i += 2 {
				in.WriteString("0x" + code[i:i+2] + " ")
			}
			cmd := exec.Command(llvm, "--disassemble", "-triple=x86_64", "-mattr=+avxvnni")
			cmd.Stdin = strings.NewReader(in.String())
			out, err := cmd.CombinedOutput()
			if bytes.Contains(out, []byte("not a recognized feature")) {
				t.Skipf("%s does not know AVX-VNNI", llvm)
			}
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := strings.TrimSpace(strings.NewReplacer(".text", "", "{vex}", "", "%ymm", "Y", "vpdpbusd", "VPDPBUSD").Replace(string(out)))
			if got = spaces.ReplaceAllString(got, " "); got != comment {
				t.Errorf("%s: %s is %s, the comment says %s", f, code, got, comment)
			}
		}
	}
}

// Kernels for processors without AVX have none of its instructions.
func TestLegacySSE(t *testing.T) {
	files, err := filepath.Glob("*_sse41_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files (%v)", err)
	}
	avx := regexp.MustCompile(`(?m)^\t(V[A-Z0-9]+|BYTE|WORD|LONG) .*$|\b[YZK]\d+\b`)
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range avx.FindAllString(string(src), -1) {
			t.Errorf("%s: %s", f, strings.TrimSpace(m))
		}
	}
}
