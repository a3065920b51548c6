package tflite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// proto writes an ONNX model. The graph's fields are appended to buf behind room for its header, so that constants are copied
// once.
type proto struct {
	buf  []byte
	left int64 // bytes of constants that may still be written
	n    int   // names made so far
}

const headRoom = 32

// newProto is for a file of size bytes. Constants may take as much: each is written once, and several that are the same bytes of
// the file must not multiply them.
func newProto(size int) *proto {
	return &proto{buf: make([]byte, headRoom, headRoom+size+size/8+1<<16), left: int64(size) + 1<<20}
}

var errShared = errors.New("its constants share bytes of the file and would be several times as large as that; it was refused because of that")

// name makes a name that no tensor of the file has.
func (p *proto) name(of string) string {
	p.n++
	return fmt.Sprintf("%s/%d", of, p.n)
}

func (p *proto) message(num protowire.Number, b []byte) {
	p.buf = protowire.AppendBytes(protowire.AppendTag(p.buf, num, protowire.BytesType), b)
}

func text(m []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(m, num, protowire.BytesType), s)
}

func number(m []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), uint64(v))
}

// attr is an attribute of a node: an integer, integers, a number or a string.
type attr struct {
	name  string
	value any
}

func (a attr) encode() []byte {
	m := text(nil, 1, a.name)
	switch v := a.value.(type) {
	case int:
		return number(number(m, 3, int64(v)), 20, 2)
	case []int:
		for _, x := range v {
			m = number(m, 8, int64(x))
		}
		return number(m, 20, 7)
	case float32:
		m = protowire.AppendFixed32(protowire.AppendTag(m, 2, protowire.Fixed32Type), math.Float32bits(v))
		return number(m, 20, 1)
	case string:
		return number(text(m, 4, v), 20, 3)
	}
	return m
}

// node adds a node with one output, named as that.
func (p *proto) node(op string, in []string, out string, attrs ...attr) string {
	var m []byte
	for _, x := range in {
		m = text(m, 1, x)
	}
	m = text(text(text(m, 2, out), 3, out), 4, op)
	for _, a := range attrs {
		m = protowire.AppendBytes(protowire.AppendTag(m, 5, protowire.BytesType), a.encode())
	}
	p.message(1, m)
	return out
}

// constant adds an initializer whose n bytes write appends.
func (p *proto) constant(name string, typ int, shape []int, n int, write func(dst []byte) []byte) error {
	if p.left -= int64(n) + int64(len(name)); p.left < 0 {
		return errShared
	}
	var head []byte
	for _, d := range shape {
		head = number(head, 1, int64(d))
	}
	head = text(number(head, 2, int64(typ)), 8, name)
	head = protowire.AppendVarint(protowire.AppendTag(head, 9, protowire.BytesType), uint64(n))
	p.buf = protowire.AppendVarint(protowire.AppendTag(p.buf, 5, protowire.BytesType), uint64(len(head)+n))
	p.buf = append(p.buf, head...)
	before := len(p.buf)
	if p.buf = write(p.buf); len(p.buf)-before != n {
		return fmt.Errorf("constant %q: %d bytes instead of %d; this is a bug in the importer", name, len(p.buf)-before, n)
	}
	return nil
}

func (p *proto) bytes(name string, typ int, shape []int, data []byte) error {
	return p.constant(name, typ, shape, len(data), func(dst []byte) []byte { return append(dst, data...) })
}

// ints adds a list of int64.
func (p *proto) ints(name string, v ...int) (string, error) {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(x))
	}
	return name, p.bytes(name, 7, []int{len(v)}, b)
}

// scalar adds a float32.
func (p *proto) scalar(name string, v float32) (string, error) {
	return name, p.bytes(name, 1, nil, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
}

// value names an input (field 11) or output (12) of the graph.
func (p *proto) value(num protowire.Number, name string, shape []int) {
	var dims []byte
	for _, d := range shape {
		dims = protowire.AppendBytes(protowire.AppendTag(dims, 1, protowire.BytesType), number(nil, 1, int64(d)))
	}
	typ := number(nil, 1, 1)
	typ = protowire.AppendBytes(protowire.AppendTag(typ, 2, protowire.BytesType), dims)
	typ = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), typ)
	p.message(num, protowire.AppendBytes(protowire.AppendTag(text(nil, 1, name), 2, protowire.BytesType), typ))
}

// model closes the graph.
func (p *proto) model() []byte {
	head := number(nil, 1, 8) // ir_version
	head = protowire.AppendVarint(protowire.AppendTag(head, 7, protowire.BytesType), uint64(len(p.buf)-headRoom))
	start := headRoom - len(head)
	copy(p.buf[start:], head)
	p.message(8, number(text(nil, 1, ""), 2, opset))
	return p.buf[start:]
}

// opset is ONNX's, of the nodes that are written.
const opset = 14
