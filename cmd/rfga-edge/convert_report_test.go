package main

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"html"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// element is a start tag of a page, with the text in it up to the next tag.
type element struct {
	name string
	attr map[string]string
	text string
}

// parsePage reads a page as XML, which it is but for its style, its script and names of HTML's entities.
func parsePage(t *testing.T, page string) []element {
	t.Helper()
	plain := regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`).ReplaceAllString(page, "")
	d := xml.NewDecoder(strings.NewReader(plain))
	var out []element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			line, column := d.InputPos()
			t.Fatalf("the page does not parse at %d:%d: %v", line, column, err)
		}
		switch v := token.(type) {
		case xml.StartElement:
			e := element{v.Name.Local, map[string]string{}, ""}
			for _, a := range v.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			out = append(out, e)
		case xml.CharData:
			if len(out) > 0 {
				out[len(out)-1].text += string(v)
			}
		}
	}
}

// TestConvertReport: the page parses, holds every layer with the numbers that the model carries, shows images, and asks nothing of
// the world outside.
func TestConvertReport(t *testing.T) {
	dir := t.TempDir()
	checkpoint := filepath.Join("..", "..", "convert", "testdata", "mobilenet.pth")
	photos := filepath.Join("..", "..", "testdata", "photos")
	target, page := filepath.Join(dir, "m.rfga"), filepath.Join(dir, "m.html")
	convert := []string{"convert", checkpoint, "-o", target, "--input-size", "64", "--calibrate", photos, "--name", `<b onclick="x">&</b>`}
	_, log := expect(t, exitOK, append(convert, "--report", page)...)
	out, _ := expect(t, exitOK, "inspect", "--quant", "--json", target)
	var d quantDescription
	decode(t, out, &d)
	if d.Verdict == "" || !strings.Contains(log, d.Verdict) {
		t.Errorf("convert said %q, the model %q", log, d.Verdict)
	}
	if d.Images != 5 || d.Classes == nil || d.Classes.Images != 5 || d.Maps == nil || d.Maps.Images != 5 || len(d.Layers) < 20 || len(d.Weights) < 10 {
		t.Fatalf("the model carries %+v", d)
	}
	total := float32(0)
	for _, l := range d.Layers {
		total += l.Share
	}
	if total < 0.999 || total > 1.001 {
		t.Errorf("the shares add up to %g", total)
	}

	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	elements := parsePage(t, string(data))
	ids, links, images := map[string]bool{}, []string{}, 0
	var texts []string
	for _, e := range elements {
		texts = append(texts, strings.TrimSpace(e.text))
		if id := e.attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %q", id)
			}
			ids[id] = true
		}
		switch e.name {
		case "link", "iframe", "object", "embed", "form":
			t.Errorf("the page has a <%s>", e.name)
		case "a":
			links = append(links, e.attr["href"])
		case "svg":
			if e.attr["aria-hidden"] == "" && (e.attr["role"] != "img" || e.attr["aria-label"] == "") {
				t.Errorf("a drawing without words: %v", e.attr)
			}
		case "img":
			images++
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(e.attr["src"], "data:image/jpeg;base64,"))
			if err != nil || e.attr["alt"] == "" {
				t.Errorf("an image with text %q: %v", e.attr["alt"], err)
			}
			if c, err := jpeg.DecodeConfig(strings.NewReader(string(raw))); err != nil || c.Width != 64 || c.Height != 64 {
				t.Errorf("an image of %dx%d: %v", c.Width, c.Height, err)
			}
		}
		for name, v := range e.attr {
			if strings.Contains(v, "://") || strings.HasPrefix(v, "//") || strings.HasPrefix(name, "on") || strings.Contains(v, "url(") {
				t.Errorf("<%s %s=%q>", e.name, name, v)
			}
		}
	}
	if images != 10 {
		t.Errorf("%d pictures of 5 images", images)
	}
	for _, l := range links {
		if !ids[strings.TrimPrefix(l, "#")] {
			t.Errorf("a link to %q leads nowhere", l)
		}
	}
	text := strings.Join(texts, "\n")
	for _, want := range []string{d.Verdict, `<b onclick="x">&</b>`, "panda.jpg"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, outside := range []string{"http:", "https:", "@import", "url("} {
		if strings.Contains(string(data), outside) {
			t.Errorf("the page holds %q", outside)
		}
	}
	checkRows(t, string(data), d.Layers)
	for _, f := range d.Look {
		for _, try := range f.Try {
			if !strings.Contains(text, try) {
				t.Errorf("the page does not say to try %q", try)
			}
		}
	}

	// The same answers without the measurement, whose file carries none; and with mixed precision.
	plain := filepath.Join(dir, "plain.rfga")
	convert[3] = plain
	expect(t, exitOK, convert...)
	for _, args := range [][]string{{"inspect", "--quant", plain}, {"inspect", "--quant", "--json", plain}, {"inspect", "--quant"}} {
		if _, log := expect(t, exitModel, args...); !strings.Contains(log, "--report") {
			t.Errorf("%v: %s", args, log)
		}
	}
	if a, b := fileHashes(t, target), fileHashes(t, plain); a != b {
		t.Error("measuring changed what the model answers")
	}
	convert[3] = target
	expect(t, exitOK, append(convert, "--report", page, "--max-loss", "0.005", "--metric", "map", "--allow-fp16")...)
	out, _ = expect(t, exitOK, "inspect", "--quant", target)
	if !strings.Contains(out, "f32") {
		t.Errorf("with layers of floats: %s", out)
	}
}

// checkRows compares the table's rows with what the model carries.
func checkRows(t *testing.T, page string, layers []quantActivation) {
	t.Helper()
	_, table, _ := strings.Cut(strings.ReplaceAll(page, "<wbr/>", ""), "<tbody>")
	table, _, _ = strings.Cut(table, "</tbody>")
	rows := strings.Split(strings.TrimSpace(table), "</tr>")
	if len(rows)-1 != len(layers) {
		t.Errorf("%d rows for %d layers", len(rows)-1, len(layers))
	}
	values := regexp.MustCompile(`data-v="([^"]*)"`)
	found := 0
	for _, l := range layers {
		for _, row := range rows {
			if !strings.Contains(html.UnescapeString(row), ">"+l.Layer) || !strings.Contains(row, l.Kind+", "+l.Type) {
				continue
			}
			v := values.FindAllStringSubmatch(row, -1)
			match := true
			for i, want := range map[int]float32{1: l.SNR, 2: l.Own, 4: l.Cosine, 6: l.Share} {
				got, err := strconv.ParseFloat(v[i][1], 64)
				match = match && err == nil && float32(got)-want < 1e-4 && want-float32(got) < 1e-4
			}
			if match {
				found++
				break
			}
		}
	}
	if found != len(layers) {
		t.Errorf("%d of %d layers have a row with their numbers", found, len(layers))
	}
}

// fileHashes are the outputs of a model for one photo.
func fileHashes(t *testing.T, model string) string {
	t.Helper()
	out, _ := expect(t, exitOK, "localize", "--json", "--model", model, filepath.Join("..", "..", "testdata", "photos", "panda.jpg"))
	_, classes, _ := strings.Cut(out, `"cls":`)
	classes, _, _ = strings.Cut(classes, `"us":`)
	return classes
}

func TestConvertReportErrors(t *testing.T) {
	dir := t.TempDir()
	checkpoint := filepath.Join("..", "..", "convert", "testdata", "mobilenet.pth")
	target := filepath.Join(dir, "m.rfga")
	if _, log := expect(t, exitUsage, "convert", checkpoint, "-o", target, "--precision", "fp16", "--report", filepath.Join(dir, "m.html")); !strings.Contains(log, "--calibrate") {
		t.Error(log)
	}
	photos := filepath.Join("..", "..", "testdata", "photos")
	expect(t, exitIO, "convert", checkpoint, "-o", target, "--calibrate", photos, "--report", filepath.Join(dir, "none", "m.html"))
	if _, err := os.Stat(target); err == nil {
		t.Error("a model was written although its report could not be")
	}
	expect(t, exitOK, "convert", checkpoint, "-o", target, "--precision", "fp32")
	if _, log := expect(t, exitModel, "inspect", "--quant", target); !strings.Contains(log, "floats") {
		t.Error(log)
	}
}
