package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/npy"
)

// The formats, as Checkpoint.Format has them.
const (
	formatZip         = "PyTorch (zip)"
	formatLegacy      = "PyTorch (legacy)"
	formatSafetensors = "safetensors"
	formatNPZ         = "NumPy (.npz)"
)

// Sniff says whether a file that begins with head, of which 16 bytes are enough, is for this package.
func Sniff(head []byte) bool { return sniff(head) != "" }

func sniff(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return formatZip
	case len(head) > 2 && head[0] == opProto && head[1] <= maxProtocol:
		return formatLegacy
	case len(head) > 8 && head[8] == '{' && bytes.Equal(head[4:8], make([]byte, 4)): // a header of less than 4 GiB
		return formatSafetensors
	}
	return ""
}

// Checkpoint is an open file of named tensors.
type Checkpoint struct {
	Format  string
	tensors map[string]*Tensor
	file    io.Closer
}

// Open reads the structure of a file; its tensors are read on demand, until Close.
func Open(path string) (*Checkpoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var c *Checkpoint
	if err == nil {
		c, err = Read(f, st.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.file = f
	return c, nil
}

// Read is Open for a file of the given size that is at hand; r must stay readable while tensors are wanted.
func Read(r io.ReaderAt, size int64) (*Checkpoint, error) {
	head := make([]byte, min(size, 64))
	if _, err := readFull(r, head, 0); err != nil {
		return nil, fmt.Errorf("reading the first %d bytes: %w", len(head), err)
	}
	var (
		c   Checkpoint
		err error
	)
	switch c.Format = sniff(head); c.Format {
	case formatZip:
		c.Format, c.tensors, err = readArchive(r, size)
	case formatLegacy:
		c.tensors, err = readLegacy(r, size)
	case formatSafetensors:
		c.tensors, err = readSafetensors(r, size)
	default:
		if len(head) > 0 && head[0] == '<' {
			return nil, errors.New("this is a page of text, not weights (it begins with '<'); a download that failed often leaves one")
		}
		if len(head) == 0 {
			return nil, errors.New("not a checkpoint: the file is empty")
		}
		if bytes.HasPrefix(head, []byte("\x89HDF\r\n\x1a\n")) {
			return nil, errors.New("this is HDF5, as Keras writes .h5 files, which is not read; " + kerasAdvice)
		}
		if bytes.HasPrefix(head, []byte(npy.Magic)) {
			return nil, errors.New("this is a single array of NumPy; name the tensors and save them all with numpy.savez")
		}
		return nil, fmt.Errorf("not a checkpoint: it begins with % x, which is neither PyTorch's zip or legacy format nor safetensors nor NumPy's .npz nor ONNX nor LiteRT", head[:min(len(head), 16)])
	}
	if err == nil {
		c.tensors, err = cleanNames(c.tensors)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Format, err)
	}
	return &c, nil
}

// Close releases the file.
func (c *Checkpoint) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// Names lists the tensors in alphabetical order.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.tensors)) }

// Tensor returns a tensor, or nil.
func (c *Checkpoint) Tensor(name string) *Tensor { return c.tensors[name] }

// cleanNames drops what wrappers put into names: every path element "module" (DataParallel, around all or a part of the
// network) and "_orig_mod" (torch.compile).
func cleanNames(in map[string]*Tensor) (map[string]*Tensor, error) {
	if len(in) == 0 {
		return nil, errors.New("the file holds no tensors")
	}
	out := make(map[string]*Tensor, len(in))
	for _, name := range slices.Sorted(maps.Keys(in)) {
		parts := slices.DeleteFunc(strings.Split(name, "."), func(p string) bool { return p == "module" || p == "_orig_mod" })
		short := strings.Join(parts, ".")
		if out[short] != nil {
			return nil, fmt.Errorf("two tensors are called %s once \"module.\" is taken off their names", quote(short))
		}
		t := in[name]
		t.Name = short
		out[short] = t
	}
	return out, nil
}

// quote makes a name from a file safe to print.
func quote(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q... (%d bytes)", s[:120], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// readFull is ReadAt that wants all of p, and calls a short file by its name.
func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
