package frame

import (
	"errors"
	"testing"
)

// TestSplit lays out frames whose bytes are their own addresses, so that each plane's corners say where it begins and
// ends. The sizes are those that ffmpeg -f rawvideo writes.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		format Format
		w, h   int
		size   int
		starts []int
	}{
		{RGB24, 5, 3, 45, []int{0}}, {BGRA, 5, 3, 60, []int{0}}, {Gray8, 5, 3, 15, []int{0}},
		{I420, 6, 4, 36, []int{0, 24, 30}}, {I420, 5, 3, 27, []int{0, 15, 21}},
		{NV12, 6, 4, 36, []int{0, 24}}, {NV21, 5, 3, 27, []int{0, 15}},
		{I422, 5, 3, 33, []int{0, 15, 24}}, {I444, 5, 3, 45, []int{0, 15, 30}}, {YUYV, 6, 4, 48, []int{0}}, {UYVY, 5, 3, 36, []int{0}},
	} {
		buf := make([]byte, c.size)
		for i := range buf {
			buf[i] = byte(i)
		}
		f := &Frame{Format: c.format, Width: c.w, Height: c.h}
		if err := f.Split(buf); err != nil {
			t.Fatalf("%v %dx%d: %v", c.format, c.w, c.h, err)
		}
		for i, start := range c.starts {
			if got := int(f.Planes[i][0]); got != start {
				t.Errorf("%v %dx%d: plane %d begins at %d, want %d", c.format, c.w, c.h, i, got, start)
			}
		}
		last := f.Planes[len(c.starts)-1]
		if got := int(last[len(last)-1]); got != c.size-1 {
			t.Errorf("%v %dx%d: ends at %d, want %d", c.format, c.w, c.h, got, c.size-1)
		}
		var fe *FrameError
		if err := f.Split(buf[:c.size-1]); !errors.As(err, &fe) {
			t.Errorf("%v %dx%d with a byte missing: %v", c.format, c.w, c.h, err)
		}
	}
	for _, bad := range []struct{ format, w, h, stride int }{
		{0, 2, 2, 0}, {99, 2, 2, 0}, {1, 0, 2, 0}, {1, 2, -1, 0}, {1, 1 << 30, 1 << 30, 0}, {1, 2, 2, 5}, {1, 2, 2, -1}, {1, 2, 2, 1<<30 + 1},
	} {
		var fe *FrameError
		f := &Frame{Format: Format(bad.format), Width: bad.w, Height: bad.h}
		if err := f.SplitRows(bad.stride, make([]byte, 64)); !errors.As(err, &fe) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
