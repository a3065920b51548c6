package checkpoint_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/checkpoint"
)

const testdata = "../testdata"

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(b []byte) (*checkpoint.Checkpoint, error) {
	return checkpoint.Read(bytes.NewReader(b), int64(len(b)))
}

// TestOdd reads tensors of every type, strided, shared and empty, under two wrappers; testdata/generate.py has the values.
func TestOdd(t *testing.T) {
	for _, name := range []string{"odd.pth", "odd_legacy.pth"} {
		c, err := checkpoint.Open(filepath.Join(testdata, name))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var transposed []float32 // arange(24).reshape(2,3,4).permute(2,0,1)
		for k := range 4 {
			for i := range 2 {
				for j := range 3 {
					transposed = append(transposed, float32(i*12+j*4+k))
				}
			}
		}
		for _, want := range []struct {
			name   string
			shape  []int
			values []float32
		}{
			{"t.transposed", []int{4, 2, 3}, transposed},
			{"t.row", []int{4}, []float32{20, 21, 22, 23}},
			{"t.step", []int{2, 2, 2}, []float32{1, 2, 9, 10, 13, 14, 21, 22}},
			{"t.half", []int{3}, []float32{1.5, -2, 1. / (1 << 24)}},
			{"t.bfloat", []int{2}, []float32{1.5, -2}},
			{"t.double", []int{1}, []float32{0.1}},
			{"t.scalar", []int{}, []float32{2.5}},
			{"t.empty", []int{0, 3}, []float32{}},
			{"t.parameter", []int{2, 2}, []float32{1, 1, 1, 1}},
		} {
			tensor := c.Tensor(want.name)
			if tensor == nil {
				t.Errorf("%s: no tensor %s among %v", name, want.name, c.Names())
				continue
			}
			v, err := tensor.Float32s()
			if err != nil || !slices.Equal(tensor.Shape, want.shape) || !slices.Equal(v, want.values) {
				t.Errorf("%s: %s is %v %v (error %v), want %v %v", name, want.name, tensor.Shape, v, err, want.shape, want.values)
			}
		}
		for _, ints := range []string{"t.count", "t.bytes"} {
			if _, err := c.Tensor(ints).Float32s(); err == nil || !strings.Contains(err.Error(), ints) {
				t.Errorf("%s: %s read as weights, error %v", name, ints, err)
			}
		}
	}
}

// TestSameTensors compares a zip file with a legacy file that has a wrapper, a `module.` prefix and training state.
func TestSameTensors(t *testing.T) {
	a, err := read(readFile(t, "mobilenet.pth"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := read(readFile(t, "mobilenet_legacy.pth"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Names(), b.Names()) || len(a.Names()) != 27*6+2+3+3*5 {
		t.Fatalf("%d and %d names", len(a.Names()), len(b.Names()))
	}
	for _, name := range a.Names() {
		if strings.HasSuffix(name, "num_batches_tracked") {
			continue
		}
		x, err := a.Tensor(name).Float32s()
		y, err2 := b.Tensor(name).Float32s()
		if err != nil || err2 != nil || !slices.Equal(x, y) || !slices.Equal(a.Tensor(name).Shape, b.Tensor(name).Shape) {
			t.Errorf("%s differs (errors %v, %v)", name, err, err2)
		}
	}
}

func TestHalfIsExact(t *testing.T) {
	data := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(data[2*i:], uint16(i))
	}
	c, err := read(safetensors(t, `{"h":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]}}`, data))
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Tensor("h").Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range v {
		sign, exp, frac := 1-2*float64(i>>15), i>>10&31, float64(i&1023)
		want := sign * math.Ldexp(1+frac/1024, exp-15)
		switch {
		case exp == 0:
			want = sign * math.Ldexp(frac, -24)
		case exp == 31 && frac == 0:
			want = math.Inf(int(sign))
		case exp == 31:
			want = math.NaN()
		}
		if float64(f) != want && !(math.IsNaN(want) && math.IsNaN(float64(f))) || math.Signbit(float64(f)) != (i>>15 == 1) && !math.IsNaN(want) {
			t.Fatalf("half 0x%04x is %v, want %v", i, f, want)
		}
	}
}

func safetensors(t testing.TB, header string, data []byte) []byte {
	t.Helper()
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestSafetensorsRefusals(t *testing.T) {
	good := `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	if _, err := read(safetensors(t, "{"+good+"}  ", make([]byte, 8))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ header, word string }{
		{`{` + good + `,` + good + `}`, "twice"},
		{`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, `"a"`},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, `"a"`},
		{`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, "shape"},
		{`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}`, "shape"},
		{`{"a":{"dtype":"F32","shape":[1e99],"data_offsets":[0,8]}}`, `"a"`},
		{`{"a":{"dtype":"Q9","shape":[2],"data_offsets":[0,8]}}`, `"Q9"`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}`, "data_offsets"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, "data_offsets"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, "data_offsets"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "begins at"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "end at"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, `"b"`},
		{`{"a":[]}`, `"a"`}, {`{"a":`, "header"}, {`{`, "header"}, {`{}`, "end at"}, {`{"__metadata__":{"x":"y"}}`, "end at"},
		{`{` + good + `} trailing`, "behind"},
	} {
		if _, err := read(safetensors(t, c.header, make([]byte, 8))); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: error %v, want one with %q", c.header, err, c.word)
		}
	}
	b := safetensors(t, "{"+good+"}", make([]byte, 8))
	binary.LittleEndian.PutUint64(b, 1<<31)
	if _, err := read(b); err == nil || !strings.Contains(err.Error(), "header") {
		t.Errorf("a header of 2^31 bytes: %v", err)
	}
}

// torchZip packs a pickle as torch.save does, with storages data/0, data/1 ...
func torchZip(t testing.TB, pickle string, storages ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(name string, data []byte) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("archive/data.pkl", []byte(pickle))
	for i, s := range storages {
		add(fmt.Sprintf("archive/data/%d", i), s)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tensorPickle is {"w": tensor} in protocol 2, with the four numbers of a tensor of one dimension.
func tensorPickle(class string, numel, offset, size, stride int32) string {
	i := func(v int32) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(v))) }
	return "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n" + class +
		"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + i(numel) + "tQ" + i(offset) + i(size) + "\x85" + i(stride) + "\x85\x89ccollections\nOrderedDict\n)RtRs."
}

func TestTensorBounds(t *testing.T) {
	data := binary.LittleEndian.AppendUint32(nil, math.Float32bits(4))
	data = binary.LittleEndian.AppendUint32(data, math.Float32bits(5))
	c, err := read(torchZip(t, tensorPickle("FloatStorage", 2, 1, 1, 1), data))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Tensor("w").Float32s(); err != nil || !slices.Equal(v, []float32{5}) {
		t.Fatalf("%v, error %v", v, err)
	}
	for _, p := range []string{
		tensorPickle("FloatStorage", 3, 0, 1, 1),           // storage longer than its entry
		tensorPickle("FloatStorage", -1, 0, 1, 1),          // negative length
		tensorPickle("FloatStorage", 2, 2, 1, 1),           // offset
		tensorPickle("FloatStorage", 2, -1, 1, 1),          // negative offset
		tensorPickle("FloatStorage", 2, 0, 3, 1),           // size
		tensorPickle("FloatStorage", 2, 0, -1, 1),          // negative size
		tensorPickle("FloatStorage", 2, 0, 2, 2),           // stride
		tensorPickle("FloatStorage", 2, 0, 2, -1),          // negative stride
		tensorPickle("FloatStorage", 2, 0, 2, 1<<31-1),     // large stride
		tensorPickle("FloatStorage", 2, 0, 1<<30, 0),       // a billion elements out of two
		tensorPickle("DoubleStorage", 2, 0, 2, 1),          // type
		tensorPickle("FloatStorage", 1<<31-1, 0, 1, 1<<30), // storage
	} {
		if _, err := read(torchZip(t, p, data)); err == nil || !strings.Contains(err.Error(), "storage") && !strings.Contains(err.Error(), "entry") && !strings.Contains(err.Error(), "shape") {
			t.Errorf("%q: error %v", p, err)
		}
	}
	if _, err := read(torchZip(t, tensorPickle("FloatStorage", 2, 0, 2, 1))); err == nil || !strings.Contains(err.Error(), "archive/data/0") {
		t.Errorf("missing storage: %v", err)
	}
}

// hostile are pickles that want something run, or much memory or stack; word is what the error must name.
func hostile() map[string]struct{ pickle, word string } {
	u32 := func(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
	u64 := func(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
	bomb := "\x80\x02]q\x00" // lists of the list before, twice: 2^200 leaves when walked
	for i := range 200 {
		bomb += "](h" + string(rune(i%100)) + "h" + string(rune(i%100)) + "eq" + string(rune((i+1)%100))
	}
	return map[string]struct{ pickle, word string }{
		"os.system":         {"cos\nsystem\n(S'echo pwned'\ntR.", `"os.system"`},
		"posix.system":      {"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echo\x85R.", `"posix.system"`},
		"eval":              {"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x031+1\x85R.", `"builtins.eval"`},
		"eval, python 2":    {"c__builtin__\neval\n(S'1'\ntR.", `"__builtin__.eval"`},
		"getattr":           {"cbuiltins\ngetattr\n.", `"builtins.getattr"`},
		"torch.load":        {"ctorch\nload\n.", `"torch.load"`},
		"torch submodule":   {"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", `__globals__`},
		"nested name":       {"\x80\x04\x8c\x0bcollections\x8c\x1aOrderedDict.__init__.__globals__\x93.", "collections"},
		"module":            {"ctorchvision.models.resnet\nResNet\n.", `"torchvision.models.resnet.ResNet"`},
		"INST":              {"(S'echo'\nios\nsystem\n.", `"os.system"`},
		"INST allowed":      {"(icollections\nOrderedDict\n.", "OrderedDict"},
		"OBJ":               {"(ccollections\nOrderedDict\no.", "OBJ"},
		"NEWOBJ_EX":         {"ccollections\nOrderedDict\n)}\x92.", "NEWOBJ"},
		"EXT1":              {"\x82\x01.", "extension"},
		"BUILD of a class":  {"ccollections\nOrderedDict\n}b.", "OrderedDict"},
		"REDUCE of a type":  {"ctorch\nFloatStorage\n)R.", "FloatStorage"},
		"REDUCE of a str":   {"S'os.system'\n)R.", "os.system"},
		"persistent text":   {"Pevil\n.", "evil"},
		"persistent tuple":  {"(S'module'\nS'x'\ntQ.", "persistent"},
		"deep marks":        {strings.Repeat("(", 1<<16) + ".", "inside each other"},
		"deep tuples":       {"N" + strings.Repeat("\x85", 1<<16) + ".", "tuple"},
		"deep lists":        {strings.Repeat("(]", 900) + strings.Repeat("e", 10) + ".", "one value"},
		"memo bomb":         {bomb + ".", "one value"},
		"memo index":        {"Nr\xff\xff\xff\xff.", "None"},
		"memo missing":      {"h\x07.", "memo"},
		"long string":       {"X" + u32(1<<31) + "a.", "string of 2147483648 bytes"},
		"longer string":     {"\x8d" + u64(1<<63) + "a.", "string of"},
		"long bytes":        {"\x8e" + u64(1<<62) + "a.", "string of"},
		"long number":       {"\x8b" + u32(1<<31-1) + "a.", "bytes are wanted"},
		"negative number":   {"\x8b" + u32(1<<31) + "a.", "bytes are wanted"},
		"frame":             {"\x80\x04\x95" + u64(1<<63) + ".", "0 values"},
		"protocol":          {"\x80\x09N.", "protocol 9"},
		"set":               {"\x8f.", "set"},
		"unknown opcode":    {"\xff.", "0xff"},
		"empty stack":       {"R.", "stack"},
		"stack under mark":  {"N(R.", "stack"},
		"odd dictionary":    {"(Nd.", "without its value"},
		"list as key":       {"(]Nd.", "key"},
		"append to number":  {"K\x01Na.", "1"},
		"no mark":           {"t.", "container"},
		"no stop":           {"N", "cut or damaged"},
		"dup flood":         {"N" + strings.Repeat("2", 5<<20) + ".", "more than"},
		"number for top":    {"K\x05.", "5"},
		"empty":             {"", "cut or damaged"},
		"null tensor":       {"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))tR.", "storage is None"},
		"short call":        {"ctorch._utils\n_rebuild_tensor_v2\n)R.", "0 arguments"},
		"parameter of none": {"ctorch._utils\n_rebuild_parameter\n)R.", "without arguments"},
		"ordered number":    {"ccollections\nOrderedDict\nK\x01\x85R.", "OrderedDict"},
	}
}

func TestHostilePickles(t *testing.T) {
	for name, c := range hostile() {
		if _, err := read(torchZip(t, c.pickle)); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: error %q, want one with %s", name, fmt.Sprint(err), c.word)
		}
	}
}

// A flipped bit of a weight is found by the archive's checksum.
func TestDamagedWeights(t *testing.T) {
	file := readFile(t, "mobilenet.pth")
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for _, f := range z.File {
		if !strings.Contains(f.Name, "/data/") || f.UncompressedSize64 == 0 {
			continue
		}
		at, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(file)
		bad[at+int64(f.UncompressedSize64)/2] ^= 4
		if _, err := read(bad); err == nil || !strings.Contains(err.Error(), f.Name) {
			t.Errorf("a flipped bit in %s: error %v", f.Name, err)
		}
		flipped++
	}
	if flipped == 0 {
		t.Error("the archive has no storages, so this tested nothing")
	}
}

// npz is a compressed archive of one array.
func npz(t testing.TB, name, header, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name + ".npy")
	if err == nil {
		_, err = io.WriteString(f, "\x93NUMPY\x01\x00"+string([]byte{byte(len(header)), 0})+header+data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNPZ reads arrays of every type, order and byte order; testdata/generate_npz.py has the values.
func TestNPZ(t *testing.T) {
	for _, name := range []string{"odd.npz", "compressed.npz"} {
		c, err := checkpoint.Open(filepath.Join(testdata, name))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.Format != "NumPy (.npz)" || len(c.Names()) != 12 {
			t.Errorf("%s: %s, tensors %q", name, c.Format, c.Names())
		}
		for _, n := range c.Names() {
			x := c.Tensor(n)
			v, err := x.Float32s()
			if n == "count" {
				if x.DType != checkpoint.Int64 || err == nil {
					t.Errorf("%s, %s: %v, error %v", name, n, x.DType, err)
				}
				continue
			}
			want := []float32{-2, -1, 0, 1, 2, 3}
			if n == "scalar" {
				want = want[:1]
			}
			if err != nil || !slices.Equal(v, want) {
				t.Errorf("%s, %s: %v, error %v", name, n, v, err)
			}
		}
	}
}

func TestOtherFiles(t *testing.T) {
	var compressed bytes.Buffer
	w := zip.NewWriter(&compressed)
	f, _ := w.Create("archive/data.pkl") // deflated
	f.Write([]byte("}."))
	w.Close()
	var plain bytes.Buffer
	w = zip.NewWriter(&plain)
	w.Create("readme.txt")
	w.Close()
	for name, c := range map[string]struct {
		data []byte
		word string
	}{
		"torchscript":  {readFile(t, "torchscript.pt"), "TorchScript"},
		"whole module": {readFile(t, "whole_module.pth"), "torch.nn.modules.linear.Linear"},
		"compressed":   {compressed.Bytes(), "compressed"},
		"plain zip":    {plain.Bytes(), "no data.pkl"},
		"web page":     {[]byte("<!DOCTYPE html>"), "text"},
		"empty":        {nil, "not a checkpoint"},
		"jpeg":         {[]byte("\xff\xd8\xff\xe0 and so on"), "ff d8 ff e0"},
		"pickle":       {[]byte("\x80\x04N."), "magic"},
		"keras":        {[]byte("\x89HDF\r\n\x1a\n and so on"), "tf2onnx"},
		"one array":    {[]byte("\x93NUMPY and so on"), "numpy.savez"},
		"tensorflow":   {npz(t, "block1/conv1/kernel:0", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "abcd"), "variable of TensorFlow"},
		"strings":      {npz(t, "a", "{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}", "abcd"), "<U4"},
		"short array":  {npz(t, "a", "{'descr': '<f4', 'fortran_order': True, 'shape': (3,2)}", "abcd"), "more elements"},
		"no array":     {npz(t, "a", "{'descr': ", ""), "NumPy"},
		"swollen":      {npz(t, "a", "{'descr': '<f4', 'fortran_order': False, 'shape': (8388608,)}", string(make([]byte, 32<<20))), "numpy.savez"},
	} {
		if _, err := read(c.data); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.word)
		}
	}
	if _, err := checkpoint.Open(testdata); err == nil {
		t.Error("a folder was opened")
	}
}

// smallFiles are whole files small enough to be cut and flipped at every byte.
func smallFiles(t testing.TB) map[string][]byte {
	return map[string][]byte{"zip": readFile(t, "odd.pth"), "npz": npz(t, "a", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "abcd"), "legacy": readFile(t, "odd_legacy.pth"),
		"safetensors": safetensors(t, `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1,2],"data_offsets":[8,12]}}`, make([]byte, 12))}
}

// everything reads all there is; a damaged file may still be readable, but it must not panic.
func everything(b []byte) error {
	c, err := read(b)
	if err != nil {
		return err
	}
	for _, n := range c.Names() {
		c.Tensor(n).Float32s()
	}
	return nil
}

func TestCutAnywhere(t *testing.T) {
	for name, b := range smallFiles(t) {
		for n := range b {
			if everything(b[:n:n]) == nil {
				t.Errorf("%s: accepted when cut to %d of %d bytes", name, n, len(b))
			}
		}
	}
}

func TestFlippedAnywhere(t *testing.T) {
	for _, b := range smallFiles(t) {
		b = slices.Clone(b)
		for i := range b {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				b[i] ^= mask
				everything(b)
				b[i] ^= mask
			}
		}
	}
}

func FuzzPickle(f *testing.F) {
	for _, c := range hostile() {
		if len(c.pickle) < 1<<12 { // large ones make every step slow
			f.Add([]byte(c.pickle))
		}
	}
	f.Add([]byte(tensorPickle("FloatStorage", 2, 1, 1, 1)))
	f.Fuzz(func(t *testing.T, b []byte) { everything(torchZip(t, string(b), make([]byte, 64))) })
}

func FuzzFile(f *testing.F) {
	for _, b := range smallFiles(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { everything(b) })
}

func FuzzSafetensors(f *testing.F) {
	f.Add(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	f.Fuzz(func(t *testing.T, header string, n int) {
		if n < 0 || n > 1<<16 {
			return
		}
		c, err := read(safetensors(t, header, make([]byte, n)))
		if err != nil {
			return
		}
		if !json.Valid([]byte(header)) {
			t.Errorf("accepted %q, which is not JSON", header)
		}
		total := 0
		for _, name := range c.Names() {
			total += c.Tensor(name).Elements()
		}
		if total > n {
			t.Errorf("%d elements in %d bytes", total, n)
		}
	})
}
