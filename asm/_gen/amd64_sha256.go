package main

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const sha256Sig = "state *uint32, p **byte, blocks int, k *uint32"

// sha256Pair hashes two messages at once. A round of SHA-256 waits for the one before it, longer than the processor takes to start
// it: rounds of another message fill the gaps.
func sha256Pair() asmFile {
	const name = "SHA256x2SHA"
	doc := []string{
		name + " is SHA-256's compression of blocks of 64 bytes of two messages: those from p[0] with the eight words of state as",
		"chaining value, and those from p[1] with the eight words behind them. k is the 64 constants, and 16 bytes that reverse the order",
		"of bytes in a word. blocks is at least 1.",
	}
	return asmFile{name: "sha256_x2_sha", funcs: []asmFunc{{name: name, sig: sha256Sig, doc: doc, emit: func(b *builder) {
		state, k, blocks := b.arg("state"), b.arg("k"), b.arg("blocks")
		p := b.arg("p")
		from := [2]reg.GPVirtual{b.GP64(), b.GP64()}
		for s := range from {
			b.MOVQ(mem(p, 8*s), from[s])
		}
		x0, tmp, order := xmm(0), xmm(13), xmm(14)
		abef := [2]reg.VecPhysical{xmm(1), xmm(3)}
		cdgh := [2]reg.VecPhysical{xmm(2), xmm(4)}
		m := func(s, i int) reg.VecPhysical { return xmm(5 + 4*s + i%4) }
		b.MOVOU(mem(k, 256), order)
		for s := range 2 {
			b.MOVOU(mem(state, 32*s), tmp)
			b.MOVOU(mem(state, 32*s+16), cdgh[s])
			b.PSHUFD(imm8(0xb1), tmp, tmp)
			b.PSHUFD(imm8(0x1b), cdgh[s], cdgh[s])
			b.MOVOU(tmp, abef[s])
			b.PALIGNR(imm8(8), cdgh[s], abef[s])
			b.PBLENDW(imm8(0xf0), tmp, cdgh[s])
		}
		b.Label("block")
		for s := range 2 {
			b.MOVOU(abef[s], mem(state, 32*s))
			b.MOVOU(cdgh[s], mem(state, 32*s+16))
		}
		for g := range 16 { // four rounds
			for s := range 2 {
				now, next, before := m(s, g), m(s, g+1), m(s, g+3)
				if g < 4 {
					b.MOVOU(mem(from[s], 16*g), now)
					b.PSHUFB(order, now)
				}
				b.MOVOU(mem(k, 16*g), x0)
				b.PADDD(now, x0)
				b.SHA256RNDS2(x0, abef[s], cdgh[s])
				if g >= 3 && g < 15 {
					b.MOVOU(now, tmp)
					b.PALIGNR(imm8(4), before, tmp)
					b.PADDD(tmp, next)
					b.SHA256MSG2(now, next)
				}
				b.PSHUFD(imm8(0x0e), x0, x0)
				b.SHA256RNDS2(x0, cdgh[s], abef[s])
				if g >= 1 && g < 13 {
					b.SHA256MSG1(now, before)
				}
			}
		}
		for s := range 2 {
			b.MOVOU(mem(state, 32*s), tmp)
			b.PADDD(tmp, abef[s])
			b.MOVOU(mem(state, 32*s+16), tmp)
			b.PADDD(tmp, cdgh[s])
			b.ADDQ(imm(64), from[s])
		}
		b.DECQ(blocks)
		b.JNE(operand.LabelRef("block"))
		for s := range 2 {
			b.PSHUFD(imm8(0x1b), abef[s], tmp)
			b.PSHUFD(imm8(0xb1), cdgh[s], cdgh[s])
			b.MOVOU(tmp, abef[s])
			b.PBLENDW(imm8(0xf0), cdgh[s], abef[s])
			b.PALIGNR(imm8(8), tmp, cdgh[s])
			b.MOVOU(abef[s], mem(state, 32*s))
			b.MOVOU(cdgh[s], mem(state, 32*s+16))
		}
		b.RET()
	}}}}
}

// sha256Lanes hashes sixteen messages at once, a word of each in every register: for processors without instructions for SHA-256.
func sha256Lanes() asmFile {
	const name = "SHA256x16AVX512"
	doc := []string{
		name + " is SHA-256's compression of blocks of 64 bytes of 16 messages: those from p[i] with the words state[i], state[16+i], ...",
		"as chaining value. k is the 64 constants, and 16 bytes that reverse the order of bytes in a word. blocks is at least 1.",
	}
	return asmFile{name: "sha256_x16_avx512", funcs: []asmFunc{{name: name, sig: sha256Sig, doc: doc, emit: func(b *builder) {
		state, p, constants, blocks := b.arg("state"), b.arg("p"), b.arg("k"), b.arg("blocks")
		from, k, at, turns := b.GP64(), b.GP64(), b.GP64(), b.GP64()
		h, w, t := zmms[:8], slices.Clone(zmms[8:24]), zmms[24:]
		ror := func(v reg.VecPhysical, n [3]int, shift bool) { // the exclusive or of three rotations, or two and a shift, to t[0]
			b.VPRORD(imm8(n[0]), v, t[0])
			b.VPRORD(imm8(n[1]), v, t[1])
			if shift {
				b.VPSRLD(imm8(n[2]), v, t[2])
			} else {
				b.VPRORD(imm8(n[2]), v, t[2])
			}
			b.VPTERNLOGD(imm8(0x96), t[2], t[1], t[0])
		}
		rounds := func(schedule bool) {
			for i := range 16 {
				v := func(j int) reg.VecPhysical { return h[(j-i%8+8)%8] } // a to h
				ror(v(4), [3]int{6, 11, 25}, false)
				b.VPADDD(w[i], v(7), v(7))
				b.VPADDD_BCST(mem(k, 4*i), v(7), v(7))
				b.VMOVDQA64(v(4), t[3])
				b.VPTERNLOGD(imm8(0xCA), v(6), v(5), t[3]) // e ? f : g
				b.VPADDD(t[0], v(7), v(7))
				b.VPADDD(t[3], v(7), v(7))
				b.VPADDD(v(7), v(3), v(3))
				ror(v(0), [3]int{2, 13, 22}, false)
				b.VMOVDQA64(v(0), t[3])
				b.VPTERNLOGD(imm8(0xE8), v(2), v(1), t[3]) // the majority
				b.VPADDD(t[0], v(7), v(7))
				b.VPADDD(t[3], v(7), v(7))
				if !schedule {
					continue
				}
				ror(w[(i+1)%16], [3]int{7, 18, 3}, true)
				b.VPADDD(w[(i+9)%16], w[i], w[i])
				b.VPADDD(t[0], w[i], w[i])
				ror(w[(i+14)%16], [3]int{17, 19, 10}, true)
				b.VPADDD(t[0], w[i], w[i])
			}
		}
		for i := range h {
			b.VMOVDQU32(mem(state, 64*i), h[i])
		}
		b.XORQ(at, at)
		b.Label("block")
		b.VBROADCASTI32X4(mem(constants, 256), t[7])
		for i := range w {
			b.MOVQ(mem(p, 8*i), from)
			b.VMOVDQU32(operand.Mem{Base: from, Index: at, Scale: 1}, w[i])
			b.VPSHUFB(t[7], w[i], w[i])
		}
		b.transpose16(w, t)
		b.MOVQ(constants, k)
		b.MOVQ(operand.U64(3), turns)
		b.Label("rounds")
		rounds(true)
		b.ADDQ(imm(64), k)
		b.DECQ(turns)
		b.JNE(operand.LabelRef("rounds"))
		rounds(false)
		for i := range h {
			b.VPADDD(mem(state, 64*i), h[i], h[i])
			b.VMOVDQU32(h[i], mem(state, 64*i))
		}
		b.ADDQ(imm(64), at)
		b.DECQ(blocks)
		b.JNE(operand.LabelRef("block"))
		b.VZEROUPPER()
		b.RET()
	}}}}
}

// transpose16 makes columns of 16 rows of 32-bit words, in place; t is four registers of scratch.
func (b *builder) transpose16(r, t []reg.VecPhysical) {
	pairs := func(lo, hi func(...operand.Op), x, y reg.VecPhysical) {
		lo(y, x, t[0])
		hi(y, x, y)
		b.VMOVDQA64(t[0], x)
	}
	for i := 0; i < 16; i += 2 {
		pairs(b.VPUNPCKLDQ, b.VPUNPCKHDQ, r[i], r[i+1])
	}
	for i := 0; i < 16; i += 4 {
		pairs(b.VPUNPCKLQDQ, b.VPUNPCKHQDQ, r[i], r[i+2])
		pairs(b.VPUNPCKLQDQ, b.VPUNPCKHQDQ, r[i+1], r[i+3])
	}
	// In each 128 bits of r[4j], r[4j+2], r[4j+1], r[4j+3] are now columns 0, 1, 2, 3 (and 4, 5, ...) of rows 4j to 4j+3.
	var columns [16]reg.VecPhysical
	for c, i := range []int{0, 2, 1, 3} {
		q := []reg.VecPhysical{r[i], r[4+i], r[8+i], r[12+i]}
		for j, half := range []int{0x88, 0xDD} {
			b.VSHUFI32X4(imm8(half), q[1], q[0], t[2*j])
			b.VSHUFI32X4(imm8(half), q[3], q[2], t[2*j+1])
		}
		for j, from := range [][2]int{{0, 0x88}, {2, 0x88}, {0, 0xDD}, {2, 0xDD}} {
			b.VSHUFI32X4(imm8(from[1]), t[from[0]+1], t[from[0]], q[j])
			columns[4*j+c] = q[j]
		}
	}
	copy(r, columns[:])
}
