package main

import (
	"fmt"
	"runtime/debug"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/defaultmodel"
)

// mathFlags are the flags of verbs that run a model which choose its arithmetic.
type mathFlags struct {
	HalfMath bool `name:"half-math" help:"Multiply an fp16 model in half precision, where the CPU can (ARM with FEAT_FP16): faster, other bits."`
}

// options are those that the model is opened with.
func (c *mathFlags) options() []rfgaedge.Option {
	if c.HalfMath {
		return []rfgaedge.Option{rfgaedge.HalfMath()}
	}
	return nil
}

// openModel opens the file, or the embedded model if path is empty. The caller closes it.
func openModel(path string, opts ...rfgaedge.Option) (*rfgaedge.Model, error) {
	// Nearly all that opening allocates stays: collecting garbage meanwhile only takes processors from it.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var m *rfgaedge.Model
	var err error
	if path == "" {
		if m, err = defaultmodel.Open(opts...); err != nil {
			err = fmt.Errorf("%w; name one", err)
		}
	} else {
		m, err = rfgaedge.Open(path, opts...)
	}
	return m, badModel(err)
}
