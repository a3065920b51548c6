package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
)

// tiny models keep the tables short, so that every byte of them can be tried.
func tinyFiles(tb testing.TB) map[string][]byte {
	return map[string][]byte{
		"float":     encoded(tb, chain(tb, 5, F32, 5, OpConv2D, OpMaxPool, OpUnary, OpResize)),
		"quantized": encoded(tb, chain(tb, 6, I8, 5, OpDepthwiseConv2D, OpAdd, OpRFGA, OpConcat)),
		"measured":  encoded(tb, measured(tb, chain(tb, 7, I8, 5, OpConv2D))),
	}
}

// constants says where a file holds data of constants, any of which are as good as others.
func constants(tb testing.TB, file []byte) (from, to int) {
	_, info, err := Decode(file)
	if err != nil {
		tb.Fatal(err)
	}
	s := info.Sections[secData]
	return int(s.Offset), int(s.Offset + s.Size)
}

// survives is what holds for any bytes whatever: an *Error, or a sound model that is written the way it was read.
func survives(tb testing.TB, what string, at int, file []byte, verify bool) {
	tb.Helper()
	m, info, err := decode(file, verify)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || err.Error() == "" {
			tb.Fatalf("%s at %d: error of type %T: %v", what, at, err, err)
		}
		return
	}
	if err := Validate(m); err != nil {
		tb.Fatalf("%s at %d: decoded, but %v", what, at, err)
	}
	if len(info.Skipped) == 0 && info.Minor == Minor && !bytes.Equal(encoded(tb, m), fixed(bytes.Clone(file))) {
		tb.Fatalf("%s at %d: two files hold one model", what, at)
	}
}

func TestCutAnywhere(t *testing.T) {
	for name, file := range tinyFiles(t) {
		t.Run(name, func(t *testing.T) {
			for n := range len(file) {
				wantError(t, "cut", file[:n:n])
				wantError(t, "cut and forged", fixed(bytes.Clone(file[:n])))
			}
			wantError(t, "appended", append(bytes.Clone(file), make([]byte, 64)...))
			wantError(t, "appended and forged", fixed(append(bytes.Clone(file), make([]byte, 64)...)))
		})
	}
}

func TestFlipAnyBit(t *testing.T) {
	for name, file := range tinyFiles(t) {
		t.Run(name, func(t *testing.T) {
			from, to := constants(t, file)
			b := bytes.Clone(file)
			for i := range file {
				for _, mask := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
					if i >= from && i < to && mask != 128 {
						continue
					}
					b[i] ^= mask
					wantError(t, "flip", b)
					survives(t, "flip", i, b, false)
					b[i] = file[i]
				}
			}
		})
	}
}

// TestLyingCounts puts absurd numbers over every field and looks at what was allocated.
func TestLyingCounts(t *testing.T) {
	lies := []uint64{1 << 60, 1<<63 - 1, ^uint64(0), 0x7fffffff7fffffff, 0x0100000001000000, 0xffff, 1 << 29, 0x4000}
	for name, file := range tinyFiles(t) {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(file)
			from, to := constants(t, file)
			for i := offSections; i+8 <= len(file); i++ {
				if i >= from && i < to {
					continue
				}
				lie := lies[i%len(lies)]
				binary.LittleEndian.PutUint64(b[i:], lie)
				used := allocated(func() { survives(t, "lie", i, b, false) })
				if most := uint64(40*len(file) + 1<<16); used > most {
					t.Errorf("%#x at %d: %d bytes allocated for a file of %d", lie, i, used, len(file))
				}
				copy(b, file)
			}
		})
	}
	// The smallest records there are, in the largest numbers a file can claim.
	records := func(n, size int) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(n)), make([]byte, n*size)...)
	}
	base := split(t, tinyFiles(t)["float"])
	for i, data := range map[int][]byte{secLabels: records(MaxLabels, minString), secTensors: records(MaxTensors, minTensor), secOps: records(MaxOps, minOp)} {
		s := append([]rawSection{}, base...)
		s[i].data = data
		file := assemble(0, s)
		used := allocated(func() { survives(t, "small records", i, file, true) })
		if used > uint64(40*len(file)) {
			t.Errorf("%s: %d bytes allocated for a file of %d", s[i].id, used, len(file))
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzDecode gives every input a right header, so that the fuzzer gets past the digest.
func FuzzDecode(f *testing.F) {
	for _, file := range tinyFiles(f) {
		f.Add(file)
	}
	f.Add(encoded(f, sample(f, I8)))
	f.Fuzz(func(t *testing.T, b []byte) {
		survives(t, "as it is", 0, b, true)
		if len(b) > len(magic) {
			b = append([]byte(magic), b[len(magic):]...)
		}
		survives(t, "forged", 0, fixed(b), true)
	})
}
