package runtime

import (
	"testing"

	"pgregory.net/rapid"
)

// Buffers whose lifetimes meet must not share a byte, and the arena can be neither smaller than what one step needs nor
// larger than everything side by side.
func TestPlaceKeepsLiveBuffersApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.IntRange(1, 20).Draw(t, "steps")
		bs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) buffer {
			first := rapid.IntRange(-1, steps-1).Draw(t, "first")
			return buffer{first: first, last: rapid.IntRange(max(first, 0), steps-1).Draw(t, "last"),
				size: rapid.IntRange(0, 5000).Draw(t, "size"), external: rapid.IntRange(0, 9).Draw(t, "external") == 0}
		}), 0, 30).Draw(t, "buffers")
		st := place(bs)
		placed := func(b buffer) bool { return !b.external && b.first >= 0 && b.size > 0 }
		bound := 0
		for step := range steps {
			live := 0
			for _, b := range bs {
				if placed(b) && b.first <= step && step <= b.last {
					live += roundUp(b.size)
				}
			}
			bound = max(bound, live)
		}
		if st.LowerBound != bound || st.Size < bound || st.Size > st.Sum {
			t.Fatalf("size %d, lower bound %d (want %d), sum %d", st.Size, st.LowerBound, bound, st.Sum)
		}
		for i, a := range bs {
			if !placed(a) {
				continue
			}
			if a.offset%align != 0 || a.offset+a.size > st.Size {
				t.Fatalf("buffer %d at %d of %d bytes in an arena of %d", i, a.offset, a.size, st.Size)
			}
			for j, b := range bs[:i] {
				if placed(b) && a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Fatalf("buffers %d and %d overlap", i, j)
				}
			}
		}
	})
}
