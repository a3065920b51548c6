package kernels

import "strings"

// A Peak is the record of a loop that does nothing but multiply, on registers: what a core can do at most, and kernels are
// measured against.
type Peak struct {
	Name string
	ISA  ISA
	Form string // of its operands, see formOf
	MACs int    // multiplications and additions of Fn(1)
	Fn   func(n int)
}

// Peaks returns the records that this CPU can run.
func Peaks() []Peak {
	var list []Peak
	for _, p := range archPeaks {
		if p.ISA&^features == 0 {
			list = append(list, p)
		}
	}
	return list
}

// Forms of operands as the multiplier sees them.
const (
	form8   = "8"
	form16  = "16"
	formF32 = "f32"
)

// formOf tells a kernel's form by its name.
func formOf(name string) string {
	types, _, _ := strings.Cut(name, "_")
	switch {
	case strings.HasPrefix(types, "f"):
		return formF32
	case strings.Contains(types, "16"):
		return form16
	}
	return form8
}

// peakOf returns the name of the peak that bounds a kernel which multiplies, "" if there is none.
func peakOf(name string, isa ISA) string {
	for _, p := range archPeaks {
		if p.ISA == isa && p.Form == formOf(name) {
			return p.Name
		}
	}
	return ""
}
