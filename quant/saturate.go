package quant

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// saturationPoints is how finely a range is searched for where a function stops changing.
const saturationPoints = 4096

// saturate cuts the ranges of activations that only elementwise functions read, where these no longer change: a sigmoid's
// input beyond 7, a swish's below its minimum. What is cut off gives the same result, to a quarter of its step, and the grid
// gets finer where it matters. spans are those of the roots of groups; it returns which activations were cut.
func (l *lowerer) saturate(spans []span, wide []bool) []bool {
	m := l.m
	members := make([]int, len(m.Tensors))
	for t := range m.Tensors {
		if l.c.watch[t] {
			members[l.groups.root(t)]++
		}
	}
	reads := make([][]*format.Op, len(m.Tensors))
	for i := range m.Ops {
		for _, t := range m.Ops[i].Inputs {
			if t >= 0 {
				reads[t] = append(reads[t], &m.Ops[i])
			}
		}
	}
	cut := make([]bool, len(m.Tensors))
	for t := range m.Tensors {
		r := l.groups.root(t)
		if !l.c.watch[t] || t == m.Input || wide[r] || members[r] > 1 || len(reads[t]) == 0 || len(reads[t]) != l.uses[t] {
			continue
		}
		s := span{0, 0}
		for _, op := range reads[t] {
			s = s.union(l.matters(op, spans[r], spans[l.groups.root(op.Outputs[0])], wide[l.groups.root(op.Outputs[0])]))
		}
		if s != spans[r] {
			spans[r], cut[t] = s, true
		}
	}
	return cut
}

// matters returns the part of in outside of which op's result, which has the range out, does not change by more than a
// quarter of its step.
func (l *lowerer) matters(op *format.Op, in, out span, wide bool) span {
	if op.Kind != format.OpUnary {
		return in
	}
	f, perChannel, err := l.functionOf(op)
	if err != nil || perChannel {
		return in
	}
	steps := 255.
	if wide {
		steps = 65535
	}
	tolerance := (out.hi - out.lo) / steps / 4
	// flat returns how far towards zero one may go from end before f has changed.
	flat := func(end float64) float64 {
		lo, hi := math.Inf(1), math.Inf(-1)
		at := end
		for i := range saturationPoints + 1 {
			x := end * (1 - float64(i)/saturationPoints)
			y := f(x, 0)
			lo, hi = min(lo, y), max(hi, y)
			if !(hi-lo <= tolerance) {
				break
			}
			at = x
		}
		return at
	}
	return span{flat(in.lo), flat(in.hi)}
}
