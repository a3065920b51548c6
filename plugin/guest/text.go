package guest

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime"
)

// The few JSON objects are written by hand: encoding/json with what it needs is a fifth of a module.

// block says where an array of float32 lies: address and size in bytes, of the module's memory.
type block struct {
	ptr uint32
	len int
}

func (b block) append(dst []byte) []byte {
	dst = appendInt(append(dst, `"ptr":`...), int(b.ptr))
	return appendInt(append(dst, `,"len":`...), b.len)
}

func appendInt(dst []byte, v int) []byte { return strconv.AppendInt(dst, int64(v), 10) }

func appendInts(dst []byte, list []int) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInt(dst, v)
	}
	return append(dst, ']')
}

func appendInfo(dst []byte, m *rfgaedge.Model, outputs []runtime.OutputInfo) []byte {
	dst = appendInt(append(dst, `{"v":1,"abi":`...), ABI)
	dst = rfgaedge.AppendJSONString(append(dst, `,"name":`...), m.Name())
	dst = rfgaedge.AppendJSONString(append(dst, `,"digest":`...), m.Digest())
	dst = rfgaedge.AppendJSONString(append(dst, `,"precision":`...), m.Precision())
	dst = rfgaedge.AppendJSONString(append(dst, `,"isa":`...), kernels.ISAName())
	w, h := m.InputSize()
	dst = appendInt(append(dst, `,"w":`...), w)
	dst = appendInt(append(dst, `,"h":`...), h)
	dst = appendInt(append(dst, `,"classes":`...), m.Classes())
	dst = append(dst, `,"labels":[`...)
	for i, label := range m.Labels() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = rfgaedge.AppendJSONString(dst, label)
	}
	dst = append(dst, `],"outputs":[`...)
	for i, o := range outputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = rfgaedge.AppendJSONString(append(dst, `{"name":`...), o.Name)
		dst = append(appendInts(append(dst, `,"shape":`...), o.Shape), '}')
	}
	return append(dst, "]}"...)
}

func appendHeat(dst []byte, h *rfgaedge.Heat, b block) []byte {
	r := h.Region
	dst = appendInt(append(dst, `{"v":1,"class":`...), h.Class)
	dst = appendInt(append(dst, `,"w":`...), h.Width)
	dst = appendInt(append(dst, `,"h":`...), h.Height)
	dst = appendInts(append(dst, `,"region":`...), []int{r.X0, r.Y0, r.X1, r.Y1})
	return append(b.append(append(dst, ',')), '}')
}

func appendOutput(dst []byte, o runtime.OutputInfo, sum []byte, b block) []byte {
	dst = rfgaedge.AppendJSONString(dst, o.Name)
	dst = appendInts(append(dst, `:{"shape":`...), o.Shape)
	dst = hex.AppendEncode(append(dst, `,"sha256":"`...), sum)
	return append(b.append(append(dst, `",`...)), '}')
}

// parseOptions changes o by a text of name=value, separated by white space or &:
//
//	classes=3,17     locate these classes, whatever the picture shows; empty: the most probable ones
//	min_p=0.2        leave out classes less probable
//	threshold=0.05   share of the heat map's maximum that bounds the object; empty: the model's own
//	multi=1          a box for every separate warm region
//	heat=1           keep the heat map for rfga_heat
func parseOptions(o rfgaedge.LocalizeOptions, text string) (rfgaedge.LocalizeOptions, error) {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '&' || r <= ' ' }) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "classes":
			o.Classes = nil
			for id := range strings.SplitSeq(value, ",") {
				if value == "" {
					break
				}
				var n int
				if n, err = strconv.Atoi(id); err != nil {
					break
				}
				o.Classes = append(o.Classes, n)
			}
		case "min_p":
			o.MinP, err = strconv.ParseFloat(value, 64)
		case "threshold":
			if o.Threshold = 0; value != "" {
				o.Threshold, err = strconv.ParseFloat(value, 64)
				if o.Threshold == 0 {
					o.Threshold = math.SmallestNonzeroFloat64 // zero itself, not the model's own
				}
			}
		case "multi":
			o.Multi, err = strconv.ParseBool(value)
		case "heat":
			o.Heat, err = strconv.ParseBool(value)
		default:
			return o, fail(CodeArgument, "option %q: there are classes, min_p, threshold, multi and heat", name)
		}
		if err != nil {
			return o, fail(CodeArgument, "option %s: %q is no value for it", name, value)
		}
	}
	return o, nil
}
