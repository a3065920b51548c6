package wasinn_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/rfga-edge/rfga-edge/defaultmodel"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/plugin/wasinn"
	"github.com/rfga-edge/rfga-edge/runtime"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// TestGuests runs the example guests in Go and Rust on a photo: what they print must be the native answer. Rust needs a compiler with
// the WASI target (Debian: rustc libstd-rust-dev-wasm32).
func TestGuests(t *testing.T) {
	m, err := defaultmodel.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w, h := m.InputSize()
	f, err := os.Open("../../testdata/photos/panda.jpg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := frame.DecodeImage(f, frame.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	square := make([]byte, 3*w*h)
	if err := new(frame.Resizer).Preprocess(square, img, rfgaedge.FrameSpec(&m.Runtime().Format().Pre)); err != nil {
		t.Fatal(err)
	}
	want := nativeAnswer(t, m, square)
	guest := filepath.Join(t.TempDir(), "guest.wasm")
	t.Run("go", func(t *testing.T) {
		cmd := exec.Command("go", "build", "-o", guest, "../../examples/wasinn/go")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		checkGuest(t, guest, m, square, want)
	})
	t.Run("rust", func(t *testing.T) {
		source := "../../examples/wasinn/rust/guest.rs"
		var last string
		for _, rustc := range []string{"rustc", "/usr/bin/rustc"} {
			for _, target := range []string{"wasm32-wasip1", "wasm32-wasi"} {
				out, err := exec.Command(rustc, "-O", "--target", target, "-o", guest, source).CombinedOutput()
				if err == nil {
					checkGuest(t, guest, m, square, want)
					return
				}
				last = fmt.Sprintf("%v: %.200s", err, out)
			}
		}
		t.Skipf("no Rust compiler with a WASI target (Debian: rustc libstd-rust-dev-wasm32): %s", last)
	})
}

// nativeAnswer is what a guest should print.
func nativeAnswer(t *testing.T, m *rfgaedge.Model, square []byte) string {
	t.Helper()
	s, err := m.Runtime().NewSession(runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetImage(0, square); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, m.Classes())
	if err := s.Logits(0, logits); err != nil {
		t.Fatal(err)
	}
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return fmt.Sprintf("class %d, logit %.4f\n", best, logits[best])
}

func checkGuest(t *testing.T, path string, m *rfgaedge.Model, square []byte, want string) {
	t.Helper()
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	defer rt.Close(ctx)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		t.Fatal(err)
	}
	nn := wasinn.New(wasinn.Config{Models: map[string]*runtime.Model{"default": m.Runtime()}})
	defer nn.Close()
	if _, err := nn.Instantiate(ctx, rt); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	w, h := m.InputSize()
	_, err = rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStdin(bytes.NewReader(square)).
		WithStdout(&stdout).WithStderr(&stderr).WithArgs("guest", strconv.Itoa(w), strconv.Itoa(h)))
	if got := stdout.String(); got != want {
		t.Errorf("the guest prints %q (%v, %s), natively %q", got, err, stderr.String(), want)
	}
}
