package main

import (
	"math"
	"slices"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// lookFlags are the flags of verbs that look for things: which model, what for, and with how many threads.
type lookFlags struct {
	Model     string   `short:"m" placeholder:"M.rfga" help:"Model; without it the one built in."`
	TopK      int      `name:"topk" default:"${topk}" placeholder:"K" help:"Name and locate the K most probable classes (${default})."`
	Threshold *float64 `placeholder:"T" help:"Share of the heat map's maximum above which a place belongs to the object, 0 to 1; without it the model's own."`
	Multi     bool     `help:"One box for every separate warm region, not the largest alone."`
	Class     []string `sep:"none" placeholder:"ID|LABEL" help:"Locate this class, whatever the picture shows; may be repeated."`
	MinP      float64  `name:"min-p" placeholder:"P" help:"Leave out classes less probable than P, 0 to 1."`
	Threads   int      `default:"1" placeholder:"N" help:"Threads (${default})."`
	mathFlags
}

// open opens the model and says what to look for with it. The caller closes it.
func (c *lookFlags) open() (*rfgaedge.Model, rfgaedge.LocalizeOptions, error) {
	if c.TopK < 1 {
		return nil, rfgaedge.LocalizeOptions{}, usage("--topk %d: at least 1", c.TopK)
	}
	model, err := openModel(c.Model, c.mathFlags.options()...)
	if err != nil {
		return nil, rfgaedge.LocalizeOptions{}, err
	}
	options, err := c.options(model)
	if err != nil {
		model.Close()
		return nil, options, err
	}
	return model, options, nil
}

func (c *lookFlags) options(model *rfgaedge.Model) (rfgaedge.LocalizeOptions, error) {
	o := rfgaedge.LocalizeOptions{TopK: c.TopK, MinP: c.MinP, Multi: c.Multi}
	if c.Threshold != nil {
		if !(*c.Threshold >= 0 && *c.Threshold <= 1) {
			return o, usage("--threshold %g: 0 to 1", *c.Threshold)
		}
		o.Threshold = max(*c.Threshold, math.SmallestNonzeroFloat64)
	}
	if !(c.MinP >= 0 && c.MinP <= 1) {
		return o, usage("--min-p %g: 0 to 1", c.MinP)
	}
	for _, name := range c.Class {
		id, err := model.FindClass(name)
		if err != nil {
			return o, usage("--%w", err)
		}
		if !slices.Contains(o.Classes, id) {
			o.Classes = append(o.Classes, id)
		}
	}
	return o, nil
}
