package quant

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
)

// WeightMode says which int8 weights are allowed.
type WeightMode uint8

const (
	// PairSafe weights never overflow 16 bits when two neighbouring products with bytes are added (see pairs.go): the
	// fastest x86 kernels may run them. It costs a little accuracy, which the report states for each layer.
	PairSafe WeightMode = iota
	// Full weights use all of -127..127.
	Full
)

func (w WeightMode) String() string {
	switch w {
	case PairSafe:
		return "pair-safe"
	case Full:
		return "full"
	}
	return fmt.Sprintf("WeightMode(%d)", uint8(w))
}

// Options of Quantize; the zero value is min-max ranges and pair-safe weights on all processors, from all images.
type Options struct {
	Range   Range  // how activations get their ranges
	Ranges  []Rule // exceptions; of several that fit a tensor the last one holds
	Weights WeightMode
	// KeepScales leaves out cross-layer equalization (equalize.go), KeepOrder the reordering of channels (reorder.go).
	KeepScales, KeepOrder bool
	// Int16 lists the activations that get 16 bits: names of tensors or of the operators that make them, '*' for any text. A name of
	// one of an attention's views means all that is inside of it, and that of a class head its weights.
	Int16 []string
	// RoundSeconds is the effort for rounding weights by what the calibration images show, in seconds of a nominal machine (see
	// rounding.go); 0 rounds to the nearest.
	RoundSeconds float64
	// Images is how many images of the source are used, drawn by Seed without repetition; 0, or more than there are, is all
	// of them in their order.
	Images   int
	Seed     uint64
	Threads  int                   // 0: one per processor
	Progress func(done, total int) // called after each calibration image, if set
}

const maxRoundSeconds = 1e6

func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Range, err = o.Range.withDefaults(); err != nil {
		return o, err
	}
	o.Ranges = slices.Clone(o.Ranges)
	for i, r := range o.Ranges {
		if o.Ranges[i].Range, err = r.Range.withDefaults(); err != nil {
			return o, err
		}
	}
	if o.Images < 0 {
		return o, fmt.Errorf("quant: %d calibration images", o.Images)
	}
	if !(o.RoundSeconds >= 0 && o.RoundSeconds <= maxRoundSeconds) {
		return o, fmt.Errorf("quant: %g seconds of rounding: 0 to %g", o.RoundSeconds, float64(maxRoundSeconds))
	}
	if o.Weights > Full {
		return o, fmt.Errorf("quant: unknown weight mode %d", o.Weights)
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	return o, nil
}

// describe is what the model file keeps about its calibration.
func (o Options) describe(used, available int) string {
	var b strings.Builder
	b.WriteString(o.Range.String())
	for _, r := range o.Ranges {
		fmt.Fprintf(&b, ", %s for %s", r.Range, r.Pattern)
	}
	if used < available {
		fmt.Fprintf(&b, ", %d of %d images by seed %d", used, available, o.Seed)
	} else {
		fmt.Fprintf(&b, ", %d images", used)
	}
	fmt.Fprintf(&b, ", %s weights, corrected biases", o.Weights)
	if o.RoundSeconds > 0 {
		fmt.Fprintf(&b, ", weights rounded by data (effort %g s)", o.RoundSeconds)
	}
	for _, p := range o.Int16 {
		fmt.Fprintf(&b, ", int16 for %s", p)
	}
	if o.KeepScales {
		b.WriteString(", no equalization")
	}
	if o.KeepOrder {
		b.WriteString(", no reordering")
	}
	return b.String()
}

// selection lists the images to calibrate with.
func (o Options) selection(available int) []int {
	if o.Images == 0 || o.Images >= available {
		all := make([]int, available)
		for i := range all {
			all[i] = i
		}
		return all
	}
	chosen := rand.New(rand.NewPCG(o.Seed, 0)).Perm(available)[:o.Images]
	slices.Sort(chosen)
	return chosen
}

// Source yields calibration images one at a time, so that they never have to be in memory together.
type Source interface {
	Len() int
	// At returns image i as the network's normalised input, in the order 3, H, W. The slice is not kept.
	At(i int) ([]float32, error)
}
