package docs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// block is a fenced block that is run, and what it has to print.
type block struct {
	line          int
	torch         bool
	program       bool        // in Go, not for the shell
	copy          [][2]string // before it is run
	script        string
	expected      string
	expectedStart int
}

var (
	copyLine    = regexp.MustCompile(`^<!-- test: cp (\S+) (\S+) -->$`)
	needLine    = regexp.MustCompile(`(?m)^<!-- test: needs (\S+) -->$`)
	elementLine = regexp.MustCompile(`(?m)^<!-- test: needs-element (.+) -->$`)
)

// missing says which program, or element of GStreamer, that a page needs is not on this machine; empty if all are.
func missing(t *testing.T, page string) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range needLine.FindAllSubmatch(data, -1) {
		if _, err := exec.LookPath(string(m[1])); err != nil {
			return err.Error()
		}
	}
	for _, m := range elementLine.FindAllSubmatch(data, -1) {
		for element := range strings.FieldsSeq(string(m[1])) {
			if out, err := exec.Command("gst-inspect-1.0", element).CombinedOutput(); err != nil {
				return fmt.Sprintf("GStreamer lacks %s: %v: %s", element, err, out)
			}
		}
	}
	return ""
}

var portLine = regexp.MustCompile(`(?m)^<!-- test: port (\d+) -->$`)

// ports gives a free port of this machine for each that a page uses, to put in its place.
func ports(t *testing.T, page string) *strings.Replacer {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, m := range portLine.FindAllSubmatch(data, -1) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // when all are chosen
		pairs = append(pairs, string(m[1]), fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
	return strings.NewReplacer(pairs...)
}

// atEnd ends what a block has left running. (In a substitution, sh has forgotten its jobs.)
const atEnd = "trap 'jobs -p >.jobs; kill $(cat .jobs) 2>/dev/null || true' EXIT\n"

// blocks reads the blocks of a page.
func blocks(t *testing.T, page string) []*block {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var list []*block
	var copies [][2]string
	into := (*string)(nil)
	fenced := false
	s := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; s.Scan(); n++ {
		line := s.Text()
		switch info, fence := strings.CutPrefix(line, "```"); {
		case fence && fenced:
			fenced, into = false, nil
		case fence:
			fenced = true
			switch info {
			case "sh test", "sh torch", "go test":
				b := &block{line: n, torch: info == "sh torch", program: info == "go test", copy: copies}
				list, copies, into = append(list, b), nil, &b.script
			case "text":
				if len(list) > 0 {
					b := list[len(list)-1]
					b.expectedStart, into = n, &b.expected
				}
			}
		case into != nil:
			*into += line + "\n"
		default:
			if m := copyLine.FindStringSubmatch(line); m != nil {
				copies = append(copies, [2]string{m[1], m[2]})
			}
		}
	}
	if fenced {
		t.Errorf("%s: a block does not end", page)
	}
	return list
}

func TestCommands(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "rfga-edge"), "../cmd/rfga-edge").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	noTorch := torch()
	if p := python(); noTorch == "" && filepath.IsAbs(p) { // where another python3 comes first, without PyTorch
		if err := os.Symlink(p, filepath.Join(bin, "python3")); err != nil {
			t.Fatal(err)
		}
	}
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			if why := missing(t, page); why != "" {
				t.Skipf("%s is not run: %s", page, why)
			}
			dir, free := t.TempDir(), ports(t, page)
			for _, b := range blocks(t, page) {
				if b.torch && noTorch != "" {
					t.Skipf("%s:%d and what follows is not run: %s", page, b.line, noTorch)
				}
				for _, c := range b.copy {
					if out, err := exec.Command("cp", "-r", filepath.Join(root, c[0]), filepath.Join(dir, c[1])).CombinedOutput(); err != nil {
						t.Fatalf("%s:%d: cp %s: %v\n%s", page, b.line, c[0], err, out)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
				cmd := exec.CommandContext(ctx, "sh", "-e")
				cmd.Dir, cmd.Stdin = dir, strings.NewReader(atEnd+free.Replace(b.script))
				if b.program {
					path := filepath.Join(dir, "main.go")
					if err := os.WriteFile(path, []byte(b.script), 0o666); err != nil {
						t.Fatal(err)
					}
					cmd = exec.CommandContext(ctx, "go", "run", path)
					cmd.Dir = root
				}
				cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "RFGA_EDGE="+root)
				out, err := cmd.CombinedOutput()
				cancel()
				if err != nil {
					t.Fatalf("%s:%d: %v\n%s\n%s", page, b.line, err, b.script, out)
				}
				if err := contains(string(out), b.expected); err != nil {
					t.Errorf("%s:%d: %v; it printed\n%s", page, b.expectedStart, err, out)
				}
			}
		})
	}
}

// contains says which line of expected is not in out behind the lines before it.
func contains(out, expected string) error {
	for line := range strings.Lines(expected) {
		for _, part := range strings.Split(strings.TrimSpace(line), "...") {
			_, rest, ok := strings.Cut(out, strings.TrimSpace(part))
			if !ok {
				return fmt.Errorf("%q is missing", strings.TrimSpace(line))
			}
			out = rest
		}
	}
	return nil
}

// torch says why training cannot be run; empty if it can.
func torch() string {
	if os.Getenv("RFGA_TRAIN") == "" {
		return "RFGA_TRAIN is not set (make ci-full sets it)"
	}
	if python() == "" {
		return "neither python3 nor /usr/bin/python3 has PyTorch, NumPy and Pillow"
	}
	return ""
}

// python is an interpreter that can train; empty if there is none. Debian's stands aside where another python3 comes first.
func python() string {
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import torch, numpy, PIL").Run() == nil {
			return p
		}
	}
	return ""
}
