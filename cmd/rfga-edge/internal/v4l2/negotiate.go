package v4l2

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/frame"
)

// MJPEG is the name of the compressed format that cameras have, beside the pixel formats of package frame.
const MJPEG = "mjpeg"

// Wish is what a caller would like to get. A device that cannot do it gives what is nearest.
type Wish struct {
	Format        string // a pixel format's name or MJPEG; empty: the device's best
	Width, Height int    // 0: about 640x480
	FPS           float64
	// Matrix and Range are those of YCbCr frames where the driver does not say.
	Matrix frame.Matrix
	Range  frame.Range
}

// coding is a format on both sides: the kernel's four characters, and package frame's; none of those for MJPEG.
type coding struct {
	fourCC string
	format frame.Format
}

// codings in the order in which they are preferred: least bytes a pixel, no conversion, colour.
var codings = []coding{
	{"NV12", frame.NV12}, {"YU12", frame.I420}, {"NV21", frame.NV21}, {"YUYV", frame.YUYV}, {"UYVY", frame.UYVY}, {"422P", frame.I422},
	{"RGB3", frame.RGB24}, {"BGR3", frame.BGR24}, {"XB24", frame.RGBA}, {"AB24", frame.RGBA}, {"XR24", frame.BGRA}, {"AR24", frame.BGRA},
	{"MJPG", 0}, {"JPEG", 0}, {"GREY", frame.Gray8},
}

func (c coding) name() string {
	if c.format == 0 {
		return MJPEG
	}
	return c.format.String()
}

func (c coding) code() uint32 {
	s := c.fourCC
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// plainPixels is how many pixels a frame may have to be taken uncompressed from a device that can compress: beyond that
// USB 2 carries but a few frames a second.
const plainPixels = 640 * 480

// negotiate finds the coding nearest to the wish, and sets it with the size. The driver's answer is what holds.
func negotiate(h handle, wish Wish) (coding, pixFormat, error) {
	if wish.Width == 0 || wish.Height == 0 {
		wish.Width, wish.Height = 640, 480
	}
	have, names, err := listFormats(h)
	if err != nil {
		return coding{}, pixFormat{}, err
	}
	order := slices.Clone(codings)
	if wish.Width*wish.Height > plainPixels {
		compressed := func(c coding) bool { return c.format == 0 }
		slices.SortStableFunc(order, func(a, b coding) int {
			switch {
			case compressed(a) == compressed(b):
				return 0
			case compressed(a):
				return -1
			}
			return 1
		})
	}
	var usable []coding
	for _, c := range order {
		if slices.Contains(have, c.code()) {
			usable = append(usable, c)
		}
	}
	if len(usable) == 0 {
		return coding{}, pixFormat{}, fmt.Errorf("the device has the formats %s; none of them can be read", names)
	}
	set := func(c coding) (coding, pixFormat, error) {
		f := format{kind: capture, pix: pixFormat{width: uint32(wish.Width), height: uint32(wish.Height), pixelFormat: c.code(), field: fieldNone}}
		if err := h.ioctl(setFormat, unsafe.Pointer(&f)); err != nil {
			return c, f.pix, fmt.Errorf("setting %s of %dx%d: %w", c.fourCC, wish.Width, wish.Height, err)
		}
		if f.pix.pixelFormat != c.code() {
			return c, f.pix, fmt.Errorf("the device says that it has %s, and then gives another format", c.fourCC)
		}
		return c, f.pix, nil
	}
	for _, c := range usable {
		if wish.Format == c.name() {
			return set(c)
		}
	}
	for _, c := range usable {
		if hasSize(h, c.code(), uint32(wish.Width), uint32(wish.Height)) {
			return set(c)
		}
	}
	return set(usable[0])
}

// most bounds lists that a broken driver might never end.
const most = 256

// listFormats gives the device's formats, and as text for people.
func listFormats(h handle) (codes []uint32, names string, err error) {
	var list []string
	for i := range uint32(most) {
		d := formatDesc{index: i, kind: capture}
		if err := h.ioctl(enumFormat, unsafe.Pointer(&d)); err == syscall.EINVAL {
			break
		} else if err != nil {
			return nil, "", fmt.Errorf("listing formats: %w", err)
		}
		codes = append(codes, d.pixelFormat)
		p := d.pixelFormat
		list = append(list, fmt.Sprintf("%q", []byte{byte(p), byte(p >> 8), byte(p >> 16), byte(p >> 24)}))
	}
	return codes, strings.Join(list, ", "), nil
}

// hasSize tells whether a device lists this size for a format.
func hasSize(h handle, code, w, h2 uint32) bool {
	for i := range uint32(most) {
		s := frameSize{index: i, pixelFormat: code}
		if h.ioctl(enumSizes, unsafe.Pointer(&s)) != nil {
			return false
		}
		if s.kind == sizeDiscrete {
			if s.minWidth == w && s.maxWidth == h2 {
				return true
			}
			continue
		}
		on := func(v, least, most, step uint32) bool { return v >= least && v <= most && (v-least)%max(step, 1) == 0 }
		return on(w, s.minWidth, s.maxWidth, s.stepWidth) && on(h2, s.minHeight, s.maxHeight, s.stepHigh)
	}
	return false
}

// colors are the matrix and range of what the device gives: the driver's word where it has one, else the wish's.
func colors(p *pixFormat, wish Wish) (m frame.Matrix, r frame.Range) {
	m, r = wish.Matrix, wish.Range
	switch {
	case p.ycbcrEnc == encoding709, p.ycbcrEnc == encodingDefault && p.colorspace == colorspace709:
		m = frame.BT709
	case p.ycbcrEnc != encodingDefault, p.colorspace == colorspaceJPEG:
		m = frame.BT601
	}
	switch {
	case p.quantization == quantizationFull, p.quantization == 0 && p.colorspace == colorspaceJPEG:
		r = frame.Full
	case p.quantization != 0:
		r = frame.Limited
	}
	return m, r
}
