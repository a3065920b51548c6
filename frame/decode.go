package frame

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// Image is a decoded picture, upright: rows of red, green, blue bytes, side by side.
type Image struct {
	Pix    []byte
	W, H   int
	Format string // "jpeg", "png", "webp", "gif" or "bmp"
}

// Limits bounds what DecodeImage accepts. A zero field stands for DefaultLimits' value.
type Limits struct {
	Bytes  int64 // of the file
	Pixels int64 // of the picture; decoding takes 3 bytes for each, and up to 16 more on the way
	Side   int
}

// DefaultLimits lets through what cameras and phones make.
var DefaultLimits = Limits{Bytes: 256 << 20, Pixels: 1 << 26, Side: MaxSide}

// ErrFormat is returned for data that is not a picture of a known format.
var ErrFormat = errors.New("not a JPEG, PNG, WebP, GIF or BMP picture")

// A LimitError says which limit a picture exceeds.
type LimitError struct {
	What      string
	Have, Max int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("picture too large: %d %s, the limit is %d", e.Have, e.What, e.Max)
}

// A DecodeError says why a picture of a known format cannot be decoded: it is damaged, cut off, or of a kind that is not supported.
type DecodeError struct {
	Format string
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("damaged or unsupported %s: %v", e.Format, e.Err)
}
func (e *DecodeError) Unwrap() error { return e.Err }

// codec is one image format.
type codec struct {
	name        string
	match       func(head []byte) bool
	config      func(io.Reader) (image.Config, error)
	decode      func(io.Reader) (image.Image, error)
	check       func(data []byte, c image.Config) error // nil: none; runs before decode
	orientation func(data []byte) int                   // nil: always upright
	color       *conversion
	open        func(data []byte) io.Reader // nil: the bytes as they are
}

func starts(prefixes ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, p := range prefixes {
			if bytes.HasPrefix(head, []byte(p)) {
				return true
			}
		}
		return false
	}
}

var codecs = []codec{
	{"jpeg", starts("\xff\xd8\xff"), jpeg.DecodeConfig, jpeg.Decode, checkJPEG, jpegOrientation, fileColor, openJPEG},
	{"png", starts("\x89PNG\r\n\x1a\n"), png.DecodeConfig, png.Decode, nil, nil, fileColor, nil},
	{"gif", starts("GIF87a", "GIF89a"), gif.DecodeConfig, gif.Decode, nil, nil, fileColor, nil},
	{"webp", isWebP, webp.DecodeConfig, webp.Decode, nil, webpOrientation, webpColor, nil},
	{"bmp", starts("BM"), bmp.DecodeConfig, bmp.Decode, nil, nil, fileColor, nil},
}

func isWebP(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP"
}

// DecodeImage reads a picture: JPEG (gray, YCbCr, RGB, CMYK; baseline and progressive), PNG, WebP, the first frame of a GIF,
// BMP. The EXIF orientation of JPEG and WebP is applied. Transparency is ignored: colours come as they are stored, as
// Pillow's convert("RGB") gives them. Of 16-bit samples the upper byte is taken.
//
// The size is checked before anything is decoded. Errors are ErrFormat, *LimitError, *DecodeError, or what r returns.
func DecodeImage(r io.Reader, limits Limits) (*Image, error) {
	img, orientation, err := DecodeStored(r, limits)
	if err != nil {
		return nil, err
	}
	return img.Upright(orientation), nil
}

// DecodeStored is DecodeImage without turning the picture: the pixels as they lie in the file, which is how Pillow opens it
// and what the coordinates of most data sets are of. Image.Upright turns it by the EXIF orientation, 1 to 8.
func DecodeStored(r io.Reader, limits Limits) (img *Image, orientation int, err error) {
	limits = limits.orDefault()
	data, err := io.ReadAll(io.LimitReader(r, limits.Bytes+1))
	if err != nil {
		return nil, 0, err
	}
	if int64(len(data)) > limits.Bytes {
		return nil, 0, &LimitError{"bytes or more", int64(len(data)), limits.Bytes}
	}
	for i := range codecs {
		if c := &codecs[i]; c.match(data) {
			if img, err = c.image(data, limits); err != nil {
				return nil, 0, err
			}
			if c.orientation != nil {
				orientation = c.orientation(data)
			}
			return img, orientation, nil
		}
	}
	return nil, 0, ErrFormat
}

// DecodeFrame decodes a camera's JPEG to a frame without converting its colours: what FrameOf makes of it. EXIF data are
// ignored: cameras write none. Errors are those of DecodeImage. Other pictures take DecodeImage's way.
func DecodeFrame(data []byte, limits Limits) (f Frame, err error) {
	limits = limits.orDefault()
	if int64(len(data)) > limits.Bytes {
		return f, &LimitError{"bytes or more", int64(len(data)), limits.Bytes}
	}
	if c := &codecs[0]; c.match(data) {
		m, err := c.picture(data, limits)
		if err != nil {
			return f, err
		}
		return *FrameOf(m), nil
	}
	img, err := DecodeImage(bytes.NewReader(data), limits)
	if err != nil {
		return f, err
	}
	return Frame{Format: RGB24, Width: img.W, Height: img.H, Planes: [3][]byte{img.Pix}}, nil
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	if l.Pixels <= 0 {
		l.Pixels = DefaultLimits.Pixels
	}
	if l.Side <= 0 || l.Side > MaxSide {
		l.Side = MaxSide
	}
	return l
}

func (l Limits) check(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("size %dx%d", w, h)
	}
	if side := max(w, h); side > l.Side {
		return &LimitError{"pixels on the longer side", int64(side), int64(l.Side)}
	}
	if n := int64(w) * int64(h); n > l.Pixels {
		return &LimitError{"pixels", n, l.Pixels}
	}
	return nil
}

// picture checks the size and decodes.
func (c *codec) picture(data []byte, limits Limits) (m image.Image, err error) {
	defer func() {
		// The decoders are other people's code that reads hostile data.
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("decoder: %v", p)
		}
		var limit *LimitError
		if err != nil && !errors.As(err, &limit) {
			err = &DecodeError{c.name, err}
		}
	}()
	config, err := c.config(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := limits.check(config.Width, config.Height); err != nil {
		return nil, err
	}
	if c.check != nil {
		if err := c.check(data, config); err != nil {
			return nil, err
		}
	}
	in := io.Reader(bytes.NewReader(data))
	if c.open != nil {
		in = c.open(data)
	}
	if m, err = c.decode(in); err != nil {
		return nil, err
	}
	b := m.Bounds()
	canvas := image.Rect(0, 0, config.Width, config.Height)
	if !b.In(canvas) || b.Empty() {
		return nil, fmt.Errorf("picture %v does not lie in its canvas %v", b, canvas)
	}
	if b != canvas { // a GIF's frame may cover a part of the canvas
		m = &canvased{m, canvas}
	}
	return m, nil
}

// canvased is a picture on a larger canvas.
type canvased struct {
	image.Image
	canvas image.Rectangle
}

func (c *codec) image(data []byte, limits Limits) (img *Image, err error) {
	m, err := c.picture(data, limits)
	if err != nil {
		return nil, err
	}
	var canvas image.Rectangle
	if on, ok := m.(*canvased); ok {
		m, canvas = on.Image, on.canvas
	}
	b := m.Bounds()
	img = &Image{Pix: rgbOf(m, c.color, true), W: b.Dx(), H: b.Dy(), Format: c.name}
	if !canvas.Empty() {
		img = img.within(canvas.Dx(), canvas.Dy(), b.Min)
	}
	return img, nil
}

// within puts the image on a black canvas.
func (m *Image) within(w, h int, at image.Point) *Image {
	out := &Image{Pix: make([]byte, 3*w*h), W: w, H: h, Format: m.Format}
	for y := range m.H {
		copy(out.Pix[3*((at.Y+y)*w+at.X):][:3*m.W], m.Pix[3*y*m.W:])
	}
	return out
}

// checkJPEG refuses files whose decoding would cost far more than their size: progressive ones with hundreds of passes over
// the picture, and those too short to hold the one bit that every block of 8x8 takes at least.
func checkJPEG(data []byte, c image.Config) error {
	const scans = 200
	if n := bytes.Count(data, []byte{0xff, 0xda}); n > scans {
		return &LimitError{"scans", int64(n), scans}
	}
	if blocks := ((c.Width + 7) / 8) * ((c.Height + 7) / 8); len(data) < blocks/8 {
		return fmt.Errorf("%d bytes cannot hold %dx%d pixels: %w", len(data), c.Width, c.Height, io.ErrUnexpectedEOF)
	}
	return nil
}
