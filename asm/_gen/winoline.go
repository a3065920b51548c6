package main

import "slices"

// Winograd's method in one dimension, F(6,7) and F(4,3), on 16-bit operands, modulo 2**32: the formulas, for every
// instruction set. kernels/winograd_line.go has the mathematics.

// lineOps emits a transform on registers 0 to 11: 16-bit lanes of inputs and filters, 32-bit lanes of outputs.
type lineOps interface {
	load(i, r int)  // operand i
	store(i, r int) // result i
	spill(i, r int) // to a place in scratch
	fill(i, r int)  // from there
	add(d, n, m int)
	sub(d, n, m int) // d = n-m; d is not m
	shl(d, n, bits int)
	mul(d, n, by int) // by one of the form's constants
}

// A lineForm is F(m,r): m+r-1 inputs, freqs products.
type lineForm struct {
	name    string // in symbols
	m, r    int
	freqs   int
	inverse uint32 // of the odd part of the scale, which is 8 times odd
	input   lineStep
	filter  lineStep
	output  lineStep
}

func (f *lineForm) n() int { return f.m + f.r - 1 }

// A lineStep is a transform, and the constants that it multiplies by.
type lineStep struct {
	by   []int
	emit func(l lineOps)
}

const lineSpills = 5

var lineForms = []lineForm{
	{"6of7", 6, 7, 14, 0xFBAA6551, lineStep{[]int{9, 13, 17, 21}, input6of7}, lineStep{[]int{35, 45, 210, -15}, filter6of7}, lineStep{nil, output6of7}},
	{"4of3", 4, 3, 6, 0xAAAAAAAB, lineStep{nil, input4of3}, lineStep{[]int{6}, filter4of3}, lineStep{nil, output4of3}},
}

func loadAll(l lineOps, from, step, n int) {
	for i := range n {
		l.load(from+step*i, i)
	}
}

// In the matrices of F(6,7), a row for the point -p is that of p with the odd columns negated, and so it is with x^2+x+1 and
// x^2-x+1: even and odd terms are computed apart. The even ones of inputs wait in scratch.
func input6of7(l lineOps) {
	// sum leaves even and odd in registers 9 and 8, and stores even+odd and even-odd, which stay in p and q.
	sum := func(spilled, i, j, p, q int) {
		l.fill(spilled, 9)
		l.add(p, 9, 8)
		l.sub(q, 9, 8)
		l.store(i, p)
		l.store(j, q)
	}
	loadAll(l, 0, 2, 6) // d0 d2 d4 d6 d8 d10
	l.sub(6, 1, 4)      // d2-d8
	l.sub(7, 2, 5)      // d4-d10
	l.sub(8, 0, 5)      // 4*(d0-d10+d4-d6) - 17*(d2-d8)
	l.add(8, 8, 2)
	l.sub(8, 8, 3)
	l.shl(8, 8, 2)
	l.mul(9, 6, 17)
	l.sub(8, 8, 9)
	l.store(0, 8)
	l.add(8, 2, 4) // 13*(d4+d8) + 9*d6 - 4*(d2+d10)
	l.mul(8, 8, 13)
	l.mul(9, 3, 9)
	l.add(8, 8, 9)
	l.add(9, 1, 5)
	l.shl(9, 9, 2)
	l.sub(8, 8, 9)
	l.spill(0, 8)
	l.shl(8, 7, 2) // d2-d8 - 4*(d4-d10)
	l.sub(9, 6, 8)
	l.spill(1, 9)
	l.shl(8, 6, 2)
	l.sub(9, 8, 7) // 8*(d2-d8) - 2*(d4-d10)
	l.add(9, 9, 9)
	l.spill(2, 9)
	l.sub(9, 2, 3) // 4*(d2-d8) - 21*(d4-d6)
	l.mul(9, 9, 21)
	l.sub(8, 8, 9)
	l.spill(3, 8)
	l.sub(8, 1, 5) // 4*(d2-d10) - 17*(d4-d8)
	l.shl(8, 8, 2)
	l.sub(9, 2, 4)
	l.mul(9, 9, 17)
	l.sub(8, 8, 9)
	l.spill(4, 8)

	loadAll(l, 1, 2, 6) // d1 d3 d5 d7 d9 d11
	l.sub(6, 1, 4)      // d3-d9
	l.sub(7, 0, 3)      // d1-d7
	l.sub(8, 5, 0)      // 4*(d11-d1+d7-d5) + 17*(d3-d9)
	l.add(8, 8, 3)
	l.sub(8, 8, 2)
	l.shl(8, 8, 2)
	l.mul(9, 6, 17)
	l.add(8, 8, 9)
	l.store(13, 8)
	l.add(8, 1, 3) // 13*(d3+d7) + 9*d5 - 4*(d1+d9)
	l.mul(8, 8, 13)
	l.mul(9, 2, 9)
	l.add(8, 8, 9)
	l.add(9, 0, 4)
	l.shl(9, 9, 2)
	l.sub(8, 8, 9)
	sum(0, 1, 2, 10, 11)
	l.shl(9, 6, 2) // 2*(d1-d7) - 8*(d3-d9)
	l.sub(8, 7, 9)
	l.add(8, 8, 8)
	sum(1, 3, 4, 10, 11)
	l.shl(8, 7, 2) // 4*(d1-d7) - (d3-d9)
	l.sub(8, 8, 6)
	sum(2, 5, 6, 10, 11)
	l.sub(8, 1, 3) // 17*(d3-d7) - 4*(d1-d9)
	l.mul(8, 8, 17)
	l.sub(9, 0, 4)
	l.shl(9, 9, 2)
	l.sub(8, 8, 9)
	sum(3, 7, 10, 10, 11)
	l.sub(8, 2, 3) // 21*(d5-d7) - 4*(d3-d9)
	l.mul(8, 8, 21)
	l.shl(9, 6, 2)
	l.sub(8, 8, 9)
	sum(4, 8, 11, 0, 1)
	l.add(10, 10, 0)
	l.store(9, 10)
	l.add(11, 11, 1)
	l.store(12, 11)
}

func filter6of7(l lineOps) {
	// sum stores by times even+odd and even-odd, in registers 8 and 9.
	sum := func(i, j, by int) {
		l.add(10, 8, 9)
		l.sub(11, 8, 9)
		if by != 1 {
			l.mul(10, 10, by)
			l.mul(11, 11, by)
		}
		l.store(i, 10)
		l.store(j, 11)
	}
	loadAll(l, 0, 1, 7)
	for i := range 2 {
		l.mul(8, 6*i, 210)
		l.store(13*i, 8)
	}
	l.add(7, 0, 6) // w0+w6
	l.add(8, 7, 2)
	l.add(8, 8, 4)
	l.add(9, 1, 3)
	l.add(9, 9, 5)
	sum(1, 2, 35)
	l.shl(8, 6, 2) // w0 + 4*w2 + 16*w4 + 64*w6, and 2*w1 + 8*w3 + 32*w5
	l.add(8, 8, 4)
	l.shl(8, 8, 2)
	l.add(8, 8, 2)
	l.shl(8, 8, 2)
	l.add(8, 8, 0)
	l.shl(9, 5, 2)
	l.add(9, 9, 3)
	l.shl(9, 9, 2)
	l.add(9, 9, 1)
	l.add(9, 9, 9)
	sum(3, 4, 1)
	l.shl(8, 0, 2) // 64*w0 + 16*w2 + 4*w4 + w6, and 32*w1 + 8*w3 + 2*w5
	l.add(8, 8, 2)
	l.shl(8, 8, 2)
	l.add(8, 8, 4)
	l.shl(8, 8, 2)
	l.add(8, 8, 6)
	l.shl(9, 1, 2)
	l.add(9, 9, 3)
	l.shl(9, 9, 2)
	l.add(9, 9, 5)
	l.add(9, 9, 9)
	sum(5, 6, 1)
	l.sub(8, 7, 2) // w0-w2+w6, and w3-w5
	l.sub(9, 3, 5)
	sum(7, 10, 45)
	l.sub(8, 4, 2) // w4-w2, and w1-w5
	l.sub(9, 1, 5)
	sum(8, 11, 45)
	l.add(8, 7, 4) // w0-2*w2+w4+w6, and w1+w3-2*w5: the sums of the two
	l.sub(8, 8, 2)
	l.sub(8, 8, 2)
	l.add(9, 1, 3)
	l.sub(9, 9, 5)
	l.sub(9, 9, 5)
	sum(9, 12, -15)
}

func output6of7(l lineOps) {
	// The even results of even terms, then the odd ones of odd terms: p is the sum, or the difference, of each pair.
	pairs := [6][2]int{{1, 2}, {3, 4}, {5, 6}, {7, 10}, {8, 11}, {9, 12}}
	combine := func(op func(d, n, m int)) {
		for p, f := range pairs {
			l.load(f[0], p)
			l.load(f[1], 6)
			op(p, p, 6)
		}
	}
	combine(l.add)
	l.load(0, 6) // 9*m0 + 4*(s0+s3+s5) + s1 + 32*s2
	l.shl(7, 6, 3)
	l.add(6, 6, 7)
	l.add(7, 0, 3)
	l.add(7, 7, 5)
	l.shl(8, 2, 3)
	l.add(7, 7, 8)
	l.shl(7, 7, 2)
	l.add(6, 6, 7)
	l.add(6, 6, 1)
	l.store(0, 6)
	l.sub(6, 2, 5) // 4*(s0+s1-s3-s4+2*(s2-s5))
	l.add(6, 6, 6)
	l.add(6, 6, 0)
	l.add(6, 6, 1)
	l.sub(6, 6, 3)
	l.sub(6, 6, 4)
	l.shl(6, 6, 2)
	l.store(2, 6)
	l.shl(6, 1, 2) // 4*(s0+s4+s5+4*s1) + 2*s2
	l.add(6, 6, 0)
	l.add(6, 6, 4)
	l.add(6, 6, 5)
	l.shl(6, 6, 2)
	l.add(6, 6, 2)
	l.add(6, 6, 2)
	l.store(4, 6)

	combine(l.sub)
	l.shl(6, 2, 2) // 4*(s0+s4+s5+4*s2) + 2*s1
	l.add(6, 6, 0)
	l.add(6, 6, 4)
	l.add(6, 6, 5)
	l.shl(6, 6, 2)
	l.add(6, 6, 1)
	l.add(6, 6, 1)
	l.store(1, 6)
	l.add(6, 1, 1) // 4*(s0+s2+s3+s5+2*s1)
	l.add(6, 6, 0)
	l.add(6, 6, 2)
	l.add(6, 6, 3)
	l.add(6, 6, 5)
	l.shl(6, 6, 2)
	l.store(3, 6)
	l.load(13, 6) // 9*m13 + 4*(s0-s3-s4-2*s5+8*s1) + s2
	l.shl(7, 6, 3)
	l.add(6, 6, 7)
	l.shl(7, 1, 2)
	l.sub(7, 7, 5)
	l.add(7, 7, 7)
	l.add(7, 7, 0)
	l.sub(7, 7, 3)
	l.sub(7, 7, 4)
	l.shl(7, 7, 2)
	l.add(6, 6, 7)
	l.add(6, 6, 2)
	l.store(5, 6)
}

// F(4,3) is a dimension of F(4x4,3x3).
func input4of3(l lineOps) {
	loadAll(l, 0, 1, 6)
	l.shl(8, 2, 2)
	l.sub(6, 4, 8) // d4-4*d2
	l.shl(8, 1, 2)
	l.sub(7, 3, 8) // d3-4*d1
	l.add(8, 6, 7)
	l.store(1, 8)
	l.sub(8, 6, 7)
	l.store(2, 8)
	l.sub(6, 4, 2) // d4-d2
	l.sub(7, 3, 1) // 2*(d3-d1)
	l.add(7, 7, 7)
	l.add(8, 6, 7)
	l.store(3, 8)
	l.sub(8, 6, 7)
	l.store(4, 8)
	l.sub(8, 0, 2) // 4*(d0-d2) + d4-d2
	l.shl(8, 8, 2)
	l.add(8, 8, 6)
	l.store(0, 8)
	l.sub(8, 5, 3) // d5-d3 - 4*(d3-d1)
	l.sub(8, 8, 7)
	l.sub(8, 8, 7)
	l.store(5, 8)
}

func filter4of3(l lineOps) {
	loadAll(l, 0, 1, 3)
	for i := range 2 {
		l.mul(8, 2*i, 6)
		l.store(5*i, 8)
	}
	l.add(3, 0, 2)
	l.add(4, 3, 1)
	l.store(1, 4)
	l.sub(4, 3, 1)
	l.store(2, 4)
	l.shl(3, 2, 2)
	l.add(3, 3, 0)
	l.add(1, 1, 1)
	l.add(4, 3, 1)
	l.store(3, 4)
	l.sub(4, 3, 1)
	l.store(4, 4)
}

func output4of3(l lineOps) {
	loadAll(l, 0, 1, 6)
	l.add(6, 1, 2) // s1, d1, s2, d2
	l.sub(7, 1, 2)
	l.add(8, 3, 4)
	l.sub(9, 3, 4)
	l.sub(10, 8, 6) // 4*(s2-s1)
	l.shl(10, 10, 2)
	l.store(2, 10)
	l.shl(6, 6, 2) // m0 + s2 - 4*s1
	l.add(0, 0, 8)
	l.sub(0, 0, 6)
	l.store(0, 0)
	l.add(9, 9, 9) // 2*d2 - 4*d1
	l.shl(7, 7, 2)
	l.sub(10, 9, 7)
	l.store(1, 10)
	l.add(5, 5, 9) // 4*(m5+2*d2) - 4*d1
	l.shl(5, 5, 2)
	l.sub(5, 5, 7)
	l.store(3, 5)
}

// doc says what one of a form's kernels computes.
func (f *lineForm) doc(name string, lines ...string) []string {
	return slices.Concat([]string{name + " is a transform of F(" + f.name[:1] + "," + f.name[3:] + "):", ""}, lines)
}
