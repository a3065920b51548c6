package frame

import (
	"bytes"
	"image"
	"image/jpeg"
	"io"
	"sync"
)

// openJPEG gives a JPEG's bytes. Many cameras leave out the Huffman tables of their pictures because all have the same, those
// that the standard lists as examples; they are put back.
func openJPEG(data []byte) io.Reader {
	if len(data) < 2 || hasTables(data) {
		return bytes.NewReader(data)
	}
	return io.MultiReader(bytes.NewReader(data[:2]), bytes.NewReader(standardTables()), bytes.NewReader(data[2:]))
}

// segments calls visit with each marker before the entropy-coded data, and its segment with the marker, until it returns false.
func segments(data []byte, visit func(marker byte, segment []byte) bool) {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		n := 2 + int(data[at+2])<<8 + int(data[at+3])
		if data[at+1] == 0xff { // a fill byte
			at++
			continue
		}
		if at+n > len(data) || !visit(data[at+1], data[at:at+n]) {
			return
		}
		at += n
	}
}

const (
	markerDHT = 0xc4
	markerSOS = 0xda
)

// hasTables tells whether a Huffman table comes before the first scan. Where there is none to be seen, all is well too.
func hasTables(data []byte) bool {
	has := true
	segments(data, func(marker byte, _ []byte) bool {
		has = marker != markerSOS
		return marker != markerSOS && marker != markerDHT
	})
	return has
}

// standardTables are the segments that image/jpeg writes: it knows no other tables.
var standardTables = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420), nil); err != nil {
		panic(err) // nothing can fail
	}
	var tables []byte
	segments(b.Bytes(), func(marker byte, segment []byte) bool {
		if marker == markerDHT {
			tables = append(tables, segment...)
		}
		return marker != markerSOS
	})
	return tables
})
