package onnx

import (
	"fmt"
	"slices"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func padding(c *call) ([]value, error) {
	v, err := c.view(0)
	if err != nil {
		return nil, err
	}
	mode := c.str("mode", "constant")
	pads, err := c.list("pads", 1)
	if err != nil {
		return nil, err
	}
	pads = slices.Clone(pads)
	val, err := c.scalar("value", 2, 0)
	if err != nil {
		return nil, err
	}
	axes, err := c.list("axes", 3)
	if err != nil {
		return nil, err
	}
	rank := len(v.dims)
	if axes == nil {
		for d := range rank {
			axes = append(axes, int64(d))
		}
	}
	if len(pads) != 2*len(axes) {
		return fail("it has %d paddings for %d dimensions", len(pads), len(axes))
	}
	if _, err := axisSet(axes, rank); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(pads, func(p int64) bool { return p < -format.MaxDim || p > format.MaxDim }) {
		return fail("padding %v", pads)
	}
	// plain says whether the pad operator does it.
	plain := func(d int, near, far int64) (axis, bool) {
		at, err := v.place([]int{d}, []axis{imageAxis(rank, d)})
		if err != nil || at[0] == axisC || d < 1 || mode != "constant" {
			return 0, false
		}
		return at[0], min(near, far) >= 0 && max(near, far) <= format.MaxStride
	}
	for i, a := range axes {
		d, _ := normAxis(a, rank)
		if _, ok := plain(d, pads[i], pads[i+len(axes)]); ok || pads[i] == 0 && pads[i+len(axes)] == 0 {
			continue
		}
		if v, err = c.padBySelection(v, d, int(pads[i]), int(pads[i+len(axes)]), mode, val); err != nil {
			return nil, err
		}
		pads[i], pads[i+len(axes)] = 0, 0
	}
	do, shape, dims := pad{value: float32(val)}, v.n.shape, slices.Clone(v.dims)
	for i, a := range axes {
		d, _ := normAxis(a, rank)
		near, far := int(pads[i]), int(pads[i+len(axes)])
		if near == 0 && far == 0 {
			continue
		}
		at, ok := plain(d, pads[i], pads[i+len(axes)])
		if !ok {
			return fail("padding %v of a value of shape %v", pads, v.shape())
		}
		do.pad[at], do.pad[at+2] = near, far
		shape[at] += near + far
		dims[d] = []factor{{at, shape[at], 1}}
	}
	if do.pad == [4]int{} {
		return one(v)
	}
	n, err := c.node(do, shape, v.n)
	if err != nil {
		return nil, err
	}
	return one(view{n, dims})
}

// imageAxis is the axis that dimension d of N,C,H,W should have.
func imageAxis(rank, d int) axis {
	if rank == 4 && d >= 2 {
		return axis(d - 2)
	}
	return axisC
}

// padBySelection pads one dimension by repeating what is there: mirrored, the edge, or from the other side. A constant
// takes the place of any repeated element that scale and shift make it. Negative paddings cut off.
func (c *call) padBySelection(v view, d, near, far int, mode string, val float64) (view, error) {
	size := sizeOf(v.dims[d])
	if near+far+size < 1 {
		return view{}, fmt.Errorf("padding of %d and %d leaves nothing of %d", near, far, size)
	}
	if err := c.im.budget.take(near+far+size, 24); err != nil {
		return view{}, err
	}
	list, inside := make([]int, near+far+size), make([]bool, near+far+size)
	for i := range list {
		k := i - near
		inside[i] = k >= 0 && k < size
		switch {
		case inside[i]:
		case mode == "reflect" && size > 1:
			period := 2 * (size - 1)
			if k = ((k % period) + period) % period; k >= size {
				k = period - k
			}
		case mode == "wrap":
			k = ((k % size) + size) % size
		case mode == "edge", mode == "reflect", mode == "constant":
			k = min(max(k, 0), size-1)
		default:
			return view{}, fmt.Errorf("padding mode %q is not supported", mode)
		}
		list[i] = k
	}
	v, err := c.selected(v, d, list)
	if err != nil || mode != "constant" || !slices.Contains(inside, false) {
		return v, err
	}
	if a, ok := v.axis(d); !ok || a != axisC {
		if v, err = c.alone(v, d); err != nil {
			return view{}, err
		}
	}
	line := affine{make([]float64, len(list)), make([]float64, len(list))}
	for i, in := range inside {
		if line.scale[i] = 1; !in {
			line.scale[i], line.shift[i] = 0, val
		}
	}
	out, err := c.elementwiseNode(line, v)
	if err != nil {
		return view{}, err
	}
	return out[0].v, nil
}
