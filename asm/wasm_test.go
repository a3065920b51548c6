package asm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wasmVector is what kernels may use of SIMD128: instructions whose result is the same everywhere, which the relaxed ones'
// is not, and that Go 1.27's assembler encodes with all their operands. It leaves out the operand of stores, lanes, shuffles
// and all loads but one. An operand here is the only one allowed, the one that it encodes whatever is written.
var wasmVector = map[string]string{
	"V128Load": "*", "V128Const": "*", "V128Store": "$0", "I64x2ExtractLane": "$0",
	"V128Bitselect": "", "I8x16Swizzle": "", "I16x8Splat": "", "I32x4Splat": "",
	"I16x8ExtendLowI8x16S": "", "I16x8ExtendHighI8x16S": "", "I16x8ExtendLowI8x16U": "", "I16x8ExtendHighI8x16U": "",
	"I32x4ExtendLowI16x8S": "", "I32x4ExtendHighI16x8S": "", "I32x4ExtendLowI16x8U": "", "I32x4ExtendHighI16x8U": "",
	"I16x8Add": "", "I16x8Sub": "", "I16x8Mul": "", "I16x8Shl": "", "I32x4Add": "", "I32x4Sub": "", "I32x4Mul": "", "I32x4Shl": "", "I32x4ShrS": "",
	"I64x2Shl": "", "I64x2ShrU": "", "I32x4DotI16x8S": "",
	"V128And": "", "V128Or": "", "V128Xor": "", "I16x8Q15MulrSatS": "", "I32x4GtS": "", "F32x4Splat": "", "F32x4Div": "",
	"F32x4ConvertI32x4S": "", "F32x4Add": "", "F32x4Mul": "", "F32x4Pmin": "", "F32x4Pmax": "",
	"I16x8NarrowI32x4S": "", "I8x16NarrowI16x8U": "", "I8x16MaxU": "",
	"F64x2ConvertLowI32x4S": "", "F64x2Add": "", "F64x2Mul": "", "F32x4DemoteF64x2Zero": "",
}

func TestWASMInstructions(t *testing.T) {
	files, err := filepath.Glob("*_wasm.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files (%v)", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(src), "\n") {
			op, operand, _ := strings.Cut(strings.TrimSpace(line), " ")
			lanes := len(op) > 4 && (strings.HasPrefix(op, "V128") || strings.Contains(op[:5], "x"))
			if !lanes {
				continue
			}
			allowed, known := wasmVector[op]
			if !known || allowed != "*" && operand != allowed {
				t.Errorf("%s:%d: %s %s", f, i+1, op, operand)
			}
		}
	}
}
