package main

import (
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// streamLine is a line of stream, either kind.
type streamLine struct {
	rfgaedge.Record
	Error   string
	Seq     uint64
	TS      string
	Dropped uint64
}

// video writes frames of raw RGB, black but for a box of one colour each.
func video(t *testing.T, dir string, box image.Rectangle, colors ...color.RGBA) string {
	t.Helper()
	var b []byte
	for _, c := range colors {
		for y := range 120 {
			for x := range 160 {
				p := []byte{0, 0, 0}
				if (image.Point{x, y}).In(box) {
					p = []byte{c.R, c.G, c.B}
				}
				b = append(b, p...)
			}
		}
	}
	path := filepath.Join(dir, "video.rgb")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStream(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	green, blue := color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}
	path := video(t, dir, image.Rect(30, 40, 80, 100), color.RGBA{255, 0, 0, 255}, green, blue, green)
	if err := os.Truncate(path, 4*3*160*120-1); err != nil { // the last frame is one byte short
		t.Fatal(err)
	}
	look := func(want []string, args ...string) []streamLine {
		t.Helper()
		out, _ := expect(t, exitOK, append([]string{"stream", "--model", model, "--format", "rgb24", "--size", "160x120", path}, args...)...)
		var list []streamLine
		for s := range strings.Lines(out) {
			var l streamLine
			decode(t, s, &l)
			list = append(list, l)
		}
		if len(list) != len(want) {
			t.Fatalf("%v: %d lines, want %d:\n%s", args, len(list), len(want), out)
		}
		for i, w := range want {
			switch l := list[i]; {
			case w == "":
				if l.Error == "" {
					t.Errorf("%v: line %d has no error", args, i)
				}
			case l.Src != path || len(l.Classes) != 1 || l.Classes[0].Label != w || l.TS == "" || l.Dropped != 0:
				t.Errorf("%v: line %d is %+v, want %s", args, i, l, w)
			}
		}
		return list
	}
	list := look([]string{"red fox, Vulpes vulpes", "green snake", "blue jay", ""})
	for i, l := range list {
		if l.Seq != uint64(i) {
			t.Errorf("line %d has frame %d", i, l.Seq)
		}
	}
	whole := list[0].Locations[0].Box
	if list = look([]string{"red fox, Vulpes vulpes", "blue jay", ""}, "--every", "2"); list[1].Seq != 2 {
		t.Errorf("every second frame: %+v", list[1])
	}
	// A quarter of the frame around the box: the box stays in the frame's pixels, and can only become finer.
	part := look([]string{"red fox, Vulpes vulpes", "green snake", "blue jay", ""}, "--roi", "16,30,80,80")[0].Locations[0].Box
	for i := range part {
		if d := part[i] - whole[i]; d < -8 || d > 8 {
			t.Errorf("box %v, with a region %v", whole, part)
			break
		}
	}
}

func TestStreamRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no video"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--format", "rgb24"}, {"--format", "rgb24", "--size", "160"}, {"--format", "rgb24", "--size", "0x5"}, {"--format", "rgb99", "--size", "2x2"},
		{"--roi", "1,2,3"}, {"--roi", "1,2,0,3"}, {"--every", "0"}, {"--fps-max", "-1"}, {"--fps-max", "NaN"}, {"--topk", "0"}, {},
	} {
		expect(t, exitUsage, append([]string{"stream", text}, args...)...)
	}
	expect(t, exitUsage, "stream", dir)
	expect(t, exitUsage, "stream", "tcp://192.0.2.1:80")
	expect(t, exitIO, "stream", filepath.Join(dir, "none"))
}
