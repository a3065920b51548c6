package format

import "fmt"

// formOf returns the form that the type of op's first input asks for, nil if the kind does not have it or there is no
// such tensor.
func (m *Model) formOf(op *Op) *form {
	s := op.Kind.signature()
	if s == nil || len(op.Inputs) == 0 || op.Inputs[0] < 0 || op.Inputs[0] >= len(m.Tensors) {
		return nil
	}
	switch x := m.Tensors[op.Inputs[0]].DType; {
	case tF32.has(x):
		return s.float
	case tQ.has(x):
		return s.quant
	}
	return nil
}

// slotOf returns what input i is.
func (f *form) slotOf(i int) *slot {
	if f.variadic {
		i = 0
	}
	if i >= len(f.in) {
		return nil
	}
	return &f.in[i]
}

// checkWiring checks each operator's kind, its tensors' order of production and use, and its attributes, and finds the
// role of every tensor.
func (g *graph) checkWiring() error {
	m := g.m
	g.roles = make([]role, len(m.Tensors))
	for i := range g.roles {
		g.roles[i] = roleNone
	}
	if m.Input < 0 || m.Input >= len(m.Tensors) {
		return failf("", "the input is tensor %d of %d", m.Input, len(m.Tensors))
	}
	if m.Tensors[m.Input].Data != nil {
		return failTensor(m, m.Input, "the input is a constant")
	}
	g.roles[m.Input] = roleActivation
	for i := range m.Ops {
		if err := g.checkOp(&m.Ops[i]); err != nil {
			return failOp(m, i, "%v", err)
		}
	}
	return nil
}

func (g *graph) checkOp(op *Op) error {
	if err := checkText(op.Name, false); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if op.Kind.signature() == nil {
		return fmt.Errorf("unknown operator %d", uint16(op.Kind))
	}
	if len(op.Inputs) < 1 || len(op.Inputs) > MaxInputs || len(op.Outputs) < 1 || len(op.Outputs) > MaxOutputs {
		return fmt.Errorf("%d inputs and %d outputs: want 1 to %d and 1 to %d", len(op.Inputs), len(op.Outputs), MaxInputs, MaxOutputs)
	}
	for _, list := range [][]int{op.Inputs, op.Outputs, op.Inner} {
		for _, t := range list {
			if t < -1 || t >= len(g.m.Tensors) {
				return fmt.Errorf("tensor %d of %d", t, len(g.m.Tensors))
			}
		}
	}
	f := g.m.formOf(op)
	if f == nil {
		return fmt.Errorf("the first input is missing, or of a type that this operator does not take")
	}
	if err := g.bindInputs(op, f); err != nil {
		return err
	}
	if len(op.Outputs) > len(f.out) {
		return fmt.Errorf("%d outputs, at most %d", len(op.Outputs), len(f.out))
	}
	for i := range f.out {
		s := &f.out[i]
		t, err := g.tensorAt(op.Outputs, i, s)
		if err != nil {
			return err
		}
		if t >= 0 {
			if err := g.produce(t, s.name, roleActivation); err != nil {
				return err
			}
		}
	}
	if len(op.Inner) != len(f.inner) {
		return fmt.Errorf("%d inner tensors: want %d", len(op.Inner), len(f.inner))
	}
	for i, name := range f.inner {
		s := act(name, tI8)
		t, err := g.tensorAt(op.Inner, i, &s)
		if err != nil {
			return err
		}
		if err := g.produce(t, name, roleInner); err != nil {
			return err
		}
	}
	return checkAttr(&op.Attr, f.attrs)
}

// tensorAt returns the index of a slot's tensor, -1 for an absent optional one, after checking its type.
func (g *graph) tensorAt(list []int, i int, s *slot) (int, error) {
	if i >= len(list) || list[i] < 0 {
		if !s.optional {
			return 0, fmt.Errorf("%s is missing", s.name)
		}
		return -1, nil
	}
	if d := g.m.Tensors[list[i]].DType; !s.types.has(d) {
		return 0, fmt.Errorf("%s (tensor %d) is %v, which this operator does not take there", s.name, list[i], d)
	}
	return list[i], nil
}

func (g *graph) bindInputs(op *Op, f *form) error {
	n := len(f.in)
	if f.variadic {
		n = len(op.Inputs)
	}
	if len(op.Inputs) > n {
		return fmt.Errorf("%d inputs, at most %d", len(op.Inputs), n)
	}
	for i := range n {
		s := f.slotOf(i)
		t, err := g.tensorAt(op.Inputs, i, s)
		if err != nil {
			return err
		}
		if t < 0 {
			continue
		}
		want := roleActivation
		switch {
		case s.use == useWeights:
			want = roleWeights
		case s.use == useConstant, s.use == useOperand && g.m.Tensors[t].Data != nil:
			want = roleConstant
		}
		if err := g.bind(t, s.name, want, g.m.Tensors[t].Data != nil); err != nil {
			return err
		}
	}
	return nil
}

// bind gives an input its role, or checks that it has it.
func (g *graph) bind(t int, name string, want role, constant bool) error {
	have := g.roles[t]
	switch {
	case want == roleActivation && constant:
		return fmt.Errorf("%s (tensor %d) is a constant: want an activation", name, t)
	case want != roleActivation && !constant:
		return fmt.Errorf("%s (tensor %d) has no data: want a constant", name, t)
	case constant && have == roleNone:
		g.roles[t] = want
	case have == roleNone:
		return fmt.Errorf("%s (tensor %d) is used before an operator produces it", name, t)
	case have != want:
		return fmt.Errorf("%s (tensor %d) is used as %v, and elsewhere as %v", name, t, want, have)
	}
	return nil
}

func (g *graph) produce(t int, name string, r role) error {
	switch {
	case g.m.Tensors[t].Data != nil:
		return fmt.Errorf("%s (tensor %d) is a constant", name, t)
	case g.roles[t] != roleNone:
		return fmt.Errorf("%s (tensor %d) is produced twice, or is the input", name, t)
	}
	g.roles[t] = r
	return nil
}
