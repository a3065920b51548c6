package quant

import (
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// moves is a network of the operators that move, normalise and bend: shuffled channels, a slice, depth to space, layer and group
// normalisation, constants for each position, PReLU, GELU and ELU.
func moves(t *testing.T, seed uint64) *format.Model {
	n := newNet("moves", 16, seed)
	x := n.conv("stem", n.Input(), 16, 3, 2, 1, build.ActNone)
	s := n.Shape(x)
	index := make([]int, s.C)
	for i := range index {
		index[i] = i%2*(s.C/2) + i/2
	}
	x = n.Gather("shuffle", x, 3, index)
	y := n.Permute("space", n.Gather("slice", x, 3, index[:12]), []int{s.H, s.W, 3, 2, 2}, []int{0, 3, 1, 4, 2}, build.Shape{H: 2 * s.H, W: 2 * s.W, C: 3})
	y = n.Normalize("groups", n.conv("down", y, 6, 3, 2, 1, build.ActNone), 1, 3, 1e-3, n.normal(6, 1), n.normal(6, 1))
	y = n.UnaryWith("elu", y, format.FuncELU, 0.75, 1)
	slope := n.normal(s.C, 0.3)
	testSlopes = nil
	for _, v := range slope {
		testSlopes = append(testSlopes, float64(v))
	}
	x = n.Normalize("layer", n.PReLU("prelu", x, slope), 3, 1, 1e-5, n.normal(s.C, 1), n.normal(s.C, 1))
	x = n.UnaryWith("gelu", n.AddConst("position", x, n.normal(s.H*s.W, 1), build.Shape{H: s.H, W: s.W, C: 1}, build.ActNone), format.FuncGELU, 1, 1)
	x = n.MulConst("gain", x, n.normal(s.C, 1), build.Shape{H: 1, W: 1, C: s.C}, build.ActReLU)
	n.Output("features", n.Concat("both", 3, x, y), false)
	n.Output("log", n.LogSoftmax("logsoftmax", n.GlobalAvgPool("pool", x)), true)
	return n.finish(t)
}

// TestMoves checks the lowered operators of moves by themselves, and the whole against the float network.
func TestMoves(t *testing.T) {
	m := moves(t, 5)
	imgs := images(m.Pre.Width, 4, 10)
	q, _ := lowered(t, m, imgs, Options{})
	checkOperators(t, "moves", q, imgs[0], false)
	x := images(m.Pre.Width, 1, 50)[0]
	want, ints := runFloat(m, x), runInt8(q, x)
	y := q.Outputs[0].Tensor
	if c := correlation(dequantized(&q.Tensors[y], ints.v[y]), want.v[m.Outputs[0].Tensor]); c < 0.99 {
		t.Errorf("int8 and float correlate by %.4f", c)
	}
	for _, op := range q.Ops {
		a, b := &q.Tensors[op.Inputs[0]], &q.Tensors[op.Outputs[0]]
		if (op.Kind == format.OpGather || op.Kind == format.OpPermute) && (a.Scale[0] != b.Scale[0] || a.Zero != b.Zero) {
			t.Errorf("%s: the grid changes from %v, %d to %v, %d", op.Name, a.Scale, a.Zero, b.Scale, b.Zero)
		}
	}
}
