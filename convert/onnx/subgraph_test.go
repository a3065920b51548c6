package onnx_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/onnx"
)

// TestSubgraphs: results come from ONNX Runtime; testdata/subgraphs/generate.py says what the graphs are. Nodes of branches that are
// not taken leave no trace, operators that do not exist among them.
func TestSubgraphs(t *testing.T) {
	for name, c := range map[string]struct {
		o    onnx.Options
		want string
	}{
		"torch_if": {onnx.Options{InputSize: 16}, "avg_pool:2 conv2d:1 fully_connected:1 global_avg_pool:1 unary:1"},
		"hand_if":  {onnx.Options{}, "conv2d:2 depthwise_conv2d:2 permute:1 unary:1"},
	} {
		t.Run(name, func(t *testing.T) {
			m := importFile(t, "testdata/subgraphs/"+name+".onnx", c.o)
			if got := kinds(m); got != c.want {
				t.Errorf("operators %s, expected %s", got, c.want)
			}
			compare(t, m, "testdata/input.npy", "testdata/subgraphs/"+name)
		})
	}
}

// TestSubgraphsDamaged cuts and changes a file with graphs in graphs everywhere.
func TestSubgraphsDamaged(t *testing.T) {
	data, err := os.ReadFile("testdata/subgraphs/hand_if.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := onnx.Import("", data[:n], onnx.Options{}); err == nil {
			t.Fatalf("the first %d of %d bytes are accepted", n, len(data))
		}
	}
	for _, mask := range []func(i int) byte{func(int) byte { return 1 }, func(i int) byte { return 1 << (i % 8) }} {
		flipBytes(t, "subgraphs/hand_if", 1, mask)
	}
}

// subgraph is a graph in a node: its nodes, initializers, and outputs.
func subgraph(attr string, outputs string, nodes []msg, inits ...msg) msg {
	g := msg{}.str(2, "sub")
	for _, n := range nodes {
		g = g.bytes(1, n)
	}
	for _, t := range inits {
		g = g.bytes(5, t)
	}
	for _, o := range strings.Fields(outputs) {
		g = g.bytes(12, valueInfo(o))
	}
	return msg{}.str(1, attr).int(20, 5).bytes(6, g)
}

// truth is an initializer of one truth value.
func truth(name string, v byte) msg { return msg{}.int(2, 9).str(8, name).bytes(9, []byte{v}) }

func TestSubgraphsHostile(t *testing.T) {
	relu := subgraph("else_branch", "o", []msg{node("Relu: x -> o")})
	taken := func(outputs string, nodes []msg, inits ...msg) []msg {
		return []msg{node("If: c -> y", subgraph("then_branch", outputs, nodes, inits...), relu)}
	}
	nested := func(depth int) msg {
		m := subgraph("then_branch", "o", []msg{node("Relu: x -> o")})
		for range depth {
			m = subgraph("then_branch", "o", []msg{node("If: c -> o", m)})
		}
		return m
	}
	sum := floats("k", []float32{2}, 1)
	yes, no := truth("c", 1), truth("c", 0)
	for name, c := range map[string]struct {
		want string // in the error; "" for a graph that is right
		data msg
	}{
		"taken":                     {"", model(taken("o", []msg{node("Sigmoid: x -> o")}), yes)},
		"not taken":                 {"", model(taken("o", []msg{node("Mystery: x -> o")}), no)},
		"a name as outside":         {"", model(taken("k", []msg{node("Sigmoid: x -> k")}), yes, sum)},
		"a constant as outside":     {"", model(taken("o", []msg{node("Mul: x k -> o")}, sum), yes, floats("k", make([]float32, 7), 7))},
		"an outer value":            {"", model(append([]msg{node("Relu: x -> r")}, taken("r", nil)...), yes)},
		"nested":                    {"", model([]msg{node("If: c -> y", nested(14))}, yes)},
		"nested deeply":             {"16 deep", model([]msg{node("If: c -> y", nested(15))}, yes)},
		"nested without end":        {"16 deep", model([]msg{node("If: c -> y", nested(2000))}, yes)},
		"no such branch":            {"no else_branch", model([]msg{node("If: c -> y", nested(0))}, no)},
		"a branch of another type":  {"no then_branch", model([]msg{node("If: c -> y", ints("then_branch", 1), relu)}, yes)},
		"no condition":              {"condition", model([]msg{node("If: - -> y", relu)}, yes)},
		"a condition of bytes":      {"one truth value", model(taken("o", []msg{node("Relu: x -> o")}), msg{}.int(2, 2).str(8, "c").bytes(9, []byte{1}))},
		"two conditions":            {"one truth value", model(taken("o", []msg{node("Relu: x -> o")}), msg{}.int(2, 9).int(1, 2).str(8, "c").bytes(9, []byte{1, 1}))},
		"a condition without data":  {"bytes of data", model(taken("o", []msg{node("Relu: x -> o")}), msg{}.int(2, 9).str(8, "c").bytes(9, nil))},
		"a condition on data":       {"depends on the image", model([]msg{node("ReduceMax: x -> c", ints("axes", 1, 2, 3)), node("If: c -> y", relu)})},
		"an output made by no node": {"made by no node", model(taken("nowhere", []msg{node("Relu: x -> o")}), yes)},
		"an output without a name":  {"made by no node", model([]msg{node("If: c -> y", msg{}.str(1, "then_branch").bytes(6, msg{}.bytes(12, nil).bytes(1, node("Relu: x -> - "))))}, yes)},
		"too many outputs":          {"2 outputs", model(taken("o o", []msg{node("Relu: x -> o")}), yes)},
		"no outputs":                {"0 outputs", model(taken("", []msg{node("Relu: x -> o")}), yes)},
		"inputs":                    {"1 inputs", model([]msg{node("If: c -> y", msg{}.str(1, "then_branch").bytes(6, msg{}.bytes(11, valueInfo("i")).bytes(12, valueInfo("x"))))}, yes)},
		"two graphs":                {"two graphs", model([]msg{node("If: c -> y", msg{}.str(1, "then_branch").bytes(6, nil).bytes(6, nil))}, yes)},
		"a name twice":              {"already taken", model(taken("o", []msg{node("Relu: x -> a"), node("Neg: x -> a"), node("Add: a a -> o")}), yes)},
		"a constant twice":          {"two initializers", model(taken("o", []msg{node("Mul: x k -> o")}, sum, sum), yes)},
		"a cycle":                   {"no node before it", model(taken("o", []msg{node("Add: x b -> a"), node("Relu: a -> b"), node("Add: a b -> o")}), yes)},
		"itself":                    {"no node before it", model(taken("o", []msg{node("Add: x y -> o")}), yes)},
		"a name of the other":       {"no node before it", model([]msg{node("If: c -> a", relu), node("Add: a o -> y")}, no)},
		"a graph in another node":   {"", model([]msg{node("Relu: x -> y", relu)})},
		"a graph as a number":       {"not a list of integers", model([]msg{node("ReduceMean: x -> y", subgraph("axes", "o", nil))})},
	} {
		if _, err := load(t, c.data); (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, expected %q", name, err, c.want)
		}
	}
}

// TestSubgraphsUnsupported: what a branch cannot do is listed with the rest, what it is not asked for is not.
func TestSubgraphsUnsupported(t *testing.T) {
	inner := []msg{node("LSTM: a -> b"), node("Relu: b -> o"), node("Mystery: x -> unused")}
	_, err := load(t, model([]msg{
		node("Relu: x -> a"),
		node("If: c -> d", subgraph("then_branch", "o", inner), subgraph("else_branch", "o", []msg{node("GRU: a -> o")})),
		node("GlobalMaxPool: a -> m"), node("Greater: m m -> n"),
		node("If: n -> e", subgraph("then_branch", "o", []msg{node("RNN: a -> o")}), subgraph("else_branch", "o", []msg{node("Relu: a -> o")})),
		node("Loop: trips c a -> f", subgraph("body", "o", []msg{node("Relu: a -> o")})),
		node("Scan: a -> g", subgraph("body", "o", []msg{node("Relu: a -> o")})),
		node("Concat: d e f g -> y", ints("axis", 1)),
	}, truth("c", 1), longs("trips", 3)))
	var u *onnx.UnsupportedError
	if !errors.As(err, &u) {
		t.Fatalf("the error is %v", err)
	}
	var got []string
	for _, n := range u.Nodes {
		got = append(got, n.Name)
	}
	if got, want := strings.Join(got, " "), "lstm_b greater_n loop_f scan_g"; got != want {
		t.Errorf("listed are %v, expected %s", got, want)
	}
	for _, want := range []string{"this operator is supported for constants only", "repeats a graph while the network runs"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// TestManySubgraphs: limits hold for all graphs of a file together, and names seen at many depths cost once.
func TestManySubgraphs(t *testing.T) {
	empty := msg(strings.Repeat(string(msg{}.bytes(5, msg{}.bytes(6, nil))), 1<<15))
	if _, err := load(t, msg{}.bytes(7, msg{}.bytes(1, empty))); err == nil || !strings.Contains(err.Error(), "graphs") {
		t.Errorf("many graphs: the error is %v", err)
	}
	half := msg(strings.Repeat(string(msg{}.bytes(1, nil)), 40<<10))
	two := node("If: c -> y", msg{}.str(1, "then_branch").bytes(6, half), msg{}.str(1, "else_branch").bytes(6, half))
	if _, err := load(t, model([]msg{two}, truth("c", 1))); err == nil || !strings.Contains(err.Error(), "nodes") {
		t.Errorf("many nodes in two graphs: the error is %v", err)
	}
	deep := msg(nil)
	for range 15 { // each asks for all that is allowed, behind the next
		deep = msg{}.bytes(1, append(msg{}.bytes(5, msg{}.bytes(6, deep)), strings.Repeat("\x2a\x00", 1<<16-1)...))
	}
	if _, err := load(t, msg{}.bytes(7, deep)); err == nil || !strings.Contains(err.Error(), "attributes") {
		t.Errorf("many attributes in each of many graphs: the error is %v", err)
	}
	var nodes []msg
	for i := range 60000 {
		nodes = append(nodes, node(fmt.Sprintf("Relu: x -> v%d", i)))
	}
	m := subgraph("then_branch", "v1", nodes)
	for range 14 {
		m = subgraph("then_branch", "v1", []msg{node("If: c -> v1", m)})
	}
	if _, err := load(t, model([]msg{node("If: c -> y", m)}, truth("c", 1))); err != nil {
		t.Errorf("many names: %v", err)
	}
}
