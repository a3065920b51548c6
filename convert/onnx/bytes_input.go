package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// byteInput makes an input of integers, the bytes of an image, one of real values, as all others are: nodes that cast the bytes to
// floating point then see values 0 to 255, and nodes that take them as quantized integers get these from a QuantizeLinear that is
// put in front. The normalisation follows from that, unless the caller has set one.
func (im *importer) byteInput(g *graph, in valueInfo) error {
	e := dtype(in.elem)
	fail := func(n *protoNode) error {
		return fmt.Errorf("input %q is of %v, and node %q (%s) computes with its integers; expected Cast to floating point, or DequantizeLinear, before anything but Transpose", in.name, e, n.name, n.op)
	}
	names := map[string]bool{in.name: true}
	cast, first := false, -1
	for i, n := range g.nodes {
		at := slices.IndexFunc(n.in, func(s string) bool { return names[s] })
		if at < 0 {
			inside := false
			n.reads(func(s string) { inside = inside || names[s] })
			if inside {
				return fail(n)
			}
			continue
		}
		switch {
		case (n.op == "Transpose" || n.op == "Identity") && len(n.out) == 1:
			names[n.out[0]] = true
		case n.op == "Cast" && e == tUint8:
			cast = true // to what, the operator checks
		case at == 0 && (n.op == "DequantizeLinear" || strings.HasPrefix(n.op, "QLinear")) && len(n.in) >= 2:
			if first >= 0 && !slices.Equal(g.nodes[first].in[1:min(3, len(g.nodes[first].in))], n.in[1:min(3, len(n.in))]) {
				return fmt.Errorf("input %q is read with two different scales, by nodes %q and %q", in.name, g.nodes[first].name, n.name)
			}
			if first < 0 {
				first = i
			}
		default:
			return fail(n)
		}
	}
	switch {
	case cast && first >= 0:
		return fail(g.nodes[first])
	case first < 0:
		im.normalise(0, 1./255)
		return nil
	}
	scale, zero, err := im.gridOf(g.nodes[first])
	if err != nil {
		return fmt.Errorf("input %q: %w", in.name, err)
	}
	if e == tInt8 {
		zero += 128 // the byte less 128
	}
	im.normalise(zero/255, 1/(255*scale))
	// The name of the integers is now that of what is rounded from the real values.
	q := &protoNode{name: in.name, op: "QuantizeLinear", in: append([]string{realName(in.name)}, g.nodes[first].in[1:min(3, len(g.nodes[first].in))]...), out: []string{in.name}}
	im.rounding = q
	return nil
}

// realName is the name of the real values of an input of integers; no name of a file has a zero byte.
func realName(s string) string { return s + "\x00real" }

// normalise sets what the image's bytes become, unless the caller has.
func (im *importer) normalise(mean, std float64) {
	if im.o.Std == [3]float32{} {
		m, s := float32(mean), float32(std)
		im.o.Mean, im.o.Std = [3]float32{m, m, m}, [3]float32{s, s, s}
	}
}

// gridOf reads the scale and zero point with which n takes its first input.
func (im *importer) gridOf(n *protoNode) (scale, zero float64, err error) {
	one := func(name string) (*tensor, error) {
		v := im.value(name)
		if v == nil || v.c == nil || v.c.elems != 1 {
			return nil, fmt.Errorf("its scale or zero point %q, which node %q reads, is no initializer of one element", name, n.name)
		}
		return v.c, nil
	}
	t, err := one(n.in[1])
	if err != nil {
		return 0, 0, err
	}
	f, err := t.float32s()
	if err != nil {
		return 0, 0, err
	}
	scale = float64(f[0])
	if s := 1 / (255 * scale); !(s > 1e-6 && s < 1e6) {
		return 0, 0, fmt.Errorf("a scale of %g", scale)
	}
	if len(n.in) > 2 && n.in[2] != "" {
		if t, err = one(n.in[2]); err != nil {
			return 0, 0, err
		}
		at, err := t.int64at()
		if err != nil {
			return 0, 0, err
		}
		zero = float64(at(0))
	}
	if math.Abs(zero) > 255 {
		return 0, 0, fmt.Errorf("a zero point of %g", zero)
	}
	return scale, zero, nil
}
