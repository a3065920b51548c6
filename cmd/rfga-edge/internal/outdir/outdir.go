// Package outdir writes result files beside each other: a source's name becomes a file name that is safe on every system,
// that no other source of the run has, and that is no source itself; a file appears under its name only when it is whole.
//
// It imports only the standard library.
package outdir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 150 // bytes before the suffix; file systems allow 255

// Dir is a folder for results.
type Dir struct {
	path  string
	taken map[string]bool // lower case: some file systems do not tell x from X
}

// New makes the folder if it is not there. No result takes the place of one of the sources, paths of files.
func New(path string, sources []string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	d := &Dir{path: path, taken: map[string]bool{}}
	here, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		if abs, err := filepath.Abs(s); err == nil && filepath.Dir(abs) == here {
			d.taken[strings.ToLower(filepath.Base(abs))] = true
		}
	}
	return d, nil
}

// Create writes the result of a source and returns its path. The name is the source's base name without extension, then
// the suffix, with a number between them where another source has the name already.
func (d *Dir) Create(source, suffix string, write func(io.Writer) error) (string, error) {
	path := d.Path(Stem(source), suffix)
	return path, WriteFile(path, write)
}

// Path returns a path in the folder for a name that need not be safe or new, and takes it.
func (d *Dir) Path(name, suffix string) string {
	stem := safe(name)
	name = stem + suffix
	for n := 2; d.taken[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s-%d%s", stem, n, suffix)
	}
	d.taken[strings.ToLower(name)] = true
	return filepath.Join(d.path, name)
}

// Stem is the part of a source's name that its results carry.
func Stem(source string) string {
	name := filepath.Base(source)
	return safe(strings.TrimSuffix(name, filepath.Ext(name)))
}

// safe makes a name that every file system takes, and that stays in its folder.
func safe(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune(" ._-+()[]@=,~", r) {
			return r
		}
		return '_'
	}, strings.ToValidUTF8(name, "_"))
	for len(name) > maxName {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	name = strings.Trim(name, " .")
	switch strings.ToLower(name) {
	case "", "con", "prn", "aux", "nul":
		name += "_" // empty, or a device of Windows
	}
	return name
}

// WriteFile writes a temporary file beside path and renames it, so that path never holds half a result.
func WriteFile(path string, write func(io.Writer) error) error {
	f, err := Begin(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

// File is a result in the making, in a temporary file. Every File ends with Commit or Abort.
type File struct {
	*bufio.Writer
	path string
	tmp  *os.File
}

// Begin opens a result that will be at path.
func Begin(path string) (*File, error) {
	for {
		// Unlike os.CreateTemp with the mode that the user's umask gives every new file.
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".rfga-edge-%016x.tmp", rand.Uint64()))
		tmp, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return &File{bufio.NewWriterSize(tmp, 1<<16), path, tmp}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
}

// Commit puts the file in its place.
func (f *File) Commit() error {
	if err := f.Flush(); err != nil {
		return errors.Join(err, f.Abort())
	}
	err := f.tmp.Close()
	if err == nil {
		err = os.Rename(f.tmp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.tmp.Name()))
	}
	return nil
}

// Abort removes the file.
func (f *File) Abort() error { return errors.Join(f.tmp.Close(), os.Remove(f.tmp.Name())) }
