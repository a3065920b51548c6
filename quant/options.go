package quant

import (
	"fmt"
	"runtime"
)

// Method says how an activation's range follows from the values seen during calibration.
type Method uint8

const (
	// MinMax takes everything that was seen: nothing is clipped, outliers cost resolution.
	MinMax Method = iota
	// Percentile leaves out the share of values beyond Options.Percentile at either end.
	Percentile
)

func (m Method) String() string {
	switch m {
	case MinMax:
		return "min-max"
	case Percentile:
		return "percentile"
	}
	return fmt.Sprintf("Method(%d)", uint8(m))
}

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

// DefaultPercentile is used when Options.Percentile is zero.
const DefaultPercentile = 99.99

// Options of Quantize; the zero value is min-max ranges and pair-safe weights on all processors.
type Options struct {
	Method     Method
	Percentile float64 // of Method Percentile, above 50, at most 100; 0 is DefaultPercentile
	Weights    WeightMode
	Threads    int                   // 0: one per processor
	Progress   func(done, total int) // called after each calibration image, if set
}

func (o Options) withDefaults() (Options, error) {
	if o.Percentile == 0 {
		o.Percentile = DefaultPercentile
	}
	if o.Method > Percentile {
		return o, fmt.Errorf("quant: unknown calibration method %d", o.Method)
	}
	if !(o.Percentile > 50 && o.Percentile <= 100) {
		return o, fmt.Errorf("quant: percentile %g is outside (50, 100]", o.Percentile)
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
func (o Options) describe(images int) string {
	method := o.Method.String()
	if o.Method == Percentile {
		method = fmt.Sprintf("percentile %g", o.Percentile)
	}
	return fmt.Sprintf("%s, %d images, %s weights, corrected biases", method, images, o.Weights)
}

// Source yields calibration images one at a time, so that they never have to be in memory together.
type Source interface {
	Len() int
	// At returns image i as the network's normalised input, in the order 3, H, W. The slice is not kept.
	At(i int) ([]float32, error)
}
