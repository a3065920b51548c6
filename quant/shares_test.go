package quant

import (
	"math"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// TestShares computes with the naive evaluator what each activation's own error does to the outputs.
func TestShares(t *testing.T) {
	m := gates(t, 405)
	img := images(24, 2, 700)
	q, rep, err := Quantize(t.Context(), m, memory(img), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Shares(t.Context(), q, rep.Twin, memory(img), []int{1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	float := runFloat(rep.Twin.Float, img[1])
	forced := &integers{q, map[int][]int64{q.Input: inputQ(q, img[1])}, map[int][]float32{}}
	want, sum := make([]float64, len(q.Tensors)), 0.0
	for i := range q.Ops {
		op := &q.Ops[i]
		if op.Kind == format.OpCAMHead {
			continue
		}
		forced.op(op)
		y := op.Outputs[0]
		// Everything again, with this one activation as the int8 layer makes it.
		again := &real{rep.Twin.Float, map[int][]float64{rep.Twin.Float.Input: img[1]}}
		for k := range rep.Twin.Float.Ops {
			op := &rep.Twin.Float.Ops[k]
			for n, v := range again.op(op) {
				again.v[op.Outputs[n]] = v
				if op.Outputs[n] == rep.Twin.Of[y] {
					again.v[op.Outputs[n]] = dequantized(&q.Tensors[y], forced.v[y])
				}
			}
		}
		for _, o := range rep.Twin.Float.Outputs {
			p, e := 0.0, 0.0
			for k, v := range float.v[o.Tensor] {
				p, e = p+v*v, e+math.Pow(again.v[o.Tensor][k]-v, 2)
			}
			want[y] += e / p
		}
		sum += want[y]
		codes := make([]int64, len(float.v[rep.Twin.Of[y]]))
		for k, v := range float.v[rep.Twin.Of[y]] {
			codes[k] = int64(min(max(math.RoundToEven(v/float64(q.Tensors[y].Scale[0]))+float64(q.Tensors[y].Zero), -128), 127))
		}
		forced.v[y] = codes
	}
	total := 0.0
	for y, s := range got {
		total += s
		if math.Abs(s-want[y]/sum) > 1e-3 {
			t.Errorf("%q has a share of %.4f, want %.4f", q.Tensors[y].Name, s, want[y]/sum)
		}
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("the shares add up to %g", total)
	}
}
