package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// maxHeader bounds the JSON header; real ones have about 100 bytes a tensor.
const maxHeader = 16 << 20

var safetensorsTypes = map[string]DType{
	"F32": Float32, "F64": Float64, "F16": Float16, "BF16": BFloat16, "I64": Int64, "I32": "int32", "I16": "int16", "I8": "int8",
	"U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}

// readSafetensors reads the header: its length in eight bytes, then a JSON object from names to dtype, shape and the
// range of bytes behind the header. The ranges must cover those bytes exactly, as the format demands, so that a cut
// or lengthened file is noticed.
func readSafetensors(r io.ReaderAt, size int64) (map[string]*Tensor, error) {
	var b [8]byte
	if _, err := readFull(r, b[:], 0); err != nil {
		return nil, fmt.Errorf("header length: %w", err)
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("the header is said to have %d bytes; the file has %d behind its length, the limit is %d", n, size-8, maxHeader)
	}
	head := make([]byte, n)
	if _, err := readFull(r, head, 8); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	base := 8 + int64(n)
	type extent struct {
		begin, end int64
		name       string
	}
	var (
		tensors = map[string]*Tensor{}
		extents []extent
	)
	dec := json.NewDecoder(bytes.NewReader(head))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the header is not a JSON object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
		name, ok := key.(string)
		if !ok || len(name) > format.MaxString {
			return nil, fmt.Errorf("header: %d bytes are no name of a tensor", len(name))
		}
		if name == "__metadata__" {
			var ignored json.RawMessage
			if err := dec.Decode(&ignored); err != nil {
				return nil, fmt.Errorf("header: __metadata__: %w", err)
			}
			continue
		}
		var e struct {
			DType   string  `json:"dtype"`
			Shape   []int64 `json:"shape"`
			Offsets []int64 `json:"data_offsets"`
		}
		if err := dec.Decode(&e); err != nil {
			return nil, fmt.Errorf("header: tensor %s: %w", quote(name), err)
		}
		switch {
		case tensors[name] != nil:
			return nil, fmt.Errorf("header: tensor %s appears twice", quote(name))
		case len(tensors) == format.MaxTensors:
			return nil, fmt.Errorf("header: more than %d tensors", format.MaxTensors)
		case len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] || e.Offsets[1] > size-base:
			return nil, fmt.Errorf("header: tensor %s: data_offsets %v do not lie in the %d bytes behind the header", quote(name), e.Offsets, size-base)
		}
		dtype, ok := safetensorsTypes[e.DType]
		if !ok {
			return nil, fmt.Errorf("header: tensor %s: dtype %s is not known", quote(name), quote(e.DType))
		}
		begin, bytes := e.Offsets[0], e.Offsets[1]-e.Offsets[0]
		t, err := newTensor(r, base+begin, bytes/sizes[dtype], dtype, 0, e.Shape, nil, false)
		if err != nil {
			return nil, fmt.Errorf("header: tensor %s: %w", quote(name), err)
		}
		if want := int64(t.Elements()) * sizes[dtype]; want != bytes {
			return nil, fmt.Errorf("header: tensor %s: shape %v of %s is %d bytes, data_offsets %v are %d", quote(name), t.Shape, e.DType, want, e.Offsets, bytes)
		}
		t.Name = name
		tensors[name] = t
		extents = append(extents, extent{begin, e.Offsets[1], name})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if rest := bytes.Trim(head[dec.InputOffset():], " "); len(rest) > 0 {
		return nil, fmt.Errorf("header: %d bytes behind the JSON object", len(rest))
	}
	slices.SortFunc(extents, func(a, b extent) int {
		if a.begin != b.begin {
			return int(min(max(a.begin-b.begin, -1), 1))
		}
		return int(min(max(a.end-b.end, -1), 1))
	})
	at := int64(0)
	for _, e := range extents {
		if e.begin != at {
			return nil, fmt.Errorf("tensor %s begins at byte %d of the data, the one before it ends at %d", quote(e.name), e.begin, at)
		}
		at = e.end
	}
	if at != size-base {
		return nil, fmt.Errorf("the tensors end at byte %d of the data, the file has %d", at, size-base)
	}
	return tensors, nil
}
