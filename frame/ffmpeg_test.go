package frame

import (
	"archive/zip"
	"io"
	"strings"
	"testing"
)

// TestFramesLikeFFmpeg compares colours and resize with what ffmpeg and Pillow make of the same frames (testdata/gen_frames.py).
func TestFramesLikeFFmpeg(t *testing.T) {
	z, err := zip.OpenReader("testdata/frames.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	content := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if content[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	const w, h = 30, 24
	n := 0
	for name, data := range content {
		stem, ok := strings.CutSuffix(name, ".yuv")
		if !ok {
			continue
		}
		n++
		parts := strings.Split(stem, "-")
		format, err := ParseFormat(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		f := &Frame{Format: format, Width: 88, Height: 62, Matrix: map[string]Matrix{"bt601": BT601, "bt709": BT709}[parts[1]],
			Range: map[string]Range{"limited": Limited, "full": Full}[parts[2]]}
		if err := f.Split(data); err != nil {
			t.Fatal(err)
		}
		var r Resizer
		dst := make([]byte, 3*w*h)
		for _, filter := range []Filter{Exact, Antialiased} {
			if err := r.PreprocessFrame(dst, f, Spec{W: w, H: h, Filter: filter}); err != nil {
				t.Fatal(err)
			}
			mean, top := difference(dst, content[stem+".rgb"])
			t.Logf("%s, filter %d: %.3f on average, at most %d", stem, filter, mean, top)
			if mean > 0.3 || top > 1 {
				t.Errorf("%s, filter %d: %.3f on average, at most %d", stem, filter, mean, top)
			}
		}
	}
	if n != 13 {
		t.Errorf("%d frames", n)
	}
}
