// Package defaultmodel carries the model that the rfga-edge command uses when none is named, an int8 network over the 1000
// ImageNet classes, for programs that want to localize without a file of their own. Importing it adds the model's size to
// a program; the root package does not import it.
//
// It imports the root package and package runtime.
package defaultmodel

import (
	_ "embed"
	"errors"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/runtime"
)

//go:embed default.rfga
var file []byte

// Open prepares the embedded model. It reads the model where the program's file has it mapped, without a copy.
func Open(opts ...rfgaedge.Option) (*rfgaedge.Model, error) {
	if len(file) == 0 {
		return nil, &rfgaedge.ModelError{Err: errors.New("this program was built without a default model")}
	}
	rt, err := runtime.FromBytes(file)
	if err != nil {
		return nil, &rfgaedge.ModelError{Err: err}
	}
	return rfgaedge.New(rt, opts...)
}
