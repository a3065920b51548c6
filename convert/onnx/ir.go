package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// node is one operator of the graph between ONNX and format.Model, and its result: an activation of batch 1 with shape
// height, width, channels. What it computes is the type of do.
type node struct {
	name  string
	op    string // of the ONNX node it comes from
	in    []*node
	shape [3]int
	do    any
	// lost says that something that reads this node could not be converted; patterns that would have included it are
	// then no reason to complain.
	lost bool
}

// The kinds of nodes. A kind that is not listed in emit.go's switch exists for patterns only.
type (
	input struct{}

	// conv is a convolution; weights are in the order O,I,KH,KW. Its result is then clamped.
	conv struct {
		oihw    [4]int
		weights func() ([]float32, error)
		pre     *affine // scale and shift of its input; with a shift there is no padding
		post    affine  // scale and shift behind it, the bias included
		win     build.Win
		groups  int
		clip
		// scaling is a scale and shift by itself: one weight of 1 for each channel.
		scaling bool
	}

	// convC is a convolution along the channels, of one channel to one; only RFGA's channel view has it.
	convC struct {
		weights func() ([]float32, error)
		taps    int
		pad     [2]int
	}

	// linear is a fully connected layer, w (out, C*H*W) in that order.
	linear struct {
		out, in int
		weights func() ([]float32, error)
		post    affine
		clip
	}

	// affine is x*scale + shift, per channel or, with one value, for all.
	affine struct{ scale, shift []float64 }

	clip struct{ lo, hi float64 }
	// unary has the function's parameters, 1 where it has none.
	unary struct {
		f    format.Func
		a, b float64
	}
	prelu struct{ slope []float64 } // of each channel

	// add and mul have two inputs, which may both be broadcast.
	add struct{ clip }
	mul struct{ clip }

	mean struct{ over [3]bool } // over whole axes

	// constant may be the second input of add and mul. Its elements are in the order H,W,C.
	constant struct{ data []float32 }

	// gather selects positions of an axis.
	gather struct {
		axis  axis
		index []int
	}

	// permute reads its input in the order H,W,C as an array of shape dims, transposes it, and reads the result likewise.
	permute struct{ dims, perm []int }

	// normalize is over groups of channels of each position, or of all positions; post is behind it.
	normalize struct {
		all    bool
		groups int
		eps    float64
		post   affine
	}

	maxPool struct{ win build.PoolWin }
	avgPool struct {
		win             build.PoolWin
		countIncludePad bool
	}
	concat struct{ axis axis }
	pad    struct {
		pad   [4]int
		value float32
	}
	softmax struct{ log bool }
	resize  struct {
		mode         format.Mode
		alignCorners bool
	}
	expand struct{} // repeats axes of size 1

	attention struct { // RFGA: x*(a + b*M)
		c    *convC
		h, w *conv
		post [3]affine
		a, b float64
	}

	// camHead computes class maps (its own result) and logits (that of a camLogits behind it).
	camHead struct {
		classes int
		weights func() ([]float32, error)
		post    affine
	}
	camLogits struct{}
)

// fn is a function without parameters.
func fn(f format.Func) unary { return unary{f, 1, 1} }

var noClip = clip{math.Inf(-1), math.Inf(1)}

func (c clip) none() bool { return math.IsInf(c.lo, -1) && math.IsInf(c.hi, 1) }

// then is c followed by d.
func (c clip) then(d clip) clip {
	f := func(x float64) float64 { return min(max(x, d.lo), d.hi) }
	return clip{f(c.lo), f(c.hi)}
}

var identity = affine{[]float64{1}, []float64{0}}

// at returns the scale and shift of a channel.
func (a affine) at(c int) (scale, shift float64) {
	if len(a.scale) == 1 {
		return a.scale[0], a.shift[0]
	}
	return a.scale[c], a.shift[c]
}

// scalar returns scale and shift if they are the same for all channels.
func (a affine) scalar() (scale, shift float64, ok bool) {
	for i := range a.scale {
		if a.scale[i] != a.scale[0] || a.shift[i] != a.shift[0] {
			return 0, 0, false
		}
	}
	return a.scale[0], a.shift[0], true
}

// then is a followed by b.
func (a affine) then(b affine) affine {
	n := max(len(a.scale), len(b.scale))
	out := affine{make([]float64, n), make([]float64, n)}
	for c := range n {
		s, t := a.at(c)
		u, v := b.at(c)
		out.scale[c], out.shift[c] = s*u, t*u+v
	}
	return out
}

// net is the graph: nodes in execution order, and its outputs.
type net struct {
	nodes   []*node
	outputs []netOutput
}

type netOutput struct {
	name string
	n    *node
	flat bool
}

// checkShape refuses shapes no model can have.
func checkShape(s [3]int) error {
	n := 1
	for _, d := range s {
		if d < 1 || d > format.MaxDim || n > format.MaxElements/d {
			return fmt.Errorf("its result of %dx%dx%d (HxWxC) is empty or larger than %d elements", s[0], s[1], s[2], format.MaxElements)
		}
		n *= d
	}
	return nil
}

// uses counts the readers of every live node; being an output counts as one. Dead nodes are dropped.
func (g *net) uses() map[*node]int {
	count := map[*node]int{}
	for _, o := range g.outputs {
		count[o.n]++
	}
	for _, n := range slices.Backward(g.nodes) { // readers come after what they read
		if count[n] > 0 {
			for _, x := range n.in {
				count[x]++
			}
		}
	}
	g.nodes = slices.DeleteFunc(g.nodes, func(n *node) bool { return count[n] == 0 })
	return count
}
