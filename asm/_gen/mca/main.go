// Command mca reports what llvm-mca makes of the inner loops of the arm64 kernels, as a table in markdown: cycles a turn,
// products (multiply-accumulates) per cycle, and the share of what the core's multiplier could do.
//
// Run it as "go run ./mca [CORE...]" in asm/_gen. It takes llvm-mc and llvm-mca from the directory LLVM_BIN, or the newest
// ones in PATH: LLVM 14 models neither the Cortex-A510 nor the Neoverse N1, LLVM 19 and newer do.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A core says how many vector instructions of a kind it starts in a cycle: the peak that loops are measured against.
// None is that the core does not have the instruction.
type core struct {
	name   string // of llvm-mca
	source string
	rate   map[string]float64
	order  *inOrder
}

// products is how many products an instruction makes.
var products = map[string]float64{"smull": 8, "smlal": 8, "smlal.4s": 4, "sdot": 16, "usmmla": 32, "fmla": 4, "fmla.8h": 8}

const sog = "Arm's Software Optimization Guide of this core"

var cores = []core{
	{"cortex-a53", "one 128-bit vector instruction a cycle (LLVM's AArch64SchedA53.td; Arm publishes no guide)",
		rates(1, 1, 0, 0, 1, 0), &inOrder{2, 1, 1}},
	{"cortex-a55", sog + ": Q-form multiplications and dot products, one a cycle", rates(1, 1, 1, 0, 1, 1), &inOrder{2, 1, 1}},
	{"cortex-a57", sog + ": integer multiplications on pipeline F0 only, FMLA of 128 bits on F0 and F1 together", rates(1, 1, 0, 0, 1, 0), nil},
	{"cortex-a72", sog + ": integer multiplications on pipeline F0 only; LLVM models it as a Cortex-A57", rates(1, 1, 0, 0, 1, 0), nil},
	{"cortex-a76", sog + ": integer multiplications on V0, dot products and FMLA on V0 and V1", rates(1, 1, 2, 0, 2, 2), nil},
	{"neoverse-n1", sog + ": integer multiplications on V0, dot products and FMLA on V0 and V1", rates(1, 1, 2, 0, 2, 2), nil},
	{"cortex-a510", "two vector pipelines (LLVM's AArch64SchedA510.td)", rates(2, 2, 2, 2, 2, 2), &inOrder{3, 2, 2}},
	{"neoverse-n2", sog + ": SMULL, dot and matrix products and FMLA on V0 and V1, SMLAL on V0", rates(2, 1, 2, 2, 2, 2), nil},
}

// rates lists what a core starts in a cycle, of what it has.
func rates(smull, smlal, sdot, usmmla, fmla, half float64) map[string]float64 {
	return map[string]float64{"smull": smull, "smlal": smlal, "smlal.4s": smlal, "sdot": sdot, "usmmla": usmmla, "fmla": fmla, "fmla.8h": half}
}

// A loop is one inner loop with its machine code.
type loop struct {
	kernel   string
	products float64 // or results, of a loop that is none of products
	elements bool
	isa      string // from the file's name
	text     []string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(only []string) error {
	t, err := findTools()
	if err != nil {
		return err
	}
	files, err := filepath.Glob("../*_arm64.s")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no ../*_arm64.s: run this in asm/_gen")
	}
	var loops []loop
	for _, f := range files {
		l, err := t.loops(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		loops = append(loops, l...)
	}
	version, err := t.version()
	if err != nil {
		return err
	}
	fmt.Printf("%s.\n\n", version)
	fmt.Println("| core | kernel | products a turn | cycles a turn | products per cycle | peak of the multiplier | share | in order |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|")
	for _, c := range cores {
		if len(only) > 0 && !slices.Contains(only, c.name) {
			continue
		}
		for _, l := range loops {
			peak, ok := c.peak(l)
			if l.elements || !ok {
				continue
			}
			cycles, report, err := t.cycles(c.name, l)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", l.kernel, c.name, err)
			}
			rate := l.products / cycles
			started := ""
			if c.order != nil {
				n := c.order.cycles(parse(report))
				started = fmt.Sprintf("%.0f cycles, %.0f %%", n, 100*l.products/n/peak)
			}
			fmt.Printf("| %s | %s | %.0f | %.1f | %.2f | %.0f | %.0f %% | %s |\n", c.name, l.kernel, l.products, cycles, rate, peak, 100*rate/peak, started)
		}
	}
	if err := t.elements(loops, only); err != nil {
		return err
	}
	fmt.Println("\nIn order: the same latencies and units, without llvm-mca's rule that an in-order core's results are written in order.")
	fmt.Println("Peaks, in products per cycle of the multiplying instructions alone:")
	for _, c := range cores {
		if len(only) == 0 || slices.Contains(only, c.name) {
			fmt.Printf("- %s: %s.\n", c.name, c.source)
		}
	}
	return nil
}

// elements prints the table of what transforms, requantization and rows take for a result: of a channel's tile, for transforms.
func (t tools) elements(loops []loop, only []string) error {
	fmt.Println("\n| core | kernel | elements a turn | cycles a turn | cycles an element | in order |")
	fmt.Println("|---|---|--:|--:|--:|--:|")
	for _, c := range cores {
		for _, l := range loops {
			if !l.elements || len(only) > 0 && !slices.Contains(only, c.name) {
				continue
			}
			cycles, report, err := t.cycles(c.name, l)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", l.kernel, c.name, err)
			}
			started := ""
			if c.order != nil {
				started = fmt.Sprintf("%.0f cycles", c.order.cycles(parse(report)))
			}
			fmt.Printf("| %s | %s | %.0f | %.1f | %.2f | %s |\n", c.name, l.kernel, l.products, cycles, cycles/l.products, started)
		}
	}
	return nil
}

// peak is the most products per cycle that the multiplying instructions of the loop allow; ok is whether the core has all.
func (c *core) peak(l loop) (peak float64, ok bool) {
	var made, cycles float64
	for _, line := range l.text {
		op, args, _ := strings.Cut(strings.TrimSpace(line), "\t")
		op = strings.TrimSuffix(op, "2")
		switch {
		case op == "smlal" && strings.Contains(args, ".4s"):
			op = "smlal.4s"
		case op == "fmla" && strings.Contains(args, ".8h"):
			op = "fmla.8h"
		}
		n, multiplies := products[op]
		if !multiplies {
			continue
		}
		if c.rate[op] == 0 {
			return 0, false
		}
		made += n
		cycles += 1 / c.rate[op]
	}
	return made / cycles, made > 0
}

type tools struct{ mc, mca string }

func findTools() (tools, error) {
	if dir := os.Getenv("LLVM_BIN"); dir != "" {
		return tools{filepath.Join(dir, "llvm-mc"), filepath.Join(dir, "llvm-mca")}, nil
	}
	for v := 40; v >= 13; v-- {
		suffix := "-" + strconv.Itoa(v)
		if mca, err := exec.LookPath("llvm-mca" + suffix); err == nil {
			if mc, err := exec.LookPath("llvm-mc" + suffix); err == nil {
				return tools{mc, mca}, nil
			}
		}
	}
	mca, err := exec.LookPath("llvm-mca")
	if err != nil {
		return tools{}, fmt.Errorf("no llvm-mca: install Debian's llvm-19 or newer, or set LLVM_BIN")
	}
	mc, err := exec.LookPath("llvm-mc")
	return tools{mc, mca}, err
}

func (t tools) version() (string, error) {
	out, err := exec.Command(t.mca, "--version").Output()
	return "llvm-mca of " + regexp.MustCompile(`LLVM version \S+`).FindString(string(out)), err
}

var (
	mark     = regexp.MustCompile(`^\t// inner loop of (\w+): (\d+) (products|elements)$`)
	objLine  = regexp.MustCompile(`^\s+\S+\.s:(\d+)\t+0x[0-9a-f]+\t+([0-9a-f]{8})\t`)
	endMark  = "\t// end of inner loop"
	cycleRow = regexp.MustCompile(`(?m)^Total Cycles:\s+(\d+)`)
)

// loops assembles a file with Go's assembler and returns its inner loops as other assemblers write them.
func (t tools) loops(file string) ([]loop, error) {
	dir, err := os.MkdirTemp("", "mca")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, err := output(nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	object := filepath.Join(dir, "x.o")
	asm := exec.Command("go", "tool", "asm", "-p", "asm", "-I", filepath.Join(strings.TrimSpace(root), "pkg/include"), "-o", object, file)
	asm.Env = append(os.Environ(), "GOARCH=arm64", "GOOS=linux")
	if out, err := asm.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	dump, err := output(nil, "go", "tool", "objdump", object)
	if err != nil {
		return nil, err
	}
	code := map[int][]string{} // by line of the source, bytes in memory order
	for line := range strings.Lines(dump) {
		if m := objLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			h := m[2]
			code[n] = append(code[n], fmt.Sprintf("0x%s 0x%s 0x%s 0x%s", h[6:8], h[4:6], h[2:4], h[0:2]))
		}
	}
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(file), "_arm64.s")
	isa := name[strings.LastIndexByte(name, '_')+1:]
	var loops []loop
	var bytecode []string
	inside := false
	for i, line := range strings.Split(string(source), "\n") {
		if m := mark.FindStringSubmatch(line); m != nil {
			n, _ := strconv.ParseFloat(m[2], 64)
			loops = append(loops, loop{kernel: m[1], products: n, elements: m[3] == "elements", isa: isa})
			bytecode, inside = nil, true
			continue
		}
		if line == endMark {
			text, err := output([]byte(strings.Join(bytecode, "\n")), t.mc, "--disassemble", "--triple=aarch64", "--mattr=+dotprod,+i8mm,+fullfp16")
			if err != nil {
				return nil, err
			}
			l := &loops[len(loops)-1]
			for s := range strings.Lines(text) {
				if s = strings.TrimRight(s, "\n"); s != "" && !strings.HasPrefix(strings.TrimSpace(s), ".") {
					l.text = append(l.text, s)
				}
			}
			inside = false
		}
		if inside {
			bytecode = append(bytecode, code[i+1]...)
		}
	}
	return loops, nil
}

// cycles is the steady state, what two hundred more turns cost, with llvm-mca's report.
func (t tools) cycles(cpu string, l loop) (cycles float64, report string, err error) {
	run := func(n int) (float64, error) {
		attr, ok := map[string]string{"neon": "", "dotprod": "+dotprod", "i8mm": "+dotprod,+i8mm", "fp16": "+fullfp16"}[l.isa]
		if !ok {
			return 0, fmt.Errorf("instruction set %s is not known here", l.isa)
		}
		out, err := output([]byte(strings.Join(l.text, "\n")+"\n"), t.mca, "--mtriple=aarch64", "--mcpu="+cpu, "--mattr="+attr,
			"--iterations="+strconv.Itoa(n), "--noalias=true")
		if err != nil {
			return 0, err
		}
		m := cycleRow.FindStringSubmatch(out)
		if m == nil {
			return 0, fmt.Errorf("no cycles in %q", out)
		}
		report = out
		return strconv.ParseFloat(m[1], 64)
	}
	short, err := run(100)
	if err != nil {
		return 0, "", err
	}
	long, err := run(300)
	return (long - short) / 200, report, err
}

func output(in []byte, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, stderr.String())
	}
	return string(out), nil
}
