package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// checkRoundTrip is the property of every valid model: what is written is read, and is written the same way again.
func checkRoundTrip(tb testing.TB, m *Model) {
	file := encoded(tb, m)
	got, info, err := Decode(file)
	if err != nil {
		tb.Fatalf("cannot read what was written: %v", err)
	}
	if !reflect.DeepEqual(m, got) {
		tb.Fatalf("wrote %+v\nread %+v", m, got)
	}
	if !bytes.Equal(encoded(tb, got), file) {
		tb.Fatal("encoding is not deterministic")
	}
	zeroed := bytes.Clone(file) // TestTreeDigest has the other digest
	clear(zeroed[32:64])
	if want := sha256.Sum256(zeroed); info.Digest != "sha256:"+hex.EncodeToString(want[:]) {
		tb.Fatalf("digest %s", info.Digest)
	}
	if len(file)%64 != 0 || info.FileSize != int64(len(file)) || len(info.Skipped) > 0 {
		tb.Fatalf("%d bytes, %+v", len(file), info)
	}
	for i, t := range got.Tensors {
		if t.Data == nil {
			continue
		}
		off := uintptr(unsafe.Pointer(&t.Data[0])) - uintptr(unsafe.Pointer(&file[0]))
		if off >= uintptr(len(file)) || off%64 != 0 {
			tb.Fatalf("tensor %d does not alias the file, or is not aligned", i)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, d := range []DType{F32, I8} {
		t.Run("every kind "+d.String(), func(t *testing.T) { checkRoundTrip(t, sample(t, d)) })
	}
	rapid.Check(t, func(r *rapid.T) {
		input := rapid.SampledFrom([]DType{F32, I8}).Draw(r, "input")
		kinds := rapid.SliceOfN(rapid.SampledFrom(append([]OpKind{OpQuantize, OpDequantize}, everyKind...)), 0, 8).Draw(r, "kinds")
		m := chain(t, rapid.Uint64().Draw(r, "seed"), input, rapid.IntRange(1, 9).Draw(r, "side"), kinds...)
		checkRoundTrip(t, m)
	})
}

func TestSampleHasEveryKind(t *testing.T) {
	for _, d := range []DType{F32, I8} {
		m := sample(t, d)
		seen := map[OpKind]bool{}
		for i := range m.Ops {
			op := &m.Ops[i]
			seen[op.Kind] = seen[op.Kind] || (m.formOf(op) == op.Kind.signature().quant) == (d == I8)
		}
		for k := range OpKind(len(signatures)) {
			if s := k.signature(); s != nil && s.float != nil && s.quant != nil && !seen[k] {
				t.Errorf("%v is missing in the sample of %v", k, d)
			}
		}
	}
}

func TestExact(t *testing.T) {
	for _, c := range []struct {
		input DType
		kinds []OpKind
		want  bool
	}{
		{I8, []OpKind{OpConv2D}, true},
		{I8, []OpKind{OpSoftmax, OpConv2D}, true},
		{F32, []OpKind{OpQuantize, OpConv2D}, true},
		{F32, []OpKind{OpConv2D}, false},
		{F32, []OpKind{OpMaxPool, OpQuantize}, false},
		{I8, []OpKind{OpConv2D, OpDequantize}, false}, // a float head
	} {
		m := chain(t, 1, c.input, 6, c.kinds...)
		m.Exact = !c.want // what a caller says does not count
		got, _, err := Decode(encoded(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if got.Exact != c.want {
			t.Errorf("%v %v: exact %v", c.input, c.kinds, got.Exact)
		}
	}
}

// TestIndependentReader compares with a reader that was written from the text of doc.go.
func TestIndependentReader(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to run testdata/read_rfga.py: ", err)
	}
	for _, m := range []*Model{sample(t, F32), sample(t, I8), chain(t, 9, F32, 5, OpConv2D, OpQuantize, OpRFGA, OpDequantize),
		measured(t, sample(t, I8)), large(t)} {
		path := filepath.Join(t.TempDir(), "m.rfga")
		if err := WriteFile(path, m); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "testdata/read_rfga.py", path).Output()
		if err != nil {
			var e *exec.ExitError
			errors.As(err, &e)
			t.Fatalf("%v: %s", err, e.Stderr)
		}
		var got, want any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(plain(m))
		if err != nil {
			t.Fatal(err)
		}
		json.Unmarshal(b, &want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the Python reader says\n%s\nthe model is\n%s", out, b)
		}
		// It has to verify too: a flipped bit of a weight is the digest's matter.
		file, _ := os.ReadFile(path)
		file[len(file)-65] ^= 1
		os.WriteFile(path, file, 0o666)
		if out, err := exec.Command(python, "testdata/read_rfga.py", path).CombinedOutput(); err == nil || !strings.Contains(string(out), "digest") {
			t.Errorf("a damaged file: %v %s", err, out)
		}
	}
}

func barsOf(b [QualityBars]uint8) (out []int) {
	for _, v := range b {
		out = append(out, int(v))
	}
	return out
}

// plain is a model in the words of the specification, floats as their bits.
func plain(m *Model) any {
	type object = map[string]any
	bits := func(v ...float32) []uint32 {
		out := []uint32{}
		for _, f := range v {
			out = append(out, math.Float32bits(f))
		}
		return out
	}
	list := func(v []int) []int { return append([]int{}, v...) }
	g, _ := check(m)
	o := object{"name": m.Name, "arch": m.Arch, "input": m.Input, "exact": m.Exact, "labels": append([]string{}, m.Labels...),
		"provenance": []string{m.Prov.Source, m.Prov.Licence, m.Prov.Converter, m.Prov.Calibration, m.Prov.Notes},
		"pre":        []int{m.Pre.Width, m.Pre.Height, m.Pre.Resize, int(m.Pre.Rule), int(m.Pre.Order)},
		"mean":       bits(m.Pre.Mean[:]...), "std": bits(m.Pre.Std[:]...),
		"norm": m.Loc.Norm, "threshold": math.Float32bits(m.Loc.Threshold)}
	if q := m.Quality; q != nil {
		var activations, weights []any
		for _, a := range q.Activations {
			activations = append(activations, []any{a.Tensor, bits(a.SNR, a.Own, a.Grid, a.Cosine, a.Low, a.High, a.Min, a.Max, a.Share), a.Channel,
				math.Float32bits(a.ChannelFactor), a.Cut, list(barsOf(a.Bars))})
		}
		for _, w := range q.Weights {
			weights = append(weights, []any{w.Tensor, bits(w.SNR, w.Full), w.Channel, math.Float32bits(w.ChannelSNR)})
		}
		o["quality"] = object{"images": []int{q.Images, q.Classified, q.Agreed, q.Located}, "outputs": bits(q.Correlation, q.IoU),
			"activations": activations, "weights": weights}
	}
	var outputs, tensors, ops []any
	for _, x := range m.Outputs {
		outputs = append(outputs, []any{x.Name, x.Tensor, x.Flat})
	}
	for i, x := range m.Tensors {
		t := object{"name": x.Name, "type": x.DType.String(), "role": g.roles[i].String(), "shape": x.Shape, "scale": bits(x.Scale...), "zero": x.Zero}
		if x.Data != nil {
			sum := sha256.Sum256(x.Data)
			t["sha256"] = hex.EncodeToString(sum[:])
		}
		tensors = append(tensors, t)
	}
	for _, x := range m.Ops {
		a := x.Attr
		ops = append(ops, object{"kind": x.Kind.String(), "name": x.Name, "inputs": list(x.Inputs), "outputs": list(x.Outputs), "inner": list(x.Inner),
			"attr": object{"kernel": a.Kernel, "stride": a.Stride, "dilation": a.Dilation, "pad": a.Pad, "groups": a.Groups, "axis": a.Axis,
				"func": a.Func, "mode": a.Mode, "align_corners": a.AlignCorners, "count_include_pad": a.CountIncludePad,
				"clamp_lo": math.Float32bits(a.ClampLo), "clamp_hi": math.Float32bits(a.ClampHi), "q_lo": a.QLo, "q_hi": a.QHi,
				"pad_value": math.Float32bits(a.PadValue), "a": math.Float32bits(a.A), "b": math.Float32bits(a.B), "mults": bits(a.Mults...),
				"epsilon": math.Float32bits(a.Epsilon), "dims": list(a.Dims), "perm": list(a.Perm), "off": a.Off}})
	}
	o["outputs"], o["tensors"], o["ops"] = outputs, tensors, ops
	return o
}

// section of a file under construction.
type rawSection struct {
	id    string
	flags uint32
	data  []byte
}

func split(tb testing.TB, file []byte) []rawSection {
	_, info, err := Decode(file)
	if err != nil {
		tb.Fatal(err)
	}
	var out []rawSection
	for _, s := range info.Sections {
		out = append(out, rawSection{s.Name, flagRequired, file[s.Offset : s.Offset+s.Size]})
	}
	return out
}

// assemble writes the frame of a file as doc.go describes it.
func assemble(minor uint16, sections []rawSection) []byte {
	le := binary.LittleEndian
	b := append([]byte(magic), make([]byte, headerSize-len(magic)+entrySize*len(sections))...)
	le.PutUint16(b[8:], 1)
	le.PutUint16(b[10:], minor)
	le.PutUint32(b[12:], uint32(len(sections)))
	pad := func() { b = append(b, make([]byte, -len(b)&63)...) }
	for i, s := range sections {
		pad()
		e := b[headerSize+entrySize*i:]
		copy(e, s.id)
		le.PutUint32(e[4:], s.flags)
		le.PutUint64(e[8:], uint64(len(b)))
		le.PutUint64(e[16:], uint64(len(s.data)))
		b = append(b, s.data...)
	}
	pad()
	return fixed(b)
}

func TestLaterMinorVersions(t *testing.T) {
	m := sample(t, F32)
	sections := split(t, encoded(t, m))
	insert := func(at int, s rawSection) []rawSection {
		return append(append(append([]rawSection{}, sections[:at]...), s), sections[at:]...)
	}
	if !bytes.Equal(assemble(uint16(minorOf(m)), sections), encoded(t, m)) {
		t.Error("the test's writer and Encode differ")
	}
	for at := range len(sections) + 1 {
		got, info, err := Decode(assemble(7, insert(at, rawSection{"NEW!", 0, []byte("whatever")})))
		if err != nil {
			t.Fatalf("a section to skip at %d: %v", at, err)
		}
		if !reflect.DeepEqual(got, m) || fmt.Sprint(info.Skipped) != "[section NEW!]" || info.Minor != 7 {
			t.Errorf("at %d: %+v", at, info)
		}
	}
	// The first operator of this model has attributes; an unknown one goes behind them.
	withAttr := func(key attrKey) []byte {
		for i := range sections {
			if sections[i].id == "OPER" {
				one := *m
				one.Ops = m.Ops[:1]
				end := len(encodeOps(&one))
				b := bytes.Clone(sections[i].data)
				b[4+5]++
				b = append(append(b[:end:end], byte(key), byte(key>>8), 2, 0, 1, 2, 3, 4, 5, 6, 7, 8), b[end:]...)
				s := append([]rawSection{}, sections...)
				s[i].data = b
				return assemble(3, s)
			}
		}
		panic("no operators")
	}
	if got, info, err := Decode(withAttr(keyIgnorable | 5)); err != nil || !reflect.DeepEqual(got, m) || len(info.Skipped) != 1 {
		t.Errorf("an attribute to skip: %v", err)
	}
	for what, file := range map[string][]byte{
		"required section":    assemble(1, insert(2, rawSection{"NEW!", 1, nil})),
		"required attribute":  withAttr(keyMults + 1),
		"section twice":       assemble(1, append(insert(2, rawSection{"NEW!", 0, nil}), rawSection{"NEW!", 0, nil})),
		"known section twice": assemble(0, insert(1, sections[0])),
		"order":               assemble(0, []rawSection{sections[1], sections[0], sections[2], sections[3], sections[4], sections[5]}),
		"missing":             assemble(0, sections[:5]),
		"missing, padded":     assemble(0, append(sections[:5:5], rawSection{"NEW!", 0, nil})),
	} {
		wantError(t, what, file)
	}
	file := encoded(t, m)
	file[8] = 2
	if _, _, err := Decode(file); !errors.Is(err, ErrVersion) {
		t.Errorf("major version 2: %v", err)
	}
	if _, _, err := Decode([]byte("PK\x03\x04 and so on")); !errors.Is(err, ErrNotRFGA) {
		t.Errorf("a zip file: %v", err)
	}
}

func wantError(t *testing.T, what string, file []byte) {
	t.Helper()
	_, _, err := Decode(file)
	var e *Error
	if err == nil || !errors.As(err, &e) {
		t.Errorf("%s: error %v", what, err)
	}
}

func TestCompact(t *testing.T) {
	m := sample(t, I8)
	want := encoded(t, m)
	// The same model with every tensor one place further, behind ones that nothing uses.
	loose := *m
	loose.Tensors = append([]Tensor{{Name: "left over", DType: F32, Shape: []int{1, 2, 2, 1}}}, m.Tensors...)
	loose.Tensors = append(loose.Tensors, Tensor{DType: F32, Shape: []int{1}, Data: make([]byte, 4)})
	loose.Input++
	loose.Outputs = slices.Clone(m.Outputs)
	for i := range loose.Outputs {
		loose.Outputs[i].Tensor++
	}
	loose.Ops = slices.Clone(m.Ops)
	for i := range loose.Ops {
		for _, l := range []*[]int{&loose.Ops[i].Inputs, &loose.Ops[i].Outputs, &loose.Ops[i].Inner} {
			*l = slices.Clone(*l)
			for j, x := range *l {
				if x >= 0 {
					(*l)[j]++
				}
			}
		}
	}
	if Validate(&loose) == nil {
		t.Error("a tensor that nothing uses is accepted")
	}
	if got := encoded(t, Compact(&loose)); !bytes.Equal(got, want) {
		t.Error("another model")
	}
	if loose.Ops[0].Inputs[0] != m.Ops[0].Inputs[0]+1 {
		t.Error("Compact changed its argument")
	}
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(F32, F16, I8, I16, I32, I64, DType(9), OpConv2D, OpCAMHead, OpKind(99), FuncReLU, FuncHardSwish, Func(23),
		ModeNearest, ModeBilinear, RGB, BGR, ResizeSquash, ResizeCenterCrop, HeatMinMax, HeatP65, HeatNorm(0), HeatNorm(3))
	want := "f32 f16 i8 i16 i32 i64 dtype(9) conv2d cam_head op(99) relu hardswish func(23) nearest bilinear rgb bgr squash centercrop minmax p65 none norm(3)"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for i, want := range []int{0, 4, 4, 4, 4, 8} {
		if got := PadChannels(i); got != want {
			t.Errorf("PadChannels(%d) = %d", i, got)
		}
	}
}
