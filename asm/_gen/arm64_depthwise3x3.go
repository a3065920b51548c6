package main

import "fmt"

// The kernels of 3x3 windows on arm64, with stride 1 and 2, take a window column by column; a is values. Blocks of sixteen
// channels are the outer loop, pixels the inner one. The store of a block of fewer channels stands behind the loop.

// armColumns is the walk. Registers: R0 dst, R1 to R3 the rows, R4 bytes from column to column, R5 w, R6 bias, R7 mult, R8 n,
// R9 ldd, R10 the column, R11 where to store, R12 pixels left, R13 scratch. V29 to V31 are constants.
type armColumns struct {
	b       *arm
	k       armConsts
	weights int // bytes of a block
	partial int // stores that were put off
}

const (
	colDst, colNext, colW, colBias, colMult, colN, colLdd, colAt, colTo, colLeft, colTmp = x(0), x(4), x(5), x(6), x(7), x(8), x(9), x(10), x(11), x(12), x(13)
)

func (c *armColumns) row(y int) x { return x(1 + y) }

// begin loads the parameters and opens a block.
func (c *armColumns) begin() {
	b := c.b
	c.k = b.consts(false, 29, 0)
	off, first := b.arg("off", colAt), b.arg("a", colTo)
	for y := range 3 {
		b.linef("MOVD %d(%v), %v", 8*y, off, c.row(y))
		if y == 0 {
			b.linef("MOVD 32(%v), %v", off, colNext)
			b.linef("SUB %v, %v, %v", c.row(0), colNext, colNext)
		}
		b.linef("ADD %v, %v, %v", first, c.row(y), c.row(y))
	}
	for _, a := range []struct {
		name string
		to   x
	}{{"dst", colDst}, {"w", colW}, {"bias", colBias}, {"mult", colMult}, {"n", colN}, {"ldd", colLdd}} {
		b.arg(a.name, a.to)
	}
	b.label("block")
	b.linef("MOVD $0, %v", colAt)
	b.linef("MOVD %v, %v", colDst, colTo)
	b.arg("pixels", colLeft)
}

// load returns the loads of the next column's three rows.
func (c *armColumns) load(to ...v) (l []string) {
	for y, r := range to {
		l = append(l, ldqx(r, c.row(y), colAt))
	}
	return append(l, f("ADD %v, %v, %v", colNext, colAt, colAt))
}

// store writes a pixel, of which r holds the sixteen bytes, and leaves the loop behind the last one.
func (c *armColumns) store(r v) {
	b := c.b
	b.linef("CMP $16, %v", colN)
	b.linef("BLT some%d", c.partial)
	b.line(stq(r, colTo, 0))
	b.label(fmt.Sprintf("stored%d", c.partial))
	b.linef("ADD %v, %v, %v", colLdd, colTo, colTo)
	b.linef("SUBS $1, %v", colLeft)
	b.line("BEQ next")
	c.partial++
}

// end closes the block. at lists the registers of the stores, in order.
func (c *armColumns) end(at ...v) {
	b := c.b
	b.label("next")
	for y := range 3 {
		b.linef("ADD $16, %v", c.row(y))
	}
	b.linef("ADD $16, %v", colDst)
	b.linef("ADD $%d, %v", c.weights, colW)
	b.linef("ADD $64, %v", colBias)
	b.linef("ADD $64, %v", colMult)
	b.linef("SUBS $16, %v", colN)
	b.line("BGT block", "RET")
	for i, r := range at {
		b.label(fmt.Sprintf("some%d", i))
		b.storeSome(r, colN, colTo, colTmp, 16)
		b.linef("B stored%d", i)
	}
}

// depthwise3x3DotProd: a column's three rows side by side make SDOT's group; the fourth weight is zero. A column is loaded and
// interleaved once, for every window that has it: three with stride 1, with stride 2 two for every second column. Their sums
// are in registers, weights pass through a ring of them.
func depthwise3x3DotProd() file[*arm] {
	f := file[*arm]{name: "s8s8_depthwise3x3s1_16c4_dotprod"}
	for stride := 1; stride <= 2; stride++ {
		name := fmt.Sprintf("S8S8Depthwise3x3s%d16c4DotProd", stride)
		doc := depthwise3x3Doc(name, "Weights are 8-bit, [n/16][3][16][4]: of a column three, and a zero. a is values, signed bytes.", "Channels are in their natural order.", stride)
		doc[2] = "\tacc := sum over t < taps of int32(int8(a[step*i+off[t]+j])) * weight(t, j)"
		f.funcs = append(f.funcs, function[*arm]{name: name, sig: depthwiseSig, doc: doc,
			emit: func(b *arm) { (&dotColumns{armColumns{b: b, weights: 192}}).emit(stride) }})
	}
	return f
}

// dotColumns: registers 0 to 11 are the sums of three windows, 12 to 15 a column, 16 to 18 its rows, 19 scratch, 20 to 23
// weights, 24 to 27 multipliers.
type dotColumns struct{ armColumns }

func (c *dotColumns) acc(set, j int) v { return v(4*set + j) }

// ring is how many weights are loaded ahead.
const ring = 4

// weight loads the weights of use u of a pixel, whose uses take the columns of a window in an order.
func (c *dotColumns) weight(order [3]int, u int) string {
	return ldq(v(20+u%ring), colW, 64*order[u/4%3]+16*(u%4))
}

func (c *dotColumns) rows() []string { return c.load(16, 17, 18) }

// column interleaves the loaded rows.
func (c *dotColumns) column() []string {
	return []string{
		arr("VZIP2", "B16", 19, 16, 17), arr("VZIP1", "B16", 16, 16, 17),
		arr("VZIP2", "B16", 17, 18, 18), arr("VZIP1", "B16", 18, 18, 18), // the second of them meets the zero
		arr("VZIP1", "H8", 12, 16, 18), arr("VZIP2", "H8", 13, 16, 18),
		arr("VZIP1", "H8", 14, 19, 17), arr("VZIP2", "H8", 15, 19, 17),
	}
}

func (c *dotColumns) start(set int) (l []string) {
	for j := range 4 {
		l = append(l, ldq(c.acc(set, j), colBias, 16*j))
	}
	return l
}

func (c *dotColumns) mults() (l []string) {
	for j := range 4 {
		l = append(l, ldq(v(24+j), colMult, 16*j))
	}
	return l
}

// uses multiplies the column in uses from to to-1 of a pixel, each followed by the load of weights of a later one.
func (c *dotColumns) uses(order, sets [3]int, from, to int) (l []string) {
	for u := from; u < to; u++ {
		l = append(l, sdot(c.acc(sets[u/4], u%4), v(12+u%4), v(20+u%ring)), c.weight(order, u+ring))
	}
	return l
}

// dot multiplies outside of the loop.
func (c *dotColumns) dot(set, x int) {
	for j := range 4 {
		c.b.line(ldq(v(20+j), colW, 64*x+16*j), sdot(c.acc(set, j), v(12+j), v(20+j)))
	}
}

func (c *dotColumns) emit(stride int) {
	b := c.b
	c.begin()
	b.line(c.rows()...)
	b.line(c.start(0)...)
	b.line(c.column()...)
	b.line(c.rows()...)
	c.dot(0, 0)
	order, turns := [3]int{2, 1, 0}, 3
	if stride == 1 {
		b.line(c.start(1)...)
		b.line(c.column()...)
		b.line(c.rows()...)
		c.dot(1, 0)
		c.dot(0, 1)
	} else {
		order, turns = [3]int{1, 2, 0}, 2
	}
	b.line(c.column()...)
	b.line(c.mults()...)
	for u := range ring {
		b.line(c.weight(order, u))
	}
	var stores []v
	b.beginLoop("pixels", turns*9*16)
	for i := range turns {
		// The column that the pixel begins with is there, and its multipliers.
		sets := [3]int{i, (i + 1) % 3, (i + 2) % 3}
		if stride == 1 {
			b.line(apart(c.uses(order, sets, 0, 12), append(c.start(sets[2]), c.rows()...), 2)...)
		} else {
			sets = [3]int{i, i, 1 - i}
			b.line(apart(c.uses(order, sets, 0, 4), append(c.rows(), c.start(sets[2])...), 1)...)
			b.line(c.column()...)
			b.line(apart(c.uses(order, sets, 4, 12), c.rows(), 2)...)
		}
		acc := []v{c.acc(i, 0), c.acc(i, 1), c.acc(i, 2), c.acc(i, 3)}
		finish := lines(func(b *arm) {
			c.k.scale(b, acc, []v{24, 25, 26, 27}, nil)
			c.k.pack(b, acc...)
		})
		b.line(apart(finish, append(c.column(), c.mults()...), 2)...)
		c.store(acc[0])
		stores = append(stores, acc[0])
	}
	b.endLoop("B pixels")
	c.end(stores...)
}

// sdot adds to d the products of the groups of four signed bytes of n and m.
func sdot(d, n, m v) string {
	return word(0x4E809400, int(d), int(n), int(m), f("sdot v%d.4s, v%d.16b, v%d.16b", d, n, m))
}
