package runtime

import (
	"cmp"
	"slices"
)

// align is the alignment of every buffer in bytes: a cache line, and the widest vector.
const align = 64

func roundUp(n int) int { return (n + align - 1) &^ (align - 1) }

// place gives each buffer that is not external an offset such that buffers whose lifetimes meet do not overlap: largest
// first, each into the lowest gap among those already placed that live at the same time.
func place(buffers []buffer) ArenaStats {
	var order []int
	var st ArenaStats
	last := 0
	for i, b := range buffers {
		if !b.external && b.first >= 0 && b.size > 0 {
			order = append(order, i)
			st.Sum += roundUp(b.size)
			last = max(last, b.last)
		}
	}
	for i := 0; i <= last; i++ {
		live := 0
		for _, j := range order {
			if b := buffers[j]; b.first <= i && i <= b.last {
				live += roundUp(b.size)
			}
		}
		st.LowerBound = max(st.LowerBound, live)
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(buffers[j].size, buffers[i].size) })
	var placed []int // sorted by offset
	for _, i := range order {
		b := &buffers[i]
		at := 0
		for _, j := range placed {
			o := buffers[j]
			if o.last < b.first || b.last < o.first {
				continue
			}
			if at+roundUp(b.size) <= o.offset {
				break
			}
			at = max(at, o.offset+roundUp(o.size))
		}
		b.offset = at
		st.Size = max(st.Size, at+roundUp(b.size))
		pos, _ := slices.BinarySearchFunc(placed, at, func(j, off int) int { return cmp.Compare(buffers[j].offset, off) })
		placed = slices.Insert(placed, pos, i)
	}
	return st
}
