package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/rfga-edge/rfga-edge/convert/npy"
)

const magic = npy.Magic

// ErrFormat is wrapped by every error that is the file's fault rather than the disk's.
var ErrFormat = errors.New("not a usable .npy file")

// File is an opened array. Its elements are read with ReadFloat32 or ReadFloat64.
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
	h, err := npy.ReadHeader(r, size)
	if errors.Is(err, npy.ErrHeader) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err != nil {
		return nil, err
	}
	a := &File{Shape: h.Shape, r: r, data: h.Data}
	switch h.Descr {
	case "<f4":
		a.size = 4
	case "<f8":
		a.size = 8
	default:
		return nil, fmt.Errorf("%w: its elements are %q; float32 (\"<f4\") or float64 is needed: numpy.save(file, x.astype(\"<f4\"))", ErrFormat, h.Descr)
	}
	if h.Fortran && len(h.Shape) > 1 {
		return nil, fmt.Errorf("%w: it is in Fortran order: numpy.save(file, numpy.ascontiguousarray(x))", ErrFormat)
	}
	elements := int64(1)
	for _, d := range h.Shape {
		if d != 0 && elements > math.MaxInt64/16/int64(d) {
			return nil, fmt.Errorf("%w: shape %v is too large", ErrFormat, h.Shape)
		}
		elements *= int64(d)
	}
	if have := size - a.data; have != elements*int64(a.size) {
		return nil, fmt.Errorf("%w: shape %v needs %d bytes of data, the file has %d", ErrFormat, h.Shape, elements*int64(a.size), have)
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
	return a.read(len(dst), first, func(i int, v float64) { dst[i] = float32(v) })
}

// ReadFloat64 fills dst with the elements from index first on.
func (a *File) ReadFloat64(dst []float64, first int) error {
	return a.read(len(dst), first, func(i int, v float64) { dst[i] = v })
}

// read passes n elements from index first on to store. A float32 is a float64 and comes back the same.
func (a *File) read(n, first int, store func(i int, v float64)) error {
	if first < 0 || first > a.Elements() || n > a.Elements()-first {
		return fmt.Errorf("elements %d..%d of an array of %d", first, first+n, a.Elements())
	}
	var buf [8192]byte
	at := a.data + int64(first)*int64(a.size)
	for i := 0; i < n; {
		b := buf[:min(n-i, len(buf)/a.size)*a.size]
		if _, err := io.ReadFull(io.NewSectionReader(a.r, at, int64(len(b))), b); err != nil {
			return err
		}
		at += int64(len(b))
		for ; len(b) > 0; i, b = i+1, b[a.size:] {
			if a.size == 4 {
				store(i, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
			} else {
				store(i, math.Float64frombits(binary.LittleEndian.Uint64(b)))
			}
		}
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
