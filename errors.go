package rfgaedge

import (
	"github.com/rfga-edge/rfga-edge/runtime"
)

// ErrNoHead is wrapped by NewSession's error for a model without a class activation head, which localizes nothing.
var ErrNoHead = runtime.ErrNoHead

// ModelError is returned by Open and Load for a file that is not a model this program can run. A file that cannot be read
// at all gives the error of the operating system instead, usually a *fs.PathError.
type ModelError struct {
	Path string // empty for Load
	Err  error  // what is wrong, and where in the file
}

// Error does not repeat Path: what opens a file names it in its own error.
func (e *ModelError) Error() string { return "model: " + e.Err.Error() }

func (e *ModelError) Unwrap() error { return e.Err }

// OptionError is returned for an option outside its range.
type OptionError struct {
	Option string
	Reason string
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Reason }
