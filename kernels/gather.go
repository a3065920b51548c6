package kernels

import (
	"fmt"
	"slices"
)

// PrepareGather returns a selection of rows, columns or channels.
func PrepareGather(c *Gather) (*Prepared, error) {
	if err := checkShapes(c.In, c.Out); err != nil {
		return nil, err
	}
	if err := checkElem(c.Elem); err != nil {
		return nil, err
	}
	if c.Axis < 1 || c.Axis > 3 {
		return nil, fmt.Errorf("axis %d: need 1 (height), 2 (width) or 3 (channels)", c.Axis)
	}
	in, out := [3]int{c.In.H, c.In.W, c.In.C}, [3]int{c.Out.H, c.Out.W, c.Out.C}
	a := c.Axis - 1
	n := in[a]
	in[a] = len(c.Index)
	if in != out {
		return nil, fmt.Errorf("output is %v: %d indices along axis %d of %v make %v", c.Out, len(c.Index), c.Axis, c.In, in)
	}
	inner := c.Elem // bytes of one element along the axis
	for _, d := range out[a+1:] {
		inner *= d
	}
	var runs []run
	for i, k := range c.Index {
		if k < 0 || int(k) >= n {
			return nil, fmt.Errorf("index %d is %d: axis %d of the input has %d", i, k, c.Axis, n)
		}
		from := int(k) * inner
		if l := len(runs) - 1; l >= 0 && runs[l].from+runs[l].size == from && c.Axis > 1 {
			runs[l].size += inner
			continue
		}
		runs = append(runs, run{i * inner, from, inner})
	}
	if c.Axis == 1 { // a unit is a run, which is a row
		return portable(Stage{Name: "gather", Units: len(runs), Run: func(io *IO, lo, hi int, _ []byte) {
			move(io.Out[0], io.In[0], runs[lo:hi])
		}}), nil
	}
	// A unit is a row; it has one piece (along the width) or one a pixel.
	pieces := 1
	if c.Axis == 3 {
		pieces = c.Out.W
	}
	stepIn, stepOut := n*inner, len(c.Index)*inner
	each := func(f func(y, x []byte)) Stage {
		return Stage{Name: "gather", Units: c.Out.H, Run: func(io *IO, lo, hi int, _ []byte) {
			for p := lo * pieces; p < hi*pieces; p++ {
				f(io.Out[0][p*stepOut:][:stepOut], io.In[0][p*stepIn:][:stepIn])
			}
		}}
	}
	if c.Axis == 3 && 2*len(runs) > len(c.Index) { // single channels
		index := slices.Clone(c.Index)
		switch c.Elem {
		case 1:
			return portable(each(func(y, x []byte) { pickChannels(y, x, index) })), nil
		case 2:
			return portable(each(func(y, x []byte) { pickChannels(view[uint16](y), view[uint16](x), index) })), nil
		}
		return portable(each(func(y, x []byte) { pickChannels(view[uint32](y), view[uint32](x), index) })), nil
	}
	return portable(each(func(y, x []byte) { move(y, x, runs) })), nil
}

// run is a copy of size bytes.
type run struct{ to, from, size int }

func move(y, x []byte, runs []run) {
	for _, r := range runs {
		copy(y[r.to:][:r.size], x[r.from:][:r.size])
	}
}

func pickChannels[T any](y, x []T, index []int32) {
	y = y[:len(index)]
	for i, k := range index {
		y[i] = x[k]
	}
}

func checkElem(n int) error {
	if n != 1 && n != 2 && n != 4 {
		return fmt.Errorf("elements of %d bytes: need 1, 2 or 4", n)
	}
	return nil
}

// PreparePermute returns a transposition of an array of any rank.
func PreparePermute(c *Permute) (*Prepared, error) {
	if err := checkShapes(c.In, c.Out); err != nil {
		return nil, err
	}
	if err := checkElem(c.Elem); err != nil {
		return nil, err
	}
	n, total := c.In.Len(), int64(1)
	for _, d := range c.Dims {
		if d < 1 || d > maxSide || total > maxElements {
			return nil, fmt.Errorf("dims %v: need positive numbers whose product is %d", c.Dims, n)
		}
		total *= int64(d)
	}
	if total != int64(n) || c.Out.Len() != n {
		return nil, fmt.Errorf("dims %v make %d elements, input %v has %d, output %v has %d", c.Dims, total, c.In, n, c.Out, c.Out.Len())
	}
	seen := make([]bool, len(c.Dims))
	for _, p := range c.Perm {
		if p < 0 || p >= len(seen) || seen[p] {
			return nil, fmt.Errorf("perm %v is no permutation of %d axes", c.Perm, len(seen))
		}
		seen[p] = true
	}
	if len(c.Perm) != len(c.Dims) {
		return nil, fmt.Errorf("perm %v is no permutation of %d axes", c.Perm, len(seen))
	}
	w := walkOf(c.Dims, c.Perm)
	switch c.Elem {
	case 1:
		return portable(permuteStage[byte](w, n)), nil
	case 2:
		return portable(permuteStage[uint16](w, n)), nil
	}
	return portable(permuteStage[uint32](w, n)), nil
}

// walk is how a transposition goes through its input: the sizes of the result's axes, outermost first, and what a step along
// each is in the input. Neighbouring axes that are one run of the input are one axis.
type walk struct{ size, step []int }

func walkOf(dims, perm []int) walk {
	strides := make([]int, len(dims))
	n := 1
	for d := len(dims) - 1; d >= 0; d-- {
		strides[d] = n
		n *= dims[d]
	}
	w := walk{}
	for _, p := range perm {
		size, step := dims[p], strides[p]
		l := len(w.size) - 1
		switch {
		case size == 1:
		case l >= 0 && w.step[l] == size*step:
			w.size[l], w.step[l] = w.size[l]*size, step
		default:
			w.size, w.step = append(w.size, size), append(w.step, step)
		}
	}
	if len(w.size) == 0 {
		return walk{[]int{1}, []int{1}}
	}
	return w
}

// permuteStage writes the result's elements in order, the innermost axis in one loop. A unit is some rows of that axis.
func permuteStage[T any](w walk, n int) Stage {
	outer := len(w.size) - 1
	size, step := w.size[outer], w.step[outer]
	rows := n / size
	perUnit := max(1, flatUnit/size)
	return Stage{Name: "permute", Units: ceilDiv(rows, perUnit), Run: func(io *IO, lo, hi int, _ []byte) {
		x, y := view[T](io.In[0]), view[T](io.Out[0])
		first, last := lo*perUnit, min(hi*perUnit, rows)
		var index [8]int
		from, rest := 0, first
		for d := outer - 1; d >= 0; d-- {
			index[d] = rest % w.size[d]
			rest /= w.size[d]
			from += index[d] * w.step[d]
		}
		for r := first; r < last; r++ {
			dst := y[r*size:][:size]
			if step == 1 {
				copy(dst, x[from:][:size])
			} else {
				k := from
				for i := range dst {
					dst[i] = x[k]
					k += step
				}
			}
			for d := outer - 1; d >= 0; d-- {
				index[d]++
				from += w.step[d]
				if index[d] < w.size[d] {
					break
				}
				from -= index[d] * w.step[d]
				index[d] = 0
			}
		}
	}}
}
