package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"strconv"
	"strings"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
	"github.com/rfga-edge/rfga-edge/frame"
)

type streamCmd struct {
	Input string `arg:"" optional:"" default:"-" help:"File, FIFO, tcp://127.0.0.1:PORT to connect to, the same with ?listen to wait at for one connection, or - for standard input (${default})."`
	lookFlags
	Format string  `placeholder:"F" help:"What the stream holds: y4m, mjpeg, or the pixel format of raw video (${formats}). Without it the first bytes decide between y4m and mjpeg."`
	Size   string  `placeholder:"WxH" help:"Size of raw video."`
	Matrix string  `enum:"bt601,bt709" default:"bt601" help:"Colour matrix of raw video and y4m: bt601 or bt709 (${default})."`
	Range  string  `enum:"limited,full" default:"limited" help:"Range of raw video: limited or full (${default})."`
	Every  int     `default:"1" placeholder:"N" help:"Look at every N-th frame (${default})."`
	FPSMax float64 `name:"fps-max" placeholder:"F" help:"Look at no more than F frames a second."`
	ROI    string  `name:"roi" placeholder:"X,Y,W,H" help:"Look at this part of the frame alone; boxes are still in the frame's pixels."`
	Fast   bool    `help:"Resize by fewer rows: quicker, a little less sharp."`
}

// Help is what 'stream --help' adds.
func (*streamCmd) Help() string {
	return `Prints one JSON object a frame, that of 'localize --json' with "seq", the frame's number from 0; "ts", when it had arrived; and "dropped", how many frames before it were left out because they came faster than the model or whoever reads the output. A frame that is bad or cut short gives an object with "error" in its place, and the stream goes on.

Cameras, FIFOs and connections never give stale answers: a newer frame takes the place of one that waits. Of a file every frame is looked at. At the end of the stream, and at SIGTERM or Ctrl-C after the frame at hand, the exit code is 0.

    ffmpeg -i rtsp://camera/stream -f yuv4mpegpipe -pix_fmt yuv420p - | rfga-edge stream --fps-max 5`
}

func (c *streamCmd) Run(e *env) error {
	o, crop, err := c.source(e)
	if err != nil {
		return err
	}
	model, options, err := c.open()
	if err != nil {
		return err
	}
	defer model.Close()
	resizing := rfgaedge.Antialiased
	if c.Fast {
		resizing = rfgaedge.Fast
	}
	pool, err := model.NewPool(1, rfgaedge.Threads(c.Threads), rfgaedge.Localizing(options), rfgaedge.Resizing(resizing))
	if err != nil {
		return err
	}
	defer pool.Close()
	src, err := stream.Open(e.ctx, c.Input, o)
	if err != nil {
		if e.ctx.Err() != nil {
			return nil
		}
		return streamError(c.Input, err)
	}
	camera, err := pool.Camera(rfgaedge.CameraOptions{Name: c.Input, EveryFrame: !src.Live()})
	if err != nil {
		return err
	}
	// A read that waits for a pipe cannot be ended, so nobody waits for the pump after an interruption.
	stop := context.AfterFunc(e.ctx, camera.Finish)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- stream.Pump(e.ctx, src, camera, stream.PumpOptions{Every: c.Every, FPS: c.rate(), Crop: crop})
	}()
	if err := c.print(e, model, camera); err != nil {
		return err
	}
	if e.ctx.Err() != nil {
		return nil
	}
	return streamError(c.Input, errors.Join(<-ended, src.Close()))
}

// streamError says whose fault an error of a source is.
func streamError(input string, err error) error {
	var misuse *stream.UsageError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &misuse):
		return usage("%w", err)
	case isIO(err):
		return badIO(err)
	}
	return badInput(fmt.Errorf("%s: %w", input, err))
}

// source checks the flags that say what the stream holds, and where to look in it.
func (c *streamCmd) source(e *env) (o stream.Options, crop image.Rectangle, err error) {
	if c.Every < 1 {
		return o, crop, usage("--every %d: at least 1", c.Every)
	}
	if !(c.FPSMax >= 0) {
		return o, crop, usage("--fps-max %g: above 0", c.FPSMax)
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
	o.Matrix, o.Range = &matrix, &depth
	if c.Size != "" {
		n, ok := numbers(c.Size, "x", 2)
		if !ok {
			return o, crop, usage("--size %s: want a form such as 1280x720", c.Size)
		}
		o.Width, o.Height = n[0], n[1]
	}
	if c.ROI != "" {
		n, ok := numbers(c.ROI, ",", 4)
		if !ok || n[2] == 0 || n[3] == 0 {
			return o, crop, usage("--roi %s: want X,Y,W,H in pixels, such as 0,200,640,400", c.ROI)
		}
		crop = image.Rect(n[0], n[1], n[0]+n[2], n[1]+n[3])
	}
	return o, crop, nil
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

func (c *streamCmd) rate() func() float64 {
	if c.FPSMax == 0 {
		return nil
	}
	return func() float64 { return c.FPSMax }
}

// print writes an object for every answer until the camera has no more.
func (c *streamCmd) print(e *env, model *rfgaedge.Model, camera *rfgaedge.Camera) error {
	out := bufio.NewWriter(e.out)
	var answer rfgaedge.Answer
	var record rfgaedge.Record
	var line []byte
	for {
		// An interruption ends the camera's frames, not the answer under way.
		err := camera.Next(context.WithoutCancel(e.ctx), &answer)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, rfgaedge.ErrClosed) {
				return nil
			}
			return err
		}
		if answer.Err != nil {
			line = rfgaedge.AppendJSONString(append(line[:0], `{"v":1,"src":`...), c.Input)
			line = rfgaedge.AppendJSONString(append(line, `,"error":`...), answer.Err.Error())
		} else {
			model.Fill(&record, c.Input, &answer.Result, answer.Decode)
			line = record.AppendJSON(line[:0])
			line = line[:len(line)-1] // more members follow
		}
		line = strconv.AppendUint(append(line, `,"seq":`...), answer.Seq, 10)
		line = answer.Time.UTC().AppendFormat(append(line, `,"ts":"`...), time.RFC3339Nano)
		line = strconv.AppendUint(append(line, `","dropped":`...), answer.Dropped, 10)
		if _, err := out.Write(append(line, "}\n"...)); err != nil {
			return badIO(err)
		}
		if err := out.Flush(); err != nil {
			return badIO(err)
		}
	}
}
