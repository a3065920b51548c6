package onnx

import (
	"slices"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// reductionKind is what a reduction computes of the elements: of what, mean or maximum, and what of the result.
type reductionKind struct {
	square, abs, negate bool
	max                 bool
	sum, root           bool
}

var (
	reduceMean      = reductionKind{}
	reduceSum       = reductionKind{sum: true}
	reduceMax       = reductionKind{max: true}
	reduceMin       = reductionKind{max: true, negate: true}
	reduceL1        = reductionKind{abs: true, sum: true}
	reduceL2        = reductionKind{square: true, sum: true, root: true}
	reduceSumSquare = reductionKind{square: true, sum: true}
)

// reduction has its axes as an attribute in old opsets and as an input in newer ones.
func reduction(kind reductionKind) rule {
	return func(c *call) ([]value, error) {
		v, err := c.view(0)
		if err != nil {
			return nil, err
		}
		axes, err := c.list("axes", 1)
		if err != nil {
			return nil, err
		}
		reduce, err := axisSet(axes, len(v.dims))
		if err != nil {
			return nil, err
		}
		if len(axes) == 0 {
			if c.int("noop_with_empty_axes", 0) != 0 {
				return one(v)
			}
			for d := range reduce {
				reduce[d] = true
			}
		}
		return c.reduced(kind, v, reduce, c.int("keepdims", 1) != 0)
	}
}

func globalAverage(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	reduce := make([]bool, len(v.dims))
	for d := 2; d < len(reduce); d++ {
		reduce[d] = true
	}
	return c.reduced(reduceMean, v, reduce, true)
}

func (c *call) reduced(kind reductionKind, v view, reduce []bool, keep bool) ([]value, error) {
	elementwise := func(v view, do any) (view, error) {
		out, err := c.elementwiseNode(do, v)
		if err != nil {
			return view{}, err
		}
		return out[0].v, nil
	}
	times := func(k float64) affine { return affine{[]float64{k}, []float64{0}} }
	var err error
	switch {
	case kind.square:
		var out []value
		if out, err = c.join(mul{noClip}, v, v); err == nil {
			v = out[0].v
		}
	case kind.abs:
		v, err = elementwise(v, fn(format.FuncAbs))
	case kind.negate:
		v, err = elementwise(v, times(-1))
	}
	if err != nil {
		return nil, err
	}
	count := 1
	for d, yes := range reduce {
		if yes {
			count *= sizeOf(v.dims[d])
		}
	}
	if v, err = c.pooled(kind.max, v, reduce, keep); err != nil {
		return nil, err
	}
	if kind.sum {
		v, err = elementwise(v, times(float64(count)))
	}
	if kind.root && err == nil {
		v, err = elementwise(v, fn(format.FuncSqrt))
	}
	if kind.negate && err == nil {
		v, err = elementwise(v, times(-1))
	}
	if err != nil {
		return nil, err
	}
	return one(v)
}

// pooled reduces dimensions to their mean or their maximum. Unless they are whole axes, they become the height.
func (c *call) pooled(max bool, v view, reduce []bool, keep bool) (view, error) {
	over, whole := v.axes(reduce)
	if !whole || max && over[axisC] {
		axes := [3][]int{}
		for d, yes := range reduce {
			if yes {
				axes[axisH] = append(axes[axisH], d)
			} else {
				axes[axisC] = append(axes[axisC], d)
			}
		}
		var err error
		if v, err = c.arranged(v, axes); err != nil {
			return view{}, err
		}
		over, _ = v.axes(reduce)
	}
	n, shape := v.n, v.n.shape
	if over != [3]bool{} {
		win := build.PoolWin{Kernel: [2]int{1, 1}, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}}
		for a, yes := range over {
			if yes {
				if axis(a) != axisC {
					win.Kernel[a] = shape[a]
				}
				shape[a] = 1
			}
		}
		var do any = mean{over}
		if max {
			do = maxPool{win}
		}
		var err error
		if n, err = c.node(do, shape, v.n); err != nil {
			return view{}, err
		}
	}
	out := view{n: n}
	for d, yes := range reduce {
		switch {
		case !yes:
			out.dims = append(out.dims, v.dims[d])
		case keep:
			out.dims = append(out.dims, nil)
		}
	}
	return out, nil
}

// axes returns the axes that some dimensions run over, and whether they are all of each.
func (v view) axes(dims []bool) (over [3]bool, whole bool) {
	covered := [3]int{1, 1, 1}
	for d, yes := range dims {
		if yes {
			for _, f := range v.dims[d] {
				covered[f.axis] *= f.size
			}
		}
	}
	whole = true
	for a, n := range covered {
		over[a] = n > 1
		whole = whole && (n == 1 || n == v.n.shape[a])
	}
	return over, whole
}

// ordered says whether dimensions, one after the other, are all channels in order.
func (v view) ordered(dims []int) bool {
	var along []factor
	for _, d := range dims {
		along = append(along, v.dims[d]...)
	}
	return slices.Equal(join(along), whole(v.n, axisC))
}
