package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

func (d *description) print(out io.Writer) error {
	var b bytes.Buffer
	d.printHeader(&b)
	d.printOps(&b)
	d.printMemory(&b)
	_, err := out.Write(b.Bytes())
	return badIO(err)
}

func (d *description) printHeader(b *bytes.Buffer) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		if v := printable(fmt.Sprintf(format, args...)); v != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, v)
		}
	}
	p := &d.Preprocess
	row("name", "%s", d.Name)
	row("architecture", "%s", d.Arch)
	row("digest", "%s", d.Digest)
	exact := "the same bits on every machine"
	if !d.BitIdentical {
		exact = "not bit-identical between machines"
	}
	row("precision", "%s, %s", d.Precision, exact)
	resize := p.Rule
	if p.Resize > 0 {
		resize = fmt.Sprintf("short side to %d, %s", p.Resize, p.Rule)
	}
	row("preprocessing", "%s to %dx%d, %s, mean %s, std %s", resize, p.Width, p.Height, p.Order, triple(p.Mean), triple(p.Std))
	row("input", "%s", d.Input.text(true))
	for _, o := range d.Outputs {
		row("output", "%s: %s", o.Output, o.describedTensor.text(true))
	}
	row("localization", "heat map %s, threshold %g", d.Localization.Norm, d.Localization.Threshold)
	row("classes", "%d, %d labels", d.Classes, d.Labels)
	row("source", "%s", d.Provenance.Source)
	row("licence", "%s", d.Provenance.Licence)
	row("converter", "%s", d.Provenance.Converter)
	row("calibration", "%s", d.Provenance.Calibration)
	row("notes", "%s", d.Provenance.Notes)
	w.Flush()
}

func (d *description) printOps(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nOperators, as this machine (%s) runs them; %d in the file\n", d.ISA, d.OpsInFile)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "#\tkind\tname\tresult\tMMAC\tweights\tpacked\tkernel\twhy")
	for i, o := range d.Ops {
		name := o.Name
		if len(o.Fused) > 0 {
			name += " + " + strings.Join(o.Fused, " + ")
		}
		var results []string
		for _, t := range o.Outputs {
			results = append(results, t.text(false))
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i, o.Kind, printable(name), strings.Join(results, "; "),
			millions(o.MACs), kib(int64(o.Weights)), kib(int64(o.Packed)), o.Kernel, o.Why)
	}
	w.Flush()
}

func (d *description) printMemory(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n%.3f GMAC an image; constants %s in the file, %s packed in memory\n", float64(d.MACs)/1e9, kib(int64(d.WeightsBytes)), kib(int64(d.PackedBytes)))
	a := d.Arena
	over := 100 * (float64(a.Bytes)/float64(max(a.LowerBound, 1)) - 1)
	fmt.Fprintf(b, "arena %s a session; no layout needs less than %s (%+.1f %%); without reuse %s\n", kib(int64(a.Bytes)), kib(int64(a.LowerBound)), over, kib(int64(a.Sum)))
	if len(d.Sections) == 0 {
		return
	}
	fmt.Fprintf(b, "\nFile, %d bytes, format %d.%d\n", d.FileBytes, d.Format[0], d.Format[1])
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "section\toffset\tbytes\t")
	for _, s := range d.Sections {
		fmt.Fprintf(w, "%s\t%d\t%d\t\n", printable(s.Name), s.Offset, s.Size)
	}
	w.Flush()
	for _, s := range d.SkippedByUs {
		fmt.Fprintf(b, "not understood and left alone: %s\n", printable(s))
	}
}

// text is a tensor on one line: type, H x W x C, scale and zero point.
func (t *describedTensor) text(named bool) string {
	s := t.DType
	if named {
		s += " " + t.Name
	}
	dims := make([]string, 0, 4)
	for _, n := range t.Shape[min(1, len(t.Shape)-1):] {
		dims = append(dims, fmt.Sprint(n))
	}
	s += " " + strings.Join(dims, "x")
	switch {
	case len(t.Scale) == 1:
		s += fmt.Sprintf(" scale %.4g zero %d", t.Scale[0], t.Zero)
	case len(t.Scale) > 1:
		lo, hi := t.Scale[0], t.Scale[0]
		for _, v := range t.Scale {
			lo, hi = min(lo, v), max(hi, v)
		}
		s += fmt.Sprintf(" scale %.4g..%.4g by channel", lo, hi)
	}
	return s
}

func triple(v [3]float32) string { return fmt.Sprintf("%g,%g,%g", v[0], v[1], v[2]) }

func millions(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(n)/1e6)
}

func kib(n int64) string {
	switch {
	case n == 0:
		return "-"
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
