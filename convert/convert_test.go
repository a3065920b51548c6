package convert_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// readNPY reads the float32 arrays that PyTorch's answers are in.
func readNPY(t testing.TB, path string) []float32 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, []byte("\x93NUMPY\x01\x00")) || !bytes.Contains(b[:128], []byte("'descr': '<f4', 'fortran_order': False")) {
		t.Fatalf("%s is not a float32 array", path)
	}
	b = b[10+int(binary.LittleEndian.Uint16(b[8:])):]
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// pattern is the input of testdata/generate.py.
func pattern(s int) []float32 {
	x := make([]float32, 3*s*s)
	for i := range x {
		x[i] = float32(i*7919%509)/254 - 1
	}
	return x
}

// outputs runs a model on one normalised image and returns its results by name.
func outputs(t testing.TB, m *format.Model, x []float32) map[string][]float32 {
	t.Helper()
	rm, err := runtime.FromFormat(m)
	if err != nil {
		t.Fatal(err)
	}
	defer rm.Close()
	s, err := rm.NewSession(runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetFloat(0, x); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	res := map[string][]float32{}
	for i, o := range m.Outputs {
		v := make([]float32, m.Tensors[o.Tensor].Elements())
		if err := s.OutputFloat(0, i, v); err != nil {
			t.Fatal(err)
		}
		res[o.Name] = v
	}
	return res
}

// worst is the largest difference over the largest wanted value.
func worst(t testing.TB, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	var diff, top float64
	for i := range want {
		top = max(top, math.Abs(float64(want[i])))
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= diff) { // NaN counts
			diff = d
		}
	}
	return diff / top
}

// TestAgainstPyTorch runs the small networks of testdata and compares with what PyTorch computed.
func TestAgainstPyTorch(t *testing.T) {
	for _, c := range []struct {
		file, answer, arch string
		size               int
	}{
		{"mobilenet.pth", "mobilenet", "mobilenet_v1_rfga", 48},
		{"mobilenet_legacy.pth", "mobilenet", "mobilenet_v1_rfga", 48},
		{"resnet50_rfga.safetensors", "resnet50_rfga", "resnet50_rfga", 32},
		{"vgg16_28.safetensors", "vgg16_28", "vgg16_28_rfga", 32},
		{"vgg16_28.npz", "vgg16_28", "vgg16_28_rfga", 32},
		{"inception.safetensors", "inception", "inception_v3_rfga", 91},
	} {
		m, err := convert.Load(filepath.Join("testdata", c.file), convert.Options{InputSize: c.size})
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Arch != c.arch || m.Pre.Width != c.size {
			t.Errorf("%s: %s at %d, want %s at %d", c.file, m.Arch, m.Pre.Width, c.arch, c.size)
		}
		for what, limit := range map[*format.Model]float64{m: 1e-4, convert.ToFP16(m): 5e-3} {
			got := outputs(t, what, pattern(c.size))
			for _, o := range []string{"logits", "maps"} {
				if w := worst(t, got[o], readNPY(t, filepath.Join("testdata", c.answer+"."+o+".npy"))); !(w < limit) {
					t.Errorf("%s: %s differ from PyTorch's by %.2g of the largest value, limit %g", c.file, o, w, limit)
				}
			}
		}
	}
}

// TestLargeNetworks compares whole networks with PyTorch. They are too large for the repository: RFGA_NETWORKS names a
// folder with NAME.pth, NAME.input.npy (1,3,S,S), NAME.logits.npy and NAME.maps.npy; NAME may have .arch behind its
// architecture.
func TestLargeNetworks(t *testing.T) {
	dir := os.Getenv("RFGA_NETWORKS")
	if dir == "" {
		t.Skip("RFGA_NETWORKS is not set")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.pth"))
	for _, f := range files {
		base := strings.TrimSuffix(f, ".pth")
		x := readNPY(t, base+".input.npy")
		size := int(math.Sqrt(float64(len(x) / 3)))
		o := convert.Options{InputSize: size}
		if b, err := os.ReadFile(base + ".arch"); err == nil {
			o.Arch = strings.TrimSpace(string(b))
		}
		m, err := convert.Load(f, o)
		if err != nil {
			t.Error(err)
			continue
		}
		for name, p := range map[string]*format.Model{"fp32": m, "fp16": convert.ToFP16(m)} {
			got := outputs(t, p, x)
			logits := worst(t, got["logits"], readNPY(t, base+".logits.npy"))
			maps := worst(t, got["maps"], readNPY(t, base+".maps.npy"))
			t.Logf("%-28s %-22s %s at %d: logits %.2g, maps %.2g", filepath.Base(f), m.Arch, name, size, logits, maps)
			if limit := map[string]float64{"fp32": 1e-4, "fp16": 5e-3}[name]; !(max(logits, maps) < limit) {
				t.Errorf("%s %s: above %g", f, name, limit)
			}
		}
	}
}

// rewrite returns a safetensors file with its header changed; shapes may change, sizes in bytes may not.
func rewrite(t *testing.T, name string, change func(header string) string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(b)
	header := change(string(b[8 : 8+n]))
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	out = append(append(out, header...), b[8+n:]...)
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOneErrorListsAll renames one tensor, misshapes another, and misses nothing.
func TestOneErrorListsAll(t *testing.T) {
	path := rewrite(t, "resnet50_rfga.safetensors", func(h string) string {
		h = strings.Replace(h, `"layer4.3.conv_h.weight"`, `"layer4.3.conv_q.weight"`, 1)
		h = strings.Replace(h, `"layer2.1.bn1.bias"`, `"layer2.1.bn1.offset"`, 1)
		return strings.Replace(h, `"layer1.0.conv2.weight":{"dtype":"F16","shape":[1,1,3,3]`, `"layer1.0.conv2.weight":{"dtype":"F16","shape":[3,1,3,1]`, 1)
	})
	_, err := convert.Load(path, convert.Options{InputSize: 32})
	for _, want := range []string{path, "resnet50_rfga", "2 missing", "layer4.3.conv_h.weight [32 32 3]", "layer2.1.bn1.bias [2]", "1 of another shape",
		"layer1.0.conv2.weight is [3 1 3 1], not [1 1 3 3]", "2 left over", "layer4.3.conv_q.weight [32 32 3]", "layer2.1.bn1.offset [2]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

// TestEveryTensorMatters takes away each tensor in turn: the network is still recognised, and the error names the tensor.
func TestEveryTensorMatters(t *testing.T) {
	name := regexp.MustCompile(`"([^"]+)":\{"dtype"`)
	for _, file := range []string{"resnet50_rfga.safetensors", "vgg16_28.safetensors", "inception.safetensors"} {
		var names []string
		rewrite(t, file, func(h string) string {
			for _, m := range name.FindAllStringSubmatch(h, -1) {
				names = append(names, m[1])
			}
			return h
		})
		for i := 0; i < len(names); i += 1 + len(names)/40 {
			gone := names[i]
			path := rewrite(t, file, func(h string) string { return strings.Replace(h, `"`+gone+`"`, `"unknown.`+gone+`"`, 1) })
			_, err := convert.Load(path, convert.Options{InputSize: 96})
			if err == nil || !strings.Contains(err.Error(), "missing: "+gone+" ") || !strings.Contains(err.Error(), "unknown."+gone) {
				t.Errorf("%s without %s: error %v", file, gone, err)
			}
		}
	}
}

func TestRecognition(t *testing.T) {
	for _, c := range []struct{ file, arch, word string }{
		{"odd.pth", "", "no known architecture"},
		{"odd.pth", "", "efficientnet_lite0"},
		{"odd.pth", "", "t.half [3]"},
		{"mobilenet.pth", "nonsense", `"nonsense"`},
		{"mobilenet.pth", "resnet50_rfga", "conv1.weight"},
		{"torchscript.pt", "", "TorchScript"},
		{"generate.py", "", "not a checkpoint"},
		{"missing.pth", "", "missing.pth"},
	} {
		_, err := convert.Load(filepath.Join("testdata", c.file), convert.Options{Arch: c.arch})
		if err == nil || !strings.Contains(err.Error(), c.word) || !strings.Contains(err.Error(), c.file) {
			t.Errorf("%s as %q: error %v does not say %q", c.file, c.arch, err, c.word)
		}
	}
	_, err := convert.Load(filepath.Join("testdata", "mobilenet.pth"), convert.Options{Labels: []string{"a", "b"}})
	if err == nil || !strings.Contains(err.Error(), "2 labels for 5 classes") {
		t.Errorf("two labels for five classes: %v", err)
	}
	if _, err := convert.Load(filepath.Join("testdata", "mobilenet.pth"), convert.Options{InputSize: 1 << 20}); err == nil {
		t.Error("an input of 2^20 pixels was accepted")
	}
	// Three pools of two leave nothing of four pixels: not the tensors are wrong, but the size.
	_, err = convert.Load(filepath.Join("testdata", "vgg16_28.safetensors"), convert.Options{Arch: "vgg16_28_rfga", InputSize: 4})
	if err == nil || !strings.Contains(err.Error(), "input size 4") || strings.Contains(err.Error(), "left over") {
		t.Errorf("an input of 4 pixels: %v", err)
	}
	m, err := convert.Load(filepath.Join("testdata", "mobilenet.pth"), convert.Options{Labels: strings.Fields("a b c d e")})
	if err != nil || len(m.Labels) != 5 || m.Name != "mobilenet" || m.Pre.Width != 224 {
		t.Errorf("model %+v, error %v", m.Pre, err)
	}
}

// TestStructure looks at the operators of the golden ResNet's small sister.
func TestStructure(t *testing.T) {
	m, err := convert.Load(filepath.Join("testdata", "resnet50_rfga.safetensors"), convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	count := map[format.OpKind]int{}
	for i := range m.Ops {
		count[m.Ops[i].Kind]++
	}
	want := map[format.OpKind]int{format.OpConv2D: 53, format.OpAdd: 16, format.OpMaxPool: 1, format.OpRFGA: 1, format.OpCAMHead: 1}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("operators %v, want %v", count, want)
	}
	maps := m.Tensors[m.Outputs[1].Tensor].Shape
	if fmt.Sprint(maps) != "[1 28 28 4]" || m.Outputs[0].Name != "logits" || !m.Outputs[0].Flat || m.Outputs[1].Name != "maps" {
		t.Errorf("outputs %+v, maps %v", m.Outputs, maps)
	}
}

func TestArchs(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range convert.Archs() {
		if seen[a.Name] || a.InputSize < 96 || a.About == "" || a.Std[0] <= 0 {
			t.Errorf("architecture %+v", a)
		}
		seen[a.Name] = true
	}
	for _, name := range []string{"resnet50_rfga", "vgg16_rfga", "mobilenet_v1_rfga", "mobilenet_v1_tiny_rfga", "inception_v3_rfga", "efficientnet_lite0", "efficientnet_lite4"} {
		if !seen[name] {
			t.Errorf("%s is not listed", name)
		}
	}
}
