package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// ErrNoHead is returned where a class activation head is needed and the model has none.
var ErrNoHead = errors.New("the model has no class activation head: it classifies nothing and localizes nothing")

// OutputInfo describes an output of the graph. Shape is (N,C,H,W), or (N,C) for flat outputs, N being the batch.
type OutputInfo struct {
	Name  string
	DType format.DType
	Shape []int
}

// Outputs lists the outputs of the graph in the file's order.
func (s *Session) Outputs() []OutputInfo {
	var out []OutputInfo
	for _, o := range s.plan.fm.Outputs {
		t := &s.plan.fm.Tensors[o.Tensor]
		info := OutputInfo{Name: o.Name, DType: t.DType, Shape: []int{len(s.images), t.Shape[3], t.Shape[1], t.Shape[2]}}
		if o.Flat {
			info.Shape = []int{len(s.images), t.Elements()}
		}
		out = append(out, info)
	}
	return out
}

// each calls f for every element of output i of image n in the order in which outputs are written: channels, rows, columns.
func (s *Session) each(i int, f func(index int)) {
	o := s.plan.fm.Outputs[i]
	t := &s.plan.fm.Tensors[o.Tensor]
	if o.Flat {
		for k := range t.Elements() {
			f(k)
		}
		return
	}
	c := t.Shape[3]
	for ch := range c {
		for pos := range t.Shape[1] * t.Shape[2] {
			f(pos*c + ch)
		}
	}
}

// OutputFloat writes output i of image n as real values, (C,H,W) or flat, into dst, which must have room.
func (s *Session) OutputFloat(n, i int, dst []float32) error {
	t := &s.plan.fm.Tensors[s.plan.fm.Outputs[i].Tensor]
	if len(dst) < t.Elements() {
		return fmt.Errorf("output %q: %d elements do not fit into %d", s.plan.fm.Outputs[i].Name, t.Elements(), len(dst))
	}
	b, k, c := s.images[n][s.plan.fm.Outputs[i].Tensor], 0, t.Shape[3]
	s.each(i, func(j int) {
		switch t.DType {
		case format.I8:
			dst[k] = float32(float64(t.Scale[0]) * float64(int32(b[j])-128-t.Zero))
		case format.I16:
			dst[k] = float32(float64(t.Scale[0]) * float64(int32(view[int16](b)[j])-t.Zero))
		case format.I32:
			dst[k] = float32(float32(view[int32](b)[j]) * channelScale(t, j%c))
		case format.I64:
			if dst[k] = s.logit(view[int64](b)[j], j%c); s.isMaps(i) {
				dst[k] = float32(float32(float64(view[int64](b)[j])) * channelScale(t, j%c))
			}
		default:
			dst[k] = view[float32](b)[j]
		}
		k++
	})
	return nil
}

// isMaps tells whether output i is the class maps of a head, not its logits.
func (s *Session) isMaps(i int) bool {
	for _, st := range s.plan.steps {
		if st.op.Kind == format.OpCAMHead && len(st.out) > 1 && st.out[1] == s.plan.fm.Outputs[i].Tensor {
			return true
		}
	}
	return false
}

// channelScale is the scale of channel c of a tensor quantized as a whole or by channel.
func channelScale(t *format.Tensor, c int) float32 {
	if len(t.Scale) == 1 {
		return t.Scale[0]
	}
	return t.Scale[c]
}

// logit is the contract's real value of a class sum.
func (s *Session) logit(sum int64, k int) float32 {
	h := s.plan.steps[s.plan.head]
	x, t := &s.plan.fm.Tensors[h.in[0]], &s.plan.fm.Tensors[h.out[0]]
	return float32(float64(sum) * (float64(channelScale(t, k)) / float64(x.Shape[1]*x.Shape[2])))
}

// AppendRaw appends the values of output i of image n as they were computed, little endian, in the order of OutputFloat:
// int8, int16, int32 or int64 of a quantized output, the bits of a float32 otherwise. Hashes are taken over these bytes.
func (s *Session) AppendRaw(dst []byte, n, i int) []byte {
	t := &s.plan.fm.Tensors[s.plan.fm.Outputs[i].Tensor]
	b := s.images[n][s.plan.fm.Outputs[i].Tensor]
	s.each(i, func(j int) {
		switch t.DType {
		case format.I8:
			dst = append(dst, b[j]^0x80)
		case format.I16:
			dst = binary.LittleEndian.AppendUint16(dst, uint16(view[int16](b)[j]))
		case format.I64:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(view[int64](b)[j]))
		case format.I32:
			dst = binary.LittleEndian.AppendUint32(dst, uint32(view[int32](b)[j]))
		default:
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(view[float32](b)[j]))
		}
	})
	return dst
}

// MapShape is the height and width of the class maps and the number of classes, zeros for a model without a head.
func (m *Model) MapShape() (height, width, classes int) {
	if m.plan.head < 0 {
		return 0, 0, 0
	}
	h := m.plan.steps[m.plan.head]
	x, l := &m.fm.Tensors[h.in[0]], &m.fm.Tensors[h.out[0]]
	return x.Shape[1], x.Shape[2], l.Shape[3]
}

// Logits writes the head's logits of image n into dst, one per class. Valid after Run and RunHead.
func (s *Session) Logits(n int, dst []float32) error {
	if s.plan.head < 0 {
		return ErrNoHead
	}
	t := s.plan.steps[s.plan.head].out[0]
	b := s.images[n][t]
	if want := s.plan.fm.Tensors[t].Elements(); len(dst) != want {
		return fmt.Errorf("%d logits do not fit into %d", want, len(dst))
	}
	if s.plan.fm.Tensors[t].DType == format.I64 {
		for k, v := range view[int64](b) {
			dst[k] = s.logit(v, k)
		}
		return nil
	}
	copy(dst, view[float32](b))
	return nil
}

// ClassMap computes the class map of one class of image n, height x width real values. Valid after Run and RunHead, and
// in a quantized model the same bits as that class's part of the maps output.
func (s *Session) ClassMap(n, class int, dst []float32) error {
	h, w, classes := s.m.MapShape()
	switch {
	case classes == 0:
		return ErrNoHead
	case class < 0 || class >= classes:
		return fmt.Errorf("class %d: the model has classes 0 to %d", class, classes-1)
	case len(dst) != h*w:
		return fmt.Errorf("a class map of %dx%d does not fit into %d values", h, w, len(dst))
	}
	head := s.plan.steps[s.plan.head]
	x := s.images[n][head.in[0]]
	if s.plan.headF32 != nil {
		kernels.ClassMapF32(s.plan.headF32, x, class, dst)
		return nil
	}
	if h := s.plan.headI16; h != nil {
		if s.acc64 == nil {
			s.acc64 = make([]int64, len(dst))
		}
		kernels.ClassMapI16(h, x, class, s.acc64)
		scale := channelScale(&s.plan.fm.Tensors[head.out[0]], class)
		for i, v := range s.acc64 {
			dst[i] = float32(float32(float64(v)) * scale)
		}
		return nil
	}
	if s.acc == nil {
		s.acc = make([]int32, h*w)
	}
	kernels.ClassMapI8(s.plan.headI8, x, class, s.acc)
	scale := channelScale(&s.plan.fm.Tensors[head.out[0]], class)
	for i, v := range s.acc {
		dst[i] = float32(float32(v) * scale)
	}
	return nil
}
