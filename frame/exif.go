package frame

import (
	"bytes"
	"encoding/binary"
)

// EXIF orientation: how the stored picture must be turned to stand upright.
const (
	upright          = 1
	mirrored         = 2 // left and right change places
	upsideDown       = 3
	flipped          = 4 // top and bottom change places
	transposed       = 5 // along the diagonal from the upper left corner
	quarterClockwise = 6 // turn it clockwise
	transversed      = 7 // along the other diagonal
	quarterCounter   = 8
)

// jpegOrientation finds the orientation in the first EXIF segment of a JPEG file; upright if there is none.
func jpegOrientation(data []byte) int {
	const app1, sos, eoi = 0xe1, 0xda, 0xd9
	b := data[min(2, len(data)):] // behind SOI
	for len(b) >= 4 && b[0] == 0xff {
		if b[1] == 0xff { // fill byte
			b = b[1:]
			continue
		}
		marker, n := b[1], int(binary.BigEndian.Uint16(b[2:]))
		if marker == sos || marker == eoi || n < 2 || 2+n > len(b) {
			break
		}
		if tiff, ok := bytes.CutPrefix(b[4:2+n], []byte("Exif\x00\x00")); ok && marker == app1 {
			return tiffOrientation(tiff)
		}
		b = b[2+n:]
	}
	return upright
}

// webpOrientation finds the orientation in the EXIF chunk of a WebP file.
func webpOrientation(data []byte) int {
	b := data[min(12, len(data)):] // behind RIFF, size, WEBP
	for len(b) >= 8 {
		n := uint64(binary.LittleEndian.Uint32(b[4:]))
		if n > uint64(len(b)-8) {
			break
		}
		if string(b[:4]) == "EXIF" {
			tiff := bytes.TrimPrefix(b[8:8+n], []byte("Exif\x00\x00")) // some writers put JPEG's prefix here
			return tiffOrientation(tiff)
		}
		b = b[min(8+n+n&1, uint64(len(b))):]
	}
	return upright
}

// tiffOrientation reads tag 0x112 of the first directory of a TIFF structure.
func tiffOrientation(b []byte) int {
	const tag, short, long, entry = 0x112, 3, 4, 12
	if len(b) < 8 {
		return upright
	}
	var o binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		o = binary.LittleEndian
	case "MM\x00*":
		o = binary.BigEndian
	default:
		return upright
	}
	at := uint64(o.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return upright
	}
	count := int(o.Uint16(b[at:]))
	b = b[at+2:]
	for i := 0; i < count && len(b) >= entry; i, b = i+1, b[entry:] {
		if o.Uint16(b) != tag {
			continue
		}
		var v uint32
		switch o.Uint16(b[2:]) {
		case short:
			v = uint32(o.Uint16(b[8:]))
		case long:
			v = o.Uint32(b[8:])
		}
		if v >= upright && v <= quarterCounter {
			return int(v)
		}
		break
	}
	return upright
}

// Upright returns the image turned as the orientation says.
func (m *Image) Upright(orientation int) *Image {
	w, h := m.W, m.H
	// Where the result's first pixel comes from, and the steps in the source for one to the right and one down.
	var first, right, down int
	switch orientation {
	case mirrored:
		first, right, down = w-1, -1, w
	case upsideDown:
		first, right, down = w*h-1, -1, -w
	case flipped:
		first, right, down = w*(h-1), 1, -w
	case transposed:
		first, right, down = 0, w, 1
	case quarterClockwise:
		first, right, down = w*(h-1), -w, 1
	case transversed:
		first, right, down = w*h-1, -w, -1
	case quarterCounter:
		first, right, down = w-1, w, -1
	default:
		return m
	}
	if orientation >= transposed {
		w, h = h, w
	}
	out := &Image{Pix: make([]byte, len(m.Pix)), W: w, H: h, Format: m.Format}
	d := out.Pix
	for y := range h {
		at := first + y*down
		for range w {
			s := m.Pix[3*at:][:3]
			d[0], d[1], d[2] = s[0], s[1], s[2]
			d, at = d[3:], at+right
		}
	}
	return out
}
