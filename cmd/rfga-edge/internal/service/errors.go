package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/frame"
)

// statusError is an error that knows the HTTP status it leaves with.
type statusError struct {
	status int
	err    error
	retry  time.Duration // when to come again, 0: not said
	header http.Header   // further ones
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func fail(status int, format string, args ...any) *statusError {
	return &statusError{status: status, err: fmt.Errorf(format, args...)}
}

// statusClientGone is what servers note where nobody is left to read an answer.
const statusClientGone = 499

// classify finds the status of an error that is none of ours.
func classify(err error) *statusError {
	var ready *statusError
	var large *http.MaxBytesError
	var limit *frame.LimitError
	var damaged *frame.DecodeError
	var option *rfgaedge.OptionError
	var netErr net.Error
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &large):
		return fail(http.StatusRequestEntityTooLarge, "the body has more than the %d bytes that --max-body allows; send a smaller photo", large.Limit)
	case errors.Is(err, frame.ErrFormat):
		return fail(http.StatusUnsupportedMediaType, "%w; send one of these as it is in its file", err)
	case errors.As(err, &limit):
		return fail(http.StatusUnprocessableEntity, "%w; send a smaller photo", err)
	case errors.As(err, &damaged):
		return fail(http.StatusUnprocessableEntity, "%w", err)
	case errors.As(err, &option):
		return fail(http.StatusBadRequest, "%w", err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return fail(http.StatusRequestTimeout, "the body did not arrive within %v", bodyTime)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail(http.StatusBadRequest, "the body ends before what was announced; send it again")
	case errors.Is(err, context.Canceled):
		return &statusError{status: statusClientGone, err: err}
	}
	return &statusError{status: http.StatusInternalServerError, err: err}
}

// writeError answers with an error as JSON.
func writeError(w http.ResponseWriter, e *statusError, body []byte) {
	h := w.Header()
	for name, values := range e.header {
		h[name] = values
	}
	if e.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.retry+time.Second-1)/time.Second)))
	}
	h.Set("Content-Type", "application/json")
	h.Del("Content-Length")
	w.WriteHeader(e.status)
	w.Write(body)
}

// errorJSON is the object of an error, as 'localize --json' prints it but for the source.
func errorJSON(err error) []byte {
	return append(rfgaedge.AppendJSONString([]byte(`{"v":1,"error":`), err.Error()), "}\n"...)
}
