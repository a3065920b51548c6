package frame

import (
	"fmt"
	"image"
	"slices"
	"strings"
)

// Format says how a frame's bytes are laid out.
type Format uint8

const (
	// Packed 8-bit formats, named by the order of the bytes in memory; one plane. Alpha is ignored.
	RGB24 Format = iota + 1
	BGR24
	RGBA
	BGRA
	Gray8 // full range
	// YCbCr with one chroma sample for 2x2 pixels: planes Y, Cb, Cr; Y, CbCr; Y, CrCb. Chroma planes round odd sizes up.
	I420
	NV12
	NV21
	// YCbCr with one chroma sample for two pixels of a row, one plane: Y Cb Y Cr; Cb Y Cr Y. An odd width rounds up.
	YUYV
	UYVY
	// YCbCr in three planes with one chroma sample for two pixels of a row (an odd width rounds up), and for every pixel.
	I422
	I444
)

var formatNames = [...]string{"", "rgb24", "bgr24", "rgba", "bgra", "gray8", "i420", "nv12", "nv21", "yuyv", "uyvy", "i422", "i444"}

// ParseFormat is the inverse of Format.String. It knows ffmpeg's and GStreamer's names of the formats too.
func ParseFormat(name string) (Format, error) {
	name = strings.ToLower(name)
	if f, ok := otherNames[name]; ok {
		return f, nil
	}
	if i := slices.Index(formatNames[1:], name); i >= 0 {
		return Format(i + 1), nil
	}
	return 0, fmt.Errorf("there is no pixel format %q (%s)", name, strings.Join(formatNames[1:], ", "))
}

var otherNames = map[string]Format{"rgb": RGB24, "bgr": BGR24, "rgb0": RGBA, "rgbx": RGBA, "bgr0": BGRA, "bgrx": BGRA, "gray": Gray8, "grey": Gray8,
	"yuv420p": I420, "yuvj420p": I420, "yuyv422": YUYV, "yuy2": YUYV, "uyvy422": UYVY, "yuv422p": I422, "yuvj422p": I422, "y42b": I422,
	"yuv444p": I444, "yuvj444p": I444, "y444": I444}

func (f Format) String() string {
	if f >= RGB24 && int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Matrix says which red, green and blue a YCbCr frame was made from.
type Matrix uint8

const (
	BT601 Matrix = iota // SD video, JPEG
	BT709               // HD video
)

// Range says which values of a YCbCr frame are black and white.
type Range uint8

const (
	Limited Range = iota // video: Y 16..235, Cb and Cr 16..240
	Full                 // JPEG: 0..255
)

// Frame is a picture in memory as cameras and decoders give it. Nothing in this package changes or keeps it.
type Frame struct {
	Format        Format
	Width, Height int
	Planes        [3][]byte
	Strides       [3]int // bytes from one row to the next; 0: rows lie side by side
	Matrix        Matrix // of YCbCr formats
	Range         Range
	// Crop is the part to look at, in pixels of the frame; an empty one is the whole frame.
	Crop image.Rectangle
}

// View is the part of the frame that is looked at: Crop, or all of it.
func (f *Frame) View() image.Rectangle {
	if f.Crop.Empty() {
		return image.Rect(0, 0, f.Width, f.Height)
	}
	return f.Crop
}

// MaxSide bounds the sides of images and frames, so that no arithmetic on sizes overflows.
const MaxSide = 1 << 16

// A FrameError says what is wrong with a frame.
type FrameError struct{ Reason string }

func (e *FrameError) Error() string { return "frame: " + e.Reason }

// plane is the geometry of one plane: bytes that a row uses, and rows.
type plane struct{ row, rows int }

// planes returns the geometry of the format's planes, none for an unknown format.
func (f *Frame) planes() (p [3]plane, n int) {
	w, h := f.Width, f.Height
	cw, ch := (w+1)/2, (h+1)/2
	switch f.Format {
	case RGB24, BGR24:
		return [3]plane{{3 * w, h}}, 1
	case RGBA, BGRA:
		return [3]plane{{4 * w, h}}, 1
	case Gray8:
		return [3]plane{{w, h}}, 1
	case I420:
		return [3]plane{{w, h}, {cw, ch}, {cw, ch}}, 3
	case NV12, NV21:
		return [3]plane{{w, h}, {2 * cw, ch}}, 2
	case YUYV, UYVY:
		return [3]plane{{4 * cw, h}}, 1
	case I422:
		return [3]plane{{w, h}, {cw, h}, {cw, h}}, 3
	case I444:
		return [3]plane{{w, h}, {w, h}, {w, h}}, 3
	}
	return p, 0
}

// Size is the number of bytes of a frame of the format whose rows and planes lie side by side, 0 for an unknown format.
func (f Format) Size(width, height int) int {
	p, n := (&Frame{Format: f, Width: width, Height: height}).planes()
	size := 0
	for _, g := range p[:n] {
		size += g.row * g.rows
	}
	return size
}

// Copy writes the frame's pixels to buf, which grows if it has to, without gaps, and returns the frame there and the buffer.
// The frame has been checked.
func (f *Frame) Copy(buf []byte) (Frame, []byte) {
	buf = grow(buf, f.Format.Size(f.Width, f.Height))
	to := *f
	p, n := f.planes()
	rest := buf
	for i, g := range p[:n] {
		size := g.row * g.rows
		to.Planes[i], rest = rest[:size:size], rest[size:]
		to.Strides[i] = 0
		stride := f.stride(i, g)
		if stride == g.row {
			copy(to.Planes[i], f.Planes[i])
			continue
		}
		for y := range g.rows {
			copy(to.Planes[i][y*g.row:][:g.row], f.Planes[i][y*stride:])
		}
	}
	return to, buf
}

// RGB writes the whole frame to buf, which grows if it has to, as rows of red, green, blue side by side, and returns it. Chroma
// is not interpolated. The frame has been checked.
func (f *Frame) RGB(buf []byte) []byte {
	buf = grow(buf, 3*f.Width*f.Height)
	for y := range f.Height {
		f.rgbRow(buf[3*y*f.Width:][:3*f.Width], y)
	}
	return buf
}

// Check returns a *FrameError if the frame's size, format, strides or planes do not fit together.
func (f *Frame) Check() error {
	if f.Width < 1 || f.Height < 1 || f.Width > MaxSide || f.Height > MaxSide {
		return &FrameError{fmt.Sprintf("size %dx%d: sides are 1 to %d", f.Width, f.Height, MaxSide)}
	}
	geometry, n := f.planes()
	if n == 0 {
		return &FrameError{fmt.Sprintf("%v is not a pixel format", f.Format)}
	}
	if f.Matrix > BT709 || f.Range > Full {
		return &FrameError{fmt.Sprintf("matrix %d or range %d does not exist", f.Matrix, f.Range)}
	}
	for i, p := range geometry[:n] {
		stride := f.stride(i, p)
		if stride < p.row || stride > 1<<30 {
			return &FrameError{fmt.Sprintf("plane %d has stride %d: a row of %d pixels of %v has %d bytes", i, stride, f.Width, f.Format, p.row)}
		}
		if need := int64(stride)*int64(p.rows-1) + int64(p.row); int64(len(f.Planes[i])) < need {
			return &FrameError{fmt.Sprintf("plane %d has %d bytes: %dx%d pixels of %v with stride %d take %d",
				i, len(f.Planes[i]), f.Width, f.Height, f.Format, stride, need)}
		}
	}
	if all := image.Rect(0, 0, f.Width, f.Height); !f.Crop.Empty() && !f.Crop.In(all) {
		return &FrameError{fmt.Sprintf("crop %v does not lie in the frame of %dx%d", f.Crop, f.Width, f.Height)}
	}
	return nil
}

func (f *Frame) stride(i int, p plane) int {
	if f.Strides[i] == 0 {
		return p.row
	}
	return f.Strides[i]
}

// rows gives the bytes of row y of every plane; the frame has been checked.
func (f *Frame) rows(y int) (r [3][]byte) {
	geometry, n := f.planes()
	for i, p := range geometry[:n] {
		v := y
		if p.rows < f.Height {
			v = y / 2
		}
		r[i] = f.Planes[i][v*f.stride(i, p):][:p.row]
	}
	return r
}

// FrameOf makes a frame of a picture. It shares the pixels of *image.RGBA, *image.NRGBA, *image.Gray and of *image.YCbCr with
// 4:2:0, 4:2:2 or 4:4:4 chroma (as image/jpeg decodes them); any other picture is converted into memory of its own. Transparency is ignored.
func FrameOf(img image.Image) *Frame {
	b := img.Bounds()
	f := &Frame{Width: b.Dx(), Height: b.Dy()}
	share := func(format Format, pix []byte, stride int) *Frame {
		f.Format, f.Planes[0], f.Strides[0] = format, pix, stride
		return f
	}
	switch m := img.(type) {
	case *image.RGBA:
		if m.Opaque() { // otherwise colours are multiplied by alpha
			return share(RGBA, m.Pix, m.Stride)
		}
	case *image.NRGBA:
		return share(RGBA, m.Pix, m.Stride)
	case *image.Gray:
		return share(Gray8, m.Pix, m.Stride)
	case *image.YCbCr:
		if format := planar(m.SubsampleRatio); format != 0 && b.Min.X%2 == 0 && b.Min.Y%2 == 0 && !b.Empty() {
			y, c := m.YOffset(b.Min.X, b.Min.Y), m.COffset(b.Min.X, b.Min.Y)
			f.Format, f.Matrix, f.Range = format, BT601, Full
			f.Planes = [3][]byte{m.Y[y:], m.Cb[c:], m.Cr[c:]}
			f.Strides = [3]int{m.YStride, m.CStride, m.CStride}
			return f
		}
	}
	return share(RGB24, rgbOf(img, imageColor, false), 3*f.Width)
}

// planar is the format of three planes with such chroma, 0 if there is none.
func planar(r image.YCbCrSubsampleRatio) Format {
	switch r {
	case image.YCbCrSubsampleRatio420:
		return I420
	case image.YCbCrSubsampleRatio422:
		return I422
	case image.YCbCrSubsampleRatio444:
		return I444
	}
	return 0
}
