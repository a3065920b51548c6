package quant

import (
	"slices"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// alone calibrates a network and returns how far its outputs are off when everything but one operator is float, its activations
// having 16 bits if wide, in each of the forms that the mixtures give it.
func alone(t *testing.T, m *format.Model, kind format.OpKind, wide bool, mixes ...func(i int, mix *mixture)) (errs []float64, report *Report) {
	t.Helper()
	m = simplify(m)
	imgs := images(m.Pre.Width, 5, 641)
	o, _ := Options{Threads: 2}.withDefaults()
	c, err := calibrate(t.Context(), m, memory(imgs[:4]), o)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(m.Ops, func(op format.Op) bool { return op.Kind == kind })
	real, _ := outputs(t, m, imgs[4], 1)
	for _, set := range mixes {
		mix := mixture{wide: make([]bool, len(m.Tensors)), float: slices.Repeat([]bool{true}, len(m.Ops)),
			fine: make([]bool, len(m.Ops)), apart: make([]bool, len(m.Ops))}
		mix.float[i] = false
		mix.wide[m.Ops[i].Inputs[0]], mix.wide[m.Ops[i].Outputs[0]] = wide, wide
		set(i, &mix)
		q, rep, err := lower(c, o, mix)
		if err != nil {
			t.Fatal(err)
		}
		if err := format.Validate(q); err != nil {
			t.Fatal(err)
		}
		got, _ := outputs(t, q, imgs[4], 2)
		errs, report = append(errs, distance(real, got)), rep
	}
	return errs, report
}

// int8 weights are what a class head is wrong by when its input has 16 bits; with finer weights the half floats elsewhere are what is
// left. With an input of 8 bits, finer weights do no harm.
func TestFineHead(t *testing.T) {
	plain := func(int, *mixture) {}
	fine := func(i int, mix *mixture) { mix.fine[i] = true }
	errs, rep := alone(t, localizer(t, 640), format.OpCAMHead, true, plain, fine)
	t.Logf("errors of an int16 input's head: %.2g with int8 weights, %.2g with finer ones", errs[0], errs[1])
	if !(errs[1] < errs[0]/4) {
		t.Errorf("error %g with finer weights, %g without", errs[1], errs[0])
	}
	for _, l := range rep.Layers {
		if l.Kind == "head" && l.WeightSNR < 75 {
			t.Errorf("finer weights have %g dB", l.WeightSNR)
		}
	}
	errs, _ = alone(t, localizer(t, 640), format.OpCAMHead, false, plain, fine)
	if !(errs[1] < 1.02*errs[0]) {
		t.Errorf("of an int8 input: error %g with finer weights, %g without", errs[1], errs[0])
	}
}

// Attention that is written out is the same function, and has more than the 8 bits of its views: with int8 weights it is nearer to the
// float network, and with finer ones so near that half floats elsewhere are what is left.
func TestAttentionApart(t *testing.T) {
	for name, m := range map[string]*format.Model{"localizer": localizer(t, 640), "everything": everything(t, 642)} {
		errs, _ := alone(t, m, format.OpRFGA, true, func(int, *mixture) {}, func(i int, mix *mixture) { mix.apart[i] = true },
			func(i int, mix *mixture) { mix.fine[i] = true })
		float, _ := alone(t, m, format.OpRFGA, true, func(i int, mix *mixture) { mix.float[i] = true })
		t.Logf("%s: errors %.2g as one operator, %.2g written out, %.2g with finer weights; in half floats %.2g", name, errs[0], errs[1], errs[2], float[0])
		if !(errs[1] < 0.9*errs[0] && errs[2] < errs[1] && errs[2] < errs[0]/4) {
			t.Errorf("%s: errors %v", name, errs)
		}
	}
}

// A pattern of Options.Int16 that names a head or a view asks for finer weights or for attention written out; a view that must stay
// as it is gets a remark.
func TestInt16Inside(t *testing.T) {
	m := localizer(t, 640)
	imgs := images(m.Pre.Width, 2, 641)
	count := func(q *format.Model, kind format.OpKind) (n int) {
		for i := range q.Ops {
			if q.Ops[i].Kind == kind {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		pattern         string
		rfga, cat, note int
	}{{"stem", 1, 0, 0}, {"head", 1, 1, 0}, {"rfga.view_h", 0, 1, 0}, {"rfga.pre_*", 0, 1, 0}, {"rfga", 1, 0, 0}} {
		q, rep, err := Quantize(t.Context(), m, memory(imgs), Options{Int16: []string{c.pattern}})
		if err != nil {
			t.Fatalf("%s: %v", c.pattern, err)
		}
		// Permuting stands in for the concatenation in attention.
		if r, cat := count(q, format.OpRFGA), count(q, format.OpConcat)+count(q, format.OpPermute); r != c.rfga || cat != c.cat {
			t.Errorf("%s: %d attention operators and %d doubled or shifted inputs, remarks %q", c.pattern, r, cat, rep.Notes)
		}
	}
	off := *m
	off.Ops = slices.Clone(m.Ops)
	for i := range off.Ops {
		if off.Ops[i].Kind == format.OpRFGA {
			off.Ops[i].Attr.Off = format.RFGARows
		}
	}
	q, rep, err := Quantize(t.Context(), &off, memory(imgs), Options{Int16: []string{"rfga.view_h"}})
	if err != nil {
		t.Fatal(err)
	}
	if count(q, format.OpRFGA) != 1 || !slices.ContainsFunc(rep.Notes, func(n string) bool { return n == "rfga: its views stay int8: parts of the attention are left out" }) {
		t.Errorf("attention without a view: remarks %q", rep.Notes)
	}
}
