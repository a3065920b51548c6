package main

import (
	"slices"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

type inspectCmd struct {
	Model string `arg:"" optional:"" placeholder:"M.rfga" help:"Model; without it the one built in."`
	Quant bool   `help:"What int8 costs, layer by layer, and what can be done: as 'convert --report' measured it."`
	JSON  bool   `name:"json" help:"Print one JSON object."`
	mathFlags
}

func (c *inspectCmd) Run(e *env) error {
	model, err := openModel(c.Model, c.options()...)
	if err != nil {
		return err
	}
	defer model.Close()
	if c.Quant {
		d, err := describeQuant(model)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(e.out, d)
		}
		return d.print(e.out)
	}
	d := describeModel(model)
	if c.JSON {
		return printJSON(e.out, d)
	}
	return d.print(e.out)
}

// description is what inspect tells; it is its JSON object.
type description struct {
	V             int               `json:"v"`
	Name          string            `json:"name"`
	Arch          string            `json:"arch"`
	Digest        string            `json:"digest"`
	Format        [2]int            `json:"format"` // major, minor
	Precision     string            `json:"precision"`
	BitIdentical  bool              `json:"bit_identical"`
	Preprocess    describedPre      `json:"preprocess"`
	Localization  describedLoc      `json:"localization"`
	Classes       int               `json:"classes"`
	Labels        int               `json:"labels"`
	Provenance    describedProv     `json:"provenance"`
	Input         describedTensor   `json:"input"`
	Outputs       []describedOutput `json:"outputs"`
	ISA           string            `json:"isa"`
	Ops           []describedOp     `json:"ops"`
	MACs          int64             `json:"macs"`
	WeightsBytes  int               `json:"weights_bytes"` // of all constants in the file
	PackedBytes   int               `json:"packed_bytes"`  // held in memory on this machine
	Arena         describedArena    `json:"arena"`
	FileBytes     int64             `json:"file_bytes"`
	Sections      []describedPart   `json:"sections"`
	SkippedByUs   []string          `json:"skipped,omitempty"` // parts of a newer file that this program does not know
	OpsInFile     int               `json:"ops_in_file"`
	TensorsInFile int               `json:"tensors_in_file"`
}

type describedPre struct {
	Width  int        `json:"width"`
	Height int        `json:"height"`
	Rule   string     `json:"rule"`
	Resize int        `json:"resize,omitempty"`
	Order  string     `json:"order"`
	Mean   [3]float32 `json:"mean"`
	Std    [3]float32 `json:"std"`
}

type describedLoc struct {
	Norm      string  `json:"norm"`
	Threshold float32 `json:"threshold"`
}

type describedProv struct {
	Source      string `json:"source"`
	Licence     string `json:"licence"`
	Converter   string `json:"converter"`
	Calibration string `json:"calibration"`
	Notes       string `json:"notes"`
}

type describedTensor struct {
	Name  string    `json:"name"`
	DType string    `json:"dtype"`
	Shape []int     `json:"shape"` // N,H,W,C
	Scale []float32 `json:"scale,omitempty"`
	Zero  int32     `json:"zero"`
}

type describedOutput struct {
	describedTensor
	Output string `json:"output"`
}

type describedOp struct {
	Kind    string            `json:"kind"`
	Name    string            `json:"name"`
	Fused   []string          `json:"fused,omitempty"`
	Inputs  []describedTensor `json:"inputs"`
	Outputs []describedTensor `json:"outputs"`
	MACs    int64             `json:"macs"`
	Weights int               `json:"weights_bytes"`
	Packed  int               `json:"packed_bytes"`
	Kernel  string            `json:"kernel"`
	Why     string            `json:"why"`
}

type describedArena struct {
	Bytes      int `json:"bytes"`
	LowerBound int `json:"lower_bound"`
	Sum        int `json:"without_reuse"`
}

type describedPart struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

func describeModel(model *rfgaedge.Model) *description {
	rt := model.Runtime()
	fm := rt.Format()
	p, a := &fm.Pre, rt.Arena()
	d := &description{V: 1, Name: fm.Name, Arch: fm.Arch, Digest: rt.Digest(), Precision: model.Precision(), BitIdentical: fm.Exact,
		Preprocess:   describedPre{p.Width, p.Height, p.Rule.String(), p.Resize, p.Order.String(), p.Mean, p.Std},
		Localization: describedLoc{fm.Loc.Norm.String(), fm.Loc.Threshold},
		Classes:      model.Classes(), Labels: len(fm.Labels), Provenance: describedProv(fm.Prov),
		Input: describeTensor(&fm.Tensors[fm.Input]), ISA: kernels.ISAName(), Arena: describedArena{a.Size, a.LowerBound, a.Sum},
		OpsInFile: len(fm.Ops), TensorsInFile: len(fm.Tensors)}
	for _, o := range fm.Outputs {
		d.Outputs = append(d.Outputs, describedOutput{describeTensor(&fm.Tensors[o.Tensor]), o.Name})
	}
	for i := range fm.Tensors {
		d.WeightsBytes += len(fm.Tensors[i].Data)
	}
	weights := constantsByOp(fm)
	for _, s := range rt.Steps() {
		op := describedOp{Kind: s.Kind.String(), Name: s.Name, Fused: s.Fused, MACs: s.MACs, Weights: weights(s), Packed: s.Packed, Kernel: s.Kernel, Why: s.Why}
		for _, t := range s.Inputs {
			op.Inputs = append(op.Inputs, describeTensor(&fm.Tensors[t]))
		}
		for _, t := range s.Outputs {
			op.Outputs = append(op.Outputs, describeTensor(&fm.Tensors[t]))
		}
		d.MACs += s.MACs
		d.PackedBytes += s.Packed
		d.Ops = append(d.Ops, op)
	}
	if info := rt.Info(); info != nil {
		d.Format, d.FileBytes, d.SkippedByUs = [2]int{info.Major, info.Minor}, info.FileSize, info.Skipped
		for _, s := range info.Sections {
			d.Sections = append(d.Sections, describedPart{s.Name, s.Offset, s.Size})
		}
	}
	return d
}

func describeTensor(t *format.Tensor) describedTensor {
	return describedTensor{t.Name, t.DType.String(), t.Shape, t.Scale, t.Zero}
}

// constantsByOp returns a function that gives the bytes of the constants of a step, those of fused operators included.
func constantsByOp(fm *format.Model) func(runtime.Step) int {
	type key struct {
		kind format.OpKind
		name string
	}
	bytes := map[string]int{}
	own := map[key]int{}
	for _, op := range fm.Ops {
		n := 0
		for _, t := range op.Inputs {
			if t >= 0 {
				n += len(fm.Tensors[t].Data)
			}
		}
		bytes[op.Name] += n
		own[key{op.Kind, op.Name}] += n
	}
	return func(s runtime.Step) int {
		n := own[key{s.Kind, s.Name}]
		for _, f := range slices.Compact(slices.Sorted(slices.Values(s.Fused))) {
			if f != s.Name {
				n += bytes[f]
			}
		}
		return n
	}
}
