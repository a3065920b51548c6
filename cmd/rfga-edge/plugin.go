package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/plugin"
)

type pluginCmd struct {
	Localize pluginLocalizeCmd `cmd:"" help:"What localize does, done by rfga-edge.wasm in a sandbox."`
	Bench    pluginBenchCmd    `cmd:"" help:"Measure a model in rfga-edge.wasm."`
}

// sandboxFlags say which module runs and how.
type sandboxFlags struct {
	Plugin string `required:"" placeholder:"P.wasm" help:"The module; 'make plugin' builds it."`
	Cache  string `placeholder:"DIR" help:"Folder for compiled modules, which makes the next start quick; without it rfga-edge in the user's cache folder. 'off' keeps none."`
	Memory int    `default:"1024" placeholder:"MIB" help:"Memory that the module may have, in MiB (${default})."`
}

// open starts the module.
func (c *sandboxFlags) open(e *env) (*plugin.Plugin, error) {
	if c.Memory < 1 || c.Memory > 4096 {
		return nil, usage("--memory %d: 1 to 4096", c.Memory)
	}
	wasm, err := os.ReadFile(c.Plugin)
	if err != nil {
		return nil, badIO(err)
	}
	p, err := plugin.Open(e.ctx, wasm, plugin.Config{CacheDir: c.cacheDir(), MemoryPages: uint32(c.Memory << 4)})
	if err != nil {
		return nil, badModel(fmt.Errorf("%s: %w", c.Plugin, err))
	}
	return p, nil
}

func (c *sandboxFlags) cacheDir() string {
	switch c.Cache {
	case "off":
		return ""
	case "":
		dir, err := os.UserCacheDir()
		if err != nil {
			return "" // a machine without a home: compile each time
		}
		return filepath.Join(dir, "rfga-edge", "wasm")
	}
	return c.Cache
}

type pluginLocalizeCmd struct {
	sandboxFlags
	Images  []string `arg:"" name:"image" help:"Image file, folder (the images directly in it, by name), or - for standard input."`
	Model   string   `short:"m" placeholder:"M.rfga" help:"Model; without it the one in the module."`
	TopK    int      `name:"topk" default:"1" placeholder:"K" help:"Name and locate the K most probable classes (${default})."`
	Options string   `placeholder:"TEXT" help:"Options of the module, such as \"threshold=0.1&multi=1\"; plugin/ABI.md lists them."`
	JSON    bool     `name:"json" help:"One JSON object a line."`
}

// Help is what 'plugin localize --help' adds.
func (*pluginLocalizeCmd) Help() string {
	return `Pictures are decoded in the module too: it sees no file and no network, and no more memory than --memory. Results are the same bits as those of 'localize'.`
}

func (c *pluginLocalizeCmd) Run(e *env) (err error) {
	if c.TopK < 1 {
		return usage("--topk %d: at least 1", c.TopK)
	}
	var file []byte
	if c.Model != "" {
		if file, err = os.ReadFile(c.Model); err != nil {
			return badIO(err)
		}
	}
	p, err := c.open(e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(e.ctx))) }()
	m, err := p.Load(e.ctx, file)
	if err != nil {
		return badModel(fmt.Errorf("%s: %w", c.modelName(), err))
	}
	if err := m.SetOptions(e.ctx, c.Options); err != nil {
		return usage("--options: %w", err)
	}
	l := &localizer{env: e, sources: listSources(c.Images)}
	l.print = l.textPrinter()
	if c.JSON {
		l.print = l.printRecord
	}
	l.look = func(s source, f *finding) { c.look(e, m, s, f) }
	return l.all()
}

func (c *pluginLocalizeCmd) modelName() string {
	if c.Model == "" {
		return c.Plugin
	}
	return c.Model
}

// look has the module localize one source.
func (c *pluginLocalizeCmd) look(e *env, m *plugin.Model, s source, f *finding) {
	b, err := s.read(e.in)
	if err != nil {
		f.err = err
		return
	}
	rec, err := m.Localize(e.ctx, plugin.Picture(b), c.TopK)
	var refused *plugin.Error
	switch {
	case errors.As(err, &refused):
		f.err = badInput(fmt.Errorf("%s: %w", s.name, err))
	case err != nil:
		f.err = err
	default:
		rec.Src = s.name
		f.record = rec
		f.result = resultOf(rec)
	}
}

// read returns the bytes of the source.
func (s source) read(stdin io.Reader) ([]byte, error) {
	r, err := s.open(stdin)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	limit := frame.DefaultLimits.Bytes
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: more than %d MiB", s.name, limit>>20)
	}
	return b, badInput(err)
}

// resultOf is a record as a result, for people.
func resultOf(rec *rfgaedge.Record) *rfgaedge.Result {
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	r := &rfgaedge.Result{Width: rec.W, Height: rec.H, Timings: rfgaedge.Timings{
		Preprocess: us(rec.Micros.Decode + rec.Micros.Pre), Infer: us(rec.Micros.Infer), Locate: us(rec.Micros.Post)}}
	for _, c := range rec.Classes {
		r.Classes = append(r.Classes, rfgaedge.Class(c))
	}
	for _, l := range rec.Locations {
		b := l.Box
		r.Locations = append(r.Locations, rfgaedge.Location{Class: rfgaedge.Class(l.RecordClass), Box: rfgaedge.Box{X0: b[0], Y0: b[1], X1: b[2], Y1: b[3]},
			Threshold: float64(l.Threshold), Area: l.Area})
	}
	return r
}
