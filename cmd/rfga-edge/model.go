package main

import (
	"fmt"
	"runtime/debug"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/defaultmodel"
)

// openModel opens the file, or the embedded model if path is empty. The caller closes it.
func openModel(path string) (*rfgaedge.Model, error) {
	// Nearly all that opening allocates stays: collecting garbage meanwhile only takes processors from it.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var m *rfgaedge.Model
	var err error
	if path == "" {
		if m, err = defaultmodel.Open(); err != nil {
			err = fmt.Errorf("%w; name one", err)
		}
	} else {
		m, err = rfgaedge.Open(path)
	}
	return m, badModel(err)
}
