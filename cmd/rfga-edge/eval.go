package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/wsol"
	"github.com/rfga-edge/rfga-edge/rfga"
)

type evalCmd struct {
	Model    string   `arg:"" optional:"" placeholder:"M.rfga" help:"Model; without it the one built in."`
	Data     string   `required:"" placeholder:"DIR" help:"Folder with image_ids.txt, class_labels.txt, image_sizes.txt and localization.txt (boxes, or masks for PxAP)."`
	Images   string   `placeholder:"DIR" help:"Folder in which the ids are looked up; without it the parent of --data."`
	Masks    string   `placeholder:"DIR" help:"Folder in which mask files are looked up; without it that of the images."`
	Npy      string   `name:"npy" placeholder:"DIR" help:"Measure the maps of this folder instead of a model's: DIR/ID.npy, ID with its extension or without, height x width floats, before resizing."`
	Protocol string   `enum:"clova-v1,clova-v2,moana,all" default:"all" help:"clova-v1, clova-v2, moana or all (${default})."`
	Step     float64  `default:"0.001" placeholder:"D" help:"Step between thresholds (${default}; the authors of RFGA use 0.01)."`
	Accepted string   `placeholder:"FILE.json" help:"Several right classes an image: {\"id\": [class, ...]}, the id as in image_ids.txt or its file name with or without extension."`
	Classes  string   `placeholder:"FILE.csv" help:"Which class of the model a class of the data set is, a line each: data-set class, model class (number or label). The first of several gives the map; all are right."`
	At       *float64 `name:"at" placeholder:"T" help:"Also report the accuracy at this threshold, such as one chosen on other images (the nearest that is measured)."`
	Ablate   bool     `help:"Measure the model also without each of the attention's parts in turn: views of channels, rows and columns, expansion, residual."`
	JSON     bool     `name:"json" help:"Print one JSON object."`
	Maps     string   `placeholder:"DIR" help:"Write the class maps, DIR/ID.npy (the id's extension replaced), which --npy measures again."`
	CSV      string   `name:"csv" placeholder:"FILE" help:"Write a line an image."`
	Worst    string   `placeholder:"DIR" help:"Draw the images with the worst boxes into DIR."`
	WorstN   int      `name:"worst-n" default:"20" placeholder:"N" help:"How many (${default})."`
	Plot     string   `placeholder:"FILE.svg" help:"Draw accuracy over threshold."`
	Threads  int      `default:"1" placeholder:"N" help:"Images at a time (${default})."`
	mathFlags
}

// Help is what 'eval --help' adds.
func (*evalCmd) Help() string {
	return `Measures localization as the field does: the class map of the true class (of the most probable one where class_labels.txt says -1), resized to 224x224, normalised, cut at every threshold.

clova-v1: minimum to maximum, the largest contour (MaxBoxAcc). clova-v2: every contour, mean over IoU 30, 50 and 70 (MaxBoxAccV2). moana: minus the 65th percentile, the largest contour, mean over 30, 50 and 70. Accuracies are maxima over the thresholds, each at its own; Top-1 and Top-5 localization ask for the class too, at IoU 50. PxAP needs masks: lines "id,mask file,ignore file" in localization.txt.

--ablate leaves parts of the trained attention out without training again. A view that is left out counts as 0; without the expansion its rows and columns give one mean value a channel; without the residual x*(1 + M) becomes x*M.

--npy measures anybody's maps. The numbers are those of clovaai/wsolevaluation to the last bit.`
}

// evaluation is a run in preparation: data, protocols, and what makes the maps.
type evaluation struct {
	*env
	cmd        *evalCmd
	set        *wsol.Set
	protocols  []rfga.Protocol
	thresholds []float64
	model      *rfgaedge.Model // nil with --npy
	answers    *answers
}

func (c *evalCmd) Run(e *env) (err error) {
	ev := &evaluation{env: e, cmd: c}
	if err := ev.check(); err != nil {
		return err
	}
	if c.Npy == "" {
		if ev.model, err = openModel(c.Model, c.options()...); err != nil {
			return err
		}
		defer ev.model.Close()
		if ev.model.Classes() == 0 {
			return fmt.Errorf("model %q: %w", ev.model.Name(), rfgaedge.ErrNoHead)
		}
		if c.Ablate && !hasAttention(ev.model) {
			return usage("--ablate: model %q has no attention (RFGA) of which parts could be left out; if convert wrote it out for int16 views, take a float form of the model", ev.model.Name())
		}
	}
	images := cmp.Or(c.Images, filepath.Dir(filepath.Clean(c.Data)))
	c.Images = images
	if ev.set, err = wsol.Open(c.Data, cmp.Or(c.Masks, images)); err != nil {
		return badInput(err)
	}
	defer ev.set.Close()
	if ev.answers, err = readAnswers(c, ev.model); err != nil {
		return err
	}
	if err := ev.fits(); err != nil {
		return err
	}
	if c.Ablate {
		return ev.ablate()
	}
	return ev.measure()
}

// check reads the flags.
func (ev *evaluation) check() error {
	c := ev.cmd
	if err := checkThreads(c.Threads); err != nil {
		return err
	}
	var err error
	if ev.thresholds, err = rfga.Thresholds(c.Step); err != nil {
		return usage("--step: %w", err)
	}
	for _, p := range rfga.Protocols {
		if c.Protocol == "all" || c.Protocol == p.Name {
			ev.protocols = append(ev.protocols, p)
		}
	}
	switch {
	case c.Ablate && (c.Npy != "" || c.Maps != "" || c.CSV != "" || c.Worst != "" || c.Plot != ""):
		return usage("--ablate measures several variants of a model: it goes with none of --npy, --maps, --csv, --worst and --plot")
	case c.Npy != "" && c.Model != "":
		return usage("either a model or --npy: maps made elsewhere need no model")
	case c.At != nil && !(*c.At >= 0 && *c.At <= 1):
		return usage("--at %g: 0 to 1", *c.At)
	case c.WorstN < 1:
		return usage("--worst-n %d: at least 1", c.WorstN)
	}
	return nil
}

// fits says what cannot be measured on the data set.
func (ev *evaluation) fits() error {
	switch {
	case !ev.set.HasBoxes() && !ev.set.HasMasks() && ev.model == nil:
		return badInput(fmt.Errorf("%s: without localization.txt there is nothing to compare maps with", ev.cmd.Data))
	case !ev.set.HasBoxes() && ev.cmd.Worst != "":
		return usage("--worst needs boxes: localization.txt with id,x0,y0,x1,y1")
	}
	return nil
}

// scores evaluates every image and sums up.
func (ev *evaluation) scores(spool *spool) ([]rfga.Scores, error) {
	tallies, err := ev.run(spool)
	if err != nil {
		return nil, err
	}
	scores := make([]rfga.Scores, len(tallies))
	for p, t := range tallies {
		scores[p] = t.Scores(ev.protocols[p])
	}
	return scores, nil
}

// measure evaluates once and writes everything that was asked for.
func (ev *evaluation) measure() error {
	var spool *spool
	if ev.cmd.CSV != "" || ev.cmd.Worst != "" {
		var err error
		if spool, err = newSpool(len(ev.protocols), len(ev.thresholds)); err != nil {
			return badIO(err)
		}
		defer spool.close()
	}
	scores, err := ev.scores(spool)
	if err != nil {
		return err
	}
	if ev.cmd.CSV != "" {
		err = errors.Join(err, ev.writeCSV(spool, scores))
	}
	if ev.cmd.Worst != "" {
		err = errors.Join(err, ev.drawWorst(spool, scores))
	}
	if ev.cmd.Plot != "" {
		err = errors.Join(err, ev.writePlot(scores))
	}
	if err != nil {
		return err
	}
	if ev.cmd.JSON {
		return printJSON(ev.out, ev.records(scores))
	}
	return ev.printTable(scores)
}
