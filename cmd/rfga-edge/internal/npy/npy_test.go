package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func open(b []byte) (*File, error) { return New(bytes.NewReader(b), int64(len(b))) }

func write(t testing.TB, shape []int, x []float32) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, shape)
	if err == nil {
		err = w.Write(x)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, shape := range [][]int{{}, {0}, {7}, {2, 3}, {1, 3, 50, 61}, {4, 0, 2}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i)*0.5 - 3
		}
		b := write(t, shape, x)
		if (len(b)-4*n)%64 != 0 {
			t.Errorf("shape %v: the data start at %d, not a multiple of 64", shape, len(b)-4*n)
		}
		a, err := open(b)
		if err != nil {
			t.Fatalf("shape %v: %v", shape, err)
		}
		got := make([]float32, n)
		if err := a.ReadFloat32(got, 0); err != nil || !slices.Equal(got, x) || !slices.Equal(a.Shape, shape) {
			t.Errorf("shape %v: got shape %v, error %v", shape, a.Shape, err)
		}
		if n > 3 {
			if err := a.ReadFloat32(got[:2], 2); err != nil || got[0] != x[2] || got[1] != x[3] {
				t.Errorf("shape %v: reading from the middle gives %v, %v", shape, got[:2], err)
			}
		}
		if a.ReadFloat32(make([]float32, 1), n) == nil || a.ReadFloat32(nil, -1) == nil {
			t.Errorf("shape %v: reading past the end is no error", shape)
		}
	}
}

// array makes a file from its header's text.
func array(header string, data []byte) []byte {
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	return append(append(b, header...), data...)
}

func TestVersionsAndTypes(t *testing.T) {
	var d []byte
	for _, v := range []float64{1.5, -math.Pi} {
		d = binary.LittleEndian.AppendUint64(d, math.Float64bits(v))
	}
	header := "{\"shape\": (2L,), 'fortran_order': True, 'descr':'<f8'}"
	v2 := append([]byte(magic), 2, 0)
	v2 = binary.LittleEndian.AppendUint32(v2, uint32(len(header)))
	for _, b := range [][]byte{array(header, d), append(append(v2, header...), d...)} {
		a, err := open(b)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 2)
		if err := a.ReadFloat32(x, 0); err != nil || x[0] != 1.5 || x[1] != -math.Pi {
			t.Errorf("float64 gives %v, %v", x, err)
		}
	}
}

func TestRejects(t *testing.T) {
	for header, want := range map[string]string{
		"{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}":                             "<f4",
		"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}":                             "<f4",
		"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}":                    "structured",
		"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}":                            "Fortran",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}":                             "needs 8 bytes",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}":                            "dimension",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (281474976710655,)}":               "dimension",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}":       "dimension",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,1000000000,1000000,)}": "too large",
		"{'descr': '<f4', 'fortran_order': False}":                                            "missing",
		"{'descr': '<f4', 'descr': '<f4', 'shape': ()}":                                       "twice",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} import os":                   "follows",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1,":                               "dimension",
		"{'descr': '<f4": "end",
		"":               "missing",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (" + strings.Repeat("1,", 40) + ")}": "more than",
	} {
		_, err := open(array(header, make([]byte, 4)))
		if err == nil || !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", header, err, want)
		}
	}
}

func TestEveryPrefixIsAnError(t *testing.T) {
	b := write(t, []int{2, 3}, make([]float32, 6))
	for n := range b {
		if _, err := open(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are accepted", n, len(b))
		}
	}
	if _, err := open(append(b, 0)); err == nil {
		t.Error("a trailing byte is accepted")
	}
}

func FuzzNew(f *testing.F) {
	f.Add(write(f, []int{2, 3}, make([]float32, 6)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := open(b)
		if err != nil {
			return
		}
		if n := a.Elements(); n*a.size > len(b) || a.ReadFloat32(make([]float32, n), 0) != nil {
			t.Errorf("shape %v is accepted in %d bytes", a.Shape, len(b))
		}
	})
}

func TestWriterCounts(t *testing.T) {
	w, err := NewWriter(io.Discard, []int{2})
	if err != nil {
		t.Fatal(err)
	}
	if w.Close() == nil || w.Write(make([]float32, 3)) == nil || w.Write(make([]float32, 2)) != nil || w.Close() != nil {
		t.Error("the writer does not count its elements")
	}
}
