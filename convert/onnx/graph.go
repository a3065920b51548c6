package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Opsets that are accepted. The rules know what changed between them.
const (
	minOpset = 9
	maxOpset = 23
)

// NodeError says why one node cannot be converted.
type NodeError struct {
	Name, Op, Reason string
}

// UnsupportedError lists every node of a model that cannot be converted.
type UnsupportedError struct {
	Nodes []NodeError
}

func (e *UnsupportedError) Error() string {
	var b strings.Builder
	if len(e.Nodes) == 1 {
		b.WriteString("1 node cannot be converted:")
	} else {
		fmt.Fprintf(&b, "%d nodes cannot be converted:", len(e.Nodes))
	}
	for _, n := range e.Nodes {
		fmt.Fprintf(&b, "\n  %s %q: %s", n.Op, n.Name, n.Reason)
	}
	return b.String()
}

// value is what a name stands for: a constant, a view of an activation, or neither when its node could not be converted.
type value struct {
	c *tensor
	v view
	// lostImage says that a lost value depended on the image, so that it would have been an activation.
	lostImage bool
}

func (v *value) lost() bool { return v.c == nil && v.v.n == nil }

// importer turns a decoded file into a net.
type importer struct {
	// rounding is a node that makes an input's integers out of real values, nil without.
	rounding *protoNode
	o        Options
	opset    int64
	scope    *scope
	net      net
	budget   budget
	errs     []NodeError
}

// budget bounds what an import may allocate for constants, so that a small file that uses one constant many times, or
// computes large ones, is refused instead of filling the memory.
type budget struct{ left int64 }

// newBudget is for a model of size bytes, external data included. Float32 weights need about their own size once, float16
// weights twice, four times where rows of one element are padded.
func newBudget(size int64) budget { return budget{4*size + 32<<20} }

func (b *budget) take(elems, size int) error {
	b.left -= int64(elems) * int64(size)
	if b.left < 0 {
		return fmt.Errorf("the model's constants take several times the memory of its file once expanded; it was refused because of that")
	}
	return nil
}

// build makes the net of a graph. The error lists what cannot be converted.
func (im *importer) build(f *file) error {
	if err := im.checkFile(f); err != nil {
		return err
	}
	g := f.graph
	if err := im.enter(g); err != nil {
		return err
	}
	for i, o := range g.outputs {
		if o.name == "" || len(o.name) > format.MaxString {
			return fmt.Errorf("output %d has a name of %d bytes, must have 1 to %d", i, len(o.name), format.MaxString)
		}
	}
	live, needed, err := im.liveNodes(g)
	if err != nil {
		return err
	}
	if err := im.graphInputs(g, needed); err != nil {
		return err
	}
	for _, n := range live {
		im.convert(n)
	}
	return im.graphOutputs(g)
}

func (im *importer) checkFile(f *file) error {
	for _, d := range f.domains {
		if d.domain == "" || d.domain == "ai.onnx" {
			im.opset = d.version
		}
	}
	if im.opset < minOpset || im.opset > maxOpset {
		return fmt.Errorf("the model uses opset %d, supported are %d to %d; export it again with opset_version=13", im.opset, minOpset, maxOpset)
	}
	if len(f.graph.outputs) == 0 || len(f.graph.outputs) > format.MaxOutputs {
		return fmt.Errorf("the graph has %d outputs, there must be 1 to %d", len(f.graph.outputs), format.MaxOutputs)
	}
	return nil
}

// graphInputs finds the one input that is an image. Old files list the initializers among the inputs, too.
func (im *importer) graphInputs(g *graph, needed map[string]bool) error {
	var images []valueInfo
	for _, in := range g.inputs {
		if im.value(in.name) == nil && needed[in.name] {
			images = append(images, in)
		}
	}
	if len(images) != 1 {
		var names []string
		for _, in := range images {
			names = append(names, in.name)
		}
		return fmt.Errorf("the graph has %d inputs %q that results depend on; expected one, the image", len(images), names)
	}
	in := images[0]
	switch e := dtype(in.elem); e {
	case tFloat, tFloat16, tDouble, tBfloat16:
	case tUint8, tInt8:
		if err := im.byteInput(g, in); err != nil {
			return err
		}
	default:
		return fmt.Errorf("input %q is of %v; expected floating point, the normalised image, or its bytes", in.name, e)
	}
	d := in.dims
	if len(d) != 4 {
		return fmt.Errorf("input %q has shape %v; expected N,3,H,W", in.name, d)
	}
	if d[0] > 1 {
		return fmt.Errorf("input %q has a fixed batch of %d; export the model with batch 1 or a dynamic batch", in.name, d[0])
	}
	last := d[1] != 3 && d[3] == 3 // N,H,W,3, as TensorFlow's exporters write
	size, ch := [2]int64{d[2], d[3]}, d[1]
	if last {
		size, ch = [2]int64{d[1], d[2]}, d[3]
	}
	if ch > 0 && ch != 3 {
		return fmt.Errorf("input %q has %d channels; expected 3, a colour image", in.name, ch)
	}
	for i := range size {
		if im.o.InputSize > 0 {
			size[i] = int64(im.o.InputSize)
		}
		if size[i] <= 0 {
			return fmt.Errorf("input %q has no fixed size (%v); say which input size to use", in.name, d)
		}
		if size[i] > format.MaxImageSide {
			return fmt.Errorf("input %q is %d pixels wide or high, the limit is %d", in.name, size[i], format.MaxImageSide)
		}
	}
	n := &node{name: in.name, op: "input", shape: [3]int{int(size[0]), int(size[1]), 3}, do: input{}}
	im.net.nodes = append(im.net.nodes, n)
	v := imageView(n)
	if last {
		v = v.transpose([]int{0, 2, 3, 1})
	}
	if im.rounding != nil {
		im.scope.values[realName(in.name)] = &value{v: v}
		im.convert(im.rounding)
		return nil
	}
	im.scope.values[in.name] = &value{v: v}
	return nil
}

// asOutput moves a value's data so that it is a result N,C,H,W, or N,C, which is flat. One of three dimensions gets a fourth
// of one element.
func (im *importer) asOutput(name string, v view) (n *node, flat bool, err error) {
	rank := len(v.dims)
	if rank == 0 || rank > 4 || rank > 1 && len(v.dims[0]) > 0 {
		return nil, false, fmt.Errorf("its shape %v is neither N,C nor N,C,H,W with a batch of one; reshape it after the model, not in it", v.shape())
	}
	axes := [][3][]int{1: {axisC: {0}}, 2: {axisC: {1}}, 3: {axisC: {1}, axisH: {2}}, 4: {axisC: {1}, axisH: {2}, axisW: {3}}}[rank]
	c := &call{im: im, n: &protoNode{op: "output"}, name: name}
	if v, err = c.arranged(v, axes); err != nil {
		return nil, false, err
	}
	return v.n, rank <= 2, nil
}

// graphOutputs names the results.
func (im *importer) graphOutputs(g *graph) error {
	for _, o := range g.outputs {
		v := im.value(o.name)
		switch {
		case v == nil || v.lost():
			continue
		case v.c != nil:
			return fmt.Errorf("output %q does not depend on the image", o.name)
		case slices.ContainsFunc(im.net.outputs, func(p netOutput) bool { return p.name == o.name }):
			return fmt.Errorf("two outputs are named %q", o.name)
		}
		n, flat, err := im.asOutput(o.name, v.v)
		if err != nil {
			im.errs = append(im.errs, NodeError{o.name, "output", err.Error()})
			v.v.n.lost = true
			continue
		}
		im.net.outputs = append(im.net.outputs, netOutput{o.name, n, flat})
	}
	return nil
}

// convert makes the values of one node's outputs; a node that cannot be converted is noted and its outputs are lost.
func (im *importer) convert(n *protoNode) {
	c := &call{im: im, n: n, in: make([]*value, len(n.in)), name: n.name}
	if c.name == "" && len(n.out) > 0 {
		c.name = n.out[0]
	}
	constant, lost, image := true, false, false
	for i, x := range n.in {
		if x == "" {
			continue
		}
		v := im.value(x)
		if v == nil {
			im.errs = append(im.errs, NodeError{c.name, n.op, fmt.Sprintf("its input %q is made by no node before it (the graph is cyclic, not sorted, or incomplete)", x)})
			v = &value{}
		}
		c.in[i] = v
		constant = constant && v.c != nil
		lost = lost || v.lost()
		image = image || v.v.n != nil || v.lostImage
	}
	out, err := c.run(constant, lost, image)
	if err == nil && c.err != nil {
		err = c.err
	}
	if err != nil {
		im.errs = append(im.errs, NodeError{c.name, n.op, err.Error()})
	}
	if err != nil || out == nil {
		for _, v := range c.in {
			if v != nil && v.v.n != nil {
				v.v.n.lost = true
			}
		}
		out = nil
	}
	for i, name := range n.out {
		if name == "" {
			continue
		}
		if _, dup := im.scope.values[name]; dup {
			im.errs = append(im.errs, NodeError{c.name, n.op, fmt.Sprintf("its output %q is a name that is already taken", name)})
			continue
		}
		v := value{lostImage: image && n.op != "Shape" && n.op != "Size"} // those would have been constants
		if i < len(out) {
			v = out[i]
		}
		im.scope.values[name] = &v
	}
}

// run applies the fold or rule for the node's operator. It returns nil without an error where an input is lost: the
// operator is known, and that is all that can be said.
func (c *call) run(constant, lost, image bool) ([]value, error) {
	if c.n.domain != "" && c.n.domain != "ai.onnx" && !c.isQuantizedOp() {
		return nil, fmt.Errorf("operators of domain %q are not supported", c.n.domain)
	}
	fold, folds := folds[c.n.op]
	rule, known := rules[c.n.op]
	switch {
	case !known && !folds:
		if why, ok := refused[c.n.op]; ok {
			return nil, errors.New(why)
		}
		return nil, fmt.Errorf("this operator is not supported")
	case !known && image:
		return nil, fmt.Errorf("this operator is supported for constants only")
	case lost:
		return nil, nil
	case folds && (constant || !known):
		return fold(c)
	}
	return rule(c)
}
