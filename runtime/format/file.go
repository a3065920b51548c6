package format

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
	"unsafe"
)

// File is a model together with the memory its constants lie in.
type File struct {
	Model *Model
	Info  *Info

	mem      []byte
	mapped   bool
	hash     *hasher
	dropping sync.WaitGroup
}

// Open maps the file into memory where the system can, and otherwise reads it, and decodes it. Close gives the memory
// back: no constant of the model may be touched afterwards. While a file is mapped nobody may write into it; WriteFile
// replaces files instead, which is safe.
func Open(path string) (*File, error) {
	f, err := OpenUnverified(path)
	if err != nil {
		return nil, err
	}
	if err := f.Verify(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// OpenUnverified is Open that does not wait for the digest, which takes about as long as preparing the model: the caller
// may do that meanwhile, and must not use what came of it before Verify has found the file intact.
func OpenUnverified(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	out, err := load(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

func load(f *os.File, size int64) (*File, error) {
	if size >= headerSize && size == int64(int(size)) {
		if mem, err := mapFile(f, int(size)); err == nil {
			return newFile(mem, true)
		}
	}
	return read(f, size)
}

// Read reads a file of size bytes into memory aligned to 64 bytes, and decodes it.
func Read(r io.ReaderAt, size int64) (*File, error) {
	f, err := read(r, size)
	if err == nil {
		err = f.Verify()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func read(r io.ReaderAt, size int64) (*File, error) {
	if size < 0 || size != int64(int(size)) || size > int64(^uint(0)>>1)-alignment {
		return nil, failf("header", "a file of %d bytes does not fit this machine's memory", size)
	}
	var last [1]byte // a wrong size must not become an allocation
	if n, err := r.ReadAt(last[:], max(size-1, 0)); n == 0 {
		if err != io.EOF {
			return nil, err
		}
		return nil, failf("header", "the file is shorter than %d bytes", max(size, 1))
	}
	mem := alignedBytes(int(size))
	if n, err := r.ReadAt(mem, 0); n < len(mem) {
		if err == io.EOF {
			return nil, failf("header", "the file ends after %d of %d bytes", n, size)
		}
		return nil, err
	}
	return newFile(mem, false)
}

// newFile decodes the model and begins to compute the digest.
func newFile(mem []byte, mapped bool) (*File, error) {
	f := &File{mem: mem, mapped: mapped, hash: newHasher(mem)}
	f.hash.background()
	var err error
	if f.Model, f.Info, err = decode(mem, false); err == nil {
		return f, nil
	}
	// In a damaged file anything may look wrong: say so first.
	if e := f.Verify(); e != nil {
		err = e
	}
	f.Close()
	return nil, err
}

// Verify computes what is left of the digest and returns an error if it does not fit the contents.
func (f *File) Verify() error {
	if len(f.mem) >= headerSize && f.hash.sum() == [sha256.Size]byte(f.mem[offDigest:headerSize]) {
		return nil
	}
	_, _, err := Decode(f.mem)
	return err
}

// alignedBytes allocates n bytes on a 64-byte boundary, so that constants are as aligned as in a mapped file.
func alignedBytes(n int) []byte {
	b := make([]byte, n+alignment)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (alignment - 1))
	return b[skip : skip+n : skip+n]
}

// Close gives the memory back. It may be called more than once.
func (f *File) Close() error {
	f.hash.left.Wait() // it reads the memory
	f.dropping.Wait()
	mem, mapped := f.mem, f.mapped
	f.mem, f.mapped = nil, false
	if !mapped {
		return nil
	}
	return unmapFile(mem)
}

// DropPages tells the system that the pages of the file are not needed for now: after weights were packed, they need not stay
// in memory. The data stays valid, a later access reads it from the file again. It returns at once, and does nothing
// where the file is not mapped.
func (f *File) DropPages() {
	if mem := f.mem; f.mapped {
		f.dropping.Go(func() { _ = dropPages(mem) }) // advice
	}
}
