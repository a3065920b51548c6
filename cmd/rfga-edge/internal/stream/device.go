package stream

import (
	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/v4l2"
)

// device is a video device.
type device struct {
	*v4l2.Camera
	image v4l2.Image
}

// wish is what the options ask of a device: format, size and rate.
func (o *Options) wish() (v4l2.Wish, error) {
	wish := v4l2.Wish{Format: o.Format, Width: o.Width, Height: o.Height, FPS: o.FPS}
	if o.Format != "" && o.Format != v4l2.MJPEG {
		format, err := rfgaedge.ParsePixelFormat(o.Format)
		if err != nil {
			return wish, misuse("%v, or mjpeg", err)
		}
		wish.Format = format.String()
	}
	if o.Matrix != nil {
		wish.Matrix = *o.Matrix
	}
	if o.Range != nil {
		wish.Range = *o.Range
	}
	return wish, nil
}

// openDevice opens a video device.
func openDevice(path string, o Options) (Source, error) {
	wish, err := o.wish()
	if err != nil {
		return nil, err
	}
	c, err := v4l2.Open(path, wish)
	if err != nil {
		return nil, err
	}
	return &device{Camera: c}, nil
}

func (d *device) Live() bool { return true }

func (d *device) Read(p *Packet) error {
	err := d.Camera.Read(&d.image)
	*p = Packet(d.image)
	return err
}
