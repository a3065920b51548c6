package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// errorRecord is the JSON object of an image that could not be read.
type errorRecord struct {
	V     int    `json:"v"`
	Src   string `json:"src"`
	Error string `json:"error"`
}

func (l *localizer) printRecord(f *finding) error {
	if f.err != nil {
		return printJSON(l.out, errorRecord{1, f.source.name, f.source.cause(f.err)})
	}
	if f.record != nil {
		return printJSON(l.out, f.record)
	}
	l.model.Fill(&l.record, f.source.name, f.result, f.decode)
	return printJSON(l.out, &l.record)
}

// maxNameColumn keeps one long path from pushing every line's result out of sight.
const maxNameColumn = 60

// textPrinter returns a printer of lines for people, in columns.
func (l *localizer) textPrinter() func(*finding) error {
	column := 0
	for _, s := range l.sources {
		column = max(column, utf8.RuneCountInString(printable(s.name)))
	}
	column = min(column, maxNameColumn)
	return func(f *finding) error {
		if f.err != nil {
			_, err := fmt.Fprintf(l.err, "rfga-edge: %s: %s\n", printable(f.source.name), f.source.cause(f.err))
			return badIO(err)
		}
		line := pad(printable(f.source.name), column) + "  " + describe(f.result)
		line += fmt.Sprintf("  %d ms", (f.decode + f.result.Timings.Preprocess + f.result.Timings.Infer + f.result.Timings.Locate).Round(time.Millisecond).Milliseconds())
		for _, path := range f.files {
			line += "  -> " + printable(path)
		}
		_, err := fmt.Fprintln(l.out, line)
		return badIO(err)
	}
}

// describe puts the classes with their boxes on one line: label, probability, boxes; then the next class.
func describe(r *rfgaedge.Result) string {
	if len(r.Classes) == 0 && len(r.Locations) == 0 {
		return pad("nothing found", 24)
	}
	var shown []rfgaedge.Class // what has a box first: with --class that is not what is most probable
	for _, loc := range r.Locations {
		if !slices.Contains(shown, loc.Class) {
			shown = append(shown, loc.Class)
		}
	}
	for _, c := range r.Classes {
		if !slices.Contains(shown, c) {
			shown = append(shown, c)
		}
	}
	var parts []string
	for i, c := range shown {
		label, p := className(c), percent(c.P)
		if i == 0 {
			label, p = pad(label, 24), fmt.Sprintf("%7s", p)
			if c.P >= 0.0995 {
				p = fmt.Sprintf("%5.1f %%", 100*c.P)
			}
		}
		text := label + " " + p
		for _, loc := range r.Locations {
			if loc.Class.ID == c.ID {
				b := loc.Box
				text += fmt.Sprintf(" [%d,%d,%d,%d]", b.X0, b.Y0, b.X1, b.Y1)
			}
		}
		parts = append(parts, text)
	}
	parts[0] = pad(parts[0], 52)
	return strings.Join(parts, "; ")
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }

// printable keeps a file's name from moving the cursor or breaking the line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
