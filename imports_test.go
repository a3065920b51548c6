package rfgaedge_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rfga-edge/rfga-edge"

// allowed lists, for each layer, the packages of this module that it may reach, directly or not. A folder stands for
// everything below it. Imports go one way: a camera program gets no converter, a kernel knows no model.
var allowed = map[string][]string{
	"asm":            {},
	"runtime/format": {},
	"kernels":        {"asm"},
	"rfga":           {"kernels", "asm"},
	"frame":          {"kernels", "asm"},
	"runtime":        {"runtime/format", "rfga", "kernels", "asm"},
	".":              {"runtime", "runtime/format", "rfga", "frame", "kernels", "asm"},
	"defaultmodel":   {".", "runtime", "runtime/format", "rfga", "frame", "kernels", "asm"},
	"plugin/guest":   {".", "runtime", "runtime/format", "rfga", "frame", "kernels", "asm"},
	"plugin/wasinn":  {"runtime", "runtime/format", "rfga", "kernels", "asm"},
	"plugin":         {".", "runtime", "runtime/format", "rfga", "frame", "kernels", "asm"},
	"quant":          {"runtime", "runtime/format", "rfga", "kernels", "asm"},
	"convert":        {"quant", "runtime", "runtime/format", "rfga", "kernels", "asm"},
}

// external lists the modules that a layer may reach outside the standard library; nothing else may be linked into it.
var external = map[string][]string{
	"asm":            {},
	"runtime/format": {},
	"kernels":        {"golang.org/x/sys", "github.com/klauspost/cpuid"},
	"rfga":           {"golang.org/x/sys", "github.com/klauspost/cpuid"},
	"frame":          {"golang.org/x/sys", "github.com/klauspost/cpuid", "golang.org/x/image"},
	"runtime":        {"golang.org/x/sys", "github.com/klauspost/cpuid"},
	".":              {"golang.org/x/sys", "github.com/klauspost/cpuid", "golang.org/x/image"},
	"defaultmodel":   {"golang.org/x/sys", "github.com/klauspost/cpuid", "golang.org/x/image"},
	"plugin/guest":   {"golang.org/x/sys", "github.com/klauspost/cpuid", "golang.org/x/image"},
	"plugin/wasinn":  {"golang.org/x/sys", "github.com/klauspost/cpuid", "github.com/tetratelabs/wazero"},
	"plugin":         {"golang.org/x/sys", "github.com/klauspost/cpuid", "golang.org/x/image", "github.com/tetratelabs/wazero"},
	"quant":          {"golang.org/x/sys", "github.com/klauspost/cpuid", "gonum.org/v1/gonum"},
	"convert":        {"golang.org/x/sys", "github.com/klauspost/cpuid", "gonum.org/v1/gonum", "google.golang.org/protobuf"},
}

func TestImportsGoOneWay(t *testing.T) {
	for layer, inside := range allowed {
		pattern := "./" + layer
		if layer == "convert" {
			pattern += "/..."
		}
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pattern).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pattern, err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			rel, ours := strings.CutPrefix(path, module)
			if !ours {
				if !hasPrefix(external[layer], path) {
					t.Errorf("%s reaches %s", layer, path)
				}
				continue
			}
			rel = strings.TrimPrefix(rel, "/")
			if rel == "" {
				rel = "."
			}
			if rel != layer && !hasPrefix([]string{layer}, rel) && !slices.Contains(inside, rel) {
				t.Errorf("%s reaches %s", layer, rel)
			}
		}
	}
}

// TestNoNetwork keeps HTTP and TLS out of what cameras and plugins embed.
func TestNoNetwork(t *testing.T) {
	for _, pattern := range []string{".", "./plugin", "./plugin/guest", "./plugin/wasinn", "./plugin/module"} {
		cmd := exec.Command("go", "list", "-deps", pattern)
		if pattern == "./plugin/module" { // it has files for WebAssembly alone
			cmd.Env = append(cmd.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pattern, err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			if path == "net/http" || path == "crypto/tls" {
				t.Errorf("%s reaches %s", pattern, path)
			}
		}
	}
}

// hasPrefix tells whether path is one of the trees or lies below one.
func hasPrefix(trees []string, path string) bool {
	for _, tree := range trees {
		if tree != "." && (path == tree || strings.HasPrefix(path, tree+"/")) {
			return true
		}
	}
	return false
}
