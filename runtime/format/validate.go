package format

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// role is how the operators use a tensor; it is stored in the file so that a reader knows how data is laid out.
type role uint8

const (
	roleActivation role = iota
	roleConstant        // plain elements
	roleWeights         // runs of the last dimension padded to 4 elements
	roleInner           // exists only inside an operator
	roleNone       role = 255
)

func (r role) String() string {
	return enumName("role", int(r), "activation", "constant", "weights", "inner")
}

// graph is what Validate finds out about a model.
type graph struct {
	m     *Model
	roles []role
	exact bool // every operator is bit-identical on all machines
}

// Validate checks everything that can be checked without doing arithmetic on the weights: counts, names, shapes, types,
// quantization parameters, that each activation is produced once and before its first use, that every operator has the
// inputs, attributes and output shape of its kind, and that weights are padded with zeros and never -128. Decode calls it.
// It does not look at m.Exact, see DeriveExact. Errors are of type *Error.
func Validate(m *Model) error {
	_, err := check(m)
	return err
}

// DeriveExact says whether every operator of a valid model gives the same bits on all machines: all operators are in
// quantized form, apart from quantize, dequantize and softmax, which are defined to the bit as well.
func (m *Model) DeriveExact() bool {
	for i := range m.Ops {
		switch op := &m.Ops[i]; op.Kind {
		case OpQuantize, OpDequantize, OpSoftmax:
		default:
			if s := op.Kind.signature(); s == nil || m.formOf(op) != s.quant {
				return false
			}
		}
	}
	return true
}

func check(m *Model) (*graph, error) {
	g := &graph{m: m}
	for _, c := range []struct {
		what    string
		n, most int
	}{{"tensors", len(m.Tensors), MaxTensors}, {"operators", len(m.Ops), MaxOps},
		{"outputs", len(m.Outputs), MaxOutputs}} {
		if c.n < 1 || c.n > c.most {
			return nil, failf("", "%d %s: want 1 to %d", c.n, c.what, c.most)
		}
	}
	steps := []func() error{g.checkTensors, g.checkWiring, g.checkData, g.checkOps, g.checkOutputs, g.checkImage, g.checkTexts, g.checkQuality}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	g.exact = m.DeriveExact()
	return g, nil
}

// checkTensors checks what does not depend on a tensor's use.
func (g *graph) checkTensors() error {
	for i := range g.m.Tensors {
		if err := checkTensor(&g.m.Tensors[i]); err != nil {
			return failTensor(g.m, i, "%v", err)
		}
	}
	return nil
}

func checkTensor(t *Tensor) error {
	if err := checkText(t.Name, false); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if t.DType.Size() == 0 {
		return fmt.Errorf("unknown type %d", uint8(t.DType))
	}
	if len(t.Shape) < 1 || len(t.Shape) > MaxRank {
		return fmt.Errorf("%d dimensions: want 1 to %d", len(t.Shape), MaxRank)
	}
	n := int64(1)
	for _, d := range t.Shape {
		if d < 1 || d > MaxDim {
			return fmt.Errorf("shape %v: dimensions are 1 to %d", t.Shape, MaxDim)
		}
		if n *= int64(d); n > MaxElements { // both factors are below 2^30
			return fmt.Errorf("shape %v has more than %d elements", t.Shape, MaxElements)
		}
	}
	for i, s := range t.Scale {
		if !isScale(s) {
			return fmt.Errorf("scale %d is %v: want a finite, positive, normal number", i, s)
		}
	}
	if lo, hi := t.DType.qrange(); t.Zero < lo || t.Zero > hi {
		return fmt.Errorf("zero point %d is outside %d..%d", t.Zero, lo, hi)
	}
	if t.Zero != 0 && (len(t.Scale) != 1 || !tQ.has(t.DType)) {
		return fmt.Errorf("zero point %d, but it is a %v tensor with %d scales", t.Zero, t.DType, len(t.Scale))
	}
	return nil
}

// storedElements is the number of elements in the file, with padding.
func storedElements(t *Tensor, r role) int64 {
	n := int64(1)
	for i, d := range t.Shape {
		if r == roleWeights && i == len(t.Shape)-1 {
			d = PadChannels(d)
		}
		n *= int64(d)
	}
	return n
}

// checkData checks shapes, scales and contents that follow from a tensor's role.
func (g *graph) checkData() error {
	for i := range g.m.Tensors {
		if err := checkRole(&g.m.Tensors[i], g.roles[i]); err != nil {
			return failTensor(g.m, i, "%v", err)
		}
	}
	return nil
}

func checkRole(t *Tensor, r role) error {
	switch r {
	case roleNone:
		if t.Data != nil {
			return fmt.Errorf("no operator uses this constant: remove it")
		}
		return fmt.Errorf("no operator produces this tensor, and it has no data")
	case roleActivation, roleInner:
		if len(t.Shape) != 4 || t.Shape[0] != 1 {
			return fmt.Errorf("shape %v: an activation is (1,height,width,channels)", t.Shape)
		}
		scales := t.Shape[3] // class maps and logits
		switch {
		case t.DType == F16:
			return fmt.Errorf("an activation is never f16")
		case tF32.has(t.DType):
			scales = 0
		case tQ.has(t.DType):
			scales = 1
		}
		if len(t.Scale) != scales {
			return fmt.Errorf("%d scales: want %d for %v activations of shape %v", len(t.Scale), scales, t.DType, t.Shape)
		}
		return nil
	}
	if n := storedElements(t, r) * int64(t.DType.Size()); int64(len(t.Data)) != n {
		return fmt.Errorf("%d bytes of data: want %d for %s of shape %v, %v", len(t.Data), n, r, t.Shape, t.DType)
	}
	switch {
	case tHalf.has(t.DType) && len(t.Scale) != 0:
		return fmt.Errorf("%d scales on a %v constant", len(t.Scale), t.DType)
	case r == roleConstant && len(t.Scale) > 1 && len(t.Scale) != t.Shape[0]:
		return fmt.Errorf("%d scales: want none, 1 or %d", len(t.Scale), t.Shape[0])
	}
	if r == roleWeights {
		return checkWeights(t)
	}
	return nil
}

// checkOutputs checks the results of the graph.
func (g *graph) checkOutputs() error {
	seen := map[string]bool{}
	for i, o := range g.m.Outputs {
		bad := func(format string, args ...any) error {
			return failf("", "output %d (%s): %s", i, quote(o.Name), fmt.Sprintf(format, args...))
		}
		if err := checkText(o.Name, false); err != nil {
			return bad("%v", err)
		}
		// Programs name files after outputs.
		if o.Name == "" || o.Name[0] == '.' || strings.ContainsAny(o.Name, `/\`) {
			return bad("a name must be fit for a file: not empty, no slash or backslash, no leading dot")
		}
		if seen[o.Name] {
			return bad("the name occurs twice")
		}
		seen[o.Name] = true
		if o.Tensor < 0 || o.Tensor >= len(g.m.Tensors) {
			return bad("tensor %d of %d", o.Tensor, len(g.m.Tensors))
		}
		t := &g.m.Tensors[o.Tensor]
		if g.roles[o.Tensor] != roleActivation || o.Tensor == g.m.Input {
			return bad("tensor %d is not the result of an operator", o.Tensor)
		}
		if o.Flat && (t.Shape[1] != 1 || t.Shape[2] != 1) {
			return bad("flat, but its shape is %v", t.Shape)
		}
		if n := len(g.m.Labels); o.Name == "logits" && n > 0 && n != t.Shape[3] {
			return bad("%d classes, but %d labels", t.Shape[3], n)
		}
	}
	return nil
}

// checkImage checks preprocessing, the input tensor and the localization defaults.
func (g *graph) checkImage() error {
	p, t := &g.m.Pre, &g.m.Tensors[g.m.Input]
	if p.Width < 1 || p.Width > MaxImageSide || p.Height < 1 || p.Height > MaxImageSide {
		return failf("", "preprocessing: the input is %dx%d: sides are 1 to %d", p.Width, p.Height, MaxImageSide)
	}
	switch p.Rule {
	case ResizeSquash:
		if p.Resize != 0 {
			return failf("", "preprocessing: resize %d with rule %v: want 0", p.Resize, p.Rule)
		}
	case ResizeCenterCrop:
		if p.Resize < max(p.Width, p.Height) || p.Resize > MaxImageSide {
			return failf("", "preprocessing: resize %d: want %d to %d", p.Resize, max(p.Width, p.Height), MaxImageSide)
		}
	default:
		return failf("", "preprocessing: unknown resize rule %d", uint8(p.Rule))
	}
	if p.Order != RGB && p.Order != BGR {
		return failf("", "preprocessing: unknown colour order %d", uint8(p.Order))
	}
	for c := range 3 {
		if !(math.Abs(float64(p.Mean[c])) <= 1e6) || !(p.Std[c] >= 1e-6 && p.Std[c] <= 1e6) {
			return failf("", "preprocessing: mean %v, std %v: want means within 1e6 of 0 and deviations of 1e-6 to 1e6", p.Mean, p.Std)
		}
	}
	if !(tF32 | tI8).has(t.DType) || t.Shape[1] != p.Height || t.Shape[2] != p.Width || t.Shape[3] != 3 {
		return failTensor(g.m, g.m.Input, "the input is %v %v: want f32 or i8 of shape [1 %d %d 3], as preprocessing makes it",
			t.DType, t.Shape, p.Height, p.Width)
	}
	l := &g.m.Loc
	if l.Norm > HeatP65 {
		return failf("", "localization: unknown heat map rule %d", uint8(l.Norm))
	}
	if !(l.Threshold >= 0 && l.Threshold <= 1) {
		return failf("", "localization: threshold %v is outside 0..1", l.Threshold)
	}
	if l.Norm == 0 {
		if l.Threshold != 0 {
			return failf("", "localization: threshold %v without a heat map rule", l.Threshold)
		}
		for _, o := range g.m.Outputs {
			if o.Name == "maps" {
				return failf("", "localization: the model has class maps but no heat map rule")
			}
		}
	}
	return nil
}

func (g *graph) checkTexts() error {
	m := g.m
	if len(m.Labels) > MaxLabels {
		return failf("", "%d labels, at most %d", len(m.Labels), MaxLabels)
	}
	for i, l := range m.Labels {
		if err := checkText(l, false); err != nil {
			return failf("", "label %d: %v", i, err)
		}
	}
	for _, f := range []struct {
		name, text string
		lines      bool
	}{{"name", m.Name, false}, {"architecture", m.Arch, false}, {"source", m.Prov.Source, true},
		{"licence", m.Prov.Licence, true}, {"converter", m.Prov.Converter, true},
		{"calibration", m.Prov.Calibration, true}, {"notes", m.Prov.Notes, true}} {
		if err := checkText(f.text, f.lines); err != nil {
			return failf("", "%s: %v", f.name, err)
		}
	}
	return nil
}

// checkText keeps out what would garble a terminal or a log: names come from files of strangers.
func checkText(s string, lines bool) error {
	if len(s) > MaxString {
		return fmt.Errorf("%d bytes, at most %d", len(s), MaxString)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", quote(s))
	}
	for _, r := range s {
		if (r < 0x20 && !(lines && (r == '\n' || r == '\t'))) || (r >= 0x7f && r < 0xa0) {
			return fmt.Errorf("%s has the control character U+%04X", quote(s), r)
		}
	}
	return nil
}
