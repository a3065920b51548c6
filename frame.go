package rfgaedge

import (
	"image"

	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/rfga"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Frame is a picture in memory as cameras and decoders give it: Format, Width, Height, Planes, Strides, and for YCbCr
// formats Matrix and Range, and the Crop to look at. Localize reads it and keeps nothing of it.
type Frame = frame.Frame

// PixelFormat says how a frame's bytes are laid out.
type PixelFormat = frame.Format

// Pixel formats; package frame has their layouts.
const (
	RGB24 = frame.RGB24
	BGR24 = frame.BGR24
	RGBA  = frame.RGBA
	BGRA  = frame.BGRA
	Gray8 = frame.Gray8
	I420  = frame.I420
	NV12  = frame.NV12
	NV21  = frame.NV21
	YUYV  = frame.YUYV
	UYVY  = frame.UYVY
	I422  = frame.I422
	I444  = frame.I444
)

// Matrices and ranges of YCbCr frames. The zero values are those of video in standard definition.
const (
	BT601   = frame.BT601
	BT709   = frame.BT709
	Limited = frame.Limited
	Full    = frame.Full
)

// FrameError is returned by Localize for a frame that contradicts itself, such as one with a plane that is too short.
type FrameError = frame.FrameError

// FrameOf makes a frame of a picture, sharing its pixels where their layout allows it. Transparency is ignored.
func FrameOf(img image.Image) *Frame { return frame.FrameOf(img) }

// FrameSpec is the preprocessing of a model file as package frame takes it.
func FrameSpec(p *format.Preprocess) frame.Spec {
	return frame.Spec{W: p.Width, H: p.Height, Rule: frame.Rule(p.Rule), Resize: p.Resize, Order: frame.Order(p.Order)}
}

// ParsePixelFormat finds a format by its name, such as "nv12"; names that ffmpeg and GStreamer give them are known too.
func ParsePixelFormat(name string) (PixelFormat, error) { return frame.ParseFormat(name) }

// region is what the network sees of the frame.
func (s *Session) region(f *Frame) Box {
	view := f.View()
	return boxOf(s.spec.Region(view.Dx(), view.Dy()).Add(view.Min))
}

// toFrame turns a box in the network's square into the frame's pixels.
func (s *Session) toFrame(b rfga.Box, f *Frame) Box {
	view := f.View()
	return boxOf(s.spec.ToSource(image.Rect(b.X0, b.Y0, b.X1, b.Y1), s.spec.W, s.spec.H, view.Dx(), view.Dy()).Add(view.Min))
}

func boxOf(r image.Rectangle) Box { return Box{r.Min.X, r.Min.Y, r.Max.X, r.Max.Y} }
