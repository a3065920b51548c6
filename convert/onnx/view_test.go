package onnx

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// elements lists the memory positions (H,W,C order) of a view's elements in logical order, one by one.
func elements(v view) []int {
	var out []int
	shape := v.shape()
	total := 1
	for _, d := range shape {
		total *= d
	}
	for i := range total {
		var at [3]int
		rest := i
		for d := len(shape) - 1; d >= 0; d-- {
			k := rest % shape[d]
			rest /= shape[d]
			for a := range at {
				at[a] += offset(v.dims[d], k, axis(a))
			}
		}
		s := v.n.shape
		out = append(out, (at[0]*s[1]+at[1])*s[2]+at[2])
	}
	return out
}

// Reshapes and transposes of views must move elements as the same operations move those of an array.
func TestViewsAgainstArrays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		n := &node{shape: [3]int{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(12)}}
		v := imageView(n)
		shape, array := v.shape(), elements(v)
		for range 5 {
			if r.IntN(2) == 0 {
				perm := r.Perm(len(shape))
				strides, moved := stridesOf(shape), make([]int, len(shape))
				for i, p := range perm {
					moved[i] = shape[p]
				}
				next := make([]int, len(array))
				for i := range next {
					rest, from := i, 0
					for d := len(moved) - 1; d >= 0; d-- {
						from += rest % moved[d] * strides[perm[d]]
						rest /= moved[d]
					}
					next[i] = array[from]
				}
				v, shape, array = v.transpose(perm), moved, next
			} else {
				to := split(r, len(array))
				w, err := v.reshape(to)
				if err != nil {
					continue // it would mix axes
				}
				v, shape = w, to
			}
			if !slices.Equal(v.shape(), shape) || !slices.Equal(elements(v), array) {
				t.Fatalf("view %v of %v lists %v, the array is %v of shape %v", v.dims, n.shape, elements(v), array, shape)
			}
		}
	}
}

// split makes a random shape of n elements.
func split(r *rand.Rand, n int) []int {
	var shape []int
	for n > 1 {
		d := 1 + r.IntN(n)
		if n%d == 0 {
			shape = append(shape, d)
			n /= d
		}
	}
	return append(shape, 1)
}
