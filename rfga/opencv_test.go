package rfga

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// fixture opens a file that testdata/gen.py made with OpenCV. RFGA_FIXTURES names a folder with a larger set of its making.
func fixture(t *testing.T, name string) *bytes.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join(cmp.Or(os.Getenv("RFGA_FIXTURES"), "testdata"), name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

func read[T any](t *testing.T, r io.Reader, v T) T {
	t.Helper()
	if err := binary.Read(r, binary.LittleEndian, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestContoursLikeOpenCV(t *testing.T) {
	type result struct {
		X, Y, W, H int16
		Area2      uint32
		Hole       uint8
	}
	r := fixture(t, "contours.bin.gz")
	var m Mapper
	masks, total := 0, 0
	for ; r.Len() > 0; masks++ {
		size := read(t, r, new([2]uint16))
		w, h := int(size[0]), int(size[1])
		packed := read(t, r, make([]byte, (w*h+7)/8))
		mask := make([]uint8, w*h)
		for i := range mask {
			mask[i] = packed[i/8] >> (7 - i%8) & 1
		}
		want := read(t, r, make([]result, *read(t, r, new(uint16))))
		got := m.Contours(mask, w, h, 0)
		total += len(want)
		if len(got) != len(want) {
			t.Fatalf("mask %d (%dx%d): %d contours, OpenCV finds %d", masks, w, h, len(got), len(want))
		}
		for i, c := range got {
			g := result{int16(c.X), int16(c.Y), int16(c.W), int16(c.H), uint32(c.Area2), 0}
			if c.Hole {
				g.Hole = 1
			}
			if g != want[i] {
				t.Fatalf("mask %d (%dx%d), contour %d: %+v, OpenCV gives %+v", masks, w, h, i, g, want[i])
			}
		}
		checkBoxes(t, &m, mask, w, h)
	}
	t.Logf("%d masks, %d contours", masks, total)
}

// checkBoxes compares Boxes with a flood fill, and its first box with that of the evaluation protocol.
func checkBoxes(t *testing.T, m *Mapper, mask []uint8, w, h int) {
	t.Helper()
	heat := make([]float64, len(mask))
	for i, v := range mask {
		heat[i] = float64(v) * (0.75 + float64(i%64)/256)
	}
	components := map[[4]int][2]float64{} // box -> cells, heat of the first of that box
	seen := make([]bool, len(mask))
	count := 0
	for i := range mask {
		if mask[i] == 0 || seen[i] {
			continue
		}
		count++
		box := [4]int{w, h, 0, 0}
		var sum [2]float64
		stack := []int{i}
		seen[i] = true
		for len(stack) > 0 {
			p := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			x, y := p%w, p/w
			box = [4]int{min(box[0], x), min(box[1], y), max(box[2], x+1), max(box[3], y+1)}
			sum[0]++
			sum[1] += heat[p]
			for ny := max(y-1, 0); ny <= min(y+1, h-1); ny++ {
				for nx := max(x-1, 0); nx <= min(x+1, w-1); nx++ {
					if q := ny*w + nx; mask[q] != 0 && !seen[q] {
						seen[q] = true
						stack = append(stack, q)
					}
				}
			}
		}
		if _, twice := components[box]; twice {
			sum[0] = -1 // two components share a box: not compared
		}
		components[box] = sum
	}
	boxes := m.Boxes(heat, w, h, 0.5, true)
	if len(boxes) != count {
		t.Fatalf("%dx%d: %d boxes for %d components", w, h, len(boxes), count)
	}
	for _, b := range boxes {
		want, ok := components[[4]int{b.X0, b.Y0, b.X1, b.Y1}]
		if !ok {
			t.Fatalf("%dx%d: box %+v belongs to no component", w, h, b)
		}
		if want[0] < 0 {
			continue
		}
		if math.Abs(b.Area-want[0]/float64(len(mask))) > 1e-12 || math.Abs(b.Mean-want[1]/want[0]) > 1e-9 {
			t.Fatalf("%dx%d: box %+v covers %v cells with heat %v", w, h, b, want[0], want[1])
		}
	}
	if count == 0 {
		return
	}
	first := boxes[0]
	if one := m.Boxes(heat, w, h, 0.5, false); len(one) != 1 || one[0] != first {
		t.Fatalf("single mode gives %+v, multi mode begins with %+v", one, first)
	}
	eval := m.EvalBoxes(nil, mask, w, h, 0, false)
	if want := (EvalBox{first.X0, first.Y0, min(first.X1, w-1), min(first.Y1, h-1)}); len(eval) != 1 || eval[0] != want {
		t.Fatalf("evaluation box %v, want %v", eval, want)
	}
}

func TestResizeAndNormaliseLikeOpenCVAndNumPy(t *testing.T) {
	r := fixture(t, "resize.bin.gz")
	var m Mapper
	for n := 0; r.Len() > 0; n++ {
		s := read(t, r, new([4]uint16))
		sw, sh, dw, dh := int(s[0]), int(s[1]), int(s[2]), int(s[3])
		src := read(t, r, make([]float64, sw*sh))
		want := read(t, r, new([3][32]byte))
		dst := make([]float64, dw*dh)
		m.Resize(dst, dw, dh, src, sw, sh)
		if hash(dst) != want[0] {
			t.Errorf("map %d: %dx%d to %dx%d differs from OpenCV", n, sw, sh, dw, dh)
			continue
		}
		for i, norm := range []Norm{MinMax, P65} {
			h := append([]float64(nil), dst...)
			Normalize(h, norm)
			if hash(h) != want[i+1] {
				t.Errorf("map %d: %v of %dx%d differs from NumPy", n, norm, dw, dh)
			}
		}
	}
}

func hash(v []float64) [32]byte {
	b := make([]byte, 0, 8*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x+0))
	}
	return sha256.Sum256(b)
}
