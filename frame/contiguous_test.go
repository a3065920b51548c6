package frame

import (
	"errors"
	"fmt"
	"testing"
)

// TestContiguous lays out frames whose bytes are their own addresses, so that each plane's corners say where it begins and
// ends. The sizes are those that ffmpeg -f rawvideo writes.
func TestContiguous(t *testing.T) {
	for _, c := range []struct {
		format Format
		w, h   int
		size   int
		starts []int
	}{
		{RGB24, 5, 3, 45, []int{0}}, {BGRA, 5, 3, 60, []int{0}}, {Gray8, 5, 3, 15, []int{0}},
		{I420, 6, 4, 36, []int{0, 24, 30}}, {I420, 5, 3, 27, []int{0, 15, 21}},
		{NV12, 6, 4, 36, []int{0, 24}}, {NV21, 5, 3, 27, []int{0, 15}},
		{YUYV, 6, 4, 48, []int{0}}, {UYVY, 5, 3, 36, []int{0}},
	} {
		buf := make([]byte, c.size)
		for i := range buf {
			buf[i] = byte(i)
		}
		f, err := Contiguous(c.format, c.w, c.h, 0, buf)
		if err != nil {
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
		if _, err := Contiguous(c.format, c.w, c.h, 0, buf[:c.size-1]); !errors.As(err, &fe) {
			t.Errorf("%v %dx%d with a byte missing: %v", c.format, c.w, c.h, err)
		}
	}
	for _, bad := range []struct{ format, w, h, stride int }{
		{0, 2, 2, 0}, {99, 2, 2, 0}, {1, 0, 2, 0}, {1, 2, -1, 0}, {1, 1 << 30, 1 << 30, 0}, {1, 2, 2, 5}, {1, 2, 2, -1}, {1, 2, 2, 1<<30 + 1},
	} {
		var fe *FrameError
		if _, err := Contiguous(Format(bad.format), bad.w, bad.h, bad.stride, make([]byte, 64)); !errors.As(err, &fe) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestFormatNamed(t *testing.T) {
	for f := RGB24; f <= UYVY; f++ {
		if got, ok := FormatNamed(fmt.Sprint(f)); !ok || got != f {
			t.Errorf("%v: %v, %v", f, got, ok)
		}
	}
	if _, ok := FormatNamed(""); ok {
		t.Error("the empty name is a format")
	}
}
