package frame

import "fmt"

// Split points the frame's planes at buf, where they lie behind each other without gaps, as video programs write raw frames. It gives
// a *FrameError if buf is too short.
func (f *Frame) Split(buf []byte) error { return f.SplitRows(0, buf) }

// SplitRows is Split for rows that lie stride bytes apart (0: side by side). Chroma rows of NV12, NV21 and I444 are as far apart as
// those of luma, of I420 and I422 half as far.
func (f *Frame) SplitRows(stride int, buf []byte) error {
	f.Planes, f.Strides = [3][]byte{}, [3]int{}
	geometry, n := f.planes()
	if n == 0 || f.Width < 1 || f.Height < 1 || f.Width > MaxSide || f.Height > MaxSide {
		return f.Check()
	}
	if stride == 0 {
		stride = geometry[0].row
	}
	if stride < geometry[0].row || stride > 1<<30 {
		return &FrameError{fmt.Sprintf("stride %d: a row of %d pixels of %v has %d bytes", stride, f.Width, f.Format, geometry[0].row)}
	}
	at, need := int64(0), int64(0)
	for i, p := range geometry[:n] {
		f.Strides[i] = stride
		switch {
		case i > 0 && (f.Format == I420 || f.Format == I422):
			f.Strides[i] = (stride + 1) / 2
		case i > 0 && f.Format != I444: // pairs of Cb and Cr
			f.Strides[i] = stride + stride%2
		}
		need = at + int64(f.Strides[i])*int64(p.rows-1) + int64(p.row)
		if need > int64(len(buf)) {
			return &FrameError{fmt.Sprintf("%d bytes: %dx%d pixels of %v with stride %d take at least %d", len(buf), f.Width, f.Height, f.Format, stride, need)}
		}
		end := min(at+int64(f.Strides[i])*int64(p.rows), int64(len(buf)))
		f.Planes[i] = buf[at:end:end]
		at = end
	}
	return f.Check()
}
