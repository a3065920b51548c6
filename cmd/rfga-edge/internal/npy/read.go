package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

const (
	magic     = "\x93NUMPY"
	maxHeader = 1 << 16 // NumPy itself warns beyond 10,000 bytes
	maxRank   = 32
)

// ErrFormat is wrapped by every error that is the file's fault rather than the disk's.
var ErrFormat = errors.New("not a usable .npy file")

// File is an opened array. Its elements are read with ReadFloat32.
type File struct {
	Shape []int
	r     io.ReaderAt
	close func() error
	data  int64 // offset of the first element
	size  int   // of an element: 4 or 8
}

// Open opens the array in a file. The caller closes it.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s: %w: it is a directory", path, ErrFormat)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	a, err := New(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a.close = f.Close
	return a, nil
}

// New reads the header of the array in r, size bytes long.
func New(r io.ReaderAt, size int64) (*File, error) {
	var pre [12]byte
	n, err := r.ReadAt(pre[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n < 10 || string(pre[:6]) != magic {
		return nil, fmt.Errorf("%w: it does not start with \\x93NUMPY", ErrFormat)
	}
	var start, length int64
	switch pre[6] {
	case 1:
		start, length = 10, int64(binary.LittleEndian.Uint16(pre[8:]))
	case 2, 3:
		if n < 12 {
			return nil, fmt.Errorf("%w: it ends inside its header", ErrFormat)
		}
		start, length = 12, int64(binary.LittleEndian.Uint32(pre[8:]))
	default:
		return nil, fmt.Errorf("%w: version %d.%d is unknown", ErrFormat, pre[6], pre[7])
	}
	if length > maxHeader || start+length > size {
		return nil, fmt.Errorf("%w: its header claims %d bytes", ErrFormat, length)
	}
	head := make([]byte, length)
	if _, err := r.ReadAt(head, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	descr, fortran, shape, err := parseHeader(string(head))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	a := &File{Shape: shape, r: r, data: start + length}
	switch descr {
	case "<f4":
		a.size = 4
	case "<f8":
		a.size = 8
	default:
		return nil, fmt.Errorf("%w: its elements are %q; float32 (\"<f4\") or float64 is needed: numpy.save(file, x.astype(\"<f4\"))", ErrFormat, descr)
	}
	if fortran && len(shape) > 1 {
		return nil, fmt.Errorf("%w: it is in Fortran order: numpy.save(file, numpy.ascontiguousarray(x))", ErrFormat)
	}
	elements := int64(1)
	for _, d := range shape {
		if d != 0 && elements > math.MaxInt64/16/int64(d) {
			return nil, fmt.Errorf("%w: shape %v is too large", ErrFormat, shape)
		}
		elements *= int64(d)
	}
	if have := size - a.data; have != elements*int64(a.size) {
		return nil, fmt.Errorf("%w: shape %v needs %d bytes of data, the file has %d", ErrFormat, shape, elements*int64(a.size), have)
	}
	return a, nil
}

// Elements is the product of the shape.
func (a *File) Elements() int {
	n := 1
	for _, d := range a.Shape {
		n *= d
	}
	return n
}

// ReadFloat32 fills dst with the elements from index first on; float64 values are rounded to float32.
func (a *File) ReadFloat32(dst []float32, first int) error {
	if first < 0 || first > a.Elements() || len(dst) > a.Elements()-first {
		return fmt.Errorf("elements %d..%d of an array of %d", first, first+len(dst), a.Elements())
	}
	var buf [8192]byte
	at := a.data + int64(first)*int64(a.size)
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/a.size)
		b := buf[:n*a.size]
		if _, err := io.ReadFull(io.NewSectionReader(a.r, at, int64(len(b))), b); err != nil {
			return err
		}
		for i := range n {
			if a.size == 4 {
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			} else {
				dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
			}
		}
		dst, at = dst[n:], at+int64(len(b))
	}
	return nil
}

// Close closes the file that Open opened.
func (a *File) Close() error {
	if a.close == nil {
		return nil
	}
	return a.close()
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
