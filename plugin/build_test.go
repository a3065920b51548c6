package plugin_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rfga-edge/rfga-edge/plugin"
)

// built holds the folder of the modules that tests build, and of wazero's cache for them.
var built struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rfga-plugin")
	if err != nil {
		panic(err)
	}
	built.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// module builds a module from source once and returns it.
func module(t testing.TB, pkg, tags string) []byte {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	path := filepath.Join(built.dir, filepath.Base(pkg)+"-"+tags+".wasm")
	if _, err := os.Stat(path); err != nil {
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-tags", tags, "-o", path, pkg)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, out)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, wasm []byte) *plugin.Plugin {
	t.Helper()
	p, err := plugin.Open(context.Background(), wasm, plugin.Config{CacheDir: filepath.Join(built.dir, "cache")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
