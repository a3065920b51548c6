package frame

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
)

// noise is the generator of testdata/gen.py.
func noise(n int, seed uint32) []byte {
	b := make([]byte, n)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}

func TestResizeLikePillow(t *testing.T) {
	f, err := os.Open("testdata/resize.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r Resizer
	lines := bufio.NewScanner(f)
	for n := uint32(0); lines.Scan(); n++ {
		var rule, want string
		var w, h int
		var s Spec
		if _, err := fmt.Sscan(lines.Text(), &rule, &w, &h, &s.W, &s.H, &s.Resize, &want); err != nil {
			t.Fatal(err)
		}
		s.Rule = map[string]Rule{"squash": Squash, "crop": CenterCrop}[rule]
		img := &Image{Pix: noise(3*w*h, n), W: w, H: h}
		dst := make([]byte, 3*s.W*s.H)
		if err := r.Preprocess(dst, img, s); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(dst)); got != want {
			t.Errorf("%s: %s", lines.Text(), got)
		}
		// The same pixels in another format, the other order of colours.
		bgra := make([]byte, 0, 4*w*h)
		for i := 0; i < len(img.Pix); i += 3 {
			bgra = append(bgra, img.Pix[i+2], img.Pix[i+1], img.Pix[i], 7)
		}
		s.Order = BGR
		other := make([]byte, len(dst))
		if err := r.PreprocessFrame(other, &Frame{Format: BGRA, Width: w, Height: h, Planes: [3][]byte{bgra}}, s); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(dst); i += 3 {
			dst[i], dst[i+2] = dst[i+2], dst[i]
		}
		if !bytes.Equal(dst, other) {
			t.Errorf("%s: a BGRA frame gives other pixels", lines.Text())
		}
	}
}

// TestDecodeLikePillow compares lossless pictures exactly and lossy ones within the roundings of the decoders.
func TestDecodeLikePillow(t *testing.T) {
	content := pictures(t)
	for name, data := range content {
		want, ok := content[name+".rgb"]
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			img, err := DecodeImage(bytes.NewReader(data), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			format := strings.Replace(strings.TrimPrefix(path.Ext(name), "."), "jpg", "jpeg", 1)
			w, h := int(binary.LittleEndian.Uint16(want)), int(binary.LittleEndian.Uint16(want[2:]))
			if img.Format != format || img.W != w || img.H != h || len(img.Pix) != 3*w*h {
				t.Fatalf("%s of %dx%d with %d bytes, want %s of %dx%d", img.Format, img.W, img.H, len(img.Pix), format, w, h)
			}
			mean, top := difference(img.Pix, want[4:])
			t.Logf("difference %.3f on average, at most %d", mean, top)
			lossy := strings.HasSuffix(name, "jpg") || strings.HasPrefix(name, "lossy")
			if top > 0 && !lossy || mean > 0.1 || top > 3 {
				t.Errorf("difference %.3f on average, at most %d", mean, top)
			}
		})
	}
}

func difference(a, b []byte) (mean float64, top int) {
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		d = max(d, -d)
		sum += d
		top = max(top, d)
	}
	return float64(sum) / float64(len(a)), top
}
