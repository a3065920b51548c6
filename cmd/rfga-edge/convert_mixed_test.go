package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/quant"
)

// TestConvertMixed: a target that plain int8 misses is met, and what that cost is said; one that cannot be met leaves no file; a
// pattern that fits nothing is the user's mistake.
func TestConvertMixed(t *testing.T) {
	dir := t.TempDir()
	checkpoint := filepath.Join("..", "..", "convert", "testdata", "mobilenet.pth")
	photos := filepath.Join("..", "..", "testdata", "photos")
	target := filepath.Join(dir, "m.rfga")
	convert := []string{"convert", checkpoint, "-o", target, "--input-size", "64", "--calibrate", photos}
	bitIdentical := func() bool {
		out, _ := expect(t, exitOK, "inspect", "--json", target)
		var d description
		decode(t, out, &d)
		if !strings.Contains(d.Provenance.Calibration, "held-out") {
			t.Errorf("calibration %q", d.Provenance.Calibration)
		}
		return d.BitIdentical
	}
	_, log := expect(t, exitModel, append(convert, "--max-loss", "1e-9", "--metric", "map")...)
	if !strings.Contains(log, "cannot be brought to") || !strings.Contains(log, "--allow-fp16") || !strings.Contains(log, " raised") {
		t.Errorf("a target out of reach: %s", log)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("a file was written that does not meet the target")
	}
	_, log = expect(t, exitOK, append(convert, "--max-loss", "3%", "--metric", "map")...)
	if !strings.Contains(log, "one inference here") || !strings.Contains(log, "int16") || !bitIdentical() {
		t.Errorf("a target within reach: %s", log)
	}
	_, log = expect(t, exitOK, append(convert, "--max-loss", "0.005", "--metric", "map", "--allow-fp16")...)
	if !strings.Contains(log, "not the same bits") || bitIdentical() {
		t.Errorf("with fp16: %s", log)
	}
	if out, _ := expect(t, exitOK, "inspect", target); !strings.Contains(out, "not bit-identical") {
		t.Errorf("inspect: %s", out)
	}
	for _, flag := range []string{"--int16=nothing*", "--method-for=nothing=mse"} {
		if _, log := expect(t, exitUsage, append(convert, flag)...); !strings.Contains(log, "nothing") {
			t.Errorf("%s: %s", flag, log)
		}
	}
	expect(t, exitOK, append(convert, "--int16", "*", "--no-equalize")...)
	if out, _ := expect(t, exitOK, "inspect", target); !strings.Contains(out, "int16 for *, no equalization") {
		t.Errorf("the flags are not in the file: %s", out)
	}
}

// TestConvertRound: rounding by data is said, kept in the file, and gives the same file twice.
func TestConvertRound(t *testing.T) {
	dir := t.TempDir()
	checkpoint := filepath.Join("..", "..", "convert", "testdata", "mobilenet.pth")
	photos := filepath.Join("..", "..", "testdata", "photos")
	var outs []string
	for _, name := range []string{"a", "b"} {
		target := filepath.Join(dir, name, "m.rfga")
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		out, log := expect(t, exitOK, "convert", checkpoint, "-o", target, "--input-size", "64", "--calibrate", photos, "--round", "ada:0.5")
		if !strings.Contains(log, "less error in a layer's results") || !strings.Contains(out, "rounded by data (effort 0.5 s)") {
			t.Errorf("%s%s", out, log)
		}
		outs = append(outs, out[strings.LastIndex(out, "sha256:"):])
	}
	if outs[0] != outs[1] {
		t.Errorf("two runs, two files: %q", outs)
	}
}

// What cannot have 16 bits is named with the reason, unless half floats may take its place.
func TestCannotMeet(t *testing.T) {
	out := &quant.Outcome{Loss: 0.02, Causes: []quant.Cause{{Layer: "act", What: "activations", Share: 0.5, Fixed: "\"act\" reads or makes it and has no int16 form"},
		{Layer: "stem", What: "weights", Share: 0.5}}}
	for _, c := range []struct {
		fp16 bool
		want []string
	}{{false, []string{"activations of act (", "has no int16 form", "--allow-fp16"}}, {true, []string{"16 bits or fp16 for every layer"}}} {
		got := cannotMeet(out, quant.Target{MaxLoss: 0.01, AllowFP16: c.fp16})
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in %q", want, got)
			}
		}
		if strings.Contains(got, "stem") || strings.Contains(got, "stays int8") == c.fp16 {
			t.Errorf("with fp16 %v: %q", c.fp16, got)
		}
	}
}
