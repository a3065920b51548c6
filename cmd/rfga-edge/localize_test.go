package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// line is a JSON line of localize, either kind.
type line struct {
	rfgaedge.Record
	Error string `json:"error"`
}

func lines(t *testing.T, out string) (list []line) {
	t.Helper()
	for s := range strings.Lines(out) {
		var l line
		decode(t, s, &l)
		list = append(list, l)
	}
	return list
}

func TestLocalizeJSON(t *testing.T) {
	dir := t.TempDir()
	square := image.Rect(30, 40, 80, 100)
	img := photo(t, filepath.Join(dir, "a.png"), square, red)
	out, stderr := expect(t, exitOK, "localize", "--model", colours(t, dir), "--json", "--topk", "2", img)
	if stderr != "" {
		t.Errorf("stderr: %s", stderr)
	}
	// The order of the keys is part of the interface.
	at := -1
	for _, key := range []string{`{"v":1,"src":"`, `"model":"colours"`, `"digest":"sha256:`, `"precision":"fp32"`, `"isa":"`, `"w":160,"h":120,"cls":[{"id":0,"label":"red fox, Vulpes vulpes","p":`, `"loc":[{"id":0,"label":"`, `"p":`, `"box":[`, `"thr":0.4`, `"area":`, `"us":{"decode":`, `"pre":`, `"infer":`, `"post":`} {
		next := strings.Index(out[at+1:], key)
		if next < 0 {
			t.Fatalf("%s is missing or out of order in %s", key, out)
		}
		at += 1 + next
	}
	l := lines(t, out)[0]
	if l.Src != img || len(l.Classes) != 2 || len(l.Locations) < 1 {
		t.Fatalf("%+v", l)
	}
	for i, want := range []int{square.Min.X, square.Min.Y, square.Max.X, square.Max.Y} {
		if got := l.Locations[0].Box[i]; got < want-8 || got > want+8 {
			t.Errorf("box %v, want about %v", l.Locations[0].Box, square)
		}
	}
}

func TestLocalizeText(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	a := photo(t, filepath.Join(dir, "in", "a.png"), image.Rect(30, 40, 80, 100), red)
	photo(t, filepath.Join(dir, "in", "B.PNG"), image.Rect(0, 0, 50, 50), blue)
	file(t, filepath.Join(dir, "in", "notes.txt"), "no image")
	photo(t, filepath.Join(dir, "in", "deeper", "c.png"), image.Rect(0, 0, 50, 50), blue)
	out, _ := expect(t, exitOK, "localize", "-m", model, filepath.Join(dir, "in"))
	got := strings.Split(strings.TrimSpace(out), "\n")
	if len(got) != 2 || !strings.Contains(got[0], "B.PNG") || !strings.Contains(got[0], "blue jay") || !strings.Contains(got[1], "a.png") || !strings.Contains(got[1], "red fox") {
		t.Errorf("folder:\n%s", out)
	}
	if strings.Index(got[0], "blue jay") != strings.Index(got[1], "red fox") || strings.Index(got[0], "[") != strings.Index(got[1], "[") {
		t.Errorf("columns do not line up:\n%s", out)
	}
	if out, _ := expect(t, exitOK, "localize", "-m", model, "--min-p", "1", a); !strings.Contains(out, "nothing found") {
		t.Errorf("--min-p 1: %s", out)
	}
	if out, _ := expect(t, exitOK, "localize", "-m", model, "--class", "GREEN snake", "--topk", "1", a); !strings.Contains(out, "red fox") {
		t.Errorf("--class: %s", out)
	}
}

func TestLocalizeClass(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	a := photo(t, filepath.Join(dir, "a.png"), image.Rect(30, 40, 80, 100), blue)
	for _, class := range []string{"2", "Blue Jay", "jay"} {
		out, _ := expect(t, exitOK, "localize", "-m", model, "--json", "--class", class, "--class", "0", a)
		if l := lines(t, out)[0]; len(l.Locations) != 1 || l.Locations[0].ID != 2 || l.Classes[0].ID != 2 {
			t.Errorf("--class %s: %s", class, out)
		}
	}
	if _, stderr := expect(t, exitUsage, "localize", "-m", model, "--class", "e", a); !strings.Contains(stderr, "red fox") {
		t.Errorf("candidates are missing: %s", stderr)
	}
}

func TestLocalizeStdin(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	b, err := os.ReadFile(photo(t, filepath.Join(dir, "a.png"), image.Rect(30, 40, 80, 100), red))
	if err != nil {
		t.Fatal(err)
	}
	over := filepath.Join(dir, "over")
	code, out, stderr := command(bytes.NewReader(b), "localize", "-m", model, "--json", "--overlay", over, "-")
	if l := lines(t, out); code != exitOK || l[0].Src != "-" || l[0].W != 160 || names(t, over) != "stdin.overlay.png" {
		t.Errorf("exit code %d, %s%s", code, out, stderr)
	}
	if code, out, _ := command(bytes.NewReader(b[:50]), "localize", "-m", model, "--json", "-"); code != exitInput || lines(t, out)[0].Error == "" {
		t.Errorf("exit code %d, %s", code, out)
	}
}

func TestLocalizePartialFailure(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	good := photo(t, filepath.Join(dir, "good.png"), image.Rect(30, 40, 80, 100), red)
	bad := file(t, filepath.Join(dir, "bad.jpg"), "not an image")
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	out, _ := expect(t, exitInput, "localize", "-m", model, "--json", good, bad, empty, good)
	l := lines(t, out)
	if len(l) != 4 || l[0].Error != "" || l[3].Error != "" || l[1].Error == "" || l[1].Src != bad || l[2].Error == "" || l[2].Src != empty {
		t.Errorf("%s", out)
	}
	if strings.Contains(l[1].Error, dir) {
		t.Errorf("the error repeats the name: %s", l[1].Error)
	}
	missing := filepath.Join(dir, "missing.png")
	out, stderr := expect(t, exitIO, "localize", "-m", model, missing, bad, good)
	if strings.Count(out, "\n") != 1 || !strings.Contains(stderr, missing) || !strings.Contains(stderr, bad) {
		t.Errorf("stdout: %sstderr: %s", out, stderr)
	}
}

func TestLocalizePictures(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	square := image.Rect(30, 40, 80, 100)
	a := photo(t, filepath.Join(dir, "a", "x.png"), square, red)
	b := photo(t, filepath.Join(dir, "b", "x.PNG"), square, blue)
	over, heat := filepath.Join(dir, "over", "new"), filepath.Join(dir, "heat")
	expect(t, exitOK, "localize", "-m", model, "--overlay", over, "--heatmap", heat, a, b)
	if got := names(t, over); got != "x-2.overlay.png x.overlay.png" {
		t.Errorf("overlays: %s", got)
	}
	if got := names(t, heat); got != "x-2.heat.png x.heat.png" {
		t.Errorf("heat maps: %s", got)
	}
	img := readPNG(t, filepath.Join(heat, "x.heat.png"))
	gray, ok := img.(*image.Gray)
	if !ok || img.Bounds() != image.Rect(0, 0, 160, 120) || gray.GrayAt(55, 70).Y < 200 || gray.GrayAt(140, 20).Y > 60 {
		t.Errorf("heat map %T of %v, %v inside, %v outside", img, img.Bounds(), img.At(55, 70), img.At(140, 20))
	}
	if img := readPNG(t, filepath.Join(over, "x.overlay.png")); img.Bounds() != image.Rect(0, 0, 160, 120) {
		t.Errorf("overlay of %v", img.Bounds())
	}
	// Results beside the sources: nothing is overwritten, whatever the sources are called.
	file(t, filepath.Join(dir, "a", "x.overlay.png"), "precious")
	code, _, _ := command(nil, "localize", "-m", model, "--overlay", filepath.Join(dir, "a"), a, filepath.Join(dir, "a", "x.overlay.png"))
	if kept, _ := os.ReadFile(filepath.Join(dir, "a", "x.overlay.png")); code != exitInput || string(kept) != "precious" {
		t.Errorf("exit code %d, a source was overwritten", code)
	}
	// Nothing found: there is a picture all the same, and an empty heat map.
	none := filepath.Join(dir, "none")
	expect(t, exitOK, "localize", "-m", model, "--min-p", "1", "--overlay", none, "--heatmap", none, a)
	if c := readPNG(t, filepath.Join(none, "x.heat.png")).At(55, 70); c != (color.Gray{}) {
		t.Errorf("the heat of nothing is %v", c)
	}
	expect(t, exitIO, "localize", "-m", model, "--overlay", filepath.Join(a, "no"), a)
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
