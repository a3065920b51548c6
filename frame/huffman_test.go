package frame

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"
)

// A picture without its Huffman tables, as cameras send it, decodes as with them.
func TestJPEGWithoutTables(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 40, 24), image.YCbCrSubsampleRatio422)
	copy(m.Y, noise(len(m.Y), 1))
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	bare := whole[:2:2]
	rest := 2
	segments(whole, func(marker byte, segment []byte) bool {
		if marker != markerDHT {
			bare = append(bare, segment...)
		}
		rest += len(segment)
		return marker != markerSOS
	})
	bare = append(bare, whole[rest:]...)
	if len(bare) > len(whole)-400 || bytes.Contains(bare, []byte{0xff, markerDHT}) {
		t.Fatalf("%d bytes of %d: the tables are still there", len(bare), len(whole))
	}
	want, err := DecodeImage(bytes.NewReader(whole), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeImage(bytes.NewReader(bare), DefaultLimits)
	if err != nil || !bytes.Equal(got.Pix, want.Pix) {
		t.Errorf("differs, error %v", err)
	}
	for n := range len(bare) { // however it is cut off, no panic, and no tables of which there is nothing to decode
		if _, err := DecodeFrame(bare[:n], DefaultLimits); err == nil && n < len(bare)-2 {
			t.Errorf("%d bytes decode", n)
		}
	}
}
