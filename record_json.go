package rfgaedge

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the record as encoding/json writes it (without escapes for HTML), and allocates nothing where dst has room.
// Programs that write a record per frame, or must be small, use it.
func (rec *Record) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"v":`...)
	dst = strconv.AppendInt(dst, int64(rec.V), 10)
	dst = AppendJSONString(append(dst, `,"src":`...), rec.Src)
	dst = AppendJSONString(append(dst, `,"model":`...), rec.Model)
	dst = AppendJSONString(append(dst, `,"digest":`...), rec.Digest)
	dst = AppendJSONString(append(dst, `,"precision":`...), rec.Precision)
	dst = AppendJSONString(append(dst, `,"isa":`...), rec.ISA)
	dst = strconv.AppendInt(append(dst, `,"w":`...), int64(rec.W), 10)
	dst = strconv.AppendInt(append(dst, `,"h":`...), int64(rec.H), 10)
	dst = append(dst, `,"cls":[`...)
	for i := range rec.Classes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(rec.Classes[i].append(append(dst, '{')), '}')
	}
	dst = append(dst, `],"loc":[`...)
	for i := range rec.Locations {
		l := &rec.Locations[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = l.RecordClass.append(append(dst, '{'))
		dst = append(dst, `,"box":[`...)
		for j, v := range l.Box {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, int64(v), 10)
		}
		dst = appendJSONFloat(append(dst, `],"thr":`...), float64(l.Threshold), 32)
		dst = appendJSONFloat(append(dst, `,"area":`...), l.Area, 64)
		dst = append(dst, '}')
	}
	dst = strconv.AppendInt(append(dst, `],"us":{"decode":`...), rec.Micros.Decode, 10)
	dst = strconv.AppendInt(append(dst, `,"pre":`...), rec.Micros.Pre, 10)
	dst = strconv.AppendInt(append(dst, `,"infer":`...), rec.Micros.Infer, 10)
	dst = strconv.AppendInt(append(dst, `,"post":`...), rec.Micros.Post, 10)
	return append(dst, "}}"...)
}

func (c *RecordClass) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `"id":`...), int64(c.ID), 10)
	dst = AppendJSONString(append(dst, `,"label":`...), c.Label)
	return appendJSONFloat(append(dst, `,"p":`...), float64(c.P), 32)
}

// appendJSONFloat writes the shortest form, as ECMAScript does; what is no number becomes null.
func appendJSONFloat(dst []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (bits == 64 && (a < 1e-6 || a >= 1e21) || bits == 32 && (float32(a) < 1e-6 || float32(a) >= 1e21)) {
		format = 'e'
	}
	begin := len(dst)
	dst = strconv.AppendFloat(dst, v, format, -1, bits)
	if n := len(dst); format == 'e' && n-begin > 4 && dst[n-4] == 'e' && dst[n-2] == '0' { // e-09 is e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// AppendJSONString appends s in quotes. Bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[r>>4], hex[r&15])
		case r == utf8.RuneError && n == 1:
			dst = utf8.AppendRune(dst, r)
		case r == '\u2028' || r == '\u2029': // line ends to JavaScript
			dst = append(dst, `\u202`...)
			dst = append(dst, hex[r&15])
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}
