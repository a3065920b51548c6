package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// A gram is what the float network shows of a layer's input: how its values, as one output sees them, vary together. From it
// follows what a change of weights does to the layer's results, on average over the images, without running it.
type gram struct {
	op         int
	k          int // weights of an output channel
	groups     int // of input channels; of a depthwise convolution all of them
	columns    bool
	in, out    []int // shapes
	kh, kw     int
	attr       *format.Attr
	perImage   int       // positions that are looked at
	block      []float32 // k rows of gramBlock columns, a column an output position
	filled     int
	h          []float32 // groups times k by k: sums of products; centred once finished
	sums       []float64 // groups times k
	count      int
	multiplier func(block, into []float32)
}

// gramBlock is how many columns are multiplied at a time.
const gramBlock = 256

// direct is the k up to which products are summed in plain loops.
const direct = 32

func newGram(m *format.Model, i int) *gram {
	op := &m.Ops[i]
	w, x, y := m.Tensors[op.Inputs[1]].Shape, m.Tensors[op.Inputs[0]].Shape, m.Tensors[op.Outputs[0]].Shape
	g := &gram{op: i, groups: 1, in: x, out: y, kh: w[1], kw: w[2], attr: &op.Attr}
	inputs := w[3]
	switch op.Kind {
	case format.OpDepthwiseConv2D:
		g.groups, inputs = w[3], 1
	case format.OpConv2D:
		g.groups = op.Attr.Groups
		g.columns = tapsByColumn(op, w[3])
	case format.OpFullyConnected:
		g.in = []int{1, 1, 1, w[3]}
	case format.OpCAMHead:
		g.out = []int{1, x[1], x[2], w[0]}
	}
	g.k = g.kh * g.kw * inputs
	return g
}

// size is the number of products that are summed.
func (g *gram) size() int { return g.groups * g.k * g.k }

// begin makes room for the sums of perImage places of every image.
func (g *gram) begin(perImage, threads int) {
	g.perImage = perImage
	g.h, g.sums = make([]float32, g.size()), make([]float64, g.groups*g.k)
	if g.k > direct {
		g.block = aligned32(g.k * gramBlock)
		g.multiplier = selfProduct(g.k, threads)
	}
}

// positions is how many places the layer's window has.
func (g *gram) positions() int { return g.out[1] * g.out[2] }

// add looks at some places of one image, drawn by its number.
func (g *gram) add(x []float32, image int) {
	n := g.positions()
	chosen := make([]int, 0, min(g.perImage, n))
	if g.perImage >= n {
		for p := range n {
			chosen = append(chosen, p)
		}
	} else {
		chosen = append(chosen, rand.New(rand.NewPCG(uint64(g.op), uint64(image))).Perm(n)[:g.perImage]...)
		slices.Sort(chosen)
	}
	v := make([]float32, g.k)
	for group := range g.groups {
		sums := g.sums[group*g.k:][:g.k]
		for _, p := range chosen {
			g.window(v, x, group, p/g.out[2], p%g.out[2])
			for i, f := range v {
				sums[i] += float64(f)
			}
			if g.multiplier == nil {
				h := g.h[group*g.k*g.k:][:g.k*g.k]
				for i, a := range v {
					for j, b := range v {
						h[i*g.k+j] += a * b
					}
				}
				continue
			}
			for i, f := range v {
				g.block[i*gramBlock+g.filled] = f
			}
			if g.filled++; g.filled == gramBlock {
				g.flush(group)
			}
		}
		g.flush(group)
	}
	g.count += len(chosen)
}

func (g *gram) flush(group int) {
	if g.filled == 0 {
		return
	}
	for i := range g.k { // what is missing counts nothing
		clear(g.block[i*gramBlock+g.filled:][:gramBlock-g.filled])
	}
	g.multiplier(g.block, g.h[group*g.k*g.k:][:g.k*g.k])
	g.filled = 0
}

// window reads what output position oy, ox of a group multiplies with its weights, in the order of layer.w.
func (g *gram) window(v []float32, x []float32, group, oy, ox int) {
	a, c := g.attr, g.in[3]
	n := g.k / (g.kh * g.kw)
	for ky := range g.kh {
		for kx := range g.kw {
			at := ky*g.kw + kx
			if g.columns {
				at = kx*g.kh + ky
			}
			to := v[at*n:][:n]
			iy, ix := oy*a.Stride[0]-a.Pad[0]+ky*a.Dilation[0], ox*a.Stride[1]-a.Pad[1]+kx*a.Dilation[1]
			if iy < 0 || ix < 0 || iy >= g.in[1] || ix >= g.in[2] {
				clear(to)
				continue
			}
			copy(to, x[(iy*g.in[2]+ix)*c+group*n:])
		}
	}
}

// ridge is added to the diagonal, in parts of its mean: columns are few, and what they do not show is not free.
const ridge = 0.01

// finish makes covariances of the sums.
func (g *gram) finish() {
	for group := range g.groups {
		h, sums := g.h[group*g.k*g.k:][:g.k*g.k], g.sums[group*g.k:][:g.k]
		trace := 0.0
		for i := range g.k {
			for j := range g.k {
				at := i*g.k + j
				h[at] = float32(float64(h[at])/float64(g.count) - sums[i]/float64(g.count)*sums[j]/float64(g.count))
			}
			trace += float64(h[i*g.k+i])
		}
		for i := range g.k {
			h[i*g.k+i] += float32(ridge * trace / float64(g.k))
		}
	}
	g.block, g.multiplier = nil, nil
}

// selfProduct returns a function that adds b*bT to into, b having k rows of gramBlock columns: a 1x1 convolution whose weights
// are its own input.
func selfProduct(k, threads int) func(b, into []float32) {
	out := aligned32(k * k)
	return func(b, into []float32) {
		p, err := kernels.PrepareConvF32(&kernels.ConvF32{In: kernels.Shape{H: 1, W: k, C: gramBlock}, Out: kernels.Shape{H: 1, W: k, C: k},
			Window: kernels.Window{KH: 1, KW: 1, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1}, Groups: 1, Weights: b,
			ClampLo: float32(math.Inf(-1)), ClampHi: float32(math.Inf(1))})
		if err != nil {
			panic(err) // shapes of our own
		}
		io := &kernels.IO{In: [][]byte{bytes32(b)}, Out: [][]byte{bytes32(out)}}
		for _, n := range p.Inner {
			io.Inner = append(io.Inner, bytes32(aligned32((n+3)/4)))
		}
		for i := range p.Stages {
			s := &p.Stages[i]
			var next atomic.Int64
			var wg sync.WaitGroup
			for range min(threads, s.Units) {
				wg.Go(func() {
					tmp := bytes32(aligned32((s.Scratch + 3) / 4))
					const many = 4
					for u := int(next.Add(many)) - many; u < s.Units; u = int(next.Add(many)) - many {
						s.Run(io, u, min(u+many, s.Units), tmp)
					}
				})
			}
			wg.Wait()
		}
		for i, v := range out {
			into[i] += v
		}
	}
}

// aligned32 returns n values on a 64-byte boundary, with room behind them that kernels may read.
func aligned32(n int) []float32 {
	v := make([]float32, n+2*kernels.Slack/4)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(v)))&63) / 4
	return v[skip:][:n]
}

func bytes32(v []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}
