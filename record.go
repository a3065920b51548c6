package rfgaedge

import (
	"time"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// Record is a result in the form that leaves the program: every command, service and plugin of this module writes it as one
// JSON object. The names and the order of its fields are part of the interface; new fields come behind the old ones.
type Record struct {
	V         int              `json:"v"`   // 1
	Src       string           `json:"src"` // file, camera or stream
	Model     string           `json:"model"`
	Digest    string           `json:"digest"`
	Precision string           `json:"precision"`
	ISA       string           `json:"isa"`
	W         int              `json:"w"`
	H         int              `json:"h"`
	Classes   []RecordClass    `json:"cls"`
	Locations []RecordLocation `json:"loc"`
	Micros    RecordMicros     `json:"us"`
}

// RecordClass is a class in a Record.
type RecordClass struct {
	ID    int     `json:"id"`
	Label string  `json:"label"`
	P     float32 `json:"p"`
}

// RecordLocation is a box in a Record: x0, y0, x1, y1 in pixels of the source, half-open.
type RecordLocation struct {
	RecordClass
	Box       [4]int  `json:"box"`
	Threshold float32 `json:"thr"` // as short as the user or the model's file has it
	Area      float64 `json:"area"`
}

// RecordMicros says how many microseconds each step took.
type RecordMicros struct {
	Decode int64 `json:"decode"`
	Pre    int64 `json:"pre"`
	Infer  int64 `json:"infer"`
	Post   int64 `json:"post"`
}

// Fill makes rec the record of a result of this model, reusing its slices. decode is the time that getting the frame took.
func (m *Model) Fill(rec *Record, src string, r *Result, decode time.Duration) {
	t := r.Timings
	*rec = Record{V: 1, Src: src, Model: m.Name(), Digest: m.Digest(), Precision: m.Precision(), ISA: kernels.ISAName(),
		W: r.Width, H: r.Height, Classes: rec.Classes[:0], Locations: rec.Locations[:0],
		Micros: RecordMicros{decode.Microseconds(), t.Preprocess.Microseconds(), t.Infer.Microseconds(), t.Locate.Microseconds()}}
	if rec.Classes == nil { // an empty list is [], not null
		rec.Classes, rec.Locations = []RecordClass{}, []RecordLocation{}
	}
	for _, c := range r.Classes {
		rec.Classes = append(rec.Classes, RecordClass(c))
	}
	for _, l := range r.Locations {
		b := l.Box
		rec.Locations = append(rec.Locations, RecordLocation{RecordClass(l.Class), [4]int{b.X0, b.Y0, b.X1, b.Y1}, float32(l.Threshold), l.Area})
	}
}
