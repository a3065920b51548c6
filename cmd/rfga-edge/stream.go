package main

import (
	"bufio"
	"bytes"
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
	outFlags
	boardFlags
	mqttFlags
	MQTTCamera string `name:"mqtt-camera" default:"camera" placeholder:"NAME" help:"The input's name in MQTT topics (${default})."`
}

// Help is what 'stream --help' adds.
func (*streamCmd) Help() string {
	return `Prints one JSON object a frame, that of 'localize --json' with "seq", the frame's number from 0; "ts", when it had arrived; and "dropped", how many frames before it were left out because they came faster than the model or whoever reads the output. A frame that is bad or cut short gives an object with "error" in its place, and the stream goes on.

Cameras, FIFOs and connections never give stale answers: a newer frame takes the place of one that waits. Of a file every frame is looked at. At the end of the stream, and at SIGTERM or Ctrl-C after the frame at hand, the exit code is 0.

Whoever reads the overlay slowly sees fewer frames and holds up nobody; whoever reads the JSON lines slowly gets fewer of them. With --smooth a box may be one of some frames ago, and --min-p is for what appears: 0.7 of it is enough to stay.

    ffmpeg -i rtsp://camera/stream -f yuv4mpegpipe -pix_fmt yuv420p - | rfga-edge stream --fps-max 5
    rfga-edge stream --device /dev/video0 --smooth --overlay-out - --out found.jsonl | ffplay -`
}

func (c *streamCmd) Run(e *env) (err error) {
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
	model, options, err := c.lookFlags.open()
	if err != nil {
		return err
	}
	defer model.Close()
	p := &streamPrinter{env: e, model: model, src: c.Input}
	if p.tracker, err = c.steady(&options); err != nil {
		return err
	}
	options.Heat = c.Overlay != ""
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
	if p.reporter, err = c.report(e, model); err != nil {
		return errors.Join(err, src.Close())
	}
	defer p.reporter.close()
	lines, video, err := c.outFlags.open(e)
	if err != nil {
		if e.ctx.Err() != nil {
			return nil
		}
		return errors.Join(err, src.Close())
	}
	p.lines = bufio.NewWriter(lines)
	if p.camera, err = pool.Camera(rfgaedge.CameraOptions{Name: c.Input, EveryFrame: !src.Live(), KeepFrames: video != nil || p.reporter != nil && c.Snapshot}); err != nil {
		return err
	}
	if thermal != nil {
		pump.FPS = func() float64 { return thermal.FPS(c.FPSMax, p.camera.Stats().PerFrame()) }
	}
	if video != nil {
		p.viewer = newViewer(video, c.format(), c.FPSMax, src.Live(), e)
	}
	// A read that waits for a pipe cannot be ended, so nobody waits for the pump after an interruption.
	stop := context.AfterFunc(e.ctx, p.camera.Finish)
	defer stop()
	ended, printed := make(chan error, 1), make(chan error, 1)
	go func() { ended <- stream.Pump(e.ctx, src, p.camera, pump) }()
	go func() { printed <- p.print() }()
	select {
	case err = <-printed:
	case <-after(e.ctx, patience):
		return nil // somebody has stopped reading the output
	}
	if err != nil {
		return err
	}
	if video != nil {
		err = badIO(video.Close())
	}
	if err = errors.Join(err, badIO(lines.Close())); err != nil || e.ctx.Err() != nil {
		return err
	}
	return streamError(c.Input, errors.Join(<-ended, src.Close()))
}

// report connects to the MQTT broker if there is one.
func (c *streamCmd) report(e *env, model *rfgaedge.Model) (*reporter, error) {
	if c.mqttFlags.URL == "" {
		return nil, nil
	}
	if !sourceName.MatchString(c.MQTTCamera) {
		return nil, usage("--mqtt-camera %q: want letters, digits, '_', '-' and '.'", c.MQTTCamera)
	}
	client, err := c.mqttFlags.start(e, model, []string{c.MQTTCamera})
	if err != nil {
		return nil, err
	}
	client.State(c.MQTTCamera, true)
	return &reporter{client: client, camera: c.MQTTCamera}, nil
}

// patience is how long an interruption waits for whoever reads the output to take the last frame's.
const patience = 2 * time.Second

// after sends when ctx has been done for some time.
func after(ctx context.Context, d time.Duration) <-chan struct{} {
	passed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		time.AfterFunc(d, func() { close(passed) })
	})
	return passed
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

// streamPrinter writes what is found.
type streamPrinter struct {
	*env
	model    *rfgaedge.Model
	camera   *rfgaedge.Camera
	src      string
	lines    *bufio.Writer
	tracker  *rfgaedge.Tracker // nil: boxes as they are found
	viewer   *viewer           // nil: no overlay
	reporter *reporter         // nil: nothing is published
	record   rfgaedge.Record
	line     []byte
}

// print writes an object, and a picture if there is a viewer, for every answer until the camera has no more.
func (p *streamPrinter) print() (err error) {
	answer := new(rfgaedge.Answer)
	if p.viewer != nil {
		defer func() { err = errors.Join(err, p.viewer.finish()) }()
	}
	for {
		// An interruption ends the camera's frames, not the answer under way.
		err := p.camera.Next(context.WithoutCancel(p.ctx), answer)
		if errors.Is(err, io.EOF) || errors.Is(err, rfgaedge.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.tracker != nil && answer.Err == nil {
			p.tracker.Update(&answer.Result)
		}
		if err := p.printLine(answer); err != nil {
			return badIO(err)
		}
		p.reporter.report(answer, bytes.TrimSuffix(p.line, []byte("\n")))
		if p.viewer != nil {
			if answer, err = p.viewer.show(p.ctx, answer); err != nil {
				return nil // finish says it
			}
		}
	}
}

func (p *streamPrinter) printLine(answer *rfgaedge.Answer) error {
	p.line = append(appendAnswer(p.line[:0], p.model, p.src, answer, &p.record), '\n')
	if _, err := p.lines.Write(p.line); err != nil {
		return err
	}
	return p.lines.Flush()
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
