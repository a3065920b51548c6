package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// Exit codes.
const (
	exitOK          = 0
	exitInternal    = 1
	exitUsage       = 2
	exitModel       = 3
	exitInput       = 4
	exitIO          = 5
	exitInterrupted = 130
)

// coded is an error that knows its exit code.
type coded struct {
	code int
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

// errReported ends a verb whose errors have been printed already, one by one.
var errReported = errors.New("some inputs failed")

func usage(format string, args ...any) error { return &coded{exitUsage, fmt.Errorf(format, args...)} }

// badModel and badInput say whose fault an error is, unless it is plainly the disk's or the user's interruption.
func badModel(err error) error { return blame(exitModel, err) }
func badInput(err error) error { return blame(exitInput, err) }
func badIO(err error) error    { return blame(exitIO, err) }

func blame(code int, err error) error {
	if err == nil {
		return nil
	}
	if isIO(err) {
		code = exitIO
	}
	return &coded{code, err}
}

func isIO(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var sys *os.SyscallError
	var errno syscall.Errno
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &sys) || errors.As(err, &errno) || errors.Is(err, io.ErrClosedPipe)
}

// exitCode is the code that an error ends the command with.
func exitCode(err error) int {
	var c *coded
	var option *rfgaedge.OptionError
	var model *rfgaedge.ModelError
	var frame *rfgaedge.FrameError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &option):
		return exitUsage
	case errors.As(err, &model), errors.Is(err, rfgaedge.ErrNoHead):
		return exitModel
	case errors.As(err, &frame):
		return exitInput
	case isIO(err):
		return exitIO
	}
	return exitInternal
}
