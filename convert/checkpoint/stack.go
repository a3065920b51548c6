package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// The unpickler's stack, and how it reads.

func (u *unpickler) push(v any) error {
	if u.pushes++; u.pushes > maxPushes {
		return fmt.Errorf("more than %d values", maxPushes)
	}
	u.stack = append(u.stack, v)
	return nil
}

// floor is the height below which the present container may not reach.
func (u *unpickler) floor() int {
	if n := len(u.marks); n > 0 {
		return u.marks[n-1]
	}
	return 0
}

func (u *unpickler) top() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errors.New("the stack is empty")
	}
	return u.stack[len(u.stack)-1], nil
}

func (u *unpickler) pop() (any, error) {
	v, err := u.top()
	if err == nil {
		u.stack = u.stack[:len(u.stack)-1]
	}
	return v, err
}

// popN takes n values off the stack, in the order they were pushed.
func (u *unpickler) popN(n int) ([]any, error) {
	if len(u.stack)-u.floor() < n {
		return nil, errors.New("the stack has too few values")
	}
	return u.cut(len(u.stack) - n), nil
}

// popMark takes what was pushed since the last mark.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("a container ends that did not begin")
	}
	at := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	return u.cut(at), nil
}

func (u *unpickler) cut(at int) []any {
	items := append([]any(nil), u.stack[at:]...)
	clear(u.stack[at:])
	u.stack = u.stack[:at]
	return items
}

func (u *unpickler) byte() (byte, error) {
	if u.read == u.end {
		return 0, fmt.Errorf("the file ends at byte %d, inside the pickle, or the pickle is longer than %d: cut or damaged", u.read, maxPickle)
	}
	b, err := u.r.ReadByte()
	if err == nil {
		u.read++
	}
	return b, err
}

// take reads n bytes, which it does not allocate before it knows that the file has them.
func (u *unpickler) take(n int64) ([]byte, error) {
	if n < 0 || n > u.end-u.read {
		return nil, fmt.Errorf("%d bytes are wanted, %d are left: the file is cut or damaged", n, u.end-u.read)
	}
	b := make([]byte, n)
	m, err := io.ReadFull(u.r, b)
	u.read += int64(m)
	if err != nil {
		return nil, fmt.Errorf("reading %d bytes: %w", n, err)
	}
	return b, nil
}

// line reads text up to a newline.
func (u *unpickler) line() (string, error) {
	var b []byte
	for {
		c, err := u.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			break
		}
		if b = append(b, c); len(b) > maxText {
			return "", fmt.Errorf("a line of more than %d bytes", maxText)
		}
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("a line of %s, which is not text", quote(string(b)))
	}
	return string(b), nil
}
