package outdir

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func TestNamesDoNotCollide(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	d, err := New(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"x.overlay.png", "x-2.overlay.png", "X-3.overlay.png", "x-2-2.overlay.png"}
	for i, source := range []string{"a/x.jpg", "b/x.png", "c/X.gif", "a/x-2.jpg"} {
		path, err := d.Create(source, ".overlay.png", text(source))
		if err != nil || filepath.Base(path) != want[i] {
			t.Errorf("%s goes to %s, error %v, want %s", source, path, err, want[i])
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != source {
			t.Errorf("%s holds %q, error %v", path, b, err)
		}
	}
}

func TestSourcesAreSafe(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "x.overlay.png")
	if err := os.WriteFile(source, []byte("photo"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := New(dir, []string{source})
	if err != nil {
		t.Fatal(err)
	}
	if path, err := d.Create(filepath.Join(dir, "x.jpg"), ".overlay.png", text("result")); err != nil || path == source {
		t.Errorf("the result is %s, error %v", path, err)
	}
	if b, _ := os.ReadFile(source); string(b) != "photo" {
		t.Error("a source was overwritten")
	}
}

func TestStem(t *testing.T) {
	for in, want := range map[string]string{
		"a/b.jpg": "b", "-": "-", "../..": "_", "/": "_", "": "_", "a/.jpg": "_", "x\x00\n:*?.png": "x_____", "con.png": "con_", "ümläut 1.jpeg": "ümläut 1", "a.b.c": "a.b",
		"x\xff.jpg": "x_",
	} {
		if got := Stem(in); got != want {
			t.Errorf("Stem(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Stem(strings.Repeat("ü", 400) + ".png"); len(got) > maxName {
		t.Errorf("a long name stays %d bytes long", len(got))
	}
}

func TestFailureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	bad := errors.New("no")
	if err := WriteFile(filepath.Join(dir, "x"), func(io.Writer) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}
