package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// Writer writes a float32 array element by element, in C order.
type Writer struct {
	w    io.Writer
	left int
	buf  []byte
}

// NewWriter writes the header of an array of the shape. All its elements must follow.
func NewWriter(w io.Writer, shape []int) (*Writer, error) {
	dims, n := make([]string, len(shape)), 1
	for i, d := range shape {
		dims[i] = fmt.Sprint(d)
		n *= d
	}
	tuple := "(" + strings.Join(dims, ", ")
	if len(shape) == 1 {
		tuple += ","
	}
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': %s), }", tuple)
	// The format asks for a header that ends in a newline and leaves the data aligned to 64 bytes.
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	_, err := w.Write(append(b, head...))
	return &Writer{w: w, left: n}, err
}

// Write appends elements.
func (w *Writer) Write(x []float32) error {
	if len(x) > w.left {
		return fmt.Errorf("npy: %d elements more than the shape holds", len(x)-w.left)
	}
	w.left -= len(x)
	w.buf = w.buf[:0]
	for _, v := range x {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
	}
	_, err := w.w.Write(w.buf)
	return err
}

// Close reports elements that were not written; it does not close the underlying writer.
func (w *Writer) Close() error {
	if w.left != 0 {
		return fmt.Errorf("npy: %d elements are missing", w.left)
	}
	return nil
}
