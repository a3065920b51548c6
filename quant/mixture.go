package quant

import (
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// A mixture says which layers of a model get more than int8. Its lists are indexed by the float model's tensors or operators;
// one that ends before an index says no.
type mixture struct {
	wide  []bool // activations, by tensor, that are int16
	fine  []bool // linear layers, by operator, whose weights are two int8 parts (lower_parts.go, lower_head.go)
	apart []bool // attention, by operator, that is written out with int16 views (lower_apart.go); fine weights of it imply that
	float []bool // operators that compute in float32 with weights in half precision (lower_float.go)
}

func at(list []bool, i int) bool { return i < len(list) && list[i] }

// asking is the mixture with what Options.Int16 asks for by the name of an operator or of an attention's view.
func (l *lowerer) asking(patterns []string) (used []bool) {
	used = make([]bool, len(patterns))
	mix := mixture{l.mix.wide, make([]bool, len(l.m.Ops)), make([]bool, len(l.m.Ops)), l.mix.float}
	copy(mix.fine, l.mix.fine)
	copy(mix.apart, l.mix.apart)
	for i := range l.m.Ops {
		op := &l.m.Ops[i]
		for k, p := range patterns {
			switch {
			case l.isHead(op) && fits(p, op.Name):
				mix.fine[i], used[k] = true, true
			case op.Kind == format.OpRFGA && slices.ContainsFunc(innerNames[:], func(n string) bool { return fits(p, op.Name+"."+n) }):
				if why := whyWhole(l.m, op); why != "" {
					l.note("%s: its views stay int8: %s", op.Name, why)
				}
				mix.apart[i], used[k] = true, true
			}
		}
	}
	l.mix = mix
	return used
}

// isHead says whether an operator becomes a class activation head.
func (l *lowerer) isHead(op *format.Op) bool {
	return op.Kind == format.OpCAMHead || op.Kind == format.OpFullyConnected && l.isClassifier(op)
}

// isApart says whether attention is written out.
func (l *lowerer) isApart(i int) bool {
	return (at(l.mix.apart, i) || at(l.mix.fine, i)) && whyWhole(l.m, &l.m.Ops[i]) == ""
}
