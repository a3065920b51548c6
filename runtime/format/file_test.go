package format

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func list(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.rfga")
	m := sample(t, I8)

	bad := *m
	bad.Input = 1 << 20
	if err := WriteFile(path, &bad); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("an invalid model: %v", err)
	}
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("an error leaves %v", names)
	}
	if err := WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	if names := list(t, dir); !slices.Equal(names, []string{"m.rfga"}) {
		t.Errorf("the directory has %v", names)
	}
	if st, _ := os.Stat(path); runtime.GOOS == "linux" && st.Mode().Perm()&0o400 == 0 {
		t.Errorf("mode %v", st.Mode())
	}
	if err := WriteFile(path, &bad); err == nil {
		t.Error("an invalid model")
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, encoded(t, m)) {
		t.Error("an error changed the file that was there")
	}
	// A rename that fails, because the name is a directory that is not empty.
	if err := WriteFile(dir, m); err == nil {
		t.Error("wrote over a directory")
	}
	if err := WriteFile(filepath.Join(dir, "no", "m.rfga"), m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such directory: %v", err)
	}
	if names := list(t, dir); !slices.Equal(names, []string{"m.rfga"}) {
		t.Errorf("errors leave %v", names)
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".rfga-*")); len(names) != 0 {
		t.Errorf("errors leave %v", names)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.rfga")
	m := sample(t, F32)
	if err := WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Model, m) {
		t.Error("another model")
	}
	if runtime.GOOS == "linux" && !f.mapped {
		t.Error("the file is not mapped")
	}
	// A new file may take the name while the old one is in use.
	if err := WriteFile(path, sample(t, I8)); err != nil {
		t.Error(err)
	}
	f.DropPages()
	if !reflect.DeepEqual(f.Model, m) {
		t.Error("the data changed after its pages were dropped")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}

	if _, err := Open(dir); err == nil {
		t.Error("opened a directory")
	}
	for what, content := range map[string][]byte{"empty": nil, "short": []byte(magic), "text": bytes.Repeat([]byte("text"), 100)} {
		path := filepath.Join(dir, what)
		os.WriteFile(path, content, 0o666)
		var e *Error
		if _, err := Open(path); !errors.As(err, &e) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRead(t *testing.T) {
	m := sample(t, F32)
	file := encoded(t, m)
	f, err := Read(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Model, m) {
		t.Error("another model")
	}
	for i, x := range f.Model.Tensors {
		if x.Data != nil && uintptr(unsafe.Pointer(&x.Data[0]))%64 != 0 {
			t.Errorf("tensor %d is not aligned", i)
		}
	}
	f.DropPages()
	f.Close()
	for _, size := range []int64{-1, 0, 1, int64(len(file)) - 1, int64(len(file)) + 1, 1 << 40, 1<<63 - 1} {
		if _, err := Read(bytes.NewReader(file), size); err == nil {
			t.Errorf("read with size %d", size)
		}
	}
}

func TestEncodeReportsWriteErrors(t *testing.T) {
	m := sample(t, F32)
	n := len(encoded(t, m))
	for at := 0; at < n; at += 97 {
		if err := Encode(&fullDisk{at}, m); err != errFull {
			t.Fatalf("full after %d bytes: %v", at, err)
		}
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.left)
	d.left -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}
