package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"github.com/mmcloughlin/avo/reg"
)

// gemmVNNI256: VPDPBUSD on 256-bit registers, twice: as AVX-VNNI, VEX-encoded, for processors without AVX-512, and as
// AVX-512 VNNI, which Go's assembler writes and more machines can test. They are the same instructions otherwise.
func gemmVNNI256(vex bool) asmFile {
	const nr, kr = 16, 4
	isa := "AVX512VNNI"
	f := asmFile{name: "u8s8_gemm_6x16c4_avx512vnni"}
	if vex {
		isa = "AVXVNNI"
		f.name = "u8s8_gemm_6x16c4_avxvnni"
	}
	for _, mr := range []int{6, 4, 2, 1} {
		name := fmt.Sprintf("U8S8Gemm%dx%dc%d%s", mr, nr, kr, isa)
		f.funcs = append(f.funcs, asmFunc{name: name, sig: gemmSig,
			doc: gemmDoc(name, mr, nr, kr, "a", "a is unsigned bytes; k is a multiple of 4 and at least 4. VPDPBUSD wraps, it does not saturate."),
			emit: func(b *builder) {
				b.vex = vex
				sets := max(1, min(4, 10/(2*mr))) // as in gemmVNNI
				acc := func(set, i, j int) reg.VecPhysical { return ymm((set*mr+i)*2 + j) }
				w0, w1 := ymm(12), ymm(13)
				c, w, k := b.arg("c"), b.arg("b"), b.arg("k")
				rows := b.rowPtrs(mr)
				for i := range 2 * mr * sets {
					b.VPXOR(ymm(i), ymm(i), ymm(i))
				}
				b.kLoop(k, kr, 4, func(s int) {
					b.VMOVDQU(mem(w, 64*s), w0)
					b.VMOVDQU(mem(w, 64*s+32), w1)
					for i := range mr {
						u := ymm(14 + i%2)
						b.VPBROADCASTD(rows.at(i, 4*s), u)
						b.vpdpbusd(w0, u, acc(s%sets, i, 0))
						b.vpdpbusd(w1, u, acc(s%sets, i, 1))
					}
				}, func(n int) {
					b.ADDQ(imm(4*n), rows.base)
					b.ADDQ(imm(64*n), w)
				})
				for i := range mr {
					for j := range 2 {
						for set := 1; set < sets; set++ {
							b.VPADDD(acc(set, i, j), acc(0, i, j), acc(0, i, j))
						}
					}
				}
				b.storeTile(c, mr)
			}})
	}
	return f
}

var vpdpbusd = regexp.MustCompile(`(?m)^\tVPDPBUSD +Y(\d+), Y(\d+), Y(\d+)$`)

// vexEncoded replaces VPDPBUSD, for which Go's assembler always uses EVEX, by the bytes of its VEX encoding, the instruction
// in a comment: VEX.256.66.0F38.W0 50 /r. A test of package kernels decodes them.
func vexEncoded(text []byte) []byte {
	return vpdpbusd.ReplaceAllFunc(text, func(line []byte) []byte {
		var n [3]byte
		for i, digits := range vpdpbusd.FindSubmatch(line)[1:] {
			v, _ := strconv.Atoi(string(digits))
			n[i] = byte(v)
		}
		s, u, acc := n[0], n[1], n[2]
		code := []byte{0xC4, 0x42 | ^acc>>3&1<<7 | ^s>>3&1<<5, ^u&15<<3 | 5, 0x50, 0xC0 | acc&7<<3 | s&7}
		var out bytes.Buffer
		out.WriteByte('\t')
		for i, c := range code {
			if i > 0 {
				out.WriteString("; ")
			}
			fmt.Fprintf(&out, "BYTE $0x%02x", c)
		}
		fmt.Fprintf(&out, " // %s", bytes.Join(bytes.Fields(line), []byte(" ")))
		return out.Bytes()
	})
}
