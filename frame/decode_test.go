package frame

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// pictures reads the pictures of testdata/images.zip.
func pictures(t testing.TB) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader("testdata/images.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	m := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if m[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestDecodeRefuses(t *testing.T) {
	all := pictures(t)
	limit := func(name string, l Limits) {
		t.Helper()
		var e *LimitError
		if _, err := DecodeImage(bytes.NewReader(all[name]), l); !errors.As(err, &e) {
			t.Errorf("%s with %+v: %v, want a LimitError", name, l, err)
		}
	}
	for _, name := range []string{"s2.jpg", "RGB.png", "p.gif", "rgb.bmp", "lossy.webp", "lossless.webp", "lossyalpha.webp"} {
		limit(name, Limits{Pixels: 43*30 - 1})
		limit(name, Limits{Side: 42})
		limit(name, Limits{Bytes: int64(len(all[name])) - 1})
		if _, err := DecodeImage(bytes.NewReader(all[name]), Limits{int64(len(all[name])), 43 * 30, 43}); err != nil {
			t.Errorf("%s within its limits: %v", name, err)
		}
	}
	for _, b := range []string{"", "x", "hello, world", "RIFF\x00\x00\x00\x00WAVE", "\xff\xd8"} {
		if _, err := DecodeImage(strings.NewReader(b), Limits{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v, want ErrFormat", b, err)
		}
	}
	if _, err := DecodeImage(iotest.ErrReader(io.ErrClosedPipe), Limits{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("failing reader: %v", err)
	}

	// A few bytes that promise a huge picture.
	var head bytes.Buffer
	head.WriteString("\x89PNG\r\n\x1a\n")
	ihdr := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 60000), 60000)...)
	ihdr = append(ihdr, 8, 2, 0, 0, 0)
	head.Write(binary.BigEndian.AppendUint32(nil, 13))
	head.Write(ihdr)
	head.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(ihdr)))
	var e *LimitError
	if _, err := DecodeImage(&head, Limits{}); !errors.As(err, &e) || e.Have != 3600000000 {
		t.Errorf("huge PNG: %v", err)
	}
	big := bytes.Clone(all["s0.jpg"])
	sof := bytes.Index(big, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(big[sof+5:], 8000)
	binary.BigEndian.PutUint16(big[sof+7:], 8000)
	var damaged *DecodeError
	if _, err := DecodeImage(bytes.NewReader(big), Limits{}); !errors.As(err, &damaged) || damaged.Format != "jpeg" {
		t.Errorf("JPEG without the bytes for its size: %v", err)
	}
	passes := append(bytes.Clone(all["progressive.jpg"]), bytes.Repeat([]byte{0xff, 0xda}, 300)...)
	if _, err := DecodeImage(bytes.NewReader(passes), Limits{}); !errors.As(err, &e) || e.What != "scans" {
		t.Errorf("JPEG with hundreds of scans: %v", err)
	}
}

func TestDecodeDamaged(t *testing.T) {
	l := Limits{Pixels: 1 << 16, Side: 1 << 10}
	for name, data := range pictures(t) {
		if strings.HasSuffix(name, ".rgb") {
			continue
		}
		for i := 0; i < len(data); i += 1 + len(data)/200 {
			check := func(b []byte) {
				if img, err := DecodeImage(bytes.NewReader(b), l); err == nil && len(img.Pix) != 3*img.W*img.H {
					t.Fatalf("%s: %d bytes for %dx%d", name, len(img.Pix), img.W, img.H)
				}
			}
			check(data[:i])
			b := bytes.Clone(data)
			b[i] ^= 0xff
			check(b)
		}
	}
}

// TestOrientation turns a picture of six pixels in all ways.
func TestOrientation(t *testing.T) {
	want := map[int]string{
		0: "abc/def", 1: "abc/def", 2: "cba/fed", 3: "fed/cba", 4: "def/abc",
		5: "ad/be/cf", 6: "da/eb/fc", 7: "fc/eb/da", 8: "cf/be/ad", 9: "abc/def",
	}
	for o, s := range want {
		m := &Image{W: 3, H: 2}
		for _, c := range "abcdef" {
			m.Pix = append(m.Pix, byte(c), 1, 2)
		}
		m = m.Upright(o)
		var got []string
		for y := range m.H {
			row := ""
			for x := range m.W {
				row += string(rune(m.Pix[3*(y*m.W+x)]))
			}
			got = append(got, row)
		}
		if g := strings.Join(got, "/"); g != s {
			t.Errorf("orientation %d: %s, want %s", o, g, s)
		}
	}
}

func TestTIFFOrientation(t *testing.T) {
	tiff := func(o binary.AppendByteOrder, head string, kind uint16, value ...byte) []byte {
		b := o.AppendUint32([]byte(head), 8)
		b = o.AppendUint16(b, 2)
		b = o.AppendUint16(append(o.AppendUint32(o.AppendUint16(o.AppendUint16(b, 0x10e), 2), 4), "abc\x00"...), 0x112)
		return append(o.AppendUint32(o.AppendUint16(b, kind), 1), value...)
	}
	le, be := binary.LittleEndian, binary.BigEndian
	for i, c := range []struct {
		b    []byte
		want int
	}{
		{tiff(le, "II*\x00", 3, 6, 0, 0, 0), 6},
		{tiff(be, "MM\x00*", 3, 0, 8, 0, 0), 8},
		{tiff(le, "II*\x00", 4, 3, 0, 0, 0), 3},
		{tiff(le, "II*\x00", 3, 9, 0, 0, 0), 1},
		{tiff(le, "II*\x00", 3, 0, 0, 0, 0), 1},
		{tiff(le, "II*\x00", 7, 6, 0, 0, 0), 1},
		{tiff(le, "XX*\x00", 3, 6, 0, 0, 0), 1},
		{[]byte("II*\x00\xff\xff\xff\xff"), 1},
		{[]byte("II*\x00\x08\x00\x00\x00\xff\xff"), 1},
	} {
		if got := tiffOrientation(c.b); got != c.want {
			t.Errorf("case %d: %d, want %d", i, got, c.want)
		}
		for n := range c.b {
			tiffOrientation(c.b[:n])
		}
	}
}

// TestConvert compares the fast conversions with the interface's colours, on parts of pictures too.
func TestConvert(t *testing.T) {
	r := image.Rect(0, 0, 13, 9)
	bytesOf := func(pix []byte, seed uint32) { copy(pix, noise(len(pix), seed)) }
	var pictures []image.Image
	g, g16, n, n64 := image.NewGray(r), image.NewGray16(r), image.NewNRGBA(r), image.NewNRGBA64(r)
	bytesOf(g.Pix, 1)
	bytesOf(g16.Pix, 2)
	bytesOf(n.Pix, 3)
	bytesOf(n64.Pix, 4)
	a, a64 := image.NewRGBA(r), image.NewRGBA64(r)
	bytesOf(a.Pix, 5)
	bytesOf(a64.Pix, 6)
	for i := 3; i < len(a.Pix); i += 4 {
		a.Pix[i] = 255
	}
	for i := 6; i < len(a64.Pix); i += 8 {
		a64.Pix[i], a64.Pix[i+1] = 255, 255
	}
	p := image.NewPaletted(r, color.Palette{color.NRGBA{1, 2, 3, 9}, color.Gray{77}, color.RGBA{5, 6, 7, 255}})
	for i := range p.Pix {
		p.Pix[i] = byte(i % 3)
	}
	pictures = append(pictures, g, g16, n, n64, a, a64, p)
	for ratio := image.YCbCrSubsampleRatio444; ratio <= image.YCbCrSubsampleRatio410; ratio++ {
		y := image.NewYCbCr(r, ratio)
		bytesOf(y.Y, 7)
		bytesOf(y.Cb, 8)
		bytesOf(y.Cr, 9)
		pictures = append(pictures, y)
	}
	type sub interface {
		SubImage(image.Rectangle) image.Image
	}
	var resizer Resizer
	for _, m := range pictures {
		for _, part := range []image.Rectangle{r, image.Rect(3, 1, 11, 8), image.Rect(4, 2, 9, 9)} {
			v := m.(sub).SubImage(part)
			w, h := part.Dx(), part.Dy()
			want := make([]byte, 0, 3*w*h)
			for y := part.Min.Y; y < part.Max.Y; y++ {
				for x := part.Min.X; x < part.Max.X; x++ {
					c := v.At(x, y)
					switch c := c.(type) {
					case color.NRGBA:
						want = append(want, c.R, c.G, c.B)
					case color.NRGBA64:
						want = append(want, byte(c.R>>8), byte(c.G>>8), byte(c.B>>8))
					case color.YCbCr:
						r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
						want = append(want, r, g, b)
					default:
						r, g, b, _ := c.RGBA()
						want = append(want, byte(r>>8), byte(g>>8), byte(b>>8))
					}
				}
			}
			if got := rgbOf(v, imageColor, false); !bytes.Equal(got, want) {
				t.Errorf("%T %v: converted\n%v, want\n%v", m, part, got, want)
			}
			// A frame of it, through a resize that changes nothing.
			got := make([]byte, 3*w*h)
			if err := resizer.PreprocessFrame(got, FrameOf(v), Spec{W: w, H: h}); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%T %v: frame gives %v %v, want %v", m, part, err, got, want)
			}
		}
	}
	k := image.NewCMYK(image.Rect(0, 0, 2, 1))
	copy(k.Pix, []byte{0, 100, 255, 0, 0, 100, 255, 255})
	if got := rgbOf(k, imageColor, false); !bytes.Equal(got, []byte{255, 155, 0, 0, 0, 0}) {
		t.Errorf("CMYK: %v", got)
	}
}

func FuzzOrientation(f *testing.F) {
	all := pictures(f)
	f.Add(all["exif6.jpg"])
	f.Add(all["exif6.webp"])
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range []int{jpegOrientation(b), webpOrientation(b), tiffOrientation(b)} {
			if o < 1 || o > 8 {
				t.Fatalf("orientation %d", o)
			}
		}
	})
}

func FuzzDecodeImage(f *testing.F) {
	for name, data := range pictures(f) {
		if !strings.HasSuffix(name, ".rgb") && len(data) < 4000 {
			f.Add(data)
		}
	}
	var j, p bytes.Buffer
	m := image.NewYCbCr(image.Rect(0, 0, 20, 9), image.YCbCrSubsampleRatio420)
	if jpeg.Encode(&j, m, nil) != nil || png.Encode(&p, m) != nil {
		f.Fatal("encode")
	}
	f.Add(j.Bytes())
	f.Add(p.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := DecodeImage(bytes.NewReader(b), Limits{Bytes: 1 << 16, Pixels: 1 << 14, Side: 300})
		if err != nil {
			return
		}
		if img.W < 1 || img.H < 1 || img.W > 300 || img.H > 300 || len(img.Pix) != 3*img.W*img.H {
			t.Fatalf("%dx%d with %d bytes", img.W, img.H, len(img.Pix))
		}
	})
}
