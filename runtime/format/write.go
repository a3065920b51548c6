package format

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// WriteFile writes m to path, so that path holds either what it held before or the whole new file: it writes a temporary
// file in the same directory, forces it to the disk and renames it. The temporary file is removed on any error.
func WriteFile(path string, m *Model) (err error) {
	f, err := createTemp(path)
	if err != nil {
		return err
	}
	temp := f.Name()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
			f.Close() // again, perhaps; the first error is the one to report
			os.Remove(temp)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := Encode(w, m); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// createTemp differs from os.CreateTemp in the file's mode: the user's umask decides who may read a model.
func createTemp(path string) (*os.File, error) {
	dir, _ := filepath.Split(path)
	for {
		name := fmt.Sprintf("%s.rfga-%016x.tmp", dir, rand.Uint64())
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// syncDir makes the rename durable where directories can be synced; the file is complete either way.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
