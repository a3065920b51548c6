package frame

import (
	"bytes"
	"fmt"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// inGamut is a frame of the format, with gaps behind its rows, none of whose pixels leaves the range of colours. Smooth
// frames change slowly, others are noise.
func inGamut(r *rand.Rand, format Format, w, h int, smooth bool) *Frame {
	f := &Frame{Format: format, Width: w, Height: h, Matrix: Matrix(r.IntN(2)), Range: Range(r.IntN(2))}
	geometry, n := f.planes()
	phase := r.Float64() * 6
	for i, g := range geometry[:n] {
		f.Strides[i] = g.row + r.IntN(7)
		f.Planes[i] = make([]byte, f.Strides[i]*(g.rows-1)+g.row)
		for y := range g.rows {
			row := f.Planes[i][y*f.Strides[i]:][:g.row]
			for x := range row {
				chroma := i > 0 && format != I444 || i > 0 || format == YUYV && x%2 == 1 || format == UYVY && x%2 == 0
				lo, hi := 0, 256
				if format >= I420 {
					if lo, hi = 80, 180; chroma {
						lo, hi = 112, 145
					}
				}
				v := r.IntN(hi - lo)
				if smooth {
					v = int(float64(hi-lo-1) * (0.5 + 0.25*sin(phase+float64(x)/40) + 0.25*sin(phase+float64(y)/30+float64(i))))
				}
				row[x] = byte(lo + v)
			}
		}
	}
	return f
}

func sin(x float64) float64 { // Bhaskara's, good enough for a picture
	for x > 3.14159265 {
		x -= 2 * 3.14159265
	}
	y := max(x, -x)
	s := 16 * y * (3.14159265 - y) / (5*3.14159265*3.14159265 - 4*y*(3.14159265-y))
	if x < 0 {
		return -s
	}
	return s
}

var fusedSizes = []struct {
	w, h int
	s    Spec
}{
	{240, 180, Spec{W: 96, H: 96}},
	{221, 143, Spec{W: 64, H: 48, Order: BGR}},
	{360, 200, Spec{W: 112, H: 112}},
	{97, 61, Spec{W: 32, H: 32, Rule: CenterCrop, Resize: 40}},
	{31, 17, Spec{W: 96, H: 80}},
	{20, 800, Spec{W: 33, H: 40}},
	{120, 120, Spec{W: 120, H: 120}},
	{5, 3, Spec{W: 1, H: 2}},
	{1, 1, Spec{W: 20, H: 20}},
	{1000, 8, Spec{W: 9, H: 7}},
}

// The fused way gives what converting every pixel and then resizing as Pillow does gives, to within 1, but for one byte in a
// thousand of YCbCr frames, which may be off by 2, from any format, part of a frame, and in either order of colours.
func TestFusedAgainstExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for format := RGB24; format <= I444; format++ {
		var resizer Resizer
		worst := 0
		for _, c := range fusedSizes {
			for _, smooth := range []bool{false, true} {
				f := inGamut(r, format, c.w, c.h, smooth)
				if c.w > 20 && c.h > 10 && r.IntN(2) == 0 {
					f.Crop = image.Rect(r.IntN(9), r.IntN(5), c.w-r.IntN(9), c.h-r.IntN(5))
				}
				want, got := make([]byte, 3*c.s.W*c.s.H), make([]byte, 3*c.s.W*c.s.H)
				s := c.s
				if err := resizer.PreprocessFrame(want, f, s); err != nil {
					t.Fatal(err)
				}
				s.Filter = Antialiased
				if err := resizer.PreprocessFrame(got, f, s); err != nil {
					t.Fatal(err)
				}
				mean, top := difference(got, want)
				worst = max(worst, top)
				// Of YCbCr the other way rounds three times, the first time each pixel of the frame; now and then
				// these roundings meet.
				beyond := 0
				for i := range got {
					if d := int(got[i]) - int(want[i]); d > 1 || d < -1 {
						beyond++
					}
				}
				if top > 2 || beyond > 0 && format < I420 || beyond > 2+len(got)/1000 {
					t.Errorf("%v %dx%d %+v, crop %v: %d bytes are off by up to %d, %.3f on average", format, c.w, c.h, s, f.Crop, beyond, top, mean)
				}
			}
		}
		t.Logf("%v: at most %d", format, worst)
	}
}

// The fast filter looks at fewer rows, and comes close where a picture is smooth.
func TestFastFilter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	for _, format := range []Format{NV12, RGB24, YUYV, I422} {
		f := inGamut(r, format, 160, 720*2, true)
		var resizer Resizer
		want, got := make([]byte, 3*224*224), make([]byte, 3*224*224)
		for _, c := range []struct {
			filter Filter
			dst    []byte
		}{{Antialiased, want}, {Fast, got}} {
			if err := resizer.PreprocessFrame(c.dst, f, Spec{W: 224, H: 224, Filter: c.filter}); err != nil {
				t.Fatal(err)
			}
		}
		mean, top := difference(got, want)
		if bytes.Equal(got, want) || top > 2 || mean > 0.5 {
			t.Errorf("%v: %.3f on average, at most %d", format, mean, top)
		}
		if n := resizer.fused.vertical[0].count[100]; n < 4 || n > 8 || resizer.fused.vertical[0].step < 2 {
			t.Errorf("%v: %d rows a row", format, n)
		}
	}
}

// Every instruction set gives the same bits.
func TestFusedIsTheSameEverywhere(t *testing.T) {
	sets := map[string]kernels.ISA{}
	for _, drop := range []kernels.ISA{0, kernels.AVX512, kernels.AVX2, kernels.SSE41, kernels.NEON, kernels.SIMD128} {
		isa := kernels.Features().Without(drop)
		sets[isa.String()] = isa
	}
	r := rand.New(rand.NewPCG(5, 6))
	for format := RGB24; format <= I444; format++ {
		for _, c := range fusedSizes {
			f := &Frame{Format: format, Width: c.w, Height: c.h, Range: Full}
			if err := f.Split(noise(format.Size(c.w, c.h), r.Uint32())); err != nil {
				t.Fatal(err)
			}
			for _, filter := range []Filter{Antialiased, Fast} {
				s := c.s
				s.Filter = filter
				want := make([]byte, 3*s.W*s.H)
				portable := Resizer{fused: fused{rows: kernels.ChoosePixelRows(kernels.Portable)}}
				if err := portable.PreprocessFrame(want, f, s); err != nil {
					t.Fatal(err)
				}
				for name, isa := range sets {
					got := make([]byte, len(want))
					other := Resizer{fused: fused{rows: kernels.ChoosePixelRows(isa)}}
					if err := other.PreprocessFrame(got, f, s); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, want) {
						t.Errorf("%v %dx%d %+v: %s differs from portable Go", format, c.w, c.h, s, name)
					}
				}
			}
		}
	}
}

func TestFusedAllocates(t *testing.T) {
	for format := RGB24; format <= I444; format++ {
		f := &Frame{Format: format, Width: 333, Height: 222}
		if err := f.Split(noise(format.Size(333, 222), 1)); err != nil {
			t.Fatal(err)
		}
		var r Resizer
		dst := make([]byte, 3*96*96)
		run := func() {
			for _, filter := range []Filter{Antialiased, Fast} { // coefficients are computed again each time
				if err := r.PreprocessFrame(dst, f, Spec{W: 96, H: 96, Filter: filter}); err != nil {
					t.Fatal(err)
				}
			}
		}
		run()
		if n := testing.AllocsPerRun(3, run); n != 0 {
			t.Errorf("%v: %v allocations a frame", format, n)
		}
	}
}

// FuzzFused compares the fused way on this machine with the portable one, and looks for anything read or written outside.
func FuzzFused(f *testing.F) {
	f.Add(uint8(NV12), uint16(33), uint16(20), uint8(16), uint8(12), uint64(0))
	f.Add(uint8(YUYV), uint16(7), uint16(300), uint8(40), uint8(3), uint64(77))
	f.Fuzz(func(t *testing.T, format uint8, w, h uint16, sw, sh uint8, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		fr := &Frame{Format: Format(format%12 + 1), Width: int(w%700 + 1), Height: int(h%700 + 1), Matrix: Matrix(r.IntN(2)), Range: Range(r.IntN(2))}
		if err := fr.Split(noise(fr.Format.Size(fr.Width, fr.Height), uint32(seed))); err != nil {
			t.Fatal(err)
		}
		x, y := r.IntN(fr.Width), r.IntN(fr.Height)
		fr.Crop = image.Rect(x, y, x+1+r.IntN(fr.Width-x), y+1+r.IntN(fr.Height-y))
		s := Spec{W: int(sw) + 1, H: int(sh) + 1, Filter: Antialiased + Filter(r.IntN(2)), Order: Order(r.IntN(3))}
		want, got := make([]byte, 3*s.W*s.H), make([]byte, 3*s.W*s.H)
		portable := Resizer{fused: fused{rows: kernels.ChoosePixelRows(kernels.Portable)}}
		var here Resizer
		if err := portable.PreprocessFrame(want, fr, s); err != nil {
			t.Fatal(err)
		}
		if err := here.PreprocessFrame(got, fr, s); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%+v %v: differs from portable Go, error %v", s, fr.Crop, err)
		}
	})
}

func BenchmarkPreprocess1080p(b *testing.B) {
	const w, h = 1920, 1080
	for _, format := range []Format{NV12, I420, YUYV, RGB24, RGBA, Gray8} {
		f := &Frame{Format: format, Width: w, Height: h}
		if err := f.Split(noise(format.Size(w, h), 1)); err != nil {
			b.Fatal(err)
		}
		for filter, name := range []string{"exact", "antialiased", "fast"} {
			b.Run(fmt.Sprint(format, "/", name), func(b *testing.B) {
				dst := make([]byte, 3*224*224)
				var r Resizer
				for b.Loop() {
					if err := r.PreprocessFrame(dst, f, Spec{W: 224, H: 224, Filter: Filter(filter)}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
