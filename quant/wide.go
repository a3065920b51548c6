package quant

import (
	"fmt"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// wideGroups says which groups of tensors, by their root, Options.Int16 makes int16: a group is as wide as its widest tensor.
func (l *lowerer) wideGroups() ([]bool, error) {
	wide := make([]bool, len(l.m.Tensors))
	asked := l.asking(l.o.Int16)
	for k, pattern := range l.o.Int16 {
		used := asked[k]
		for t := range l.m.Tensors {
			if l.c.watch[t] && t != l.m.Input && (fits(pattern, l.m.Tensors[t].Name) || l.maker[t] >= 0 && fits(pattern, l.m.Ops[l.maker[t]].Name)) {
				wide[l.groups.root(t)], used = true, true
			}
		}
		if !used {
			return nil, &PatternError{"int16 patterns", []string{pattern}}
		}
	}
	for t := range l.m.Tensors {
		if at(l.mix.wide, t) {
			wide[l.groups.root(t)] = true
		}
	}
	wide[l.groups.root(l.m.Input)] = false
	for i := range l.m.Ops {
		op := &l.m.Ops[i]
		if at(l.mix.float, i) || hasInt16(op) {
			continue
		}
		for _, t := range []int{op.Inputs[0], op.Outputs[0]} {
			if r := l.groups.root(t); wide[r] {
				wide[r] = false
				l.note("%s: it has no int16 form: its input and output stay int8", op.Name)
			}
		}
	}
	return wide, nil
}

// hasInt16 says whether an operator may read and write int16.
func hasInt16(op *format.Op) bool {
	return op.Kind != format.OpNormalize && (op.Kind != format.OpUnary || op.Attr.Func != format.FuncPReLU)
}

// A PatternError says that patterns of the options fit no name in the model.
type PatternError struct {
	What     string // the option
	Patterns []string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("quant: no activation, and no operator, fits %q of the %s; 'inspect' of the float model lists their names", e.Patterns, e.What)
}
