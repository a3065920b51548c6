package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/convert/checkpoint"
)

// network is an architecture in the making: a builder, the checkpoint its weights come from, and the account of what fits.
//
// A tensor that is missing or misshapen is replaced by zeros of the shape it should have, so that one walk through the
// architecture finds everything that is wrong; finish then refuses the model.
type network struct {
	*build.Builder
	ck                 *checkpoint.Checkpoint
	used               map[string]bool
	missing, misshapen []string
	unreadable         error
	eps                float32 // of every batch normalisation
}

func (n *network) has(name string) bool { return n.ck.Tensor(name) != nil }

// dim is a dimension of a tensor, 0 if there is no such tensor or dimension.
func (n *network) dim(name string, axis int) int {
	if t := n.ck.Tensor(name); t != nil && axis < len(t.Shape) {
		return t.Shape[axis]
	}
	return 0
}

// vote is the number that most of the tensors that know it agree on; zeros do not count, the first wins a tie. It lets one
// misshapen tensor be blamed, instead of all its neighbours.
func vote(dims ...int) int {
	best, most := 1, 0
	for _, d := range dims {
		count := 0
		for _, e := range dims {
			if e == d {
				count++
			}
		}
		if d > 0 && count > most {
			best, most = d, count
		}
	}
	return best
}

// get reads a tensor of one of the given shapes; the first is the one an error asks for.
func (n *network) get(name string, shapes ...[]int) []float32 {
	t := n.ck.Tensor(name)
	if t == nil {
		n.missing = append(n.missing, fmt.Sprintf("%s %v", name, shapes[0]))
		return zeros(shapes[0])
	}
	n.used[name] = true
	if !slices.ContainsFunc(shapes, func(s []int) bool { return slices.Equal(s, t.Shape) }) {
		n.misshapen = append(n.misshapen, fmt.Sprintf("%s is %v, not %v", name, t.Shape, shapes[0]))
		return zeros(shapes[0])
	}
	v, err := t.Float32s()
	if err != nil {
		n.unreadable = errors.Join(n.unreadable, err)
		return zeros(shapes[0])
	}
	return v
}

func zeros(shape []int) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return make([]float32, n)
}

// conv is a convolution to be added: its tensors are called name.weight and name.bias, and those of the batch
// normalisation behind it bn.weight, ... if bn is set.
type conv struct {
	name, bn string
	out      int // channels; 0: as the weights say
	k        [2]int
	stride   int
	dilation int // 0: 1
	pad      [4]int
	depth    bool // depthwise
	act      build.Act
}

// square is a k x k kernel with the padding that keeps the size at stride 1.
func square(k int) (kernel [2]int, pad [4]int) {
	p := k / 2
	return [2]int{k, k}, [4]int{p, p, p, p}
}

func (n *network) conv(x int, c conv) int {
	in, groups := n.Shape(x).C, 1
	out := c.out
	if out == 0 {
		out = vote(n.dim(c.name+".weight", 0), n.dim(c.name+".bias", 0), n.dim(c.bn+".weight", 0), n.dim(c.bn+".bias", 0),
			n.dim(c.bn+".running_mean", 0), n.dim(c.bn+".running_var", 0))
	}
	if c.depth {
		out, groups = in, in
	}
	if n.Err() != nil {
		return -1
	}
	oihw := [4]int{out, in / groups, c.k[0], c.k[1]}
	w := n.get(c.name+".weight", oihw[:])
	var bias []float32
	if c.bn == "" || n.has(c.name+".bias") {
		bias = n.get(c.name+".bias", []int{out})
	}
	win := build.Win{Stride: [2]int{c.stride, c.stride}, Dilation: [2]int{c.dilation, c.dilation}, Pad: c.pad}
	if c.bn == "" {
		return n.Conv(c.name, x, w, oihw, bias, win, groups, c.act)
	}
	return n.ConvBN(c.name, x, w, oihw, bias, n.batchNorm(c.bn, out), win, groups, c.act)
}

func (n *network) batchNorm(name string, c int) build.BN {
	s := []int{c}
	return build.BN{Gamma: n.get(name+".weight", s), Beta: n.get(name+".bias", s), Mean: n.get(name+".running_mean", s),
		Var: n.get(name+".running_var", s), Eps: n.eps}
}

// rfga adds residual fine-grained attention with the tensors name.conv_c.weight and so on; an empty name stands for none.
func (n *network) rfga(name string, x int) int {
	if n.Err() != nil {
		return -1
	}
	c := n.Shape(x).C
	eps := n.eps
	n.eps = torchEps // the module has its own, whatever the backbone's is
	defer func() { n.eps = eps }()
	return n.RFGA(name, x, build.RFGAWeights{
		ConvC: n.get(name+".conv_c.weight", []int{1, 1, 3}),
		ConvH: n.get(name+".conv_h.weight", []int{c, c, 3}),
		ConvW: n.get(name+".conv_w.weight", []int{c, c, 3}),
		BN:    [3]build.BN{n.batchNorm(name+".bn1", c), n.batchNorm(name+".bn2", c), n.batchNorm(name+".bn3", c)},
	}, 1, 1)
}

// hasRFGA says whether any of the module's own tensors is there.
func (n *network) hasRFGA(name string) bool {
	return n.has(name+".conv_c.weight") || n.has(name+".conv_h.weight") || n.has(name+".conv_w.weight")
}

// classifier ends the network with a 1x1 convolution or a fully connected layer, whichever the checkpoint has.
func (n *network) classifier(name string, x int) {
	if n.Err() != nil {
		return
	}
	c, k := n.Shape(x).C, vote(n.dim(name+".weight", 0), n.dim(name+".bias", 0))
	n.Localizer(name, x, n.get(name+".weight", []int{k, c, 1, 1}, []int{k, c}), n.get(name+".bias", []int{k}))
}

// check returns one error with everything about the checkpoint that does not fit.
func (n *network) check() error {
	var extra []string
	for _, name := range n.ck.Names() {
		if !n.used[name] && !ignored(name) {
			extra = append(extra, fmt.Sprintf("%s %v", name, n.ck.Tensor(name).Shape))
		}
	}
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"missing", n.missing}, {"of another shape", n.misshapen}, {"left over", extra}} {
		if len(p.names) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s: %s", len(p.names), p.what, strings.Join(p.names, "; ")))
		}
	}
	if len(parts) == 0 {
		return n.unreadable
	}
	return errors.Join(errors.New("tensors do not fit this architecture:\n  "+strings.Join(parts, "\n  ")), n.unreadable)
}

// ignored says whether inference has no use for a tensor: the counters that batch normalisation keeps while training.
func ignored(name string) bool {
	return name == "num_batches_tracked" || strings.HasSuffix(name, ".num_batches_tracked")
}
