package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocsONNX runs the commands of docs/onnx.md, what they write going to a folder of the test's.
func TestDocsONNX(t *testing.T) {
	t.Chdir("../..")
	text, err := os.ReadFile("docs/onnx.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, ran := t.TempDir(), 0
	for line := range strings.Lines(string(text)) {
		args, ok := strings.CutPrefix(line, "    rfga-edge ")
		if !ok {
			continue
		}
		words := strings.Fields(args)
		for i, w := range words {
			switch w {
			case "model.rfga", "model8.rfga", "results", "results8":
				words[i] = filepath.Join(dir, w)
			}
		}
		expect(t, exitOK, words...)
		ran++
	}
	for _, name := range []string{"results", "results8"} {
		if _, err := os.Stat(filepath.Join(dir, name, "logits.npy")); err != nil {
			t.Error(err)
		}
	}
	if ran != 5 {
		t.Errorf("%d commands in docs/onnx.md, expected 5", ran)
	}
}
