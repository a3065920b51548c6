package tflite

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Limits of the file's structure: many lists may stand in the same bytes of a file.
const (
	maxTensors = format.MaxTensors
	maxOps     = format.MaxOps
	maxRank    = 6
	maxName    = 128
	maxInputs  = format.MaxInputs
)

// elem is TensorType.
type elem int

const (
	elemFloat32 elem = 0
	elemFloat16 elem = 1
	elemInt32   elem = 2
	elemUint8   elem = 3
	elemInt64   elem = 4
	elemInt16   elem = 7
	elemInt8    elem = 9
)

// elems are the types that are read: their size and ONNX's number for them.
var elems = map[elem]struct {
	name string
	size int
	onnx int
}{
	elemFloat32: {"float32", 4, 1}, elemFloat16: {"float16", 2, 10}, elemInt32: {"int32", 4, 6}, elemUint8: {"uint8", 1, 2},
	elemInt64: {"int64", 8, 7}, elemInt16: {"int16", 2, 5}, elemInt8: {"int8", 1, 3},
}

func (e elem) String() string {
	if i, ok := elems[e]; ok {
		return i.name
	}
	return fmt.Sprintf("element type %d", int(e))
}

// tensor is an activation or, with data, a constant.
type tensor struct {
	name  string
	shape []int
	elem  elem
	data  []byte
	// scale is empty for a tensor that is not quantized; with several elements, they are along axis.
	scale []byte // float32
	zero  []byte // int64
	axis  int
}

func (t *tensor) size() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// isQuantized says whether t holds integers that stand for real values.
func (t *tensor) isQuantized() bool {
	return len(t.scale) > 0 && (t.elem == elemInt8 || t.elem == elemUint8 || t.elem == elemInt16 || t.elem == elemInt32 && t.data != nil)
}

// operator is a node of the graph. Inputs of -1 are absent.
type operator struct {
	code    int
	in, out []int
	options table
}

// model is what is needed of a file.
type model struct {
	about       string
	tensors     []tensor
	operators   []operator
	inputs, out []int
	names       map[int]string // what a signature calls results
}

func decode(data []byte) (*model, error) {
	f := &flat{b: data}
	root := f.root()
	m := &model{about: root.text(3, maxName)}
	graphs := root.tables(2, 1<<10)
	if f.err == nil && len(graphs) == 0 {
		return nil, fmt.Errorf("the file has no graph")
	}
	if f.err != nil {
		return nil, f.err
	}
	g := graphs[0]
	buffers := root.tables(4, 1<<16)
	seen := map[string]bool{}
	for i, t := range g.tables(0, maxTensors) {
		x, err := decodeTensor(t, buffers)
		if f.err != nil {
			return nil, f.err
		}
		if x.name == "" || seen[x.name] {
			x.name = fmt.Sprintf("%s#%d", x.name, i)
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", x.name, err)
		}
		seen[x.name] = true
		x.name += resultMark
		m.tensors = append(m.tensors, x)
	}
	codes := root.tables(1, 1<<10)
	for i, op := range g.tables(3, maxOps) {
		k := op.int(0, 0)
		if f.err == nil && (k < 0 || k >= len(codes)) {
			return nil, fmt.Errorf("operator %d is of kind %d of %d", i, k, len(codes))
		}
		o := operator{in: op.ints(1, maxInputs), out: op.ints(2, maxInputs), options: op.table(4)}
		if f.err == nil { // old files have the code in a byte
			o.code = max(codes[k].byte(0), codes[k].int(3, 0))
		}
		m.operators = append(m.operators, o)
		if err := m.checkIndices(o.in, -1); err != nil {
			return nil, fmt.Errorf("operator %d: %w", i, err)
		}
		if err := m.checkIndices(o.out, 0); err != nil {
			return nil, fmt.Errorf("operator %d: %w", i, err)
		}
	}
	m.inputs, m.out = g.ints(1, maxInputs), g.ints(2, maxInputs)
	m.names = map[int]string{}
	for _, sig := range root.tables(7, 16) {
		for _, out := range sig.tables(1, maxInputs) {
			m.names[out.int(1, 0)] = printable(out.text(0, maxName))
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	for _, list := range [][]int{m.inputs, m.out} {
		if err := m.checkIndices(list, 0); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *model) checkIndices(list []int, least int) error {
	for _, t := range list {
		if t < least || t >= len(m.tensors) {
			return fmt.Errorf("tensor %d of %d", t, len(m.tensors))
		}
	}
	return nil
}

func decodeTensor(t table, buffers []table) (tensor, error) {
	x := tensor{name: t.text(3, maxName), shape: t.ints(0, maxRank), elem: elem(t.byte(1))}
	n := 1
	for _, d := range x.shape {
		if d < 0 || d > format.MaxDim || d > 0 && n > format.MaxElements/d {
			return x, fmt.Errorf("shape %v has a negative dimension or more than %d elements", x.shape, format.MaxElements)
		}
		n *= d
	}
	q := t.table(4)
	x.scale, x.zero, x.axis = q.vector(2, 4, format.MaxDim), q.vector(3, 8, format.MaxDim), q.int(6, 0)
	if len(x.scale) > 0 && (len(x.zero) > 0 && len(x.zero) != 2*len(x.scale)) {
		return x, fmt.Errorf("it has %d scales and %d zero points", len(x.scale)/4, len(x.zero)/8)
	}
	k := t.int(2, 0)
	if k <= 0 { // buffer 0 is the one that activations have
		return x, nil
	}
	if k >= len(buffers) {
		return x, fmt.Errorf("its data are in buffer %d of %d", k, len(buffers))
	}
	x.data = buffers[k].vector(0, 1, math.MaxInt32)
	if size := buffers[k].long(2); size > 0 { // files of more than 2 GiB
		x.data = t.f.bytes(buffers[k].long(1), size)
	}
	if len(x.data) == 0 {
		x.data = nil
		return x, nil
	}
	if want := n * elems[x.elem].size; elems[x.elem].size > 0 && len(x.data) != want {
		return x, fmt.Errorf("it has %d bytes of data; shape %v of %v needs %d", len(x.data), x.shape, x.elem, want)
	}
	return x, nil
}

// numbers are the elements of a small constant of integers.
func (t *tensor) numbers() ([]int, error) {
	if t.data == nil || t.size() > 64 || t.elem != elemInt32 && t.elem != elemInt64 {
		return nil, fmt.Errorf("%q is not a constant of a few integers", t.name)
	}
	v := make([]int, t.size())
	for i := range v {
		if t.elem == elemInt32 {
			v[i] = int(int32(binary.LittleEndian.Uint32(t.data[4*i:])))
		} else {
			v[i] = int(binary.LittleEndian.Uint64(t.data[8*i:]))
		}
	}
	return v, nil
}
