package tflite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Sniff says whether a file that begins with head, of which 8 bytes are enough, is a LiteRT model.
func Sniff(head []byte) bool { return len(head) >= 8 && bytes.Equal(head[4:8], []byte("TFL3")) }

// Import converts a LiteRT model: to int8 if it is quantized and o.Float does not ask for floats, else to float32. path is the
// file's name, for errors and provenance. Where the image is given in integers, its bytes are taken as those, as TensorFlow's
// tools do, and o.Mean and o.Std follow from that unless they are set.
//
// Operators that cannot be converted give an *onnx.UnsupportedError, which lists them all.
func Import(path string, data []byte, o onnx.Options) (*format.Model, error) {
	m, err := importModel(path, data, o)
	if err != nil && path != "" && !strings.HasPrefix(err.Error(), path) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return m, err
}

func importModel(path string, data []byte, o onnx.Options) (*format.Model, error) {
	if !Sniff(data) {
		return nil, fmt.Errorf("not a LiteRT model: it does not have TFL3 at byte 4")
	}
	m, err := decode(data)
	if err != nil {
		return nil, err
	}
	t := &translator{m: m, p: newProto(len(data)), real: map[int]string{}, params: map[int][2]string{}, made: map[int]bool{}, half: map[int]int{}, taken: map[string]bool{}}
	if err := t.input(&o); err != nil {
		return nil, err
	}
	for i := range m.operators {
		t.operator(i)
	}
	if len(t.errs) > 0 {
		return nil, &onnx.UnsupportedError{Nodes: t.errs}
	}
	if err := t.outputs(); err != nil {
		return nil, err
	}
	out, err := onnx.Import(path, t.p.model(), o)
	if err != nil {
		return nil, err
	}
	out.Arch = "tflite"
	out.Prov.Notes = strings.TrimSpace("LiteRT " + printable(m.about))
	return out, nil
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s)
}

// input names the image, in real numbers, and rounds it where the file takes integers.
func (t *translator) input(o *onnx.Options) error {
	if len(t.m.inputs) != 1 {
		return fmt.Errorf("the graph has %d inputs; expected one, the image", len(t.m.inputs))
	}
	i := t.m.inputs[0]
	x := &t.m.tensors[i]
	if len(x.shape) != 4 || x.shape[3] != 3 {
		return fmt.Errorf("input %q has shape %v; expected N,H,W,3", x.name, x.shape)
	}
	t.made[i] = true
	if x.elem == elemFloat32 {
		if o.Std == [3]float32{} && o.Note != nil {
			o.Note("the file does not say how the image is normalised; without --mean and --std it is as ImageNet's networks in PyTorch are (TensorFlow's often take 0.5,0.5,0.5 for both)")
		}
		t.real[i] = x.name
		t.p.value(11, x.name, x.shape)
		return nil
	}
	if !x.isQuantized() || len(x.scale) != 4 {
		return fmt.Errorf("input %q is of %v without a scale; expected float32, or int8 or uint8 with one", x.name, x.elem)
	}
	if o.Std == [3]float32{} {
		lo, _ := rangeOf(x.elem)
		zero := int64(0)
		if len(x.zero) > 0 {
			zero = int64(binary.LittleEndian.Uint64(x.zero))
		}
		scale := float64(math.Float32frombits(binary.LittleEndian.Uint32(x.scale)))
		if mean, std := float32(float64(zero-lo)/255), float32(1/(255*scale)); std > 1e-6 && std < 1e6 {
			o.Mean, o.Std = [3]float32{mean, mean, mean}, [3]float32{std, std, std}
		}
	}
	name := t.p.name(x.name)
	t.p.value(11, name, x.shape)
	return t.store(i, name)
}

// resultName is what a result is called: as a signature of the file says, or as its tensor. Tensors that are results have other
// names by now.
func (t *translator) resultName(i int) string {
	name := t.m.names[i]
	if name == "" {
		name = strings.TrimSuffix(t.m.tensors[i].name, resultMark)
	}
	for t.taken[name] || name == "" {
		name = fmt.Sprintf("%s_%d", name, len(t.taken))
	}
	t.taken[name] = true
	return name
}

// resultMark is behind the names of tensors, so that results can have the names without it.
const resultMark = "/tensor"

// outputs names the results, as N,C or N,C,H,W.
func (t *translator) outputs() error {
	for _, i := range t.m.out {
		x := &t.m.tensors[i]
		if !t.made[i] {
			return fmt.Errorf("output %q is made by no operator", x.name)
		}
		value, err := t.value(&operator{in: []int{i}}, 0)
		if err != nil {
			return err
		}
		name := t.resultName(i)
		if len(x.shape) == 4 {
			t.p.node("Transpose", []string{value}, name, attr{"perm", []int{0, 3, 1, 2}})
		} else {
			t.p.node("Identity", []string{value}, name)
		}
		t.p.value(12, name, nil)
	}
	return nil
}
