package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
)

type streamCmd struct {
	Input  string `arg:"" optional:"" default:"-" help:"File, FIFO, video device, tcp://127.0.0.1:PORT to connect to, the same with ?listen to wait at for one connection, or - for standard input (${default})."`
	Device string `placeholder:"/dev/videoN" help:"Take frames from this video device (Linux); --format, --size and --fps-max are wishes then. Names in /dev/v4l/by-id stay with a camera. A device that is pulled out is waited for."`
	lookFlags
	videoFlags
	boardFlags
}

// Help is what 'stream --help' adds.
func (*streamCmd) Help() string {
	return `Prints one JSON object a frame, that of 'localize --json' with "seq", the frame's number from 0; "ts", when it had arrived; and "dropped", how many frames before it were left out because they came faster than the model or whoever reads the output. A frame that is bad or cut short gives an object with "error" in its place, and the stream goes on.

Cameras, FIFOs and connections never give stale answers: a newer frame takes the place of one that waits. Of a file every frame is looked at. At the end of the stream, and at SIGTERM or Ctrl-C after the frame at hand, the exit code is 0.

    ffmpeg -i rtsp://camera/stream -f yuv4mpegpipe -pix_fmt yuv420p - | rfga-edge stream --fps-max 5`
}

func (c *streamCmd) Run(e *env) error {
	o, pump, err := c.video(e)
	if err != nil {
		return err
	}
	if c.Device != "" {
		if c.Input != stdinName {
			return usage("--device %s or %s: one of them", c.Device, c.Input)
		}
		c.Input, o.Device = c.Device, true
	}
	thermal, err := c.apply(e)
	if err != nil {
		return err
	}
	model, options, err := c.open()
	if err != nil {
		return err
	}
	defer model.Close()
	pool, err := model.NewPool(1, rfgaedge.Threads(c.Threads), rfgaedge.Localizing(options), rfgaedge.Resizing(c.filter()))
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
	if thermal != nil {
		pump.FPS = func() float64 { return thermal.FPS(c.FPSMax, perFrame(camera)) }
	}
	// A read that waits for a pipe cannot be ended, so nobody waits for the pump after an interruption.
	stop := context.AfterFunc(e.ctx, camera.Finish)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- stream.Pump(e.ctx, src, camera, pump) }()
	if err := c.print(e, model, camera); err != nil {
		return err
	}
	if e.ctx.Err() != nil {
		return nil
	}
	return streamError(c.Input, errors.Join(<-ended, src.Close()))
}

// perFrame is how long the model has taken for a frame of the camera so far, 0 at the beginning.
func perFrame(camera *rfgaedge.Camera) time.Duration {
	stats := camera.Stats()
	if n := stats.Answered + stats.Unread; n > 0 {
		return stats.Busy / time.Duration(n)
	}
	return 0
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
		line = appendAnswer(line[:0], model, c.Input, &answer, &record)
		if _, err := out.Write(append(line, '\n')); err != nil {
			return badIO(err)
		}
		if err := out.Flush(); err != nil {
			return badIO(err)
		}
	}
}

// appendAnswer appends the JSON object of an answer: a record or an error, with which frame it was.
func appendAnswer(line []byte, model *rfgaedge.Model, src string, a *rfgaedge.Answer, record *rfgaedge.Record) []byte {
	if a.Err != nil {
		line = rfgaedge.AppendJSONString(append(line, `{"v":1,"src":`...), src)
		line = rfgaedge.AppendJSONString(append(line, `,"error":`...), a.Err.Error())
	} else {
		model.Fill(record, src, &a.Result, a.Decode)
		line = record.AppendJSON(line)
		line = line[:len(line)-1] // more members follow
	}
	line = strconv.AppendUint(append(line, `,"seq":`...), a.Seq, 10)
	line = a.Time.UTC().AppendFormat(append(line, `,"ts":"`...), time.RFC3339Nano)
	line = strconv.AppendUint(append(line, `","dropped":`...), a.Dropped, 10)
	return append(line, '}')
}
