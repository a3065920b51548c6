package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecipe runs the training recipe in its small form, from drawn data to the table.
func TestRecipe(t *testing.T) {
	if why := torch(); why != "" {
		t.Skipf("the training recipe is not run: %s", why)
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "rfga-edge")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/rfga-edge").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for range 2 { // the second run finds everything done
		out, err := exec.Command(python(), "../train/recipe.py", filepath.Join(dir, "data"), filepath.Join(dir, "out"), "--smoke", "--rfga-edge", bin).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	table, err := os.ReadFile(filepath.Join(dir, "out", "table.md"))
	if err != nil || strings.Count(string(table), "\n| MaxBoxAcc |") != 2 || strings.Count(string(table), "\n| PxAP |") != 1 {
		t.Errorf("%v\n%s", err, table)
	}
}
