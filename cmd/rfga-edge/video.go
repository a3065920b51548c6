package main

import (
	"fmt"
	"image"
	"strconv"
	"strings"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
	"github.com/rfga-edge/rfga-edge/frame"
)

// videoFlags are the flags of verbs that look at video: what an input holds where it does not say so itself, which of its
// frames to look at, and where in them.
type videoFlags struct {
	Format string  `placeholder:"F" help:"What the stream holds: y4m, mjpeg, or the pixel format of raw video (${formats}). Without it the first bytes decide between y4m and mjpeg. Of a video device, the format to ask for."`
	Size   string  `placeholder:"WxH" help:"Size of raw video, or that a video device is asked for."`
	Matrix string  `enum:"bt601,bt709" default:"bt601" help:"Colour matrix of raw video and y4m: bt601 or bt709 (${default})."`
	Range  string  `enum:"limited,full" default:"limited" help:"Range of raw video: limited or full (${default})."`
	Every  int     `default:"1" placeholder:"N" help:"Look at every N-th frame (${default})."`
	FPSMax float64 `name:"fps-max" placeholder:"F" help:"Look at no more than F frames a second."`
	ROI    string  `name:"roi" placeholder:"X,Y,W,H" help:"Look at this part of the frame alone; boxes are still in the frame's pixels."`
	Mask   string  `placeholder:"FILE.png" help:"Ignore what is black in this picture, which is stretched over the frame: the network does not see it, and no box lies there alone."`
	Smooth bool    `help:"Steady boxes: they stand still while they only tremble, appear when found twice in a row, and stay for a few frames when not found."`
	Fast   bool    `help:"Resize by fewer rows: quicker, a little less sharp."`
}

// video checks the flags.
func (c *videoFlags) video(e *env) (o stream.Options, p stream.PumpOptions, err error) {
	if c.Every < 1 {
		return o, p, usage("--every %d: at least 1", c.Every)
	}
	if !(c.FPSMax >= 0) {
		return o, p, usage("--fps-max %g: above 0", c.FPSMax)
	}
	p.Every = c.Every
	if c.FPSMax > 0 {
		p.FPS = func() float64 { return c.FPSMax }
	}
	o = stream.Options{Format: c.Format, Stdin: e.in}
	if in, ok := e.in.(interruptible); ok {
		o.Stdin = in.r // a read that stays behind does no harm here
	}
	matrix, depth := frame.BT601, frame.Limited
	if c.Matrix == "bt709" {
		matrix = frame.BT709
	}
	if c.Range == "full" {
		depth = frame.Full
	}
	o.Matrix, o.Range, o.FPS = &matrix, &depth, c.FPSMax
	if c.Size != "" {
		n, ok := numbers(c.Size, "x", 2)
		if !ok {
			return o, p, usage("--size %s: want a form such as 1280x720", c.Size)
		}
		o.Width, o.Height = n[0], n[1]
	}
	if c.ROI != "" {
		n, ok := numbers(c.ROI, ",", 4)
		if !ok || n[2] == 0 || n[3] == 0 {
			return o, p, usage("--roi %s: want X,Y,W,H in pixels, such as 0,200,640,400", c.ROI)
		}
		p.Crop = image.Rect(n[0], n[1], n[0]+n[2], n[1]+n[3])
	}
	return o, p, nil
}

// steady sets what the flags say of looking and of boxes. The Tracker is nil without --smooth.
func (c *videoFlags) steady(o *rfgaedge.LocalizeOptions) (*rfgaedge.Tracker, error) {
	if c.Mask != "" {
		img, err := source{name: c.Mask}.decode(nil)
		if err != nil {
			return nil, fmt.Errorf("--mask: %w", err)
		}
		o.Mask = image.NewGray(image.Rect(0, 0, img.W, img.H))
		for i := range o.Mask.Pix {
			o.Mask.Pix[i] = byte((int(img.Pix[3*i]) + int(img.Pix[3*i+1]) + int(img.Pix[3*i+2])) / 3)
		}
	}
	if !c.Smooth {
		return nil, nil
	}
	tracker := rfgaedge.NewTracker(rfgaedge.TrackOptions{MinP: o.MinP})
	o.MinP *= stayAt
	return tracker, nil
}

// stayAt is the share of --min-p at which something that has been found may stay.
const stayAt = 0.7

// filter is how frames are resized.
func (c *videoFlags) filter() rfgaedge.Filter {
	if c.Fast {
		return rfgaedge.Fast
	}
	return rfgaedge.Antialiased
}

// pixelFormats lists the names that --format takes for raw video.
func pixelFormats() string {
	var names []string
	for f := frame.RGB24; f <= frame.I444; f++ {
		names = append(names, f.String())
	}
	return strings.Join(names, ", ")
}

// numbers parses n numbers from 0 to 65536.
func numbers(text, separator string, n int) ([]int, bool) {
	var list []int
	for part := range strings.SplitSeq(text, separator) {
		v, err := strconv.Atoi(part)
		if err != nil || v < 0 || v > frame.MaxSide {
			return nil, false
		}
		list = append(list, v)
	}
	return list, len(list) == n
}
