package plugin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/defaultmodel"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/plugin"
	"github.com/rfga-edge/rfga-edge/plugin/guest"
	"github.com/rfga-edge/rfga-edge/runtime"
)

const photo = "../testdata/photos/panda.jpg"

// TestSameAsNative localizes a photo and runs the network in the module and natively: classes, boxes, heat map and the
// hashes over every output must be the same.
func TestSameAsNative(t *testing.T) {
	ctx := context.Background()
	p := open(t, module(t, "./module", "defaultmodel"))
	m, err := p.Load(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetOptions(ctx, "heat=1 threshold=0.1"); err != nil {
		t.Fatal(err)
	}
	file := read(t, photo)
	got, err := m.Localize(ctx, plugin.Picture(file), 3)
	if err != nil {
		t.Fatal(err)
	}

	native, err := defaultmodel.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	s, err := native.NewSession(rfgaedge.Localizing(rfgaedge.LocalizeOptions{TopK: 3, Threshold: 0.1, Heat: true}), rfgaedge.Resizing(rfgaedge.Exact))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	img, err := frame.DecodeImage(bytes.NewReader(file), frame.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	var r rfgaedge.Result
	if err := s.Localize(ctx, &rfgaedge.Frame{Format: rfgaedge.RGB24, Width: img.W, Height: img.H, Planes: [3][]byte{img.Pix}}, &r); err != nil {
		t.Fatal(err)
	}
	var want rfgaedge.Record
	native.Fill(&want, "", &r, 0)
	want.Micros, want.ISA = got.Micros, kernels.SIMD128x3.String()
	if !reflect.DeepEqual(got, &want) {
		t.Errorf("module: %s\nnative: %s", got.AppendJSON(nil), want.AppendJSON(nil))
	}

	heat, err := m.Heat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range r.Heat.Pix {
		if g := math.Float32frombits(binary.LittleEndian.Uint32(heat.Data[4*i:])); g != float32(v) {
			t.Fatalf("heat map at %d: %v, natively %v", i, g, v)
		}
	}

	w, h := native.InputSize()
	square := make([]byte, 3*w*h)
	if err := new(frame.Resizer).Preprocess(square, img, rfgaedge.FrameSpec(&native.Runtime().Format().Pre)); err != nil {
		t.Fatal(err)
	}
	outs, err := m.Run(ctx, square)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := native.Runtime().NewSession(runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := errors.Join(ns.SetImage(0, square), ns.Run(ctx)); err != nil {
		t.Fatal(err)
	}
	for i, o := range ns.Outputs() {
		sum := sha256.Sum256(ns.AppendRaw(nil, 0, i))
		if g := outs.Outputs[o.Name]; g == nil || g.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("output %s: hash %+v, natively %x", o.Name, g, sum)
		}
	}
}

// raw calls the module's functions without the checks of package plugin, as a host in another language would.
type raw struct {
	t   *testing.T
	mod api.Module
}

func rawHost(t *testing.T, wasm []byte, features api.CoreFeatures) raw {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features).WithMemoryLimitPages(4096))
	t.Cleanup(func() { rt.Close(ctx) })
	// No WASI of wazero's: a host module with just the functions that the module imports shows what it asks for.
	compiled, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	wasi := rt.NewHostModuleBuilder("wasi_snapshot_preview1")
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if module != "wasi_snapshot_preview1" {
			t.Fatalf("the module imports %s.%s", module, name)
		}
		wasi.NewFunctionBuilder().WithGoModuleFunction(wasiStub(name), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	if _, err := wasi.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	mod, err := rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	return raw{t, mod}
}

// wasiStub answers the calls that a Go program cannot do without: clocks tick, random bytes are all 1, lists are empty, whatever
// is waited for is there, and everything else is error 8, bad file descriptor.
func wasiStub(name string) api.GoModuleFunction {
	ticks := uint64(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
		mem := m.Memory()
		code := uint64(0)
		switch name {
		case "clock_time_get":
			ticks += 1000
			mem.WriteUint64Le(uint32(stack[2]), ticks)
		case "random_get":
			for i := range uint32(stack[1]) {
				mem.WriteByte(uint32(stack[0])+i, 1)
			}
		case "poll_oneoff":
			for i := range uint32(stack[2]) {
				userdata, _ := mem.ReadUint64Le(uint32(stack[0]) + 48*i)
				mem.WriteUint64Le(uint32(stack[1])+32*i, userdata)
				mem.WriteUint64Le(uint32(stack[1])+32*i+8, 0) // no error, a clock
			}
			mem.WriteUint32Le(uint32(stack[3]), uint32(stack[2]))
		case "args_sizes_get", "environ_sizes_get":
			mem.WriteUint32Le(uint32(stack[0]), 0)
			mem.WriteUint32Le(uint32(stack[1]), 0)
		case "args_get", "environ_get", "sched_yield":
		case "proc_exit":
			panic("the module ended itself")
		default:
			code = 8
		}
		if len(stack) > 0 {
			stack[0] = code
		}
	})
}

func (r raw) call(name string, args ...uint64) int64 {
	r.t.Helper()
	v, err := r.mod.ExportedFunction(name).Call(context.Background(), args...)
	if err != nil {
		r.t.Fatalf("%s%v: %v", name, args, err)
	}
	if r.mod.ExportedFunction(name).Definition().ResultTypes()[0] == api.ValueTypeI32 {
		return int64(int32(v[0]))
	}
	return int64(v[0])
}

func (r raw) text(v int64) string {
	r.t.Helper()
	b, ok := r.mod.Memory().Read(uint32(v>>32), uint32(v))
	if v < 0 || !ok {
		r.t.Fatalf("text %#x", v)
	}
	return string(b)
}

// place puts b into a block.
func (r raw) place(b []byte) uint64 {
	r.t.Helper()
	p := uint64(r.call("rfga_alloc", uint64(len(b))))
	if p == 0 || !r.mod.Memory().Write(uint32(p), b) {
		r.t.Fatalf("no block of %d bytes", len(b))
	}
	return p
}

// TestInterfaceAlone is a host made from ABI.md: without SIMD in the engine, a module built with the tag purego gives what a
// native build gives.
func TestInterfaceAlone(t *testing.T) {
	r := rawHost(t, module(t, "./module", "purego"), api.CoreFeaturesV2&^api.CoreFeatureSIMD)
	if v := r.call("rfga_abi"); v != guest.ABI {
		t.Fatalf("interface %d", v)
	}
	if code := r.call("rfga_load", 0, 0); code != guest.CodeSupport {
		t.Errorf("loading the model of a module without one: %d", code)
	}
	file := smallModel(t)
	h := uint64(r.call("rfga_load", r.place(file), uint64(len(file))))
	var about struct {
		W, H, Classes int
		ISA           string
		Labels        []string
	}
	if err := json.Unmarshal([]byte(r.text(r.call("rfga_info", h))), &about); err != nil {
		t.Fatal(err)
	}
	if about.W != 32 || about.Classes != 3 || about.ISA != "portable" || !reflect.DeepEqual(about.Labels, []string{"red \"fox\"", "green", "blue"}) {
		t.Errorf("info: %+v", about)
	}
	// A picture of 8x8 green pixels with a red block in one corner, in two formats, with a stride in the second.
	rgba, bgr := make([]byte, 4*64), make([]byte, 30*8)
	for y := range 8 {
		for x := range 8 {
			c := [3]byte{0, 0, 0}
			if x < 4 && y >= 4 {
				c = [3]byte{255, 0, 0}
			}
			copy(rgba[4*(8*y+x):], c[:])
			copy(bgr[30*y+3*x:], []byte{c[2], c[1], c[0]})
		}
	}
	for name, args := range map[string][]uint64{"rgba": {uint64(len(rgba)), 8, 8, 0, 3, 1}, "bgr": {uint64(len(bgr)), 8, 8, 30, 2, 1}} {
		b := rgba
		if name == "bgr" {
			b = bgr
		}
		p := r.place(b)
		var rec rfgaedge.Record
		if err := json.Unmarshal([]byte(r.text(r.call("rfga_localize", append([]uint64{h, p}, args...)...))), &rec); err != nil {
			t.Fatal(err)
		}
		if rec.Classes[0].ID != 0 || len(rec.Locations) != 1 || rec.Locations[0].Box != [4]int{0, 4, 4, 8} {
			t.Errorf("%s: %s", name, rec.AppendJSON(nil))
		}
		if code := r.call("rfga_free", p); code != 0 {
			t.Errorf("free: %d", code)
		}
	}
	if code := r.call("rfga_unload", h); code != 0 {
		t.Errorf("unload: %d", code)
	}
	if code := r.call("rfga_info", h); code != guest.CodeArgument {
		t.Errorf("info after unload: %d", code)
	}
}

// TestHostileHost passes what makes no sense; every call must answer with an error and its text, and the instance go on.
func TestHostileHost(t *testing.T) {
	r := rawHost(t, module(t, "./module", "defaultmodel"), api.CoreFeaturesV2)
	file := smallModel(t)
	h := uint64(r.call("rfga_load", r.place(file), uint64(len(file))))
	p := r.place(make([]byte, 100))
	const huge = 0xffffffff
	neg := api.EncodeI32(-5)
	for _, c := range []struct {
		name string
		args []uint64
		code int64
	}{
		{"rfga_free", []uint64{12345}, guest.CodeArgument},
		{"rfga_free", []uint64{p + 1}, guest.CodeArgument},
		{"rfga_load", []uint64{p + 8, 10}, guest.CodeArgument},
		{"rfga_load", []uint64{huge, huge}, guest.CodeArgument},
		{"rfga_load", []uint64{r.place([]byte("no model")), 8}, guest.CodeModel},
		{"rfga_load", []uint64{r.place(file[:len(file)-9]), uint64(len(file) - 9)}, guest.CodeModel},
		{"rfga_unload", []uint64{0}, guest.CodeArgument},
		{"rfga_unload", []uint64{huge}, guest.CodeArgument},
		{"rfga_info", []uint64{77}, guest.CodeArgument},
		{"rfga_options", []uint64{h, p, huge}, guest.CodeArgument},
		{"rfga_options", []uint64{h, r.place([]byte("heat=2")), 6}, guest.CodeArgument},
		{"rfga_options", []uint64{h, r.place([]byte("classes=3")), 9}, guest.CodeArgument},
		{"rfga_options", []uint64{h, r.place([]byte("min_p=NaN")), 9}, guest.CodeArgument},
		{"rfga_localize", []uint64{h, p, 100, 0, 0, 0, 0, 1}, guest.CodeInput},
		{"rfga_localize", []uint64{h, p, 101, 5, 5, 0, 1, 1}, guest.CodeArgument},
		{"rfga_localize", []uint64{h, p, 100, 50, 5, 0, 1, 1}, guest.CodeInput},
		{"rfga_localize", []uint64{h, p, 100, neg, 5, 0, 1, 1}, guest.CodeInput},
		{"rfga_localize", []uint64{h, p, 100, 5, 5, neg, 1, 1}, guest.CodeInput},
		{"rfga_localize", []uint64{h, p, 100, 5, 5, 0, huge, 1}, guest.CodeInput},
		{"rfga_localize", []uint64{h, p, 100, 5, 5, 0, 257, 1}, guest.CodeInput},
		{"rfga_localize", []uint64{h, p, 100, 5, 5, 0, 1, neg}, guest.CodeArgument},
		{"rfga_localize", []uint64{h, p, 0, 5, 5, 0, 1, 1}, guest.CodeInput},
		{"rfga_heat", []uint64{h}, guest.CodeSupport},
		{"rfga_run", []uint64{h, p, 100}, guest.CodeInput},
	} {
		if code := r.call(c.name, c.args...); code != c.code {
			t.Errorf("%s%d: %d, want %d", c.name, c.args, code, c.code)
			continue
		}
		if text := r.text(r.call("rfga_error")); text == "" || strings.Contains(text, "internal") {
			t.Errorf("%s%d: error text %q", c.name, c.args, text)
		}
	}
	if a := r.call("rfga_alloc", huge); a != 0 {
		t.Errorf("a block of 4 GiB at %d", a)
	}
	if !strings.Contains(r.text(r.call("rfga_localize", h, p, 75, 5, 5, 0, 1, 1)), `"cls":[`) {
		t.Error("the instance does not go on")
	}
}

// TestMemoryIsFlat loads, localizes and unloads again and again: after half of the rounds the module's memory must not grow by
// more than the collector's slack, a third of what the blocks alone of the other half would add if one of each round stayed behind.
func TestMemoryIsFlat(t *testing.T) {
	r := rawHost(t, module(t, "./module", "defaultmodel"), api.CoreFeaturesV2)
	file, size := smallModel(t), uint32(0)
	for i := range 400 {
		h := uint64(r.call("rfga_load", r.place(file), uint64(len(file))))
		p := r.place(make([]byte, 64<<10))
		r.text(r.call("rfga_localize", h, p, 64<<10, 100, 100, 400, 3, 1))
		r.call("rfga_free", p)
		r.call("rfga_unload", h)
		switch s := r.mod.Memory().Size(); {
		case i == 200:
			size = s
		case i > 200 && s > size+4<<20:
			t.Fatalf("round %d: memory of %d bytes, %d after 200 rounds", i, s, size)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	ctx := context.Background()
	empty := []byte("\x00asm\x01\x00\x00\x00")
	for name, wasm := range map[string][]byte{"nothing": nil, "no module": []byte("GIF89a"), "another module": empty} {
		if p, err := plugin.Open(ctx, wasm, plugin.Config{}); err == nil {
			p.Close(ctx)
			t.Errorf("%s opens", name)
		}
	}
	if _, err := plugin.Open(ctx, module(t, "./module", "defaultmodel"), plugin.Config{MemoryPages: 10}); err == nil {
		t.Error("a module opens in 640 KiB")
	}
	p := open(t, module(t, "./module", "defaultmodel"))
	m, err := p.Load(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.Localize(canceled, plugin.Picture(read(t, photo)), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("localizing after cancel: %v", err)
	}
}

// The portable kernels and those of this machine agree (package kernels proves it); here it matters which ones the module took,
// being told that wazero is the host.
func TestModuleUsesSIMD(t *testing.T) {
	ctx := context.Background()
	p := open(t, module(t, "./module", "defaultmodel"))
	m, err := p.Load(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	info, err := m.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"isa":"` + kernels.SIMD128x3.String() + `"`; !bytes.Contains(info, []byte(want)) {
		t.Errorf("info %.200s has no %s", info, want)
	}
}
