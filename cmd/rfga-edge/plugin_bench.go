package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rfga-edge/rfga-edge/plugin"
)

type pluginBenchCmd struct {
	sandboxFlags
	Model   string  `arg:"" optional:"" placeholder:"M.rfga" help:"Model; without it the one in the module."`
	Seconds float64 `default:"2" placeholder:"S" help:"How long to measure (${default}), after a warm-up."`
	JSON    bool    `name:"json" help:"Print one JSON object."`
}

// Help is what 'plugin bench --help' adds.
func (*pluginBenchCmd) Help() string {
	return `A run computes every output from an image's bytes, as a run of 'bench' does, and hashes them; it is one call of rfga_run. The input is the noise of 'bench'. Without a compiled module in the cache the start takes seconds: the second measurement tells what a usual start takes.`
}

// pluginBenchResult is the JSON object of a measurement.
type pluginBenchResult struct {
	V       int       `json:"v"`
	Version string    `json:"version"`
	Module  string    `json:"module"`
	Info    modelInfo `json:"model"`
	Hash    string    `json:"hash"` // of the outputs
	P50     float64   `json:"p50_ms"`
	Min     float64   `json:"min_ms"`
	Start   float64   `json:"start_ms"`   // compiling the module or fetching it from the cache, and starting it
	Load    float64   `json:"load_ms"`    // of the model
	Cold    float64   `json:"cold_s"`     // process start to first result
	Memory  float64   `json:"memory_mib"` // of the instance
	Times   []float64 `json:"times_ms"`
}

// modelInfo is what the bench uses of the module's answer to rfga_info.
type modelInfo struct {
	Name      string `json:"name"`
	Digest    string `json:"digest"`
	Precision string `json:"precision"`
	ISA       string `json:"isa"`
	W         int    `json:"w"`
	H         int    `json:"h"`
}

func (c *pluginBenchCmd) Run(e *env) (err error) {
	if !(c.Seconds > 0 && c.Seconds <= 3600) {
		return usage("--seconds %g: above 0, at most 3600", c.Seconds)
	}
	var file []byte
	if c.Model != "" {
		if file, err = os.ReadFile(c.Model); err != nil {
			return badIO(err)
		}
	}
	r := &pluginBenchResult{V: 1, Version: version(), Module: c.Plugin}
	begin := time.Now()
	p, err := c.open(e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(e.ctx))) }()
	r.Start = milliseconds(begin)
	begin = time.Now()
	m, err := p.Load(e.ctx, file)
	if err != nil {
		return badModel(fmt.Errorf("%s: %w", cmp.Or(c.Model, c.Plugin), err))
	}
	r.Load = milliseconds(begin)
	text, err := m.Info(e.ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &r.Info); err != nil {
		return fmt.Errorf("%s: its answer to rfga_info: %w", c.Plugin, err)
	}
	if err := c.measure(e, m, r); err != nil {
		return err
	}
	r.Memory = round(float64(p.MemorySize())/(1<<20), 1)
	if c.JSON {
		return printJSON(e.out, r)
	}
	return r.print(e)
}

func (c *pluginBenchCmd) measure(e *env, m *plugin.Model, r *pluginBenchResult) error {
	image := noise(3 * r.Info.W * r.Info.H)
	run := func() error {
		out, err := m.Run(e.ctx, image)
		if err == nil {
			r.Hash = out.Hash
		}
		return err
	}
	if err := run(); err != nil {
		return badModel(err)
	}
	r.Cold = round(sinceStart().Seconds(), 3)
	if _, err := measure(e.ctx, min(0.3, c.Seconds/2), 1, run); err != nil {
		return err
	}
	var err error
	if r.Times, err = measure(e.ctx, c.Seconds, minRuns, run); err != nil {
		return err
	}
	sorted := slices.Sorted(slices.Values(r.Times))
	r.P50, r.Min = quantile(sorted, 0.5), sorted[0]
	return nil
}

func (r *pluginBenchResult) print(e *env) error {
	_, err := fmt.Fprintf(e.out, `%s %s %s, %dx%d, %s in wazero
%.1f ms a run (median of %d), least %.1f ms
start %.0f ms, model %.0f ms, first result %.3f s after the process began
%.1f MiB of memory in the module
outputs %s
`, r.Info.Name, r.Info.Digest, r.Info.Precision, r.Info.W, r.Info.H, r.Info.ISA, r.P50, len(r.Times), r.Min, r.Start, r.Load, r.Cold, r.Memory, r.Hash)
	return err
}

func milliseconds(since time.Time) float64 {
	return round(float64(time.Since(since).Nanoseconds())/1e6, 1)
}
