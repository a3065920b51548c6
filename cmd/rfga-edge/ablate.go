package main

import (
	"fmt"
	"slices"
	"text/tabwriter"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/rfga"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// ablation is a variant of a model in which parts of every attention are left out.
type ablation struct {
	key, text string
	change    func(a *format.Attr)
}

func without(parts format.RFGAPart) func(a *format.Attr) {
	return func(a *format.Attr) { a.Off |= parts }
}

var ablations = []ablation{
	{"whole", "whole", func(*format.Attr) {}},
	{"no_channels", "no channel view", without(format.RFGAChannels)},
	{"no_rows", "no row view", without(format.RFGARows)},
	{"no_columns", "no column view", without(format.RFGAColumns)},
	{"no_expansion", "no expansion", without(format.RFGAExpansion)},
	{"no_residual", "no residual", func(a *format.Attr) { a.A = 0 }},
}

func hasAttention(m *rfgaedge.Model) bool {
	return slices.ContainsFunc(m.Runtime().Format().Ops, func(o format.Op) bool { return o.Kind == format.OpRFGA })
}

// withAttention returns the model with the attributes of every attention changed. It shares m's constants: m stays open.
func withAttention(m *rfgaedge.Model, change func(a *format.Attr)) (*rfgaedge.Model, error) {
	fm := *m.Runtime().Format()
	fm.Ops = slices.Clone(fm.Ops)
	for i := range fm.Ops {
		if fm.Ops[i].Kind == format.OpRFGA {
			change(&fm.Ops[i].Attr)
		}
	}
	rt, err := runtime.FromFormat(&fm)
	if err != nil {
		return nil, err
	}
	return rfgaedge.New(rt)
}

// ablate measures every variant.
func (ev *evaluation) ablate() error {
	whole := ev.model
	defer func() { ev.model = whole }() // which the caller closes
	results := make([][]rfga.Scores, len(ablations))
	for i, a := range ablations {
		variant, err := withAttention(whole, a.change)
		if err != nil {
			return badModel(fmt.Errorf("%s: %w", a.text, err))
		}
		ev.model = variant
		results[i], err = ev.scores(nil)
		if err != nil {
			return err
		}
	}
	if ev.cmd.JSON {
		all := map[string]map[string]scoreRecord{}
		for i, a := range ablations {
			all[a.key] = ev.records(results[i])
		}
		return printJSON(ev.out, all)
	}
	return ev.printAblation(results)
}

// printAblation prints a table a protocol, with a row a variant.
func (ev *evaluation) printAblation(results [][]rfga.Scores) error {
	fmt.Fprintf(ev.out, "%d images, step between thresholds %g\n", ev.set.Len(), ev.cmd.Step)
	for p, protocol := range ev.protocols {
		fmt.Fprintf(ev.out, "\n%s, normalisation %s, contours %s\n", protocol.Name, protocol.Norm, protocol.Contours())
		t := tabwriter.NewWriter(ev.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "\tTop-1\tTop-1 Loc\tGT-known\t")
		for _, d := range rfga.IoUs {
			fmt.Fprintf(t, "MaxBoxAcc at %d\t", d)
		}
		fmt.Fprintln(t, "mean\tPxAP\t")
		for i, a := range ablations {
			s := &results[i][p]
			fmt.Fprintf(t, "%s\t", a.text)
			mean := (s.At[0] + s.At[1] + s.At[2]) / 3
			for _, v := range []float64{s.Top1, s.Top1Loc, s.GTKnown, s.At[0], s.At[1], s.At[2], mean, s.PxAP} {
				fmt.Fprintf(t, "%s\t", cell(v))
			}
			fmt.Fprintln(t)
		}
		if err := t.Flush(); err != nil {
			return badIO(err)
		}
	}
	return nil
}
