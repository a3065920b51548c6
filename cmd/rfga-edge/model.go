package main

import (
	"fmt"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/defaultmodel"
)

// openModel opens the file, or the embedded model if path is empty. The caller closes it.
func openModel(path string) (*rfgaedge.Model, error) {
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
