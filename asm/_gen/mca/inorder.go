package main

import (
	"regexp"
	"slices"
	"strings"
)

// inOrder is a core that starts instructions in the order they stand in.
//
// llvm-mca demands besides that such a core's results come in order: a load of 3 cycles behind a multiplication of 4 waits
// one cycle, so that loads next to multiplications, which in-order cores start together, look slow. So there is a second
// count here, of starting alone: an instruction starts when those before it have, when its operands are there, after the
// latencies that llvm-mca states, and when a unit is free.
type inOrder struct {
	width, vector, memory int // instructions, vector instructions, loads and stores that start in a cycle
}

type instruction struct {
	latency        int
	vector, memory bool
	reads, writes  []string
}

var (
	infoRow  = regexp.MustCompile(`^ ?\d+ +(\d+) +[\d.]+ +(\*? *\*?) +(U? *)(\S+)\t?(.*)$`)
	register = regexp.MustCompile(`\b([xwvqdsh])(\d+)`)
)

// parse reads the instruction info of llvm-mca's report.
func parse(report string) (list []instruction) {
	_, table, _ := strings.Cut(report, "Instructions:\n")
	for line := range strings.Lines(table) {
		m := infoRow.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			break
		}
		op, args := m[4], m[5]
		in := instruction{latency: atoi(m[1]), memory: strings.Contains(m[2], "*")}
		var regs []string
		for _, r := range register.FindAllStringSubmatch(args, -1) {
			kind := "v"
			if r[1] == "x" || r[1] == "w" {
				kind = "x"
			}
			regs = append(regs, kind+r[2])
		}
		in.vector = !in.memory && len(regs) > 0 && regs[0][0] == 'v'
		in.reads = regs // the destination too, where it is a sum
		switch {
		case strings.HasPrefix(op, "b."):
			in.reads = []string{"flags"}
		case op == "subs" || op == "adds" || op == "cmp":
			in.writes = append(in.writes, "flags")
		}
		if len(regs) > 0 && !strings.HasPrefix(op, "st") && op != "cmp" {
			in.writes = append(in.writes, regs[0])
			if op == "ldp" {
				in.writes = append(in.writes, regs[1])
			}
			if !accumulates[strings.TrimSuffix(op, "2")] {
				in.reads = slices.Clone(regs[1:])
			}
		}
		list = append(list, in)
	}
	return list
}

// accumulates lists what reads its destination; LD1 of one lane keeps the others.
var accumulates = map[string]bool{"smlal": true, "sadalp": true, "saddw": true, "sdot": true, "usmmla": true, "ld1": true, "fmla": true}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

// cycles is what a turn costs in the long run.
func (c inOrder) cycles(list []instruction) float64 {
	ready := map[string]int{}
	now, started, vectors, memories := 0, 0, 0, 0
	turn := func() {
		for _, in := range list {
			at := now
			for _, r := range in.reads {
				at = max(at, ready[r])
			}
			if at > now {
				now, started, vectors, memories = at, 0, 0, 0
			}
			for started == c.width || in.vector && vectors == c.vector || in.memory && memories == c.memory {
				now, started, vectors, memories = now+1, 0, 0, 0
			}
			started++
			if in.vector {
				vectors++
			}
			if in.memory {
				memories++
			}
			for _, r := range in.writes {
				latency := in.latency
				if !in.vector && !in.memory {
					latency = 1 // increments and conditions are there in the next cycle
				}
				ready[r] = now + latency
			}
		}
	}
	for range 100 {
		turn()
	}
	before := now
	for range 200 {
		turn()
	}
	return float64(now-before) / 200
}
