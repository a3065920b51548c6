package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/mqtt"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/service"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
	"github.com/rfga-edge/rfga-edge/frame"
)

type serveCmd struct {
	Listen string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen (${default}). Any address but one of this machine alone demands --token."`
	Token  string `env:"RFGA_TOKEN" placeholder:"T" help:"What clients must send: as 'Authorization: Bearer T', or as the password of basic authentication. Better given in the environment, as RFGA_TOKEN: other users can see command lines."`
	lookFlags
	Source []string `sep:"none" placeholder:"NAME=INPUT" help:"A source of video with a name; may be repeated. INPUT is what stream takes; '#' and a flag of video may follow, as in door=/tmp/door#fps-max=5#size=640x480#format=nv12."`
	videoFlags
	Sessions  int     `placeholder:"N" help:"Photos to look at, at once; without it as many as there are processors, divided by --threads."`
	Queue     int     `default:"64" placeholder:"N" help:"Requests that may wait for their turn (${default}); further ones are told to come again."`
	MaxBody   int     `default:"32" placeholder:"MIB" help:"Largest body of a request in MiB (${default})."`
	MaxPixels float64 `default:"64" placeholder:"MP" help:"Largest photo in megapixels (${default})."`
	boardFlags
	mqttFlags
}

// Help is what 'serve --help' adds.
func (*serveCmd) Help() string {
	return `POST a photo to /v1/localize (as the body, or in the field "image" of a form; parameters topk, locate, threshold, multi, min-p, class, heatmap=none|png|f32) and get what 'localize --json' prints. /v1/vision/detection speaks DeepStack's and CodeProject.AI's language, as Frigate does; /v2 that of the Open Inference Protocol; /metrics that of Prometheus. / is a page for people.

A source is at /v1/sources/NAME/latest.json, latest.jpg, events (server-sent events) and mjpeg; --topk is for sources, of whose classes the first is located. It is opened again when it ends, unless it was a file. Who watches gets the newest answer; nobody who reads slowly makes others wait.

SIGTERM and Ctrl-C end the server when the requests under way are answered.

    rfga-edge serve
    curl --data-binary @photo.jpg http://127.0.0.1:8080/v1/localize`
}

func (c *serveCmd) Run(e *env) error {
	o, err := c.limits(e)
	if err != nil {
		return err
	}
	if o.Sources, err = c.sources(e); err != nil {
		return err
	}
	thermal, err := c.apply(e)
	if err != nil {
		return err
	}
	model, look, err := c.open()
	if err != nil {
		return err
	}
	defer model.Close()
	o.Model, o.Watch, o.Look = model, look, look
	o.Look.TopK = 1 // as localize has it
	o.Watch.Locate = 1
	if err := c.steadySources(o.Sources, &o.Watch); err != nil {
		return err
	}
	if thermal != nil {
		for i := range o.Sources {
			o.Sources[i].FPS = thermal.FPS
		}
	}
	o.Line = func(dst []byte, name string, a *rfgaedge.Answer, scratch *rfgaedge.Record) []byte {
		return appendAnswer(dst, model, name, a, scratch)
	}
	publisher, err := c.publish(e, model, o.Sources)
	if err != nil {
		return err
	}
	if publisher != nil {
		defer publisher.Close()
		o.Publisher = publisher
	}
	listener, err := (&net.ListenConfig{}).Listen(e.ctx, "tcp", c.Listen)
	if err != nil {
		return badIO(err)
	}
	defer listener.Close()
	server, err := service.New(o)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(e.err, "rfga-edge: %s (%s) at http://%s/\n", model.Name(), model.Precision(), listener.Addr())
	return badIO(server.Serve(e.ctx, listener))
}

// publish connects to the MQTT broker if there is one.
func (c *serveCmd) publish(e *env, model *rfgaedge.Model, sources []service.Source) (*mqtt.Client, error) {
	var names []string
	for _, s := range sources {
		names = append(names, s.Name)
	}
	if c.mqttFlags.URL != "" && names == nil {
		return nil, usage("--mqtt publishes what sources show; name one with --source")
	}
	return c.mqttFlags.start(e, model, names)
}

// limits checks the flags that bound what the service takes.
func (c *serveCmd) limits(e *env) (o service.Options, err error) {
	if c.Token == "" && !loopback(c.Listen) {
		return o, usage("--listen %s: others than this machine can reach that address, so it needs --token (or RFGA_TOKEN)", c.Listen)
	}
	if err := checkThreads(c.Threads); err != nil {
		return o, err
	}
	if c.Sessions == 0 {
		c.Sessions = max(runtime.GOMAXPROCS(0)/c.Threads, 1)
	}
	switch {
	case c.Sessions < 1 || c.Sessions > 256:
		return o, usage("--sessions %d: 1 to 256", c.Sessions)
	case c.Queue < 0 || c.Queue > 1<<16:
		return o, usage("--queue %d: 0 to 65536", c.Queue)
	case c.MaxBody < 1 || c.MaxBody > 1<<10:
		return o, usage("--max-body %d: 1 to 1024 MiB", c.MaxBody)
	case !(c.MaxPixels > 0 && c.MaxPixels <= 4096):
		return o, usage("--max-pixels %g: above 0, at most 4096 megapixels", c.MaxPixels)
	}
	return service.Options{Version: version(), Sessions: c.Sessions, Threads: c.Threads, Queue: c.Queue, MaxBody: int64(c.MaxBody) << 20,
		Limits: frame.Limits{Bytes: int64(c.MaxBody) << 20, Pixels: int64(c.MaxPixels * 1e6)}, Token: c.Token, Filter: c.filter(),
		Marks: marks, Log: slog.New(slog.NewTextHandler(e.err, nil))}, nil
}

// loopback tells whether only this machine can reach an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // listening will say what is wrong
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

var sourceName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// sources parses the sources. The flags of video hold for all, unless a source says otherwise.
func (c *serveCmd) sources(e *env) ([]service.Source, error) {
	var list []service.Source
	known := map[string]bool{}
	for _, text := range c.Source {
		name, rest, ok := strings.Cut(text, "=")
		if !ok || !sourceName.MatchString(name) || strings.Trim(name, ".") == "" {
			return nil, usage("--source %s: want NAME=INPUT with a name of letters, digits, '_', '-' and '.'", text)
		}
		if known[name] {
			return nil, usage("--source %s: there is a source of this name already", text)
		}
		known[name] = true
		input, options, _ := strings.Cut(rest, "#")
		if input == "" {
			return nil, usage("--source %s: the input is missing", text)
		}
		flags := c.videoFlags
		if err := flags.override(options); err != nil {
			return nil, usage("--source %s: %w", text, err)
		}
		o, pump, err := flags.video(e)
		if err != nil {
			return nil, usage("--source %s: %w", text, err)
		}
		if err := o.Check(input); err != nil {
			return nil, usage("--source %s: %w", text, err)
		}
		list = append(list, service.Source{Name: name, Pump: pump, Open: func(ctx context.Context) (stream.Source, error) {
			return stream.Open(ctx, input, o)
		}})
	}
	return list, nil
}

// steadySources sets what the flags say of looking at each source and of its boxes.
func (c *serveCmd) steadySources(list []service.Source, watch *rfgaedge.LocalizeOptions) error {
	for i := range list {
		text := c.Source[i]
		_, options, _ := strings.Cut(text, "#")
		flags, look := c.videoFlags, *watch
		if err := flags.override(options); err != nil {
			return usage("--source %s: %w", text, err)
		}
		tracker, err := flags.steady(&look)
		if err != nil {
			return err
		}
		list[i].Watch = &look
		if tracker != nil {
			minP := watch.MinP
			list[i].Tracker = func() *rfgaedge.Tracker { return rfgaedge.NewTracker(rfgaedge.TrackOptions{MinP: minP}) }
		}
	}
	return nil
}

// override sets flags from a text such as fps-max=5#size=640x480.
func (c *videoFlags) override(text string) error {
	if text == "" {
		return nil
	}
	for part := range strings.SplitSeq(text, "#") {
		name, value, _ := strings.Cut(part, "=")
		var err error
		switch name {
		case "format":
			c.Format = value
		case "size":
			c.Size = value
		case "matrix":
			if c.Matrix = value; value != "bt601" && value != "bt709" {
				err = fmt.Errorf("want bt601 or bt709")
			}
		case "range":
			if c.Range = value; value != "limited" && value != "full" {
				err = fmt.Errorf("want limited or full")
			}
		case "every":
			c.Every, err = strconv.Atoi(value)
		case "fps-max":
			c.FPSMax, err = strconv.ParseFloat(value, 64)
		case "roi":
			c.ROI = value
		case "mask":
			c.Mask = value
		case "smooth":
			c.Smooth = true
		default:
			return fmt.Errorf("#%s: there are format, size, matrix, range, every, fps-max, roi, mask, smooth", name)
		}
		if err != nil {
			return fmt.Errorf("#%s: %w", part, err)
		}
	}
	return nil
}
