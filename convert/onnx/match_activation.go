package onnx

import (
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// near compares a constant of a pattern with its rounded form in a model.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Max(1, math.Abs(b)) }

// isLine says whether n is x*scale + shift with these numbers, and returns x.
func isLine(n *node, scale, shift float64) (x *node, ok bool) {
	if a, isAffine := n.do.(affine); isAffine {
		if s, t, scalar := a.scalar(); scalar && near(s, scale) && near(t, shift) {
			return n.in[0], true
		}
	}
	return nil, false
}

// isStep6 says whether n is min(max(x+3, 0), 6), and returns x.
func isStep6(n *node) (x *node, ok bool) {
	if n.do != (any)(clip{0, 6}) {
		return nil, false
	}
	return isLine(n.in[0], 1, 3)
}

func isUnary(n *node, f format.Func) (x *node, ok bool) {
	if n.do != (any)(fn(f)) {
		return nil, false
	}
	return n.in[0], true
}

// matchActivations finds elementwise functions in the forms that exporters decompose them into.
func (g *net) matchActivations(map[*node]int) {
	for i := 0; i < len(g.nodes); i++ {
		n := g.nodes[i]
		if do, x, ok := activation(n); ok {
			n.do, n.in = do, []*node{x}
			continue
		}
		if f, x, factor, ok := gaussian(n); ok {
			if near(factor, 1) {
				n.do, n.in = fn(f), []*node{x}
				continue
			}
			inner := &node{name: n.name, op: n.op, in: []*node{x}, shape: n.shape, do: fn(f)}
			g.nodes = slices.Insert(g.nodes, i, inner)
			n.do, n.in = affine{[]float64{factor}, []float64{0}}, []*node{inner}
			i++
		}
	}
}

// activation returns the elementwise node that n amounts to, and its input.
func activation(n *node) (do any, x *node, ok bool) {
	switch d := n.do.(type) {
	case clip:
		if d == (clip{0, 1}) {
			if x, ok := isLine(n.in[0], 1.0/6, 0.5); ok {
				return fn(format.FuncHardSigmoid), x, true
			}
		}
	case affine:
		y, ok := isLine(n, 1.0/6, 0)
		if !ok {
			break
		}
		if x, ok := isStep6(y); ok {
			return fn(format.FuncHardSigmoid), x, true
		}
		if _, ok := y.do.(mul); ok {
			for i, x := range y.in {
				if z, ok := isStep6(y.in[1-i]); ok && z == x {
					return fn(format.FuncHardSwish), x, true
				}
			}
		}
	case unary:
		return unaryOfUnary(n)
	case mul:
		if d.none() {
			return product(n)
		}
	case add:
		if d.none() {
			return negativePart(n)
		}
	}
	return nil, nil, false
}

// unaryOfUnary: 1/(1+exp(-x)) is a sigmoid, log(1+exp(x)) softplus.
func unaryOfUnary(n *node) (do any, x *node, ok bool) {
	if y, ok := isUnary(n, format.FuncReciprocal); ok {
		if z, ok := isLine(y, 1, 1); ok {
			if e, ok := isUnary(z, format.FuncExp); ok {
				if x, ok := isLine(e, -1, 0); ok {
					return fn(format.FuncSigmoid), x, true
				}
			}
		}
	}
	if y, ok := isUnary(n, format.FuncLog); ok {
		if z, ok := isLine(y, 1, 1); ok {
			if x, ok := isUnary(z, format.FuncExp); ok {
				return fn(format.FuncSoftplus), x, true
			}
		}
	}
	return nil, nil, false
}

// product: x*sigmoid(x) is swish, x*tanh(softplus(x)) mish, and so on.
func product(n *node) (do any, x *node, ok bool) {
	for i, x := range n.in {
		y := n.in[1-i]
		if z, ok := isUnary(y, format.FuncSigmoid); ok && z == x {
			return fn(format.FuncSwish), x, true
		}
		if z, ok := isUnary(y, format.FuncHardSigmoid); ok && z == x {
			return fn(format.FuncHardSwish), x, true
		}
		if z, ok := isLine(x, 1.0/6, 0); ok {
			if u, ok := isStep6(y); ok && u == z {
				return fn(format.FuncHardSwish), z, true
			}
		}
		if z, ok := isUnary(y, format.FuncTanh); ok {
			if u, ok := isUnary(z, format.FuncSoftplus); ok && u == x {
				return fn(format.FuncMish), x, true
			}
		}
	}
	return nil, nil, false
}

// negativePart: relu(x) - slope*relu(-x) is a PReLU, or a leaky ReLU.
func negativePart(n *node) (do any, x *node, ok bool) {
	relu := func(n *node) (*node, bool) {
		if c, ok := n.do.(clip); ok && c == (clip{0, math.Inf(1)}) {
			return n.in[0], true
		}
		return nil, false
	}
	for i := range n.in {
		x, ok := relu(n.in[i])
		if !ok {
			continue
		}
		slope, below := affines(n.in[1-i])
		y, ok := relu(below)
		if !ok || slices.ContainsFunc(slope.shift, func(t float64) bool { return t != 0 }) {
			continue
		}
		if z, ok := isLine(y, -1, 0); !ok || z != x {
			continue
		}
		k := make([]float64, len(slope.scale))
		for c, s := range slope.scale {
			k[c] = -s
		}
		if len(k) == 1 {
			return unary{format.FuncLeakyReLU, k[0], 1}, x, true
		}
		return prelu{k}, x, true
	}
	return nil, nil, false
}

// gaussian matches factor*gelu(x): a product of x and 1+erf(x/sqrt(2)), or of x and 1+tanh of the polynomial that stands for
// it, with factors anywhere.
func gaussian(n *node) (f format.Func, x *node, factor float64, ok bool) {
	d, isMul := n.do.(mul)
	if !isMul || !d.none() {
		return 0, nil, 0, false
	}
	for j := range 4 {
		i, k, x := j%2, 1.0, n.in[j%2]
		if j >= 2 { // with a factor on x
			k, x = unscale(x)
		}
		y, ok := n.in[1-i].do.(affine)
		if !ok {
			continue
		}
		s, t, scalar := y.scalar()
		if !scalar || !near(s, t) {
			continue
		}
		inner := n.in[1-i].in[0]
		if z, ok := isUnary(inner, format.FuncErf); ok {
			if u, ok := isLine(z, 1/math.Sqrt2, 0); ok && u == x {
				return format.FuncGELU, x, 2 * s * k, true
			}
		}
		if z, ok := isUnary(inner, format.FuncTanh); ok {
			c := math.Sqrt(2 / math.Pi)
			if p, ok := polynomial(z, x, 8); ok && near(p[0], 0) && near(p[1], c) && near(p[2], 0) && near(p[3], 0.044715*c) {
				return format.FuncGELUTanh, x, 2 * s * k, true
			}
		}
	}
	return 0, nil, 0, false
}

// polynomial writes n as a polynomial in x of third degree at most.
func polynomial(n, x *node, depth int) (p [4]float64, ok bool) {
	if n == x {
		return [4]float64{0, 1, 0, 0}, true
	}
	if depth == 0 {
		return p, false
	}
	switch d := n.do.(type) {
	case affine:
		s, t, scalar := d.scalar()
		if p, ok = polynomial(n.in[0], x, depth-1); !ok || !scalar {
			return p, false
		}
		for i := range p {
			p[i] *= s
		}
		p[0] += t
		return p, true
	case add, mul:
		a, ok := polynomial(n.in[0], x, depth-1)
		if !ok {
			return p, false
		}
		b, ok := polynomial(n.in[1], x, depth-1)
		if !ok {
			return p, false
		}
		if _, sum := d.(add); sum {
			for i := range p {
				p[i] = a[i] + b[i]
			}
			return p, d == any(add{noClip})
		}
		for i := range a {
			for j := range b {
				if a[i]*b[j] == 0 {
					continue
				}
				if i+j > 3 {
					return p, false
				}
				p[i+j] += a[i] * b[j]
			}
		}
		return p, d == any(mul{noClip})
	}
	return p, false
}
