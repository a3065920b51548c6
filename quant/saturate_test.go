package quant

import (
	"math"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// TestSaturate demands of every activation whose range was cut that its reader cannot tell, to a quarter of a step of its own
// result, and that sigmoid, hard-sigmoid, swish and hard-swish are among those readers.
func TestSaturate(t *testing.T) {
	m := gates(t, 404)
	q, rep, err := Quantize(t.Context(), m, memory(images(24, 3, 600)), Options{KeepScales: true, KeepOrder: true})
	if err != nil {
		t.Fatal(err)
	}
	ranges := map[string]TensorReport{}
	for _, r := range rep.Tensors {
		ranges[r.Name] = r
	}
	functions := map[format.Func]func(x float64) float64{
		format.FuncSwish:     func(x float64) float64 { return x / (1 + math.Exp(-x)) },
		format.FuncSigmoid:   func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
		format.FuncHardSwish: func(x float64) float64 { return x * math.Min(math.Max(x+3, 0), 6) / 6 },
	}
	cut := map[format.Func]bool{}
	for i := range q.Ops {
		op := &q.Ops[i]
		in, out := ranges[q.Tensors[op.Inputs[0]].Name], ranges[q.Tensors[op.Outputs[0]].Name]
		if !in.Cut {
			continue
		}
		f := functions[op.Attr.Func]
		if f == nil {
			t.Fatalf("%s %q reads an activation that was cut", op.Kind, op.Name)
		}
		cut[op.Attr.Func] = true
		if in.Lo <= in.Min && in.Hi >= in.Max {
			t.Errorf("%q covers all of %g to %g, and is said to be cut", in.Name, in.Min, in.Max)
		}
		worst := 0.0
		for k := range 10001 {
			x := float64(in.Min) + float64(k)/10000*float64(in.Max-in.Min)
			worst = max(worst, math.Abs(f(x)-f(min(max(x, float64(in.Lo)), float64(in.Hi)))))
		}
		// The ends of a grid are steps: they may lie half of one away from where the range was cut.
		if limit := float64(out.Scale)/4 + 0.6*float64(in.Scale)*0.3; worst > limit {
			t.Errorf("%q: cutting %g..%g to %g..%g changes the result by %g, more than %g", op.Name, in.Min, in.Max, in.Lo, in.Hi, worst, limit)
		}
	}
	if len(cut) != len(functions) {
		t.Errorf("only %v were cut", cut)
	}
	for _, r := range rep.Tensors {
		if r.Cut && (r.Name == "gate" || r.Name == "next.act") {
			t.Errorf("%q was cut, but a convolution reads it", r.Name)
		}
	}
}
