package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of the file's structure. Together they bound the memory that a file of empty messages (two bytes each) can claim.
const (
	maxNodes        = 1 << 16 // of all graphs, like the following
	maxInitializers = 1 << 16
	maxAttributes   = 1 << 16
	maxNames        = 1 << 18 // inputs and outputs of nodes
	maxGraphInputs  = 1 << 16
	maxGraphs       = 1 << 12 // those in nodes, the branches of If, among them
	maxDepth        = 16      // of graphs in nodes of graphs
	maxRank         = 8
)

// file is a decoded ModelProto, as far as an import needs it.
type file struct {
	irVersion         int64
	producer, version string
	domains           []opset
	graph             *graph
	functions         int

	depth int // of the graph that is being decoded
	// Counted against the limits.
	graphs, nodes, initializers, attributes, names, ends int
}

type opset struct {
	domain  string
	version int64
}

type graph struct {
	name            string
	nodes           []*protoNode
	initializers    []*tensor
	inputs, outputs []valueInfo
	sparse          bool
}

type protoNode struct {
	name, op, domain string
	in, out          []string
	attrs            []attribute
}

// attribute holds one value; scalars of ints and floats are lists of one.
type attribute struct {
	name   string
	kind   int64 // AttributeProto.AttributeType, 0 if the file does not say
	ints   []int64
	floats []float32
	str    []byte
	tensor *tensor
	graph  *graph
	other  bool // lists of graphs or strings and other kinds that no supported operator has
}

// valueInfo is a graph input or output. Unknown dimensions are 0.
type valueInfo struct {
	name     string
	elem     int64
	dims     []int64
	hasShape bool
}

var errTruncated = errors.New("the file ends in the middle of a field, or a length is wrong")

// fields walks the fields of one message. For varints and fixed-size fields v is the value, for bytes b is the contents.
func fields(b []byte, f func(num protowire.Number, typ protowire.Type, v uint64, b []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		var v uint64
		var body []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var u uint32
			u, n = protowire.ConsumeFixed32(b)
			v = uint64(u)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(b)
		default:
			return fmt.Errorf("field %d has wire type %d, which ONNX does not use", num, typ)
		}
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		if err := f(num, typ, v, body); err != nil {
			return err
		}
	}
	return nil
}

// room makes a list for a field that a message repeats, all at once: a list that grew as it is read would take several times its
// size. used counts such fields of the whole file.
func room[T any](b []byte, field protowire.Number, used *int, limit int, what string) ([]T, error) {
	n := 0
	err := fields(b, func(num protowire.Number, _ protowire.Type, _ uint64, _ []byte) error {
		if num == field {
			n++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if *used += n; *used > limit {
		return nil, fmt.Errorf("the file has more than %d %s", limit, what)
	}
	return make([]T, 0, n), nil
}

// text reads a string; control characters, and what is not UTF-8, are replaced, because no model may have them.
func text(b []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(string(b), string(unicode.ReplacementChar)))
}

// want says that a field has the wrong wire type; unknown fields are skipped by the callers instead.
func want(message string, num protowire.Number, typ protowire.Type, ok ...protowire.Type) error {
	for _, t := range ok {
		if t == typ {
			return nil
		}
	}
	return fmt.Errorf("field %d of a %s has wire type %d", num, message, typ)
}

const (
	wireVarint  = protowire.VarintType
	wireBytes   = protowire.BytesType
	wireFixed32 = protowire.Fixed32Type
	wireFixed64 = protowire.Fixed64Type
)

func decodeFile(data []byte) (*file, error) {
	f := &file{}
	err := fields(data, func(num protowire.Number, typ protowire.Type, v uint64, b []byte) error {
		switch num {
		case 1, 5:
			if num == 1 {
				f.irVersion = int64(v)
			}
			return want("ModelProto", num, typ, wireVarint)
		case 2, 3, 7, 8, 25:
			if err := want("ModelProto", num, typ, wireBytes); err != nil {
				return err
			}
		}
		switch num {
		case 2:
			f.producer = text(b)
		case 3:
			f.version = text(b)
		case 7:
			if f.graph != nil {
				return errors.New("the file has two graphs")
			}
			var err error
			f.graph, err = f.decodeGraph(b)
			return err
		case 8:
			if len(f.domains) == 256 {
				return errors.New("the file imports more than 256 operator sets")
			}
			o := opset{}
			if err := fields(b, func(num protowire.Number, typ protowire.Type, v uint64, b []byte) error {
				switch num {
				case 1:
					o.domain = text(b)
					return want("OperatorSetIdProto", num, typ, wireBytes)
				case 2:
					o.version = int64(v)
					return want("OperatorSetIdProto", num, typ, wireVarint)
				}
				return nil
			}); err != nil {
				return err
			}
			f.domains = append(f.domains, o)
		case 25:
			f.functions++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if f.graph == nil {
		return nil, errors.New("the file has no graph: it is not an ONNX model, or is cut off")
	}
	return f, nil
}

func (f *file) decodeGraph(data []byte) (*graph, error) {
	if f.graphs++; f.graphs > maxGraphs {
		return nil, fmt.Errorf("the file has more than %d graphs", maxGraphs)
	}
	if f.depth++; f.depth > maxDepth {
		return nil, fmt.Errorf("graphs are nested more than %d deep", maxDepth)
	}
	defer func() { f.depth-- }()
	g, err := &graph{}, error(nil)
	if g.nodes, err = room[*protoNode](data, 1, &f.nodes, maxNodes, "nodes"); err != nil {
		return nil, err
	}
	if g.initializers, err = room[*tensor](data, 5, &f.initializers, maxInitializers, "initializers"); err != nil {
		return nil, err
	}
	if g.inputs, err = room[valueInfo](data, 11, &f.ends, maxGraphInputs, "inputs and outputs of graphs"); err != nil {
		return nil, err
	}
	if g.outputs, err = room[valueInfo](data, 12, &f.ends, maxGraphInputs, "inputs and outputs of graphs"); err != nil {
		return nil, err
	}
	err = fields(data, func(num protowire.Number, typ protowire.Type, v uint64, b []byte) error {
		switch num {
		case 1, 2, 5, 11, 12, 15:
			if err := want("GraphProto", num, typ, wireBytes); err != nil {
				return err
			}
		}
		switch num {
		case 1:
			n, err := f.decodeNode(b)
			if err != nil {
				return fmt.Errorf("node %d: %w", len(g.nodes), err)
			}
			g.nodes = append(g.nodes, n)
		case 2:
			g.name = text(b)
		case 5:
			t, err := decodeTensor(b)
			if err != nil {
				return fmt.Errorf("initializer %d: %w", len(g.initializers), err)
			}
			g.initializers = append(g.initializers, t)
		case 11, 12:
			vi, err := decodeValueInfo(b)
			if err != nil {
				return fmt.Errorf("graph input or output: %w", err)
			}
			if num == 11 {
				g.inputs = append(g.inputs, vi)
			} else {
				g.outputs = append(g.outputs, vi)
			}
		case 15:
			g.sparse = true
		}
		return nil
	})
	return g, err
}

func (f *file) decodeNode(data []byte) (*protoNode, error) {
	n, err := &protoNode{}, error(nil)
	if n.in, err = room[string](data, 1, &f.names, maxNames, "inputs and outputs of nodes"); err != nil {
		return nil, err
	}
	if n.out, err = room[string](data, 2, &f.names, maxNames, "inputs and outputs of nodes"); err != nil {
		return nil, err
	}
	if n.attrs, err = room[attribute](data, 5, &f.attributes, maxAttributes, "attributes"); err != nil {
		return nil, err
	}
	err = fields(data, func(num protowire.Number, typ protowire.Type, v uint64, b []byte) error {
		switch num {
		case 1, 2, 3, 4, 5, 7:
			if err := want("NodeProto", num, typ, wireBytes); err != nil {
				return err
			}
		}
		switch num {
		case 1, 2:
			if num == 1 {
				n.in = append(n.in, text(b))
			} else {
				n.out = append(n.out, text(b))
			}
		case 3:
			n.name = text(b)
		case 4:
			n.op = text(b)
		case 5:
			a, err := f.decodeAttribute(b)
			if err != nil {
				return fmt.Errorf("attribute %q: %w", a.name, err)
			}
			n.attrs = append(n.attrs, a)
		case 7:
			n.domain = text(b)
		}
		return nil
	})
	return n, err
}

func (f *file) decodeAttribute(data []byte) (attribute, error) {
	a := attribute{}
	err := fields(data, func(num protowire.Number, typ protowire.Type, v uint64, b []byte) (err error) {
		switch num {
		case 1, 4, 5, 6:
			if err := want("AttributeProto", num, typ, wireBytes); err != nil {
				return err
			}
		}
		switch num {
		case 1:
			a.name = text(b)
		case 2:
			if err = want("AttributeProto", num, typ, wireFixed32); err == nil && a.floats == nil {
				a.floats = []float32{math.Float32frombits(uint32(v))}
			}
		case 3:
			if err = want("AttributeProto", num, typ, wireVarint); err == nil && a.ints == nil {
				a.ints = []int64{int64(v)}
			}
		case 4:
			a.str = b
		case 5:
			a.tensor, err = decodeTensor(b)
		case 6:
			if a.graph != nil {
				return errors.New("it has two graphs")
			}
			a.graph, err = f.decodeGraph(b)
		case 7:
			a.floats, err = appendFloats(a.floats, typ, v, b)
		case 8:
			a.ints, err = appendInts(a.ints, typ, v, b)
		case 20:
			a.kind = int64(v)
		case 9, 10, 11, 14, 15, 21, 22, 23:
			a.other = true
		}
		return err
	})
	if err != nil {
		return a, err
	}
	// Proto3 leaves defaults out: a scalar without a value is zero, if the file says which kind it is.
	switch {
	case a.kind == 1 && a.floats == nil:
		a.floats = []float32{0}
	case a.kind == 2 && a.ints == nil:
		a.ints = []int64{0}
	}
	return a, nil
}

// appendFloats and appendInts take one field of a repeated number, packed or not.
func appendFloats(dst []float32, typ protowire.Type, v uint64, b []byte) ([]float32, error) {
	switch typ {
	case wireFixed32:
		return append(dst, math.Float32frombits(uint32(v))), nil
	case wireBytes:
		if len(b)%4 != 0 {
			return dst, errTruncated
		}
		dst = slices.Grow(dst, len(b)/4)
		for ; len(b) > 0; b = b[4:] {
			u, _ := protowire.ConsumeFixed32(b)
			dst = append(dst, math.Float32frombits(u))
		}
		return dst, nil
	}
	return dst, fmt.Errorf("a list of floats has wire type %d", typ)
}

func appendInts(dst []int64, typ protowire.Type, v uint64, b []byte) ([]int64, error) {
	switch typ {
	case wireVarint:
		return append(dst, int64(v)), nil
	case wireBytes:
		for len(b) > 0 {
			u, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return dst, errTruncated
			}
			dst, b = append(dst, int64(u)), b[n:]
		}
		return dst, nil
	}
	return dst, fmt.Errorf("a list of integers has wire type %d", typ)
}

func decodeValueInfo(data []byte) (valueInfo, error) {
	vi := valueInfo{}
	err := fields(data, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) error {
		switch num {
		case 1:
			vi.name = text(b)
			return want("ValueInfoProto", num, typ, wireBytes)
		case 2:
			if err := want("ValueInfoProto", num, typ, wireBytes); err != nil {
				return err
			}
			return fields(b, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) error {
				if num != 1 { // anything but a tensor type; elem stays 0
					return nil
				}
				if err := want("TypeProto", num, typ, wireBytes); err != nil {
					return err
				}
				return vi.decodeTensorType(b)
			})
		}
		return nil
	})
	return vi, err
}

func (vi *valueInfo) decodeTensorType(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v uint64, b []byte) error {
		switch num {
		case 1:
			vi.elem = int64(v)
			return want("TypeProto.Tensor", num, typ, wireVarint)
		case 2:
			if err := want("TypeProto.Tensor", num, typ, wireBytes); err != nil {
				return err
			}
			vi.hasShape = true
			return fields(b, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) error {
				if num != 1 {
					return nil
				}
				if err := want("TensorShapeProto", num, typ, wireBytes); err != nil {
					return err
				}
				if len(vi.dims) == maxRank {
					return fmt.Errorf("%q has more than %d dimensions", vi.name, maxRank)
				}
				var dim int64
				if err := fields(b, func(num protowire.Number, typ protowire.Type, v uint64, _ []byte) error {
					if num == 1 && typ == wireVarint {
						dim = int64(v)
					}
					return nil
				}); err != nil {
					return err
				}
				vi.dims = append(vi.dims, dim)
				return nil
			})
		}
		return nil
	})
}
