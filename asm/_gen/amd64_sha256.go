package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const sha256PairSig = "state *uint32, p *byte, q *byte, blocks int, k *uint32"

// sha256Pair hashes two messages at once. A round of SHA-256 waits for the one before it, longer than the processor takes to start
// it: rounds of another message fill the gaps.
func sha256Pair() asmFile {
	const name = "SHA256PairSHA"
	doc := []string{
		name + " is SHA-256's compression of blocks of 64 bytes: of those from p with the eight words of state as chaining value, and",
		"of those from q with the eight words behind them. k is the 64 constants, and 16 bytes that reverse the order of bytes in a",
		"word. blocks is at least 1.",
	}
	return asmFile{name: "sha256_pair_sha", funcs: []asmFunc{{name: name, sig: sha256PairSig, doc: doc, emit: func(b *builder) {
		state, k, blocks := b.arg("state"), b.arg("k"), b.arg("blocks")
		from := [2]reg.GPVirtual{b.arg("p"), b.arg("q")}
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
