package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Magic is what a file begins with.
const Magic = "\x93NUMPY"

const (
	maxHeader = 1 << 16 // NumPy itself warns beyond 10,000 bytes
	maxRank   = 32
)

// ErrHeader is wrapped by every error that is the file's fault rather than the disk's.
var ErrHeader = errors.New("not an array of NumPy")

// Header describes the array in a file.
type Header struct {
	Descr   string // the element's type, as in "<f4"
	Fortran bool   // the first index runs fastest
	Shape   []int
	Data    int64 // offset of the first element
}

// ReadHeader reads the header of the array in r, size bytes long.
func ReadHeader(r io.ReaderAt, size int64) (h Header, err error) {
	var pre [12]byte
	n, err := r.ReadAt(pre[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, err
	}
	if n < 10 || string(pre[:6]) != Magic {
		return h, fmt.Errorf("%w: it does not start with \\x93NUMPY", ErrHeader)
	}
	var start, length int64
	switch pre[6] {
	case 1:
		start, length = 10, int64(binary.LittleEndian.Uint16(pre[8:]))
	case 2, 3:
		if n < 12 {
			return h, fmt.Errorf("%w: it ends inside its header", ErrHeader)
		}
		start, length = 12, int64(binary.LittleEndian.Uint32(pre[8:]))
	default:
		return h, fmt.Errorf("%w: version %d.%d is unknown", ErrHeader, pre[6], pre[7])
	}
	if length > maxHeader || start+length > size {
		return h, fmt.Errorf("%w: its header claims %d bytes", ErrHeader, length)
	}
	head := make([]byte, length)
	if _, err := r.ReadAt(head, start); err != nil && !errors.Is(err, io.EOF) {
		return h, err
	}
	h.Data = start + length
	if h.Descr, h.Fortran, h.Shape, err = parseHeader(string(head)); err != nil {
		return h, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	return h, nil
}

// parseHeader reads the Python dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }, keys in any order.
func parseHeader(s string) (descr string, fortran bool, shape []int, err error) {
	p := &parser{s: s}
	seen := map[string]bool{}
	p.expect('{')
	for p.err == nil && !p.accept('}') {
		key := p.str()
		p.expect(':')
		if seen[key] {
			p.fail("key %q stands twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			descr = p.str()
		case "fortran_order":
			fortran = p.boolean()
		case "shape":
			shape = p.tuple()
		default:
			p.fail("key %q is unknown", key)
		}
		if !p.accept(',') && p.peek() != '}' {
			p.fail("a comma is missing")
		}
	}
	if p.err == nil && strings.TrimSpace(p.s) != "" {
		p.fail("something follows the dictionary")
	}
	if p.err == nil && len(seen) != 3 {
		p.fail("descr, fortran_order or shape is missing")
	}
	return descr, fortran, shape, p.err
}

type parser struct {
	s   string
	err error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("header: "+format, args...)
	}
	p.s = ""
}

func (p *parser) peek() byte {
	p.s = strings.TrimLeft(p.s, " \t\r\n")
	if p.s == "" {
		return 0
	}
	return p.s[0]
}

func (p *parser) accept(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

func (p *parser) expect(c byte) {
	if !p.accept(c) {
		p.fail("%q is missing", c)
	}
}

func (p *parser) str() string {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		p.fail("a string is missing (structured types are not supported)")
		return ""
	}
	v, rest, ok := strings.Cut(p.s[1:], string(quote))
	if !ok {
		p.fail("a string does not end")
		return ""
	}
	p.s = rest
	return v
}

func (p *parser) boolean() bool {
	p.peek()
	for _, word := range []string{"True", "False"} {
		if rest, ok := strings.CutPrefix(p.s, word); ok {
			p.s = rest
			return word == "True"
		}
	}
	p.fail("True or False is missing")
	return false
}

func (p *parser) tuple() []int {
	shape := []int{}
	p.expect('(')
	for p.err == nil && !p.accept(')') {
		p.peek()
		digits := p.s[:len(p.s)-len(bytes.TrimLeft([]byte(p.s), "0123456789"))]
		n, err := strconv.ParseInt(digits, 10, 48)
		if err != nil || int64(int(n)) != n {
			p.fail("a dimension is not a number this program can hold")
			break
		}
		if len(shape) == maxRank {
			p.fail("more than %d dimensions", maxRank)
			break
		}
		p.s = strings.TrimPrefix(p.s[len(digits):], "L") // Python 2 wrote 3L
		shape = append(shape, int(n))
		if !p.accept(',') && p.peek() != ')' {
			p.fail("a comma is missing in the shape")
		}
	}
	return shape
}
