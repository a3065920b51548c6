package format

import (
	"errors"
	"fmt"
	"strings"
)

// Reasons that a caller may want to tell apart with errors.Is; everything else is a plain *Error.
var (
	ErrNotRFGA = errors.New("not an .rfga file")
	ErrVersion = errors.New("unsupported version")
	ErrDigest  = errors.New("digest mismatch")
)

// Error says where a file or a model is wrong, and how.
type Error struct {
	Section string // the part of the file: "header", "directory", "META" ...; empty for a model in memory
	Tensor  int    // index, or -1
	Op      int    // index, or -1
	Name    string // of the tensor or operator, or an operator's kind and name
	What    string
	Err     error // one of the reasons above, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("rfga: ")
	if e.Section != "" {
		fmt.Fprintf(&b, "%s: ", e.Section)
	}
	switch {
	case e.Op >= 0:
		fmt.Fprintf(&b, "operator %d (%s): ", e.Op, e.Name)
	case e.Tensor >= 0:
		fmt.Fprintf(&b, "tensor %d (%s): ", e.Tensor, e.Name)
	}
	b.WriteString(e.What)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

func failf(section, format string, args ...any) *Error {
	return &Error{Section: section, Tensor: -1, Op: -1, What: fmt.Sprintf(format, args...)}
}

func failTensor(m *Model, i int, format string, args ...any) *Error {
	return &Error{Tensor: i, Op: -1, Name: quote(m.Tensors[i].Name), What: fmt.Sprintf(format, args...)}
}

func failOp(m *Model, i int, format string, args ...any) *Error {
	op := &m.Ops[i]
	return &Error{Tensor: -1, Op: i, Name: op.Kind.String() + " " + quote(op.Name), What: fmt.Sprintf(format, args...)}
}

// quote makes a name fit to print: whatever bytes it holds, and however long it is.
func quote(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q...", s[:120])
	}
	return fmt.Sprintf("%q", s)
}
