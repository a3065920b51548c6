package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Sniff reports whether head, the first bytes of a file (64 are plenty), looks like an ONNX model.
func Sniff(head []byte) bool {
	seen := 0
	for len(head) > 0 {
		num, typ, n := protowire.ConsumeTag(head)
		if n < 0 {
			break
		}
		head = head[n:]
		switch num {
		case 1, 5: // ir_version and model_version
			if typ != wireVarint {
				return false
			}
			v, n := protowire.ConsumeVarint(head)
			if n < 0 {
				return seen > 0
			}
			if num == 1 && (v == 0 || v > 64) {
				return false
			}
			head = head[n:]
		case 2, 3, 4, 6, 7, 8, 14, 20, 25, 26:
			if typ != wireBytes {
				return false
			}
			v, n := protowire.ConsumeVarint(head)
			if n < 0 || v > math.MaxInt32*2+1 {
				return n < 0 && seen > 0
			}
			if num == 7 && (seen > 0 || v > 64) {
				return true
			}
			if head = head[n:]; v >= uint64(len(head)) {
				return seen > 0
			}
			head = head[v:]
		default:
			return false
		}
		seen++
	}
	return seen > 1
}
