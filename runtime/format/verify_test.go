package format

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A damaged constant is found by Verify, a damaged structure by opening: in both cases the digest is what is said to be wrong.
func TestOpenUnverified(t *testing.T) {
	whole := encoded(t, sample(t, I8))
	path := filepath.Join(t.TempDir(), "m.rfga")
	write := func(at int) {
		t.Helper()
		b := append([]byte{}, whole...)
		if at >= 0 {
			b[at] ^= 1
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(-1)
	f, err := OpenUnverified(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Verify(); err != nil {
			t.Error(err)
		}
	}
	data := f.Info.Sections[len(f.Info.Sections)-1]
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}

	late := 0
	for at := int(data.Offset); at < int(data.Offset+data.Size); at += 7 {
		write(at)
		f, err := OpenUnverified(path)
		if err == nil {
			late++
			err = f.Verify()
			f.Close()
		}
		if !errors.Is(err, ErrDigest) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if _, err := Open(path); !errors.Is(err, ErrDigest) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	if late == 0 {
		t.Error("no damage was left to Verify")
	}
	write(headerSize + 1) // the directory
	if _, err := OpenUnverified(path); !errors.Is(err, ErrDigest) {
		t.Error(err)
	}
}
