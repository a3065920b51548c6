package frame

import "fmt"

// Contiguous makes a frame of planes that lie one behind another in buf, as video programs write raw frames: rows of the first
// plane stride bytes apart (0: side by side), those of chroma planes as far apart as their share of it is. The frame shares buf
// and is checked.
func Contiguous(format Format, w, h, stride int, buf []byte) (*Frame, error) {
	f := &Frame{Format: format, Width: w, Height: h}
	if err := f.Layout(stride, buf); err != nil {
		return nil, err
	}
	return f, nil
}

// Layout is Contiguous for a frame whose other fields are set, without an allocation.
func (f *Frame) Layout(stride int, buf []byte) error {
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
		case i > 0 && f.Format == I420:
			f.Strides[i] = (stride + 1) / 2
		case i > 0:
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

// FormatNamed is the inverse of Format.String.
func FormatNamed(name string) (Format, bool) {
	for i, n := range formatNames[RGB24:] {
		if n == name {
			return RGB24 + Format(i), true
		}
	}
	return 0, false
}
