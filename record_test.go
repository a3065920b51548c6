package rfgaedge_test

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"pgregory.net/rapid"
)

// TestRecordJSON compares AppendJSON with encoding/json on random records.
func TestRecordJSON(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) }))
	float := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1e-6, 9.9e-7, 1e21, 9.9e20, 1e-9, 1e-10, 0.05, 1}))
	class := rapid.Custom(func(t *rapid.T) rfgaedge.RecordClass {
		return rfgaedge.RecordClass{ID: rapid.Int().Draw(t, "id"), Label: text.Draw(t, "label"), P: rapid.Float32().Draw(t, "p")}
	})
	location := rapid.Custom(func(t *rapid.T) rfgaedge.RecordLocation {
		return rfgaedge.RecordLocation{RecordClass: class.Draw(t, "class"), Box: [4]int{rapid.Int().Draw(t, "x0"), 1, 2, 3},
			Threshold: rapid.Float32().Draw(t, "thr"), Area: float.Draw(t, "area")}
	})
	rapid.Check(t, func(t *rapid.T) {
		rec := rfgaedge.Record{V: 1, Src: text.Draw(t, "src"), Model: text.Draw(t, "model"), Digest: text.Draw(t, "digest"), Precision: "int8", ISA: "avx2",
			W: rapid.Int().Draw(t, "w"), H: rapid.Int().Draw(t, "h"), Classes: rapid.SliceOfN(class, 0, 3).Draw(t, "cls"),
			Locations: rapid.SliceOfN(location, 0, 3).Draw(t, "loc"), Micros: rfgaedge.RecordMicros{Decode: rapid.Int64().Draw(t, "us"), Infer: 2}}
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(&rec); err != nil {
			t.Fatal(err)
		}
		if got := append(rec.AppendJSON(nil), '\n'); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("got  %s\nwant %s", got, want.Bytes())
		}
	})
}

func TestRecordOfNothing(t *testing.T) {
	m := load(t, colours(t))
	var rec rfgaedge.Record
	m.Fill(&rec, "x", &rfgaedge.Result{Width: 3, Height: 2}, time.Millisecond)
	got := string(rec.AppendJSON(nil))
	if want := `"w":3,"h":2,"cls":[],"loc":[],"us":{"decode":1000,"pre":0,"infer":0,"post":0}}`; !bytes.HasSuffix([]byte(got), []byte(want)) {
		t.Errorf("%s\ndoes not end in %s", got, want)
	}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(10, func() { buf = rec.AppendJSON(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
