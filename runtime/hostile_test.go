package runtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// forge gives a changed file the digest of its contents, as whoever changed it on purpose would. Offset and rule are those
// of the format's documentation.
func forge(b []byte) {
	const at = 32
	clear(b[at : at+sha256.Size])
	sum := sha256.Sum256(b)
	copy(b[at:], sum[:])
}

// try loads and runs a file that may hold anything. It must not panic, and not take memory the file does not justify.
func try(b []byte) (ran bool) {
	m, err := runtime.FromBytes(b)
	if err != nil {
		return false
	}
	if m.Arena().Sum > 32<<20 {
		return false // legal, but slow to run in a test
	}
	s, err := m.NewSession(runtime.Options{Threads: 2})
	if err != nil {
		return false
	}
	defer s.Close()
	return s.Run(context.Background()) == nil
}

func hostileFile(tb testing.TB, m *format.Model) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := format.Encode(&b, m); err != nil {
		tb.Fatal(err)
	}
	forge(b.Bytes())
	if _, _, err := format.Decode(b.Bytes()); err != nil {
		tb.Fatalf("a forged digest is not accepted, so this test tests nothing: %v", err)
	}
	return b.Bytes()
}

// Whatever a flipped byte in header or tables makes of a model, loading and running it does not panic.
func TestForgedFilesDoNotPanic(t *testing.T) {
	for name, m := range map[string]*format.Model{"fp32": zoo(t), "int8": lowered(t, zoo(t)), "int16": widened(t, zoo(t))} {
		file := hostileFile(t, m)
		_, info, err := format.Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		tables := len(file)
		for _, s := range info.Sections {
			if strings.Contains(s.Name, "data") {
				tables = int(s.Offset)
			}
		}
		step := 11 // package format flips every byte; RFGA_EXHAUSTIVE=1 runs every such file here too
		if name == "int16" {
			step = 401 // its tables of functions have 65536 elements, which takes time to load
		}
		if os.Getenv("RFGA_EXHAUSTIVE") != "" {
			step = 1
		}
		ran := 0
		for i := 0; i < tables; i += step {
			b := bytes.Clone(file)
			b[i] ^= byte(1 << (i % 8))
			forge(b)
			if try(b) {
				ran++
			}
		}
		t.Logf("%s: %d bytes of tables, %d forged files ran", name, tables, ran)
	}
}

// A small file cannot ask for more memory than a session may have.
func TestMemoryLimit(t *testing.T) {
	n := net{build.New("wide", "test", 4000, 4000, mean, std), rand.New(rand.NewPCG(1, 2))}
	x := n.conv("conv", n.Input(), 16, 1, 1, 1, [4]int{}, build.ActReLU)
	n.Output("y", n.GlobalAvgPool("mean", x), true)
	fm, err := n.Finish()
	if err != nil {
		t.Fatal(err)
	}
	_, err = load(t, fm).NewSession(runtime.Options{Batch: 1000})
	if err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("a thousand images of 183 MiB: error %v", err)
	}
	arena, io, scratch := session(t, load(t, zoo(t)), runtime.Options{Batch: 2, Threads: 3}).Memory()
	if arena <= 0 || io < 2*4*3*side*side || scratch <= 0 {
		t.Errorf("memory %d, %d, %d", arena, io, scratch)
	}
}

func FuzzForgedFiles(f *testing.F) {
	f.Add(uint32(100), byte(3), uint32(200), byte(7), false)
	f.Add(uint32(100), byte(3), uint32(200), byte(7), true)
	float, wide := hostileFile(f, zoo(f)), hostileFile(f, widened(f, zoo(f)))
	f.Fuzz(func(t *testing.T, i uint32, x byte, j uint32, y byte, quantized bool) {
		b := bytes.Clone(float)
		if quantized {
			b = bytes.Clone(wide)
		}
		b[int(i)%len(b)] ^= x
		b[int(j)%len(b)] ^= y
		forge(b)
		try(b)
	})
}
